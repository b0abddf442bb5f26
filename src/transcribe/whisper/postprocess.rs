//! What the model wrote, held against where somebody speaks: nothing invented stays, nothing said is missed.
//!
//! All times are milliseconds from the first sample of the stretch.

use std::ops::Range;

use super::decoder::Token;

/// Times of the model are coarse: a phrase this near to speech belongs to it.
const NEAR: i64 = 200;
/// Captions stay a little longer than the voice.
const LINGER: i64 = 100;
/// Speech of this length that no phrase covers was missed: shorter ones are breaths and coughs.
const MISSED: i64 = 400;
/// The same for what is left of speech that a phrase covers in part: the model ends phrases early, and a voice that dies
/// away, heard by itself, was seen to become words that nobody said.
const MISSED_REST: i64 = 800;
/// A run of words, said over so often, that covers this share of a phrase, is a loop of the model.
const LOOP_REPEATS: usize = 4;
const LOOP_WORDS: usize = 8;
/// The longest run of words that loops were seen with.
const LOOP_PERIOD: usize = 12;

/// Whether the text holds a word that somebody may have said: `(gentle music)`, `[BLANK_AUDIO]`, `*sighs*` and `♪` do not.
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

/// The time of a phrase, from the edges of the speech in it; None where nobody speaks then.
pub(super) fn fit(phrase: &Range<i64>, speech: &[Range<i64>]) -> Option<Range<i64>> {
    let spoken = |s: &&Range<i64>| s.start < phrase.end + NEAR && s.end > phrase.start - NEAR;
    let first = speech.iter().find(spoken)?;
    let last = speech.iter().rev().find(spoken)?;
    let start = if phrase.start < first.start { first.start } else { phrase.start.min(first.end) };
    let end = if phrase.end > last.end { last.end + LINGER } else { phrase.end.max(last.start) };
    Some(start..end.max(start + 1))
}

/// Runs of speech that no phrase covers.
pub(super) fn missed(speech: &[Range<i64>], phrases: &[Range<i64>]) -> Vec<Range<i64>> {
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

/// The text without the repeats of a model that was caught in a loop; None where it is as it should be.
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

/// Whether `again` only repeats how `text` begins or ends: a phrase whose time ended early, heard a second time.
pub(super) fn is_echo(text: &str, again: &str) -> bool {
    let (text, again) = (plain(text), plain(again));
    !again.is_empty() && (text.ends_with(&again) || text.starts_with(&again))
}

/// Words without case and punctuation.
fn plain(text: &str) -> Vec<String> {
    let words = text.split_whitespace();
    words.map(|w| w.to_lowercase().replace(|c: char| !c.is_alphanumeric(), "")).collect()
}

/// The words of a phrase with their times, within `place`. A word begins at a token with a space before it; scripts
/// without spaces come as the model's own pieces.
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
    fn descriptions_of_sounds_are_not_spoken() {
        for text in ["(gentle music)", "[BLANK_AUDIO]", "♪", "♪ (music) ♪", "*sighs*", "", " - ", "...", "（音楽）"]
        {
            assert!(!is_spoken(text), "{text}");
        }
        for text in ["Yes.", "(laughs) No", "♪ la la ♪", "是", "3"] {
            assert!(is_spoken(text), "{text}");
        }
    }

    #[test]
    fn phrases_take_the_edges_of_speech() {
        let speech = [250..2000, 3000..4000];
        // What the model wrote over the padding and the pause.
        assert_eq!(fit(&(0..2600), &speech), Some(250..2100));
        assert_eq!(fit(&(2500..5000), &speech), Some(3000..4100));
        // Within speech the model knows better.
        assert_eq!(fit(&(900..1500), &speech), Some(900..1500));
        assert_eq!(fit(&(0..5000), &speech), Some(250..4100));
        assert_eq!(fit(&(4500..6000), &speech), None, "thanks for watching");
        assert_eq!(fit(&(0..10), &[]), None);
    }

    #[test]
    fn speech_without_a_phrase_is_missed() {
        let speech = [0..2000, 3000..4000, 5000..5300];
        assert_eq!(missed(&speech, &[0..1900, 3000..4100]), []);
        assert_eq!(missed(&speech, &[0..1900]), [3000..4000]);
        assert_eq!(missed(&speech, &[1000..1900, 3500..4000]), [0..1000], "half a second at the edge is no utterance");
        assert_eq!(missed(&speech, &[0..1000, 3000..4100]), [1000..2000]);
        assert_eq!(missed(&[0..500], &[]), [0..500], "a whole one is");
        assert_eq!(missed(&speech, &[]), [0..2000, 3000..4000]);
    }

    #[test]
    fn loops_are_cut_to_one_round() {
        let looped = |text: &str| without_loop(text);
        assert_eq!(looped(&"you ".repeat(20)).as_deref(), Some("you"));
        assert_eq!(looped(&format!("So. {}", "I'm going to go. ".repeat(9))).as_deref(), Some("So. I'm going to go."));
        assert_eq!(looped("No, no, no, no, no!"), None, "people say so");
        assert_eq!(looped("ask not what your country can do for you ask what you can do for your country"), None);
        assert_eq!(looped(""), None);
    }
}
