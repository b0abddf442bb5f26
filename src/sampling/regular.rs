//! Plans sample points that need no decoding: intervals, given times, keyframes, and the points of a scan.

use super::sample_plan::{SamplePlan, SamplePoint, check_count, thin};
use super::spec::{Sampling, SamplingSpec, range};
use crate::advice::{Advice, Setting};
use crate::error::{Error, ErrorCode, Result};
use crate::limits::Limits;
use crate::media::FrameReason;
use crate::time::{TimeRange, Timestamp};

/// Plans the sample points of [`Sampling::Interval`] and [`Sampling::At`] within `media`, the range from the first
/// frame's time to the last one's end.
///
/// `media` None is a live source without a known end: `end` or `max_frames` must then bound it, and `max_frames`
/// takes the first points, because their number is not known.
///
/// # Errors
/// [`ErrorKind::Usage`](crate::ErrorKind::Usage) for an interval of 0, an empty range, times outside of it, a live source without
/// an end, or a live source with a method that needs the times of all frames; [`ErrorKind::Limit`](crate::ErrorKind::Limit) for more points than `limits.max_frames`.
pub fn plan(options: &SamplingSpec, media: Option<TimeRange>, limits: &Limits) -> Result<SamplePlan> {
    let range = range(options, media)?;
    let (points, interval, n_before_limit) = match &options.sampling {
        Sampling::At(moments) => {
            let mut points = moments.clone();
            points.sort();
            points.dedup();
            if let Some(outside) = points.iter().find(|t| **t < range.start.min(Timestamp::ZERO) || **t >= range.end) {
                let problem = format!("{outside} is outside of the video, which ends at {}", range.end);
                let advice = "give times within the video";
                return Err(Error::setting(Setting::At, problem, advice));
            }
            let n = points.len() as u64;
            let kept = thin(n, options.max_frames)
                .map(|i| SamplePoint { at: points[i as usize], reason: FrameReason::Moment });
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
            let points = thin(n, options.max_frames).map(|i| SamplePoint { at: at(i), reason: FrameReason::Interval });
            (points.collect(), Some(*interval), n)
        }
        Sampling::Keyframes | Sampling::Scenes | Sampling::Budget => {
            let problem = "this method needs the times of all frames, which a live source does not have";
            let advice = Advice::SetTo(Setting::Sampling, "interval".to_owned());
            return Err(Error::setting(Setting::Sampling, problem, advice).with_code(ErrorCode::Unsupported));
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
    options: &SamplingSpec,
    media: TimeRange,
    keyframes: &[Timestamp],
    limits: &Limits,
) -> Result<SamplePlan> {
    let range = range(options, Some(media))?;
    let within: Vec<Timestamp> = keyframes.iter().copied().filter(|time| range.contains(*time)).collect();
    if within.is_empty() {
        let problem = format!("no keyframe from {} to {}", range.start, range.end);
        let advice = Advice::from("widen the range").or(Advice::SetTo(Setting::Sampling, "interval".to_owned()));
        return Err(Error::setting(Setting::Sampling, problem, advice));
    }
    let n = within.len() as u64;
    check_count(options.max_frames.map_or(n, |max| n.min(max as u64)), limits)?;
    let points = thin(n, options.max_frames)
        .map(|i| SamplePoint { at: within[i as usize], reason: FrameReason::Keyframe })
        .collect();
    Ok(SamplePlan { points, range, interval: None, n_before_limit: n })
}

/// Distance of the frames that are scanned at low resolution before frames are chosen, and their largest number.
const SCAN_MILLIS: i64 = 200;
const MAX_SCAN_POINTS: i64 = 15_000;

/// The sample points at which [`Sampling::Scenes`] and [`Sampling::Budget`] scan the video at low resolution, the last
/// frame included, and the range that they cover.
///
/// # Errors
/// As [`plan`].
pub fn scan_points(
    options: &SamplingSpec,
    media: TimeRange,
    last_frame: Timestamp,
) -> Result<(TimeRange, Vec<Timestamp>)> {
    if matches!(options.sampling, Sampling::Budget) && options.max_frames.is_none() {
        let problem = "a budget needs the number of frames";
        return Err(Error::setting(Setting::Sampling, problem, Advice::Set(Setting::MaxFrames)));
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

/// How many multiples of `interval` lie in `range`: the smallest n with `start + n * interval >= end`.
fn n_points(range: TimeRange, interval: Timestamp) -> Result<u64> {
    if interval <= Timestamp::ZERO {
        let advice = Advice::SetTo(Setting::Interval, "5s".to_owned());
        return Err(Error::setting(Setting::Interval, "must be longer than 0", advice));
    }
    // In ticks of the interval's own base, "length / interval, rounded up" is exact.
    let length = range.length();
    let whole = i128::from(length.floor_to(interval.base())) / i128::from(interval.ticks());
    let mut n = i64::try_from(whole).unwrap_or(i64::MAX - 1).max(0);
    while interval.times(n) < length {
        n += 1;
    }
    Ok(n.max(1).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::time::TimeBase;
    use proptest::prelude::*;

    fn options(interval: Timestamp, max_frames: Option<usize>) -> SamplingSpec {
        SamplingSpec { sampling: Sampling::Interval(interval), start: None, end: None, max_frames }
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
    fn impossible_plans_are_errors() {
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
        let at = SamplingSpec { sampling: Sampling::At(vec![second]), ..late };
        assert!(matches!(
            plan(&SamplingSpec { start: None, ..at }, Some(media(1000)), &limits),
            Err(Error { kind: ErrorKind::Usage, .. })
        ));
    }
}
