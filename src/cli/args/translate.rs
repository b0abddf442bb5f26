//! Arguments of `translate`.

use std::path::PathBuf;

use clap::Args;

use super::{JoinArgs, ModelArgs, RangeArgs, RequestArgs, TrackArgs, TranscriptArgs, TranscriptFormatArg};
use crate::cli::input_parser::input_parser;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  vidgist translate talk.srt --to ko -o talk.ko.srt
  vidgist translate talk.mp4 --to pt-BR --format vtt
  vidgist translate talk.srt --to Korean --base-url http://localhost:11434/v1 --model qwen2.5
  vidgist translate talk.srt --to de --model openai:gpt-4o-mini --max-cost 0.05
  vidgist translate talk.srt --to de --model openai:gpt-4o-mini --dry-run

Cues, times and speakers stay as they are. A cue that cannot be translated keeps its text, with a warning.")]
pub struct TranslateArgs {
    /// A subtitle file, a media file with subtitles or speech, a URL, or - for stdin
    #[arg(value_parser = input_parser())]
    pub input: String,
    /// Language of the translation: a code such as ko or pt-BR, or in words (Korean)
    #[arg(long, value_name = "LANGUAGE")]
    pub to: String,
    #[command(flatten)]
    pub join: JoinArgs,
    #[command(flatten)]
    pub track: TrackArgs,
    #[command(flatten)]
    pub range: RangeArgs,
    #[command(flatten)]
    pub transcript: TranscriptArgs,
    #[command(flatten)]
    pub model: ModelArgs,
    #[command(flatten)]
    pub requests: RequestArgs,
    /// Output format [default: by the extension of the output, otherwise srt]
    #[arg(long, value_name = "FORMAT", help_heading = "Output")]
    pub format: Option<TranscriptFormatArg>,
    /// Output file [default: stdout]
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub output: Option<PathBuf>,
}
