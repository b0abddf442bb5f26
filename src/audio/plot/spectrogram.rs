//! Level over time and frequency.

use std::sync::Arc;

use image::RgbImage;
use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};

use super::canvas::{Align, Canvas, Colour, INK};
use super::columns::{Column, Columns, shown};
use super::{AXIS_HEIGHT, PLOT_LEFT, PLOT_TOP, PLOT_WIDTH, WIDTH, axis};
use crate::pcm::{AudioBlock, AudioReader, ChannelRole, Downmixer};

/// Height of the plot area in pixels.
const ROWS: usize = 400;
const MAX_COLUMNS: usize = 2 * PLOT_WIDTH as usize;
/// Initial number of samples between two spectra; it doubles as the audio gets longer.
const FIRST_HOP: usize = 32;
/// Shown as the last colour and as the first one, in dB of a full-scale sine.
const TOP_DB: f64 = 0.0;
const FLOOR_DB: f64 = -100.0;

/// Computes a spectrogram.
pub struct Spectrogram {
    rate_hz: u32,
    start: f64,
    downmixer: Downmixer,
    layout: Vec<ChannelRole>,
    fft: Arc<dyn Fft<f32>>,
    window: Vec<f32>,
    /// Samples from `first` on, the left channel real, the right one imaginary.
    pending: Vec<Complex<f32>>,
    /// Index in the sound of the first pending sample, half a window of silence before it counted in.
    first: u64,
    /// The same of the first sample of the next spectrum.
    next: u64,
    hop: usize,
    rows: Vec<Row>,
    columns: Columns<Power>,
    work: Vec<Complex<f32>>,
    n_samples: u64,
}

/// Which bins a row shows.
#[derive(Clone, Copy)]
enum Row {
    /// The highest of several.
    Highest(usize, usize),
    /// A place between this one and the next.
    Between(usize, f32),
}

/// Power of each row, summed over so many spectra.
struct Power(Vec<f32>, u64);

impl Column for Power {
    fn merge(&mut self, next: &Self) {
        for (sum, power) in self.0.iter_mut().zip(&next.0) {
            *sum += power;
        }
        self.1 += next.1;
    }
}

impl Spectrogram {
    /// For the audio of `reader`. The spectra are of 40 to 80 ms under a Hann window; what is shown is their
    /// mean over all that falls on a pixel, and over left and right, into which more channels are mixed.
    #[must_use]
    pub fn new(reader: &AudioReader) -> Self {
        let rate_hz = reader.rate_hz();
        let n = (rate_hz as usize / 25).next_power_of_two().clamp(256, 32_768);
        let phase = |i: usize| std::f64::consts::TAU * i as f64 / n as f64;
        Self {
            rate_hz,
            start: reader.start().secs_f64(),
            downmixer: Downmixer::new(if reader.channels() == 1 { 1 } else { 2 }),
            layout: reader.layout().to_vec(),
            fft: FftPlanner::new().plan_fft_forward(n),
            // A sine of full scale has a power of 1: its half of the spectrum, under a window of mean 0.5.
            window: (0..n).map(|i| ((0.5 - 0.5 * phase(i).cos()) * 4.0 / n as f64) as f32).collect(),
            pending: vec![Complex::default(); n / 2],
            first: 0,
            next: FIRST_HOP as u64 / 2,
            hop: FIRST_HOP,
            rows: (0..ROWS).map(|row| Row::of(row, rate_hz, n)).collect(),
            columns: Columns::new(MAX_COLUMNS),
            work: Vec::new(),
            n_samples: 0,
        }
    }

    /// Adds the reader's next block.
    pub fn push(&mut self, block: &AudioBlock) {
        let mixed = self.downmixer.mix(&block.samples, &self.layout);
        let before = self.pending.len();
        if self.layout.len() == 1 {
            self.pending.extend(mixed.iter().map(|sample| Complex::new(*sample, 0.0)));
        } else {
            self.pending.extend(mixed.chunks_exact(2).map(|pair| Complex::new(pair[0], pair[1])));
        }
        self.n_samples += (self.pending.len() - before) as u64;
        self.transform();
    }

    /// All spectra whose samples are there.
    fn transform(&mut self) {
        let n = self.window.len();
        while self.next + n as u64 <= self.first + self.pending.len() as u64 {
            let from = (self.next - self.first) as usize;
            self.work.clear();
            self.work.extend(self.pending[from..from + n].iter().zip(&self.window).map(|(sample, w)| sample * w));
            self.fft.process(&mut self.work);
            // Of two real signals in one complex transform: |L|² + |R|² = (|Z[k]|² + |Z[-k]|²) / 2.
            let share = if self.layout.len() == 1 { 0.5 } else { 0.25 };
            let power = |k: usize| (self.work[k].norm_sqr() + self.work[(n - k) % n].norm_sqr()) * share;
            let part = self.rows.iter().map(|row| row.read(&power)).collect();
            self.next += self.hop as u64;
            if self.columns.push(Power(part, 1)) && self.hop < n / 2 {
                self.columns.halve_parts();
                // The next spectrum's middle is in the middle of its part, which is twice as long now.
                self.next += self.hop as u64 / 2;
                self.hop *= 2;
            }
        }
        let n_used = ((self.next - self.first) as usize).min(self.pending.len());
        // Moved seldom, so that short blocks do not move all of it each time.
        if n_used > 8 * n {
            self.pending.drain(..n_used);
            self.first += n_used as u64;
        }
    }

    /// The picture, from 0 Hz to half the sample rate on the mel scale.
    #[must_use]
    pub fn draw(mut self) -> RgbImage {
        let n = self.window.len();
        // Spectra whose middle lies in the sound; of a sound shorter than that, one.
        let n_end = self.n_samples.max(self.next.min(FIRST_HOP as u64) + 1);
        self.pending.resize(self.pending.len() + n / 2 + (n_end - self.n_samples) as usize, Complex::default());
        self.transform();
        let n_hops = self.n_samples as f64 / self.hop as f64;
        let (columns, n_whole) = self.columns.finish();
        let bottom = PLOT_TOP + ROWS as u32;
        let mut canvas = Canvas::new(WIDTH, bottom + AXIS_HEIGHT);
        for x in 0..PLOT_WIDTH {
            let range = shown(x, PLOT_WIDTH, n_hops / n_whole as f64);
            let seen = columns.get(range.start.min(columns.len())..range.end.min(columns.len())).unwrap_or_default();
            // Rounding may leave the last pixel without a column of its own.
            let seen = if seen.is_empty() { columns.last().map_or(&[][..], std::slice::from_ref) } else { seen };
            let n_spectra: u64 = seen.iter().map(|column| column.1).sum();
            for row in 0..ROWS {
                let power: f64 = seen.iter().map(|column| f64::from(column.0[row])).sum();
                let db = 10.0 * (power / n_spectra.max(1) as f64).max(1e-30).log10();
                canvas.put(PLOT_LEFT + x, bottom - 1 - row as u32, colour(db));
            }
        }
        draw_frequencies(&mut canvas, self.rate_hz);
        draw_legend(&mut canvas);
        axis::draw(&mut canvas, bottom, self.start, self.start + self.n_samples as f64 / f64::from(self.rate_hz));
        canvas.into_image()
    }
}

impl Row {
    /// Row 0 is the lowest.
    fn of(row: usize, rate_hz: u32, n: usize) -> Self {
        let top = mel(f64::from(rate_hz) / 2.0);
        let bin = |row: f64| hertz(row / ROWS as f64 * top) * n as f64 / f64::from(rate_hz);
        let (low, high) = (bin(row as f64).ceil() as usize, bin(row as f64 + 1.0).floor() as usize);
        if low < high {
            Self::Highest(low, high.min(n / 2))
        } else {
            let middle = bin(row as f64 + 0.5).min(n as f64 / 2.0 - 1.0);
            Self::Between(middle as usize, middle.fract() as f32)
        }
    }

    fn read(self, power: &impl Fn(usize) -> f32) -> f32 {
        match self {
            Self::Highest(low, high) => (low..=high).map(power).fold(0.0, f32::max),
            Self::Between(bin, share) => power(bin) * (1.0 - share) + power(bin + 1) * share,
        }
    }
}

/// O'Shaughnessy's formula, as HTK has it.
fn mel(hertz: f64) -> f64 {
    2595.0 * (1.0 + hertz / 700.0).log10()
}

fn hertz(mel: f64) -> f64 {
    700.0 * (10_f64.powf(mel / 2595.0) - 1.0)
}

fn draw_frequencies(canvas: &mut Canvas, rate_hz: u32) {
    let bottom = PLOT_TOP + ROWS as u32;
    canvas.fill(PLOT_LEFT - 1, PLOT_TOP, 1, ROWS as u32, INK);
    let mut free = bottom + 100;
    for hz in [0_u32, 100, 250, 500, 1000, 2000, 4000, 8000, 16_000, 32_000, 64_000, 128_000, 256_000] {
        let share = mel(f64::from(hz)) / mel(f64::from(rate_hz) / 2.0);
        if share > 1.0 {
            break;
        }
        let y = (f64::from(bottom) - share * ROWS as f64).round() as u32;
        canvas.fill(PLOT_LEFT - 6, y.min(bottom - 1), 6, 1, INK);
        // At high rates the low ones are close together.
        if y + 18 > free {
            continue;
        }
        free = y;
        let label = if hz < 1000 { format!("{hz} Hz") } else { format!("{} kHz", hz / 1000) };
        canvas.text(PLOT_LEFT - 9, y.max(PLOT_TOP + 2), Align::Right, &label);
    }
}

fn draw_legend(canvas: &mut Canvas) {
    let (left, height) = (PLOT_LEFT + PLOT_WIDTH + 14, ROWS as u32);
    for y in 0..height {
        let db = TOP_DB + (FLOOR_DB - TOP_DB) * f64::from(y) / f64::from(height - 1);
        canvas.fill(left, PLOT_TOP + y, 14, 1, colour(db));
    }
    for step in 0..=5 {
        let y = PLOT_TOP + (height - 1) * step / 5;
        canvas.fill(left + 14, y, 4, 1, INK);
        let db = TOP_DB + (FLOOR_DB - TOP_DB) * f64::from(step) / 5.0;
        canvas.text(left + 21, y, Align::Left, &format!("{db:.0}"));
    }
    canvas.text(WIDTH - 3, PLOT_TOP + height + 17, Align::Right, "dBFS");
}

/// From dark to bright in even steps of lightness: ten points of matplotlib's "inferno" (CC0), straight between them.
fn colour(db: f64) -> Colour {
    const INFERNO: [Colour; 10] = [
        [0x00, 0x00, 0x04],
        [0x1b, 0x0c, 0x42],
        [0x4b, 0x0c, 0x6b],
        [0x78, 0x1c, 0x6d],
        [0xa5, 0x2c, 0x60],
        [0xcf, 0x44, 0x46],
        [0xed, 0x69, 0x25],
        [0xfb, 0x9a, 0x06],
        [0xf7, 0xd0, 0x3c],
        [0xfc, 0xff, 0xa4],
    ];
    let place = ((db - FLOOR_DB) / (TOP_DB - FLOOR_DB)).clamp(0.0, 1.0) * (INFERNO.len() - 1) as f64;
    let below = (place as usize).min(INFERNO.len() - 2);
    let share = place - below as f64;
    std::array::from_fn(|i| {
        let (low, high) = (f64::from(INFERNO[below][i]), f64::from(INFERNO[below + 1][i]));
        (low + (high - low) * share).round() as u8
    })
}
