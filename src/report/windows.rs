//! The requests of a run whose evidence is shared out among several, and what all of them took.

use serde::Serialize;

use crate::chat::{ChatResponse, FinishReason, PromptEstimate, Usage};
use crate::money::Money;
use crate::time::TimeRange;
use crate::timeline::Timeline;

/// One part of the file that was asked about by itself.
#[derive(Clone, Debug, Serialize)]
pub struct WindowReport {
    /// The part.
    pub range: TimeRange,
    /// Frames that were sent.
    pub n_frames: usize,
    /// Index of the first of them; None without frames.
    pub first_frame_idx: Option<usize>,
    /// Index of the last of them; None without frames.
    pub last_frame_idx: Option<usize>,
    /// What was answered: untrusted; None where nothing was.
    pub text: Option<String>,
    /// The model's reasoning before the answer, where the server sent it: untrusted.
    pub reasoning: Option<String>,
    /// Why the answer ended; None where there is none.
    pub finish: Option<FinishReason>,
    /// Why there is no answer; None where there is one.
    pub no_answer_because: Option<String>,
    /// Requests until the answer came; 0 where none did.
    pub n_attempts: u32,
    /// Tokens as the server counted them.
    pub usage: Option<Usage>,
    /// See [`ChatResponse::cost`].
    #[serde(rename = "cost_usd")]
    pub cost: Option<Money>,
    /// See [`ChatResponse::estimate`].
    pub estimate: Option<PromptEstimate>,
}

impl WindowReport {
    /// What came of asking about a window; the reason where nothing did.
    #[must_use]
    pub fn new(window: &Timeline, outcome: Result<&ChatResponse, String>) -> Self {
        let frame_idx = |frame: &crate::timeline::TimelineFrame| frame.image.frame_idx;
        let mut report = Self {
            range: window.range,
            n_frames: window.frames.len(),
            first_frame_idx: window.frames.first().map(frame_idx),
            last_frame_idx: window.frames.last().map(frame_idx),
            text: None,
            reasoning: None,
            finish: None,
            no_answer_because: None,
            n_attempts: 0,
            usage: None,
            cost: None,
            estimate: None,
        };
        match outcome {
            Err(why) => report.no_answer_because = Some(why),
            Ok(answer) => {
                let first = answer.choices.first();
                let text = first.map(|first| first.text.trim().to_owned()).unwrap_or_default();
                report.reasoning = first.and_then(|first| first.reasoning.clone());
                report.finish = first.map(|first| first.finish.clone());
                report.n_attempts = answer.n_attempts;
                (report.usage, report.cost, report.estimate) = (answer.usage, answer.cost, answer.estimate);
                if text.is_empty() {
                    report.no_answer_because = Some("the model answered without text".to_owned());
                } else {
                    report.text = Some(text);
                }
            }
        }
        report
    }
}

/// What all requests of a run took together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Total {
    /// Questions that were answered.
    pub n_answers: usize,
    /// Tokens as the server counted them; each None where it did not count them for each answer.
    pub usage: Usage,
    /// What they cost; None where it is not known of each.
    #[serde(rename = "cost_usd")]
    pub cost: Option<Money>,
}

impl Total {
    /// Of no answers.
    #[must_use]
    pub fn zero() -> Self {
        let zero = Some(0);
        let usage = Usage { prompt_tokens: zero, completion_tokens: zero, cached_tokens: zero, reasoning_tokens: zero };
        Self { n_answers: 0, usage, cost: Some(Money::ZERO) }
    }

    /// Adds one answer.
    pub fn add(&mut self, usage: Option<Usage>, cost: Option<Money>) {
        let usage = usage.unwrap_or_default();
        let sum = |a: Option<u64>, b: Option<u64>| a.zip(b).map(|(a, b)| a.saturating_add(b));
        self.n_answers += 1;
        self.usage = Usage {
            prompt_tokens: sum(self.usage.prompt_tokens, usage.prompt_tokens),
            completion_tokens: sum(self.usage.completion_tokens, usage.completion_tokens),
            cached_tokens: sum(self.usage.cached_tokens, usage.cached_tokens),
            reasoning_tokens: sum(self.usage.reasoning_tokens, usage.reasoning_tokens),
        };
        self.cost = self.cost.zip(cost).map(|(sum, cost)| sum.plus(cost));
    }
}
