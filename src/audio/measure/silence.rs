//! Where nothing is heard.

use super::classify::SILENT;
use crate::time::{TimeRange, Timestamp};

/// Silences below this many hundredths of a second are pauses of breath.
const MIN_SILENCE: u64 = 50;

/// Finds silences, in hundredths of a second.
pub(super) struct Silence {
    /// Samples a second over all channels.
    per_second: u64,
    channels: u64,
    /// Samples heard, hundredths begun, and the energy and samples of the one that is heard now.
    n_heard: u64,
    n_done: u64,
    energy: f64,
    n_in: u64,
    /// Hundredth at which the silence of now began.
    since: Option<u64>,
    found: Vec<(u64, u64)>,
}

impl Silence {
    pub(super) fn new(rate_hz: u32, channels: u16) -> Self {
        let channels = u64::from(channels);
        let per_second = u64::from(rate_hz) * channels;
        Self { per_second, channels, n_heard: 0, n_done: 0, energy: 0.0, n_in: 0, since: None, found: Vec::new() }
    }

    pub(super) fn hear(&mut self, samples: &[f32]) {
        for sample in samples {
            self.energy += f64::from(*sample).powi(2);
            self.n_in += 1;
            self.n_heard += 1;
            if self.n_heard * 100 >= (self.n_done + 1) * self.per_second {
                self.close();
            }
        }
    }

    /// Ends the hundredth that is heard now. Any loud channel ends a silence, so that the others do not dilute it.
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
