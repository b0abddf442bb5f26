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
const SMALL_ORDINALS: [&str; 20] = [
    "zeroth",
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
];
const TENS_ORDINALS: [&str; 8] =
    ["twentieth", "thirtieth", "fortieth", "fiftieth", "sixtieth", "seventieth", "eightieth", "ninetieth"];
const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const SCALES: [(&str, u64); 4] =
    [("hundred", 100), ("thousand", 1000), ("million", 1_000_000), ("billion", 1_000_000_000)];
/// Below it, doubles hold every whole number.
const MAX_SCALED: f64 = 9e15;
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
    found.extend(text.unicode_words().filter_map(|word| simple(&word.to_lowercase())).map(|value| value.to_string()));
    found
}

struct NumberWord {
    text: String,
    value: Option<u64>,
    is_in_words: bool,
}

/// A cardinal or ordinal number in one word.
fn simple(word: &str) -> Option<u64> {
    let place = |names: &[&str]| names.iter().position(|name| *name == word).map(|at| at as u64);
    let small = place(&SMALL).or_else(|| place(&SMALL_ORDINALS));
    small.or_else(|| place(&TENS).or_else(|| place(&TENS_ORDINALS)).map(|at| at * 10 + 20))
}

/// `1,250` as 1250, `10th` as 10, `3.50` as it is; None for other words.
fn digits(word: &str) -> Option<String> {
    if !word.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let plain = word.replace(',', "");
    let ordinal = ["st", "nd", "rd", "th"].iter().find_map(|end| plain.strip_suffix(end));
    let ordinal = ordinal.filter(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
    let plain = ordinal.map_or_else(|| plain.clone(), str::to_owned);
    Some(plain.strip_suffix(".0").map_or_else(|| plain.clone(), str::to_owned))
}

/// A number that is being read in words.
#[derive(Clone, Copy, Default)]
struct OpenNumber {
    /// What is complete, below a billion or a million.
    sum: u64,
    /// The part below the next scale.
    part: u64,
    /// The value of the last word.
    last: u64,
}

impl OpenNumber {
    fn scaled(self, scale: u64) -> Self {
        if scale == 100 {
            // "a hundred" is one hundred.
            Self { part: self.part.max(1).saturating_mul(100), last: 100, ..self }
        } else {
            let part = if self.part == 0 && self.sum == 0 { 1 } else { self.part };
            Self { sum: self.sum.saturating_add(part.saturating_mul(scale)), part: 0, last: scale }
        }
    }

    /// Whether a word of this value continues it: "two hundred | five", "twenty | one".
    fn goes_on_with(self, value: u64) -> bool {
        self.last >= 100 || (20..100).contains(&self.last) && self.last.is_multiple_of(10) && (1..10).contains(&value)
    }
}

fn parsed(text: &str) -> Vec<NumberWord> {
    fn close(open: &mut Option<OpenNumber>, words: &mut Vec<NumberWord>) {
        if let Some(number) = open.take() {
            let value = number.sum.saturating_add(number.part);
            words.push(NumberWord { text: value.to_string(), value: Some(value), is_in_words: true });
        }
    }
    let mut words: Vec<NumberWord> = Vec::new();
    let mut open: Option<OpenNumber> = None;
    for word in text.unicode_words() {
        let word = word.to_lowercase().replace('\u{2019}', "'");
        let scale = SCALES.iter().find(|(name, _)| *name == word).map(|(_, scale)| *scale);
        if let Some(value) = simple(&word) {
            if !open.is_some_and(|number| number.goes_on_with(value)) {
                close(&mut open, &mut words);
            }
            let number = open.unwrap_or_default();
            open = Some(OpenNumber { part: number.part.saturating_add(value), last: value, ..number });
        } else if let Some(scale) = scale {
            // "5 million", "2.5 million"
            let before = words.last_mut().filter(|before| open.is_none() && !before.is_in_words);
            let times = before.as_ref().and_then(|before| before.text.parse::<f64>().ok());
            match (before, times) {
                (Some(before), Some(times)) if times * (scale as f64) < MAX_SCALED => {
                    let value = (times * scale as f64).round() as u64;
                    *before = NumberWord { text: value.to_string(), value: Some(value), is_in_words: false };
                }
                _ => open = Some(open.unwrap_or_default().scaled(scale)),
            }
        } else if word == "and" && open.is_some_and(|number| number.last >= 100) {
            // "two hundred and five"
        } else {
            close(&mut open, &mut words);
            let text = digits(&word).unwrap_or(word);
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
            ("a hundred people", "a 100 people"),
            ("the tenth of April, the 21st and the twenty-first", "the 10 of april the 21 and the 21"),
            ("5 million, 2.5 million, five million", "5000000 2500000 5000000"),
            ("nineteen twelve", "19 12"),
        ] {
            assert_eq!(with_digits(text).join(" "), expected, "{text}");
        }
        assert!(all("nineteen sixty one").contains("1961"));
        let endless = format!("{} one", "hundred billion ".repeat(30));
        assert_eq!(with_digits(&endless).len(), 1, "no overflow");
        assert_eq!(stated("two men with 3 dogs and twelve cats"), ["12", "3"].map(str::to_owned).into());
    }
}
