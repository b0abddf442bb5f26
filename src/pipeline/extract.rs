//! From a video to its encoded frames: read as planned, thinned, kept.

use tokio::sync::mpsc;

use super::dedup::{Dedup, Output};
use super::select::{Draft, scan};
use super::{Event, Job, Stop};
use crate::blocking::run_blocking;
use crate::error::{Error, Result};
use crate::frame_diff::FrameScore;
use crate::fs::{frame_file_name, write_file, write_frame};
use crate::media::EncodedImage;
use crate::report::{self, Dropped, ReportFrame};
use crate::sampling::{Reason, SamplePlan, Sampling};
use crate::source::Source;
use crate::time::TimeRange;
use crate::timeline::TimelineFrame;
use crate::video::score::Scorer;
use crate::video::{ReadOutcome, Video, fit};

/// Encoded frames that wait for the event loop: about 0.1 MB each.
const FRAME_QUEUE: usize = 8;

/// What came of looking.
#[derive(Default)]
pub(super) struct Looked {
    /// The frames, kept where a model is asked.
    pub(super) frames: Vec<TimelineFrame>,
    /// The reason for each of `frames`.
    pub(super) reasons: Vec<Option<Reason>>,
    /// The frames' facts alone, kept where none is.
    pub(super) report_frames: Vec<ReportFrame>,
    /// Names of the contact sheets that were written.
    pub(super) contact_sheets: Vec<String>,
    pub(super) sampling: report::Sampling,
    pub(super) range: Option<TimeRange>,
    pub(super) decoder: Option<String>,
    /// What is missing, and why.
    pub(super) problems: Vec<(String, String)>,
}

/// What the reading thread hands over.
pub(super) enum Made {
    Frame(EncodedImage, FrameScore, Option<Reason>),
    Sheet(EncodedImage),
}

/// Decodes, scores and encodes the frames of a plan on a thread of its own, and keeps, writes or hands them over as they
/// come.
pub(super) async fn look(
    job: &Job,
    video: Option<(Video, Draft)>,
    events: &mpsc::Sender<Event>,
    stop: &Stop,
    hand_over: Option<mpsc::Sender<EncodedImage>>,
) -> Result<Looked> {
    let (video, plan) = match video {
        None => return Ok(Looked::default()),
        Some((video, Draft::Plan(plan))) => (video, plan),
        Some((video, Draft::Scan(range, points))) => scan(job, video, (range, points), events, stop).await?,
    };
    let _ = events.send(Event::Planned { n_points: plan.points.len() }).await;
    let mut looked = Looked { range: Some(plan.range), problems: known_damage(&video), ..Looked::default() };
    let (sender, mut made) = mpsc::channel(FRAME_QUEUE);
    let (size, stop) = (fit(video.stream.display_size(), job.max_width), stop.clone());
    let moments = plan.moments();
    let mut output = Output::new(sender, plan.clone(), job.encode, job.contact_sheet);
    let mut dedup = job.dedup.then(Dedup::default);
    let reading = run_blocking(move || {
        let mut scorer = Scorer::new();
        let mut reader = video.reader()?;
        let outcome = reader.read(&moments, size, &mut |frame| {
            stop.check()?;
            let score = scorer.score(&frame)?;
            match (&mut dedup, scorer.signature()) {
                (Some(dedup), Some(look)) => dedup.offer(frame, score, look, &mut output),
                _ => output.give(frame, score),
            }
        })?;
        let dropped = dedup.map(|dedup| dedup.finish(&mut output)).transpose()?.unwrap_or_default();
        output.finish()?;
        Ok((reader.name(), outcome, dropped))
    });
    let keeping = keep(job, &mut looked, &mut made, events, hand_over);
    let (read, kept) = tokio::join!(reading, keeping);
    kept?;
    let (decoder, outcome, dropped) = read?;
    looked.decoder = Some(decoder);
    if outcome.n_damaged > 0 {
        let packets = if outcome.n_damaged == 1 { "packet" } else { "packets" };
        let what = format!("{} damaged {packets} of the video", outcome.n_damaged);
        looked.problems.push((what, "could not be decoded; frames near there may be lost or faulty".to_owned()));
    }
    looked.sampling = sampling(job, &plan, &outcome, dropped);
    Ok(looked)
}

fn sampling(job: &Job, plan: &SamplePlan, outcome: &ReadOutcome, dropped: Vec<Dropped>) -> report::Sampling {
    let is_still = matches!(job.source, Source::Picture(_));
    let method = match job.sampling.sampling {
        _ if is_still => "still picture",
        Sampling::Interval(_) => "interval",
        Sampling::At(_) => "moments",
        Sampling::Keyframes => "keyframes",
        Sampling::Scenes => "scenes",
        Sampling::Budget => "budget",
    };
    report::Sampling {
        method: method.to_owned(),
        interval: plan.interval.filter(|_| !is_still),
        longest_gap: plan.longest_gap().filter(|_| !is_still && !job.source.is_live()),
        range: plan.range,
        n_planned: (!job.source.is_live()).then_some(plan.points.len() - outcome.n_repeated),
        dropped,
        lost_because: lost_because(outcome),
    }
}

/// Takes the frames as they come: to whoever wants them, into memory for the model, or onto the disk.
async fn keep(
    job: &Job,
    looked: &mut Looked,
    made: &mut mpsc::Receiver<Made>,
    events: &mpsc::Sender<Event>,
    hand_over: Option<mpsc::Sender<EncodedImage>>,
) -> Result<()> {
    let mut n_bytes = 0;
    let mut n_done = 0;
    while let Some(made_now) = made.recv().await {
        let (image, score, reason) = match made_now {
            Made::Frame(image, score, reason) => (image, score, reason),
            Made::Sheet(image) => {
                let number = looked.contact_sheets.len() + 1;
                let name = format!("contact-sheet-{number:02}.{}", image.format.extension());
                if let Some(folder) = &job.output {
                    let path = folder.join(&name);
                    run_blocking(move || write_file(&path, &image.bytes)).await?;
                    looked.contact_sheets.push(name);
                }
                continue;
            }
        };
        n_done += 1;
        let _ = events.send(Event::Frame { n_done, time: image.time }).await;
        if let Some(receiver) = &hand_over {
            if receiver.send(image).await.is_err() {
                made.close();
                return Err(Error::interrupted());
            }
        } else if job.ask.is_some() {
            n_bytes += image.bytes.len() as u64;
            if n_bytes > job.limits.max_kept_image_bytes {
                let problem = format!(
                    "the pictures up to {} take more than the {} bytes of memory that there are for them",
                    image.time, job.limits.max_kept_image_bytes
                );
                made.close();
                return Err(Error::limit(
                    "the pictures",
                    problem,
                    "look at fewer frames (--max-frames, --interval) or smaller ones (--max-width), or at a part \
                     of the file at a time (--start, --end)",
                ));
            }
            looked.frames.push(TimelineFrame { image, score });
            looked.reasons.push(reason);
        } else if let Some(folder) = job.output.clone() {
            let mut facts = ReportFrame::new(&image, Some(score));
            facts.reason = reason;
            facts.file = Some(frame_file_name(&image));
            run_blocking(move || write_frame(&image, &folder)).await?;
            looked.report_frames.push(facts);
        }
    }
    Ok(())
}

/// What the index shows to be missing before anything is decoded.
fn known_damage(video: &Video) -> Vec<(String, String)> {
    let mut problems = Vec::new();
    let Some(index) = &video.index else { return problems };
    let lost = video.stream.n_frames.zip(index.n_packets).filter(|(claimed, found)| claimed > found);
    if let Some((claimed, found)) = lost {
        let n_lost = claimed - found;
        problems.push((
            format!("{n_lost} of the {claimed} frames that the file claims"),
            format!("they are not in the file, whose picture ends at {}", index.range().end),
        ));
    }
    if index.n_read_errors > 0 {
        problems.push(("damaged places of the file".to_owned(), format!("{} could not be read", index.n_read_errors)));
    }
    problems
}

fn lost_because(outcome: &ReadOutcome) -> Option<String> {
    let first = outcome.missing.first()?;
    let last = outcome.missing.last()?;
    Some(if first == last {
        format!("the decoder gave no frame for {first}")
    } else {
        format!("the decoder gave no frame for {} moments from {first} to {last}", outcome.missing.len())
    })
}
