//! How answers write what they cite: `#17` is a frame, `s42` a segment of the transcript, `04:12.5` the time of either.
//!
//! Each function reads the start of a text, and returns what it found with the number of bytes that it takes.

/// A time as an answer writes it, with or without its tenths of a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TimeLabel {
    /// Tenths of a second; a multiple of 10 without tenths.
    pub tenths: i64,
    pub has_tenths: bool,
}

impl TimeLabel {
    /// The labels of a time: with its tenths, and without.
    pub fn both(tenths: i64) -> [Self; 2] {
        [Self { tenths, has_tenths: true }, Self { tenths: tenths.div_euclid(10) * 10, has_tenths: false }]
    }

    /// Whether it is a label of the time with these tenths of a second, rounded towards the past as
    /// [`Timestamp::label_tenths`](crate::time::Timestamp::label_tenths) does.
    pub fn is_of(self, tenths: i64) -> bool {
        Self::both(tenths).contains(&self)
    }
}

/// Whether an ID or a time may follow a character. Letters of scripts that write no spaces may come right before.
pub(crate) fn may_follow(before: char) -> bool {
    !before.is_ascii_alphanumeric() && !matches!(before, ':' | '.' | '/' | '&' | '_')
}

/// `#17`.
pub(crate) fn frame_id(text: &str) -> Option<(usize, usize)> {
    number(text.strip_prefix('#')?).map(|(id, n)| (id, n + 1))
}

/// `s42`.
pub(crate) fn segment_id(text: &str) -> Option<(usize, usize)> {
    number(text.strip_prefix('s')?).map(|(id, n)| (id, n + 1))
}

/// The end of a range of IDs: a dash or `to`, then an ID, or a number right behind a dash. `#3-7`, `s42 to s44`.
pub(crate) fn id_range_end(text: &str, id: impl Fn(&str) -> Option<(usize, usize)>) -> Option<(usize, usize)> {
    range_end(text, id).or_else(|| {
        let rest = DASHES.iter().find_map(|dash| text.strip_prefix(dash))?;
        // `s42-04:15.0` is an ID and a time.
        let (end, n) =
            number(rest).filter(|(_, n)| !rest[*n..].starts_with([':', '.']) || !has_digit(&rest[*n + 1..]))?;
        Some((end, text.len() - rest.len() + n))
    })
}

/// The end of a range: a dash or a word such as `to`, then what `parse` reads.
pub(crate) fn range_end<T>(text: &str, parse: impl Fn(&str) -> Option<(T, usize)>) -> Option<(T, usize)> {
    let trimmed = text.trim_start();
    DASHES.iter().chain(&["to ", "until "]).find_map(|mark| {
        let rest = trimmed.strip_prefix(mark)?.trim_start();
        let (end, n) = parse(rest)?;
        Some((end, text.len() - rest.len() + n))
    })
}

/// `04:12.5`, `4:12` or `1:04:12`, with up to three digits of a fraction.
pub(crate) fn written_time(text: &str) -> Option<(TimeLabel, usize)> {
    let (mut fields, mut at) = (Vec::new(), 0);
    loop {
        let n = n_digits(&text[at..]);
        if n == 0 || n > 3 || !fields.is_empty() && n != 2 {
            return None;
        }
        fields.push(text[at..at + n].parse::<i64>().ok()?);
        at += n;
        // "At 04:12: the ship leaves" goes on with text.
        let goes_on = text[at..].starts_with(':') && n_digits(&text[at + 1..]) == 2;
        if !goes_on || fields.len() == 3 {
            break;
        }
        at += 1;
    }
    if fields.len() < 2 || fields[1..].iter().any(|field| *field >= 60) {
        return None;
    }
    let mut tenths = fields.iter().fold(0, |sum, field| sum * 60 + field) * 10;
    let n_fraction = text[at..].strip_prefix('.').map_or(0, n_digits);
    let has_tenths = (1..=3).contains(&n_fraction);
    if has_tenths {
        tenths += text[at + 1..=at + 1].parse::<i64>().ok()?;
        at += 1 + n_fraction;
    }
    Some((TimeLabel { tenths, has_tenths }, at))
}

const DASHES: [&str; 4] = ["-", "\u{2013}", "\u{2014}", "~"];

/// A number that does not go on as a word: `17`, not `17a`.
fn number(text: &str) -> Option<(usize, usize)> {
    let n = n_digits(text);
    let ends = !text[n..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    Some((text[..n].parse().ok().filter(|_| ends)?, n))
}

fn n_digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

fn has_digit(text: &str) -> bool {
    n_digits(text) > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_their_ranges() {
        for (text, expected) in [
            ("#17", Some((17, 3))),
            ("#7\u{c5d0}\u{c11c}", Some((7, 2))),
            ("#7a", None),
            ("#7_", None),
            ("#", None),
            ("#99999999999999999999999", None),
        ] {
            assert_eq!(frame_id(text), expected, "{text}");
        }
        assert_eq!((segment_id("s42)"), segment_id("s"), segment_id("s1b")), (Some((42, 3)), None, None));
        for (text, expected) in [
            ("-s44)", Some((44, 4))),
            (" to s44", Some((44, 7))),
            ("\u{2013}44", Some((44, 5))),
            (" - 44 people", None),
            ("-44 people", Some((44, 3))),
            (" \u{2013} 04:15.0", None),
            ("-04:15.0", None),
            ("-44.", Some((44, 3))),
            (", s44", None),
        ] {
            assert_eq!(id_range_end(text, segment_id), expected, "{text}");
        }
    }

    #[test]
    fn times_with_and_without_tenths() {
        let label = |tenths, has_tenths| TimeLabel { tenths, has_tenths };
        for (text, expected) in [
            ("04:12.5)", Some((label(2525, true), 7))),
            ("4:12", Some((label(2520, false), 4))),
            ("1:04:12.25", Some((label(38_522, true), 10))),
            ("04:12: the ship", Some((label(2520, false), 5))),
            ("120:00", Some((label(72_000, false), 6))),
            ("04:72", None),
            ("1:2", None),
            ("1234:00", None),
            (":", None),
        ] {
            assert_eq!(written_time(text), expected, "{text}");
        }
        assert!(label(2525, true).is_of(2525) && label(2520, false).is_of(2525));
        assert!(!label(2520, true).is_of(2525) && !label(2520, false).is_of(2530));
    }
}
