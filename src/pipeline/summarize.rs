//! The whole way, top to bottom: source, probe, sampling, frames and transcript at the same time, timeline, answer,
//! report.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::embed::{check_embedding, embed, find_input, no_chapters};
use super::extract::{Extracted, Extraction, FrameStream};
use super::frame_options::FrameOptions;
use super::input_identity::InputIdentity;
use super::run::Context;
use super::select::{Selection, select};
use super::site::{FetchedSite, InputNeeds, describe, fetch_timed, named, read_source};
use super::source_frames::SourceFrames;
use super::stored_frames::{FramesPlace, KeptFrames};
use super::timing::{StageTimer, measure};
use super::transcript::{FoundTranscript, TranscriptSearch, find_transcript};
use crate::advice::{Advice, Setting};
use crate::analyze::budget::{FramePlan, fit_plan, is_windowed};
use crate::analyze::{
    Analysis, Analyzer, Answered, Answerer, DryRun, ReadFrame, StoredAnswers, ViewReader, estimate, frame_tokens,
    matches_speech, read_data, refined,
};
use crate::blocking::run_blocking;
use crate::chat::ChatResponse;
use crate::digest;
use crate::error::{Error, ErrorCode, Result};
use crate::event::Event;
use crate::grounding::{self, GroundingEvidence};
use crate::input::Source;
use crate::media::MediaInfo;
use crate::prompt;
use crate::report::{self, PageOptions, Report, page, write};
use crate::sampling::SamplingSpec;
use crate::sentence::{GroundingProblem, Verdict};
use crate::time::{TimeRange, Timestamp};
use crate::timeline::{Timeline, TimelineFrame};
use crate::transcript::Transcript;
use crate::video::VideoSource;

/// A summary of one source.
#[derive(Clone)]
pub struct Summarize {
    /// What is read.
    pub source: Source,
    /// Which frames.
    pub options: FrameOptions,
    /// Where the transcript comes from.
    pub transcript: TranscriptSearch,
    /// The question, and the model or digest that answers.
    pub analysis: Analysis,
    /// If set, nothing is sent or written, and the report has an estimate of what would be sent.
    pub dry_run: Option<DryRun>,
    /// Folder for the report, the frames and the transcript; None keeps everything in the report.
    pub output: Option<PathBuf>,
    /// How the report page is made.
    pub page: PageOptions,
    /// Whether the report gets a page with its pictures inside.
    pub returns_page: bool,
    /// File for a copy of the source with the chapters of the report; None writes none.
    pub embed_chapters: Option<PathBuf>,
}

/// Summarizes. Cancelled while requests are in flight, it waits some seconds for them and reports what is there.
///
/// # Errors
/// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) where there is neither a frame nor a transcript,
/// [`ErrorKind::Interrupted`](crate::ErrorKind::Interrupted) where it is cancelled before the first request; else as the
/// stages. A model that does not answer is no error: the report says so.
pub async fn run(task: Summarize, context: Context) -> Result<Report> {
    let mut timer = StageTimer::default();
    let evidence = Box::pin(context.unless_cancelled(fetch_and_gather(task, &context, &mut timer))).await?;
    Box::pin(answer(evidence, &context, &mut timer)).await
}

/// The evidence, and the task as its spending limit allows it.
struct Evidence {
    task: Summarize,
    /// Without an answer.
    report: Report,
    timeline: Timeline,
    /// What results are stored under; None without a store, and for inputs without a file.
    identity: Option<InputIdentity>,
    /// Reads frames again while the model answers; None where that cannot be done, as of downloads that are deleted.
    reader: Option<Arc<dyn ViewReader>>,
    /// What was changed so that the run stays within its spending limit.
    changes: Vec<String>,
}

/// All that comes before the first request.
async fn fetch_and_gather(task: Summarize, context: &Context, timer: &mut StageTimer) -> Result<Evidence> {
    if let Some(model) = task.analysis.answerer.chat_model() {
        let limits = model.limits();
        task.analysis.spend_limit.check(&limits)?;
        task.analysis.check_context(&limits)?;
    }
    if let Some(output) = &task.embed_chapters {
        find_input(&task.source, output)?;
    }
    let needs = InputNeeds { frames: true, audio: false, transcript: Some(&task.transcript), takes_playlists: false };
    let site = if task.analysis.prompt.image_url.is_some() {
        None
    } else {
        fetch_timed(&task.source, needs, timer, context).await?
    };
    // Downloads are deleted when the evidence is complete.
    let site = site.as_ref();
    Box::pin(gather(task, site, context, timer)).await.map_err(|error| named(site, error))
}

/// As [`fetch_and_gather`], of a file, or of what was fetched of a site.
async fn gather(
    task: Summarize,
    site: Option<&FetchedSite>,
    context: &Context,
    timer: &mut StageTimer,
) -> Result<Evidence> {
    let task = Summarize { source: read_source(&task.source, site)?, ..task };
    if let Some(url) = &task.analysis.prompt.image_url {
        let timeline = Timeline::new(TimeRange::new(Timestamp::ZERO, Timestamp::ZERO), Vec::new(), None);
        let media = MediaInfo::new(url, "picture, not opened");
        let report =
            Report::new(media, report::SamplingSummary::default(), &timeline, "the picture was not opened here");
        return Ok(Evidence { task, report, timeline, identity: None, reader: None, changes: Vec::new() });
    }
    let (options, source) = (task.options.clone(), task.source.clone());
    let (mut info, video) = timer.time("probe", run_blocking(move || options.open(&source))).await?;
    describe(site, &mut info);
    context.send_probed(&info).await;
    if let Some(output) = &task.embed_chapters {
        if task.analysis.answerer.chat_model().is_none() && info.chapters.is_empty() {
            return Err(no_chapters(&info));
        }
        let (source, output, info) = (task.source.clone(), output.clone(), info.clone());
        run_blocking(move || check_embedding(&source, &output, &info)).await?;
    }
    let video = video.filter(|video| !is_audio_only(&task.options.sampling, video, &info));
    // An invalid plan is reported before a transcript is made, which may cost money.
    let task = Summarize { options: task.options.limited(video.as_ref()), ..task };
    let selected = video.map(|mut video| select(&task.options, &mut video).map(|plan| (video, plan))).transpose()?;
    let path = task.source.media_path().map(Path::to_owned);
    let captions = site.and_then(|site| site.captions.as_ref());
    let is_dry = task.dry_run.is_some();
    // A dry run writes nothing.
    let identity = if is_dry { None } else { InputIdentity::find(&context.store, path.as_deref(), &info).await };
    let options = task.transcript.clone();
    let transcript = measure(find_transcript(&options, path.as_deref(), captions, &info, context, is_dry));
    let question = task.analysis.prompt.question.clone();
    let is_limited = task.analysis.spend_limit.is_limited();
    let (frames, transcript, task, changes) = if is_limited || question.is_some() {
        // How many frames fit, and whether a question needs any, depends on the transcript.
        let transcript = transcript.await;
        let found = transcript.0.as_ref().ok();
        let words = found.and_then(|found| found.transcript.as_ref());
        let matches = |question: String| words.is_some_and(|words| matches_speech(&question, words));
        if is_windowed(requested(whole(&info), &task.options.sampling)) && question.is_some_and(matches) {
            // Speech that matches answers the question without frames, but for those of an earlier run.
            let frames = measure(stored_frames(&task, identity.clone(), context)).await;
            (frames, transcript, task, Vec::new())
        } else if is_limited {
            let (task, selected, changes) = within_limit(task, &info, selected, found)?;
            (measure(keep_all(&task, selected, identity.clone(), context)).await, transcript, task, changes)
        } else {
            let frames = measure(keep_all(&task, selected, identity.clone(), context)).await;
            (frames, transcript, task, Vec::new())
        }
    } else {
        let (frames, transcript) =
            tokio::join!(measure(keep_all(&task, selected, identity.clone(), context)), transcript);
        (frames, transcript, task, Vec::new())
    };
    let kept = timer.note("frames", frames)?;
    let transcript = timer.note("transcript", transcript)?;
    let report_and_timeline = evidence_report(info, kept, transcript, &task.options.sampling)?;
    let (mut report, timeline) = report_and_timeline;
    for (what, why) in site.into_iter().flat_map(|site| site.problems.clone()) {
        report.miss(what, why);
    }
    let reader = SourceFrames::new(&task.source, &task.options, context).filter(|_| site.is_none());
    let reader = reader.map(|reader| Arc::new(reader) as Arc<dyn ViewReader>);
    Ok(Evidence { task, report, timeline, identity, reader, changes })
}

/// Whether the requested range starts after the end of the video but before the end of the audio.
fn is_audio_only(sampling: &SamplingSpec, video: &VideoSource, info: &MediaInfo) -> bool {
    let (Some(start), Some(index)) = (sampling.start, &video.index) else { return false };
    let video = index.range();
    video.end <= start && start < longest(video, info, None).end
}

/// The timeline, and the report of it without an answer. The range ends with the longest stream, within the requested
/// range.
fn evidence_report(
    info: MediaInfo,
    kept: KeptFrames,
    transcript: FoundTranscript,
    sampling: &SamplingSpec,
) -> Result<(Report, Timeline)> {
    if kept.frames.is_empty() && transcript.transcript.is_none() {
        return Err(nothing_found(&info, &transcript.reason));
    }
    let range = match &kept.extraction {
        Some(extraction) => longest(extraction.range, &info, transcript.transcript.as_ref()),
        None => whole(&info),
    };
    let range = requested(range, sampling);
    let timeline = Timeline::new(range, kept.frames, transcript.transcript);
    let (sampling, decoder, problems) = match kept.extraction {
        Some(Extraction { sampling, decoder, problems, .. }) => (sampling, Some(decoder), problems),
        None => (report::SamplingSummary::default(), None, Vec::new()),
    };
    let mut report = Report::new(info, sampling, &timeline, &transcript.reason);
    for (frame, reason) in report.frames.iter_mut().zip(kept.reasons) {
        (frame.reason, frame.suspect) = reason;
    }
    report.made_with.decoder = decoder;
    for (what, why) in problems.into_iter().chain(transcript.problems) {
        report.miss(what, why);
    }
    Ok((report, timeline))
}

/// The requested part of a range.
fn requested(range: TimeRange, sampling: &SamplingSpec) -> TimeRange {
    let end = sampling.end.map_or(range.end, |end| range.end.min(end));
    TimeRange::new(sampling.start.map_or(range.start, |start| range.start.max(start).min(end)), end)
}

/// The video, where there is one, and its selected sample points.
type Selected = Option<(VideoSource, Selection)>;

/// The task and its selection, with fewer or smaller frames where the spending limit needs it; and what was changed.
fn within_limit(
    mut task: Summarize,
    info: &MediaInfo,
    selected: Selected,
    transcript: Option<&FoundTranscript>,
) -> Result<(Summarize, Selected, Vec<String>)> {
    let Some(model) = task.analysis.answerer.chat_model().cloned() else {
        return Ok((task, selected, Vec::new()));
    };
    let limits = model.limits();
    let transcript = transcript.and_then(|found| found.transcript.clone());
    let without_frames = Timeline::new(whole(info), Vec::new(), transcript);
    let parts = without_frames.passages().flat_map(|passage| prompt::build_passage(passage, 0)).collect();
    let plan = FramePlan {
        n_frames: selected.as_ref().map_or(0, |(_, selection)| selection.max_frames(&task.options.sampling)),
        size: selected.as_ref().map_or((1, 1), |(video, _)| video.stream.display_size()),
        max_width: selected.as_ref().map_or(1, |(video, _)| task.options.size.fit(video.stream.display_size()).0),
        word_tokens: limits.load(parts).n_tokens,
        frame_tokens: frame_tokens(&limits, &task.analysis, info),
        n_millis: whole(info).length().millis().unsigned_abs(),
        lists_chapters: task.analysis.lists_chapters(),
    };
    let fitted = fit_plan(&plan, task.analysis.spend_limit, &limits)?;
    for change in &fitted.changes {
        tracing::warn!("to stay within {}: {change}", task.analysis.spend_limit);
    }
    if fitted.params != limits.params {
        task.analysis.answerer = Answerer::Chat(model.with_params(fitted.params));
    }
    if fitted.max_width < plan.max_width {
        task.options.size.max_width = Some(fitted.max_width);
    }
    let Some((mut video, _)) = selected.filter(|_| fitted.n_frames > 0) else {
        return Ok((task, None, fitted.changes));
    };
    if fitted.n_frames < plan.n_frames {
        task.options.sampling.max_frames = Some(fitted.n_frames);
    }
    let selection = select(&task.options, &mut video)?;
    Ok((task, Some((video, selection)), fitted.changes))
}

/// The frames for the model of an earlier run; none without one.
async fn stored_frames(task: &Summarize, identity: Option<InputIdentity>, context: &Context) -> Result<KeptFrames> {
    let Some(identity) = identity else { return Ok(KeptFrames::default()) };
    Ok(FramesPlace::new(&context.store, identity, &task.options).read().await.unwrap_or_default())
}

/// The frames for the model: those of an earlier run, else decoded.
async fn keep_all(
    task: &Summarize,
    selected: Selected,
    identity: Option<InputIdentity>,
    context: &Context,
) -> Result<KeptFrames> {
    let Some(selected) = selected else { return Ok(KeptFrames::default()) };
    let place = identity.map(|identity| FramesPlace::new(&context.store, identity, &task.options));
    if let Some(place) = &place
        && let Some(kept) = place.read().await
    {
        return Ok(kept);
    }
    let mut kept = KeptFrames::default();
    let mut stream = FrameStream::start(&task.options, &task.source, selected, false, context).await?;
    let (mut n_bytes, most) = (0, task.options.limits.max_kept_image_bytes);
    while let Some(item) = stream.next().await {
        let Extracted::Frame { image, score, reason, is_suspect } = item else { continue };
        n_bytes += image.bytes.len() as u64;
        if n_bytes > most {
            let problem = format!("the frames up to {} take more than {most} bytes of memory", image.time);
            let advice = Advice::send_less().or(Advice::Set(Setting::Start)).or(Advice::Set(Setting::End));
            return Err(Error::limit("the frames", problem, advice));
        }
        kept.frames.push(TimelineFrame { image, score });
        kept.reasons.push((reason, is_suspect));
    }
    kept.extraction = Some(stream.finish().await?);
    if let Some(place) = place {
        place.keep(&kept).await;
    }
    Ok(kept)
}

/// Asks the question and writes the folder, where one is wanted.
async fn answer(evidence: Evidence, context: &Context, timer: &mut StageTimer) -> Result<Report> {
    let Evidence { task, mut report, timeline, identity, reader, changes } = evidence;
    let description = task.analysis.answerer.description();
    let media = report.media.clone();
    let answers = identity.map(|InputIdentity { content, origin, .. }| StoredAnswers {
        store: context.store.clone(),
        content,
        origin,
    });
    let stored = (answers.clone(), reader.clone());
    let analysis = refined(&task.analysis, (&timeline, &media), stored, &context.cancel).await?;
    let analyzer = analysis
        .answerer
        .chat_model()
        .map(|model| Analyzer::new(model, &analysis, &timeline, &media, &context.events, &context.cancel))
        .map(|analyzer| analyzer.with_answers(answers).with_reader(reader));
    if let Some(dry_run) = task.dry_run {
        let found = estimate(analyzer.as_ref(), description, (&timeline, &report), &changes, dry_run)?;
        report.forecast = Some(found);
        return Ok(report);
    }
    context.events.send(Event::Requesting { model: description.name.clone() }).await;
    report.made_with.prompt_version = description.is_language_model.then_some(prompt::VERSION);
    let answered = timer
        .time("model", async {
            match &analyzer {
                Some(analyzer) => analyzer.answer().await,
                None => Answered::by_digest(digest::respond(&timeline)),
            }
        })
        .await;
    report.looks = answered.looks;
    // The analyzer goes on with the timeline as it was.
    let mut shown = timeline.clone();
    if !answered.looked_frames.is_empty() {
        let is_suspect = |read: &&ReadFrame| read.is_suspect;
        let suspect = answered.looked_frames.iter().filter(is_suspect).map(|read| read.frame.image.frame_idx);
        let suspect: Vec<usize> = suspect.collect();
        shown.frames.extend(answered.looked_frames.into_iter().map(|read| read.frame));
        shown.frames.sort_by_key(|frame| frame.image.time);
        report.add_looked_frames(&shown, &suspect);
    }
    (report.windows, report.total, report.changes) = (answered.windows, answered.total, changes);
    (report.records, report.sections) = (answered.records, answered.sections);
    report.question.clone_from(&task.analysis.prompt.question);
    report.has_requested_chapters = task.analysis.lists_chapters();
    for (what, why) in answered.problems {
        report.miss(what, why);
    }
    match answered.outcome {
        Ok(mut response) => {
            if let Some(schema) = &task.analysis.data
                && let Some((what, why)) = read_data(&mut response, schema)
            {
                report.miss(what, why);
            }
            if task.analysis.asks_for_citations() {
                check_sentences(&mut response, &shown).await?;
                if let Some(analyzer) = analyzer.as_ref().filter(|_| task.analysis.verifies) {
                    let missing = timer.time("verification", analyzer.verify(&mut response, &shown)).await;
                    report.missing.extend(missing.map(|(what, why)| report::Missing::new(what, why)));
                    report.total = Some(analyzer.total());
                }
            }
            if let Some((what, why)) = unsupported(&response).filter(|_| task.analysis.is_strict) {
                report.miss(what, why);
            }
            report.answer = Some(response);
        }
        // Frames and transcript are there, and are worth keeping.
        Err(reason) => report.no_answer_because = Some(reason),
    }
    report.model = Some(description);
    report.was_stopped = context.cancel.is_cancelled();
    if let Some(output) = &task.embed_chapters
        && !report.was_stopped
    {
        timer.time("chapters", embed(&mut report, &task.source, output, context)).await;
    }
    report.timings = timer.stages();
    if let Some(folder) = &task.output {
        report = write_folder(report, &shown, folder, &task.page).await?;
    }
    if task.returns_page {
        let images: Vec<_> = shown.frames.iter().map(|frame| frame.image.clone()).collect();
        report.page = Some(page::standalone(&report, &images, &task.page)?);
    }
    Ok(report)
}

/// What a strict check finds in an answer, and why it counts.
fn unsupported(response: &ChatResponse) -> Option<(String, String)> {
    if response.choices.iter().any(|choice| choice.sentences.is_empty() && !choice.text.trim().is_empty()) {
        let why =
            "it was not checked: the prompt asks for no citations, the transcript has no times, or it is too long";
        return Some(("the check of the answer".to_owned(), why.to_owned()));
    }
    let sentences = response.choices.iter().flat_map(|choice| &choice.sentences);
    let n_unsupported = sentences.filter(|sentence| sentence.verdict == Verdict::Unsupported).count();
    (n_unsupported > 0).then(|| {
        let sentences = if n_unsupported == 1 { "sentence" } else { "sentences" };
        let why = "the notes on the sentences say why";
        (format!("the evidence of {n_unsupported} {sentences}"), why.to_owned())
    })
}

/// Checks each sentence of the answer against the frames and the speech that it cites. Text without times cannot be cited:
/// with it, nothing is checked.
async fn check_sentences(response: &mut ChatResponse, timeline: &Timeline) -> Result<()> {
    if !timeline.untimed().is_empty() {
        return Ok(());
    }
    let frames: Vec<_> = timeline.frames.iter().map(|frame| (frame.image.frame_idx, frame.image.time)).collect();
    let segments = timeline.segments().to_vec();
    let texts: Vec<String> = response.choices.iter().map(|choice| choice.text.clone()).collect();
    let checked = run_blocking(move || {
        let evidence = GroundingEvidence::new(&frames, &segments);
        Ok(texts.iter().map(|text| grounding::check(text, &evidence)).collect::<Vec<_>>())
    });
    for (choice, mut sentences) in response.choices.iter_mut().zip(checked.await?) {
        // What is not there cannot be cited.
        for sentence in sentences.iter_mut().filter(|sentence| sentence.text.starts_with(prompt::NOT_IN_RECORDING)) {
            sentence.problems.retain(|problem| *problem != GroundingProblem::NoCitation);
            let verdict = sentence.problems.iter().map(GroundingProblem::verdict).max();
            sentence.verdict = verdict.unwrap_or(Verdict::Supported);
        }
        choice.sentences = sentences;
    }
    Ok(())
}

async fn write_folder(mut report: Report, timeline: &Timeline, folder: &Path, page: &PageOptions) -> Result<Report> {
    let images: Vec<_> = timeline.frames.iter().map(|frame| frame.image.clone()).collect();
    let (folder, page) = (folder.to_owned(), page.clone());
    run_blocking(move || {
        write::write_dir(&mut report, &images, &folder, &page)?;
        Ok(report)
    })
    .await
}

/// The range of the video, extended to the end of the audio and of the transcript.
fn longest(video: TimeRange, info: &MediaInfo, transcript: Option<&Transcript>) -> TimeRange {
    let (offset, last) = info.parts.last().map_or((Timestamp::ZERO, info), |part| (part.offset, &part.media));
    let audio = last.audio.iter().filter_map(|audio| {
        let start = audio.start.map_or(Timestamp::ZERO, |start| start.minus(last.start));
        Some(offset.plus(start).plus(audio.duration?))
    });
    let words = transcript.into_iter().flat_map(|transcript| &transcript.segments).map(|segment| segment.range.end);
    TimeRange::new(video.start, audio.chain(words).fold(video.end, Timestamp::max))
}

/// The stated range of a source without selected frames.
fn whole(info: &MediaInfo) -> TimeRange {
    let none = TimeRange::new(Timestamp::ZERO, Timestamp::ZERO);
    TimeRange::new(Timestamp::ZERO, info.duration.unwrap_or_else(|| longest(none, info, None).end))
}

fn nothing_found(info: &MediaInfo, reason: &str) -> Error {
    let problem = format!("has no frame and no transcript: {reason}");
    let advice = if info.audio.is_empty() {
        Advice::from("check the file with ffprobe")
    } else {
        Advice::Set(Setting::Transcript).or(Advice::Set(Setting::SttModel))
    };
    Error::unsupported(&info.input, problem, advice).with_code(ErrorCode::NoTranscript)
}
