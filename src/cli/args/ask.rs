//! Arguments of `ask`.

use std::path::PathBuf;

use clap::Args;

use super::{ImageArgs, JoinArgs, ModelArgs, ReportArgs, RequestArgs, SamplingArgs, TrackArgs, TranscriptArgs};
use crate::cli::input_parser::input_parser;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  vidgist ask talk.mp4 'Who resigned, and when?'
  vidgist ask talk.mp4 'What is on the slide about costs?' --model openai:gpt-4o-mini
  vidgist ask talk.mp4 'Was kostet es?' --format json | jq -r .answer.choices[0].text

Of a recording of more than 5 minutes, the passages that match the question are sent, with the records of earlier \
summaries. Where none match, the whole recording is analyzed first, as by summarize.")]
pub struct AskArgs {
    /// A media file, an image, a folder or pattern of images, a URL such as rtsp://…, camera:0, or - for stdin
    #[arg(value_parser = input_parser())]
    pub input: String,
    /// The question
    pub question: String,
    #[command(flatten)]
    pub join: JoinArgs,
    #[command(flatten)]
    pub sampling: SamplingArgs,
    #[command(flatten)]
    pub images: ImageArgs,
    #[command(flatten)]
    pub track: TrackArgs,
    #[command(flatten)]
    pub transcript: TranscriptArgs,
    /// Language of the answer, by name or code [default: that of the question]
    #[arg(long, value_name = "LANG", help_heading = "Prompt")]
    pub output_language: Option<String>,
    /// Background for the model, such as a list of names: text, Markdown, JSON, HTML, PDF or .docx; repeatable
    #[arg(long, value_name = "FILE", help_heading = "Prompt")]
    pub context: Vec<PathBuf>,
    /// Exit with 1 if a sentence of the answer is not supported by what it cites
    #[arg(long, help_heading = "Prompt")]
    pub strict: bool,
    /// Ask the model again whether sentences of its answer are supported by what they cite, the doubtful ones first: at
    /// most 24, in a small request each
    #[arg(long, help_heading = "Prompt")]
    pub verify: bool,
    /// Frames that the model may ask to see while it answers, in up to 3 rounds; 0 for none
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u16).range(0..=200), help_heading = "Prompt")]
    pub look: u16,
    #[command(flatten)]
    pub model: ModelArgs,
    #[command(flatten)]
    pub requests: RequestArgs,
    #[command(flatten)]
    pub report: ReportArgs,
}
