//! Groups of frames to captions: one request each, several at a time, and again for what an answer left out.

use std::sync::OnceLock;

use futures_util::stream::{self, StreamExt as _};
use tokio::sync::mpsc;

use super::super::Stop;
use super::super::budget::SpendTracker;
use super::groups::{Unit, Wanted};
use super::{CaptionEvent, CaptionJob, CaptionSummary, reply, settle};
use crate::chat::ChatResponse;
use crate::error::{Error, ErrorKind, Result};
use crate::llm::{ChatRequest, ResponseFormat};
use crate::media::EncodedImage;
use crate::report::caption::CaptionRow;

type Done = (CaptionRow, Option<EncodedImage>);

/// Asks for all that comes through `units`, and tells each row.
pub(super) async fn ask_all(
    job: &CaptionJob,
    units: mpsc::Receiver<Unit>,
    events: &mpsc::Sender<CaptionEvent>,
    stop: &Stop,
) -> Result<CaptionSummary> {
    let asker =
        Asker { job, format: reply::form()?, purse: SpendTracker::new(job.allowance), stop, is_spent: OnceLock::new() };
    let mut summary = CaptionSummary::new();
    let units = stream::unfold(units, async |mut units| units.recv().await.map(|unit| (unit, units)));
    let done = units.map(|unit| asker.rows(unit)).buffered(job.concurrency.max(1));
    let mut done = std::pin::pin!(done);
    while let Some(rows) = done.next().await {
        summary.n_kept += usize::from(rows.is_none());
        for (row, image) in rows.into_iter().flatten() {
            summary.count(&row);
            let _ = events.send(CaptionEvent::Row { row: Box::new(row), image }).await;
        }
    }
    summary.stopped_because = asker.is_spent.get().cloned();
    Ok(summary)
}

/// A run's question and whom it is put to.
struct Asker<'a> {
    job: &'a CaptionJob,
    format: ResponseFormat,
    purse: SpendTracker,
    stop: &'a Stop,
    /// Why nothing more is asked: the allowance is used up.
    is_spent: OnceLock<String>,
}

impl Asker<'_> {
    /// The rows of one unit; None where its frame needed no question.
    async fn rows(&self, unit: Unit) -> Option<Vec<Done>> {
        match unit {
            Unit::Kept => None,
            Unit::Failed(row) => Some(vec![(*row, None)]),
            // What was not asked when the run stopped is asked by the next one.
            Unit::Frames(_) if self.stop.check().is_err() => Some(Vec::new()),
            Unit::Frames(wanted) => {
                let rows = self.ask(wanted).await;
                Some(rows.into_iter().map(|wanted| (wanted.row, Some(wanted.frame.image))).collect())
            }
        }
    }

    /// Asks for the captions of one group, and again for each frame that the answer left out. A group that is too
    /// large for one request is halved.
    async fn ask(&self, mut wanted: Vec<Wanted>) -> Vec<Wanted> {
        let is_group = wanted.len() > 1;
        match self.put(&wanted).await {
            // It was not asked: no row, so that the next run asks for it.
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
        let answer = self.put(alone).await;
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

    /// Puts one request, within the allowance; [`ErrorKind::Interrupted`](crate::ErrorKind::Interrupted) where that is used up.
    async fn put(&self, wanted: &[Wanted]) -> Result<ChatResponse> {
        let messages = self.job.messages(wanted);
        let response_format = Some(&self.format).filter(|_| wanted.len() > 1);
        let terms = self.job.terms(wanted.len());
        let held = self.purse.hold(&terms, terms.tokens(&messages));
        let held = held.map_err(|why| {
            // The first one tells it; nothing more is read.
            let _ = self.is_spent.set(why);
            self.stop.stop();
            Error::interrupted()
        })?;
        let question = ChatRequest { response_format, ..ChatRequest::new(&messages) };
        let outcome = self.job.model.complete(&question).await;
        match (&outcome, held) {
            (Ok(answer), held) => self.purse.settle(held, answer),
            (Err(Error { kind: ErrorKind::Limit, .. }), held) => self.purse.give_back(held),
            // Whether it is charged for is not known: it stays held.
            _ => {}
        }
        outcome
    }
}
