//! What a translation must keep: numbers, in whatever way the other language writes them, and addresses.

/// The first character of each block of decimal digits (Unicode general category Nd) that subtitles use.
const ZEROS: [char; 18] = [
    '0', '\u{660}', '\u{6f0}', '\u{966}', '\u{9e6}', '\u{a66}', '\u{ae6}', '\u{b66}', '\u{be6}', '\u{c66}', '\u{ce6}',
    '\u{d66}', '\u{e50}', '\u{ed0}', '\u{1040}', '\u{17e0}', '\u{1810}', '\u{ff10}',
];
/// Characters within one number: separators of thousands, decimals, hours and parts of a date.
const SEPARATORS: [char; 15] = [
    '.', ',', ':', '/', '-', '\'', ' ', '\u{a0}', '\u{2009}', '\u{202f}', '\u{2019}', '\u{66b}', '\u{66c}', '\u{ff0c}',
    '\u{ff1a}',
];
/// Separators that never stand within one value.
const NOT_IN_VALUES: [char; 4] = [':', '/', '-', '\u{ff1a}'];
/// Beginnings of words that multiply the number before them, the longer ones first. One that ends in a blank is a whole word.
const SCALES: [(&str, f64); 42] = [
    ("milliard", 1e9),
    ("millió", 1e6),
    ("million", 1e6),
    ("millón", 1e6),
    ("millones", 1e6),
    ("milione", 1e6),
    ("milioni", 1e6),
    ("milhão", 1e6),
    ("milhões", 1e6),
    // German and Spanish have other names from a thousand millions on.
    ("billionen", 1e12),
    ("billones", 1e12),
    ("billón", 1e12),
    ("trillionen", 1e18),
    ("billion", 1e9),
    ("trillion", 1e12),
    ("thousand", 1e3),
    ("hundred", 1e2),
    ("tausend", 1e3),
    ("миллиард", 1e9),
    ("миллион", 1e6),
    ("тысяч", 1e3),
    ("lakh", 1e5),
    ("crore", 1e7),
    ("mille ", 1e3),
    ("mil ", 1e3),
    ("천만", 1e7),
    ("백만", 1e6),
    ("십만", 1e5),
    ("만", 1e4),
    ("천", 1e3),
    ("백", 1e2),
    ("억", 1e8),
    ("조", 1e12),
    ("万", 1e4),
    ("萬", 1e4),
    ("千", 1e3),
    ("百", 1e2),
    ("十", 1e1),
    ("億", 1e8),
    ("亿", 1e8),
    ("兆", 1e12),
    ("bn", 1e9),
];
const CJK_DIGITS: [(char, u64); 12] = [
    ('〇', 0),
    ('零', 0),
    ('一', 1),
    ('二', 2),
    ('两', 2),
    ('三', 3),
    ('四', 4),
    ('五', 5),
    ('六', 6),
    ('七', 7),
    ('八', 8),
    ('九', 9),
];
/// More digits than this are an identifier, not a quantity.
const MAX_DIGITS: usize = 15;

/// The first number of the original that the translation lacks, as it is written there; None where all are there. A number
/// must be there as often as in the original. Numbers in words may become digits and are not compared.
pub(super) fn lost_number(original: &str, translation: &str) -> Option<String> {
    let wanted = numbers(original);
    if wanted.is_empty() {
        return None;
    }
    let mut found = numbers(translation);
    found.extend(cjk_numbers(translation).into_iter().map(Number::in_words));
    let mut is_used = vec![false; found.len()];
    let mut is_kept = vec![false; wanted.len()];
    // Equal digits first, so that no other number takes them.
    let is_same = |number: &Number, other: &Number| number.written == other.written && number.is_value_of(other);
    for is_equal in [is_same, Number::is_value_of] {
        for (number, is_kept) in wanted.iter().zip(&mut is_kept).filter(|(_, is_kept)| !**is_kept) {
            let at = (0..found.len()).find(|at| !is_used[*at] && is_equal(number, &found[*at]));
            if let Some(at) = at {
                (is_used[at], *is_kept) = (true, true);
            }
        }
    }
    // The groups of the others, as in `10:30` and `10시 30분`.
    let unused = found.iter().zip(is_used).filter(|(_, is_used)| !is_used).map(|(number, _)| number);
    let mut groups: Vec<(&Number, &Group)> =
        unused.flat_map(|number| number.groups.iter().map(move |group| (number, group))).collect();
    for (number, is_kept) in wanted.iter().zip(&mut is_kept).filter(|(_, is_kept)| !**is_kept) {
        let mut rest = groups.clone();
        *is_kept = number.groups.iter().all(|group| {
            let at = rest.iter().position(|(other, found)| number.may_be_plain(other) && group.is_same(found));
            at.map(|at| rest.remove(at)).is_some()
        });
        if *is_kept {
            groups = rest;
        }
    }
    wanted.into_iter().zip(is_kept).find(|(_, is_kept)| !is_kept).map(|(number, _)| number.written)
}

/// The first web or email address of the original that the translation lacks.
pub(super) fn lost_address<'a>(original: &'a str, translation: &str) -> Option<&'a str> {
    let addresses = original.split_whitespace().map(|word| {
        word.trim_matches(|c: char| {
            matches!(c, '.' | ',' | ';' | ':' | '!' | '?' | '"' | '\'' | '(' | ')' | '<' | '>' | '[' | ']')
        })
    });
    let is_address = |word: &&str| {
        let is_mail = word.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.'));
        word.is_ascii() && (word.contains("://") || word.starts_with("www.") || is_mail)
    };
    addresses.filter(is_address).find(|address| !translation.contains(address))
}

struct Number {
    /// As it stands in the text.
    written: String,
    /// The values of its digits alone, as text.
    plain: Vec<String>,
    /// Its groups of digits: `1` and `000` for `1,000`.
    groups: Vec<Group>,
    /// Its value times the scale words after it, or the sum that it completes; empty without scale words.
    scaled: Vec<String>,
    /// Whether it is written in Chinese characters.
    is_in_words: bool,
}

impl Number {
    fn in_words(digits: String) -> Self {
        let groups = vec![Group { digits: digits.clone(), is_first: true }];
        Self { written: digits.clone(), plain: vec![digits], groups, scaled: Vec::new(), is_in_words: true }
    }

    /// Whether the scale words of this number and its translation `other` can be left aside: one in another language may be
    /// unknown, and a word that begins like one may be another word, as in "2조각", two pieces.
    fn may_be_plain(&self, other: &Self) -> bool {
        self.scaled.is_empty() || (other.scaled.is_empty() && !other.is_in_words)
    }

    fn is_value_of(&self, other: &Self) -> bool {
        let share = |some: &[String], others: &[String]| some.iter().any(|reading| others.contains(reading));
        (self.may_be_plain(other) && (share(&self.plain, &other.plain) || self.groups == other.groups))
            || share(&self.scaled, &other.scaled)
            || (other.scaled.is_empty() && share(&self.scaled, &other.plain))
            || (self.scaled.is_empty() && share(&self.plain, &other.scaled))
    }
}

/// Digits between separators.
#[derive(PartialEq)]
struct Group {
    /// Without the zeros before it if it is the first one; in others they count: `1,05` is not `1,5`.
    digits: String,
    is_first: bool,
}

impl Group {
    /// Whether a group of a translation is this one. The `05` of a time or date may be a `5` on its own.
    fn is_same(&self, other: &Self) -> bool {
        let bare = |group: &Self| {
            let has_zero = !group.is_first && group.digits.len() == 2;
            if has_zero { without_zeros(&group.digits) } else { group.digits.clone() }
        };
        self.digits == other.digits || (self.is_first != other.is_first && bare(self) == bare(other))
    }
}

/// The numbers in digits, each with the words that multiply it: `1,000`, `5 %`, `10:30`, `1.5 million`, `1억 5천만`.
fn numbers(text: &str) -> Vec<Number> {
    let text: Vec<char> = text.chars().map(ascii_digit).collect();
    let mut found: Vec<Number> = Vec::new();
    // The sum so far, its last factor and its end, for numbers such as `1억 5천만`.
    let mut before: Option<(f64, f64, usize)> = None;
    let mut at = 0;
    while at < text.len() {
        if !text[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let end = end_of_number(&text, at);
        let (factor, after) = scale(&text, end);
        let written: String = text[at..end].iter().collect();
        let groups = groups(&written);
        let mut number = Number { plain: Vec::new(), written, groups, scaled: Vec::new(), is_in_words: false };
        let are_thousands = number.groups[1..].iter().all(|group| group.digits.len() == 3);
        if number.groups.len() == 1 || (are_thousands && number.groups[0].digits != "0") {
            number.plain.push(number.groups.iter().map(|group| &*group.digits).collect());
        }
        if let Some(value) = value(&number.written) {
            number.plain.push(value_text(value));
            let value = value * factor;
            if factor > 1.0 {
                number.scaled.push(value_text(value));
            }
            let is_next =
                |&(_, last, from): &(f64, f64, usize)| last > factor && text[from..at].iter().all(|c| *c == ' ');
            let sum = before.filter(is_next).map(|(sum, ..)| sum + value);
            if let Some((sum, first)) = sum.and_then(|sum| Some((sum, found.pop()?))) {
                let written = format!("{} {}", first.written, number.written);
                let groups = first.groups.into_iter().chain(number.groups).collect();
                number =
                    Number { written, plain: Vec::new(), groups, scaled: vec![value_text(sum)], is_in_words: false };
            }
            before = (factor > 1.0).then_some((sum.unwrap_or(value), factor, after));
        }
        found.push(number);
        at = after;
    }
    found
}

fn groups(written: &str) -> Vec<Group> {
    let group = |(at, digits): (usize, &str)| match at {
        0 => Group { digits: without_zeros(digits), is_first: true },
        _ => Group { digits: digits.to_owned(), is_first: false },
    };
    written.split(|c: char| !c.is_ascii_digit()).enumerate().map(group).collect()
}

fn ascii_digit(c: char) -> char {
    let digit = ZEROS.iter().find_map(|zero| (c as u32).checked_sub(*zero as u32).filter(|digit| *digit < 10));
    digit.and_then(|digit| char::from_digit(digit, 10)).unwrap_or(c)
}

/// Where the number that starts at `at` ends. A space belongs to it where three digits follow.
fn end_of_number(text: &[char], at: usize) -> usize {
    let is_digit = |at: usize| text.get(at).is_some_and(char::is_ascii_digit);
    let mut end = at;
    loop {
        while is_digit(end) {
            end += 1;
        }
        let is_space = text.get(end).is_some_and(|c| c.is_whitespace());
        let is_group = (1..=3).all(|n| is_digit(end + n)) && !is_digit(end + 4);
        let goes_on = text.get(end).is_some_and(|c| SEPARATORS.contains(c)) && is_digit(end + 1);
        if !goes_on || (is_space && !is_group) {
            return end;
        }
        end += 1;
    }
}

/// The factor of the words after a number, and where they end.
fn scale(text: &[char], mut at: usize) -> (f64, usize) {
    let mut factor = 1.0;
    loop {
        let start = at + text[at..].iter().take(1).filter(|c| c.is_whitespace()).count();
        let word: String = text[start..].iter().take(12).flat_map(|c| c.to_lowercase()).collect();
        let begins = |name: &str| match name.strip_suffix(' ') {
            Some(name) => word.strip_prefix(name).is_some_and(|rest| !rest.starts_with(char::is_alphabetic)),
            None => word.starts_with(name),
        };
        let Some((name, scale)) = SCALES.iter().find(|(name, _)| begins(name)) else { return (factor, at) };
        factor *= scale;
        let n_chars = name.trim_end().chars().count();
        // The rest of the word: "millions", "Milliarden".
        let rest = text[start + n_chars..].iter().take_while(|c| name.is_ascii() && c.is_ascii_alphabetic()).count();
        at = start + n_chars + rest;
        if factor > 1e15 {
            return (factor, at);
        }
    }
}

/// The value where the last separator, if it is a point or a comma that is not before three digits, begins the decimals. None
/// for times, dates and ranges.
fn value(written: &str) -> Option<f64> {
    if written.contains(NOT_IN_VALUES) {
        return None;
    }
    let is_point = |c: char| matches!(c, '.' | ',' | '\u{66b}');
    let (whole, decimals) = match written.rsplit_once(is_point) {
        Some((whole, decimals)) if decimals.len() != 3 || whole == "0" => (whole, decimals),
        _ => (written, ""),
    };
    let whole: String = whole.chars().filter(char::is_ascii_digit).collect();
    if whole.len() + decimals.len() > MAX_DIGITS {
        return None;
    }
    format!("{whole}.{decimals}0").parse().ok()
}

fn value_text(value: f64) -> String {
    // Sums and products of decimals are exact only to some digits.
    let text = format!("{value:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    text.to_owned()
}

/// `05` as `5`.
fn without_zeros(digits: &str) -> String {
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() { "0".to_owned() } else { digits.to_owned() }
}

/// The numbers in Chinese characters, as digits: 二十五 is 25, 二〇二五 is 2025.
fn cjk_numbers(text: &str) -> Vec<String> {
    let digit = |c: char| CJK_DIGITS.iter().find(|(name, _)| *name == c).map(|(_, value)| *value);
    let unit = |c: char| match c {
        '十' => Some(10_u64),
        '百' => Some(100),
        '千' => Some(1000),
        '万' | '萬' => Some(10_000),
        _ => None,
    };
    let mut found = Vec::new();
    let is_part = |c: char| digit(c).is_some() || unit(c).is_some();
    for run in text.split(|c: char| !is_part(c)).filter(|run| !run.is_empty()).take(100) {
        if run.chars().all(|c| digit(c).is_some()) {
            let digits: String = run.chars().filter_map(digit).map(|value| value.to_string()).collect();
            found.push(without_zeros(&digits));
            continue;
        }
        let (mut sum, mut part, mut last) = (0_u64, 0_u64, None);
        for c in run.chars() {
            match (digit(c), unit(c)) {
                (Some(value), _) => last = Some(value),
                (_, Some(10_000)) => {
                    sum =
                        sum.saturating_add(part.saturating_add(last.take().unwrap_or(0)).max(1).saturating_mul(10_000));
                    part = 0;
                }
                (_, Some(unit)) => part = part.saturating_add(last.take().unwrap_or(1).saturating_mul(unit)),
                _ => {}
            }
        }
        found.push(sum.saturating_add(part).saturating_add(last.unwrap_or(0)).to_string());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_same_however_they_are_written() {
        for (original, translation) in [
            ("1,000 people", "1.000 Menschen"),
            ("1,000 people", "1000명"),
            ("1,000 people", "1 000 personnes"),
            ("1,000 people", "1\u{202f}000 personnes"),
            ("1,000 people", "1천 명"),
            ("10,500 won", "1만 500원"),
            ("12,345", "1만 2,345"),
            ("1.5 million", "150만"),
            ("150 million", "1억 5천만"),
            ("$2.5 billion", "25억 달러"),
            ("2 thousand", "2000"),
            ("5%", "5 %"),
            ("5%", "٥٪"),
            ("10:30", "10시 30분"),
            ("10:30", "10.30 Uhr"),
            ("2024-05-01", "2024년 5월 1일"),
            ("3.5 km", "3,5 km"),
            ("25 years", "二十五年"),
            ("2025", "二〇二五年"),
            ("30,000", "三万"),
            ("16 of them", "１６"),
            ("3 to 5", "5 bis 3"),
            ("no number", "7"),
            ("three of us", "우리 셋"),
            ("room 5 100", "방 5 100"),
            ("0.5", "0,5"),
            ("007", "007"),
            ("10:05", "10시 5분"),
            ("10:10", "10시 10분"),
            ("May 5, 2024", "2024.05.05"),
            ("01/05/2024", "2024년 1월 5일"),
            ("1,00,000", "100000"),
            ("3.50", "3,5"),
            ("3-5 days", "3~5일"),
            ("5 and 5", "5와 5"),
            ("1,00 or 1", "1 or 1.00"),
            ("5 trillion", "5 Billionen"),
            ("5 trillion", "5 billones"),
            ("5 thousand", "5 mil."),
            ("5,000", "5 mil, más"),
            ("5 miles", "5 miles"),
            ("30 thousand", "三万"),
        ] {
            assert_eq!(lost_number(original, translation), None, "{original} / {translation}");
        }
    }

    #[test]
    fn another_number_is_another_number() {
        for (original, translation, lost) in [
            ("1,000 people", "100명", "1,000"),
            ("1,000 people", "10,000명", "1,000"),
            ("1.5 million", "15만", "1.5"),
            ("5%", "fünf", "5"),
            ("10:30", "10시", "10:30"),
            ("3 and 4", "3", "4"),
            ("in 1984", "in 1948", "1984"),
            ("3.5 km", "3 km", "3.5"),
            ("25", "二十", "25"),
            ("9 lives", "", "9"),
            ("1.1", "1", "1.1"),
            ("5,005", "5", "5,005"),
            ("10:10", "10", "10:10"),
            ("1,000", "1.0", "1,000"),
            ("3,000", "3:00", "3,000"),
            ("1.05", "1,5", "1.05"),
            ("3.5 km", "35 km", "3.5"),
            ("3-5 days", "35일", "3-5"),
            ("0.125", "125", "0.125"),
            ("5 and 5", "5", "5"),
            ("7 of 7", "7개", "7"),
            ("3 and 3", "三", "3"),
            ("5 billion", "5 Billionen", "5"),
            ("5 billion", "5 billones", "5"),
            ("5 trillion", "5 Trillionen", "5"),
            ("5 million", "5 mil.", "5"),
        ] {
            assert_eq!(lost_number(original, translation).as_deref(), Some(lost), "{original} / {translation}");
        }
    }

    #[test]
    fn addresses_stay() {
        assert_eq!(lost_address("See https://a.b/c?d=1. Or write to x@y.org!", "https://a.b/c?d=1, x@y.org를"), None);
        assert_eq!(lost_address("See (https://a.b/c).", "https://a.b/d"), Some("https://a.b/c"));
        assert_eq!(lost_address("x@y.org, now", "x@y.com"), Some("x@y.org"));
        assert_eq!(lost_address("@someone and a@b, www. or 5://", "x"), Some("5://"));
    }

    #[test]
    fn long_and_odd_digits_are_read_without_end() {
        let long = "9".repeat(5000);
        assert_eq!(lost_number(&long, &long), None);
        assert!(lost_number(&long, "9").is_some());
        let scales = format!("1 {}", "million ".repeat(500));
        assert_eq!(lost_number(&scales, &scales), None);
        let cjk = "九千万".repeat(500);
        assert!(lost_number("5", &cjk).is_some());
    }
}
