//! The stream of encoded frames, with three consumers: memory (`summarize`), a folder (`frames`) and groups of requests
//! (`caption`).

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::dedup::Dedup;
use super::frame_options::FrameOptions;
use super::run::Context;
use super::select::{Selection, scan};
use crate::encode::{EncodeOptions, encode};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::frame_diff::FrameScore;
use crate::input::Source;
use crate::media::{EncodedImage, Frame, FrameReason};
use crate::report::{self, Dropped};
use crate::sampling::{SamplePlan, Sampling};
use crate::time::{TimeRange, Tolerance};
use crate::video::contact_sheet::ContactSheets;
use crate::video::score::Scorer;
use crate::video::{ReadOutcome, TargetSize, VideoSource};

/// Encoded frames queued for the consumer: about 0.1 MB each.
const FRAME_QUEUE: usize = 8;

/// One item of the stream.
pub(super) enum Extracted {
    Frame { image: EncodedImage, score: FrameScore, reason: Option<FrameReason>, is_suspect: bool },
    ContactSheet(EncodedImage),
}

/// The result of the stream, once it has ended.
#[derive(Clone)]
pub(super) struct Extraction {
    pub sampling: report::SamplingSummary,
    pub range: TimeRange,
    pub decoder: String,
    /// What is missing, and why.
    pub problems: Vec<(String, String)>,
}

/// Frames of one video as they are decoded, in time order.
pub(super) struct FrameStream {
    frames: mpsc::Receiver<Extracted>,
    reading: JoinHandle<Result<(String, ReadOutcome, Vec<Dropped>)>>,
    context: Context,
    plan: SamplePlan,
    problems: Vec<(String, String)>,
    /// Why files of a joined recording could not be read by the scan.
    unread: Vec<String>,
    kind: SourceKind,
    n_done: usize,
}

/// Facts about the source for the report.
struct SourceKind {
    is_still: bool,
    is_live: bool,
    method: &'static str,
    /// None where frames are exact.
    tolerance: Option<Tolerance>,
}

impl FrameStream {
    /// Scans the video where the selection needs it, then starts decoding on a separate thread.
    pub(super) async fn start(
        options: &FrameOptions,
        source: &Source,
        (video, selection): (VideoSource, Selection),
        has_contact_sheets: bool,
        context: &Context,
    ) -> Result<Self> {
        let (video, plan, unread) = match selection {
            Selection::Plan(plan) => (video, plan, Vec::new()),
            Selection::Scan(range, points) => scan(options, video, (range, points), context).await?,
        };
        context.events.send(Event::Planned { n_points: plan.points.len() }).await;
        let problems = known_damage(&video);
        let (sender, frames) = mpsc::channel(FRAME_QUEUE);
        let output = Output {
            sender,
            plan: plan.clone(),
            encode: options.encode,
            sheets: has_contact_sheets.then(ContactSheets::default),
            n_given: 0,
        };
        let target = TargetSize::Within(options.size);
        let (dedup, thread_context) = (options.dedup, context.clone());
        let reading = tokio::task::spawn_blocking(move || read(&video, target, dedup, output, &thread_context));
        let kind = SourceKind {
            is_still: matches!(source, Source::Picture(_)),
            is_live: source.is_live(),
            method: method(&options.sampling.sampling),
            tolerance: Some(options.tolerance).filter(|tolerance| !tolerance.is_exact()),
        };
        Ok(Self { frames, reading, context: context.clone(), plan, problems, unread, kind, n_done: 0 })
    }

    /// The next frame or contact sheet; None at the end.
    pub(super) async fn next(&mut self) -> Option<Extracted> {
        let item = self.frames.recv().await?;
        if let Extracted::Frame { image, .. } = &item {
            self.n_done += 1;
            self.context.events.send(Event::Frame { n_done: self.n_done, time: image.time }).await;
        }
        Some(item)
    }

    /// The result; the reader's error where it failed.
    pub(super) async fn finish(mut self) -> Result<Extraction> {
        self.frames.close();
        let (decoder, outcome, dropped) = match self.reading.await {
            Ok(outcome) => outcome?,
            Err(failure) => {
                let advice = "report it, with the input if you can";
                return Err(Error::internal("the decoder", "a bug in vidgist ended it", advice).because(failure));
            }
        };
        let mut problems = self.problems;
        if outcome.n_damaged > 0 {
            let packets = if outcome.n_damaged == 1 { "packet" } else { "packets" };
            let what = format!("{} damaged {packets} of the video", outcome.n_damaged);
            problems.push((what, "could not be decoded; frames near them may be missing or wrong".to_owned()));
        }
        if outcome.n_suspect > 0 {
            let frames = if outcome.n_suspect == 1 { "frame" } else { "frames" };
            let why = "the decoder reported errors in them or in frames that they refer to; they may look wrong";
            problems.push((format!("{} suspect {frames}", outcome.n_suspect), why.to_owned()));
        }
        // The scan and the reader after it mostly fail in the same files.
        let of_scan = self.unread.iter().filter(|why| !outcome.unread.contains(why));
        let unread = outcome.unread.iter().chain(of_scan);
        problems.extend(unread.map(|why| ("frames of one file".to_owned(), why.clone())));
        let SourceKind { is_still, is_live, method, tolerance } = self.kind;
        let sampling = report::SamplingSummary {
            method: if is_still { "still picture" } else { method }.to_owned(),
            interval: self.plan.interval.filter(|_| !is_still && !self.plan.is_thinned()),
            tolerance: tolerance.filter(|_| !is_still && !is_live),
            longest_gap: self.plan.longest_gap().filter(|_| !is_still && !is_live),
            range: self.plan.range,
            n_planned: (!is_live).then_some(self.plan.points.len() - outcome.n_repeated),
            dropped,
            from_store: false,
            lost_because: lost_because(&outcome),
        };
        Ok(Extraction { sampling, range: self.plan.range, decoder, problems })
    }
}

fn method(sampling: &Sampling) -> &'static str {
    match sampling {
        Sampling::Interval(_) => "interval",
        Sampling::At(_) => "moments",
        Sampling::Keyframes => "keyframes",
        Sampling::Scenes => "scenes",
        Sampling::Budget => "budget",
    }
}

/// Decodes, scores, deduplicates and encodes. Blocks.
fn read(
    video: &VideoSource,
    target: TargetSize,
    is_deduplicated: bool,
    mut output: Output,
    context: &Context,
) -> Result<(String, ReadOutcome, Vec<Dropped>)> {
    let mut scorer = Scorer::new();
    let mut reader = video.reader()?;
    let mut dedup = is_deduplicated.then(Dedup::default);
    let moments = output.plan.moments();
    let outcome = reader.read(&moments, target, &mut |frame| {
        context.check()?;
        let score = scorer.score(&frame)?;
        match (&mut dedup, scorer.signature()) {
            (Some(dedup), Some(signature)) => {
                let must_stay = output.must_stay(&frame);
                dedup.offer(frame, score, signature, must_stay, &mut |frame, score| output.give(frame, score))
            }
            _ => output.give(frame, score),
        }
    })?;
    let dropped = dedup.map(|dedup| dedup.finish(&mut |frame, score| output.give(frame, score))).transpose()?;
    output.finish()?;
    Ok((reader.name(), outcome, dropped.unwrap_or_default()))
}

/// Numbers, draws and encodes frames, and sends them to the stream.
struct Output {
    sender: mpsc::Sender<Extracted>,
    plan: SamplePlan,
    encode: EncodeOptions,
    sheets: Option<ContactSheets>,
    n_given: usize,
}

impl Output {
    /// Whether the plan needs the frame whatever it shows.
    fn must_stay(&self, frame: &Frame) -> bool {
        matches!(
            self.plan.reason(frame.time),
            Some(FrameReason::First | FrameReason::Last | FrameReason::Floor | FrameReason::Moment)
        )
    }

    fn give(&mut self, mut frame: Frame, score: FrameScore) -> Result<()> {
        frame.frame_idx = self.n_given;
        self.n_given += 1;
        if let Some(sheet) = self.sheets.as_mut().map(|sheets| sheets.add(&frame)).transpose()?.flatten() {
            self.send(Extracted::ContactSheet(encode(&sheet, &self.encode)?))?;
        }
        let (image, reason) = (encode(&frame, &self.encode)?, self.plan.reason(frame.time));
        self.send(Extracted::Frame { image, score, reason, is_suspect: frame.is_suspect })
    }

    fn finish(mut self) -> Result<()> {
        match self.sheets.take().and_then(ContactSheets::finish) {
            Some(sheet) => self.send(Extracted::ContactSheet(encode(&sheet, &self.encode)?)),
            None => Ok(()),
        }
    }

    fn send(&self, item: Extracted) -> Result<()> {
        // The stream is dropped where its consumer fails; the consumer's error is reported.
        self.sender.blocking_send(item).map_err(|_| Error::interrupted())
    }
}

/// Damage that the packet index shows before decoding.
fn known_damage(video: &VideoSource) -> Vec<(String, String)> {
    let mut problems = Vec::new();
    for (name, file) in video.files() {
        let Some(index) = &file.index else { continue };
        let of = name.map(|name| format!("{name}: ")).unwrap_or_default();
        let lost = file.stream.n_frames.zip(index.n_packets).filter(|(claimed, found)| claimed > found);
        if let Some((claimed, found)) = lost {
            let n_lost = claimed - found;
            problems.push((
                format!("{of}{n_lost} of the {claimed} frames that the file states"),
                format!("they are not in the file; its video ends at {}", index.range().end),
            ));
        }
        if index.n_read_errors > 0 {
            let why = format!("{} could not be read", index.n_read_errors);
            problems.push((format!("{of}damaged parts of the file"), why));
        }
    }
    problems
}

fn lost_because(outcome: &ReadOutcome) -> Option<String> {
    let first = outcome.missing.first()?;
    let last = outcome.missing.last()?;
    Some(if first == last {
        format!("the decoder returned no frame for {first}")
    } else {
        format!("the decoder returned no frame for {} moments from {first} to {last}", outcome.missing.len())
    })
}
