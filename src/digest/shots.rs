//! Groups sampled frames into shots.

use crate::frame_diff;
use crate::time::TimeRange;
use crate::timeline::Timeline;

/// Maximum number of shots; the strongest changes separate them.
const MAX_SHOTS: usize = 12;
/// Consecutive frames of one shot.
pub(super) struct Shot {
    /// From its first frame to the next shot's, the last to the end of the timeline.
    pub range: TimeRange,
    /// Number of frames in it.
    pub n_frames: usize,
    /// Position of its sharpest frame in the timeline; the earliest of equals.
    pub sharpest: usize,
}

/// The shots, and the number of further changes that were ignored.
pub(super) struct Found {
    pub shots: Vec<Shot>,
    pub n_weaker: usize,
}

/// Cuts the frames where shots begin ([`frame_diff::cuts`]); where there are too many, at the strongest changes.
pub(super) fn find(timeline: &Timeline) -> Found {
    let frames = &timeline.frames;
    if frames.is_empty() {
        return Found { shots: Vec::new(), n_weaker: 0 };
    }
    let times: Vec<_> = frames.iter().map(|f| f.image.time).collect();
    let changes: Vec<f64> = frames.iter().map(|f| f.score.change).collect();
    let mut cuts = frame_diff::cuts(&times, &changes);
    let n_weaker = cuts.len().saturating_sub(MAX_SHOTS - 1);
    if n_weaker > 0 {
        // A stable sort: of equals the earlier stays.
        cuts.sort_by(|a, b| changes[*b].total_cmp(&changes[*a]));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame_diff::FrameScore;
    use crate::media::{EncodedImage, ImageFormat};
    use crate::time::Timestamp;
    use crate::timeline::TimelineFrame;
    use proptest::prelude::*;

    fn timeline(changes: &[f64]) -> Timeline {
        let at = |i: usize| Timestamp::from_millis(i as i64 * 1000);
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
