//! Sends a request until it succeeds or the retry policy ends it.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use super::admission::Admission;
use super::request_error::RequestError;
use super::retry_policy::{RetryDecision, RetryPolicy, backoff, decide, loading_wait};
use crate::error::ErrorCode;

/// Runs `attempt`, which receives its timeout, until it succeeds, must not be retried, or exhausts `policy`. `admission`
/// decides when each attempt may be sent; `n_tokens` is its estimated size. The number returned is that of the attempts,
/// including the last one. `name` is the server's, for the log.
pub(super) async fn run<T, F, Fut>(
    policy: RetryPolicy,
    admission: &Admission,
    n_tokens: u64,
    name: &str,
    mut attempt: F,
) -> Result<(T, u32), RequestError>
where
    F: FnMut(Duration) -> Fut,
    Fut: Future<Output = Result<T, RequestError>>,
{
    // The wait for the first permit does not count against this request's timeout.
    let mut permit = admission.acquire(n_tokens).await?;
    admission.begin_request();
    let deadline = Instant::now() + policy.total_timeout;
    let mut n_attempts = 0;
    loop {
        n_attempts += 1;
        let outcome = attempt(policy.timeout.min(deadline.saturating_duration_since(Instant::now()))).await;
        permit.settle(outcome.as_ref().err());
        let failure = match outcome {
            Ok(value) => return Ok((value, n_attempts)),
            Err(failure) => failure,
        };
        let wait = match decide(failure.kind, failure.code == ErrorCode::QuotaExhausted, failure.hints) {
            RetryDecision::Stop => return Err(failure.after(n_attempts)),
            RetryDecision::StopForWait(wait) => return Err(failure.after(n_attempts).with_long_wait(wait)),
            // It is waited for until the total timeout.
            RetryDecision::RetryAfter(wait) if failure.hints.is_loading => wait,
            RetryDecision::Retry if failure.hints.is_loading => loading_wait(n_attempts),
            _ if n_attempts > policy.max_retries => return Err(failure.after(n_attempts)),
            RetryDecision::RetryAfter(wait) => wait,
            RetryDecision::Retry => backoff(policy.first_wait, n_attempts, fastrand::f64().mul_add(0.25, 0.75)),
        };
        let out_of_time =
            |failure: RequestError| Err(failure.after(n_attempts).with_no_time_left(policy.total_timeout));
        let wait = if failure.hints.is_loading { wait } else { wait.max(admission.wait_for_retry(failure.kind)) };
        if Instant::now() + wait >= deadline {
            return out_of_time(failure);
        }
        if failure.hints.is_loading {
            let seconds = wait.as_secs_f64();
            tracing::warn!("{name}: {}; waiting until the model is loaded, {seconds:.1} s", failure.problem);
        } else {
            tracing::warn!(
                "{name}: {}; attempt {} of {} in {:.1} s",
                failure.problem,
                n_attempts + 1,
                policy.max_retries + 1,
                wait.as_secs_f64()
            );
        }
        tokio::time::sleep(wait).await;
        permit = match tokio::time::timeout_at(deadline, admission.acquire(n_tokens)).await {
            Ok(Ok(permit)) => permit,
            // The failure that ended the run is more informative than this request's own.
            Ok(Err(refusal)) if refusal.ends_run() => return Err(refusal),
            Ok(Err(_)) => return Err(failure.after(n_attempts)),
            Err(_) => return out_of_time(failure),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::RequestLimits;
    use super::super::request_error::RequestErrorKind;
    use super::super::retry_hints::RetryHints;
    use super::*;

    const POLICY: RetryPolicy = RetryPolicy {
        max_retries: 4,
        first_wait: Duration::from_millis(500),
        timeout: Duration::from_mins(10),
        total_timeout: Duration::from_mins(10),
    };

    fn busy(wait: Option<u64>) -> RequestError {
        let hints = RetryHints { wait: wait.map(Duration::from_secs), ..RetryHints::default() };
        RequestError { hints, ..RequestError::new(RequestErrorKind::Status(503), "503", "") }
    }

    /// Runs a request that fails with each of `failures` in turn and then succeeds. Returns the number of attempts and the
    /// outcome.
    async fn run_with(policy: RetryPolicy, failures: Vec<RequestError>) -> (usize, Result<u32, String>) {
        let admission = Admission::new(&RequestLimits::default());
        let (mut failures, mut n_attempts) = (failures.into_iter(), 0);
        let outcome = run(policy, &admission, 0, "host", |_| {
            n_attempts += 1;
            std::future::ready(failures.next().map_or(Ok(()), Err))
        });
        let outcome = outcome.await.map(|((), n_reported)| n_reported).map_err(|failure| failure.problem);
        (n_attempts, outcome)
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_requested_by_the_server_is_kept_exactly() {
        let begun = Instant::now();
        assert_eq!(run_with(POLICY, vec![busy(Some(2)), busy(Some(120))]).await, (3, Ok(3)));
        assert_eq!(begun.elapsed().as_secs(), 122);
    }

    #[tokio::test(start_paused = true)]
    async fn retries_end_and_their_number_is_reported() {
        let begun = Instant::now();
        let failures = (0..9).map(|_| busy(None)).collect();
        assert_eq!(run_with(POLICY, failures).await, (5, Err("503 (tried 5 times)".into())));
        // 0.5 + 1 + 2 + 4 s, each times 0.75 to 1.
        assert!((5625..=7510).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_loads_its_model_is_waited_for_until_the_total_timeout() {
        let loading = || {
            let hints = RetryHints { is_loading: true, ..RetryHints::default() };
            RequestError { hints, ..RequestError::new(RequestErrorKind::Status(503), "503: Loading model", "") }
        };
        let begun = Instant::now();
        // More attempts than retries, and more failures than open the circuit breaker.
        assert_eq!(run_with(POLICY, (0..20).map(|_| loading()).collect()).await, (21, Ok(21)));
        assert!(begun.elapsed() < Duration::from_mins(3), "{:?}", begun.elapsed());
        let policy = RetryPolicy { total_timeout: Duration::from_secs(30), ..POLICY };
        let (n_attempts, outcome) = run_with(policy, (0..99).map(|_| loading()).collect()).await;
        assert!((5..9).contains(&n_attempts), "{n_attempts}");
        assert!(outcome.is_err_and(|text| text.contains("the total timeout of 30 s leaves no time")));
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_wait_ends_the_retries() {
        let begun = Instant::now();
        let (n_attempts, outcome) = run_with(POLICY, vec![busy(Some(600))]).await;
        assert_eq!(n_attempts, 1);
        assert!(outcome.is_err_and(|text| text.contains("requests a wait of 600 s, above the maximum of 120 s")));
        assert!(begun.elapsed().is_zero());
    }

    #[tokio::test(start_paused = true)]
    async fn no_wait_exceeds_the_total_timeout() {
        let begun = Instant::now();
        let policy = RetryPolicy { total_timeout: Duration::from_mins(3), ..POLICY };
        let (n_attempts, outcome) = run_with(policy, vec![busy(Some(100)), busy(Some(100)), busy(None)]).await;
        assert_eq!((n_attempts, begun.elapsed().as_secs()), (2, 100));
        assert_eq!(
            outcome.expect_err("over"),
            "503 (tried 2 times); the total timeout of 180 s leaves no time for a retry"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_gets_only_the_remaining_time() {
        let admission = Admission::new(&RequestLimits::default());
        let policy = RetryPolicy { timeout: Duration::from_secs(50), total_timeout: Duration::from_mins(2), ..POLICY };
        let mut limits = Vec::new();
        let outcome = run(policy, &admission, 0, "host", |limit| {
            limits.push(limit.as_secs());
            async move {
                tokio::time::sleep(limit).await;
                Err::<(), _>(RequestError::timeout(limit, "no answer"))
            }
        });
        let failure = outcome.await.expect_err("it never answers");
        assert_eq!(limits[..2], [50, 50]);
        assert!(limits.len() == 3 && (17..20).contains(&limits[2]), "{limits:?}");
        assert!(failure.advice.to_string().contains("total timeout"), "{failure:?}");
    }
}
