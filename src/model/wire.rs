//! What all dialects share: the messages are checked, the question is put until the server takes its parameters, and
//! the answer is held against its estimate.

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;
use reqwest::RequestBuilder;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use serde_json::Value;

use super::adapt::{Adapted, Taste};
use super::batch::BatchApi;
use super::{
    Body, ChatConfig, ChatModel, Live, LiveText, ModelDescription, Question, SamplingParams, Terms, account, check,
};
use crate::error::Result;
use crate::message::Answer;
use crate::service::{Failure, ReadStream, Server, tidy};

/// A model on a server, and what is known of both; cloning shares connections and knowledge.
#[derive(Clone, Debug)]
pub(super) struct Remote {
    pub server: Server,
    pub config: ChatConfig,
    pub taste: Taste,
}

impl Remote {
    /// Checks the configuration; connects to nothing.
    pub fn new(config: ChatConfig) -> Result<Self> {
        config.check()?;
        Ok(Self { server: Server::new(config.server.clone())?, taste: Taste::new(&config)?, config })
    }

    /// What a question is expected to weigh: servers count what may be answered, too.
    pub fn n_tokens(&self, question: &Question<'_>) -> u64 {
        let (estimate, _) = account::estimate(&self.config, question.messages);
        estimate.prompt_tokens.saturating_add(self.config.params.max_tokens.map_or(0, u64::from))
    }
}

/// A dialect: where a question is put, in which form, and how the answer is read. All else is the same for all of them.
pub(super) trait Wire: Clone + Send + Sync + 'static {
    /// The path beneath the server's address.
    const PATH: &'static [&'static str];
    /// Reads an answer that comes in pieces.
    type Reader<'r>: ReadStream<Output = Answer> + Send;

    /// The server and its model.
    fn remote(&self) -> &Remote;

    /// The same with another configuration.
    fn with_remote(&self, remote: Remote) -> Self;

    /// What of a question the API has no place for, before anything is sent.
    fn check(&self, _question: &Question<'_>) -> Result<()> {
        Ok(())
    }

    /// The request's body with the parameters that `sent` leaves; asks nobody.
    fn body(&self, question: &Question<'_>, sent: &Adapted) -> Body;

    /// The same as it is sent: a dialect may ask its server something before.
    fn sent_body<'a>(
        &'a self,
        question: &'a Question<'a>,
        sent: &'a Adapted,
    ) -> BoxFuture<'a, std::result::Result<Body, Failure>> {
        Box::pin(ready(Ok(self.body(question, sent))))
    }

    /// An answer in one piece.
    fn read(reply: &Value) -> std::result::Result<Answer, Failure>;

    /// Begins to read an answer in pieces, of at most `max_bytes`.
    fn reader<'r>(server: &'r Server, relay: &'r Relay<'r>, max_bytes: usize) -> Self::Reader<'r>;
}

impl<W: Wire> ChatModel for W {
    fn description(&self) -> ModelDescription {
        let Remote { server, config, .. } = self.remote();
        ModelDescription { name: tidy(&config.model), endpoint: Some(server.origin()), is_language_model: true }
    }

    fn answer<'a>(&'a self, question: &'a Question<'a>) -> BoxFuture<'a, Result<Answer>> {
        Box::pin(answer(self, question))
    }

    fn terms(&self) -> Option<Terms> {
        Some(Terms::of(&self.remote().config))
    }

    fn with_params(&self, params: SamplingParams) -> Option<Arc<dyn ChatModel>> {
        let remote = self.remote().clone();
        Some(Arc::new(self.with_remote(Remote { config: ChatConfig { params, ..remote.config }, ..remote })))
    }

    fn batch_api(&self) -> Option<BatchApi> {
        BatchApi::of(self.remote(), W::PATH, W::read)
    }

    fn request(&self, question: &Question<'_>) -> Result<Option<Body>> {
        let Remote { server, config, taste } = self.remote();
        check::check(config, server.name(), question.messages)?;
        Ok(Some(self.body(question, &taste.now())))
    }
}

/// Puts a question until it is answered, or refused for another reason than a parameter.
async fn answer<W: Wire>(wire: &W, question: &Question<'_>) -> Result<Answer> {
    let Remote { server, config, taste } = wire.remote();
    wire.check(question)?;
    check::check(config, server.name(), question.messages)?;
    let relay = question.live.map(Relay::new);
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
async fn put<W: Wire>(
    wire: &W,
    question: &Question<'_>,
    sent: &Adapted,
    relay: Option<&Relay<'_>>,
) -> std::result::Result<(Answer, u32), Failure> {
    let Remote { server, config, .. } = wire.remote();
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
fn fill(request: RequestBuilder, body: &Body) -> RequestBuilder {
    request
        .header(CONTENT_TYPE, "application/json")
        .header(CONTENT_LENGTH, body.len_bytes())
        .body(body.to_request_body())
}

/// Hands text on, and says where it begins anew.
pub(super) struct Relay<'a> {
    live: Live<'a>,
    has_sent: AtomicBool,
}

impl<'a> Relay<'a> {
    fn new(live: Live<'a>) -> Self {
        Self { live, has_sent: AtomicBool::new(false) }
    }

    /// A try begins.
    pub fn begin(&self) {
        if self.has_sent.swap(false, Ordering::Relaxed) {
            (self.live.0)(LiveText::Restart);
        }
    }

    /// The next piece.
    pub fn piece(&self, text: &str) {
        if !text.is_empty() {
            self.has_sent.store(true, Ordering::Relaxed);
            (self.live.0)(LiveText::Piece(text));
        }
    }
}
