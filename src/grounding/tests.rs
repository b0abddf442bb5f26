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
    for text in
        ["#", "#99999999999999999999999", "1:2", "::", "\"", "\u{201e}\u{301}", "(#7,", "99:99", "#7 to", "1:00:00:00"]
    {
        let _ = verdicts(text);
    }
}
