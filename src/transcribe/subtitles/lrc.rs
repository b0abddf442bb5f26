//! LRC: lyrics with a time before each line, `[mm:ss.xx]`, and in its enhanced form before each word, `<mm:ss.xx>`.

use super::cues::Cues;
use super::markup::{self, VoiceSpan};
use super::timing::parse_time;
use crate::language;
use crate::time::{TimeRange, Timestamp};
use crate::transcript::Word;

/// An offset of more than a day is an error.
const MAX_OFFSET_MILLIS: u64 = 86_400_000;

/// What a line's brackets hold.
enum Tag<'a> {
    /// In milliseconds.
    Time(i64),
    /// A name and its value, such as `ar:The Band`.
    Id(&'a str, &'a str),
}

fn tag(line: &str) -> Option<(Tag<'_>, &str)> {
    let (body, rest) = line.strip_prefix('[')?.split_once(']')?;
    if let Some(millis) = time(body) {
        return Some((Tag::Time(millis), rest));
    }
    let (name, value) = body.split_once(':')?;
    let is_name = (1..=8).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphabetic() || b == b'#');
    is_name.then_some((Tag::Id(name, value.trim()), rest))
}

/// `mm:ss.xx`, and `mm:ss:xx` of old programs.
fn time(text: &str) -> Option<i64> {
    let text = text.trim();
    match text.rsplit_once(':') {
        Some((clock, hundredths)) if clock.contains(':') && !hundredths.contains('.') && hundredths.len() == 2 => {
            parse_time(&format!("{clock}.{hundredths}"))
        }
        _ => parse_time(text),
    }
}

/// Whether at least half of the lines start with a time or a known tag, and at least one with a time.
pub(super) fn is_lrc(text: &str) -> bool {
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    let n_tagged = lines().filter(|line| tag(line).is_some()).count();
    let has_time = lines().any(|line| matches!(tag(line), Some((Tag::Time(_), _))));
    has_time && n_tagged * 2 >= lines().count()
}

/// A line lasts until the next one, at most the time that is usual for cues without an end. A line without a time
/// belongs to the one before it.
pub(super) fn parse(text: &str) -> Cues {
    let mut cues = Cues::default();
    let mut offset = 0_i64;
    let mut lines: Vec<(Vec<i64>, String)> = Vec::new();
    for line in text.lines().map(str::trim) {
        let (mut times, mut rest) = (Vec::new(), line);
        let mut is_id = false;
        while let Some((found, after)) = tag(rest.trim_start()) {
            match found {
                Tag::Time(millis) => times.push(millis),
                Tag::Id("offset", value) => {
                    let millis = value.trim_start_matches('+').parse::<i64>().ok();
                    offset = millis.filter(|millis| millis.unsigned_abs() <= MAX_OFFSET_MILLIS).unwrap_or(0);
                }
                Tag::Id("la" | "lang" | "language", value) if language::is_tag(value) => {
                    cues.language = Some(value.to_owned());
                }
                // Other names in the middle of a line are words.
                Tag::Id(..) if !times.is_empty() => break,
                Tag::Id(..) => {}
            }
            is_id |= times.is_empty();
            rest = after;
        }
        if !times.is_empty() {
            lines.push((times, rest.to_owned()));
        } else if !is_id && let Some((_, text)) = lines.last_mut() {
            text.push('\n');
            text.push_str(rest);
        }
    }
    // A line without words ends the one before it.
    let mut starts: Vec<i64> = lines.iter().flat_map(|(times, _)| times.clone()).collect();
    starts.sort_unstable();
    for (times, text) in lines {
        for time in times {
            let next = starts.get(starts.partition_point(|start| *start <= time)).copied();
            push(&mut cues, (time, next), &text, offset);
        }
    }
    cues.with_ends()
}

/// A positive `offset` makes the words appear sooner.
fn push(cues: &mut Cues, (start, next): (i64, Option<i64>), text: &str, offset: i64) {
    let at = |millis: i64| millis.saturating_sub(offset);
    let mut pieces: Vec<(i64, &str)> = Vec::new();
    let (mut plain, mut rest) = (String::new(), text);
    while let Some(open) = rest.find('<') {
        let (before, tagged) = rest.split_at(open);
        if let Some((millis, after)) = tagged[1..].split_once('>').and_then(|(body, after)| Some((time(body)?, after)))
        {
            plain.push_str(before);
            let end = after.find('<').unwrap_or(after.len());
            pieces.push((millis, &after[..end]));
            rest = after;
        } else {
            plain.push_str(&rest[..=open]);
            rest = &rest[open + 1..];
        }
    }
    plain.push_str(rest);
    let voices = VoiceSpan::single(None, &plain);
    if voices.is_empty() {
        return;
    }
    // The last time of an enhanced line may end its last word.
    let last = pieces.last().filter(|(_, text)| text.trim().is_empty()).map(|(millis, _)| *millis);
    // Without one the line lasts until the next, but not for an interlude.
    let end = last.or(next.filter(|next| *next - start <= super::cues::DEFAULT_DURATION_MILLIS));
    let Some(segment) = cues.push_open(at(start), end.map(at), voices) else { return };
    for (n, (millis, text)) in pieces.iter().enumerate() {
        let text = markup::collapse_whitespace(text);
        let start = Timestamp::from_millis(at(*millis));
        if text.is_empty() || start.is_negative() {
            continue;
        }
        let end = pieces.get(n + 1).map_or(segment.range.end, |(next, _)| Timestamp::from_millis(at(*next)));
        segment.words.push(Word { range: TimeRange::new(start, end.max(start)), text });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(text: &str) -> Vec<(i64, i64, String)> {
        let segments = parse(text).normalized().segments.into_iter();
        segments.map(|s| (s.range.start.millis(), s.range.end.millis(), s.text)).collect()
    }

    fn cue(start: i64, end: i64, text: &str) -> (i64, i64, String) {
        (start, end, text.to_owned())
    }

    #[test]
    fn lines_with_one_and_several_times() {
        let text = "[ar:The Band]\n[ti: A song: live]\n[la:en]\n[length:03:20]\n\n[00:01.50]One [live: yes]\n\
                    [00:03.00][00:10.50]Twice\n[00:05:25]two\nrows\n[00:07.000]\n[01:02]late\n";
        assert!(is_lrc(text));
        let expected = [
            cue(1500, 3000, "One [live: yes]"),
            cue(3000, 5250, "Twice"),
            cue(5250, 7000, "two rows"),
            cue(10_500, 15_500, "Twice"),
            cue(62_000, 67_000, "late"),
        ];
        assert_eq!(spans(text), expected);
        assert_eq!(parse(text).language.as_deref(), Some("en"));
    }

    #[test]
    fn words_with_times_and_an_offset() {
        let text =
            "[offset:+500]\n[00:01.00] <00:01.00> I <00:01.40> am <00:01.90>here<00:02.50>\n[00:09.00]a < b <3\n";
        assert_eq!(spans(text), [cue(500, 2000, "I am here"), cue(8500, 13_500, "a < b <3")]);
        let words: Vec<_> = parse(text).segments[0]
            .words
            .iter()
            .map(|w| (w.range.start.millis(), w.range.end.millis(), w.text.clone()))
            .collect();
        assert_eq!(words, [cue(500, 900, "I"), cue(900, 1400, "am"), cue(1400, 2000, "here")]);
    }

    #[test]
    fn other_texts_and_hostile_times() {
        for text in ["[note] hi\nwords\n", "words\n[00:01.00]one\nmore\nmore\n", "[]\n[:]\n", "[offset:5]\n"] {
            assert!(!is_lrc(text), "{text}");
        }
        assert_eq!(spans("[00:00.20]early\n[offset:1000]\n[00:02.00]late\n"), [cue(1000, 6000, "late")]);
        assert_eq!(parse("[99999999999:00.00]x\n[00:01.00]y\n").segments.len(), 1);
        for offset in ["9223372036854775807", "-9223372036854775808", "99999999999999999999", "x"] {
            assert_eq!(spans(&format!("[00:01.00]x\n[offset:{offset}]\n")), [cue(1000, 6000, "x")], "{offset}");
        }
    }
}
