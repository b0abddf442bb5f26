//! The requests that a run would send, and their cost: the result of a dry run.

use std::fmt::Write as _;

use serde::Serialize;

use super::safe_json;
use crate::error::Result;
use crate::money::Money;
use crate::sanitize::{markdown_line, shown_input};
use crate::time::TimeRange;

/// Requests that the Markdown lists.
const MAX_ROWS: usize = 100;

/// Writing to a `String` does not fail.
macro_rules! put {
    ($out:expr, $($arg:tt)*) => { let _ = writeln!($out, $($arg)*); };
}

/// The estimated requests of a run.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Estimate {
    /// Path or URL as given.
    pub input: String,
    /// The model's name.
    pub model: String,
    /// The server's scheme, host and port; None if nothing would leave this machine.
    pub endpoint: Option<String>,
    /// Frames to send.
    pub n_frames: usize,
    /// Width of the first of them in pixels; None without frames.
    pub width: Option<u32>,
    /// Height of the first of them in pixels; None without frames.
    pub height: Option<u32>,
    /// Bytes of their images, before Base64.
    pub image_bytes: u64,
    /// Segments of the transcript.
    pub n_segments: usize,
    /// The source of the transcript, or the reason why there is none.
    pub transcript: String,
    /// What was changed to stay within the spending limit.
    pub changes: Vec<String>,
    /// The context length of the model: tokens of a request and its answer; None if nothing would be sent.
    pub context_tokens: Option<u64>,
    /// Whether the context length is known; otherwise it is a cautious guess.
    pub is_context_known: bool,
    /// The requests; the one that merges the answers is last.
    pub requests: Vec<EstimatedRequest>,
    /// Estimated tokens of all requests.
    pub prompt_tokens: u64,
    /// Tokens of all answers: the limit if one is set, otherwise a guess.
    pub answer_tokens: u64,
    /// The cost in US dollars; None if the price is unknown.
    pub cost_usd: Option<Money>,
    /// Notes, as sentences.
    pub notes: Vec<String>,
}

/// One request.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct EstimatedRequest {
    /// The file, if there are several; otherwise None.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// The part of the file that it covers.
    pub range: TimeRange,
    /// Whether it merges the answers of the others.
    pub is_merge: bool,
    /// Frames in it.
    pub n_frames: usize,
    /// Bytes of its body; None if unknown until the others are answered.
    pub body_bytes: Option<u64>,
    /// Estimated tokens of the request.
    pub prompt_tokens: u64,
    /// Tokens of its answer: the limit if one is set, otherwise a guess.
    pub answer_tokens: u64,
    /// Its cost in US dollars; None if the price is unknown.
    pub cost_usd: Option<Money>,
    /// The request body, with shortened images; None if not requested or not known yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<serde_json::Value>,
}

/// The estimate as JSON.
///
/// # Errors
/// [`ErrorKind::Io`](crate::ErrorKind::Io) if the JSON writer fails.
pub fn to_json(estimate: &Estimate) -> Result<String> {
    safe_json::to_text(&Estimate { input: shown_input(&estimate.input), ..estimate.clone() })
}

/// The estimate as Markdown, followed by the requests as JSON.
///
/// # Errors
/// As [`to_json`].
pub fn to_markdown(estimate: &Estimate) -> Result<String> {
    let mut out = String::new();
    let f = estimate;
    put!(out, "# Plan for {}\n", markdown_line(&shown_input(&f.input)));
    let place =
        f.endpoint.as_deref().map_or_else(|| ", on this machine".into(), |at| format!(" at {}", markdown_line(at)));
    put!(out, "- Model: {}{place}", markdown_line(&f.model));
    if let Some(tokens) = f.context_tokens {
        let known = if f.is_context_known { "" } else { " (a guess)" };
        put!(out, "- Context length: {tokens} tokens{known}");
    }
    let size = f.width.zip(f.height).map(|(width, height)| format!(" of {width}x{height}")).unwrap_or_default();
    put!(out, "- Frames: {}{size}, {:.1} kB", f.n_frames, f.image_bytes as f64 / 1e3);
    put!(out, "- Transcript: {}", markdown_line(&f.transcript));
    for change in &f.changes {
        put!(out, "- Changed to stay within the spending limit: {change}");
    }
    put!(out, "- Requests: {}", f.requests.len());
    put!(out, "- Tokens: about {} in the requests, {} in the answers", f.prompt_tokens, f.answer_tokens);
    let cost = match f.cost_usd {
        _ if f.requests.is_empty() => "none".to_owned(),
        Some(cost) => format!("about {cost}"),
        None => "unknown".to_owned(),
    };
    put!(out, "- Cost: {cost}");
    for note in &f.notes {
        put!(out, "- {}", markdown_line(note));
    }
    if !f.requests.is_empty() {
        put!(out, "\n| request | range | frames | bytes | tokens | cost |");
        put!(out, "|---|---|---|---|---|---|");
    }
    for (at, request) in f.requests.iter().take(MAX_ROWS).enumerate() {
        let part = format!("{} to {}", request.range.start.label(), request.range.end.label());
        let part = match &request.input {
            _ if request.is_merge => "merge of the answers".to_owned(),
            Some(input) if request.range.start == request.range.end => {
                format!("{}, {}", markdown_line(input), request.range.start.label())
            }
            Some(input) => format!("{}, {part}", markdown_line(input)),
            None => part,
        };
        let bytes = request.body_bytes.map_or_else(|| "?".into(), |bytes| bytes.to_string());
        let cost = request.cost_usd.map_or_else(|| "?".into(), |cost| cost.to_string());
        put!(out, "| {} | {part} | {} | {bytes} | {} | {cost} |", at + 1, request.n_frames, request.prompt_tokens);
    }
    if let Some(n_more) = f.requests.len().checked_sub(MAX_ROWS).filter(|n_more| *n_more > 0) {
        let format = if f.requests[0].input.is_some() { "JSON Lines" } else { "JSON" };
        put!(out, "\n{n_more} more requests; the {format} format lists all.");
    }
    for (at, request) in f.requests.iter().enumerate() {
        if let Some(body) = &request.body {
            put!(out, "\n## Request {}\n\n```json", at + 1);
            // A code fence inside a text cannot be at the start of a line: JSON escapes newlines.
            out.push_str(&safe_json::to_text(body)?);
            put!(out, "```");
        }
    }
    Ok(out)
}
