//! Options that several jobs share. Options that are left out come from the configuration, then from built-in defaults.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::text;
use crate::llm::Detail;
use crate::media::{ImageFormat, Ratio};
use crate::time::{Timestamp, Tolerance};
use crate::transcribe::ChannelMode;
use crate::video::DecoderBackend;

/// How frames are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SamplingMethod {
    /// One frame per interval.
    Interval,
    /// Keyframes only, at the cost of decoding only them.
    Keyframe,
    /// One frame per shot.
    Scene,
    /// A fixed number of frames, where the most happens, with the longest gap bounded.
    Budget,
}

/// Which frames are read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SamplingOptions {
    /// How frames are chosen; None is by interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<SamplingMethod>,
    /// Time between frames: `5s`.
    #[serde(with = "text::time", skip_serializing_if = "Option::is_none")]
    pub interval: Option<Timestamp>,
    /// Frames per second, in place of an interval: `0.5`, `30000/1001`.
    #[serde(with = "text::ratio", skip_serializing_if = "Option::is_none")]
    pub fps: Option<Ratio>,
    /// Single moments, in place of a method.
    #[serde(with = "text::times", skip_serializing_if = "Vec::is_empty")]
    pub at: Vec<Timestamp>,
    /// The maximum distance of a frame from its sample point, within which the cheapest frame to decode is used: `50%` of
    /// the interval, or a time. None means 50 % for summaries and captions without an interval, a rate or times in the
    /// job, otherwise 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<Tolerance>,
    /// The start of the range.
    #[serde(with = "text::time", skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// The end of the range, exclusive.
    #[serde(with = "text::time", skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    /// The most frames, spread over the range.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_frames: Option<usize>,
    /// Whether frames that show what a recent one showed are dropped.
    #[serde(skip_serializing_if = "text::is_default")]
    pub dedup: bool,
    /// Images per second of a folder or pattern of images; None is 1.
    #[serde(with = "text::ratio", skip_serializing_if = "Option::is_none")]
    pub sequence_fps: Option<Ratio>,
    /// The decoder backend.
    #[serde(skip_serializing_if = "text::is_default")]
    pub decoder: DecoderBackend,
}

/// How frames are encoded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImageOptions {
    /// Maximum width in pixels; frames are never enlarged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_width: Option<u32>,
    /// Maximum length of the longer side in pixels, in place of the default maximum width.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_edge: Option<u32>,
    /// Quality of JPEG and WebP, 1 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jpeg_quality: Option<u8>,
    /// The format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<ImageFormat>,
}

/// Which source of a transcript is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TranscriptChoice {
    /// Subtitles; else the endpoint where its model is set; else Whisper where its model is on this machine.
    Auto,
    /// Subtitles only.
    Subtitles,
    /// Whisper on this machine.
    Whisper,
    /// The transcription endpoint.
    Api,
    /// No transcript is wanted.
    None,
}

/// Where a transcript comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TranscriptOptions {
    /// Which source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<TranscriptChoice>,
    /// A subtitle file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// The language to prefer among subtitles and to expect in speech; `auto` detects it, whatever the configuration says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The languages among which that of the speech is detected; empty for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub languages: Vec<String>,
    /// Whether Whisper detects the language of each part of the speech.
    #[serde(skip_serializing_if = "text::is_default")]
    pub multilingual: bool,
    /// How Whisper transcribes the channels of stereo.
    #[serde(skip_serializing_if = "text::is_default")]
    pub channels: ChannelMode,
    /// The text encoding of subtitle files, such as `windows-1251`; detected where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subtitle_encoding: Option<String>,
    /// The Whisper model, or its file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whisper_model: Option<String>,
    /// Whether Whisper translates to English.
    #[serde(skip_serializing_if = "text::is_default")]
    pub translate: bool,
    /// Whether each word gets a time.
    #[serde(skip_serializing_if = "text::is_default")]
    pub words: bool,
    /// The model of the transcription endpoint; without it no audio is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stt_model: Option<String>,
    /// The address of the transcription endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stt_base_url: Option<String>,
}

/// Which audio track; by default the main one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrackOptions {
    /// Its number among the audio tracks, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u16>,
    /// The language in its tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

/// The question.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PromptOptions {
    /// The task, in place of the built-in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// The rules, in place of the built-in ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
}

/// The model and how it is requested.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelOptions {
    /// `PROVIDER:NAME`, a name, or `built-in`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The address of an OpenAI-compatible server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Whether the answer is streamed; None leaves it to the front end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    /// Whether a parameter that the model does not support fails the job; else it is left out.
    #[serde(skip_serializing_if = "text::is_default")]
    pub strict_params: bool,
    /// Sampling parameters.
    #[serde(skip_serializing_if = "text::is_default")]
    pub params: ParamOptions,
    /// Connection settings.
    #[serde(skip_serializing_if = "text::is_default")]
    pub server: ServerOptions,
}

/// Sampling parameters of a model; each is sent only where it is set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ParamOptions {
    /// 0 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// The token limit of an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// The nucleus sampling threshold, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// The number of choices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<u32>,
    /// Texts at which the answer ends.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// A number for repeatable sampling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// The image detail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<Detail>,
    /// The reasoning effort: none, minimal, low, medium, high, xhigh, max.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<String>,
}

/// Connection settings of a server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerOptions {
    /// The timeout of one attempt.
    #[serde(with = "text::time", skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Timestamp>,
    /// The timeout of a request over all attempts.
    #[serde(with = "text::time", skip_serializing_if = "Option::is_none")]
    pub total_timeout: Option<Timestamp>,
    /// Concurrent requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u16>,
    /// Requests per minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_requests_per_minute: Option<u32>,
    /// Tokens per minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens_per_minute: Option<u64>,
    /// PEM certificates that are trusted in addition to the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Whether a key may be sent unencrypted to another machine; otherwise requests to such a server carry no key.
    #[serde(skip_serializing_if = "text::is_default")]
    pub send_key_unencrypted: bool,
}

/// How an image is sent to the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageTransport {
    /// As a Base64 data URL.
    #[default]
    Data,
    /// As the address that was given.
    Url,
}

/// Spending limits, and dry runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpendOptions {
    /// The cost limit in US dollars: `0.05`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_cost: Option<String>,
    /// The token limit of all requests and answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens_total: Option<u64>,
    /// Whether nothing is sent, and an estimate is returned.
    #[serde(skip_serializing_if = "text::is_default")]
    pub dry_run: bool,
    /// Whether the estimate holds the requests themselves.
    #[serde(skip_serializing_if = "text::is_default")]
    pub show_requests: bool,
}
