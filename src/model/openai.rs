//! A model behind an OpenAI-compatible `/chat/completions`.

mod reply;
mod request;

use std::fmt;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use url::Url;

use super::body::Body;
use super::{ChatModel, ModelDescription, Question};
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::message::{Answer, Message};
use crate::service::{Server, ServerConfig, tidy};

/// What the user asks of the model's sampling. Each is sent only where it is set: many models refuse them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SamplingParams {
    /// 0 (always the likeliest) to 2.
    pub temperature: Option<f64>,
    /// Most tokens of the answer, hidden reasoning included; at least 1.
    pub max_tokens: Option<u32>,
    /// Share of the probability that is drawn from, 0 to 1.
    pub top_p: Option<f64>,
    /// Number of alternatives, 1 to 128.
    pub n: Option<u32>,
    /// Up to four texts that end the answer; empty means that none is sent.
    pub stop: Vec<String>,
    /// Seed of the sampling.
    pub seed: Option<i64>,
}

impl SamplingParams {
    /// Checks the ranges that the API has.
    ///
    /// # Errors
    /// [`Error::Usage`] naming the option.
    pub fn check(&self) -> Result<()> {
        let outside = |range: std::ops::RangeInclusive<f64>, value: Option<f64>| {
            value.is_some_and(|value| !range.contains(&value))
        };
        let refuse = |option: &str, range: &str| Err(Error::usage(option, format!("must be {range}"), ""));
        if outside(0.0..=2.0, self.temperature) {
            return refuse("--temperature", "between 0 and 2");
        }
        if self.max_tokens == Some(0) {
            return refuse("--max-tokens", "at least 1");
        }
        if outside(0.0..=1.0, self.top_p) {
            return refuse("--top-p", "between 0 and 1");
        }
        if self.n.is_some_and(|n| !(1..=128).contains(&n)) {
            return refuse("--n", "between 1 and 128");
        }
        if self.stop.len() > 4 || self.stop.iter().any(String::is_empty) {
            return refuse("--stop", "given at most four times, and never empty");
        }
        Ok(())
    }
}

/// Which model is asked, where, and how.
#[derive(Clone, Debug)]
pub struct OpenAiConfig {
    /// The server.
    pub server: ServerConfig,
    /// The model's name as the server knows it.
    pub model: String,
    /// Sampling parameters.
    pub params: SamplingParams,
    /// Limits of one request.
    pub limits: Limits,
}

/// A model behind an OpenAI-compatible server; cloning shares its connections.
#[derive(Clone)]
pub struct OpenAi {
    server: Server,
    model: String,
    params: SamplingParams,
    limits: Limits,
}

impl OpenAi {
    /// Checks the configuration; connects to nothing.
    ///
    /// # Errors
    /// [`Error::Usage`] where a parameter is out of its range, the model has no name, or the key would be sent
    /// unencrypted; [`Error::Service`] where the machine has no working TLS.
    pub fn new(config: OpenAiConfig) -> Result<Self> {
        let OpenAiConfig { server, model, params, limits } = config;
        params.check()?;
        if model.trim().is_empty() {
            return Err(Error::usage("--model", "is empty", "name a model of the server"));
        }
        Ok(Self { server: Server::new(server)?, model, params, limits })
    }

    /// The body of the request for `messages`: what a dry run shows.
    ///
    /// # Errors
    /// [`Error::Limit`] where there are more or larger pictures than one request may hold; [`Error::Usage`] where
    /// a picture stands in a system message, or there is no message.
    pub fn body(&self, messages: &[Message]) -> Result<Body> {
        request::check(self.server.name(), messages, &self.limits)?;
        Ok(request::body(&self.model, messages, &self.params, max_tokens_key(self.server.base_url())))
    }
}

/// The names of the models that a server offers, in its order.
///
/// # Errors
/// [`Error::Service`] where it does not answer or has no such list; as [`OpenAi::new`] for the configuration.
pub async fn list_models(server: ServerConfig) -> Result<Vec<String>> {
    let server = Server::new(server)?;
    let names = |reply: serde_json::Value| {
        let models = reply.get("data").and_then(|data| data.as_array()).cloned().unwrap_or_default();
        Ok(models.iter().filter_map(|model| model.get("id")?.as_str().map(tidy)).collect())
    };
    let (names, _) = server.get(&["models"], names).await.map_err(|failure| failure.into_error(server.name()))?;
    Ok(names)
}

impl ChatModel for OpenAi {
    fn description(&self) -> ModelDescription {
        ModelDescription { name: tidy(&self.model), endpoint: Some(self.server.origin()), is_language_model: true }
    }

    fn answer<'a>(&'a self, question: &'a Question<'a>) -> BoxFuture<'a, Result<Answer>> {
        async move {
            let body = self.body(question.messages)?;
            let fill = |request: reqwest::RequestBuilder| {
                request
                    .header(CONTENT_TYPE, "application/json")
                    .header(CONTENT_LENGTH, body.len_bytes())
                    .body(body.to_request_body())
            };
            let answered = self.server.post(&["chat", "completions"], fill, |reply| reply::read(&reply)).await;
            let (mut answer, n_attempts) = answered.map_err(|failure| failure.into_error(self.server.name()))?;
            answer.n_attempts = n_attempts;
            Ok(answer)
        }
        .boxed()
    }
}

impl fmt::Debug for OpenAi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAi")
            .field("server", &self.server)
            .field("model", &self.model)
            .field("params", &self.params)
            .finish_non_exhaustive()
    }
}

/// `OpenAI` calls the limit `max_completion_tokens` (its reasoning models refuse the old name), everyone else `max_tokens`.
fn max_tokens_key(base_url: &Url) -> &'static str {
    let host = base_url.host_str().unwrap_or_default();
    if host == "api.openai.com" || host.ends_with(".openai.azure.com") { "max_completion_tokens" } else { "max_tokens" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_out_of_range_are_refused_by_their_option() {
        type Spoil = fn(&mut SamplingParams);
        let table: [(&str, Spoil); 11] = [
            ("--temperature", |p| p.temperature = Some(2.1)),
            ("--temperature", |p| p.temperature = Some(-0.1)),
            ("--temperature", |p| p.temperature = Some(f64::NAN)),
            ("--max-tokens", |p| p.max_tokens = Some(0)),
            ("--top-p", |p| p.top_p = Some(1.01)),
            ("--top-p", |p| p.top_p = Some(f64::INFINITY)),
            ("--n", |p| p.n = Some(0)),
            ("--n", |p| p.n = Some(129)),
            ("--stop", |p| p.stop = vec!["x".into(); 5]),
            ("--stop", |p| p.stop = vec![String::new()]),
            ("", |p| *p = SamplingParams { temperature: Some(2.0), top_p: Some(0.0), n: Some(128), ..p.clone() }),
        ];
        for (option, spoil) in table {
            let mut params = SamplingParams::default();
            spoil(&mut params);
            let told = params.check().err().map(|error| error.fault().expect("a fault").input.clone());
            assert_eq!(told.unwrap_or_default(), option, "{params:?}");
        }
    }

    #[test]
    fn the_limit_of_tokens_has_two_names() {
        for (url, expected) in [
            ("https://api.openai.com/v1", "max_completion_tokens"),
            ("https://me.openai.azure.com/openai/v1", "max_completion_tokens"),
            ("https://api.openai.com.evil.example/v1", "max_tokens"),
            ("http://localhost:11434/v1", "max_tokens"),
        ] {
            assert_eq!(max_tokens_key(&url.parse().expect(url)), expected, "{url}");
        }
    }
}
