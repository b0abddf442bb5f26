//! Reads Anthropic's responses, streamed or not.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::advice::{Advice, Setting};
use crate::chat::ChatResponse;
use crate::http::{ApiClient, ReadStream, RequestError, RequestErrorKind, too_large};

use crate::llm::reply;
use crate::llm::sse::Events;
use crate::llm::stream_writer::StreamWriter;
use crate::llm::tool_calls::CALL_DATA;

/// Further blocks of a streamed response are ignored, apart from their text.
const MAX_BLOCKS: u64 = 256;
/// The field of a streamed block that collects the JSON of a tool's arguments.
const PARTIAL_JSON: &str = "partial_json";

/// Reads a response that is not streamed.
pub(super) fn read(reply: &Value) -> Result<ChatResponse, RequestError> {
    let Some(content) = reply.get("content").and_then(Value::as_array) else {
        let problem = "the reply has no `content`, which Anthropic's API requires";
        return Err(RequestError::new(RequestErrorKind::Final, problem, Advice::Check(Setting::BaseUrl)));
    };
    let field = |name: &str| content.iter().filter_map(|block| block.get(name)?.as_str()).collect::<String>();
    let message = json!({"content": field("text"), "thinking": field("thinking"), "tool_calls": calls(content)});
    finish(&message, reply.get("stop_reason"), reply.get("model"), &[reply.get("usage")])
}

/// The blocks of type `tool_use` as tool calls of the OpenAI API, each with the reasoning before it, which the API requires
/// back. Reasoning without a signature is not accepted.
fn calls<'a>(blocks: impl IntoIterator<Item = &'a Value>) -> Vec<Value> {
    let (mut calls, mut reasoning) = (Vec::new(), Vec::new());
    for block in blocks {
        let is_signed = || block.get("signature").and_then(Value::as_str).is_some_and(|text| !text.is_empty());
        match block.get("type").and_then(Value::as_str) {
            Some("tool_use") => {
                let partial = block.get(PARTIAL_JSON).filter(|json| json.as_str().is_some_and(|text| !text.is_empty()));
                let function = json!({"name": block.get("name"), "arguments": partial.or(block.get("input"))});
                let reasoning = Some(std::mem::take(&mut reasoning)).filter(|blocks: &Vec<&Value>| !blocks.is_empty());
                calls.push(json!({"id": block.get("id"), "function": function, CALL_DATA: reasoning}));
            }
            Some("redacted_thinking") => reasoning.push(block),
            Some("thinking") if is_signed() => reasoning.push(block),
            _ => {}
        }
    }
    calls
}

/// Converts the response to the form of the OpenAI API, which the common reader reads. Later token counts replace earlier
/// ones.
fn finish(
    message: &Value,
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
        "choices": [{"message": message, "finish_reason": reason}],
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
    /// The blocks of reasoning and tool calls, by index.
    blocks: BTreeMap<u64, Value>,
    n_block_bytes: usize,
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
            blocks: BTreeMap::new(),
            n_block_bytes: 0,
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
        let calls = calls(partial.blocks.values());
        let message = json!({"content": partial.text, "thinking": partial.thinking, "tool_calls": calls});
        finish(&message, partial.reason.as_ref(), partial.model.as_ref(), &usages)
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
            Some("content_block_start") => self.start_block(&event),
            Some("content_block_delta") => {
                self.extend_block(&event);
                let text = event.pointer("/delta/text").and_then(Value::as_str).unwrap_or_default();
                self.text.push_str(text);
                self.thinking.push_str(event.pointer("/delta/thinking").and_then(Value::as_str).unwrap_or_default());
                if self.text.len() + self.thinking.len() + self.n_block_bytes > self.max_bytes {
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

    /// The block of an event. A delta may arrive before the start of its block.
    fn block(&mut self, event: &Value) -> Option<&mut Value> {
        let index = event.get("index").and_then(Value::as_u64).filter(|index| *index < MAX_BLOCKS)?;
        Some(self.blocks.entry(index).or_insert_with(|| json!({})))
    }

    fn start_block(&mut self, event: &Value) {
        let start = event.get("content_block").and_then(Value::as_object);
        let is_kept = |kind: &str| matches!(kind, "tool_use" | "thinking" | "redacted_thinking");
        let start = start.filter(|start| start.get("type").and_then(Value::as_str).is_some_and(is_kept));
        let Some(start) = start else { return };
        self.n_block_bytes += event.to_string().len();
        if let Some(Value::Object(block)) = self.block(event) {
            for (name, value) in start {
                block.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
    }

    fn extend_block(&mut self, event: &Value) {
        for name in ["thinking", "signature", PARTIAL_JSON] {
            let Some(piece) = event.pointer(&format!("/delta/{name}")).and_then(Value::as_str) else { continue };
            self.n_block_bytes += piece.len();
            if let Some(block) = self.block(event) {
                match &mut block[name] {
                    Value::String(text) => text.push_str(piece),
                    other => *other = Value::String(piece.to_owned()),
                }
            }
        }
    }
}
