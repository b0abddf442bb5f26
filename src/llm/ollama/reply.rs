//! Reads Ollama's responses, streamed or not.

use serde_json::{Value, json};

use crate::advice::{Advice, Setting};
use crate::chat::ChatResponse;
use crate::http::{ApiClient, ReadStream, RequestError, RequestErrorKind, too_large};

use crate::llm::reply;
use crate::llm::stream_writer::StreamWriter;

/// Further tool calls of a stream are ignored.
const MAX_STREAMED_CALLS: usize = 128;
/// Maximum size of one line.
const MAX_LINE_BYTES: usize = 1 << 20;

/// Reads a response that is not streamed.
pub(super) fn read(reply: &Value) -> Result<ChatResponse, RequestError> {
    let Some(message) = reply.get("message").filter(|message| message.is_object()) else {
        let problem = "the reply has no `message`, which Ollama's API requires";
        return Err(RequestError::new(RequestErrorKind::Final, problem, Advice::Check(Setting::BaseUrl)));
    };
    finish(message, reply)
}

/// Converts the response to the form of the OpenAI API, which the common reader reads; `last` has the finish reason and
/// the token counts.
fn finish(message: &Value, last: &Value) -> Result<ChatResponse, RequestError> {
    reply::read(&json!({
        "choices": [{"message": message, "finish_reason": last.get("done_reason")}],
        "model": last.get("model"),
        "usage": {"prompt_tokens": last.get("prompt_eval_count"), "completion_tokens": last.get("eval_count")},
    }))
}

/// Reads the stream of one attempt: newline-delimited JSON.
pub(in crate::llm) struct OllamaStream<'a> {
    server: &'a ApiClient,
    writer: &'a StreamWriter<'a>,
    line: Vec<u8>,
    text: String,
    thinking: String,
    calls: Vec<Value>,
    n_call_bytes: usize,
    last: Option<Value>,
    max_bytes: usize,
}

impl<'a> OllamaStream<'a> {
    pub fn new(server: &'a ApiClient, writer: &'a StreamWriter<'a>, max_bytes: usize) -> Self {
        writer.begin();
        Self {
            server,
            writer,
            line: Vec::new(),
            text: String::new(),
            thinking: String::new(),
            calls: Vec::new(),
            n_call_bytes: 0,
            last: None,
            max_bytes,
        }
    }

    fn end_line(&mut self) -> Result<(), RequestError> {
        let line = std::mem::take(&mut self.line);
        if line.trim_ascii().is_empty() || self.last.is_some() {
            return Ok(());
        }
        let garbled =
            |_| RequestError::new(RequestErrorKind::InvalidBody, "a line of the stream is not complete JSON", "");
        let piece: Value = serde_json::from_slice(&line).map_err(garbled)?;
        if let Some(failure) = self.server.error_inside(&piece) {
            return Err(failure);
        }
        let text = piece.pointer("/message/content").and_then(Value::as_str).unwrap_or_default();
        self.text.push_str(text);
        self.thinking.push_str(piece.pointer("/message/thinking").and_then(Value::as_str).unwrap_or_default());
        // Each call comes whole.
        if let Some(calls) = piece.pointer("/message/tool_calls").and_then(Value::as_array) {
            self.n_call_bytes += line.len();
            self.calls.extend(calls.iter().take(MAX_STREAMED_CALLS - self.calls.len()).cloned());
        }
        if self.text.len() + self.thinking.len() + self.n_call_bytes > self.max_bytes {
            return Err(too_large(self.max_bytes));
        }
        self.writer.write(text);
        if piece.get("done").and_then(Value::as_bool) == Some(true) {
            self.last = Some(piece);
        }
        Ok(())
    }
}

impl ReadStream for OllamaStream<'_> {
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
            Some(last) => {
                self.writer.finish();
                finish(&json!({"content": self.text, "thinking": self.thinking, "tool_calls": self.calls}), last)
            }
            None => Err(RequestError::new(
                RequestErrorKind::Broken,
                "the stream ended before the answer did",
                "try again later",
            )),
        }
    }
}
