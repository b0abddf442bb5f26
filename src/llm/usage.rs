//! Estimates the tokens of a request, and checks the usage that the server reports.

use std::sync::atomic::{AtomicBool, Ordering};

use super::config::ChatConfig;
use super::request::ChatRequest;
use super::tokens::{self, PromptTokens};
use crate::advice::Advice;
use crate::chat::{ChatResponse, Part, PromptEstimate};
use crate::error::{Error, ErrorCode, Result};

/// Smaller requests are not compared with their estimate: overhead dominates them.
const MIN_TOKENS: u64 = 1000;

/// The estimated tokens and cost of a request.
pub(super) fn estimate(config: &ChatConfig, request: &ChatRequest<'_>) -> (PromptEstimate, PromptTokens) {
    let tokens = tokens::prompt_tokens(&config.model, request.messages, config.params.detail);
    let tokens = tokens.plus(tokens::tool_tokens(request.tools));
    let prices = config.prices();
    (PromptEstimate { prompt_tokens: tokens.likely, prompt_cost: prices.of_prompt(tokens.likely) }, tokens)
}

/// Which warnings about token counts have been given: each is given once in a run, since it applies to every request.
#[derive(Debug, Default)]
pub(super) struct UsageWarnings {
    above_estimate: AtomicBool,
    below_estimate: AtomicBool,
}

/// Records cost and estimate in a response.
///
/// # Errors
/// [`ErrorKind::Service`](crate::ErrorKind::Service) where the server counted too few tokens to have read the whole request.
pub(super) fn record(
    config: &ChatConfig,
    server: &str,
    warnings: &UsageWarnings,
    request: &ChatRequest<'_>,
    response: &mut ChatResponse,
) -> Result<()> {
    let (estimate, tokens) = estimate(config, request);
    response.estimate = Some(estimate);
    // A request has tokens: a server that states 0 did not count them.
    if let Some(usage) = &mut response.usage {
        usage.prompt_tokens = usage.prompt_tokens.filter(|n| *n > 0);
    }
    let prices = config.prices();
    response.cost = response.usage.as_ref().and_then(|usage| prices.cost(usage));
    let Some(counted) = response.usage.and_then(|usage| usage.prompt_tokens) else { return Ok(()) };
    // Only one provider publishes how it counts audio.
    let has_audio =
        request.messages.iter().flat_map(|message| &message.parts).any(|part| matches!(part, Part::Audio(_)));
    if !has_audio && counted > estimate.prompt_tokens.saturating_mul(2) && counted > MIN_TOKENS {
        let (expected, factor) = (estimate.prompt_tokens, counted as f64 / estimate.prompt_tokens.max(1) as f64);
        if !warnings.above_estimate.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "{server}: the server counted {counted} tokens for a request estimated at {expected}, {factor:.1} times as \
                 many: estimates of tokens and cost are too low in this run"
            );
        }
    }
    if tokens.least < MIN_TOKENS || counted >= tokens.least / 2 {
        return Ok(());
    }
    let problem = format!(
        "the server read {counted} of at least {} tokens: it truncated the request to the model's context",
        tokens.least
    );
    // A provider that refuses long requests does not truncate them: it counts differently.
    if !config.provider.may_cut_context {
        if !warnings.below_estimate.swap(true, Ordering::Relaxed) {
            tracing::warn!("{server}: {problem}, or counts images differently from its documentation");
        }
        return Ok(());
    }
    let advice = Advice::from("configure a longer context on the server (Ollama: num_ctx)").or(Advice::send_less());
    Err(Error::service(server, problem, advice).with_code(ErrorCode::InvalidResponse))
}
