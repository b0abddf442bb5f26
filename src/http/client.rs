//! A client for one server: it protects the key, bounds the reply and retries where a retry can help.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use reqwest::header::HeaderMap;
use reqwest::{Certificate, Client, RequestBuilder, Response, StatusCode};
use secrecy::ExposeSecret as _;
use serde_json::Value;
use url::Url;

use super::address::{is_loopback, origin, server_name};
use super::admission::Admission;
use super::config::{ServerConfig, headers};
use super::refusal::{self, KeyInfo};
use super::request_error::{RequestError, tidy};
use super::response::{ReadStream, is_json, next_chunk, not_json, read_into, redirect, too_large};
use super::retry;
use super::retry_hints::RetryHints;
use super::retry_policy::RetryPolicy;
use crate::advice::{Advice, Setting};
use crate::error::{Error, Result};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// At most this much of the body of an error response is read.
const MAX_REFUSAL_BYTES: usize = 64 << 10;
/// A streamed reply may be this many times larger than a whole one, because of its framing.
const STREAM_OVERHEAD: usize = 16;
/// A shorter key is a placeholder for a server that needs none (`none`, `ollama`) and stays visible in messages.
const MIN_SECRET_BYTES: usize = 8;
/// A larger file of certificates is refused.
const MAX_CA_BYTES: u64 = 4 << 20;

/// A client for one server. Clones share its connections, limits and retry budget.
#[derive(Clone)]
pub(crate) struct ApiClient {
    client: Client,
    config: ServerConfig,
    admission: Arc<Admission>,
    headers: HeaderMap,
    name: String,
    is_loopback: bool,
}

impl ApiClient {
    /// Checks the address and the key; connects to nothing.
    pub fn new(config: ServerConfig) -> Result<Self> {
        let name = server_name(&config.base_url);
        let is_loopback = config.base_url.host().is_some_and(|host| is_loopback(&host));
        if config.api_key.is_some() && config.is_exposed() && !config.sends_key_unencrypted {
            let advice = Advice::from("use its https:// address").or(Advice::Set(Setting::SendKeyUnencrypted));
            return Err(Error::usage(name, "the key would be sent unencrypted over http://", advice));
        }
        let headers = headers(&config)?;
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
        let admission = Arc::new(Admission::new(&config.load));
        Ok(Self { client, config, admission, headers, name, is_loopback })
    }

    /// Host, and port where it is not the default one.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> String {
        origin(&self.config.base_url)
    }

    /// Posts to `path` below the base URL until `read` accepts a JSON reply; also returns the number of attempts.
    ///
    /// `n_tokens` is the estimated size of the request (0 where it is not counted in tokens);
    /// [`ApiClient::correct`] corrects it afterwards. `fill` adds the body to a request: it is called for each attempt.
    /// Each attempt waits for a permit, so callers may start any number of requests.
    pub async fn post<T>(
        &self,
        path: &[&str],
        n_tokens: u64,
        fill: impl Fn(RequestBuilder) -> RequestBuilder,
        read: impl Fn(Value) -> Result<T, RequestError>,
    ) -> Result<(T, u32), RequestError> {
        let read = &read;
        let exchange = |request| async move { read(self.read_json(self.send(request).await?).await?) };
        self.run(path, n_tokens, |client, url| fill(client.post(url)), exchange).await
    }

    /// As [`ApiClient::post`], for a streamed reply, which goes to a reader that `begin` creates for each attempt. A server
    /// that sends one JSON document instead is read by `read`.
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
            if is_json(&response) {
                read(self.read_json(response).await?)
            } else {
                self.read_stream(response, reader).await
            }
        };
        self.run(path, n_tokens, |client, url| fill(client.post(url)), exchange).await
    }

    /// Gets `path` below the base URL, as [`ApiClient::post`].
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
        self.run(path, 0, request, |request| async move { read(self.read_json(self.send(request).await?).await?) })
            .await
    }

    /// Streams `path` below the base URL, of any content type, to a reader that `begin` creates for each attempt.
    pub async fn get_stream<R: ReadStream>(
        &self,
        path: &[&str],
        begin: impl Fn() -> R,
    ) -> Result<(R::Output, u32), RequestError> {
        let begin = &begin;
        let exchange = |request| async move { self.read_stream(self.send(request).await?, begin()).await };
        self.run(path, 0, Client::get, exchange).await
    }

    /// Deletes `path` below the base URL; the reply is ignored.
    pub async fn delete(&self, path: &[&str]) -> Result<(), RequestError> {
        let exchange = |request| async move { self.send(request).await.map(drop) };
        self.run(path, 0, Client::delete, exchange).await.map(|((), _)| ())
    }

    /// The same client without retries: for requests that must not be sent twice.
    pub fn without_retries(&self) -> Self {
        Self { config: ServerConfig { max_retries: 0, ..self.config.clone() }, ..self.clone() }
    }

    /// The server counted `counted` tokens for a request estimated at `estimated`.
    pub fn correct(&self, estimated: u64, counted: u64) {
        self.admission.correct(estimated, counted);
    }

    /// The failure in an `error` object inside a response of status 200; None where `reply` has none.
    pub fn error_inside(&self, reply: &Value) -> Option<RequestError> {
        refusal::inside_success(reply, &self.key())
    }

    /// The failure that a separate `error` object describes.
    pub fn error_from_object(&self, error: &Value) -> RequestError {
        let failure = self.without_key(refusal::from_error_object(error, &self.key()));
        if failure.problem.is_empty() {
            return RequestError { problem: "the server gave no reason".to_owned(), ..failure };
        }
        failure
    }

    /// The failure of an embedded response with this status and body.
    pub fn error_from_response(&self, status: u16, body: &Value) -> RequestError {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        self.without_key(refusal::from_response(
            status,
            body.to_string().as_bytes(),
            RetryHints::default(),
            &self.key(),
        ))
    }

    async fn run<T, Fut: Future<Output = Result<T, RequestError>>>(
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
        retry::run(policy, &self.admission, n_tokens, &self.name, |limit| {
            let request = request(&self.client, url.clone()).headers(self.headers.clone());
            let reply = tokio::time::timeout(limit, exchange(request));
            async move {
                let reply = reply.await.unwrap_or_else(|_| Err(RequestError::timeout(limit, "no answer")));
                reply.map_err(|failure| self.without_key(failure))
            }
        })
        .await
    }

    /// Sends one attempt and returns the response if its status is a success.
    async fn send(&self, request: RequestBuilder) -> Result<Response, RequestError> {
        let response = request.send().await.map_err(|error| RequestError::transport(error, self.is_loopback))?;
        let status = response.status();
        self.admission.read_headers(response.headers());
        let id = ["x-request-id", "request-id"].iter().find_map(|name| response.headers().get(*name)?.to_str().ok());
        let id = self.hide_key(tidy(id.unwrap_or("none")));
        tracing::debug!("{}: {status}, request id {id}", self.name);
        if status.is_redirection() {
            return Err(redirect(status, &response));
        }
        if !status.is_success() {
            let hints = RetryHints::read(response.headers(), SystemTime::now());
            let mut body = Vec::new();
            // A partial body of an error response is still useful.
            let _ = read_into(&mut body, response, MAX_REFUSAL_BYTES, self.is_loopback).await;
            return Err(refusal::from_response(status, &body, hints, &self.key()));
        }
        Ok(response)
    }

    /// Reads the whole response as JSON.
    async fn read_json(&self, response: Response) -> Result<Value, RequestError> {
        let mut body = Vec::new();
        read_into(&mut body, response, self.config.max_reply_bytes, self.is_loopback).await?;
        let reply = serde_json::from_slice(&body).map_err(|error| not_json(&body, &error))?;
        self.error_inside(&reply).map_or(Ok(reply), Err)
    }

    /// Streams the response to a reader. Framing adds about a hundred bytes to each word of the text.
    async fn read_stream<R: ReadStream>(
        &self,
        mut response: Response,
        mut reader: R,
    ) -> Result<R::Output, RequestError> {
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

    fn key(&self) -> KeyInfo<'_> {
        KeyInfo {
            variable: &self.config.key_variable,
            is_set: self.config.api_key.is_some(),
            is_withheld: self.config.withholds_key,
        }
    }

    fn without_key(&self, mut failure: RequestError) -> RequestError {
        failure.problem = self.hide_key(failure.problem);
        failure
    }

    /// A server may repeat the key in its messages.
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
pub(super) fn certificates(path: &Path) -> Result<Vec<Certificate>> {
    let n_bytes = std::fs::metadata(path).map_err(|error| Error::io(path, error))?.len();
    if n_bytes > MAX_CA_BYTES {
        return Err(Error::limit(
            path.display(),
            format!("has {n_bytes} bytes of certificates; the maximum is {MAX_CA_BYTES}"),
            "",
        ));
    }
    let pem = std::fs::read(path).map_err(|error| Error::io(path, error))?;
    let bad = |problem: &str| Error::usage(path.display(), problem, Advice::Check(Setting::CaFile));
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(bad("contains no PEM certificate")),
        Err(error) => Err(bad("contains a certificate that cannot be read").because(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::address::parse_base_url;
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn a_key_is_sent_over_https_or_to_loopback_only() {
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
