//! When a try may go to a server, over all of its clones: in one place so many at a time, so many a minute, none while
//! it is down, and none any more when the key or the account is refused.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use reqwest::header::HeaderMap;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::adaptive_limit::{AdaptiveLimit, LimitSlot};
use super::circuit_breaker::{CircuitBreaker, Leave};
use super::config::RequestLimits;
use super::rate_limit::RateLimit;
use super::request_error::RequestError;
use super::retry_budget::RetryBudget;
use super::retry_policy::{MAX_OBEYED, RequestErrorKind};

/// What is shared by all who ask one server.
#[derive(Debug)]
pub(super) struct Admission {
    gate: AdaptiveLimit,
    /// Who holds it waits for the clock; the others wait for it, in their order.
    turn: tokio::sync::Mutex<()>,
    /// The server came back, was given up, or refused for good.
    news: Notify,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The failure that ended the run.
    ended: Option<RequestError>,
    breaker: CircuitBreaker,
    budget: RetryBudget,
    pace: RateLimit,
}

/// Leave for one try, which tells how it went by [`Permit::settle`].
#[derive(Debug)]
pub(super) struct Permit<'a> {
    traffic: &'a Admission,
    slot: LimitSlot<'a>,
    is_probe: bool,
}

impl Admission {
    /// Nothing was sent yet.
    pub fn new(load: &RequestLimits) -> Self {
        let state = State {
            ended: None,
            breaker: CircuitBreaker::new(load.outage_wait),
            budget: RetryBudget::new(Instant::now()),
            pace: RateLimit::new(load),
        };
        Self {
            gate: AdaptiveLimit::new(load.concurrency),
            turn: tokio::sync::Mutex::default(),
            news: Notify::new(),
            state: Mutex::new(state),
        }
    }

    /// Waits until a try of `n_tokens` may go; a failure where none may.
    pub async fn enter(&self, n_tokens: u64) -> Result<Permit<'_>, RequestError> {
        self.check()?;
        let Some(slot) = self.gate.enter().await else {
            self.check()?;
            return Err(RequestError::new(RequestErrorKind::Final, "no further request is sent", ""));
        };
        let mut pass = Permit { traffic: self, slot, is_probe: false };
        pass.is_probe = self.leave().await?;
        let _turn = self.turn.lock().await;
        loop {
            let news = self.news.notified();
            let taken = self.state().pace.take(n_tokens, Instant::now());
            let Err(until) = taken else { return Ok(pass) };
            let wait = until.saturating_duration_since(Instant::now());
            tracing::debug!("the limits of a minute let the next request go in {:.1} s", wait.as_secs_f64());
            tokio::select! {
                () = tokio::time::sleep_until(until) => {}
                () = news => {}
            }
            self.check()?;
        }
    }

    /// A request begins, whose first try has leave.
    pub fn begin_request(&self) {
        self.state().budget.earn(Instant::now());
    }

    /// After which wait a try that failed so may be made again. One that the server put off is no retry of ours: how
    /// many there are is up to the server.
    pub fn wait_for_retry(&self, kind: RequestErrorKind) -> Duration {
        if kind == RequestErrorKind::Status(429) { Duration::ZERO } else { self.state().budget.spend(Instant::now()) }
    }

    /// Reads what a reply's headers say of the limits.
    pub fn heed(&self, headers: &HeaderMap) {
        self.state().pace.heed(headers, Instant::now(), SystemTime::now());
    }

    /// A request that went as `expected` tokens was `counted` by the server.
    pub fn correct(&self, expected: u64, counted: u64) {
        self.state().pace.correct(expected, counted, Instant::now());
    }

    /// Waits until the server may be asked; whether the try is to tell if it is back.
    async fn leave(&self) -> Result<bool, RequestError> {
        loop {
            let mut news = std::pin::pin!(self.news.notified());
            // From here on no news is missed.
            news.as_mut().enable();
            self.check()?;
            let leave = self.state().breaker.leave(Instant::now());
            match leave {
                Leave::Go => return Ok(false),
                Leave::Probe => return Ok(true),
                Leave::Refused(failure) => return Err(failure),
                Leave::WhenTold => news.await,
                Leave::Until(until) => {
                    // Either way it is asked again.
                    let _ = tokio::time::timeout_at(until, news).await;
                }
            }
        }
    }

    fn check(&self) -> Result<(), RequestError> {
        self.state().ended.as_ref().map_or(Ok(()), |failure| Err(failure.echo()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit<'_> {
    /// The try has ended; None is success.
    pub fn settle(mut self, failure: Option<&RequestError>) {
        let now = Instant::now();
        let kind = failure.map(|failure| failure.kind);
        let is_too_much = matches!(kind, Some(RequestErrorKind::Status(429 | 503 | 529)));
        if failure.is_none() {
            self.slot.widen();
        } else if is_too_much && self.slot.narrow() {
            tracing::debug!("the server is too busy: {} at a time from here", self.traffic.gate.width());
        }
        let mut state = self.traffic.state();
        let is_probe = std::mem::take(&mut self.is_probe);
        let mut is_news = state.breaker.note(failure, is_probe, now);
        if let Some(failure) = failure {
            if let Some(wait) = failure.hints.wait.filter(|wait| is_too_much && *wait <= MAX_OBEYED) {
                state.pace.pause(wait, now);
            }
            if failure.ends_run() && state.ended.is_none() {
                state.ended = Some(failure.echo());
                self.traffic.gate.close();
                is_news = true;
            }
        }
        drop(state);
        if is_news {
            self.traffic.news.notify_waiters();
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.is_probe {
            self.traffic.state().breaker.abandon();
            self.traffic.news.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const DOWN: RequestErrorKind = RequestErrorKind::Connect;

    fn failure(kind: RequestErrorKind) -> RequestError {
        RequestError::new(kind, "no", "")
    }

    async fn fail(traffic: &Admission, kind: RequestErrorKind) {
        traffic.enter(0).await.expect("it may go").settle(Some(&failure(kind)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_outage_is_waited_out_by_all() {
        let traffic = Admission::new(&RequestLimits::default());
        for _ in 0..5 {
            fail(&traffic, DOWN).await;
        }
        let begun = Instant::now();
        let ask = || async {
            let pass = traffic.enter(0).await.expect("it is back");
            let went_at = begun.elapsed().as_secs();
            // What the probe finds out takes 2 s.
            tokio::time::sleep(Duration::from_secs(2)).await;
            pass.settle(None);
            went_at
        };
        let mut went_at = futures_util::future::join_all((0..4).map(|_| ask())).await;
        went_at.sort_unstable();
        assert_eq!(went_at, [30, 32, 32, 32], "one probes, then all go");
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_outage_refuses_all_at_once() {
        let traffic = Admission::new(&RequestLimits::default());
        for _ in 0..5 {
            fail(&traffic, DOWN).await;
        }
        let begun = Instant::now();
        let ask = || async {
            let pass = traffic.enter(0).await?;
            pass.settle(Some(&failure(DOWN)));
            Err::<(), _>(failure(DOWN))
        };
        let outcomes = futures_util::future::join_all((0..20).map(|_| ask())).await;
        let refused = outcomes.iter().filter(|one| one.as_ref().is_err_and(|f| f.problem.contains("in a row"))).count();
        assert_eq!((refused, begun.elapsed().as_secs()), (19, 30), "one asked, for all twenty");
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_is_given_up_leaves_the_next_one_to_it() {
        let traffic = Admission::new(&RequestLimits::default());
        for _ in 0..5 {
            fail(&traffic, DOWN).await;
        }
        let probe = traffic.enter(0).await.expect("after the wait");
        let mut second = Box::pin(traffic.enter(0));
        assert!(second.as_mut().now_or_never().is_none(), "it waits for the first");
        drop(probe);
        second.await.expect("it probes in its place").settle(None);
        traffic.enter(0).now_or_never().expect("at once").expect("it is back").settle(None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_key_ends_what_waits_and_what_comes() {
        let traffic = Admission::new(&RequestLimits { concurrency: 1, ..RequestLimits::default() });
        let pass = traffic.enter(0).await.expect("the first");
        let mut waits = Box::pin(traffic.enter(0));
        assert!(waits.as_mut().now_or_never().is_none(), "one at a time");
        let refusal = RequestError::new(RequestErrorKind::Status(401), "401 Unauthorized: no", "check the key");
        pass.settle(Some(&refusal));
        for refused in [waits.await, traffic.enter(0).await] {
            let refused = refused.expect_err("the run is over");
            assert_eq!((refused.problem, refused.advice), (refusal.problem.clone(), refusal.advice.clone()));
        }
        let empty = Admission::new(&RequestLimits::default());
        let quota = RequestError { no_credit: true, ..failure(RequestErrorKind::Status(429)) };
        empty.enter(0).await.expect("the first").settle(Some(&quota));
        assert!(empty.enter(0).await.is_err_and(|refused| refused.ends_run()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_server_gets_fewer_at_a_time_and_all_heed_its_pause() {
        let traffic = Admission::new(&RequestLimits::default());
        for kind in [429, 503, 529, 500, 400] {
            let before = traffic.gate.width();
            fail(&traffic, RequestErrorKind::Status(kind)).await;
            let expected = if kind > 400 && kind != 500 { (before / 2).max(1) } else { before };
            assert_eq!(traffic.gate.width(), expected, "{kind}");
        }
        let begun = Instant::now();
        let mut paused = failure(RequestErrorKind::Status(429));
        paused.hints.wait = Some(Duration::from_secs(7));
        traffic.enter(0).await.expect("it may go").settle(Some(&paused));
        traffic.enter(0).await.expect("later").settle(None);
        assert_eq!(begun.elapsed().as_secs(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_a_minute_go_in_the_order_in_which_they_came() {
        let load = RequestLimits { max_requests_per_minute: Some(2), concurrency: 8, ..RequestLimits::default() };
        let (traffic, begun) = (Admission::new(&load), Instant::now());
        let ask = |n| {
            let traffic = &traffic;
            async move {
                traffic.enter(0).await.expect("it may go").settle(None);
                (begun.elapsed().as_secs(), n)
            }
        };
        let gone = futures_util::future::join_all((0..6).map(ask)).await;
        assert_eq!(gone, [(0, 0), (0, 1), (60, 2), (60, 3), (120, 4), (120, 5)]);
    }

    #[tokio::test(start_paused = true)]
    async fn retries_over_the_budget_wait_but_not_those_that_the_server_puts_off() {
        let traffic = Admission::new(&RequestLimits::default());
        assert!((0..50).all(|_| traffic.wait_for_retry(RequestErrorKind::Status(429)).is_zero()));
        let waits: Vec<u64> =
            (0..12).map(|_| traffic.wait_for_retry(RequestErrorKind::Status(500)).as_secs()).collect();
        assert_eq!(waits, [[0; 10].as_slice(), &[1, 2]].concat());
    }
}
