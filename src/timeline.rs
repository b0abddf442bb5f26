//! Frames and speech on one clock.

use crate::media::{EncodedImage, FrameScore};
use crate::time::TimeRange;
use crate::transcript::Transcript;

/// One frame of the timeline.
#[derive(Clone, Debug)]
pub struct TimelineFrame {
    /// The picture, with its time on the shared clock.
    pub image: EncodedImage,
    /// What was measured on it.
    pub score: FrameScore,
}

/// All the evidence on one clock.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// The part of the file that was looked at.
    pub range: TimeRange,
    /// Frames in time order.
    pub frames: Vec<TimelineFrame>,
    /// What was said in `range`; None where nothing was found.
    pub transcript: Option<Transcript>,
}
