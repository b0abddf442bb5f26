//! Phrases that nobody said: what Whisper writes for laughter, breath, applause and other sounds that voice activity
//! detection takes for speech.

use std::collections::HashSet;
use std::sync::LazyLock;

use unicode_segmentation::UnicodeSegmentation as _;

/// Short answers that were said stay below this probability that nobody speaks, also those that are misheard.
const MIN_NO_SPEECH: f32 = 0.3;
/// The highest doubt about words that were said. In trials with base it was at most 1.0 for short recordings of spoken
/// words, and above 1.05 for most of laughter, coughs, screams, breath and applause.
const MAX_DOUBT: f64 = 1.02;
/// The same for a phrase that the model often invents; the spoken ones reached 0.84.
const MAX_DOUBT_KNOWN: f64 = 0.9;
/// Words of a lower mean probability, where silence is likelier than speech, were not said: base writes "I" for one
/// synthesized laugh, with a probability of 0.11.
const MIN_CONFIDENCE: f64 = 0.15;
const LIKELY_NO_SPEECH: f32 = 0.5;
/// Whisper's own threshold for the length of a text divided by its compressed length: repeated text compresses well.
const MAX_COMPRESSION: f64 = 2.4;
/// The longest phrase that can be a credit, in words.
const MAX_WORDS: usize = 20;

/// What the model thinks of a phrase.
#[derive(Clone, Copy, Debug)]
pub(super) struct PhraseEvidence {
    /// The probability that nobody speaks in the audio that the phrase comes from; None if it is unknown.
    pub no_speech: Option<f32>,
    /// Mean log probability of the tokens, those of the times included.
    pub avg_logprob: f64,
    /// Mean probability of the words' tokens; None if it is unknown.
    pub confidence: Option<f64>,
}

impl PhraseEvidence {
    /// How doubtful it is that somebody said the phrase: the probability that nobody speaks, and half of what the mean
    /// log probability is below 0. Whisper's own rule, above 0.6 and below -1, is met by few of the invented phrases.
    fn doubt(self) -> f64 {
        let no_speech = self.no_speech.filter(|no_speech| *no_speech >= MIN_NO_SPEECH);
        no_speech.map_or(0.0, |no_speech| f64::from(no_speech) - self.avg_logprob / 2.0)
    }

    /// Whether both the speech and the words are unlikely.
    fn is_unlikely(self) -> bool {
        self.no_speech >= Some(LIKELY_NO_SPEECH) && self.confidence.is_some_and(|mean| mean < MIN_CONFIDENCE)
    }
}

/// Whether nobody said this.
pub(super) fn is_invented(text: &str, evidence: PhraseEvidence) -> bool {
    let plain = plain(text);
    let is_short = plain.split(' ').count() <= MAX_WORDS;
    if is_laughter(&plain) || (is_short && KNOWN.credits.iter().any(|credit| plain.contains(credit))) {
        return true;
    }
    let max_doubt = if KNOWN.closings.contains(&*plain) { MAX_DOUBT_KNOWN } else { MAX_DOUBT };
    evidence.doubt() > max_doubt
        || evidence.is_unlikely()
        || (compression(text) > MAX_COMPRESSION && evidence.no_speech >= Some(MIN_NO_SPEECH))
}

/// The known phrases; see the file for their sources.
struct KnownPhrases {
    credits: Vec<&'static str>,
    closings: HashSet<&'static str>,
}

static KNOWN: LazyLock<KnownPhrases> = LazyLock::new(|| {
    let mut known = KnownPhrases { credits: Vec::new(), closings: HashSet::new() };
    for line in include_str!("invented_phrases.txt").lines().filter(|line| !line.starts_with('#')) {
        let mut fields = line.splitn(2, ' ');
        match fields.nth(1).and_then(|rest| rest.trim_start().split_once(' ')) {
            Some(("credit", phrase)) => known.credits.push(phrase.trim()),
            Some(("closing", phrase)) => {
                known.closings.insert(phrase.trim());
            }
            _ => {}
        }
    }
    known
});

/// Lower case, letters and digits alone, words separated by one space.
fn plain(text: &str) -> String {
    let lower = text.to_lowercase();
    let mut plain = String::with_capacity(lower.len());
    // By user-perceived characters: the vowel signs of Hindi or Thai are marks, not letters.
    for character in lower.graphemes(true) {
        if character.starts_with(char::is_alphanumeric) {
            plain.push_str(character);
        } else if !plain.is_empty() && !plain.ends_with(' ') {
            plain.push(' ');
        }
    }
    plain.truncate(plain.trim_end().len());
    plain
}

/// Whether the text is nothing but written laughter: `ha ha ha`, `hehehe`, `jajaja`, `хаха`, `ハハハ`, `ㅋㅋㅋ`.
fn is_laughter(plain: &str) -> bool {
    let joined: Vec<char> = plain.chars().filter(|c| !c.is_whitespace()).collect();
    let consists_of = |sound: char, vowels: &str| {
        let n = joined.iter().filter(|c| **c == sound).count();
        n >= 3 && n < joined.len() && joined.iter().all(|c| *c == sound || vowels.contains(*c))
    };
    let is_one_sign =
        joined.len() >= 3 && joined.iter().all(|c| *c == joined[0]) && "ㅋㅎハﾊ哈呵嘿".contains(joined[0]);
    // "Ja, ja, ja" is German, "jajaja" is laughter in Spanish.
    let is_spanish = !plain.contains(' ') && consists_of('j', "aei");
    is_one_sign
        || is_spanish
        || consists_of('h', "aeiou")
        || consists_of('х', "аеиэо")
        || matches!(plain, "haha" | "ha ha" | "hehe" | "he he" | "хаха" | "ха ха" | "хехе")
}

/// The length of the text divided by its length after compression as LZ77 would do it: each repeat of a run of bytes
/// that was there before counts as three bytes.
fn compression(text: &str) -> f64 {
    /// A shorter repeat saves nothing.
    const MIN_REPEAT: usize = 4;
    const REPEAT_BYTES: usize = 3;
    let bytes = text.as_bytes();
    let (mut at, mut n_compressed) = (0, 0);
    while at < bytes.len() {
        let longest = (0..at)
            .map(|from| bytes[from..].iter().zip(&bytes[at..]).take_while(|(a, b)| a == b).count())
            .max()
            .unwrap_or(0);
        let is_repeat = longest >= MIN_REPEAT;
        n_compressed += if is_repeat { REPEAT_BYTES } else { 1 };
        at += if is_repeat { longest } else { 1 };
    }
    bytes.len() as f64 / n_compressed.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const SURE: PhraseEvidence = PhraseEvidence { no_speech: Some(0.02), avg_logprob: -0.25, confidence: Some(0.8) };
    const DOUBTFUL: PhraseEvidence = PhraseEvidence { no_speech: Some(0.5), avg_logprob: -0.95, confidence: Some(0.4) };
    const UNLIKELY: PhraseEvidence = PhraseEvidence { no_speech: Some(0.8), avg_logprob: -1.3, confidence: Some(0.3) };

    #[test]
    fn credits_and_laughter_are_never_words() {
        for text in [
            "Untertitel der Amara.org-Community",
            "Sous-titres réalisés par la communauté d'Amara.org",
            "Субтитры сделал DimaTorzok",
            "字幕由Amara.org社区提供",
            "Ha ha ha!",
            "Hahaha!",
            "Hehehehe!",
            "Jajaja.",
            "Ха-ха-ха!",
            "哈哈哈",
        ] {
            assert!(is_invented(text, SURE), "{text}");
        }
        for text in [
            "Oh, he has a hat.",
            "Hi.",
            "Haha, that is good.",
            "Aha!",
            "Ja.",
            "Hey!",
            "Hello.",
            "Ja, ja, ja.",
            "Hi, hi.",
            "Ich bin da.",
        ] {
            assert!(!is_invented(text, SURE), "{text}");
        }
    }

    #[test]
    fn what_people_also_say_is_dropped_only_in_doubt() {
        for text in
            ["Thank you.", "Thanks for watching!", "You", "Vielen Dank.", "Спасибо.", "ご視聴ありがとうございました"]
        {
            assert!(!is_invented(text, SURE), "{text}");
            assert!(is_invented(text, DOUBTFUL), "{text}");
        }
        for text in ["Thank you for the flowers.", "No.", "Yes, you."] {
            assert!(!is_invented(text, DOUBTFUL), "{text}");
            assert!(is_invented(text, UNLIKELY), "{text}");
        }
    }

    #[test]
    fn what_is_misheard_was_still_said() {
        // Measured on "Danke." and "Ja." of a synthetic voice.
        for (text, no_speech, avg_logprob) in [("Danke!", 0.26, -1.45), ("呀", 0.02, -2.1)] {
            let evidence = PhraseEvidence { no_speech: Some(no_speech), avg_logprob, confidence: Some(0.1) };
            assert!(!is_invented(text, evidence), "{text}");
        }
        let unknown = PhraseEvidence { no_speech: None, avg_logprob: -2.0, confidence: None };
        assert!(!is_invented("Thank you.", unknown), "nothing is known");
        // Measured on a synthesized laugh.
        let laugh = PhraseEvidence { no_speech: Some(0.59), avg_logprob: -0.8, confidence: Some(0.11) };
        assert!(is_invented("I", laugh));
    }

    #[test]
    fn repeated_text_compresses() {
        assert!(compression(&"I'm going to go. ".repeat(9)) > MAX_COMPRESSION);
        assert!(compression("Ask not what your country can do for you, ask what you can do for your country.") < 2.0);
        assert!(compression("") < 1.0);
    }

    #[test]
    fn each_line_of_the_list_is_read() {
        let lines =
            include_str!("invented_phrases.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        for line in lines {
            let mut fields = line.split_whitespace();
            let (language, kind) = (fields.next().expect(line), fields.next().expect(line));
            let phrase = fields.collect::<Vec<_>>().join(" ");
            assert!(language == "*" || language.len() == 2, "{line}");
            assert_eq!(plain(&phrase), phrase, "in lower case, without punctuation");
            match kind {
                "credit" => assert!(KNOWN.credits.contains(&&*phrase), "{line}"),
                "closing" => assert!(KNOWN.closings.contains(&*phrase), "{line}"),
                _ => panic!("{line}"),
            }
        }
    }
}
