//! Which model answers: flags, environment and configuration to a [`ChatModel`].

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;
use vidgist::error::{Error, Result};
use vidgist::limits::Limits;
use vidgist::model::ChatModel;
use vidgist::model::builtin::Builtin;
use vidgist::model::openai::{OpenAi, OpenAiConfig, SamplingParams, list_models};
use vidgist::service::{ServerConfig, parse_base_url};
use vidgist::time::Timestamp;

use super::args::ModelArgs;
use super::config::Config;

/// The environment variable that holds the key.
pub const KEY_VARIABLE: &str = "OPENAI_API_KEY";
/// The name of the model that needs no network.
pub const BUILT_IN: &str = "built-in";

pub const OPENAI: &str = "https://api.openai.com/v1";
/// Asked at api.openai.com where no model is named: takes pictures, and no end of it was announced (checked 2026-11).
const OPENAI_MODEL: &str = "gpt-5.4-mini";

/// Where questions would go.
pub enum Choice {
    /// Nowhere: the built-in model answers.
    BuiltIn,
    /// To this server; the model's name is None where the server is to be asked for its only one.
    Server { server: Box<ServerConfig>, model: Option<String> },
}

/// Flags win over the environment, that wins over the configuration.
pub fn choose(
    base_url: Option<&str>,
    model: Option<&str>,
    timeout: Option<Timestamp>,
    config: &Config,
) -> Result<Choice> {
    let model = model.or(config.model.as_deref());
    if model == Some(BUILT_IN) {
        return Ok(Choice::BuiltIn);
    }
    let base_url = base_url.filter(|url| !url.is_empty()).or(config.base_url.as_deref());
    let key = key();
    let base_url = match (base_url, &key) {
        (Some(url), _) => parse_base_url(url)?,
        (None, Some(_)) => parse_base_url(OPENAI)?,
        (None, None) if model.is_some() => {
            let advice = format!("set {KEY_VARIABLE}, or name a server with --base-url");
            return Err(Error::usage("--model", "no server is known to ask", advice));
        }
        (None, None) => return Ok(Choice::BuiltIn),
    };
    let default = (base_url.host_str() == Some("api.openai.com")).then_some(OPENAI_MODEL);
    let model = model.or(default).map(str::to_owned);
    Ok(Choice::Server { server: Box::new(server(base_url, key, timeout, config)?), model })
}

/// The model, ready to be asked.
pub async fn chat_model(args: &ModelArgs, config: &Config) -> Result<Arc<dyn ChatModel>> {
    let choice = choose(args.base_url.as_deref(), args.model.as_deref(), args.timeout, config)?;
    let Choice::Server { server, model } = choice else {
        if let Some(flag) = unheeded(args) {
            tracing::warn!("{flag} is for a language model; the built-in model does not heed it");
        }
        return Ok(Arc::new(Builtin));
    };
    let model = match model {
        Some(model) => model,
        None => only_model(&server).await?,
    };
    let params = SamplingParams {
        temperature: args.temperature,
        max_tokens: args.max_tokens,
        top_p: args.top_p,
        n: args.n,
        stop: args.stop.clone(),
        seed: args.seed,
    };
    Ok(Arc::new(OpenAi::new(OpenAiConfig { server: *server, model, params, limits: Limits::default() })?))
}

pub fn key() -> Option<SecretString> {
    std::env::var(KEY_VARIABLE).ok().filter(|key| !key.trim().is_empty()).map(SecretString::from)
}

pub fn server(
    base_url: Url,
    api_key: Option<SecretString>,
    timeout: Option<Timestamp>,
    config: &Config,
) -> Result<ServerConfig> {
    let timeout = match (timeout, &config.timeout) {
        (Some(timeout), _) => Some(timeout),
        (None, Some(text)) => Some(text.parse()?),
        (None, None) => None,
    };
    let mut server = ServerConfig::new(base_url);
    server.api_key = api_key;
    KEY_VARIABLE.clone_into(&mut server.key_variable);
    if let Some(timeout) = timeout {
        server.timeout = Duration::from_millis(u64::try_from(timeout.millis()).unwrap_or_default().max(1));
    }
    Ok(server)
}

/// A server of one's own usually holds one model.
async fn only_model(server: &ServerConfig) -> Result<String> {
    let advice = "name one with --model";
    let names = list_models(server.clone()).await.map_err(|error| {
        Error::usage("--model", format!("is not set, and the server does not say what it has ({error})"), advice)
    })?;
    match names.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Error::usage("--model", "is not set, and the server lists no model", advice)),
        several => {
            let shown: Vec<&str> = several.iter().take(8).map(String::as_str).collect();
            Err(Error::usage(
                "--model",
                format!("is not set, and the server has {}: {}", several.len(), shown.join(", ")),
                advice,
            ))
        }
    }
}

/// A flag that the built-in model would not heed.
fn unheeded(args: &ModelArgs) -> Option<&'static str> {
    [
        ("--temperature", args.temperature.is_some()),
        ("--max-tokens", args.max_tokens.is_some()),
        ("--top-p", args.top_p.is_some()),
        ("--n", args.n.is_some()),
        ("--stop", !args.stop.is_empty()),
        ("--seed", args.seed.is_some()),
    ]
    .into_iter()
    .find_map(|(flag, is_set)| is_set.then_some(flag))
}
