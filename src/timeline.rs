//! Frames and speech on one clock.

mod windows;

use crate::frame_diff::FrameScore;
use crate::media::EncodedImage;
use crate::time::{TimeRange, Timestamp};
use crate::transcript::{Segment, Transcript};

pub use windows::Load;

/// One frame of the timeline.
#[derive(Clone, Debug)]
pub struct TimelineFrame {
    /// The image, with its time on the shared clock.
    pub image: EncodedImage,
    /// Its measured values.
    pub score: FrameScore,
}

/// Frames and transcript on one clock.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// The sampled range of the source.
    pub range: TimeRange,
    /// Frames in time order.
    pub frames: Vec<TimelineFrame>,
    /// The transcript of `range`; None if there is none.
    pub transcript: Option<Transcript>,
    /// The ID of the first segment: the number of segments of the whole before those of a window; 0 for the whole.
    pub first_segment_id: usize,
}

/// A frame and the segments that start from it until the next frame, or text without times.
#[derive(Clone, Copy, Debug)]
pub struct Passage<'a> {
    /// The frame; None for segments before the first frame.
    pub frame: Option<&'a TimelineFrame>,
    /// The segments that start at or after this frame and before the next, in time order.
    pub words: &'a [Segment],
    /// The ID of the first of `words`.
    pub first_segment_id: usize,
    /// Paragraphs of a transcript without times; they stand alone, before everything else.
    pub untimed: &'a [String],
    /// From its frame or first segment until the next passage; empty for text without times.
    pub range: TimeRange,
}

impl Passage<'_> {
    /// The number of its segments or paragraphs.
    fn len(&self) -> usize {
        self.words.len() + self.untimed.len()
    }

    /// Its frame and the first `n` of its segments or paragraphs.
    fn first(self, n: usize) -> Self {
        let (words, untimed) = (&self.words[..n.min(self.words.len())], &self.untimed[..n.min(self.untimed.len())]);
        Self { words, untimed, range: TimeRange::new(self.range.start, self.split_time(n)), ..self }
    }

    /// What [`Self::first`] leaves.
    fn after(self, n: usize) -> Self {
        let (words, untimed) = (&self.words[n.min(self.words.len())..], &self.untimed[n.min(self.untimed.len())..]);
        let range = TimeRange::new(self.split_time(n), self.range.end);
        Self { frame: None, words, first_segment_id: self.first_segment_id + n.min(self.words.len()), untimed, range }
    }

    /// Where its first `n` segments end and the others begin.
    fn split_time(self, n: usize) -> Timestamp {
        let next = self.words.get(n).map(|word| word.range.start);
        next.map_or(self.range.end, |time| time.max(self.range.start).min(self.range.end))
    }
}

impl Timeline {
    /// A timeline of frames and segments, both sorted by time. Segments outside `range` are removed.
    #[must_use]
    pub fn new(range: TimeRange, mut frames: Vec<TimelineFrame>, transcript: Option<Transcript>) -> Self {
        frames.sort_by_key(|frame| frame.image.time);
        let transcript = transcript.map(|mut transcript| {
            transcript.segments.retain(|segment| segment.range.overlaps(range));
            transcript.segments.sort_by_key(|segment| segment.range.start);
            transcript
        });
        Self { range, frames, transcript, first_segment_id: 0 }
    }

    /// All segments in time order; empty without a transcript.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        self.transcript.as_ref().map_or(&[], |transcript| &transcript.segments)
    }

    /// The paragraphs of a transcript without times; empty without one.
    #[must_use]
    pub fn untimed(&self) -> &[String] {
        self.transcript.as_ref().map_or(&[], |transcript| &transcript.untimed)
    }

    /// Whether the transcript has text.
    #[must_use]
    pub fn has_words(&self) -> bool {
        !self.untimed().is_empty() || self.segments().iter().any(|segment| !segment.text.trim().is_empty())
    }

    /// The segments that start before the first frame; all of them if there is no frame.
    #[must_use]
    pub fn words_before_frames(&self) -> &[Segment] {
        let segments = self.segments();
        let n = self
            .frames
            .first()
            .map_or(segments.len(), |first| segments.partition_point(|segment| segment.range.start < first.image.time));
        &segments[..n]
    }

    /// The segments that start at or after the frame at `position` (from 0, in `frames`) and before the next. Of frames
    /// at the same time, the last one has the segments. Empty if there is no such frame.
    #[must_use]
    pub fn words_after(&self, position: usize) -> &[Segment] {
        let (Some(frame), Some(transcript)) = (self.frames.get(position), &self.transcript) else {
            return &[];
        };
        let next = self.frames.get(position + 1).map(|next| next.image.time);
        transcript.starting_in(frame.image.time, next)
    }

    /// The timeline in order: text without times, the segments before the first frame, if there are any, then each frame
    /// with its segments. Each segment and paragraph is in exactly one passage.
    pub fn passages(&self) -> impl Iterator<Item = Passage<'_>> {
        let start = TimeRange::new(self.range.start, self.range.start);
        let nothing =
            Passage { frame: None, words: &[], first_segment_id: self.first_segment_id, untimed: &[], range: start };
        let untimed = Passage { untimed: self.untimed(), ..nothing };
        let frame_time = |at: usize| self.frames.get(at).map_or(self.range.end, |frame| frame.image.time);
        let before = Passage {
            words: self.words_before_frames(),
            range: TimeRange::new(self.range.start, frame_time(0)),
            ..nothing
        };
        let head = [untimed, before].into_iter().filter(|passage| passage.len() > 0);
        let frames = self.frames.iter().enumerate();
        let mut next_id = self.first_segment_id + before.words.len();
        head.chain(frames.map(move |(at, frame)| {
            let (words, first_segment_id) = (self.words_after(at), next_id);
            next_id += words.len();
            let range = TimeRange::new(frame.image.time, frame_time(at + 1));
            Passage { frame: Some(frame), words, first_segment_id, range, ..nothing }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::ImageFormat;
    use crate::time::TimeBase;
    use crate::transcript::TranscriptSource;
    use proptest::prelude::*;

    pub(super) fn frame(frame_idx: usize, time: Timestamp) -> TimelineFrame {
        let image = EncodedImage {
            frame_idx,
            pts: time,
            time,
            width: 2,
            height: 2,
            format: ImageFormat::Jpeg,
            bytes: bytes::Bytes::from_static(b"x"),
        };
        TimelineFrame { image, score: FrameScore { sharpness: 1.0, change: 0.0 } }
    }

    pub(super) fn transcript(spans: &[(i64, i64)]) -> Transcript {
        let at = Timestamp::from_millis;
        let segments =
            spans.iter().enumerate().map(|(i, (a, b))| Segment::new(TimeRange::new(at(*a), at(*b)), i.to_string()));
        let source = TranscriptSource::Sidecar { path: "a.srt".into(), guessed_encoding: None };
        Transcript::new(source, None, segments.collect())
    }

    #[test]
    fn words_outside_the_range_are_left_out_and_running_ones_kept() {
        let at = Timestamp::from_millis;
        let timeline = Timeline::new(
            TimeRange::new(at(1000), at(2000)),
            vec![frame(0, at(1500))],
            Some(transcript(&[(0, 1000), (500, 1200), (1900, 2500), (2000, 2500)])),
        );
        let texts = |words: &[Segment]| words.iter().map(|s| s.text.clone()).collect::<Vec<_>>();
        assert_eq!(texts(timeline.words_before_frames()), ["1"]);
        assert_eq!(texts(timeline.words_after(0)), ["2"]);
        assert!(timeline.words_after(1).is_empty());
    }

    proptest! {
        #[test]
        fn each_segment_is_in_the_passage_of_the_frame_on_the_screen(
            frame_ticks in prop::collection::vec(-90_000i64..900_000, 0..12),
            spans in prop::collection::vec((-1000i64..10_000, 0i64..3000), 0..30),
        ) {
            // Frames with the time base of MPEG, segments with that of subtitles: the bases must not matter.
            let base = TimeBase::new(1, 90_000).unwrap();
            let frames = frame_ticks.iter().enumerate().map(|(i, t)| frame(i, Timestamp::new(*t, base))).collect();
            let spans: Vec<_> = spans.into_iter().map(|(a, len)| (a, a + len)).collect();
            let range = TimeRange::new(Timestamp::from_millis(-2000), Timestamp::from_millis(20_000));
            let timeline = Timeline::new(range, frames, Some(transcript(&spans)));
            let mut told: Vec<usize> = Vec::new();
            let mut last = None;
            for passage in timeline.passages() {
                for (at, word) in passage.words.iter().enumerate() {
                    prop_assert_eq!(passage.first_segment_id + at, told.len(), "IDs count the segments");
                    let shown = timeline.frames.iter().rev().find(|f| f.image.time <= word.range.start);
                    prop_assert_eq!(shown.map(|f| f.image.frame_idx), passage.frame.map(|f| f.image.frame_idx));
                    prop_assert!(last <= Some(word.range.start));
                    last = Some(word.range.start);
                    told.push(word.text.parse().unwrap());
                }
            }
            told.sort_unstable();
            prop_assert_eq!(told, (0..spans.len()).collect::<Vec<_>>());
        }
    }
}
