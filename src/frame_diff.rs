//! Differences of frames: scores, signatures and shot boundaries.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Measured values of one frame.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct FrameScore {
    /// Variance of the Laplacian of the grey picture: higher is sharper. Comparable only within one video.
    pub sharpness: f64,
    /// Difference from the previous sampled frame, 0 (identical) to 1 (nothing in common); 1 for the first.
    pub change: f64,
}

/// Blocks across and down of a [`Signature`].
pub const SIGNATURE_BLOCKS: (usize, usize) = (32, 18);
const N_BLOCKS: usize = SIGNATURE_BLOCKS.0 * SIGNATURE_BLOCKS.1;

/// A block whose mean colour differs by this much (8-bit Lab, the three channels together) counts as replaced.
const REPLACED: f64 = 60.0;

/// The mean colour of each block of a frame, small enough to keep for thousands of frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Rows from the top, 8-bit Lab as OpenCV scales it.
    lab: Box<[[u8; 3]]>,
}

/// The difference of two frames.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// Mean over all blocks, 0 (the same) to 1 (all replaced).
    pub mean: f64,
    /// Largest difference of a block, 0 to 1: a pen stroke, a new caption.
    pub local: f64,
}

impl Signature {
    /// A signature from mean Lab colours, rows from the top; None where their number is not the number of blocks.
    #[must_use]
    pub fn new(lab: Vec<[u8; 3]>) -> Option<Self> {
        (lab.len() == N_BLOCKS).then(|| Self { lab: lab.into_boxed_slice() })
    }

    /// The difference from another signature.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Difference {
        let mut difference = Difference { mean: 0.0, local: 0.0 };
        for (a, b) in self.lab.iter().zip(&other.lab) {
            let apart: u32 = a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
            let apart = (f64::from(apart) / REPLACED).min(1.0);
            difference.mean += apart / N_BLOCKS as f64;
            difference.local = difference.local.max(apart);
        }
        difference
    }
}

impl Difference {
    /// Two frames below both values show the same. On still slides with camera noise, coded by x264 at rate factors
    /// from 18 to 35, noise made means up to 0.011 and locals up to 0.07 (once 0.12); a pen stroke of 40 by 3 pixels
    /// or one other word in a caption, at 1280 pixels, made locals from 0.11 on. In doubt a frame is kept.
    const SAME_MEAN: f64 = 0.02;
    const SAME_LOCAL: f64 = 0.1;

    /// Two frames below this value show the same place: a speaker moves, the studio stays.
    const ALIKE_MEAN: f64 = 0.1;

    /// Whether both frames show the same place.
    #[must_use]
    pub fn is_alike(self) -> bool {
        self.mean < Self::ALIKE_MEAN
    }

    /// Whether the difference is only noise.
    #[must_use]
    pub fn is_nothing(self) -> bool {
        self.mean < Self::SAME_MEAN && self.local < Self::SAME_LOCAL
    }
}

/// Signatures of recently kept frames, to find repetitions (A, B, A).
#[derive(Debug, Default)]
pub struct Recent {
    kept: VecDeque<(usize, Signature)>,
}

impl Recent {
    /// Number of frames to compare with.
    const WINDOW: usize = 12;

    /// Finds the most recent kept frame that `is_close` accepts by its difference from `look`. Returns its number and the
    /// difference.
    #[must_use]
    pub fn find(&self, look: &Signature, is_close: fn(Difference) -> bool) -> Option<(usize, Difference)> {
        let mut apart = self.kept.iter().rev().map(|(number, kept)| (*number, kept.difference(look)));
        apart.find(|(_, difference)| is_close(*difference))
    }

    /// Remembers a kept frame by its number.
    pub fn keep(&mut self, number: usize, look: Signature) {
        if self.kept.len() == Self::WINDOW {
            self.kept.pop_front();
        }
        self.kept.push_back((number, look));
    }
}

/// A change below `NEVER` does not begin a shot; one of `ALWAYS` or more does. The threshold between them depends on the
/// file.
const NEVER: f64 = 0.2;
const ALWAYS: f64 = 0.6;

/// Changes of adjacent frames within this time are one change: a fade.
const FADE_MILLIS: i64 = 800;

/// Positions (from 1) of the frames that begin a shot, without the first frame. `times` and `changes` describe consecutive
/// frames.
///
/// A shot begins at a change above a threshold that adapts to the file: the median change plus five times the median
/// deviation from it (about 3.4 standard deviations), kept within 0.2 and 0.6. So a lecture's slide changes bound
/// shots, while the constant motion of a sports match does not.
#[must_use]
pub fn cuts(times: &[Timestamp], changes: &[f64]) -> Vec<usize> {
    let Some(changes_after) = changes.get(1..) else { return Vec::new() };
    let threshold = threshold(changes_after);
    let is_change = |at: usize| changes.get(at).is_some_and(|change| *change >= threshold);
    let goes_on =
        |at: usize| is_change(at + 1) && times.get(at + 1).is_some_and(|t| t.minus(times[at]).millis() < FADE_MILLIS);
    (1..changes.len().min(times.len())).filter(|at| is_change(*at) && !goes_on(*at)).collect()
}

fn threshold(changes: &[f64]) -> f64 {
    let middle = median(changes.to_vec());
    let deviation = median(changes.iter().map(|c| (c - middle).abs()).collect());
    (middle + 5.0 * deviation).clamp(NEVER, ALWAYS)
}

/// 0 where there are no values.
fn median(mut values: Vec<f64>) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(shade: u8, one_block: u8) -> Signature {
        let mut lab = vec![[shade, 128, 128]; N_BLOCKS];
        lab[77] = [one_block, 128, 128];
        Signature::new(lab).unwrap()
    }

    #[test]
    fn a_small_change_in_one_place_is_not_nothing() {
        let (a, noisy, stroke) = (look(200, 200), look(201, 203), look(200, 185));
        assert!(a.difference(&noisy).is_nothing());
        assert!(!a.difference(&stroke).is_nothing());
        assert!(Signature::new(vec![[0; 3]; 5]).is_none());
    }

    #[test]
    fn what_comes_again_after_something_else_is_known() {
        let mut recent = Recent::default();
        recent.keep(0, look(200, 200));
        recent.keep(1, look(50, 50));
        assert_eq!(recent.find(&look(200, 201), Difference::is_nothing).map(|(number, _)| number), Some(0));
        assert_eq!(recent.find(&look(120, 120), Difference::is_nothing), None);
        for number in 2..2 + Recent::WINDOW {
            recent.keep(number, look(100, 100));
        }
        assert_eq!(recent.find(&look(200, 200), Difference::is_nothing), None, "far back is forgotten");
    }

    #[test]
    fn a_fade_is_one_cut_and_quick_cutting_is_many() {
        let cuts = |millis: i64, changes: &[f64]| {
            let times: Vec<_> = (0..changes.len()).map(|i| Timestamp::from_millis(i as i64 * millis)).collect();
            super::cuts(&times, changes)
        };
        assert_eq!(cuts(200, &[1.0, 0.0, 0.5, 0.6, 0.6, 0.5, 0.0, 0.01, 0.0, 0.02, 0.0, 0.0, 0.0, 0.0]), [5]);
        assert_eq!(cuts(200, &[1.0, 0.7, 0.0, 0.0, 0.7, 0.0, 0.0, 0.7, 0.0, 0.0]), [1, 4, 7]);
        assert_eq!(cuts(1000, &[0.9; 5]), [1, 2, 3, 4]);
        assert!(cuts(1000, &[1.0, 0.35, 0.4, 0.3, 0.38, 0.33, 0.42, 0.36]).is_empty(), "constant motion");
        assert!(cuts(1000, &[]).is_empty() && cuts(1000, &[1.0]).is_empty());
    }
}
