//! How much detail the endpoint's reply should have.

use super::config::ApiTranscriberConfig;
use crate::http::{RequestError, RequestErrorKind};

/// The requested detail of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReplyDetail {
    Words,
    Segments,
    Speakers,
    Text,
}

impl ReplyDetail {
    /// The detail to request first.
    pub fn first(config: &ApiTranscriberConfig) -> Self {
        if config.model.contains("diarize") {
            Self::Speakers
        } else if config.word_times {
            Self::Words
        } else {
            Self::Segments
        }
    }

    /// The form fields that request it.
    pub fn fields(self) -> &'static [(&'static str, &'static str)] {
        const WORD: (&str, &str) = ("timestamp_granularities[]", "word");
        const SEGMENT: (&str, &str) = ("timestamp_granularities[]", "segment");
        match self {
            Self::Words => &[("response_format", "verbose_json"), WORD, SEGMENT],
            Self::Segments => &[("response_format", "verbose_json"), SEGMENT],
            // The server rejects audio over 30 s without a chunking strategy.
            Self::Speakers => &[("response_format", "diarized_json"), ("chunking_strategy", "auto")],
            Self::Text => &[("response_format", "json")],
        }
    }

    /// The detail to request after a refusal; None if the failure has another reason, or if no detail is left to drop.
    pub fn after(self, failure: &RequestError) -> Option<Self> {
        let is_named =
            |name: &str| failure.problem.contains(name) || failure.param().is_some_and(|param| param.contains(name));
        let is_form = is_named("response_format") || is_named("verbose_json");
        let is_granularity = is_named("timestamp_granularities");
        match self {
            _ if !matches!(failure.kind, RequestErrorKind::Status(400 | 422)) => None,
            Self::Words if is_granularity && !is_form => Some(Self::Segments),
            Self::Words | Self::Segments if is_granularity || is_form => Some(Self::Text),
            _ => None,
        }
    }

    /// The name of the detail in log messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Words => "word times",
            Self::Segments => "segment times",
            Self::Speakers => "speakers",
            Self::Text => "text only",
        }
    }
}
