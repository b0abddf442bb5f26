//! Facts and wishes to sample points: which moments are looked at. Pure: nothing is read here.

mod choose;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::time::{TimeRange, Timestamp};

pub use choose::{Scanned, choose};

/// What the user asks for.
#[derive(Clone, Debug)]
pub struct SamplingOptions {
    /// Which moments.
    pub sampling: Sampling,
    /// First moment, on the shared clock; None is the first frame.
    pub start: Option<Timestamp>,
    /// First moment that is no longer wanted; None is the end.
    pub end: Option<Timestamp>,
    /// Most sample points; where there would be more, they are spread over the whole range.
    pub max_frames: Option<usize>,
}

/// Which moments of a range are sampled.
#[derive(Clone, Debug)]
pub enum Sampling {
    /// One at every multiple of this length from the range's start on.
    Interval(Timestamp),
    /// Exactly these.
    At(Vec<Timestamp>),
    /// The frames that can be decoded by themselves.
    Keyframes,
    /// One frame of each shot; where `max_frames` is fewer, of the shots that differ most.
    Scenes,
    /// `max_frames` frames where there is most to see, and no long stretch without any: see [`choose`].
    Budget,
}

impl Sampling {
    /// One frame per interval, from the start of the range.
    #[must_use]
    pub fn every(interval: std::time::Duration) -> Self {
        Self::Interval(Timestamp::from_nanos(i64::try_from(interval.as_nanos()).unwrap_or(i64::MAX)))
    }
}

/// Why a moment is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A multiple of the sampling interval.
    Interval,
    /// It was asked for.
    Moment,
    /// The frame is a keyframe.
    Keyframe,
    /// The range begins here.
    First,
    /// The last frame of the range.
    Last,
    /// It stands for a shot.
    Scene,
    /// Without it too long a stretch would not be seen.
    Floor,
    /// Much happens around it.
    Activity,
}

/// One moment to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SamplePoint {
    /// When, on the shared clock.
    pub at: Timestamp,
    /// Why.
    pub reason: Reason,
}

/// The moments to look at.
#[derive(Clone, Debug)]
pub struct SamplePlan {
    /// In time order.
    pub points: Vec<SamplePoint>,
    /// The range that they cover.
    pub range: TimeRange,
    /// Distance between the points before any were left out; None where they are not equally spaced.
    pub interval: Option<Timestamp>,
    /// Number of points before `max_frames` thinned them out.
    pub n_before_limit: u64,
}

impl SamplePlan {
    /// The moments alone, in time order.
    #[must_use]
    pub fn moments(&self) -> Vec<Timestamp> {
        self.points.iter().map(|point| point.at).collect()
    }

    /// Why the frame shown from `time` on was asked for.
    #[must_use]
    pub fn reason(&self, time: Timestamp) -> Option<Reason> {
        let next = self.points.partition_point(|point| point.at < time);
        self.points.get(next).or(self.points.last()).map(|point| point.reason)
    }

    /// The longest stretch between neighbouring points, the range's ends included; None without points.
    #[must_use]
    pub fn longest_gap(&self) -> Option<Timestamp> {
        let ends = self.points.first()?.at.minus(self.range.start).max(self.range.end.minus(self.points.last()?.at));
        self.points.windows(2).map(|pair| pair[1].at.minus(pair[0].at)).chain([ends]).max()
    }
}

/// Plans the sample points of [`Sampling::Interval`] and [`Sampling::At`] within `media`, the range from the first
/// frame's time to the last one's end.
///
/// `media` None is a live source without a known end: `end` or `max_frames` must then bound it, and `max_frames`
/// takes the first points, since nobody knows how many will come.
///
/// # Errors
/// [`ErrorKind::Usage`](crate::ErrorKind::Usage) for an interval of 0, an empty range, moments outside of it, a live source without bound or one
/// whose frames would have to be known beforehand; [`ErrorKind::Limit`](crate::ErrorKind::Limit) for more points than `limits.max_frames`.
pub fn plan(options: &SamplingOptions, media: Option<TimeRange>, limits: &Limits) -> Result<SamplePlan> {
    let range = range(options, media)?;
    let (points, interval, n_before_limit) = match &options.sampling {
        Sampling::At(moments) => {
            let mut points = moments.clone();
            points.sort();
            points.dedup();
            if let Some(outside) = points.iter().find(|t| **t < range.start.min(Timestamp::ZERO) || **t >= range.end) {
                let problem = format!("is outside of the video, which ends at {}", range.end);
                return Err(Error::usage(format!("--at {outside}"), problem, "ask for an earlier moment"));
            }
            let n = points.len() as u64;
            let kept =
                thin(n, options.max_frames).map(|i| SamplePoint { at: points[i as usize], reason: Reason::Moment });
            (kept.collect::<Vec<_>>(), None, n)
        }
        Sampling::Interval(interval) => {
            let n = match (n_points(range, *interval)?, media) {
                (n, None) => options.max_frames.map_or(n, |max| n.min(max as u64)),
                (n, Some(_)) => n,
            };
            let kept = options.max_frames.map_or(n, |max| n.min(max as u64));
            check_count(kept, limits)?;
            let at = |i: u64| range.start.plus(interval.times(i as i64));
            let points = thin(n, options.max_frames).map(|i| SamplePoint { at: at(i), reason: Reason::Interval });
            (points.collect(), Some(*interval), n)
        }
        Sampling::Keyframes | Sampling::Scenes | Sampling::Budget => {
            let problem = "needs frames that are known beforehand, which a live source does not have";
            return Err(Error::usage("--sampling", problem, "sample it with --interval"));
        }
    };
    check_count(points.len() as u64, limits)?;
    Ok(SamplePlan { points, range, interval, n_before_limit })
}

/// Plans [`Sampling::Keyframes`]: those of `keyframes` (sorted, on the shared clock) that begin in the range.
///
/// # Errors
/// As [`plan`]; [`ErrorKind::Usage`](crate::ErrorKind::Usage) where no keyframe is in the range.
pub fn keyframes(
    options: &SamplingOptions,
    media: TimeRange,
    keyframes: &[Timestamp],
    limits: &Limits,
) -> Result<SamplePlan> {
    let range = range(options, Some(media))?;
    let within: Vec<Timestamp> = keyframes.iter().copied().filter(|time| range.contains(*time)).collect();
    if within.is_empty() {
        let problem = format!("finds no keyframe from {} to {}", range.start, range.end);
        return Err(Error::usage("--sampling keyframe", problem, "widen the range, or use --interval"));
    }
    let n = within.len() as u64;
    check_count(options.max_frames.map_or(n, |max| n.min(max as u64)), limits)?;
    let points =
        thin(n, options.max_frames).map(|i| SamplePoint { at: within[i as usize], reason: Reason::Keyframe }).collect();
    Ok(SamplePlan { points, range, interval: None, n_before_limit: n })
}

/// Moments looked at in small before frames are chosen: every 200 ms, and no more than this many.
const SCAN_MILLIS: i64 = 200;
const MAX_SCAN_POINTS: i64 = 15_000;

/// The moments at which [`Sampling::Scenes`] and [`Sampling::Budget`] look at the video in small, the last frame's
/// time among them, and the range that they cover.
///
/// # Errors
/// As [`plan`].
pub fn scan_points(
    options: &SamplingOptions,
    media: TimeRange,
    last_frame: Timestamp,
) -> Result<(TimeRange, Vec<Timestamp>)> {
    if matches!(options.sampling, Sampling::Budget) && options.max_frames.is_none() {
        return Err(Error::usage("--sampling budget", "needs the number of frames", "add --max-frames"));
    }
    let range = range(options, Some(media))?;
    let step = Timestamp::from_millis(SCAN_MILLIS.max(range.length().millis() / MAX_SCAN_POINTS + 1));
    let n = n_points(range, step)?;
    let mut points: Vec<_> = (0..n).map(|i| range.start.plus(step.times(i as i64))).collect();
    if range.contains(last_frame) && points.last().is_some_and(|last| *last < last_frame) {
        points.push(last_frame);
    }
    Ok((range, points))
}

fn range(options: &SamplingOptions, media: Option<TimeRange>) -> Result<TimeRange> {
    let is_bounded =
        options.end.is_some() || options.max_frames.is_some() || matches!(options.sampling, Sampling::At(_));
    let media = match media {
        Some(media) => media,
        None if is_bounded => {
            TimeRange::new(Timestamp::ZERO, Timestamp::new(i64::MAX / 2, crate::time::TimeBase::NANOS))
        }
        None => {
            return Err(Error::usage(
                "a live source",
                "has no end",
                "say how much is wanted with --end or --max-frames",
            ));
        }
    };
    let start = options.start.map_or(media.start, |start| start.max(media.start));
    let end = options.end.map_or(media.end, |end| end.min(media.end));
    if start >= media.end {
        let problem = format!("is at or after the end of the video, {}", media.end);
        return Err(Error::usage(format!("--start {start}"), problem, "choose an earlier start"));
    }
    if end <= start {
        return Err(Error::usage(
            format!("--end {end}"),
            format!("is not after the start, {start}"),
            "choose a later end",
        ));
    }
    Ok(TimeRange::new(start, end))
}

/// How many multiples of `interval` lie in `range`: the smallest n with `start + n * interval >= end`.
fn n_points(range: TimeRange, interval: Timestamp) -> Result<u64> {
    if interval <= Timestamp::ZERO {
        return Err(Error::usage("--interval", "must be longer than 0", "write for example 5s or 500ms"));
    }
    // In ticks of the interval itself, "length / interval, rounded up" is exact: one tick of this base is a part of it.
    let length = range.length();
    let whole = i128::from(length.floor_to(interval.base())) / i128::from(interval.ticks());
    let mut n = i64::try_from(whole).unwrap_or(i64::MAX - 1).max(0);
    while interval.times(n) < length {
        n += 1;
    }
    Ok(n.max(1).unsigned_abs())
}

/// `n` numbers from 0 on, or `max` of them spread evenly, the first and the last kept.
fn thin(n: u64, max: Option<usize>) -> impl Iterator<Item = u64> {
    let kept = max.map_or(n, |max| n.min(max as u64));
    (0..kept).map(move |k| match kept {
        1 => 0,
        _ if kept == n => k,
        // Rounded to the nearest, in integers.
        _ => ((u128::from(k) * u128::from(n - 1) * 2 + u128::from(kept - 1)) / (u128::from(kept - 1) * 2)) as u64,
    })
}

fn check_count(n: u64, limits: &Limits) -> Result<()> {
    if n > limits.max_frames as u64 {
        let problem = format!("would make {n} frames; at most {} are planned", limits.max_frames);
        return Err(Error::limit("the sampling", problem, "take a longer --interval or set --max-frames"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::time::TimeBase;
    use proptest::prelude::*;

    fn options(interval: Timestamp, max_frames: Option<usize>) -> SamplingOptions {
        SamplingOptions { sampling: Sampling::Interval(interval), start: None, end: None, max_frames }
    }

    fn media(millis: i64) -> TimeRange {
        TimeRange::new(Timestamp::ZERO, Timestamp::from_millis(millis))
    }

    proptest! {
        #[test]
        fn points_are_all_multiples_within_the_range(start in -500i64..5000, length in 1i64..40_000, num in 1u32..5000, den in 1u32..3000) {
            let range = TimeRange::new(Timestamp::from_millis(start), Timestamp::from_millis(start + length));
            let interval = Timestamp::new(1, TimeBase::new(num, den).unwrap());
            prop_assume!(interval.secs_f64() > 0.002);
            let plan = plan(&options(interval, None), Some(range), &Limits::default()).unwrap();
            prop_assert_eq!(plan.points[0].at, range.start);
            for (i, point) in plan.points.iter().enumerate() {
                prop_assert!(point.at == range.start.plus(interval.times(i as i64)) && point.at < range.end);
            }
            prop_assert!(range.start.plus(interval.times(plan.points.len() as i64)) >= range.end);
        }

        #[test]
        fn a_limit_spreads_over_the_whole_range(n in 1u64..100_000, max in 1usize..300) {
            let kept: Vec<u64> = thin(n, Some(max)).collect();
            prop_assert_eq!(kept.len() as u64, n.min(max as u64));
            prop_assert_eq!(kept[0], 0);
            if kept.len() > 1 {
                prop_assert_eq!(kept[kept.len() - 1], n - 1);
                let gaps: Vec<u64> = kept.windows(2).map(|w| w[1] - w[0]).collect();
                prop_assert!(gaps.iter().max().unwrap() - gaps.iter().min().unwrap() <= 1, "{:?}", gaps);
            }
        }
    }

    #[test]
    fn what_cannot_be_planned_is_said() {
        let limits = Limits::default();
        let second = Timestamp::from_millis(1000);
        assert!(matches!(
            plan(&options(Timestamp::ZERO, None), Some(media(1000)), &limits),
            Err(Error { kind: ErrorKind::Usage, .. })
        ));
        assert!(matches!(plan(&options(second, None), None, &limits), Err(Error { kind: ErrorKind::Usage, .. })));
        assert!(matches!(
            plan(&options(Timestamp::from_millis(1), None), Some(media(10_000_000)), &limits),
            Err(Error { kind: ErrorKind::Limit, .. })
        ));
        assert_eq!(plan(&options(second, Some(3)), None, &limits).unwrap().points.len(), 3);
        assert_eq!(
            plan(&options(Timestamp::from_millis(1), Some(5)), Some(media(i64::MAX / 4000)), &limits)
                .unwrap()
                .points
                .len(),
            5
        );
        let mut late = options(second, None);
        late.start = Some(Timestamp::from_millis(1000));
        assert!(matches!(plan(&late, Some(media(1000)), &limits), Err(Error { kind: ErrorKind::Usage, .. })));
        let at = SamplingOptions { sampling: Sampling::At(vec![second]), ..late };
        assert!(matches!(
            plan(&SamplingOptions { start: None, ..at }, Some(media(1000)), &limits),
            Err(Error { kind: ErrorKind::Usage, .. })
        ));
    }
}
