//! What the headers of an error response say about retrying.

use std::time::{Duration, SystemTime};

use reqwest::header::HeaderMap;

/// The longest wait requested by a server that is obeyed; a longer one ends the retries (openai-python does the same).
pub(super) const MAX_RETRY_AFTER: Duration = Duration::from_mins(2);

/// What response headers say about retrying.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RetryHints {
    /// `x-should-retry`, which overrides the status.
    pub should_retry: Option<bool>,
    /// `retry-after-ms`, else `Retry-After`.
    pub wait: Option<Duration>,
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
        Self { should_retry, wait: wait.filter(|wait| !wait.is_zero()) }
    }
}

/// A number of `unit` seconds; None where it is not a number, negative or not finite.
fn seconds(text: &str, unit: f64) -> Option<Duration> {
    text.parse::<f64>().ok().and_then(|number| Duration::try_from_secs_f64(number * unit).ok())
}
