//! The sampling specification: method, range and maximum number of frames.

use std::time::Duration;

use crate::advice::{Advice, Setting};
use crate::error::{Error, Result};
use crate::time::{TimeBase, TimeRange, Timestamp};

/// The sampling method, the range and the largest number of frames.
#[derive(Clone, Debug)]
pub struct SamplingSpec {
    /// The sampling method.
    pub sampling: Sampling,
    /// Start of the range (included), on the shared clock; None is the first frame.
    pub start: Option<Timestamp>,
    /// End of the range (excluded), on the shared clock; None is the end of the video.
    pub end: Option<Timestamp>,
    /// Maximum number of sample points; more are reduced evenly over the range. None is no maximum.
    pub max_frames: Option<usize>,
}

/// Frames that a live stream or an empty range gets: see [`default_max_frames`].
const MIN_LIMIT: usize = 50;
/// See [`default_max_frames`].
const MAX_LIMIT: usize = 600;

/// The maximum number of frames for a range of this length where the user gives none: `4 * sqrt(seconds)`, between 50 and
/// 600. Three minutes get 54, an hour gets 240, three hours get 416. None is a length that is not known.
#[must_use]
pub fn default_max_frames(length: Option<Timestamp>) -> usize {
    let seconds = length.map_or(0.0, Timestamp::secs_f64).max(0.0);
    ((4.0 * seconds.sqrt()).round() as usize).clamp(MIN_LIMIT, MAX_LIMIT)
}

/// How sample points are chosen in a range.
#[derive(Clone, Debug)]
pub enum Sampling {
    /// One sample point at every multiple of this interval, counted from the start of the range.
    Interval(Timestamp),
    /// These times, on the shared clock, in any order.
    At(Vec<Timestamp>),
    /// Every keyframe.
    Keyframes,
    /// One frame of each shot; where `max_frames` is smaller, of the shots that differ most.
    Scenes,
    /// `max_frames` frames where the video changes most, without long gaps: see [`choose`](super::choose).
    Budget,
}

impl Sampling {
    /// One sample point every `interval`, exact to the nanosecond.
    ///
    /// An interval of 0 is an error when the sample points are planned; one of more than 292 years counts as that.
    ///
    /// ```
    /// use std::time::Duration;
    /// use vidgist::sampling::Sampling;
    ///
    /// assert!(matches!(Sampling::every(Duration::from_secs(5)), Sampling::Interval(_)));
    /// ```
    #[must_use]
    pub fn every(interval: Duration) -> Self {
        let nanos = i64::try_from(interval.as_nanos()).unwrap_or(i64::MAX);
        Self::Interval(Timestamp::new(nanos, TimeBase::NANOS))
    }
}

impl From<Sampling> for SamplingSpec {
    /// Samples the whole video, with no maximum number of frames.
    fn from(sampling: Sampling) -> Self {
        Self { sampling, start: None, end: None, max_frames: None }
    }
}

/// The range to sample: the requested one, limited to `media`.
pub(super) fn range(options: &SamplingSpec, media: Option<TimeRange>) -> Result<TimeRange> {
    let is_bounded =
        options.end.is_some() || options.max_frames.is_some() || matches!(options.sampling, Sampling::At(_));
    let media = match media {
        Some(media) => media,
        None if is_bounded => TimeRange::new(Timestamp::ZERO, Timestamp::new(i64::MAX / 2, TimeBase::NANOS)),
        None => {
            let advice = Advice::Set(Setting::End).or(Advice::Set(Setting::MaxFrames));
            return Err(Error::usage("a live source", "has no end", advice));
        }
    };
    let start = options.start.map_or(media.start, |start| start.max(media.start));
    let end = options.end.map_or(media.end, |end| end.min(media.end));
    if start >= media.end {
        let problem = format!("{start} is at or after the end of the video, {}", media.end);
        return Err(Error::setting(Setting::Start, problem, Advice::Lower(Setting::Start)));
    }
    if end <= start {
        let problem = format!("{end} is not after the start, {start}");
        return Err(Error::setting(Setting::End, problem, Advice::Raise(Setting::End)));
    }
    Ok(TimeRange::new(start, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_number_of_frames_grows_with_the_root_of_the_length() {
        let limit = |seconds: i64| default_max_frames(Some(Timestamp::from_millis(seconds * 1000)));
        let lengths = [0, 50, 156, 180, 900, 3600, 3 * 3600, 6 * 3600 + 900, 48 * 3600];
        assert_eq!(lengths.map(limit), [50, 50, 50, 54, 120, 240, 416, 600, 600]);
        assert_eq!((default_max_frames(None), limit(-5)), (50, 50));
    }
}
