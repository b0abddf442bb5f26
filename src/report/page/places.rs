//! The frames and lines of speech that a page links to.

use std::collections::HashMap;

use crate::citation_syntax::TimeLabel;
use crate::report::{Report, TranscriptOutcome};
use crate::time::Timestamp;
use crate::transcript::Segment;

/// What a link leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum PagePlace {
    /// The frame with this index.
    Frame(usize),
    /// The line of speech at this position, from 0.
    Line(usize),
}

impl PagePlace {
    /// The ID of its element.
    pub fn id(self) -> String {
        match self {
            Self::Frame(idx) => format!("f{idx}"),
            Self::Line(at) => format!("s{at}"),
        }
    }
}

/// The frames and the lines of speech of a report by their IDs and times.
#[derive(Default)]
pub(super) struct PagePlaces {
    /// Sorted by time: tenths of a second, index.
    frames: Vec<(i64, usize)>,
    tenths_by_idx: HashMap<usize, i64>,
    /// Tenths of a second at which each line starts, sorted.
    lines: Vec<i64>,
}

impl PagePlaces {
    pub fn of(report: &Report) -> Self {
        let frames = report.frames.iter().map(|frame| (frame.frame_idx, frame.time));
        Self::new(frames, segments(report).iter().map(|segment| segment.range.start))
    }

    /// Frames by index and time, and the times at which lines start, in order.
    pub fn new(
        frames: impl IntoIterator<Item = (usize, Timestamp)>,
        lines: impl IntoIterator<Item = Timestamp>,
    ) -> Self {
        let mut frames: Vec<_> = frames.into_iter().map(|(idx, time)| (time.label_tenths(), idx)).collect();
        let tenths_by_idx = frames.iter().map(|(time, idx)| (*idx, *time)).collect();
        frames.sort_unstable();
        Self { frames, tenths_by_idx, lines: lines.into_iter().map(Timestamp::label_tenths).collect() }
    }

    /// The frame with an ID that an answer cites.
    pub fn frame(&self, idx: usize) -> Option<PagePlace> {
        self.tenths_by_idx.contains_key(&idx).then_some(PagePlace::Frame(idx))
    }

    /// The line with an ID that an answer cites.
    pub fn line(&self, at: usize) -> Option<PagePlace> {
        (at < self.lines.len()).then_some(PagePlace::Line(at))
    }

    /// The time of a frame or line, as a label; empty if there is no such place.
    pub fn label(&self, place: PagePlace) -> String {
        let tenths = match place {
            PagePlace::Frame(idx) => self.tenths_by_idx.get(&idx),
            PagePlace::Line(at) => self.lines.get(at),
        };
        tenths.map(|tenths| Timestamp::from_millis(tenths * 100).label()).unwrap_or_default()
    }

    /// Whether a frame or line has this label.
    pub fn is_labelled(&self, place: PagePlace, time: TimeLabel) -> bool {
        match place {
            PagePlace::Frame(idx) => self.tenths_by_idx.get(&idx).is_some_and(|tenths| time.is_of(*tenths)),
            PagePlace::Line(at) => self.lines.get(at).is_some_and(|tenths| time.is_of(*tenths)),
        }
    }

    /// The line or frame that is labelled with a time; of both the line, as speech is what is cited by its time alone.
    pub fn labelled(&self, time: TimeLabel) -> Option<PagePlace> {
        // The first label from the written time on is the only one that may be it.
        let line = self.lines.partition_point(|tenths| *tenths < time.tenths);
        if self.lines.get(line).is_some_and(|tenths| time.is_of(*tenths)) {
            return Some(PagePlace::Line(line));
        }
        let frame = self.frames.partition_point(|(tenths, _)| *tenths < time.tenths);
        self.frames.get(frame).filter(|(tenths, _)| time.is_of(*tenths)).map(|(_, idx)| PagePlace::Frame(*idx))
    }

    /// What is shown or said at a time: the frame, or the line where there are no frames; None in an empty report.
    pub fn at(&self, time: Timestamp) -> Option<PagePlace> {
        let tenths = time.label_tenths();
        let at = self.frames.partition_point(|(start, _)| *start <= tenths).saturating_sub(1);
        let frame = self.frames.get(at).map(|(_, idx)| PagePlace::Frame(*idx));
        let line = self.lines.partition_point(|start| *start <= tenths).saturating_sub(1);
        frame.or_else(|| (line < self.lines.len()).then_some(PagePlace::Line(line)))
    }
}

/// The segments of the transcript; empty where it has no times, or there is none.
pub(super) fn segments(report: &Report) -> &[Segment] {
    match &report.transcript {
        TranscriptOutcome::Found(transcript) => &transcript.segments,
        _ => &[],
    }
}
