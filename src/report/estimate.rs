//! What a run would ask, and what that would cost: the result of a dry run, which sends nothing.

use std::fmt::Write as _;

use serde::Serialize;

use super::json;
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

/// The requests of a run that was not made.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Estimate {
    /// Path or URL as given.
    pub input: String,
    /// The model's name.
    pub model: String,
    /// Where it would be asked; None where nothing would leave this machine.
    pub endpoint: Option<String>,
    /// Frames that would be sent.
    pub n_frames: usize,
    /// Width of the first of them in pixels; None without frames.
    pub width: Option<u32>,
    /// Height of the first of them in pixels; None without frames.
    pub height: Option<u32>,
    /// Bytes of their pictures, before Base64.
    pub image_bytes: u64,
    /// Segments of speech.
    pub n_segments: usize,
    /// Where the words come from, or why there are none.
    pub words: String,
    /// What was changed so that the run stays within its limit of money or tokens.
    pub changes: Vec<String>,
    /// Tokens of a request and its answer that the model takes; None where no server would be asked.
    pub context_tokens: Option<u64>,
    /// Whether that is known of the model; else it is a cautious guess.
    pub is_context_known: bool,
    /// The requests, the one that makes one answer of the others' last.
    pub requests: Vec<EstimatedRequest>,
    /// Tokens of all requests, by formula.
    pub prompt_tokens: u64,
    /// Tokens of all answers: the limit that was set, else a guess.
    pub answer_tokens: u64,
    /// What all of it costs in US dollars; None where the price is not known.
    pub cost_usd: Option<Money>,
    /// What else is to be known, as sentences.
    pub notes: Vec<String>,
}

/// One request.
#[derive(Clone, Debug, Serialize)]
pub struct EstimatedRequest {
    /// The file, where a run is over several; else None.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// The part of the file that it is about.
    pub range: TimeRange,
    /// Whether it makes one answer of the others'.
    pub is_merge: bool,
    /// Frames in it.
    pub n_frames: usize,
    /// Bytes of its body; None where that is not known before the others are answered.
    pub body_bytes: Option<u64>,
    /// Its tokens, by formula.
    pub prompt_tokens: u64,
    /// Tokens of its answer: the limit that was set, else a guess.
    pub answer_tokens: u64,
    /// What it costs in US dollars; None where the price is not known.
    pub cost_usd: Option<Money>,
    /// The request itself, pictures shortened; None where it was not asked for, or is not known yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<serde_json::Value>,
}

/// The forecast as JSON.
///
/// # Errors
/// [`ErrorKind::Io`](crate::ErrorKind::Io) where the JSON writer fails.
pub fn to_json(forecast: &Estimate) -> Result<String> {
    json::to_text(&Estimate { input: shown_input(&forecast.input), ..forecast.clone() })
}

/// The forecast as Markdown; the requests as JSON behind it.
///
/// # Errors
/// As [`to_json`].
pub fn to_markdown(forecast: &Estimate) -> Result<String> {
    let mut out = String::new();
    let f = forecast;
    put!(out, "# Plan for {}\n", markdown_line(&shown_input(&f.input)));
    let place =
        f.endpoint.as_deref().map_or_else(|| ", on this machine".into(), |at| format!(" at {}", markdown_line(at)));
    put!(out, "- Model: {}{place}", markdown_line(&f.model));
    if let Some(tokens) = f.context_tokens {
        let known = if f.is_context_known { "" } else { ", which is a guess" };
        put!(out, "- It takes {tokens} tokens of request and answer together{known}");
    }
    let size = f.width.zip(f.height).map(|(width, height)| format!(" of {width}x{height}")).unwrap_or_default();
    put!(out, "- Frames: {}{size}, {:.1} kB", f.n_frames, f.image_bytes as f64 / 1e3);
    put!(out, "- Words: {}", markdown_line(&f.words));
    for change in &f.changes {
        put!(out, "- To stay within the limit: {change}");
    }
    put!(out, "- Requests: {}", f.requests.len());
    put!(out, "- Tokens: about {} in the requests, {} in the answers", f.prompt_tokens, f.answer_tokens);
    let cost = match f.cost_usd {
        _ if f.requests.is_empty() => "none".to_owned(),
        Some(cost) => format!("about {cost}"),
        None => "not known".to_owned(),
    };
    put!(out, "- Cost: {cost}");
    for note in &f.notes {
        put!(out, "- {}", markdown_line(note));
    }
    if !f.requests.is_empty() {
        put!(out, "\n| request | part of the file | frames | bytes | tokens | cost |");
        put!(out, "|---|---|---|---|---|---|");
    }
    for (at, request) in f.requests.iter().take(MAX_ROWS).enumerate() {
        let part = format!("{} to {}", request.range.start.label(), request.range.end.label());
        let part = match &request.input {
            _ if request.is_merge => "all answers together".to_owned(),
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
        let format = if f.requests[0].input.is_some() { "jsonl" } else { "json" };
        put!(out, "\n{n_more} more requests; the output format {format} lists all.");
    }
    for (at, request) in f.requests.iter().enumerate() {
        if let Some(body) = &request.body {
            put!(out, "\n## Request {}\n\n```json", at + 1);
            // A fence inside of a text cannot stand at the start of a line: line ends are escaped in JSON.
            out.push_str(&json::to_text(body)?);
            put!(out, "```");
        }
    }
    Ok(out)
}
