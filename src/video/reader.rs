//! The contract of every frame reader: sorted sample points in, frames out.

use std::path::Path;

use crate::error::{Error, Result};
use crate::media::Frame;
use crate::time::Timestamp;

/// Takes each frame as it comes; an error ends the reading and is returned as it is.
pub type FrameSink<'a> = dyn FnMut(Frame) -> Result<()> + 'a;

/// Reads the frames that are on the screen at given moments.
pub trait FrameReader: Send {
    /// The decoder's name and version, for reports: `OpenCV 4.6.0`.
    fn name(&self) -> String;

    /// Reads, for each of `points` (sorted, on the shared clock), the frame displayed then: the last one with
    /// pts <= point, and before the first frame, the first. A frame on the screen at several points comes once.
    ///
    /// Frames come in time order as RGB24, upright, with square pixels, scaled to `size` (width, height).
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) where no frame at all can be decoded, and whatever `sink` returns. Frames lost on the
    /// way are no error: they are in the outcome.
    fn read(&mut self, points: &[Timestamp], size: (u32, u32), sink: &mut FrameSink<'_>) -> Result<ReadOutcome>;
}

/// What became of the sample points.
#[derive(Clone, Debug, Default)]
pub struct ReadOutcome {
    /// Frames that were given to the sink.
    pub n_frames: usize,
    /// Frames that were decoded, wanted or not.
    pub n_decoded: u64,
    /// Sample points that share the frame of the point before.
    pub n_repeated: usize,
    /// Packets that the decoder could not decode.
    pub n_damaged: u64,
    /// Sample points whose frame did not come out, in time order.
    pub missing: Vec<Timestamp>,
}

/// The error for a video of which no frame decodes.
pub(super) fn no_frame(path: &Path, codec: &str) -> Error {
    let problem = format!("no frame of its {codec} video could be decoded");
    Error::malformed(path.display(), problem, "play it with ffplay to see whether it is damaged or encrypted")
}

/// Number of CPU cores to decode on.
pub(super) fn n_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
