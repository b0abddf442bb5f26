//! What all dialects share: the messages are checked, the question is put until the server takes its parameters, and
//! the answer is held against its estimate.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;
use reqwest::RequestBuilder;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};

use super::adapt::{Adapted, Taste};
use super::{Body, ChatConfig, Live, LiveText, ModelDescription, Question, SamplingParams, account, check};
use crate::error::Result;
use crate::message::Answer;
use crate::service::{Failure, Server, tidy};

/// An answer and the number of its requests, or why there is none.
pub(super) type Outcome = Result<(Answer, u32), Failure>;

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

    /// The same model asked with other parameters.
    pub fn with_params(&self, params: SamplingParams) -> Self {
        Self { config: ChatConfig { params, ..self.config.clone() }, ..self.clone() }
    }

    /// What a question is expected to weigh: servers count what may be answered, too.
    pub fn n_tokens(&self, question: &Question<'_>) -> u64 {
        let (estimate, _) = account::estimate(&self.config, question.messages);
        estimate.prompt_tokens.saturating_add(self.config.params.max_tokens.map_or(0, u64::from))
    }

    pub fn description(&self) -> ModelDescription {
        ModelDescription {
            name: tidy(&self.config.model),
            endpoint: Some(self.server.origin()),
            is_language_model: true,
        }
    }
}

/// A dialect: how a question is put.
pub(super) trait Wire: Sync {
    /// The server and its model.
    fn remote(&self) -> &Remote;

    /// Puts the question with the parameters that `sent` leaves, tries again where that may help, and hands what comes
    /// to `relay` where there is one.
    fn put<'a>(
        &'a self,
        question: &'a Question<'a>,
        sent: &'a Adapted,
        relay: Option<&'a Relay<'a>>,
    ) -> BoxFuture<'a, Outcome>;
}

/// Puts a question until it is answered, or refused for another reason than a parameter.
pub(super) async fn answer(wire: &dyn Wire, question: &Question<'_>) -> Result<Answer> {
    let Remote { server, config, taste } = wire.remote();
    check::check(config, server.name(), question.messages)?;
    let relay = question.live.map(Relay::new);
    let format = question.response_format;
    let mut n_refused = 0;
    let mut answer = loop {
        let adapted = taste.now();
        match wire.put(question, &adapted, relay.as_ref()).await {
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

/// Puts a body on a request, with its length: many servers and proxies refuse one without.
pub(super) fn fill(request: RequestBuilder, body: &Body) -> RequestBuilder {
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
