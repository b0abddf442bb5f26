//! Chooses sample points from a low-resolution scan of the video.

use std::collections::BTreeMap;

use super::sample_plan::{SamplePlan, SamplePoint, check_count};
use super::spec::{Sampling, SamplingSpec};
use crate::error::Result;
use crate::frame_diff::{self, Difference, FrameScore, Recent, Signature};
use crate::limits::Limits;
use crate::media::FrameReason;
use crate::time::{TimeRange, Timestamp};

/// A frame of the low-resolution scan.
#[derive(Clone, Debug)]
pub struct Scanned {
    /// Presentation time on the shared clock.
    pub time: Timestamp,
    /// Its score; the change is from the previous scanned frame.
    pub score: FrameScore,
    /// Its signature.
    pub look: Signature,
}

/// Maximum share of a budget, in tenths, for points that only limit the longest gap.
const FLOOR_TENTHS: usize = 3;

/// A shot is represented by the sharpest frame of its first two seconds, after a transition and before later changes.
const SETTLE_MILLIS: i64 = 2000;

/// Chooses among `scanned` (in time order, all in `range`) for [`Sampling::Scenes`] and [`Sampling::Budget`].
///
/// A budget of `n` frames is spent in this order: the first and the last frame; one frame of each shot, new shots before
/// repetitions of recent ones, stronger changes first; points that limit the longest gap, at most three tenths of the
/// budget; and the rest where the video changes most. With `F` = 0.3 `n` rounded down (at least 1), no two adjacent points
/// are further apart than the range's length divided by `F`, plus the longest distance between two scanned frames: a gap
/// of length `g` needs `ceil(g F / length) - 1` points, and the sum of these over all gaps is below `F`, wherever the other
/// points are.
///
/// # Errors
/// [`ErrorKind::Limit`](crate::ErrorKind::Limit) for more points than `limits.max_frames`.
pub fn choose(options: &SamplingSpec, range: TimeRange, scanned: &[Scanned], limits: &Limits) -> Result<SamplePlan> {
    let shots = shots(scanned);
    let n_shots = shots.len();
    let max = options.max_frames.unwrap_or(usize::MAX);
    let (chosen, n_before_limit) = match options.sampling {
        Sampling::Budget => (budget(scanned, shots, max), scanned.len() as u64),
        _ => (strongest(shots, max).map(|shot| (shot.shown_by, FrameReason::Scene)).collect(), n_shots as u64),
    };
    check_count(chosen.len() as u64, limits)?;
    let points = chosen.into_iter().map(|(i, reason)| SamplePoint { at: scanned[i].time, reason }).collect();
    Ok(SamplePlan { points, range, interval: None, n_before_limit })
}

/// Consecutive scanned frames without a cut between them.
struct ScannedShot {
    /// Position of the frame that represents it.
    shown_by: usize,
    /// The change at its start, 0 to 1.
    change: f64,
    /// Whether it repeats a recent shot.
    is_repeated: bool,
}

fn shots(scanned: &[Scanned]) -> Vec<ScannedShot> {
    let times: Vec<_> = scanned.iter().map(|frame| frame.time).collect();
    let changes: Vec<_> = scanned.iter().map(|frame| frame.score.change).collect();
    let cuts = frame_diff::cuts(&times, &changes);
    let starts: Vec<usize> = (!scanned.is_empty()).then_some(0).into_iter().chain(cuts).collect();
    let mut recent = Recent::default();
    let shot = |(number, start): (usize, &usize)| {
        let end = starts.get(number + 1).copied().unwrap_or(scanned.len());
        let settling = |frame: &Scanned| frame.time.minus(scanned[*start].time).millis() <= SETTLE_MILLIS;
        let settled = start + scanned[*start..end].partition_point(settling);
        let shown_by = sharpest(scanned, *start, settled).unwrap_or(*start);
        let is_repeated = recent.find(&scanned[shown_by].look, Difference::is_alike).is_some();
        recent.keep(number, scanned[shown_by].look.clone());
        ScannedShot { shown_by, change: changes[*start], is_repeated }
    };
    starts.iter().enumerate().map(shot).collect()
}

/// The `max` best shots, best first: new ones before repeated ones, then by change.
fn strongest(mut shots: Vec<ScannedShot>, max: usize) -> impl Iterator<Item = ScannedShot> {
    // The sort is stable: of equal shots the earlier comes first.
    shots.sort_by(|a, b| a.is_repeated.cmp(&b.is_repeated).then(b.change.total_cmp(&a.change)));
    shots.into_iter().take(max)
}

/// Positions in `scanned` with their reasons: `n` of them, or all where there are fewer.
fn budget(scanned: &[Scanned], shots: Vec<ScannedShot>, n: usize) -> BTreeMap<usize, FrameReason> {
    let mut chosen = BTreeMap::new();
    let Some(last) = scanned.len().checked_sub(1) else { return chosen };
    if n == 1 {
        // One frame of the best shot.
        chosen.extend(strongest(shots, 1).map(|shot| (shot.shown_by, FrameReason::Scene)));
        return chosen;
    }
    chosen.insert(0, FrameReason::First);
    chosen.entry(last).or_insert(FrameReason::Last);
    let n_floor = (n.saturating_mul(FLOOR_TENTHS) / 10).max(1);
    // Limiting the gaps needs at most `n_floor - 1` points.
    let n_shots = (n + 1).saturating_sub(chosen.len() + n_floor);
    let mut n_taken = 0;
    for shot in strongest(shots, usize::MAX) {
        if n_taken == n_shots {
            break;
        }
        if let std::collections::btree_map::Entry::Vacant(free) = chosen.entry(shot.shown_by) {
            free.insert(FrameReason::Scene);
            n_taken += 1;
        }
    }
    lay_floor(scanned, &mut chosen, n_floor);
    fill(scanned, &mut chosen, n);
    chosen
}

/// Adds the fewest points that limit every gap to the `n_floor`th part of the whole.
fn lay_floor(scanned: &[Scanned], chosen: &mut BTreeMap<usize, FrameReason>, n_floor: usize) {
    let seconds = |i: usize| scanned[i].time.secs_f64();
    let longest = (seconds(scanned.len() - 1) - seconds(0)) / n_floor as f64;
    let ends: Vec<usize> = chosen.keys().copied().collect();
    for pair in ends.windows(2) {
        let (from, to) = (seconds(pair[0]), seconds(pair[1]));
        let n_parts = ((to - from) / longest).ceil();
        if longest <= 0.0 || n_parts < 2.0 {
            continue;
        }
        let part = (to - from) / n_parts;
        // Points may move this far, towards sharper frames, without exceeding the limit.
        let slack = (longest - part) / 2.0;
        for k in 1..n_parts as usize {
            let target = from + part * k as f64;
            let inner = pair[0] + 1..pair[1];
            let at = |seconds_of: f64| {
                inner.start + scanned[inner.clone()].partition_point(|f| f.time.secs_f64() < seconds_of)
            };
            let (begin, end) = (at(target - slack), at(target + slack));
            let nearest = || {
                let after = at(target);
                let distance = |i: &usize| (seconds(*i) - target).abs();
                (after.saturating_sub(1)..=after)
                    .filter(|i| inner.contains(i))
                    .min_by(|a, b| distance(a).total_cmp(&distance(b)))
            };
            if let Some(i) = sharpest(scanned, begin, end).or_else(nearest) {
                chosen.entry(i).or_insert(FrameReason::Floor);
            }
        }
    }
}

/// Adds points until there are `n`. Each time the gap with the largest share of change and time, equally weighted, is
/// halved, so that still parts get their share, too.
fn fill(scanned: &[Scanned], chosen: &mut BTreeMap<usize, FrameReason>, n: usize) {
    let all_change: f64 = scanned.iter().skip(1).map(|frame| frame.score.change).sum();
    let all_time = scanned[scanned.len() - 1].time.minus(scanned[0].time).secs_f64();
    let share = |part: f64, all: f64| if all > 0.0 { part / all } else { 0.0 };
    let mut so_far = vec![0.0];
    for pair in scanned.windows(2) {
        let step =
            share(pair[1].score.change, all_change) + share(pair[1].time.minus(pair[0].time).secs_f64(), all_time);
        so_far.push(so_far[so_far.len() - 1] + step);
    }
    let mut ends: Vec<usize> = chosen.keys().copied().collect();
    while ends.len() < n.min(scanned.len()) {
        let width = |at: &usize| so_far[ends[*at + 1]] - so_far[ends[*at]];
        let has_room = |at: &usize| ends[at + 1] - ends[*at] > 1;
        // Reversed, so that of equal gaps the earliest is halved.
        let widest = (0..ends.len().saturating_sub(1)).rev().filter(has_room);
        let Some(widest) = widest.max_by(|a, b| width(a).total_cmp(&width(b))) else { break };
        let (from, to) = (ends[widest], ends[widest + 1]);
        let half = f64::midpoint(so_far[from], so_far[to]);
        let middle = so_far.partition_point(|sum| *sum < half).clamp(from + 1, to - 1);
        chosen.insert(middle, FrameReason::Activity);
        ends.insert(widest + 1, middle);
    }
}

/// The sharpest of the frames from `begin` until before `end`, the earliest of equals.
fn sharpest(scanned: &[Scanned], begin: usize, end: usize) -> Option<usize> {
    let sharpness = |i: &usize| scanned[*i].score.sharpness;
    (begin..end).rev().max_by(|a, b| sharpness(a).total_cmp(&sharpness(b)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame_diff::SIGNATURE_BLOCKS;
    use proptest::prelude::*;

    /// Frames at `millis`; those in `cuts` (positions) begin something new, the others move by `drift`.
    fn video(millis: &[i64], cuts: &[usize], drift: f64) -> Vec<Scanned> {
        let n_blocks = SIGNATURE_BLOCKS.0 * SIGNATURE_BLOCKS.1;
        let scanned = millis.iter().enumerate().map(|(i, t)| {
            let shot = cuts.iter().filter(|cut| **cut <= i).count();
            let change = if i == 0 || cuts.contains(&i) { 0.9 } else { drift };
            Scanned {
                time: Timestamp::from_millis(*t),
                score: FrameScore { sharpness: ((i * 37) % 11) as f64, change },
                look: Signature::new(vec![[(shot * 40 % 256) as u8, 128, 128]; n_blocks]).unwrap(),
            }
        });
        scanned.collect()
    }

    fn chosen(sampling: Sampling, max: Option<usize>, scanned: &[Scanned]) -> SamplePlan {
        let end = scanned[scanned.len() - 1].time.plus(Timestamp::from_millis(1));
        let options = SamplingSpec { sampling, start: None, end: None, max_frames: max };
        choose(&options, TimeRange::new(scanned[0].time, end), scanned, &Limits::default()).unwrap()
    }

    proptest! {
        #[test]
        fn a_budget_is_spent_and_its_longest_gap_is_bounded(
            steps in prop::collection::vec(1i64..3000, 1..400),
            picks in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
            drift in 0.0f64..0.2,
            n in 1usize..80,
        ) {
            let mut millis = vec![500];
            for step in &steps { millis.push(millis[millis.len() - 1] + step); }
            let cuts: Vec<usize> = picks.iter().map(|i| i.index(millis.len())).collect();
            let scanned = video(&millis, &cuts, drift);
            let plan = chosen(Sampling::Budget, Some(n), &scanned);
            let at = plan.moments();
            prop_assert_eq!(at.len(), n.min(scanned.len()));
            prop_assert!(at.windows(2).all(|w| w[0] < w[1]));
            prop_assert!(at.iter().all(|t| scanned.iter().any(|s| s.time == *t)));
            if n >= 2 {
                prop_assert_eq!((at[0], at[at.len() - 1]), (scanned[0].time, scanned[scanned.len() - 1].time));
                let length = millis[millis.len() - 1] - millis[0];
                let bound = length as f64 / (n * 3 / 10).max(1) as f64 + *steps.iter().max().unwrap() as f64;
                let longest = at.windows(2).map(|w| w[1].minus(w[0]).millis()).max().unwrap_or(0);
                prop_assert!(longest as f64 <= bound + 1.0, "{longest} ms, bound {bound} ms, {at:?}");
                let n_floor = plan.points.iter().filter(|p| p.reason == FrameReason::Floor).count();
                prop_assert!(n_floor * 10 <= n * 3);
            }
        }

        #[test]
        fn each_shot_is_seen(lengths in prop::collection::vec(5usize..40, 1..30)) {
            let mut cuts = Vec::new();
            let mut n = 0;
            for length in &lengths { n += length; cuts.push(n); }
            cuts.pop();
            let millis: Vec<i64> = (0..n as i64).map(|i| i * 200).collect();
            let scanned = video(&millis, &cuts, 0.01);
            let seen = |plan: &SamplePlan| {
                let ends = cuts.iter().copied().chain([n]);
                let starts = std::iter::once(0).chain(cuts.iter().copied());
                starts.zip(ends).filter(|(a, b)| plan.points.iter().any(|p| (*a..*b).any(|i| scanned[i].time == p.at))).count()
            };
            let scenes = chosen(Sampling::Scenes, None, &scanned);
            prop_assert_eq!((scenes.points.len(), seen(&scenes)), (lengths.len(), lengths.len()));
            // Two thirds of a budget for them are enough.
            let budget = chosen(Sampling::Budget, Some(lengths.len() * 3 / 2 + 3), &scanned);
            prop_assert_eq!(seen(&budget), lengths.len());
        }
    }

    #[test]
    fn a_quiet_hour_is_not_left_out_for_a_wild_minute() {
        // One minute of cuts every second, then an hour of nothing.
        let millis: Vec<i64> = (0..18_300).map(|i| i * 200).collect();
        let cuts: Vec<usize> = (1..60).map(|i| i * 5).collect();
        let plan = chosen(Sampling::Budget, Some(30), &video(&millis, &cuts, 0.001));
        let longest = plan.longest_gap().unwrap();
        assert!(longest <= Timestamp::from_millis(3_660_000 / 9 + 200), "{longest}");
        let n_in_minute = plan.points.iter().filter(|p| p.at < Timestamp::from_millis(60_000)).count();
        assert!((18..=22).contains(&n_in_minute), "{n_in_minute}");
    }

    #[test]
    fn what_was_shown_before_comes_after_what_is_new() {
        // Shots A, B, A, B, C: the second A and B change as much as C does.
        let millis: Vec<i64> = (0..50).map(|i| i * 200).collect();
        let mut scanned = video(&millis, &[10, 20, 30, 40], 0.0);
        for i in 20..40 {
            scanned[i].look = scanned[i - 20].look.clone();
        }
        let plan = chosen(Sampling::Scenes, Some(3), &scanned);
        let shots: Vec<i64> = plan.points.iter().map(|p| p.at.millis() / 2000).collect();
        assert_eq!(shots, [0, 1, 4]);
    }
}
