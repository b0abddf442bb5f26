//! The settings of Whisper.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::transcribe::transcriber::ChannelMode;

/// Which model transcribes, and how.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WhisperConfig {
    /// The model's file, in whisper.cpp's format (ggml).
    pub model: PathBuf,
    /// Silero's voice activity model, in the same format.
    pub vad_model: PathBuf,
    /// The model's name in the report: `base`.
    pub name: String,
    /// The languages that may be spoken, as tags or English names (`en`, `german`). It is detected which of them is,
    /// unless there is only one; empty allows all.
    pub languages: Vec<String>,
    /// Whether parts of the recording may be in different languages.
    pub multilingual: bool,
    /// How the channels of stereo are transcribed.
    pub channels: ChannelMode,
    /// Whether to translate the transcript into English.
    pub translate: bool,
    /// Whether to time each word.
    pub word_times: bool,
    /// Chunks that are transcribed in parallel, each on one thread; None uses one per core, at most 8.
    pub n_decoders: Option<NonZeroUsize>,
}

impl WhisperConfig {
    /// Detects the language and transcribes without word times.
    #[must_use]
    pub fn new(name: impl Into<String>, model: impl Into<PathBuf>, vad_model: impl Into<PathBuf>) -> Self {
        Self {
            model: model.into(),
            vad_model: vad_model.into(),
            name: name.into(),
            languages: Vec::new(),
            multilingual: false,
            channels: ChannelMode::default(),
            translate: false,
            word_times: false,
            n_decoders: None,
        }
    }
}
