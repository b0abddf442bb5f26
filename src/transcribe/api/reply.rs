//! Converts the server's JSON into segments on the shared clock.

use serde_json::Value;

use crate::http::{RequestError, RequestErrorKind};
use crate::time::{TimeRange, Timestamp};
use crate::transcript::{Segment, Word};

/// The longest name of a language or a speaker, in characters.
const MAX_NAME: usize = 64;

/// The transcript of one piece.
#[derive(Debug)]
pub(super) struct PieceTranscript {
    pub segments: Vec<Segment>,
    pub language: Option<String>,
    /// Whether the server returned times; None if there is no speech.
    pub has_times: Option<bool>,
}

/// Reads the reply for the piece at `range`. Segments past its end are dropped, because models invent text in silence; a
/// reply with only text becomes one segment of the whole piece.
pub(super) fn read(reply: &Value, range: TimeRange) -> Result<PieceTranscript, RequestError> {
    let text = reply.get("text").and_then(Value::as_str).map(str::trim);
    // Some servers return segments with null times.
    let has_start = |segment: &Value| segment.get("start").is_some_and(Value::is_number);
    let timed = reply.get("segments").and_then(Value::as_array).filter(|segments| segments.iter().any(has_start));
    let (mut segments, has_times) = match (timed, text) {
        (Some(segments), _) => (segments.iter().filter_map(|s| read_segment(s, range)).collect(), Some(true)),
        (None, Some("")) => (Vec::new(), None),
        (None, Some(text)) => (vec![Segment::new(range, text)], Some(false)),
        (None, None) => {
            let advice = "check that the transcription endpoint's URL has /audio/transcriptions";
            return Err(RequestError::new(
                RequestErrorKind::Final,
                "the reply has neither `segments` nor `text`",
                advice,
            ));
        }
    };
    assign_words(&mut segments, read_words(reply, range));
    let language = name(reply, "language");
    Ok(PieceTranscript { segments, language, has_times })
}

/// A segment, clamped to `range`; None if it has no text, no start, or starts past the end.
fn read_segment(segment: &Value, range: TimeRange) -> Option<Segment> {
    let text = segment.get("text")?.as_str()?.trim();
    let when = read_range(segment, range).filter(|_| !text.is_empty())?;
    let mut read = Segment::new(when, text);
    // The mean log-probability of the tokens.
    let log = segment.get("avg_logprob").and_then(Value::as_f64);
    read.confidence = log.map(f64::exp).filter(|p| (0.0..=1.0).contains(p));
    read.speaker = name(segment, "speaker");
    // Some servers return words inside the segment, others beside the segments.
    read.words = read_words(segment, range);
    Some(read)
}

/// The words of an object, sorted by start.
fn read_words(object: &Value, range: TimeRange) -> Vec<Word> {
    let words = object.get("words").and_then(Value::as_array).into_iter().flatten();
    let mut words: Vec<Word> = words
        .filter_map(|word| {
            let text = word.get("word")?.as_str()?.trim();
            let range = read_range(word, range).filter(|_| !text.is_empty())?;
            Some(Word { range, text: text.to_owned() })
        })
        .collect();
    words.sort_by_key(|word| word.range.start);
    words
}

/// Assigns each word to the last segment that has started when the word starts, otherwise to the first. Does nothing if
/// segments already have words.
fn assign_words(segments: &mut [Segment], words: Vec<Word>) {
    if segments.iter().any(|segment| !segment.words.is_empty()) {
        return;
    }
    segments.sort_by_key(|segment| segment.range.start);
    for word in words {
        let n_started = segments.partition_point(|segment| segment.range.start <= word.range.start);
        if let Some(segment) = segments.get_mut(n_started.saturating_sub(1)) {
            segment.words.push(word);
        }
    }
}

/// `start` and `end` in seconds from the start of the piece, clamped to `range`; None without a start or past the end.
fn read_range(object: &Value, range: TimeRange) -> Option<TimeRange> {
    let time = |name: &str| {
        let seconds = object.get(name)?.as_f64()?.max(0.0);
        Some(range.start.plus(Timestamp::from_secs_f64(seconds)?))
    };
    let start = time("start").filter(|start| *start < range.end)?;
    Some(TimeRange::new(start, time("end").unwrap_or(range.end).min(range.end)))
}

/// A short text; None if it is absent or empty.
fn name(object: &Value, key: &str) -> Option<String> {
    let name = object.get(key).and_then(Value::as_str).map(str::trim).filter(|name| !name.is_empty());
    name.map(|name| name.chars().take(MAX_NAME).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn segments_of(reply: &Value) -> Vec<(i64, i64, String)> {
        let range = TimeRange::new(Timestamp::from_millis(60_000), Timestamp::from_millis(70_000));
        let transcript = read(reply, range).expect("readable");
        transcript.segments.into_iter().map(|s| (s.range.start.millis(), s.range.end.millis(), s.text)).collect()
    }

    #[test]
    fn segments_are_moved_to_the_shared_clock_and_clamped() {
        let reply = json!({"text": "all", "segments": [
            {"start": 0.5, "end": 2.25, "text": " one "},
            {"start": -1.0, "end": 1, "text": "early"},
            {"start": 9.0, "end": 29.98, "text": "late"},
            {"start": 5.0, "end": 4.0, "text": "backwards"},
            {"start": 6.0, "end": null, "text": "open"},
            {"start": 10.0, "end": 12.0, "text": "Thanks for watching!"},
            {"start": 1e300, "end": 2e300, "text": "never"},
            {"start": null, "end": 3.0, "text": "nowhere"},
            {"start": 3.0, "end": 4.0, "text": " "},
            {"start": 3.0}, 7, null,
        ]});
        let expected = [
            (60_000, 61_000, "early"),
            (60_500, 62_250, "one"),
            (65_000, 65_000, "backwards"),
            (66_000, 70_000, "open"),
            (69_000, 70_000, "late"),
        ];
        assert_eq!(segments_of(&reply), expected.map(|(start, end, text)| (start, end, text.to_owned())));
    }

    #[test]
    fn words_belong_to_the_segment_in_which_they_start() {
        let segments =
            json!([{"start": 1.0, "end": 2.0, "text": "one two"}, {"start": 3.0, "end": 4.0, "text": "three"}]);
        let words = json!([
            {"word": " three ", "start": 3.0, "end": 3.5}, {"word": "one", "start": 0.9, "end": 1.4},
            {"word": "two", "start": 2.9, "end": 3.0}, {"word": "", "start": 1.0}, {"word": "late", "start": 10.5},
            {"word": 7, "start": 1.0}, {"start": 1.0}, null,
        ]);
        let range = TimeRange::new(Timestamp::from_millis(60_000), Timestamp::from_millis(70_000));
        let words_of = |reply: &Value| {
            let of_word =
                |word: &Word| format!("{} {}-{}", word.text, word.range.start.millis(), word.range.end.millis());
            let segments = read(reply, range).expect("readable").segments.into_iter();
            segments.map(|s| s.words.iter().map(of_word).collect::<Vec<_>>().join(", ")).collect::<Vec<_>>()
        };
        let expected = ["one 60900-61400, two 62900-63000", "three 63000-63500"];
        assert_eq!(words_of(&json!({"text": "all", "segments": segments, "words": words})), expected);
        // In the segment itself, as faster-whisper's servers have them.
        let inside =
            json!([{"start": 1.0, "end": 2.0, "text": "one", "words": [{"word": " one", "start": 1.1, "end": 1.9}]}]);
        assert_eq!(words_of(&json!({"text": "one", "segments": inside, "words": words})), ["one 61100-61900"]);
        assert_eq!(
            words_of(&json!({"text": "all", "words": words})),
            ["one 60900-61400, two 62900-63000, three 63000-63500"]
        );
    }

    #[test]
    fn a_reply_with_only_text_is_one_segment() {
        assert_eq!(segments_of(&json!({"text": " all of it "})), [(60_000, 70_000, "all of it".to_owned())]);
        assert_eq!(segments_of(&json!({"text": "x", "segments": []})), [(60_000, 70_000, "x".to_owned())]);
        let null = json!({"text": "x", "segments": [{"start": null, "end": null, "text": "x"}]});
        assert_eq!(segments_of(&null), [(60_000, 70_000, "x".to_owned())]);
        assert!(segments_of(&json!({"text": "", "segments": null})).is_empty());
        let has_times = |reply| {
            read(&reply, TimeRange::new(Timestamp::ZERO, Timestamp::from_millis(9000))).expect("readable").has_times
        };
        assert_eq!(has_times(json!({"text": "x"})), Some(false));
        assert_eq!(has_times(json!({"text": "", "segments": []})), None, "without speech it is unknown");
        assert_eq!(has_times(json!({"segments": [{"start": 1, "end": 2, "text": "x"}]})), Some(true));
        assert!(read(&json!({"status": "ok"}), TimeRange::new(Timestamp::ZERO, Timestamp::ZERO)).is_err());
    }
}
