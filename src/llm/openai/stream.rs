//! Reads a response that is streamed as server-sent events.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::chat::ChatResponse;
use crate::http::{ApiClient, ReadStream, RequestError, RequestErrorKind, too_large};

use crate::llm::reply;
use crate::llm::sse::Events;
use crate::llm::stream_writer::StreamWriter;
use crate::llm::tool_calls::PartialCalls;

/// More choices than a request can ask for are ignored.
const MAX_CHOICES: u64 = 128;

/// Reads the stream of one attempt.
pub(in crate::llm) struct OpenAiStream<'a> {
    events: Events,
    partial: OpenAiPartial<'a>,
}

/// What has arrived so far.
struct OpenAiPartial<'a> {
    server: &'a ApiClient,
    writer: &'a StreamWriter<'a>,
    choices: BTreeMap<u64, PartialChoice>,
    model: Value,
    usage: Value,
    is_done: bool,
    n_bytes: usize,
    max_bytes: usize,
}

#[derive(Default)]
struct PartialChoice {
    content: String,
    reasoning: String,
    refusal: String,
    finish: Value,
    calls: PartialCalls,
    /// `OpenRouter`'s, which it requires back with tool calls.
    reasoning_details: Vec<Value>,
    /// Whether the reasoning is in `reasoning_content`: `DeepSeek` requires it back with tool calls.
    has_reasoning_content: bool,
}

impl<'a> OpenAiStream<'a> {
    pub fn new(server: &'a ApiClient, writer: &'a StreamWriter<'a>, max_bytes: usize) -> Self {
        writer.begin();
        let (model, usage, is_done) = (Value::Null, Value::Null, false);
        let partial =
            OpenAiPartial { server, writer, choices: BTreeMap::new(), model, usage, is_done, n_bytes: 0, max_bytes };
        Self { events: Events::default(), partial }
    }
}

impl ReadStream for OpenAiStream<'_> {
    type Output = ChatResponse;

    fn feed(&mut self, bytes: &[u8]) -> Result<(), RequestError> {
        self.events.feed(bytes, |data| self.partial.take(data))
    }

    fn finish(mut self) -> Result<ChatResponse, RequestError> {
        self.events.finish(|data| self.partial.take(data))?;
        self.partial.finish()
    }
}

impl OpenAiPartial<'_> {
    /// Takes the data of one event.
    fn take(&mut self, data: &str) -> Result<(), RequestError> {
        if self.is_done || data.trim().is_empty() {
            return Ok(());
        }
        if data.trim() == "[DONE]" {
            self.is_done = true;
            return Ok(());
        }
        let garbled =
            |_| RequestError::new(RequestErrorKind::InvalidBody, "an event of the stream is not complete JSON", "");
        let chunk: Value = serde_json::from_str(data).map_err(garbled)?;
        if let Some(failure) = self.server.error_inside(&chunk) {
            return Err(failure);
        }
        for (name, place) in [("model", &mut self.model), ("usage", &mut self.usage)] {
            if let Some(value) = chunk.get(name).filter(|value| !value.is_null()) {
                *place = value.clone();
            }
        }
        // The chunk with the usage has no choices.
        for choice in chunk.get("choices").and_then(Value::as_array).into_iter().flatten() {
            self.take_choice(choice)?;
        }
        Ok(())
    }

    fn take_choice(&mut self, choice: &Value) -> Result<(), RequestError> {
        let index = choice.get("index").and_then(Value::as_u64).unwrap_or(0);
        if index >= MAX_CHOICES {
            return Ok(());
        }
        let partial = self.choices.entry(index).or_default();
        let delta = choice.get("delta").unwrap_or(&Value::Null);
        let content = delta.get("content").map_or_else(String::new, reply::read_content);
        partial.content.push_str(&content);
        let reasoning = reply::read_reasoning(delta);
        partial.reasoning.push_str(&reasoning);
        partial.refusal.push_str(delta.get("refusal").and_then(Value::as_str).unwrap_or_default());
        if let Some(finish) = choice.get("finish_reason").filter(|finish| !finish.is_null()) {
            partial.finish = finish.clone();
        }
        let details = delta.get("reasoning_details").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        partial.reasoning_details.extend_from_slice(details);
        partial.has_reasoning_content |= delta.get("reasoning_content").is_some_and(Value::is_string);
        self.n_bytes += content.len() + reasoning.len() + partial.calls.take(delta);
        self.n_bytes += details.iter().map(|detail| detail.to_string().len()).sum::<usize>();
        if self.n_bytes > self.max_bytes {
            return Err(too_large(self.max_bytes));
        }
        if index == 0 {
            self.writer.write(&content);
        }
        Ok(())
    }

    fn finish(self) -> Result<ChatResponse, RequestError> {
        let is_whole = !self.choices.is_empty() && self.choices.values().all(|choice| !choice.finish.is_null());
        // Some servers omit [DONE], others the finish reasons: either one proves that the stream is complete.
        if !self.is_done && !is_whole {
            return Err(RequestError::new(
                RequestErrorKind::Broken,
                "the stream ended before the answer did",
                "try again later",
            ));
        }
        self.writer.finish();
        let choice = |choice: PartialChoice| {
            let reasoning = if choice.has_reasoning_content { "reasoning_content" } else { "reasoning" };
            let details = Some(choice.reasoning_details).filter(|details| !details.is_empty());
            let message = json!({"content": choice.content, reasoning: choice.reasoning, "refusal": choice.refusal,
                "tool_calls": choice.calls.into_value(), "reasoning_details": details});
            json!({"message": message, "finish_reason": choice.finish})
        };
        let choices: Vec<Value> = self.choices.into_values().map(choice).collect();
        reply::read(&json!({"choices": choices, "model": self.model, "usage": self.usage}))
    }
}
