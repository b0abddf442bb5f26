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
mod state;
mod task;
mod texts;

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::mpsc;

pub use self::task::{CaptionSummary, Captions};
use super::run::Context;
use crate::error::Result;
use crate::event::Event;
use crate::job::CaptionFormat;
use crate::report::estimate::Estimate;
use crate::report::facts::counted;
use output::CaptionWriter;
use state::CaptionRun;
use texts::CaptionTexts;

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
        return Ok(CaptionSummary { estimate: Some(estimate_all(&run).await?), ..CaptionSummary::default() });
    }
    // Last, so that an invalid task leaves no empty file.
    let events = run.context.events.clone();
    let mut writer = CaptionWriter::open(&run.task, run.texts.clone(), text, events)?;
    let summary = match &run.batch {
        Some(folder) => batch::run(&run, &batch::api(&*run.task.model)?, folder, &mut writer).await?,
        None => ask(&run, &mut writer).await?,
    };
    writer.finish()?;
    if let Some(folder) = &run.batch {
        batch::remove(folder)?;
    }
    // Where captions of this run are missing, the earlier ones are all that there is.
    let is_complete = summary.n_failed == 0 && summary.stopped_because.is_none();
    for earlier in run.texts.as_ref().map_or(Ok(Vec::new()), |texts| texts.settle_earlier(is_complete))? {
        let (input, files) = (earlier.folder.display().to_string(), counted(earlier.n_files, "file"));
        let message = format!("contains {files} of an earlier run at other times");
        run.context.events.send(Event::Warning { input, message, advice: earlier.advice }).await;
    }
    Ok(summary)
}

async fn estimate_all(run: &CaptionRun) -> Result<Estimate> {
    let files = run.expand().await?;
    let (send, receive) = mpsc::channel(groups::GROUP_QUEUE);
    let ((), found) = tokio::join!(groups::read_all(run, &files, send), estimate::estimate(run, receive));
    run.context.check()?;
    found
}

async fn ask(run: &CaptionRun, writer: &mut CaptionWriter) -> Result<CaptionSummary> {
    let files = run.expand().await?;
    writer.order.clone_from(&files);
    let (send, receive) = mpsc::channel(groups::GROUP_QUEUE);
    let asking = ask::ask_all(run, receive, writer);
    let ((), summary) = tokio::join!(groups::read_all(run, &files, send), asking);
    let summary = summary?;
    if summary.stopped_because.is_none() {
        run.context.check()?;
    }
    Ok(summary)
}
