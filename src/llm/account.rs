//! What an answer cost, and whether the server read all of the question.

use super::ChatConfig;
use super::tokens::{self, PromptTokens};
use crate::chat::{ChatResponse, Message, Part, PromptEstimate};
use crate::error::{Error, Result};

/// A request of fewer tokens is not held against its estimate: what stands around it weighs too much.
const MIN_TOKENS: u64 = 1000;

/// What a request is expected to be.
pub(super) fn estimate(config: &ChatConfig, messages: &[Message]) -> (PromptEstimate, PromptTokens) {
    let tokens = tokens::prompt_tokens(&config.model, messages, config.params.detail);
    let prices = config.facts.as_ref().map(super::catalog::CatalogEntry::prices).unwrap_or_default();
    (PromptEstimate { prompt_tokens: tokens.likely, prompt_cost: prices.of_prompt(tokens.likely) }, tokens)
}

/// Puts cost and estimate into an answer.
///
/// # Errors
/// [`ErrorKind::Service`](crate::ErrorKind::Service) where the server counted so few tokens that it cannot have read all.
pub(super) fn settle(config: &ChatConfig, server: &str, messages: &[Message], answer: &mut ChatResponse) -> Result<()> {
    let (estimate, tokens) = estimate(config, messages);
    answer.estimate = Some(estimate);
    let prices = config.facts.as_ref().map(super::catalog::CatalogEntry::prices).unwrap_or_default();
    answer.cost = answer.usage.as_ref().and_then(|usage| prices.cost(usage));
    let Some(counted) = answer.usage.and_then(|usage| usage.prompt_tokens) else { return Ok(()) };
    // How sound is counted is published by one provider alone.
    let has_sound = messages.iter().flat_map(|message| &message.parts).any(|part| matches!(part, Part::Audio(_)));
    if !has_sound && counted > estimate.prompt_tokens.saturating_mul(2) && counted > MIN_TOKENS {
        let expected = estimate.prompt_tokens;
        tracing::warn!("{server}: the request was {counted} tokens by the server's count, {expected} by estimate");
    }
    if tokens.least < MIN_TOKENS || counted >= tokens.least / 2 {
        return Ok(());
    }
    let problem = format!(
        "read {counted} tokens of a request of at least {}: it cut the request to the model's context",
        tokens.least
    );
    // Who refuses what is too long has not cut it: he counts otherwise.
    if !config.provider.may_cut_context {
        tracing::warn!("{server}: {problem}, or counts pictures otherwise than it says");
        return Ok(());
    }
    let advice = "give the model a longer context on the server (num_ctx, --ctx-size, --max-model-len), or send fewer \
                  frames (--interval, --max-frames) or smaller ones (--max-width)";
    Err(Error::service(server, problem, advice))
}
