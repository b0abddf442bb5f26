//! whisper.cpp on one stretch of sound: samples in, timed tokens out.

use std::ffi::c_void;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use whisper_rs::{FullParams, SamplingStrategy, WhisperContext, WhisperContextParameters, WhisperState};

use super::file;
use crate::error::{Error, Result};

/// Samples of one step of the encoder.
const SAMPLES_PER_STEP: usize = 320;
/// All steps that it can take.
const MAX_STEPS: usize = 1500;
/// Fewer steps are less work; below these the words of tiny.en were seen to get worse, and base's guess of the language.
const MIN_STEPS: usize = 768;
/// base hears as well with these. Larger models were not tried.
const MIN_STEPS_BASE: usize = 512;
/// The width of base, by which it is known.
const WIDTH_BASE: i32 = 512;
/// Silence after the sound, so that its end is heard as one.
const SPARE_STEPS: usize = 64;
/// The shortest sound that whisper.cpp does not refuse; it passes over it.
const SHORTEST_MILLIS: i32 = 100;

/// A loaded model; several ears share it.
pub(super) struct Model {
    context: WhisperContext,
    name: String,
}

/// What was heard, in hundredths of a second from the first sample.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Phrase {
    pub start: i64,
    pub end: i64,
    pub text: String,
    /// Mean probability of its tokens.
    pub confidence: Option<f64>,
    pub tokens: Vec<Token>,
}

/// A piece of a word. Its bytes may be a part of a character.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub start: i64,
    pub end: i64,
    pub bytes: Vec<u8>,
}

/// What is asked of the model.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wish {
    pub translate: bool,
    /// Whether tokens are timed.
    pub times_words: bool,
}

impl Model {
    pub fn load(path: &Path) -> Result<Self> {
        file::check(path)?;
        whisper_rs::install_logging_hooks();
        let params = WhisperContextParameters::default();
        let context = WhisperContext::new_with_params(super::utf8(path)?, params)
            .map_err(|error| Error::malformed(path.display(), "cannot be loaded", super::FETCH_AGAIN).because(error))?;
        Ok(Self { context, name: path.display().to_string() })
    }

    /// Whether it knows more than English.
    pub fn is_multilingual(&self) -> bool {
        self.context.is_multilingual()
    }

    fn min_steps(&self) -> usize {
        if self.context.model_n_audio_state() == WIDTH_BASE { MIN_STEPS_BASE } else { MIN_STEPS }
    }

    /// One that listens on one thread.
    pub fn ear(&self) -> Result<Ear<'_>> {
        let state = self.context.create_state().map_err(|error| self.failed("cannot be set up", error))?;
        Ok(Ear { model: self, state })
    }

    fn failed(&self, what: &str, error: whisper_rs::WhisperError) -> Error {
        let advice = "try a smaller model (--whisper-model), or check the free memory";
        Error::malformed(&self.name, format!("the speech model {what}"), advice).because(error)
    }
}

/// A model with the memory of one listener.
pub(super) struct Ear<'a> {
    model: &'a Model,
    state: WhisperState,
}

impl Ear<'_> {
    /// The language that is most likely spoken, and its probability.
    pub fn language(&mut self, samples: &[f32]) -> Result<(&'static str, f32)> {
        // `full` alone tells the encoder how many steps it is to take, for `lang_detect` too; asked for so short a sound, it
        // takes the samples and ends before it encodes any.
        let mut params = FullParams::new(SamplingStrategy::Greedy { best_of: 1 });
        params.set_n_threads(1);
        params.set_language(Some("en"));
        params.set_audio_ctx(n_steps(samples, MIN_STEPS));
        params.set_duration_ms(SHORTEST_MILLIS);
        let found = self.state.full(params, samples).and_then(|()| self.state.lang_detect(0, 1));
        let (id, probabilities) = found.map_err(|error| self.model.failed("cannot tell the language", error))?;
        let probability = usize::try_from(id).ok().and_then(|id| probabilities.get(id)).copied().unwrap_or_default();
        Ok((whisper_rs::get_lang_str(id).unwrap_or_default(), probability))
    }

    /// Transcribes `samples`, at most 30 s of 16 kHz mono. `language` None lets the model find out. `stop` ends the
    /// work within a step of the model.
    pub fn hear(
        &mut self,
        samples: &[f32],
        language: Option<&str>,
        wish: Wish,
        stop: &AtomicBool,
    ) -> Result<Vec<Phrase>> {
        let mut params = FullParams::new(SamplingStrategy::Greedy { best_of: 5 });
        params.set_n_threads(1);
        params.set_language(Some(language.unwrap_or("auto")));
        params.set_translate(wish.translate);
        params.set_token_timestamps(wish.times_words);
        params.set_audio_ctx(n_steps(samples, self.model.min_steps()));
        // Each stretch stands for itself: an error must not breed the next.
        params.set_no_context(true);
        params.set_suppress_nst(true);
        params.set_print_special(false);
        params.set_print_progress(false);
        params.set_print_realtime(false);
        params.set_print_timestamps(false);
        // SAFETY: the callback reads the flag alone, which outlives the call of `full` below, the only one that calls it.
        // whisper-rs's own safe setter keeps a pointer to a closure that is gone by then.
        #[expect(unsafe_code, reason = "a foreign callback")]
        unsafe {
            params.set_abort_callback(Some(is_stopped));
            params.set_abort_callback_user_data(std::ptr::from_ref(stop).cast_mut().cast());
        }
        if let Err(error) = self.state.full(params, samples) {
            if stop.load(Ordering::Relaxed) {
                return Err(Error::interrupted());
            }
            return Err(self.model.failed("failed on the sound", error));
        }
        Ok(self.state.as_iter().map(|segment| phrase(&segment, wish)).collect())
    }
}

/// Steps of the encoder for this sound: by default it hears 30 s, whatever there is to hear.
fn n_steps(samples: &[f32], least: usize) -> i32 {
    (samples.len() / SAMPLES_PER_STEP + SPARE_STEPS).clamp(least, MAX_STEPS) as i32
}

fn phrase(segment: &whisper_rs::WhisperSegment<'_>, wish: Wish) -> Phrase {
    let (mut tokens, mut sum, mut n) = (Vec::new(), 0.0, 0_u32);
    for token in (0..segment.n_tokens()).filter_map(|idx| segment.get_token(idx)) {
        let bytes = token.to_bytes().unwrap_or_default();
        // Special tokens, such as times, are written [_TT_50] and <|…|>; none of them is ever spoken text.
        if bytes.is_empty() || bytes.starts_with(b"[_") || bytes.starts_with(b"<|") {
            continue;
        }
        let data = token.token_data();
        sum += f64::from(data.p);
        n += 1;
        if wish.times_words {
            tokens.push(Token { start: data.t0, end: data.t1, bytes: bytes.to_vec() });
        }
    }
    Phrase {
        start: segment.start_timestamp(),
        end: segment.end_timestamp(),
        text: segment.to_str_lossy().unwrap_or_default().trim().to_owned(),
        confidence: (n > 0).then(|| sum / f64::from(n)),
        tokens,
    }
}

/// # Safety
/// `flag` is the address of an [`AtomicBool`].
#[expect(unsafe_code, reason = "called by whisper.cpp")]
unsafe extern "C" fn is_stopped(flag: *mut c_void) -> bool {
    // SAFETY: as the caller promises.
    unsafe { &*flag.cast::<AtomicBool>() }.load(Ordering::Relaxed)
}
