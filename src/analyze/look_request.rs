//! What a model asks to see: tools and their arguments, or the same as JSON in its reply.

use serde_json::{Value, json};

use super::views::Crop;
use crate::chat::{ChatResponse, ToolCall};
use crate::llm::ToolSpec;
use crate::llm::json_reply::read_list;
use crate::prompt;
use crate::time::{TimeRange, Timestamp};

/// Frames of one request that names no number.
const DEFAULT_FRAMES: u64 = 4;
/// The widest frames that are shown.
const MAX_WIDTH: u64 = 2048;
const MIN_WIDTH: u64 = 64;
/// Requests in one reply that are answered; the others are refused.
pub(super) const MAX_REQUESTS: usize = 8;

/// What a model asks to see.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum LookRequest {
    Frames { range: TimeRange, n_frames: usize, max_width: Option<u32>, crop: Option<Crop> },
    Transcript { range: TimeRange },
}

/// The tools for a second look.
pub(super) fn tools() -> [ToolSpec; 2] {
    let time = |what: &str| json!({"type": "string", "description": format!("{what}, as MM:SS.s or HH:MM:SS.s")});
    let tool = |name: &str, description: &str, properties: Value| ToolSpec {
        name: name.to_owned(),
        description: description.to_owned(),
        parameters: json!({"type": "object", "properties": properties, "required": ["start", "end"]}),
    };
    let frames = json!({
        "start": time("The start"),
        "end": time("The end"),
        "n": {"type": "integer", "description": "The number of frames, by default 4"},
        "max_width": {"type": "integer", "description": "Their largest width in pixels: more for small text"},
        "crop": {
            "type": "array",
            "items": {"type": "number"},
            "description": "The part of the frame to show: left, top, right, bottom, from 0 to 1",
        },
    });
    let transcript = json!({"start": time("The start"), "end": time("The end")});
    [tool("frames", prompt::FRAMES_TOOL, frames), tool("transcript", prompt::TRANSCRIPT_TOOL, transcript)]
}

/// The requests in a reply that is JSON with the list `look`; empty for any other reply.
pub(super) fn in_words(response: &ChatResponse) -> Vec<ToolCall> {
    let text = response.choices.first().map_or("", |first| first.text.trim());
    if !(text.starts_with('{') || text.starts_with("```")) {
        return Vec::new();
    }
    let Ok(list) = read_list::<serde_json::Map<String, Value>>(text, "look") else { return Vec::new() };
    let entries = list.entries.into_iter().flatten();
    entries.map(|(name, arguments)| ToolCall::new(String::new(), name, arguments)).collect()
}

/// Reads one request; `whole` is the range of the recording.
///
/// # Errors
/// What is wrong with it, as a phrase for the model.
pub(super) fn read(call: &ToolCall, whole: TimeRange) -> Result<LookRequest, String> {
    let arguments = call.arguments.as_object().ok_or("the arguments are no JSON object")?;
    let time = |name: &str| match arguments.get(name) {
        Some(Value::String(text)) => {
            text.parse::<Timestamp>().map_err(|_| format!("{name} is not a time such as 04:12.5"))
        }
        Some(Value::Number(seconds)) => {
            let seconds = seconds.as_f64().and_then(Timestamp::from_secs_f64);
            seconds.ok_or_else(|| format!("{name} is not a time in seconds"))
        }
        _ => Err(format!("{name} is missing")),
    };
    let (start, end) = (time("start")?, time("end")?);
    if start > end {
        return Err("the start is after the end".to_owned());
    }
    let range = TimeRange::new(start.max(whole.start).min(whole.end), end.max(whole.start).min(whole.end));
    if end < whole.start || start > whole.end {
        return Err(format!("the recording is from {} to {}", whole.start.label(), whole.end.label()));
    }
    match call.name.as_str() {
        "transcript" => Ok(LookRequest::Transcript { range }),
        "frames" => {
            let n_frames = match arguments.get("n") {
                None | Some(Value::Null) => DEFAULT_FRAMES,
                Some(n) => n.as_u64().filter(|n| *n > 0).ok_or("n is not a number of frames")?,
            };
            let max_width = match arguments.get("max_width") {
                None | Some(Value::Null) => None,
                Some(width) => {
                    let width = width.as_u64().ok_or("max_width is not a number of pixels")?;
                    u32::try_from(width.clamp(MIN_WIDTH, MAX_WIDTH)).ok()
                }
            };
            let crop = match arguments.get("crop") {
                None | Some(Value::Null) => None,
                Some(crop) => Some(read_crop(crop).ok_or("crop is not [left, top, right, bottom] from 0 to 1")?),
            };
            Ok(LookRequest::Frames {
                range,
                n_frames: usize::try_from(n_frames).unwrap_or(usize::MAX),
                max_width,
                crop,
            })
        }
        _ => Err("only frames and transcript can be asked for".to_owned()),
    }
}

fn read_crop(value: &Value) -> Option<Crop> {
    let edges: Vec<f64> = value.as_array()?.iter().map(Value::as_f64).collect::<Option<_>>()?;
    let [left, top, right, bottom] = edges.as_slice() else { return None };
    Crop::new(*left, *top, *right, *bottom)
}

/// Times in the middle of `n` equal parts of a range.
pub(super) fn spread(range: TimeRange, n: usize) -> Vec<Timestamp> {
    let (start, length) = (range.start.millis(), range.length().millis());
    let n = i64::try_from(n).unwrap_or(i64::MAX).max(1);
    let mut times: Vec<Timestamp> =
        (0..n).map(|at| Timestamp::from_millis(start + length * (2 * at + 1) / (2 * n))).collect();
    times.dedup();
    times
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Choice, FinishReason};

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn asked(name: &str, arguments: Value) -> Result<LookRequest, String> {
        read(&ToolCall::new("1", name, arguments), TimeRange::new(at(0), at(600_000)))
    }

    #[test]
    fn requests_are_read_as_models_write_them() {
        let range = |start, end| TimeRange::new(at(start), at(end));
        let frames = |range, n_frames, max_width, crop| Ok(LookRequest::Frames { range, n_frames, max_width, crop });
        for (arguments, expected) in [
            (json!({"start": "04:00", "end": "04:20.5"}), frames(range(240_000, 260_500), 4, None, None)),
            (json!({"start": 240, "end": 260.5, "n": 2}), frames(range(240_000, 260_500), 2, None, None)),
            (
                json!({"start": "00:09:00", "end": "99:00", "max_width": 99999}),
                frames(range(540_000, 600_000), 4, Some(2048), None),
            ),
            (
                json!({"start": "0", "end": "0", "n": null, "crop": [0, 0.5, 1, 1]}),
                frames(range(0, 0), 4, None, Crop::new(0.0, 0.5, 1.0, 1.0)),
            ),
        ] {
            assert_eq!(asked("frames", arguments.clone()), expected, "{arguments}");
        }
        assert_eq!(
            asked("transcript", json!({"start": "1m", "end": "2m"})),
            Ok(LookRequest::Transcript { range: range(60_000, 120_000) })
        );
    }

    #[test]
    fn requests_that_make_no_sense_are_explained() {
        for (name, arguments, why) in [
            ("frames", json!("{\"start\""), "no JSON object"),
            ("frames", json!({}), "start is missing"),
            ("frames", json!({"start": "soon", "end": "later"}), "start is not a time"),
            ("frames", json!({"start": 1e300, "end": 2}), "start is not a time"),
            ("frames", json!({"start": "20", "end": "10"}), "after the end"),
            ("transcript", json!({"start": "30:00", "end": "31:00"}), "from 00:00.0 to 10:00.0"),
            ("frames", json!({"start": "1", "end": "2", "n": 0}), "n is not"),
            ("frames", json!({"start": "1", "end": "2", "n": -3}), "n is not"),
            ("frames", json!({"start": "1", "end": "2", "max_width": "wide"}), "max_width is not"),
            ("frames", json!({"start": "1", "end": "2", "crop": [0.5, 0, 0.5, 1]}), "crop is not"),
            ("frames", json!({"start": "1", "end": "2", "crop": [0, 0, 2, 1]}), "crop is not"),
            ("frames", json!({"start": "1", "end": "2", "crop": [0, 0, 1]}), "crop is not"),
            ("delete", json!({"start": "1", "end": "2"}), "only frames and transcript"),
        ] {
            let said = asked(name, arguments.clone()).expect_err(why);
            assert!(said.contains(why), "{name} {arguments}: {said}");
        }
    }

    #[test]
    fn only_json_with_the_list_asks_in_words() {
        let asked = |text: &str| in_words(&ChatResponse::new(vec![Choice::new(text, FinishReason::Stop)]));
        let frames = r#"{"look": [{"frames": {"start": "1", "end": "2"}}, {"transcript": {"start": 3, "end": 4}}]}"#;
        for text in [frames.to_owned(), format!("```json\n{frames}\n```")] {
            let calls = asked(&text);
            assert_eq!(calls.iter().map(|call| &*call.name).collect::<Vec<_>>(), ["frames", "transcript"]);
        }
        for text in ["", "The ship sinks (#1).", "{\"title\": \"x\"}", "```json\n[1]\n```", "Look at {\"look\": []}"] {
            assert_eq!(asked(text), [], "{text}");
        }
    }

    #[test]
    fn times_are_spread_evenly() {
        let millis = |range, n| spread(range, n).into_iter().map(Timestamp::millis).collect::<Vec<_>>();
        assert_eq!(millis(TimeRange::new(at(0), at(8000)), 4), [1000, 3000, 5000, 7000]);
        assert_eq!(millis(TimeRange::new(at(500), at(500)), 4), [500]);
        assert_eq!(millis(TimeRange::new(at(0), at(1000)), 1), [500]);
    }
}
