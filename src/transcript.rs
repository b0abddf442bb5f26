//! What was said, when: segments on the clock that picture and sound share.

use serde::Serialize;

use crate::time::{TimeRange, Timestamp};

/// Everything said in one file.
#[derive(Clone, Debug, Serialize)]
pub struct Transcript {
    /// Where the text comes from.
    pub source: TranscriptSource,
    /// Language (ISO 639 or BCP 47) as the source has it; None where it does not say.
    pub language: Option<String>,
    /// Segments sorted by their start.
    pub segments: Vec<Segment>,
}

/// Where a transcript comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TranscriptSource {
    /// A subtitle file beside the media file, or named by the user.
    Sidecar {
        /// Its path.
        path: String,
    },
    /// A subtitle stream inside the container.
    Embedded {
        /// Index of the stream among all of the container, from 0.
        stream_idx: usize,
        /// Codec name as libav has it.
        codec: String,
    },
    /// Whisper on this machine.
    Whisper {
        /// The model's name: `base`, or the name of its file.
        model: String,
    },
    /// A transcription endpoint.
    Api {
        /// The model that was asked.
        model: String,
    },
}

/// A span of speech.
#[derive(Clone, Debug, Serialize)]
pub struct Segment {
    /// When it is spoken, on the shared clock.
    #[serde(flatten)]
    pub range: TimeRange,
    /// What is said: plain text, untrusted.
    pub text: String,
    /// Who speaks; None where the source does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speaker: Option<String>,
    /// Words with their times; empty where the source has none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<Word>,
    /// Mean probability of the words, 0 to 1; None where the source does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
}

/// One word of a segment.
#[derive(Clone, Debug, Serialize)]
pub struct Word {
    /// When it is spoken, on the shared clock.
    #[serde(flatten)]
    pub range: TimeRange,
    /// The word.
    pub text: String,
}

impl Segment {
    /// A segment of text alone.
    #[must_use]
    pub fn new(range: TimeRange, text: impl Into<String>) -> Self {
        Self { range, text: text.into(), speaker: None, words: Vec::new(), confidence: None }
    }
}

impl Transcript {
    /// The segments that begin in `[from, to)`; `to` None is "until the end".
    ///
    /// By their start alone, so that consecutive ranges hold each segment exactly once.
    #[must_use]
    pub fn starting_in(&self, from: Timestamp, to: Option<Timestamp>) -> &[Segment] {
        let first = self.segments.partition_point(|s| s.range.start < from);
        let last = to.map_or(self.segments.len(), |to| self.segments.partition_point(|s| s.range.start < to));
        &self.segments[first..last.max(first)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consecutive_ranges_hold_each_segment_once() {
        let at = Timestamp::from_millis;
        let segments: Vec<Segment> = [(0, 900), (500, 1500), (1000, 1000), (2500, 9000)]
            .map(|(a, b)| Segment::new(TimeRange::new(at(a), at(b)), "x"))
            .into();
        let transcript =
            Transcript { source: TranscriptSource::Sidecar { path: String::new() }, language: None, segments };
        let counts: Vec<usize> = [(0, Some(1000)), (1000, Some(2000)), (2000, None)]
            .map(|(a, b)| transcript.starting_in(at(a), b.map(at)).len())
            .into();
        assert_eq!(counts, [2, 1, 1]);
    }
}
