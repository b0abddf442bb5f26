//! What the model writes, and how its answer is checked.

use std::path::PathBuf;

use clap::builder::ArgPredicate;
use clap::{Args, ValueEnum};
use vidgist::prompt::SummaryLength;

#[derive(Debug, Args)]
#[command(next_help_heading = "Prompt")]
pub struct TaskArgs {
    /// What the model writes
    #[arg(
        long,
        value_name = "TASK",
        default_value = "summary",
        default_value_if("labels", ArgPredicate::IsPresent, "classify"),
        default_value_if("schema", ArgPredicate::IsPresent, "extract")
    )]
    pub task: TaskArg,
    /// Labels for --task classify, separated by commas: the answer is one of them, with the reason
    #[arg(long, value_name = "LABELS", value_delimiter = ',', conflicts_with = "schema")]
    pub labels: Vec<String>,
    /// JSON Schema for --task extract: the answer is data that is valid against it
    #[arg(long, value_name = "FILE")]
    pub schema: Option<PathBuf>,
    /// About how long: short (80 words), medium (250), long (800), or a number of words
    #[arg(long, value_name = "LENGTH")]
    pub length: Option<SummaryLength>,
    /// Write the stored answer of the same command anew, changed as wished: "shorter, name the speakers"
    #[arg(long, value_name = "WISH")]
    pub refine: Option<String>,
    #[command(flatten)]
    pub answer: AnswerArgs,
}

/// How an answer in text is written and checked.
#[derive(Debug, Args)]
#[command(next_help_heading = "Prompt")]
pub struct AnswerArgs {
    /// Language of the answer, by name or code [default: that of the question or of the speech]
    #[arg(long, value_name = "LANG")]
    pub output_language: Option<String>,
    /// Background for the model, such as an agenda or a list of names: text, Markdown, JSON, HTML, PDF or .docx; repeatable
    #[arg(long, value_name = "FILE")]
    pub context: Vec<PathBuf>,
    /// Exit with 1 if a sentence of the answer is not supported by what it cites
    #[arg(long)]
    pub strict: bool,
    /// Ask the model again whether sentences of its answer are supported by what they cite, the doubtful ones first: at
    /// most 24, in a small request each
    #[arg(long)]
    pub verify: bool,
    /// Frames that the model may ask to see while it answers, in up to 3 rounds [default: 24 for ask, otherwise 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=200))]
    pub look: Option<u16>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum TaskArg {
    /// The main points
    Summary,
    /// A detailed account, topic by topic
    Detailed,
    /// The chapters, with titles
    Chapters,
    /// The minutes of a meeting
    Minutes,
    /// One of --labels, with the reason
    Classify,
    /// Data as --schema describes it
    Extract,
}
