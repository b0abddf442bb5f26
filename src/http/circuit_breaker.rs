//! A circuit breaker: while a server is down no requests are sent; after a wait one request probes it.
//!
//! During the first wait requests are held back, since a restart takes seconds. If the probe fails, held and new requests
//! are refused immediately, and after each further wait one request probes again.

use std::time::Duration;

use tokio::time::Instant;

use super::request_error::{RequestError, RequestErrorKind};

/// This many consecutive failures mean that the server is down.
const MAX_CONSECUTIVE: u32 = 5;

/// Counts consecutive failures.
#[derive(Debug)]
pub(super) struct CircuitBreaker {
    wait: Duration,
    n_consecutive: u32,
    outage: Option<Outage>,
}

#[derive(Debug)]
struct Outage {
    until: Instant,
    is_probed: bool,
    /// Whether a probe failed.
    is_long: bool,
    last: RequestError,
}

/// Whether an attempt may be sent.
#[derive(Debug)]
pub(super) enum BreakerDecision {
    /// It may be sent.
    Allow,
    /// It may be sent as the only one: it probes whether the server is back.
    Probe,
    /// Decide again at this time, or when the state changes.
    WaitUntil(Instant),
    /// Decide again when the state changes: another attempt is probing.
    WaitForProbe,
    /// It may not be sent.
    Refuse(RequestError),
}

impl CircuitBreaker {
    /// A closed breaker; `wait` is the time between a failure and the next probe.
    pub fn new(wait: Duration) -> Self {
        Self { wait, n_consecutive: 0, outage: None }
    }

    /// Whether an attempt may be sent. [`BreakerDecision::Probe`] must be followed by [`CircuitBreaker::record`] or
    /// [`CircuitBreaker::abandon_probe`].
    pub fn decide(&mut self, now: Instant) -> BreakerDecision {
        let n_consecutive = self.n_consecutive;
        match &mut self.outage {
            None => BreakerDecision::Allow,
            Some(outage) if now >= outage.until && !outage.is_probed => {
                outage.is_probed = true;
                BreakerDecision::Probe
            }
            Some(outage) if outage.is_long => {
                let mut failure = outage.last.copy();
                failure.problem =
                    format!("{} ({n_consecutive} consecutive failures; the request was not sent)", failure.problem);
                BreakerDecision::Refuse(failure)
            }
            Some(outage) if outage.is_probed => BreakerDecision::WaitForProbe,
            Some(outage) => BreakerDecision::WaitUntil(outage.until),
        }
    }

    /// An attempt has ended; None is success. Returns whether waiting requests should decide again.
    pub fn record(&mut self, failure: Option<&RequestError>, is_probe: bool, now: Instant) -> bool {
        let Some(failure) = failure.filter(|failure| is_down(failure.kind) && !failure.hints.is_loading) else {
            self.n_consecutive = 0;
            return self.outage.take().is_some();
        };
        self.n_consecutive = self.n_consecutive.saturating_add(1);
        let until = now + self.wait;
        match &mut self.outage {
            Some(outage) if is_probe => {
                *outage = Outage { until, is_probed: false, is_long: true, last: failure.copy() };
                true
            }
            None if self.n_consecutive >= MAX_CONSECUTIVE => {
                self.outage = Some(Outage { until, is_probed: false, is_long: false, last: failure.copy() });
                true
            }
            // Sent before the breaker opened.
            _ => false,
        }
    }

    /// The probe was cancelled.
    pub fn abandon_probe(&mut self) {
        if let Some(outage) = &mut self.outage {
            outage.is_probed = false;
        }
    }
}

/// Whether a failure indicates that the server is down, rather than a problem with the request, the account or the reply.
fn is_down(kind: RequestErrorKind) -> bool {
    matches!(
        kind,
        RequestErrorKind::Connect
            | RequestErrorKind::Timeout
            | RequestErrorKind::Broken
            | RequestErrorKind::Status(500..=599)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(kind: RequestErrorKind) -> RequestError {
        RequestError::new(kind, "cannot connect", "")
    }

    #[test]
    fn five_consecutive_failures_of_the_server_open_it() {
        let now = Instant::now();
        let down = [
            RequestErrorKind::Connect,
            RequestErrorKind::Timeout,
            RequestErrorKind::Broken,
            RequestErrorKind::Status(500),
            RequestErrorKind::Status(529),
        ];
        let alive = [
            RequestErrorKind::Status(429),
            RequestErrorKind::Status(400),
            RequestErrorKind::InvalidBody,
            RequestErrorKind::Final,
        ];
        for kind in alive {
            let mut breaker = CircuitBreaker::new(Duration::from_secs(30));
            for kind in down[..4].iter().chain([&kind]).chain(&down[..4]) {
                assert!(!breaker.record(Some(&failure(*kind)), false, now), "{kind:?}");
            }
            assert!(matches!(breaker.decide(now), BreakerDecision::Allow), "{kind:?} shows that the server is up");
        }
        let mut breaker = CircuitBreaker::new(Duration::from_secs(30));
        let opened: Vec<bool> = down.iter().map(|kind| breaker.record(Some(&failure(*kind)), false, now)).collect();
        assert_eq!(opened, [false, false, false, false, true]);
        assert!(
            matches!(breaker.decide(now), BreakerDecision::WaitUntil(until) if until == now + Duration::from_secs(30))
        );
        assert!(breaker.record(None, false, now), "an attempt in flight succeeded");
        assert!(matches!(breaker.decide(now), BreakerDecision::Allow));
    }

    #[test]
    fn one_request_probes_and_the_others_wait_for_it() {
        let begun = Instant::now();
        let after = |seconds| begun + Duration::from_secs(seconds);
        let mut breaker = CircuitBreaker::new(Duration::from_secs(30));
        for _ in 0..5 {
            breaker.record(Some(&failure(RequestErrorKind::Connect)), false, begun);
        }
        assert!(matches!(breaker.decide(after(29)), BreakerDecision::WaitUntil(_)));
        assert!(matches!(breaker.decide(after(30)), BreakerDecision::Probe));
        assert!(matches!(breaker.decide(after(31)), BreakerDecision::WaitForProbe));
        breaker.abandon_probe();
        assert!(
            matches!(breaker.decide(after(32)), BreakerDecision::Probe),
            "after an abandoned probe another may probe"
        );
        assert!(!breaker.record(Some(&failure(RequestErrorKind::Connect)), false, after(33)), "not the probe");
        assert!(breaker.record(Some(&failure(RequestErrorKind::Connect)), true, after(33)));
        let BreakerDecision::Refuse(refused) = breaker.decide(after(34)) else { panic!("it is still down") };
        assert_eq!(refused.problem, "cannot connect (7 consecutive failures; the request was not sent)");
        assert!(matches!(breaker.decide(after(63)), BreakerDecision::Probe));
        assert!(
            matches!(breaker.decide(after(63)), BreakerDecision::Refuse(_)),
            "no request waits for the second probe"
        );
        assert!(breaker.record(None, true, after(64)));
        assert!(matches!(breaker.decide(after(64)), BreakerDecision::Allow));
    }
}
