//! A reply that comes as server-sent events, put together into the whole reply that it stands for.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::chat::ChatResponse;
use crate::http::{ApiClient, ReadStream, RequestError, RequestErrorKind, too_large};
use crate::llm::dialect::Relay;
use crate::llm::reply;
use crate::llm::sse::Events;

/// More alternatives than can be asked for are not kept.
const MAX_CHOICES: u64 = 128;

/// Reads one try's stream.
pub(in crate::llm) struct Reader<'a> {
    events: Events,
    whole: Whole<'a>,
}

/// What has come until now.
struct Whole<'a> {
    server: &'a ApiClient,
    live: &'a Relay<'a>,
    choices: BTreeMap<u64, Choice>,
    model: Value,
    usage: Value,
    is_done: bool,
    n_bytes: usize,
    max_bytes: usize,
}

#[derive(Default)]
struct Choice {
    content: String,
    refusal: String,
    finish: Value,
}

impl<'a> Reader<'a> {
    pub fn new(server: &'a ApiClient, live: &'a Relay<'a>, max_bytes: usize) -> Self {
        live.begin();
        let (model, usage, is_done) = (Value::Null, Value::Null, false);
        let whole = Whole { server, live, choices: BTreeMap::new(), model, usage, is_done, n_bytes: 0, max_bytes };
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
        self.whole.finish()
    }
}

impl Whole<'_> {
    /// Takes the data of one event.
    fn take(&mut self, data: &str) -> Result<(), RequestError> {
        if self.is_done || data.trim().is_empty() {
            return Ok(());
        }
        if data.trim() == "[DONE]" {
            self.is_done = true;
            return Ok(());
        }
        let garbled = |_| RequestError::new(RequestErrorKind::Garbled, "an event of the stream is not whole JSON", "");
        let chunk: Value = serde_json::from_str(data).map_err(garbled)?;
        if let Some(failure) = self.server.failure_inside(&chunk) {
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
        let own = self.choices.entry(index).or_default();
        let delta = choice.get("delta").unwrap_or(&Value::Null);
        let content = delta.get("content").map_or_else(String::new, reply::read_content);
        own.content.push_str(&content);
        own.refusal.push_str(delta.get("refusal").and_then(Value::as_str).unwrap_or_default());
        if let Some(finish) = choice.get("finish_reason").filter(|finish| !finish.is_null()) {
            own.finish = finish.clone();
        }
        self.n_bytes += content.len();
        if self.n_bytes > self.max_bytes {
            return Err(too_large(self.max_bytes));
        }
        if index == 0 {
            self.live.piece(&content);
        }
        Ok(())
    }

    fn finish(self) -> Result<ChatResponse, RequestError> {
        let is_whole = !self.choices.is_empty() && self.choices.values().all(|choice| !choice.finish.is_null());
        // Some servers leave [DONE] out, others the reasons: either tells that the end is the end.
        if !self.is_done && !is_whole {
            return Err(RequestError::new(
                RequestErrorKind::Broken,
                "the stream ended before the answer did",
                "try again later",
            ));
        }
        let choice = |choice: Choice| {
            let message = json!({"content": choice.content, "refusal": choice.refusal});
            json!({"message": message, "finish_reason": choice.finish})
        };
        let choices: Vec<Value> = self.choices.into_values().map(choice).collect();
        reply::read(&json!({"choices": choices, "model": self.model, "usage": self.usage}))
    }
}
