//! Models behind Ollama's `/api/chat`.
//!
//! Ollama's OpenAI-compatible API has no parameter for the context length and silently truncates requests that exceed the
//! default of a few thousand tokens. This API accepts the length with each request.

mod reply;
mod request;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::body::RequestBody;
use super::config::ChatConfig;
use super::dialect::Dialect;
use super::remote::RemoteModel;
use super::request::ChatRequest;
use super::stream_writer::StreamWriter;
use super::supported_params::AcceptedParams;
use super::usage;
use crate::advice::{Advice, Setting};
use crate::chat::ChatResponse;
use crate::error::{Error, ErrorCode, Result};
use crate::http::{ApiClient, RequestError, RequestErrorKind};

/// A model of Ollama. Clones share connections and what was learnt about the model.
#[derive(Clone, Debug)]
pub struct Ollama {
    remote: RemoteModel,
    facts: Arc<OnceCell<ModelFacts>>,
}

/// What the server reports about the model; None where it does not.
#[derive(Clone, Copy, Debug, Default)]
struct ModelFacts {
    /// The longest context in tokens.
    max_context: Option<u64>,
    /// Whether its template has tools.
    has_tools: Option<bool>,
}

impl Ollama {
    /// Checks the configuration. Sends nothing. A trailing `/v1` of the address, which belongs to the compatible API, is
    /// removed.
    ///
    /// # Errors
    /// As [`OpenAi::new`](super::OpenAi::new).
    pub fn new(mut config: ChatConfig) -> Result<Self> {
        let url = &mut config.server.base_url;
        let path = url.path().trim_end_matches('/');
        let path = path.strip_suffix("/v1").unwrap_or(path).to_owned();
        url.set_path(&path);
        Ok(Self { remote: RemoteModel::new(config)?, facts: Arc::default() })
    }

    /// Queries the server for the longest context of the model and for its capabilities.
    async fn facts(&self) -> ModelFacts {
        let query = async || {
            let RemoteModel { server, config, .. } = &self.remote;
            let body = json!({"model": config.model}).to_string();
            let fill = |request: reqwest::RequestBuilder| {
                request.header(reqwest::header::CONTENT_TYPE, "application/json").body(body.clone())
            };
            let read = |reply: Value| {
                let info = reply.get("model_info").and_then(Value::as_object);
                // `qwen25vl.context_length`
                let found = info.and_then(|info| info.iter().find(|(key, _)| key.ends_with(".context_length")));
                let max_context = found.and_then(|(_, value)| value.as_u64());
                let capabilities = reply.get("capabilities").and_then(Value::as_array);
                let has_tools = capabilities.map(|names| names.iter().any(|name| name == "tools"));
                Ok(ModelFacts { max_context, has_tools })
            };
            match server.post(&["api", "show"], 0, fill, read).await {
                Ok((facts, _)) => facts,
                Err(failure) => {
                    tracing::warn!(
                        "{}: does not report the length of the model's context: {}",
                        server.name(),
                        failure.problem
                    );
                    ModelFacts::default()
                }
            }
        };
        *self.facts.get_or_init(query).await
    }

    /// The likely context of a request, and the minimum for it and its answer.
    fn wanted(&self, request: &ChatRequest<'_>) -> (u64, u64) {
        let config = &self.remote.config;
        let (_, tokens) = usage::estimate(config, request);
        let answer = config.params.max_tokens.map_or(request::ANSWER_TOKENS, u64::from);
        (request::context(tokens.likely, answer), tokens.least.saturating_add(answer))
    }

    /// The context to request.
    async fn context(&self, request: &ChatRequest<'_>) -> Result<u64, RequestError> {
        let (wanted, least) = self.wanted(request);
        let facts = self.facts().await;
        if !request.tools.is_empty() && facts.has_tools == Some(false) {
            let problem = format!("{} does not support tools", self.remote.config.model);
            let failure = RequestError::new(RequestErrorKind::Final, problem, Advice::Check(Setting::Model));
            return Err(failure.with_code(ErrorCode::ToolsUnsupported));
        }
        let Some(max) = facts.max_context.filter(|max| wanted > *max) else { return Ok(wanted) };
        if least > max {
            let problem =
                format!("the request and its answer need at least {least} tokens; the model's context has {max}");
            let failure = RequestError::new(RequestErrorKind::Final, problem, Advice::send_less());
            return Err(failure.with_code(ErrorCode::RequestTooLarge));
        }
        Ok(max)
    }
}

impl Dialect for Ollama {
    const PATH: &'static [&'static str] = &["api", "chat"];
    type Reader<'r> = reply::OllamaStream<'r>;

    fn remote(&self) -> &RemoteModel {
        &self.remote
    }

    fn with_remote(&self, remote: RemoteModel) -> Self {
        Self { remote, facts: Arc::clone(&self.facts) }
    }

    fn check(&self, request: &ChatRequest<'_>) -> Result<()> {
        if request.messages.iter().flat_map(|message| &message.parts).any(request::is_address) {
            let problem = "Ollama does not download images from URLs";
            return Err(Error::usage(self.remote.server.name(), problem, Advice::Unset(Setting::ImageTransport)));
        }
        Ok(())
    }

    /// With the likely context of the request. The server is queried for the maximum only when the request is sent.
    fn body(&self, request: &ChatRequest<'_>, accepted: &AcceptedParams) -> Result<RequestBody, RequestError> {
        request::body(&self.remote.config, accepted, request, self.wanted(request).0)
    }

    fn sent_body<'a>(
        &'a self,
        request: &'a ChatRequest<'a>,
        accepted: &'a AcceptedParams,
    ) -> BoxFuture<'a, Result<RequestBody, RequestError>> {
        Box::pin(async move {
            let n_context = self.context(request).await?;
            request::body(&self.remote.config, accepted, request, n_context)
        })
    }

    fn read(reply: &Value) -> Result<ChatResponse, RequestError> {
        reply::read(reply)
    }

    fn reader<'r>(server: &'r ApiClient, writer: &'r StreamWriter<'r>, max_bytes: usize) -> Self::Reader<'r> {
        reply::OllamaStream::new(server, writer, max_bytes)
    }
}
