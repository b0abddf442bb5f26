//! The whole job, top to bottom: source, probe, plan, frames and words at the same time, timeline, prompt, model,
//! report. A run is a stream of events, the last of which is its result.

mod ask;
mod budget;
pub mod caption;
mod dedup;
mod estimate;
mod event;
mod extract;
mod select;
mod stages;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::blocking::run_blocking;
use crate::chat::ModelDescription;
use crate::digest;
use crate::encode::EncodeOptions;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::llm::ChatModel;
use crate::media::{MediaInfo, Ratio};
use crate::prompt::{self, PromptOptions};
use crate::report::{self, Report, write};
use crate::sampling::SamplingOptions;
use crate::source::Source;
use crate::timeline::Timeline;
use crate::transcribe::Transcriber;
use crate::video::{Decoder, Video};

use ask::{Asked, Asker};
pub use budget::SpendLimit;
pub use event::{Event, Stop};
use extract::Looked;
use select::Draft;
use stages::Stopwatch;

/// Events that wait for a slow reader: they are small.
const EVENT_QUEUE: usize = 64;

/// One file to be looked at.
#[derive(Clone)]
pub struct Job {
    /// What is read.
    pub source: Source,
    /// Which moments are looked at.
    pub sampling: SamplingOptions,
    /// Pictures a second of an image sequence.
    pub sequence_rate: Ratio,
    /// Who decodes the video.
    pub decoder: Decoder,
    /// Width of the pictures in pixels at most; they are never enlarged.
    pub max_width: u32,
    /// Whether frames that show what one shortly before them showed are left out.
    pub dedup: bool,
    /// Whether the frames are also drawn side by side on contact sheets in the folder.
    pub contact_sheet: bool,
    /// How pictures are encoded.
    pub encode: EncodeOptions,
    /// Where words are looked for, in this order; empty where none are wanted.
    pub words: Vec<Arc<dyn Transcriber>>,
    /// Whether a failure to get words ends the run: the user named their file.
    pub needs_words: bool,
    /// Who is asked what; None where the frames alone are wanted.
    pub ask: Option<Ask>,
    /// Folder for the report, the pictures and the words; None keeps everything in the report.
    pub output: Option<PathBuf>,
    /// Folder for what need not be found out again in the next run; None keeps nothing.
    pub cache: Option<PathBuf>,
    /// How much is accepted.
    pub limits: Limits,
}

/// Who is asked what.
#[derive(Clone)]
pub struct Ask {
    /// Who answers.
    pub answerer: Answerer,
    /// The question.
    pub prompt: PromptOptions,
    /// A random number, new for each run: see [`prompt::build`].
    pub fence: u32,
    /// Whether the text is asked for piece by piece, each an [`Event::Text`].
    pub is_live: bool,
    /// Requests at a time, where more than one is needed; at least 1.
    pub concurrency: usize,
    /// The most that is spent.
    pub allowance: SpendLimit,
    /// Where set nothing is asked, nothing is written, and the report's forecast says what would be.
    pub dry_run: Option<DryRun>,
}

/// Who answers a question about the evidence.
#[derive(Clone)]
pub enum Answerer {
    /// The extractive digest, on this machine.
    Digest,
    /// A chat model on a server.
    Chat(Arc<dyn ChatModel>),
}

impl Answerer {
    /// What a report says of it.
    #[must_use]
    pub fn description(&self) -> ModelDescription {
        match self {
            Self::Digest => digest::description(),
            Self::Chat(model) => model.description(),
        }
    }

    /// The chat model; None for the digest.
    #[must_use]
    pub fn chat_model(&self) -> Option<&Arc<dyn ChatModel>> {
        match self {
            Self::Digest => None,
            Self::Chat(model) => Some(model),
        }
    }
}

/// What a dry run shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct DryRun {
    /// Whether the requests themselves are shown, pictures shortened.
    pub shows_requests: bool,
}

/// Starts a run on the current tokio runtime. The last event is [`Event::Finished`].
///
/// `stop` ends the run early. While the model is asked, what is in flight is then waited for, for some seconds, and the
/// report holds what is there; before that there is no report.
#[must_use]
pub fn run(job: Job, stop: Stop) -> mpsc::Receiver<Event> {
    let (events, receiver) = mpsc::channel(EVENT_QUEUE);
    tokio::spawn(async move {
        let outcome = work(&job, &events, &stop).await;
        // Nobody listens any more: there is nobody to tell.
        let _ = events.send(Event::Finished(Box::new(outcome))).await;
    });
    receiver
}

async fn work(job: &Job, events: &mpsc::Sender<Event>, stop: &Stop) -> Result<Report> {
    let mut clock = Stopwatch::default();
    let gathered = tokio::select! {
        gathered = gather(job, events, stop, &mut clock) => gathered?,
        () = stop.stopped() => return Err(Error::interrupted()),
    };
    answer(gathered, events, stop, &mut clock).await
}

/// The evidence, and the job as its allowance lets it be.
struct Gathered {
    job: Job,
    /// Without an answer.
    report: Report,
    timeline: Timeline,
    /// What was changed so that the run stays within its allowance.
    changes: Vec<String>,
}

/// All that comes before the question.
async fn gather(job: &Job, events: &mpsc::Sender<Event>, stop: &Stop, clock: &mut Stopwatch) -> Result<Gathered> {
    if let Some(ask) = &job.ask {
        ask.answerer.chat_model().map_or(Ok(()), |model| ask.allowance.check(&model.limits()))?;
        if let Some(url) = &ask.prompt.image_url {
            let timeline = Timeline::new(stages::NO_TIME, Vec::new(), None);
            let sampling = report::Sampling::default();
            let media = MediaInfo::new(url, "picture, not opened");
            let report = Report::new(media, sampling, &timeline, "the picture was not opened here");
            return Ok(Gathered { job: job.clone(), report, timeline, changes: Vec::new() });
        }
    }
    let (info, video) = clock.time("probe", stages::open(job)).await?;
    let _ = events.send(Event::Probed(Box::new(info.clone()))).await;
    // What cannot be planned is said before words are looked for, which may cost money.
    let video = video.map(|mut video| select::draft(job, &mut video).map(|draft| (video, draft))).transpose()?;
    let finding = clock.measure(stages::find_words(job, &info, events));
    let (looked, words, job, changes) = if job.ask.as_ref().is_some_and(|ask| ask.allowance.is_limited()) {
        // How many frames may be looked at depends on the words.
        let words = finding.await;
        let (job, video, changes) = within_allowance(job, &info, video, words.0.as_ref().ok())?;
        (clock.measure(extract::look(&job, video, events, stop, None)).await, words, job, changes)
    } else {
        let (looked, words) = tokio::join!(clock.measure(extract::look(job, video, events, stop, None)), finding);
        (looked, words, job.clone(), Vec::new())
    };
    let looked = clock.note("frames", looked)?;
    let words = clock.note("words", words)?;
    let has_pictures = !looked.frames.is_empty() || !looked.report_frames.is_empty();
    if !has_pictures && job.ask.is_none() {
        return Err(Error::unsupported(&info.input, "holds no video", "extract its sound with: vidgist audio"));
    }
    if !has_pictures && words.transcript.is_none() {
        return Err(nothing_to_tell(&info, &words.reason));
    }
    let range = looked.range.unwrap_or_else(|| stages::whole(&info));
    let Looked { frames, reasons, report_frames, contact_sheets, sampling, decoder, problems, .. } = looked;
    let timeline = Timeline::new(range, frames, words.transcript);
    let mut report = Report::new(info, sampling, &timeline, &words.reason);
    if job.ask.is_none() {
        report.frames = report_frames;
    }
    for (frame, reason) in report.frames.iter_mut().zip(reasons) {
        frame.reason = reason;
    }
    report.contact_sheets = contact_sheets;
    report.made_with.decoder = decoder;
    for (what, why) in problems.into_iter().chain(words.problems) {
        report.miss(what, why);
    }
    Ok(Gathered { job, report, timeline, changes })
}

/// The video, where there is one, and the moments to look at.
type Drafted = Option<(Video, Draft)>;

/// The job, and its draft, with fewer or smaller frames where its allowance asks for it; and what was changed.
fn within_allowance(
    job: &Job,
    info: &MediaInfo,
    video: Drafted,
    words: Option<&stages::Words>,
) -> Result<(Job, Drafted, Vec<String>)> {
    let mut job = job.clone();
    let Some((ask, model)) =
        job.ask.as_mut().and_then(|ask| ask.answerer.chat_model().cloned().map(|model| (ask, model)))
    else {
        return Ok((job, video, Vec::new()));
    };
    let terms = model.limits();
    let transcript = words.and_then(|words| words.transcript.clone());
    let range = stages::whole(info);
    let silent = Timeline::new(range, Vec::new(), transcript);
    let parts = silent.passages().flat_map(|passage| prompt::build_passage(passage, ask.fence)).collect();
    let wish = budget::Wish {
        n_frames: video.as_ref().map_or(0, |(_, draft)| draft.most_frames(&job.sampling)),
        size: video.as_ref().map_or((1, 1), |(video, _)| video.stream.display_size()),
        max_width: job.max_width,
        word_tokens: terms.load(parts).n_tokens,
        frame_tokens: ask::frame_tokens(&terms, ask, info),
    };
    let choice = budget::fit_into(&wish, ask.allowance, &terms)?;
    for change in &choice.changes {
        tracing::warn!("to stay within {}: {change}", ask.allowance);
    }
    if choice.params != terms.params {
        ask.answerer = Answerer::Chat(model.with_params(choice.params));
    }
    job.max_width = choice.max_width;
    let Some((mut video, _)) = video.filter(|_| choice.n_frames > 0) else { return Ok((job, None, choice.changes)) };
    if choice.n_frames < wish.n_frames {
        job.sampling.max_frames = Some(choice.n_frames);
    }
    let draft = select::draft(&job, &mut video)?;
    Ok((job, Some((video, draft)), choice.changes))
}

/// Puts the question, where there is one, and writes the folder, where one is wanted.
async fn answer(
    gathered: Gathered,
    events: &mpsc::Sender<Event>,
    stop: &Stop,
    clock: &mut Stopwatch,
) -> Result<Report> {
    let Gathered { job, mut report, timeline, changes } = gathered;
    if let Some(ask) = &job.ask {
        let model = ask.answerer.description();
        let media = report.media.clone();
        let chat = ask.answerer.chat_model();
        let question = chat.map(|model| Asker::new(model, ask, &timeline, &media, events, stop));
        if ask.dry_run.is_some() {
            report.forecast = Some(estimate::forecast(ask, question.as_ref(), &timeline, &report, &changes)?);
            return Ok(report);
        }
        let _ = events.send(Event::Asking { model: model.name.clone() }).await;
        report.made_with.prompt_version = model.is_language_model.then_some(prompt::VERSION);
        let asked = clock
            .time("model", async {
                match &question {
                    Some(question) => question.ask().await,
                    None => Asked { windows: Vec::new(), outcome: Ok(digest::respond(&timeline)), total: None },
                }
            })
            .await;
        (report.windows, report.total, report.changes) = (asked.windows, asked.total, changes);
        match asked.outcome {
            Ok(answer) => report.answer = Some(answer),
            // Frames and words are there, and are worth keeping.
            Err(reason) => report.no_answer_because = Some(reason),
        }
        report.model = Some(model);
        report.was_stopped = stop.check().is_err();
    }
    report.timings = clock.stages();
    if let Some(folder) = &job.output {
        let images: Vec<_> = timeline.frames.iter().map(|frame| frame.image.clone()).collect();
        let folder = folder.clone();
        let is_frames_alone = job.ask.is_none();
        report = run_blocking(move || {
            if is_frames_alone {
                write::write_frames_index(&report, &folder)?;
            } else {
                write::write_dir(&mut report, &images, &folder)?;
            }
            Ok(report)
        })
        .await?;
    }
    Ok(report)
}

fn nothing_to_tell(info: &MediaInfo, no_words: &str) -> Error {
    let problem = format!("no picture to look at, and no words: {no_words}");
    let advice = if info.audio.is_empty() {
        "check the file with ffprobe"
    } else {
        "give the words with --transcript FILE, or name a transcription endpoint's model with --stt-model"
    };
    Error::unsupported(&info.input, problem, advice)
}
