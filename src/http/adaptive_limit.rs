//! How many tries are under way at one time: fewer as soon as the server says that it is too much, more again bit by
//! bit (additive increase, multiplicative decrease).

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

/// Lets so many in at a time, in the order in which they came.
#[derive(Debug)]
pub(super) struct AdaptiveLimit {
    slots: Semaphore,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Slots, as a number that grows by less than one at a time.
    width: f64,
    most: f64,
    /// Slots that are still taken, but are not given out again.
    n_owed: usize,
    /// How often the gate was narrowed.
    n_narrowed: u64,
}

/// A place inside, given back when it is dropped.
#[derive(Debug)]
pub(super) struct LimitSlot<'a> {
    gate: &'a AdaptiveLimit,
    permit: Option<SemaphorePermit<'a>>,
    n_narrowed: u64,
}

impl AdaptiveLimit {
    /// `most` at a time, at the beginning too.
    pub fn new(most: usize) -> Self {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        let state = State { width: most as f64, most: most as f64, n_owed: 0, n_narrowed: 0 };
        Self { slots: Semaphore::new(most), state: Mutex::new(state) }
    }

    /// Waits for a place; None where the gate is closed for good.
    pub async fn enter(&self) -> Option<LimitSlot<'_>> {
        let permit = self.slots.acquire().await.ok()?;
        Some(LimitSlot { gate: self, permit: Some(permit), n_narrowed: self.state().n_narrowed })
    }

    /// Lets nobody in any more, those included who wait.
    pub fn close(&self) {
        self.slots.close();
    }

    /// How many are let in at a time.
    pub fn width(&self) -> usize {
        self.state().width as usize
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LimitSlot<'_> {
    /// The server was fine: after as many successes as there are slots there is one slot more.
    pub fn widen(&self) {
        let mut state = self.gate.state();
        let before = state.width as usize;
        // A sum of shares such as 1/3 stays a hair below the whole.
        state.width = (state.width + state.width.recip() + 1e-9).min(state.most);
        if state.width as usize == before {
            return;
        }
        match state.n_owed.checked_sub(1) {
            Some(left) => state.n_owed = left,
            None => self.gate.slots.add_permits(1),
        }
    }

    /// The server had too much: half of the slots are left, at least one. What was sent before the last narrowing
    /// tells nothing new. Says whether anything changed.
    pub fn narrow(&self) -> bool {
        let mut state = self.gate.state();
        if state.n_narrowed != self.n_narrowed {
            return false;
        }
        let before = state.width as usize;
        state.width = (state.width / 2.0).floor().max(1.0);
        state.n_narrowed += 1;
        let n_gone = before - state.width as usize;
        state.n_owed += n_gone - self.gate.slots.forget_permits(n_gone);
        n_gone > 0
    }
}

impl Drop for LimitSlot<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.state();
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

    /// Those who get in at once.
    fn fill(gate: &AdaptiveLimit) -> Vec<LimitSlot<'_>> {
        std::iter::from_fn(|| gate.enter().now_or_never().flatten()).collect()
    }

    #[test]
    fn it_halves_at_once_and_grows_by_one_a_round() {
        let gate = AdaptiveLimit::new(8);
        let slots = fill(&gate);
        assert_eq!(slots.len(), 8);
        assert!(slots[0].narrow());
        assert!(!slots[1].narrow(), "the same moment's trouble");
        assert_eq!(gate.width(), 4);
        // Four of the eight are not given out again.
        drop(slots);
        let slots = fill(&gate);
        assert_eq!(slots.len(), 4);
        slots.iter().for_each(LimitSlot::widen);
        assert_eq!(gate.width(), 4, "a share of a slot is missing yet");
        slots[0].widen();
        assert_eq!((gate.width(), fill(&gate).len()), (5, 1));
        drop(slots);
        for _ in 0..100 {
            fill(&gate).iter().for_each(LimitSlot::widen);
        }
        assert_eq!((gate.width(), fill(&gate).len()), (8, 8), "never more than at the beginning");
    }

    #[test]
    fn one_is_always_let_in() {
        let gate = AdaptiveLimit::new(3);
        for width in [1, 1, 1] {
            let slots = fill(&gate);
            slots[0].narrow();
            assert_eq!(gate.width(), width);
        }
        let slots = fill(&gate);
        assert_eq!(slots.len(), 1);
        // Grown while it is owed: the debt is forgiven, not paid out twice.
        slots[0].widen();
        assert_eq!((gate.width(), fill(&gate).len()), (2, 1));
        assert_eq!(AdaptiveLimit::new(0).width(), 1);
    }

    #[test]
    fn it_closes_for_those_who_wait_too() {
        let gate = AdaptiveLimit::new(1);
        let _inside = fill(&gate);
        let mut waits = Box::pin(gate.enter());
        assert!(waits.as_mut().now_or_never().is_none(), "it is full");
        gate.close();
        assert!(waits.now_or_never().is_some_and(|slot| slot.is_none()));
    }
}
