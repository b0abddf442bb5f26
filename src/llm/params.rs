//! Sampling parameters and the response format.

use crate::advice::Setting;
use crate::error::{Error, Result};

/// The levels of reasoning effort.
const EFFORTS: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];
/// Maximum length of a schema's name.
const MAX_SCHEMA_NAME: usize = 64;
/// Keywords of JSON Schema that strict modes refuse.
const NOT_STRICT: [&str; 14] = [
    "allOf",
    "contains",
    "dependentRequired",
    "dependentSchemas",
    "else",
    "if",
    "maxProperties",
    "minProperties",
    "not",
    "oneOf",
    "patternProperties",
    "propertyNames",
    "then",
    "uniqueItems",
];

/// The resolution at which a model reads images: fewer tokens, or more detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Detail {
    /// Low resolution, for few tokens.
    Low,
    /// High resolution.
    High,
    /// Chosen by the provider, as if none were sent.
    Auto,
    /// The original resolution.
    Original,
}

impl Detail {
    /// The value in a request.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::High => "high",
            Self::Auto => "auto",
            Self::Original => "original",
        }
    }
}

/// Sampling parameters. Each is sent only where it is set, since many models refuse them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SamplingParams {
    /// 0 (always the most likely token) to 2.
    pub temperature: Option<f64>,
    /// Maximum number of tokens of the answer, including hidden reasoning; at least 1.
    pub max_tokens: Option<u32>,
    /// Nucleus sampling: the probability mass to sample from, 0 to 1.
    pub top_p: Option<f64>,
    /// Number of choices, 1 to 128.
    pub n: Option<u32>,
    /// Up to four texts that end the answer.
    pub stop: Vec<String>,
    /// Seed of the sampling.
    pub seed: Option<i64>,
    /// The resolution at which images are read.
    pub detail: Option<Detail>,
    /// The reasoning effort: `none`, `minimal`, `low`, `medium`, `high`, `xhigh`, `max`.
    pub reasoning_effort: Option<String>,
}

impl SamplingParams {
    /// Checks the ranges of the API.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) that names the setting.
    pub fn check(&self) -> Result<()> {
        let outside = |range: std::ops::RangeInclusive<f64>, value: Option<f64>| {
            value.is_some_and(|value| !range.contains(&value))
        };
        let refuse = |setting, range: &str| Err(Error::setting(setting, format!("must be {range}"), ""));
        if outside(0.0..=2.0, self.temperature) {
            return refuse(Setting::Temperature, "between 0 and 2");
        }
        if self.max_tokens == Some(0) {
            return refuse(Setting::MaxTokens, "at least 1");
        }
        if outside(0.0..=1.0, self.top_p) {
            return refuse(Setting::TopP, "between 0 and 1");
        }
        if self.n.is_some_and(|n| !(1..=128).contains(&n)) {
            return refuse(Setting::NChoices, "between 1 and 128");
        }
        if self.stop.len() > 4 || self.stop.iter().any(String::is_empty) {
            return refuse(Setting::Stop, "at most four texts, none of them empty");
        }
        if self.reasoning_effort.as_deref().is_some_and(|effort| !EFFORTS.contains(&effort)) {
            return refuse(Setting::ReasoningEffort, &format!("one of {}", EFFORTS.join(", ")));
        }
        Ok(())
    }
}

/// A JSON schema for the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct ResponseFormat {
    name: String,
    schema: serde_json::Value,
    is_strict: bool,
}

impl ResponseFormat {
    /// A schema under a name of letters, digits, `_` and `-`.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where the name is empty, longer than 64 bytes or holds other characters, or the schema is not an
    /// object.
    pub fn json_schema(name: impl Into<String>, schema: serde_json::Value) -> Result<Self> {
        let name = name.into();
        let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        if name.is_empty() || name.len() > MAX_SCHEMA_NAME || !is_name {
            return Err(Error::usage(name, "is not a valid schema name", "use up to 64 letters, digits, _ and -"));
        }
        if !schema.is_object() {
            return Err(Error::usage(name, "a schema must be a JSON object", ""));
        }
        let is_strict = schema.get("type").is_some_and(|kind| kind == "object") && is_strict(&schema);
        Ok(Self { name, schema, is_strict })
    }

    /// Whether providers can guarantee an answer of this form: an object, with `additionalProperties: false` and every
    /// property in `required` in each object, and without keywords that `OpenAI`'s strict mode refuses
    /// (<https://platform.openai.com/docs/guides/structured-outputs#supported-schemas>).
    #[must_use]
    pub fn is_strict(&self) -> bool {
        self.is_strict
    }

    /// The name of the schema.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The schema.
    #[must_use]
    pub fn schema(&self) -> &serde_json::Value {
        &self.schema
    }
}

/// Whether a schema, and each one in it, is within what strict modes support.
fn is_strict(schema: &serde_json::Value) -> bool {
    use serde_json::Value;
    let Some(fields) = schema.as_object() else { return false };
    if fields.keys().any(|key| NOT_STRICT.contains(&key.as_str())) {
        return false;
    }
    let properties = fields.get("properties").and_then(Value::as_object);
    let is_object = match fields.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        kind => kind.is_some_and(|kind| kind == "object"),
    };
    if is_object || properties.is_some() {
        let required = fields.get("required").and_then(Value::as_array);
        let is_required = |name: &String| required.is_some_and(|names| names.iter().any(|one| one == name.as_str()));
        let is_closed = fields.get("additionalProperties") == Some(&Value::Bool(false));
        if !is_closed || !properties.is_none_or(|properties| properties.keys().all(is_required)) {
            return false;
        }
    }
    let definitions = ["$defs", "definitions"].iter().filter_map(|key| fields.get(*key)?.as_object());
    let named = properties.into_iter().chain(definitions).flat_map(|schemas| schemas.values());
    let alternatives = fields.get("anyOf").and_then(Value::as_array).into_iter().flatten();
    named.chain(alternatives).chain(fields.get("items")).all(is_strict)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_out_of_range_are_refused_by_setting() {
        type Spoil = fn(&mut SamplingParams);
        let table: [(Option<Setting>, Spoil); 13] = [
            (Some(Setting::Temperature), |p| p.temperature = Some(2.1)),
            (Some(Setting::Temperature), |p| p.temperature = Some(-0.1)),
            (Some(Setting::Temperature), |p| p.temperature = Some(f64::NAN)),
            (Some(Setting::MaxTokens), |p| p.max_tokens = Some(0)),
            (Some(Setting::TopP), |p| p.top_p = Some(1.01)),
            (Some(Setting::TopP), |p| p.top_p = Some(f64::INFINITY)),
            (Some(Setting::NChoices), |p| p.n = Some(0)),
            (Some(Setting::NChoices), |p| p.n = Some(129)),
            (Some(Setting::Stop), |p| p.stop = vec!["x".into(); 5]),
            (Some(Setting::Stop), |p| p.stop = vec![String::new()]),
            (Some(Setting::ReasoningEffort), |p| p.reasoning_effort = Some("hard".into())),
            (None, |p| p.reasoning_effort = Some("none".into())),
            (None, |p| *p = SamplingParams { temperature: Some(2.0), top_p: Some(0.0), n: Some(128), ..p.clone() }),
        ];
        for (expected, spoil) in table {
            let mut params = SamplingParams::default();
            spoil(&mut params);
            let setting = params.check().err().and_then(|error| error.setting);
            assert_eq!(setting, expected, "{params:?}");
        }
    }

    #[test]
    fn a_schema_has_a_name_and_is_an_object() {
        let object = || serde_json::json!({"type": "object"});
        assert!(ResponseFormat::json_schema("captions_v1-a", object()).is_ok());
        for name in ["", "a b", "é", &"x".repeat(65)] {
            assert!(ResponseFormat::json_schema(name, object()).is_err(), "{name}");
        }
        assert!(ResponseFormat::json_schema("a", serde_json::json!([])).is_err());
    }

    #[test]
    fn a_strict_schema_names_and_closes_everything() {
        use serde_json::json;
        let object = |properties: serde_json::Value, required: &[&str]| json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false});
        let text = json!({"type": "string"});
        let loose = json!({"type": "object", "properties": {"a": text}});
        let list = |items: &serde_json::Value| object(json!({"a": {"type": "array", "items": items}}), &["a"]);
        for (schema, expected) in [
            (object(json!({"a": text}), &["a"]), true),
            (object(json!({"a": {"type": ["string", "null"]}}), &["a"]), true),
            (list(&object(json!({}), &[])), true),
            (object(json!({"a": {"anyOf": [text, {"type": "null"}]}}), &["a"]), true),
            (object(json!({"a": text}), &[]), false),
            (loose.clone(), false),
            (list(&loose), false),
            (object(json!({"a": {"anyOf": [text, loose]}}), &["a"]), false),
            (object(json!({"a": {"oneOf": [text]}}), &["a"]), false),
            (object(json!({"a": true}), &["a"]), false),
            (json!({"type": "array", "items": text}), false),
            (json!({}), false),
        ] {
            let format = ResponseFormat::json_schema("a", schema.clone()).expect("a format");
            assert_eq!(format.is_strict(), expected, "{schema}");
        }
    }
}
