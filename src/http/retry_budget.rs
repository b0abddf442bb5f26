//! How often failed tries may be made again, over all requests: retries that come with every request would double the
//! load of a server that is going under.

use std::time::Duration;

use tokio::time::Instant;

/// So much of a retry comes with each request.
const SHARE: f64 = 0.2;
/// So many are there at the beginning.
const RESERVE: f64 = 10.0;
/// So many come with each second.
const PER_SECOND: f64 = 1.0;
/// More are not saved up.
const MOST: f64 = 100.0;

/// Retries that are left; below zero, as many are promised for later.
#[derive(Debug)]
pub(super) struct RetryBudget {
    left: f64,
    at: Instant,
}

impl RetryBudget {
    /// The reserve.
    pub fn new(now: Instant) -> Self {
        Self { left: RESERVE, at: now }
    }

    /// A request begins.
    pub fn earn(&mut self, now: Instant) {
        self.add(now, SHARE);
    }

    /// Takes a retry; after which wait it may be made.
    pub fn spend(&mut self, now: Instant) -> Duration {
        self.add(now, -1.0);
        Duration::from_secs_f64((-self.left).max(0.0) / PER_SECOND)
    }

    fn add(&mut self, now: Instant, amount: f64) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = ((self.left + passed * PER_SECOND).min(MOST) + amount).min(MOST);
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_then_one_for_five_requests_then_one_a_second() {
        let begun = Instant::now();
        let mut budget = RetryBudget::new(begun);
        for _ in 0..10 {
            assert!(budget.spend(begun).is_zero());
        }
        assert_eq!(budget.spend(begun), Duration::from_secs(1), "the eleventh waits");
        assert_eq!(budget.spend(begun), Duration::from_secs(2));
        for _ in 0..15 {
            budget.earn(begun);
        }
        assert!(budget.spend(begun) < Duration::from_millis(1), "three of fifteen requests");
        assert_eq!(budget.spend(begun).as_secs_f64().round().to_bits(), 1.0_f64.to_bits());
        assert!(budget.spend(begun + Duration::from_secs(3)).is_zero());
        // An hour saves no thousand retries up.
        let later = begun + Duration::from_hours(1);
        let n_free = (0..1000).take_while(|_| budget.spend(later).is_zero()).count();
        assert_eq!(n_free, 100);
    }
}
