//! The frames job: writes the sampled frames of one source into a folder as they are decoded.

use std::path::{Path, PathBuf};

use super::extract::{Extracted, FrameStream};
use super::frame_options::FrameOptions;
use super::run::Context;
use super::select::select;
use super::site::{FetchedSite, InputNeeds, describe, fetch_timed, named, read_source};
use super::timing::StageTimer;
use crate::blocking::run_blocking;
use crate::error::{Error, ErrorCode, Result};
use crate::fs::{frame_file_name, write_file, write_frame};
use crate::input::Source;
use crate::report::{Report, ReportFrame, write};
use crate::time::{TimeRange, Timestamp};
use crate::timeline::Timeline;

/// What the frames job reads and where it writes.
#[derive(Clone, Debug)]
pub struct ExtractFrames {
    /// What is read.
    pub source: Source,
    /// Which frames.
    pub options: FrameOptions,
    /// Whether contact sheets are written too.
    pub contact_sheets: bool,
    /// The folder for the frames and `frames.json`.
    pub output: PathBuf,
}

/// Writes the frames and returns the report that lists them.
///
/// # Errors
/// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) without video; else as the stages.
pub async fn run(task: ExtractFrames, context: Context) -> Result<Report> {
    Box::pin(context.unless_cancelled(async {
        let needs = InputNeeds { frames: true, audio: false, transcript: None, takes_playlists: false };
        let mut timer = StageTimer::default();
        let site = fetch_timed(&task.source, needs, &mut timer, &context).await?;
        let done = work(&task, site.as_ref(), &mut timer, &context).await;
        done.map_err(|error| named(site.as_ref(), error))
    }))
    .await
}

async fn work(
    task: &ExtractFrames,
    site: Option<&FetchedSite>,
    timer: &mut StageTimer,
    context: &Context,
) -> Result<Report> {
    let source = read_source(&task.source, site)?;
    let (options, opened) = (task.options.clone(), source.clone());
    let (mut info, video) = timer.time("probe", run_blocking(move || options.open(&opened))).await?;
    describe(site, &mut info);
    context.send_probed(&info).await;
    let Some(mut video) = video else {
        let advice = crate::advice::Advice::Run("audio".into());
        return Err(Error::unsupported(&info.input, "has no video stream", advice).with_code(ErrorCode::NoVideo));
    };
    let options = task.options.clone().limited(Some(&video));
    let selection = select(&options, &mut video)?;
    let (frames, sheets, extraction) = timer
        .time("frames", async {
            let chosen = (video, selection);
            let mut stream = FrameStream::start(&options, &source, chosen, task.contact_sheets, context).await?;
            let written = write_all(&mut stream, &task.output).await;
            // An error of writing is the cause; the reader's error only follows from it.
            let (frames, sheets) = match written {
                Ok(written) => written,
                Err(error) => {
                    let _ = stream.finish().await;
                    return Err(error);
                }
            };
            Ok((frames, sheets, stream.finish().await?))
        })
        .await?;
    let nothing = Timeline::new(TimeRange::new(Timestamp::ZERO, Timestamp::ZERO), Vec::new(), None);
    let mut report = Report::new(info, extraction.sampling, &nothing, "none was requested");
    (report.frames, report.contact_sheets) = (frames, sheets);
    for frame in &mut report.frames {
        frame.part = report.media.part_at(frame.time);
    }
    report.made_with.decoder = Some(extraction.decoder);
    for (what, why) in extraction.problems {
        report.miss(what, why);
    }
    report.timings = timer.stages();
    let folder = task.output.clone();
    run_blocking(move || {
        write::write_frames_index(&report, &folder)?;
        Ok(report)
    })
    .await
}

async fn write_all(stream: &mut FrameStream, folder: &Path) -> Result<(Vec<ReportFrame>, Vec<String>)> {
    let (mut frames, mut sheets) = (Vec::new(), Vec::new());
    while let Some(item) = stream.next().await {
        match item {
            Extracted::Frame { image, score, reason, is_suspect } => {
                let mut facts = ReportFrame::new(&image, Some(score));
                (facts.reason, facts.suspect) = (reason, is_suspect);
                facts.file = Some(frame_file_name(&image));
                let folder = folder.to_owned();
                run_blocking(move || write_frame(&image, &folder)).await?;
                frames.push(facts);
            }
            Extracted::ContactSheet(image) => {
                let name = format!("contact-sheet-{:02}.{}", sheets.len() + 1, image.format.extension());
                let path = folder.join(&name);
                run_blocking(move || write_file(&path, &image.bytes)).await?;
                sheets.push(name);
            }
        }
    }
    Ok((frames, sheets))
}
