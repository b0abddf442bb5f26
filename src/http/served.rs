//! What an address serves, from the head of its response.

use std::path::Path;
use std::time::Duration;

use reqwest::Client;
use reqwest::header::CONTENT_TYPE;
use url::Url;

use super::address::is_loopback;
use super::client::certificates;
use super::request_error::deepest_text;
use crate::error::{Error, ErrorCode, Result};
use crate::input::KIND_HEAD_BYTES;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the server may send nothing.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// The head of a response.
#[derive(Clone, Debug)]
pub(crate) struct ServedContent {
    /// The HTTP status.
    pub status: u16,
    /// The media type in lower case, without parameters; None where the server states none.
    pub content_type: Option<String>,
    /// The first bytes, at most [`KIND_HEAD_BYTES`]; empty where the media type says enough.
    pub head: Vec<u8>,
}

/// Asks what `url` serves, and reads no more of it than is needed. Follows redirects, for no key is sent. `ca_file` has
/// PEM certificates that are trusted in addition to the system's.
///
/// # Errors
/// [`ErrorKind::Service`](crate::ErrorKind::Service) where the server cannot be reached.
pub(crate) async fn served_content(url: &Url, ca_file: Option<&Path>) -> Result<ServedContent> {
    let name = url.host_str().unwrap_or_default();
    let mut builder = Client::builder()
        .user_agent(concat!("vidgist/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(IDLE_TIMEOUT);
    if url.host().is_some_and(|host| is_loopback(&host)) {
        builder = builder.no_proxy();
    }
    if let Some(path) = ca_file {
        builder = builder.tls_certs_merge(certificates(path)?);
    }
    let client = builder
        .build()
        .map_err(|error| Error::service(name, "cannot set up TLS", "check the system's certificates").because(error))?;
    let mut response = client.get(url.clone()).send().await.map_err(|error| {
        // The URL may hold a key as a query.
        let error = error.without_url();
        let problem = format!("cannot be reached: {}", deepest_text(&error));
        let error = Error::service(name, problem, "check the address and the network").because(error);
        error.with_code(ErrorCode::Unreachable)
    })?;
    let status = response.status().as_u16();
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type =
        content_type.and_then(|value| value.split(';').next()).map(|kind| kind.trim().to_ascii_lowercase());
    let mut head = Vec::new();
    if content_type
        .as_deref()
        .is_none_or(|kind| matches!(kind, "" | "application/octet-stream" | "binary/octet-stream" | "text/plain"))
    {
        // A connection that breaks here breaks again when the address is read.
        while let Ok(Some(chunk)) = response.chunk().await {
            head.extend_from_slice(&chunk);
            if head.len() >= KIND_HEAD_BYTES {
                head.truncate(KIND_HEAD_BYTES);
                break;
            }
        }
    }
    Ok(ServedContent { status, content_type, head })
}
