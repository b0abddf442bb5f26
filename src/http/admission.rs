//! Decides when an attempt may be sent to a server, for all clones of a client: it limits the attempts in flight and per
//! minute, stops while the server is down, and ends the run when the key or the account is refused.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use reqwest::header::HeaderMap;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::adaptive_limit::{AdaptiveLimit, LimitSlot};
use super::circuit_breaker::{BreakerDecision, CircuitBreaker};
use super::config::RequestLimits;
use super::rate_limit::RateLimit;
use super::request_error::{RequestError, RequestErrorKind};
use super::retry_budget::RetryBudget;
use super::retry_hints::MAX_RETRY_AFTER;

/// The state shared by all requests to one server.
#[derive(Debug)]
pub(super) struct Admission {
    concurrency: AdaptiveLimit,
    /// Its holder waits for the rate limit; the others wait for the lock, in order of arrival.
    queue: tokio::sync::Mutex<()>,
    /// Signals that the server recovered, is down, or refused the key.
    changed: Notify,
    state: Mutex<AdmissionState>,
}

#[derive(Debug)]
struct AdmissionState {
    /// The failure that ended the run.
    fatal: Option<RequestError>,
    breaker: CircuitBreaker,
    budget: RetryBudget,
    rate: RateLimit,
}

/// Permission for one attempt, which reports its outcome with [`Permit::settle`].
#[derive(Debug)]
pub(super) struct Permit<'a> {
    admission: &'a Admission,
    slot: LimitSlot<'a>,
    is_probe: bool,
}

impl Admission {
    /// A new state: nothing was sent yet.
    pub fn new(limits: &RequestLimits) -> Self {
        let state = AdmissionState {
            fatal: None,
            breaker: CircuitBreaker::new(limits.outage_wait),
            budget: RetryBudget::new(Instant::now()),
            rate: RateLimit::new(limits),
        };
        Self {
            concurrency: AdaptiveLimit::new(limits.concurrency),
            queue: tokio::sync::Mutex::default(),
            changed: Notify::new(),
            state: Mutex::new(state),
        }
    }

    /// Waits until an attempt of `n_tokens` may be sent; an error where none may.
    pub async fn acquire(&self, n_tokens: u64) -> Result<Permit<'_>, RequestError> {
        self.check()?;
        let Some(slot) = self.concurrency.acquire().await else {
            self.check()?;
            return Err(RequestError::new(RequestErrorKind::Final, "no further requests are sent", ""));
        };
        let mut permit = Permit { admission: self, slot, is_probe: false };
        permit.is_probe = self.wait_for_breaker().await?;
        let _turn = self.queue.lock().await;
        loop {
            let changed = self.changed.notified();
            let taken = self.state().rate.take(n_tokens, Instant::now());
            let Err(until) = taken else { return Ok(permit) };
            let wait = until.saturating_duration_since(Instant::now());
            tracing::debug!("rate limit: the next request is sent in {:.1} s", wait.as_secs_f64());
            tokio::select! {
                () = tokio::time::sleep_until(until) => {}
                () = changed => {}
            }
            self.check()?;
        }
    }

    /// A request begins; its first attempt has a permit.
    pub fn begin_request(&self) {
        self.state().budget.deposit(Instant::now());
    }

    /// The wait that the retry budget requires after a failure of this kind. Status 429 is not charged to the budget: the
    /// server decides how often it occurs.
    pub fn wait_for_retry(&self, kind: RequestErrorKind) -> Duration {
        if kind == RequestErrorKind::Status(429) {
            Duration::ZERO
        } else {
            self.state().budget.withdraw(Instant::now())
        }
    }

    /// Reads the rate limits from response headers.
    pub fn read_headers(&self, headers: &HeaderMap) {
        self.state().rate.read_headers(headers, Instant::now(), SystemTime::now());
    }

    /// The server counted `counted` tokens for a request estimated at `estimated`.
    pub fn correct(&self, estimated: u64, counted: u64) {
        self.state().rate.correct(estimated, counted, Instant::now());
    }

    /// Waits until the circuit breaker allows an attempt; whether that attempt is a probe.
    async fn wait_for_breaker(&self) -> Result<bool, RequestError> {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // From here on no signal is missed.
            changed.as_mut().enable();
            self.check()?;
            let decision = self.state().breaker.decide(Instant::now());
            match decision {
                BreakerDecision::Allow => return Ok(false),
                BreakerDecision::Probe => return Ok(true),
                BreakerDecision::Refuse(failure) => return Err(failure),
                BreakerDecision::WaitForProbe => changed.await,
                BreakerDecision::WaitUntil(until) => {
                    // A timeout and a signal have the same consequence: decide again.
                    let _ = tokio::time::timeout_at(until, changed).await;
                }
            }
        }
    }

    fn check(&self) -> Result<(), RequestError> {
        self.state().fatal.as_ref().map_or(Ok(()), |failure| Err(failure.copy()))
    }

    fn state(&self) -> MutexGuard<'_, AdmissionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit<'_> {
    /// The attempt has ended; None is success.
    pub fn settle(mut self, failure: Option<&RequestError>) {
        let now = Instant::now();
        let kind = failure.map(|failure| failure.kind);
        let is_overloaded = matches!(kind, Some(RequestErrorKind::Status(429 | 503 | 529)));
        if failure.is_none() {
            self.slot.increase();
        } else if is_overloaded && self.slot.decrease() {
            tracing::debug!(
                "the server is overloaded: the limit is now {} requests at a time",
                self.admission.concurrency.current()
            );
        }
        let mut state = self.admission.state();
        let is_probe = std::mem::take(&mut self.is_probe);
        let mut has_changed = state.breaker.record(failure, is_probe, now);
        if let Some(failure) = failure {
            if let Some(wait) = failure.hints.wait.filter(|wait| is_overloaded && *wait <= MAX_RETRY_AFTER) {
                state.rate.pause(wait, now);
            }
            if failure.ends_run() && state.fatal.is_none() {
                state.fatal = Some(failure.copy());
                self.admission.concurrency.close();
                has_changed = true;
            }
        }
        drop(state);
        if has_changed {
            self.admission.changed.notify_waiters();
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.is_probe {
            self.admission.state().breaker.abandon_probe();
            self.admission.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::error::ErrorCode;

    const DOWN: RequestErrorKind = RequestErrorKind::Connect;

    fn failure(kind: RequestErrorKind) -> RequestError {
        RequestError::new(kind, "no", "")
    }

    async fn fail(admission: &Admission, kind: RequestErrorKind) {
        admission.acquire(0).await.expect("it may be sent").settle(Some(&failure(kind)));
    }

    #[tokio::test(start_paused = true)]
    async fn all_requests_wait_out_a_short_outage() {
        let admission = Admission::new(&RequestLimits::default());
        for _ in 0..5 {
            fail(&admission, DOWN).await;
        }
        let begun = Instant::now();
        let send = || async {
            let permit = admission.acquire(0).await.expect("it is back");
            let sent_at = begun.elapsed().as_secs();
            // The probe takes 2 s.
            tokio::time::sleep(Duration::from_secs(2)).await;
            permit.settle(None);
            sent_at
        };
        let mut sent_at = futures_util::future::join_all((0..4).map(|_| send())).await;
        sent_at.sort_unstable();
        assert_eq!(sent_at, [30, 32, 32, 32], "one probes, then all are sent");
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_outage_refuses_all_waiting_requests() {
        let admission = Admission::new(&RequestLimits::default());
        for _ in 0..5 {
            fail(&admission, DOWN).await;
        }
        let begun = Instant::now();
        let send = || async {
            let permit = admission.acquire(0).await?;
            permit.settle(Some(&failure(DOWN)));
            Err::<(), _>(failure(DOWN))
        };
        let outcomes = futures_util::future::join_all((0..20).map(|_| send())).await;
        let refused =
            outcomes.iter().filter(|one| one.as_ref().is_err_and(|f| f.problem.contains("consecutive"))).count();
        assert_eq!((refused, begun.elapsed().as_secs()), (19, 30), "one probe for all twenty");
    }

    #[tokio::test(start_paused = true)]
    async fn after_an_abandoned_probe_the_next_request_probes() {
        let admission = Admission::new(&RequestLimits::default());
        for _ in 0..5 {
            fail(&admission, DOWN).await;
        }
        let probe = admission.acquire(0).await.expect("after the wait");
        let mut second = Box::pin(admission.acquire(0));
        assert!(second.as_mut().now_or_never().is_none(), "it waits for the first");
        drop(probe);
        second.await.expect("it probes instead").settle(None);
        admission.acquire(0).now_or_never().expect("at once").expect("it is back").settle(None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_key_ends_waiting_and_later_requests() {
        let admission = Admission::new(&RequestLimits { concurrency: 1, ..RequestLimits::default() });
        let permit = admission.acquire(0).await.expect("the first");
        let mut waits = Box::pin(admission.acquire(0));
        assert!(waits.as_mut().now_or_never().is_none(), "one at a time");
        let refusal = RequestError::new(RequestErrorKind::Status(401), "401 Unauthorized: no", "check the key");
        permit.settle(Some(&refusal));
        for refused in [waits.await, admission.acquire(0).await] {
            let refused = refused.expect_err("the run is over");
            assert_eq!((refused.problem, refused.advice), (refusal.problem.clone(), refusal.advice.clone()));
        }
        let empty = Admission::new(&RequestLimits::default());
        let quota = RequestError { code: ErrorCode::QuotaExhausted, ..failure(RequestErrorKind::Status(429)) };
        empty.acquire(0).await.expect("the first").settle(Some(&quota));
        assert!(empty.acquire(0).await.is_err_and(|refused| refused.ends_run()));
    }

    #[tokio::test(start_paused = true)]
    async fn an_overloaded_server_gets_fewer_requests_and_all_wait_for_its_pause() {
        let admission = Admission::new(&RequestLimits::default());
        for kind in [429, 503, 529, 500, 400] {
            let before = admission.concurrency.current();
            fail(&admission, RequestErrorKind::Status(kind)).await;
            let expected = if kind > 400 && kind != 500 { (before / 2).max(1) } else { before };
            assert_eq!(admission.concurrency.current(), expected, "{kind}");
        }
        let begun = Instant::now();
        let mut paused = failure(RequestErrorKind::Status(429));
        paused.hints.wait = Some(Duration::from_secs(7));
        admission.acquire(0).await.expect("it may be sent").settle(Some(&paused));
        admission.acquire(0).await.expect("later").settle(None);
        assert_eq!(begun.elapsed().as_secs(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_within_the_rate_limit_are_sent_in_order() {
        let limits = RequestLimits { max_requests_per_minute: Some(2), concurrency: 8, ..RequestLimits::default() };
        let (admission, begun) = (Admission::new(&limits), Instant::now());
        let request = |n| {
            let admission = &admission;
            async move {
                admission.acquire(0).await.expect("it may be sent").settle(None);
                (begun.elapsed().as_secs(), n)
            }
        };
        let sent = futures_util::future::join_all((0..6).map(request)).await;
        assert_eq!(sent, [(0, 0), (0, 1), (60, 2), (60, 3), (120, 4), (120, 5)]);
    }

    #[tokio::test(start_paused = true)]
    async fn retries_over_the_budget_wait_except_after_status_429() {
        let admission = Admission::new(&RequestLimits::default());
        assert!((0..50).all(|_| admission.wait_for_retry(RequestErrorKind::Status(429)).is_zero()));
        let waits: Vec<u64> =
            (0..12).map(|_| admission.wait_for_retry(RequestErrorKind::Status(500)).as_secs()).collect();
        assert_eq!(waits, [[0; 10].as_slice(), &[1, 2]].concat());
    }
}
