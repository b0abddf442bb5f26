//! Checks each sentence of an answer against the evidence that it cites.
//!
//! A model cites frames by ID and speech by the time of a line, as the prompt labels them: `(#17, 04:12.5)`. Whether the
//! frame exists, whether the time is one that was shown, and whether quotations and numbers occur in what is cited is
//! decided here, without another request. Whether a sentence is true is not: a sentence that shares few words with the
//! speech that it cites is weak, not wrong. `docs/grounding.md` has what was measured.

mod citation;
mod number;
mod word;

use std::collections::BTreeSet;

use unicode_segmentation::UnicodeSegmentation as _;

use crate::sentence::{CheckedSentence, GroundingProblem, Verdict, sentence_ranges};
use crate::transcript::Segment;
pub use citation::GroundingEvidence;
use citation::{Citations, CitedTime};
pub use word::TermWeights;

/// A sentence that cites speech and shares less than this part of its weighted words with it is weak. Measured on `QMSum`:
/// see `docs/grounding.md`.
pub const MIN_SHARED: f64 = 0.3;
/// Speech from a cited time on that counts as cited: a sentence states what several lines say, and cites the first.
const CITED_MILLIS: i64 = 30_000;
/// Without this share of the answer's words in the transcript, the answer is in another language, and words are not
/// compared.
const MIN_SAME_LANGUAGE: f64 = 0.15;
/// Fewer different words tell nothing about the language.
const MIN_TERMS: usize = 12;
/// Written times at equal distances without a source are an invented division from this number on.
const MIN_EVEN_SPLITS: usize = 4;
/// Distances that differ by less are equal: models round times to seconds.
const EVEN_MILLIS: i64 = 1000;

/// Checks the sentences of an answer in Markdown, in order. Headings, rules, code and phrases without a word are no
/// sentences.
#[must_use]
pub fn check(answer: &str, evidence: GroundingEvidence<'_>) -> Vec<CheckedSentence> {
    let sentences = sentences(answer);
    let weights = TermWeights::new(evidence.segments);
    let compares_words = is_same_language(&sentences, &weights);
    let mut checked: Vec<CheckedSentence> = Vec::with_capacity(sentences.len());
    let mut unknown_times = Vec::new();
    for AnswerSentence { text, citations } in sentences {
        let problems = problems(&citations, evidence, compares_words.then_some(&weights));
        unknown_times.extend(citations.unknown_times(evidence));
        let verdict = problems.iter().map(GroundingProblem::verdict).max().unwrap_or(Verdict::Supported);
        checked.push(CheckedSentence { text, verdict, problems });
    }
    if is_even_split(&unknown_times) {
        for sentence in &mut checked {
            if sentence.problems.iter().any(|problem| matches!(problem, GroundingProblem::UnknownTime { .. })) {
                sentence.problems.push(GroundingProblem::EvenSplit);
            }
        }
    }
    checked
}

fn problems(
    citations: &Citations,
    evidence: GroundingEvidence<'_>,
    weights: Option<&TermWeights>,
) -> Vec<GroundingProblem> {
    let mut problems = citations.problems(evidence);
    if citations.is_empty() {
        problems.push(GroundingProblem::NoCitation);
        return problems;
    }
    if !problems.is_empty() {
        // What is cited is unknown: nothing can be compared with it.
        return problems;
    }
    let cited = cited_segments(citations, evidence);
    let may_be_shown = citations.cites_frame(evidence);
    let speech = word::normalized(cited.iter().map(|segment| &*segment.text));
    for quotation in &citations.quotations {
        if !speech.contains(&word::normalized([quotation.as_str()])) {
            problems.push(GroundingProblem::QuotationNotFound { quotation: quotation.clone(), may_be_shown });
        }
    }
    let spoken: BTreeSet<String> = cited.iter().flat_map(|segment| number::all(&segment.text)).collect();
    for number in number::stated(&citations.claim) {
        if !spoken.contains(&number) {
            problems.push(GroundingProblem::NumberNotFound { number, may_be_shown });
        }
    }
    // A frame shows what no word says, and a quotation that was looked for says more than single words: only other
    // sentences about speech are compared.
    let is_compared = !may_be_shown && citations.quotations.is_empty() && !cited.is_empty();
    if let Some(weights) = weights.filter(|_| is_compared) {
        let share = weights.share_of(&citations.claim, cited.iter().map(|segment| &*segment.text));
        if let Some(share) = share.filter(|share| *share < MIN_SHARED) {
            problems.push(GroundingProblem::FewSharedWords { share });
        }
    }
    problems
}

/// The speech at the cited times and shortly after, in time order.
fn cited_segments<'a>(citations: &Citations, evidence: GroundingEvidence<'a>) -> Vec<&'a Segment> {
    let is_cited = |segment: &&Segment| {
        citations.times.iter().any(|time| match time {
            CitedTime::Moment(time) | CitedTime::Range(time, None) => is_soon_after(segment, time, time),
            CitedTime::Range(from, Some(to)) => is_soon_after(segment, from, to),
        })
    };
    evidence.segments.iter().filter(is_cited).collect()
}

fn is_soon_after(segment: &Segment, from: &citation::WrittenTime, to: &citation::WrittenTime) -> bool {
    // The line before may end after the cited one begins, where people interrupt each other.
    let (start, end) = (segment.range.start.millis(), segment.range.end.millis());
    start <= to.millis() + CITED_MILLIS && end > from.millis()
}

fn is_same_language(sentences: &[AnswerSentence], weights: &TermWeights) -> bool {
    let terms: BTreeSet<String> =
        sentences.iter().flat_map(|sentence| word::terms(&sentence.citations.claim)).collect();
    let n_known = terms.iter().filter(|term| weights.knows(term)).count();
    terms.len() < MIN_TERMS || n_known as f64 >= terms.len() as f64 * MIN_SAME_LANGUAGE
}

/// Whether the times have equal distances. Models that know no times like to divide the length by the number of points.
fn is_even_split(millis: &[i64]) -> bool {
    let mut times = millis.to_vec();
    times.sort_unstable();
    times.dedup();
    let steps: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let (Some(min), Some(max)) = (steps.iter().min(), steps.iter().max()) else { return false };
    times.len() >= MIN_EVEN_SPLITS && max - min <= EVEN_MILLIS
}

/// A sentence of an answer.
struct AnswerSentence {
    text: String,
    /// What it cites, or what the next sentence of its line cites if it has no citation of its own.
    citations: Citations,
}

/// The sentences of a text in Markdown, each with the citations that follow it.
fn sentences(answer: &str) -> Vec<AnswerSentence> {
    let mut sentences = Vec::new();
    let mut is_code = false;
    for line in answer.lines() {
        let line = line.trim();
        if line.starts_with("```") || line.starts_with("~~~") {
            is_code = !is_code;
            continue;
        }
        let is_heading = line.starts_with('#') && line.trim_start_matches('#').starts_with(' ');
        if !is_code && !is_heading {
            let plain = line.replace("**", "").replace("__", "").replace('`', "");
            sentences.extend(line_sentences(without_list_mark(&plain)));
        }
    }
    // A phrase that introduces a list states nothing.
    sentences.retain(|sentence| !sentence.text.ends_with(':') || !sentence.citations.is_empty());
    sentences
}

fn line_sentences(line: &str) -> Vec<AnswerSentence> {
    let mut texts: Vec<String> = Vec::new();
    let mut open = String::new();
    for range in sentence_ranges(line) {
        let is_last = range.end == line.len();
        open.push_str(&line[range]);
        // A quotation may hold the end of a sentence.
        if citation::is_quotation_open(&open) && !is_last {
            continue;
        }
        let whole = std::mem::take(&mut open);
        let text = whole.trim();
        if has_word(&Citations::parse(text).claim) {
            texts.push(text.to_owned());
        } else if let Some(before) = texts.last_mut().filter(|_| !text.is_empty()) {
            // "It runs. (#3)": the citation belongs to the sentence before it.
            before.push(' ');
            before.push_str(text);
        }
    }
    let mut sentences: Vec<AnswerSentence> =
        texts.into_iter().map(|text| AnswerSentence { citations: Citations::parse(&text), text }).collect();
    for at in (1..sentences.len()).rev() {
        let (before, after) = sentences.split_at_mut(at);
        if let Some(before) = before.last_mut().filter(|before| before.citations.is_empty()) {
            before.citations.cite_as(&after[0].citations);
        }
    }
    sentences
}

fn has_word(text: &str) -> bool {
    text.unicode_words().any(|word| word.chars().any(char::is_alphabetic))
}

fn without_list_mark(line: &str) -> &str {
    let line = line.trim_start_matches(['>', ' ']);
    if let Some(rest) = ["- ", "* ", "+ ", "• "].iter().find_map(|mark| line.strip_prefix(mark)) {
        return rest.trim_start();
    }
    let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
    match rest.strip_prefix(['.', ')']).and_then(|rest| rest.strip_prefix(' ')) {
        Some(rest) if line.len() - rest.len() <= 5 => rest.trim_start(),
        _ => line,
    }
}

#[cfg(test)]
mod tests;
