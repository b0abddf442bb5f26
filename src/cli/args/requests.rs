//! Spending limits and dry runs.

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

Frames are decoded and speech is transcribed as in a run, but no request is sent to any server.";

#[derive(Debug, Args)]
#[command(next_help_heading = "Requests")]
pub struct RequestArgs {
    /// Spending limit in US dollars. To stay below it, summarize sends fewer frames, then smaller ones, then low
    /// detail; caption stops before the limit, and does not start a batch that would exceed it
    #[arg(long, value_name = "DOLLARS")]
    pub max_cost: Option<String>,
    /// Limit on the tokens of all requests and answers together
    #[arg(long, value_name = "N")]
    pub max_tokens_total: Option<u64>,
    /// Show what would be sent and its cost, without sending it
    #[arg(long)]
    pub dry_run: bool,
    /// With --dry-run, also show the requests, with shortened images
    #[arg(long)]
    pub show_requests: bool,
}
