//! The frames that are read, on their way out: repeated ones dropped, the others numbered, drawn and encoded.

use tokio::sync::mpsc;

use super::extract::Made;
use crate::encode::{EncodeOptions, encode};
use crate::error::{Error, Result};
use crate::frame_diff::{Difference, FrameScore, Recent, Signature};
use crate::media::Frame;
use crate::media::FrameReason;
use crate::report::Dropped;
use crate::sampling::SamplePlan;
use crate::video::contact_sheet::ContactSheets;

/// Where the frames of a run go.
pub(super) struct Output {
    sender: mpsc::Sender<Made>,
    plan: SamplePlan,
    encode: EncodeOptions,
    sheets: Option<ContactSheets>,
    n_given: usize,
}

impl Output {
    pub(super) fn new(
        sender: mpsc::Sender<Made>,
        plan: SamplePlan,
        encode: EncodeOptions,
        has_contact_sheets: bool,
    ) -> Self {
        Self { sender, plan, encode, sheets: has_contact_sheets.then(ContactSheets::default), n_given: 0 }
    }

    /// Numbers, draws and encodes a frame, and hands it over.
    pub(super) fn give(&mut self, mut frame: Frame, score: FrameScore) -> Result<()> {
        frame.frame_idx = self.n_given;
        self.n_given += 1;
        if let Some(sheet) = self.sheets.as_mut().map(|sheets| sheets.add(&frame)).transpose()?.flatten() {
            self.hand_over(Made::Sheet(encode(&sheet, &self.encode)?))?;
        }
        self.hand_over(Made::Frame(encode(&frame, &self.encode)?, score, self.plan.reason(frame.time)))
    }

    /// Hands over what is still held back.
    pub(super) fn finish(mut self) -> Result<()> {
        match self.sheets.take().and_then(ContactSheets::finish) {
            Some(sheet) => self.hand_over(Made::Sheet(encode(&sheet, &self.encode)?)),
            None => Ok(()),
        }
    }

    fn hand_over(&self, made: Made) -> Result<()> {
        // The receiver goes where the run fails; its own cause is reported.
        self.sender.blocking_send(made).map_err(|_| Error::interrupted())
    }
}

/// Drops frames that show what one of the frames shortly before them showed. The last frame is never dropped, nor
/// one that keeps a stretch from being unseen.
#[derive(Default)]
pub(super) struct Dedup {
    recent: Recent,
    /// A repeated frame that may turn out to be the last.
    held: Option<(Frame, FrameScore, Dropped)>,
    dropped: Vec<Dropped>,
}

impl Dedup {
    pub(super) fn offer(
        &mut self,
        frame: Frame,
        score: FrameScore,
        look: Signature,
        output: &mut Output,
    ) -> Result<()> {
        self.dropped.extend(self.held.take().map(|(_, _, dropped)| dropped));
        let must_stay = matches!(
            output.plan.reason(frame.time),
            Some(FrameReason::First | FrameReason::Last | FrameReason::Floor | FrameReason::Moment)
        );
        let repeats = self.recent.find(&look, Difference::is_nothing).filter(|_| !must_stay);
        if let Some((same_as, difference)) = repeats {
            self.held = Some((frame.clone(), score, Dropped::new(&frame, same_as, difference)));
            return Ok(());
        }
        self.recent.keep(output.n_given, look);
        output.give(frame, score)
    }

    /// Gives the last frame, where it was held back; returns what was dropped, in time order.
    pub(super) fn finish(self, output: &mut Output) -> Result<Vec<Dropped>> {
        if let Some((frame, score, _)) = self.held {
            output.give(frame, score)?;
        }
        Ok(self.dropped)
    }
}
