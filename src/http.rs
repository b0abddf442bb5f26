//! A client for HTTP APIs: one way to send requests for chat and transcription. It protects the key, bounds the reply and
//! retries where a retry can help.
//!
//! Redirects are never followed, so that the key reaches no other host. A key is sent without encryption to loopback only.
//! `served_content` sends no key: it asks what an address serves.

mod adaptive_limit;
mod address;
mod admission;
mod circuit_breaker;
mod client;
mod config;
mod rate_limit;
mod refusal;
mod request_error;
mod reset_header;
mod response;
mod retry;
mod retry_budget;
mod retry_hints;
mod retry_policy;
mod served;
mod too_long;
mod tools_unsupported;

pub use self::address::parse_base_url;
pub(crate) use self::address::{is_loopback, origin};
pub(crate) use self::client::ApiClient;
pub use self::config::{Auth, RequestLimits, ServerConfig};
pub(crate) use self::request_error::{RefusalDetails, RequestError, RequestErrorKind, tidy};
pub(crate) use self::response::{ReadStream, too_large};
pub(crate) use self::served::{ServedContent, served_content};
