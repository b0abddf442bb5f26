//! Arguments of `ask`.

use clap::Args;

use super::{AnswerArgs, EvidenceArgs, ModelArgs, ReportArgs, RequestArgs};
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
    pub evidence: EvidenceArgs,
    #[command(flatten)]
    pub answer: AnswerArgs,
    #[command(flatten)]
    pub model: ModelArgs,
    #[command(flatten)]
    pub requests: RequestArgs,
    #[command(flatten)]
    pub report: ReportArgs,
}
