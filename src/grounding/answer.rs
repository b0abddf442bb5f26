//! The sentences of an answer in Markdown.

use unicode_segmentation::UnicodeSegmentation as _;

use super::citation::{Citations, quotations};
use super::evidence::GroundingEvidence;
use crate::sanitize::clean_line;
use crate::sentence::sentence_ranges;

/// A sentence of an answer.
pub(super) struct AnswerSentence {
    pub text: String,
    /// What it cites, or what the next sentence of its paragraph cites if it has no citation of its own.
    pub citations: Citations,
}

/// The sentences, each with the citations that follow it. Headings, titles in bold, table heads, code blocks and phrases
/// that introduce a list are not sentences; each table row is one.
pub(super) fn sentences(answer: &str, evidence: &GroundingEvidence) -> Vec<AnswerSentence> {
    let mut found = Vec::new();
    for paragraph in paragraphs(answer) {
        let text = clean_line(&paragraph.replace("**", "").replace("__", "").replace('`', ""));
        if text.starts_with('|') {
            let citations = Citations::parse(&text, evidence);
            found.extend(has_word(&citations.claim).then_some(AnswerSentence { text, citations }));
        } else {
            found.extend(paragraph_sentences(&text, evidence));
        }
    }
    found.retain(|sentence| !sentence.text.ends_with([':', '\u{ff1a}']) || !sentence.citations.is_empty());
    found
}

/// Paragraphs, list items and rows of tables, each in one line.
fn paragraphs(answer: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let (mut is_code, mut goes_on) = (false, false);
    let mut lines = answer.lines().map(str::trim).peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("```") || line.starts_with("~~~") {
            is_code = !is_code;
            goes_on = false;
            continue;
        }
        let is_row = line.starts_with('|');
        let is_head = is_row && lines.peek().is_some_and(|next| is_rule(next));
        let is_heading = line.starts_with('#') && line.trim_start_matches('#').starts_with(' ');
        let text = without_list_mark(line);
        if is_code || line.is_empty() || is_heading || is_head || is_title(text) || is_rule(line) {
            goes_on = false;
            continue;
        }
        let is_item = text.len() < line.len();
        match found.last_mut().filter(|_| goes_on && !is_item && !is_row) {
            Some(before) => {
                before.push(' ');
                before.push_str(text);
            }
            None => found.push(text.to_owned()),
        }
        goes_on = !is_row;
    }
    found
}

/// `---`, `* * *`, or the line below the head of a table.
fn is_rule(line: &str) -> bool {
    line.len() >= 3 && line.chars().all(|c| matches!(c, '|' | '-' | ':' | ' ' | '*' | '_' | '='))
}

/// `**Key points**`, with or without a colon.
fn is_title(line: &str) -> bool {
    let inside = line.trim_end_matches([':', '\u{ff1a}']).strip_prefix("**").and_then(|rest| rest.strip_suffix("**"));
    inside.is_some_and(|inside| !inside.trim_end_matches([':', '\u{ff1a}']).contains("**"))
}

fn without_list_mark(line: &str) -> &str {
    let line = line.trim_start_matches(['>', ' ']);
    if let Some(rest) = ["- ", "* ", "+ ", "\u{2022} "].iter().find_map(|mark| line.strip_prefix(mark)) {
        return rest.trim_start();
    }
    let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
    match rest.strip_prefix(['.', ')']).and_then(|rest| rest.strip_prefix(' ')) {
        Some(rest) if line.len() - rest.len() <= 5 && !line.starts_with(['.', ')']) => rest.trim_start(),
        _ => line,
    }
}

fn paragraph_sentences(text: &str, evidence: &GroundingEvidence) -> Vec<AnswerSentence> {
    let mut quoted = quotations(text).into_iter().peekable();
    let mut sentences: Vec<AnswerSentence> = Vec::new();
    let mut begin = 0;
    for range in sentence_ranges(text) {
        // A quotation may hold the end of a sentence.
        while quoted.next_if(|quotation| quotation.end < range.end).is_some() {}
        if quoted.peek().is_some_and(|quotation| quotation.start <= range.end) && range.end < text.len() {
            continue;
        }
        let sentence = text[begin..range.end].trim();
        begin = range.end;
        let citations = Citations::parse(sentence, evidence);
        if has_word(&citations.claim) {
            sentences.push(AnswerSentence { text: sentence.to_owned(), citations });
        } else if let Some(before) = sentences.last_mut().filter(|_| !sentence.is_empty()) {
            // "It runs. (#3)": the citation belongs to the sentence before it.
            before.text.push(' ');
            before.text.push_str(sentence);
            before.citations.extend(citations);
        }
    }
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
