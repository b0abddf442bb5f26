//! The dry run: all that a run does, but that nothing is asked.

use tokio::sync::mpsc;

use super::groups::{Unit, Wanted};
use super::{CaptionJob, reply};
use crate::chat::ModelDescription;
use crate::error::{Error, ErrorKind, Result};
use crate::llm::{ChatRequest, ResponseFormat};
use crate::report::estimate::{Estimate, EstimatedRequest};
use crate::time::TimeRange;

/// What would be asked for all that comes through `units`.
pub(super) async fn forecast(job: &CaptionJob, mut units: mpsc::Receiver<Unit>) -> Result<Estimate> {
    let ModelDescription { name, endpoint, .. } = job.model.description();
    let format = reply::form()?;
    let terms = job.terms(1);
    let mut forecast = Estimate {
        input: job.inputs.join(", "),
        model: name,
        endpoint,
        words: "those within 5 s of a frame are given along".to_owned(),
        context_tokens: Some(terms.context_tokens),
        is_context_known: terms.is_context_known,
        ..Estimate::default()
    };
    let (mut n_kept, mut failed) = (0, Vec::new());
    while let Some(unit) = units.recv().await {
        match unit {
            Unit::Kept => n_kept += 1,
            Unit::Failed(row) => failed.extend(row.error),
            Unit::Frames(wanted) => count(job, &format, wanted, &mut forecast)?,
        }
    }
    if forecast.n_segments == 0 {
        "none are given along".clone_into(&mut forecast.words);
    }
    forecast.prompt_tokens = forecast.requests.iter().map(|request| request.prompt_tokens).sum();
    forecast.answer_tokens = forecast.requests.iter().map(|request| request.answer_tokens).sum();
    let of_batch = |cost: crate::money::Money| if job.batch.is_some() { cost.half() } else { cost };
    for request in &mut forecast.requests {
        request.cost_usd = request.cost_usd.map(of_batch);
    }
    let cost = terms.cost(forecast.prompt_tokens, forecast.answer_tokens);
    forecast.cost_usd = cost.map(of_batch);
    if !job.allowance.allows(forecast.prompt_tokens + forecast.answer_tokens, forecast.cost_usd) {
        forecast.notes.push(format!("The run would stop before it took more than {}.", job.allowance));
    }
    forecast.notes.push(match terms.params.max_tokens {
        Some(_) => "Answers are taken to be as long as --max-tokens lets them be.".to_owned(),
        None => format!("A caption is taken to have {} tokens: --max-tokens sets a limit.", super::CAPTION_TOKENS),
    });
    if n_kept > 0 {
        forecast.notes.push(format!("{n_kept} frames have their captions already and are not asked for again."));
    }
    forecast.notes.extend(failed);
    Ok(forecast)
}

/// One request more, or several where a group is too large for one.
fn count(job: &CaptionJob, format: &ResponseFormat, mut wanted: Vec<Wanted>, forecast: &mut Estimate) -> Result<()> {
    let messages = job.messages(&wanted);
    let response_format = Some(format).filter(|_| wanted.len() > 1);
    let body = match job.model.request_body(&ChatRequest { response_format, ..ChatRequest::new(&messages) }) {
        Err(Error { kind: ErrorKind::Limit, .. }) if wanted.len() > 1 => {
            let rest = wanted.split_off(wanted.len() / 2);
            count(job, format, wanted, forecast)?;
            return count(job, format, rest, forecast);
        }
        Err(error) => {
            forecast.notes.push(error.to_string());
            return Ok(());
        }
        Ok(body) => body,
    };
    let is_shown = job.dry_run.is_some_and(|dry| dry.shows_requests);
    let (first, last) = (&wanted[0], &wanted[wanted.len() - 1]);
    let terms = job.terms(wanted.len());
    let n_tokens = terms.tokens(&messages);
    let answer_tokens = terms.all_answer_tokens();
    forecast.n_frames += wanted.len();
    forecast.image_bytes += wanted.iter().map(|wanted| wanted.frame.image.bytes.len() as u64).sum::<u64>();
    forecast.n_segments += wanted.iter().map(|wanted| wanted.frame.words.len()).sum::<usize>();
    forecast.width = forecast.width.or(Some(first.frame.image.width));
    forecast.height = forecast.height.or(Some(first.frame.image.height));
    forecast.requests.push(EstimatedRequest {
        input: Some(first.row.input.clone()),
        range: TimeRange::new(first.frame.image.time, last.frame.image.time),
        is_merge: false,
        n_frames: wanted.len(),
        prompt_tokens: n_tokens,
        answer_tokens,
        cost_usd: terms.cost(n_tokens, answer_tokens),
        body: is_shown.then(|| serde_json::from_str(&body.shortened()).ok()).flatten(),
        body_bytes: Some(body.len_bytes()),
    });
    Ok(())
}
