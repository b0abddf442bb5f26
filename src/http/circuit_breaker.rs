//! A server that is down is left alone for a while, then asked once whether it is back.
//!
//! Who comes in the first while waits, for a restart takes seconds. Where the server is still down after it, those who
//! wait and all who come are refused at once; every further while, one of them asks again.

use std::time::Duration;

use tokio::time::Instant;

use super::request_error::RequestError;
use super::retry_policy::RequestErrorKind;

/// So many failures in a row mean that the server is down.
const MAX_IN_A_ROW: u32 = 5;

/// Counts failures in a row.
#[derive(Debug)]
pub(super) struct CircuitBreaker {
    wait: Duration,
    n_in_a_row: u32,
    outage: Option<Outage>,
}

#[derive(Debug)]
struct Outage {
    until: Instant,
    is_probed: bool,
    /// Whether it was still down when it was asked.
    is_long: bool,
    last: RequestError,
}

/// Whether a try may go.
#[derive(Debug)]
pub(super) enum Leave {
    /// It may.
    Go,
    /// It may, alone, and tells whether the server is back.
    Probe,
    /// Ask again then, or when there is news.
    Until(Instant),
    /// Ask again when there is news: another one is probing.
    WhenTold,
    /// It may not.
    Refused(RequestError),
}

impl CircuitBreaker {
    /// All is well; `wait` is for how long a server that is down is left alone.
    pub fn new(wait: Duration) -> Self {
        Self { wait, n_in_a_row: 0, outage: None }
    }

    /// Whether a try may go; one that gets [`Leave::Probe`] must come back to [`CircuitBreaker::note`] or
    /// [`CircuitBreaker::abandon`].
    pub fn leave(&mut self, now: Instant) -> Leave {
        let n_in_a_row = self.n_in_a_row;
        match &mut self.outage {
            None => Leave::Go,
            Some(outage) if now >= outage.until && !outage.is_probed => {
                outage.is_probed = true;
                Leave::Probe
            }
            Some(outage) if outage.is_long => {
                let mut failure = outage.last.echo();
                failure.problem = format!("{} ({n_in_a_row} failures in a row; not asked again)", failure.problem);
                Leave::Refused(failure)
            }
            Some(outage) if outage.is_probed => Leave::WhenTold,
            Some(outage) => Leave::Until(outage.until),
        }
    }

    /// A try has ended; None is success. Says whether those who wait should ask again.
    pub fn note(&mut self, failure: Option<&RequestError>, is_probe: bool, now: Instant) -> bool {
        let Some(failure) = failure.filter(|failure| is_down(failure.kind)) else {
            self.n_in_a_row = 0;
            return self.outage.take().is_some();
        };
        self.n_in_a_row = self.n_in_a_row.saturating_add(1);
        let until = now + self.wait;
        match &mut self.outage {
            Some(outage) if is_probe => {
                *outage = Outage { until, is_probed: false, is_long: true, last: failure.echo() };
                true
            }
            None if self.n_in_a_row >= MAX_IN_A_ROW => {
                self.outage = Some(Outage { until, is_probed: false, is_long: false, last: failure.echo() });
                true
            }
            // Sent before the server was given up.
            _ => false,
        }
    }

    /// The probe was given up before it ended.
    pub fn abandon(&mut self) {
        if let Some(outage) = &mut self.outage {
            outage.is_probed = false;
        }
    }
}

/// Whether a failure speaks of a server that is down, and not of the request, the account or the reply.
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
    fn five_failures_in_a_row_open_it_and_only_those_of_the_server() {
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
            RequestErrorKind::Garbled,
            RequestErrorKind::Final,
        ];
        for kind in alive {
            let mut breaker = CircuitBreaker::new(Duration::from_secs(30));
            for kind in down[..4].iter().chain([&kind]).chain(&down[..4]) {
                assert!(!breaker.note(Some(&failure(*kind)), false, now), "{kind:?}");
            }
            assert!(matches!(breaker.leave(now), Leave::Go), "{kind:?} tells that it lives");
        }
        let mut breaker = CircuitBreaker::new(Duration::from_secs(30));
        let opened: Vec<bool> = down.iter().map(|kind| breaker.note(Some(&failure(*kind)), false, now)).collect();
        assert_eq!(opened, [false, false, false, false, true]);
        assert!(matches!(breaker.leave(now), Leave::Until(until) if until == now + Duration::from_secs(30)));
        assert!(breaker.note(None, false, now), "one that was under way came through");
        assert!(matches!(breaker.leave(now), Leave::Go));
    }

    #[test]
    fn one_probes_and_the_others_wait_for_it() {
        let begun = Instant::now();
        let after = |seconds| begun + Duration::from_secs(seconds);
        let mut breaker = CircuitBreaker::new(Duration::from_secs(30));
        for _ in 0..5 {
            breaker.note(Some(&failure(RequestErrorKind::Connect)), false, begun);
        }
        assert!(matches!(breaker.leave(after(29)), Leave::Until(_)));
        assert!(matches!(breaker.leave(after(30)), Leave::Probe));
        assert!(matches!(breaker.leave(after(31)), Leave::WhenTold));
        breaker.abandon();
        assert!(matches!(breaker.leave(after(32)), Leave::Probe), "given up, it is another's turn");
        assert!(!breaker.note(Some(&failure(RequestErrorKind::Connect)), false, after(33)), "not the probe");
        assert!(breaker.note(Some(&failure(RequestErrorKind::Connect)), true, after(33)));
        let Leave::Refused(refused) = breaker.leave(after(34)) else { panic!("it is still down") };
        assert_eq!(refused.problem, "cannot connect (7 failures in a row; not asked again)");
        assert!(matches!(breaker.leave(after(63)), Leave::Probe));
        assert!(matches!(breaker.leave(after(63)), Leave::Refused(_)), "nobody waits for the second probe");
        assert!(breaker.note(None, true, after(64)));
        assert!(matches!(breaker.leave(after(64)), Leave::Go));
    }
}
