//! How captions are asked for.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{ModelArgs, PictureArgs, PromptArgs, RequestArgs, SamplingArgs, TranscriptArgs};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  vidgist caption films/ -o captions.jsonl
  vidgist caption films/ -o captions.jsonl --resume      ask for what is missing in it
  vidgist caption talk.mp4 --interval 10s --frames-per-request 5 | jq -r .caption
  vidgist caption shots/*.jpg --format txt -o dataset/
  vidgist caption shots/ --beside                        a.jpg gets a.txt; captions that are there are kept
  vidgist caption films/ --model openai:gpt-4o-mini --dry-run
  vidgist caption films/ --model openai:gpt-4o-mini --batch -o captions.jsonl    within a day, for half the price")]
pub struct CaptionArgs {
    /// Media files, pictures, and folders of them
    #[arg(required = true, value_name = "INPUT")]
    pub inputs: Vec<String>,
    #[command(flatten)]
    pub sampling: SamplingArgs,
    #[command(flatten)]
    pub picture: PictureArgs,
    #[command(flatten)]
    pub transcript: TranscriptArgs,
    #[command(flatten)]
    pub prompt: PromptArgs,
    #[command(flatten)]
    pub model: ModelArgs,
    /// Frames that share one request: fewer tokens for the prompt, less attention for each
    #[arg(long, value_name = "N", default_value = "1", help_heading = "Requests",
        value_parser = clap::value_parser!(u16).range(1..=64))]
    pub frames_per_request: u16,
    #[command(flatten)]
    pub requests: RequestArgs,
    /// Ask through the provider's batch API: within a day, for half the price; needs -o and JSON lines. Run the same command again to go
    /// on after it was stopped
    #[arg(long, help_heading = "Requests")]
    pub batch: bool,
    /// How captions are written [default: jsonl; markdown for a dry run]
    #[arg(long, value_name = "FORMAT", help_heading = "Output")]
    pub format: Option<CaptionFormat>,
    /// File to write in place of stdout; for txt a folder
    #[arg(short, long, value_name = "FILE|DIR", help_heading = "Output")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub existing: ExistingArgs,
    /// Go on with the file of JSON lines that -o names: what has a caption in it is not asked again
    #[arg(long, help_heading = "Output")]
    pub resume: bool,
}

/// Text files beside the images, and what becomes of those that are there.
#[derive(Debug, Args)]
pub struct ExistingArgs {
    /// Write each caption into a text file beside its picture, under its name: a.jpg gets a.txt. The frames of a video go into a folder
    /// beside it
    #[arg(long, conflicts_with = "output", help_heading = "Output")]
    pub beside: bool,
    /// With text files: what becomes of a caption that is there already
    #[arg(long, value_name = "HOW", default_value = "skip", help_heading = "Output")]
    pub captions: ExistingCaptions,
    /// Replace captions and files that are there already
    #[arg(long, conflicts_with_all = ["captions", "resume"], help_heading = "Output")]
    pub overwrite: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExistingCaptions {
    /// Keep it, and do not ask again
    Skip,
    /// Write the new one after it
    Append,
    /// Write the new one before it
    Prepend,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CaptionFormat {
    /// A JSON object a line: docs/output.md describes it
    Jsonl,
    /// A table
    Csv,
    /// Each frame as a picture, with its caption in a text file beside it
    Txt,
}
