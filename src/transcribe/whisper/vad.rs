//! Voice activity detection: Silero's model, run by whisper.cpp, rates each 32 ms of audio.

use std::path::Path;

use sha2::{Digest as _, Sha256};
use whisper_rs::{WhisperVadContext, WhisperVadContextParams};

use super::chunking::WINDOW_SAMPLES;
use super::model_path::{as_utf8, download_again};
use super::models::{self, SpeechModel};
use crate::error::{Error, Result};
use crate::fs::hex;

/// The model has no memory across calls; this much audio is repeated before new audio, 1 s.
const WARM_UP: usize = 31 * WINDOW_SAMPLES;

/// Takes audio in order, in runs of any whole number of windows.
pub(super) struct VoiceActivityDetector {
    context: WhisperVadContext,
    path: String,
    /// The end of the previous audio, then the new audio.
    samples: Vec<f32>,
}

impl VoiceActivityDetector {
    /// Loads the model.
    pub fn load(path: &Path) -> Result<Self> {
        let mut params = WhisperVadContextParams::default();
        // For so small a model, synchronising threads costs more than it gains.
        params.set_n_threads(1);
        // The file is small enough to hash it each time, which replaces a check of its format.
        let pinned = SpeechModel::by_name(models::VAD).map_or("", |model| model.sha256);
        let bytes = std::fs::read(path).map_err(|error| Error::io(path, error))?;
        if hex(&Sha256::digest(&bytes)) != pinned {
            let problem = "is not the supported voice activity model";
            return Err(Error::malformed(path.display(), problem, download_again()));
        }
        let context = WhisperVadContext::new(as_utf8(path)?, params).map_err(|error| {
            Error::malformed(path.display(), "is not a voice activity model", download_again()).because(error)
        })?;
        Ok(Self { context, path: path.display().to_string(), samples: Vec::new() })
    }

    /// The probability of speech in each window of `samples`, which continue the previous ones; an incomplete last
    /// window counts as one.
    pub fn probabilities(&mut self, samples: &[f32]) -> Result<Vec<f32>> {
        let n_known = self.samples.len() / WINDOW_SAMPLES;
        self.samples.extend_from_slice(samples);
        self.context.detect_speech(&self.samples).map_err(|error| {
            Error::malformed(&self.path, "the voice activity model failed", download_again()).because(error)
        })?;
        let found = self.context.probabilities()[n_known..].to_vec();
        let n_old = self.samples.len().saturating_sub(WARM_UP);
        self.samples.drain(..n_old);
        Ok(found)
    }
}
