//! Answers about several frames: their JSON schema, and how captions are read from them.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::chat::ChatResponse;
use crate::error::Result;
use crate::llm::ResponseFormat;
use crate::report::caption::CaptionRow;

/// The JSON schema of an answer about several frames.
pub(super) fn form() -> Result<ResponseFormat> {
    let caption = json!({
        "type": "object",
        "properties": {"id": {"type": "integer"}, "caption": {"type": "string"}},
        "required": ["id", "caption"],
        "additionalProperties": false,
    });
    ResponseFormat::json_schema(
        "captions",
        json!({
            "type": "object",
            "properties": {"captions": {"type": "array", "items": caption}},
            "required": ["captions"],
            "additionalProperties": false,
        }),
    )
}

/// Reads `{"captions": [{"id": 3, "caption": "…"}]}`, also inside a code fence or text, or the list
/// alone. Entries of another form are dropped, and their frames are requested again. Of two captions for one id the first counts.
pub(super) fn read(text: &str) -> HashMap<usize, String> {
    let mut captions = HashMap::new();
    for entry in entries(text) {
        let id = match &entry["id"] {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.trim_start_matches('#').parse().ok(),
            _ => None,
        };
        let caption = entry["caption"].as_str().map(str::trim).filter(|caption| !caption.is_empty());
        if let (Some(id), Some(caption)) = (id.and_then(|id| usize::try_from(id).ok()), caption) {
            captions.entry(id).or_insert_with(|| caption.to_owned());
        }
    }
    captions
}

/// Fills in the caption of each of `rows` from the answer; the first row carries the answer's cost. A row without a caption
/// gets an error.
pub(super) fn share(rows: Vec<&mut CaptionRow>, answer: &ChatResponse) {
    let captions = answer.choices.first().map(|one| read(&one.text)).unwrap_or_default();
    for (at, row) in rows.into_iter().enumerate() {
        if at == 0 {
            row.pay(answer);
        }
        row.caption = row.frame_idx.and_then(|idx| captions.get(&idx).cloned());
        row.error = row.caption.is_none().then(|| "the answer about several frames has no caption for it".to_owned());
    }
}

fn entries(text: &str) -> Vec<Value> {
    let between = |open: char, close: char| {
        let (from, to) = (text.find(open)?, text.rfind(close)?);
        serde_json::from_str::<Value>(text.get(from..=to)?).ok()
    };
    let list = |value: Value| match value {
        Value::Array(entries) => Some(entries),
        Value::Object(mut object) => object.remove("captions").and_then(|captions| match captions {
            Value::Array(entries) => Some(entries),
            _ => None,
        }),
        _ => None,
    };
    between('{', '}').and_then(list).or_else(|| between('[', ']').and_then(list)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_are_found_by_id() {
        let expected: HashMap<usize, String> = [(0, "a dog".to_owned()), (12, "a cat".to_owned())].into();
        for text in [
            r#"{"captions":[{"id":0,"caption":"a dog"},{"id":12,"caption":"a cat"}]}"#,
            "```json\n{\"captions\": [{\"id\": 0, \"caption\": \" a dog \"}, {\"id\": \"#12\", \"caption\": \"a cat\"}]}\n```",
            r#"Here they are: [{"id":0,"caption":"a dog"},{"id":12,"caption":"a cat"},{"id":0,"caption":"again"}]"#,
            r#"{"captions":[{"id":0,"caption":"a dog"},{"id":12,"caption":"a cat"},{"id":5},{"id":7,"caption":""},3]}"#,
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
        for text in
            ["", "a dog", "{", "}{", "{\"captions\":3}", "[1,2]", "{\"captions\":[{\"id\":-1,\"caption\":\"x\"}]}"]
        {
            assert!(read(text).is_empty(), "{text}");
        }
    }
}
