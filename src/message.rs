//! The vocabulary of a chat: what is sent to a model and what comes back.

use bytes::Bytes;
use serde::Serialize;

use crate::media::EncodedImage;

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
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    /// The alternatives (`--n`), in the server's order; at least one.
    pub alternatives: Vec<Alternative>,
    /// The model's name as the server reports it.
    pub model: Option<String>,
    /// Tokens as the server counted them.
    pub usage: Option<Usage>,
    /// Requests made until this answer came, the successful one included; 0 where no server was asked.
    pub n_attempts: u32,
}

/// One alternative of an answer.
#[derive(Clone, Debug, Serialize)]
pub struct Alternative {
    /// The text: untrusted.
    pub text: String,
    /// Why it ended.
    pub finish: Finish,
}

/// Why an answer ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
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
