//! From Anthropic's JSON, whole or as events, to an answer.

use serde_json::{Value, json};

use crate::chat::ChatResponse;
use crate::http::{ApiClient, ReadStream, RequestError, RequestErrorKind, too_large};
use crate::llm::dialect::Relay;
use crate::llm::reply;
use crate::llm::sse::Events;

/// Reads a whole reply.
pub(super) fn read(reply: &Value) -> Result<ChatResponse, RequestError> {
    let Some(content) = reply.get("content").and_then(Value::as_array) else {
        let advice = "check that --base-url speaks Anthropic's API";
        return Err(RequestError::new(RequestErrorKind::Final, "the reply has no `content`", advice));
    };
    let text: String = content.iter().filter_map(|block| block.get("text")?.as_str()).collect();
    finish(&text, reply.get("stop_reason"), reply.get("model"), &[reply.get("usage")])
}

/// Says the same as the API that the common reader knows. Of several counts of tokens the later ones hold.
fn finish(
    text: &str,
    reason: Option<&Value>,
    model: Option<&Value>,
    usages: &[Option<&Value>],
) -> Result<ChatResponse, RequestError> {
    let count = |name: &str| usages.iter().rev().flatten().find_map(|usage| usage.get(name)?.as_u64());
    let cached = count("cache_read_input_tokens");
    let written = count("cache_creation_input_tokens").unwrap_or(0);
    // What came out of the cache, or went into it, is not among the input tokens.
    let prompt = count("input_tokens").map(|input| input.saturating_add(written).saturating_add(cached.unwrap_or(0)));
    let reason = match reason.and_then(Value::as_str) {
        Some("model_context_window_exceeded") => Some("length"),
        reason => reason,
    };
    reply::read(&json!({
        "choices": [{"message": {"content": text}, "finish_reason": reason}],
        "model": model,
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": count("output_tokens"),
            "prompt_tokens_details": {"cached_tokens": cached},
        },
    }))
}

/// Reads one try's stream.
pub(in crate::llm) struct Reader<'a> {
    events: Events,
    whole: Whole<'a>,
}

/// What has come until now.
struct Whole<'a> {
    server: &'a ApiClient,
    relay: &'a Relay<'a>,
    text: String,
    reason: Option<Value>,
    model: Option<Value>,
    first_usage: Option<Value>,
    last_usage: Option<Value>,
    is_done: bool,
    max_bytes: usize,
}

impl<'a> Reader<'a> {
    pub fn new(server: &'a ApiClient, relay: &'a Relay<'a>, max_bytes: usize) -> Self {
        relay.begin();
        let whole = Whole {
            server,
            relay,
            text: String::new(),
            reason: None,
            model: None,
            first_usage: None,
            last_usage: None,
            is_done: false,
            max_bytes,
        };
        Self { events: Events::default(), whole }
    }
}

impl ReadStream for Reader<'_> {
    type Output = ChatResponse;

    fn feed(&mut self, bytes: &[u8]) -> Result<(), RequestError> {
        self.events.feed(bytes, |data| self.whole.take(data))
    }

    fn finish(mut self) -> Result<ChatResponse, RequestError> {
        self.events.finish(|data| self.whole.take(data))?;
        let whole = self.whole;
        if !whole.is_done {
            return Err(RequestError::new(
                RequestErrorKind::Broken,
                "the stream ended before the answer did",
                "try again later",
            ));
        }
        let usages = [whole.first_usage.as_ref(), whole.last_usage.as_ref()];
        finish(&whole.text, whole.reason.as_ref(), whole.model.as_ref(), &usages)
    }
}

impl Whole<'_> {
    /// Takes the data of one event; kinds that are not known are passed over, as the API asks.
    fn take(&mut self, data: &str) -> Result<(), RequestError> {
        let garbled = |_| RequestError::new(RequestErrorKind::Garbled, "an event of the stream is not whole JSON", "");
        let event: Value = serde_json::from_str(data).map_err(garbled)?;
        if let Some(failure) = self.server.failure_inside(&event) {
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
                if self.text.len() > self.max_bytes {
                    return Err(too_large(self.max_bytes));
                }
                self.relay.piece(text);
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
