//! The stages of a run, each one step of [`super::work`].

use std::future::Future;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::{Event, Job, Stop};
use crate::encode::encode;
use crate::error::{Error, Result};
use crate::files::{frame_file_name, write_frame};
use crate::media::{EncodedImage, FrameScore, MediaInfo};
use crate::plan::{self, SamplePlan};
use crate::probe;
use crate::report::{self, ReportFrame, StageTime};
use crate::source::Source;
use crate::time::{TimeRange, Timestamp};
use crate::timeline::TimelineFrame;
use crate::transcribe::subtitles;
use crate::transcript::Transcript;
use crate::video::score::Scorer;
use crate::video::{ReadOutcome, Video, fit};

/// Encoded frames that wait for the event loop: about 0.1 MB each.
const FRAME_QUEUE: usize = 8;

/// A range for what has no time.
pub(super) const NO_TIME: TimeRange = TimeRange { start: Timestamp::ZERO, end: Timestamp::ZERO };

/// Runs work that blocks on a thread of its own.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(failure) => {
            let problem = "failed in itself: this is a fault of vidgist";
            Err(Error::malformed("the run", problem, "report it, with the file if you can").because(failure))
        }
    }
}

/// The source's facts, and its video where it has one.
pub(super) async fn open(job: &Job) -> Result<(MediaInfo, Option<Video>)> {
    let (source, rate, decoder, limits) = (job.source.clone(), job.sequence_rate, job.decoder, job.limits);
    blocking(move || {
        let info = probe::probe(&source, rate, &limits)?;
        let video = Video::open(&source, &info, decoder, &limits)?;
        Ok((info, video))
    })
    .await
}

/// The moments to look at, checked against what one request can hold.
pub(super) fn plan(job: &Job, video: &Video) -> Result<SamplePlan> {
    let range = video.index.as_ref().map(crate::video::index::FrameIndex::range);
    let plan = plan::plan(&job.sampling, range, &job.limits)?;
    let asks_server = job.ask.as_ref().is_some_and(|ask| ask.model.description().is_language_model);
    if asks_server && plan.points.len() > job.limits.max_request_frames {
        let problem =
            format!("would put {} frames into one request; {} fit", plan.points.len(), job.limits.max_request_frames);
        return Err(Error::limit("the sampling", problem, "set --max-frames, or take a longer --interval"));
    }
    Ok(plan)
}

/// What came of looking.
#[derive(Default)]
pub(super) struct Looked {
    /// The frames, kept where a model is asked.
    pub(super) frames: Vec<TimelineFrame>,
    /// The frames' facts alone, kept where none is.
    pub(super) report_frames: Vec<ReportFrame>,
    pub(super) sampling: Sampled,
    pub(super) range: Option<TimeRange>,
    pub(super) decoder: Option<String>,
    /// What is missing, and why.
    pub(super) problems: Vec<(String, String)>,
}

type Sampled = report::Sampling;

/// Decodes, scores and encodes the frames of a plan on a thread of its own, and keeps or writes them as they come.
pub(super) async fn look(
    job: &Job,
    video: Option<Video>,
    plan: Option<SamplePlan>,
    events: &mpsc::Sender<Event>,
    stop: &Stop,
) -> Result<Looked> {
    let (Some(video), Some(plan)) = (video, plan) else {
        return Ok(Looked { sampling: nothing_sampled(), ..Looked::default() });
    };
    let _ = events.send(Event::Planned { n_points: plan.points.len() }).await;
    let mut looked = Looked { range: Some(plan.range), problems: known_damage(&video), ..Looked::default() };
    let (sender, mut frames) = mpsc::channel(FRAME_QUEUE);
    let is_live = job.source.is_live();
    let is_still = matches!(job.source, Source::Picture(_));
    let (encode_options, size, stop) = (job.encode, fit(video.stream.display_size(), job.max_width), stop.clone());
    let (points, interval) = (plan.points.clone(), plan.interval);
    let reading = blocking(move || {
        let mut scorer = Scorer::new();
        let mut reader = video.reader()?;
        let outcome = reader.read(&points, size, &mut |frame| {
            stop.check()?;
            let score = scorer.score(&frame)?;
            let image = encode(&frame, &encode_options)?;
            // The receiver goes where the run fails; its own cause is reported.
            sender.blocking_send((image, score)).map_err(|_| Error::Interrupted)
        })?;
        Ok((reader.name(), outcome))
    });
    let keeping = keep(job, &mut looked, &mut frames, events);
    let (read, kept) = tokio::join!(reading, keeping);
    kept?;
    let (decoder, outcome) = read?;
    looked.decoder = Some(decoder);
    if outcome.n_damaged > 0 {
        let what = format!("{} damaged packets of the video", outcome.n_damaged);
        looked.problems.push((what, "they could not be decoded; frames near them may be lost or faulty".to_owned()));
    }
    looked.sampling = report::Sampling {
        method: if is_still {
            "still picture"
        } else if interval.is_some() {
            "interval"
        } else {
            "moments"
        }
        .to_owned(),
        interval: interval.filter(|_| !is_still),
        range: plan.range,
        n_planned: (!is_live).then_some(plan.points.len() - outcome.n_repeated),
        lost_because: lost_because(&outcome),
    };
    Ok(looked)
}

/// Takes the frames as they come: into memory for the model, or onto the disk.
async fn keep(
    job: &Job,
    looked: &mut Looked,
    frames: &mut mpsc::Receiver<(EncodedImage, FrameScore)>,
    events: &mpsc::Sender<Event>,
) -> Result<()> {
    let mut n_bytes = 0;
    let mut n_done = 0;
    while let Some((image, score)) = frames.recv().await {
        n_done += 1;
        let _ = events.send(Event::Frame { n_done, time: image.time }).await;
        if job.ask.is_some() {
            n_bytes += image.bytes.len() as u64;
            if n_bytes > job.limits.max_request_image_bytes {
                let problem = format!(
                    "the pictures up to {} hold more than {} bytes",
                    image.time, job.limits.max_request_image_bytes
                );
                frames.close();
                return Err(Error::limit(
                    "the request",
                    problem,
                    "set --max-frames, --max-width or --jpeg-quality lower",
                ));
            }
            looked.frames.push(TimelineFrame { image, score });
        } else if let Some(folder) = job.output.clone() {
            let mut facts = ReportFrame::new(&image, Some(score));
            facts.file = Some(frame_file_name(&image));
            blocking(move || write_frame(&image, &folder)).await?;
            looked.report_frames.push(facts);
        }
    }
    Ok(())
}

/// What the index shows to be missing before anything is decoded.
fn known_damage(video: &Video) -> Vec<(String, String)> {
    let mut problems = Vec::new();
    let Some(index) = &video.index else { return problems };
    if let Some(claimed) = video.stream.n_frames.filter(|claimed| *claimed > index.n_packets) {
        let n_lost = claimed - index.n_packets;
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

/// What came of looking for words.
pub(super) struct Words {
    pub(super) transcript: Option<Transcript>,
    /// Why there are none, as a phrase.
    pub(super) reason: String,
    pub(super) problems: Vec<(String, String)>,
}

/// Tries each way to get at the words, until one has them.
pub(super) async fn find_words(job: &Job, info: &MediaInfo, events: &mpsc::Sender<Event>) -> Result<Words> {
    let mut words = Words { transcript: None, reason: String::new(), problems: Vec::new() };
    let (Source::Media(path), false) = (&job.source, job.words.is_empty()) else {
        let reason = if job.words.is_empty() { "none were asked for" } else { "the source has no sound" };
        words.reason.push_str(reason);
        return Ok(words);
    };
    let _ = events.send(Event::Listening).await;
    for way in &job.words {
        match way.transcribe(path, info).await {
            Ok(Some(transcript)) => {
                words.transcript = Some(transcript);
                return Ok(words);
            }
            Ok(None) => {}
            Err(error) if job.needs_words => return Err(error),
            Err(error) => words.problems.push(("the transcript".to_owned(), error.to_string())),
        }
    }
    words.reason = subtitles::unread_reason(info).unwrap_or_else(|| {
        let no_sound = if info.audio.is_empty() { " and there is no sound" } else { "" };
        match job.words.len() {
            1 if no_sound.is_empty() => "no subtitles were found, and no transcription endpoint is set".to_owned(),
            _ => format!("no subtitles were found{no_sound}"),
        }
    });
    Ok(words)
}

/// The claimed range of a source of which no frame is looked at.
pub(super) fn whole(info: &MediaInfo) -> TimeRange {
    let longest = info.audio.iter().filter_map(|a| a.duration).max();
    TimeRange::new(Timestamp::ZERO, info.duration.or(longest).unwrap_or(Timestamp::ZERO))
}

pub(super) fn nothing_sampled() -> Sampled {
    report::Sampling { method: "none".to_owned(), interval: None, range: NO_TIME, n_planned: None, lost_because: None }
}

/// How long the stages took, in the order of their end.
#[derive(Default)]
pub(super) struct Stopwatch {
    stages: Vec<StageTime>,
}

impl Stopwatch {
    pub(super) async fn time<T>(&mut self, stage: &str, work: impl Future<Output = T>) -> T {
        let timed = self.measure(work).await;
        self.note(stage, timed)
    }

    /// For stages that run at the same time.
    pub(super) async fn measure<T>(&self, work: impl Future<Output = T>) -> (T, Duration) {
        let begun = Instant::now();
        let value = work.await;
        (value, begun.elapsed())
    }

    pub(super) fn note<T>(&mut self, stage: &str, (value, took): (T, Duration)) -> T {
        self.stages.push(StageTime { stage: stage.to_owned(), seconds: took.as_secs_f64() });
        value
    }

    pub(super) fn stages(&self) -> Vec<StageTime> {
        self.stages.clone()
    }
}

impl Default for Sampled {
    fn default() -> Self {
        nothing_sampled()
    }
}
