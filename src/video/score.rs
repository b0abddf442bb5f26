//! Scores frames: sharpness, and the difference from the previous frame.

mod lab;

use opencv::core::{self, Mat, Size, Vector};
use opencv::imgproc;
use opencv::prelude::*;

use crate::error::{Error, Result};
use crate::frame_diff::{FrameScore, SIGNATURE_BLOCKS, Signature};
use crate::media::Frame;
use lab::ToLab;

/// Change is measured on a thumbnail of this size: 16 by 9 blocks of 8 by 8 pixels.
const SMALL: (usize, usize) = (128, 72);
const BLOCK: usize = 8;
const N_BLOCKS: usize = (SMALL.0 / BLOCK) * (SMALL.1 / BLOCK);
/// Histogram bins of lightness, and of each of the two colour axes.
const BINS: usize = 16;
/// A block whose pixels differ by this much on average (8-bit Lab, the three channels together) counts as replaced.
const REPLACED: f64 = 60.0;

/// Scores frames in order. Holds a thumbnail of the last one.
pub struct Scorer {
    before: Option<Thumbnail>,
    to_lab: ToLab,
}

impl Default for Scorer {
    fn default() -> Self {
        Self::new()
    }
}

impl Scorer {
    /// A scorer without a previous frame.
    #[must_use]
    pub fn new() -> Self {
        Self { before: None, to_lab: ToLab::new() }
    }

    /// Measures `frame`, alone and against the frame of the last call; see [`FrameScore`].
    ///
    /// Sharpness is the variance of the Laplacian of the grey picture (Pech-Pacheco et al., 2000). Change is, on a
    /// thumbnail in Lab: 0.45 times the distance of the colour histograms, 0.45 times the mean difference of the
    /// blocks, 0.10 times the difference of the block that changed most, each from 0 to 1. The last term
    /// detects small changes such as a new line on a slide; colour distinguishes a red card from a green one.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) where the length of `rgb` does not match the frame's size.
    pub fn score(&mut self, frame: &Frame) -> Result<FrameScore> {
        let (Ok(width), Ok(height)) = (i32::try_from(frame.width), i32::try_from(frame.height)) else {
            return Err(wrong_size(frame));
        };
        let expected = frame.width as usize * frame.height as usize * 3;
        if expected == 0 || frame.rgb.len() != expected {
            return Err(wrong_size(frame));
        }
        let (sharpness, now) = measure(&frame.rgb, width, height, &self.to_lab).map_err(|source| {
            Error::malformed(format!("frame #{}", frame.frame_idx), "OpenCV could not measure it", "").because(source)
        })?;
        let change = self.before.as_ref().map_or(1.0, |before| now.distance(before));
        self.before = Some(now);
        Ok(FrameScore { sharpness, change })
    }

    /// The signature of the frame of the last call; None before the first.
    #[must_use]
    pub fn signature(&self) -> Option<Signature> {
        self.before.as_ref().and_then(Thumbnail::signature)
    }
}

fn wrong_size(frame: &Frame) -> Error {
    let problem = format!("{} bytes do not make a frame of {}x{} pixels", frame.rgb.len(), frame.width, frame.height);
    Error::malformed(format!("frame #{}", frame.frame_idx), problem, "")
}

fn measure(rgb: &[u8], width: i32, height: i32, to_lab: &ToLab) -> opencv::Result<(f64, Thumbnail)> {
    // Borrows the bytes without a copy.
    let picture = Mat::new_rows_cols_with_bytes::<core::Vec3b>(height, width, rgb)?;
    let mut grey = Mat::default();
    imgproc::cvt_color_def(&picture, &mut grey, imgproc::COLOR_RGB2GRAY)?;
    let mut edges = Mat::default();
    imgproc::laplacian_def(&grey, &mut edges, core::CV_16S)?;
    let (mut mean, mut deviation) = (Vector::<f64>::new(), Vector::<f64>::new());
    core::mean_std_dev_def(&edges, &mut mean, &mut deviation)?;
    let sharpness = deviation.get(0)?.powi(2);

    let mut small = Mat::default();
    let size = Size::new(SMALL.0 as i32, SMALL.1 as i32);
    imgproc::resize(&picture, &mut small, size, 0.0, 0.0, imgproc::INTER_AREA)?;
    Ok((sharpness, Thumbnail::new(to_lab.convert(small.data_bytes()?))))
}

/// A frame's Lab thumbnail and its histograms.
struct Thumbnail {
    lab: Vec<u8>,
    lightness: Vec<f64>,
    colour: Vec<f64>,
}

impl Thumbnail {
    fn new(lab: Vec<u8>) -> Self {
        let mut lightness = vec![0.0; BINS];
        let mut colour = vec![0.0; BINS * BINS];
        let weight = 1.0 / (SMALL.0 * SMALL.1) as f64;
        for pixel in lab.chunks_exact(3) {
            // Each pixel is split between its two nearest bins, so that a small shift across a border has a small effect.
            let [(l, l_rest), (a, a_rest), (b, b_rest)] = [pixel[0], pixel[1], pixel[2]].map(bin);
            lightness[l] += weight * (1.0 - l_rest);
            lightness[l + 1] += weight * l_rest;
            colour[a * BINS + b] += weight * (1.0 - a_rest) * (1.0 - b_rest);
            colour[a * BINS + b + 1] += weight * (1.0 - a_rest) * b_rest;
            colour[(a + 1) * BINS + b] += weight * a_rest * (1.0 - b_rest);
            colour[(a + 1) * BINS + b + 1] += weight * a_rest * b_rest;
        }
        Self { lab, lightness, colour }
    }

    /// The mean colour of each block of the signature's grid.
    fn signature(&self) -> Option<Signature> {
        let (across, down) = SIGNATURE_BLOCKS;
        let (width, height) = (SMALL.0 / across, SMALL.1 / down);
        let mut sums = vec![[0u32; 3]; across * down];
        for (at, pixel) in self.lab.chunks_exact(3).enumerate() {
            let (x, y) = (at % SMALL.0, at / SMALL.0);
            let sum = &mut sums[y / height * across + x / width];
            for (sum, value) in sum.iter_mut().zip(pixel) {
                *sum += u32::from(*value);
            }
        }
        let n = (width * height) as u32;
        Signature::new(sums.into_iter().map(|sum| sum.map(|sum| ((sum + n / 2) / n) as u8)).collect())
    }

    fn distance(&self, before: &Self) -> f64 {
        let histograms = f64::midpoint(
            bhattacharyya(&self.lightness, &before.lightness),
            bhattacharyya(&self.colour, &before.colour),
        );
        let blocks = self.block_differences(before);
        let mean = blocks.iter().sum::<f64>() / N_BLOCKS as f64;
        let most = blocks.iter().copied().fold(0.0, f64::max);
        (0.45 * histograms + 0.45 * mean + 0.1 * most).clamp(0.0, 1.0)
    }

    /// Mean pixel difference of each block, 0 to 1.
    fn block_differences(&self, before: &Self) -> [f64; N_BLOCKS] {
        let mut sums = [0u32; N_BLOCKS];
        for (at, (now, then)) in self.lab.chunks_exact(3).zip(before.lab.chunks_exact(3)).enumerate() {
            let (x, y) = (at % SMALL.0, at / SMALL.0);
            let difference: u32 = now.iter().zip(then).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
            sums[y / BLOCK * (SMALL.0 / BLOCK) + x / BLOCK] += difference;
        }
        sums.map(|sum| (f64::from(sum) / (BLOCK * BLOCK) as f64 / REPLACED).min(1.0))
    }
}

/// The lower of the two bins nearest to `value`, and the share of the upper one.
fn bin(value: u8) -> (usize, f64) {
    let place = f64::from(value) * (BINS - 1) as f64 / 255.0;
    let lower = (place as usize).min(BINS - 2);
    (lower, place - lower as f64)
}

/// 0 for equal histograms, 1 for ones that share no bin.
fn bhattacharyya(a: &[f64], b: &[f64]) -> f64 {
    let common: f64 = a.iter().zip(b).map(|(a, b)| (a * b).sqrt()).sum();
    (1.0 - common).max(0.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    const W: usize = 320;
    const H: usize = 180;

    fn frame(paint: impl Fn(usize, usize) -> [u8; 3]) -> Frame {
        let rgb = (0..W * H).flat_map(|i| paint(i % W, i / W)).collect();
        let (width, height) = (W as u32, H as u32);
        Frame { frame_idx: 0, pts: Timestamp::ZERO, time: Timestamp::ZERO, width, height, rgb, is_suspect: false }
    }

    fn change(a: &Frame, b: &Frame) -> f64 {
        let mut scorer = Scorer::new();
        assert!((scorer.score(a).unwrap().change - 1.0).abs() < f64::EPSILON, "the first frame is all new");
        scorer.score(b).unwrap().change
    }

    /// A slide: dark lines of "text" on white, `n_lines` of them.
    fn slide(n_lines: usize) -> Frame {
        frame(move |x, y| {
            let is_ink = y / 18 < n_lines && y % 18 < 7 && (20..280).contains(&x) && x / 4 % 3 != 0;
            if is_ink { [20, 20, 40] } else { [250, 250, 250] }
        })
    }

    #[test]
    fn the_same_picture_has_not_changed() {
        assert!(change(&slide(4), &slide(4)) < 1e-6);
    }

    #[test]
    fn change_grows_with_what_is_different() {
        // Noise of one step, as an encoder leaves it; a new line of text; another slide; another place.
        let noisy = frame(|x, y| if (x * 7 + y * 13) % 5 == 0 { [249, 250, 251] } else { [250, 250, 250] });
        let steps = [
            change(&frame(|_, _| [250, 250, 250]), &noisy),
            change(&slide(4), &slide(5)),
            change(&slide(1), &slide(9)),
            change(&slide(1), &frame(|x, y| [(x / 2) as u8, (y / 2) as u8, 90])),
        ];
        assert!(steps.is_sorted(), "{steps:?}");
        assert!(steps[0] < 0.02 && steps[1] > 0.04 && steps[1] < 0.25 && steps[3] > 0.6, "{steps:?}");
    }

    #[test]
    fn cards_of_equal_grey_are_distinguished() {
        // Both are grey 90 by the weights of BT.601.
        let (red, green) = (frame(|_, _| [255, 18, 30]), frame(|_, _| [20, 140, 18]));
        assert!(change(&red, &green) > 0.6, "{}", change(&red, &green));
    }

    #[test]
    fn blur_lowers_sharpness() {
        let stripes = |period: usize| frame(move |x, _| [((x % period) * 255 / period) as u8; 3]);
        let sharp = Scorer::new().score(&slide(6)).unwrap().sharpness;
        let soft = Scorer::new().score(&stripes(W)).unwrap().sharpness;
        let flat = Scorer::new().score(&frame(|_, _| [9, 9, 9])).unwrap().sharpness;
        assert!(sharp > 100.0 * soft.max(1.0) && flat < 1e-9, "{sharp} {soft} {flat}");
    }

    #[test]
    fn frames_of_any_size_are_scored_and_false_sizes_refused() {
        let mut scorer = Scorer::new();
        for (width, height) in [(1, 1), (3, 500), (641, 17)] {
            let rgb = vec![128; (width * height * 3) as usize];
            let frame = Frame { width, height, rgb, ..frame(|_, _| [0; 3]) };
            scorer.score(&frame).unwrap();
        }
        let short = Frame { width: 999, ..frame(|_, _| [0; 3]) };
        let text = scorer.score(&short).unwrap_err().to_string();
        assert_eq!(text, "frame #0: 172800 bytes do not make a frame of 999x180 pixels");
        assert!(scorer.score(&Frame { width: 0, rgb: Vec::new(), ..short }).is_err());
    }
}
