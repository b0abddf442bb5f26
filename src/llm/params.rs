//! What the user asks of a model's sampling, and the form in which it is to answer.

use crate::error::{Error, Result};

/// The words that a model's effort has.
const EFFORTS: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];
/// Longest name of a schema.
const MAX_SCHEMA_NAME: usize = 64;

/// How closely pictures are looked at: fewer tokens, or more to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Detail {
    /// Small, for few tokens.
    Low,
    /// Large.
    High,
    /// As the provider likes: what it does where none is sent.
    Auto,
    /// As it is, not shrunk.
    Original,
}

impl Detail {
    /// The word that is sent.
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

/// What the user asks of the model's sampling. Each is sent only where it is set: many models refuse them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SamplingParams {
    /// 0 (always the likeliest) to 2.
    pub temperature: Option<f64>,
    /// Most tokens of the answer, hidden reasoning included; at least 1.
    pub max_tokens: Option<u32>,
    /// Share of the probability that is drawn from, 0 to 1.
    pub top_p: Option<f64>,
    /// Number of alternatives, 1 to 128.
    pub n: Option<u32>,
    /// Up to four texts that end the answer; empty means that none is sent.
    pub stop: Vec<String>,
    /// Seed of the sampling.
    pub seed: Option<i64>,
    /// How closely pictures are looked at.
    pub detail: Option<Detail>,
    /// How long the model reasons: `none`, `minimal`, `low`, `medium`, `high`, `xhigh`, `max`.
    pub reasoning_effort: Option<String>,
}

impl SamplingParams {
    /// Checks the ranges that the API has.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) naming the option.
    pub fn check(&self) -> Result<()> {
        let outside = |range: std::ops::RangeInclusive<f64>, value: Option<f64>| {
            value.is_some_and(|value| !range.contains(&value))
        };
        let refuse = |option: &str, range: &str| Err(Error::usage(option, format!("must be {range}"), ""));
        if outside(0.0..=2.0, self.temperature) {
            return refuse("--temperature", "between 0 and 2");
        }
        if self.max_tokens == Some(0) {
            return refuse("--max-tokens", "at least 1");
        }
        if outside(0.0..=1.0, self.top_p) {
            return refuse("--top-p", "between 0 and 1");
        }
        if self.n.is_some_and(|n| !(1..=128).contains(&n)) {
            return refuse("--n", "between 1 and 128");
        }
        if self.stop.len() > 4 || self.stop.iter().any(String::is_empty) {
            return refuse("--stop", "given at most four times, and never empty");
        }
        if self.reasoning_effort.as_deref().is_some_and(|effort| !EFFORTS.contains(&effort)) {
            return refuse("--reasoning-effort", &format!("one of {}", EFFORTS.join(", ")));
        }
        Ok(())
    }
}

/// A JSON schema that the answer is held to.
#[derive(Clone, Debug, PartialEq)]
pub struct ResponseFormat {
    name: String,
    schema: serde_json::Value,
}

impl ResponseFormat {
    /// A strict schema under a name of letters, digits, `_` and `-`. Providers want `additionalProperties: false` and
    /// every property `required` in each object of it.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where the name is empty, longer than 64 bytes or holds other characters, or the schema is no
    /// object.
    pub fn json_schema(name: impl Into<String>, schema: serde_json::Value) -> Result<Self> {
        let name = name.into();
        let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        if name.is_empty() || name.len() > MAX_SCHEMA_NAME || !is_name {
            return Err(Error::usage(name, "is no name for a schema", "use up to 64 letters, digits, _ and -"));
        }
        if !schema.is_object() {
            return Err(Error::usage(name, "a schema must be a JSON object", ""));
        }
        Ok(Self { name, schema })
    }

    /// Its name.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_out_of_range_are_refused_by_their_option() {
        type Spoil = fn(&mut SamplingParams);
        let table: [(&str, Spoil); 13] = [
            ("--temperature", |p| p.temperature = Some(2.1)),
            ("--temperature", |p| p.temperature = Some(-0.1)),
            ("--temperature", |p| p.temperature = Some(f64::NAN)),
            ("--max-tokens", |p| p.max_tokens = Some(0)),
            ("--top-p", |p| p.top_p = Some(1.01)),
            ("--top-p", |p| p.top_p = Some(f64::INFINITY)),
            ("--n", |p| p.n = Some(0)),
            ("--n", |p| p.n = Some(129)),
            ("--stop", |p| p.stop = vec!["x".into(); 5]),
            ("--stop", |p| p.stop = vec![String::new()]),
            ("--reasoning-effort", |p| p.reasoning_effort = Some("hard".into())),
            ("", |p| p.reasoning_effort = Some("none".into())),
            ("", |p| *p = SamplingParams { temperature: Some(2.0), top_p: Some(0.0), n: Some(128), ..p.clone() }),
        ];
        for (option, spoil) in table {
            let mut params = SamplingParams::default();
            spoil(&mut params);
            let told = params.check().err().map(|error| error.input);
            assert_eq!(told.unwrap_or_default(), option, "{params:?}");
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
}
