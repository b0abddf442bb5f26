//! The number of attempts in flight: halved when the server is overloaded, then slowly raised again (additive increase,
//! multiplicative decrease).

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

/// A semaphore of adaptive size. Slots are granted in order of arrival.
#[derive(Debug)]
pub(super) struct AdaptiveLimit {
    slots: Semaphore,
    state: Mutex<LimitState>,
}

#[derive(Debug)]
struct LimitState {
    /// The number of slots; it grows by fractions of one.
    size: f64,
    max: f64,
    /// Slots in use that are not granted again after their release.
    n_owed: usize,
    /// How often the limit was decreased.
    n_decreases: u64,
}

/// One slot, released when it is dropped.
#[derive(Debug)]
pub(super) struct LimitSlot<'a> {
    limit: &'a AdaptiveLimit,
    permit: Option<SemaphorePermit<'a>>,
    n_decreases: u64,
}

impl AdaptiveLimit {
    /// Starts with `max` slots, which is also the maximum.
    pub fn new(max: usize) -> Self {
        let max = max.clamp(1, Semaphore::MAX_PERMITS);
        let state = LimitState { size: max as f64, max: max as f64, n_owed: 0, n_decreases: 0 };
        Self { slots: Semaphore::new(max), state: Mutex::new(state) }
    }

    /// Waits for a slot; None after [`AdaptiveLimit::close`].
    pub async fn acquire(&self) -> Option<LimitSlot<'_>> {
        let permit = self.slots.acquire().await.ok()?;
        Some(LimitSlot { limit: self, permit: Some(permit), n_decreases: self.state().n_decreases })
    }

    /// Grants no further slots; waiting calls return None.
    pub fn close(&self) {
        self.slots.close();
    }

    /// The number of slots.
    pub fn current(&self) -> usize {
        self.state().size as usize
    }

    fn state(&self) -> MutexGuard<'_, LimitState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LimitSlot<'_> {
    /// An attempt succeeded: after as many successes as there are slots, one slot is added.
    pub fn increase(&self) {
        let mut state = self.limit.state();
        let before = state.size as usize;
        // A sum of fractions such as 1/3 stays slightly below the integer.
        state.size = (state.size + state.size.recip() + 1e-9).min(state.max);
        if state.size as usize == before {
            return;
        }
        match state.n_owed.checked_sub(1) {
            Some(left) => state.n_owed = left,
            None => self.limit.slots.add_permits(1),
        }
    }

    /// The server is overloaded: halves the number of slots, to at least one. Attempts sent before the last decrease are
    /// ignored. Returns whether anything changed.
    pub fn decrease(&self) -> bool {
        let mut state = self.limit.state();
        if state.n_decreases != self.n_decreases {
            return false;
        }
        let before = state.size as usize;
        state.size = (state.size / 2.0).floor().max(1.0);
        state.n_decreases += 1;
        let n_removed = before - state.size as usize;
        state.n_owed += n_removed - self.limit.slots.forget_permits(n_removed);
        n_removed > 0
    }
}

impl Drop for LimitSlot<'_> {
    fn drop(&mut self) {
        let mut state = self.limit.state();
        if let (Some(left), Some(permit)) = (state.n_owed.checked_sub(1), self.permit.take()) {
            state.n_owed = left;
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    /// Takes all slots that are free.
    fn fill(limit: &AdaptiveLimit) -> Vec<LimitSlot<'_>> {
        std::iter::from_fn(|| limit.acquire().now_or_never().flatten()).collect()
    }

    #[test]
    fn it_halves_and_then_grows_by_one_a_round() {
        let limit = AdaptiveLimit::new(8);
        let slots = fill(&limit);
        assert_eq!(slots.len(), 8);
        assert!(slots[0].decrease());
        assert!(!slots[1].decrease(), "sent before the last decrease");
        assert_eq!(limit.current(), 4);
        // Four of the eight are not granted again.
        drop(slots);
        let slots = fill(&limit);
        assert_eq!(slots.len(), 4);
        slots.iter().for_each(LimitSlot::increase);
        assert_eq!(limit.current(), 4, "a fraction of a slot is missing");
        slots[0].increase();
        assert_eq!((limit.current(), fill(&limit).len()), (5, 1));
        drop(slots);
        for _ in 0..100 {
            fill(&limit).iter().for_each(LimitSlot::increase);
        }
        assert_eq!((limit.current(), fill(&limit).len()), (8, 8), "never above the maximum");
    }

    #[test]
    fn one_slot_always_remains() {
        let limit = AdaptiveLimit::new(3);
        for size in [1, 1, 1] {
            let slots = fill(&limit);
            slots[0].decrease();
            assert_eq!(limit.current(), size);
        }
        let slots = fill(&limit);
        assert_eq!(slots.len(), 1);
        // An increase while a slot is owed cancels the debt and adds no permit.
        slots[0].increase();
        assert_eq!((limit.current(), fill(&limit).len()), (2, 1));
        assert_eq!(AdaptiveLimit::new(0).current(), 1);
    }

    #[test]
    fn closing_ends_waiting_calls() {
        let limit = AdaptiveLimit::new(1);
        let _slots = fill(&limit);
        let mut waits = Box::pin(limit.acquire());
        assert!(waits.as_mut().now_or_never().is_none(), "it is full");
        limit.close();
        assert!(waits.now_or_never().is_some_and(|slot| slot.is_none()));
    }
}
