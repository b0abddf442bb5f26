//! Lists in replies of models: their JSON schema, and how entries are read from what a model writes instead.

use std::collections::HashSet;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::ResponseFormat;
use crate::error::Result;

/// Entries and IDs that are read of one list.
const MAX_ENTRIES: usize = 200;
/// Opening braces of a broken reply at which an entry is looked for.
const MAX_TRIES: usize = 2000;

/// The JSON schema of an object with the list `list`, whose entries have these properties, all required.
///
/// # Errors
/// As [`ResponseFormat::json_schema`].
pub(crate) fn list_format(name: &str, list: &str, properties: &[(&str, Value)]) -> Result<ResponseFormat> {
    let required: Vec<&str> = properties.iter().map(|(name, _)| *name).collect();
    let properties: Value = properties.iter().cloned().map(|(name, schema)| (name.to_owned(), schema)).collect();
    let entry =
        json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false});
    let list_of_entries = json!({list: {"type": "array", "items": entry}});
    ResponseFormat::json_schema(
        name,
        json!({"type": "object", "properties": list_of_entries, "required": [list], "additionalProperties": false}),
    )
}

/// What could be read of a list.
#[derive(Debug)]
pub(crate) struct ListReply<T> {
    /// The complete entries, at most [`MAX_ENTRIES`].
    pub entries: Vec<T>,
    /// The last entry, cut off and closed; None if the list is complete or the entry ends within a key or before a value.
    pub cut_entry: Option<T>,
    /// Whether entries may be missing: the JSON was broken and only its beginning was read, or entries of another form or
    /// beyond [`MAX_ENTRIES`] were dropped.
    pub is_partial: bool,
}

impl<T: DeserializeOwned> ListReply<T> {
    fn complete(values: Vec<Value>) -> Self {
        let n_values = values.len();
        let entries: Vec<T> =
            values.into_iter().take(MAX_ENTRIES).filter_map(|value| serde_json::from_value(value).ok()).collect();
        Self { is_partial: entries.len() < n_values, entries, cut_entry: None }
    }
}

/// Reads the list `name` in a reply: an object with this list, or the list alone, also in a code fence or among text, and with
/// trailing commas. Of broken JSON the beginning is read. Entries of another form are dropped.
///
/// # Errors
/// What is wrong with the reply, as a phrase.
pub(crate) fn read_list<T: DeserializeOwned>(reply: &str, name: &str) -> std::result::Result<ListReply<T>, String> {
    if !reply.contains(['{', '[']) {
        return Err("it contains no JSON".to_owned());
    }
    let found = whole_list(reply, name).or_else(|| whole_list(&without_trailing_commas(reply), name));
    let found = found.unwrap_or_else(|| {
        let (values, cut) = beginning(reply, name);
        let cut_entry = cut.and_then(|value| serde_json::from_value(value).ok());
        ListReply { cut_entry, is_partial: true, ..ListReply::complete(values) }
    });
    if found.is_partial && found.entries.is_empty() && found.cut_entry.is_none() {
        return Err(format!("it has no list \"{name}\" of the form that was asked for"));
    }
    Ok(found)
}

/// The first list in a reply that is complete: the list `name` of an object, or a list alone. Text before it may have brackets,
/// as in "part [1 of 3]": a list without an entry that can be read is skipped, unless it is named or all that there is, and
/// empty.
fn whole_list<T: DeserializeOwned>(reply: &str, name: &str) -> Option<ListReply<T>> {
    let mut rest = reply;
    for _ in 0..MAX_TRIES {
        rest = &rest[rest.find(['{', '['])?..];
        let mut values = serde_json::Deserializer::from_str(rest).into_iter();
        let Some(Ok(value)) = values.next() else {
            rest = &rest[1..];
            continue;
        };
        rest = &rest[values.byte_offset()..];
        let (values, is_list) = match value {
            Value::Object(mut object) => match object.remove(name) {
                Some(Value::Array(values)) => (values, true),
                _ => continue,
            },
            Value::Array(values) => (values, !reply.contains('{')),
            _ => continue,
        };
        let is_answer = values.is_empty() && is_list;
        let found = ListReply::complete(values);
        if is_answer || !found.entries.is_empty() {
            return Some(found);
        }
    }
    None
}

/// Every complete entry in a reply, wherever it stands: in a list of any name, alone, in a code fence, among text, before and
/// behind a broken one. An entry that is cut off is none.
pub(crate) fn complete_entries<T: DeserializeOwned>(reply: &str) -> Vec<T> {
    let (mut found, mut rest) = (Vec::new(), reply);
    for _ in 0..MAX_TRIES {
        let Some(at) = rest.find('{') else { break };
        rest = &rest[at..];
        let mut entries = serde_json::Deserializer::from_str(rest).into_iter::<T>();
        if let Some(Ok(entry)) = entries.next() {
            found.push(entry);
            rest = &rest[entries.byte_offset()..];
        } else {
            rest = &rest[1..];
        }
    }
    found
}

/// Every complete value in a reply: the reply itself, else each object and list in it, from left to right, also with trailing
/// commas.
pub(super) fn values(reply: &str) -> Vec<Value> {
    if let Ok(value) = serde_json::from_str(reply) {
        return vec![value];
    }
    let repaired = without_trailing_commas(reply);
    let mut found = Vec::new();
    let mut rest = repaired.as_str();
    for _ in 0..MAX_TRIES {
        let Some(at) = rest.find(['{', '[']) else { break };
        rest = &rest[at..];
        let mut values = serde_json::Deserializer::from_str(rest).into_iter();
        if let Some(Ok(value)) = values.next() {
            found.push(value);
            rest = &rest[values.byte_offset()..];
        } else {
            rest = &rest[1..];
        }
    }
    found
}

/// The first value of this form in a reply, also in a code fence or among text.
pub(crate) fn read_value<T: DeserializeOwned>(reply: &str) -> Option<T> {
    values(reply).into_iter().find_map(|value| serde_json::from_value(value).ok())
}

/// IDs as a model writes them: `17`, `"#17"`, `"s42"`, `"[7]"`, one or a list; each once, in the order written.
pub(crate) fn ids(value: &Value) -> Vec<usize> {
    let id = |value: &Value| match value {
        Value::Number(number) => number.as_u64().and_then(|id| usize::try_from(id).ok()),
        Value::String(text) => {
            let text = text.trim();
            let text = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
            text.trim_start_matches(['#', 's', 'r']).parse().ok()
        }
        _ => None,
    };
    let mut seen = HashSet::new();
    let mut ids: Vec<usize> = match value {
        Value::Array(values) => values.iter().take(MAX_ENTRIES).filter_map(id).collect(),
        value => id(value).into_iter().collect(),
    };
    ids.retain(|id| seen.insert(*id));
    ids
}

/// JSON without the commas before a closing bracket.
fn without_trailing_commas(text: &str) -> String {
    let (mut out, mut is_string, mut is_escaped) = (String::with_capacity(text.len()), false, false);
    for c in text.chars() {
        if !is_string && matches!(c, ']' | '}') {
            let kept = out.trim_end().trim_end_matches(',').len();
            if out[kept..].contains(',') {
                out.truncate(kept);
            }
        }
        out.push(c);
        (is_string, is_escaped) = match c {
            _ if is_escaped => (is_string, false),
            '\\' if is_string => (true, true),
            '"' => (!is_string, false),
            _ => (is_string, false),
        };
    }
    out
}

/// The values within the list `name`, or within a list of objects alone, of broken JSON up to its first fault, and the object
/// that is cut off there.
fn beginning(reply: &str, name: &str) -> (Vec<Value>, Option<Value>) {
    let Some(mut rest) = list_start(reply, name) else { return (Vec::new(), None) };
    let mut found = Vec::new();
    // One more than is read, so that the list counts as partial.
    while found.len() <= MAX_ENTRIES {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        let Some(Ok(value)) = values.next() else { return (found, closed(rest)) };
        rest = &rest[values.byte_offset()..];
        found.push(value);
    }
    (found, None)
}

/// What follows `"name": [`, or the bracket before the first object.
fn list_start<'a>(reply: &'a str, name: &str) -> Option<&'a str> {
    let key = format!("\"{name}\"");
    let named = reply.match_indices(&key).find_map(|(at, _)| {
        let value = reply[at + key.len()..].trim_start().strip_prefix(':')?;
        value.trim_start().strip_prefix('[')
    });
    named.or_else(|| {
        let (before, object) = reply.split_at(reply.find('{')?);
        before.trim_end().ends_with('[').then_some(object)
    })
}

/// The object that the beginning `text` of an object is, with the string and the brackets closed that are open at its end.
/// None if it ends within a key or before a value.
fn closed(text: &str) -> Option<Value> {
    let (mut open, mut is_string, mut is_escaped) = (Vec::new(), false, false);
    for c in text.chars() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_string => is_escaped = true,
            '"' => is_string = !is_string,
            '{' if !is_string => open.push('}'),
            '[' if !is_string => open.push(']'),
            '}' | ']' if !is_string => {
                open.pop();
            }
            _ => {}
        }
    }
    // An escape that is cut off cannot be completed.
    let text = if is_escaped { &text[..text.len() - 1] } else { text };
    let end: String = is_string.then_some('"').into_iter().chain(open.into_iter().rev()).collect();
    let whole = format!("{}{end}", if is_string { text } else { text.trim_end().trim_end_matches(',') });
    serde_json::from_str(&whole).ok().filter(Value::is_object)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Entry {
        id: Value,
        text: String,
    }

    fn texts<T>(entries: &[T], text: impl Fn(&T) -> &str) -> Vec<String> {
        entries.iter().map(|entry| text(entry).to_owned()).collect()
    }

    /// The complete entries, the one that is cut off, and whether the list is partial.
    fn list(reply: &str) -> Option<(Vec<String>, Option<String>, bool)> {
        let read = read_list::<Entry>(reply, "cues").ok()?;
        Some((texts(&read.entries, |e| &e.text), read.cut_entry.map(|entry| entry.text), read.is_partial))
    }

    fn complete(reply: &str) -> Vec<String> {
        texts(&complete_entries::<Entry>(reply), |entry| &entry.text)
    }

    #[test]
    fn complete_lists_are_read_in_all_forms() {
        let one = r#"{"id":1,"text":"a, ] } \", ]"}"#;
        let expected = vec![r#"a, ] } ", ]"#.to_owned()];
        for reply in [
            format!(r#"{{"cues":[{one}]}}"#),
            format!("Here you are:\n```json\n{{\"cues\": [{one},],}}\n```\nDone."),
            format!("[{one}]"),
            format!("[{one},]"),
            format!("Cues for part [1 of 3]:\n{{\"cues\": [{one}]}}"),
            format!("Cues {{3}} for part [1], {{\"of\": 3}} and []:\n{{\"cues\": [{one},]}}"),
            format!("Part [1 of 3] of [2]:\n[{one}]"),
            format!("The \"cues\" [as asked]: {{\"cues\": [{one}]"),
        ] {
            assert_eq!(list(&reply), Some((expected.clone(), None, false)), "{reply}");
            assert_eq!(complete(&reply), expected, "{reply}");
        }
        let dropped = format!(r#"{{"cues":[{one}, 3, {{"id":2}}]}}"#);
        assert_eq!((list(&dropped), complete(&dropped)), (Some((expected.clone(), None, true)), expected));
        let many = format!("[{}]", vec![one; MAX_ENTRIES + 1].join(","));
        let read = list(&many).map(|(entries, _, is_partial)| (entries.len(), is_partial));
        assert_eq!(read, Some((MAX_ENTRIES, true)), "too many");
        for reply in [r#"{"cues":[]}"#, "[]", "None: []"] {
            assert_eq!(list(reply), Some((Vec::new(), None, false)), "{reply}: an empty list is an answer");
        }
        for reply in [
            "",
            "none",
            "{",
            "[1,2]",
            r#"{"others":[]}"#,
            r#"{"id":1,"frames":[],"te"#,
            "[1, [], {",
            r#"{"cues":{}}"#,
            r#"{"cues":[{"te"#,
        ] {
            assert_eq!((list(reply), complete(reply)), (None, Vec::new()), "{reply}");
        }
    }

    #[test]
    fn the_entry_that_is_cut_off_is_told_apart() {
        for (rest, cut) in [
            (r#",{"id":2,"text":"b, ]}"#, Some("b, ]}")),
            (r#",{"id":2,"text":"b \"c\" \"#, Some("b \"c\" ")),
            (r#",{"id":2,"text":"b","frames":[1,"#, Some("b")),
            (r#",{"text":"b","id":[1,2"#, Some("b")),
            (r#",{"id":2,"text":"#, None),
            (r#",{"id":2,"te"#, None),
            ("", None),
        ] {
            for begin in [r#"{"cues":["#, "Part [1]:\n[ ", r#"The "cues" [of part 1]: {"cues" : [ "#] {
                let reply = format!(r#"{begin}{{"id":1,"text":"a"}}{rest}"#);
                assert_eq!(list(&reply), Some((vec!["a".to_owned()], cut.map(str::to_owned), true)), "{reply}");
                assert_eq!(complete(&reply), ["a"], "{reply}");
            }
        }
        // Lists within an entry are not the list of entries.
        let nested = r#"{"cues":[{"id":1,"text":"a","who":[{"name":"x"}],"why":"b"#;
        assert_eq!(list(nested), Some((Vec::new(), Some("a".to_owned()), true)));
    }

    #[test]
    fn complete_entries_stand_anywhere() {
        let (a, b) = (r#"{"id":1,"text":"a"}"#, r#"{"id":2,"text":"b"}"#);
        for reply in [
            format!("{a}\n{b}"),
            format!("Here {{they}} are [1]: {a} and {b}"),
            format!(r#"{{"translations":[{a},{b}]}}"#),
            format!(r#"{{"cues":[{a},{{"id":3,"text":"he said "no""}},{b}]}}"#),
        ] {
            assert_eq!(complete(&reply), ["a", "b"], "{reply}");
        }
        assert!(complete(&"{\"a\":".repeat(2 * MAX_TRIES)).is_empty());
    }

    #[test]
    fn ids_are_read_as_models_write_them() {
        for (value, expected) in [
            (json!(17), &[17][..]),
            (json!("#17"), &[17]),
            (json!(" s42 "), &[42]),
            (json!("[7]"), &[7]),
            (json!("[#7]"), &[7]),
            (json!([3, "r1", 3, "x", null, "s2"]), &[3, 1, 2]),
            (json!(-1), &[]),
            (json!("-1"), &[]),
            (json!("t=90"), &[]),
            (json!(1.5), &[]),
            (json!(null), &[]),
        ] {
            assert_eq!(ids(&value), expected, "{value}");
        }
    }

    #[test]
    fn the_schema_requires_every_property() {
        let format =
            list_format("names", "list", &[("b", json!({"type": "string"})), ("a", json!({}))]).expect("valid");
        let entry = &format.schema()["properties"]["list"]["items"];
        assert_eq!((format.name(), &entry["required"]), ("names", &json!(["b", "a"])));
        assert_eq!(entry["properties"], json!({"a": {}, "b": {"type": "string"}}));
        assert_eq!(format.schema()["required"], json!(["list"]));
        for object in [entry, format.schema()] {
            assert_eq!((&object["type"], &object["additionalProperties"]), (&json!("object"), &json!(false)));
        }
    }
}
