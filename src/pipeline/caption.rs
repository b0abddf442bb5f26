//! Captions: one for each frame of many videos and pictures, several requests at a time, the rows in the order of
//! inputs and time.
//!
//! ```text
//! inputs -> frames of one file after another -> groups -> up to `concurrency` requests at a time -> rows, in order
//!                                                      -> a provider's batch, within a day       -> rows, in order
//! ```

mod ask;
pub mod batch;
mod estimate;
mod groups;
mod inputs;
mod output;
mod reply;
mod texts;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::frame_options::FrameOptions;
use super::run::Context;
use super::transcript::TranscriptSearch;
use crate::advice::{Advice, Setting};
use crate::analyze::{DryRun, SpendLimit};
use crate::chat::{ChatResponse, FinishReason, Message, Usage};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::job::{CaptionFormat, ExistingCaptions};
use crate::llm::{ChatModel, ModelLimits};
use crate::media::EncodedImage;
use crate::money::Money;
use crate::prompt::{CaptionFrame, CaptionPrompt, build_captions};
use crate::report::caption::{CaptionKey, CaptionRow};
use crate::report::estimate::Estimate;
use groups::Wanted;
use output::CaptionWriter;
use texts::CaptionTexts;

/// Tokens that a caption is taken to have where no limit is set; hidden reasoning comes on top.
const CAPTION_TOKENS: u64 = 150;

/// Captions of the frames of several inputs.
pub struct Captions {
    /// Files and folders; a folder stands for the videos and pictures in it.
    pub inputs: Vec<String>,
    /// Which frames of each input.
    pub options: FrameOptions,
    /// Where the transcript of each input comes from.
    pub transcript: TranscriptSearch,
    /// The model.
    pub model: Arc<dyn ChatModel>,
    /// What is asked.
    pub prompt: CaptionPrompt,
    /// A random number, new for each run: see [`build_captions`].
    pub fence: u32,
    /// Frames that share one request, at least 1.
    pub frames_per_request: usize,
    /// Concurrent requests, at least 1.
    pub concurrency: usize,
    /// The run stops before it would spend more.
    pub spend_limit: SpendLimit,
    /// Where set nothing is sent, and the summary holds an estimate.
    pub dry_run: Option<DryRun>,
    /// Whether the provider's batch API is used.
    pub is_batch: bool,
    /// How the captions are written.
    pub format: CaptionFormat,
    /// The file, or for texts the folder; None sends the rows as events alone.
    pub output: Option<PathBuf>,
    /// Whether the captions that are in the output already are kept.
    pub resume: bool,
    /// What becomes of captions that are in text files already.
    pub existing: ExistingCaptions,
    /// Whether each caption is written beside its input, under the input's name.
    pub beside: bool,
}

/// What became of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CaptionSummary {
    /// Frames with a complete caption.
    pub n_captions: usize,
    /// Frames and files without one, incomplete captions included.
    pub n_failed: usize,
    /// Frames that kept the caption of an earlier run.
    pub n_kept: usize,
    /// What the requests cost together; None where a price is not known.
    #[serde(rename = "cost_usd")]
    pub cost: Option<Money>,
    /// Why the run stopped before all requests were sent; None where it did not.
    pub stopped_because: Option<String>,
    /// What would be sent: of a dry run alone.
    pub estimate: Option<Estimate>,
}

/// A run with all that is known of earlier ones.
struct CaptionRun {
    task: Captions,
    /// Captions that an earlier run wrote: their frames are not sent again.
    done: HashSet<CaptionKey>,
    /// The folder of the batch, where the batch API is used.
    batch: Option<PathBuf>,
    context: Context,
    /// Cancelled with the job, or where the spending limit is reached.
    stop: CancellationToken,
    /// Where texts are written; None for other formats.
    texts: Option<Arc<CaptionTexts>>,
}

/// Captions the frames. Once cancelled, nothing new is sent; requests in flight are waited for.
///
/// # Errors
/// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where the options contradict each other or the output exists,
/// [`ErrorKind::Interrupted`](crate::ErrorKind::Interrupted) where it is cancelled; rows that were written are complete.
pub async fn run(task: Captions, context: Context) -> Result<CaptionSummary> {
    task.spend_limit.check(&task.model.limits())?;
    task.check()?;
    let is_dry = task.dry_run.is_some();
    let batch = batch::folder_of(&task)?;
    if batch.is_some() {
        batch::api(&*task.model)?;
    }
    let continues = !is_dry && batch.as_deref().is_some_and(batch::is_under_way);
    if let Some(folder) = batch.as_deref().filter(|_| continues) {
        tracing::warn!("continuing the batch in {}; inputs are not read again", folder.display());
    }
    let reads_earlier = task.format != CaptionFormat::Txt && (task.resume || continues);
    let earlier = task.output.as_deref().filter(|_| reads_earlier).map(output::earlier_captions);
    let (done, text) = earlier.transpose()?.map_or((HashSet::new(), None), |(done, text)| (done, Some(text)));
    let stop = context.cancel.child_token();
    let texts = CaptionTexts::of(&task)?.map(Arc::new);
    let run = CaptionRun { task, done, batch, context, stop, texts };
    if is_dry {
        return Ok(CaptionSummary { estimate: Some(run.estimate().await?), ..CaptionSummary::default() });
    }
    // Last, so that an invalid task leaves no empty file.
    let events = run.context.events.clone();
    let mut writer = CaptionWriter::open(&run.task, run.texts.clone(), text, events)?;
    let summary = match &run.batch {
        Some(folder) => batch::run(&run, &batch::api(&*run.task.model)?, folder, &mut writer).await?,
        None => run.ask(&mut writer).await?,
    };
    writer.finish()?;
    if let Some(folder) = &run.batch {
        batch::remove(folder)?;
    }
    Ok(summary)
}

impl Captions {
    fn check(&self) -> Result<()> {
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

impl CaptionRun {
    async fn estimate(&self) -> Result<Estimate> {
        let files = self.expand().await?;
        let (send, receive) = mpsc::channel(groups::GROUP_QUEUE);
        let ((), found) = tokio::join!(groups::read_all(self, &files, send), estimate::estimate(self, receive));
        self.context.check()?;
        found
    }

    async fn ask(&self, writer: &mut CaptionWriter) -> Result<CaptionSummary> {
        let files = self.expand().await?;
        writer.order.clone_from(&files);
        let (send, receive) = mpsc::channel(groups::GROUP_QUEUE);
        let asking = ask::ask_all(self, receive, writer);
        let ((), summary) = tokio::join!(groups::read_all(self, &files, send), asking);
        let summary = summary?;
        if summary.stopped_because.is_none() {
            self.context.check()?;
        }
        Ok(summary)
    }

    /// The files of the inputs, in order.
    async fn expand(&self) -> Result<Vec<String>> {
        let files = inputs::expand(&self.task.inputs)?;
        self.context.events.send(Event::Inputs { inputs: files.clone() }).await;
        Ok(files)
    }

    fn failed_row(&self, input: &str, why: String) -> CaptionRow {
        CaptionRow::failed(input, Some(why), &self.task.model.description().name, &self.task.prompt.version())
    }

    /// Whether the output has the caption of a frame from an earlier run.
    fn is_done(&self, row: &CaptionRow) -> bool {
        row.key().is_some_and(|key| self.done.contains(&key))
    }

    /// Whether a frame keeps the caption in its text file.
    fn keeps_text(&self, row: &CaptionRow, image: &EncodedImage) -> bool {
        self.texts.as_ref().is_some_and(|texts| texts.keeps(&row.input, image))
    }

    fn messages(&self, wanted: &[Wanted]) -> Vec<Message> {
        let frames: Vec<CaptionFrame> = wanted.iter().map(|wanted| wanted.frame.clone()).collect();
        build_captions(&frames, &self.task.prompt, self.task.fence)
    }

    /// What a request for `n_frames` captions may hold and costs.
    fn limits(&self, n_frames: usize) -> ModelLimits {
        let limits = self.task.model.limits();
        let is_limited = limits.params.max_tokens.is_some();
        let answer_tokens = if is_limited {
            limits.answer_tokens
        } else {
            limits.reasoning_tokens() + CAPTION_TOKENS * n_frames as u64
        };
        ModelLimits { answer_tokens, ..limits }
    }
}

impl CaptionSummary {
    fn new() -> Self {
        Self { cost: Some(Money::ZERO), ..Self::default() }
    }

    fn count(&mut self, row: &CaptionRow) {
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
fn settle(row: &mut CaptionRow, answer: &ChatResponse) {
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
    fn pay(&mut self, answer: &ChatResponse) {
        (self.usage, self.cost) = (answer.usage, answer.cost);
        self.reasoning = answer.choices.first().and_then(|choice| choice.reasoning.clone());
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
