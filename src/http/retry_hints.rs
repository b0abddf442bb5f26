//! What an error response says about retrying, in its headers or its body.

use std::time::{Duration, SystemTime};

use reqwest::header::HeaderMap;
use serde_json::Value;

use super::reset_header::go_duration;

/// The longest wait requested by a server that is obeyed; a longer one ends the retries (openai-python does the same).
pub(super) const MAX_RETRY_AFTER: Duration = Duration::from_mins(2);

/// What a response says about retrying.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RetryHints {
    /// `x-should-retry`, which overrides the status.
    pub should_retry: Option<bool>,
    /// `retry-after-ms`, else `Retry-After`, else what the body says.
    pub wait: Option<Duration>,
    /// Whether the server is loading its model: it is waited for until the total timeout.
    pub is_loading: bool,
}

impl RetryHints {
    /// Reads the headers; `now` is the reference of a date in `Retry-After`.
    pub fn read(headers: &HeaderMap, now: SystemTime) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let should_retry = match text("x-should-retry") {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => None,
        };
        let millis = text("retry-after-ms").and_then(|text| seconds(text, 1e-3));
        let wait = millis.or_else(|| {
            let text = text("retry-after")?;
            seconds(text, 1.0).or_else(|| httpdate::parse_http_date(text).ok()?.duration_since(now).ok())
        });
        Self { should_retry, wait: wait.filter(|wait| !wait.is_zero()), is_loading: false }
    }

    /// Adds what the body of an error response says; headers take precedence. `message` is the text in it.
    pub fn with_body(mut self, status: u16, body: &Value, message: &str) -> Self {
        if matches!(status, 408 | 409 | 429 | 500..=599) {
            let in_body = || wait_in_details(body).or_else(|| wait_in_text(message));
            self.wait = self.wait.or_else(in_body).filter(|wait| !wait.is_zero());
        }
        self.is_loading = status == 503 && is_loading(message);
        self
    }
}

/// The wait in an error object: Google's `RetryInfo` (`"retryDelay": "58s"`), or `estimated_time` in seconds (Hugging Face).
fn wait_in_details(error: &Value) -> Option<Duration> {
    let details = error.get("details").and_then(Value::as_array).into_iter().flatten();
    let delay = details.filter_map(|detail| detail.get("retryDelay")).find_map(|delay| match delay {
        Value::String(text) => go_duration(text.trim()),
        // The message of `google.protobuf.Duration` as an object.
        other => other.get("seconds").and_then(|seconds| match seconds {
            Value::String(text) => self::seconds(text, 1.0),
            number => Duration::try_from_secs_f64(number.as_f64()?).ok(),
        }),
    });
    delay.or_else(|| Duration::try_from_secs_f64(error.get("estimated_time")?.as_f64()?).ok())
}

/// The wait in a message: "Please try again in 1m2.5s" (OpenAI, Groq), "Please retry in 58.2s" (Google), "retry after 20
/// seconds" (Azure).
fn wait_in_text(message: &str) -> Option<Duration> {
    let lower = message.to_ascii_lowercase();
    let start = ["try again in ", "retry in ", "retry after "].iter().find_map(|words| {
        let at = lower.find(words)? + words.len();
        lower.get(at..)
    })?;
    let mut words = start.split_whitespace();
    let (first, unit) = (words.next()?.trim_end_matches(['.', ',', ';']), words.next().unwrap_or_default());
    if let Some(wait) = go_duration(first) {
        return Some(wait);
    }
    let scale = match unit.trim_end_matches(['.', ',', ';']) {
        "second" | "seconds" | "sec" | "s" => 1.0,
        "ms" | "millisecond" | "milliseconds" => 1e-3,
        "minute" | "minutes" | "min" => 60.0,
        _ => return None,
    };
    seconds(first, scale)
}

/// Whether a server answers 503 because it is still loading its model: llama.cpp ("Loading model"), Hugging Face ("is
/// currently loading"), `KServe` and Triton ("model is not ready").
fn is_loading(message: &str) -> bool {
    let lower = message.to_ascii_lowercase();
    lower.contains("loading")
        || (lower.contains("model") && (lower.contains("not ready") || lower.contains("starting")))
}

/// A number of `unit` seconds; None where it is not a number, negative or not finite.
fn seconds(text: &str, unit: f64) -> Option<Duration> {
    text.parse::<f64>().ok().and_then(|number| Duration::try_from_secs_f64(number * unit).ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wait(status: u16, body: &Value, message: &str) -> Option<u128> {
        RetryHints::default().with_body(status, body, message).wait.map(|wait| wait.as_millis())
    }

    #[test]
    fn waits_in_bodies_are_read() {
        let info = |delay: Value| {
            let details = [
                json!({"@type": "type.googleapis.com/google.rpc.QuotaFailure"}),
                json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}),
            ];
            json!({"details": details})
        };
        #[rustfmt::skip]
        let table = [
            (429, info(json!("58s")), "", Some(58_000)),
            (429, info(json!("0.5s")), "", Some(500)),
            (429, info(json!({"seconds": "7"})), "", Some(7000)),
            (429, info(json!({"seconds": 7})), "", Some(7000)),
            (429, info(json!("soon")), "", None),
            (503, json!({"estimated_time": 20.5}), "", Some(20_500)),
            (429, json!({}), "Rate limit reached for gpt-4o. Please try again in 1m2.5s. Visit the site.", Some(62_500)),
            (429, json!({}), "Please try again in 120ms.", Some(120)),
            (429, json!({}), "You exceeded your quota. Please retry in 58.2s.", Some(58_200)),
            (429, json!({}), "Please retry after 20 seconds.", Some(20_000)),
            (429, json!({}), "Please try again in 2 minutes", Some(120_000)),
            (429, json!({}), "Please try again in a while", None),
            (429, json!({}), "try again in ", None),
            (429, json!({}), "Please retry in 0s", None),
            // Not a failure that is retried.
            (400, info(json!("58s")), "", None),
        ];
        for (status, body, message, expected) in table {
            assert_eq!(wait(status, &body, message), expected, "{status} {body} {message}");
        }
        let from_header = RetryHints { wait: Some(Duration::from_secs(2)), ..RetryHints::default() };
        let both = from_header.with_body(429, &info(json!("58s")), "");
        assert_eq!(both.wait, Some(Duration::from_secs(2)), "the header takes precedence");
    }

    #[test]
    fn a_server_that_loads_its_model_is_recognized() {
        for (status, message, expected) in [
            (503, "Loading model", true),
            (503, "Model org/name is currently loading", true),
            (503, "model is not ready", true),
            (503, "The engine is overloaded", false),
            (503, "", false),
            (500, "error loading model", false),
        ] {
            let hints = RetryHints::default().with_body(status, &json!({}), message);
            assert_eq!(hints.is_loading, expected, "{status} {message}");
        }
    }
}
