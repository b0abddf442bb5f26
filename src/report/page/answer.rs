//! An answer in Markdown as HTML, with links to what it cites, and notes on the sentences that their citations do not
//! support. HTML, pictures and links of the model are shown as text.

use std::collections::BTreeMap;

use maud::{PreEscaped, html};
use pulldown_cmark::{
    Alignment, CodeBlockKind, CowStr, Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd, TextMergeStream,
};

use super::citation::citations;
use super::places::PagePlaces;
use crate::report::sentence_finder::{SentenceEnd, SentenceFinder, closing_end};
use crate::sanitize::clean_text;
use crate::sentence::{CheckedSentence, Verdict};

/// A sentence to check, with the number of its note, from 1.
pub(super) struct SentenceNote<'a> {
    pub number: usize,
    pub sentence: &'a CheckedSentence,
    /// Whether the answer shows the number; it does not where the sentence was not found in it, or ends in a block of code.
    pub is_placed: bool,
}

/// The answer as HTML, and its notes. `first` is the number of the first note.
pub(super) fn to_html<'a>(
    answer: &str,
    sentences: &'a [CheckedSentence],
    places: &PagePlaces,
    first: usize,
) -> (PreEscaped<String>, Vec<SentenceNote<'a>>) {
    let text = clean_text(answer);
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    let events: Vec<_> = TextMergeStream::new(confined(Parser::new_ext(&text, options)).into_iter()).collect();
    let mut marks: BTreeMap<usize, Vec<(usize, usize, Verdict)>> = BTreeMap::new();
    let mut notes = Vec::new();
    let mut finder = SentenceFinder::new(&events);
    for sentence in sentences {
        let found = finder.find(&sentence.text);
        if sentence.verdict == Verdict::Supported {
            continue;
        }
        let number = first + notes.len();
        if let Some(SentenceEnd { event, at }) = found {
            let at = match &events[event] {
                Event::Text(text) => closing_end(text, at),
                _ => at,
            };
            marks.entry(event).or_default().push((at, number, sentence.verdict));
        }
        notes.push(SentenceNote { number, sentence, is_placed: found.is_some() });
    }
    let mut is_code_block = false;
    let linked = events.iter().enumerate().flat_map(|(at, event)| {
        let marks = marks.get(&at).map_or(&[][..], Vec::as_slice);
        match event {
            Event::Start(Tag::CodeBlock(_)) => is_code_block = true,
            Event::End(TagEnd::CodeBlock) => is_code_block = false,
            Event::Text(text) if !is_code_block => {
                return [Some(Event::InlineHtml(linked_text(text, places, marks).into())), None];
            }
            Event::Code(_) if !marks.is_empty() => {
                let after: String = marks.iter().map(|(_, number, verdict)| note_mark(*number, *verdict).0).collect();
                return [Some(event.clone()), Some(Event::InlineHtml(after.into()))];
            }
            _ => {}
        }
        [Some(event.clone()), None]
    });
    let mut out = String::with_capacity(text.len() * 2);
    pulldown_cmark::html::push_html(&mut out, linked.flatten());
    (PreEscaped(out), notes)
}

/// The events without HTML, links and pictures of the model, with headings from level 3 on. Columns have no alignment: it
/// would be a style, which the policy of the page forbids.
fn confined<'a>(events: impl Iterator<Item = Event<'a>>) -> Vec<Event<'a>> {
    let events: Vec<Event<'a>> = events.collect();
    let mut levels: Vec<HeadingLevel> = Vec::new();
    for event in &events {
        if let Event::Start(Tag::Heading { level, .. }) = event
            && !levels.contains(level)
        {
            levels.push(*level);
        }
    }
    levels.sort_unstable();
    let deeper = |level: HeadingLevel| {
        let at = levels.iter().position(|known| *known == level).unwrap_or_default();
        HeadingLevel::try_from((3 + at).min(6)).unwrap_or(HeadingLevel::H6)
    };
    let mut addresses: Vec<Option<CowStr<'a>>> = Vec::new();
    let mut out = Vec::with_capacity(events.len());
    for event in events {
        match event {
            Event::Html(text) | Event::InlineHtml(text) => out.push(Event::Text(text)),
            Event::Start(Tag::HtmlBlock) => out.push(Event::Start(Tag::Paragraph)),
            Event::End(TagEnd::HtmlBlock) => out.push(Event::End(TagEnd::Paragraph)),
            Event::Start(Tag::Heading { level, .. }) => {
                let (id, classes, attrs) = (None, Vec::new(), Vec::new());
                out.push(Event::Start(Tag::Heading { level: deeper(level), id, classes, attrs }));
            }
            Event::End(TagEnd::Heading(level)) => out.push(Event::End(TagEnd::Heading(deeper(level)))),
            Event::Start(Tag::CodeBlock(_)) => out.push(Event::Start(Tag::CodeBlock(CodeBlockKind::Indented))),
            Event::Start(Tag::Link { dest_url, link_type, .. } | Tag::Image { dest_url, link_type, .. }) => {
                let is_shown = matches!(link_type, LinkType::Autolink | LinkType::Email);
                addresses.push(Some(dest_url).filter(|address| !is_shown && !address.is_empty()));
            }
            Event::End(TagEnd::Link | TagEnd::Image) => {
                if let Some(address) = addresses.pop().flatten() {
                    out.push(Event::Text(format!(" ({address})").into()));
                }
            }
            Event::Start(Tag::Table(columns)) => {
                out.push(Event::Html(
                    "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Table\">".into(),
                ));
                out.push(Event::Start(Tag::Table(vec![Alignment::None; columns.len()])));
            }
            Event::End(TagEnd::Table) => out.extend([event, Event::Html("</div>".into())]),
            event => out.push(event),
        }
    }
    out
}

/// A text with its links and the numbers of its notes.
fn linked_text(text: &str, places: &PagePlaces, marks: &[(usize, usize, Verdict)]) -> String {
    let mut marks = marks.iter().peekable();
    let mut out = PreEscaped(String::with_capacity(text.len() * 2));
    let mut done = 0;
    let mut put_until = |out: &mut PreEscaped<String>, done: &mut usize, end: usize| {
        while let Some((at, number, verdict)) = marks.next_if(|(at, ..)| *at <= end) {
            let at = (*at).max(*done);
            out.0.push_str(&html! { (&text[*done..at]) (note_mark(*number, *verdict)) }.0);
            *done = at;
        }
        out.0.push_str(&html! { (&text[*done..end]) }.0);
        *done = end;
    };
    for (range, place) in citations(text, places) {
        // A note within a citation comes after it.
        put_until(&mut out, &mut done, range.start);
        // An ID alone says nothing to a reader: its time does.
        let cited = &text[range.clone()];
        let shown = if cited.contains(':') { cited.to_owned() } else { places.label(place) };
        let link = html! { a.cite href={ "#" (place.id()) } { (shown) } };
        out.0.push_str(&link.0);
        done = range.end;
    }
    put_until(&mut out, &mut done, text.len());
    out.0
}

fn note_mark(number: usize, verdict: Verdict) -> PreEscaped<String> {
    let (id, href, label) = (format!("r{number}"), format!("#n{number}"), format!("Note {number}: {verdict}"));
    html! { sup class={ "note " (verdict) } { a id=(id) href=(href) aria-label=(label) { (number) } } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sentence::GroundingProblem;

    fn rendered(answer: &str, doubtful: &[&str]) -> String {
        let sentences: Vec<_> =
            doubtful.iter().map(|text| CheckedSentence::new(*text, vec![GroundingProblem::NoCitation])).collect();
        let (html, notes) = to_html(answer, &sentences, &PagePlaces::default(), 1);
        assert_eq!(notes.len(), doubtful.len());
        assert!(notes.iter().all(|note| note.is_placed), "{}", html.0);
        html.0.trim_end().to_owned()
    }

    #[test]
    fn markdown_stays_but_nothing_of_the_model_is_html() {
        for (answer, expected) in [
            ("# A\n\n### B\n\ntext", "<h3>A</h3>\n<h4>B</h4>\n<p>text</p>"),
            ("a **b** `c` <b>d</b>", "<p>a <strong>b</strong> <code>c</code> &lt;b&gt;d&lt;/b&gt;</p>"),
            ("<script>alert(1)</script>", "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>"),
            ("[x](javascript:alert(1)) ![y](http://e/p.png)", "<p>x (javascript:alert(1)) y (http://e/p.png)</p>"),
            ("<http://e.example>", "<p>http://e.example</p>"),
            ("```x\" onload=\"y\n<i>\n```", "<pre><code>&lt;i&gt;\n</code></pre>"),
            ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>"),
        ] {
            assert_eq!(rendered(answer, &[]), expected);
        }
        let table = rendered("| a | b |\n|---|---|\n| <img src=x onerror=alert(1)> | 2 |", &[]);
        assert!(table.contains("&lt;img src=x onerror=alert(1)&gt;") && !table.contains("<img"), "{table}");
        let aligned = rendered("| a | b | c | d |\n|:---|---:|:---:|---|\n| 1 | 2 | 3 | 4 |", &[]);
        assert!(aligned.contains("<td>2</td>") && !aligned.contains("style"), "{aligned}");
    }

    #[test]
    fn notes_stand_behind_their_sentences() {
        let html = rendered(
            "It *rains*. **It snows**, they say.\n\n- It hails. And more.",
            &["It snows, they say.", "It hails."],
        );
        let marks: Vec<&str> = html.split("<sup").map(|part| part.rsplit('>').next().unwrap_or_default()).collect();
        assert!(marks[0].ends_with(", they say.") && marks[1].ends_with("It hails."), "{html}");
        assert!(html.contains("aria-label=\"Note 2: unsupported\""), "{html}");
    }

    #[test]
    fn notes_of_sentences_that_end_in_code_are_shown() {
        let html = rendered(
            "Run `cargo build`. Then `a` and\n`cargo run`\n\n| x |\n|---|\n| See `b` |",
            &["Run cargo build.", "Then a and cargo run", "See b"],
        );
        for (end, number) in [("cargo build", 1), ("cargo run", 2), ("b", 3)] {
            let expected = format!("<code>{end}</code><sup class=\"note unsupported\"><a id=\"r{number}\"");
            assert!(html.contains(&expected), "{expected} in {html}");
        }
        // A block of code shows no notes: its sentences are quoted in them. Those after it are found.
        let sentence = |text: &str| CheckedSentence::new(text, vec![GroundingProblem::FewSharedWords { share: 0.1 }]);
        let sentences = ["Before: x = 1.", "After.", "Absent."].map(sentence);
        let (html, notes) = to_html("Before:\n\n```\nx = 1.\n```\n\nAfter.", &sentences, &PagePlaces::default(), 1);
        assert_eq!(notes.iter().map(|note| note.is_placed).collect::<Vec<_>>(), [false, true, false]);
        assert!(!html.0.contains("id=\"r1\"") && html.0.contains("After.<sup"), "{}", html.0);
    }
}
