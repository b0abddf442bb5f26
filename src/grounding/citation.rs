//! What a sentence cites: frame IDs, times and quotations, and what it says without them.

use std::ops::Range;

use super::evidence::{GroundingEvidence, Label, labels};
use crate::sentence::GroundingProblem;

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
    label: Label,
}

impl WrittenTime {
    pub fn millis(&self) -> i64 {
        self.label.tenths * 100
    }

    /// Reads a time at the start of `text`; the number of bytes that it takes.
    fn parse(text: &str) -> Option<(Self, usize)> {
        let n_digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let mut fields = Vec::new();
        let mut at = 0;
        loop {
            let n = n_digits(&text[at..]);
            let is_first = fields.is_empty();
            if n == 0 || n > 3 || !is_first && n != 2 {
                return None;
            }
            fields.push(text[at..at + n].parse::<i64>().ok()?);
            at += n;
            let goes_on = text[at..].starts_with(':') && n_digits(&text[at + 1..]) == 2;
            if !goes_on || fields.len() == 3 {
                break;
            }
            at += 1;
        }
        if fields.len() < 2 || fields[1..].iter().any(|field| *field >= 60) {
            return None;
        }
        let mut tenths = fields.iter().fold(0, |sum, field| sum * 60 + field) * 10;
        let fraction = text[at..].strip_prefix('.').map_or(0, n_digits);
        let has_tenths = (1..=3).contains(&fraction);
        if has_tenths {
            tenths += text[at + 1..=at + 1].parse::<i64>().ok()?;
            at += 1 + fraction;
        }
        Some((Self { text: text[..at].to_owned(), label: Label { tenths, has_tenths } }, at))
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
            Self::Frame { idx, .. } => evidence.frame_millis(*idx).is_some(),
            Self::Time(time) => evidence.has_label(time.from.label),
            Self::Segment { id, .. } => evidence.has_segment(*id),
        }
    }

    /// Reads a mark at the start of `text`; the number of bytes that it takes.
    fn parse(text: &str) -> Option<(Self, usize)> {
        if let Some((idx, mut n)) = frame_id(text) {
            let (to, n_more) = range_end(&text[n..], frame_id);
            n += n_more;
            let beside = text[n..].trim_start_matches([',', ' ', '@', 't', '=']);
            let time = if to.is_none() { WrittenTime::parse(beside) } else { None };
            if let Some((_, n_time)) = time {
                n = text.len() - beside.len() + n_time;
            }
            return Some((Self::Frame { idx, to, time: time.map(|(time, _)| time) }, n));
        }
        if let Some((id, n)) = segment_id(text) {
            let digits = |text: &str| segment_id(text).or_else(|| number(text));
            let (to, n_more) = range_end(&text[n..], digits);
            return Some((Self::Segment { id, to }, n + n_more));
        }
        let (from, n) = WrittenTime::parse(text)?;
        let (to, n_more) = range_end(&text[n..], WrittenTime::parse);
        Some((Self::Time(CitedTime { from, to }), n + n_more))
    }
}

/// What a sentence cites.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Citations {
    /// Frame IDs.
    frames: Vec<usize>,
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
                if !self.frames.contains(&idx) {
                    self.frames.push(idx);
                }
                if let Some(to) = to {
                    if to < idx {
                        self.reversed.push(format!("#{idx} to #{to}"));
                    }
                    self.frames.push(to);
                }
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

    /// Whether it cites nothing.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.times.is_empty() && self.segments.is_empty()
    }

    /// Whether a frame is cited, by its ID or by its time alone.
    pub fn cites_frame(&self, evidence: &GroundingEvidence) -> bool {
        self.frames.iter().any(|idx| evidence.frame_millis(*idx).is_some())
            || self.written_times().any(|time| evidence.has_frame_label(time.label))
    }

    /// The segments of the cited speech: those at the cited times and frames, and shortly after.
    pub fn segments(&self, evidence: &GroundingEvidence) -> Vec<Range<usize>> {
        let frames = self.frames.iter().filter_map(|idx| evidence.frame_millis(*idx)).map(|time| (time, time));
        let times = self.times.iter().map(|time| (time.from.millis(), time.to.as_ref().unwrap_or(&time.from).millis()));
        let by_time = frames.chain(times).map(|(from, to)| evidence.segments_at(from, to));
        by_time.chain(self.segments.iter().filter_map(|(from, to)| evidence.segments_from(*from, *to))).collect()
    }

    /// What is wrong with the citations themselves.
    pub fn problems(&self, evidence: &GroundingEvidence) -> Vec<GroundingProblem> {
        let mut problems = Vec::new();
        for frame in &self.frames {
            if evidence.frame_millis(*frame).is_none() {
                problems.push(GroundingProblem::UnknownFrame { frame_idx: *frame });
            }
        }
        for id in self.segments.iter().flat_map(|(from, to)| [*from, *to]) {
            let problem = GroundingProblem::UnknownSegment { segment_id: id };
            if !evidence.has_segment(id) && !problems.contains(&problem) {
                problems.push(problem);
            }
        }
        for (frame, written) in &self.timed_frames {
            if evidence.frame_millis(*frame).is_some_and(|millis| !labels(millis).contains(&written.label)) {
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
        let is_free = !before.is_alphanumeric() && before != ':' && before != '.';
        let mark =
            if is_free && (c == '#' || c == 's' || c.is_ascii_digit()) { Mark::parse(&text[at..]) } else { None };
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

/// `#17` at the start of a text.
fn frame_id(text: &str) -> Option<(usize, usize)> {
    number(text.strip_prefix('#')?).map(|(id, n)| (id, n + 1))
}

/// `s42` at the start of a text.
fn segment_id(text: &str) -> Option<(usize, usize)> {
    number(text.strip_prefix('s')?).map(|(id, n)| (id, n + 1))
}

/// A number at the start of a text that does not go on as a word.
fn number(text: &str) -> Option<(usize, usize)> {
    let n = text.bytes().take_while(u8::is_ascii_digit).count();
    let ends = !text[n..].starts_with(char::is_alphabetic);
    Some((text[..n].parse().ok().filter(|_| ends)?, n))
}

/// The end of a range whose start was just read: a dash or "to", then the end. The number of bytes that both take.
fn range_end<T>(text: &str, parse: impl Fn(&str) -> Option<(T, usize)>) -> (Option<T>, usize) {
    let trimmed = text.trim_start();
    let marks = ["-", "\u{2013}", "\u{2014}", "~", "to ", "until "];
    for mark in marks {
        if let Some(rest) = trimmed.strip_prefix(mark) {
            let rest = rest.trim_start();
            if let Some((end, n)) = parse(rest) {
                return (Some(end), text.len() - rest.len() + n);
            }
        }
    }
    (None, 0)
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
