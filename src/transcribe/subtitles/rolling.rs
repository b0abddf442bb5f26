//! Rolling captions, in which each cue repeats the end of the one before (`YouTube`'s own, live broadcasts): every word
//! once, at the time when it came.

use crate::time::Timestamp;
use crate::transcript::Segment;

/// Cues this near follow on, in milliseconds.
const FOLLOWS_MILLIS: i64 = 100;
/// A file rolls where at least so many cues, and half of those that follow on another, begin with that one's end.
const MIN_ROLLING: usize = 3;

/// Takes the repeated words out, where the cues roll. The cues are sorted by their start, and stay so.
pub(super) fn unroll(segments: &mut Vec<Segment>) {
    let pairs = segments.windows(2).filter(|pair| follows(&pair[0], &pair[1]));
    let repeats: Vec<usize> = pairs.map(|pair| n_repeated(&pair[0].text, &pair[1].text)).collect();
    let n_rolling = repeats.iter().filter(|n| **n > 0).count();
    if n_rolling < MIN_ROLLING || n_rolling * 2 < repeats.len() {
        return;
    }
    let mut kept: Vec<Segment> = Vec::with_capacity(segments.len());
    // The last cue as it stood on the screen: what comes is held against it, not against what is left of it.
    let mut shown: Option<Segment> = None;
    for mut segment in std::mem::take(segments) {
        let whole = segment.clone();
        if let (Some(shown), Some(last)) = (&shown, kept.last_mut())
            && follows(shown, &segment)
        {
            let n = n_repeated(&shown.text, &segment.text);
            let rest: Vec<&str> = segment.text.split_whitespace().skip(n).collect();
            if rest.is_empty() {
                last.range.end = last.range.end.max(segment.range.end);
            } else if n > 0 {
                last.range.end = last.range.end.min(segment.range.start).max(last.range.start);
            }
            segment.text = rest.join(" ");
        }
        shown = Some(whole);
        if !segment.text.is_empty() {
            kept.push(segment);
        }
    }
    *segments = kept;
}

fn follows(before: &Segment, after: &Segment) -> bool {
    before.speaker == after.speaker
        && after.range.start <= before.range.end.plus(Timestamp::from_millis(FOLLOWS_MILLIS))
}

/// Words at the end of `before` that stand at the beginning of `after`, as many as there are.
fn n_repeated(before: &str, after: &str) -> usize {
    let before: Vec<&str> = before.split_whitespace().collect();
    let after: Vec<&str> = after.split_whitespace().collect();
    let most = before.len().min(after.len());
    (1..=most).rev().find(|n| before[before.len() - n..] == after[..*n]).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    fn texts(subtitles: &str) -> Vec<(i64, i64, String)> {
        let segments = parse(subtitles.as_bytes()).segments.into_iter();
        segments.map(|s| (s.range.start.millis(), s.range.end.millis(), s.text)).collect()
    }

    #[test]
    fn each_word_comes_once_when_it_came() {
        let youtube = "WEBVTT\nKind: captions\nLanguage: en\n\n\
            00:00:00.160 --> 00:00:02.350 align:start position:0%\n \nhello<00:00:00.480><c> everyone</c>\n\n\
            00:00:02.350 --> 00:00:02.360 align:start position:0%\nhello everyone\n \n\n\
            00:00:02.360 --> 00:00:04.630 align:start position:0%\nhello everyone\nwelcome<00:00:02.720><c> to</c><c> the show</c>\n\n\
            00:00:04.630 --> 00:00:04.640 align:start position:0%\nwelcome to the show\n \n\n\
            00:00:04.640 --> 00:00:07.000 align:start position:0%\nwelcome to the show\nthe show is new\n\n\
            00:00:07.000 --> 00:00:07.010 align:start position:0%\nthe show is new\n \n\n";
        let told = |start, end, text: &str| (start, end, text.to_owned());
        assert_eq!(
            texts(youtube),
            [
                told(160, 2360, "hello everyone"),
                told(2360, 4640, "welcome to the show"),
                told(4640, 7010, "the show is new"),
            ]
        );
    }

    #[test]
    fn people_who_repeat_themselves_are_left_alone() {
        let srt = "1\n00:00:01,000 --> 00:00:02,000\nAnd what did he say? No.\n\n\
            2\n00:00:02,000 --> 00:00:03,000\nNo. That is what he said.\n\n\
            3\n00:00:03,000 --> 00:00:04,000\nI see.\n\n4\n00:00:04,000 --> 00:00:05,000\nDo you?\n";
        assert_eq!(texts(srt).len(), 4);
        assert_eq!(texts(srt)[1].2, "No. That is what he said.");
    }
}
