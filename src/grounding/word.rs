//! Words, normalized.

use unicode_segmentation::UnicodeSegmentation as _;

use super::number;

/// Latin words of fewer letters are mostly grammar.
const MIN_LATIN_LETTERS: usize = 4;
/// English endings that are removed where a stem of [`MIN_LATIN_LETTERS`] remains; the longest first.
const ENDINGS: [&str; 6] = ["ingly", "edly", "ing", "ed", "es", "s"];

/// Appends the words of a text in lower case, with numbers in digits, each followed by a space.
pub(super) fn push_normalized(text: &str, out: &mut String) {
    for word in number::with_digits(text) {
        out.push_str(&word);
        out.push(' ');
    }
}

/// The lower-case stems of the words that carry meaning.
pub(super) fn terms(text: &str) -> impl Iterator<Item = String> + '_ {
    text.unicode_words().filter_map(|word| {
        let word: String = word.to_lowercase().replace(['\'', '\u{2019}'], "");
        if !word.is_ascii() {
            return Some(word);
        }
        if word.len() < MIN_LATIN_LETTERS || !word.bytes().any(|byte| byte.is_ascii_alphabetic()) {
            return None;
        }
        let stems = ENDINGS.iter().filter_map(|ending| word.strip_suffix(ending));
        let stem = stems.into_iter().find(|stem| stem.len() >= MIN_LATIN_LETTERS).map(str::to_owned);
        Some(stem.unwrap_or(word))
    })
}
