//! What an answer was written from, indexed.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;

use super::{number, word};
use crate::citation_syntax::TimeLabel;
use crate::time::Timestamp;
use crate::transcript::Segment;

/// Speech from a cited time on that counts as cited: a sentence states what several lines say, and cites the first.
const CITED_MILLIS: i64 = 30_000;

/// The frames and the speech that an answer was written from, with an index of the words.
#[derive(Debug, Default)]
pub struct GroundingEvidence {
    /// Times by index.
    frames: HashMap<usize, Timestamp>,
    /// The labels of frames and lines.
    labels: HashSet<TimeLabel>,
    frame_labels: HashSet<TimeLabel>,
    starts: Vec<i64>,
    /// The latest end of each segment and those before it.
    ends: Vec<i64>,
    /// The segments with each term, in order.
    terms: HashMap<String, Vec<usize>>,
    numbers: HashMap<String, Vec<usize>>,
    /// All words, normalized, and where those of each segment begin.
    words: String,
    offsets: Vec<usize>,
}

impl GroundingEvidence {
    /// Frames by index and time, and the segments of the speech in time order.
    #[must_use]
    pub fn new(frames: &[(usize, Timestamp)], segments: &[Segment]) -> Self {
        let mut evidence = Self { words: " ".to_owned(), ..Self::default() };
        for (idx, time) in frames {
            evidence.frames.insert(*idx, *time);
            evidence.frame_labels.extend(TimeLabel::both(time.label_tenths()));
        }
        evidence.labels.clone_from(&evidence.frame_labels);
        for (at, segment) in segments.iter().enumerate() {
            let (start, end) = (segment.range.start.millis(), segment.range.end.millis());
            evidence.labels.extend(TimeLabel::both(segment.range.start.label_tenths()));
            evidence.starts.push(start);
            evidence.ends.push(evidence.ends.last().map_or(end, |before| end.max(*before)));
            // A name of a speaker stands before the line.
            let speaker = segment.speaker.as_deref().unwrap_or_default();
            let terms: BTreeSet<String> = word::terms(&segment.text).chain(word::terms(speaker)).collect();
            for term in terms {
                evidence.terms.entry(term).or_default().push(at);
            }
            let mut numbers = number::all(&segment.text);
            numbers.extend(number::all(speaker));
            for number in numbers {
                evidence.numbers.entry(number).or_default().push(at);
            }
            evidence.offsets.push(evidence.words.len());
            word::push_normalized(&segment.text, &mut evidence.words);
        }
        evidence.offsets.push(evidence.words.len());
        evidence
    }

    /// The part of the weight of a claim's words that occurs in these segments, 0 to 1. Words that are rare in the whole
    /// speech weigh more: inverse document frequency by segment, ln(1 + N / n); a word that occurs nowhere weighs as one
    /// that occurs once. None if the claim has no words to compare. The claim has no citations.
    #[must_use]
    pub fn shared_words(&self, claim: &str, segments: Range<usize>) -> Option<f64> {
        self.shared_words_of(claim, &[segments])
    }

    pub(super) fn shared_words_of(&self, claim: &str, cited: &[Range<usize>]) -> Option<f64> {
        let (mut shared, mut all) = (0.0, 0.0);
        for term in word::terms(claim).collect::<BTreeSet<_>>() {
            let places = self.terms.get(&term).map_or(&[][..], Vec::as_slice);
            let weight = (1.0 + self.starts.len() as f64 / places.len().max(1) as f64).ln();
            all += weight;
            if is_within(places, cited) {
                shared += weight;
            }
        }
        (all > 0.0).then_some(shared / all)
    }

    pub(super) fn knows_term(&self, term: &str) -> bool {
        self.terms.contains_key(term)
    }

    pub(super) fn has_number(&self, number: &str, cited: &[Range<usize>]) -> bool {
        self.numbers.get(number).is_some_and(|places| is_within(places, cited))
    }

    /// Whether the pieces of a quotation occur in order in a range of segments.
    pub(super) fn has_quotation(&self, quotation: &str, cited: &[Range<usize>]) -> bool {
        let pieces: Vec<String> = quotation
            .split(['\u{2026}'])
            .flat_map(|piece| piece.split("[...]"))
            .flat_map(|piece| piece.split("..."))
            .map(|piece| {
                let mut normalized = " ".to_owned();
                word::push_normalized(piece, &mut normalized);
                normalized
            })
            .filter(|piece| piece.len() > 1)
            .collect();
        cited.iter().any(|range| {
            // The space in front of the first word is that after the word before.
            let (start, end) = (self.offsets[range.start] - 1, self.offsets[range.end]);
            let mut rest = &self.words[start..end];
            pieces.iter().all(|piece| {
                let found = rest.find(piece.as_str());
                rest = found.map_or("", |at| &rest[at + piece.len() - 1..]);
                found.is_some()
            })
        })
    }

    pub(super) fn frame_time(&self, frame_idx: usize) -> Option<Timestamp> {
        self.frames.get(&frame_idx).copied()
    }

    /// Whether a frame or a line has this label.
    pub(super) fn has_label(&self, label: TimeLabel) -> bool {
        self.labels.contains(&label)
    }

    pub(super) fn has_frame_label(&self, label: TimeLabel) -> bool {
        self.frame_labels.contains(&label)
    }

    /// The frames that this label stands for.
    pub(super) fn frames_with_label(&self, label: TimeLabel) -> impl Iterator<Item = usize> + '_ {
        let has_label = move |time: &Timestamp| TimeLabel::both(time.label_tenths()).contains(&label);
        self.frames.iter().filter(move |(_, time)| has_label(time)).map(|(idx, _)| *idx)
    }

    pub(super) fn has_segment(&self, id: usize) -> bool {
        id < self.starts.len()
    }

    /// The segments from one ID to another, and those shortly after; None where either does not exist.
    pub(super) fn segments_from(&self, from: usize, to: usize) -> Option<Range<usize>> {
        let last = self.starts.get(to)?;
        let end = self.starts.partition_point(|start| *start <= last.saturating_add(CITED_MILLIS));
        Some(from..end.max(to + 1))
    }

    /// The segments from a cited time, or a cited range of times, on.
    pub(super) fn segments_at(&self, from_millis: i64, to_millis: i64) -> Range<usize> {
        let end = self.starts.partition_point(|start| *start <= to_millis.saturating_add(CITED_MILLIS));
        // The line before may end after the cited one begins, where people interrupt each other.
        let start = self.ends.partition_point(|end| *end <= from_millis);
        start.min(end)..end
    }
}

fn is_within(places: &[usize], cited: &[Range<usize>]) -> bool {
    cited.iter().any(|range| {
        let at = places.partition_point(|place| *place < range.start);
        places.get(at).is_some_and(|place| *place < range.end)
    })
}
