//! A server that is asked over HTTP: one sender for chat and transcription, which guards the key, bounds the reply and
//! tries again where that can help.
//!
//! No redirect is ever followed, so that the key goes to no other host; it is sent unencrypted to loopback alone.

mod adaptive_limit;
mod admission;
mod circuit_breaker;
mod config;
mod rate_limit;
mod request_error;
mod reset_header;
mod retry_budget;
mod retry_policy;

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::{Certificate, Client, RequestBuilder, Response, StatusCode};
use secrecy::ExposeSecret as _;
use serde_json::Value;
use url::{Host, Url};

use self::admission::Admission;
pub use self::config::{Auth, RequestLimits, ServerConfig, parse_base_url};
use self::request_error::Key;
pub(crate) use self::request_error::{RequestError, tidy};
pub(crate) use self::retry_policy::RequestErrorKind;
use self::retry_policy::{RetryHints, RetryPolicy};
use crate::error::{Error, Result};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a reply that has begun may stand still.
const IDLE_TIMEOUT: Duration = Duration::from_mins(2);
/// At most this much of a refusal's body is read.
const MAX_REFUSAL_BYTES: usize = 64 << 10;
/// A stream of pieces may be so many times larger than a whole reply.
const STREAM_OVERHEAD: usize = 16;
/// A shorter key is a placeholder for a server that wants none (`none`, `ollama`), and stays in texts.
const MIN_SECRET_BYTES: usize = 8;
/// A larger file holds no certificates that one trusts.
const MAX_CA_BYTES: u64 = 4 << 20;

/// What makes something of a reply that comes in pieces.
pub(crate) trait ReadStream {
    /// What it makes.
    type Output;

    /// Takes the next bytes, cut anywhere.
    fn feed(&mut self, bytes: &[u8]) -> Result<(), RequestError>;

    /// The reply has ended.
    fn finish(self) -> Result<Self::Output, RequestError>;
}

/// A server, ready to be asked; cloning shares its connections and how hard it is driven.
#[derive(Clone)]
pub(crate) struct ApiClient {
    client: Client,
    config: ServerConfig,
    traffic: Arc<Admission>,
    headers: HeaderMap,
    name: String,
    is_loopback: bool,
}

impl ApiClient {
    /// Checks the address and the key; connects to nothing.
    pub fn new(config: ServerConfig) -> Result<Self> {
        let name = server_name(&config.base_url);
        let is_loopback = config.base_url.host().is_some_and(|host| is_loopback(&host));
        if config.api_key.is_some() && config.base_url.scheme() != "https" && !is_loopback {
            let advice = "use its https:// address, or give no key";
            return Err(Error::usage(name, "the key would be sent unencrypted over http://", advice));
        }
        let headers = config::headers(&config)?;
        let mut builder = Client::builder()
            .user_agent(concat!("vidgist/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT);
        if is_loopback {
            builder = builder.no_proxy();
        }
        if let Some(path) = &config.ca_file {
            builder = builder.tls_certs_merge(certificates(path)?);
        }
        let client = builder.build().map_err(|error| {
            Error::service(&name, "cannot set up TLS", "check the system's certificates").because(error)
        })?;
        let traffic = Arc::new(Admission::new(&config.load));
        Ok(Self { client, config, traffic, headers, name, is_loopback })
    }

    /// Host, and port where it is not the usual one.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> String {
        origin(&self.config.base_url)
    }

    /// Posts to `path` beneath the base URL until `read` has made something of a JSON reply; also says in how many tries.
    ///
    /// `n_tokens` is what the request is expected to weigh (0 where it is not counted in tokens), which
    /// [`ApiClient::correct`] mends afterwards. `fill` puts the body on a request: it is called for each try. Each try waits
    /// until the server's load lets it go, so that callers may ask as much at a time as they like.
    pub async fn post<T>(
        &self,
        path: &[&str],
        n_tokens: u64,
        fill: impl Fn(RequestBuilder) -> RequestBuilder,
        read: impl Fn(Value) -> Result<T, RequestError>,
    ) -> Result<(T, u32), RequestError> {
        let read = &read;
        let exchange = |request| async move { read(self.whole(self.send(request).await?).await?) };
        self.ask(path, n_tokens, |client, url| fill(client.post(url)), exchange).await
    }

    /// As [`ApiClient::post`], for a reply that comes in pieces, each of which goes to a reader that `begin` makes anew
    /// for each try. A server that answers whole JSON all the same is read by `read`.
    pub async fn post_stream<R: ReadStream>(
        &self,
        path: &[&str],
        n_tokens: u64,
        fill: impl Fn(RequestBuilder) -> RequestBuilder,
        begin: impl Fn() -> R,
        read: impl Fn(Value) -> Result<R::Output, RequestError>,
    ) -> Result<(R::Output, u32), RequestError> {
        let (begin, read) = (&begin, &read);
        let exchange = |request| async move {
            let reader = begin();
            let response = self.send(request).await?;
            if is_json(&response) { read(self.whole(response).await?) } else { self.pieces(response, reader).await }
        };
        self.ask(path, n_tokens, |client, url| fill(client.post(url)), exchange).await
    }

    /// Gets `path` beneath the base URL, as [`ApiClient::post`].
    pub async fn get<T>(
        &self,
        path: &[&str],
        read: impl Fn(Value) -> Result<T, RequestError>,
    ) -> Result<(T, u32), RequestError> {
        self.get_with(path, &[], read).await
    }

    /// As [`ApiClient::get`], with a query.
    pub async fn get_with<T>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        read: impl Fn(Value) -> Result<T, RequestError>,
    ) -> Result<(T, u32), RequestError> {
        let read = &read;
        let request = |client: &Client, mut url: Url| {
            if !query.is_empty() {
                url.query_pairs_mut().extend_pairs(query);
            }
            client.get(url)
        };
        self.ask(path, 0, request, |request| async move { read(self.whole(self.send(request).await?).await?) }).await
    }

    /// Gets `path` beneath the base URL, whatever it holds, into a reader that `begin` makes anew for each try.
    pub async fn get_pieces<R: ReadStream>(
        &self,
        path: &[&str],
        begin: impl Fn() -> R,
    ) -> Result<(R::Output, u32), RequestError> {
        let begin = &begin;
        let exchange = |request| async move { self.pieces(self.send(request).await?, begin()).await };
        self.ask(path, 0, Client::get, exchange).await
    }

    /// Deletes `path` beneath the base URL; nothing is made of the reply.
    pub async fn delete(&self, path: &[&str]) -> Result<(), RequestError> {
        let exchange = |request| async move { self.send(request).await.map(drop) };
        self.ask(path, 0, Client::delete, exchange).await.map(|((), _)| ())
    }

    /// The same server, where each request is tried once: for what must not be done twice.
    pub fn without_retries(&self) -> Self {
        Self { config: ServerConfig { max_retries: 0, ..self.config.clone() }, ..self.clone() }
    }

    /// A request that went as `expected` tokens was `counted` by the server.
    pub fn correct(&self, expected: u64, counted: u64) {
        self.traffic.correct(expected, counted);
    }

    /// The failure that an `error` object in a reply of status 200 is; None where `reply` holds none.
    pub fn failure_inside(&self, reply: &Value) -> Option<RequestError> {
        RequestError::inside(reply, &self.key())
    }

    /// The failure that an `error` object tells of, where it stands by itself.
    pub fn failure_said(&self, error: &Value) -> RequestError {
        let failure = self.without_key(RequestError::of(error, &self.key()));
        if failure.problem.is_empty() {
            return RequestError { problem: "it failed, without a reason".to_owned(), ..failure };
        }
        failure
    }

    /// The failure that a reply of this status and body is, where both stand inside of another.
    pub fn failure_of(&self, status: u16, body: &Value) -> RequestError {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        self.without_key(RequestError::status(status, body.to_string().as_bytes(), RetryHints::default(), &self.key()))
    }

    async fn ask<T, Fut: Future<Output = Result<T, RequestError>>>(
        &self,
        path: &[&str],
        n_tokens: u64,
        request: impl Fn(&Client, Url) -> RequestBuilder,
        exchange: impl Fn(RequestBuilder) -> Fut,
    ) -> Result<(T, u32), RequestError> {
        let mut url = self.config.base_url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let ServerConfig { max_retries, first_wait, timeout, total_timeout, .. } = self.config;
        let policy = RetryPolicy { max_retries, first_wait, timeout, total_timeout };
        retry_policy::run(policy, &self.traffic, n_tokens, &self.name, |limit| {
            let request = request(&self.client, url.clone()).headers(self.headers.clone());
            let reply = tokio::time::timeout(limit, exchange(request));
            async move {
                let reply = reply.await.unwrap_or_else(|_| Err(RequestError::timeout(limit, "no answer")));
                reply.map_err(|failure| self.without_key(failure))
            }
        })
        .await
    }

    /// One try until the reply's head, which is one of success.
    async fn send(&self, request: RequestBuilder) -> Result<Response, RequestError> {
        let response = request.send().await.map_err(|error| RequestError::transport(error, self.is_loopback))?;
        let status = response.status();
        self.traffic.heed(response.headers());
        let id = ["x-request-id", "request-id"].iter().find_map(|name| response.headers().get(*name)?.to_str().ok());
        let id = self.hide_key(tidy(id.unwrap_or("none")));
        tracing::debug!("{}: {status}, request id {id}", self.name);
        if status.is_redirection() {
            return Err(redirect(status, &response));
        }
        if !status.is_success() {
            let hints = RetryHints::read(response.headers(), SystemTime::now());
            let mut body = Vec::new();
            // What has come of a refusal is told, even if its rest never comes.
            let _ = read_into(&mut body, response, MAX_REFUSAL_BYTES, self.is_loopback).await;
            return Err(RequestError::status(status, &body, hints, &self.key()));
        }
        Ok(response)
    }

    /// The whole reply, as JSON.
    async fn whole(&self, response: Response) -> Result<Value, RequestError> {
        let mut body = Vec::new();
        read_into(&mut body, response, self.config.max_reply_bytes, self.is_loopback).await?;
        let reply = serde_json::from_slice(&body).map_err(|error| not_json(&body, &error))?;
        self.failure_inside(&reply).map_or(Ok(reply), Err)
    }

    /// The reply piece by piece. Around each word of the text there are some hundred bytes.
    async fn pieces<R: ReadStream>(&self, mut response: Response, mut reader: R) -> Result<R::Output, RequestError> {
        let max_bytes = self.config.max_reply_bytes.saturating_mul(STREAM_OVERHEAD);
        let mut n_bytes = 0_usize;
        while let Some(chunk) = next_chunk(&mut response, self.is_loopback).await? {
            n_bytes = n_bytes.saturating_add(chunk.len());
            if n_bytes > max_bytes {
                return Err(too_large(max_bytes));
            }
            reader.feed(&chunk)?;
        }
        reader.finish()
    }

    fn key(&self) -> Key<'_> {
        Key { variable: &self.config.key_variable, is_set: self.config.api_key.is_some() }
    }

    fn without_key(&self, mut failure: RequestError) -> RequestError {
        failure.problem = self.hide_key(failure.problem);
        failure
    }

    /// A server may repeat the key that it was sent.
    fn hide_key(&self, text: String) -> String {
        match self.config.api_key.as_ref().map(|key| key.expose_secret().trim()) {
            Some(key) if key.len() >= MIN_SECRET_BYTES => text.replace(key, "[key]"),
            _ => text,
        }
    }
}

impl fmt::Debug for ApiClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.config.fmt(f)
    }
}

/// The certificates in a PEM file.
fn certificates(path: &Path) -> Result<Vec<Certificate>> {
    let n_bytes = std::fs::metadata(path).map_err(|error| Error::io(path, error))?.len();
    if n_bytes > MAX_CA_BYTES {
        return Err(Error::limit(
            path.display(),
            format!("{n_bytes} bytes of certificates, at most {MAX_CA_BYTES}"),
            "",
        ));
    }
    let pem = std::fs::read(path).map_err(|error| Error::io(path, error))?;
    let bad = |problem: &str| Error::usage(path.display(), problem, "name a file of PEM certificates with --ca-file");
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(bad("holds no certificate")),
        Err(error) => Err(bad("holds no certificate that can be read").because(error)),
    }
}

/// Appends the body to `body`; an error where it is larger than `max_bytes`, stands still or breaks.
async fn read_into(
    body: &mut Vec<u8>,
    mut response: Response,
    max_bytes: usize,
    is_loopback: bool,
) -> Result<(), RequestError> {
    while let Some(chunk) = next_chunk(&mut response, is_loopback).await? {
        if body.len() + chunk.len() > max_bytes {
            body.extend_from_slice(&chunk[..max_bytes - body.len()]);
            return Err(too_large(max_bytes));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(())
}

async fn next_chunk(response: &mut Response, is_loopback: bool) -> Result<Option<Bytes>, RequestError> {
    tokio::time::timeout(IDLE_TIMEOUT, response.chunk())
        .await
        .map_err(|_| RequestError::timeout(IDLE_TIMEOUT, "the reply stood still"))?
        .map_err(|error| RequestError::transport(error, is_loopback))
}

pub(crate) fn too_large(max_bytes: usize) -> RequestError {
    let problem = format!("the reply is larger than {max_bytes} bytes");
    RequestError { is_limit: true, ..RequestError::new(RequestErrorKind::Final, problem, "") }
}

fn is_json(response: &Response) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // Not `application/x-ndjson`, which is a stream.
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
        || kind.starts_with("text/html")
}

fn not_json(body: &[u8], error: &serde_json::Error) -> RequestError {
    if body.trim_ascii_start().starts_with(b"<") {
        // A page comes from a web site, not from a moment's trouble.
        let advice = "check --base-url: the address of an API often ends in /v1";
        return RequestError::new(RequestErrorKind::Final, "answered a web page, not JSON", advice);
    }
    let problem = match body.len() {
        0 => "the reply is empty".to_owned(),
        n_bytes => format!("the reply of {n_bytes} bytes is not whole JSON: {error}"),
    };
    RequestError::new(RequestErrorKind::Garbled, problem, "check that --base-url speaks the OpenAI API")
}

fn redirect(status: StatusCode, response: &Response) -> RequestError {
    let target = response.headers().get(LOCATION).and_then(|value| response.url().join(value.to_str().ok()?).ok());
    let target = target.map_or_else(String::new, |url| format!(" to {}", origin(&url)));
    let problem = format!("{status}{target}, which is not followed, so that the key goes nowhere else");
    RequestError::new(RequestErrorKind::Status(status.as_u16()), problem, "set --base-url to where the API really is")
}

fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

fn server_name(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => IpAddr::V6(*address).to_canonical().is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn a_key_goes_over_https_or_to_this_machine_alone() {
        let new = |url: &str, key: Option<&str>| {
            let base_url = parse_base_url(url).expect(url);
            ApiClient::new(ServerConfig { api_key: key.map(Into::into), ..ServerConfig::new(base_url) })
        };
        for url in ["http://127.8.0.1", "http://localhost:1", "http://api.localhost", "http://[::1]:1", "https://host"]
        {
            assert!(new(url, Some("sk-1")).is_ok(), "{url}");
        }
        for url in ["http://host", "http://10.0.0.1", "http://localhost.host", "http://[::2]", "http://128.0.0.1"] {
            let error = new(url, Some("sk-1")).expect_err(url);
            assert!(matches!(error, Error { kind: ErrorKind::Usage, .. }), "{url}: {error:?}");
            assert!(new(url, None).is_ok(), "{url} without a key");
        }
        for key in ["", "  ", "sk-\n1", "sk-\u{0}"] {
            assert!(matches!(new("https://host", Some(key)), Err(Error { kind: ErrorKind::Usage, .. })), "{key:?}");
        }
        assert!(new("https://host", Some("sk-1\n")).is_ok(), "the newline at the end of a key file");
    }
}
