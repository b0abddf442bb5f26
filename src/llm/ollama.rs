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

use super::dialect::{Dialect, Relay, RemoteModel};
use super::supported_params::Adapted;
use super::{ChatConfig, ChatRequest, RequestBody, account};
use crate::chat::ChatResponse;
use crate::error::{Error, Result};
use crate::http::{ApiClient, RequestError, RequestErrorKind};

/// A model of Ollama's; cloning shares its connections and what it learnt of the model.
#[derive(Clone, Debug)]
pub struct Ollama {
    remote: RemoteModel,
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
        Ok(Self { remote: RemoteModel::new(config)?, most_context: Arc::default() })
    }

    /// Asks the server for the longest context of the model.
    async fn most_context(&self) -> Option<u64> {
        let ask = async || {
            let RemoteModel { server, config, .. } = &self.remote;
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

    /// The context that a question probably wants, and the least that it and its answer need.
    fn wanted(&self, question: &ChatRequest<'_>) -> (u64, u64) {
        let config = &self.remote.config;
        let (_, tokens) = account::estimate(config, question.messages);
        let answer = config.params.max_tokens.map_or(request::ANSWER_TOKENS, u64::from);
        (request::context(tokens.likely, answer), tokens.least.saturating_add(answer))
    }

    /// The context that is asked for.
    async fn context(&self, question: &ChatRequest<'_>) -> Result<u64, RequestError> {
        let (wanted, least) = self.wanted(question);
        let Some(most) = self.most_context().await.filter(|most| wanted > *most) else { return Ok(wanted) };
        if least > most {
            let problem = format!(
                "a request and its answer of at least {least} tokens do not fit into the model's context of {most}"
            );
            let advice = "send fewer frames (--interval, --max-frames) or smaller ones (--max-width)";
            return Err(RequestError { is_limit: true, ..RequestError::new(RequestErrorKind::Final, problem, advice) });
        }
        Ok(most)
    }
}

impl Dialect for Ollama {
    const PATH: &'static [&'static str] = &["api", "chat"];
    type Reader<'r> = reply::Reader<'r>;

    fn remote(&self) -> &RemoteModel {
        &self.remote
    }

    fn with_remote(&self, remote: RemoteModel) -> Self {
        Self { remote, most_context: Arc::clone(&self.most_context) }
    }

    fn check(&self, question: &ChatRequest<'_>) -> Result<()> {
        if question.messages.iter().flat_map(|message| &message.parts).any(request::is_address) {
            let problem = "Ollama fetches no pictures from addresses";
            return Err(Error::usage(self.remote.server.name(), problem, "leave out --image-transport url"));
        }
        Ok(())
    }

    /// With the context that the question wants: what the model has at most is asked of the server only where it is sent.
    fn body(&self, question: &ChatRequest<'_>, sent: &Adapted) -> RequestBody {
        request::body(&self.remote.config, sent, question, self.wanted(question).0)
    }

    fn sent_body<'a>(
        &'a self,
        question: &'a ChatRequest<'a>,
        sent: &'a Adapted,
    ) -> BoxFuture<'a, Result<RequestBody, RequestError>> {
        Box::pin(async move {
            let n_context = self.context(question).await?;
            Ok(request::body(&self.remote.config, sent, question, n_context))
        })
    }

    fn read(reply: &Value) -> Result<ChatResponse, RequestError> {
        reply::read(reply)
    }

    fn reader<'r>(server: &'r ApiClient, relay: &'r Relay<'r>, max_bytes: usize) -> Self::Reader<'r> {
        reply::Reader::new(server, relay, max_bytes)
    }
}
