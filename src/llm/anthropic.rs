//! A model behind Anthropic's own `/messages`.
//!
//! Its OpenAI-compatible address ignores schemas and is "not for production" by its own word.

mod reply;
mod request;

use serde_json::Value;

use super::body::RequestBody;
use super::dialect::{Dialect, Relay, RemoteModel};
use super::supported_params::Adapted;
use super::{ChatConfig, ChatRequest};
use crate::chat::ChatResponse;
use crate::error::Result;
use crate::http::{ApiClient, RequestError};

/// A model of Anthropic's; cloning shares its connections and what it learnt of the model.
#[derive(Clone, Debug)]
pub struct Anthropic {
    remote: RemoteModel,
}

impl Anthropic {
    /// Checks the configuration; connects to nothing.
    ///
    /// # Errors
    /// As [`OpenAi::new`](super::OpenAi::new).
    pub fn new(config: ChatConfig) -> Result<Self> {
        Ok(Self { remote: RemoteModel::new(config)? })
    }
}

impl Dialect for Anthropic {
    const PATH: &'static [&'static str] = &["messages"];
    type Reader<'r> = reply::Reader<'r>;

    fn remote(&self) -> &RemoteModel {
        &self.remote
    }

    fn with_remote(&self, remote: RemoteModel) -> Self {
        Self { remote }
    }

    fn body(&self, question: &ChatRequest<'_>, sent: &Adapted) -> RequestBody {
        request::body(&self.remote.config, sent, question)
    }

    fn read(reply: &Value) -> Result<ChatResponse, RequestError> {
        reply::read(reply)
    }

    fn reader<'r>(server: &'r ApiClient, relay: &'r Relay<'r>, max_bytes: usize) -> Self::Reader<'r> {
        reply::Reader::new(server, relay, max_bytes)
    }
}
