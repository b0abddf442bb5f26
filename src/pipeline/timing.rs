//! How long the stages of a job take.

use std::future::Future;
use std::time::{Duration, Instant};

use crate::report::StageTime;

/// Collects the times of stages, in the order in which they end.
#[derive(Default)]
pub(super) struct StageTimer {
    stages: Vec<StageTime>,
}

impl StageTimer {
    pub(super) async fn time<T>(&mut self, stage: &str, work: impl Future<Output = T>) -> T {
        let timed = measure(work).await;
        self.note(stage, timed)
    }

    /// Notes what [`measure`] measured.
    pub(super) fn note<T>(&mut self, stage: &str, (value, took): (T, Duration)) -> T {
        self.stages.push(StageTime { stage: stage.to_owned(), seconds: took.as_secs_f64() });
        value
    }

    pub(super) fn stages(&self) -> Vec<StageTime> {
        self.stages.clone()
    }
}

/// The value and how long it took: for stages that run at the same time.
pub(super) async fn measure<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let started = Instant::now();
    let value = work.await;
    (value, started.elapsed())
}
