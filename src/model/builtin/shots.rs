//! The shots among sampled frames.

use crate::time::TimeRange;
use crate::timeline::Timeline;

/// Shots told at most: the strongest changes bound them.
const MAX_SHOTS: usize = 12;
/// A change below the first never begins a shot, one from the second on always does. Between them decides what is
/// usual in this file.
const NEVER: f64 = 0.2;
const ALWAYS: f64 = 0.6;

/// What follows a change sooner than this belongs to it: a fade, or a cut too quick to tell.
const SHORTEST_MILLIS: i64 = 800;

/// Consecutive frames that show one thing.
pub(super) struct Shot {
    /// From its first frame to the next shot's, the last to the end of the timeline.
    pub range: TimeRange,
    /// Number of frames in it.
    pub n_frames: usize,
    /// Position of its sharpest frame in the timeline; the earliest of equals.
    pub sharpest: usize,
}

/// The shots, and how many more changes would have bounded one.
pub(super) struct Found {
    pub shots: Vec<Shot>,
    pub n_weaker: usize,
}

/// Cuts the frames at changes above a threshold that follows the file: the median change plus five times the median
/// deviation from it (about 3.4 standard deviations), kept within 0.2 and 0.6. So a lecture's slide changes bound
/// shots, while the constant motion of a sports match does not.
pub(super) fn find(timeline: &Timeline) -> Found {
    let frames = &timeline.frames;
    if frames.is_empty() {
        return Found { shots: Vec::new(), n_weaker: 0 };
    }
    let changes: Vec<f64> = frames.iter().skip(1).map(|f| f.score.change).collect();
    let threshold = threshold(&changes);
    let millis = |from: usize, to: usize| frames[to].image.time.minus(frames[from].image.time).millis();
    let mut cuts: Vec<usize> = (1..frames.len()).filter(|at| changes[at - 1] >= threshold).collect();
    let followed: Vec<usize> = cuts.windows(2).filter(|w| millis(w[0], w[1]) < SHORTEST_MILLIS).map(|w| w[0]).collect();
    cuts.retain(|at| followed.binary_search(at).is_err());
    let n_weaker = cuts.len().saturating_sub(MAX_SHOTS - 1);
    if n_weaker > 0 {
        // A stable sort: of equals the earlier stays.
        cuts.sort_by(|a, b| changes[b - 1].total_cmp(&changes[a - 1]));
        cuts.truncate(MAX_SHOTS - 1);
        cuts.sort_unstable();
    }
    let starts: Vec<usize> = std::iter::once(0).chain(cuts).collect();
    let shots = starts.iter().enumerate().map(|(i, &first)| {
        let next = starts.get(i + 1).copied();
        let members = first..next.unwrap_or(frames.len());
        let end = next.map_or(timeline.range.end, |next| frames[next].image.time);
        let sharpest = members.clone().rev().max_by(|a, b| {
            let sharpness = |at: &usize| frames[*at].score.sharpness;
            sharpness(a).total_cmp(&sharpness(b))
        });
        Shot {
            range: TimeRange::new(frames[first].image.time, end),
            n_frames: members.len(),
            sharpest: sharpest.unwrap_or(first),
        }
    });
    Found { shots: shots.collect(), n_weaker }
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
    use crate::media::{EncodedImage, FrameScore, ImageFormat};
    use crate::time::Timestamp;
    use crate::timeline::TimelineFrame;
    use proptest::prelude::*;

    fn timeline(changes: &[f64]) -> Timeline {
        timeline_every(1000, changes)
    }

    fn timeline_every(millis: i64, changes: &[f64]) -> Timeline {
        let at = |i: usize| Timestamp::from_millis(i as i64 * millis);
        let frames = changes.iter().enumerate().map(|(i, change)| TimelineFrame {
            image: EncodedImage {
                frame_idx: i,
                pts: at(i),
                time: at(i),
                width: 1,
                height: 1,
                format: ImageFormat::Jpeg,
                bytes: bytes::Bytes::new(),
            },
            // The third of each four is the sharpest.
            score: FrameScore { sharpness: if i % 4 == 2 { 9.0 } else { 1.0 }, change: *change },
        });
        Timeline::new(TimeRange::new(at(0), at(changes.len())), frames.collect(), None)
    }

    #[test]
    fn slides_are_shots_and_their_sharpest_frames_found() {
        let found = find(&timeline(&[1.0, 0.01, 0.02, 0.0, 0.45, 0.01, 0.02, 0.01, 0.3, 0.0]));
        let told: Vec<_> = found.shots.iter().map(|s| (s.range.start.millis(), s.n_frames, s.sharpest)).collect();
        assert_eq!(told, [(0, 4, 2), (4000, 4, 6), (8000, 2, 8)]);
        assert_eq!(found.shots[2].range.end.millis(), 10_000);
    }

    #[test]
    fn constant_motion_is_one_shot_and_constant_cutting_is_many() {
        assert_eq!(find(&timeline(&[0.35, 0.4, 0.3, 0.38, 0.33, 0.42, 0.36])).shots.len(), 1);
        let found = find(&timeline(&[0.9; 40]));
        assert_eq!((found.shots.len(), found.n_weaker), (MAX_SHOTS, 28));
    }

    #[test]
    fn a_fade_is_one_change() {
        let found =
            find(&timeline_every(200, &[1.0, 0.0, 0.5, 0.6, 0.6, 0.5, 0.0, 0.01, 0.0, 0.02, 0.0, 0.0, 0.0, 0.0]));
        let starts: Vec<_> = found.shots.iter().map(|s| s.range.start.millis()).collect();
        assert_eq!(starts, [0, 1000]);
    }

    proptest! {
        #[test]
        fn every_frame_is_in_one_shot(changes in prop::collection::vec(0.0f64..=1.0, 0..60)) {
            let found = find(&timeline(&changes));
            prop_assert_eq!(found.shots.iter().map(|s| s.n_frames).sum::<usize>(), changes.len());
            prop_assert!(found.shots.len() <= MAX_SHOTS);
            prop_assert!(found.shots.windows(2).all(|w| w[0].range.end == w[1].range.start));
            let sharpest_at = |s: &Shot| Timestamp::from_millis(s.sharpest as i64 * 1000);
            prop_assert!(found.shots.iter().all(|s| s.range.contains(sharpest_at(s))));
        }
    }
}
