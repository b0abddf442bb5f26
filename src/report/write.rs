//! The report as a folder of files.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::page::{self, PageOptions, recording_address};
use super::{Report, TranscriptOutcome, chapters, json, markdown, subtitles};
use crate::error::{Error, Result};
use crate::fs::{frame_file_name, remove_other_frames, write_file, write_frame};
use crate::media::EncodedImage;

/// Writes `frames/`, `transcript.srt` (where there are words; `transcript.txt` where they have no times), the
/// [chapters](chapters::FILES) if there are any, `report.json`, `report.html` and `report.md` into `dir`, each file whole or
/// not at all, the report last; returns the paths in this order.
///
/// The report's frames get their [`file`](super::ReportFrame::file) set as their pictures are written. What an earlier
/// run wrote is replaced as a whole: its other frames, its transcript and its chapters are removed. Files of other names in
/// `dir` stay.
///
/// # Errors
/// As [`write_file`]: the first failure ends the writing. [`ErrorKind::Io`](crate::ErrorKind::Io) where the recording that
/// the page plays does not exist; then nothing in `dir` has changed.
pub fn write_dir<'a>(
    report: &mut Report,
    images: impl IntoIterator<Item = &'a EncodedImage>,
    dir: &Path,
    options: &PageOptions,
) -> Result<Vec<PathBuf>> {
    // Before anything is replaced: without its recording there is no page.
    std::fs::create_dir_all(dir).map_err(|error| Error::io(dir, error))?;
    let recording = options.recording.as_deref().map(|path| recording_address(path, Some(dir))).transpose()?;
    let is_again = dir.join("report.json").exists();
    let mut written = Vec::new();
    let places: HashMap<usize, usize> = report.frames.iter().enumerate().map(|(at, f)| (f.frame_idx, at)).collect();
    let (mut kept, mut inlined) = (HashSet::new(), Vec::new());
    for image in images {
        if options.inline_pictures {
            inlined.push(image.clone());
        }
        written.push(write_frame(image, &dir.join("frames"))?);
        let name = frame_file_name(image);
        if let Some(at) = places.get(&image.frame_idx) {
            report.frames[*at].file = Some(format!("frames/{name}"));
        }
        kept.insert(name);
    }
    remove_other_frames(&dir.join("frames"), &kept)?;
    let transcript = match &report.transcript {
        TranscriptOutcome::Found(transcript) if transcript.untimed.is_empty() => {
            Some(("transcript.srt", subtitles::to_srt(transcript)))
        }
        TranscriptOutcome::Found(transcript) => Some(("transcript.txt", subtitles::to_text(transcript))),
        _ => None,
    };
    let found = chapters::chapters(report);
    let lists = [chapters::to_ffmetadata(&found), chapters::to_youtube(&found), chapters::to_vtt(&found)];
    let lists = chapters::FILES.into_iter().zip(lists).filter(|_| !found.is_empty());
    let texts: Vec<(&str, String)> = transcript.into_iter().chain(lists).collect();
    for name in ["transcript.srt", "transcript.txt"].into_iter().chain(chapters::FILES) {
        let is_ours = is_again && !texts.iter().any(|(now, _)| *now == name);
        let path = dir.join(name);
        if is_ours && path.is_file() {
            std::fs::remove_file(&path).map_err(|error| Error::io(&path, error))?;
        }
    }
    let reports = [
        ("report.json", json::render(report)?),
        ("report.html", page::render(report, &inlined, recording.as_deref())),
        ("report.md", markdown::render(report)),
    ];
    for (name, text) in texts.into_iter().chain(reports) {
        let path = dir.join(name);
        write_file(&path, text.as_bytes())?;
        written.push(path);
    }
    Ok(written)
}

/// Writes `frames.json`, the report of pictures that were written into `dir` as they came, and removes those of an earlier
/// run.
///
/// # Errors
/// As [`write_file`].
pub fn write_frames_index(report: &Report, dir: &Path) -> Result<PathBuf> {
    let frames = report.frames.iter().filter_map(|frame| frame.file.as_ref());
    remove_other_frames(dir, &frames.chain(&report.contact_sheets).cloned().collect())?;
    let path = dir.join("frames.json");
    write_file(&path, json::render(report)?.as_bytes())?;
    Ok(path)
}
