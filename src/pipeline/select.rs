//! Which moments are looked at, where need be after a look at the whole range in small.

use tokio::sync::mpsc;

use super::{Event, Job, Stop};
use crate::blocking::run_blocking;
use crate::error::Result;
use crate::sampling::{self, SamplePlan, Sampling, SamplingOptions, Scanned};
use crate::time::{TimeRange, Timestamp};
use crate::video::Video;
use crate::video::index::FrameIndex;
use crate::video::score::Scorer;

/// Width and height of the pictures of a look in small: enough to tell sharp from blurred.
const SCAN_SIZE: (u32, u32) = (320, 180);

/// What is known of the moments to look at before a frame is decoded.
pub(super) enum Draft {
    /// All of it.
    Plan(SamplePlan),
    /// The moments to look at in small, within a range.
    Scan(TimeRange, Vec<Timestamp>),
}

impl Draft {
    /// Frames that are looked at closely, at most.
    pub(super) fn most_frames(&self, options: &SamplingOptions) -> usize {
        match self {
            Self::Plan(plan) => plan.points.len(),
            Self::Scan(_, points) => options.max_frames.map_or(points.len(), |most| most.min(points.len())),
        }
    }
}

/// The moments to look at.
pub(super) fn draft(job: &Job, video: &mut Video) -> Result<Draft> {
    let options = &job.sampling;
    if matches!(options.sampling, Sampling::Keyframes) {
        video.index_all()?;
    }
    let draft = match (&options.sampling, &video.index) {
        (Sampling::Scenes | Sampling::Budget, Some(index)) => {
            let (range, points) = sampling::scan_points(options, index.range(), index.time(index.n_frames() - 1))?;
            return Ok(Draft::Scan(range, points));
        }
        (Sampling::Keyframes, Some(index)) => {
            sampling::keyframes(options, index.range(), &index.keyframes(), &job.limits)?
        }
        (_, index) => sampling::plan(options, index.as_ref().map(FrameIndex::range), &job.limits)?,
    };
    Ok(Draft::Plan(draft))
}

/// Looks at the whole range in small, and chooses.
pub(super) async fn scan(
    job: &Job,
    video: Video,
    (range, points): (TimeRange, Vec<Timestamp>),
    events: &mpsc::Sender<Event>,
    stop: &Stop,
) -> Result<(Video, SamplePlan)> {
    let _ = events.send(Event::Scanning { n_points: points.len() }).await;
    let (options, limits) = (job.sampling.clone(), job.limits);
    let (events, stop) = (events.clone(), stop.clone());
    let (video, plan) = run_blocking(move || {
        let mut scanned: Vec<Scanned> = Vec::with_capacity(points.len());
        let mut scorer = Scorer::new();
        video.reader()?.read(&points, SCAN_SIZE, &mut |frame| {
            stop.check()?;
            let score = scorer.score(&frame)?;
            // The frame that is on the screen when the range begins may have come before.
            let time = frame.time.max(range.start);
            scanned.extend(scorer.signature().map(|look| Scanned { time, score, look }));
            let _ = events.blocking_send(Event::Frame { n_done: scanned.len(), time });
            Ok(())
        })?;
        let plan = sampling::choose(&options, range, &scanned, &limits)?;
        Ok((video, plan))
    })
    .await?;
    Ok((video, plan))
}
