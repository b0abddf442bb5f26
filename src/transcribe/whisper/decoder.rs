//! whisper.cpp on one chunk of audio: samples in, timed tokens out.

use std::cell::Cell;
use std::ffi::c_void;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use whisper_rs::{FullParams, SamplingStrategy, WhisperContext, WhisperContextParameters, WhisperState};

use super::file;
use super::language_vote::LanguageProbabilities;
use super::model_path::{as_utf8, download_again};
use super::spoken_language::language_ids;
use crate::advice::{Advice, Setting};
use crate::error::{Error, Result};

/// Samples per encoder step.
const SAMPLES_PER_STEP: usize = 320;
/// The encoder multiplies matrices in blocks only where the number of steps is divisible by this; otherwise attention,
/// row by row, takes a third of its time.
const STEP_MULTIPLE: usize = 16;
/// The encoder supports 1500 steps. No chunk is longer than these with its silence.
const MAX_STEPS: usize = 1500 / STEP_MULTIPLE * STEP_MULTIPLE;
/// Fewer steps are less work. Below this number the words of tiny.en and the language detection of base get worse.
const MIN_STEPS: usize = 768;
/// base transcribes equally well with this number. Larger models were not tried.
const MIN_STEPS_BASE: usize = 512;
/// The width of base, which identifies it.
const WIDTH_BASE: i32 = 512;
/// Silence after the audio, so that the model recognises its end.
const SPARE_STEPS: usize = 64;
/// The shortest audio that whisper.cpp accepts; it skips the decoding.
const SHORTEST_MILLIS: i32 = 100;

/// A loaded model, shared by several decoders.
pub(super) struct WhisperModel {
    context: WhisperContext,
    name: String,
}

/// A phrase of the model, in hundredths of a second from the first sample.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Phrase {
    pub start: i64,
    pub end: i64,
    pub text: String,
    /// Mean probability of its tokens.
    pub confidence: Option<f64>,
    /// Mean log probability of its tokens, those of the times included; 0 is certain.
    pub avg_logprob: f64,
    pub tokens: Vec<Token>,
}

/// A part of a word. Its bytes may be part of a character.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub start: i64,
    pub end: i64,
    pub bytes: Vec<u8>,
}

/// What the model found in one piece of audio.
#[derive(Clone, Debug, Default)]
pub(super) struct DecodedPhrases {
    pub phrases: Vec<Phrase>,
    /// What the model makes of the audio as a whole; None if it took several steps of the encoder.
    pub audio: Option<AudioEvidence>,
}

/// What the model makes of a piece of audio before it transcribes it.
#[derive(Clone, Debug, Default)]
pub(super) struct AudioEvidence {
    /// The probability that nobody speaks.
    pub no_speech: f32,
    /// The probability of each language; empty if the model knows only one.
    pub languages: LanguageProbabilities,
}

/// What the decoder produces.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DecodeOptions {
    /// Whether to translate into English.
    pub translate: bool,
    /// Whether to time the tokens.
    pub token_times: bool,
}

impl WhisperModel {
    pub fn load(path: &Path) -> Result<Self> {
        file::check(path)?;
        whisper_rs::install_logging_hooks();
        #[cfg(target_arch = "x86_64")]
        super::matrix_product::link();
        let params = WhisperContextParameters::default();
        let context = WhisperContext::new_with_params(as_utf8(path)?, params)
            .map_err(|error| Error::malformed(path.display(), "cannot be loaded", download_again()).because(error))?;
        Ok(Self { context, name: path.display().to_string() })
    }

    /// Whether it supports languages other than English.
    pub fn is_multilingual(&self) -> bool {
        self.context.is_multilingual()
    }

    fn min_steps(&self) -> usize {
        if self.context.model_n_audio_state() == WIDTH_BASE { MIN_STEPS_BASE } else { MIN_STEPS }
    }

    /// A decoder that runs on one thread.
    pub fn decoder(&self) -> Result<SpeechDecoder<'_>> {
        let state = self.context.create_state().map_err(|error| self.failed("cannot be set up", error))?;
        Ok(SpeechDecoder { model: self, state })
    }

    fn failed(&self, what: &str, error: whisper_rs::WhisperError) -> Error {
        let advice = Advice::from("check the free memory").or(Advice::SetTo(Setting::WhisperModel, "base".into()));
        Error::malformed(&self.name, format!("the speech model {what}"), advice).because(error)
    }
}

/// A model with the state of one decoder.
pub(super) struct SpeechDecoder<'a> {
    model: &'a WhisperModel,
    state: WhisperState,
}

impl SpeechDecoder<'_> {
    /// What the model makes of the audio; at most 30 s of 16 kHz mono.
    pub fn examine(&mut self, samples: &[f32]) -> Result<AudioEvidence> {
        // Only `full` sets the number of encoder steps, also for `lang_detect`. With so short a duration it takes the
        // samples and returns before it encodes any.
        let mut params = FullParams::new(SamplingStrategy::Greedy { best_of: 1 });
        params.set_n_threads(1);
        params.set_language(Some("en"));
        params.set_audio_ctx(n_steps(samples, MIN_STEPS));
        params.set_duration_ms(SHORTEST_MILLIS);
        let encoded = self.state.full(params, samples).and_then(|()| self.state.encode(0, 1));
        encoded.and_then(|()| self.evidence()).map_err(|error| self.model.failed("failed on the audio", error))
    }

    /// What the model makes of the audio that was encoded last.
    ///
    /// whisper.cpp's own no-speech probability is wrong for multilingual models: it reads the logits of the first token of
    /// the prompt, which were computed for an earlier piece of audio.
    fn evidence(&mut self) -> std::result::Result<AudioEvidence, whisper_rs::WhisperError> {
        let context = &self.model.context;
        self.state.decode(&[context.token_sot()], 0, 1)?;
        let logits = self.state.get_logits()?;
        let logit = |token: i32| usize::try_from(token).ok().and_then(|at| logits.get(at)).copied();
        let no_speech = logit(context.token_nosp()).map_or(0.0, |nosp| softmax(logits, &[nosp])[0]);
        let languages = if self.model.is_multilingual() {
            let of = |id: usize| logit(context.token_lang(id as i32)).unwrap_or(f32::NEG_INFINITY);
            let logits: Vec<f32> = language_ids().map(|(id, _)| of(id)).collect();
            softmax(&logits, &logits)
        } else {
            Vec::new()
        };
        Ok(AudioEvidence { no_speech, languages })
    }

    /// Transcribes `samples`, at most 30 s of 16 kHz mono. `language` None detects it. `is_cancelled` ends the work
    /// within a step of the model.
    pub fn decode(
        &mut self,
        samples: &[f32],
        language: Option<&str>,
        options: DecodeOptions,
        is_cancelled: &AtomicBool,
    ) -> Result<DecodedPhrases> {
        let mut params = FullParams::new(SamplingStrategy::Greedy { best_of: 5 });
        params.set_n_threads(1);
        params.set_language(Some(language.unwrap_or("auto")));
        params.set_translate(options.translate);
        params.set_token_timestamps(options.token_times);
        params.set_audio_ctx(n_steps(samples, self.model.min_steps()));
        // Chunks are independent: an error must not cause the next one.
        params.set_no_context(true);
        params.set_suppress_nst(true);
        // A doubtful phrase is judged by its probabilities, which are comparable only at temperature 0. Repetition still
        // leads to another try at a higher temperature.
        params.set_logprob_thold(f32::NEG_INFINITY);
        params.set_print_special(false);
        params.set_print_progress(false);
        params.set_print_realtime(false);
        params.set_print_timestamps(false);
        let n_encoded = Cell::new(0_u32);
        // SAFETY: the callbacks only read the flag and count up, both of which outlive the call of `full` below, the only
        // caller, which calls them on this thread. whisper-rs's safe setter keeps a pointer to a closure that is dropped by
        // then.
        #[expect(unsafe_code, reason = "foreign callbacks")]
        unsafe {
            params.set_abort_callback(Some(is_flag_set));
            params.set_abort_callback_user_data(std::ptr::from_ref(is_cancelled).cast_mut().cast());
            params.set_start_encoder_callback(Some(count_up));
            params.set_start_encoder_callback_user_data(std::ptr::from_ref(&n_encoded).cast_mut().cast());
        }
        if let Err(error) = self.state.full(params, samples) {
            if is_cancelled.load(Ordering::Relaxed) {
                return Err(Error::interrupted());
            }
            return Err(self.model.failed("failed on the audio", error));
        }
        let audio = (n_encoded.get() == 1).then(|| self.evidence()).transpose();
        let audio = audio.map_err(|error| self.model.failed("failed on the audio", error))?;
        Ok(DecodedPhrases { phrases: self.state.as_iter().map(|segment| phrase(&segment, options)).collect(), audio })
    }
}

/// Encoder steps for this audio; the default is 30 s, whatever the length of the audio.
fn n_steps(samples: &[f32], least: usize) -> i32 {
    let n_steps = samples.len() / SAMPLES_PER_STEP + SPARE_STEPS;
    n_steps.next_multiple_of(STEP_MULTIPLE).clamp(least, MAX_STEPS) as i32
}

fn phrase(segment: &whisper_rs::WhisperSegment<'_>, options: DecodeOptions) -> Phrase {
    let (mut tokens, mut sum, mut n, mut logs, mut n_logs) = (Vec::new(), 0.0, 0_u32, 0.0, 0_u32);
    for token in (0..segment.n_tokens()).filter_map(|idx| segment.get_token(idx)) {
        let (bytes, data) = (token.to_bytes().unwrap_or_default(), token.token_data());
        // Of the times, too: they are the less certain, the less there is to time.
        logs += f64::from(data.plog);
        n_logs += 1;
        // Special tokens, such as times, are written [_TT_50] and <|…|>; they are never spoken text.
        if bytes.is_empty() || bytes.starts_with(b"[_") || bytes.starts_with(b"<|") {
            continue;
        }
        sum += f64::from(data.p);
        n += 1;
        if options.token_times {
            tokens.push(Token { start: data.t0, end: data.t1, bytes: bytes.to_vec() });
        }
    }
    Phrase {
        start: segment.start_timestamp(),
        end: segment.end_timestamp(),
        text: segment.to_str_lossy().unwrap_or_default().trim().to_owned(),
        confidence: (n > 0).then(|| sum / f64::from(n)),
        avg_logprob: logs / f64::from(n_logs.max(1)),
        tokens,
    }
}

/// The share of `part`, some of the logits, in all of them.
fn softmax(logits: &[f32], part: &[f32]) -> Vec<f32> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = logits.iter().map(|logit| (logit - max).exp()).sum();
    part.iter().map(|logit| (logit - max).exp() / sum).collect()
}

/// # Safety
/// `count` is the address of a [`Cell`] of this thread.
#[expect(unsafe_code, reason = "called by whisper.cpp")]
unsafe extern "C" fn count_up(
    _: *mut whisper_rs::WhisperSysContext,
    _: *mut whisper_rs::WhisperSysState,
    count: *mut c_void,
) -> bool {
    // SAFETY: as the caller promises.
    let count = unsafe { &*count.cast::<Cell<u32>>() };
    count.set(count.get() + 1);
    true
}

/// # Safety
/// `flag` is the address of an [`AtomicBool`].
#[expect(unsafe_code, reason = "called by whisper.cpp")]
unsafe extern "C" fn is_flag_set(flag: *mut c_void) -> bool {
    // SAFETY: as the caller promises.
    unsafe { &*flag.cast::<AtomicBool>() }.load(Ordering::Relaxed)
}
