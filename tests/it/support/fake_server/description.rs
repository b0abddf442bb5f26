//! `OpenAI`'s own description of its API as a judge of requests: its schemas, and its list of known keys, since the
//! schemas alone let any key through. It lies beside the project, not in it; where it is not, this judge is silent.

use std::path::Path;
use std::sync::OnceLock;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, ValidationError, Validator};
use serde_json::{Map, Value, json};

/// Where the description lies, from the project's folder.
const FILE: &str = "../shared/openai/openapi-trimmed.json";
const CHAT: &str = "CreateChatCompletionRequest";
const SOUND: &str = "CreateTranscriptionRequest";
const BATCH: &str = "CreateBatchRequest";

/// Where the official SDKs are ahead of this description: the list of values, the value that it lacks, and why.
const AHEAD: [(&str, &str, &str); 1] = [(
    "/components/schemas/ChatCompletionRequestMessageContentPartImage/properties/image_url/properties/detail/enum",
    "original",
    "openai-python 3.54 has it for chat; the description is of August 2026",
)];

/// Who found something wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The schema.
    Schema,
    /// The list of known keys.
    Keys,
}

/// What is wrong with a request: who says so, where, and why. Values are left out, for pictures are long.
#[derive(Clone, Debug)]
pub struct Wrong {
    pub by: By,
    pub why: String,
}

/// The description, its schemas compiled.
pub struct Description {
    root: Value,
    chat: Validator,
    sound: Validator,
    batch: Validator,
}

impl Description {
    /// The description; None, with a word on stderr, where it is not there. Read once.
    pub fn get() -> Option<&'static Self> {
        static READ: OnceLock<Option<Description>> = OnceLock::new();
        READ.get_or_init(|| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
            let text = std::fs::read(&path).inspect_err(|error| {
                eprintln!("requests are not held against OpenAI's description: {}: {error}", path.display());
            });
            text.ok().map(|text| Self::new(serde_json::from_slice(&text).expect("the description is JSON")))
        })
        .as_ref()
    }

    fn new(mut root: Value) -> Self {
        for (pointer, value, why) in AHEAD {
            let values = root.pointer_mut(pointer).and_then(Value::as_array_mut).expect(pointer);
            assert!(!values.contains(&json!(value)), "the description has caught up, so that this may go: {why}");
            values.push(json!(value));
        }
        let compile = |name: &str| {
            let schema = json!({"$ref": format!("#/components/schemas/{name}"), "components": root["components"]});
            jsonschema::options().with_draft(Draft::Draft202012).build(&schema).expect(name)
        };
        Self { chat: compile(CHAT), sound: compile(SOUND), batch: compile(BATCH), root }
    }

    /// Judges the body of a `/chat/completions`.
    pub fn judge_chat(&self, body: &Value) -> Result<(), Wrong> {
        self.judge(&self.chat, CHAT, body)
    }

    /// Judges the body of a `/batches`.
    pub fn judge_batch(&self, body: &Value) -> Result<(), Wrong> {
        self.judge(&self.batch, BATCH, body)
    }

    /// Judges the fields of an `/audio/transcriptions`, the file apart, in the order of the form.
    pub fn judge_sound(&self, fields: &[(String, String)]) -> Result<(), Wrong> {
        let mut body = Map::from_iter([("file".to_owned(), json!("(bytes)"))]);
        for (name, value) in fields {
            let number = value.parse::<f64>().ok().filter(|_| name == "temperature").map(Value::from);
            let value = number.unwrap_or_else(|| json!(value));
            match name.strip_suffix("[]") {
                Some(name) => {
                    let list = body.entry(name.to_owned()).or_insert_with(|| json!([]));
                    list.as_array_mut().expect("brackets at each").push(value);
                }
                None => drop(body.insert(name.clone(), value)),
            }
        }
        self.judge(&self.sound, SOUND, &Value::Object(body))
    }

    fn judge(&self, validator: &Validator, name: &str, body: &Value) -> Result<(), Wrong> {
        if let Err(error) = validator.validate(body) {
            return Err(Wrong { by: By::Schema, why: told(&error) });
        }
        let start = &self.root["components"]["schemas"][name];
        self.unknown_key(body, &[start], "").map_or(Ok(()), |why| Err(Wrong { by: By::Keys, why }))
    }

    /// The path of a key that no schema which may be meant here knows.
    fn unknown_key(&self, value: &Value, schemas: &[&Value], path: &str) -> Option<String> {
        let mut flat = Vec::new();
        for schema in schemas {
            self.flatten(schema, &mut flat);
        }
        match value {
            Value::Array(values) => {
                let items: Vec<&Value> = flat.iter().filter_map(|schema| schema.get("items")).collect();
                values
                    .iter()
                    .enumerate()
                    .find_map(|(at, value)| self.unknown_key(value, &items, &format!("{path}/{at}")))
            }
            Value::Object(object) => {
                flat.retain(|schema| may_be(schema, object));
                let is_open = |schema: &&Value| schema.get("additionalProperties").is_some_and(|more| *more != false);
                if flat.iter().any(is_open) || !flat.iter().any(|schema| schema.get("properties").is_some()) {
                    return None;
                }
                object.iter().find_map(|(key, value)| {
                    let path = format!("{path}/{key}");
                    let known: Vec<&Value> =
                        flat.iter().filter_map(|schema| schema.get("properties")?.get(key)).collect();
                    if known.is_empty() { Some(path) } else { self.unknown_key(value, &known, &path) }
                })
            }
            _ => None,
        }
    }

    /// All that a schema refers to or is put together of.
    fn flatten<'a>(&'a self, schema: &'a Value, flat: &mut Vec<&'a Value>) {
        if let Some(pointer) = schema.get("$ref").and_then(Value::as_str).and_then(|at| at.strip_prefix('#')) {
            self.flatten(self.root.pointer(pointer).expect(pointer), flat);
        }
        for joint in ["allOf", "anyOf", "oneOf"] {
            for part in schema.get(joint).and_then(Value::as_array).into_iter().flatten() {
                self.flatten(part, flat);
            }
        }
        flat.push(schema);
    }
}

/// Whether an object has what marks it as of this schema: `type` and `role` are lists of one value.
fn may_be(schema: &Value, object: &Map<String, Value>) -> bool {
    ["type", "role"].iter().all(|mark| {
        let values = schema.pointer(&format!("/properties/{mark}/enum")).and_then(Value::as_array);
        values.is_none_or(|values| object.get(*mark).is_some_and(|value| values.contains(value)))
    })
}

/// The error that tells most: of alternatives, in the one that was meant, which the mark tells; there the deepest.
fn told(error: &ValidationError<'_>) -> String {
    let error = telling(error);
    format!("{}: {}", error.instance_path(), error.masked())
}

fn telling<'a>(error: &'a ValidationError<'a>) -> &'a ValidationError<'a> {
    let (ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context }) = error.kind() else {
        return error;
    };
    let place = error.instance_path().as_str();
    let is_mark = |error: &&ValidationError<'_>| match error.kind() {
        ValidationErrorKind::Required { property } => {
            error.instance_path().as_str() == place && (property == "role" || property == "type")
        }
        _ => error.instance_path().as_str().strip_prefix(place).is_some_and(|rest| matches!(rest, "/role" | "/type")),
    };
    let meant = context.iter().filter(|errors| !errors.iter().any(|error| is_mark(&error)));
    let depth = |error: &&ValidationError<'_>| error.instance_path().as_str().split('/').count();
    let deepest = meant.flatten().map(telling).max_by_key(depth);
    deepest.or_else(|| context.iter().flatten().find(is_mark)).unwrap_or(error)
}
