//! Files and folders to the files that are read.

use std::path::Path;

use walkdir::{DirEntry, WalkDir};

use crate::error::{Error, Result};
use crate::input::{Source, path_of, text_of};
use crate::limits::Limits;
use crate::media::Ratio;
use crate::probe::probe;

/// The maximum depth of nested folders.
const MAX_DEPTH: usize = 17;

/// Expands folders to the videos and images in and below them, in order of their names. Hidden files are skipped, links to
/// folders are not followed.
///
/// # Errors
/// [`ErrorKind::Io`](crate::ErrorKind::Io) where a folder that the user named cannot be read, [`ErrorKind::Usage`](crate::ErrorKind::Usage) where nothing is left.
pub(super) fn expand(inputs: &[String]) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for input in inputs {
        let path = path_of(input);
        if path.is_dir() {
            walk(&path, &mut files)?;
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

fn walk(folder: &Path, files: &mut Vec<String>) -> Result<()> {
    let is_hidden = |entry: &DirEntry| entry.depth() > 0 && entry.file_name().as_encoded_bytes().starts_with(b".");
    let entries = WalkDir::new(folder).max_depth(MAX_DEPTH).sort_by_file_name();
    for entry in entries.into_iter().filter_entry(|entry| !is_hidden(entry)) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) if error.depth() == 0 => return Err(Error::io(folder, error.into())),
            // An unreadable subfolder does not stop the others.
            Err(error) => {
                tracing::warn!("{}: skipped: {error}", error.path().unwrap_or(folder).display());
                continue;
            }
        };
        if entry.path().is_dir() {
            continue;
        }
        match skipped_because(entry.path()) {
            None => files.push(text_of(entry.path())),
            Some(reason) => tracing::warn!("{}: skipped: {reason}", entry.path().display()),
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
