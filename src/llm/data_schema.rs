//! The form of an answer that is data: a JSON Schema, and the value in a reply that is valid against it.

use std::sync::Arc;

use jsonschema::Validator;
use serde_json::{Value, json};

use super::ResponseFormat;
use super::json_reply::values;
use crate::advice::Setting;
use crate::error::{Error, Result};
use crate::sanitize::excerpt;

/// Bytes of a schema: each request holds it twice.
const MAX_SCHEMA_BYTES: usize = 256 << 10;
/// Labels to choose from, and characters of one.
const MAX_LABELS: usize = 500;
const MAX_LABEL_CHARS: usize = 200;
/// Faults of a value that a message names, and characters of each.
const MAX_FAULTS: usize = 5;
const MAX_FAULT_CHARS: usize = 200;

/// A JSON Schema, ready to validate answers. Clones share it.
#[derive(Clone, Debug)]
pub struct DataSchema {
    format: ResponseFormat,
    /// None for a schema of the user.
    labels: Option<Arc<[String]>>,
    validator: Arc<Validator>,
}

impl DataSchema {
    /// Reads a schema of any draft. It may not refer to other documents: nothing is fetched.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where the text is no JSON object, no valid schema, or too long.
    pub fn parse(text: &str) -> Result<Self> {
        let refuse = |problem: String, advice: &str| Err(Error::setting(Setting::Schema, problem, advice));
        if text.len() > MAX_SCHEMA_BYTES {
            return refuse(format!("has more than {} KiB", MAX_SCHEMA_BYTES >> 10), "use a smaller schema");
        }
        let schema: Value = match serde_json::from_str(text) {
            Ok(schema) => schema,
            Err(error) => return refuse(format!("is not JSON: {error}"), "write a JSON Schema"),
        };
        if !schema.is_object() {
            return refuse("is not a JSON object".to_owned(), r#"write a JSON Schema such as {"type": "object"}"#);
        }
        Self::compile("data", schema, None)
    }

    /// The form of a choice of one of `labels`, with the reason for it: `{"label": ..., "reason": ...}`.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) for fewer than two labels, more than 500, and labels that are empty, too
    /// long, or equal but for case.
    pub fn of_labels(labels: &[String]) -> Result<Self> {
        let labels: Vec<String> = labels.iter().map(|label| label.trim().to_owned()).collect();
        let refuse = |problem: String| Err(Error::setting(Setting::Labels, problem, "write them as a,b,c"));
        if !(2..=MAX_LABELS).contains(&labels.len()) {
            return refuse(format!("must be 2 to {MAX_LABELS} labels"));
        }
        if let Some(label) = labels.iter().find(|label| label.is_empty() || label.chars().count() > MAX_LABEL_CHARS) {
            return refuse(format!("{:?} must have 1 to {MAX_LABEL_CHARS} characters", excerpt(label, 40)));
        }
        for (at, label) in labels.iter().enumerate() {
            if let Some(other) = labels[..at].iter().find(|other| is_same_label(other, label)) {
                return refuse(format!("{other} and {label} are the same label"));
            }
        }
        let schema = json!({
            "type": "object",
            "properties": {"label": {"type": "string", "enum": labels}, "reason": {"type": "string"}},
            "required": ["label", "reason"],
            "additionalProperties": false,
        });
        Self::compile("label", schema, Some(labels.into()))
    }

    fn compile(name: &str, schema: Value, labels: Option<Arc<[String]>>) -> Result<Self> {
        let validator = jsonschema::validator_for(&schema).map_err(|error| {
            let problem = format!("is not a valid JSON Schema: {}", excerpt(&error.to_string(), MAX_FAULT_CHARS));
            Error::setting(Setting::Schema, problem, "correct it; it may not refer to other documents")
        })?;
        Ok(Self { format: ResponseFormat::json_schema(name, schema)?, labels, validator: Arc::new(validator) })
    }

    /// Whether the data is one of several labels.
    #[must_use]
    pub fn has_labels(&self) -> bool {
        self.labels.is_some()
    }

    /// The form for requests.
    #[must_use]
    pub fn format(&self) -> &ResponseFormat {
        &self.format
    }

    /// The schema as compact JSON.
    #[must_use]
    pub fn text(&self) -> String {
        self.format.schema().to_string()
    }

    /// The value in a reply that is valid, also in a code fence or among text. A label is the one that was offered, whatever
    /// the case in the reply.
    ///
    /// # Errors
    /// What is wrong with the reply, as a phrase: of its longest value.
    pub fn read(&self, reply: &str) -> std::result::Result<Value, String> {
        let mut best: Option<(usize, String)> = None;
        for mut value in values(reply) {
            self.correct_label(&mut value);
            let Err(faults) = self.check(&value) else { return Ok(value) };
            let size = value.to_string().len();
            if best.as_ref().is_none_or(|(longest, _)| size > *longest) {
                best = Some((size, faults));
            }
        }
        Err(best.map_or_else(|| "it contains no complete JSON".to_owned(), |(_, faults)| faults))
    }

    fn correct_label(&self, value: &mut Value) {
        let (Some(labels), Some(label)) = (&self.labels, value.get_mut("label")) else { return };
        if let Some(known) = labels.iter().find(|known| label.as_str().is_some_and(|label| is_same_label(known, label)))
        {
            *label = Value::String(known.clone());
        }
    }

    fn check(&self, value: &Value) -> std::result::Result<(), String> {
        let faults: Vec<String> = self
            .validator
            .iter_errors(value)
            .take(MAX_FAULTS)
            .map(|error| {
                let place = error.instance_path().to_string();
                let place = if place.is_empty() { String::new() } else { format!("at {place}: ") };
                format!("{place}{}", excerpt(&error.to_string(), MAX_FAULT_CHARS))
            })
            .collect();
        if faults.is_empty() { Ok(()) } else { Err(format!("it does not match the schema: {}", faults.join("; "))) }
    }
}

fn is_same_label(known: &str, label: &str) -> bool {
    known.to_lowercase() == label.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERSON: &str = r#"{"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
        "required": ["name"], "additionalProperties": false}"#;

    #[test]
    fn what_is_valid_is_read_wherever_it_stands() {
        let schema = DataSchema::parse(PERSON).expect("a schema");
        let expected = json!({"name": "Ann", "age": 7});
        for reply in [
            r#"{"name": "Ann", "age": 7}"#,
            "```json\n{\"name\": \"Ann\", \"age\": 7}\n```",
            "Of {all} people [1]: {\"name\": \"Ann\", \"age\": 7}. Done.",
            r#"{"name": "Ann", "age": 7,}"#,
            r#"{"type": "object"} {"name": "Ann", "age": 7}"#,
        ] {
            assert_eq!(schema.read(reply).as_ref(), Ok(&expected), "{reply}");
        }
        for (reply, why) in [
            ("", "no complete JSON"),
            ("Ann is 7.", "no complete JSON"),
            (r#"{"name": "Ann", "age": "#, "no complete JSON"),
            (r#"{"age": 7}"#, "\"name\" is a required property"),
            (r#"{"name": "Ann", "age": "seven"}"#, "at /age: \"seven\" is not of type"),
            (r#"{"name": "Ann", "age": -1, "x": 1}"#, "at /age: -1 is less than the minimum of 0"),
        ] {
            let said = schema.read(reply).expect_err(reply);
            assert!(said.contains(why), "{reply}: {said}");
        }
        let list = DataSchema::parse(r#"{"type": "array", "items": {"type": "integer"}}"#).expect("a schema");
        assert_eq!(list.read("They are [1, 2]."), Ok(json!([1, 2])));
    }

    #[test]
    fn faults_are_few_and_short() {
        let schema = DataSchema::parse(r#"{"type": "array", "items": {"type": "integer"}}"#).expect("a schema");
        let said = schema.read(&json!(vec!["x".repeat(9999); 50]).to_string()).expect_err("texts");
        assert!(said.len() < MAX_FAULTS * (MAX_FAULT_CHARS + 40) + 100, "{}", said.len());
    }

    #[test]
    fn a_label_is_one_of_those_offered() {
        let labels = ["Lecture", "music video", "회의"].map(str::to_owned);
        let schema = DataSchema::of_labels(&labels).expect("a schema");
        for (written, label) in [("Lecture", "Lecture"), (" MUSIC Video", "music video"), ("회의", "회의")] {
            let read = schema.read(&json!({"label": written, "reason": "x"}).to_string()).expect(written);
            assert_eq!(read, json!({"label": label, "reason": "x"}));
        }
        for reply in [json!({"label": "Film", "reason": "x"}), json!({"label": "Lecture"}), json!("Lecture")] {
            assert!(schema.read(&reply.to_string()).is_err(), "{reply}");
        }
        for labels in [&["a"][..], &["a", " "], &["a", "A"], &["a", "b", " a "], &["a", &"x".repeat(201)]] {
            let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
            assert!(DataSchema::of_labels(&labels).is_err(), "{labels:?}");
        }
    }

    #[test]
    fn a_schema_that_cannot_be_used_is_refused() {
        for (text, why) in [
            ("name: string", "is not JSON"),
            ("true", "is not a JSON object"),
            ("[]", "is not a JSON object"),
            (r#"{"type": "text"}"#, "is not a valid JSON Schema"),
            (r#"{"properties": {"a": {"$ref": "http://127.0.0.1:9/s.json"}}}"#, "is not a valid JSON Schema"),
            (r#"{"properties": {"a": {"$ref": "file:///etc/passwd"}}}"#, "is not a valid JSON Schema"),
            (r##"{"properties": {"a": {"$ref": "#/$defs/none"}}}"##, "is not a valid JSON Schema"),
            (r#"{"type": "string", "pattern": "("}"#, "is not a valid JSON Schema"),
        ] {
            let error = DataSchema::parse(text).expect_err(text);
            assert!(error.setting == Some(Setting::Schema) && error.to_string().contains(why), "{text}: {error}");
        }
        let long = format!(r#"{{"description": "{}"}}"#, "x".repeat(MAX_SCHEMA_BYTES));
        assert!(DataSchema::parse(&long).is_err());
        let tree = r##"{"type": "object", "properties": {"next": {"$ref": "#"}}}"##;
        assert_eq!(
            DataSchema::parse(tree).expect("it may refer to itself").read(r#"{"next": {}}"#),
            Ok(json!({"next": {}}))
        );
    }
}
