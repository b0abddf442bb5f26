//! The caption job as it runs: its options, its summary, and how an answer becomes a row.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::super::frame_options::FrameOptions;
use super::super::transcript::TranscriptSearch;
use crate::advice::{Advice, Setting};
use crate::analyze::{DryRun, SpendLimit};
use crate::chat::{ChatResponse, FinishReason, Usage};
use crate::error::{Error, Result};
use crate::job::{CaptionFormat, ExistingCaptions};
use crate::llm::ChatModel;
use crate::money::Money;
use crate::prompt::CaptionPrompt;
use crate::report::caption::CaptionRow;
use crate::report::estimate::Estimate;

/// Captions of the frames of several inputs.
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct Captions {
    /// Files and folders; a folder stands for the videos and pictures in it.
    pub inputs: Vec<String>,
    /// Whether the address of a playlist stands for its videos.
    pub playlist: bool,
    /// Which frames of each input.
    pub options: FrameOptions,
    /// Where the transcript of each input comes from.
    pub transcript: TranscriptSearch,
    /// The model.
    pub model: Arc<dyn ChatModel>,
    /// The question.
    pub prompt: CaptionPrompt,
    /// Frames that share one request, at least 1.
    pub frames_per_request: usize,
    /// Concurrent requests, at least 1.
    pub concurrency: usize,
    /// The spending limit: the run stops before it is exceeded.
    pub spend_limit: SpendLimit,
    /// If set, nothing is sent, and the summary holds an estimate.
    pub dry_run: Option<DryRun>,
    /// Whether the provider's batch API is used.
    pub is_batch: bool,
    /// How the captions are written.
    pub format: CaptionFormat,
    /// The file, or for texts the folder; None sends the rows as events alone.
    pub output: Option<PathBuf>,
    /// Whether captions in the existing output are kept.
    pub resume: bool,
    /// What happens to captions in existing text files.
    pub existing: ExistingCaptions,
    /// Whether each caption is written beside its input, under the input's name.
    pub beside: bool,
}

/// The summary of a run.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct CaptionSummary {
    /// Frames with a complete caption.
    pub n_captions: usize,
    /// Frames and files without one, incomplete captions included.
    pub n_failed: usize,
    /// Frames that kept the caption of an earlier run.
    pub n_kept: usize,
    /// The total cost of the requests; None if a price is unknown.
    #[serde(rename = "cost_usd")]
    pub cost: Option<Money>,
    /// Why the run stopped before all requests were sent; None where it did not.
    pub stopped_because: Option<String>,
    /// What would be sent: of a dry run alone.
    pub estimate: Option<Estimate>,
}

impl Captions {
    pub(super) fn check(&self) -> Result<()> {
        if self.format == CaptionFormat::Txt {
            // Captions in text files are kept in any case.
            return Ok(());
        }
        if self.beside {
            let advice = Advice::SetTo(Setting::OutputFormat, "txt".into());
            return Err(Error::setting(Setting::Beside, "needs text files", advice));
        }
        if matches!(self.existing, ExistingCaptions::Append | ExistingCaptions::Prepend) {
            let advice = Advice::SetTo(Setting::OutputFormat, "txt".into()).or(Advice::Set(Setting::Beside));
            return Err(Error::setting(Setting::Captions, "needs text files", advice));
        }
        if self.resume && (self.format != CaptionFormat::Jsonl || self.output.is_none()) {
            let advice = Advice::SetTo(Setting::OutputFormat, "jsonl".into()).or(Advice::Set(Setting::Output));
            return Err(Error::setting(Setting::Resume, "needs an output file of JSON lines", advice));
        }
        Ok(())
    }
}

impl CaptionSummary {
    pub(super) fn new() -> Self {
        Self { cost: Some(Money::ZERO), ..Self::default() }
    }

    pub(super) fn count(&mut self, row: &CaptionRow) {
        if row.caption.is_some() && row.error.is_none() {
            self.n_captions += 1;
        } else {
            self.n_failed += 1;
        }
        if row.usage.is_some() {
            self.cost = self.cost.zip(row.cost).map(|(sum, cost)| sum.plus(cost));
        }
    }
}

/// The answer to a question for one frame.
pub(super) fn settle(row: &mut CaptionRow, answer: &ChatResponse) {
    row.pay(answer);
    let Some(one) = answer.choices.first() else { return };
    let text = one.text.trim();
    match &one.finish {
        FinishReason::Refusal => row.error = Some(format!("the model declined: {text}")),
        FinishReason::ContentFilter => {
            row.error = Some("the provider's content filter withheld the caption".to_owned());
        }
        _ if text.is_empty() => row.error = Some("the model returned no text".to_owned()),
        finish => {
            row.caption = Some(text.to_owned());
            if *finish == FinishReason::Length {
                row.error = Some("cut off at the token limit; raise the token limit of an answer".to_owned());
            }
        }
    }
}

impl CaptionRow {
    pub(super) fn pay(&mut self, answer: &ChatResponse) {
        (self.usage, self.cost) = (answer.usage, answer.cost);
        self.reasoning = answer.choices.first().and_then(|choice| choice.reasoning.clone());
    }

    /// Adds what another request cost.
    pub(super) fn add(&mut self, (usage, cost): (Option<Usage>, Option<Money>)) {
        let Some(other) = usage else { return };
        let sum = |a: Option<u64>, b: Option<u64>| a.zip(b).map(|(a, b)| a + b).or(a).or(b);
        let mine = self.usage.unwrap_or_default();
        self.usage = Some(Usage {
            prompt_tokens: sum(mine.prompt_tokens, other.prompt_tokens),
            completion_tokens: sum(mine.completion_tokens, other.completion_tokens),
            cached_tokens: sum(mine.cached_tokens, other.cached_tokens),
            reasoning_tokens: sum(mine.reasoning_tokens, other.reasoning_tokens),
        });
        self.cost = self.cost.zip(cost).map(|(a, b)| a.plus(b));
    }
}
