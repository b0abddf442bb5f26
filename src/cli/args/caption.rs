//! Arguments of `vidgist caption`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{ImageArgs, ModelArgs, PromptArgs, RequestArgs, SamplingArgs, TrackArgs, TranscriptArgs};
use crate::cli::input_parser::input_parser;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  vidgist caption films/ -o captions.jsonl
  vidgist caption films/ -o captions.jsonl --resume      request what is missing
  vidgist caption talk.mp4 --interval 10s --frames-per-request 5 | jq -r .caption
  vidgist caption shots/*.jpg --format txt -o dataset/
  vidgist caption shots/ --beside                        write a.txt beside a.jpg; keep existing captions
  vidgist caption films/ --model openai:gpt-4o-mini --dry-run
  vidgist caption films/ --model openai:gpt-4o-mini --batch -o captions.jsonl    within a day, for half the price")]
pub struct CaptionArgs {
    /// Media files, images, and folders of them
    #[arg(required = true, value_name = "INPUT", value_parser = input_parser())]
    pub inputs: Vec<String>,
    /// Take the URL of a playlist for all of its videos
    #[arg(long)]
    pub playlist: bool,
    #[command(flatten)]
    pub sampling: SamplingArgs,
    #[command(flatten)]
    pub images: ImageArgs,
    #[command(flatten)]
    pub track: TrackArgs,
    #[command(flatten)]
    pub transcript: TranscriptArgs,
    #[command(flatten)]
    pub prompt: PromptArgs,
    #[command(flatten)]
    pub model: ModelArgs,
    /// Frames per request; more frames need fewer tokens but get less attention each
    #[arg(long, value_name = "N", default_value = "1", help_heading = "Requests",
        value_parser = clap::value_parser!(u16).range(1..=64))]
    pub frames_per_request: u16,
    #[command(flatten)]
    pub requests: RequestArgs,
    /// Use the provider's batch API: results within a day for half the price. Needs -o and JSON Lines; after an
    /// interruption, run the same command again
    #[arg(long, help_heading = "Requests")]
    pub batch: bool,
    /// Output format [default: jsonl; markdown for a dry run]
    #[arg(long, value_name = "FORMAT", help_heading = "Output")]
    pub format: Option<CaptionFormatArg>,
    /// Output file, or folder for txt [default: stdout]
    #[arg(short, long, value_name = "FILE|DIR", help_heading = "Output")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub existing: ExistingArgs,
    /// Keep the captions in the JSON Lines file of -o, and request only the missing ones
    #[arg(long, help_heading = "Output")]
    pub resume: bool,
}

/// Captions in text files.
#[derive(Debug, Args)]
pub struct ExistingArgs {
    /// Write each caption to a text file beside its image, under the same name: a.txt for a.jpg. The frames of a video go
    /// to a folder beside it
    #[arg(long, conflicts_with = "output", help_heading = "Output")]
    pub beside: bool,
    /// What to do with existing captions in text files
    #[arg(long, value_name = "HOW", default_value = "skip", help_heading = "Output")]
    pub captions: ExistingCaptionsArg,
    /// Replace existing captions and files
    #[arg(long, conflicts_with_all = ["captions", "resume"], help_heading = "Output")]
    pub overwrite: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExistingCaptionsArg {
    /// Keep them; send no request for their frames
    Skip,
    /// Add the new caption after them
    Append,
    /// Add the new caption before them
    Prepend,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CaptionFormatArg {
    /// One JSON object per line; see docs/output.md
    Jsonl,
    /// A table
    Csv,
    /// Each frame as an image, with its caption in a text file beside it
    Txt,
}
