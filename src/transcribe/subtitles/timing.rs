//! The times of cues.

/// `H:MM:SS,mmm` in milliseconds: comma or dot, hours and fraction optional. None if it is not a time or is negative.
pub(super) fn parse_time(text: &str) -> Option<i64> {
    let (clock, fraction) = text.split_once([',', '.']).unwrap_or((text, ""));
    let digits = |s: &str, most: usize| !s.is_empty() && s.len() <= most && s.bytes().all(|b| b.is_ascii_digit());
    let mut seconds: i64 = 0;
    let parts: Vec<&str> = clock.split(':').collect();
    if !(2..=3).contains(&parts.len()) {
        return None;
    }
    for (i, part) in parts.iter().enumerate() {
        let most = if i == 0 && parts.len() == 3 { 6 } else { 3 };
        if !digits(part, most) {
            return None;
        }
        let value: i64 = part.parse().ok()?;
        if i > 0 && value > 59 {
            return None;
        }
        seconds = seconds * 60 + value;
    }
    if !fraction.is_empty() && !digits(fraction, 9) {
        return None;
    }
    let millis = fraction.bytes().chain(*b"000").take(3).fold(0, |n, b| n * 10 + i64::from(b - b'0'));
    Some(seconds * 1000 + millis)
}

/// The times of a cue.
#[derive(Clone, Copy)]
pub(super) enum CueTiming {
    /// Start and end in milliseconds.
    At(i64, i64),
    /// Negative, or not valid times.
    Invalid,
}

impl CueTiming {
    pub(super) fn parse(start: &str, end: &str) -> Self {
        parse_time(start).zip(parse_time(end)).map_or(Self::Invalid, |(start, end)| Self::At(start, end))
    }
}

/// The times of a line `start --> end settings`; None for any other line.
pub(super) fn parse_timing(line: &str) -> Option<CueTiming> {
    let (start, rest) = line.split_once("-->")?;
    let start = start.trim();
    if start.is_empty() || !start.bytes().all(|b| b.is_ascii_digit() || b":,.- ".contains(&b)) {
        return None;
    }
    let end = rest.split_whitespace().next().unwrap_or_default();
    Some(CueTiming::parse(start, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_every_spelling() {
        for (text, millis) in [
            ("00:00:01,500", 1500),
            ("1:02:03.25", 3_723_250),
            ("02:03.250", 123_250),
            ("100:00:00,000", 360_000_000),
            ("00:00:01", 1000),
            ("0:00:00.00", 0),
        ] {
            assert_eq!(parse_time(text), Some(millis), "{text}");
        }
        for bad in ["", "-00:00:01,000", "1", "00:61:00,000", "00:00:-1,0", "a:b:c", "00:00:01,x", "9999999:00:00,0"] {
            assert_eq!(parse_time(bad), None, "{bad}");
        }
    }
}
