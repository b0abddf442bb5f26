//! Models behind Anthropic's `/messages`.
//!
//! Anthropic's OpenAI-compatible API ignores schemas and is documented as unsuitable for production.

mod reply;
mod request;

use serde_json::Value;

use super::body::RequestBody;
use super::config::ChatConfig;
use super::dialect::Dialect;
use super::remote::RemoteModel;
use super::request::ChatRequest;
use super::stream_writer::StreamWriter;
use super::supported_params::AcceptedParams;
use crate::chat::ChatResponse;
use crate::error::Result;
use crate::http::{ApiClient, RequestError};

/// A model of Anthropic. Clones share connections and what was learnt about parameters.
#[derive(Clone, Debug)]
pub struct Anthropic {
    remote: RemoteModel,
}

impl Anthropic {
    /// Checks the configuration. Sends nothing.
    ///
    /// # Errors
    /// As [`OpenAi::new`](super::OpenAi::new).
    pub fn new(config: ChatConfig) -> Result<Self> {
        Ok(Self { remote: RemoteModel::new(config)? })
    }
}

impl Dialect for Anthropic {
    const PATH: &'static [&'static str] = &["messages"];
    type Reader<'r> = reply::AnthropicStream<'r>;

    fn remote(&self) -> &RemoteModel {
        &self.remote
    }

    fn with_remote(&self, remote: RemoteModel) -> Self {
        Self { remote }
    }

    fn body(&self, request: &ChatRequest<'_>, accepted: &AcceptedParams) -> Result<RequestBody, RequestError> {
        request::body(&self.remote.config, accepted, request)
    }

    fn read(reply: &Value) -> Result<ChatResponse, RequestError> {
        reply::read(reply)
    }

    fn reader<'r>(server: &'r ApiClient, writer: &'r StreamWriter<'r>, max_bytes: usize) -> Self::Reader<'r> {
        reply::AnthropicStream::new(server, writer, max_bytes)
    }
}
