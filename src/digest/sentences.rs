//! Splits and joins transcript segments into sentences.

use crate::sanitize::clean_line;
use crate::sentence::sentence_ranges;
use crate::time::Timestamp;
use crate::transcript::Segment;

/// A pause of this length ends a sentence, even without a full stop.
const PAUSE_MILLIS: i64 = 2000;
/// Without punctuation, as in automatic captions, a sentence ends with the segment that reaches this length.
const LONG_CHARS: usize = 240;
/// Bytes of a segment's text within which word times are looked up.
const MAX_TIMED_BYTES: usize = 20_000;

/// One sentence.
pub(super) struct Sentence<'a> {
    /// When its first word is spoken: exact where the source times words, else the start of its segment. None if the
    /// transcript has no times.
    pub start: Option<Timestamp>,
    /// The speaker, if known.
    pub speaker: Option<&'a str>,
    /// The text, as one sanitized line.
    pub text: String,
}

/// The sentences of the segments, in their order.
pub(super) fn split(segments: &[Segment]) -> Vec<Sentence<'_>> {
    let mut sentences = Vec::new();
    let mut run = SentenceBuilder::default();
    for segment in segments {
        let text = clean_line(&segment.text);
        if text.is_empty() {
            continue;
        }
        if run.ends_before(segment) {
            run.split_into(&mut sentences);
        }
        run.push(segment, &text);
    }
    run.split_into(&mut sentences);
    sentences
}

/// The sentences of paragraphs without times, in their order.
pub(super) fn split_untimed(paragraphs: &[String]) -> Vec<Sentence<'static>> {
    let mut sentences = Vec::new();
    for line in paragraphs.iter().map(|paragraph| clean_line(paragraph)) {
        let texts = sentence_ranges(&line).into_iter().map(|range| line[range].trim().to_owned());
        let texts = texts.filter(|text| !text.is_empty());
        sentences.extend(texts.map(|text| Sentence { start: None, speaker: None, text }));
    }
    sentences
}

/// Joined segments of one speaker without a pause, with the offset of each in the text.
#[derive(Default)]
struct SentenceBuilder<'a> {
    text: String,
    parts: Vec<(usize, &'a Segment)>,
    /// Characters since something that looks like the end of a sentence.
    n_open_chars: usize,
}

impl<'a> SentenceBuilder<'a> {
    fn ends_before(&self, next: &Segment) -> bool {
        self.parts.last().is_some_and(|(_, last)| {
            last.speaker != next.speaker
                || next.range.start.minus(last.range.end).millis() >= PAUSE_MILLIS
                || self.n_open_chars >= LONG_CHARS
        })
    }

    fn push(&mut self, segment: &'a Segment, text: &str) {
        let joins = self.text.chars().next_back().is_some_and(writes_without_spaces)
            && text.chars().next().is_some_and(writes_without_spaces);
        if !self.text.is_empty() && !joins {
            self.text.push(' ');
        }
        self.parts.push((self.text.len(), segment));
        self.text.push_str(text);
        self.n_open_chars = match text.rfind(ends_a_sentence) {
            Some(end) => text[end..].chars().count(),
            None => self.n_open_chars + text.chars().count(),
        };
    }

    fn split_into(&mut self, sentences: &mut Vec<Sentence<'a>>) {
        for range in sentence_ranges(&self.text) {
            let text = self.text[range.clone()].trim();
            if let (false, Some((start, speaker))) = (text.is_empty(), self.time_at(range.start)) {
                sentences.push(Sentence { start: Some(start), speaker, text: text.to_owned() });
            }
        }
        *self = Self::default();
    }

    /// The time and speaker of the word at `offset` of the text.
    fn time_at(&self, offset: usize) -> Option<(Timestamp, Option<&'a str>)> {
        let last = self.parts.partition_point(|(begin, _)| *begin <= offset).checked_sub(1)?;
        let (begin, segment) = self.parts[last];
        let end = self.parts.get(last + 1).map_or(self.text.len(), |(next, _)| *next);
        // Counting from the segment's start for each sentence is quadratic, so it is limited for very long segments.
        if segment.words.is_empty() || end - begin > MAX_TIMED_BYTES {
            return Some((segment.range.start, segment.speaker.as_deref()));
        }
        let n_before = self.text[begin..offset].split_whitespace().count();
        let n_words = self.text[begin..end].split_whitespace().count();
        // Words that differ from the text cannot be located in it.
        let is_timed = n_words == segment.words.len();
        let word = segment.words.get(n_before).filter(|_| is_timed && n_before > 0);
        Some((word.map_or(segment.range.start, |word| word.range.start), segment.speaker.as_deref()))
    }
}

fn ends_a_sentence(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '…' | '。' | '！' | '？' | '｡' | '।' | '۔' | '؟' | '։' | '።' | '။')
}

/// Han, kana and the scripts of South-East Asia, whose lines are joined without a space.
fn writes_without_spaces(c: char) -> bool {
    matches!(c,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3000}'..='\u{30ff}'
        | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ffef}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::TimeRange;
    use crate::transcript::Word;
    use proptest::prelude::*;

    fn segment(start: i64, end: i64, text: &str) -> Segment {
        let at = Timestamp::from_millis;
        Segment::new(TimeRange::new(at(start), at(end)), text)
    }

    fn told(segments: &[Segment]) -> Vec<(i64, String)> {
        split(segments).into_iter().map(|s| (s.start.expect("a time").millis(), s.text)).collect()
    }

    fn expect(segments: &[Segment], expected: &[(i64, &str)]) {
        let expected: Vec<_> = expected.iter().map(|(at, text)| (*at, (*text).to_owned())).collect();
        assert_eq!(told(segments), expected);
    }

    #[test]
    fn sentences_cross_cues_and_keep_the_time_of_their_start() {
        let segments = [
            segment(0, 900, "I saw Mr. Smith"),
            segment(900, 2000, "and J. Doe. Then"),
            segment(2000, 3000, "he left."),
        ];
        expect(&segments, &[(0, "I saw Mr. Smith and J. Doe."), (900, "Then he left.")]);
    }

    #[test]
    fn words_with_times_give_the_exact_start() {
        let mut timed = segment(0, 4000, "Yes. We can.");
        timed.words = [(0, "Yes."), (2100, "We"), (2500, "can.")]
            .map(|(at, text)| Word { range: segment(at, at + 300, "").range, text: text.into() })
            .into();
        expect(&[timed], &[(0, "Yes."), (2100, "We can.")]);
    }

    #[test]
    fn pauses_speakers_and_sheer_length_end_a_sentence() {
        let mut other = segment(1000, 2000, "no");
        other.speaker = Some("B".into());
        expect(&[segment(0, 1000, "so"), other], &[(0, "so"), (1000, "no")]);
        expect(&[segment(0, 1000, "so"), segment(3000, 4000, "well")], &[(0, "so"), (3000, "well")]);
        let words: Vec<_> =
            (0..100).map(|i| segment(i * 1000, i * 1000 + 1000, "some words without any stop")).collect();
        let lengths: Vec<_> = told(&words).iter().map(|(_, text)| text.len()).collect();
        assert!(lengths.len() >= 10 && lengths.iter().all(|n| *n < LONG_CHARS + 40), "{lengths:?}");
    }

    #[test]
    fn scripts_without_spaces_are_joined_without_one() {
        expect(
            &[segment(0, 1000, "今日は船の"), segment(1000, 2000, "話です。明日は星です。")],
            &[(0, "今日は船の話です。"), (1000, "明日は星です。")],
        );
    }

    proptest! {
        #[test]
        fn no_word_is_lost(texts in prop::collection::vec("[a-zA-Zдж. !?\u{200b}中]{0,30}", 0..20)) {
            let segments: Vec<_> = texts.iter().enumerate().map(|(i, t)| segment(i as i64, i as i64 + 1, t)).collect();
            let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
            let all: String = texts.iter().map(|t| letters(t)).collect();
            let split: String = split(&segments).iter().map(|s| letters(&s.text)).collect();
            prop_assert_eq!(split, all);
        }
    }
}
