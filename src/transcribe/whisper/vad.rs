//! Silero's voice activity model, as whisper.cpp runs it: how likely somebody speaks in each 32 ms.

use std::path::Path;

use sha2::{Digest as _, Sha256};
use whisper_rs::{WhisperVadContext, WhisperVadContextParams};

use super::chunking::WINDOW_SAMPLES;
use super::models::{self, Weights};
use crate::error::{Error, Result};
use crate::fs::hex;

/// The model forgets what it heard with each call; this much is heard again before what is new, 1 s.
const WARM_UP: usize = 31 * WINDOW_SAMPLES;

/// Hears sound in order, in runs of any whole number of windows.
pub(super) struct Voice {
    context: WhisperVadContext,
    path: String,
    /// The end of what was heard already, then what is new.
    sound: Vec<f32>,
}

impl Voice {
    /// Loads the model.
    pub fn load(path: &Path) -> Result<Self> {
        let mut params = WhisperVadContextParams::default();
        // Threads that wait for each other over so small a model cost more than they bring.
        params.set_n_threads(1);
        // Small enough to be hashed each time, which spares checking its form.
        let pinned = Weights::named(models::VOICE).map_or("", |voice| voice.sha256);
        let bytes = std::fs::read(path).map_err(|error| Error::io(path, error))?;
        if hex(&Sha256::digest(&bytes)) != pinned {
            let problem = "is not the voice activity model that vidgist knows";
            return Err(Error::malformed(path.display(), problem, super::FETCH_AGAIN));
        }
        let context = WhisperVadContext::new(super::utf8(path)?, params).map_err(|error| {
            Error::malformed(path.display(), "is no voice activity model", super::FETCH_AGAIN).because(error)
        })?;
        Ok(Self { context, path: path.display().to_string(), sound: Vec::new() })
    }

    /// The probability of speech in each window of `sound`, which follows on what was heard before; an incomplete
    /// last window counts as one.
    pub fn probabilities(&mut self, sound: &[f32]) -> Result<Vec<f32>> {
        let n_known = self.sound.len() / WINDOW_SAMPLES;
        self.sound.extend_from_slice(sound);
        self.context.detect_speech(&self.sound).map_err(|error| {
            Error::malformed(&self.path, "the voice activity model failed", super::FETCH_AGAIN).because(error)
        })?;
        let found = self.context.probabilities()[n_known..].to_vec();
        let n_old = self.sound.len().saturating_sub(WARM_UP);
        self.sound.drain(..n_old);
        Ok(found)
    }
}
