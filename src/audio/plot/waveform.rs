//! Highest, lowest and mean level over time, a lane for each channel.

use image::RgbImage;

use super::canvas::{Align, Canvas, Colour, GRID, INK};
use super::columns::{Column, Columns, shown};
use super::{AXIS_HEIGHT, PLOT_LEFT, PLOT_TOP, PLOT_WIDTH, WIDTH, axis};
use crate::pcm::{AudioBlock, AudioReader};

/// Maximum number of channels with a lane: those of 7.1.
const MAX_LANES: usize = 8;
const MAX_COLUMNS: usize = 8 * PLOT_WIDTH as usize;
/// Space between lanes in pixels.
const GAP: u32 = 18;

const PEAK: Colour = [126, 166, 216];
const MEAN: Colour = [32, 86, 158];
const CLIPPED: Colour = [214, 40, 40];
/// Samples from this value on count as clipped: the largest 16-bit value.
const FULL_SCALE: f32 = 32_767.0 / 32_768.0;

/// Computes a waveform.
pub struct Waveform {
    columns: Columns<Levels>,
    channels: usize,
    rate_hz: u32,
    start: f64,
    n_samples: u64,
}

/// Levels of each channel that has a lane.
struct Levels(Vec<Level>);

#[derive(Clone, Copy)]
struct Level {
    low: f32,
    high: f32,
    /// Sum of squares, and the number of samples.
    energy: f64,
    n: u64,
}

impl Column for Levels {
    fn merge(&mut self, next: &Self) {
        for (level, next) in self.0.iter_mut().zip(&next.0) {
            level.merge(next);
        }
    }
}

impl Level {
    fn merge(&mut self, next: &Self) {
        self.low = self.low.min(next.low);
        self.high = self.high.max(next.high);
        self.energy += next.energy;
        self.n += next.n;
    }
}

impl Waveform {
    /// For the audio of `reader`.
    #[must_use]
    pub fn new(reader: &AudioReader) -> Self {
        Self {
            columns: Columns::new(MAX_COLUMNS),
            channels: usize::from(reader.channels()).max(1),
            rate_hz: reader.rate_hz(),
            start: reader.start().secs_f64(),
            n_samples: 0,
        }
    }

    /// Adds the reader's next block.
    pub fn push(&mut self, block: &AudioBlock) {
        let n_lanes = self.channels.min(MAX_LANES);
        for frame in block.samples.chunks_exact(self.channels) {
            let level = |sample: &f32| Level { low: *sample, high: *sample, energy: f64::from(sample * sample), n: 1 };
            self.columns.push(Levels(frame[..n_lanes].iter().map(level).collect()));
            self.n_samples += 1;
        }
    }

    /// The picture: between the lowest and the highest sample light, the root mean square dark, clipping red; the
    /// axes say the time on the shared clock and the level in dB of full scale.
    #[must_use]
    pub fn draw(self) -> RgbImage {
        let (columns, n_whole) = self.columns.finish();
        let n_columns = self.n_samples as f64 / n_whole as f64;
        let n_lanes = self.channels.min(MAX_LANES) as u32;
        let half = [120, 90, 70, 60, 50, 50, 45, 45][n_lanes as usize - 1];
        let bottom = PLOT_TOP + n_lanes * (2 * half + 1) + (n_lanes - 1) * GAP;
        let mut canvas = Canvas::new(WIDTH, bottom + AXIS_HEIGHT);
        let end = self.start + self.n_samples as f64 / f64::from(self.rate_hz);
        for lane in 0..n_lanes {
            let middle = PLOT_TOP + half + lane * (2 * half + 1 + GAP);
            grid(&mut canvas, middle, half, self.start, end);
            let mut before: Option<Level> = None;
            for x in 0..PLOT_WIDTH {
                let seen = columns.get(shown(x, PLOT_WIDTH, n_columns)).unwrap_or_default();
                let levels = seen.iter().filter_map(|levels| levels.0.get(lane as usize)).copied();
                let Some(level) = levels.reduce(|mut all, next| {
                    all.merge(&next);
                    all
                }) else {
                    continue;
                };
                // Neighbours touch, as the line through the samples does.
                let mut joined = level;
                if let Some(before) = before {
                    joined.low = joined.low.min(before.high);
                    joined.high = joined.high.max(before.low);
                }
                draw_level(&mut canvas, PLOT_LEFT + x, middle, half, &joined);
                before = Some(level);
            }
            let name = match (n_lanes, lane) {
                (1, _) => String::new(),
                (2, 0) => "L".into(),
                (2, _) => "R".into(),
                _ => (lane + 1).to_string(),
            };
            canvas.text(PLOT_LEFT + PLOT_WIDTH + 10, middle, Align::Left, &name);
        }
        axis::draw(&mut canvas, bottom, self.start, end);
        canvas.into_image()
    }
}

/// Lines at 0, -6 and -12 dB of full scale and in the middle, and at the times of the axis.
fn grid(canvas: &mut Canvas, middle: u32, half: u32, start: f64, end: f64) {
    for (x, _) in axis::ticks(start, end) {
        canvas.fill(x, middle - half, 1, 2 * half + 1, GRID);
    }
    for (share, label) in [(1.0, "0"), (0.501_187, "-6"), (0.251_189, "-12")] {
        let away = (f64::from(half) * share).round() as u32;
        canvas.fill(PLOT_LEFT, middle - away, PLOT_WIDTH, 1, GRID);
        canvas.fill(PLOT_LEFT, middle + away, PLOT_WIDTH, 1, GRID);
        // In low lanes the labels would touch each other.
        if half >= 60 || share > 0.4 {
            canvas.text(PLOT_LEFT - 8, middle - away, Align::Right, label);
            if half >= 120 {
                canvas.text(PLOT_LEFT - 8, middle + away, Align::Right, label);
            }
        }
    }
    canvas.text(PLOT_LEFT - 8, middle, Align::Right, "dBFS");
    canvas.fill(PLOT_LEFT, middle, PLOT_WIDTH, 1, GRID);
    canvas.fill(PLOT_LEFT - 1, middle - half, 1, 2 * half + 1, INK);
}

fn draw_level(canvas: &mut Canvas, x: u32, middle: u32, half: u32, level: &Level) {
    let at = |value: f32| {
        let away = (value.clamp(-1.0, 1.0) * half as f32).round() as i64;
        (i64::from(middle) - away) as u32
    };
    let mean = (level.energy / level.n.max(1) as f64).sqrt() as f32;
    for y in at(level.high)..=at(level.low) {
        let value = (f64::from(middle) - f64::from(y)).abs() / f64::from(half);
        canvas.put(x, y, if value <= f64::from(mean) { MEAN } else { PEAK });
    }
    if level.high >= FULL_SCALE {
        canvas.fill(x, middle - half, 1, 4, CLIPPED);
    }
    if level.low <= -1.0 {
        canvas.fill(x, middle + half - 3, 1, 4, CLIPPED);
    }
}
