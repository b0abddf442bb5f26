//! Sample rates: `rubato`'s FFT resampler as a stream, its delay taken out and its tail flushed.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Indexing, Resampler as _, WindowFunction};

use crate::advice::{Advice, Setting};
use crate::error::{Error, Result};

/// Frames of the lower rate transformed at a time, at least: the filter's edge lies at 98 % of its Nyquist frequency.
const MIN_BLOCK: usize = 1024;

/// Samples of one block over all channels, at most: the FFT holds about six buffers of them, 200 MB.
const MAX_BLOCK_SAMPLES: usize = 1 << 23;

/// From one sample rate to another, interleaved. What comes out has exactly `round(n * out / in)` frames, and frame
/// `i` lies at the time `i / out`.
pub(crate) struct Resampler {
    inner: Fft<f32>,
    channels: usize,
    rate_in: u64,
    rate_out: u64,
    pending: Vec<f32>,
    /// Output frames still to be dropped: the filter's delay.
    delay: usize,
    n_in: u64,
    n_out: u64,
}

impl Resampler {
    pub(crate) fn new(rate_in_hz: u32, rate_out_hz: u32, channels: u16) -> Result<Self> {
        let channels = usize::from(channels);
        let (from, to) = (rate_in_hz as usize, rate_out_hz as usize);
        // Blocks long enough on both sides for a steep filter. An even number of units, because the delay is half a
        // block: of an odd block it would not be a whole sample.
        let unit = gcd(from, to);
        let n_units = MIN_BLOCK.div_ceil(from.min(to) / unit).next_multiple_of(2);
        let chunk = n_units * (from / unit);
        if chunk.max(n_units * (to / unit)) * channels > MAX_BLOCK_SAMPLES {
            let what = format!("{rate_in_hz} Hz to {rate_out_hz} Hz");
            let problem = format!("converting {channels} channels between these rates takes too much memory");
            return Err(Error::unsupported(what, problem, "use one channel or a common rate"));
        }
        let window = WindowFunction::BlackmanHarris2;
        let inner = Fft::new_custom(from, to, chunk, 1, channels, window, FixedSync::Both).map_err(|e| {
            let what = format!("{rate_in_hz} Hz to {rate_out_hz} Hz");
            Error::unsupported(what, "no resampler can be made", Advice::Unset(Setting::AudioRate)).because(e)
        })?;
        let delay = inner.output_delay();
        let (rate_in, rate_out) = (u64::from(rate_in_hz), u64::from(rate_out_hz));
        Ok(Self { inner, channels, rate_in, rate_out, pending: Vec::new(), delay, n_in: 0, n_out: 0 })
    }

    /// Takes samples in and gives out those that are ready.
    pub(crate) fn push(&mut self, samples: &[f32]) -> Result<Vec<f32>> {
        self.n_in += (samples.len() / self.channels) as u64;
        self.pending.extend_from_slice(samples);
        let mut out = Vec::new();
        let mut n_used = 0;
        while (self.pending.len() - n_used) / self.channels >= self.inner.input_frames_next() {
            let chunk = self.inner.input_frames_next() * self.channels;
            let input: Vec<f32> = self.pending[n_used..n_used + chunk].to_vec();
            self.transform(&input, None, &mut out)?;
            n_used += chunk;
        }
        self.pending.drain(..n_used);
        self.n_out += (out.len() / self.channels) as u64;
        Ok(out)
    }

    /// What is left when no more comes.
    pub(crate) fn finish(&mut self) -> Result<Vec<f32>> {
        let total = rounded(self.n_in, self.rate_out, self.rate_in);
        let n_missing = usize::try_from(total.saturating_sub(self.n_out)).unwrap_or(usize::MAX);
        let mut out = Vec::new();
        let mut input = std::mem::take(&mut self.pending);
        let mut partial = input.len() / self.channels;
        input.resize(self.inner.input_frames_next() * self.channels, 0.0);
        // The missing frames are those of the last part and of the delay: two rounds are enough, or nothing is.
        for _ in 0..4 {
            if out.len() / self.channels >= n_missing {
                break;
            }
            self.transform(&input, Some(partial), &mut out)?;
            partial = 0;
        }
        out.resize(n_missing * self.channels, 0.0);
        self.n_out = total;
        Ok(out)
    }

    fn transform(&mut self, input: &[f32], partial: Option<usize>, out: &mut Vec<f32>) -> Result<()> {
        let failed = |e: String| Error::unsupported("resampler", format!("it refused its input: {e}"), "");
        let n_out = self.inner.output_frames_next();
        let mut buffer = vec![0.0; n_out * self.channels];
        let n_in = input.len() / self.channels;
        let source = InterleavedSlice::new(input, self.channels, n_in).map_err(|e| failed(e.to_string()))?;
        let mut sink =
            InterleavedSlice::new_mut(&mut buffer, self.channels, n_out).map_err(|e| failed(e.to_string()))?;
        let indexing = partial.map(|n| Indexing::new().partial_len(n));
        let (_, n_made) =
            self.inner.process_into_buffer(&source, &mut sink, indexing.as_ref()).map_err(|e| failed(e.to_string()))?;
        let n_dropped = self.delay.min(n_made);
        self.delay -= n_dropped;
        out.extend_from_slice(&buffer[n_dropped * self.channels..n_made * self.channels]);
        Ok(())
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a.max(1) } else { gcd(b, a % b) }
}

/// `n * to / from`, to the nearest.
fn rounded(n: u64, to: u64, from: u64) -> u64 {
    ((u128::from(n) * u128::from(to) * 2 + u128::from(from)) / (u128::from(from) * 2)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tone(rate: u32, hz: f64, seconds: f64) -> Vec<f32> {
        let n = (f64::from(rate) * seconds) as usize;
        (0..n).map(|i| (std::f64::consts::TAU * hz * i as f64 / f64::from(rate)).sin() as f32 * 0.5).collect()
    }

    fn resample(samples: &[f32], from: u32, to: u32, channels: u16, block: usize) -> Vec<f32> {
        let mut resampler = Resampler::new(from, to, channels).unwrap();
        let mut out = Vec::new();
        for part in samples.chunks(block * usize::from(channels)) {
            out.extend(resampler.push(part).unwrap());
        }
        out.extend(resampler.finish().unwrap());
        out
    }

    /// Root mean square of the middle, where the filter has settled.
    fn level(samples: &[f32]) -> f64 {
        let middle = &samples[samples.len() / 4..samples.len() * 3 / 4];
        (middle.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / middle.len() as f64).sqrt()
    }

    #[test]
    fn the_pass_band_is_flat_and_in_place() {
        for (from, to) in [(44_100, 16_000), (48_000, 16_000), (8000, 16_000), (48_000, 44_100), (22_050, 48_000)] {
            let hz = 0.9 * f64::from(from.min(to)) / 2.0;
            for hz in [440.0, hz] {
                let got = resample(&tone(from, hz, 1.0), from, to, 1, 1000);
                let wanted = tone(to, hz, 1.0);
                // 0.02 of 0.5: the phase too must be right, which one sample of delay would break at 0.9 Nyquist.
                let worst =
                    (to as usize / 4..to as usize * 3 / 4).map(|i| (got[i] - wanted[i]).abs()).fold(0.0, f32::max);
                assert!(worst < 0.02, "{from} to {to}: {hz} Hz is off by {worst}");
            }
        }
    }

    #[test]
    fn what_the_lower_rate_cannot_hold_is_gone() {
        for hz in [8500.0, 9000.0, 12_000.0, 20_000.0] {
            let decibels = 20.0 * (level(&resample(&tone(48_000, hz, 1.0), 48_000, 16_000, 1, 4096)) / 0.354).log10();
            assert!(decibels < -90.0, "{hz} Hz comes through at {decibels} dB");
        }
    }

    #[test]
    fn channels_stay_apart() {
        let left = tone(48_000, 1000.0, 0.5);
        let both: Vec<f32> = left.iter().flat_map(|s| [*s, 0.0]).collect();
        let out = resample(&both, 48_000, 16_000, 2, 777);
        assert!(out.iter().skip(1).step_by(2).all(|s| s.abs() < 1e-6));
        assert!(level(&out.iter().step_by(2).copied().collect::<Vec<_>>()) > 0.34);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn the_length_is_exact_whatever_the_blocks(n in 0usize..9000, block in 1usize..3000,
                from in prop::sample::select(vec![8000u32, 11_025, 44_100, 48_000, 96_000]),
                to in prop::sample::select(vec![8000u32, 16_000, 22_050, 44_100, 48_000, 15_999])) {
            prop_assume!(from != to);
            let out = resample(&vec![0.1; n], from, to, 1, block);
            prop_assert_eq!(out.len() as u64, rounded(n as u64, u64::from(to), u64::from(from)));
        }
    }
}
