//! Files to groups of frames, each group for one request.

use tokio::sync::mpsc;

use super::super::extract::{Extracted, FrameStream};
use super::super::run::Context;
use super::super::select::select;
use super::super::site::{self, FetchedSite, InputNeeds, fetch_site};
use super::super::transcript::find_transcript;
use super::state::CaptionRun;
use crate::advice::Advice;
use crate::blocking::run_blocking;
use crate::chat::Message;
use crate::error::{Error, ErrorCode, Result};
use crate::event::{Event, EventSender};
use crate::input::Source;
use crate::media::EncodedImage;
use crate::prompt::{CaptionFrame, build_captions, fence_number, segment_texts};
use crate::report::ReportFrame;
use crate::report::caption::CaptionRow;
use crate::time::{TimeRange, Timestamp};
use crate::transcript::{Segment, Transcript};

/// Groups of frames that wait for a free request: the decoder is this far ahead.
pub(super) const GROUP_QUEUE: usize = 2;
/// A caption request holds the transcript this far around its frame, in milliseconds.
const NEAR_MILLIS: i64 = 5000;

/// A unit of work for the model.
pub(super) enum Unit {
    /// Frames of one request.
    Frames(Vec<Wanted>),
    /// A file of which no frame, or not every frame, could be read.
    Failed(Box<CaptionRow>),
    /// A frame that has its caption from an earlier run.
    Kept,
}

/// A frame to caption, and its row.
pub(super) struct Wanted {
    pub row: CaptionRow,
    pub frame: CaptionFrame,
}

/// The messages of a request.
pub(super) fn messages(run: &CaptionRun, wanted: &[Wanted]) -> Vec<Message> {
    let frames: Vec<CaptionFrame> = wanted.iter().map(|wanted| wanted.frame.clone()).collect();
    let fence = fence_number(frames.iter().flat_map(|frame| segment_texts(&frame.words)));
    build_captions(&frames, &run.task.prompt, fence)
}

/// Reads one file after another; a file that cannot be read is a row, and the next is read.
pub(super) async fn read_all(run: &CaptionRun, files: &[String], units: mpsc::Sender<Unit>) {
    let mut moving = Vec::new();
    for input in files {
        if run.stop.is_cancelled() {
            return;
        }
        run.context.events.send(Event::Input { input: input.clone() }).await;
        let failed = match read(run, input, &units, &mut moving).await {
            Err(error) if error.is_interrupted() => return,
            Err(error) => vec![error.to_string()],
            Ok(problems) => problems.into_iter().map(|(what, why)| format!("{what}: {why}")).collect(),
        };
        for why in failed {
            let row = run.failed_row(input, why);
            if units.send(Unit::Failed(Box::new(row))).await.is_err() {
                return;
            }
        }
    }
    // Of many photos of a phone most are motion photos: one warning for all.
    if let [(input, notice), others @ ..] = moving.as_slice() {
        let n_others = others.len();
        let more = match n_others {
            0 => String::new(),
            1 => "; so is 1 other picture".to_owned(),
            _ => format!("; so are {n_others} other pictures"),
        };
        run.context.events.send(Event::warning(input, format!("{notice}{more}"))).await;
    }
}

/// Reads the transcript, then the frames of one file, and sends them in groups; returns what is missing, and why. Adds a
/// motion photo and its notice to `moving`.
async fn read(
    run: &CaptionRun,
    input: &str,
    units: &mpsc::Sender<Unit>,
    moving: &mut Vec<(String, String)>,
) -> Result<Vec<(String, String)>> {
    let task = &run.task;
    let named_source = Source::identify(input)?;
    let needs = InputNeeds { frames: true, audio: false, transcript: Some(&task.transcript), takes_playlists: true };
    let fetched = fetch_site(&named_source, needs, &run.context);
    let site = tokio::select! {
        site = fetched => site?,
        () = run.stop.cancelled() => return Err(Error::interrupted()),
    };
    let site = site.as_ref();
    let name = site.map_or(input, |site| &*site.video.name);
    let done = read_file(run, (name, &named_source), site, units, moving).await;
    done.map_err(|error| site::named(site, error))
}

/// As [`read`], of a file, or of what was fetched of a site.
async fn read_file(
    run: &CaptionRun,
    (input, named_source): (&str, &Source),
    site: Option<&FetchedSite>,
    units: &mpsc::Sender<Unit>,
    moving: &mut Vec<(String, String)>,
) -> Result<Vec<(String, String)>> {
    let task = &run.task;
    let source = site::read_source(named_source, site)?;
    if let Some(texts) = &run.texts {
        texts.begin_input(input, &source);
    }
    let (options, opened) = (task.options.clone(), source.clone());
    let (mut info, video) = run_blocking(move || options.open(&opened)).await?;
    site::describe(site, &mut info);
    moving.extend(info.motion_notice().map(|notice| (input.to_owned(), notice)));
    let Some(mut video) = video else {
        let advice = Advice::from("leave it out").or(Advice::Run("transcribe".into()));
        return Err(Error::unsupported(input, "has no video stream", advice).with_code(ErrorCode::NoVideo));
    };
    let options = task.options.clone().limited(Some(&video));
    let selection = select(&options, &mut video)?;
    // The steps within one file are no events of the whole job.
    let (events, _) = EventSender::channel();
    let context = Context { events, cancel: run.stop.clone(), ..run.context.clone() };
    let path = if let Source::Media(path) = &source { Some(path.as_path()) } else { None };
    let captions = site.and_then(|site| site.captions.as_ref());
    let is_dry = task.dry_run.is_some();
    let found = find_transcript(&task.transcript, path, captions, &info, &context, is_dry).await?;
    if found.transcript.as_ref().is_some_and(|transcript| !transcript.untimed.is_empty()) {
        let message = "the transcript has no times, so captions do not use it".to_owned();
        run.context.events.send(Event::warning(input, message)).await;
    }
    let mut stream = FrameStream::start(&options, &source, (video, selection), false, &context).await?;
    group(run, input, found.transcript.as_ref(), &mut stream, units).await;
    let mut problems = stream.finish().await?.problems;
    if let Some(texts) = run.texts.as_ref().filter(|_| problems.is_empty() && !run.stop.is_cancelled()) {
        texts.end_input(input);
    }
    problems.extend(found.problems);
    problems.extend(site.into_iter().flat_map(|site| site.problems.clone()));
    Ok(problems)
}

/// Groups the frames of one file. Stops when the receiver is gone.
async fn group(
    run: &CaptionRun,
    input: &str,
    transcript: Option<&Transcript>,
    stream: &mut FrameStream,
    units: &mpsc::Sender<Unit>,
) {
    let task = &run.task;
    let (model, version) = (task.model.description().name, task.prompt.version());
    let mut waiting = Vec::new();
    while let Some(item) = stream.next().await {
        let Extracted::Frame { image, is_suspect, .. } = item else { continue };
        let row = CaptionRow {
            suspect: Some(is_suspect),
            ..CaptionRow::new(input, &image, sha256(&image), &model, &version)
        };
        let unit = if run.is_done(&row) || run.keeps_text(&row, &image) {
            Unit::Kept
        } else {
            let words = transcript.map(|transcript| near(&transcript.segments, image.time)).unwrap_or_default();
            waiting.push(Wanted { row, frame: CaptionFrame { image, words } });
            if waiting.len() < task.frames_per_request.max(1) {
                continue;
            }
            Unit::Frames(std::mem::take(&mut waiting))
        };
        if units.send(unit).await.is_err() {
            return;
        }
    }
    if !waiting.is_empty() {
        let _ = units.send(Unit::Frames(waiting)).await;
    }
}

fn sha256(image: &EncodedImage) -> String {
    ReportFrame::new(image, None).sha256
}

fn near(segments: &[Segment], time: Timestamp) -> Vec<Segment> {
    let reach = Timestamp::from_millis(NEAR_MILLIS);
    let around = TimeRange::new(time.minus(reach), time.plus(reach));
    segments.iter().filter(|segment| segment.range.overlaps(around)).cloned().collect()
}
