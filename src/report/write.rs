//! The report as a folder of files.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::{Report, TranscriptOutcome, json, markdown, subtitles};
use crate::error::Result;
use crate::fs::{frame_file_name, write_file, write_frame};
use crate::media::EncodedImage;

/// Writes `frames/`, `transcript.srt` (where there are words), `report.json` and `report.md` into `dir`, each file
/// whole or not at all, the report last; returns the paths in this order.
///
/// The report's frames get their [`file`](super::ReportFrame::file) set as their pictures are written. Files of
/// other names in `dir` stay.
///
/// # Errors
/// As [`write_file`]: the first failure ends the writing.
pub fn write_dir<'a>(
    report: &mut Report,
    images: impl IntoIterator<Item = &'a EncodedImage>,
    dir: &Path,
) -> Result<Vec<PathBuf>> {
    let mut written = Vec::new();
    let places: HashMap<usize, usize> = report.frames.iter().enumerate().map(|(at, f)| (f.frame_idx, at)).collect();
    for image in images {
        written.push(write_frame(image, &dir.join("frames"))?);
        if let Some(at) = places.get(&image.frame_idx) {
            report.frames[*at].file = Some(format!("frames/{}", frame_file_name(image)));
        }
    }
    let mut write = |name: &str, text: String| {
        let path = dir.join(name);
        write_file(&path, text.as_bytes())?;
        written.push(path);
        Ok(())
    };
    if let TranscriptOutcome::Found(transcript) = &report.transcript {
        write("transcript.srt", subtitles::to_srt(transcript))?;
    }
    write("report.json", json::render(report)?)?;
    write("report.md", markdown::render(report))?;
    Ok(written)
}

/// Writes `frames.json`, the report of pictures that were written into `dir` as they came.
///
/// # Errors
/// As [`write_file`].
pub fn write_frames_index(report: &Report, dir: &Path) -> Result<PathBuf> {
    let path = dir.join("frames.json");
    write_file(&path, json::render(report)?.as_bytes())?;
    Ok(path)
}
