//! The interface of frame readers: sorted sample points in, frames out.

use std::path::Path;

use super::size::TargetSize;
use crate::error::{Error, Result};
use crate::media::Frame;
use crate::time::Timestamp;

/// Receives each frame. An error ends the reading and is returned unchanged.
pub type FrameSink<'a> = dyn FnMut(Frame) -> Result<()> + 'a;

/// Reads the frames that are displayed at given times.
pub trait FrameReader: Send {
    /// The decoder's name and version, for reports: `OpenCV 4.6.0`.
    fn name(&self) -> String;

    /// Reads, for each of `points` (sorted, on the shared clock), the frame displayed then: the last one with
    /// pts <= point, or the first frame where the point is earlier. A frame displayed at several points comes once.
    ///
    /// Frames come in time order as RGB24, upright, with square pixels, scaled to `target`.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) where no frame can be decoded, and any error of `sink`. Single frames that
    /// cannot be decoded are no error: the outcome lists them.
    fn read(&mut self, points: &[Timestamp], target: TargetSize, sink: &mut FrameSink<'_>) -> Result<ReadOutcome>;
}

/// The result of reading: counts, and the sample points without a frame.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ReadOutcome {
    /// Frames passed to the sink.
    pub n_frames: usize,
    /// Frames that were decoded, wanted or not.
    pub n_decoded: u64,
    /// Sample points that have the same frame as the previous point.
    pub n_repeated: usize,
    /// Frames passed to the sink that a decoding error reaches.
    pub n_suspect: usize,
    /// Packets that the decoder could not decode.
    pub n_damaged: u64,
    /// Sample points whose frame could not be decoded, in time order.
    pub missing: Vec<Timestamp>,
    /// Why files of a joined recording could not be read; empty where all could.
    pub unread: Vec<String>,
}

/// The error for a video without a decodable frame.
pub(super) fn no_frame(path: &Path, codec: &str) -> Error {
    let problem = format!("no frame of its {codec} video could be decoded");
    Error::malformed(path.display(), problem, "check the file with ffprobe; it may be damaged")
}

/// Number of CPU cores to use for decoding.
pub(super) fn n_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
