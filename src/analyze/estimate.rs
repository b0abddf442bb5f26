//! What a run would send and what that would cost; nothing is sent.

use super::budget;
use super::map::Analyzer;
use super::reply;
use super::task::DryRun;
use super::verify::MAX_VERIFIED;
use crate::chat::ModelDescription;
use crate::error::Result;
use crate::llm::{ChatRequest, ModelLimits};
use crate::prompt::Place;
use crate::report::Report;
use crate::report::estimate::{Estimate, EstimatedRequest};
use crate::time::{TimeRange, Timestamp};
use crate::timeline::Timeline;

/// The requests that would be sent; none where `analyzer` is None, since the digest sends nothing.
///
/// # Errors
/// As [`ChatModel::request_body`](crate::llm::ChatModel::request_body), where no split helps.
pub fn estimate(
    analyzer: Option<&Analyzer<'_>>,
    model: ModelDescription,
    (timeline, report): (&Timeline, &Report),
    changes: &[String],
    dry_run: DryRun,
) -> Result<Estimate> {
    let first = timeline.frames.first().map(|frame| &frame.image);
    let limits = analyzer.map(|analyzer| &analyzer.limits);
    let mut estimate = Estimate {
        input: report.media.input.clone(),
        model: model.name,
        endpoint: model.endpoint,
        n_frames: timeline.frames.len(),
        width: first.map(|image| image.width),
        height: first.map(|image| image.height),
        image_bytes: timeline.frames.iter().map(|frame| frame.image.bytes.len() as u64).sum(),
        n_segments: timeline.segments().len(),
        transcript: crate::report::markdown::transcript_text(report),
        changes: changes.to_vec(),
        context_tokens: limits.map(|limits| limits.context_tokens),
        is_context_known: limits.is_some_and(|limits| limits.is_context_known),
        requests: Vec::new(),
        prompt_tokens: 0,
        answer_tokens: 0,
        cost_usd: None,
        notes: Vec::new(),
    };
    let Some((analyzer, limits)) = analyzer.zip(limits) else {
        estimate.notes.push("Nothing would be sent: the built-in digest runs on this machine.".to_owned());
        return Ok(estimate);
    };
    let windows = analyzer.windows();
    let n_windows = windows.len();
    let question = if analyzer.asks_about_passages() { analyzer.question_messages(&[]) } else { None };
    if let Some(messages) = &question {
        let body = analyzer.model.request_body(&ChatRequest::new(messages))?;
        estimate.requests.push(EstimatedRequest {
            range: timeline.range,
            is_merge: false,
            body_bytes: Some(body.len_bytes()),
            body: dry_run.shows_requests.then(|| serde_json::from_str(&body.shortened()).ok()).flatten(),
            ..request(limits, limits.tokens(messages))
        });
        let note =
            "The passages of the transcript that match the question are sent; records of earlier runs are added.";
        estimate.notes.push(note.to_owned());
    }
    // A question about passages needs no window.
    let (windows, n_windows) = if question.is_some() { (Vec::new(), 1) } else { (windows, n_windows) };
    for (at, window) in windows.iter().enumerate() {
        let messages = analyzer.messages(window, Place { number: at + 1, n_windows });
        let is_whole = analyzer.is_one_request(n_windows);
        let model = if is_whole && analyzer.analysis.data.is_none() { analyzer.model } else { &analyzer.window_model };
        let data = analyzer.analysis.data.as_ref().map(|data| data.format().clone());
        let format = if is_whole { data } else { Some(reply::records_format()?) };
        let limits = model.limits();
        let request_of_window = ChatRequest { response_format: format.as_ref(), ..ChatRequest::new(&messages) };
        let body = model.request_body(&request_of_window)?;
        let shown = dry_run.shows_requests.then(|| serde_json::from_str(&body.shortened()).ok()).flatten();
        estimate.requests.push(EstimatedRequest {
            range: window.range,
            is_merge: false,
            n_frames: window.frames.len(),
            body_bytes: Some(body.len_bytes()),
            body: shown,
            ..request(&limits, limits.tokens(&messages))
        });
    }
    let n_merges = analyzer.n_merges(n_windows);
    let n_tokens = budget::merge_tokens(limits, analyzer.frame_tokens(), n_windows as u64);
    for _ in 0..n_merges {
        estimate.requests.push(EstimatedRequest { range: timeline.range, ..request(limits, n_tokens) });
    }
    match n_merges {
        0 => {}
        1 => estimate.notes.push("The last request merges the other answers; its tokens are a guess.".to_owned()),
        _ => estimate.notes.push("The last requests merge the other answers; their tokens are a guess.".to_owned()),
    }
    if analyzer.analysis.look_frames > 0 {
        let n_frames = analyzer.analysis.look_frames;
        estimate.notes.push(format!("While it answers, the model may ask for up to {n_frames} more frames."));
    }
    if analyzer.analysis.verifies {
        let note =
            format!("Then up to {MAX_VERIFIED} sentences are verified, in a small request each, which is not counted.");
        estimate.notes.push(note);
    }
    estimate.prompt_tokens = estimate.requests.iter().map(|request| request.prompt_tokens).sum();
    estimate.answer_tokens = estimate.requests.iter().map(|request| request.answer_tokens).sum();
    estimate.cost_usd = limits.cost(estimate.prompt_tokens, estimate.answer_tokens);
    estimate.notes.push(match limits.params.max_tokens {
        Some(_) => "Each answer is assumed to use its whole token limit.".to_owned(),
        None => format!("Each answer is assumed to have {} tokens, since no token limit is set.", limits.answer_tokens),
    });
    Ok(estimate)
}

fn request(limits: &ModelLimits, prompt_tokens: u64) -> EstimatedRequest {
    EstimatedRequest {
        input: None,
        range: TimeRange::new(Timestamp::ZERO, Timestamp::ZERO),
        is_merge: true,
        n_frames: 0,
        body_bytes: None,
        prompt_tokens,
        answer_tokens: limits.all_answer_tokens(),
        cost_usd: limits.cost(prompt_tokens, limits.all_answer_tokens()),
        body: None,
    }
}
