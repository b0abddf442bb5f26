//! SubRip (.srt), which has no standard; parsed as players do.

use super::cues::Cues;
use super::markup;
use super::timing::parse_timing;

pub(super) fn is_srt(text: &str) -> bool {
    text.lines().any(|line| parse_timing(line).is_some())
}

/// A cue starts at its timing line; everything up to the next one is text, except the number before it.
pub(super) fn parse(text: &str) -> Cues {
    let lines: Vec<&str> = text.lines().map(|line| line.trim_end_matches('\r')).collect();
    let mut cues = Cues::default();
    let timings: Vec<_> = lines.iter().enumerate().filter_map(|(i, l)| Some((i, parse_timing(l)?))).collect();
    // The number of the current cue.
    let mut number = timings.first().and_then(|(at, _)| parse_number(lines.get(at.checked_sub(1)?)?));
    for (k, (at, timing)) in timings.iter().enumerate() {
        let mut end = lines.len();
        if let Some((next, _)) = timings.get(k + 1) {
            end = *next;
            let found = if end > at + 1 { parse_number(lines[end - 1]) } else { None };
            let follows = found.is_some() && found == number.and_then(|number| number.checked_add(1));
            if follows || is_number(&lines, *at, end) {
                end -= 1;
                number = found;
            } else {
                number = None;
            }
        }
        cues.push(*timing, markup::srt(&lines[at + 1..end].join("\n")));
    }
    cues
}

fn parse_number(line: &str) -> Option<u64> {
    let digits = line.trim().trim_start_matches('\u{feff}');
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// Whether the line before `next` is the number of the next cue and not the last text line of the cue at `at`: only
/// digits, after a blank line or directly after the timing line.
fn is_number(lines: &[&str], at: usize, next: usize) -> bool {
    let line = next - 1;
    let all_digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    line > at && all_digits(lines[line].trim()) && (line == at + 1 || lines[line - 1].trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(i64, i64, String)> {
        let cues = parse(text).normalized();
        cues.segments.into_iter().map(|s| (s.range.start.millis(), s.range.end.millis(), s.text)).collect()
    }

    #[test]
    fn common_and_unusual_forms() {
        let text = "1\r\n00:00:01,000 --> 00:00:02,000\r\nOne\r\nmore\r\n\r\n\
                    00:00:03.5 --> 00:00:04.5  X1:10 X2:20\r\nno number\r\n\r\n\
                    3\r\n00:00:00,100 --> 00:00:00,200\r\n42\r\n\r\n4\r\n00:00:09,000 --> 00:00:10,000\r\nlast";
        let cue = |a, b, text: &str| (a, b, text.to_owned());
        assert_eq!(
            read(text),
            [cue(100, 200, "42"), cue(1000, 2000, "One more"), cue(3500, 4500, "no number"), cue(9000, 10_000, "last")]
        );
    }

    #[test]
    fn cues_with_invalid_times_are_counted() {
        let text = "1\n00:00:05,000 --> 00:00:04,000\nback\n\n2\n-00:00:01,000 --> 00:00:02,000\nbefore\n\n\
                    3\n00:00:06,000 --> 00:00:07,000\nAn arrow --> in the text\n\n4\n00:99:00,000 --> 1\nx\n";
        let cues = parse(text);
        assert_eq!(cues.n_dropped, 3);
        assert_eq!(read(text), [(6000, 7000, "An arrow --> in the text".to_owned())]);
    }

    #[test]
    fn a_number_that_follows_the_last_one_needs_no_blank_line() {
        let cue = |a, text: &str| (a, a + 1000, text.to_owned());
        let text = "1\n00:00:01,000 --> 00:00:02,000\nOne\n2\n00:00:03,000 --> 00:00:04,000\nTwo\nrows\n\
                    3\n00:00:05,000 --> 00:00:06,000\nThree\n";
        assert_eq!(read(text), [cue(1000, "One"), cue(3000, "Two rows"), cue(5000, "Three")]);
        // A countdown is text, and so is a number where cues have none.
        let text = "7\n00:00:01,000 --> 00:00:02,000\nThree\n2\n1\n8\n00:00:03,000 --> 00:00:04,000\nGo\n";
        assert_eq!(read(text), [cue(1000, "Three 2 1"), cue(3000, "Go")]);
        let text = "00:00:01,000 --> 00:00:02,000\nThe answer is\n42\n00:00:03,000 --> 00:00:04,000\nSure\n";
        assert_eq!(read(text), [cue(1000, "The answer is 42"), cue(3000, "Sure")]);
        let text = "1\r\n00:00:01,000 --> 00:00:02,000\r\nOne\r\n\r\n00:00:03,000 --> 00:00:04,000\r\nno number\r\n";
        assert_eq!(read(text), [cue(1000, "One"), cue(3000, "no number")]);
    }

    #[test]
    fn cues_without_text_are_omitted() {
        assert_eq!(read("1\n00:00:01,000 --> 00:00:02,000\n2\n00:00:03,000 --> 00:00:04,000\n<i></i>\n"), []);
    }
}
