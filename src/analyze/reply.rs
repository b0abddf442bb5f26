//! Reads records and sections out of replies: JSON by a schema where the server follows one, otherwise whatever can be
//! read of it.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::Result;
use crate::llm::ResponseFormat;
use crate::llm::json_reply::{ListReply, ids, list_format, read_list};
use crate::record::{EventRecord, Section};
use crate::sanitize::clean_line;
use crate::time::{TimeRange, Timestamp};
use crate::timeline::Timeline;

/// Characters of a text; more is cut off.
const MAX_TEXT_CHARS: usize = 2000;
const MAX_PEOPLE: usize = 20;

/// A record as a model writes it. Every field but the text may be missing, null or of a wrong type, which counts as missing.
#[derive(Deserialize)]
struct RawRecord {
    #[serde(alias = "text")]
    event: String,
    #[serde(default)]
    frames: Value,
    #[serde(default)]
    segments: Value,
    #[serde(default)]
    quote: Value,
    #[serde(default)]
    on_screen_text: Value,
    #[serde(default)]
    people: Value,
}

#[derive(Deserialize)]
struct RawSection {
    first_record: Value,
    title: String,
    #[serde(default)]
    text: Value,
}

/// What could be read of a reply.
pub(super) struct ReadEntries<T> {
    pub entries: Vec<T>,
    /// As [`ListReply::is_partial`].
    pub is_partial: bool,
}

/// The JSON schema of the records of a window. Servers write the fields in the order of the schema, which is alphabetical: the
/// event comes first, so that a reply that is cut off has it.
pub(super) fn records_format() -> Result<ResponseFormat> {
    let optional = |kind: &str| json!({"type": [kind, "null"]});
    let ids = json!({"type": "array", "items": {"type": "integer"}});
    let text = json!({"type": "string"});
    let properties = [
        ("event", text.clone()),
        ("frames", ids.clone()),
        ("on_screen_text", optional("string")),
        ("people", json!({"type": "array", "items": text})),
        ("quote", optional("string")),
        ("segments", ids),
    ];
    list_format("records", "records", &properties)
}

/// The JSON schema of sections.
pub(super) fn sections_format() -> Result<ResponseFormat> {
    let text = json!({"type": "string"});
    let properties = [("first_record", json!({"type": "integer"})), ("title", text.clone()), ("text", text)];
    list_format("sections", "sections", &properties)
}

/// The records of a window in a reply, without numbers; the last one of a reply that was cut off may be cut off. IDs that the
/// window does not have are dropped, and so are quotations that the cited segments do not contain.
///
/// # Errors
/// What is wrong with the reply, as a phrase.
pub(super) fn read_records(reply: &str, window: &Timeline) -> std::result::Result<ReadEntries<EventRecord>, String> {
    let ListReply { entries, cut_entry, is_partial } = read_list::<RawRecord>(reply, "records")?;
    // An event without text states nothing.
    let entries = entries.into_iter().chain(cut_entry).filter_map(|raw| record(&raw, window)).collect();
    Ok(ReadEntries { entries, is_partial })
}

fn record(raw: &RawRecord, window: &Timeline) -> Option<EventRecord> {
    let event = bounded(&raw.event)?;
    let frame_time = |id: &usize| {
        let frame = window.frames.iter().find(|frame| frame.image.frame_idx == *id)?;
        Some(TimeRange::new(frame.image.time, frame.image.time))
    };
    let segment = |id: &usize| window.segments().get(id.checked_sub(window.first_segment_id)?);
    let mut frames = sorted_ids(&raw.frames);
    frames.retain(|id| frame_time(id).is_some());
    let mut segments = sorted_ids(&raw.segments);
    segments.retain(|id| segment(id).is_some());
    let cited = frames.iter().filter_map(frame_time).chain(segments.iter().filter_map(segment).map(|s| s.range));
    let range = cited.reduce(|a, b| TimeRange::new(a.start.min(b.start), a.end.max(b.end))).unwrap_or(window.range);
    let spoken: String = segments.iter().filter_map(segment).map(|segment| letters(&segment.text)).collect();
    let quote = text(&raw.quote).filter(|quote| {
        let letters = letters(quote);
        !letters.is_empty() && spoken.contains(&letters)
    });
    let people = match &raw.people {
        Value::Array(names) => names,
        name => std::slice::from_ref(name),
    };
    Some(EventRecord {
        frames,
        segments,
        quote,
        on_screen_text: text(&raw.on_screen_text),
        people: people.iter().filter_map(text).take(MAX_PEOPLE).collect(),
        ..EventRecord::new(0, range, event)
    })
}

/// The sections of `records`, at least one, in a reply. They cover all records: the first section begins with the first
/// record, and each ends where the next begins. `end` is the end of the last one.
///
/// # Errors
/// What is wrong with the reply, as a phrase.
pub(super) fn read_sections(
    reply: &str,
    records: &[EventRecord],
    end: Timestamp,
) -> std::result::Result<ReadEntries<Section>, String> {
    let ListReply { entries, cut_entry, is_partial } = read_list::<RawSection>(reply, "sections")?;
    let (first, last) = (records[0].id, records[records.len() - 1].id);
    let mut starts: Vec<(usize, String, String)> = entries
        .into_iter()
        .chain(cut_entry)
        .filter_map(|section| {
            let start = sorted_ids(&section.first_record).first().copied()?.max(first);
            Some((start, bounded(&section.title)?, text(&section.text).unwrap_or_default()))
        })
        .filter(|(start, ..)| *start <= last)
        .collect();
    starts.sort_by_key(|(start, ..)| *start);
    starts.dedup_by_key(|(start, ..)| *start);
    let Some(begin) = starts.first_mut() else { return Err("it has no section of these records".to_owned()) };
    begin.0 = first;
    let start_of = |id: usize| records[id - first].range.start;
    let sections = starts.iter().enumerate().map(|(at, (start, title, text))| {
        let next = starts.get(at + 1).map(|(next, ..)| *next);
        let until = next.map_or(end, start_of);
        let n_records = next.unwrap_or(last + 1) - start;
        Section::new(TimeRange::new(start_of(*start), until), title, text, (*start, n_records))
    });
    Ok(ReadEntries { entries: sections.collect(), is_partial })
}

/// IDs in ascending order.
fn sorted_ids(value: &Value) -> Vec<usize> {
    let mut ids = ids(value);
    ids.sort_unstable();
    ids
}

/// The [`bounded`] line of a string; None of other values.
fn text(value: &Value) -> Option<String> {
    value.as_str().and_then(bounded)
}

/// One line of at most [`MAX_TEXT_CHARS`]; None if it is empty.
fn bounded(text: &str) -> Option<String> {
    let line: String = clean_line(text).chars().take(MAX_TEXT_CHARS).collect();
    Some(line).filter(|line| !line.is_empty())
}

/// The letters and digits in lower case: what a quotation must have in common with its source.
fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::frame_diff::FrameScore;
    use crate::media::{EncodedImage, ImageFormat};
    use crate::timeline::TimelineFrame;
    use crate::transcript::{Segment, Transcript, TranscriptSource};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    /// Frames 17 and 18 at 60 and 90 s, segments 42 to 44 from 60, 70 and 80 s on.
    fn window() -> Timeline {
        let frame = |frame_idx: usize, seconds| TimelineFrame {
            image: EncodedImage {
                frame_idx,
                pts: at(seconds),
                time: at(seconds),
                width: 2,
                height: 2,
                format: ImageFormat::Jpeg,
                bytes: Bytes::new(),
            },
            score: FrameScore { sharpness: 1.0, change: 0.0 },
        };
        let texts = ["The ship left.", "At ten, \"sharp\" they said.", "배가 떠났다."];
        let segments = texts
            .iter()
            .zip([60, 70, 80])
            .map(|(text, start)| Segment::new(TimeRange::new(at(start), at(start + 5)), *text));
        let source = TranscriptSource::Api { model: "m".into() };
        let transcript = Transcript::new(source, None, segments.collect());
        let range = TimeRange::new(at(60), at(120));
        Timeline { first_segment_id: 42, ..Timeline::new(range, vec![frame(17, 60), frame(18, 90)], Some(transcript)) }
    }

    fn records(reply: &str) -> Vec<EventRecord> {
        read_records(reply, &window()).map(|read| read.entries).unwrap_or_default()
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_record_keeps_what_its_window_has() {
        let reply = r##"{"records":[
            {"text":" The ship\u001b[2J leaves. ","frames":[18,"#17",99],"segments":["s42",43,7],"quote":"at ten sharp","on_screen_text":"","people":["Ann",""]},
            {"text":"Invented words.","frames":[],"segments":[42],"quote":"never said","on_screen_text":null,"people":[]},
            {"text":"떠났다","segments":44,"quote":"배가 떠났다"}]}"##;
        let found = records(reply);
        assert_eq!(found[0].text, "The ship leaves.");
        assert_eq!((&*found[0].frames, &*found[0].segments), (&[17, 18][..], &[42, 43][..]));
        assert_eq!(found[0].range, TimeRange::new(at(60), at(90)));
        assert_eq!(found[0].quote.as_deref(), Some("at ten sharp"));
        assert_eq!((found[0].on_screen_text.as_deref(), &*found[0].people), (None, &["Ann".to_owned()][..]));
        assert_eq!((found[1].quote.as_deref(), found[1].range), (None, TimeRange::new(at(60), at(65))));
        assert_eq!((found[2].quote.as_deref(), &*found[2].segments), (Some("배가 떠났다"), &[44][..]));
        let uncited = records(r#"{"records":[{"text":"x","frames":null,"segments":null}]}"#);
        assert_eq!(uncited[0].range, window().range, "without evidence it is somewhere in its window");
    }

    #[test]
    fn replies_are_read_leniently() {
        let one = r#"{"text":"a","frames":[17],"segments":[]}"#;
        for reply in [
            format!(r#"{{"records":[{one}]}}"#),
            format!("Here you are:\n```json\n{{\"records\": [{one},],}}\n```\nDone."),
            format!("[{one}]"),
            format!("Records for part [1 of 3]:\n{{\"records\": [{one}]}}"),
        ] {
            let read = read_records(&reply, &window()).expect(&reply);
            assert_eq!((read.entries.len(), read.is_partial), (1, false), "{reply}");
        }
        // A dropped record is one that may be missing.
        for other in ["3", r#"{"frames":[17]}"#, r#"{"text":["a"]}"#] {
            let reply = format!(r#"{{"records":[{one}, {other}]}}"#);
            let read = read_records(&reply, &window()).expect(&reply);
            assert_eq!((read.entries.len(), read.is_partial), (1, true), "{reply}");
        }
        let many = format!("[{}]", vec![one; 201].join(","));
        let read = read_records(&many, &window()).expect("too many");
        assert_eq!((read.entries.len(), read.is_partial), (200, true));
        // Cut off in the second record.
        let cut = format!(r#"{{"records":[{one},{{"text":"b, ]}}","fra"#);
        let read = read_records(&cut, &window()).expect("one");
        assert_eq!((read.entries.len(), read.is_partial), (1, true));
        for (cut, text) in [
            (r#"{"records":[{"text":"a long tale with \"quotes\" and \"#, "a long tale with \"quotes\" and"),
            (r#"{"records": [ {"frames":[17, 18],"segments":[42],"text":"told"#, "told"),
            (r#"{"records":[{"text":"told","frames":[17,"#, "told"),
        ] {
            let read = read_records(cut, &window()).expect(cut);
            assert_eq!((&*read.entries[0].text, read.is_partial), (text, true), "{cut}");
        }
        let none = read_records(r#"{"records":[]}"#, &window()).expect("none is an answer");
        assert!(none.entries.is_empty());
        for reply in [
            "",
            "I cannot.",
            "{",
            "{\"events\":[]}",
            "[1,2]",
            "{\"records\":{}}",
            "{\"records\":[{\"te",
            "{\"records\":[{\"text\":",
        ] {
            assert!(read_records(reply, &window()).is_err(), "{reply}");
        }
        let text = r#"{"text":"commas, ] } \", ] stay","frames":[]}"#;
        assert_eq!(records(&format!("{{\"records\":[{text},]}}"))[0].text, "commas, ] } \", ] stay");
    }

    #[test]
    fn fields_of_a_wrong_type_are_ignored() {
        for (field, people) in [
            (r#""people":"Ann""#, &["Ann"][..]),
            (r#""people":["Ann",7,{"name":"Bo"},null,"Cy"]"#, &["Ann", "Cy"]),
            (r#""people":{"name":"Ann"}"#, &[]),
            (r#""quote":7"#, &[]),
            (r#""quote":["The ship left."]"#, &[]),
            (r#""on_screen_text":["a","b"]"#, &[]),
            (r#""on_screen_text":{"a":"b"}"#, &[]),
            (r#""frames":{"id":17}"#, &[]),
        ] {
            let reply = format!(r#"{{"records":[{{"text":"a","segments":[42],{field}}}]}}"#);
            let read = read_records(&reply, &window()).expect(&reply);
            let found = &read.entries[0];
            assert_eq!((&*found.people, read.entries.len(), read.is_partial), (&*names(people), 1, false), "{reply}");
            assert_eq!((&found.quote, &found.on_screen_text, &*found.segments), (&None, &None, &[42][..]), "{reply}");
        }
    }

    #[test]
    fn sections_cover_all_records_in_order() {
        let record = |id: usize, start: i64| EventRecord::new(id, TimeRange::new(at(start), at(start + 1)), "x");
        let records: Vec<EventRecord> = [(5, 0), (6, 10), (7, 30), (8, 40)].map(|(id, start)| record(id, start)).into();
        let reply = r#"{"sections":[{"first_record":"r7","title":"Two","text":"b"},{"first_record":6,"title":"One","text":"a"},
            {"first_record":7,"title":"Again","text":"c"},{"first_record":99,"title":"Beyond","text":"d"}]}"#;
        let found = read_sections(reply, &records, at(100)).expect("sections").entries;
        let shape: Vec<_> = found.iter().map(|s| (&*s.title, s.first_record, s.n_records, s.range)).collect();
        assert_eq!(
            shape,
            [("One", 5, 2, TimeRange::new(at(0), at(30))), ("Two", 7, 2, TimeRange::new(at(30), at(100)))]
        );
        for reply in [r#"{"sections":[]}"#, r#"{"sections":[{"first_record":9,"title":"x"}]}"#] {
            assert!(read_sections(reply, &records, at(100)).is_err(), "{reply}");
        }
    }
}
