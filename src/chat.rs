//! The vocabulary of a chat: what is sent to a model and what comes back.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::media::EncodedImage;
use crate::money::Money;
use crate::sentence::CheckedSentence;

/// The role of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The rules of the task: text only.
    System,
    /// The task and its evidence, and the results of tool calls.
    User,
    /// An earlier answer of the model: text and tool calls.
    Assistant,
}

impl Role {
    /// The name in requests.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
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
    /// A tool call of the model, in an assistant message.
    ToolCall(ToolCall),
    /// The result of a tool call, in the user message after the call. Every call needs exactly one. Results are sent before
    /// the other parts of their message; images that belong to them are ordinary parts.
    ToolResult {
        /// The ID of the call.
        call_id: String,
        /// The result, or why there is none.
        text: String,
    },
}

/// A model's request to run a tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ToolCall {
    /// The ID, unique within the answer; made up where the server sent none.
    pub id: String,
    /// The name of the tool: 1 to 64 letters, digits, `_` and `-`; other characters are replaced by `_`. Untrusted: it may
    /// be the name of no tool.
    pub name: String,
    /// The arguments, at most 64 KiB of JSON: untrusted, and not checked against the tool's schema. A text that is not
    /// valid JSON, or longer, is a [`Value::String`] of its first 64 KiB.
    pub arguments: Value,
    /// What the provider requires to be sent back unchanged with the call: signatures and hidden reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_data: Option<Value>,
}

impl ToolCall {
    /// A call without provider data.
    #[must_use]
    pub fn new(id: impl Into<String>, name: impl Into<String>, arguments: Value) -> Self {
        Self { id: id.into(), name: name.into(), arguments, provider_data: None }
    }
}

/// The response of a model.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PromptEstimate {
    /// Tokens of the request.
    pub prompt_tokens: u64,
    /// What these cost; None where the price is not known.
    #[serde(rename = "prompt_cost_usd")]
    pub prompt_cost: Option<Money>,
}

/// One alternative of an answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    pub data: Option<Value>,
    /// The tools that the model asks for, at most 32; only in answers to requests with tools.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// Its sentences, each checked against the evidence that it cites; empty where they were not checked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sentences: Vec<CheckedSentence>,
}

impl Choice {
    /// A choice without reasoning.
    #[must_use]
    pub fn new(text: impl Into<String>, finish: FinishReason) -> Self {
        Self { text: text.into(), reasoning: None, finish, data: None, tool_calls: Vec::new(), sentences: Vec::new() }
    }

    /// The choice as the assistant message that the results of its tool calls follow.
    #[must_use]
    pub fn to_message(&self) -> Message {
        let text = Some(&self.text).filter(|text| !text.trim().is_empty()).cloned();
        let calls = self.tool_calls.iter().cloned().map(Part::ToolCall);
        Message { role: Role::Assistant, parts: text.into_iter().map(Part::Text).chain(calls).collect() }
    }
}

/// Why an answer ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    /// The model asks for tools: [`Choice::tool_calls`] is not empty.
    ToolCalls,
    /// Another reason, as the server names it; empty where the server gave none.
    Other(String),
}

/// Tokens as the server counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ModelDescription {
    /// The name: `gpt-4o`, `built-in digest`.
    pub name: String,
    /// The server's scheme, host and port; None where nothing leaves this machine.
    pub endpoint: Option<String>,
    /// Whether a language model wrote the text.
    pub is_language_model: bool,
}
