//! Which sample points are read; for scenes and budgets after a scan of the whole range at a small size.

use super::extract::FrameOptions;
use super::run::Context;
use crate::blocking::run_blocking;
use crate::error::Result;
use crate::event::Event;
use crate::sampling::{self, SamplePlan, Sampling, SamplingOptions, Scanned};
use crate::time::{TimeRange, Timestamp};
use crate::video::Video;
use crate::video::index::FrameIndex;
use crate::video::score::Scorer;

/// Width and height of scanned frames: enough to tell sharp from blurred.
const SCAN_SIZE: (u32, u32) = (320, 180);

/// What is known of the sample points before a frame is decoded.
pub(super) enum Selection {
    /// All of them.
    Plan(SamplePlan),
    /// The points to scan, within a range.
    Scan(TimeRange, Vec<Timestamp>),
}

impl Selection {
    /// The most frames that it can lead to.
    pub(super) fn max_frames(&self, options: &SamplingOptions) -> usize {
        match self {
            Self::Plan(plan) => plan.points.len(),
            Self::Scan(_, points) => options.max_frames.map_or(points.len(), |most| most.min(points.len())),
        }
    }
}

/// Selects the sample points, as far as no frame must be decoded for it.
pub(super) fn select(options: &FrameOptions, video: &mut Video) -> Result<Selection> {
    let (sampling, limits) = (&options.sampling, &options.limits);
    if matches!(sampling.sampling, Sampling::Keyframes) {
        video.index_all()?;
    }
    let plan = match (&sampling.sampling, &video.index) {
        (Sampling::Scenes | Sampling::Budget, Some(index)) => {
            let (range, points) = sampling::scan_points(sampling, index.range(), index.time(index.n_frames() - 1))?;
            return Ok(Selection::Scan(range, points));
        }
        (Sampling::Keyframes, Some(index)) => sampling::keyframes(sampling, index.range(), &index.keyframes(), limits)?,
        (_, index) => sampling::plan(sampling, index.as_ref().map(FrameIndex::range), limits)?,
    };
    Ok(Selection::Plan(plan))
}

/// Scans the whole range at a small size, and chooses.
pub(super) async fn scan(
    options: &FrameOptions,
    video: Video,
    (range, points): (TimeRange, Vec<Timestamp>),
    context: &Context,
) -> Result<(Video, SamplePlan)> {
    context.events.send(Event::Scanning { n_points: points.len() }).await;
    let (sampling, limits, context) = (options.sampling.clone(), options.limits, context.clone());
    run_blocking(move || {
        let mut scanned: Vec<Scanned> = Vec::with_capacity(points.len());
        let mut scorer = Scorer::new();
        video.reader()?.read(&points, SCAN_SIZE, &mut |frame| {
            context.check()?;
            let score = scorer.score(&frame)?;
            // The frame that is displayed when the range begins may have come before it.
            let time = frame.time.max(range.start);
            scanned.extend(scorer.signature().map(|look| Scanned { time, score, look }));
            context.events.blocking_send(Event::Frame { n_done: scanned.len(), time });
            Ok(())
        })?;
        let plan = sampling::choose(&sampling, range, &scanned, &limits)?;
        Ok((video, plan))
    })
    .await
}
