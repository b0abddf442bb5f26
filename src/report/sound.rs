//! The description of one audio track: as Markdown, and, through [`super::json::to_text`], as JSON.

use std::fmt::Write as _;

use serde::Serialize;
use unicode_segmentation::UnicodeSegmentation as _;

use crate::audio_facts::{AudioFacts, SoundKind};
use crate::chat::ModelDescription;
use crate::chat::{ChatResponse, FinishReason};
use crate::error::Result;
use crate::media::{AudioStream, MediaInfo};
use crate::sanitize::{clean_text, markdown_block, markdown_line, short_name, shown_input};
use crate::time::{TimeRange, Timestamp};
use crate::transcript::{Transcript, TranscriptSource};

/// The description of one audio track.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SoundReport {
    /// The file, as the user named it.
    pub input: String,
    /// The audio stream.
    pub stream: AudioStream,
    /// The measurements.
    pub sound: AudioFacts,
    /// The speech rate; None if there is no transcript.
    pub speech: Option<SpeechRate>,
    /// The description in words; untrusted if a language model wrote it.
    pub description: String,
    /// The author of the description.
    pub described_by: ModelDescription,
    /// The range of audio that the model was sent; None if it was sent only measurements and words.
    pub heard: Option<TimeRange>,
    /// What could not be read.
    pub missing: Vec<String>,
}

/// The speech rate, from a transcript.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SpeechRate {
    /// Words by Unicode's rules (UAX 29): a rough count for scripts without spaces.
    pub n_words: usize,
    /// Seconds covered by segments.
    pub spoken_seconds: f64,
    /// Words per minute covered by segments.
    pub words_per_minute: f64,
    /// Language of the transcript, untrusted; None if unknown.
    pub language: Option<String>,
    /// The source of the transcript.
    pub source: TranscriptSource,
}

impl SpeechRate {
    /// None if the transcript has no words, no times, or segments without length.
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
    /// The report of `stream` with the built-in description.
    #[must_use]
    pub fn new(
        media: &MediaInfo,
        stream: &AudioStream,
        sound: AudioFacts,
        speech: Option<SpeechRate>,
        (description, described_by): (String, ModelDescription),
    ) -> Self {
        let mut missing = media.damage.clone();
        if sound.n_damaged > 0 {
            missing.push(format!("{} damaged packets count as silence", sound.n_damaged));
        }
        Self {
            input: shown_input(&media.input),
            stream: stream.clone(),
            description,
            described_by,
            heard: None,
            sound,
            speech,
            missing,
        }
    }

    /// Replaces the built-in description with the answer of a language model; without an answer, adds the reason to
    /// [`SoundReport::missing`].
    pub fn answered(&mut self, model: ModelDescription, answer: Result<ChatResponse>, heard: Option<TimeRange>) {
        let described = answer.map_err(|error| error.to_string()).and_then(|answer| {
            let alternative = answer.choices.into_iter().next();
            let text = alternative.as_ref().map(|a| clean_text(&a.text)).unwrap_or_default();
            match alternative.map(|a| a.finish) {
                _ if text.trim().is_empty() => Err("it returned no text".to_owned()),
                Some(FinishReason::Refusal) => Err(format!("it declined: {text}")),
                Some(FinishReason::Length) => Ok((text, Some("the description is truncated at the token limit"))),
                Some(FinishReason::ContentFilter) => Ok((text, Some("the provider's content filter withheld a part"))),
                _ => Ok((text, None)),
            }
        });
        match described {
            Ok((text, lost)) => {
                text.trim().clone_into(&mut self.description);
                self.described_by = model;
                self.heard = heard;
                self.missing.extend(lost.map(str::to_owned));
                let end = heard.map_or(self.sound.range.end, |heard| heard.end);
                // A hundredth of a second may be rounding between two sample rates.
                if self.sound.range.end.minus(end) > Timestamp::from_millis(10) {
                    self.missing.push(format!("the model received only the audio up to {}", end.label()));
                }
            }
            Err(why) => {
                self.missing.push(format!("no description by {}: {why}", model.name));
            }
        }
    }

    /// The report as Markdown.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut out = String::new();
        // Writing to a `String` does not fail.
        let mut put = |line: &str| _ = writeln!(out, "{line}");
        let sound = &self.sound;
        put(&format!("# {}\n", markdown_line(&short_name(&self.input))));
        if self.described_by.is_language_model {
            put(&format!("{}\n", markdown_block(&self.description)));
            let endpoint = self.described_by.endpoint.as_deref().map(|at| format!(" at {}", markdown_line(at)));
            let heard = match self.heard {
                Some(heard) => format!("the audio from {} to {}", heard.start.label(), heard.end.label()),
                None => "the measurements below, not the audio".to_owned(),
            };
            let (name, endpoint) = (markdown_line(&self.described_by.name), endpoint.unwrap_or_default());
            put(&format!("Described by {name}{endpoint}, from {heard}.\n"));
        } else {
            put(&format!("{}\n", self.description));
        }
        put("## Measurements\n");
        let channels = match sound.channels {
            1 => "mono".to_owned(),
            2 => "stereo".to_owned(),
            n => format!("{n} channels"),
        };
        let language = self.stream.language.as_deref().map(|tag| format!(", {}", markdown_line(tag)));
        let (codec, language) = (markdown_line(&self.stream.codec), language.unwrap_or_default());
        put(&format!("- Audio: {codec}, {} Hz, {channels}{language}", sound.rate_hz));
        put(&format!("- Time: {} to {}", sound.range.start.label(), sound.range.end.label()));
        let known = |value: Option<f64>, unit: &str| {
            value.map_or_else(|| "not measurable".to_owned(), |value| format!("{value:.1} {unit}"))
        };
        put(&format!("- Loudness (EBU R128): {}", known(sound.loudness_lufs, "LUFS")));
        put(&format!("- Loudness range: {}", known(sound.loudness_range_lu, "LU")));
        put(&format!("- True peak: {}", known(sound.true_peak_dbtp, "dBTP")));
        if let Some(speech) = &self.speech {
            let (rate, n) = (speech.words_per_minute, speech.n_words);
            put(&format!("- Speech: {rate:.0} words per minute ({n} words in {:.1} s)", speech.spoken_seconds));
        }
        put("\n## Speech, music and other sounds\n");
        put("Estimated from simple features of two seconds of audio at a time.\n");
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
            put("\n## Missing\n");
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
    use crate::transcript::Segment;

    #[test]
    fn overlapping_segments_count_their_time_once() {
        let segment = |from, to, text: &str| Segment {
            range: TimeRange::new(Timestamp::from_millis(from), Timestamp::from_millis(to)),
            text: text.into(),
            speaker: None,
            words: Vec::new(),
            confidence: None,
            language: None,
        };
        let segments = vec![
            segment(0, 10_000, "One two three, four."),
            segment(5000, 8000, "Five!"),
            segment(8000, 12_000, "It's six."),
            segment(30_000, 33_000, "eight"),
        ];
        let source = TranscriptSource::Sidecar { path: "a.srt".into(), guessed_encoding: None };
        let rate = SpeechRate::of(&Transcript::new(source, None, segments)).unwrap();
        assert_eq!((rate.n_words, rate.spoken_seconds), (8, 15.0));
        assert!((rate.words_per_minute - 32.0).abs() < 1e-9);
    }
}
