//! Files and folders to the files that are read.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::input::{Source, path_of, text_of};
use crate::limits::Limits;
use crate::media::Ratio;
use crate::probe::probe;

/// A folder in a folder in a folder … is followed this far.
const MAX_DEPTH: usize = 16;

/// Each file as it is named; a folder as the videos and pictures in it and below, by name, hidden ones left out. Links to
/// folders are not followed.
///
/// # Errors
/// [`ErrorKind::Io`](crate::ErrorKind::Io) where a folder that the user named cannot be read, [`ErrorKind::Usage`](crate::ErrorKind::Usage) where nothing is left.
pub(super) fn expand(inputs: &[String]) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for input in inputs {
        let path = path_of(input);
        if path.is_dir() {
            walk(&path, 0, &mut files)?;
        } else {
            files.push(input.clone());
        }
    }
    if files.is_empty() {
        let named = inputs.join(", ");
        return Err(Error::usage(named, "contains neither videos nor pictures", "name files, or another folder"));
    }
    Ok(files)
}

fn walk(folder: &Path, depth: usize, files: &mut Vec<String>) -> Result<()> {
    let io = |error| Error::io(folder, error);
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let entry = entry.map_err(io)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    for path in paths {
        let is_link = path.symlink_metadata().is_ok_and(|found| found.is_symlink());
        if path.is_dir() {
            if is_link || depth >= MAX_DEPTH {
                continue;
            }
            // One folder that may not be read does not keep the others.
            if let Err(error) = walk(&path, depth + 1, files) {
                tracing::warn!("{error}");
            }
        } else {
            match skipped_because(&path) {
                None => files.push(text_of(&path)),
                Some(reason) => tracing::warn!("{}: skipped: {reason}", path.display()),
            }
        }
    }
    Ok(())
}

/// Why a file in a folder is skipped; None where it is a video or a picture, by its content or by its name. A file that is
/// one by its name alone fails later with the reason.
fn skipped_because(path: &Path) -> Option<String> {
    const ENDINGS: [&str; 38] = [
        "mp4", "m4v", "mov", "mkv", "webm", "avi", "flv", "ts", "mts", "m2ts", "mpg", "mpeg", "vob", "ogv", "3gp",
        "3g2", "wmv", "asf", "mxf", "gif", "jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff", "y4m", "f4v", "264",
        "h264", "265", "h265", "hevc", "heic", "heif", "avif", "m2v",
    ];
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    if ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str())) {
        return None;
    }
    match Source::identify(&text_of(path)) {
        Ok(source @ Source::Media(_)) => match probe(&source, Ratio::ONE, &Limits::default()) {
            Ok(info) => info.main_video().is_none().then(|| "has no video stream".to_owned()),
            Err(error) => Some(error.problem),
        },
        Ok(_) => None,
        Err(error) => Some(error.problem),
    }
}
