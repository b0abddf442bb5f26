//! What a sentence cites: frame IDs, times and quotations, and what it says without them.

use std::ops::Range;

use super::evidence::GroundingEvidence;
use crate::citation_syntax::{TimeLabel, frame_id, id_range_end, may_follow, range_end, segment_id, written_time};
use crate::sentence::GroundingProblem;
use crate::time::Timestamp;

/// Marks that open and close a quotation.
const QUOTES: [(char, char); 8] = [
    ('"', '"'),
    ('\u{201c}', '\u{201d}'),
    ('\u{201e}', '\u{201c}'),
    ('\u{201e}', '\u{201d}'),
    ('\u{ab}', '\u{bb}'),
    ('\u{bb}', '\u{ab}'),
    ('\u{300c}', '\u{300d}'),
    ('\u{300e}', '\u{300f}'),
];
/// Citations and quotations of one sentence that are read.
const MAX_CITED: usize = 32;

/// A time as a model wrote it: `04:12.5`, `4:12`, `1:04:12`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WrittenTime {
    text: String,
    label: TimeLabel,
}

impl WrittenTime {
    pub fn millis(&self) -> i64 {
        self.label.tenths * 100
    }

    /// Reads a time at the start of `text`; the number of bytes that it takes.
    fn parse(text: &str) -> Option<(Self, usize)> {
        written_time(text).map(|(label, n)| (Self { text: text[..n].to_owned(), label }, n))
    }
}

/// A cited time, or a range of times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CitedTime {
    from: WrittenTime,
    to: Option<WrittenTime>,
}

/// What looks like a citation.
enum Mark {
    /// A frame ID, with the end of a range of IDs, or with a time beside it.
    Frame {
        idx: usize,
        to: Option<usize>,
        time: Option<WrittenTime>,
    },
    Time(CitedTime),
    /// The ID of a segment, with the end of a range of IDs.
    Segment {
        id: usize,
        to: Option<usize>,
    },
}

impl Mark {
    fn is_known(&self, evidence: &GroundingEvidence) -> bool {
        match self {
            Self::Frame { idx, .. } => evidence.frame_time(*idx).is_some(),
            Self::Time(time) => evidence.has_label(time.from.label),
            Self::Segment { id, .. } => evidence.has_segment(*id),
        }
    }

    /// Reads a mark at the start of `text`; the number of bytes that it takes.
    fn parse(text: &str) -> Option<(Self, usize)> {
        if let Some((idx, mut n)) = frame_id(text) {
            let to = id_range_end(&text[n..], frame_id);
            n += to.map_or(0, |(_, n_more)| n_more);
            let beside = text[n..].trim_start_matches([',', ' ', '@', 't', '=']);
            let time = if to.is_none() { WrittenTime::parse(beside) } else { None };
            if let Some((_, n_time)) = time {
                n = text.len() - beside.len() + n_time;
            }
            return Some((Self::Frame { idx, to: to.map(|(to, _)| to), time: time.map(|(time, _)| time) }, n));
        }
        if let Some((id, n)) = segment_id(text) {
            let to = id_range_end(&text[n..], segment_id);
            return Some((Self::Segment { id, to: to.map(|(to, _)| to) }, n + to.map_or(0, |(_, n_more)| n_more)));
        }
        let (from, n) = WrittenTime::parse(text)?;
        let (to, n_more) = range_end(&text[n..], WrittenTime::parse).unzip();
        Some((Self::Time(CitedTime { from, to }), n + n_more.unwrap_or(0)))
    }
}

/// What a sentence cites.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Citations {
    /// Ranges of frame IDs, the end included; one ID is a range of itself.
    frames: Vec<(usize, usize)>,
    /// Times that stand beside no frame ID.
    times: Vec<CitedTime>,
    /// Frame IDs with the time beside them.
    timed_frames: Vec<(usize, WrittenTime)>,
    /// Ranges of segment IDs, the end included; one ID is a range of itself.
    segments: Vec<(usize, usize)>,
    /// Reversed ranges of IDs, such as `#9 to #3`.
    reversed: Vec<String>,
    /// Quotations of at least one letter or digit.
    pub quotations: Vec<String>,
    /// The sentence without its citations.
    pub claim: String,
}

impl Citations {
    /// Reads the citations of a sentence. What looks like one within a quotation is none; outside of brackets it is one if
    /// it is known, or if nothing is cited in brackets: "the #1 priority, at 10:30 (04:12.5)".
    pub fn parse(text: &str, evidence: &GroundingEvidence) -> Self {
        let marks = marks(text);
        let has_bracketed = marks.iter().any(|(_, _, is_bracketed)| *is_bracketed);
        let mut found = Self::default();
        let mut at = 0;
        for (mark, range, is_bracketed) in marks {
            if !is_bracketed && has_bracketed && !mark.is_known(evidence) {
                continue;
            }
            found.claim.push_str(&text[at..range.start]);
            at = range.end;
            found.add(mark);
        }
        found.claim.push_str(&text[at..]);
        for range in quotations(&found.claim).into_iter().take(MAX_CITED) {
            let quotation = found.claim[range].trim().trim_end_matches(['.', ',', '!', '?', ';', ':']).trim_end();
            if quotation.chars().any(char::is_alphanumeric) {
                found.quotations.push(quotation.to_owned());
            }
        }
        found
    }

    fn add(&mut self, mark: Mark) {
        match mark {
            Mark::Time(time) if self.times.len() < MAX_CITED && !self.times.contains(&time) => self.times.push(time),
            Mark::Frame { idx, to, time } if self.frames.len() < MAX_CITED => {
                let to = to.unwrap_or(idx);
                if to < idx {
                    self.reversed.push(format!("#{idx} to #{to}"));
                }
                self.frames.push((idx, to.max(idx)));
                self.timed_frames.extend(time.map(|time| (idx, time)));
            }
            Mark::Segment { id, to } if self.segments.len() < MAX_CITED => {
                let to = to.unwrap_or(id);
                if to < id {
                    self.reversed.push(format!("s{id} to s{to}"));
                }
                self.segments.push((id, to.max(id)));
            }
            _ => {}
        }
    }

    /// Takes over what another sentence cites.
    pub fn cite_as(&mut self, other: &Self) {
        self.frames.clone_from(&other.frames);
        self.times.clone_from(&other.times);
        self.timed_frames.clone_from(&other.timed_frames);
        self.segments.clone_from(&other.segments);
        self.reversed.clone_from(&other.reversed);
    }

    /// Adds what a following fragment without words cites.
    pub fn extend(&mut self, other: Self) {
        let room = MAX_CITED.saturating_sub(self.frames.len());
        self.frames.extend(other.frames.into_iter().take(room));
        let room = MAX_CITED.saturating_sub(self.times.len());
        self.times.extend(other.times.into_iter().take(room));
        let room = MAX_CITED.saturating_sub(self.segments.len());
        self.segments.extend(other.segments.into_iter().take(room));
        let room = MAX_CITED.saturating_sub(self.timed_frames.len());
        self.timed_frames.extend(other.timed_frames.into_iter().take(room));
        let room = MAX_CITED.saturating_sub(self.reversed.len());
        self.reversed.extend(other.reversed.into_iter().take(room));
    }

    /// Whether it cites nothing.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.times.is_empty() && self.segments.is_empty()
    }

    /// Whether a frame is cited, by its ID or by its time alone.
    pub fn cites_frame(&self, evidence: &GroundingEvidence) -> bool {
        self.frames.iter().any(|(idx, _)| evidence.frame_time(*idx).is_some())
            || self.written_times().any(|time| evidence.has_frame_label(time.label))
    }

    /// The cited frames and segments that exist, by ID, in order; of cited times, the frames then, and the segments then and
    /// shortly after.
    pub fn known(&self, evidence: &GroundingEvidence) -> (Vec<usize>, Vec<usize>) {
        let frames = self.frames.iter().flat_map(|(from, to)| *from..=(*to).min(from.saturating_add(MAX_CITED)));
        let mut frames: Vec<usize> = frames.filter(|idx| evidence.frame_time(*idx).is_some()).collect();
        frames.extend(self.written_times().flat_map(|time| evidence.frames_with_label(time.label)));
        let segments = self.segments.iter().flat_map(|(from, to)| *from..=(*to).min(from.saturating_add(MAX_CITED)));
        let mut segments: Vec<usize> = segments.filter(|id| evidence.has_segment(*id)).collect();
        let at_times = self
            .times
            .iter()
            .flat_map(|time| evidence.segments_at(time.from.millis(), time.to.as_ref().unwrap_or(&time.from).millis()));
        segments.extend(at_times.take(MAX_CITED));
        for ids in [&mut frames, &mut segments] {
            ids.sort_unstable();
            ids.dedup();
        }
        (frames, segments)
    }

    /// The segments of the cited speech: those at the cited times and frames, and shortly after.
    pub fn segments(&self, evidence: &GroundingEvidence) -> Vec<Range<usize>> {
        let millis = |idx: usize| evidence.frame_time(idx).map(Timestamp::millis);
        let frames = self.frames.iter().filter_map(|(from, to)| Some((millis(*from)?, millis(*to)?)));
        let times = self.times.iter().map(|time| (time.from.millis(), time.to.as_ref().unwrap_or(&time.from).millis()));
        let by_time = frames.chain(times).map(|(from, to)| evidence.segments_at(from, to));
        by_time.chain(self.segments.iter().filter_map(|(from, to)| evidence.segments_from(*from, *to))).collect()
    }

    /// What is wrong with the citations themselves.
    pub fn problems(&self, evidence: &GroundingEvidence) -> Vec<GroundingProblem> {
        let mut problems = Vec::new();
        for frame_idx in self.frames.iter().flat_map(|(from, to)| [*from, *to]) {
            let problem = GroundingProblem::UnknownFrame { frame_idx };
            if evidence.frame_time(frame_idx).is_none() && !problems.contains(&problem) {
                problems.push(problem);
            }
        }
        for id in self.segments.iter().flat_map(|(from, to)| [*from, *to]) {
            let problem = GroundingProblem::UnknownSegment { segment_id: id };
            if !evidence.has_segment(id) && !problems.contains(&problem) {
                problems.push(problem);
            }
        }
        for (frame, written) in &self.timed_frames {
            if evidence.frame_time(*frame).is_some_and(|time| !written.label.is_of(time.label_tenths())) {
                problems.push(GroundingProblem::OtherFrameTime { frame_idx: *frame, time: written.text.clone() });
            }
        }
        problems.extend(self.reversed.iter().map(|range| GroundingProblem::ReversedRange { range: range.clone() }));
        for CitedTime { from, to } in &self.times {
            if let Some(to) = to.as_ref().filter(|to| to.label.tenths < from.label.tenths) {
                problems.push(GroundingProblem::ReversedRange { range: format!("{} to {}", from.text, to.text) });
            }
        }
        for time in self.unknown_times(evidence) {
            problems.push(GroundingProblem::UnknownTime { time: time.text.clone() });
        }
        problems
    }

    /// The times that no frame and no line has.
    pub fn unknown_times<'a>(&'a self, evidence: &'a GroundingEvidence) -> impl Iterator<Item = &'a WrittenTime> {
        self.written_times().filter(|time| !evidence.has_label(time.label))
    }

    fn written_times(&self) -> impl Iterator<Item = &WrittenTime> {
        self.times.iter().flat_map(|time| std::iter::once(&time.from).chain(&time.to))
    }
}

/// What looks like a citation outside of quotations, in order: with its place, and whether it stands in brackets.
fn marks(text: &str) -> Vec<(Mark, Range<usize>, bool)> {
    let mut quoted = quotations(text).into_iter().peekable();
    let (mut marks, mut at, mut depth, mut before) = (Vec::new(), 0, 0_usize, ' ');
    while let Some(c) = text[at..].chars().next() {
        if let Some(range) = quoted.next_if(|range| range.start <= at) {
            at = range.end.max(at);
            before = ' ';
            continue;
        }
        let may_begin = may_follow(before) && (c == '#' || c == 's' || c.is_ascii_digit());
        let mark = if may_begin { Mark::parse(&text[at..]) } else { None };
        if let Some((mark, n)) = mark {
            marks.push((mark, at..at + n, depth > 0));
            at += n;
            before = '0';
            continue;
        }
        match c {
            '(' | '[' | '\u{ff08}' | '\u{3010}' => depth += 1,
            ')' | ']' | '\u{ff09}' | '\u{3011}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        before = c;
        at += c.len_utf8();
    }
    marks
}

/// The insides of the quotations of a text. A `"` after a digit opens none: it stands for inches.
pub(super) fn quotations(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut open: Option<(char, usize)> = None;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match open {
            Some((mark, start)) if QUOTES.contains(&(mark, c)) => {
                found.push(start..at);
                open = None;
            }
            None if !(c == '"' && before.is_ascii_digit()) && QUOTES.iter().any(|(mark, _)| *mark == c) => {
                open = Some((c, at + c.len_utf8()));
            }
            _ => {}
        }
        before = c;
    }
    found
}
