//! Checks the model's phrases against the detected speech: drops invented text and finds speech without a phrase.
//!
//! All times are milliseconds from the first sample of the chunk.

use std::ops::Range;

use super::decoder::Token;

/// The times of the model are coarse: a phrase this close to speech belongs to it.
const NEAR: i64 = 200;
/// A segment lasts a little longer than its speech.
const LINGER: i64 = 100;
/// Speech of this length that no phrase covers was missed; shorter speech is breaths and coughs.
const MISSED: i64 = 400;
/// The same for the uncovered part of speech that a phrase covers partly: the model ends phrases early, and fading speech
/// that is transcribed on its own can turn into invented words.
const MISSED_REST: i64 = 800;
/// The model is in a loop if words repeat at least this often in a row and the repeats cover 60 % of the phrase.
const LOOP_REPEATS: usize = 4;
/// The fewest words that the repeats of a loop have together.
const LOOP_WORDS: usize = 8;
/// The longest repeated run of words, as observed.
const LOOP_PERIOD: usize = 12;

/// Whether the text contains a spoken word: `(gentle music)`, `[BLANK_AUDIO]`, `*sighs*` and `♪` do not.
pub(super) fn is_spoken(text: &str) -> bool {
    let (mut depth, mut is_starred) = (0_u32, false);
    for c in text.chars() {
        match c {
            '(' | '[' | '（' | '【' => depth += 1,
            ')' | ']' | '）' | '】' => depth = depth.saturating_sub(1),
            '*' => is_starred = !is_starred,
            c if depth == 0 && !is_starred && c.is_alphanumeric() => return true,
            _ => {}
        }
    }
    false
}

/// The time range of a phrase, aligned to the edges of the speech in it; None if there is no speech at that time.
pub(super) fn fit(phrase: &Range<i64>, speech: &[Range<i64>]) -> Option<Range<i64>> {
    let spoken = |s: &&Range<i64>| s.start < phrase.end + NEAR && s.end > phrase.start - NEAR;
    let first = speech.iter().find(spoken)?;
    let last = speech.iter().rev().find(spoken)?;
    let start = if phrase.start < first.start { first.start } else { phrase.start.min(first.end) };
    let end = if phrase.end > last.end { last.end + LINGER } else { phrase.end.max(last.start) };
    Some(start..end.max(start + 1))
}

/// The speech that no phrase covers.
pub(super) fn uncovered_speech(speech: &[Range<i64>], phrases: &[Range<i64>]) -> Vec<Range<i64>> {
    let mut found: Vec<Range<i64>> = Vec::new();
    for spoken in speech {
        let is_touched = phrases.iter().any(|p| p.end > spoken.start && p.start < spoken.end);
        let least = if is_touched { MISSED_REST } else { MISSED };
        let mut at = spoken.start;
        for phrase in phrases.iter().filter(|p| p.end > spoken.start && p.start < spoken.end) {
            if phrase.start - at >= least {
                found.push(at..phrase.start);
            }
            at = at.max(phrase.end);
        }
        if spoken.end - at >= least {
            found.push(at..spoken.end);
        }
    }
    found
}

/// The text with the repeats of a decoding loop removed; None if there is no loop.
pub(super) fn without_loop(text: &str) -> Option<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let plain = plain(text);
    for period in 1..=LOOP_PERIOD.min(words.len() / LOOP_REPEATS) {
        let mut from = 0;
        while from + period * LOOP_REPEATS <= words.len() {
            let n_same = (from..words.len() - period).take_while(|at| plain[*at] == plain[at + period]).count();
            let n = n_same + period;
            if n_same > 0 && n / period >= LOOP_REPEATS && n >= LOOP_WORDS && n * 10 >= words.len() * 6 {
                let kept = words[..from + period].iter().chain(&words[from + n..]);
                return Some(kept.copied().collect::<Vec<_>>().join(" "));
            }
            from += n_same + 1;
        }
    }
    None
}

/// Whether `again` only repeats the start or the end of `text`: a phrase that ended too early and was transcribed twice.
pub(super) fn is_echo(text: &str, again: &str) -> bool {
    let (text, again) = (plain(text), plain(again));
    !again.is_empty() && (text.ends_with(&again) || text.starts_with(&again))
}

/// Words in lower case without punctuation.
fn plain(text: &str) -> Vec<String> {
    let words = text.split_whitespace();
    words.map(|w| w.to_lowercase().replace(|c: char| !c.is_alphanumeric(), "")).collect()
}

/// The words of a phrase with their times, clamped to `place`. A word starts at a token with a leading space; in scripts
/// without spaces each token is a word.
pub(super) fn words(tokens: &[Token], place: &Range<i64>) -> Vec<(Range<i64>, String)> {
    let has_spaces = tokens.iter().skip(1).any(|token| token.bytes.starts_with(b" "));
    let mut words: Vec<(Range<i64>, Vec<u8>)> = Vec::new();
    for token in tokens {
        let time = token.start * 10..token.end * 10;
        let is_whole = |bytes: &[u8]| std::str::from_utf8(bytes).is_ok();
        match words.last_mut() {
            Some((range, bytes)) if !is_whole(bytes) || (has_spaces && !token.bytes.starts_with(b" ")) => {
                range.end = range.end.max(time.end);
                bytes.extend_from_slice(&token.bytes);
            }
            _ => words.push((time, token.bytes.clone())),
        }
    }
    let inside = |at: i64| at.clamp(place.start, place.end);
    let words = words.into_iter().map(|(time, bytes)| {
        let text = String::from_utf8_lossy(&bytes).trim().to_owned();
        (inside(time.start)..inside(time.end.max(time.start)), text)
    });
    words.filter(|(_, text)| !text.is_empty()).collect()
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "here ranges are the data")]
mod tests {
    use super::*;

    #[test]
    fn sound_descriptions_are_not_spoken() {
        for text in ["(gentle music)", "[BLANK_AUDIO]", "♪", "♪ (music) ♪", "*sighs*", "", " - ", "...", "（音楽）"]
        {
            assert!(!is_spoken(text), "{text}");
        }
        for text in ["Yes.", "(laughs) No", "♪ la la ♪", "是", "3"] {
            assert!(is_spoken(text), "{text}");
        }
    }

    #[test]
    fn phrases_align_to_the_edges_of_speech() {
        let speech = [250..2000, 3000..4000];
        // The model extends phrases over the padding and the pause.
        assert_eq!(fit(&(0..2600), &speech), Some(250..2100));
        assert_eq!(fit(&(2500..5000), &speech), Some(3000..4100));
        // Within speech the times of the model are kept.
        assert_eq!(fit(&(900..1500), &speech), Some(900..1500));
        assert_eq!(fit(&(0..5000), &speech), Some(250..4100));
        assert_eq!(fit(&(4500..6000), &speech), None, "thanks for watching");
        assert_eq!(fit(&(0..10), &[]), None);
    }

    #[test]
    fn speech_without_a_phrase_is_uncovered() {
        let speech = [0..2000, 3000..4000, 5000..5300];
        assert_eq!(uncovered_speech(&speech, &[0..1900, 3000..4100]), []);
        assert_eq!(uncovered_speech(&speech, &[0..1900]), [3000..4000]);
        assert_eq!(
            uncovered_speech(&speech, &[1000..1900, 3500..4000]),
            [0..1000],
            "half a second at the edge is not an utterance"
        );
        assert_eq!(uncovered_speech(&speech, &[0..1000, 3000..4100]), [1000..2000]);
        assert_eq!(uncovered_speech(&[0..500], &[]), [0..500], "half a second on its own is");
        assert_eq!(uncovered_speech(&speech, &[]), [0..2000, 3000..4000]);
    }

    #[test]
    fn loops_are_cut_to_one_repeat() {
        let looped = |text: &str| without_loop(text);
        assert_eq!(looped(&"you ".repeat(20)).as_deref(), Some("you"));
        assert_eq!(looped(&format!("So. {}", "I'm going to go. ".repeat(9))).as_deref(), Some("So. I'm going to go."));
        assert_eq!(looped("No, no, no, no, no!"), None, "people say so");
        assert_eq!(looped("ask not what your country can do for you ask what you can do for your country"), None);
        assert_eq!(looped(""), None);
    }
}
