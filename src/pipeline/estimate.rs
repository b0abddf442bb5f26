//! The dry run: all that a run does, but that nothing is asked.

use super::Ask;
use super::ask::Asker;
use super::budget;
use crate::chat::ModelDescription;
use crate::error::Result;
use crate::llm::{ChatRequest, ModelLimits};
use crate::prompt::Place;
use crate::report::Report;
use crate::report::estimate::{Estimate, EstimatedRequest};
use crate::timeline::Timeline;

/// What would be asked.
///
/// # Errors
/// As [`ChatModel::request_body`](crate::llm::ChatModel::request_body), for what no cutting mends.
pub(super) fn forecast(
    ask: &Ask,
    asker: Option<&Asker<'_>>,
    timeline: &Timeline,
    report: &Report,
    changes: &[String],
) -> Result<Estimate> {
    let ModelDescription { name, endpoint, .. } = ask.answerer.description();
    let first = timeline.frames.first().map(|frame| &frame.image);
    let terms = asker.map(|asker| &asker.terms);
    let mut forecast = Estimate {
        input: report.media.input.clone(),
        model: name,
        endpoint,
        n_frames: timeline.frames.len(),
        width: first.map(|image| image.width),
        height: first.map(|image| image.height),
        image_bytes: timeline.frames.iter().map(|frame| frame.image.bytes.len() as u64).sum(),
        n_segments: timeline.segments().len(),
        words: crate::report::markdown::words(report),
        changes: changes.to_vec(),
        context_tokens: terms.map(|terms| terms.context_tokens),
        is_context_known: terms.is_some_and(|terms| terms.is_context_known),
        requests: Vec::new(),
        prompt_tokens: 0,
        answer_tokens: 0,
        cost_usd: None,
        notes: Vec::new(),
    };
    let Some((asker, terms)) = asker.zip(terms) else {
        forecast.notes.push("Nothing would be sent: the built-in model answers on this machine.".to_owned());
        return Ok(forecast);
    };
    let windows = asker.windows();
    let n_windows = windows.len();
    for (at, window) in windows.iter().enumerate() {
        let messages = asker.messages(window, Place { number: at + 1, n_windows });
        let terms = if n_windows > 1 { asker.terms_for_windows() } else { terms.clone() };
        let body = asker.model.request_body(&ChatRequest::new(&messages))?;
        let is_shown = ask.dry_run.is_some_and(|dry| dry.shows_requests);
        let shown = is_shown.then(|| serde_json::from_str(&body.shortened()).ok()).flatten();
        forecast.requests.push(EstimatedRequest {
            range: window.range,
            is_merge: false,
            n_frames: window.frames.len(),
            body_bytes: Some(body.len_bytes()),
            body: shown,
            ..request(&terms, terms.tokens(&messages))
        });
    }
    if n_windows > 1 {
        let n_tokens = budget::merge_tokens(terms, asker.frame_tokens(terms), n_windows as u64);
        forecast.requests.push(EstimatedRequest { range: timeline.range, ..request(terms, n_tokens) });
        forecast.notes.push("The last request makes one answer of the others'; its tokens are a guess.".to_owned());
    }
    forecast.prompt_tokens = forecast.requests.iter().map(|request| request.prompt_tokens).sum();
    forecast.answer_tokens = forecast.requests.iter().map(|request| request.answer_tokens).sum();
    forecast.cost_usd = terms.cost(forecast.prompt_tokens, forecast.answer_tokens);
    forecast.notes.push(match terms.params.max_tokens {
        Some(_) => "Answers are taken to be as long as --max-tokens lets them be.".to_owned(),
        None => format!("An answer is taken to have {} tokens: --max-tokens sets a limit.", terms.answer_tokens),
    });
    Ok(forecast)
}

fn request(terms: &ModelLimits, prompt_tokens: u64) -> EstimatedRequest {
    EstimatedRequest {
        input: None,
        range: super::stages::NO_TIME,
        is_merge: true,
        n_frames: 0,
        body_bytes: None,
        prompt_tokens,
        answer_tokens: terms.all_answer_tokens(),
        cost_usd: terms.cost(prompt_tokens, terms.all_answer_tokens()),
        body: None,
    }
}
