//! What a model is: evidence in, an answer out.

mod account;
pub mod anthropic;
pub mod batch;
mod body;
pub mod catalog;
pub mod cost;
mod dialect;
mod limits;
pub mod ollama;
pub mod openai;
pub mod params;
pub mod provider;
mod reply;
mod sse;
mod supported_params;
pub mod tokens;
mod validate;

use std::fmt;
use std::sync::Arc;

use crate::chat::{ChatResponse, Message, ModelDescription};
use crate::error::{Error, Result};
use crate::http::ServerConfig;
use crate::limits::Limits;
use futures_util::future::BoxFuture;

pub use self::anthropic::Anthropic;
use self::batch::BatchApi;
pub use self::body::RequestBody;
use self::catalog::CatalogEntry;
pub use self::limits::ModelLimits;
pub use self::ollama::Ollama;
pub use self::openai::OpenAi;
pub use self::params::{Detail, ResponseFormat, SamplingParams};
use self::provider::{DialectKind, Provider, Providers};

/// A chat model on a server.
pub trait ChatModel: Send + Sync {
    /// What the report says of this model.
    fn description(&self) -> ModelDescription;

    /// Completes one request.
    ///
    /// # Errors
    /// [`ErrorKind::Service`](crate::ErrorKind::Service) where a server refuses, fails for good or answers nonsense;
    /// [`ErrorKind::Limit`](crate::ErrorKind::Limit) where the request is larger than may be sent, or than the server takes.
    fn complete<'a>(&'a self, request: &'a ChatRequest<'a>) -> BoxFuture<'a, Result<ChatResponse>>;

    /// What one request may hold and what it costs.
    fn limits(&self) -> ModelLimits;

    /// The same model with other sampling parameters.
    fn with_params(&self, params: SamplingParams) -> Arc<dyn ChatModel>;

    /// The provider's batch API; None where it has none that is known.
    fn batch_api(&self) -> Option<BatchApi>;

    /// The body that [`ChatModel::complete`] would send; nothing is sent.
    ///
    /// # Errors
    /// As [`ChatModel::complete`], for what is checked before a byte is sent.
    fn request_body(&self, request: &ChatRequest<'_>) -> Result<RequestBody>;
}

/// One request to a chat model.
#[derive(Clone, Copy, Debug)]
pub struct ChatRequest<'a> {
    /// System and user messages, pictures included.
    pub messages: &'a [Message],
    /// The form of the response; None for free text.
    pub response_format: Option<&'a ResponseFormat>,
    /// Receives the text while the model writes it; None asks for the response in one piece.
    pub stream: Option<StreamSink<'a>>,
}

impl<'a> ChatRequest<'a> {
    /// A request for free text, in one piece.
    #[must_use]
    pub fn new(messages: &'a [Message]) -> Self {
        Self { messages, response_format: None, stream: None }
    }
}

/// Who reads along while an answer is written. Called between two reads of the network: it should be quick.
#[derive(Clone, Copy)]
pub struct StreamSink<'a>(pub &'a (dyn Fn(StreamUpdate<'_>) + Send + Sync));

impl fmt::Debug for StreamSink<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamSink")
    }
}

/// What comes while an answer is written. The answer itself holds the whole text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamUpdate<'a> {
    /// The next piece of the first alternative's text: untrusted.
    Piece(&'a str),
    /// The connection broke, and the answer begins anew: the pieces until now are void.
    Restart,
}

/// Which model is asked, where, and how.
#[derive(Clone, Debug)]
pub struct ChatConfig {
    /// The server.
    pub server: ServerConfig,
    /// The model's name as the server knows it.
    pub model: String,
    /// Who serves it.
    pub provider: Provider,
    /// What is known of the model; None where nothing is, and safe assumptions are made.
    pub facts: Option<CatalogEntry>,
    /// Sampling parameters.
    pub params: SamplingParams,
    /// Whether a parameter that the model does not take ends the run, in place of being left out.
    pub strict_params: bool,
    /// Limits of one request, which those of the provider lower.
    pub limits: Limits,
}

impl ChatConfig {
    /// No parameters, default limits; the provider is told by the address, what is known of the model by its name.
    #[must_use]
    pub fn new(server: ServerConfig, model: impl Into<String>) -> Self {
        let provider = Providers::default().at(&server.base_url).clone();
        Self::with_provider(provider, server, model)
    }

    /// As [`ChatConfig::new`], with the provider named.
    #[must_use]
    pub fn with_provider(provider: Provider, server: ServerConfig, model: impl Into<String>) -> Self {
        let model = model.into();
        Self {
            facts: CatalogEntry::of(&provider.name, &model).cloned(),
            server: provider.prepare(server),
            model,
            provider,
            params: SamplingParams::default(),
            strict_params: false,
            limits: Limits::default(),
        }
    }

    /// The limits of one request: the caller's and the provider's.
    #[must_use]
    pub fn request_limits(&self) -> Limits {
        self.provider.narrow(self.limits, self.facts.as_ref().and_then(|facts| facts.context))
    }

    fn check(&self) -> Result<()> {
        self.params.check()?;
        if self.model.trim().is_empty() {
            return Err(Error::setting(crate::advice::Setting::Model, "is empty", "name a model of the server"));
        }
        Ok(())
    }
}

/// The model, in the dialect of its provider. Connects to nothing.
///
/// # Errors
/// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where a parameter is out of its range, the model has no name, or the key would be sent unencrypted;
/// [`ErrorKind::Service`](crate::ErrorKind::Service) where the machine has no working TLS.
pub fn connect(config: ChatConfig) -> Result<Arc<dyn ChatModel>> {
    Ok(match config.provider.dialect {
        DialectKind::Openai => Arc::new(OpenAi::new(config)?),
        DialectKind::Anthropic => Arc::new(Anthropic::new(config)?),
        DialectKind::Ollama => Arc::new(Ollama::new(config)?),
    })
}
