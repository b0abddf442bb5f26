//! A model behind Ollama's own `/api/chat`.
//!
//! Its OpenAI-compatible address takes no length of the context: what does not fit into the default of some thousand
//! tokens is cut without a word. Here the length is asked for with each request.

mod reply;
mod request;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::adapt::Adapted;
use super::wire::{self, Outcome, Relay, Remote, Wire, fill};
use super::{Body, ChatConfig, ChatModel, ModelDescription, Question, SamplingParams, Terms, account, check};
use crate::error::{Error, Result};
use crate::message::Answer;
use crate::service::{Failure, Kind};

/// A model of Ollama's; cloning shares its connections and what it learnt of the model.
#[derive(Clone, Debug)]
pub struct Ollama {
    remote: Remote,
    /// The model's longest context in tokens; None where the server does not say.
    most_context: Arc<OnceCell<Option<u64>>>,
}

impl Ollama {
    /// Checks the configuration; connects to nothing. A `/v1` at the end of the address, which is that of the
    /// compatible API, is left out.
    ///
    /// # Errors
    /// As [`OpenAi::new`](super::OpenAi::new).
    pub fn new(mut config: ChatConfig) -> Result<Self> {
        let url = &mut config.server.base_url;
        let path = url.path().trim_end_matches('/');
        let path = path.strip_suffix("/v1").unwrap_or(path).to_owned();
        url.set_path(&path);
        Ok(Self { remote: Remote::new(config)?, most_context: Arc::default() })
    }

    /// Asks the server for the longest context of the model.
    async fn most_context(&self) -> Option<u64> {
        let ask = async || {
            let Remote { server, config, .. } = &self.remote;
            let body = json!({"model": config.model}).to_string();
            let fill = |request: reqwest::RequestBuilder| {
                request.header(reqwest::header::CONTENT_TYPE, "application/json").body(body.clone())
            };
            let read = |reply: Value| {
                let info = reply.get("model_info").and_then(Value::as_object);
                // `qwen25vl.context_length`
                let found = info.and_then(|info| info.iter().find(|(key, _)| key.ends_with(".context_length")));
                Ok(found.and_then(|(_, value)| value.as_u64()))
            };
            match server.post(&["api", "show"], 0, fill, read).await {
                Ok((most, _)) => most,
                Err(failure) => {
                    tracing::warn!(
                        "{}: does not say how long the model's context is: {}",
                        server.name(),
                        failure.problem
                    );
                    None
                }
            }
        };
        *self.most_context.get_or_init(ask).await
    }

    /// The context that a question needs.
    async fn context(&self, question: &Question<'_>) -> Result<u64, Failure> {
        let config = &self.remote.config;
        let (_, tokens) = account::estimate(config, question.messages);
        let answer = config.params.max_tokens.map_or(request::ANSWER_TOKENS, u64::from);
        let wanted = request::context(tokens.likely, answer);
        let Some(most) = self.most_context().await.filter(|most| wanted > *most) else { return Ok(wanted) };
        if tokens.least.saturating_add(answer) > most {
            let problem = format!(
                "a request of at least {} tokens, and {answer} for the answer, do not fit into the \
                 model's context of {most}",
                tokens.least
            );
            let advice = "send fewer frames (--interval, --max-frames) or smaller ones (--max-width)";
            return Err(Failure { is_limit: true, ..Failure::new(Kind::Final, problem, advice) });
        }
        Ok(most)
    }
}

impl Wire for Ollama {
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
        Box::pin(async move {
            let n_context = self.context(question).await?;
            let body = request::body(config, sent, question, n_context);
            let fill = |request| fill(request, &body);
            let read = |reply| reply::read(&reply);
            let (path, n_tokens) = (&["api", "chat"], self.remote.n_tokens(question));
            match relay {
                None => server.post(path, n_tokens, fill, read).await,
                Some(relay) => {
                    let begin = || reply::Reader::new(server, relay, config.server.max_reply_bytes);
                    server.post_stream(path, n_tokens, fill, begin, read).await
                }
            }
        })
    }
}

impl ChatModel for Ollama {
    fn description(&self) -> ModelDescription {
        self.remote.description()
    }

    fn answer<'a>(&'a self, question: &'a Question<'a>) -> BoxFuture<'a, Result<Answer>> {
        Box::pin(async move {
            if question.messages.iter().flat_map(|message| &message.parts).any(request::is_address) {
                let problem = "Ollama fetches no pictures from addresses";
                return Err(Error::usage(self.remote.server.name(), problem, "leave out --image-transport url"));
            }
            wire::answer(self, question).await
        })
    }

    fn terms(&self) -> Option<Terms> {
        Some(Terms::of(&self.remote.config))
    }

    fn with_params(&self, params: SamplingParams) -> Option<Arc<dyn ChatModel>> {
        Some(Arc::new(Self { remote: self.remote.with_params(params), most_context: Arc::clone(&self.most_context) }))
    }

    fn request(&self, question: &Question<'_>) -> Result<Option<Body>> {
        let Remote { server, config, taste } = &self.remote;
        check::check(config, server.name(), question.messages)?;
        let (_, tokens) = account::estimate(config, question.messages);
        let answer = config.params.max_tokens.map_or(request::ANSWER_TOKENS, u64::from);
        // The server would be asked how much it takes.
        Ok(Some(request::body(config, &taste.now(), question, request::context(tokens.likely, answer))))
    }
}
