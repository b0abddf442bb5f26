//! The JSON of Whisper's programs: segments and words with times in seconds or milliseconds.

use serde::{Deserialize, Deserializer};

use super::cues::Cues;
use super::markup::{self, VoiceSpan};
use crate::time::{TimeRange, Timestamp};
use crate::transcript::Word;

/// Words without segments are joined until a pause of this length, in milliseconds.
const PAUSE_MILLIS: i64 = 1000;
/// and until this length.
const LONG_MILLIS: i64 = 10_000;

/// A number of seconds; None for null, text that is no number, and anything else.
#[derive(Clone, Copy, Default)]
struct Seconds(Option<f64>);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::Number(number) => number.as_f64(),
            serde_json::Value::String(text) => text.trim().parse().ok(),
            _ => None,
        }))
    }
}

impl Seconds {
    fn millis(self) -> Option<i64> {
        self.0.and_then(Timestamp::from_secs_f64).map(Timestamp::millis)
    }
}

/// A segment or a word of `OpenAI`'s form, which faster-whisper, `WhisperX` and vidgist share.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Entry {
    start: Seconds,
    end: Seconds,
    text: Option<String>,
    word: Option<String>,
    speaker: Option<String>,
    words: Option<Vec<Entry>>,
    /// The probability of a word; `WhisperX` calls it score.
    #[serde(alias = "score")]
    probability: Seconds,
    confidence: Seconds,
}

/// A segment of whisper.cpp's `-oj` and `-ojf`, with times in milliseconds.
#[derive(Deserialize)]
pub(super) struct CppSegment {
    offsets: CppOffsets,
    #[serde(default)]
    text: String,
    speaker: Option<String>,
    #[serde(default)]
    tokens: Vec<CppToken>,
}

#[derive(Clone, Copy, Deserialize)]
struct CppOffsets {
    from: i64,
    to: i64,
}

#[derive(Deserialize)]
struct CppToken {
    text: String,
    offsets: Option<CppOffsets>,
}

/// A chunk of a Hugging Face pipeline.
#[derive(Deserialize)]
pub(super) struct Chunk {
    timestamp: (Seconds, Seconds),
    #[serde(default)]
    text: String,
}

/// Segments with their words inside, or beside them.
pub(super) fn segments_of_entries(segments: &[Entry], words: &[Entry]) -> Cues {
    let mut cues = Cues::default();
    for entry in segments {
        let text = entry.text.as_deref().unwrap_or_default();
        let Some(start) = entry.start.millis() else {
            cues.n_dropped += usize::from(!text.trim().is_empty());
            continue;
        };
        let speaker = entry.speaker.as_deref().map(markup::collapse_whitespace).filter(|name| !name.is_empty());
        if let Some(segment) = cues.push_open(start, entry.end.millis(), VoiceSpan::single(speaker, text)) {
            let inside = entry.words.as_deref().unwrap_or_default();
            segment.words = inside.iter().filter_map(word).collect();
            let stated = entry.confidence.0.or_else(|| mean_probability(inside));
            segment.confidence = stated.filter(|p| (0.0..=1.0).contains(p));
        }
    }
    let words: Vec<Word> = words.iter().filter_map(word).collect();
    if segments.is_empty() {
        join(&mut cues, &words);
    } else if cues.segments.iter().all(|segment| segment.words.is_empty()) {
        cues.segments.sort_by_key(|segment| segment.range.start);
        for word in words {
            let n_started = cues.segments.partition_point(|segment| segment.range.start <= word.range.start);
            if let Some(segment) = cues.segments.get_mut(n_started.saturating_sub(1)) {
                segment.words.push(word);
            }
        }
    }
    cues
}

/// A word with times; `WhisperX` gives none to numbers.
fn word(entry: &Entry) -> Option<Word> {
    let text = markup::collapse_whitespace(entry.word.as_deref().or(entry.text.as_deref())?);
    let start = entry.start.millis().filter(|start| *start >= 0 && !text.is_empty())?;
    let end = entry.end.millis().unwrap_or(start).max(start);
    Some(Word { range: TimeRange::new(Timestamp::from_millis(start), Timestamp::from_millis(end)), text })
}

/// None unless all words have one.
fn mean_probability(words: &[Entry]) -> Option<f64> {
    let sum: f64 = words.iter().map(|word| word.probability.0).sum::<Option<f64>>()?;
    (!words.is_empty()).then(|| sum / words.len() as f64)
}

/// Makes segments of words that have none.
fn join(cues: &mut Cues, words: &[Word]) {
    let mut rest = words;
    while let Some(first) = rest.first() {
        let is_joined = |pair: &[Word]| {
            let pause = pair[1].range.start.minus(pair[0].range.end).millis();
            let length = pair[1].range.end.minus(first.range.start).millis();
            pause < PAUSE_MILLIS && length <= LONG_MILLIS
        };
        let n = 1 + rest.windows(2).take_while(|pair| is_joined(pair)).count();
        let (joined, after) = rest.split_at(n);
        let text: Vec<&str> = joined.iter().map(|word| word.text.as_str()).collect();
        let (start, end) = (first.range.start.millis(), joined[n - 1].range.end.millis());
        let voices = VoiceSpan::single(None, &text.join(" "));
        if let Some(segment) = cues.push_open(start, Some(end.max(start)), voices) {
            segment.words = joined.to_vec();
        }
        rest = after;
    }
}

pub(super) fn segments_of_cpp(segments: Vec<CppSegment>) -> Cues {
    let mut cues = Cues::default();
    for segment in segments {
        let CppOffsets { from, to } = segment.offsets;
        if let Some(cue) = cues.push_open(from, Some(to), VoiceSpan::single(segment.speaker, &segment.text)) {
            cue.words = words_of_tokens(&segment.tokens);
        }
    }
    cues
}

/// A word starts with a token that starts with a space. Tokens in brackets are marks, such as `[_BEG_]`.
fn words_of_tokens(tokens: &[CppToken]) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let is_mark = |text: &str| text.starts_with("[_") || text.starts_with("<|");
    for token in tokens.iter().filter(|token| !is_mark(&token.text)) {
        let at = |millis: i64| Timestamp::from_millis(millis.max(0));
        let Some(range) = token.offsets.map(|o| TimeRange::new(at(o.from), at(o.to.max(o.from)))) else { continue };
        match words.last_mut() {
            Some(word) if !token.text.starts_with(' ') => {
                word.text.push_str(token.text.trim_end());
                word.range.end = word.range.end.max(range.end);
            }
            _ => words.push(Word { range, text: token.text.trim().to_owned() }),
        }
    }
    words.retain(|word| !word.text.is_empty());
    words
}

pub(super) fn segments_of_chunks(chunks: Vec<Chunk>) -> Cues {
    let mut cues = Cues::default();
    for Chunk { timestamp: (start, end), text } in chunks {
        match start.millis() {
            Some(start) => {
                cues.push_open(start, end.millis(), VoiceSpan::single(None, &text));
            }
            None => cues.n_dropped += 1,
        }
    }
    cues
}
