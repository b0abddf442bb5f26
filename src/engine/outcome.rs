//! What a job produced.

use crate::pipeline::audio::AudioResult;
use crate::pipeline::caption::CaptionSummary;
use crate::pipeline::describe_audio::DescribeResult;
use crate::pipeline::transcribe::TranscribeResult;
use crate::pipeline::translate::TranslateResult;
use crate::report::{Report, Status};

/// What a job produced.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "one per job, moved once")]
pub enum Outcome {
    /// Of a summary or of frames.
    Report(Box<Report>),
    /// Of captions.
    Captions(CaptionSummary),
    /// Of transcripts.
    Transcripts(TranscribeResult),
    /// Of a translation.
    Translation(Box<TranslateResult>),
    /// Of audio.
    Audio(AudioResult),
    /// Of descriptions of audio.
    Descriptions(DescribeResult),
}

impl Outcome {
    /// Whether nothing failed and nothing is missing.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        match self {
            Self::Report(report) => report.status() == Status::Complete,
            Self::Captions(summary) => summary.n_failed == 0 && summary.stopped_because.is_none(),
            Self::Transcripts(result) => result.is_complete(),
            Self::Translation(result) => result.is_complete(),
            Self::Audio(result) => result.missing.is_empty(),
            Self::Descriptions(result) => result.is_complete(),
        }
    }
}
