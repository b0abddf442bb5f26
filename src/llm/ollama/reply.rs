//! From Ollama's JSON, whole or a line for each piece, to an answer.

use serde_json::{Value, json};

use crate::chat::ChatResponse;
use crate::http::{ApiClient, ReadStream, RequestError, RequestErrorKind, too_large};
use crate::llm::dialect::Relay;
use crate::llm::reply;

/// One line may be this large.
const MAX_LINE_BYTES: usize = 1 << 20;

/// Reads a whole reply.
pub(super) fn read(reply: &Value) -> Result<ChatResponse, RequestError> {
    let Some(message) = reply.get("message").filter(|message| message.is_object()) else {
        let advice = "check that --base-url is Ollama's";
        return Err(RequestError::new(RequestErrorKind::Final, "the reply has no `message`", advice));
    };
    finish(message.get("content").and_then(Value::as_str).unwrap_or_default(), reply)
}

/// Says the same as the API that the common reader knows; `last` has the reason and the counts.
fn finish(text: &str, last: &Value) -> Result<ChatResponse, RequestError> {
    reply::read(&json!({
        "choices": [{"message": {"content": text}, "finish_reason": last.get("done_reason")}],
        "model": last.get("model"),
        "usage": {"prompt_tokens": last.get("prompt_eval_count"), "completion_tokens": last.get("eval_count")},
    }))
}

/// Reads one try's stream: newline-delimited JSON.
pub(in crate::llm) struct Reader<'a> {
    server: &'a ApiClient,
    relay: &'a Relay<'a>,
    line: Vec<u8>,
    text: String,
    last: Option<Value>,
    max_bytes: usize,
}

impl<'a> Reader<'a> {
    pub fn new(server: &'a ApiClient, relay: &'a Relay<'a>, max_bytes: usize) -> Self {
        relay.begin();
        Self { server, relay, line: Vec::new(), text: String::new(), last: None, max_bytes }
    }

    fn end_line(&mut self) -> Result<(), RequestError> {
        let line = std::mem::take(&mut self.line);
        if line.trim_ascii().is_empty() || self.last.is_some() {
            return Ok(());
        }
        let garbled = |_| RequestError::new(RequestErrorKind::Garbled, "a line of the stream is not whole JSON", "");
        let piece: Value = serde_json::from_slice(&line).map_err(garbled)?;
        if let Some(failure) = self.server.failure_inside(&piece) {
            return Err(failure);
        }
        let text = piece.pointer("/message/content").and_then(Value::as_str).unwrap_or_default();
        self.text.push_str(text);
        if self.text.len() > self.max_bytes {
            return Err(too_large(self.max_bytes));
        }
        self.relay.piece(text);
        if piece.get("done").and_then(Value::as_bool) == Some(true) {
            self.last = Some(piece);
        }
        Ok(())
    }
}

impl ReadStream for Reader<'_> {
    type Output = ChatResponse;

    fn feed(&mut self, bytes: &[u8]) -> Result<(), RequestError> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if self.line.len() > MAX_LINE_BYTES {
                return Err(too_large(MAX_LINE_BYTES));
            }
            if part.ends_with(b"\n") {
                self.end_line()?;
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<ChatResponse, RequestError> {
        self.end_line()?;
        match &self.last {
            Some(last) => finish(&self.text, last),
            None => Err(RequestError::new(
                RequestErrorKind::Broken,
                "the stream ended before the answer did",
                "try again later",
            )),
        }
    }
}
