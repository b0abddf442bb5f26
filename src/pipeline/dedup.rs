//! Frames that show what a recent one showed are dropped.

use crate::error::Result;
use crate::frame_diff::{Difference, FrameScore, Recent, Signature};
use crate::media::Frame;
use crate::report::Dropped;

/// Drops repeated frames. The last frame is never dropped, nor one that bounds the longest gap.
#[derive(Default)]
pub(super) struct Dedup {
    recent: Recent,
    /// A repeated frame that may turn out to be the last.
    held: Option<(Frame, FrameScore, Dropped)>,
    dropped: Vec<Dropped>,
    n_kept: usize,
}

impl Dedup {
    /// Passes the frame to `keep`, unless it repeats one and may be dropped.
    pub(super) fn offer(
        &mut self,
        frame: Frame,
        score: FrameScore,
        signature: Signature,
        must_stay: bool,
        keep: &mut dyn FnMut(Frame, FrameScore) -> Result<()>,
    ) -> Result<()> {
        self.dropped.extend(self.held.take().map(|(_, _, dropped)| dropped));
        let repeats = self.recent.find(&signature, Difference::is_nothing).filter(|_| !must_stay);
        if let Some((same_as, difference)) = repeats {
            let dropped = Dropped::new(&frame, same_as, difference);
            self.held = Some((frame, score, dropped));
            return Ok(());
        }
        self.recent.keep(self.n_kept, signature);
        self.n_kept += 1;
        keep(frame, score)
    }

    /// Keeps the last frame, where it was held back; returns what was dropped, in time order.
    pub(super) fn finish(self, keep: &mut dyn FnMut(Frame, FrameScore) -> Result<()>) -> Result<Vec<Dropped>> {
        if let Some((frame, score, _)) = self.held {
            keep(frame, score)?;
        }
        Ok(self.dropped)
    }
}
