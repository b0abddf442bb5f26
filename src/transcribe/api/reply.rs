//! From the server's JSON to segments on the shared clock.

use serde_json::Value;

use crate::service::{Failure, Kind};
use crate::time::{TimeRange, Timestamp};
use crate::transcript::Segment;

/// What was heard in one piece.
#[derive(Debug)]
pub(super) struct HeardPiece {
    pub segments: Vec<Segment>,
    pub language: Option<String>,
}

/// Reads a reply about the piece at `range`. Segments past its end are dropped (models go on talking in silence); a
/// reply of text alone becomes one segment of the whole piece.
pub(super) fn read(reply: &Value, range: TimeRange) -> Result<HeardPiece, Failure> {
    let text = reply.get("text").and_then(Value::as_str).map(str::trim);
    let segments = match reply.get("segments").and_then(Value::as_array) {
        Some(segments) if !segments.is_empty() => segments.iter().filter_map(|s| read_segment(s, range)).collect(),
        _ => match text {
            Some("") => Vec::new(),
            Some(text) => vec![Segment::new(range, text)],
            None => {
                let advice = "check that --base-url has /audio/transcriptions";
                return Err(Failure::new(Kind::Final, "the reply has neither `segments` nor `text`", advice));
            }
        },
    };
    let language = reply.get("language").and_then(Value::as_str).map(str::trim).filter(|language| !language.is_empty());
    Ok(HeardPiece { segments, language: language.map(|language| language.chars().take(64).collect()) })
}

/// A segment, held to `range`; None where it has no text, no start, or lies past the end.
fn read_segment(segment: &Value, range: TimeRange) -> Option<Segment> {
    let text = segment.get("text")?.as_str()?.trim();
    let time = |name: &str| {
        let seconds = segment.get(name)?.as_f64()?.max(0.0);
        Some(range.start.plus(Timestamp::from_secs_f64(seconds)?))
    };
    let start = time("start")?;
    if text.is_empty() || start >= range.end {
        return None;
    }
    let end = time("end").unwrap_or(range.end).min(range.end);
    let mut read = Segment::new(TimeRange::new(start, end), text);
    // The mean log-probability of the tokens.
    let log = segment.get("avg_logprob").and_then(Value::as_f64);
    read.confidence = log.map(f64::exp).filter(|p| (0.0..=1.0).contains(p));
    read.speaker = segment.get("speaker").and_then(Value::as_str).map(|name| name.chars().take(64).collect());
    Some(read)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn heard(reply: &Value) -> Vec<(i64, i64, String)> {
        let range = TimeRange::new(Timestamp::from_millis(60_000), Timestamp::from_millis(70_000));
        let heard = read(reply, range).expect("readable");
        heard.segments.into_iter().map(|s| (s.range.start.millis(), s.range.end.millis(), s.text)).collect()
    }

    #[test]
    fn segments_are_put_on_the_clock_and_held_to_the_piece() {
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
            (60_500, 62_250, "one"),
            (60_000, 61_000, "early"),
            (69_000, 70_000, "late"),
            (65_000, 65_000, "backwards"),
            (66_000, 70_000, "open"),
        ];
        assert_eq!(heard(&reply), expected.map(|(start, end, text)| (start, end, text.to_owned())));
    }

    #[test]
    fn text_alone_is_one_segment() {
        assert_eq!(heard(&json!({"text": " all of it "})), [(60_000, 70_000, "all of it".to_owned())]);
        assert_eq!(heard(&json!({"text": "x", "segments": []})), [(60_000, 70_000, "x".to_owned())]);
        assert!(heard(&json!({"text": "", "segments": null})).is_empty());
        assert!(read(&json!({"status": "ok"}), TimeRange::new(Timestamp::ZERO, Timestamp::ZERO)).is_err());
    }
}
