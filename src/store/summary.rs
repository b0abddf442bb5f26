//! What a store lists, and what its upkeep did.

use std::collections::BTreeMap;

use serde_json::Value;

use super::content::ContentId;

/// A content of which the store holds results.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StoredContent {
    /// The content.
    pub content: ContentId,
    /// The title that its container states. Untrusted.
    pub title: Option<String>,
    /// The size of the file in bytes; None where it is not known.
    pub file_bytes: Option<u64>,
    /// The names under which it was met, the last one first: paths, addresses, `stdin`. Untrusted.
    pub names: Vec<String>,
    /// When a result was last used, in milliseconds since 1970.
    pub used_ms: i64,
    /// The results, the oldest first.
    pub entries: Vec<StoredEntry>,
}

impl StoredContent {
    /// The size of all entries in bytes.
    #[must_use]
    pub fn n_bytes(&self) -> u64 {
        self.entries.iter().map(|entry| entry.n_bytes).sum()
    }
}

/// A result.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StoredEntry {
    /// Its name in the folder, without the extension.
    pub id: String,
    /// The stage: `transcript`.
    pub stage: String,
    /// The decoder or the model.
    pub producer: Option<String>,
    /// The options of the stage.
    pub options: BTreeMap<String, Value>,
    /// Its size in bytes.
    pub n_bytes: u64,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was last used, in milliseconds since 1970.
    pub used_ms: i64,
}

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GcOutcome {
    /// How many entries.
    pub n_entries: usize,
    /// Their size in bytes.
    pub n_bytes: u64,
    /// How many entries stayed beyond the limit because they are in use.
    pub n_in_use: usize,
}

/// What a check of all entries found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyOutcome {
    /// Entries that passed.
    pub n_intact: usize,
    /// Entries that were moved aside.
    pub n_broken: usize,
}

/// What a new catalog lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RebuildOutcome {
    /// How many entries.
    pub n_entries: usize,
    /// Entries that were moved aside.
    pub n_broken: usize,
    /// Whether the old catalog was damaged and was moved aside.
    pub was_damaged: bool,
}
