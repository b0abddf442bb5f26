//! How many requests are made at a time, and what they may cost.

use clap::Args;

pub(super) const SUMMARIZE_EXAMPLES: &str = "\
Examples:
  vidgist summarize talk.mp4
  vidgist summarize talk.mp4 --start 10m --end 20m --interval 2s
  vidgist summarize talk.mp4 --transcript talk.de.srt --prompt-file question.txt
  vidgist summarize talk.mp4 --model openai:gpt-4o-mini --max-cost 0.05
  vidgist summarize talk.mp4 --format json | jq .answer";

pub(super) const PLAN_EXAMPLES: &str = "\
Examples:
  vidgist plan talk.mp4 --model openai:gpt-4o-mini
  vidgist plan talk.mp4 --model openai:gpt-4o-mini --max-cost 0.05
  vidgist plan talk.mp4 --model groq:qwen/qwen3.8-27b --show-requests
  vidgist plan talk.mp4 --format json | jq .cost_usd

Frames are decoded and words are looked for as in a run, Whisper included; a transcription endpoint is not asked.";

#[derive(Debug, Args)]
#[command(next_help_heading = "Requests")]
pub struct RequestArgs {
    /// Spend at most so many US dollars: summarize looks at fewer frames, then smaller ones, then in low detail; caption
    /// stops before it would spend more, and refuses a batch that would
    #[arg(long, value_name = "DOLLARS")]
    pub max_cost: Option<String>,
    /// The same in tokens of all requests and answers together
    #[arg(long, value_name = "N")]
    pub max_tokens_total: Option<u64>,
    /// Send nothing; show what would be sent and what it would cost
    #[arg(long)]
    pub dry_run: bool,
    /// In a dry run: the requests themselves too, pictures shortened
    #[arg(long)]
    pub show_requests: bool,
}
