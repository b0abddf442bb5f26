//! Selects the sample points. Scenes and budgets need a scan of the whole range at low resolution first.

use super::frame_options::FrameOptions;
use super::near::near;
use super::run::Context;
use crate::blocking::run_blocking;
use crate::error::Result;
use crate::event::Event;
use crate::sampling::{self, SamplePlan, SamplePoint, Sampling, SamplingSpec, Scanned};
use crate::time::{TimeRange, Timestamp};
use crate::video::index::FrameIndex;
use crate::video::score::Scorer;
use crate::video::{TargetSize, VideoSource};

/// Width and height of scanned frames, enough to measure sharpness.
const SCAN_SIZE: TargetSize = TargetSize::Exact(320, 180);

/// The sample points as far as they are known before decoding.
pub(super) enum Selection {
    /// All of them.
    Plan(SamplePlan),
    /// The points to scan, within a range.
    Scan(TimeRange, Vec<Timestamp>),
}

impl Selection {
    /// The maximum number of frames.
    pub(super) fn max_frames(&self, options: &SamplingSpec) -> usize {
        match self {
            Self::Plan(plan) => plan.points.len(),
            Self::Scan(_, points) => options.max_frames.map_or(points.len(), |most| most.min(points.len())),
        }
    }
}

/// Selects the sample points as far as possible without decoding.
pub(super) fn select(options: &FrameOptions, video: &mut VideoSource) -> Result<Selection> {
    let (sampling, limits) = (&options.sampling, &options.limits);
    if matches!(sampling.sampling, Sampling::Keyframes) {
        video.index_all()?;
    }
    let plan = match (&sampling.sampling, &video.index) {
        (Sampling::Scenes | Sampling::Budget, Some(index)) => {
            let (range, mut points) = sampling::scan_points(sampling, index.range(), index.time(index.n_frames() - 1))?;
            // The last frame is chosen as such, so it stays.
            if let Some(last) = points.pop() {
                points = near(&points, range, options.tolerance, video)?.into_iter().flatten().chain([last]).collect();
            }
            return Ok(Selection::Scan(range, points));
        }
        (Sampling::Keyframes, Some(index)) => sampling::keyframes(sampling, index.range(), &index.keyframes(), limits)?,
        (_, index) => {
            let mut plan = sampling::plan(sampling, index.as_ref().map(FrameIndex::range), limits)?;
            let times = near(&plan.moments(), plan.range, options.tolerance, video)?;
            let points = plan.points.iter().zip(times);
            plan.points = points.filter_map(|(point, at)| Some(SamplePoint { at: at?, ..*point })).collect();
            plan
        }
    };
    Ok(Selection::Plan(plan))
}

/// Scans the whole range at low resolution and chooses the sample points; also why files of a joined recording could not be
/// read.
pub(super) async fn scan(
    options: &FrameOptions,
    video: VideoSource,
    (range, points): (TimeRange, Vec<Timestamp>),
    context: &Context,
) -> Result<(VideoSource, SamplePlan, Vec<String>)> {
    context.events.send(Event::Scanning { n_points: points.len() }).await;
    let (sampling, limits, context) = (options.sampling.clone(), options.limits, context.clone());
    run_blocking(move || {
        let mut scanned: Vec<Scanned> = Vec::with_capacity(points.len());
        let mut scorer = Scorer::new();
        let outcome = video.reader()?.read(&points, SCAN_SIZE, &mut |frame| {
            context.check()?;
            let score = scorer.score(&frame)?;
            // The frame displayed at the start of the range may be older.
            let time = frame.time.max(range.start);
            scanned.extend(scorer.signature().map(|look| Scanned { time, score, look }));
            context.events.blocking_send(Event::Frame { n_done: scanned.len(), time });
            Ok(())
        })?;
        let plan = sampling::choose(&sampling, range, &scanned, &limits)?;
        Ok((video, plan, outcome.unread))
    })
    .await
}
