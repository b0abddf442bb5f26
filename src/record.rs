//! What answers about the windows of a recording state, with its evidence: records, and the sections that they form.

use serde::{Deserialize, Serialize};

use crate::time::TimeRange;

/// One event that the answer about a window states, with the evidence that it cites. All texts are untrusted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct EventRecord {
    /// Its number in the recording, from 0, in the order of the windows. Prompts call it `r9`.
    pub id: usize,
    /// From the first to the last of the frames and segments that it cites; its window if it cites none.
    pub range: TimeRange,
    /// What happens.
    pub text: String,
    /// Cited frames, by index: those that its window has.
    pub frames: Vec<usize>,
    /// Cited segments of the transcript, by index from 0: those that its window has.
    pub segments: Vec<usize>,
    /// Words that the cited segments contain; None if it quotes nothing, or words that are not there.
    pub quote: Option<String>,
    /// Text in the cited frames, as the model read it.
    pub on_screen_text: Option<String>,
    /// The people that it names.
    pub people: Vec<String>,
}

impl EventRecord {
    /// A record without evidence.
    #[must_use]
    pub fn new(id: usize, range: TimeRange, text: impl Into<String>) -> Self {
        Self {
            id,
            range,
            text: text.into(),
            frames: Vec::new(),
            segments: Vec::new(),
            quote: None,
            on_screen_text: None,
            people: Vec::new(),
        }
    }
}

/// Consecutive records about one topic. Its texts are untrusted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Section {
    /// From its first record to the next section, or to the end.
    pub range: TimeRange,
    /// A title of a few words.
    pub title: String,
    /// What happens in it.
    pub text: String,
    /// The number of its first record.
    pub first_record: usize,
    /// The number of its records, at least 1.
    pub n_records: usize,
}

impl Section {
    /// A section of `n_records` records from number `first_record` on.
    #[must_use]
    pub fn new(range: TimeRange, title: impl Into<String>, text: impl Into<String>, records: (usize, usize)) -> Self {
        let (first_record, n_records) = records;
        Self { range, title: title.into(), text: text.into(), first_record, n_records }
    }
}
