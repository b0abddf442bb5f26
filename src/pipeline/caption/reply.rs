//! Answers about several frames: their JSON schema, and how captions are read from them.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::chat::ChatResponse;
use crate::error::Result;
use crate::llm::ResponseFormat;
use crate::llm::json_reply::{complete_entries, ids, list_format};
use crate::report::caption::CaptionRow;

/// The JSON schema of an answer about several frames.
pub(super) fn form() -> Result<ResponseFormat> {
    let properties = [("id", json!({"type": "integer"})), ("caption", json!({"type": "string"}))];
    list_format("captions", "captions", &properties)
}

#[derive(Deserialize)]
struct RawCaption {
    id: Value,
    caption: String,
}

/// The captions in a reply, by the index of the frame. Each complete object `{"id": 3, "caption": "…"}` counts, wherever it
/// stands: in the list, in a code fence, among text, in JSON that is cut off. Frames without one are requested again. Of two
/// captions for one ID the first counts.
pub(super) fn read(text: &str) -> HashMap<usize, String> {
    let mut captions = HashMap::new();
    for RawCaption { id, caption } in complete_entries(text) {
        let caption = caption.trim();
        if let Some(id) = ids(&id).first().filter(|_| !caption.is_empty()) {
            captions.entry(*id).or_insert_with(|| caption.to_owned());
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
            // Cut off, with trailing commas, with a caption that breaks the JSON.
            r#"{"captions":[{"id":0,"caption":"a dog"},{"id":12,"caption":"a cat"},{"id":13,"caption":"a bir"#,
            r#"{"captions":[{"id":0,"caption":"a dog"},{"id":"[12]","caption":"a cat"},],}"#,
            r#"{"captions":[{"id":0,"caption":"a dog"},{"id":5,"caption":"a "sign""},{"id":12,"caption":"a cat"}]}"#,
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
