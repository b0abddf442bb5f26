//! The level of audio of unknown duration, measured while it is decoded for another purpose.

use super::block::AudioBlock;
use crate::audio_facts::AudioLevels;
use crate::time::{TimeBase, Timestamp};

/// At most this many values: about the width of a page in pixels.
const MAX_VALUES: usize = 1000;
/// Samples per value at first: 1000 values of a short sound. Doubled whenever there are too many.
const FIRST_SAMPLES: u64 = 64;

/// Collects the peaks of contiguous blocks.
#[derive(Clone, Debug, Default)]
pub struct PeakMeter {
    /// The start and the rate of the first block.
    clock: Option<(Timestamp, TimeBase)>,
    peaks: Vec<f32>,
    n_per_value: u64,
    open: f32,
    n_open: u64,
}

impl PeakMeter {
    /// Adds the next block.
    pub fn push(&mut self, block: &AudioBlock) {
        if self.clock.is_none() {
            self.clock = TimeBase::of_rate(block.rate_hz).map(|base| (block.time, base));
            self.n_per_value = FIRST_SAMPLES;
        }
        for samples in block.samples.chunks(usize::from(block.channels).max(1)) {
            self.open = samples.iter().fold(self.open, |peak, sample| peak.max(sample.abs()));
            self.n_open += 1;
            if self.n_open >= self.n_per_value {
                self.close();
            }
        }
    }

    fn close(&mut self) {
        self.peaks.push(std::mem::take(&mut self.open));
        self.n_open = 0;
        if self.peaks.len() == MAX_VALUES {
            self.peaks = self.peaks.chunks(2).map(|pair| pair.iter().copied().fold(0.0, f32::max)).collect();
            self.n_per_value *= 2;
        }
    }

    /// The levels; None if there was no audio.
    #[must_use]
    pub fn finish(mut self) -> Option<AudioLevels> {
        let (start, base) = self.clock?;
        if self.n_open > 0 {
            self.close();
        }
        let step = Timestamp::new(i64::try_from(self.n_per_value).ok()?, base);
        let peaks = self.peaks.iter().map(|peak| (peak.min(1.0) * 255.0).round() as u8).collect();
        Some(AudioLevels { start, step, peaks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(at_millis: i64, n: usize, value: f32) -> AudioBlock {
        let samples = (0..2 * n).map(|i| if i % 2 == 0 { 0.0 } else { -value }).collect();
        AudioBlock { time: Timestamp::from_millis(at_millis), samples, rate_hz: 16_000, channels: 2 }
    }

    #[test]
    fn peaks_stay_few_and_in_their_places() {
        // 16 s of silence, then 16 s of -6 dB, then 32 s too loud.
        let mut meter = PeakMeter::default();
        for (n, value) in [(16, 0.0), (16, 0.5), (32, 1.5)] {
            for _ in 0..n {
                meter.push(&block(2500, 16_000, value));
            }
        }
        let levels = meter.finish().expect("sound");
        assert!((MAX_VALUES / 2..=MAX_VALUES).contains(&levels.peaks.len()), "{}", levels.peaks.len());
        assert_eq!(levels.start, Timestamp::from_millis(2500));
        let at = |seconds: f64| levels.peaks[(seconds / levels.step.secs_f64()) as usize];
        assert_eq!([at(1.0), at(15.5), at(16.5), at(31.5), at(33.0), at(63.5)], [0, 0, 128, 128, 255, 255]);
        assert_eq!(levels.peaks.len(), (64.0 / levels.step.secs_f64()).ceil() as usize);
    }

    #[test]
    fn short_sound_and_no_sound() {
        let mut meter = PeakMeter::default();
        meter.push(&block(0, 100, 0.25));
        let levels = meter.finish().expect("sound");
        assert_eq!(levels.peaks, [64, 64], "64 samples, and the 36 that are left");
        assert_eq!(PeakMeter::default().finish(), None);
    }
}
