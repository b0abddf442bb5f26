//! What a model asked to see while it answered.

use serde::{Deserialize, Serialize};

use crate::time::TimeRange;

/// One thing that a model asked to see again, and what it got.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct LookReport {
    /// The reply that asked for it, from 1.
    pub round: u32,
    /// What it asked for: `frames` or `transcript`, or another name: untrusted.
    pub tool: String,
    /// The part of the recording; None where it could not be read.
    pub range: Option<TimeRange>,
    /// The frames that it was shown, by index.
    pub frames: Vec<usize>,
    /// The number of lines of speech that it was shown.
    pub n_lines: usize,
    /// Why it was shown nothing; None if it was.
    pub problem: Option<String>,
}

impl LookReport {
    /// Of a request that showed nothing yet.
    #[must_use]
    pub fn new(round: u32, tool: impl Into<String>) -> Self {
        Self { round, tool: tool.into(), range: None, frames: Vec::new(), n_lines: 0, problem: None }
    }
}
