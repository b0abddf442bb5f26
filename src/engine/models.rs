//! Which model answers: the job, the secrets and the configuration to an [`Answerer`].

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use secrecy::SecretString;
use url::Url;

use super::Engine;
use super::options;
use super::secrets::KeyOwner;
use crate::advice::{Advice, Setting};
use crate::analyze::Answerer;
use crate::error::{Error, ErrorCode, Result};
use crate::http::{ServerConfig, parse_base_url};
use crate::job::{ModelOptions, ParamOptions};
use crate::llm::catalog::CatalogEntry;
use crate::llm::openai::list_models;
use crate::llm::provider::{Provider, Providers};
use crate::llm::{ChatConfig, ChatModel, SamplingParams, connect};

/// The variable that holds `OpenAI`'s key.
pub const KEY_VARIABLE: &str = "OPENAI_API_KEY";
/// The name of the built-in digest, which needs no network.
pub const BUILT_IN: &str = "built-in";

const OPENAI_NAME: &str = "openai";
pub(super) const OPENAI: &str = "https://api.openai.com/v1";
/// The variable of `OpenAI`'s address.
const BASE_URL_VARIABLE: &str = "OPENAI_BASE_URL";

/// Where requests would go.
#[derive(Clone, Debug)]
pub enum ModelChoice {
    /// Nowhere: the built-in digest answers.
    BuiltIn,
    /// To this server.
    Server {
        /// The server.
        server: Box<ServerConfig>,
        /// Who runs it.
        provider: Box<Provider>,
        /// The model's name; None where the server is to be asked for its only one.
        model: Option<String>,
    },
}

impl Engine {
    /// Chooses the server and the model; connects to nothing. The job wins over variables, and they win over the
    /// configuration.
    ///
    /// A key goes to the provider that it is for, and to an address that the user named.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where a needed key or address is missing.
    pub async fn choose_model(&self, job: &ModelOptions) -> Result<ModelChoice> {
        self.choose(job, false).await
    }

    /// As [`Engine::choose_model`]; a dry run needs no key.
    async fn choose(&self, job: &ModelOptions, is_dry: bool) -> Result<ModelChoice> {
        let config = &self.config;
        let providers = Providers::with(&config.providers)?;
        let named = job.name.as_deref().or(config.model.as_deref());
        if named == Some(BUILT_IN) {
            return Ok(ModelChoice::BuiltIn);
        }
        let (prefix, name) = named.map_or((None, None), |named| providers.split(named));
        let base_url = job.base_url.as_deref().filter(|url| !url.is_empty());
        let (provider, address, key) = if let Some(provider) = prefix {
            // The configuration's address belongs to the configuration's model.
            let configured = config.base_url.as_deref().filter(|_| job.name.is_none());
            let address = self.provider_address(provider, base_url.or(configured))?;
            // No command is run for a key that is not used.
            let key = if is_dry { None } else { self.provider_key(provider).await? };
            if key.is_none() && provider.needs_key && !is_dry {
                let problem = format!("no key for {} is set", provider.name);
                let advice = Advice::SetKey(provider.key_variables.join(" or "));
                return Err(Error::setting(Setting::Model, problem, advice).with_code(ErrorCode::MissingKey));
            }
            (provider, address, key)
        } else if let Some(address) = base_url.or(config.base_url.as_deref()) {
            let address = parse_base_url(address)?;
            let provider = providers.at(&address);
            let key = match if is_dry { None } else { self.own_key(provider).await? } {
                None if !is_dry => self.default_key().await?,
                own => own,
            };
            (provider, address, key)
        } else if let (Some(key), Some(provider)) = (self.default_key().await?, providers.get(OPENAI_NAME)) {
            (provider, self.provider_address(provider, None)?, Some(key))
        } else if let Some(provider) = providers.get(OPENAI_NAME).filter(|_| named.is_some() && is_dry) {
            (provider, self.provider_address(provider, None)?, None)
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

    /// The address of a provider: the named one, its own variable's, or its usual one.
    fn provider_address(&self, provider: &Provider, named: Option<&str>) -> Result<Url> {
        let from_variable = self.secrets.text(BASE_URL_VARIABLE);
        // OpenAI's variable is not meant for another provider.
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

    /// Who answers. Where `is_dry`, no server is asked, not even for the model's name.
    pub(super) async fn answerer(&self, job: &ModelOptions, is_dry: bool) -> Result<Answerer> {
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

    /// The key of `OpenAI` or of an address that the user named.
    pub(super) async fn default_key(&self) -> Result<Option<SecretString>> {
        if let Some(key) = self.secrets.variable(KEY_VARIABLE) {
            return Ok(Some(key));
        }
        let own = self.secrets.stored(KeyOwner::Provider(OPENAI_NAME.to_owned())).await?;
        if own.is_some() || self.default_key_owner()?.is_some_and(|owner| owner != OPENAI_NAME) {
            return Ok(own);
        }
        self.secrets.stored(KeyOwner::Default).await
    }

    /// The key of a provider that was named.
    async fn provider_key(&self, provider: &Provider) -> Result<Option<SecretString>> {
        match self.own_key(provider).await? {
            None if provider.name == OPENAI_NAME => self.default_key().await,
            None if self.default_key_owner()?.is_some_and(|owner| owner == provider.name) => {
                self.secrets.stored(KeyOwner::Default).await
            }
            own => Ok(own),
        }
    }

    /// The key of a provider and of no other: from its own variables, or stored for it.
    async fn own_key(&self, provider: &Provider) -> Result<Option<SecretString>> {
        match provider.key_variables.iter().find_map(|name| self.secrets.variable(name)) {
            None => self.secrets.stored(KeyOwner::Provider(provider.name.clone())).await,
            own => Ok(own),
        }
    }

    /// The provider that the default key is for: that of the configuration's model. None where it names none: then the
    /// key is for `OpenAI` or for the configuration's address.
    fn default_key_owner(&self) -> Result<Option<String>> {
        let providers = Providers::with(&self.config.providers)?;
        Ok(self.config.model.as_deref().and_then(|model| Some(providers.split(model).0?.name.clone())))
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

/// Warns about a model that ends soon, or of which nothing is known.
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
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    if let Some(end) = facts.end_warning((now.as_secs() / 86_400) as i64) {
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
