//! Splits a timeline into consecutive windows, each small enough for one request; pure.

use super::{Passage, Timeline};
use crate::time::{TimeRange, Timestamp};
use crate::transcript::{Segment, Transcript};

/// The size of evidence, or the size that a request may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Frames.
    pub n_frames: u64,
    /// Bytes of their images, before Base64.
    pub n_bytes: u64,
    /// Tokens of images and text.
    pub n_tokens: u64,
    /// Milliseconds of the recording.
    pub n_millis: u64,
}

impl Load {
    /// The sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            n_frames: self.n_frames.saturating_add(other.n_frames),
            n_bytes: self.n_bytes.saturating_add(other.n_bytes),
            n_tokens: self.n_tokens.saturating_add(other.n_tokens),
            n_millis: self.n_millis.saturating_add(other.n_millis),
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            n_frames: self.n_frames.saturating_sub(other.n_frames),
            n_bytes: self.n_bytes.saturating_sub(other.n_bytes),
            n_tokens: self.n_tokens.saturating_sub(other.n_tokens),
            n_millis: self.n_millis.saturating_sub(other.n_millis),
        }
    }

    /// Whether each part is at most that of `most`.
    #[must_use]
    pub fn fits(self, most: Self) -> bool {
        self.n_frames <= most.n_frames
            && self.n_bytes <= most.n_bytes
            && self.n_tokens <= most.n_tokens
            && self.n_millis <= most.n_millis
    }

    /// The largest share of `most` that any part takes.
    fn share(self, most: Self) -> f64 {
        let share = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
        share(self.n_frames, most.n_frames)
            .max(share(self.n_bytes, most.n_bytes))
            .max(share(self.n_tokens, most.n_tokens))
            .max(share(self.n_millis, most.n_millis))
    }
}

/// A split position: the number of paragraphs without times, frames and segments before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "counts, named as everywhere")]
struct Cut {
    n_untimed: usize,
    n_frames: usize,
    n_segments: usize,
}

/// A part that is not split: a passage, or a piece of one that is too large.
struct WindowItem {
    end: Cut,
    load: Load,
    /// How bad a window's end after this part is, 0 to 1: worst within a segment, best in a pause before a new shot.
    end_cost: f64,
}

/// A pause of this length is as good a place for a cut as a longer one.
const LONG_PAUSE_MILLIS: f64 = 2000.0;
/// How far a cut may move for a better place, as a share of a window.
const MOVE_SHARE: f64 = 0.2;

impl Timeline {
    /// Splits the timeline into the smallest number of consecutive windows of at most `most`, of about the same size; at
    /// least one. A passage stays whole if it fits; otherwise it is split between segments. A single frame or segment
    /// that exceeds `most` is a window of its own.
    ///
    /// `weigh` returns the size of a passage; more segments must not be smaller. The ranges of the windows cover the
    /// timeline's range without gaps: each starts with its first frame or segment, the first one with the timeline. Where
    /// there is a choice, a window ends in a pause of the speech and before a change of the picture.
    #[must_use]
    pub fn windows(&self, most: Load, weigh: impl Fn(Passage<'_>) -> Load) -> Vec<Self> {
        let mut units = self.units(most, weigh);
        self.weigh_ends(&mut units);
        let mut cuts = vec![Cut::default()];
        cuts.extend(ends(&units, most).into_iter().map(|end| units[end - 1].end));
        if cuts.len() <= 2 {
            return vec![self.clone()];
        }
        cuts.windows(2).map(|pair| self.part(pair[0], pair[1])).collect()
    }

    /// Splits the timeline in two: between passages if there are several, otherwise between the frame and its segments, or
    /// between segments. None if it has only one frame or segment.
    #[must_use]
    pub fn halves(&self) -> Option<(Self, Self)> {
        let (n_untimed, n_segments) = (self.untimed().len(), self.segments().len());
        let end = Cut { n_untimed, n_frames: self.frames.len(), n_segments };
        let mut ends = Vec::new();
        let mut at = Cut::default();
        for passage in self.passages() {
            at = at.behind(passage);
            ends.push(at);
        }
        let middle = if ends.len() > 1 {
            ends[ends.len() / 2 - 1]
        } else if end.n_untimed + end.n_frames + end.n_segments > 1 {
            Cut { n_untimed: end.n_untimed / 2, n_frames: end.n_frames, n_segments: end.n_segments / 2 }
        } else {
            return None;
        };
        Some((self.part(Cut::default(), middle), self.part(middle, end)))
    }

    fn units(&self, most: Load, weigh: impl Fn(Passage<'_>) -> Load) -> Vec<WindowItem> {
        let mut units = Vec::new();
        let mut at = Cut::default();
        for passage in self.passages() {
            let mut rest = passage;
            loop {
                // As many segments or paragraphs as fit; at least one if there is no frame.
                let fits = |n: usize| weigh(rest.first(n)).fits(most);
                let n = largest(rest.len(), fits).max(usize::from(rest.frame.is_none() && rest.len() > 0));
                at = at.behind(rest.first(n));
                units.push(WindowItem { end: at, load: weigh(rest.first(n)), end_cost: 0.0 });
                rest = rest.after(n);
                if rest.len() == 0 {
                    break;
                }
            }
        }
        units
    }

    /// Sets how bad each end is.
    fn weigh_ends(&self, units: &mut [WindowItem]) {
        let segments = self.segments();
        // The latest end of each segment and those before it.
        let mut last_ends: Vec<i64> = segments.iter().map(|segment| segment.range.end.millis()).collect();
        for at in 1..last_ends.len() {
            last_ends[at] = last_ends[at].max(last_ends[at - 1]);
        }
        for unit in units {
            let cut = self.time_at(unit.end).millis();
            let n_before = segments.partition_point(|segment| segment.range.start.millis() < cut);
            let pause = n_before.checked_sub(1).map_or(i64::MAX, |last| cut - last_ends[last]);
            if pause < 0 {
                unit.end_cost = 1.0;
                continue;
            }
            let pause = (pause as f64 / LONG_PAUSE_MILLIS).min(1.0);
            let change = self.frames.get(unit.end.n_frames).map_or(0.0, |frame| frame.score.change.clamp(0.0, 1.0));
            unit.end_cost = 0.25 * (1.0 - pause) + 0.25 * (1.0 - change);
        }
    }

    fn part(&self, from: Cut, to: Cut) -> Self {
        let transcript = self.transcript.as_ref().map(|transcript| Transcript {
            segments: transcript.segments[from.n_segments..to.n_segments].to_vec(),
            untimed: transcript.untimed[from.n_untimed..to.n_untimed].to_vec(),
            source: transcript.source.clone(),
            language: transcript.language.clone(),
            likely_language: transcript.likely_language.clone(),
            levels: None,
            ..*transcript
        });
        // Text without times is about the whole.
        let is_untimed = (from.n_frames, from.n_segments) == (to.n_frames, to.n_segments);
        let range = if is_untimed { self.range } else { TimeRange::new(self.time_at(from), self.time_at(to)) };
        let first_segment_id = self.first_segment_id + from.n_segments;
        Self { range, frames: self.frames[from.n_frames..to.n_frames].to_vec(), transcript, first_segment_id }
    }

    /// The start time of the part after a split position.
    fn time_at(&self, cut: Cut) -> Timestamp {
        if (cut.n_frames, cut.n_segments) == (0, 0) {
            return self.range.start;
        }
        let frame = self.frames.get(cut.n_frames).map(|frame| frame.image.time);
        let segment: Option<&Segment> = self.segments().get(cut.n_segments);
        let next = [frame, segment.map(|segment| segment.range.start)].into_iter().flatten().min();
        next.map_or(self.range.end, |time| time.max(self.range.start).min(self.range.end))
    }
}

impl Cut {
    fn behind(self, passage: Passage<'_>) -> Self {
        Self {
            n_untimed: self.n_untimed + passage.untimed.len(),
            n_frames: self.n_frames + usize::from(passage.frame.is_some()),
            n_segments: self.n_segments + passage.words.len(),
        }
    }
}

/// The largest `n` up to `most` for which `fits` holds, which must then hold for all smaller ones; 0 if there is none.
fn largest(most: usize, fits: impl Fn(usize) -> bool) -> usize {
    if fits(most) {
        return most;
    }
    let (mut low, mut high) = (0, most);
    while high - low > 1 {
        let middle = low.midpoint(high);
        *(if fits(middle) { &mut low } else { &mut high }) = middle;
    }
    low
}

/// The end positions of the windows, in items: as few as possible, of about the same size.
fn ends(units: &[WindowItem], most: Load) -> Vec<usize> {
    let n = units.len();
    let (mut sums, mut shares) = (vec![Load::default()], vec![0.0]);
    for unit in units {
        sums.push(sums[sums.len() - 1].plus(unit.load));
        shares.push(shares[shares.len() - 1] + unit.load.share(most));
    }
    // The furthest end of a window that starts at `from`.
    let furthest = |from: usize| from + largest(n - from, |k| sums[from + k].minus(sums[from]).fits(most)).max(1);
    // The minimum number of windows from each position on; it decreases.
    let mut needs = vec![0_usize; n + 1];
    for from in (0..n).rev() {
        needs[from] = 1 + needs[furthest(from)];
    }
    let mut ends = Vec::with_capacity(needs[0]);
    let mut from = 0;
    for left in (1..=needs[0]).rev() {
        let even = shares[from] + (shares[n] - shares[from]) / left as f64;
        let over = shares.partition_point(|share| *share < even).min(n);
        let is_under_nearer = over > 0 && even - shares[over - 1] <= shares[over] - even;
        let nearest = if is_under_nearer { over - 1 } else { over };
        let first = needs.partition_point(|need| *need > left - 1).max(from + 1);
        // Each remaining window needs an item.
        let last = furthest(from).min(n - (left - 1));
        let nearest = nearest.min(last).max(first);
        let most_moved = (even - shares[from]) * MOVE_SHARE;
        let cost = |end: usize| units[end - 1].end_cost + 0.25 * (shares[end] - even).abs() / most_moved;
        let near = |end: &usize| (shares[*end] - even).abs() <= most_moved;
        let best = (first..=last).filter(|end| *end < n && near(end)).min_by(|a, b| cost(*a).total_cmp(&cost(*b)));
        // The last window ends with the timeline.
        from = if left == 1 { nearest } else { best.unwrap_or(nearest) };
        ends.push(from);
    }
    ends
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{frame, transcript};
    use super::*;

    const MOST: Load = Load { n_frames: u64::MAX, n_bytes: u64::MAX, n_tokens: u64::MAX, n_millis: u64::MAX };

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn timeline(frames: &[i64], spans: &[(i64, i64)]) -> Timeline {
        let frames = frames.iter().enumerate().map(|(i, millis)| frame(i, at(*millis))).collect();
        Timeline::new(TimeRange::new(at(-5000), at(100_000)), frames, Some(transcript(spans)))
    }

    /// A frame is one byte and ten tokens, each segment its own number of tokens.
    fn weigh(passage: Passage<'_>) -> Load {
        let n_frames = u64::from(passage.frame.is_some());
        let words: u64 = passage.words.iter().map(|word| word.range.length().millis() as u64).sum();
        Load {
            n_frames,
            n_bytes: n_frames,
            n_tokens: 10 * n_frames + words,
            n_millis: passage.range.length().millis() as u64,
        }
    }

    fn sizes(n_frames: i64, most: u64) -> Vec<usize> {
        let frames: Vec<i64> = (0..n_frames).map(|n| n * 1000).collect();
        let most = Load { n_frames: most, n_bytes: 1000, n_tokens: 10_000, ..MOST };
        timeline(&frames, &[]).windows(most, weigh).iter().map(|window| window.frames.len()).collect()
    }

    #[test]
    fn no_window_is_tiny() {
        for (n_frames, n_windows) in [(23, 5), (21, 5), (11, 3), (26, 6)] {
            let mut sizes = sizes(n_frames, 5);
            sizes.sort_unstable();
            assert_eq!(sizes.len(), n_windows, "{n_frames} frames: {sizes:?}");
            assert!(sizes[n_windows - 1] - sizes[0] <= 1, "{n_frames} frames: {sizes:?}");
        }
        assert_eq!(sizes(10, 5), [5, 5]);
        assert_eq!(sizes(6, 5), [3, 3]);
        assert_eq!(sizes(5, 5), [5]);
        assert_eq!(sizes(0, 5), [0], "one empty window");
        assert_eq!(sizes(3, 0), [1, 1, 1], "what is too large is alone");
    }

    #[test]
    fn a_passage_that_is_too_long_is_cut_between_its_words() {
        let spans: Vec<(i64, i64)> = (0..10).map(|n| (n * 100, n * 100 + 10)).collect();
        let most = Load { n_frames: 9, n_bytes: 9, n_tokens: 45, ..MOST };
        let windows = timeline(&[0], &spans).windows(most, weigh);
        let shape: Vec<_> = windows.iter().map(|w| (w.frames.len(), w.segments().len())).collect();
        assert_eq!(shape, [(1, 3), (0, 4), (0, 3)]);
        assert_eq!(windows[1].range, TimeRange::new(at(300), at(700)));
    }

    #[test]
    fn text_without_times_comes_first_and_is_cut_between_its_paragraphs() {
        let mut whole = timeline(&[0, 1000], &[]);
        whole.transcript.as_mut().expect("a transcript").untimed = (0..5).map(|n| n.to_string()).collect();
        let most = Load { n_frames: 9, n_bytes: 9, n_tokens: 20, ..MOST };
        let weigh = |passage: Passage<'_>| Load { n_tokens: 9 * passage.untimed.len() as u64, ..weigh(passage) };
        let windows = whole.windows(most, weigh);
        let shape: Vec<_> =
            windows.iter().map(|w| (w.untimed().len(), w.frames.len(), w.range == whole.range)).collect();
        assert_eq!(shape, [(2, 0, true), (2, 0, true), (1, 2, true)]);
        assert_eq!(windows.iter().flat_map(|w| w.untimed().to_vec()).collect::<Vec<_>>(), whole.untimed());
        let (first, second) = windows[0].halves().expect("two");
        assert_eq!((first.untimed().len(), second.untimed().len(), first.halves().is_none()), (1, 1, true));
    }

    #[test]
    fn windows_end_in_pauses_and_before_new_shots() {
        // Frames every 10 s. The speech pauses before the frames at 90 and 200 s; a segment spans every other one.
        let frames: Vec<i64> = (0..30).map(|n| n * 10_000).collect();
        let spans: Vec<(i64, i64)> = (0..30)
            .map(|n| (n * 10_000 + 1000, n * 10_000 + if [8, 19].contains(&n) { 7000 } else { 11_000 }))
            .collect();
        let frames = frames.iter().enumerate().map(|(i, millis)| frame(i, at(*millis))).collect();
        let mut whole = Timeline::new(TimeRange::new(at(0), at(300_000)), frames, Some(transcript(&spans)));
        whole.frames[15].score.change = 0.9;
        let most = Load { n_frames: 12, ..MOST };
        let ends = |whole: &Timeline| -> Vec<i64> {
            whole.windows(most, weigh).iter().map(|window| window.range.end.millis() / 1000).collect()
        };
        assert_eq!(ends(&whole), [90, 200, 300]);
        // Without speech the change of the picture decides.
        whole.transcript = None;
        let most = Load { n_frames: 16, ..MOST };
        assert_eq!(
            whole.windows(most, weigh).iter().map(|w| w.range.end.millis() / 1000).collect::<Vec<_>>(),
            [150, 300]
        );
        // The length alone splits, too.
        let most = Load { n_millis: 100_000, ..MOST };
        assert_eq!(whole.windows(most, weigh).len(), 3);
        assert!(whole.windows(most, weigh).iter().all(|window| window.range.length().millis() <= 100_000));
    }

    #[test]
    fn halves_end_at_single_things() {
        let whole = timeline(&[0, 1000, 2000], &[(1500, 1600), (2500, 2600)]);
        let (first, second) = whole.halves().expect("two");
        assert_eq!((first.frames.len(), second.frames.len()), (1, 2));
        let (second, third) = second.halves().expect("two");
        assert_eq!((second.segments().len(), third.segments().len()), (1, 1));
        let (frame, words) = third.halves().expect("a frame and a word");
        assert_eq!((frame.frames.len(), frame.segments().len()), (1, 0));
        assert_eq!((words.frames.len(), words.segments().len()), (0, 1));
        assert!(frame.halves().is_none() && words.halves().is_none());
        assert_eq!((words.range.start, words.range.end), (at(2500), at(100_000)));
    }

    proptest! {
        #[test]
        fn each_thing_is_in_exactly_one_window(
            frames in prop::collection::vec(0_i64..50_000, 0..40),
            spans in prop::collection::vec((-2000_i64..60_000, 0_i64..40), 0..60),
            most_frames in 1_u64..8, most_tokens in 10_u64..120,
            most_millis in 1000_u64..200_000,
        ) {
            let spans: Vec<_> = spans.into_iter().map(|(start, length)| (start, start + length)).collect();
            let whole = timeline(&frames, &spans);
            let most = Load { n_frames: most_frames, n_bytes: 1000, n_tokens: most_tokens, n_millis: most_millis };
            let windows = whole.windows(most, weigh);
            let ids: Vec<usize> = windows.iter().flat_map(|w| &w.frames).map(|f| f.image.frame_idx).collect();
            let expected: Vec<usize> = whole.frames.iter().map(|f| f.image.frame_idx).collect();
            prop_assert_eq!(ids, expected);
            let words: Vec<&str> = windows.iter().flat_map(Timeline::segments).map(|s| s.text.as_str()).collect();
            let expected: Vec<&str> = whole.segments().iter().map(|s| s.text.as_str()).collect();
            prop_assert_eq!(words, expected);
            prop_assert_eq!(windows[0].range.start, whole.range.start);
            prop_assert_eq!(windows[windows.len() - 1].range.end, whole.range.end);
            for pair in windows.windows(2) {
                prop_assert_eq!(pair[0].range.end, pair[1].range.start);
            }
            for window in &windows {
                let load = window.passages().map(weigh).fold(Load::default(), Load::plus);
                let n_things = window.frames.len() + window.segments().len();
                prop_assert!(load.fits(most) || n_things == 1, "{:?} of {} things", load, n_things);
                prop_assert!(n_things > 0 || windows.len() == 1);
            }
            // A frame stays with its segments if they fit together.
            for passage in whole.passages().filter(|p| p.frame.is_some() && weigh(*p).fits(most)) {
                let id = passage.frame.map(|f| f.image.frame_idx);
                let kept = windows.iter().flat_map(Timeline::passages).find(|p| p.frame.map(|f| f.image.frame_idx) == id);
                prop_assert_eq!(kept.map(|p| p.words.len()), Some(passage.words.len()));
            }
        }
    }
}
