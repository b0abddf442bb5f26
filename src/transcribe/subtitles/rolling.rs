//! Rolling captions, in which each cue repeats the end of the previous one (`YouTube`'s own captions, live broadcasts):
//! keeps each word once, at the time of its first appearance.

use crate::time::Timestamp;
use crate::transcript::Segment;

/// Cues this close are consecutive, in milliseconds.
const FOLLOWS_MILLIS: i64 = 100;
/// A file has rolling captions if at least this many cues, and half of the consecutive ones, start with the end of the
/// previous cue.
const MIN_ROLLING: usize = 3;

/// Removes the repeated words of rolling captions. The cues are sorted by start, and stay so.
pub(super) fn remove_repeats(segments: &mut Vec<Segment>) {
    let pairs = segments.windows(2).filter(|pair| follows(&pair[0], &pair[1]));
    let repeats: Vec<usize> = pairs.map(|pair| n_repeated(&pair[0].text, &pair[1].text)).collect();
    let n_rolling = repeats.iter().filter(|n| **n > 0).count();
    if n_rolling < MIN_ROLLING || n_rolling * 2 < repeats.len() {
        return;
    }
    let mut kept: Vec<Segment> = Vec::with_capacity(segments.len());
    // The previous cue as shown on the screen: the next one is compared with it, not with its remaining words.
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
            if n > 0 {
                // Words are not always what spaces separate.
                let is_split_alike = segment.words.len() == n + rest.len();
                segment.words.drain(..if is_split_alike { n } else { segment.words.len() });
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

/// The number of words at the end of `before` that also start `after`; the longest match.
fn n_repeated(before: &str, after: &str) -> usize {
    let before: Vec<&str> = before.split_whitespace().collect();
    let after: Vec<&str> = after.split_whitespace().collect();
    let most = before.len().min(after.len());
    (1..=most).rev().find(|n| before[before.len() - n..] == after[..*n]).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::TimeRange;
    use crate::transcript::Word;

    #[test]
    fn repeated_words_lose_their_times_too() {
        let at = Timestamp::from_millis;
        let cue = |n: i64, text: &str| {
            let range = TimeRange::new(at(n * 1000), at(n * 1000 + 1000));
            let words = text.split(' ').map(|word| Word { range, text: word.to_owned() }).collect();
            Segment { words, ..Segment::new(range, text) }
        };
        let mut segments = vec![cue(0, "one two"), cue(1, "two three"), cue(2, "three four"), cue(3, "four five")];
        // Words that spaces do not separate cannot be matched.
        segments[3].words.truncate(1);
        remove_repeats(&mut segments);
        let found: Vec<_> = segments.iter().map(|segment| segment.text.as_str()).collect();
        assert_eq!(found, ["one two", "three", "four", "five"]);
        let words: Vec<Vec<&str>> =
            segments.iter().map(|segment| segment.words.iter().map(|word| word.text.as_str()).collect()).collect();
        assert_eq!(words, [vec!["one", "two"], vec!["three"], vec!["four"], vec![]]);
    }
}
