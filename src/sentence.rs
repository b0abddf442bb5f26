//! Sentences: where they begin and end, and what a check of their citations found.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation as _;

/// Whether a sentence is supported by what it cites.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Its citations exist, and what can be compared agrees.
    Supported,
    /// Its citations exist, but something in it was not found in the speech that it cites.
    Weak,
    /// It cites nothing, or something that does not exist, or states what is not in what it cites.
    Unsupported,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Supported => "supported",
            Self::Weak => "weak",
            Self::Unsupported => "unsupported",
        })
    }
}

/// What is wrong with a sentence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "problem", rename_all = "snake_case")]
#[non_exhaustive]
pub enum GroundingProblem {
    /// It cites nothing.
    NoCitation,
    /// No frame has this ID.
    UnknownFrame {
        /// The ID.
        frame_idx: usize,
    },
    /// The transcript has no segment with this ID.
    UnknownSegment {
        /// The ID.
        segment_id: usize,
    },
    /// The frame is shown at another time.
    OtherFrameTime {
        /// The ID.
        frame_idx: usize,
        /// The time as written.
        time: String,
    },
    /// Neither a frame nor a line of speech has this time.
    UnknownTime {
        /// The time as written.
        time: String,
    },
    /// The range ends before it starts.
    ReversedRange {
        /// The range as written.
        range: String,
    },
    /// The times divide the recording evenly, and are no times that were shown.
    EvenSplit,
    /// The quotation does not occur in the cited speech.
    QuotationNotFound {
        /// The quotation.
        quotation: String,
        /// Whether it may be text in a cited frame.
        may_be_shown: bool,
    },
    /// The number does not occur in the cited speech.
    NumberNotFound {
        /// The number, in digits.
        number: String,
        /// Whether it may be in a cited frame.
        may_be_shown: bool,
    },
    /// The model, asked about what it cites alone, denies it.
    Denied {
        /// Why, in its words: untrusted.
        reason: String,
    },
    /// It has few words in common with the cited speech.
    FewSharedWords {
        /// The shared part of its weighted words, 0 to 1.
        share: f64,
    },
}

impl GroundingProblem {
    /// The verdict on a sentence with this problem.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::FewSharedWords { .. }
            | Self::QuotationNotFound { may_be_shown: true, .. }
            | Self::NumberNotFound { may_be_shown: true, .. } => Verdict::Weak,
            _ => Verdict::Unsupported,
        }
    }
}

impl fmt::Display for GroundingProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCitation => write!(f, "cites no frame and no speech"),
            Self::UnknownFrame { frame_idx } => write!(f, "there is no frame #{frame_idx}"),
            Self::UnknownSegment { segment_id } => write!(f, "there is no line of speech s{segment_id}"),
            Self::OtherFrameTime { frame_idx, time } => write!(f, "frame #{frame_idx} is not shown at {time}"),
            Self::UnknownTime { time } => write!(f, "no frame and no line of speech has the time {time}"),
            Self::ReversedRange { range } => write!(f, "the range {range} ends before it starts"),
            Self::EvenSplit => write!(f, "the times divide the recording evenly and were not shown"),
            Self::QuotationNotFound { quotation, may_be_shown } => {
                write!(f, "\"{quotation}\" is not in the cited speech{}", or_shown(*may_be_shown))
            }
            Self::NumberNotFound { number, may_be_shown } => {
                write!(f, "{number} is not in the cited speech{}", or_shown(*may_be_shown))
            }
            Self::Denied { reason } if reason.is_empty() => write!(f, "the model, asked again, denies it"),
            Self::Denied { reason } => write!(f, "the model, asked again, denies it: {reason}"),
            Self::FewSharedWords { share } => {
                write!(f, "shares {:.0} % of its words with the cited speech", share * 100.0)
            }
        }
    }
}

fn or_shown(may_be_shown: bool) -> &'static str {
    if may_be_shown { "; it may be in a cited frame" } else { "" }
}

/// One sentence of an answer with its verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CheckedSentence {
    /// The sentence with its citations, without Markdown's marks: untrusted.
    pub text: String,
    /// The worst of its problems' verdicts.
    pub verdict: Verdict,
    /// What is wrong; empty if nothing was found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<GroundingProblem>,
    /// Whether the model, asked about what it cites alone, confirms it; None if it was not asked, or gave no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<bool>,
    /// The cited frames, by index. Not part of the written report.
    #[serde(skip)]
    pub frames: Vec<usize>,
    /// The cited lines of speech, by ID. Not part of the written report.
    #[serde(skip)]
    pub segments: Vec<usize>,
}

impl CheckedSentence {
    /// A sentence with the worst of its problems' verdicts, which was not verified and cites nothing.
    #[must_use]
    pub fn new(text: impl Into<String>, problems: Vec<GroundingProblem>) -> Self {
        let verdict = problems.iter().map(GroundingProblem::verdict).max().unwrap_or(Verdict::Supported);
        let (frames, segments) = Default::default();
        Self { text: text.into(), verdict, problems, verified: None, frames, segments }
    }
}

/// The sentences of a text, as ranges of bytes that together are the whole text. An abbreviation does not end a sentence.
pub(crate) fn sentence_ranges(text: &str) -> Vec<Range<usize>> {
    let (mut ranges, mut begin) = (Vec::new(), 0);
    for (at, piece) in text.split_sentence_bound_indices() {
        let end = at + piece.len();
        if end == text.len() || !ends_in_abbreviation(&text[begin..end]) {
            ranges.push(begin..end);
            begin = end;
        }
    }
    ranges
}

/// `Mr.`, `Dr.`, an initial: a capital, at most one more letter, a full stop.
fn ends_in_abbreviation(text: &str) -> bool {
    let last = text.trim_end().rsplit(char::is_whitespace).next().unwrap_or("");
    let Some(letters) = last.strip_suffix('.') else { return false };
    let mut chars = letters.chars();
    chars.next().is_some_and(char::is_uppercase)
        && chars.next().is_none_or(char::is_lowercase)
        && chars.next().is_none()
}
