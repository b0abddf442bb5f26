//! Groups of frames to captions: one request each, several at a time, and again for what a response left out.

use std::sync::OnceLock;

use futures_util::stream::{self, StreamExt as _};
use tokio::sync::mpsc;

use super::groups::{self, Unit, Wanted};
use super::output::CaptionWriter;
use super::reply;
use super::state::CaptionRun;
use super::task::{CaptionSummary, settle};
use crate::analyze::budget::SpendTracker;
use crate::chat::ChatResponse;
use crate::error::{Error, ErrorKind, Result};
use crate::llm::{ChatRequest, ResponseFormat};
use crate::media::EncodedImage;
use crate::report::caption::CaptionRow;

type Done = (CaptionRow, Option<EncodedImage>);

/// Captions all `units`, and writes each row.
pub(super) async fn ask_all(
    run: &CaptionRun,
    units: mpsc::Receiver<Unit>,
    writer: &mut CaptionWriter,
) -> Result<CaptionSummary> {
    let tracker = SpendTracker::new(run.task.spend_limit);
    let captioner = Captioner { run, format: reply::form()?, tracker, is_spent: OnceLock::new() };
    let mut summary = CaptionSummary::new();
    let units = stream::unfold(units, async |mut units| units.recv().await.map(|unit| (unit, units)));
    let done = units.map(|unit| captioner.rows(unit)).buffered(run.task.concurrency.max(1));
    let mut done = std::pin::pin!(done);
    while let Some(rows) = done.next().await {
        summary.n_kept += usize::from(rows.is_none());
        for (row, image) in rows.into_iter().flatten() {
            summary.count(&row);
            writer.write(row, image.as_ref()).await?;
        }
    }
    summary.stopped_because = captioner.is_spent.get().cloned();
    Ok(summary)
}

/// Captions groups of frames within the spending limit.
struct Captioner<'a> {
    run: &'a CaptionRun,
    format: ResponseFormat,
    tracker: SpendTracker,
    /// Why nothing more is sent: the spending limit is reached.
    is_spent: OnceLock<String>,
}

impl Captioner<'_> {
    /// The rows of one unit; None where its frame has a caption already.
    async fn rows(&self, unit: Unit) -> Option<Vec<Done>> {
        match unit {
            Unit::Kept => None,
            Unit::Failed(row) => Some(vec![(*row, None)]),
            // The next run sends what this one did not.
            Unit::Frames(_) if self.run.stop.is_cancelled() => Some(Vec::new()),
            Unit::Frames(wanted) => {
                let rows = self.ask(wanted).await;
                Some(rows.into_iter().map(|wanted| (wanted.row, Some(wanted.frame.image))).collect())
            }
        }
    }

    /// Requests the captions of one group, and again each one that the response left out. A group that is too large for
    /// one request is halved.
    async fn ask(&self, mut wanted: Vec<Wanted>) -> Vec<Wanted> {
        let is_group = wanted.len() > 1;
        match self.send(&wanted).await {
            // Not sent: it gets no row, so that the next run sends it.
            Err(Error { kind: ErrorKind::Interrupted, .. }) => wanted.clear(),
            Err(Error { kind: ErrorKind::Limit, .. }) if is_group => {
                let rest = wanted.split_off(wanted.len() / 2);
                let mut done = Box::pin(self.ask(wanted)).await;
                done.extend(Box::pin(self.ask(rest)).await);
                return done;
            }
            Err(error) => wanted.iter_mut().for_each(|wanted| wanted.row.error = Some(error.to_string())),
            Ok(answer) if is_group => {
                let rows: Vec<&mut CaptionRow> = wanted.iter_mut().map(|wanted| &mut wanted.row).collect();
                reply::share(rows, &answer);
                for at in 0..wanted.len() {
                    if wanted[at].row.caption.is_none() {
                        self.ask_alone(&mut wanted[at..=at]).await;
                    }
                }
            }
            Ok(answer) => wanted.iter_mut().for_each(|wanted| settle(&mut wanted.row, &answer)),
        }
        wanted
    }

    async fn ask_alone(&self, alone: &mut [Wanted]) {
        let answer = self.send(alone).await;
        for Wanted { row, .. } in alone {
            let paid = (row.usage, row.cost);
            row.error = None;
            match &answer {
                Err(Error { kind: ErrorKind::Interrupted, .. }) => row.error = self.is_spent.get().cloned(),
                Err(error) => row.error = Some(error.to_string()),
                Ok(answer) => {
                    settle(row, answer);
                    // The group's own tokens are on its first row.
                    row.add(paid);
                }
            }
        }
    }

    /// Sends one request; an error of kind Interrupted where the spending limit is reached.
    async fn send(&self, wanted: &[Wanted]) -> Result<ChatResponse> {
        let messages = groups::messages(self.run, wanted);
        let response_format = Some(&self.format).filter(|_| wanted.len() > 1);
        let limits = self.run.limits(wanted.len());
        let reservation = self.tracker.reserve(&limits, limits.tokens(&messages)).map_err(|why| {
            // The first reason is reported; nothing more is read.
            let _ = self.is_spent.set(why);
            self.run.stop.cancel();
            Error::interrupted()
        })?;
        let request = ChatRequest { response_format, ..ChatRequest::new(&messages) };
        let outcome = self.run.task.model.complete(&request).await;
        self.tracker.settle_outcome(reservation, &outcome);
        outcome
    }
}
