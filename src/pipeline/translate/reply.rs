//! The form of a translation: its JSON schema, and how cues are read from replies.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::Result;
use crate::llm::ResponseFormat;
use crate::llm::json_reply::{complete_entries, ids, list_format};
use crate::sanitize::clean_line;

/// The JSON schema of a reply.
pub(super) fn format() -> Result<ResponseFormat> {
    let properties = [("id", json!({"type": "integer"})), ("text", json!({"type": "string"}))];
    list_format("translations", "cues", &properties)
}

/// What a reply says about one cue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RepliedText {
    /// One line, not empty.
    One(String),
    /// Two texts that differ.
    Several,
}

#[derive(Deserialize)]
struct RawCue {
    id: Value,
    text: String,
}

/// The translations in a reply, by the number of the cue. Each complete object `{"id": 7, "text": "…"}` counts, wherever it
/// stands: in the list, in a code fence, among text, in JSON that is cut off. Empty texts are left out.
pub(super) fn read(reply: &str) -> HashMap<usize, RepliedText> {
    let mut found: HashMap<usize, RepliedText> = HashMap::new();
    for cue in complete_entries::<RawCue>(reply) {
        let text = clean_line(&cue.text);
        let Some(id) = ids(&cue.id).first().copied().filter(|_| !text.is_empty()) else { continue };
        let one = RepliedText::One(text);
        let before = found.entry(id).or_insert_with(|| one.clone());
        if *before != one {
            *before = RepliedText::Several;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> RepliedText {
        RepliedText::One(text.to_owned())
    }

    #[test]
    fn cues_are_found_by_id_wherever_they_stand() {
        let expected: HashMap<usize, RepliedText> = [(7, one("개")), (12, one("a \"cat\""))].into();
        for reply in [
            r#"{"cues":[{"id":7,"text":"개"},{"id":12,"text":"a \"cat\""}]}"#,
            "```json\n{\"cues\": [{\"id\": \"7\", \"text\": \" 개\\n\"}, {\"text\": \"a \\\"cat\\\"\", \"id\": \"[12]\"},]}\n```",
            r#"Here {they} are: [{"id":7,"text":"개"},{"id":7,"text":"개"},{"id":12,"text":"a \"cat\""}] {"#,
            r#"{"cues":[{"id":7,"text":"개"},{"id":12,"text":"a \"cat\""},{"id":5},{"id":3,"text":" "},{"id":-1,"text":"x"},{"id":9,"te"#,
        ] {
            assert_eq!(read(reply), expected, "{reply}");
        }
        for reply in ["", "개", "{", "}{", "[1,2]", "{\"cues\":3}", "{\"cues\":{}}", "{\"id\":7,\"text\":null}"] {
            assert!(read(reply).is_empty(), "{reply}");
        }
        assert_eq!(read(r#"{"id":1,"text":"a"}{"id":1,"text":"b"}"#), [(1, RepliedText::Several)].into());
        assert_eq!(read("{\"id\":1,\"text\":\"a\\u001b[2J\\n\\n5 --> \\u202e b\"}"), [(1, one("a 5 --> b"))].into());
        assert_eq!(read(&"{\"a\":".repeat(4000)), HashMap::new());
    }
}
