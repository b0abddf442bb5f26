//! Which server is asked, with which key, and how patiently.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use url::Url;

use super::{origin, server_name};
use crate::error::{Error, Result};
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

/// Which server is asked, and how patiently.
#[derive(Clone)]
pub struct ServerConfig {
    /// The address of the API, as [`parse_base_url`] makes it.
    pub base_url: Url,
    /// The key; None for a server that wants none.
    pub api_key: Option<SecretString>,
    /// The environment variable that the key is looked for in: the advice on a refusal names it.
    pub key_variable: String,
    /// The header that carries the key.
    pub auth: Auth,
    /// Further headers of each request, by name; no secrets.
    pub headers: BTreeMap<String, String>,
    /// Longest time of one try, from connecting to the last byte of the reply.
    pub timeout: Duration,
    /// Longest time of one request over all of its tries and the waits between them, from the first try on.
    pub total_timeout: Duration,
    /// Tries after the first one.
    pub max_retries: u32,
    /// Wait before the first retry, doubled for each further one up to 8 s, and shortened by up to a quarter at random.
    pub first_wait: Duration,
    /// Largest reply that is read, after decompression.
    pub max_reply_bytes: usize,
    /// How hard the server may be driven; all clones of a client share it.
    pub load: RequestLimits,
    /// A file of PEM certificates that are trusted beside the system's; None for the system's alone.
    pub ca_file: Option<PathBuf>,
}

/// How hard a server may be driven.
#[derive(Clone, Copy, Debug)]
pub struct RequestLimits {
    /// Most tries at one time, at least 1. Halved when the server says that it is too much, and slowly raised again.
    pub concurrency: usize,
    /// Most tries within any minute; None leaves it to what the server says of itself.
    pub max_requests_per_minute: Option<u32>,
    /// Most tokens within any minute, by estimate until the server has counted; None as above. A single request that
    /// is larger goes alone.
    pub max_tokens_per_minute: Option<u64>,
    /// After five failures of the server in a row, how long it is left alone before one try asks whether it is back.
    pub outage_wait: Duration,
}

impl Default for RequestLimits {
    /// 4 tries at a time, no limit for a minute, 30 s of rest.
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
    /// A server without a key: 600 s for each try and for all together, 4 retries, a first wait of 0.5 s, the default limit for a reply,
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
        }
    }
}

/// The address is shown as scheme, host and port, since its query may hold a key; of the key only whether there is one.
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
            .finish()
    }
}

/// Reads the address of an API as people write it: with or without a slash at the end, with or without `/v1` where
/// the path is otherwise empty, and without the `/chat/completions` that manuals show behind it.
///
/// ```
/// use vidgist::http::parse_base_url;
/// assert_eq!(parse_base_url("http://localhost:11434")?.as_str(), "http://localhost:11434/v1");
/// assert_eq!(parse_base_url("https://api.x.ai/v1/chat/completions")?.as_str(), "https://api.x.ai/v1");
/// # Ok::<(), vidgist::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where it is no http(s) URL, or holds a user name or password.
pub fn parse_base_url(text: &str) -> Result<Url> {
    const SHAPE: &str = "write it as https://host/v1 or http://localhost:8000/v1";
    // What is no URL may be a key in the wrong variable: it is not shown.
    let mut url = Url::parse(text.trim()).map_err(|error| Error::usage("base URL", error.to_string(), SHAPE))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(Error::usage("base URL", "is not an http or https address", SHAPE));
    }
    if !url.username().is_empty() || url.password().is_some() {
        let advice = "give the key in its environment variable alone";
        return Err(Error::usage(server_name(&url), "the base URL holds a user name or password", advice));
    }
    url.set_fragment(None);
    let path = url.path().trim_end_matches('/');
    let path = path.strip_suffix("/chat/completions").unwrap_or(path).trim_end_matches('/');
    let path = if path.is_empty() { "/v1".to_owned() } else { path.to_owned() };
    url.set_path(&path);
    Ok(url)
}

/// The headers of each request, the key's included.
pub(super) fn headers(config: &ServerConfig) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in &config.headers {
        let pair = name.parse::<HeaderName>().ok().zip(HeaderValue::from_str(value).ok());
        let pair = pair.ok_or_else(|| Error::usage(format!("header {name}"), "is no header", "mend the configuration"));
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
        Error::usage(variable, "is empty or holds characters that no key has", "copy the key again, without quotes")
    })?;
    value.set_sensitive(true);
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn a_base_url_is_read_as_people_write_it() {
        for (text, expected) in [
            ("https://api.openai.com/v1", "https://api.openai.com/v1"),
            ("https://api.openai.com/v1/", "https://api.openai.com/v1"),
            (" https://api.openai.com ", "https://api.openai.com/v1"),
            ("http://localhost:8000/", "http://localhost:8000/v1"),
            ("https://api.groq.com/openai/v1//", "https://api.groq.com/openai/v1"),
            ("https://host/v1beta/openai/", "https://host/v1beta/openai"),
            ("https://host/v1/chat/completions", "https://host/v1"),
            (
                "https://x.openai.azure.com/openai/v1?api-version=1",
                "https://x.openai.azure.com/openai/v1?api-version=1",
            ),
        ] {
            assert_eq!(parse_base_url(text).expect(text).as_str(), expected, "{text}");
        }
        for text in
            ["", "localhost:8000", "api.openai.com/v1", "file:///etc/passwd", "ftp://host", "https://", "sk-key"]
        {
            let error = parse_base_url(text).expect_err(text);
            assert!(matches!(error, Error { kind: ErrorKind::Usage, .. }), "{text}: {error:?}");
        }
        let error = parse_base_url("https://user:hunter22@host/v1").expect_err("a password");
        assert!(!format!("{error} {error:?}").contains("hunter22"));
    }
}
