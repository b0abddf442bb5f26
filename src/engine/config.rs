//! Defaults for what a job leaves out.

use std::path::PathBuf;
use std::time::Duration;

use crate::job::TranscriptChoice;
use crate::media::ImageFormat;
use crate::store::StoreConfig;
use crate::time::{Timestamp, Tolerance};

/// Defaults for what a job leaves out. Holds no key.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Config {
    /// The model: `PROVIDER:NAME`, a name, or `built-in`.
    pub model: Option<String>,
    /// The address of an OpenAI-compatible server.
    pub base_url: Option<String>,
    /// The timeout of one attempt.
    pub timeout: Option<Duration>,
    /// The timeout of a request over all attempts.
    pub total_timeout: Option<Duration>,
    /// Concurrent requests.
    pub concurrency: Option<u16>,
    /// Requests per minute.
    pub max_requests_per_minute: Option<u32>,
    /// Tokens per minute.
    pub max_tokens_per_minute: Option<u64>,
    /// PEM certificates that are trusted in addition to the system's.
    pub ca_file: Option<PathBuf>,
    /// Further arguments of yt-dlp, which reads videos of sites.
    pub ytdlp_args: Vec<String>,
    /// Which frames.
    pub frames: FramesConfig,
    /// Where transcripts come from.
    pub transcription: TranscriptionConfig,
    /// Overrides rows of the provider table, key by key.
    pub providers: toml::Table,
    /// The folder of speech models; None where there is none.
    pub models_folder: Option<PathBuf>,
    /// A folder for what later runs can reuse; None keeps nothing.
    pub cache_folder: Option<PathBuf>,
    /// Where results are kept for later runs; None keeps none.
    pub store: Option<StoreConfig>,
    /// The default for streaming answers.
    pub streams: bool,
}

/// Defaults for frames.
#[derive(Clone, Debug, Default)]
pub struct FramesConfig {
    /// The sampling interval.
    pub interval: Option<Timestamp>,
    /// How far a frame may be from its sample point.
    pub tolerance: Option<Tolerance>,
    /// The most frames.
    pub max_frames: Option<usize>,
    /// Maximum width in pixels.
    pub max_width: Option<u32>,
    /// Maximum length of the longer side in pixels.
    pub max_edge: Option<u32>,
    /// Quality of JPEG and WebP, 1 to 100.
    pub jpeg_quality: Option<u8>,
    /// The format of images.
    pub image_format: Option<ImageFormat>,
}

/// Defaults for transcripts.
#[derive(Clone, Debug, Default)]
pub struct TranscriptionConfig {
    /// Which source.
    pub source: Option<TranscriptChoice>,
    /// The Whisper model, or its file.
    pub whisper_model: Option<String>,
    /// The model of the transcription endpoint; without it no audio is sent.
    pub model: Option<String>,
    /// The address of the transcription endpoint.
    pub base_url: Option<String>,
    /// The language; `auto` or None detects it.
    pub language: Option<String>,
    /// The languages among which it is detected; empty for all.
    pub languages: Vec<String>,
}
