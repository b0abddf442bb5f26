//! A model behind Anthropic's own `/messages`.
//!
//! Its OpenAI-compatible address ignores schemas and is "not for production" by its own word.

mod reply;
mod request;

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::adapt::Adapted;
use super::body::Body;
use super::wire::{self, Outcome, Relay, Remote, Wire, fill};
use super::{ChatConfig, ChatModel, ModelDescription, Question, ResponseFormat, SamplingParams, Terms, check};
use crate::error::Result;
use crate::message::{Answer, Message};

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

    /// The body of the request for `messages` that asks for the answer in one piece: what a dry run shows.
    ///
    /// # Errors
    /// As [`OpenAi::body`](super::OpenAi::body).
    pub fn body(&self, messages: &[Message], format: Option<&ResponseFormat>) -> Result<Body> {
        let Remote { server, config, taste } = &self.remote;
        check::check(config, server.name(), messages)?;
        Ok(request::body(config, &taste.now(), messages, format, false))
    }
}

impl Wire for Anthropic {
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
        Box::pin(async move {
            let fill = |request| fill(request, &body);
            let read = |reply| reply::read(&reply);
            let n_tokens = self.remote.n_tokens(question);
            match relay {
                None => server.post(&["messages"], n_tokens, fill, read).await,
                Some(relay) => {
                    let begin = || reply::Reader::new(server, relay, config.server.max_reply_bytes);
                    server.post_stream(&["messages"], n_tokens, fill, begin, read).await
                }
            }
        })
    }
}

impl ChatModel for Anthropic {
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
