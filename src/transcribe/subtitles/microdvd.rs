//! `MicroDVD` (.sub): `{start}{end}text|next line`, counted in frames.

use super::cues::Cues;
use super::markup::VoiceSpan;
use crate::media::Ratio;

/// A line's frames, the end None if it is empty; and its text.
fn line(line: &str) -> Option<(u64, Option<u64>, &str)> {
    let (start, rest) = line.trim().strip_prefix('{')?.split_once('}')?;
    let (end, text) = rest.strip_prefix('{')?.split_once('}')?;
    let count = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().unwrap_or(u64::MAX));
    let end = if end.is_empty() { None } else { Some(count(end)?) };
    Some((count(start).filter(|_| !start.is_empty())?, end, text))
}

pub(super) fn is_microdvd(text: &str) -> bool {
    text.lines().map(str::trim).filter(|l| !l.is_empty()).take(3).any(|l| line(l).is_some())
}

/// Parses with the frame rate of the first line (`{1}{1}23.976`), otherwise with `frame_rate`.
///
/// # Errors
/// A phrase if neither states a rate.
pub(super) fn parse(text: &str, frame_rate: Option<Ratio>) -> Result<Cues, String> {
    let mut lines = text.lines().filter_map(line).peekable();
    let stated = lines.peek().filter(|(start, end, _)| *start <= 1 && end.is_none_or(|end| end <= 1));
    let stated = stated.and_then(|(.., text)| text.trim().replace(',', ".").parse::<f64>().ok());
    let stated = stated.filter(|rate| (1.0..=1000.0).contains(rate));
    if stated.is_some() {
        lines.next();
    }
    let Some(rate) = stated.or(frame_rate.map(Ratio::as_f64)).filter(|rate| *rate > 0.0) else {
        return Err("counts its times in frames (MicroDVD), and neither its first line nor the video states how many \
                    there are in a second"
            .to_owned());
    };
    // Frames beyond any recording saturate, and are dropped.
    let millis = |frame: u64| (frame as f64 * 1000.0 / rate).round() as i64;
    let mut cues = Cues::default();
    for (start, end, text) in lines {
        cues.push_open(millis(start), end.map(millis), VoiceSpan::single(None, &without_codes(text)));
    }
    Ok(cues.with_ends())
}

/// The text without control codes (`{y:i}`, `{C:$0000ff}`) and slashes of italics; `|` starts a line.
fn without_codes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        let code = rest[at..].split_once('}').filter(|(code, _)| code.get(2..3) == Some(":") && code.len() <= 64);
        let Some((_, after)) = code else {
            out.push_str(&rest[..=at]);
            rest = &rest[at + 1..];
            continue;
        };
        out.push_str(&rest[..at]);
        rest = after;
    }
    out.push_str(rest);
    let lines = out.split('|').map(|line| line.trim().strip_prefix('/').unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILM: Ratio = Ratio { num: 25, den: 1 };

    fn read(text: &str, rate: Option<Ratio>) -> Result<Vec<(i64, i64, String)>, String> {
        let segments = parse(text, rate)?.normalized().segments.into_iter();
        Ok(segments.map(|s| (s.range.start.millis(), s.range.end.millis(), s.text)).collect())
    }

    #[test]
    fn the_rate_is_the_first_lines_or_the_videos() {
        let cue = |start, end, text: &str| (start, end, text.to_owned());
        let cues = "{25}{50}{y:i}Hello|{C:$00ffff}you {x} there\n{75}{}/open end\n{100}{125}\n";
        let expected = [cue(1000, 2000, "Hello you {x} there"), cue(3000, 8000, "open end")];
        assert!(is_microdvd(cues) && is_microdvd("\u{feff}{DEFAULT}{}\n{0}{1}x".trim_start_matches('\u{feff}')));
        assert_eq!(read(cues, Some(FILM)).expect("rate"), expected);
        for first in ["{1}{1}25.000\n", "{0}{0}25\n", "{1}{1}25,0\r\n"] {
            assert_eq!(read(&format!("{first}{cues}"), None).expect("rate"), expected, "{first}");
        }
        let twice = read(&format!("{{1}}{{1}}50\n{cues}"), Some(FILM)).expect("rate");
        assert_eq!(twice[0], cue(500, 1000, "Hello you {x} there"));
        assert!(read(cues, None).expect_err("no rate").contains("MicroDVD"));
        // A cue at the first frame is no rate.
        assert_eq!(read("{0}{25}42 is it\n", Some(FILM)).expect("rate"), [cue(0, 1000, "42 is it")]);
    }

    #[test]
    fn hostile_counts_are_dropped() {
        let text = "{99999999999999999999}{5}x\n{50}{25}back\n{-5}{10}no cue\n{1}{1}0\n{1}{1}1e99\n{}{}x\n";
        let cues = parse(text, Some(FILM)).expect("rate");
        assert_eq!(cues.n_dropped, 2);
        assert_eq!(cues.segments.len(), 2, "numbers that are no rates are text: {:?}", cues.segments);
    }
}
