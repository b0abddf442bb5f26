//! Which failures are retried, and when: the one place that decides it, for every request to every server.

use std::time::Duration;

use super::request_error::RequestErrorKind;
use super::retry_hints::{MAX_RETRY_AFTER, RetryHints};

/// The longest wait that is not requested by the server.
const MAX_BACKOFF: Duration = Duration::from_secs(8);

/// What to do after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RetryDecision {
    /// Retry after the usual wait.
    Retry,
    /// Retry after the wait that the server requested.
    RetryAfter(Duration),
    /// Stop.
    Stop,
    /// Stop: a retry could help, but the server requests a wait longer than [`MAX_RETRY_AFTER`].
    StopForWait(Duration),
}

/// Decides what to do after a failure of this kind; `has_no_credit` marks a 429 that a wait does not fix.
pub(super) fn decide(kind: RequestErrorKind, has_no_credit: bool, hints: RetryHints) -> RetryDecision {
    let is_retryable = match kind {
        RequestErrorKind::Connect
        | RequestErrorKind::Timeout
        | RequestErrorKind::Broken
        | RequestErrorKind::InvalidBody => true,
        RequestErrorKind::Final => false,
        RequestErrorKind::Status(_) if has_no_credit => false,
        RequestErrorKind::Status(status) => {
            hints.should_retry.unwrap_or(matches!(status, 408 | 409 | 429) || (500..600).contains(&status))
        }
    };
    match hints.wait {
        _ if !is_retryable => RetryDecision::Stop,
        Some(wait) if wait > MAX_RETRY_AFTER => RetryDecision::StopForWait(wait),
        Some(wait) => RetryDecision::RetryAfter(wait),
        None => RetryDecision::Retry,
    }
}

/// The wait before retry `n_failed` (from 1): `first * 2^(n_failed - 1)`, at most 8 s, times `jitter` in `[0.75, 1]`.
pub(super) fn backoff(first: Duration, n_failed: u32, jitter: f64) -> Duration {
    first.saturating_mul(1 << (n_failed - 1).min(16)).min(MAX_BACKOFF).mul_f64(jitter)
}

/// The wait before attempt `n_attempts + 1` of a request to a server that is loading its model: 1, 2, 4, then 8 s.
pub(super) fn loading_wait(n_attempts: u32) -> Duration {
    backoff(Duration::from_secs(1), n_attempts, 1.0)
}

/// The number of retries and the timeouts of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct RetryPolicy {
    /// Attempts after the first one.
    pub max_retries: u32,
    /// The wait before the first retry, doubled for each further one.
    pub first_wait: Duration,
    /// The timeout of one attempt.
    pub timeout: Duration,
    /// The timeout from the first attempt on, including the waits.
    pub total_timeout: Duration,
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use reqwest::header::{HeaderName, HeaderValue};

    use super::RequestErrorKind::{Broken, Connect, Final, InvalidBody, Status, Timeout};
    use super::RetryDecision::{Retry, Stop};
    use super::*;

    type Headers = &'static [(&'static str, &'static str)];

    fn hints(headers: Headers) -> RetryHints {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a header")))
            .collect();
        // Tue, 24 Nov 2026 00:00:00 GMT
        RetryHints::read(&headers, SystemTime::UNIX_EPOCH + Duration::from_hours(498_744))
    }

    #[test]
    fn which_failures_are_retried() {
        let after = |millis| RetryDecision::RetryAfter(Duration::from_millis(millis));
        let long = |seconds| RetryDecision::StopForWait(Duration::from_secs(seconds));
        #[rustfmt::skip]
        let table: &[(RequestErrorKind, bool, Headers, RetryDecision)] = &[
            (Connect, false, &[], Retry),
            (Timeout, false, &[], Retry),
            (Broken, false, &[], Retry),
            (InvalidBody, false, &[], Retry),
            (Final, false, &[], Stop),
            (Final, false, &[("x-should-retry", "true")], Stop),
            (Status(301), false, &[], Stop),
            (Status(400), false, &[], Stop),
            (Status(401), false, &[], Stop),
            (Status(402), false, &[], Stop),
            (Status(403), false, &[], Stop),
            (Status(404), false, &[], Stop),
            (Status(408), false, &[], Retry),
            (Status(409), false, &[], Retry),
            (Status(413), false, &[], Stop),
            (Status(422), false, &[], Stop),
            (Status(429), false, &[], Retry),
            (Status(429), true, &[], Stop),
            (Status(429), true, &[("x-should-retry", "true"), ("retry-after", "1")], Stop),
            (Status(500), false, &[], Retry),
            (Status(502), false, &[], Retry),
            (Status(503), false, &[], Retry),
            (Status(529), false, &[], Retry),
            (Status(600), false, &[], Stop),
            // `x-should-retry` overrides the status.
            (Status(500), false, &[("x-should-retry", "false")], Stop),
            (Status(400), false, &[("x-should-retry", "true")], Retry),
            (Status(400), false, &[("x-should-retry", "perhaps")], Stop),
            // Waits.
            (Status(429), false, &[("retry-after", "2")], after(2000)),
            (Status(429), false, &[("retry-after", " 0.25 ")], after(250)),
            (Status(503), false, &[("retry-after", "120")], after(120_000)),
            (Status(503), false, &[("retry-after", "121")], long(121)),
            (Status(429), false, &[("retry-after-ms", "1500"), ("retry-after", "90")], after(1500)),
            (Status(429), false, &[("retry-after-ms", "soon"), ("retry-after", "3")], after(3000)),
            (Status(429), false, &[("retry-after", "Tue, 24 Nov 2026 00:00:07 GMT")], after(7000)),
            (Status(429), false, &[("retry-after", "Tue, 24 Nov 2026 01:00:00 GMT")], long(3600)),
            // Invalid waits.
            (Status(429), false, &[("retry-after", "Mon, 23 Nov 2026 00:00:00 GMT")], Retry),
            (Status(429), false, &[("retry-after", "0")], Retry),
            (Status(429), false, &[("retry-after", "-5")], Retry),
            (Status(429), false, &[("retry-after", "NaN")], Retry),
            (Status(429), false, &[("retry-after", "inf")], Retry),
            (Status(429), false, &[("retry-after", "1e300")], Retry),
            (Status(404), false, &[("retry-after", "1")], Stop),
        ];
        for (kind, has_no_credit, headers, expected) in table {
            assert_eq!(
                decide(*kind, *has_no_credit, hints(headers)),
                *expected,
                "{kind:?} {has_no_credit} {headers:?}"
            );
        }
    }

    #[test]
    fn waits_double_up_to_eight_seconds() {
        let first = Duration::from_millis(500);
        let waits: Vec<u128> = [1, 2, 3, 4, 5, 6, 90].map(|n| backoff(first, n, 1.0).as_millis()).into();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 8000, 8000]);
        assert_eq!(backoff(first, 2, 0.75).as_millis(), 750);
    }
}
