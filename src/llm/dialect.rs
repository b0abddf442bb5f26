//! What all dialects share: the messages are checked, the question is put until the server takes its parameters, and
//! the answer is held against its estimate.

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;
use reqwest::RequestBuilder;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use serde_json::Value;

use super::batch::BatchApi;
use super::supported_params::{Adapted, SupportedParams};
use super::{
    ChatConfig, ChatModel, ChatRequest, ModelDescription, ModelLimits, RequestBody, SamplingParams, StreamSink,
    StreamUpdate, account, validate,
};
use crate::chat::ChatResponse;
use crate::error::Result;
use crate::http::{ApiClient, ReadStream, RequestError, tidy};

/// A model on a server, and what is known of both; cloning shares connections and knowledge.
#[derive(Clone, Debug)]
pub(super) struct RemoteModel {
    pub server: ApiClient,
    pub config: ChatConfig,
    pub taste: SupportedParams,
}

impl RemoteModel {
    /// Checks the configuration; connects to nothing.
    pub fn new(config: ChatConfig) -> Result<Self> {
        config.check()?;
        Ok(Self { server: ApiClient::new(config.server.clone())?, taste: SupportedParams::new(&config)?, config })
    }

    /// What a question is expected to weigh: servers count what may be answered, too.
    pub fn n_tokens(&self, question: &ChatRequest<'_>) -> u64 {
        let (estimate, _) = account::estimate(&self.config, question.messages);
        estimate.prompt_tokens.saturating_add(self.config.params.max_tokens.map_or(0, u64::from))
    }
}

/// A dialect: where a question is put, in which form, and how the answer is read. All else is the same for all of them.
pub(super) trait Dialect: Clone + Send + Sync + 'static {
    /// The path beneath the server's address.
    const PATH: &'static [&'static str];
    /// Reads an answer that comes in pieces.
    type Reader<'r>: ReadStream<Output = ChatResponse> + Send;

    /// The server and its model.
    fn remote(&self) -> &RemoteModel;

    /// The same with another configuration.
    fn with_remote(&self, remote: RemoteModel) -> Self;

    /// What of a question the API has no place for, before anything is sent.
    fn check(&self, _question: &ChatRequest<'_>) -> Result<()> {
        Ok(())
    }

    /// The request's body with the parameters that `sent` leaves; asks nobody.
    fn body(&self, question: &ChatRequest<'_>, sent: &Adapted) -> RequestBody;

    /// The same as it is sent: a dialect may ask its server something before.
    fn sent_body<'a>(
        &'a self,
        question: &'a ChatRequest<'a>,
        sent: &'a Adapted,
    ) -> BoxFuture<'a, std::result::Result<RequestBody, RequestError>> {
        Box::pin(ready(Ok(self.body(question, sent))))
    }

    /// An answer in one piece.
    fn read(reply: &Value) -> std::result::Result<ChatResponse, RequestError>;

    /// Begins to read an answer in pieces, of at most `max_bytes`.
    fn reader<'r>(server: &'r ApiClient, relay: &'r Relay<'r>, max_bytes: usize) -> Self::Reader<'r>;
}

impl<W: Dialect> ChatModel for W {
    fn description(&self) -> ModelDescription {
        let RemoteModel { server, config, .. } = self.remote();
        ModelDescription { name: tidy(&config.model), endpoint: Some(server.origin()), is_language_model: true }
    }

    fn complete<'a>(&'a self, request: &'a ChatRequest<'a>) -> BoxFuture<'a, Result<ChatResponse>> {
        Box::pin(complete(self, request))
    }

    fn limits(&self) -> ModelLimits {
        ModelLimits::of(&self.remote().config)
    }

    fn with_params(&self, params: SamplingParams) -> Arc<dyn ChatModel> {
        let remote = self.remote().clone();
        Arc::new(self.with_remote(RemoteModel { config: ChatConfig { params, ..remote.config }, ..remote }))
    }

    fn batch_api(&self) -> Option<BatchApi> {
        BatchApi::of(self.remote(), W::PATH, W::read)
    }

    fn request_body(&self, request: &ChatRequest<'_>) -> Result<RequestBody> {
        let RemoteModel { server, config, taste } = self.remote();
        validate::check(config, server.name(), request.messages)?;
        Ok(self.body(request, &taste.now()))
    }
}

/// Puts a question until it is answered, or refused for another reason than a parameter.
async fn complete<W: Dialect>(wire: &W, question: &ChatRequest<'_>) -> Result<ChatResponse> {
    let RemoteModel { server, config, taste } = wire.remote();
    wire.check(question)?;
    validate::check(config, server.name(), question.messages)?;
    let relay = question.stream.map(Relay::new);
    let format = question.response_format;
    let mut n_refused = 0;
    let mut answer = loop {
        let adapted = taste.now();
        match put(wire, question, &adapted, relay.as_ref()).await {
            Ok((mut answer, n_attempts)) => {
                answer.n_attempts = n_refused + n_attempts;
                answer.dropped_params = adapted.dropped_names(config, format);
                break answer;
            }
            // Each refusal takes something away, so that this ends.
            Err(failure) if taste.learn(config, format, &adapted, &failure) => n_refused += 1,
            Err(failure) => return Err(failure.into_error(server.name())),
        }
    };
    if let Some(usage) = answer.usage {
        let counted = usage.prompt_tokens.unwrap_or_default() + usage.completion_tokens.unwrap_or_default();
        server.correct(wire.remote().n_tokens(question), counted);
    }
    account::settle(config, server.name(), question.messages, &mut answer)?;
    Ok(answer)
}

/// Puts a question with the parameters that `sent` leaves, tries again where that may help, and hands what comes to
/// `relay` where there is one. The answer comes with the number of its requests.
async fn put<W: Dialect>(
    wire: &W,
    question: &ChatRequest<'_>,
    sent: &Adapted,
    relay: Option<&Relay<'_>>,
) -> std::result::Result<(ChatResponse, u32), RequestError> {
    let RemoteModel { server, config, .. } = wire.remote();
    let (n_tokens, body) = (wire.remote().n_tokens(question), wire.sent_body(question, sent).await?);
    let fill = |request| fill(request, &body);
    let read = |reply| W::read(&reply);
    match relay {
        None => server.post(W::PATH, n_tokens, fill, read).await,
        Some(relay) => {
            let begin = || W::reader(server, relay, config.server.max_reply_bytes);
            server.post_stream(W::PATH, n_tokens, fill, begin, read).await
        }
    }
}

/// Puts a body on a request, with its length: many servers and proxies refuse one without.
fn fill(request: RequestBuilder, body: &RequestBody) -> RequestBuilder {
    request
        .header(CONTENT_TYPE, "application/json")
        .header(CONTENT_LENGTH, body.len_bytes())
        .body(body.to_request_body())
}

/// Hands text on, and says where it begins anew.
pub(super) struct Relay<'a> {
    live: StreamSink<'a>,
    has_sent: AtomicBool,
}

impl<'a> Relay<'a> {
    fn new(live: StreamSink<'a>) -> Self {
        Self { live, has_sent: AtomicBool::new(false) }
    }

    /// A try begins.
    pub fn begin(&self) {
        if self.has_sent.swap(false, Ordering::Relaxed) {
            (self.live.0)(StreamUpdate::Restart);
        }
    }

    /// The next piece.
    pub fn piece(&self, text: &str) {
        if !text.is_empty() {
            self.has_sent.store(true, Ordering::Relaxed);
            (self.live.0)(StreamUpdate::Piece(text));
        }
    }
}
