//! Selects the model: from a job, secrets and the configuration to an [`Answerer`].

use std::sync::Arc;

use url::Url;

use super::config::Config;
use super::keys::{KEY_VARIABLE, Keys, OPENAI_NAME};
use super::options;
use super::secrets::Secrets;
use crate::advice::{Advice, Setting};
use crate::analyze::Answerer;
use crate::error::{Error, ErrorCode, Result};
use crate::http::{ServerConfig, parse_base_url};
use crate::job::{ModelOptions, ParamOptions};
use crate::llm::catalog::CatalogEntry;
use crate::llm::openai::list_models;
use crate::llm::provider::{Provider, Providers};
use crate::llm::{ChatConfig, ChatModel, SamplingParams, connect};

/// The name of the built-in digest, which needs no network.
pub const BUILT_IN: &str = "built-in";

/// The variable of `OpenAI`'s address.
const BASE_URL_VARIABLE: &str = "OPENAI_BASE_URL";

/// What turns the built-in digest into a language model.
pub(super) fn model_advice() -> Advice {
    Advice::SetKey(KEY_VARIABLE.to_owned()).or(Advice::Set(Setting::BaseUrl))
}

/// Where requests are sent.
#[derive(Clone, Debug)]
pub enum ModelChoice {
    /// Nowhere: the built-in digest is used.
    BuiltIn,
    /// To this server.
    Server {
        /// The server.
        server: Box<ServerConfig>,
        /// Its provider.
        provider: Box<Provider>,
        /// The model's name; None if the server's only model is used.
        model: Option<String>,
    },
}

/// Chooses servers and models.
pub(super) struct ModelSelector<'a> {
    pub config: &'a Config,
    pub secrets: &'a Secrets,
}

impl ModelSelector<'_> {
    fn keys(&self) -> Keys<'_> {
        Keys { config: self.config, secrets: self.secrets }
    }

    /// Chooses the server and the model without connecting. The job has precedence over variables, and variables over
    /// the configuration.
    ///
    /// A key is sent only to its own provider, or to an address that the user named.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) if a required key or address is missing; a dry run needs no key.
    pub async fn choose(&self, job: &ModelOptions, is_dry: bool) -> Result<ModelChoice> {
        let config = self.config;
        let providers = Providers::with(&config.providers)?;
        let named = job.name.as_deref().or(config.model.as_deref());
        if named == Some(BUILT_IN) {
            return Ok(ModelChoice::BuiltIn);
        }
        let (prefix, name) = named.map_or((None, None), |named| providers.split(named));
        let base_url = job.base_url.as_deref().filter(|url| !url.is_empty());
        let (provider, address, key) = if let Some(provider) = prefix {
            // The configured address belongs to the configured model.
            let configured = config.base_url.as_deref().filter(|_| job.name.is_none());
            let address = self.provider_address(provider, base_url.or(configured))?;
            // No command is run for a key that is not used.
            let key = if is_dry { None } else { self.keys().provider_key(provider).await? };
            if key.is_none() && provider.needs_key && !is_dry {
                let problem = format!("no key for {} is set", provider.name);
                let advice = Advice::SetKey(provider.key_variables.join(" or "));
                return Err(Error::setting(Setting::Model, problem, advice).with_code(ErrorCode::MissingKey));
            }
            (provider, address, key)
        } else if let Some(address) = base_url.or(config.base_url.as_deref()) {
            let address = parse_base_url(address)?;
            let provider = providers.at(&address);
            let key = match if is_dry { None } else { self.keys().own_key(provider).await? } {
                None if !is_dry => self.keys().default_key().await?,
                own => own,
            };
            (provider, address, key)
        } else if let Some(provider) = providers.get(OPENAI_NAME).filter(|_| named.is_some() && is_dry) {
            (provider, self.provider_address(provider, None)?, None)
        } else if let (Some(key), Some(provider)) = (self.keys().default_key().await?, providers.get(OPENAI_NAME)) {
            (provider, self.provider_address(provider, None)?, Some(key))
        } else if named.is_some() {
            let advice = Advice::SetKey(KEY_VARIABLE.to_owned())
                .or(Advice::Set(Setting::BaseUrl))
                .or("write the model as PROVIDER:MODEL");
            return Err(
                Error::setting(Setting::Model, "no server is known for it", advice).with_code(ErrorCode::MissingKey)
            );
        } else {
            return Ok(ModelChoice::BuiltIn);
        };
        let mut server = ServerConfig::new(address);
        server.api_key = key;
        KEY_VARIABLE.clone_into(&mut server.key_variable);
        let server = provider.prepare(options::server(server, &job.server, config));
        let model = name.or(provider.default_model.as_deref()).map(str::to_owned);
        Ok(ModelChoice::Server { server: Box::new(server), provider: Box::new(provider.clone()), model })
    }

    /// The address of a provider: the given one, that of its variable, or its default.
    fn provider_address(&self, provider: &Provider, named: Option<&str>) -> Result<Url> {
        let from_variable = self.secrets.text(BASE_URL_VARIABLE);
        // OpenAI's variable does not apply to other providers.
        let is_meant = |url: &&str| provider.name == OPENAI_NAME || from_variable.as_deref() != Some(*url);
        if let Some(url) = named.filter(is_meant) {
            return parse_base_url(url);
        }
        let own = provider.base_url_variable.as_deref();
        match (own.and_then(|name| self.secrets.text(name)), &provider.base_url) {
            (Some(text), _) => provider.parse_address(&text),
            (None, Some(url)) => parse_base_url(url),
            (None, None) => {
                let variable = own.map_or(Advice::None, |name| Advice::SetKey(name.to_owned()));
                let problem = format!("{} has no public address", provider.name);
                Err(Error::setting(Setting::Model, problem, variable.or(Advice::Set(Setting::BaseUrl))))
            }
        }
    }

    /// The model. If `is_dry`, no request is sent, not even for the model's name.
    pub async fn answerer(&self, job: &ModelOptions, is_dry: bool) -> Result<Answerer> {
        match self.choose(job, is_dry).await? {
            ModelChoice::BuiltIn => {
                if let Some(setting) = unused(&job.params) {
                    tracing::warn!("the built-in digest ignores {setting}");
                }
                Ok(Answerer::Digest)
            }
            ModelChoice::Server { server, provider, model: None } if !is_dry => {
                let model = only_model(&server).await?;
                connected(job, *server, *provider, model).map(Answerer::Chat)
            }
            ModelChoice::Server { server, provider, model: Some(model) } => {
                connected(job, *server, *provider, model).map(Answerer::Chat)
            }
            ModelChoice::Server { .. } => {
                let problem = "is not set, and a dry run does not ask the server for it";
                Err(Error::setting(Setting::Model, problem, Advice::Set(Setting::Model)))
            }
        }
    }
}

fn connected(
    job: &ModelOptions,
    server: ServerConfig,
    provider: Provider,
    model: String,
) -> Result<Arc<dyn ChatModel>> {
    let params = job.params.clone();
    let params = SamplingParams {
        temperature: params.temperature,
        max_tokens: params.max_tokens,
        top_p: params.top_p,
        n: params.n,
        stop: params.stop,
        seed: params.seed,
        detail: params.detail,
        reasoning_effort: params.reasoning_effort,
    };
    let chat = ChatConfig::with_provider(provider, server, model);
    warn_about(&chat);
    connect(ChatConfig { params, strict_params: job.strict_params, ..chat })
}

/// Warns about a model that is unknown or will be shut down soon.
fn warn_about(chat: &ChatConfig) {
    let (model, provider) = (&chat.model, &chat.provider.name);
    let Some(facts) = &chat.facts else {
        let assumed = "its limits and price are unknown, and only requested parameters are sent";
        if CatalogEntry::knows(provider) {
            tracing::warn!("{model} is not in the catalog of {provider}'s models: {assumed}");
        } else {
            tracing::info!("{model}: {assumed}");
        }
        return;
    };
    let today = jiff::tz::Offset::UTC.to_datetime(jiff::Timestamp::now()).date();
    if let Some(end) = facts.end_warning(today) {
        tracing::warn!("{model} {end}; choose another model");
    }
}

/// A private server usually has one model.
async fn only_model(server: &ServerConfig) -> Result<String> {
    let advice = || Advice::Set(Setting::Model);
    let names = list_models(server.clone()).await.map_err(|error| {
        let problem = format!("is not set, and the server does not list its models ({error})");
        Error::setting(Setting::Model, problem, advice())
    })?;
    match names.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Error::setting(Setting::Model, "is not set, and the server lists no model", advice())),
        several => {
            let shown: Vec<&str> = several.iter().take(8).map(String::as_str).collect();
            let problem = format!("is not set, and the server has {}: {}", several.len(), shown.join(", "));
            Err(Error::setting(Setting::Model, problem, advice()))
        }
    }
}

/// A parameter that the built-in digest ignores.
fn unused(params: &ParamOptions) -> Option<Setting> {
    [
        (Setting::Temperature, params.temperature.is_some()),
        (Setting::MaxTokens, params.max_tokens.is_some()),
        (Setting::TopP, params.top_p.is_some()),
        (Setting::NChoices, params.n.is_some()),
        (Setting::Stop, !params.stop.is_empty()),
        (Setting::Seed, params.seed.is_some()),
        (Setting::Detail, params.detail.is_some()),
        (Setting::ReasoningEffort, params.reasoning_effort.is_some()),
    ]
    .into_iter()
    .find_map(|(setting, is_set)| is_set.then_some(setting))
}
