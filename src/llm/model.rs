//! What every chat model can do.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::batch::BatchApi;
use super::body::RequestBody;
use super::limits::ModelLimits;
use super::params::SamplingParams;
use super::request::ChatRequest;
use crate::chat::{ChatResponse, ModelDescription};
use crate::error::Result;

/// A chat model on a server.
pub trait ChatModel: Send + Sync {
    /// The model as the report describes it.
    fn description(&self) -> ModelDescription;

    /// Completes one request.
    ///
    /// # Errors
    /// [`ErrorKind::Service`](crate::ErrorKind::Service) where the server refuses, keeps failing or sends an invalid response;
    /// [`ErrorKind::Limit`](crate::ErrorKind::Limit) where the request is larger than the limits or than the server accepts.
    /// The code is [`ErrorCode::ToolsUnsupported`](crate::error::ErrorCode::ToolsUnsupported) where the request has tools and
    /// the server has no tool calls.
    fn complete<'a>(&'a self, request: &'a ChatRequest<'a>) -> BoxFuture<'a, Result<ChatResponse>>;

    /// A digest of all that decides the response: server, model, parameters, tools, format and messages, in hexadecimal. It does
    /// not depend on the API key.
    fn request_key(&self, request: &ChatRequest<'_>) -> String;

    /// The limits and prices of one request.
    fn limits(&self) -> ModelLimits;

    /// The same model with other sampling parameters.
    fn with_params(&self, params: SamplingParams) -> Arc<dyn ChatModel>;

    /// Whether requests may have tools: false once the server has refused one for its tools, or where the provider's row
    /// lists `tools` as refused.
    fn takes_tools(&self) -> bool;

    /// The provider's batch API; None where none is known.
    fn batch_api(&self) -> Option<BatchApi>;

    /// The body that [`ChatModel::complete`] would send. Sends nothing.
    ///
    /// # Errors
    /// As [`ChatModel::complete`], for what is checked before anything is sent.
    fn request_body(&self, request: &ChatRequest<'_>) -> Result<RequestBody>;
}
