//! Whether the channels of a stereo recording hold one speaker each, as in recorded calls and interviews.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::chunk_task::RATE_HZ;
use super::chunking::WINDOW_SAMPLES;
use super::vad::VoiceActivityDetector;
use crate::error::{Error, Result};
use crate::pcm::AudioReader;

/// Channels of different speakers correlate less. A voice that two microphones pick up correlates more.
const MAX_CORRELATION: f64 = 0.2;
/// How much is examined, as long as one channel holds no speech: 5 min, in steps of a minute.
const MAX_STEPS: usize = 5;
const STEP_SAMPLES: usize = 60 * RATE_HZ as usize / WINDOW_SAMPLES * WINDOW_SAMPLES;
/// Speech on each channel that makes it a speaker's own: 2 s. Less can be an echo or a cough.
const MIN_SPEECH_WINDOWS: usize = 2 * RATE_HZ as usize / WINDOW_SAMPLES;
/// Silero's own threshold.
const SPEECH: f32 = 0.5;

/// The correlation is computed at 4 kHz, where most of the energy of speech is.
const DECIMATION: usize = 4;
/// Up to this delay between the channels, either way: 40 ms, the sound's way over 14 m.
const MAX_DELAY: usize = 40 * RATE_HZ as usize / DECIMATION / 1000;

/// The channels of a part can be of opposite phase, those of another part not: products are summed in blocks of 4 s. In
/// much shorter ones, two speakers would correlate by chance.
const BLOCK: usize = 4 * RATE_HZ as usize / DECIMATION;

/// Whether the two channels of `reader` (16 kHz, stereo) hold different speakers.
pub(super) fn are_speakers(reader: AudioReader, vad_model: &Path, is_cancelled: &AtomicBool) -> Result<bool> {
    let mut blocks = reader.fuse();
    let mut correlation = Correlation::default();
    let mut detectors = [VoiceActivityDetector::load(vad_model)?, VoiceActivityDetector::load(vad_model)?];
    let mut n_speech = [0; 2];
    for _ in 0..MAX_STEPS {
        let mut channels = [Vec::with_capacity(STEP_SAMPLES), Vec::with_capacity(STEP_SAMPLES)];
        while channels[0].len() < STEP_SAMPLES {
            if is_cancelled.load(Ordering::Relaxed) {
                return Err(Error::interrupted());
            }
            // What cannot be decoded is reported when it is transcribed.
            let Some(Ok(block)) = blocks.next() else { break };
            for (idx, channel) in channels.iter_mut().enumerate() {
                channel.extend(block.samples.iter().skip(idx).step_by(2));
            }
        }
        if channels[0].is_empty() {
            break;
        }
        correlation.add(&channels[0], &channels[1]);
        if correlation.strongest() >= MAX_CORRELATION {
            break;
        }
        for ((detector, channel), n) in detectors.iter_mut().zip(&mut channels).zip(&mut n_speech) {
            channel.truncate(channel.len() / WINDOW_SAMPLES * WINDOW_SAMPLES);
            if !channel.is_empty() {
                *n += detector.probabilities(channel)?.iter().filter(|p| **p >= SPEECH).count();
            }
        }
        if n_speech.iter().all(|n| *n >= MIN_SPEECH_WINDOWS) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// How much two channels resemble each other, whatever the delay between them.
struct Correlation {
    /// Sums of products by delay, from minus to plus [`MAX_DELAY`]; those of each block without their sign.
    products: Vec<f64>,
    /// Sums of squares of the two.
    energies: [f64; 2],
}

impl Default for Correlation {
    fn default() -> Self {
        Self { products: vec![0.0; 2 * MAX_DELAY + 1], energies: [0.0; 2] }
    }
}

impl Correlation {
    /// Adds samples of both channels at 16 kHz; each call stands for itself.
    fn add(&mut self, left: &[f32], right: &[f32]) {
        let (left, right) = (decimated(left), decimated(right));
        for (energy, channel) in self.energies.iter_mut().zip([&left, &right]) {
            *energy += channel.iter().map(|x| f64::from(x * x)).sum::<f64>();
        }
        for from in (0..left.len()).step_by(BLOCK) {
            let part = &left[from..(from + BLOCK).min(left.len())];
            for (delay, product) in self.products.iter_mut().enumerate() {
                let (skipped, at) = (MAX_DELAY.saturating_sub(from + delay), (from + delay).saturating_sub(MAX_DELAY));
                let pairs = part.iter().skip(skipped).zip(right.iter().skip(at));
                *product += f64::from(pairs.map(|(a, b)| a * b).sum::<f32>().abs());
            }
        }
    }

    /// The correlation at the delay where it is strongest, 0 to 1; 0 if a channel is silent.
    fn strongest(&self) -> f64 {
        let norm = (self.energies[0] * self.energies[1]).sqrt();
        let most = self.products.iter().fold(0.0_f64, |most, product| most.max(product.abs()));
        if norm > 0.0 { most / norm } else { 0.0 }
    }
}

/// Means of [`DECIMATION`] samples, without the lowest frequencies: hum and rumble are in both channels of many
/// recordings.
fn decimated(samples: &[f32]) -> Vec<f32> {
    let means = samples.chunks_exact(DECIMATION).map(|four| four.iter().sum::<f32>() / DECIMATION as f32);
    let (mut last, mut out) = (0.0, 0.0);
    // A high pass of the first order at 130 Hz.
    means
        .map(|x| {
            out = 0.8 * (out + x - last);
            last = x;
            out
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise, whose samples correlate with nothing.
    fn noise(seed: u64, n: usize) -> Vec<f32> {
        // Generators with neighboring seeds are not independent.
        let mut random = fastrand::Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        (0..n).map(|_| random.f32() * 2.0 - 1.0).collect()
    }

    fn correlation(left: &[f32], right: &[f32]) -> f64 {
        let mut sums = Correlation::default();
        sums.add(left, right);
        sums.strongest()
    }

    #[test]
    fn one_source_on_both_channels_is_found_at_any_delay_and_phase() {
        let n = 10 * RATE_HZ as usize;
        let source = noise(1, n + 1000);
        let left = &source[..n];
        for (name, right) in [
            ("the same", source[..n].to_vec()),
            ("quieter", source[..n].iter().map(|x| x / 10.0).collect()),
            ("opposite phase", source[..n].iter().map(|x| -x).collect()),
            ("30 ms earlier", source[480..n + 480].to_vec()),
        ] {
            assert!(correlation(left, &right) > 0.9, "{name}: {}", correlation(left, &right));
            assert!(correlation(&right, left) > 0.9, "{name}, channels exchanged");
        }
        let changing: Vec<f32> = left.iter().enumerate().map(|(at, x)| if at < n / 2 { -x } else { *x }).collect();
        assert!(correlation(left, &changing) > 0.7, "opposite phase in the first half");
        let leaking: Vec<f32> = noise(2, n).iter().zip(left).map(|(own, other)| own + other / 10.0).collect();
        assert!(correlation(left, &leaking) < MAX_CORRELATION, "crosstalk at -20 dB");
        assert!(correlation(left, &noise(2, n)) < 0.1, "independent channels");
        assert!(correlation(left, &vec![0.0; n]) < f64::EPSILON, "a silent channel");
    }
}
