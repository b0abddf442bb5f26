//! A running caption job.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::super::run::Context;
use super::super::site::expand_playlists;
use super::inputs;
use super::task::Captions;
use super::texts::CaptionTexts;
use crate::error::Result;
use crate::event::Event;
use crate::llm::ModelLimits;
use crate::media::EncodedImage;
use crate::report::caption::{CaptionKey, CaptionRow};

/// Tokens that a caption is taken to have where no limit is set; hidden reasoning comes on top.
pub(super) const CAPTION_TOKENS: u64 = 150;

/// A run and the state that earlier runs left.
pub(super) struct CaptionRun {
    pub task: Captions,
    /// Captions that an earlier run wrote: their frames are not sent again.
    pub done: HashSet<CaptionKey>,
    /// The folder of the batch, where the batch API is used.
    pub batch: Option<PathBuf>,
    pub context: Context,
    /// Cancelled with the job, or where the spending limit is reached.
    pub stop: CancellationToken,
    /// Where texts are written; None for other formats.
    pub texts: Option<Arc<CaptionTexts>>,
}

impl CaptionRun {
    /// The files of the inputs, in order.
    pub async fn expand(&self) -> Result<Vec<String>> {
        let expanded = expand_playlists(&self.task.inputs, self.task.playlist, &self.context);
        let files = inputs::expand(&self.context.unless_cancelled(expanded).await?)?;
        self.context.events.send(Event::Inputs { inputs: files.clone() }).await;
        Ok(files)
    }

    pub fn failed_row(&self, input: &str, why: String) -> CaptionRow {
        CaptionRow::failed(input, Some(why), &self.task.model.description().name, &self.task.prompt.version())
    }

    /// Whether the output has the caption of a frame from an earlier run.
    pub fn is_done(&self, row: &CaptionRow) -> bool {
        row.key().is_some_and(|key| self.done.contains(&key))
    }

    /// Whether a frame keeps the caption in its text file.
    pub fn keeps_text(&self, row: &CaptionRow, image: &EncodedImage) -> bool {
        self.texts.as_ref().is_some_and(|texts| texts.keeps(&row.input, image))
    }

    /// What a request for `n_frames` captions may hold and costs.
    pub fn limits(&self, n_frames: usize) -> ModelLimits {
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
