//! What a model is: evidence in, an answer out.

mod account;
mod adapt;
pub mod anthropic;
pub mod batch;
mod body;
pub mod builtin;
mod check;
pub mod known;
pub mod ollama;
pub mod openai;
pub mod params;
pub mod price;
pub mod provider;
mod reply;
mod sse;
mod terms;
pub mod tokens;
mod wire;

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::message::{Answer, Message};
use crate::service::ServerConfig;
use crate::timeline::Timeline;

pub use self::anthropic::Anthropic;
use self::batch::BatchApi;
pub use self::body::Body;
use self::known::ModelFacts;
pub use self::ollama::Ollama;
pub use self::openai::OpenAi;
pub use self::params::{Detail, ResponseFormat, SamplingParams};
use self::provider::{Dialect, Provider, Providers};
pub use self::terms::Terms;

/// A model that answers about a video.
pub trait ChatModel: Send + Sync {
    /// What the report says of this model.
    fn description(&self) -> ModelDescription;

    /// Answers one question.
    ///
    /// # Errors
    /// [`Error::Service`] where a server refuses, fails for good or answers nonsense;
    /// [`Error::Limit`] where the request is larger than may be sent, or than the server takes.
    fn answer<'a>(&'a self, question: &'a Question<'a>) -> BoxFuture<'a, Result<Answer>>;

    /// What a request may hold and costs; None where no server is asked.
    fn terms(&self) -> Option<Terms> {
        None
    }

    /// The same model, asked with other parameters; None where it has none.
    fn with_params(&self, _params: SamplingParams) -> Option<Arc<dyn ChatModel>> {
        None
    }

    /// The provider's batch API; None where it has none that is known.
    fn batch_api(&self) -> Option<BatchApi> {
        None
    }

    /// The request for a question, as it would be sent; nothing is. None where no server is asked.
    ///
    /// # Errors
    /// As [`ChatModel::answer`], for what is seen before a byte is sent.
    fn request(&self, _question: &Question<'_>) -> Result<Option<Body>> {
        Ok(None)
    }
}

/// One question: the messages that a chat model reads and the evidence behind them.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// System and user messages, pictures included.
    pub messages: &'a [Message],
    /// The same evidence as data: what the built-in model reads.
    pub timeline: &'a Timeline,
    /// The form of the answer; None for free text. The built-in model does not heed it.
    pub response_format: Option<&'a ResponseFormat>,
    /// Gets the text while it is written; None asks for the answer in one piece. The built-in model does not heed it.
    pub live: Option<Live<'a>>,
}

impl<'a> Question<'a> {
    /// A question for free text, in one piece.
    #[must_use]
    pub fn new(messages: &'a [Message], timeline: &'a Timeline) -> Self {
        Self { messages, timeline, response_format: None, live: None }
    }
}

/// Who reads along while an answer is written. Called between two reads of the network: it should be quick.
#[derive(Clone, Copy)]
pub struct Live<'a>(pub &'a (dyn Fn(LiveText<'_>) + Send + Sync));

impl fmt::Debug for Live<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Live")
    }
}

/// What comes while an answer is written. The answer itself holds the whole text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LiveText<'a> {
    /// The next piece of the first alternative's text: untrusted.
    Piece(&'a str),
    /// The connection broke, and the answer begins anew: the pieces until now are void.
    Restart,
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
    pub facts: Option<ModelFacts>,
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
            facts: ModelFacts::of(&provider.name, &model).cloned(),
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
            return Err(Error::usage("--model", "is empty", "name a model of the server"));
        }
        Ok(())
    }
}

/// The model, in the dialect of its provider. Connects to nothing.
///
/// # Errors
/// [`Error::Usage`] where a parameter is out of its range, the model has no name, or the key would be sent unencrypted;
/// [`Error::Service`] where the machine has no working TLS.
pub fn connect(config: ChatConfig) -> Result<Arc<dyn ChatModel>> {
    Ok(match config.provider.dialect {
        Dialect::Openai => Arc::new(OpenAi::new(config)?),
        Dialect::Anthropic => Arc::new(Anthropic::new(config)?),
        Dialect::Ollama => Arc::new(Ollama::new(config)?),
    })
}
