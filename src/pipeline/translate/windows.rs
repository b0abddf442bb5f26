//! Which cues are translated, and which of them share a request.

use std::ops::Range;

use super::task::TargetLanguage;
use crate::chat::{Message, Part, Role};
use crate::llm::ModelLimits;
use crate::prompt::{self, CueLine};
use crate::transcript::Transcript;

/// Cues of one request: few enough that models keep their numbers apart.
const MAX_CUES: usize = 40;
/// Cues before and after those of a request that it shows as context.
const N_CONTEXT: usize = 4;
/// Tokens of the JSON around one translation.
const ENTRY_TOKENS: u64 = 14;
/// Tokens of a translation for each token of the original: other scripts take more than English.
const TOKENS_PER_TOKEN: u64 = 2;
/// Tokens of the rules and the task.
const FRAME_TOKENS: u64 = 700;

/// One cue: a segment of a transcript, or a paragraph of a text without times.
#[derive(Clone, Debug)]
pub(super) struct Cue {
    /// From 1.
    pub number: usize,
    pub speaker: Option<String>,
    pub text: String,
    /// Whether it is translated; otherwise it is copied.
    pub is_wanted: bool,
}

/// The cues of a transcript in order. Those without letters and those in the target language are not wanted.
pub(super) fn cues(transcript: &Transcript, target: &TargetLanguage) -> Vec<Cue> {
    let of_transcript = transcript.language.as_ref();
    let segments = transcript.segments.iter().map(|segment| {
        let language = segment.language.as_ref().or(of_transcript);
        (segment.speaker.clone(), &segment.text, language)
    });
    let untimed = transcript.untimed.iter().map(|text| (None, text, of_transcript));
    let cue = |(at, (speaker, text, language)): (usize, (Option<String>, &String, Option<&String>))| {
        let is_translated = language.is_some_and(|language| target.is(language));
        let is_wanted = has_letters(text) && !is_translated;
        Cue { number: at + 1, speaker, text: text.clone(), is_wanted }
    };
    segments.chain(untimed).enumerate().map(cue).collect()
}

pub(super) fn has_letters(text: &str) -> bool {
    text.chars().any(char::is_alphabetic)
}

/// The cues of each request, as positions among `cues`. Each window has a wanted cue, and fits into a request with its
/// answer; a single cue that does not is a window of its own.
pub(super) fn windows(cues: &[Cue], limits: &ModelLimits) -> Vec<Range<usize>> {
    let most = MostTokens::of(limits);
    let mut windows = Vec::new();
    let mut open: Option<(Range<usize>, usize, Tokens)> = None;
    for (at, cue) in cues.iter().enumerate() {
        let own = Tokens::of(cue, limits);
        let is_full =
            |(_, n_wanted, sum): &(Range<usize>, usize, Tokens)| *n_wanted == MAX_CUES || !most.allows(sum.plus(own));
        if cue.is_wanted && open.as_ref().is_some_and(is_full) {
            windows.extend(open.take().map(|(range, ..)| range));
        }
        match &mut open {
            Some((range, n_wanted, sum)) => {
                // Cues that are copied are context: those after the last wanted one are cut off below.
                if cue.is_wanted {
                    (range.end, *n_wanted) = (at + 1, *n_wanted + 1);
                }
                *sum = sum.plus(own);
            }
            None if cue.is_wanted => open = Some((at..at + 1, 1, own)),
            None => {}
        }
    }
    windows.extend(open.map(|(range, ..)| range));
    windows
}

/// What a request about some cues shows: the cues at `wanted` with their numbers, the others from the first to the last of
/// them and some around them as context.
pub(super) fn lines<'a>(cues: &'a [Cue], wanted: &[usize]) -> Vec<CueLine<'a>> {
    let (Some(first), Some(last)) = (wanted.first(), wanted.last()) else { return Vec::new() };
    let shown = first.saturating_sub(N_CONTEXT)..(last + 1 + N_CONTEXT).min(cues.len());
    let line = |at: usize| {
        let cue = &cues[at];
        let number = wanted.binary_search(&at).is_ok().then_some(cue.number);
        CueLine { number, speaker: cue.speaker.as_deref(), text: &cue.text }
    };
    shown.map(line).collect()
}

/// The number of the tags around what a request shows.
pub(super) fn fence(lines: &[CueLine<'_>], title: Option<&str>) -> u32 {
    let texts = lines.iter().flat_map(|line| [Some(line.text), line.speaker].into_iter().flatten());
    prompt::fence_number(texts.chain(title))
}

/// The limits of a request for translations of the cues with the indices `wanted`.
pub(super) fn request_limits(cues: &[Cue], wanted: &[usize], limits: &ModelLimits) -> ModelLimits {
    if limits.params.max_tokens.is_some() {
        return limits.clone();
    }
    let answer: u64 = wanted.iter().map(|at| Tokens::of(&cues[*at], limits).answer).sum();
    ModelLimits { answer_tokens: limits.reasoning_tokens() + answer, ..limits.clone() }
}

/// Tokens of a cue in the request and in the answer.
#[derive(Clone, Copy)]
struct Tokens {
    prompt: u64,
    answer: u64,
}

impl Tokens {
    fn of(cue: &Cue, limits: &ModelLimits) -> Self {
        let message = |text: String| Message { role: Role::User, parts: vec![Part::Text(text)] };
        let speaker = cue.speaker.as_deref().unwrap_or_default();
        let prompt = limits.tokens(&[message(format!("[{}, speaker {speaker}] {}", cue.number, cue.text))]);
        let answer = if cue.is_wanted {
            ENTRY_TOKENS + TOKENS_PER_TOKEN * limits.tokens(&[message(cue.text.clone())])
        } else {
            0
        };
        Self { prompt, answer }
    }

    fn plus(self, other: Self) -> Self {
        Self { prompt: self.prompt + other.prompt, answer: self.answer + other.answer }
    }
}

/// What one request may take.
struct MostTokens {
    both: u64,
    answer: u64,
}

impl MostTokens {
    fn of(limits: &ModelLimits) -> Self {
        // Hidden reasoning comes before the answer; a fifth stays free, since token counts are estimates.
        let both = limits.context_tokens.saturating_sub(limits.reasoning_tokens() + FRAME_TOKENS) / 5 * 4;
        let answer = limits.params.max_tokens.map_or(u64::MAX, |most| u64::from(most) / 5 * 4);
        Self { both, answer }
    }

    fn allows(&self, tokens: Tokens) -> bool {
        tokens.prompt + tokens.answer <= self.both && tokens.answer <= self.answer
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::http::{ServerConfig, parse_base_url};
    use crate::llm::{ChatConfig, SamplingParams};
    use crate::time::{TimeRange, Timestamp};
    use crate::transcript::{Segment, TranscriptSource};

    fn limits(max_tokens: Option<u32>) -> ModelLimits {
        let server = ServerConfig::new(parse_base_url("http://localhost:9/v1").expect("an address"));
        let params = SamplingParams { max_tokens, ..SamplingParams::default() };
        ModelLimits::of(&ChatConfig { params, ..ChatConfig::new(server, "m") })
    }

    fn cue(at: usize, text: &str) -> Cue {
        Cue { number: at + 1, speaker: None, text: text.to_owned(), is_wanted: has_letters(text) }
    }

    #[test]
    fn cues_in_the_target_language_and_without_letters_are_copied() {
        let range = TimeRange::new(Timestamp::ZERO, Timestamp::ZERO);
        let segment = |text: &str, language: Option<&str>| Segment {
            language: language.map(str::to_owned),
            ..Segment::new(range, text)
        };
        let segments = vec![
            segment("Hello", None),
            segment("♪ 1984 …", None),
            segment("안녕", Some("ko")),
            segment("Salut", Some("fr")),
        ];
        let source = TranscriptSource::Api { model: "m".into() };
        let mut transcript = Transcript::new(source, Some("en".into()), segments);
        let wanted = |transcript: &Transcript, to: &str| -> Vec<bool> {
            let target = TargetLanguage::parse(to).expect(to);
            cues(transcript, &target).iter().map(|cue| cue.is_wanted).collect()
        };
        assert_eq!(wanted(&transcript, "ko"), [true, false, false, true]);
        assert_eq!(wanted(&transcript, "en"), [false, false, true, true]);
        transcript.language = None;
        assert_eq!(wanted(&transcript, "en"), [true, false, true, true]);
    }

    #[test]
    fn windows_are_as_long_as_the_model_allows() {
        let all: Vec<Cue> = (0..100).map(|at| cue(at, "Some ten words are said in this one, more or less")).collect();
        assert_eq!(windows(&all, &limits(None)), [0..40, 40..80, 80..100]);
        let short = windows(&all, &limits(Some(300)));
        assert!(short.len() > 10, "{short:?}");
        let long = vec![cue(0, &"word ".repeat(40_000)), cue(1, "a"), cue(2, "b")];
        assert_eq!(windows(&long, &limits(None)), [0..1, 1..3]);
    }

    #[test]
    fn context_has_no_number() {
        let all: Vec<Cue> = (0..20).map(|at| cue(at, "x")).collect();
        let numbers: Vec<Option<usize>> = lines(&all, &[6, 8]).iter().map(|line| line.number).collect();
        assert_eq!(numbers, [None, None, None, None, Some(7), None, Some(9), None, None, None, None]);
        assert_eq!(lines(&all, &[0]).len(), 5);
        assert_eq!(lines(&all, &[19]).len(), 5);
    }

    proptest! {
        #[test]
        fn each_wanted_cue_is_in_one_window(texts in prop::collection::vec("[a ♪1]{0,12}", 0..150), most in prop::option::of(20_u32..500)) {
            let all: Vec<Cue> = texts.iter().enumerate().map(|(at, text)| cue(at, text)).collect();
            let windows = windows(&all, &limits(most));
            prop_assert!(windows.windows(2).all(|pair| pair[0].end <= pair[1].start));
            for (at, cue) in all.iter().enumerate().filter(|(_, cue)| cue.is_wanted) {
                prop_assert_eq!(windows.iter().filter(|window| window.contains(&at)).count(), 1, "{}", cue.number);
            }
            for window in windows {
                let n = all[window.clone()].iter().filter(|cue| cue.is_wanted).count();
                prop_assert!((1..=MAX_CUES).contains(&n) && all[window.start].is_wanted && all[window.end - 1].is_wanted);
            }
        }
    }
}
