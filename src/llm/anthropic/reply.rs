//! Reads Anthropic's responses, streamed or not.

use serde_json::{Value, json};

use crate::advice::{Advice, Setting};
use crate::chat::ChatResponse;
use crate::http::{ApiClient, ReadStream, RequestError, RequestErrorKind, too_large};

use crate::llm::reply;
use crate::llm::sse::Events;
use crate::llm::stream_writer::StreamWriter;

/// Reads a response that is not streamed.
pub(super) fn read(reply: &Value) -> Result<ChatResponse, RequestError> {
    let Some(content) = reply.get("content").and_then(Value::as_array) else {
        let problem = "the reply has no `content`, which Anthropic's API requires";
        return Err(RequestError::new(RequestErrorKind::Final, problem, Advice::Check(Setting::BaseUrl)));
    };
    let field = |name: &str| content.iter().filter_map(|block| block.get(name)?.as_str()).collect::<String>();
    finish((&field("text"), &field("thinking")), reply.get("stop_reason"), reply.get("model"), &[reply.get("usage")])
}

/// Converts the response to the form of the OpenAI API, which the common reader reads. Later token counts replace earlier
/// ones.
fn finish(
    (text, thinking): (&str, &str),
    reason: Option<&Value>,
    model: Option<&Value>,
    usages: &[Option<&Value>],
) -> Result<ChatResponse, RequestError> {
    let count = |name: &str| usages.iter().rev().flatten().find_map(|usage| usage.get(name)?.as_u64());
    let cached = count("cache_read_input_tokens");
    let written = count("cache_creation_input_tokens").unwrap_or(0);
    // `input_tokens` excludes the tokens that were read from or written to the cache.
    let prompt = count("input_tokens").map(|input| input.saturating_add(written).saturating_add(cached.unwrap_or(0)));
    let reason = match reason.and_then(Value::as_str) {
        Some("model_context_window_exceeded") => Some("length"),
        reason => reason,
    };
    reply::read(&json!({
        "choices": [{"message": {"content": text, "thinking": thinking}, "finish_reason": reason}],
        "model": model,
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": count("output_tokens"),
            "prompt_tokens_details": {"cached_tokens": cached},
        },
    }))
}

/// Reads the stream of one attempt.
pub(in crate::llm) struct AnthropicStream<'a> {
    events: Events,
    partial: AnthropicPartial<'a>,
}

/// What has arrived so far.
struct AnthropicPartial<'a> {
    server: &'a ApiClient,
    writer: &'a StreamWriter<'a>,
    text: String,
    thinking: String,
    reason: Option<Value>,
    model: Option<Value>,
    first_usage: Option<Value>,
    last_usage: Option<Value>,
    is_done: bool,
    max_bytes: usize,
}

impl<'a> AnthropicStream<'a> {
    pub fn new(server: &'a ApiClient, writer: &'a StreamWriter<'a>, max_bytes: usize) -> Self {
        writer.begin();
        let partial = AnthropicPartial {
            server,
            writer,
            text: String::new(),
            thinking: String::new(),
            reason: None,
            model: None,
            first_usage: None,
            last_usage: None,
            is_done: false,
            max_bytes,
        };
        Self { events: Events::default(), partial }
    }
}

impl ReadStream for AnthropicStream<'_> {
    type Output = ChatResponse;

    fn feed(&mut self, bytes: &[u8]) -> Result<(), RequestError> {
        self.events.feed(bytes, |data| self.partial.take(data))
    }

    fn finish(mut self) -> Result<ChatResponse, RequestError> {
        self.events.finish(|data| self.partial.take(data))?;
        let partial = self.partial;
        if !partial.is_done {
            return Err(RequestError::new(
                RequestErrorKind::Broken,
                "the stream ended before the answer did",
                "try again later",
            ));
        }
        partial.writer.finish();
        let usages = [partial.first_usage.as_ref(), partial.last_usage.as_ref()];
        finish((&partial.text, &partial.thinking), partial.reason.as_ref(), partial.model.as_ref(), &usages)
    }
}

impl AnthropicPartial<'_> {
    /// Takes the data of one event. Unknown types are ignored, as the API requires.
    fn take(&mut self, data: &str) -> Result<(), RequestError> {
        let garbled =
            |_| RequestError::new(RequestErrorKind::InvalidBody, "an event of the stream is not complete JSON", "");
        let event: Value = serde_json::from_str(data).map_err(garbled)?;
        if let Some(failure) = self.server.error_inside(&event) {
            return Err(failure);
        }
        let at = |pointer: &str| event.pointer(pointer).filter(|value| !value.is_null()).cloned();
        match event.get("type").and_then(Value::as_str) {
            Some("message_start") => {
                self.model = at("/message/model");
                self.first_usage = at("/message/usage");
            }
            Some("content_block_delta") => {
                let text = event.pointer("/delta/text").and_then(Value::as_str).unwrap_or_default();
                self.text.push_str(text);
                self.thinking.push_str(event.pointer("/delta/thinking").and_then(Value::as_str).unwrap_or_default());
                if self.text.len() + self.thinking.len() > self.max_bytes {
                    return Err(too_large(self.max_bytes));
                }
                self.writer.write(text);
            }
            Some("message_delta") => {
                self.reason = at("/delta/stop_reason").or(self.reason.take());
                self.last_usage = at("/usage").or(self.last_usage.take());
            }
            Some("message_stop") => self.is_done = true,
            _ => {}
        }
        Ok(())
    }
}
