//! Translations of transcripts: the same cues at the same times, in another language.
//!
//! ```text
//! transcript -> windows of up to 40 cues -> up to `concurrency` requests at a time -> checks -> one more request for the
//! faulty cues of a window -> the same transcript with other texts
//! ```

mod ask;
mod numbers;
mod reply;
mod task;
mod windows;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use futures_util::stream::{self, StreamExt as _};

pub use self::task::{TargetLanguage, Translate, TranslateResult, UntranslatedCues};
use super::input_identity::InputIdentity;
use super::run::Context;
use super::site::{fetch_audio, named};
use super::transcribe::{FileTranscript, transcribe_fetched};
use super::transcript::find_transcript;
use crate::advice::Setting;
use crate::analyze::StoredAnswers;
use crate::analyze::budget::SpendTracker;
use crate::blocking::run_blocking;
use crate::error::{Error, ErrorCode, Result};
use crate::event::Event;
use crate::fs::{read_head, write_file};
use crate::input::{KIND_HEAD_BYTES, may_be_subtitles, path_of, shown_name};
use crate::llm::{ChatRequest, SamplingParams};
use crate::media::MediaInfo;
use crate::prompt::{TranslationPrompt, build_translation};
use crate::report::Total;
use crate::report::estimate::{Estimate, EstimatedRequest};
use crate::time::{TimeRange, Timestamp};
use crate::transcript::{Transcript, TranscriptSource};
use ask::{CueOutcome, Translator, WindowOutcome};
use windows::Cue;

/// Whether an input is the file of a transcript instead of a media file, by its content. Reads its first bytes.
#[must_use]
pub fn is_subtitle_file(input: &str) -> bool {
    let path = path_of(input);
    path.is_file() && read_head(&path, KIND_HEAD_BYTES).is_ok_and(|head| may_be_subtitles(&head))
}

/// Translates a transcript. A cue that cannot be translated keeps its text and is in
/// [`untranslated`](TranslateResult::untranslated). After cancellation no request is
/// sent; answers already received are stored.
///
/// # Errors
/// As a transcription; [`ErrorKind::Usage`](crate::ErrorKind::Usage) where the output is the input or the format has no place
/// for a transcript without times; where no cue could be translated, the failure of the first request.
pub async fn run(task: Translate, context: Context) -> Result<TranslateResult> {
    task.spend_limit.check(&task.model.limits())?;
    let (file, answers) = Box::pin(context.unless_cancelled(find(&task, &context))).await?;
    task.format.render(&file.transcript, &file.media)?;
    check_output(&task, &file)?;
    let cues = windows::cues(&file.transcript, &task.target);
    if task.dry_run.is_some() {
        return estimate(&task, file, &cues);
    }
    Box::pin(translate(&task, &context, file, &cues, answers)).await
}

/// The transcript, and where answers about its content are stored.
async fn find(task: &Translate, context: &Context) -> Result<(FileTranscript, Option<StoredAnswers>)> {
    context.events.send(Event::Input { input: task.input.clone() }).await;
    let join = task.join.as_deref();
    let (site, found) = if task.is_subtitle_file {
        (None, read_subtitles(task, context).await)
    } else {
        let search = &task.transcript;
        let site = fetch_audio((&task.input, join), Some(search), search.track.is_set(), context).await?;
        let is_dry = task.dry_run.is_some();
        let found = transcribe_fetched((&task.input, join), site.as_ref(), search, context, is_dry).await;
        (site, found)
    };
    // The site's files are deleted with it.
    let (file, path) = found.map_err(|error| named(site.as_ref(), error))?;
    let identity = InputIdentity::find(&context.store, path.as_deref(), &file.media).await;
    let answers = identity.map(|identity| StoredAnswers {
        store: context.store.clone(),
        content: identity.content,
        origin: identity.origin,
    });
    Ok((file, answers))
}

/// The transcript of a subtitle file.
async fn read_subtitles(task: &Translate, context: &Context) -> Result<(FileTranscript, Option<PathBuf>)> {
    let path = path_of(&task.input);
    let media = MediaInfo::new(shown_name(&path), "subtitles");
    let found = find_transcript(&task.transcript, Some(&path), None, &media, context, false).await?;
    let transcript = found
        .transcript
        .ok_or_else(|| Error::unsupported(&task.input, found.reason, "").with_code(ErrorCode::NoTranscript))?;
    Ok((FileTranscript { input: task.input.clone(), transcript, media, missing: Vec::new() }, Some(path)))
}

/// A translation does not replace its original.
fn check_output(task: &Translate, file: &FileTranscript) -> Result<()> {
    let Some(output) = task.output.as_deref().and_then(|output| output.canonicalize().ok()) else { return Ok(()) };
    let subtitles = match &file.transcript.source {
        TranscriptSource::Sidecar { path, .. } => Some(path.as_str()),
        _ => None,
    };
    let is_output = |path: &Path| path.canonicalize().is_ok_and(|path| path == output);
    if is_output(&path_of(&task.input)) || subtitles.is_some_and(|path| is_output(Path::new(path))) {
        let problem = "is the file that is translated";
        return Err(Error::setting(Setting::Output, problem, "name another file").with_code(ErrorCode::OutputExists));
    }
    Ok(())
}

fn prompt(task: &Translate, file: &FileTranscript) -> TranslationPrompt {
    TranslationPrompt {
        target: task.target.for_model(),
        source: file.transcript.language.clone(),
        title: file.media.title.clone(),
    }
}

/// The positions of the cues of each request.
fn wanted(task: &Translate, cues: &[Cue]) -> Vec<Vec<usize>> {
    let windows = windows::windows(cues, &task.model.limits()).into_iter();
    windows.map(|window| window.filter(|at| cues[*at].is_wanted).collect()).collect()
}

async fn translate(
    task: &Translate,
    context: &Context,
    file: FileTranscript,
    cues: &[Cue],
    answers: Option<StoredAnswers>,
) -> Result<TranslateResult> {
    let windows = wanted(task, cues);
    let warn = async |message: String| context.events.send(Event::warning(&file.media.input, message)).await;
    if windows.is_empty() && cues.iter().any(|cue| windows::has_letters(&cue.text)) {
        warn(format!("the transcript is already in {}; it was copied", task.target.name)).await;
    }
    let limits = task.model.limits();
    // Other choices would not be read.
    let model = match limits.params.n {
        Some(_) => task.model.with_params(SamplingParams { n: None, ..limits.params.clone() }),
        None => task.model.clone(),
    };
    let translator = Translator {
        limits: model.limits(),
        model,
        cues,
        prompt: prompt(task, &file),
        format: reply::format()?,
        spend_limit: task.spend_limit,
        tracker: SpendTracker::new(task.spend_limit),
        answers,
        cancel: context.cancel.clone(),
    };
    if !windows.is_empty() {
        context.events.send(Event::Requesting { model: task.model.description().name }).await;
        context.events.send(Event::Windows { n_windows: windows.len() }).await;
    }
    let requests: Vec<_> = windows.into_iter().map(|wanted| translator.translate(wanted)).collect();
    let mut done = stream::iter(requests).buffered(task.concurrency.max(1)).enumerate();
    let (mut outcomes, mut total, mut errors) = (BTreeMap::new(), Total::zero(), Vec::new());
    while let Some((at, WindowOutcome { cues, responses, errors: of_window })) = done.next().await {
        context.events.send(Event::Window { n_done: at + 1 }).await;
        outcomes.extend(cues);
        for response in &responses {
            total.add(response);
        }
        errors.extend(of_window);
    }
    context.check()?;
    let is_translated = |outcome: &CueOutcome| matches!(outcome, CueOutcome::Translated { .. });
    if !outcomes.is_empty() && !outcomes.values().any(is_translated) {
        let no_text =
            || Error::service(task.model.description().name, "no answer holds a translation", "try another model");
        return Err(errors.into_iter().next().unwrap_or_else(no_text));
    }
    let untranslated = untranslated(&outcomes);
    for (at, outcome) in &outcomes {
        if let CueOutcome::Translated { doubt: Some(doubt), .. } = outcome {
            warn(format!("cue {}{}: {doubt}", at + 1, time_of(&file.transcript, *at))).await;
        }
    }
    for cues in &untranslated {
        let UntranslatedCues { first, last, reason } = cues;
        let named = if first == last { format!("cue {first}") } else { format!("cues {first} to {last}") };
        let from = time_of(&file.transcript, first - 1);
        warn(format!("{named}{from}: not translated; the original text is kept: {reason}")).await;
    }
    let n_translated = outcomes.values().filter(|outcome| is_translated(outcome)).count();
    let n_copied = cues.len() - outcomes.len();
    let transcript = replaced(&file.transcript, outcomes, task);
    let result = TranslateResult {
        file: FileTranscript { transcript, ..file },
        n_translated,
        n_copied,
        untranslated,
        total,
        estimate: None,
    };
    if let Some(path) = &task.output {
        let text = task.format.render(&result.file.transcript, &result.file.media)?;
        let output = path.clone();
        run_blocking(move || write_file(&output, text.as_bytes())).await?;
        context.events.send(Event::Written { path: path.clone() }).await;
    }
    Ok(result)
}

/// ` at 00:01:02.000`; empty for a text without times.
fn time_of(transcript: &Transcript, at: usize) -> String {
    transcript.segments.get(at).map(|segment| format!(" at {}", segment.range.start)).unwrap_or_default()
}

/// The cues without a translation, consecutive ones with the same reason together.
fn untranslated(outcomes: &BTreeMap<usize, CueOutcome>) -> Vec<UntranslatedCues> {
    let mut found: Vec<UntranslatedCues> = Vec::new();
    let mut before = None;
    for (at, outcome) in outcomes {
        let previous = before.replace(*at);
        let CueOutcome::Failed(reason) = outcome else { continue };
        match found.last_mut().filter(|last| previous.is_some_and(|at| last.last == at + 1) && last.reason == *reason) {
            Some(last) => last.last = at + 1,
            None => found.push(UntranslatedCues { first: at + 1, last: at + 1, reason: reason.clone() }),
        }
    }
    found
}

/// The transcript with the translated texts. Words and probabilities are those of the original text, and are left out.
fn replaced(transcript: &Transcript, outcomes: BTreeMap<usize, CueOutcome>, task: &Translate) -> Transcript {
    let mut translated = transcript.clone();
    let original_language = translated.language.take();
    translated.language.clone_from(&task.target.tag);
    (translated.language_confidence, translated.likely_language) = (None, None);
    for segment in translated.segments.iter_mut().filter(|segment| windows::has_letters(&segment.text)) {
        let language = segment.language.take().or_else(|| original_language.clone());
        segment.language = language.filter(|tag| !task.target.is(tag));
    }
    let n_segments = translated.segments.len();
    for (at, outcome) in outcomes {
        let CueOutcome::Translated { text, .. } = outcome else { continue };
        if let Some(segment) = translated.segments.get_mut(at) {
            segment.text = text;
            (segment.words, segment.confidence, segment.language) = (Vec::new(), None, None);
        } else if let Some(paragraph) = translated.untimed.get_mut(at - n_segments) {
            *paragraph = text;
        }
    }
    translated
}

/// The requests that would be sent, without those for faulty cues.
fn estimate(task: &Translate, file: FileTranscript, cues: &[Cue]) -> Result<TranslateResult> {
    let (description, limits) = (task.model.description(), task.model.limits());
    let (prompt, format) = (prompt(task, &file), reply::format()?);
    let mut found = Estimate {
        input: file.media.input.clone(),
        model: description.name,
        endpoint: description.endpoint,
        n_segments: cues.len(),
        transcript: format!(
            "{} of {} cues are translated",
            cues.iter().filter(|cue| cue.is_wanted).count(),
            cues.len()
        ),
        context_tokens: Some(limits.context_tokens),
        is_context_known: limits.is_context_known,
        ..Estimate::default()
    };
    for wanted in wanted(task, cues) {
        let lines = windows::lines(cues, &wanted);
        let fence = windows::fence(&lines, prompt.title.as_deref());
        let messages = build_translation(&lines, &prompt, &[], fence);
        let request = ChatRequest { response_format: Some(&format), ..ChatRequest::new(&messages) };
        let body = task.model.request_body(&request)?;
        let limits = windows::request_limits(cues, &wanted, &limits);
        let (n_tokens, answer_tokens) = (limits.tokens(&messages), limits.all_answer_tokens());
        let is_shown = task.dry_run.is_some_and(|dry| dry.shows_requests);
        found.requests.push(EstimatedRequest {
            input: None,
            range: range(&file.transcript, &wanted),
            is_merge: false,
            n_frames: 0,
            prompt_tokens: n_tokens,
            answer_tokens,
            cost_usd: limits.cost(n_tokens, answer_tokens),
            body_bytes: Some(body.len_bytes()),
            body: is_shown.then(|| serde_json::from_str(&body.shortened()).ok()).flatten(),
        });
    }
    found.prompt_tokens = found.requests.iter().map(|request| request.prompt_tokens).sum();
    found.answer_tokens = found.requests.iter().map(|request| request.answer_tokens).sum();
    found.cost_usd = limits.cost(found.prompt_tokens, found.answer_tokens);
    if !task.spend_limit.allows(found.prompt_tokens + found.answer_tokens, found.cost_usd) {
        found.notes.push(format!("The run would stop before it exceeded {}.", task.spend_limit));
    }
    found.notes.push(
        "Cues that an answer leaves out or gets wrong are requested once more; these requests are not counted."
            .to_owned(),
    );
    let n_copied = cues.iter().filter(|cue| !cue.is_wanted).count();
    let total = Total::zero();
    Ok(TranslateResult { file, n_translated: 0, n_copied, untranslated: Vec::new(), total, estimate: Some(found) })
}

/// The time from the first to the last of the cues at `wanted`.
fn range(transcript: &Transcript, wanted: &[usize]) -> TimeRange {
    let ranges = wanted.iter().filter_map(|at| transcript.segments.get(*at)).map(|segment| segment.range);
    let whole = ranges.reduce(|a, b| TimeRange::new(a.start.min(b.start), a.end.max(b.end)));
    whole.unwrap_or_else(|| TimeRange::new(Timestamp::ZERO, Timestamp::ZERO))
}
