//! A copy of the input with the chapters of the report.

use std::path::Path;

use super::run::Context;
use crate::advice::{Advice, Setting};
use crate::blocking::run_blocking;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::fs::PendingFile;
use crate::input::Source;
use crate::libav::Remuxer;
use crate::media::MediaInfo;
use crate::report::facts::counted;
use crate::report::{Report, chapters};
use crate::time::{TimeRange, Timestamp};

/// The file that is copied.
///
/// # Errors
/// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where the source is not one media file, or `output` exists.
pub(super) fn find_input<'a>(source: &'a Source, output: &Path) -> Result<&'a Path> {
    let advice = || Advice::Unset(Setting::EmbedChapters);
    let refused = |problem: &str, advice: Advice| Err(Error::usage(source.name(), problem, advice));
    let path = match source {
        Source::Media(path) => path,
        Source::Joined { .. } => {
            return refused("is in several files, and chapters are embedded into a copy of one file", advice());
        }
        Source::Picture(_) | Source::Animation(_) | Source::Sequence { .. } => {
            return refused("is a picture or an animation, which has no place for chapters", advice());
        }
        Source::Stream(_) | Source::Camera(_) => {
            let instead = advice().or("download it and name the file");
            return refused("is not a file, so it cannot be copied with chapters", instead);
        }
    };
    if output.symlink_metadata().is_ok() {
        let is_input =
            std::fs::canonicalize(output).ok().is_some_and(|to| std::fs::canonicalize(path).ok() == Some(to));
        let problem = if is_input { "is the input itself" } else { "exists already, and is not replaced" };
        return Err(Error::usage(output.display(), problem, "name a new file"));
    }
    Ok(path)
}

/// Checks all that can be checked before the chapters are known. Blocks.
///
/// # Errors
/// As [`find_input`] and [`Remuxer::open`]; [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) where the file is
/// encrypted.
pub(super) fn check_embedding(source: &Source, output: &Path, media: &MediaInfo) -> Result<()> {
    let path = find_input(source, output)?;
    let mut schemes = media.video.iter().map(|v| &v.encryption).chain(media.audio.iter().map(|a| &a.encryption));
    if let Some(scheme) = schemes.find_map(Option::as_deref) {
        let problem = format!("is encrypted ({scheme}), and cannot be copied with chapters");
        return Err(Error::unsupported(&media.input, problem, Advice::Unset(Setting::EmbedChapters)));
    }
    Remuxer::open(path, output).map(drop)
}

/// The error for an input without chapters.
pub(super) fn no_chapters(media: &MediaInfo) -> Error {
    let problem = "has no chapters to embed";
    Error::unsupported(&media.input, problem, Advice::Unset(Setting::EmbedChapters))
}

/// Copies the input. A failure is listed as missing in the report; the run does not fail, because the report cost more than
/// the copy.
pub(super) async fn embed(report: &mut Report, source: &Source, output: &Path, context: &Context) {
    match copy(report, source, output, context).await {
        Ok(losses) => {
            context.events.send(Event::Written { path: output.to_owned() }).await;
            for loss in losses {
                report.miss(format!("part of {}", output.display()), loss);
            }
        }
        Err(error) if error.is_interrupted() => report.was_stopped = true,
        Err(error) => report.miss("the copy with chapters", error.to_string()),
    }
}

async fn copy(report: &Report, source: &Source, output: &Path, context: &Context) -> Result<Vec<String>> {
    let mut found = chapters::chapters(report);
    let n_found = found.len();
    found.retain(|chapter| report.media.duration.is_none_or(|last| chapter.start < last));
    if found.len() < n_found {
        let late = counted(n_found - found.len(), "chapter");
        let message = format!("{} does not contain {late} after the end of the input", output.display());
        context.events.send(Event::warning(&report.media.input, message)).await;
    }
    if found.is_empty() {
        return Err(no_chapters(&report.media));
    }
    let input = find_input(source, output)?.to_owned();
    // In MP4, a chapter that ends after the streams would make the file longer.
    let end = |end: Timestamp| report.media.duration.map_or(end, |last| end.min(last));
    let chapters: Vec<_> =
        found.into_iter().map(|chapter| (TimeRange::new(chapter.start, end(chapter.end)), chapter.title)).collect();
    let (start, output, cancel) = (report.media.start, output.to_owned(), context.cancel.clone());
    run_blocking(move || write(&input, &output, start, &chapters, &|| cancel.is_cancelled())).await
}

fn write(
    input: &Path,
    output: &Path,
    start: Timestamp,
    chapters: &[(TimeRange, String)],
    is_cancelled: &dyn Fn() -> bool,
) -> Result<Vec<String>> {
    let remuxer = Remuxer::open(input, output)?;
    let unfinished = PendingFile::create(output, 0o666)?;
    let losses = remuxer.write((unfinished.temporary_path(), output), start, chapters, is_cancelled)?;
    unfinished.publish_new()?;
    Ok(losses)
}
