//! Footnotes on the sentences of an answer that their citations do not support.

use std::fmt::Write as _;
use std::ops::Range;

use pulldown_cmark::{Event, Options, Parser, TagEnd};

use super::sentence_finder::{SentenceEnd, SentenceFinder, closing_end};
use crate::sanitize::{excerpt, markdown_line};
use crate::sentence::{CheckedSentence, Verdict};

/// Characters of a footnote, and of a sentence that the answer does not show.
const MAX_CHARS: usize = 160;

/// An answer with footnotes.
#[derive(Debug, Default)]
pub(super) struct Footnotes {
    /// The answer, each doubtful sentence with a mark at its end.
    pub answer: String,
    /// Lines below the answer: sentences that were not found in it, and the footnotes. Empty without footnotes.
    pub below: String,
    /// The number of footnotes.
    pub n: usize,
}

/// Marks the sentences of `answer`, inert Markdown, that are not supported. The footnotes are numbered from `first` on;
/// sentences with the same problems share one. A sentence comes with the text under which the answer shows it.
pub(super) fn footnotes(answer: String, sentences: &[(String, &CheckedSentence)], first: usize) -> Footnotes {
    if sentences.iter().all(|(_, sentence)| sentence.verdict == Verdict::Supported) {
        return Footnotes { answer, ..Footnotes::default() };
    }
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    let events: Vec<_> = Parser::new_ext(&answer, options).into_offset_iter().collect();
    let mut finder = SentenceFinder::new(events.iter().map(|(event, _)| event));
    let mut notes: Vec<String> = Vec::new();
    let (mut marks, mut elsewhere) = (Vec::new(), Vec::new());
    for (text, sentence) in sentences {
        let found = finder.find(text);
        if sentence.verdict == Verdict::Supported {
            continue;
        }
        let note = note(sentence);
        let known = notes.iter().position(|known| *known == note);
        let number = first + known.unwrap_or(notes.len());
        if known.is_none() {
            notes.push(note);
        }
        match found {
            Some(end) => marks.push((place(&answer, &events, end), number)),
            None => elsewhere.push((text, number)),
        }
    }
    let mut below = String::new();
    // Writing to a String does not fail.
    if !elsewhere.is_empty() {
        below.push_str("\nNot marked in the answer:\n\n");
        for (text, number) in elsewhere {
            let _ = writeln!(below, "- {}[^{number}]", markdown_line(&excerpt(text, MAX_CHARS)));
        }
    }
    below.push('\n');
    for (at, note) in notes.iter().enumerate() {
        let _ = writeln!(below, "[^{}]: {note}", first + at);
    }
    drop(events);
    Footnotes { answer: marked(&answer, &marks), below, n: notes.len() }
}

fn note(sentence: &CheckedSentence) -> String {
    let reasons: Vec<String> = sentence.problems.iter().map(ToString::to_string).collect();
    format!("{}: {}", sentence.verdict, markdown_line(&excerpt(&reasons.join("; "), MAX_CHARS)))
}

/// Where in the Markdown the mark of a sentence stands: after its closing punctuation and the ends of emphasis.
fn place(answer: &str, events: &[(Event<'_>, Range<usize>)], end: SentenceEnd) -> usize {
    // An entity is one character.
    let in_source = |text: &str, range: &Range<usize>, at: usize| {
        if answer[range.clone()] == *text { range.start + at } else { range.end }
    };
    let (event, range) = &events[end.event];
    let mut place = range.end;
    if let Event::Text(text) = event {
        let closed = closing_end(text, end.at);
        place = in_source(text, range, closed);
        if closed < text.len() {
            return place;
        }
    }
    for (event, range) in &events[end.event + 1..] {
        match event {
            Event::End(TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough | TagEnd::Link) => place = range.end,
            Event::Text(text) => match closing_end(text, 0) {
                0 => break,
                closed => {
                    place = in_source(text, range, closed);
                    if closed < text.len() {
                        break;
                    }
                }
            },
            _ => break,
        }
    }
    place
}

/// The Markdown with these numbers at these places, which are in order.
fn marked(answer: &str, marks: &[(usize, usize)]) -> String {
    let mut out = String::with_capacity(answer.len() + marks.len() * 6);
    let mut done = 0;
    for (place, number) in marks {
        let place = (*place).max(done);
        out.push_str(&answer[done..place]);
        done = place;
        let _ = write!(out, "[^{number}]");
        // What is opened after it would make it a link.
        if answer[done..].trim_start_matches('\\').starts_with(['(', '[', ':']) {
            out.push(' ');
        }
    }
    out + &answer[done..]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sanitize::markdown_block;
    use crate::sentence::GroundingProblem;

    fn doubtful(text: &str, problem: GroundingProblem) -> CheckedSentence {
        CheckedSentence::new(text, vec![problem])
    }

    /// An answer with footnotes on these sentences, each for another reason.
    fn noted(answer: &str, sentences: &[&str]) -> Footnotes {
        let checked: Vec<CheckedSentence> = sentences
            .iter()
            .enumerate()
            .map(|(frame_idx, text)| doubtful(text, GroundingProblem::UnknownFrame { frame_idx }))
            .collect();
        let sentences: Vec<_> = checked.iter().map(|sentence| (sentence.text.clone(), sentence)).collect();
        footnotes(markdown_block(answer), &sentences, 1)
    }

    #[test]
    fn marks_stand_at_the_ends_of_sentences() {
        for (answer, sentences, expected) in [
            ("It rains. It snows.", &["It snows."][..], "It rains. It snows.[^1]"),
            ("It rains. It snows.", &["It rains.", "It snows."], "It rains.[^1] It snows.[^2]"),
            ("It **rains**. Then (00:12.0).", &["It rains."], "It **rains**.[^1] Then (00:12.0)."),
            ("***It rains.*** So.", &["It rains."], "***It rains.***[^1] So."),
            (
                "\u{201c}It *rains*\u{201d} (#7, 00:12.0).",
                &["It rains (#7, 00:12.0)."],
                "\u{201c}It *rains*\u{201d} (#7, 00:12.0).[^1]",
            ),
            ("Run `cargo run`. So.", &["Run cargo run."], "Run `cargo run`.[^1] So."),
            ("- It rains\n  again\n- So", &["It rains again", "So"], "- It rains\n  again[^1]\n- So[^2]"),
            ("> It rains.\n\nSo.", &["It rains."], "> It rains.[^1]\n\nSo."),
            (
                "| a | b |\n|---|---|\n| 1 | It *rains* |",
                &["| 1 | It rains |"],
                "| a | b |\n|---|---|\n| 1 | It *rains*[^1] |",
            ),
            (
                "| a |\n|---|\n| It rains. |\n| So `b` |",
                &["| It rains. |", "| So b |"],
                "| a |\n|---|\n| It rains.[^1] |\n| So `b`[^2] |",
            ),
            (
                "\u{be44}\u{ac00} \u{c628}\u{b2e4}.\u{b208}\u{b3c4}.",
                &["\u{be44}\u{ac00} \u{c628}\u{b2e4}."],
                "\u{be44}\u{ac00} \u{c628}\u{b2e4}.[^1]\u{b208}\u{b3c4}.",
            ),
            ("It rains(so).", &["It rains"], "It rains[^1] (so)."),
            ("It rains! So", &["It rains!"], "It rains![^1] So"),
            ("It *rains!* So", &["It rains!"], "It *rains!*[^1] So"),
            ("It rains [#7, 00:12.0]", &["It rains [#7, 00:12.0]"], "It rains [#7, 00:12.0][^1]"),
            ("It costs 5 &amp; more", &["It costs 5 & more"], "It costs 5 &amp; more[^1]"),
        ] {
            let found = noted(answer, sentences);
            assert_eq!(found.answer.trim_end(), expected);
            assert_eq!(found.n, sentences.len());
            assert!(!found.below.contains("Not marked"), "{}", found.below);
        }
    }

    #[test]
    fn sentences_with_the_same_problems_share_a_footnote() {
        let supported = CheckedSentence::new("It hails.", Vec::new());
        let checked = [
            doubtful("It rains.", GroundingProblem::NoCitation),
            supported,
            doubtful("It snows.", GroundingProblem::FewSharedWords { share: 0.1 }),
            doubtful("It rains.", GroundingProblem::NoCitation),
        ];
        let sentences: Vec<_> = checked.iter().map(|sentence| (sentence.text.clone(), sentence)).collect();
        let found = footnotes("It rains. It hails. It snows. It rains.\n".into(), &sentences, 3);
        assert_eq!(found.answer, "It rains.[^3] It hails. It snows.[^4] It rains.[^3]\n");
        assert_eq!(
            found.below,
            "\n[^3]: unsupported: cites no frame and no speech\n[^4]: weak: shares 10 % of its words with the cited speech\n"
        );
        let found = footnotes("It hails.\n".into(), &sentences[1..2], 1);
        assert_eq!((&*found.answer, &*found.below, found.n), ("It hails.\n", "", 0));
    }

    #[test]
    fn a_sentence_that_the_answer_does_not_show_is_listed_below() {
        let found = noted("Before:\n\n```\nx = 1.\n```\n\nAfter.", &["Before: x = 1.", "After.", "Absent [^2]."]);
        assert_eq!(found.answer, "Before:\n\n```\nx = 1.\n```\n\nAfter.[^2]\n");
        let expected = "\nNot marked in the answer:\n\n- Before: x = 1.[^1]\n- Absent \\[^2].[^3]\n\n[^1]: ";
        assert!(found.below.starts_with(expected), "{}", found.below);
    }

    /// The marks of footnotes, and the footnotes, that a reader of Markdown with footnotes finds.
    fn read(markdown: &str) -> (Vec<String>, Vec<String>) {
        let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_FOOTNOTES;
        let (mut marks, mut notes) = (Vec::new(), Vec::new());
        for event in Parser::new_ext(markdown, options) {
            match event {
                Event::FootnoteReference(label) => marks.push(label.to_string()),
                Event::Start(pulldown_cmark::Tag::FootnoteDefinition(label)) => notes.push(label.to_string()),
                _ => {}
            }
        }
        (marks, notes)
    }

    #[test]
    fn a_reader_of_markdown_finds_these_footnotes_and_no_others() {
        for (answer, sentences) in [
            ("It rains.[^1] So.\n\n[^1]: The model's own footnote", &["It rains.[^1]", "So."][..]),
            ("It [^2] rains.\n\n```\n[^1]\nopen", &["It [^2] rains."]),
            ("- It rains.\n- It snows.", &["It rains.", "It snows."]),
            ("| a |\n|---|\n| It rains [^1] |", &["| It rains [^1] |"]),
            ("> It rains.", &["It rains."]),
            ("    It rains.\n\nSo.", &["So."]),
            ("It rains! It snows [#1]\n\n[So]", &["It rains!", "It snows [#1]", "So"]),
        ] {
            let found = noted(answer, sentences);
            let labels: Vec<String> = (1..=sentences.len()).map(|n| n.to_string()).collect();
            let text = format!("{}{}\n## Next\n", found.answer, found.below);
            assert_eq!(read(&text), (labels.clone(), labels), "{text}");
        }
    }

    proptest! {
        #[test]
        fn marks_are_read_wherever_they_stand(answer in "[a-c1 *_`|#!~.(){}\\[\\]&<>\\\\\n-]{0,60}") {
            let found = noted(&answer, &["a", "b", "a c"]);
            let n_marked = ["[^1]", "[^2]", "[^3]"].map(|mark| found.answer.matches(mark).count()).iter().sum::<usize>();
            let (marks, notes) = read(&format!("{}{}", found.answer, found.below));
            prop_assert_eq!((marks.len(), notes.len()), (3, 3), "{}{}", found.answer, found.below);
            prop_assert!(n_marked <= 3);
            let bare = ["[^1]", "[^2]", "[^3]", " ", "\\"].iter().fold(found.answer, |text, mark| text.replace(mark, ""));
            prop_assert_eq!(bare, markdown_block(&answer).replace([' ', '\\'], ""));
        }
    }
}
