//! Reading a response: its body in bounded memory, and what a response that is no JSON means.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Response, StatusCode};

use super::address::origin;
use super::request_error::{RequestError, RequestErrorKind};
use crate::advice::{Advice, Setting};
use crate::error::ErrorCode;

/// How long a response that has begun may pause.
const IDLE_TIMEOUT: Duration = Duration::from_mins(2);

/// Reads a streamed reply.
pub(crate) trait ReadStream {
    /// The result.
    type Output;

    /// Takes the next bytes; the boundaries have no meaning.
    fn feed(&mut self, bytes: &[u8]) -> Result<(), RequestError>;

    /// The reply has ended.
    fn finish(self) -> Result<Self::Output, RequestError>;
}

/// Appends the body to `body`; an error where it is larger than `max_bytes`, pauses too long or breaks.
pub(super) async fn read_into(
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

pub(super) async fn next_chunk(response: &mut Response, is_loopback: bool) -> Result<Option<Bytes>, RequestError> {
    tokio::time::timeout(IDLE_TIMEOUT, response.chunk())
        .await
        .map_err(|_| RequestError::timeout(IDLE_TIMEOUT, "the reply paused"))?
        .map_err(|error| RequestError::transport(error, is_loopback))
}

/// The failure for a reply larger than `max_bytes`.
pub(crate) fn too_large(max_bytes: usize) -> RequestError {
    let problem = format!("the reply is larger than {max_bytes} bytes");
    RequestError::new(RequestErrorKind::Final, problem, "").with_code(ErrorCode::TooLarge)
}

pub(super) fn is_json(response: &Response) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // Not `application/x-ndjson`, which is a stream.
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
        || kind.starts_with("text/html")
}

pub(super) fn not_json(body: &[u8], error: &serde_json::Error) -> RequestError {
    if body.trim_ascii_start().starts_with(b"<") {
        // A web page indicates a wrong address, not a temporary failure.
        let problem = "the reply is a web page, not JSON (the base URL of an API often ends in /v1)";
        return RequestError::new(RequestErrorKind::Final, problem, Advice::Check(Setting::BaseUrl));
    }
    let problem = match body.len() {
        0 => "the reply is empty".to_owned(),
        n_bytes => format!("the reply of {n_bytes} bytes is not complete JSON: {error}"),
    };
    RequestError::new(RequestErrorKind::InvalidBody, problem, Advice::Check(Setting::BaseUrl))
}

pub(super) fn redirect(status: StatusCode, response: &Response) -> RequestError {
    let target = response.headers().get(LOCATION).and_then(|value| response.url().join(value.to_str().ok()?).ok());
    let target = target.map_or_else(String::new, |url| format!(" to {}", origin(&url)));
    let problem = format!("{status}{target}; redirects are not followed, so that the key reaches no other host");
    RequestError::new(RequestErrorKind::Status(status.as_u16()), problem, Advice::Check(Setting::BaseUrl))
}
