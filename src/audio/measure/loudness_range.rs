//! Loudness range (EBU Tech 3342) from windows of three seconds, taken ten times a second.
//!
//! The measure's own takes one a second, which is allowed but says little of short sounds: of five seconds it sees
//! three windows. Ten a second are what ffmpeg's filter takes.

use std::collections::VecDeque;

/// Steps of a tenth of a second in one window.
const WINDOW_STEPS: usize = 30;
/// Below this a window does not count, in LUFS.
const ABSOLUTE_GATE: f64 = -70.0;
/// Nor does one that is so much quieter than the mean of the others, in LU.
const RELATIVE_GATE: f64 = 20.0;
/// Windows are counted in bins of a hundredth of a LU, up to 30 LUFS: the memory is flat.
const BINS_PER_LU: f64 = 100.0;
const N_BINS: usize = 10_000;

pub(super) struct Spread {
    /// Energies of the last steps.
    recent: VecDeque<f64>,
    bins: Vec<u64>,
    /// Energies of all counted windows together.
    energy: f64,
    n_windows: u64,
}

impl Spread {
    pub(super) fn new() -> Self {
        Self { recent: VecDeque::with_capacity(WINDOW_STEPS), bins: vec![0; N_BINS], energy: 0.0, n_windows: 0 }
    }

    /// Takes in the loudness of the next tenth of a second, in LUFS; minus infinity for silence.
    pub(super) fn step(&mut self, loudness: f64) {
        if self.recent.len() == WINDOW_STEPS {
            self.recent.pop_front();
        }
        self.recent.push_back(10_f64.powf(loudness / 10.0));
        if self.recent.len() < WINDOW_STEPS {
            return;
        }
        let energy = self.recent.iter().sum::<f64>() / WINDOW_STEPS as f64;
        let loudness = 10.0 * energy.max(1e-30).log10();
        if loudness >= ABSOLUTE_GATE {
            self.bins[bin(loudness)] += 1;
            self.energy += energy;
            self.n_windows += 1;
        }
    }

    /// Between the tenth and the ninety-fifth percentile, in LU; None where no window was loud enough.
    pub(super) fn finish(&self) -> Option<f64> {
        if self.n_windows == 0 {
            return None;
        }
        let mean = 10.0 * (self.energy / self.n_windows as f64).log10();
        let first = bin(mean - RELATIVE_GATE);
        let n: u64 = self.bins[first..].iter().sum();
        let percentile = |share: f64| {
            // As the document's own code has it, counted from 0.
            let rank = (n.saturating_sub(1) as f64 * share).round() as u64;
            let mut before = 0;
            let found = self.bins[first..].iter().position(|count| {
                before += count;
                before > rank
            });
            found.unwrap_or_default() as f64 / BINS_PER_LU
        };
        Some(percentile(0.95) - percentile(0.1))
    }
}

fn bin(loudness: f64) -> usize {
    (((loudness - ABSOLUTE_GATE) * BINS_PER_LU).max(0.0) as usize).min(N_BINS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first four cases of EBU Tech 3342, table 1: seconds at a level, and the range.
    #[test]
    fn the_range_of_known_levels() {
        for (levels, wanted) in [
            (&[(-20.0, 20), (-30.0, 20)][..], 10.0),
            (&[(-20.0, 20), (-15.0, 20)][..], 5.0),
            (&[(-40.0, 20), (-20.0, 20)][..], 20.0),
            (&[(-50.0, 20), (-35.0, 20), (-20.0, 20), (-35.0, 20), (-50.0, 20)][..], 15.0),
            (&[(-23.0, 60)][..], 0.0),
        ] {
            let mut spread = Spread::new();
            for (level, seconds) in levels {
                (0..seconds * 10).for_each(|_| spread.step(*level));
            }
            let found = spread.finish().unwrap();
            // The document's own tolerance.
            assert!((found - wanted).abs() <= 1.0, "{levels:?}: {found} LU, not {wanted}");
        }
        let mut silent = Spread::new();
        (0..100).for_each(|_| silent.step(f64::NEG_INFINITY));
        assert_eq!(silent.finish(), None);
    }
}
