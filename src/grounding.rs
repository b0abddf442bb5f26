//! Checks each sentence of an answer against the evidence that it cites.
//!
//! A model cites frames by ID and speech by the time of a line, as the prompt labels them: `(#17, 04:12.5)`. Whether the
//! frame exists, whether the time is one that was shown, and whether quotations and numbers occur in what is cited is
//! decided here, without another request. Whether a sentence is true is not: a sentence that shares few words with the
//! speech that it cites is weak, not wrong. `docs/grounding.md` has what was measured.

mod answer;
mod citation;
mod evidence;
mod number;
mod word;

use std::collections::BTreeSet;

use crate::sentence::{CheckedSentence, GroundingProblem};
use answer::{AnswerSentence, sentences};
use citation::{Citations, WrittenTime};
pub use evidence::GroundingEvidence;

/// A sentence that cites speech and shares less than this part of its weighted words with it is weak. Measured on `QMSum`:
/// see `docs/grounding.md`.
pub const MIN_SHARED: f64 = 0.3;
/// Longer answers are not checked: no summary is as long.
pub const MAX_ANSWER_BYTES: usize = 64 << 10;
/// Without this share of the answer's words in the transcript, the answer is in another language, and words are not
/// compared.
const MIN_SAME_LANGUAGE: f64 = 0.15;
/// Fewer different words tell nothing about the language.
const MIN_TERMS: usize = 12;
/// Written times at equal distances without a source are an invented division from this number on.
const MIN_EVEN_SPLITS: usize = 4;
/// Distances that differ by less are equal: models round times to seconds.
const EVEN_MILLIS: i64 = 1000;

/// Checks the sentences of an answer in Markdown, in order. Headings, tables' heads, code and phrases without a word are no
/// sentences. Empty for an answer of more than [`MAX_ANSWER_BYTES`].
#[must_use]
pub fn check(answer: &str, evidence: &GroundingEvidence) -> Vec<CheckedSentence> {
    if answer.len() > MAX_ANSWER_BYTES {
        return Vec::new();
    }
    let sentences = sentences(answer, evidence);
    let compares_words = is_same_language(&sentences, evidence);
    let mut checked: Vec<CheckedSentence> = Vec::with_capacity(sentences.len());
    let mut unknown_times = Vec::new();
    for AnswerSentence { text, citations } in sentences {
        let problems = problems(&citations, evidence, compares_words);
        unknown_times.extend(citations.unknown_times(evidence).map(WrittenTime::millis));
        let (frames, segments) = citations.known(evidence);
        checked.push(CheckedSentence { frames, segments, ..CheckedSentence::new(text, problems) });
    }
    if is_even_split(unknown_times) {
        for sentence in &mut checked {
            if sentence.problems.iter().any(|problem| matches!(problem, GroundingProblem::UnknownTime { .. })) {
                sentence.problems.push(GroundingProblem::EvenSplit);
            }
        }
    }
    checked
}

fn problems(citations: &Citations, evidence: &GroundingEvidence, compares_words: bool) -> Vec<GroundingProblem> {
    let mut problems = citations.problems(evidence);
    if citations.is_empty() {
        problems.push(GroundingProblem::NoCitation);
        return problems;
    }
    if !problems.is_empty() {
        // What is cited is unknown: nothing can be compared with it.
        return problems;
    }
    let cited = citations.segments(evidence);
    let may_be_shown = citations.cites_frame(evidence);
    for quotation in &citations.quotations {
        if !evidence.has_quotation(quotation, &cited) {
            problems.push(GroundingProblem::QuotationNotFound { quotation: quotation.clone(), may_be_shown });
        }
    }
    for number in number::stated(&citations.claim) {
        if !evidence.has_number(&number, &cited) {
            problems.push(GroundingProblem::NumberNotFound { number, may_be_shown });
        }
    }
    // A frame shows what no word says, and a quotation that was looked for says more than single words: only other
    // sentences about speech are compared.
    let is_compared = compares_words && !may_be_shown && citations.quotations.is_empty();
    if is_compared && cited.iter().any(|range| !range.is_empty()) {
        let share = evidence.shared_words_of(&citations.claim, &cited);
        if let Some(share) = share.filter(|share| *share < MIN_SHARED) {
            problems.push(GroundingProblem::FewSharedWords { share });
        }
    }
    problems
}

fn is_same_language(sentences: &[AnswerSentence], evidence: &GroundingEvidence) -> bool {
    let terms: BTreeSet<String> =
        sentences.iter().flat_map(|sentence| word::terms(&sentence.citations.claim)).collect();
    let n_known = terms.iter().filter(|term| evidence.knows_term(term)).count();
    terms.len() < MIN_TERMS || n_known as f64 >= terms.len() as f64 * MIN_SAME_LANGUAGE
}

/// Whether the times have equal distances. Models that know no times like to divide the length by the number of points.
fn is_even_split(mut millis: Vec<i64>) -> bool {
    millis.sort_unstable();
    millis.dedup();
    let steps: Vec<i64> = millis.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let (Some(min), Some(max)) = (steps.iter().min(), steps.iter().max()) else { return false };
    millis.len() >= MIN_EVEN_SPLITS && max - min <= EVEN_MILLIS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sentence::Verdict;
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
            segment(250_000, "Let us meet at ten thirty, safety is our priority and the display is sixteen to ten."),
            segment(300_000, "A hundred boats, five million dollars, and they waited for hours."),
        ];
        let mut segments = segments;
        segments[5].speaker = Some("Speaker 2".into());
        let frames = FRAMES.map(|(idx, millis)| (idx, Timestamp::from_millis(millis)));
        let checked = check(answer, &GroundingEvidence::new(&frames, &segments));
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
    fn what_looks_like_a_citation_may_be_none() {
        for sentence in [
            "They want to meet for the 10:30 appointment (04:10.0).",
            "They say \"meet at ten thirty\" (04:10.0).",
            "Safety is the #1 priority, not issue #482, when they meet (#7, 04:10.0).",
            "The display is 16:10 (04:10.0).",
            "Speaker 2 wants to meet about the safety of the display (04:10.0).",
            "There are 100 boats and 5,000,000 dollars, they waited hours (05:00.0).",
            "The tenth of April: the ship left Southampton on April 10 (00:04.2).",
            "\u{201e}full speed ahead \u{2026} reported\u{201c} is the order (01:04.0).",
            "\u{bb}full speed ahead, [...] icebergs\u{ab} is the order (01:04.0).",
            "The people on board are 2,224 (#7, 00:30.0).",
            "Boats and the captain are shown in #12 and #7.",
            "A 27\" monitor is shown in the bar (#7).",
        ] {
            let (verdict, problems) = one(sentence);
            let is_id = |problem: &GroundingProblem| matches!(problem, GroundingProblem::OtherFrameTime { .. });
            let expects_time = sentence.contains("#7, 04:10.0");
            assert!(
                if expects_time { problems.iter().all(is_id) } else { verdict != Verdict::Unsupported },
                "{sentence}: {problems:?}"
            );
        }
        let found = verdicts("A 27\" monitor is shown (#7). A dog barks (#99).");
        assert_eq!(
            found.iter().map(|(verdict, _)| *verdict).collect::<Vec<_>>(),
            [Verdict::Weak, Verdict::Unsupported]
        );
    }

    #[test]
    fn markdown_is_no_part_of_the_sentences() {
        let answer = "**Key points**\n\n- **Setting**\n  - The ship leaves Southampton on the\n    tenth of April (00:04.2).\n\n\
                      \u{8981}\u{70b9}\u{5982}\u{4e0b}\u{ff1a}\n\n| Time | Event |\n|---|:---|\n| 00:04.2 | The ship leaves. Southampton is left. |\n\n\
                      1. The captain orders full speed\nahead (01:04.0).\n===\n> The orchestra keeps playing until the water comes (03:20.0).";
        let found = verdicts(answer);
        assert!(found.len() == 4 && found.iter().all(|(verdict, _)| *verdict == Verdict::Supported), "{found:?}");
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
    fn citations_are_read_as_prompts_and_models_write_them() {
        for sentence in [
            "The ship left Southampton (s0 \u{2013} 00:04.2).",
            "The ship left Southampton (s0-s1).",
            "The people on board were 2,224 (#0-#12).",
            "The people on board were 2,224 (#0-12).",
            "The people on board were 2,224 (s0\u{2013}2).",
            "\u{8239}\u{304c}\u{51fa}\u{6e2f}\u{3059}\u{308b}#7\u{3002}",
            "\u{bc30}\u{ac00} \u{b5a0}\u{b09c}\u{b2e4} #7\u{c5d0}\u{c11c}.",
        ] {
            assert_eq!(one(sentence), (Verdict::Supported, Vec::new()), "{sentence}");
        }
        // Prompts round times towards the past: this frame, at 99.9999 s, is labelled 01:39.9.
        let time = Timestamp::new(2997 * 1001, crate::time::TimeBase::new(1, 30_000).unwrap());
        let evidence = GroundingEvidence::new(&[(5, time)], &[]);
        let verdict = |text: &str| check(text, &evidence)[0].verdict;
        assert_eq!(time.label(), "01:39.9");
        assert_eq!(verdict("A dog is shown (#5, 01:39.9)."), Verdict::Supported);
        assert_eq!(verdict("A dog is shown (01:39.9)."), Verdict::Supported);
        assert_eq!(verdict("A dog is shown (#5, 01:40.0)."), Verdict::Unsupported);
    }

    #[test]
    fn hostile_text_is_read_without_a_panic() {
        for text in [
            "#",
            "#99999999999999999999999",
            "The end (#18446744073709551615, s18446744073709551615).",
            "All of it (#3 to #18446744073709551615, s1-s18446744073709551615).",
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
        // What takes quadratic time or memory where it is not bounded.
        for part in
            ["Aa bb. ", "#9 ", "\"Hello. ", "(00:00.0 to 99:00.0) a ", "\u{201c}a\u{201d} (00:04.2) ", ".  ", "| a "]
        {
            let _ = verdicts(&part.repeat(MAX_ANSWER_BYTES / part.len()));
        }
        let fragments = format!("Aa bb. {}", "(#9). ".repeat((MAX_ANSWER_BYTES - 7) / 6));
        let expected = vec![GroundingProblem::UnknownFrame { frame_idx: 9 }];
        assert_eq!(verdicts(&fragments), [(Verdict::Unsupported, expected)]);
        assert_eq!(verdicts(&"a ".repeat(MAX_ANSWER_BYTES)), []);
    }
}
