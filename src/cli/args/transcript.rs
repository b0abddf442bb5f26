//! Arguments for transcripts.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
#[command(next_help_heading = "Transcript")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub struct TranscriptArgs {
    /// Transcript to use: SRT, WebVTT, ASS, TTML, SBV, LRC, MicroDVD, JSON of YouTube or Whisper, or plain text
    #[arg(long, value_name = "FILE", conflicts_with = "no_transcript")]
    pub transcript: Option<PathBuf>,
    /// Text encoding of subtitle files, such as windows-1251 or gbk [default: detected]
    #[arg(long, value_name = "NAME")]
    pub subtitle_encoding: Option<String>,
    /// Use no transcript; the same as --stt none
    #[arg(long, conflicts_with = "stt")]
    pub no_transcript: bool,
    /// Source of the transcript [default: auto]
    #[arg(long, value_name = "SOURCE", conflicts_with = "transcript")]
    pub stt: Option<Stt>,
    /// Local Whisper model: tiny.en, tiny, base, small, large-v3-turbo or a file [default: base]
    #[arg(long, value_name = "NAME|FILE")]
    pub whisper_model: Option<String>,
    /// Translate speech to English with Whisper; subtitles are ignored
    #[arg(long, conflicts_with_all = ["transcript", "no_transcript"])]
    pub translate: bool,
    /// Time each word, with Whisper or with --stt api; subtitles are ignored
    #[arg(long, conflicts_with_all = ["transcript", "no_transcript"])]
    pub words: bool,
    /// Language of the speech, and preferred language of subtitles: en. Several (en,fr) are those to detect it among
    /// [default: auto]
    #[arg(long, value_name = "auto|CODE", value_delimiter = ',')]
    pub language: Vec<String>,
    /// Detect the language of each part of the speech, with Whisper
    #[arg(long)]
    pub multilingual: bool,
    /// Channels of stereo, with Whisper
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub channels: ChannelsArg,
    /// Model of a transcription endpoint; without it no audio is sent anywhere
    #[arg(long, value_name = "NAME")]
    pub stt_model: Option<String>,
    /// URL of the transcription endpoint [default: --base-url]
    #[arg(long, value_name = "URL", requires = "stt_model")]
    pub stt_base_url: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ChannelsArg {
    /// Transcribe them apart if each has its own speaker
    Auto,
    /// Transcribe them apart, as the speakers left and right
    Split,
    /// Mix them
    Mix,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stt {
    /// Subtitles, otherwise the endpoint of --stt-model, otherwise Whisper if its model is downloaded
    Auto,
    /// Subtitles only
    Subtitles,
    /// Whisper on this machine
    Whisper,
    /// The transcription endpoint
    Api,
    /// No transcript
    None,
}
