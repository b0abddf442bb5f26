//! The vocabulary of a chat: what is sent to a model and what comes back.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::media::EncodedImage;
use crate::money::Money;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The rules of the task: text alone.
    System,
    /// The task and its evidence.
    User,
}

/// One message.
#[derive(Clone, Debug)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// Its parts, in order.
    pub parts: Vec<Part>,
}

/// A part of a message.
#[derive(Clone, Debug)]
pub enum Part {
    /// Text.
    Text(String),
    /// A picture, sent as a Base64 data URL.
    Image(EncodedImage),
    /// A picture that the server fetches itself: an http(s) URL, passed on untouched.
    ImageUrl(String),
    /// A sound: a whole WAV file, sent as Base64.
    Audio(Bytes),
}

/// What a model answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChatResponse {
    /// The choices, in the server's order; at least one.
    #[serde(rename = "alternatives")]
    pub choices: Vec<Choice>,
    /// The model's name as the server reports it.
    pub model: Option<String>,
    /// Tokens as the server counted them.
    pub usage: Option<Usage>,
    /// Requests made until this answer came, the successful one included; 0 where no server was asked.
    pub n_attempts: u32,
    /// Parameters that were asked for and left out, since the model does not take them, by their names in the API.
    pub dropped_params: Vec<String>,
    /// What it cost by `usage` and the table of prices; None where either is not known.
    #[serde(rename = "cost_usd")]
    pub cost: Option<Money>,
    /// What was expected before it was sent; None where no server was asked.
    pub estimate: Option<PromptEstimate>,
}

impl ChatResponse {
    /// An answer of which nothing is known but its text.
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
        }
    }
}

/// What a request is expected to be, by formula.
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
}

impl Choice {
    /// A choice without reasoning.
    #[must_use]
    pub fn new(text: impl Into<String>, finish: FinishReason) -> Self {
        Self { text: text.into(), reasoning: None, finish }
    }
}

/// Why an answer ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// By itself.
    Stop,
    /// At the limit of tokens: the text is cut off.
    Length,
    /// By the provider's filter: the text may be missing.
    ContentFilter,
    /// The model declined.
    Refusal,
    /// Another reason, in the server's word; empty where the server gave none.
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

/// How a model names itself in the report.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ModelDescription {
    /// The name: `gpt-4o`, `built-in digest`.
    pub name: String,
    /// The server's scheme, host and port; None where nothing leaves this machine.
    pub endpoint: Option<String>,
    /// Whether a language model wrote the text.
    pub is_language_model: bool,
}
