//! A model behind an OpenAI-compatible `/chat/completions`.

mod request;
mod stream;

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::adapt::Adapted;
use super::body::Body;
use super::reply;
use super::wire::{self, Outcome, Relay, Remote, Wire, fill};
use super::{ChatConfig, ChatModel, ModelDescription, Question, ResponseFormat, SamplingParams, Terms, check};
use crate::error::Result;
use crate::message::{Answer, Message};
use crate::service::{Server, ServerConfig, tidy};

/// A model behind an OpenAI-compatible server; cloning shares its connections and what it learnt of the model.
#[derive(Clone)]
pub struct OpenAi {
    remote: Remote,
}

impl OpenAi {
    /// Checks the configuration; connects to nothing.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::Error::Usage) where a parameter is out of its range or known not to be taken under
    /// `strict_params`, the model has no name, or the key would be sent unencrypted;
    /// [`Error::Service`](crate::Error::Service) where the machine has no working TLS.
    pub fn new(config: ChatConfig) -> Result<Self> {
        Ok(Self { remote: Remote::new(config)? })
    }

    /// The body of the request for `messages` that asks for the answer in one piece: what a dry run shows.
    ///
    /// # Errors
    /// [`Error::Limit`](crate::Error::Limit) where there are more or larger pictures than one request may hold;
    /// [`Error::Usage`](crate::Error::Usage) where a picture stands in a system message or is of a format that the
    /// provider does not take, or there is no message.
    pub fn body(&self, messages: &[Message], format: Option<&ResponseFormat>) -> Result<Body> {
        let Remote { server, config, taste } = &self.remote;
        check::check(config, server.name(), messages)?;
        Ok(request::body(config, &taste.now(), messages, format, false))
    }
}

impl Wire for OpenAi {
    fn remote(&self) -> &Remote {
        &self.remote
    }

    fn put<'a>(
        &'a self,
        question: &'a Question<'a>,
        sent: &'a Adapted,
        relay: Option<&'a Relay<'a>>,
    ) -> BoxFuture<'a, Outcome> {
        let Remote { server, config, .. } = &self.remote;
        let body = request::body(config, sent, question.messages, question.response_format, relay.is_some());
        let (path, n_tokens) = (&["chat", "completions"], self.remote.n_tokens(question));
        Box::pin(async move {
            let fill = |request| fill(request, &body);
            let read = |reply| reply::read(&reply);
            match relay {
                None => server.post(path, n_tokens, fill, read).await,
                Some(relay) => {
                    let begin = || stream::Reader::new(server, relay, config.server.max_reply_bytes);
                    server.post_stream(path, n_tokens, fill, begin, read).await
                }
            }
        })
    }
}

impl ChatModel for OpenAi {
    fn description(&self) -> ModelDescription {
        self.remote.description()
    }

    fn answer<'a>(&'a self, question: &'a Question<'a>) -> BoxFuture<'a, Result<Answer>> {
        Box::pin(wire::answer(self, question))
    }

    fn terms(&self) -> Option<Terms> {
        Some(Terms::of(&self.remote.config))
    }

    fn with_params(&self, params: SamplingParams) -> Option<Arc<dyn ChatModel>> {
        Some(Arc::new(Self { remote: self.remote.with_params(params) }))
    }

    fn request(&self, question: &Question<'_>) -> Result<Option<Body>> {
        self.body(question.messages, question.response_format).map(Some)
    }
}

impl fmt::Debug for OpenAi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAi").field("config", &self.remote.config).finish_non_exhaustive()
    }
}

/// The names of the models that a server offers, in its order.
///
/// # Errors
/// [`Error::Service`](crate::Error::Service) where it does not answer or has no such list; as [`OpenAi::new`] for the
/// configuration.
pub async fn list_models(server: ServerConfig) -> Result<Vec<String>> {
    let server = Server::new(server)?;
    let names = |reply: serde_json::Value| {
        let models = reply.get("data").and_then(|data| data.as_array()).cloned().unwrap_or_default();
        Ok(models.iter().filter_map(|model| model.get("id")?.as_str().map(tidy)).collect())
    };
    let (names, _) = server.get(&["models"], names).await.map_err(|failure| failure.into_error(server.name()))?;
    Ok(names)
}
