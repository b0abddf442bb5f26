//! Which model answers: flags, environment and configuration to a [`ChatModel`].

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use secrecy::SecretString;
use url::Url;
use vidgist::error::{Error, Result};
use vidgist::http::{RequestLimits, ServerConfig, parse_base_url};
use vidgist::llm::catalog::CatalogEntry;
use vidgist::llm::openai::list_models;
use vidgist::llm::provider::{Provider, Providers};
use vidgist::llm::{ChatConfig, ChatModel, Detail, SamplingParams, connect};
use vidgist::pipeline::Answerer;
use vidgist::time::Timestamp;

use super::api_key::KeyCommand;
use super::args::{DetailChoice, ModelArgs, ServerArgs};
use super::config::Config;

/// The environment variable that holds the key.
pub const KEY_VARIABLE: &str = "OPENAI_API_KEY";
/// The name of the model that needs no network.
pub const BUILT_IN: &str = "built-in";

const OPENAI_NAME: &str = "openai";
pub const OPENAI: &str = "https://api.openai.com/v1";
/// The environment variable of an address, which clap takes for `--base-url`.
const BASE_URL_VARIABLE: &str = "OPENAI_BASE_URL";

/// Where questions would go.
pub enum Choice {
    /// Nowhere: the built-in model answers.
    BuiltIn,
    /// To this server; the model's name is None where the server is to be asked for its only one.
    Server { server: Box<ServerConfig>, provider: Box<Provider>, model: Option<String> },
}

/// Flags win over the environment, that wins over the configuration.
///
/// A key goes to the provider whose variable holds it, and to an address that the user named himself.
pub async fn choose(base_url: Option<&str>, model: Option<&str>, args: &ServerArgs, config: &Config) -> Result<Choice> {
    let providers = Providers::with(&config.providers)?;
    let named = model.or(config.model.as_deref());
    if named == Some(BUILT_IN) {
        return Ok(Choice::BuiltIn);
    }
    let (prefix, name) = named.map_or((None, None), |named| providers.split(named));
    let base_url = base_url.filter(|url| !url.is_empty());
    let (provider, address, key) = if let Some(provider) = prefix {
        // The configuration's address belongs to the configuration's model.
        let configured = config.base_url.as_deref().filter(|_| model.is_none());
        let address = named_address(provider, base_url.or(configured))?;
        let key = provider_key(provider, config).await?;
        if key.is_none() && provider.needs_key {
            let problem = format!("no key of {} is known", provider.name);
            return Err(Error::usage("--model", problem, format!("set {}", provider.key_variables.join(" or "))));
        }
        (provider, address, key)
    } else if let Some(address) = base_url.or(config.base_url.as_deref()) {
        let address = parse_base_url(address)?;
        let provider = providers.at(&address);
        let key = match own_key(provider, config).await? {
            Some(key) => Some(key),
            None => key(config).await?,
        };
        (provider, address, key)
    } else if let (Some(key), Some(provider)) = (key(config).await?, providers.get(OPENAI_NAME)) {
        (provider, named_address(provider, None)?, Some(key))
    } else if named.is_some() {
        let advice = format!("set {KEY_VARIABLE}, name a server with --base-url, or write PROVIDER:MODEL");
        return Err(Error::usage("--model", "no server is known to ask", advice));
    } else {
        return Ok(Choice::BuiltIn);
    };
    let server = provider.prepare(server(address, key, args, config)?);
    let model = name.or(provider.default_model.as_deref()).map(str::to_owned);
    Ok(Choice::Server { server: Box::new(server), provider: Box::new(provider.clone()), model })
}

/// The address of a provider that was named: a flag's, its own variable's, or its usual one.
fn named_address(provider: &Provider, flag: Option<&str>) -> Result<Url> {
    let from_variable = variable(BASE_URL_VARIABLE);
    // OpenAI's variable is not meant for another provider.
    let is_meant = |url: &&str| provider.name == OPENAI_NAME || from_variable.as_deref() != Some(*url);
    if let Some(url) = flag.filter(is_meant) {
        return parse_base_url(url);
    }
    let own = provider.base_url_variable.as_deref();
    match (own.and_then(variable), &provider.base_url) {
        (Some(text), _) => provider.parse_address(&text),
        (None, Some(url)) => parse_base_url(url),
        (None, None) => {
            let advice = own.map_or("use --base-url".to_owned(), |name| format!("set {name}, or use --base-url"));
            Err(Error::usage("--model", format!("{} has no address that all share", provider.name), advice))
        }
    }
}

/// The model, ready to be asked.
pub async fn chat_model(args: &ModelArgs, config: &Config) -> Result<Answerer> {
    match chosen(args, config)? {
        Choice::Server { server, provider, model: None } => {
            let model = only_model(&server).await?;
            connected(args, *server, *provider, model).map(Answerer::Chat)
        }
        choice => ready(args, choice),
    }
}

/// The model for a dry run: nobody is asked, not even for the model's name.
pub fn unasked(args: &ModelArgs, config: &Config) -> Result<Answerer> {
    ready(args, chosen(args, config)?)
}

fn chosen(args: &ModelArgs, config: &Config) -> Result<Choice> {
    choose(args.base_url.as_deref(), args.model.as_deref(), &args.server, config).await
}

fn ready(args: &ModelArgs, choice: Choice) -> Result<Answerer> {
    match choice {
        Choice::BuiltIn => {
            if let Some(flag) = unheeded(args) {
                tracing::warn!("{flag} is for a language model; the built-in model does not heed it");
            }
            Ok(Answerer::Digest)
        }
        Choice::Server { server, provider, model: Some(model) } => {
            connected(args, *server, *provider, model).map(Answerer::Chat)
        }
        Choice::Server { .. } => {
            Err(Error::usage("--model", "is not set, and the server is not asked for it here", "name one with --model"))
        }
    }
}

fn connected(args: &ModelArgs, server: ServerConfig, provider: Provider, model: String) -> Result<Arc<dyn ChatModel>> {
    let params = SamplingParams {
        temperature: args.temperature,
        max_tokens: args.max_tokens,
        top_p: args.top_p,
        n: args.n,
        stop: args.stop.clone(),
        seed: args.seed,
        detail: args.detail.map(|detail| match detail {
            DetailChoice::Low => Detail::Low,
            DetailChoice::High => Detail::High,
            DetailChoice::Auto => Detail::Auto,
            DetailChoice::Original => Detail::Original,
        }),
        reasoning_effort: args.reasoning_effort.clone(),
    };
    let chat = ChatConfig::with_provider(provider, server, model);
    say_what_is_known(&chat);
    connect(ChatConfig { params, strict_params: args.strict_params, ..chat })
}

/// Tells of a model that ends soon, or of which nothing is known.
fn say_what_is_known(chat: &ChatConfig) {
    let (model, provider) = (&chat.model, &chat.provider.name);
    let Some(facts) = &chat.facts else {
        let assumed = "its limits and its price are not known, and nothing but what is asked for is sent";
        if CatalogEntry::knows(provider) {
            tracing::warn!("{model} is not in the table of {provider}'s models: {assumed}");
        } else {
            tracing::info!("{model}: {assumed}");
        }
        return;
    };
    let today = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs() / 86_400);
    if let Some(end) = facts.end_warning(today as i64) {
        tracing::warn!("{model} {end}; choose another with --model");
    }
}

/// The key of `OpenAI` or of an address that the user named: out of the environment, or from where the configuration says.
pub async fn key(config: &Config) -> Result<Option<SecretString>> {
    if let Some(key) = secret(KEY_VARIABLE) {
        return Ok(Some(key));
    }
    let is_ours = owner(config)?.is_none_or(|owner| owner == OPENAI_NAME);
    let source = config.keys.get(OPENAI_NAME).or(config.key.as_ref().filter(|_| is_ours));
    printed(source).await
}

/// The key of a provider that was named.
async fn provider_key(provider: &Provider, config: &Config) -> Result<Option<SecretString>> {
    match own_key(provider, config).await? {
        None if provider.name == OPENAI_NAME => key(config).await,
        None if owner(config)?.is_some_and(|owner| owner == provider.name) => printed(config.key.as_ref()).await,
        own => Ok(own),
    }
}

/// The key of a provider and of no other: out of its own variables, or from where its table says.
async fn own_key(provider: &Provider, config: &Config) -> Result<Option<SecretString>> {
    match provider.key_variables.iter().find_map(|name| secret(name)) {
        None => printed(config.keys.get(&provider.name)).await,
        own => Ok(own),
    }
}

/// The key that a command prints; None where there is no command.
async fn printed(command: Option<&KeyCommand>) -> Result<Option<SecretString>> {
    match command {
        Some(command) => command.key().await.map(Some),
        None => Ok(None),
    }
}

/// The provider of the configuration's top-level `api_key_command`: that of its `model`. None where the model names no
/// provider: then the key is that of `OpenAI` or of the configuration's address.
fn owner(config: &Config) -> Result<Option<String>> {
    let providers = Providers::with(&config.providers)?;
    Ok(config.model.as_deref().and_then(|model| Some(providers.split(model).0?.name.clone())))
}

/// The value of an environment variable; None where it is not set, or blank.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

fn secret(name: &str) -> Option<SecretString> {
    variable(name).map(SecretString::from)
}

pub fn server(
    base_url: Url,
    api_key: Option<SecretString>,
    args: &ServerArgs,
    config: &Config,
) -> Result<ServerConfig> {
    let mut server = ServerConfig::new(base_url);
    server.api_key = api_key;
    KEY_VARIABLE.clone_into(&mut server.key_variable);
    if let Some(timeout) = time(args.timeout, config.timeout.as_deref())? {
        server.timeout = timeout;
    }
    let total = time(args.total_timeout, config.total_timeout.as_deref())?;
    server.total_timeout = total.unwrap_or_else(|| server.total_timeout.max(server.timeout));
    server.ca_file = args.ca_file.clone().or_else(|| config.ca_file.clone());
    let load = &mut server.load;
    load.concurrency = concurrency(args, config);
    load.max_requests_per_minute = args.max_requests_per_minute.or(config.max_requests_per_minute);
    load.max_tokens_per_minute = args.max_tokens_per_minute.or(config.max_tokens_per_minute);
    Ok(server)
}

/// How many requests are wanted at a time: more need not be prepared.
pub fn concurrency(args: &ServerArgs, config: &Config) -> usize {
    args.concurrency.or(config.concurrency).map_or(RequestLimits::default().concurrency, usize::from)
}

/// A flag's time, or the configuration's.
fn time(flag: Option<Timestamp>, configured: Option<&str>) -> Result<Option<Duration>> {
    let time = match (flag, configured) {
        (None, Some(text)) => Some(text.parse::<Timestamp>()?),
        (flag, _) => flag,
    };
    Ok(time.map(|time| Duration::from_millis(u64::try_from(time.millis()).unwrap_or_default().max(1))))
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
        ("--detail", args.detail.is_some()),
        ("--reasoning-effort", args.reasoning_effort.is_some()),
    ]
    .into_iter()
    .find_map(|(flag, is_set)| is_set.then_some(flag))
}
