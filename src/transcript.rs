//! Transcripts: spoken text with its times on the clock that video and audio share.

use serde::{Deserialize, Serialize};

use crate::audio_facts::{AudioLevels, single_channel_notice};
use crate::time::{TimeRange, Timestamp};

/// The transcript of one file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Transcript {
    /// Where the text comes from.
    pub source: TranscriptSource,
    /// The language (ISO 639 or BCP 47) as the source declares it, or as it was detected; None if neither is certain.
    pub language: Option<String>,
    /// The probability of the detected language, 0 to 1; None if the language was declared or requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language_confidence: Option<f64>,
    /// The most likely spoken language, which the speech was transcribed as, if its probability is too low to be sure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub likely_language: Option<String>,
    /// Phrases that the transcriber returned for sounds other than speech, and that were dropped.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub n_invented: usize,
    /// Seconds of the audio of which only the loudest channel was transcribed, because the channels cancel each other in
    /// the mono mix; None if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub single_channel_seconds: Option<f64>,
    /// The level of the audio; None if it was not decoded, as for subtitles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub levels: Option<Box<AudioLevels>>,
    /// Whether an earlier run made it, and it was taken from the store.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub from_store: bool,
    /// The segments, sorted by start.
    pub segments: Vec<Segment>,
    /// The paragraphs of a text without times, in order; empty where the source has times.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub untimed: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// Where a transcript comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum TranscriptSource {
    /// A subtitle file beside the media file, or one that the user names.
    Sidecar {
        /// Its path.
        path: String,
        /// The encoding of its text, where it had to be guessed: `windows-1251`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        guessed_encoding: Option<String>,
    },
    /// A subtitle stream inside the container.
    Embedded {
        /// The index of the stream among all streams of the container, from 0.
        stream_idx: usize,
        /// The codec's name in libav.
        codec: String,
    },
    /// Captions of a site.
    Site {
        /// Whether the site made them by speech recognition.
        is_automatic: bool,
    },
    /// Whisper on this machine.
    Whisper {
        /// The model's name: `base`, or the name of its file.
        model: String,
        /// The number of the audio track among the audio tracks, from 1, if it was chosen because the main one holds no
        /// speech.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        track: Option<usize>,
    },
    /// A transcription endpoint.
    Api {
        /// The model's name on the server.
        model: String,
    },
}

/// A span of speech.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(!try_from))]
#[serde(try_from = "SegmentFields")]
#[non_exhaustive]
pub struct Segment {
    /// Its time range on the shared clock.
    #[serde(flatten)]
    pub range: TimeRange,
    /// The spoken text: plain and untrusted.
    pub text: String,
    /// The speaker; None if the source does not name one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speaker: Option<String>,
    /// Words with their times; empty if the source has none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<Word>,
    /// The mean probability of the words, 0 to 1; None if the source has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// The language, if it is not the transcript's; None if it is, or is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

/// One word of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(!try_from))]
#[serde(try_from = "WordFields")]
pub struct Word {
    /// Its time range on the shared clock.
    #[serde(flatten)]
    pub range: TimeRange,
    /// The word.
    pub text: String,
}

impl Segment {
    /// A segment with only text.
    #[must_use]
    pub fn new(range: TimeRange, text: impl Into<String>) -> Self {
        Self { range, text: text.into(), speaker: None, words: Vec::new(), confidence: None, language: None }
    }
}

impl Transcript {
    /// A transcript with times, whose language, if any, the source declares.
    #[must_use]
    pub fn new(source: TranscriptSource, language: Option<String>, segments: Vec<Segment>) -> Self {
        Self {
            source,
            language,
            language_confidence: None,
            likely_language: None,
            n_invented: 0,
            single_channel_seconds: None,
            levels: None,
            from_store: false,
            segments,
            untimed: Vec::new(),
        }
    }

    /// Whether it has no text, because no speech was detected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.untimed.is_empty()
    }

    /// What is uncertain or was not transcribed as usual, each a phrase; empty if nothing is.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let warning = self.likely_language.as_ref().map(|language| {
            let percent = self.language_confidence.unwrap_or_default() * 100.0;
            format!("the spoken language is uncertain; it was transcribed as {language} ({percent:.0} %)")
        });
        warning.into_iter().chain(self.single_channel_seconds.map(single_channel_notice)).collect()
    }

    /// The segments that start in `[from, to)`; `to` None means until the end.
    ///
    /// Only the start counts, so that consecutive ranges contain each segment exactly once.
    #[must_use]
    pub fn starting_in(&self, from: Timestamp, to: Option<Timestamp>) -> &[Segment] {
        let first = self.segments.partition_point(|s| s.range.start < from);
        let last = to.map_or(self.segments.len(), |to| self.segments.partition_point(|s| s.range.start < to));
        &self.segments[first..last.max(first)]
    }
}

/// [`Segment`] as written. A flattened range cannot refuse unknown fields, so reading goes through these.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SegmentFields {
    start: Timestamp,
    end: Timestamp,
    text: String,
    speaker: Option<String>,
    #[serde(default)]
    words: Vec<Word>,
    confidence: Option<f64>,
    language: Option<String>,
}

/// [`Word`] as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WordFields {
    start: Timestamp,
    end: Timestamp,
    text: String,
}

impl TryFrom<SegmentFields> for Segment {
    type Error = String;

    fn try_from(fields: SegmentFields) -> Result<Self, String> {
        let SegmentFields { start, end, text, speaker, words, confidence, language } = fields;
        Ok(Self { range: TimeRange::checked(start, end)?, text, speaker, words, confidence, language })
    }
}

impl TryFrom<WordFields> for Word {
    type Error = String;

    fn try_from(fields: WordFields) -> Result<Self, String> {
        Ok(Self { range: TimeRange::checked(fields.start, fields.end)?, text: fields.text })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::time::TimeBase;

    #[test]
    fn consecutive_ranges_hold_each_segment_once() {
        let at = Timestamp::from_millis;
        let segments: Vec<Segment> = [(0, 900), (500, 1500), (1000, 1000), (2500, 9000)]
            .map(|(a, b)| Segment::new(TimeRange::new(at(a), at(b)), "x"))
            .into();
        let source = TranscriptSource::Sidecar { path: String::new(), guessed_encoding: None };
        let transcript = Transcript::new(source, None, segments);
        let counts: Vec<usize> = [(0, Some(1000)), (1000, Some(2000)), (2000, None)]
            .map(|(a, b)| transcript.starting_in(at(a), b.map(at)).len())
            .into();
        assert_eq!(counts, [2, 1, 1]);
    }

    #[test]
    fn unknown_fields_and_reversed_ranges_are_refused() {
        let source = json!({"kind": "whisper", "model": "base"});
        let word = json!({"start": 1.0, "end": 1.5, "text": "x"});
        let segment = json!({"start": 1.0, "end": 2.0, "text": "x", "words": [word]});
        let whole = json!({"source": source, "language": null, "segments": [segment]});
        let read = |value: &serde_json::Value| serde_json::from_value::<Transcript>(value.clone());
        assert_eq!(read(&whole).expect("valid").segments[0].words[0].text, "x");
        for place in ["", "/source", "/segments/0", "/segments/0/words/0"] {
            let mut odd = whole.clone();
            odd.pointer_mut(place)
                .and_then(|object| object.as_object_mut())
                .expect(place)
                .insert("odd".into(), 1.into());
            let error = read(&odd).expect_err(place).to_string();
            assert!(error.contains("unknown field `odd`"), "{place}: {error}");
        }
        for place in ["/segments/0", "/segments/0/words/0"] {
            let mut reversed = whole.clone();
            reversed.pointer_mut(place).expect(place)["end"] = json!(0.5);
            assert!(read(&reversed).expect_err(place).to_string().contains("before the start"), "{place}");
        }
    }

    /// Times in the bases of containers, sample clocks and players.
    fn any_range() -> impl Strategy<Value = TimeRange> {
        let base = prop_oneof![
            Just((1, 1000)),
            Just((1, 90_000)),
            Just((1, 48_000)),
            Just((1001, 30_000)),
            Just((1, 14_112_000)),
            Just((1, 1_000_000_000)),
            (1_u32..100_000, 1..u32::MAX)
        ];
        // Up to about a day, in seconds.
        (base, -10.0..90_000.0, 0.0..100.0).prop_map(|((num, den), start, length)| {
            let base = TimeBase::new(num, den).expect("not 0");
            let at = |seconds: f64| Timestamp::new((seconds * f64::from(den) / f64::from(num)) as i64, base);
            TimeRange::new(at(start), at(start + length))
        })
    }

    fn any_source() -> impl Strategy<Value = TranscriptSource> {
        prop_oneof![
            (".*", prop::option::of("[a-z0-9-]+"))
                .prop_map(|(path, guessed_encoding)| TranscriptSource::Sidecar { path, guessed_encoding }),
            (0_usize..99, ".*").prop_map(|(stream_idx, codec)| TranscriptSource::Embedded { stream_idx, codec }),
            (".*", prop::option::of(1_usize..9)).prop_map(|(model, track)| TranscriptSource::Whisper { model, track }),
            ".*".prop_map(|model| TranscriptSource::Api { model }),
        ]
    }

    fn any_segment() -> impl Strategy<Value = Segment> {
        let words = prop::collection::vec((any_range(), ".*").prop_map(|(range, text)| Word { range, text }), 0..4);
        let language = prop::option::of("[a-z]{2}");
        (any_range(), ".*", prop::option::of(".*"), words, prop::option::of(0.0..=1.0), language).prop_map(
            |(range, text, speaker, words, confidence, language)| Segment {
                range,
                text,
                speaker,
                words,
                confidence,
                language,
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read_back(
            source in any_source(),
            language in prop::option::of(".*"),
            detected in (prop::option::of(0.0..=1.0), prop::option::of("[a-z]{2}"), 0_usize..9),
            single_channel_seconds in prop::option::of(0.5..1e5),
            levels in prop::option::of(prop::collection::vec(any::<u8>(), 0..9)),
            segments in prop::collection::vec(any_segment(), 0..5),
            untimed in prop::collection::vec(".*", 0..3),
        ) {
            let mut transcript = Transcript { single_channel_seconds, untimed, ..Transcript::new(source, language, segments) };
            transcript.levels = levels.map(|peaks| Box::new(AudioLevels { start: Timestamp::ZERO, step: Timestamp::from_millis(4), peaks }));
            (transcript.language_confidence, transcript.likely_language, transcript.n_invented) = detected;
            let written = serde_json::to_string(&transcript).expect("JSON");
            let read: Transcript = serde_json::from_str(&written).expect("what was written");
            prop_assert_eq!(serde_json::to_string(&read).expect("JSON"), written, "the same bytes again");
            prop_assert_eq!((&read.source, &read.language), (&transcript.source, &transcript.language));
            prop_assert_eq!(&read.untimed, &transcript.untimed);
            for (read, segment) in read.segments.iter().zip(&transcript.segments) {
                prop_assert_eq!((&read.text, &read.speaker), (&segment.text, &segment.speaker));
                prop_assert_eq!(read.range.start.millis(), segment.range.start.millis());
            }
        }
    }
}
