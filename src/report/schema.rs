//! JSON Schemas (draft 2020-12) of the documents that are written, from the types that are written.
//!
//! A document has no other keys than its schema, and all that are required. A key that may be absent is never null. What each
//! key means is in `docs/output.md`.

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema};
use serde_json::{Value, json};

use super::caption::CaptionRow;
use super::estimate::Estimate;
use super::json::Document;
use super::sound::SoundReport;
use super::transcript::TranscriptDocument;
use crate::media::MediaInfo;

/// Where the keys are described.
const DESCRIPTION: &str = "docs/output.md describes the keys.";

/// Each kind of document with its schema. `docs` has them as `NAME.schema.json`.
#[must_use]
pub fn all() -> [(&'static str, Value); 6] {
    [
        ("audio-descriptions", of::<Vec<SoundReport>>("Descriptions of audio by vidgist")),
        ("caption", of::<CaptionRow>("A caption by vidgist, one line of JSON Lines")),
        ("media", of::<MediaInfo>("The facts of a file, as vidgist probe writes them")),
        ("plan", of::<Estimate>("A plan by vidgist")),
        ("report", of::<Document<'_>>("A report by vidgist")),
        ("transcript", of::<TranscriptDocument<'_>>("A transcript by vidgist")),
    ]
}

fn of<T: JsonSchema>(title: &str) -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize().with_transform(Strict);
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.insert("title".to_owned(), title.into());
    schema.insert("description".to_owned(), DESCRIPTION.into());
    schema.to_value()
}

/// Refuses unknown keys, and null where a key may be absent; leaves out what describes the types in Rust.
#[derive(Clone)]
struct Strict;

impl Transform for Strict {
    fn transform(&mut self, schema: &mut Schema) {
        // Descriptions are those of the library, `format` names its number types, and no default is ever written.
        for key in ["description", "format", "default"] {
            schema.remove(key);
        }
        let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
        if let Some(Value::Object(properties)) = schema.get_mut("properties") {
            for (name, property) in properties {
                if !required.iter().any(|key| key == name) {
                    refuse_null(property);
                }
            }
            schema.insert("additionalProperties".to_owned(), false.into());
        }
        transform_subschemas(self, schema);
    }
}

/// `T` of the schema of an `Option<T>`.
fn refuse_null(schema: &mut Value) {
    if let Some(types) = schema.get_mut("type") {
        if let Value::Array(several) = types {
            several.retain(|name| name != "null");
            if let [one] = several.as_slice() {
                *types = one.clone();
            }
        }
    } else if let Some(Value::Array(several)) = schema.get_mut("anyOf") {
        several.retain(|one| *one != json!({"type": "null"}));
        if let [one] = several.as_slice() {
            *schema = one.clone();
        }
    }
}
