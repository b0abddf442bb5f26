//! What a provider's batch API supports.

use serde::Deserialize;

/// The protocol of a provider's batch API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BatchDialect {
    /// `OpenAI`'s: a file is uploaded to `/files`, then used by `/batches`.
    Files,
    /// Anthropic's: the requests are posted to `/messages/batches`.
    Messages,
}

/// The protocol and the limits of a provider's batch API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchSupport {
    /// The protocol.
    pub dialect: BatchDialect,
    /// Maximum number of requests in one batch.
    pub max_requests: usize,
    /// Maximum total size of a batch in bytes.
    pub max_bytes: u64,
}
