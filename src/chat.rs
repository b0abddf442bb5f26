//! The vocabulary of a chat: what is sent to a model and what comes back.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::media::EncodedImage;
use crate::money::Money;
use crate::sentence::CheckedSentence;

/// The role of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The rules of the task: text only.
    System,
    /// The task and its evidence.
    User,
}

/// One message.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its role.
    pub role: Role,
    /// Its parts, in order.
    pub parts: Vec<Part>,
}

/// A part of a message.
#[derive(Clone, Debug)]
pub enum Part {
    /// Text.
    Text(String),
    /// An image, sent as a Base64 data URL.
    Image(EncodedImage),
    /// An image that the server fetches: an http(s) URL, sent unchanged.
    ImageUrl(String),
    /// Audio: a WAV file, sent as Base64.
    Audio(Bytes),
}

/// The response of a model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChatResponse {
    /// The choices, in the server's order; at least one.
    pub choices: Vec<Choice>,
    /// The model's name as the server reports it.
    pub model: Option<String>,
    /// Tokens as the server counted them.
    pub usage: Option<Usage>,
    /// Requests made until this answer came, the successful one included; 0 if no request was sent.
    pub n_attempts: u32,
    /// Parameters that were requested and dropped because the model does not support them, by their names in the API.
    pub dropped_params: Vec<String>,
    /// The cost by `usage` and the price table; None where either is unknown.
    #[serde(rename = "cost_usd")]
    pub cost: Option<Money>,
    /// The estimate before it was sent; None if no request was sent.
    pub estimate: Option<PromptEstimate>,
    /// Whether it is the response to the same request of an earlier run, taken from the store. Nothing was sent or spent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub from_store: bool,
}

impl ChatResponse {
    /// A response with only the text; everything else is unknown.
    #[must_use]
    pub fn new(choices: Vec<Choice>) -> Self {
        Self {
            choices,
            model: None,
            usage: None,
            n_attempts: 0,
            dropped_params: Vec::new(),
            cost: None,
            estimate: None,
            from_store: false,
        }
    }
}

/// The estimated size and cost of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptEstimate {
    /// Tokens of the request.
    pub prompt_tokens: u64,
    /// What these cost; None where the price is not known.
    #[serde(rename = "prompt_cost_usd")]
    pub prompt_cost: Option<Money>,
}

/// One alternative of an answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Choice {
    /// The text: untrusted.
    pub text: String,
    /// The model's reasoning before the answer, where the server sent it: untrusted.
    pub reasoning: Option<String>,
    /// Why it ended.
    pub finish: FinishReason,
    /// The answer as data that is valid against the schema that was asked for; None for a task that asks for text, and where
    /// the reply does not match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<serde_json::Value>,
    /// Its sentences, each checked against the evidence that it cites; empty where they were not checked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sentences: Vec<CheckedSentence>,
}

impl Choice {
    /// A choice without reasoning.
    #[must_use]
    pub fn new(text: impl Into<String>, finish: FinishReason) -> Self {
        Self { text: text.into(), reasoning: None, finish, data: None, sentences: Vec::new() }
    }
}

/// Why an answer ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model ended it.
    Stop,
    /// At the limit of tokens: the text is cut off.
    Length,
    /// The provider's filter ended it: the text may be missing.
    ContentFilter,
    /// The model declined.
    Refusal,
    /// Another reason, as the server names it; empty where the server gave none.
    Other(String),
}

/// Tokens as the server counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the request.
    pub prompt_tokens: Option<u64>,
    /// Tokens of the answer, hidden reasoning included.
    pub completion_tokens: Option<u64>,
    /// Tokens of the request that the provider had in its cache.
    pub cached_tokens: Option<u64>,
    /// Tokens of hidden reasoning.
    pub reasoning_tokens: Option<u64>,
}

/// A model as the report describes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ModelDescription {
    /// The name: `gpt-4o`, `built-in digest`.
    pub name: String,
    /// The server's scheme, host and port; None where nothing leaves this machine.
    pub endpoint: Option<String>,
    /// Whether a language model wrote the text.
    pub is_language_model: bool,
}
