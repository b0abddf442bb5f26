//! Captions: one for each frame of many videos and pictures, several requests at a time, the rows in the order of
//! inputs and time.
//!
//! ```text
//! inputs -> frames of one file after another -> groups -> up to `concurrency` questions at a time -> rows, in order
//!                                                      -> a provider's batch, within a day           -> rows, in order
//! ```

mod ask;
pub mod batch;
mod estimate;
mod groups;
mod inputs;
mod reply;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::{DryRun, Job, SpendLimit, Stop};
use crate::chat::{ChatResponse, FinishReason, Message, Usage};
use crate::error::Result;
use crate::llm::{ChatModel, ModelLimits};
use crate::media::EncodedImage;
use crate::money::Money;
use crate::prompt::{CaptionFrame, CaptionPrompt, build_captions};
use crate::report::caption::{CaptionKey, CaptionRow};
use crate::report::estimate::Estimate;
use groups::Wanted;

/// Tokens that a caption is taken to have where no limit is set; hidden reasoning comes on top.
const CAPTION_TOKENS: u64 = 150;

/// Files to be captioned.
pub struct CaptionJob {
    /// Files and folders, as the user named them; folders stand for the videos and pictures in them.
    pub inputs: Vec<String>,
    /// How frames and words of each input are got at; its source and its question are not looked at.
    pub each: Job,
    /// Who is asked.
    pub model: Arc<dyn ChatModel>,
    /// What is asked.
    pub prompt: CaptionPrompt,
    /// A random number, new for each run: see [`build_captions`].
    pub fence: u32,
    /// Frames that share one request, at least 1.
    pub frames_per_request: usize,
    /// Requests at a time, at least 1.
    pub concurrency: usize,
    /// The most that is spent: the run stops before it would be crossed.
    pub allowance: SpendLimit,
    /// Captions that an earlier run wrote: their frames are not asked again.
    pub done: HashSet<CaptionKey>,
    /// Where set nothing is asked, and the summary's forecast says what would be.
    pub dry_run: Option<DryRun>,
    /// Where set the provider's batch API is asked, and this folder keeps what is under way: see [`batch`].
    pub batch: Option<PathBuf>,
}

/// What a run tells while it goes on.
#[derive(Debug)]
#[non_exhaustive]
pub enum CaptionEvent {
    /// The inputs are known.
    Files {
        /// The files in the order in which they are read.
        inputs: Vec<String>,
    },
    /// A file is being read.
    File {
        /// Its name.
        input: String,
    },
    /// Requests are with the provider's batch API.
    Batch {
        /// Requests that are answered, or failed.
        n_done: u64,
        /// All of them.
        n_requests: u64,
    },
    /// A frame is done: captioned, or failed.
    Row {
        /// What is known of it.
        row: Box<CaptionRow>,
        /// The picture that was sent; None where a whole file failed, and for a batch.
        image: Option<EncodedImage>,
    },
    /// The run is over. Rows before it are whole, whatever it says.
    Finished(Box<Result<CaptionSummary>>),
}

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct CaptionSummary {
    /// Frames that got a caption.
    pub n_captions: usize,
    /// Frames and files that did not.
    pub n_failed: usize,
    /// Frames that were not asked again.
    pub n_kept: usize,
    /// What the requests cost together; None where one of them is not known.
    pub cost: Option<Money>,
    /// Why the run stopped before all was asked; None where it did not.
    pub stopped_because: Option<String>,
    /// What would be asked: of a dry run alone.
    pub forecast: Option<Estimate>,
}

/// Starts a run on the current tokio runtime. After `stop` nothing new is asked; what is in flight is waited for.
#[must_use]
pub fn caption(job: CaptionJob, stop: Stop) -> mpsc::Receiver<CaptionEvent> {
    let (events, receiver) = mpsc::channel(super::EVENT_QUEUE);
    tokio::spawn(async move {
        let outcome = run(&job, &events, &stop).await;
        // Nobody listens any more: there is nobody to tell.
        let _ = events.send(CaptionEvent::Finished(Box::new(outcome))).await;
    });
    receiver
}

async fn run(job: &CaptionJob, events: &mpsc::Sender<CaptionEvent>, stop: &Stop) -> Result<CaptionSummary> {
    job.allowance.check(&job.model.limits())?;
    if let Some(folder) = &job.batch {
        let api = batch::api(&*job.model)?;
        if job.dry_run.is_none() {
            return batch::run(job, &api, folder, events, stop).await;
        }
    }
    let files = inputs::expand(&job.inputs)?;
    let _ = events.send(CaptionEvent::Files { inputs: files.clone() }).await;
    let (send, receive) = mpsc::channel(groups::GROUP_QUEUE);
    let reading = groups::read_all(job, &files, send, events, stop);
    if job.dry_run.is_some() {
        let ((), forecast) = tokio::join!(reading, estimate::forecast(job, receive));
        stop.check()?;
        return Ok(CaptionSummary { forecast: Some(forecast?), ..CaptionSummary::default() });
    }
    let ((), summary) = tokio::join!(reading, ask::ask_all(job, receive, events, stop));
    let summary = summary?;
    if summary.stopped_because.is_none() {
        stop.check()?;
    }
    Ok(summary)
}

impl CaptionJob {
    fn failed_row(&self, input: &str, why: String) -> CaptionRow {
        CaptionRow::failed(input, Some(why), &self.model.description().name, &self.prompt.version())
    }

    fn is_done(&self, row: &CaptionRow) -> bool {
        row.key().is_some_and(|key| self.done.contains(&key))
    }

    fn messages(&self, wanted: &[Wanted]) -> Vec<Message> {
        let frames: Vec<CaptionFrame> = wanted.iter().map(|wanted| wanted.frame.clone()).collect();
        build_captions(&frames, &self.prompt, self.fence)
    }

    /// What a request for so many captions may hold and costs.
    fn terms(&self, n_frames: usize) -> ModelLimits {
        let terms = self.model.limits();
        let is_limited = terms.params.max_tokens.is_some();
        let answer_tokens =
            if is_limited { terms.answer_tokens } else { terms.reasoning_tokens() + CAPTION_TOKENS * n_frames as u64 };
        ModelLimits { answer_tokens, ..terms }
    }
}

impl CaptionSummary {
    fn new() -> Self {
        Self { cost: Some(Money::ZERO), ..Self::default() }
    }

    fn count(&mut self, row: &CaptionRow) {
        if row.caption.is_some() {
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
fn settle(row: &mut CaptionRow, answer: &ChatResponse) {
    row.pay(answer);
    let Some(one) = answer.choices.first() else { return };
    let text = one.text.trim();
    match &one.finish {
        FinishReason::Refusal => row.error = Some(format!("the model declined: {text}")),
        FinishReason::ContentFilter => row.error = Some("the provider's filter held the caption back".to_owned()),
        _ if text.is_empty() => row.error = Some("the model answered nothing".to_owned()),
        finish => {
            row.caption = Some(text.to_owned());
            if *finish == FinishReason::Length {
                row.error = Some("cut off at the limit of tokens; set a larger --max-tokens".to_owned());
            }
        }
    }
}

impl CaptionRow {
    fn pay(&mut self, answer: &ChatResponse) {
        (self.usage, self.cost) = (answer.usage, answer.cost);
    }

    /// Adds what another request cost.
    fn add(&mut self, (usage, cost): (Option<Usage>, Option<Money>)) {
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
