//! A budget of retries over all requests: without it, retries would double the load of a failing server.

use std::time::Duration;

use tokio::time::Instant;

/// Retries added by each request.
const PER_REQUEST: f64 = 0.2;
/// Retries at the start.
const INITIAL: f64 = 10.0;
/// Retries added each second.
const PER_SECOND: f64 = 1.0;
/// Largest number of retries that is saved.
const MAX: f64 = 100.0;

/// The remaining retries; a negative number is borrowed from the future.
#[derive(Debug)]
pub(super) struct RetryBudget {
    left: f64,
    at: Instant,
}

impl RetryBudget {
    /// The initial budget.
    pub fn new(now: Instant) -> Self {
        Self { left: INITIAL, at: now }
    }

    /// A request begins: adds its share.
    pub fn deposit(&mut self, now: Instant) {
        self.add(now, PER_REQUEST);
    }

    /// Takes one retry and returns the wait before it.
    pub fn withdraw(&mut self, now: Instant) -> Duration {
        self.add(now, -1.0);
        Duration::from_secs_f64((-self.left).max(0.0) / PER_SECOND)
    }

    fn add(&mut self, now: Instant, amount: f64) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = ((self.left + passed * PER_SECOND).min(MAX) + amount).min(MAX);
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initial_retries_then_one_for_five_requests_then_one_a_second() {
        let begun = Instant::now();
        let mut budget = RetryBudget::new(begun);
        for _ in 0..10 {
            assert!(budget.withdraw(begun).is_zero());
        }
        assert_eq!(budget.withdraw(begun), Duration::from_secs(1), "the eleventh waits");
        assert_eq!(budget.withdraw(begun), Duration::from_secs(2));
        for _ in 0..15 {
            budget.deposit(begun);
        }
        assert!(budget.withdraw(begun) < Duration::from_millis(1), "three of fifteen requests");
        assert_eq!(budget.withdraw(begun).as_secs_f64().round().to_bits(), 1.0_f64.to_bits());
        assert!(budget.withdraw(begun + Duration::from_secs(3)).is_zero());
        // The maximum holds after an hour.
        let later = begun + Duration::from_hours(1);
        let n_free = (0..1000).take_while(|_| budget.withdraw(later).is_zero()).count();
        assert_eq!(n_free, 100);
    }
}
