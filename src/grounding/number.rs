//! Numbers in digits and in English words.

use std::collections::BTreeSet;

use unicode_segmentation::UnicodeSegmentation as _;

const SMALL: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const SCALES: [(&str, u64); 4] =
    [("hundred", 100), ("thousand", 1000), ("million", 1_000_000), ("billion", 1_000_000_000)];
/// Smaller numbers in words are often counted, not said: "two men".
const MIN_STATED: u64 = 10;

/// The words of a text in lower case, with each number in digits, without thousands separators.
pub(super) fn with_digits(text: &str) -> Vec<String> {
    parsed(text).into_iter().map(|word| word.text).collect()
}

/// The numbers that a claim states: those in digits, and those in words from ten on.
pub(super) fn stated(claim: &str) -> BTreeSet<String> {
    let is_stated = |word: &NumberWord| match word.value {
        Some(value) => !word.is_in_words || value >= MIN_STATED,
        None => word.text.bytes().any(|byte| byte.is_ascii_digit()),
    };
    parsed(claim).into_iter().filter(is_stated).map(|word| word.text).collect()
}

/// All numbers of a text, in each way of reading them: "nineteen sixty one" is 1961, 19, 61, 60 and 1.
pub(super) fn all(text: &str) -> BTreeSet<String> {
    let words = parsed(text);
    let mut found = BTreeSet::new();
    for (at, word) in words.iter().enumerate() {
        if !word.text.bytes().any(|byte| byte.is_ascii_digit()) {
            continue;
        }
        found.insert(word.text.clone());
        // Years and telephone numbers are read in pieces.
        let mut joined = word.text.clone();
        for next in words[at + 1..].iter().take(6).take_while(|next| next.value.is_some()) {
            joined.push_str(&next.text);
            found.insert(joined.clone());
        }
    }
    for word in text.unicode_words() {
        let word = word.to_lowercase();
        if let Some(value) = simple(&word) {
            found.insert(value.to_string());
        }
    }
    found
}

struct NumberWord {
    text: String,
    value: Option<u64>,
    is_in_words: bool,
}

fn simple(word: &str) -> Option<u64> {
    let small = SMALL.iter().position(|name| *name == word).map(|at| at as u64);
    small.or_else(|| TENS.iter().position(|name| *name == word).map(|at| at as u64 * 10 + 20))
}

fn parsed(text: &str) -> Vec<NumberWord> {
    let mut words: Vec<NumberWord> = Vec::new();
    // Of the number that is being read in words: its sum, the part below the next scale, and the last word's value.
    let mut open: Option<(u64, u64, u64)> = None;
    let close = |open: &mut Option<(u64, u64, u64)>, words: &mut Vec<NumberWord>| {
        if let Some((sum, part, _)) = open.take() {
            let value = sum + part;
            words.push(NumberWord { text: value.to_string(), value: Some(value), is_in_words: true });
        }
    };
    for word in text.unicode_words() {
        let word = word.to_lowercase().replace('\u{2019}', "'");
        if let Some(value) = simple(&word) {
            let goes_on =
                open.is_some_and(|(_, _, last)| last >= 100 || (20..100).contains(&last) && value < 10 && value > 0);
            if !goes_on {
                close(&mut open, &mut words);
            }
            let (sum, part, _) = open.unwrap_or_default();
            open = Some((sum, part + value, value));
        } else if let (Some((sum, part, _)), Some((_, scale))) = (open, SCALES.iter().find(|(name, _)| *name == word)) {
            open = if *scale == 100 {
                Some((sum, part.saturating_mul(100), 100))
            } else {
                Some((sum.saturating_add(part.saturating_mul(*scale)), 0, *scale))
            };
        } else if word == "and" && open.is_some_and(|(_, _, last)| last >= 100) {
            // "two hundred and five"
        } else {
            close(&mut open, &mut words);
            let digits = word.replace(',', "");
            let text = if digits.bytes().next().is_some_and(|byte| byte.is_ascii_digit()) { digits } else { word };
            let text = text.strip_suffix(".0").map_or(text.clone(), str::to_owned);
            let value = text.parse().ok();
            words.push(NumberWord { text, value, is_in_words: false });
        }
    }
    close(&mut open, &mut words);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_words_are_read() {
        for (text, expected) in [
            ("two hundred and five", "205"),
            ("twenty-five men", "25 men"),
            ("1,250 or 3.5", "1250 or 3.5"),
            ("three thousand four hundred", "3400"),
            ("one two three", "1 2 3"),
            ("one hundred and so on", "100 so on"),
        ] {
            assert_eq!(with_digits(text).join(" "), expected, "{text}");
        }
        assert!(all("nineteen sixty one").contains("1961"));
        assert_eq!(stated("two men with 3 dogs and twelve cats"), ["12", "3"].map(str::to_owned).into());
    }
}
