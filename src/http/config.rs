//! The configuration of a server: address, key, timeouts, limits.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::address::{is_loopback, origin};
use crate::error::{Error, Result};
use crate::fs::hex;
use crate::limits::Limits;

/// The header that carries the key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Auth {
    /// `Authorization: Bearer KEY`.
    #[default]
    Bearer,
    /// `x-api-key: KEY`, Anthropic's.
    XApiKey,
    /// `api-key: KEY`, Azure's.
    ApiKey,
}

/// The configuration of a server.
#[derive(Clone)]
pub struct ServerConfig {
    /// The address of the API, as returned by [`parse_base_url`](super::parse_base_url).
    pub base_url: Url,
    /// The key; None for a server that needs none.
    pub api_key: Option<SecretString>,
    /// The environment variable that holds the key, for advice.
    pub key_variable: String,
    /// The header that carries the key.
    pub auth: Auth,
    /// Further headers of each request, by name; no secrets.
    pub headers: BTreeMap<String, String>,
    /// Timeout of one attempt, from connecting to the last byte of the reply.
    pub timeout: Duration,
    /// Timeout of one request over all attempts and the waits between them, measured from the first attempt.
    pub total_timeout: Duration,
    /// Attempts after the first one.
    pub max_retries: u32,
    /// Wait before the first retry, doubled for each further one up to 8 s, and reduced by up to a quarter at random.
    pub first_wait: Duration,
    /// Largest reply that is read, after decompression.
    pub max_reply_bytes: usize,
    /// Limits on the rate of requests; all clones of a client share them.
    pub load: RequestLimits,
    /// A file of PEM certificates that are trusted in addition to the system's; None for the system's only.
    pub ca_file: Option<PathBuf>,
    /// Whether the key may be sent unencrypted to another machine; otherwise that is an error.
    pub sends_key_unencrypted: bool,
    /// Whether a key is set but not sent: see [`ServerConfig::withhold_key`].
    pub withholds_key: bool,
}

/// Limits on the rate of requests to a server.
#[derive(Clone, Copy, Debug)]
pub struct RequestLimits {
    /// Maximum number of attempts in flight, at least 1. Halved when the server is overloaded, then slowly raised again.
    pub concurrency: usize,
    /// Maximum number of attempts within any minute; None for the limit that the server reports.
    pub max_requests_per_minute: Option<u32>,
    /// Maximum number of tokens within any minute, estimated until the server has counted; None as above. A single larger
    /// request is sent alone.
    pub max_tokens_per_minute: Option<u64>,
    /// After five consecutive failures of the server, the wait before one attempt probes it.
    pub outage_wait: Duration,
}

impl Default for RequestLimits {
    /// 4 attempts in flight, no limit per minute, an outage wait of 30 s.
    fn default() -> Self {
        Self {
            concurrency: 4,
            max_requests_per_minute: None,
            max_tokens_per_minute: None,
            outage_wait: Duration::from_secs(30),
        }
    }
}

impl ServerConfig {
    /// A server without a key: 600 s for each attempt and in total, 4 retries, a first wait of 0.5 s, the default limit for a reply,
    /// `OPENAI_API_KEY` in advice.
    #[must_use]
    pub fn new(base_url: Url) -> Self {
        Self {
            base_url,
            api_key: None,
            key_variable: "OPENAI_API_KEY".into(),
            auth: Auth::Bearer,
            headers: BTreeMap::new(),
            timeout: Duration::from_mins(10),
            total_timeout: Duration::from_mins(10),
            max_retries: 4,
            first_wait: Duration::from_millis(500),
            max_reply_bytes: Limits::default().max_reply_bytes,
            load: RequestLimits::default(),
            ca_file: None,
            sends_key_unencrypted: false,
            withholds_key: false,
        }
    }

    /// The same server without its key, where the key would be sent unencrypted to another machine and
    /// [`sends_key_unencrypted`](Self::sends_key_unencrypted) is not set.
    #[must_use]
    pub fn withhold_key(self) -> Self {
        if self.api_key.is_none() || self.sends_key_unencrypted || !self.is_exposed() {
            return self;
        }
        Self { api_key: None, withholds_key: true, ..self }
    }

    /// What tells this server from others: a digest of the whole address and the headers, which may select a deployment or a
    /// tenant. The key is no part of it.
    pub(crate) fn server_id(&self) -> String {
        // Texts are always written.
        hex(&Sha256::digest(serde_json::to_vec(&(self.base_url.as_str(), &self.headers)).unwrap_or_default()))
    }

    /// Whether requests go unencrypted to another machine.
    pub(super) fn is_exposed(&self) -> bool {
        self.base_url.scheme() != "https" && !self.base_url.host().is_some_and(|host| is_loopback(&host))
    }
}

/// Shows only scheme, host and port of the address, since its query may hold a key; shows only whether a key is set.
impl fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerConfig")
            .field("base_url", &origin(&self.base_url))
            .field("has_api_key", &self.api_key.is_some())
            .field("key_variable", &self.key_variable)
            .field("auth", &self.auth)
            .field("headers", &self.headers)
            .field("timeout", &self.timeout)
            .field("total_timeout", &self.total_timeout)
            .field("max_retries", &self.max_retries)
            .field("first_wait", &self.first_wait)
            .field("max_reply_bytes", &self.max_reply_bytes)
            .field("load", &self.load)
            .field("ca_file", &self.ca_file)
            .field("sends_key_unencrypted", &self.sends_key_unencrypted)
            .field("withholds_key", &self.withholds_key)
            .finish()
    }
}

/// The headers of each request, including that of the key.
pub(super) fn headers(config: &ServerConfig) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in &config.headers {
        let pair = name.parse::<HeaderName>().ok().zip(HeaderValue::from_str(value).ok());
        let pair = pair.ok_or_else(|| {
            Error::usage(format!("header {name}"), "is not a valid header", "correct the configuration")
        });
        headers.extend([pair?]);
    }
    if let Some(key) = &config.api_key {
        let (name, value) = key_header(key, config.auth, &config.key_variable)?;
        headers.insert(name, value);
    }
    Ok(headers)
}

fn key_header(key: &SecretString, auth: Auth, variable: &str) -> Result<(HeaderName, HeaderValue)> {
    let key = key.expose_secret().trim();
    let (name, value) = match auth {
        Auth::Bearer => (AUTHORIZATION, format!("Bearer {key}")),
        Auth::XApiKey => (HeaderName::from_static("x-api-key"), key.to_owned()),
        Auth::ApiKey => (HeaderName::from_static("api-key"), key.to_owned()),
    };
    let value = HeaderValue::from_str(&value).ok().filter(|_| !key.is_empty());
    let mut value = value.ok_or_else(|| {
        Error::usage(
            variable,
            "is empty or has characters that are invalid in a key",
            "copy the key again, without quotes",
        )
    })?;
    value.set_sensitive(true);
    Ok((name, value))
}
