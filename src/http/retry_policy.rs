//! What is tried again, and when: the one place that decides it, for every request to every server.

use std::future::Future;
use std::time::{Duration, SystemTime};

use reqwest::header::HeaderMap;
use tokio::time::Instant;

use super::admission::Admission;
use super::request_error::RequestError;

/// A wait that a server asks for is obeyed up to this long; a longer one ends the tries (openai-python does the same).
pub const MAX_OBEYED: Duration = Duration::from_mins(2);
/// No wait of our own choosing is longer.
const MAX_BACKOFF: Duration = Duration::from_secs(8);

/// What went wrong in one try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestErrorKind {
    /// No connection: refused, no such host, TLS.
    Connect,
    /// The time of one try ran out, or the reply stood still.
    Timeout,
    /// The connection ended before the whole reply was there.
    Broken,
    /// A success whose body is not what it should be: cut, or no JSON.
    Garbled,
    /// An HTTP status, or the same number inside a reply of status 200.
    Status(u16),
    /// Nothing that another try could mend.
    Final,
}

/// What a server's headers say of another try.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RetryHints {
    /// `x-should-retry`, which overrides the status.
    pub should_retry: Option<bool>,
    /// `retry-after-ms`, else `Retry-After`.
    pub wait: Option<Duration>,
}

impl RetryHints {
    /// Reads the headers; `now` is what a date in `Retry-After` is held against.
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

/// A number of `unit` seconds; None where it is no number, negative or not finite.
fn seconds(text: &str, unit: f64) -> Option<Duration> {
    text.parse::<f64>().ok().and_then(|number| Duration::try_from_secs_f64(number * unit).ok())
}

/// What to do after a failed try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryDecision {
    /// Try again after the usual wait.
    Again,
    /// Try again after the wait that the server asked for.
    AgainAfter(Duration),
    /// Stop.
    Stop,
    /// Stop: it would be worth another try, but the server asks for a wait longer than [`MAX_OBEYED`].
    StopForWait(Duration),
}

/// Decides what to do after a try failed with `kind`; `no_credit` is a 429 that waiting does not mend.
pub(crate) fn verdict(kind: RequestErrorKind, no_credit: bool, hints: RetryHints) -> RetryDecision {
    let worth_it = match kind {
        RequestErrorKind::Connect
        | RequestErrorKind::Timeout
        | RequestErrorKind::Broken
        | RequestErrorKind::Garbled => true,
        RequestErrorKind::Final => false,
        RequestErrorKind::Status(_) if no_credit => false,
        RequestErrorKind::Status(status) => {
            hints.should_retry.unwrap_or(matches!(status, 408 | 409 | 429) || (500..600).contains(&status))
        }
    };
    match hints.wait {
        _ if !worth_it => RetryDecision::Stop,
        Some(wait) if wait > MAX_OBEYED => RetryDecision::StopForWait(wait),
        Some(wait) => RetryDecision::AgainAfter(wait),
        None => RetryDecision::Again,
    }
}

/// The wait before retry `n_failed` (from 1): `first * 2^(n_failed - 1)`, at most 8 s, times `jitter` in `[0.75, 1]`.
fn backoff(first: Duration, n_failed: u32, jitter: f64) -> Duration {
    first.saturating_mul(1 << (n_failed - 1).min(16)).min(MAX_BACKOFF).mul_f64(jitter)
}

/// How often and how patiently a request is tried again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RetryPolicy {
    /// Tries after the first one.
    pub max_retries: u32,
    /// The wait before the first retry, doubled for each further one.
    pub first_wait: Duration,
    /// The longest time of one try.
    pub timeout: Duration,
    /// The longest time from the first try on, the waits included.
    pub total_timeout: Duration,
}

/// Runs `attempt`, which gets the time that it may take, until it succeeds, may not be tried again, or `policy` is used
/// up; `traffic` says when each try may go, `n_tokens` is what it is expected to weigh. The number is that of the tries
/// made, the last one included. `name` is the server's, for the log.
pub(crate) async fn run<T, F, Fut>(
    policy: RetryPolicy,
    traffic: &Admission,
    n_tokens: u64,
    name: &str,
    mut attempt: F,
) -> Result<(T, u32), RequestError>
where
    F: FnMut(Duration) -> Fut,
    Fut: Future<Output = Result<T, RequestError>>,
{
    // How long it takes until the first try may go is no fault of this request: its time begins then.
    let mut pass = traffic.enter(n_tokens).await?;
    traffic.begin_request();
    let deadline = Instant::now() + policy.total_timeout;
    let mut n_tries = 0;
    loop {
        n_tries += 1;
        let outcome = attempt(policy.timeout.min(deadline.saturating_duration_since(Instant::now()))).await;
        pass.settle(outcome.as_ref().err());
        let failure = match outcome {
            Ok(value) => return Ok((value, n_tries)),
            Err(failure) => failure,
        };
        let wait = match verdict(failure.kind, failure.no_credit, failure.hints) {
            RetryDecision::Stop => return Err(failure.after(n_tries)),
            RetryDecision::StopForWait(wait) => return Err(failure.after(n_tries).with_long_wait(wait)),
            _ if n_tries > policy.max_retries => return Err(failure.after(n_tries)),
            RetryDecision::AgainAfter(wait) => wait,
            RetryDecision::Again => backoff(policy.first_wait, n_tries, fastrand::f64().mul_add(0.25, 0.75)),
        };
        let out_of_time = |failure: RequestError| Err(failure.after(n_tries).with_no_time_left(policy.total_timeout));
        let wait = wait.max(traffic.wait_for_retry(failure.kind));
        if Instant::now() + wait >= deadline {
            return out_of_time(failure);
        }
        tracing::warn!(
            "{name}: {}; try {} of {} in {:.1} s",
            failure.problem,
            n_tries + 1,
            policy.max_retries + 1,
            wait.as_secs_f64()
        );
        tokio::time::sleep(wait).await;
        pass = match tokio::time::timeout_at(deadline, traffic.enter(n_tokens)).await {
            Ok(Ok(pass)) => pass,
            // What ended the run tells more than this request's own trouble.
            Ok(Err(refusal)) if refusal.ends_run() => return Err(refusal),
            Ok(Err(_)) => return Err(failure.after(n_tries)),
            Err(_) => return out_of_time(failure),
        };
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::super::config::RequestLimits;
    use super::RequestErrorKind::{Broken, Connect, Final, Garbled, Status, Timeout};
    use super::RetryDecision::{Again, Stop};
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
    fn what_is_tried_again() {
        let after = |millis| RetryDecision::AgainAfter(Duration::from_millis(millis));
        let long = |seconds| RetryDecision::StopForWait(Duration::from_secs(seconds));
        #[rustfmt::skip]
        let table: &[(RequestErrorKind, bool, Headers, RetryDecision)] = &[
            (Connect, false, &[], Again),
            (Timeout, false, &[], Again),
            (Broken, false, &[], Again),
            (Garbled, false, &[], Again),
            (Final, false, &[], Stop),
            (Final, false, &[("x-should-retry", "true")], Stop),
            (Status(301), false, &[], Stop),
            (Status(400), false, &[], Stop),
            (Status(401), false, &[], Stop),
            (Status(402), false, &[], Stop),
            (Status(403), false, &[], Stop),
            (Status(404), false, &[], Stop),
            (Status(408), false, &[], Again),
            (Status(409), false, &[], Again),
            (Status(413), false, &[], Stop),
            (Status(422), false, &[], Stop),
            (Status(429), false, &[], Again),
            (Status(429), true, &[], Stop),
            (Status(429), true, &[("x-should-retry", "true"), ("retry-after", "1")], Stop),
            (Status(500), false, &[], Again),
            (Status(502), false, &[], Again),
            (Status(503), false, &[], Again),
            (Status(529), false, &[], Again),
            (Status(600), false, &[], Stop),
            // The server's own word goes above its status.
            (Status(500), false, &[("x-should-retry", "false")], Stop),
            (Status(400), false, &[("x-should-retry", "true")], Again),
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
            // Waits that are none.
            (Status(429), false, &[("retry-after", "Mon, 23 Nov 2026 00:00:00 GMT")], Again),
            (Status(429), false, &[("retry-after", "0")], Again),
            (Status(429), false, &[("retry-after", "-5")], Again),
            (Status(429), false, &[("retry-after", "NaN")], Again),
            (Status(429), false, &[("retry-after", "inf")], Again),
            (Status(429), false, &[("retry-after", "1e300")], Again),
            (Status(404), false, &[("retry-after", "1")], Stop),
        ];
        for (kind, no_credit, headers, expected) in table {
            assert_eq!(verdict(*kind, *no_credit, hints(headers)), *expected, "{kind:?} {no_credit} {headers:?}");
        }
    }

    #[test]
    fn waits_double_up_to_eight_seconds() {
        let first = Duration::from_millis(500);
        let waits: Vec<u128> = [1, 2, 3, 4, 5, 6, 90].map(|n| backoff(first, n, 1.0).as_millis()).into();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 8000, 8000]);
        assert_eq!(backoff(first, 2, 0.75).as_millis(), 750);
    }

    const POLICY: RetryPolicy = RetryPolicy {
        max_retries: 4,
        first_wait: Duration::from_millis(500),
        timeout: Duration::from_mins(10),
        total_timeout: Duration::from_mins(10),
    };

    fn busy(wait: Option<u64>) -> RequestError {
        let hints = RetryHints { should_retry: None, wait: wait.map(Duration::from_secs) };
        RequestError { hints, ..RequestError::new(RequestErrorKind::Status(503), "503", "") }
    }

    /// Runs a request whose tries fail with these, and then succeed; the number of tries made, and the outcome.
    async fn tried(policy: RetryPolicy, failures: Vec<RequestError>) -> (usize, Result<u32, String>) {
        let traffic = Admission::new(&RequestLimits::default());
        let (mut failures, mut n_tries) = (failures.into_iter(), 0);
        let outcome = run(policy, &traffic, 0, "host", |_| {
            n_tries += 1;
            std::future::ready(failures.next().map_or(Ok(()), Err))
        });
        let outcome = outcome.await.map(|((), n_told)| n_told).map_err(|failure| failure.problem);
        (n_tries, outcome)
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_the_server_asks_for_is_kept_exactly() {
        let begun = Instant::now();
        assert_eq!(tried(POLICY, vec![busy(Some(2)), busy(Some(120))]).await, (3, Ok(3)));
        assert_eq!(begun.elapsed().as_secs(), 122);
    }

    #[tokio::test(start_paused = true)]
    async fn the_tries_end_and_their_number_is_told() {
        let begun = Instant::now();
        let failures = (0..9).map(|_| busy(None)).collect();
        assert_eq!(tried(POLICY, failures).await, (5, Err("503 (tried 5 times)".into())));
        // 0.5 + 1 + 2 + 4 s, each times 0.75 to 1.
        assert!((5625..=7510).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_wait_is_not_waited_but_told() {
        let begun = Instant::now();
        let (n_tries, told) = tried(POLICY, vec![busy(Some(600))]).await;
        assert_eq!(n_tries, 1);
        assert!(told.is_err_and(|text| text.contains("asks to wait 600 s, longer than the 120 s")));
        assert!(begun.elapsed().is_zero());
    }

    #[tokio::test(start_paused = true)]
    async fn no_wait_goes_past_the_time_for_all_tries() {
        let begun = Instant::now();
        let policy = RetryPolicy { total_timeout: Duration::from_mins(3), ..POLICY };
        let (n_tries, told) = tried(policy, vec![busy(Some(100)), busy(Some(100)), busy(None)]).await;
        assert_eq!((n_tries, begun.elapsed().as_secs()), (2, 100));
        assert_eq!(told.expect_err("over"), "503 (tried 2 times); the 180 s for all tries leave no time for another");
    }

    #[tokio::test(start_paused = true)]
    async fn a_try_gets_no_more_than_is_left_of_the_time() {
        let traffic = Admission::new(&RequestLimits::default());
        let policy = RetryPolicy { timeout: Duration::from_secs(50), total_timeout: Duration::from_mins(2), ..POLICY };
        let mut limits = Vec::new();
        let outcome = run(policy, &traffic, 0, "host", |limit| {
            limits.push(limit.as_secs());
            async move {
                tokio::time::sleep(limit).await;
                Err::<(), _>(RequestError::timeout(limit, "no answer"))
            }
        });
        let failure = outcome.await.expect_err("it never answers");
        assert_eq!(limits[..2], [50, 50]);
        assert!(limits.len() == 3 && (17..20).contains(&limits[2]), "{limits:?}");
        assert!(failure.advice.contains("--total-timeout"), "{failure:?}");
    }
}
