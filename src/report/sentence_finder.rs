//! Where the sentences of an answer end in its Markdown.

use pulldown_cmark::{Event, Tag, TagEnd};

/// The end of a sentence: that of its last letter or digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SentenceEnd {
    /// The number of the event, of text or code, that the letter is in.
    pub event: usize,
    /// The end of the letter in the event's text, in bytes.
    pub at: usize,
}

/// Finds sentences in the events of an answer, in order. Sentences come without Markdown, so that letters and digits alone
/// are compared.
pub(super) struct SentenceFinder {
    letters: String,
    /// For each byte of `letters`, where its letter ends; None in a block of code, where no mark can stand.
    ends: Vec<Option<SentenceEnd>>,
    from: usize,
}

impl SentenceFinder {
    pub fn new<'a>(events: impl IntoIterator<Item = &'a Event<'a>>) -> Self {
        let (mut letters, mut ends, mut is_code_block) = (String::new(), Vec::new(), false);
        for (event, part) in events.into_iter().enumerate() {
            let text = match part {
                Event::Text(text) | Event::Code(text) => text,
                Event::Start(Tag::CodeBlock(_)) => {
                    is_code_block = true;
                    continue;
                }
                Event::End(TagEnd::CodeBlock) => {
                    is_code_block = false;
                    continue;
                }
                _ => continue,
            };
            for (at, letter) in text.char_indices().filter(|(_, c)| c.is_alphanumeric()) {
                letters.push(letter);
                let end = SentenceEnd { event, at: at + letter.len_utf8() };
                ends.resize(letters.len(), (!is_code_block).then_some(end));
            }
        }
        Self { letters, ends, from: 0 }
    }

    /// Where the sentence ends; None if it is not found, or ends in a block of code.
    pub fn find(&mut self, sentence: &str) -> Option<SentenceEnd> {
        let wanted: String = sentence.chars().filter(|c| c.is_alphanumeric()).collect();
        let at = self.letters.get(self.from..)?.find(&wanted).filter(|_| !wanted.is_empty())?;
        self.from += at + wanted.len();
        self.ends[self.from - 1]
    }
}

/// The end of the punctuation from a place in a text on that ends a sentence, or closes a bracket or quotation.
pub(super) fn closing_end(text: &str, from: usize) -> usize {
    text[from..].find(|c: char| !is_closing(c)).map_or(text.len(), |n| from + n)
}

fn is_closing(c: char) -> bool {
    matches!(c, '.' | ',' | ';' | ':' | '!' | '?' | ')' | ']' | '}' | '"' | '\'')
        || matches!(c, '\u{201d}' | '\u{2019}' | '\u{bb}' | '\u{2026}' | '\u{3002}' | '\u{ff01}' | '\u{ff1f}')
        || matches!(c, '\u{ff09}' | '\u{300d}' | '\u{300f}')
}
