//! Speech, music or something else, by simple features of two seconds at a time.
//!
//! After E. Scheirer, M. Slaney: "Construction and evaluation of a robust multifeature speech/music discriminator"
//! (ICASSP 1997): syllables move the level of speech about four times a second and leave near-silent frames between
//! them, and voiced and unvoiced sounds take turns; music keeps its level and is tonal; noise is neither. Thresholds
//! were set by hand on a few recordings: this is a hint, not a verdict.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use crate::audio_facts::SoundKind;

/// Rate of the samples that are listened to, in Hz.
pub(super) const RATE_HZ: u32 = 16_000;

/// Samples of one frame's spectrum: 32 ms.
const FRAME: usize = 512;
/// Samples from frame to frame: 20 ms.
const HOP: usize = 320;
/// Frames that one judgement hears: two seconds.
const HEARD: usize = 100;
/// Frames from judgement to judgement: half a second.
pub(super) const STEP: usize = 25;
/// Bins of the spectrum that count: 94 Hz to 6.2 kHz, where speech and most of music lie.
const BINS: std::ops::Range<usize> = 3..200;
/// Mean square below which a frame is silent: -50 dBFS.
pub(super) const SILENT: f64 = 1e-5;

/// Features of one frame.
#[derive(Clone, Copy, Default)]
struct FrameFeatures {
    /// Mean square.
    energy: f64,
    /// Geometric to arithmetic mean of the power spectrum: 0 for a tone, towards 0.6 for white noise.
    flatness: f64,
    /// How far the spectrum's shape is from the one before, 0 to 1.
    flux: f64,
    /// Share of neighbouring samples of different sign.
    crossings: f64,
}

/// Features of two seconds.
#[derive(Debug)]
struct Features {
    /// Share of frames that are not silent.
    heard: f64,
    /// Share of frames with less than half of the mean level.
    low: f64,
    /// Depth of the level's movement at 2 to 7 Hz, against its mean.
    syllables: f64,
    /// Mean flatness of the frames that are heard.
    flatness: f64,
    /// Mean flux of the frames that are heard.
    flux: f64,
    /// Standard deviation of the crossings of the frames that are heard.
    crossings: f64,
}

/// Hears mono samples and judges every half second.
pub(super) struct Listener {
    fft: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
    input: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    shape: Vec<f32>,
    pending: Vec<f32>,
    /// The last frames, [`HEARD`] at most.
    frames: Vec<FrameFeatures>,
    n_new: usize,
    judged: Vec<SoundKind>,
}

impl Listener {
    pub(super) fn new() -> Self {
        let fft = RealFftPlanner::new().plan_fft_forward(FRAME);
        let turn = std::f32::consts::TAU / FRAME as f32;
        Self {
            window: (0..FRAME).map(|i| 0.5 - 0.5 * (i as f32 * turn).cos()).collect(),
            input: fft.make_input_vec(),
            spectrum: fft.make_output_vec(),
            fft,
            shape: vec![0.0; BINS.len()],
            pending: Vec::new(),
            frames: Vec::new(),
            n_new: 0,
            judged: Vec::new(),
        }
    }

    pub(super) fn hear(&mut self, samples: &[f32]) {
        self.pending.extend_from_slice(samples);
        let mut at = 0;
        while self.pending.len() - at >= FRAME {
            let frame = self.frame(at);
            self.frames.push(frame);
            self.n_new += 1;
            at += HOP;
            if self.n_new == STEP {
                self.judge();
            }
        }
        self.pending.drain(..at);
    }

    /// One judgement for each half second from the start.
    pub(super) fn finish(mut self) -> Vec<SoundKind> {
        if self.n_new > 0 || self.judged.is_empty() {
            self.judge();
        }
        // A judgement hears a second to either side of its half second: the first of them came too early.
        let n_ahead = HEARD / STEP / 2;
        let n = self.judged.len();
        let ahead: Vec<SoundKind> = (0..n).map(|i| self.judged[(i + n_ahead - 1).min(n - 1)]).collect();
        smooth(&ahead)
    }

    fn judge(&mut self) {
        let n_surplus = self.frames.len().saturating_sub(HEARD);
        self.frames.drain(..n_surplus);
        self.n_new = 0;
        let features = features(&self.frames);
        let kind = features.kind();
        tracing::trace!(at = self.judged.len() as f64 / 2.0, ?features, ?kind);
        self.judged.push(kind);
    }

    fn frame(&mut self, at: usize) -> FrameFeatures {
        let samples = &self.pending[at..at + FRAME];
        let energy = samples.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / FRAME as f64;
        let n_crossings = samples.windows(2).filter(|pair| (pair[0] < 0.0) != (pair[1] < 0.0)).count();
        for (out, (sample, weight)) in self.input.iter_mut().zip(samples.iter().zip(&self.window)) {
            *out = sample * weight;
        }
        // The lengths are the plan's own: it cannot refuse them.
        let _ = self.fft.process(&mut self.input, &mut self.spectrum);
        let power: Vec<f32> = self.spectrum[BINS].iter().map(|c| c.norm_sqr() + 1e-12).collect();
        let total: f32 = power.iter().sum();
        let logs = power.iter().map(|p| f64::from(p.ln())).sum::<f64>() / power.len() as f64;
        let flatness = logs.exp() / (f64::from(total) / power.len() as f64);
        let shape: Vec<f32> = power.iter().map(|p| p / total).collect();
        let flux = shape.iter().zip(&self.shape).map(|(a, b)| f64::from((a - b).abs())).sum::<f64>() / 2.0;
        self.shape = shape;
        FrameFeatures { energy, flatness, flux, crossings: n_crossings as f64 / FRAME as f64 }
    }
}

fn features(frames: &[FrameFeatures]) -> Features {
    let n = frames.len().max(1) as f64;
    let heard: Vec<&FrameFeatures> = frames.iter().filter(|frame| frame.energy >= SILENT).collect();
    let n_heard = heard.len().max(1) as f64;
    let mean = |of: fn(&FrameFeatures) -> f64| heard.iter().map(|frame| of(frame)).sum::<f64>() / n_heard;
    let crossings = mean(|frame| frame.crossings);
    let levels: Vec<f64> = frames.iter().map(|frame| frame.energy.sqrt()).collect();
    let level = levels.iter().sum::<f64>() / n;
    let spread = heard.iter().map(|frame| (frame.crossings - crossings).powi(2)).sum::<f64>() / n_heard;
    Features {
        heard: heard.len() as f64 / n,
        low: levels.iter().filter(|l| **l < level / 2.0).count() as f64 / n,
        syllables: movement(&levels) / level.max(1e-9),
        flatness: mean(|frame| frame.flatness),
        flux: mean(|frame| frame.flux),
        crossings: spread.sqrt(),
    }
}

/// Root mean square of the levels' movement at 2 to 7 Hz.
fn movement(levels: &[f64]) -> f64 {
    let seconds = levels.len() as f64 * HOP as f64 / f64::from(RATE_HZ);
    let (from, to) = ((2.0 * seconds).ceil() as usize, (7.0 * seconds) as usize);
    let n = levels.len().max(1) as f64;
    let power: f64 = (from..=to)
        .map(|bin| {
            let (mut re, mut im) = (0.0, 0.0);
            for (i, level) in levels.iter().enumerate() {
                let (sin, cos) = (std::f64::consts::TAU * bin as f64 * i as f64 / n).sin_cos();
                re += level * cos;
                im += level * sin;
            }
            2.0 * (re * re + im * im) / (n * n)
        })
        .sum();
    power.sqrt()
}

impl Features {
    fn kind(&self) -> SoundKind {
        if self.heard < 0.1 {
            SoundKind::Silence
        } else if self.low > 0.15 && self.syllables > 0.3 && self.crossings > 0.03 {
            SoundKind::Speech
        } else if self.flatness < 0.12 && self.flux > 0.03 {
            SoundKind::Music
        } else {
            SoundKind::Other
        }
    }
}

/// The most frequent of five neighbours; on a draw, what it was.
fn smooth(kinds: &[SoundKind]) -> Vec<SoundKind> {
    let around = |i: usize| &kinds[i.saturating_sub(2)..(i + 3).min(kinds.len())];
    let count = |near: &[SoundKind], kind: SoundKind| near.iter().filter(|k| **k == kind).count();
    (0..kinds.len())
        .map(|i| {
            let near = around(i);
            near.iter().fold(kinds[i], |best, kind| if count(near, *kind) > count(near, best) { *kind } else { best })
        })
        .collect()
}
