//! What a sentence cites: frame IDs, times and quotations, and what it says without them.

use crate::sentence::GroundingProblem;
use crate::time::Timestamp;
use crate::transcript::Segment;

/// Marks that open and close a quotation.
const QUOTES: [(char, char); 7] = [
    ('"', '"'),
    ('\u{201c}', '\u{201d}'),
    ('\u{201e}', '\u{201c}'),
    ('\u{ab}', '\u{bb}'),
    ('\u{300c}', '\u{300d}'),
    ('\u{300e}', '\u{300f}'),
    ('\u{201e}', '\u{201d}'),
];

/// What an answer was written from.
#[derive(Clone, Copy, Debug)]
pub struct GroundingEvidence<'a> {
    /// The index and the time of each frame, in time order.
    pub frames: &'a [(usize, Timestamp)],
    /// The speech, in time order.
    pub segments: &'a [Segment],
}

/// A time as a model wrote it: `04:12.5`, `4:12`, `1:04:12`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WrittenTime {
    text: String,
    /// Tenths of a second.
    tenths: i64,
    has_tenths: bool,
}

impl WrittenTime {
    pub fn millis(&self) -> i64 {
        self.tenths * 100
    }

    /// Whether it is the label of a time, or the label without its tenths.
    fn labels(&self, time: Timestamp) -> bool {
        let tenths = time.millis().div_euclid(100);
        if self.has_tenths { tenths == self.tenths } else { tenths.div_euclid(10) * 10 == self.tenths }
    }

    fn is_known(&self, evidence: GroundingEvidence<'_>) -> bool {
        evidence.frames.iter().any(|(_, time)| self.labels(*time))
            || evidence.segments.iter().any(|segment| self.labels(segment.range.start))
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
        if (1..=3).contains(&fraction) {
            tenths += text[at + 1..=at + 1].parse::<i64>().ok()?;
            at += 1 + fraction;
        }
        Some((Self { text: text[..at].to_owned(), tenths, has_tenths: fraction > 0 }, at))
    }
}

/// A cited time or range of times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CitedTime {
    Moment(WrittenTime),
    /// A range; without an end where it was none.
    Range(WrittenTime, Option<WrittenTime>),
}

/// What a sentence cites.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Citations {
    /// Frame IDs.
    pub frames: Vec<usize>,
    /// Times that stand beside no frame ID.
    pub times: Vec<CitedTime>,
    /// Frame IDs with the time beside them.
    timed_frames: Vec<(usize, WrittenTime)>,
    /// Ranges of frame IDs whose end is before their start, as written.
    reversed: Vec<String>,
    /// Quotations of at least one letter or digit.
    pub quotations: Vec<String>,
    /// The sentence without its citations.
    pub claim: String,
}

impl Citations {
    pub fn parse(text: &str) -> Self {
        let mut found = Self::default();
        let mut rest = text;
        let mut before = ' ';
        // The frame ID just read: a time after it, with nothing but a comma between, is its time.
        let mut last_frame = None;
        while let Some(c) = rest.chars().next() {
            let is_free = !before.is_alphanumeric() && before != ':' && before != '.';
            if c == '#'
                && is_free
                && let Some((idx, n)) = frame_id(rest)
            {
                found.frames.push(idx);
                rest = &rest[n..];
                before = '0';
                last_frame = Some(idx);
                let (end, n) = range_end(rest, frame_id);
                if let Some(end) = end {
                    if end < idx {
                        found.reversed.push(format!("#{idx} to #{end}"));
                    }
                    found.frames.push(end);
                    last_frame = None;
                    rest = &rest[n..];
                }
                continue;
            }
            if c.is_ascii_digit()
                && is_free
                && let Some((time, n)) = WrittenTime::parse(rest)
            {
                rest = &rest[n..];
                before = '0';
                if let Some(idx) = last_frame.take() {
                    found.timed_frames.push((idx, time));
                    continue;
                }
                let (end, n) = range_end(rest, WrittenTime::parse);
                found.times.push(match end {
                    Some(end) => CitedTime::Range(time, Some(end)),
                    None => CitedTime::Moment(time),
                });
                rest = &rest[n..];
                continue;
            }
            if !matches!(c, ',' | ' ' | '@' | 't' | '=') {
                last_frame = None;
            }
            found.claim.push(c);
            before = c;
            rest = &rest[c.len_utf8()..];
        }
        found.quotations = quotations(&found.claim);
        found
    }

    /// Takes over what another sentence cites.
    pub fn cite_as(&mut self, other: &Self) {
        self.frames.clone_from(&other.frames);
        self.times.clone_from(&other.times);
        self.timed_frames.clone_from(&other.timed_frames);
        self.reversed.clone_from(&other.reversed);
    }

    /// Whether it cites nothing.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.times.is_empty()
    }

    /// Whether a frame is cited, by its ID or by its time alone.
    pub fn cites_frame(&self, evidence: GroundingEvidence<'_>) -> bool {
        let is_cited = |time: Timestamp| self.written_times().any(|written| written.labels(time));
        evidence.frames.iter().any(|(idx, time)| self.frames.contains(idx) || is_cited(*time))
    }

    /// What is wrong with the citations themselves.
    pub fn problems(&self, evidence: GroundingEvidence<'_>) -> Vec<GroundingProblem> {
        let mut problems = Vec::new();
        let time_of = |wanted: usize| evidence.frames.iter().find(|(idx, _)| *idx == wanted).map(|(_, time)| *time);
        for frame in &self.frames {
            if time_of(*frame).is_none() {
                problems.push(GroundingProblem::UnknownFrame { frame_idx: *frame });
            }
        }
        for (frame, written) in &self.timed_frames {
            if time_of(*frame).is_some_and(|time| !written.labels(time)) {
                problems.push(GroundingProblem::OtherFrameTime { frame_idx: *frame, time: written.text.clone() });
            }
        }
        problems.extend(self.reversed.iter().map(|range| GroundingProblem::ReversedRange { range: range.clone() }));
        for cited in &self.times {
            if let CitedTime::Range(from, Some(to)) = cited
                && to.tenths < from.tenths
            {
                problems.push(GroundingProblem::ReversedRange { range: format!("{} to {}", from.text, to.text) });
            }
        }
        for time in self.written_times().filter(|time| !time.is_known(evidence)) {
            problems.push(GroundingProblem::UnknownTime { time: time.text.clone() });
        }
        problems
    }

    /// The times that no frame and no line has, in milliseconds.
    pub fn unknown_times(&self, evidence: GroundingEvidence<'_>) -> Vec<i64> {
        self.written_times().filter(|time| !time.is_known(evidence)).map(WrittenTime::millis).collect()
    }

    fn written_times(&self) -> impl Iterator<Item = &WrittenTime> {
        self.times
            .iter()
            .flat_map(|cited| match cited {
                CitedTime::Moment(time) => [Some(time), None],
                CitedTime::Range(from, to) => [Some(from), to.as_ref()],
            })
            .flatten()
    }
}

/// `#17` at the start of a text.
fn frame_id(text: &str) -> Option<(usize, usize)> {
    let digits = text.strip_prefix('#')?;
    let n = digits.bytes().take_while(u8::is_ascii_digit).count();
    let ends = !digits[n..].starts_with(char::is_alphabetic);
    Some((digits[..n].parse().ok().filter(|_| ends)?, n + 1))
}

/// The end of a range whose start was just read: a dash or "to", then the end. The number of bytes that both take.
fn range_end<T>(text: &str, parse: impl Fn(&str) -> Option<(T, usize)>) -> (Option<T>, usize) {
    let trimmed = text.trim_start();
    let marks = ["-", "\u{2013}", "\u{2014}", "~", "to ", "until ", "and "];
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

/// Whether a quotation begins in the text and does not end.
pub(super) fn is_quotation_open(text: &str) -> bool {
    let mut open: Option<char> = None;
    for c in text.chars() {
        open = match open {
            Some(mark) if QUOTES.contains(&(mark, c)) => None,
            None if QUOTES.iter().any(|(mark, _)| *mark == c) => Some(c),
            before => before,
        };
    }
    open.is_some()
}

fn quotations(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((at, open)) = rest.char_indices().find(|(_, c)| QUOTES.iter().any(|(open, _)| open == c)) {
        let inside = &rest[at + open.len_utf8()..];
        let is_close = |c: char| QUOTES.iter().any(|(o, close)| *o == open && *close == c);
        let Some(end) = inside.find(is_close) else { break };
        let quotation = inside[..end].trim().trim_end_matches(['.', ',', '!', '?', ';', ':', '\u{2026}']);
        if quotation.chars().any(char::is_alphanumeric) {
            found.push(quotation.to_owned());
        }
        rest = &inside[end..];
        rest = &rest[rest.chars().next().map_or(0, char::len_utf8)..];
    }
    found
}
