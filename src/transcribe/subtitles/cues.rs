//! The cues of a subtitle file or stream.

use std::path::Path;

use super::markup::VoiceSpan;
use super::rolling;
use super::timing::CueTiming;
use crate::time::{TimeRange, Timestamp};
use crate::transcript::{Segment, Transcript, TranscriptSource};

/// The contents of a subtitle file or stream.
#[derive(Clone, Debug, Default)]
pub struct Cues {
    /// The cues, sorted by start, as plain text; cues without text are omitted.
    pub segments: Vec<Segment>,
    /// The language that the file declares; None if it declares none.
    pub language: Option<String>,
    /// Cues that were omitted because their times are negative, reversed or invalid.
    pub n_dropped: usize,
    /// The encoding of the text, if it had to be guessed: `windows-1251`.
    pub guessed_encoding: Option<&'static str>,
}

impl Cues {
    pub(super) fn into_transcript(self, path: &Path, tag: Option<String>) -> Transcript {
        let path = path.display().to_string();
        self.warn(&path);
        let guessed_encoding = self.guessed_encoding.map(str::to_owned);
        let source = TranscriptSource::Sidecar { path, guessed_encoding };
        Transcript { source, language: tag.or(self.language), segments: self.segments }
    }

    /// Logs how many cues were omitted, and a guessed encoding.
    pub(super) fn warn(&self, name: &str) {
        if let Some(encoding) = self.guessed_encoding {
            let advice = "if the text is wrong, set the encoding of the subtitles";
            tracing::warn!("{name}: not UTF-8; read as {encoding}, the most likely encoding; {advice}");
        }
        if self.n_dropped > 0 {
            tracing::warn!("{name}: skipped {} subtitles with invalid times", self.n_dropped);
        }
    }

    /// Adds a cue, one segment per voice; a cue with invalid times is counted instead.
    pub(super) fn push(&mut self, timing: CueTiming, voices: Vec<VoiceSpan>) {
        match timing {
            CueTiming::At(start, end) => {
                self.push_at(Timestamp::from_millis(start), Timestamp::from_millis(end), voices);
            }
            CueTiming::Invalid => self.n_dropped += 1,
        }
    }

    pub(super) fn push_at(&mut self, start: Timestamp, end: Timestamp, voices: Vec<VoiceSpan>) {
        if start.is_negative() || end < start {
            self.n_dropped += 1;
            return;
        }
        for voice in voices {
            let mut segment = Segment::new(TimeRange::new(start, end), voice.text);
            segment.speaker = voice.speaker;
            self.segments.push(segment);
        }
    }

    /// Sorts the cues, merges consecutive cues with the same text, and removes the repeats of rolling captions.
    pub(super) fn normalized(mut self) -> Self {
        self.segments.sort_by_key(|s| s.range.start);
        self.segments.dedup_by(|later, kept| {
            let is_same =
                later.text == kept.text && later.speaker == kept.speaker && later.range.start <= kept.range.end;
            if is_same {
                kept.range.end = kept.range.end.max(later.range.end);
            }
            is_same
        });
        rolling::remove_repeats(&mut self.segments);
        self
    }
}
