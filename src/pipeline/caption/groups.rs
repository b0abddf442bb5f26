//! Files to groups of frames, each group for one request.

use futures_util::future;
use tokio::sync::mpsc;

use super::super::extract::look;
use super::super::{EVENT_QUEUE, Event, Job, Stop, select, stages};
use super::{CaptionEvent, CaptionJob};
use crate::error::{Error, ErrorKind, Result};
use crate::media::EncodedImage;
use crate::prompt::CaptionFrame;
use crate::report::ReportFrame;
use crate::report::caption::CaptionRow;
use crate::source::Source;
use crate::time::{TimeRange, Timestamp};
use crate::transcript::{Segment, Transcript};

/// Groups of frames that wait for a free place: the decoder is this far ahead.
pub(super) const GROUP_QUEUE: usize = 2;
/// Words this far from a frame are given along, in milliseconds.
const NEAR_MILLIS: i64 = 5000;

/// What waits for the model.
pub(super) enum Unit {
    /// Frames of one request.
    Frames(Vec<Wanted>),
    /// A file of which no frame, or not all, could be read.
    Failed(Box<CaptionRow>),
    /// A frame that has its caption from an earlier run.
    Kept,
}

/// A frame that is to be captioned, and its row.
pub(super) struct Wanted {
    pub row: CaptionRow,
    pub frame: CaptionFrame,
}

/// Reads one file after another; a file that cannot be read is a row, and the next is read.
pub(super) async fn read_all(
    job: &CaptionJob,
    files: &[String],
    units: mpsc::Sender<Unit>,
    events: &mpsc::Sender<CaptionEvent>,
    stop: &Stop,
) {
    for input in files {
        if stop.check().is_err() {
            return;
        }
        let _ = events.send(CaptionEvent::File { input: input.clone() }).await;
        let failed = match read(job, input, &units, stop).await {
            Err(Error { kind: ErrorKind::Interrupted, .. }) => return,
            Err(error) => vec![error.to_string()],
            Ok(problems) => problems.into_iter().map(|(what, why)| format!("{what}: {why}")).collect(),
        };
        for why in failed {
            let row = job.failed_row(input, why);
            if units.send(Unit::Failed(Box::new(row))).await.is_err() {
                return;
            }
        }
    }
}

/// Reads the words, then the frames of one file, and sends them in groups; gives what is missing of it.
async fn read(job: &CaptionJob, input: &str, units: &mpsc::Sender<Unit>, stop: &Stop) -> Result<Vec<(String, String)>> {
    let mut each = Job { source: Source::identify(input)?, ask: None, output: None, ..job.each.clone() };
    if job.dry_run.is_some() {
        each.words.retain(|way| !way.is_remote());
    }
    let (info, video) = stages::open(&each).await?;
    let Some(mut video) = video else {
        return Err(Error::unsupported(input, "holds no video", "leave it out, or see: vidgist transcribe"));
    };
    let plan = select::draft(&each, &mut video)?;
    // Nobody listens to the events of one file here.
    let (quiet, mut unheard) = mpsc::channel::<Event>(EVENT_QUEUE);
    let draining = async { while unheard.recv().await.is_some() {} };
    let work = async {
        let words = stages::find_words(&each, &info, &quiet).await?;
        let (hand_over, frames) = mpsc::channel(1);
        let looking = look(&each, Some((video, plan)), &quiet, stop, Some(hand_over));
        let (looked, ()) = future::join(looking, group(job, input, words.transcript.as_ref(), frames, units)).await;
        drop(quiet);
        let mut problems = looked?.problems;
        problems.extend(words.problems);
        Ok(problems)
    };
    future::join(work, draining).await.0
}

/// Puts the frames of one file together to groups.
async fn group(
    job: &CaptionJob,
    input: &str,
    transcript: Option<&Transcript>,
    mut frames: mpsc::Receiver<EncodedImage>,
    units: &mpsc::Sender<Unit>,
) {
    let mut waiting = Vec::new();
    while let Some(image) = frames.recv().await {
        let sha256 = ReportFrame::new(&image, None).sha256;
        let row = CaptionRow::new(input, &image, sha256, &job.model.description().name, &job.prompt.version());
        if job.is_done(&row) {
            let _ = units.send(Unit::Kept).await;
            continue;
        }
        let words = transcript.map(|transcript| near(&transcript.segments, image.time)).unwrap_or_default();
        waiting.push(Wanted { row, frame: CaptionFrame { image, words } });
        if waiting.len() >= job.frames_per_request.max(1) {
            let _ = units.send(Unit::Frames(std::mem::take(&mut waiting))).await;
        }
    }
    if !waiting.is_empty() {
        let _ = units.send(Unit::Frames(waiting)).await;
    }
}

fn near(segments: &[Segment], time: Timestamp) -> Vec<Segment> {
    let reach = Timestamp::from_millis(NEAR_MILLIS);
    let around = TimeRange::new(time.minus(reach), time.plus(reach));
    segments.iter().filter(|segment| segment.range.overlaps(around)).cloned().collect()
}
