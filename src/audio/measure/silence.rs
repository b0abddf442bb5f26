//! Detects silence.

use super::classify::SILENT;
use crate::time::{TimeRange, Timestamp};

/// Shorter silences, in hundredths of a second, are pauses for breath.
const MIN_SILENCE: u64 = 50;

/// Detects silences in steps of a hundredth of a second.
pub(super) struct SilenceDetector {
    /// Samples per second over all channels.
    per_second: u64,
    channels: u64,
    /// Samples so far, hundredths started, and the energy and samples of the current one.
    n_heard: u64,
    n_done: u64,
    energy: f64,
    n_in: u64,
    /// The hundredth at which the current silence started.
    since: Option<u64>,
    found: Vec<(u64, u64)>,
}

impl SilenceDetector {
    pub(super) fn new(rate_hz: u32, channels: u16) -> Self {
        let channels = u64::from(channels);
        let per_second = u64::from(rate_hz) * channels;
        Self { per_second, channels, n_heard: 0, n_done: 0, energy: 0.0, n_in: 0, since: None, found: Vec::new() }
    }

    pub(super) fn push(&mut self, samples: &[f32]) {
        for sample in samples {
            self.energy += f64::from(*sample).powi(2);
            self.n_in += 1;
            self.n_heard += 1;
            if self.n_heard * 100 >= (self.n_done + 1) * self.per_second {
                self.close();
            }
        }
    }

    /// Ends the current hundredth. A single loud channel ends a silence.
    fn close(&mut self) {
        let is_silent = self.energy * self.channels as f64 / (self.n_in as f64) < SILENT;
        match (is_silent, self.since) {
            (true, None) => self.since = Some(self.n_done),
            (false, Some(since)) => {
                self.end(since);
                self.since = None;
            }
            _ => {}
        }
        self.n_done += 1;
        (self.energy, self.n_in) = (0.0, 0);
    }

    fn end(&mut self, since: u64) {
        if self.n_done - since >= MIN_SILENCE {
            self.found.push((since, self.n_done));
        }
    }

    pub(super) fn finish(mut self, range: TimeRange) -> Vec<TimeRange> {
        if self.n_in > 0 {
            self.close();
        }
        if let Some(since) = self.since {
            self.end(since);
        }
        let at = |n: u64| range.start.plus(Timestamp::from_millis(n as i64 * 10)).min(range.end);
        self.found.iter().map(|(from, to)| TimeRange::new(at(*from), at(*to))).collect()
    }
}
