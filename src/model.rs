//! What a model is: evidence in, an answer out.

mod body;
pub mod builtin;
pub mod openai;

use futures_util::future::BoxFuture;
use serde::Serialize;

use crate::error::Result;
use crate::message::{Answer, Message};
use crate::timeline::Timeline;

pub use self::body::Body;
pub use self::openai::{OpenAi, OpenAiConfig, SamplingParams};

/// A model that answers about a video.
pub trait ChatModel: Send + Sync {
    /// What the report says of this model.
    fn description(&self) -> ModelDescription;

    /// Answers one question.
    ///
    /// # Errors
    /// [`Error::Service`](crate::Error::Service) where a server refuses, fails for good or answers nonsense;
    /// [`Error::Limit`](crate::Error::Limit) where the request is larger than may be sent.
    fn answer<'a>(&'a self, question: &'a Question<'a>) -> BoxFuture<'a, Result<Answer>>;
}

/// One question: the messages that a chat model reads and the evidence behind them.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// System and user messages, pictures included.
    pub messages: &'a [Message],
    /// The same evidence as data: what the built-in model reads.
    pub timeline: &'a Timeline,
}

/// How a model names itself in the report.
#[derive(Clone, Debug, Serialize)]
pub struct ModelDescription {
    /// The name: `gpt-4o`, `built-in digest`.
    pub name: String,
    /// The server's scheme, host and port; None where nothing leaves this machine.
    pub endpoint: Option<String>,
    /// Whether a language model wrote the text.
    pub is_language_model: bool,
}
