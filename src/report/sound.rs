//! What is told of one sound: as Markdown, and, through [`super::json::to_text`], as JSON.

use std::fmt::Write as _;

use serde::Serialize;
use unicode_segmentation::UnicodeSegmentation as _;

use crate::audio::measure::{SoundFacts, SoundKind};
use crate::media::{AudioStream, MediaInfo};
use crate::model::builtin::describe;
use crate::transcript::{Transcript, TranscriptSource};
use crate::untrusted::{markdown_line, short_name, shown_input};

/// One sound of one file, described.
#[derive(Clone, Debug, Serialize)]
pub struct SoundReport {
    /// The file, as the user named it.
    pub input: String,
    /// The stream that was listened to.
    pub stream: AudioStream,
    /// What was measured.
    pub sound: SoundFacts,
    /// How fast is spoken; None where there is no transcript.
    pub speech: Option<SpeechRate>,
    /// The figures in words, by the built-in model.
    pub description: String,
    /// What could not be read.
    pub missing: Vec<String>,
}

/// How fast is spoken, from a transcript.
#[derive(Clone, Debug, Serialize)]
pub struct SpeechRate {
    /// Words by Unicode's rules (UAX 29): for scripts without spaces a rough count.
    pub n_words: usize,
    /// Seconds that the segments cover together.
    pub spoken_seconds: f64,
    /// Words for each minute that the segments cover.
    pub words_per_minute: f64,
    /// Language of the transcript, untrusted; None where it does not say.
    pub language: Option<String>,
    /// Where the words come from.
    pub source: TranscriptSource,
}

impl SpeechRate {
    /// None where the transcript holds no word, or its segments no time.
    #[must_use]
    pub fn of(transcript: &Transcript) -> Option<Self> {
        let n_words: usize = transcript.segments.iter().map(|s| s.text.unicode_words().count()).sum();
        let (mut spoken_seconds, mut end) = (0.0, None);
        for range in transcript.segments.iter().map(|segment| segment.range) {
            // Segments are sorted by their start, and may overlap.
            let start = end.map_or(range.start, |end| range.start.max(end));
            spoken_seconds += range.end.minus(start).secs_f64().max(0.0);
            end = end.max(Some(range.end));
        }
        (n_words > 0 && spoken_seconds > 0.0).then(|| Self {
            n_words,
            spoken_seconds,
            words_per_minute: n_words as f64 * 60.0 / spoken_seconds,
            language: transcript.language.clone(),
            source: transcript.source.clone(),
        })
    }
}

impl SoundReport {
    /// Puts together what was measured of `stream` and what is said in it.
    #[must_use]
    pub fn new(media: &MediaInfo, stream: &AudioStream, sound: SoundFacts, transcript: Option<&Transcript>) -> Self {
        let speech = transcript.and_then(SpeechRate::of);
        let mut missing = media.damage.clone();
        if sound.n_damaged > 0 {
            missing.push(format!("{} damaged packets count as silence", sound.n_damaged));
        }
        Self {
            input: shown_input(&media.input),
            stream: stream.clone(),
            description: describe(&sound, speech.as_ref().map(|speech| speech.words_per_minute)),
            sound,
            speech,
            missing,
        }
    }

    /// For people.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut out = String::new();
        // Writing to a `String` does not fail.
        let mut put = |line: &str| _ = writeln!(out, "{line}");
        let sound = &self.sound;
        put(&format!("# {}\n", markdown_line(&short_name(&self.input))));
        put(&format!("{}\n", self.description));
        put("## Measured\n");
        let channels = match sound.channels {
            1 => "mono".to_owned(),
            2 => "stereo".to_owned(),
            n => format!("{n} channels"),
        };
        let language = self.stream.language.as_deref().map(|tag| format!(", {}", markdown_line(tag)));
        let (codec, language) = (markdown_line(&self.stream.codec), language.unwrap_or_default());
        put(&format!("- Sound: {codec}, {} Hz, {channels}{language}", sound.rate_hz));
        put(&format!("- Time: {} to {}", sound.range.start.label(), sound.range.end.label()));
        let known = |value: Option<f64>, unit: &str| {
            value.map_or_else(|| "nothing to measure".to_owned(), |value| format!("{value:.1} {unit}"))
        };
        put(&format!("- Loudness (EBU R128): {}", known(sound.loudness_lufs, "LUFS")));
        put(&format!("- Loudness range: {}", known(sound.loudness_range_lu, "LU")));
        put(&format!("- True peak: {}", known(sound.true_peak_dbtp, "dBTP")));
        if let Some(speech) = &self.speech {
            let (rate, n) = (speech.words_per_minute, speech.n_words);
            put(&format!("- Speech: {rate:.0} words a minute ({n} words in {:.1} s)", speech.spoken_seconds));
        }
        put("\n## What sounds when\n");
        put("By simple features of two seconds at a time: a hint, not a verdict.\n");
        for stretch in &sound.stretches {
            let kind = match stretch.kind {
                SoundKind::Speech => "speech",
                SoundKind::Music => "music",
                SoundKind::Other => "other",
                SoundKind::Silence => "silence",
            };
            put(&format!("- {} to {}: {kind}", stretch.range.start.label(), stretch.range.end.label()));
        }
        if !sound.silences.is_empty() {
            put("\n## Silences\n");
            put("Below -50 dBFS for half a second or more:\n");
            for range in &sound.silences {
                let (from, to) = (range.start.label(), range.end.label());
                put(&format!("- {from} to {to}, {:.1} s", range.length().secs_f64()));
            }
        }
        if !self.missing.is_empty() {
            put("\n## What is missing\n");
            for what in &self.missing {
                put(&format!("- {}", markdown_line(what)));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{TimeRange, Timestamp};
    use crate::transcript::Segment;

    #[test]
    fn overlapping_segments_count_their_time_once() {
        let segment = |from, to, text: &str| Segment {
            range: TimeRange::new(Timestamp::from_millis(from), Timestamp::from_millis(to)),
            text: text.into(),
            speaker: None,
            words: Vec::new(),
            confidence: None,
        };
        let segments = vec![
            segment(0, 10_000, "One two three, four."),
            segment(5000, 8000, "Five!"),
            segment(8000, 12_000, "It's six."),
            segment(30_000, 33_000, "eight"),
        ];
        let source = TranscriptSource::Sidecar { path: "a.srt".into() };
        let rate = SpeechRate::of(&Transcript { source, language: None, segments }).unwrap();
        assert_eq!((rate.n_words, rate.spoken_seconds), (8, 15.0));
        assert!((rate.words_per_minute - 32.0).abs() < 1e-9);
    }
}
