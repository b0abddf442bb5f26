//! A model behind Anthropic's own `/messages`.
//!
//! Its OpenAI-compatible address ignores schemas and is "not for production" by its own word.

mod reply;
mod request;

use serde_json::Value;

use super::adapt::Adapted;
use super::body::Body;
use super::wire::{Relay, Remote, Wire};
use super::{ChatConfig, Question};
use crate::error::Result;
use crate::message::Answer;
use crate::service::{Failure, Server};

/// A model of Anthropic's; cloning shares its connections and what it learnt of the model.
#[derive(Clone, Debug)]
pub struct Anthropic {
    remote: Remote,
}

impl Anthropic {
    /// Checks the configuration; connects to nothing.
    ///
    /// # Errors
    /// As [`OpenAi::new`](super::OpenAi::new).
    pub fn new(config: ChatConfig) -> Result<Self> {
        Ok(Self { remote: Remote::new(config)? })
    }
}

impl Wire for Anthropic {
    const PATH: &'static [&'static str] = &["messages"];
    type Reader<'r> = reply::Reader<'r>;

    fn remote(&self) -> &Remote {
        &self.remote
    }

    fn with_remote(&self, remote: Remote) -> Self {
        Self { remote }
    }

    fn body(&self, question: &Question<'_>, sent: &Adapted) -> Body {
        request::body(&self.remote.config, sent, question)
    }

    fn read(reply: &Value) -> Result<Answer, Failure> {
        reply::read(reply)
    }

    fn reader<'r>(server: &'r Server, relay: &'r Relay<'r>, max_bytes: usize) -> Self::Reader<'r> {
        reply::Reader::new(server, relay, max_bytes)
    }
}
