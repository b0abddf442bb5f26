//! Reads frames of the source while a model answers.

use futures_util::future::BoxFuture;

use crate::error::Result;
use crate::report::LookReport;
use crate::time::Timestamp;
use crate::timeline::TimelineFrame;

/// A part of a picture, as shares of its width and height from its upper left corner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crop {
    /// 0 to 1.
    pub left: f64,
    /// 0 to 1.
    pub top: f64,
    /// 0 to 1, more than `left`.
    pub right: f64,
    /// 0 to 1, more than `top`.
    pub bottom: f64,
}

/// The smallest part of a width or height.
const MIN_SHARE: f64 = 0.01;

impl Crop {
    /// None where an edge is not from 0 to 1, or less than a hundredth would be left.
    #[must_use]
    pub fn new(left: f64, top: f64, right: f64, bottom: f64) -> Option<Self> {
        let are_shares = [left, top, right, bottom].iter().all(|edge| (0.0..=1.0).contains(edge));
        (are_shares && right - left >= MIN_SHARE && bottom - top >= MIN_SHARE).then_some(Self {
            left,
            top,
            right,
            bottom,
        })
    }
}

/// Which frames, and how large.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameView {
    /// The times, ascending.
    pub times: Vec<Timestamp>,
    /// Maximum width in pixels of what is shown; None takes that of the job.
    pub max_width: Option<u32>,
    /// The part that is shown; None shows all.
    pub crop: Option<Crop>,
}

/// A frame that was read.
#[derive(Clone, Debug)]
pub struct ReadFrame {
    /// The frame; its index is for the caller to set.
    pub frame: TimelineFrame,
    /// See [`ReportFrame::suspect`](crate::report::ReportFrame::suspect).
    pub is_suspect: bool,
}

/// What second looks showed.
#[derive(Default)]
pub(super) struct Looks {
    pub reports: Vec<LookReport>,
    /// Frames that the timeline does not have, with indices after its own.
    pub frames: Vec<ReadFrame>,
}

/// Reads frames of the source of a timeline.
pub trait ViewReader: Send + Sync {
    /// The frames displayed at these times, each once.
    fn read(&self, view: FrameView) -> BoxFuture<'_, Result<Vec<ReadFrame>>>;
}
