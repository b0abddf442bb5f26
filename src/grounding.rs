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
mod tests {
    use super::*;
    use crate::time::{TimeRange, Timestamp};
    use crate::transcript::Segment;

    const FRAMES: [(usize, i64); 3] = [(0, 0), (7, 30_000), (12, 72_540)];

    fn verdicts(answer: &str) -> Vec<(Verdict, Vec<GroundingProblem>)> {
        let segment = |start: i64, text: &str| {
            Segment::new(TimeRange::new(Timestamp::from_millis(start), Timestamp::from_millis(start + 4000)), text)
        };
        let segments = [
            segment(4_250, "The ship left Southampton on the tenth of April."),
            segment(31_000, "We had two thousand two hundred and twenty four people on board."),
            segment(64_000, "The captain ordered full speed ahead, although icebergs had been reported."),
            segment(70_000, "And that was in nineteen twelve."),
            segment(200_000, "The orchestra kept playing until the water reached the deck."),
        ];
        let frames = FRAMES.map(|(idx, millis)| (idx, Timestamp::from_millis(millis)));
        let checked = check(answer, GroundingEvidence { frames: &frames, segments: &segments });
        checked.into_iter().map(|sentence| (sentence.verdict, sentence.problems)).collect()
    }

    fn one(sentence: &str) -> (Verdict, Vec<GroundingProblem>) {
        let mut found = verdicts(sentence);
        assert_eq!(found.len(), 1, "{sentence}: {found:?}");
        found.remove(0)
    }

    #[test]
    fn what_the_evidence_says_is_supported() {
        for sentence in [
            "The ship leaves Southampton in April (00:04.2).",
            "- **2,224** people are on board the ship (00:31).",
            "1. The captain orders \"full speed ahead\" although icebergs are reported (01:04.0 to 01:10.0).",
            "It is 1912, and the captain has icebergs reported (01:04.0).",
            "A man stands on the deck (#7, 00:30.0).",
            "A man stands on the deck. (#7)",
            "They say \u{201c}people on board. The captain ordered full speed\u{201d} (00:31.0 to 01:04.0).",
            "The captain is shown (#12, 01:12.5) as he orders full speed (01:04.0).",
            "The orchestra keeps playing until the water reaches the deck \u{2014} (03:20.0)",
            "The deck is shown [t=01:12.5 #12].",
            "Two men are on deck (#0\u{2013}#7).",
        ] {
            assert_eq!(one(sentence), (Verdict::Supported, Vec::new()), "{sentence}");
        }
    }

    #[test]
    fn each_kind_of_fault_is_found() {
        use GroundingProblem as P;
        let frame_idx = 7;
        for (sentence, expected) in [
            ("The ship sinks within hours.", P::NoCitation),
            ("A man stands on the deck (#9).", P::UnknownFrame { frame_idx: 9 }),
            ("A man stands on the deck (#7, 00:41.0).", P::OtherFrameTime { frame_idx, time: "00:41.0".into() }),
            ("The ship leaves Southampton (00:09.0).", P::UnknownTime { time: "00:09.0".into() }),
            ("Men stand on the deck (#7-#0).", P::ReversedRange { range: "#7 to #0".into() }),
            (
                "The captain orders full speed (01:04.0 to 00:04.2).",
                P::ReversedRange { range: "01:04.0 to 00:04.2".into() },
            ),
            (
                "The captain orders \"full stop now\" (01:04.0).",
                P::QuotationNotFound { quotation: "full stop now".into(), may_be_shown: false },
            ),
            (
                "There are 2,340 people on board (00:31.0).",
                P::NumberNotFound { number: "2340".into(), may_be_shown: false },
            ),
            (
                "There are fifteen people on board (00:31.0).",
                P::NumberNotFound { number: "15".into(), may_be_shown: false },
            ),
        ] {
            assert_eq!(one(sentence), (Verdict::Unsupported, vec![expected]), "{sentence}");
        }
    }

    #[test]
    fn what_may_be_in_a_frame_or_in_other_words_is_weak() {
        for sentence in [
            "The sign reads \"Olympic Bar\" (#7).",
            "The clock shows 42 degrees (#7, 00:30.0).",
            "Engineers criticize expensive government regulations (00:04.2).",
        ] {
            let (verdict, problems) = one(sentence);
            assert_eq!((verdict, problems.len()), (Verdict::Weak, 1), "{sentence}: {problems:?}");
        }
    }

    #[test]
    fn a_citation_at_the_end_of_a_line_holds_for_its_sentences_before() {
        let found = verdicts("The ship leaves Southampton. It is April, the tenth (00:04.2). Nobody knows why.");
        let verdicts: Vec<Verdict> = found.iter().map(|(verdict, _)| *verdict).collect();
        assert_eq!(verdicts, [Verdict::Supported, Verdict::Supported, Verdict::Unsupported], "{found:?}");
    }

    #[test]
    fn invented_even_times_are_named() {
        let answer = "- It begins (00:00.0).\n- It goes on (00:50.0).\n- More of it (01:40.0).\n- Later (02:30.0).\n- It ends (03:21.0).";
        let found = verdicts(answer);
        assert_eq!(found[0].0, Verdict::Supported, "the first frame is at 0");
        for (verdict, problems) in &found[1..] {
            assert_eq!(*verdict, Verdict::Unsupported);
            assert!(problems.contains(&GroundingProblem::EvenSplit), "{problems:?}");
        }
    }

    #[test]
    fn headings_code_and_introductions_are_no_sentences() {
        let answer = "# Summary\n\nThese are the points:\n\n```\nraw (#99)\n```\n---\n* * *\n\n| | |\n";
        assert_eq!(verdicts(answer), []);
        assert_eq!(verdicts(""), []);
    }

    #[test]
    fn an_answer_in_another_language_is_not_compared_word_by_word() {
        let answer = "Le navire quitte le port anglais (00:04.2). Le capitaine ordonne d'avancer rapidement malgr\u{e9} les \
                      glaces (01:04.0). Les musiciens jouent jusqu'au dernier moment avant le naufrage (03:20.0).";
        assert!(verdicts(answer).iter().all(|(verdict, _)| *verdict == Verdict::Supported), "{:?}", verdicts(answer));
    }

    #[test]
    fn hostile_text_is_read_without_a_panic() {
        for text in [
            "#",
            "#99999999999999999999999",
            "1:2",
            "::",
            "\"",
            "\u{201e}\u{301}",
            "(#7,",
            "99:99",
            "#7 to",
            "1:00:00:00",
        ] {
            let _ = verdicts(text);
        }
    }
}
