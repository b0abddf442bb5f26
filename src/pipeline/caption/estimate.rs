//! The dry run: frames are read, nothing is sent.

use tokio::sync::mpsc;

use super::groups::{self, Unit, Wanted};
use super::reply;
use super::state::{CAPTION_TOKENS, CaptionRun};
use crate::chat::ModelDescription;
use crate::error::{Error, ErrorKind, Result};
use crate::llm::{ChatRequest, ResponseFormat};
use crate::report::estimate::{Estimate, EstimatedRequest};
use crate::time::TimeRange;

/// The requests that would be sent for all that comes through `units`.
pub(super) async fn estimate(run: &CaptionRun, mut units: mpsc::Receiver<Unit>) -> Result<Estimate> {
    let ModelDescription { name, endpoint, .. } = run.task.model.description();
    let format = reply::form()?;
    let limits = run.limits(1);
    let mut found = Estimate {
        input: run.task.inputs.join(", "),
        model: name,
        endpoint,
        transcript: "the transcript within 5 s of each frame is sent with it".to_owned(),
        context_tokens: Some(limits.context_tokens),
        is_context_known: limits.is_context_known,
        ..Estimate::default()
    };
    let (mut n_kept, mut failed) = (0, Vec::new());
    while let Some(unit) = units.recv().await {
        match unit {
            Unit::Kept => n_kept += 1,
            Unit::Failed(row) => failed.extend(row.error),
            Unit::Frames(wanted) => count(run, &format, wanted, &mut found)?,
        }
    }
    if found.n_segments == 0 {
        "no transcript is sent".clone_into(&mut found.transcript);
    }
    found.prompt_tokens = found.requests.iter().map(|request| request.prompt_tokens).sum();
    found.answer_tokens = found.requests.iter().map(|request| request.answer_tokens).sum();
    let of_batch = |cost: crate::money::Money| if run.batch.is_some() { cost.half() } else { cost };
    for request in &mut found.requests {
        request.cost_usd = request.cost_usd.map(of_batch);
    }
    let cost = limits.cost(found.prompt_tokens, found.answer_tokens);
    found.cost_usd = cost.map(of_batch);
    if !run.task.spend_limit.allows(found.prompt_tokens + found.answer_tokens, found.cost_usd) {
        found.notes.push(format!("The run would stop before it exceeded {}.", run.task.spend_limit));
    }
    found.notes.push(match limits.params.max_tokens {
        Some(_) => "Each answer is assumed to use its whole token limit.".to_owned(),
        None => {
            format!("Each caption is assumed to have {CAPTION_TOKENS} tokens, since no token limit is set.")
        }
    });
    if n_kept > 0 {
        found.notes.push(format!("{n_kept} frames have captions already and are not sent again."));
    }
    found.notes.extend(failed);
    Ok(found)
}

/// Adds a request, or several where a group is too large for one.
fn count(run: &CaptionRun, format: &ResponseFormat, mut wanted: Vec<Wanted>, found: &mut Estimate) -> Result<()> {
    let messages = groups::messages(run, &wanted);
    let response_format = Some(format).filter(|_| wanted.len() > 1);
    let body = match run.task.model.request_body(&ChatRequest { response_format, ..ChatRequest::new(&messages) }) {
        Err(Error { kind: ErrorKind::Limit, .. }) if wanted.len() > 1 => {
            let rest = wanted.split_off(wanted.len() / 2);
            count(run, format, wanted, found)?;
            return count(run, format, rest, found);
        }
        Err(error) => {
            found.notes.push(error.to_string());
            return Ok(());
        }
        Ok(body) => body,
    };
    let is_shown = run.task.dry_run.is_some_and(|dry| dry.shows_requests);
    let (first, last) = (&wanted[0], &wanted[wanted.len() - 1]);
    let limits = run.limits(wanted.len());
    let n_tokens = limits.tokens(&messages);
    let answer_tokens = limits.all_answer_tokens();
    found.n_frames += wanted.len();
    found.image_bytes += wanted.iter().map(|wanted| wanted.frame.image.bytes.len() as u64).sum::<u64>();
    found.n_segments += wanted.iter().map(|wanted| wanted.frame.words.len()).sum::<usize>();
    found.width = found.width.or(Some(first.frame.image.width));
    found.height = found.height.or(Some(first.frame.image.height));
    found.requests.push(EstimatedRequest {
        input: Some(first.row.input.clone()),
        range: TimeRange::new(first.frame.image.time, last.frame.image.time),
        is_merge: false,
        n_frames: wanted.len(),
        prompt_tokens: n_tokens,
        answer_tokens,
        cost_usd: limits.cost(n_tokens, answer_tokens),
        body: is_shown.then(|| serde_json::from_str(&body.shortened()).ok()).flatten(),
        body_bytes: Some(body.len_bytes()),
    });
    Ok(())
}
