//! Chooses, for each sample point, the frame within a tolerance that is cheapest to decode.

use std::collections::VecDeque;
use std::ops::{Range, RangeInclusive};

use crate::media::DecodeCost;
use crate::time::{TimeRange, Timestamp, Tolerance};

/// The frames that one sample point may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choices {
    /// Positions of the frames within the tolerance. Neither end is before that of the previous window.
    pub frames: Range<usize>,
    /// Position of the frame that is displayed at the sample point; it is chosen where `frames` is empty.
    pub displayed: usize,
    /// Distance to the previous sample point in ticks. The frames of both are at most twice as far apart, and less than
    /// half as far only where that saves a frame that is no keyframe.
    pub interval: i64,
}

impl Choices {
    fn choice(&self) -> Range<usize> {
        if self.frames.is_empty() { self.displayed..self.displayed + 1 } else { self.frames.clone() }
    }
}

/// The times that a frame may have for each of `points` (sorted, within `range`), and the distance to the previous point.
///
/// The distance between a point and its neighbor is the interval of `tolerance`, so that points that were thinned out
/// unevenly share the range without overlap at half of the interval.
#[must_use]
pub fn reach(
    points: &[Timestamp],
    range: TimeRange,
    tolerance: Tolerance,
) -> Vec<(RangeInclusive<Timestamp>, Timestamp)> {
    let gap = |i: usize| points.get(i + 1).map(|next| next.minus(points[i]));
    let of_point = |(i, at): (usize, &Timestamp)| {
        let (before, after) = (i.checked_sub(1).and_then(gap), gap(i));
        let before = before.or(after).unwrap_or_else(|| range.length());
        let after = after.unwrap_or(before);
        let earliest = at.minus(tolerance.within(before)).max(range.start).min(*at);
        (earliest..=at.plus(tolerance.within(after)), before)
    };
    points.iter().enumerate().map(of_point).collect()
}

/// What a choice costs, most important first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Cost {
    /// Sample points that share the frame of the previous point.
    n_repeated: u32,
    /// Frames that are no keyframes.
    n_not_key: u32,
    /// Frames that are less than half an interval after the previous one: they show nearly the same.
    n_close: u32,
    /// Frames that are decoded.
    n_decoded: i64,
    /// Sum of the distances to the displayed frames, in ticks.
    distance: i64,
}

/// For each window the position in `frames` (in presentation order) of its frame; None where it shares that of the
/// previous window, because the video has no other there.
///
/// Of all choices in time order, that with the fewest shared frames, then the most keyframes, then the fewest frames less
/// than half an interval apart, then the fewest decoded frames, then the smallest distance from the displayed frames. No two
/// consecutive frames are further than two intervals apart, except where no choice avoids that.
#[must_use]
pub fn cheapest(frames: &[DecodeCost], windows: &[Choices]) -> Vec<Option<usize>> {
    let mut layers: Vec<Layer> = Vec::with_capacity(windows.len());
    for window in windows {
        let steps = match layers.last() {
            None => window.choice().map(|at| Some((None, Cost::of(&frames[at], &frames[window.displayed])))).collect(),
            Some(before) => {
                let within = before.steps(frames, window, window.interval.saturating_mul(2));
                // The video may have no frame for so long.
                if within.iter().all(Option::is_none) { before.steps(frames, window, i64::MAX) } else { within }
            }
        };
        if let Some(before) = layers.last_mut() {
            before.costs = Vec::new();
        }
        let (from, costs) =
            steps.into_iter().map(|step| step.map_or((None, None), |(from, cost)| (from, Some(cost)))).unzip();
        layers.push(Layer { first: window.choice().start, from, costs });
    }
    trace(&layers)
}

/// The choices for one window, in positions from `first`.
struct Layer {
    first: usize,
    /// The choice before each, on the cheapest way to it; None for the first window.
    from: Vec<Option<usize>>,
    /// The least cost up to each; None where it cannot be reached. Empty once the next layer is known.
    costs: Vec<Option<Cost>>,
}

/// Follows the choices back from the cheapest end.
fn trace(layers: &[Layer]) -> Vec<Option<usize>> {
    let mut chosen = vec![None; layers.len()];
    let Some(last) = layers.last() else { return chosen };
    let reached = last.costs.iter().enumerate().filter_map(|(at, cost)| Some((last.first + at, (*cost)?)));
    let mut at = reached.min_by_key(|(_, cost)| *cost).map(|(at, _)| at);
    for (layer, place) in layers.iter().zip(&mut chosen).rev() {
        let before = at.and_then(|at| layer.from[at - layer.first]);
        *place = at.filter(|_| before != at);
        at = before;
    }
    chosen
}

impl Cost {
    /// The cost of a frame where nothing before it was decoded from the same start.
    fn of(frame: &DecodeCost, displayed: &DecodeCost) -> Self {
        Self {
            n_repeated: 0,
            n_not_key: u32::from(!frame.is_key),
            n_close: 0,
            n_decoded: i64::from(frame.n_references) + i64::from(frame.is_disposable),
            distance: frame.ticks.saturating_sub(displayed.ticks).saturating_abs(),
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            n_repeated: self.n_repeated.saturating_add(other.n_repeated),
            n_not_key: self.n_not_key + other.n_not_key,
            n_close: self.n_close + other.n_close,
            n_decoded: self.n_decoded + other.n_decoded,
            distance: self.distance.saturating_add(other.distance),
        }
    }
}

impl Layer {
    /// For each choice of the next window the cheapest way to it: the choice before it, and the cost.
    fn steps(&self, frames: &[DecodeCost], window: &Choices, max_gap: i64) -> Vec<Option<(Option<usize>, Cost)>> {
        let reached =
            || self.costs.iter().enumerate().filter_map(|(at, cost)| Some((self.first + at, (*cost)?))).peekable();
        let (mut all, mut apart) = (reached(), reached());
        let (mut before, mut apart_before) = (Before::default(), Before::default());
        let displayed = &frames[window.displayed];
        let step = |at: usize| {
            let frame = &frames[at];
            let distance = |from: usize| frame.ticks.saturating_sub(frames[from].ticks);
            let is_apart = |from: usize| distance(from) >= window.interval.saturating_add(1) / 2;
            while let Some((from, cost)) = all.next_if(|(from, _)| *from < at) {
                before.push(from, cost, frames);
            }
            while let Some((from, cost)) = apart.next_if(|(from, _)| *from < at && is_apart(*from)) {
                apart_before.push(from, cost, frames);
            }
            let alone = Cost::of(frame, displayed);
            let close = Cost { n_close: 1, ..alone };
            let again = Cost { n_repeated: 1, distance: alone.distance, ..Cost::default() };
            let is_near = |from: usize| distance(from) <= max_gap;
            let ways = [apart_before.least(frame, frames, is_near, alone), before.least(frame, frames, is_near, close)];
            let ways = ways.into_iter().flatten().map(|(from, cost)| (Some(from), cost));
            let again = all.peek().filter(|(from, _)| *from == at).map(|(_, cost)| (Some(at), cost.plus(again)));
            ways.chain(again).min_by_key(|(_, cost)| *cost)
        };
        window.choice().map(step).collect()
    }
}

/// Minimum-cost choices for the sample points so far. `same_start` has those whose decoding starts at the same packet as
/// the next frame's, without the cost of the packets that both decode.
#[derive(Default)]
struct Before {
    any: Cheapest,
    same_start: Cheapest,
}

impl Before {
    fn push(&mut self, from: usize, cost: Cost, frames: &[DecodeCost]) {
        self.any.push(from, cost);
        let n_decoded = cost.n_decoded - i64::from(frames[from].n_references);
        self.same_start.push(from, Cost { n_decoded, ..cost });
    }

    /// The cheapest way to `frame`, which costs `more`, from a choice that is near. Later calls are for later frames.
    fn least(
        &mut self,
        frame: &DecodeCost,
        frames: &[DecodeCost],
        is_near: impl Fn(usize) -> bool,
        more: Cost,
    ) -> Option<(usize, Cost)> {
        self.any.drop_until(&is_near);
        self.same_start.drop_until(|from| is_near(from) && frames[from].start == frame.start);
        let both = [self.any.least(), self.same_start.least()].into_iter().flatten();
        both.map(|(from, cost)| (from, cost.plus(more))).min_by_key(|(_, cost)| *cost)
    }
}

/// A monotonic queue: the minimum of a sliding window of positions.
#[derive(Default)]
struct Cheapest {
    /// Positions with increasing costs; the first is the minimum.
    queue: VecDeque<(usize, Cost)>,
}

impl Cheapest {
    fn push(&mut self, at: usize, cost: Cost) {
        while self.queue.back().is_some_and(|(_, before)| *before >= cost) {
            self.queue.pop_back();
        }
        self.queue.push_back((at, cost));
    }

    fn drop_until(&mut self, is_kept: impl Fn(usize) -> bool) {
        while self.queue.front().is_some_and(|(at, _)| !is_kept(*at)) {
            self.queue.pop_front();
        }
    }

    fn least(&self) -> Option<(usize, Cost)> {
        self.queue.front().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Frames with random distances in GOPs of random sizes, the numbers of reference frames growing within each.
    fn streams(max_step: i64) -> impl Strategy<Value = Vec<DecodeCost>> {
        let gop = prop::collection::vec((1..=max_step, 0u32..3, any::<bool>()), 1..8);
        (0i64..5, prop::collection::vec(gop, 1..5)).prop_map(|(first, gops)| {
            let (mut frames, mut ticks) = (Vec::new(), first);
            for gop in gops {
                let start = frames.len() as u32;
                let mut n_references = 1;
                for (i, (step, more, is_disposable)) in gop.into_iter().enumerate() {
                    let is_key = i == 0;
                    n_references += if is_key { 0 } else { more };
                    frames.push(DecodeCost {
                        ticks,
                        start,
                        n_references: if is_key { 1 } else { n_references.max(2) },
                        is_disposable: is_disposable && !is_key,
                        is_key,
                    });
                    ticks += step;
                }
            }
            frames
        })
    }

    /// Windows as the pipeline makes them, for points `interval` ticks (seconds) apart.
    fn windows(frames: &[DecodeCost], interval: i64, tolerance: Tolerance) -> (Vec<Timestamp>, Vec<Choices>) {
        let at = |ticks: i64| Timestamp::new(ticks, crate::time::TimeBase::SECONDS);
        let range = TimeRange::new(at(frames[0].ticks), at(frames[frames.len() - 1].ticks + 1));
        let points: Vec<Timestamp> =
            (0..1000).map(|i| range.start.plus(at(interval).times(i))).take_while(|point| *point < range.end).collect();
        let n_before =
            |is_before: &dyn Fn(Timestamp) -> bool| frames.partition_point(|frame| is_before(at(frame.ticks)));
        let found =
            reach(&points, range, tolerance).into_iter().zip(&points).map(|((times, interval_of), point)| Choices {
                frames: n_before(&|time| time < *times.start())..n_before(&|time| time <= *times.end()),
                displayed: n_before(&|time| time <= *point) - 1,
                interval: interval_of.ticks(),
            });
        let found = found.collect();
        (points, found)
    }

    /// The cost of a choice (positions that do not decrease), and how many gaps are too large. What is decoded is counted
    /// frame by frame.
    fn judge(frames: &[DecodeCost], windows: &[Choices], chosen: &[usize]) -> (u32, Cost) {
        let mut distinct = chosen.to_vec();
        distinct.dedup();
        let starts: std::collections::BTreeSet<u32> = distinct.iter().map(|at| frames[*at].start).collect();
        let references = starts.iter().map(|start| {
            let of_start = distinct.iter().map(|at| frames[*at]).filter(|frame| frame.start == *start);
            of_start.map(|frame| i64::from(frame.n_references)).max().unwrap_or(0)
        });
        let n_disposable = distinct.iter().filter(|at| frames[**at].is_disposable).count() as i64;
        let too_far = chosen.windows(2).zip(&windows[1..]);
        let too_far = too_far.filter(|(pair, w)| frames[pair[1]].ticks - frames[pair[0]].ticks > w.interval * 2);
        let close = chosen
            .windows(2)
            .zip(&windows[1..])
            .filter(|(pair, w)| pair[0] < pair[1] && (frames[pair[1]].ticks - frames[pair[0]].ticks) * 2 < w.interval);
        let distance = chosen.iter().zip(windows).map(|(at, w)| (frames[*at].ticks - frames[w.displayed].ticks).abs());
        let cost = Cost {
            n_repeated: (chosen.len() - distinct.len()) as u32,
            n_not_key: distinct.iter().filter(|at| !frames[**at].is_key).count() as u32,
            n_close: close.count() as u32,
            n_decoded: references.sum::<i64>() + n_disposable,
            distance: distance.sum(),
        };
        (too_far.count() as u32, cost)
    }

    /// The least cost of all choices, each tried.
    fn brute_force(frames: &[DecodeCost], windows: &[Choices], chosen: &mut Vec<usize>) -> (u32, Cost) {
        let Some(window) = windows.get(chosen.len()) else { return judge(frames, windows, chosen) };
        let from = chosen.last().copied().unwrap_or(0);
        let next = window.choice().filter(|at| *at >= from);
        let tried = next.map(|at| {
            chosen.push(at);
            let cost = brute_force(frames, windows, chosen);
            chosen.pop();
            cost
        });
        tried.min().expect("a choice")
    }

    /// The positions with those that are shared.
    fn filled(chosen: &[Option<usize>]) -> Vec<usize> {
        let mut last = None;
        chosen
            .iter()
            .map(|at| {
                last = at.or(last);
                last.expect("the first window has its own")
            })
            .collect()
    }

    fn tolerances() -> impl Strategy<Value = Tolerance> {
        let time = (0i64..12).prop_map(|s| Tolerance::Time(Timestamp::from_millis(s * 1000)));
        prop_oneof![(0u32..35_000).prop_map(Tolerance::Share), time]
    }

    proptest! {
        #[test]
        fn the_choice_costs_no_more_than_any_other(frames in streams(9), interval in 1i64..12, tolerance in tolerances()) {
            let (points, windows) = windows(&frames, interval, tolerance);
            // The number of choices grows with the power of the windows.
            let n_choices: f64 = windows.iter().map(|window| window.choice().len() as f64).product();
            prop_assume!(n_choices < 50_000.0);
            let chosen = cheapest(&frames, &windows);
            prop_assert_eq!(chosen.len(), points.len());
            prop_assert!(chosen[0].is_some());
            let positions = filled(&chosen);
            let (n_too_far, cost) = judge(&frames, &windows, &positions);
            let (least_too_far, least) = brute_force(&frames, &windows, &mut Vec::new());
            prop_assert_eq!(n_too_far, least_too_far);
            if least_too_far == 0 {
                prop_assert_eq!(cost, least);
            }
        }

        #[test]
        fn each_point_has_its_own_frame_within_the_tolerance(
            frames in streams(3), interval in 3i64..12, tolerance in tolerances(),
        ) {
            let (points, windows) = windows(&frames, interval, tolerance);
            let chosen = filled(&cheapest(&frames, &windows));
            prop_assert!(chosen.windows(2).all(|pair| pair[0] < pair[1]), "{chosen:?}");
            let interval = Timestamp::from_millis(interval * 1000);
            let at = |position: usize| Timestamp::from_millis(frames[position].ticks * 1000);
            for ((position, point), window) in chosen.iter().zip(&points).zip(&windows) {
                let distance = at(*position).minus(*point).max(point.minus(at(*position)));
                prop_assert!(distance <= tolerance.within(interval) || *position == window.displayed);
                let has_key = frames[window.choice()].iter().any(|frame| frame.is_key);
                if tolerance.within(interval).times(2) < interval {
                    prop_assert_eq!(frames[*position].is_key, has_key);
                }
            }
            for pair in chosen.windows(2) {
                prop_assert!(at(pair[1]).minus(at(pair[0])) <= interval.times(2));
            }
            if tolerance.is_exact() {
                let displayed: Vec<usize> = windows.iter().map(|window| window.displayed).collect();
                prop_assert_eq!(chosen, displayed);
            }
        }
    }

    #[test]
    fn points_that_were_thinned_out_unevenly_share_the_range() {
        let at = |ticks| Timestamp::new(ticks, crate::time::TimeBase::SECONDS);
        let range = TimeRange::new(at(0), at(20));
        let times = |points: &[i64], tolerance| -> Vec<(i64, i64, i64)> {
            let points: Vec<Timestamp> = points.iter().map(|ticks| at(*ticks)).collect();
            let found = reach(&points, range, tolerance).into_iter();
            found.map(|(times, interval)| (times.start().millis(), times.end().millis(), interval.millis())).collect()
        };
        assert_eq!(
            times(&[0, 4, 6, 16], Tolerance::HALF),
            [(0, 2000, 4000), (2000, 5000, 4000), (5000, 11_000, 2000), (11_000, 21_000, 10_000)]
        );
        assert_eq!(times(&[3], Tolerance::HALF), [(0, 13_000, 20_000)]);
        assert_eq!(times(&[3, 4], Tolerance::Time(at(9))), [(2000, 4000, 1000), (3000, 5000, 1000)]);
    }
}
