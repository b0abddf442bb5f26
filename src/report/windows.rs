//! The windows of a run that needs several requests, and the total of all requests.

use serde::{Deserialize, Serialize};

use crate::chat::{ChatResponse, FinishReason, PromptEstimate, Usage};
use crate::money::Money;
use crate::time::TimeRange;
use crate::timeline::Timeline;

/// One window: a part of the source that was sent in its own request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct WindowReport {
    /// Its time range.
    pub range: TimeRange,
    /// Frames that were sent.
    pub n_frames: usize,
    /// Index of the first of them; None without frames.
    pub first_frame_idx: Option<usize>,
    /// Index of the last of them; None without frames.
    pub last_frame_idx: Option<usize>,
    /// The number of its records, which are in [`Report::records`](super::Report::records) in the order of the windows; None if
    /// there is no answer.
    pub n_records: Option<usize>,
    /// Whether records may be missing, because the reply was broken JSON or had entries of another form.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_partial: bool,
    /// The reasoning of the model before the answer, if the server sent it: untrusted.
    pub reasoning: Option<String>,
    /// Why the answer ended; None if there is none.
    pub finish: Option<FinishReason>,
    /// Why there is no answer; None if there is one.
    pub no_answer_because: Option<String>,
    /// Attempts until the answer arrived; 0 if none did.
    pub n_attempts: u32,
    /// Tokens counted by the server.
    pub usage: Option<Usage>,
    /// See [`ChatResponse::cost`].
    #[serde(rename = "cost_usd")]
    pub cost: Option<Money>,
    /// See [`ChatResponse::estimate`].
    pub estimate: Option<PromptEstimate>,
    /// See [`ChatResponse::from_store`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub from_store: bool,
}

impl WindowReport {
    /// A window with its answer and the number of its records, or with the reason why there is none.
    #[must_use]
    pub fn new(window: &Timeline, outcome: Result<(&ChatResponse, usize), String>) -> Self {
        let frame_idx = |frame: &crate::timeline::TimelineFrame| frame.image.frame_idx;
        let mut report = Self {
            range: window.range,
            n_frames: window.frames.len(),
            first_frame_idx: window.frames.first().map(frame_idx),
            last_frame_idx: window.frames.last().map(frame_idx),
            n_records: None,
            is_partial: false,
            reasoning: None,
            finish: None,
            no_answer_because: None,
            n_attempts: 0,
            usage: None,
            cost: None,
            estimate: None,
            from_store: false,
        };
        match outcome {
            Err(why) => report.no_answer_because = Some(why),
            Ok((answer, n_records)) => {
                let first = answer.choices.first();
                report.n_records = Some(n_records);
                report.reasoning = first.and_then(|first| first.reasoning.clone());
                report.finish = first.map(|first| first.finish.clone());
                (report.n_attempts, report.from_store) = (answer.n_attempts, answer.from_store);
                (report.usage, report.cost, report.estimate) = (answer.usage, answer.cost, answer.estimate);
            }
        }
        report
    }
}

/// The usage of all requests of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Total {
    /// Requests that were answered.
    pub n_answers: usize,
    /// Tokens counted by the server; each None if it is unknown for any answer.
    pub usage: Usage,
    /// The cost; None if it is unknown for any answer.
    #[serde(rename = "cost_usd")]
    pub cost: Option<Money>,
}

impl Total {
    /// The total of no requests.
    #[must_use]
    pub fn zero() -> Self {
        let zero = Some(0);
        let usage = Usage { prompt_tokens: zero, completion_tokens: zero, cached_tokens: zero, reasoning_tokens: zero };
        Self { n_answers: 0, usage, cost: Some(Money::ZERO) }
    }

    /// Adds a response, unless it was taken from the store.
    pub fn add(&mut self, response: &ChatResponse) {
        if !response.from_store {
            self.add_usage(response.usage, response.cost);
        }
    }

    /// Adds the usage of one answer.
    pub fn add_usage(&mut self, usage: Option<Usage>, cost: Option<Money>) {
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
