//! The cues of a subtitle file or stream.

use std::path::Path;

use super::markup::VoiceSpan;
use super::rolling;
use super::timing::CueTiming;
use crate::time::{TimeRange, Timestamp};
use crate::transcript::{Segment, Transcript, TranscriptSource};

/// How long a cue without an end lasts unless another one follows sooner: enough to read two lines.
pub(super) const DEFAULT_DURATION_MILLIS: i64 = 5000;
/// Times from this one on are errors: a million hours.
const MAX_MILLIS: i64 = 3_600_000_000_000;

/// The contents of a subtitle file or stream.
#[derive(Clone, Debug, Default)]
pub struct Cues {
    /// The cues, sorted by start, as plain text; cues without text are omitted.
    pub segments: Vec<Segment>,
    /// The paragraphs of a text without times, in order; empty if there are cues.
    pub untimed: Vec<String>,
    /// The language that the file declares; None if it declares none.
    pub language: Option<String>,
    /// Cues that were omitted because their times are negative, reversed or invalid.
    pub n_dropped: usize,
    /// The encoding of the text, if it had to be guessed: `windows-1251`.
    pub guessed_encoding: Option<&'static str>,
    /// Why nothing, or not all, of the file could be read, as a phrase: `it ends inside an element: the file is cut`.
    pub damage: Option<String>,
}

impl Cues {
    pub(super) fn into_transcript(self, path: &Path, tag: Option<String>) -> Transcript {
        let path = crate::input::shown_name(path);
        self.warn(&path);
        let guessed_encoding = self.guessed_encoding.map(str::to_owned);
        let source = TranscriptSource::Sidecar { path, guessed_encoding };
        Transcript { untimed: self.untimed, ..Transcript::new(source, tag.or(self.language), self.segments) }
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
        if !self.untimed.is_empty() {
            tracing::warn!("{name}: has no times, so it is used as one text for the whole recording");
        }
        if let Some(damage) = &self.damage {
            let n_read = self.segments.len() + self.untimed.len();
            tracing::warn!("{name}: only {n_read} subtitles could be read: {damage}");
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

    /// Adds a cue at milliseconds that may be any number; returns its first segment, if it has one. A cue without an end
    /// gets it from [`Self::with_ends`].
    pub(super) fn push_open(&mut self, start: i64, end: Option<i64>, voices: Vec<VoiceSpan>) -> Option<&mut Segment> {
        let end = end.unwrap_or(start);
        if start >= MAX_MILLIS || end >= MAX_MILLIS {
            self.n_dropped += 1;
            return None;
        }
        let n_before = self.segments.len();
        self.push_at(Timestamp::from_millis(start), Timestamp::from_millis(end), voices);
        self.segments.get_mut(n_before)
    }

    /// Sorts the cues. Those without a length, and their last words, end with the next cue that starts later, but after
    /// five seconds at the latest.
    pub(super) fn with_ends(mut self) -> Self {
        self.segments.sort_by_key(|s| s.range.start);
        // The start of the segments just seen, and the first start after it.
        let (mut at, mut next) = (None, None);
        for segment in self.segments.iter_mut().rev() {
            let start = segment.range.start;
            if at != Some(start) {
                (at, next) = (Some(start), at);
            }
            if segment.range.end <= start {
                let latest = start.plus(Timestamp::from_millis(DEFAULT_DURATION_MILLIS));
                segment.range.end = next.map_or(latest, |next: Timestamp| next.min(latest));
                if let Some(word) = segment.words.last_mut().filter(|word| word.range.end <= word.range.start) {
                    word.range.end = segment.range.end.max(word.range.start);
                }
            }
        }
        self
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::Word;

    #[test]
    fn missing_ends_are_the_next_cue_or_five_seconds() {
        let at = Timestamp::from_millis;
        let cue = |start, end| Segment::new(TimeRange::new(at(start), at(end)), "x");
        let mut segments = vec![cue(0, 0), cue(1000, 1000), cue(1000, 1500), cue(3000, 3000)];
        segments[0].words = vec![Word { range: TimeRange::new(at(500), at(500)), text: "x".into() }];
        let cues = Cues { segments, ..Cues::default() }.with_ends();
        let ends: Vec<_> = cues.segments.iter().map(|s| s.range.end.millis()).collect();
        assert_eq!(ends, [1000, 3000, 1500, 8000]);
        assert_eq!(cues.segments[0].words[0].range.end.millis(), 1000, "the last word lasts as long as its cue");
    }
}
