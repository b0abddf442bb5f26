//! The result of sampling: sample points and their reasons.

use crate::advice::{Advice, Setting};
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::media::FrameReason;
use crate::time::{TimeRange, Timestamp};

/// One sample point: a time and why it was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SamplePoint {
    /// The time on the shared clock.
    pub at: Timestamp,
    /// Why this time was chosen.
    pub reason: FrameReason,
}

/// The sample points of one run.
#[derive(Clone, Debug)]
pub struct SamplePlan {
    /// In time order.
    pub points: Vec<SamplePoint>,
    /// The range that they cover.
    pub range: TimeRange,
    /// Distance of the points before `max_frames` was applied; None where they are not equally spaced.
    pub interval: Option<Timestamp>,
    /// Number of points before `max_frames` was applied.
    pub n_before_limit: u64,
}

impl SamplePlan {
    /// The times of the sample points, in time order.
    #[must_use]
    pub fn moments(&self) -> Vec<Timestamp> {
        self.points.iter().map(|point| point.at).collect()
    }

    /// Whether `max_frames` left out points.
    #[must_use]
    pub fn is_thinned(&self) -> bool {
        (self.points.len() as u64) < self.n_before_limit
    }

    /// Why the frame with presentation time `time` was sampled; None without points.
    #[must_use]
    pub fn reason(&self, time: Timestamp) -> Option<FrameReason> {
        let next = self.points.partition_point(|point| point.at < time);
        self.points.get(next).or(self.points.last()).map(|point| point.reason)
    }

    /// The longest gap between adjacent points, including both ends of the range; None without points.
    #[must_use]
    pub fn longest_gap(&self) -> Option<Timestamp> {
        let ends = self.points.first()?.at.minus(self.range.start).max(self.range.end.minus(self.points.last()?.at));
        self.points.windows(2).map(|pair| pair[1].at.minus(pair[0].at)).chain([ends]).max()
    }
}

/// `n` numbers from 0 on, or `max` of them spread evenly, the first and the last kept.
pub(super) fn thin(n: u64, max: Option<usize>) -> impl Iterator<Item = u64> {
    let kept = max.map_or(n, |max| n.min(max as u64));
    (0..kept).map(move |k| match kept {
        1 => 0,
        _ if kept == n => k,
        // Rounded to the nearest, in integers.
        _ => ((u128::from(k) * u128::from(n - 1) * 2 + u128::from(kept - 1)) / (u128::from(kept - 1) * 2)) as u64,
    })
}

pub(super) fn check_count(n: u64, limits: &Limits) -> Result<()> {
    if n > limits.max_frames as u64 {
        let problem = format!("would make {n} frames; at most {} are planned", limits.max_frames);
        return Err(Error::limit(
            "the sampling",
            problem,
            Advice::Raise(Setting::Interval).or(Advice::Set(Setting::MaxFrames)),
        ));
    }
    Ok(())
}
