//! One chunk with its audio, and its transcription into segments.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::chunking::{SpeechChunk, WINDOW_SAMPLES};
use super::decoder::{DecodeOptions, Phrase, SpeechDecoder};
use super::invented::{self, PhraseEvidence};
use super::language_vote::LanguageProbabilities;
use super::postprocess;
use crate::error::Result;
use crate::time::{TimeRange, Timestamp};
use crate::transcript::{Segment, Word};

/// The sample rate of Whisper and Silero.
pub(super) const RATE_HZ: u32 = 16_000;
/// Milliseconds per window.
pub(super) const WINDOW_MILLIS: i64 = (WINDOW_SAMPLES / SAMPLES_PER_MILLI) as i64;

const SAMPLES_PER_MILLI: usize = RATE_HZ as usize / 1000;
/// whisper.cpp rejects shorter audio; silence fills it up.
const MIN_SAMPLES: usize = RATE_HZ as usize;
/// Audio added on both sides of speech that is transcribed again.
const CONTEXT_MILLIS: i64 = 250;
/// How often parts of a chunk are transcribed while phrases leave speech uncovered.
const MAX_ROUNDS: u32 = 3;
/// A repeated phrase this soon after the original is an echo of it.
const ECHO_MILLIS: i64 = 2000;

/// A chunk with its audio.
pub(super) struct ChunkTask {
    /// Its position among the chunks, from 0.
    pub idx: usize,
    pub chunk: SpeechChunk,
    pub samples: Vec<f32>,
    /// The time of the first sample on the shared clock.
    pub start: Timestamp,
    /// Who speaks, if it is known.
    pub speaker: Option<&'static str>,
    /// Whether it is among the first minutes of speech, in which the language is detected.
    pub is_probe: bool,
}

/// What was found in a chunk.
#[derive(Default)]
pub(super) struct ChunkTranscript {
    pub segments: Vec<Segment>,
    /// The probability of each language; None if it is not known for the whole chunk.
    pub languages: Option<LanguageProbabilities>,
    /// Phrases that were dropped because they are the model's answer to other sounds than speech.
    pub n_invented: usize,
}

impl ChunkTask {
    /// The end of its audio on the shared clock.
    pub fn end(&self) -> Timestamp {
        self.start.plus(Timestamp::from_millis(millis(self.samples.len())))
    }

    /// The speech in it, in seconds.
    pub fn speech_seconds(&self) -> f64 {
        self.chunk.speech_seconds()
    }

    /// Transcribes the chunk, and again the parts of it that no phrase covers. `path` is for the log.
    pub fn transcribe(
        &self,
        decoder: &mut SpeechDecoder<'_>,
        language: Option<&str>,
        options: DecodeOptions,
        is_cancelled: &AtomicBool,
        path: &Path,
    ) -> Result<ChunkTranscript> {
        let whole = 0..millis(self.samples.len());
        let speech: Vec<Range<i64>> = self.chunk.speech.iter().map(|windows| self.millis_of(windows)).collect();
        let mut found: Vec<(Range<i64>, Phrase)> = Vec::new();
        let mut todo = vec![whole.clone()];
        let mut done: Vec<Range<i64>> = Vec::new();
        let mut result = ChunkTranscript::default();
        let mut answered: Vec<Range<i64>> = Vec::new();
        for round in 0..MAX_ROUNDS {
            for range in std::mem::take(&mut todo) {
                done.push(range.clone());
                let speech_in_range = clipped(&speech, &range);
                let heard = decoder.decode(&self.padded_samples(&range), language, options, is_cancelled)?;
                if round == 0 {
                    result.languages = heard.audio.as_ref().map(|audio| audio.languages.clone());
                }
                let no_speech = heard.audio.as_ref().map(|audio| audio.no_speech);
                for phrase in heard.phrases {
                    let claimed = phrase.start * 10 + range.start..phrase.end * 10 + range.start;
                    let place =
                        postprocess::fit(&claimed, &speech_in_range).filter(|_| postprocess::is_spoken(&phrase.text));
                    let evidence =
                        PhraseEvidence { no_speech, avg_logprob: phrase.avg_logprob, confidence: phrase.confidence };
                    tracing::debug!("{}: {evidence:?}, {place:?} ms: {:?}", path.display(), phrase.text);
                    let Some(place) = place else {
                        tracing::debug!("{}: dropped a phrase without speech: {:?}", path.display(), phrase.text);
                        continue;
                    };
                    if invented::is_invented(&phrase.text, evidence) {
                        tracing::debug!("{}: dropped an invented phrase: {:?}", path.display(), phrase.text);
                        result.n_invented += 1;
                        // The same sounds would give the same words.
                        answered.push(place);
                        continue;
                    }
                    let is_echo = found.iter().any(|(at, other)| {
                        round > 0
                            && postprocess::is_echo(&other.text, &phrase.text)
                            && at.start <= place.end + ECHO_MILLIS
                    });
                    if !is_echo {
                        found.push((place, shifted(phrase, range.start)));
                    }
                }
            }
            found.sort_by_key(|(place, _)| (place.start, place.end));
            for at in 1..found.len() {
                let next = found[at].0.start;
                let place = &mut found[at - 1].0;
                place.end = place.end.min(next).max(place.start + 1);
            }
            let mut covered: Vec<Range<i64>> = found.iter().map(|(place, _)| place.clone()).collect();
            covered.extend(answered.iter().cloned());
            covered.sort_by_key(|place| (place.start, place.end));
            let with_context = |gap: &Range<i64>| {
                (gap.start - CONTEXT_MILLIS).max(whole.start)..(gap.end + CONTEXT_MILLIS).min(whole.end)
            };
            todo = postprocess::uncovered_speech(&speech, &covered).iter().map(with_context).collect();
            // The same audio would give the same result.
            todo.retain(|range| {
                (range.end - range.start) * 10 < (whole.end - whole.start) * 9 && !done.contains(range)
            });
            if todo.is_empty() {
                break;
            }
            tracing::debug!("{}: retrying uncovered speech {todo:?} of {whole:?} ms", path.display());
        }
        result.segments = found.into_iter().map(|(place, phrase)| self.segment(&place, phrase)).collect();
        Ok(result)
    }

    /// The audio of `range`, at least as long as whisper.cpp requires.
    fn padded_samples(&self, range: &Range<i64>) -> Vec<f32> {
        let samples = &self.samples[range.start as usize * SAMPLES_PER_MILLI..];
        let n_samples = (range.end - range.start) as usize * SAMPLES_PER_MILLI;
        let mut samples = samples[..n_samples.min(samples.len())].to_vec();
        samples.resize(samples.len().max(MIN_SAMPLES), 0.0);
        samples
    }

    /// Windows of the audio, as milliseconds of the chunk.
    fn millis_of(&self, windows: &Range<usize>) -> Range<i64> {
        let at = |window: usize| (window - self.chunk.windows.start) as i64 * WINDOW_MILLIS;
        at(windows.start)..at(windows.end)
    }

    fn segment(&self, place: &Range<i64>, phrase: Phrase) -> Segment {
        let on_clock = |range: Range<i64>| {
            let at = |millis| self.start.plus(Timestamp::from_millis(millis));
            TimeRange::new(at(range.start), at(range.end))
        };
        let mut segment = Segment::new(on_clock(place.clone()), "");
        segment.confidence = phrase.confidence;
        segment.speaker = self.speaker.map(str::to_owned);
        if let Some(text) = postprocess::without_loop(&phrase.text) {
            tracing::warn!("at {}: the model repeated itself in a loop; one repeat is kept", self.start);
            segment.text = text;
        } else {
            let words = postprocess::words(&phrase.tokens, place).into_iter();
            segment.words = words.map(|(range, text)| Word { range: on_clock(range), text }).collect();
            segment.text = phrase.text;
        }
        segment
    }
}

/// The parts of `speech` in `range`, relative to its start.
fn clipped(speech: &[Range<i64>], range: &Range<i64>) -> Vec<Range<i64>> {
    let parts = speech.iter().map(|s| s.start.max(range.start)..s.end.min(range.end));
    parts.filter(|part| !part.is_empty()).collect()
}

/// The phrase with its tokens on the chunk's clock, in hundredths of a second.
fn shifted(mut phrase: Phrase, by_millis: i64) -> Phrase {
    for token in &mut phrase.tokens {
        token.start += by_millis / 10;
        token.end += by_millis / 10;
    }
    phrase
}

fn millis(n_samples: usize) -> i64 {
    (n_samples / SAMPLES_PER_MILLI) as i64
}
