//! What all dialects share: check the messages, send the request, drop parameters that the server refuses, record the
//! usage.

use std::future::ready;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use reqwest::RequestBuilder;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use serde_json::Value;

use super::batch::BatchApi;
use super::body::RequestBody;
use super::config::ChatConfig;
use super::limits::ModelLimits;
use super::model::ChatModel;
use super::params::SamplingParams;
use super::remote::RemoteModel;
use super::reply;
use super::request::ChatRequest;
use super::request_key::request_key;
use super::stream_writer::StreamWriter;
use super::supported_params::AcceptedParams;
use super::system_role;
use super::usage;
use super::validate;
use crate::chat::{ChatResponse, ModelDescription};
use crate::error::{Error, ErrorCode, Result};
use crate::http::{ApiClient, ReadStream, RequestError, tidy};

/// A dialect: the path of a request, its body, and how the response is read.
pub(super) trait Dialect: Clone + Send + Sync + 'static {
    /// The path below the base URL.
    const PATH: &'static [&'static str];
    /// Reads a streamed response.
    type Reader<'r>: ReadStream<Output = ChatResponse> + Send;

    /// The model and its server.
    fn remote(&self) -> &RemoteModel;

    /// The same with another configuration.
    fn with_remote(&self, remote: RemoteModel) -> Self;

    /// Checks for content that the API does not support, before anything is sent.
    fn check(&self, _request: &ChatRequest<'_>) -> Result<()> {
        Ok(())
    }

    /// The body of a request with the accepted parameters. Sends nothing.
    fn body(&self, request: &ChatRequest<'_>, accepted: &AcceptedParams) -> Result<RequestBody, RequestError>;

    /// The body as it is sent: a dialect may query its server first.
    fn sent_body<'a>(
        &'a self,
        request: &'a ChatRequest<'a>,
        accepted: &'a AcceptedParams,
    ) -> BoxFuture<'a, Result<RequestBody, RequestError>> {
        Box::pin(ready(self.body(request, accepted)))
    }

    /// Reads a response that is not streamed, including tool calls.
    fn read(reply: &Value) -> Result<ChatResponse, RequestError>;

    /// Starts to read a streamed response of at most `max_bytes`.
    fn reader<'r>(server: &'r ApiClient, writer: &'r StreamWriter<'r>, max_bytes: usize) -> Self::Reader<'r>;
}

impl<D: Dialect> ChatModel for D {
    fn description(&self) -> ModelDescription {
        let RemoteModel { server, config, .. } = self.remote();
        ModelDescription { name: tidy(&config.model), endpoint: Some(server.origin()), is_language_model: true }
    }

    fn complete<'a>(&'a self, request: &'a ChatRequest<'a>) -> BoxFuture<'a, Result<ChatResponse>> {
        Box::pin(complete(self, request))
    }

    fn request_key(&self, request: &ChatRequest<'_>) -> String {
        request_key(&self.remote().config, request)
    }

    fn limits(&self) -> ModelLimits {
        ModelLimits::of(&self.remote().config)
    }

    fn with_params(&self, params: SamplingParams) -> Arc<dyn ChatModel> {
        let remote = self.remote().clone();
        Arc::new(self.with_remote(RemoteModel { config: ChatConfig { params, ..remote.config }, ..remote }))
    }

    fn takes_tools(&self) -> bool {
        !self.remote().supported.current().refuses_tools
    }

    fn batch_api(&self) -> Option<BatchApi> {
        let RemoteModel { server, config, .. } = self.remote();
        let prices = config.prices();
        Some(BatchApi::new(server.clone(), config.provider.batch?, prices, D::PATH, |reply| {
            reply::without_calls(D::read(reply)?)
        }))
    }

    fn request_body(&self, request: &ChatRequest<'_>) -> Result<RequestBody> {
        let RemoteModel { server, config, supported, .. } = self.remote();
        validate::check(config, server.name(), request)?;
        let accepted = supported.current();
        let folded = accepted.folds_system.then(|| system_role::fold(request.messages));
        let request = &ChatRequest { messages: folded.as_deref().unwrap_or(request.messages), ..*request };
        self.body(request, &accepted).map_err(|failure| failure.into_error(server.name()))
    }
}

/// Sends a request until it succeeds or is refused for a reason other than a parameter.
async fn complete<D: Dialect>(dialect: &D, request: &ChatRequest<'_>) -> Result<ChatResponse> {
    let RemoteModel { server, config, supported, learnt, warnings } = dialect.remote();
    dialect.check(request)?;
    validate::check(config, server.name(), request)?;
    let has_tools = !request.tools.is_empty();
    if has_tools && !dialect.takes_tools() {
        let error = Error::service(server.name(), format!("{} has no tool calls", tidy(&config.model)), "");
        return Err(error.with_code(ErrorCode::ToolsUnsupported));
    }
    let (prompt, _) = usage::estimate(config, request);
    learnt.check(server.name(), request.messages, prompt.prompt_tokens)?;
    let writer = request.stream.map(StreamWriter::new);
    let format = request.response_format;
    let mut n_refused = 0;
    let mut response = loop {
        let accepted = supported.current();
        match send(dialect, request, &accepted, writer.as_ref()).await {
            Ok((mut response, n_attempts)) => {
                response.n_attempts = n_refused + n_attempts;
                response.dropped_params = accepted.dropped_names(config, format);
                break response;
            }
            Err(failure) if has_tools && supported.learn_tools(config, &failure) => {
                return Err(failure.with_code(ErrorCode::ToolsUnsupported).into_error(server.name()));
            }
            // Each refusal removes or renames a parameter, so the loop ends.
            Err(failure) if supported.learn(config, format, &accepted, &failure) => n_refused += 1,
            Err(failure) => {
                learnt.learn(&failure, request.messages, prompt.prompt_tokens);
                return Err(failure.into_error(server.name()));
            }
        }
    };
    learnt.accept(request.messages, prompt.prompt_tokens);
    if let Some(usage) = response.usage {
        let counted = usage.prompt_tokens.unwrap_or_default() + usage.completion_tokens.unwrap_or_default();
        server.correct(dialect.remote().n_tokens(request), counted);
    }
    usage::record(config, server.name(), warnings, request, &mut response)?;
    Ok(response)
}

/// Sends a request with the accepted parameters, with retries, and streams the text to `writer` where there is one. Also
/// returns the number of attempts.
async fn send<D: Dialect>(
    dialect: &D,
    request: &ChatRequest<'_>,
    accepted: &AcceptedParams,
    writer: Option<&StreamWriter<'_>>,
) -> Result<(ChatResponse, u32), RequestError> {
    let RemoteModel { server, config, .. } = dialect.remote();
    let folded = accepted.folds_system.then(|| system_role::fold(request.messages));
    let request = &ChatRequest { messages: folded.as_deref().unwrap_or(request.messages), ..*request };
    let (n_tokens, body) = (dialect.remote().n_tokens(request), dialect.sent_body(request, accepted).await?);
    let fill = |request| fill(request, &body);
    let read = |reply| D::read(&reply);
    let (response, n_attempts) = match writer {
        None => server.post(D::PATH, n_tokens, fill, read).await?,
        Some(writer) => {
            let begin = || D::reader(server, writer, config.server.max_reply_bytes);
            server.post_stream(D::PATH, n_tokens, fill, begin, read).await?
        }
    };
    let response = if request.tools.is_empty() { reply::without_calls(response)? } else { response };
    Ok((response, n_attempts))
}

/// Adds a body to a request, with its length, which many servers and proxies require.
fn fill(request: RequestBuilder, body: &RequestBody) -> RequestBuilder {
    request
        .header(CONTENT_TYPE, "application/json")
        .header(CONTENT_LENGTH, body.len_bytes())
        .body(body.to_request_body())
}
