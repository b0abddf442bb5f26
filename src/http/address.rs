//! Addresses of APIs.

use std::net::IpAddr;

use url::{Host, Url};

use crate::advice::Setting;
use crate::error::{Error, Result};

/// Parses the base URL of an API. A trailing slash is removed, `/v1` is added where the path is empty, and a trailing
/// `/chat/completions`, as shown in manuals, is removed.
///
/// ```
/// use vidgist::http::parse_base_url;
/// assert_eq!(parse_base_url("http://localhost:11434")?.as_str(), "http://localhost:11434/v1");
/// assert_eq!(parse_base_url("https://api.x.ai/v1/chat/completions")?.as_str(), "https://api.x.ai/v1");
/// # Ok::<(), vidgist::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where it is not an http(s) URL, or has a user name or password.
pub fn parse_base_url(text: &str) -> Result<Url> {
    const SHAPE: &str = "write it as https://host/v1 or http://localhost:8000/v1";
    // A text that is not a URL may be a key in the wrong variable: it is not shown.
    let mut url =
        Url::parse(text.trim()).map_err(|error| Error::setting(Setting::BaseUrl, error.to_string(), SHAPE))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(Error::setting(Setting::BaseUrl, "is not an http or https address", SHAPE));
    }
    if !url.username().is_empty() || url.password().is_some() {
        let advice = "put the key into its environment variable";
        return Err(Error::usage(server_name(&url), "the base URL contains a user name or password", advice));
    }
    url.set_fragment(None);
    let path = url.path().trim_end_matches('/');
    let path = path.strip_suffix("/chat/completions").unwrap_or(path).trim_end_matches('/');
    let path = if path.is_empty() { "/v1".to_owned() } else { path.to_owned() };
    url.set_path(&path);
    Ok(url)
}

/// The scheme, host and port.
pub(crate) fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

pub(super) fn server_name(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Whether a host is this machine.
pub(crate) fn is_loopback(host: &Host<&str>) -> bool {
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
    fn base_urls_are_normalized() {
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
