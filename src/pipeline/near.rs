//! Moves sample points to the frames within a tolerance that are cheapest to decode.

use crate::error::Result;
use crate::sampling::{self, Choices};
use crate::time::{TimeRange, Timestamp, Tolerance};
use crate::video::VideoSource;

/// For each of `points` (sorted) the time of the frame within `tolerance` that is cheapest to decode; None where it shares
/// the frame of the point before. The points themselves where the tolerance is 0, or where all frames are decoded anyway.
pub(super) fn near(
    points: &[Timestamp],
    range: TimeRange,
    tolerance: Tolerance,
    video: &VideoSource,
) -> Result<Vec<Option<Timestamp>>> {
    let exact = || points.iter().copied().map(Some).collect();
    if tolerance.is_exact() {
        return Ok(exact());
    }
    let Some((index, costs)) = video.decode_costs(points)? else { return Ok(exact()) };
    let n_in_range = index.n_before(range.end);
    let choices: Vec<Choices> = sampling::reach(points, range, tolerance)
        .into_iter()
        .zip(points)
        .map(|((times, interval), point)| Choices {
            frames: index.n_before(*times.start())..n_in_range.min(index.displayed_at(*times.end()) + 1),
            displayed: index.displayed_at(*point),
            interval: index.ticks_in(interval),
        })
        .collect();
    let chosen = sampling::cheapest(&costs, &choices).into_iter();
    Ok(chosen.map(|number| number.map(|number| index.time(number))).collect())
}
