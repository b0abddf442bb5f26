//! Files and folders to the files that are read.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::input::Source;

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
        if Path::new(input).is_dir() {
            walk(Path::new(input), 0, &mut files)?;
        } else {
            files.push(input.clone());
        }
    }
    if files.is_empty() {
        let named = inputs.join(", ");
        return Err(Error::usage(named, "holds neither videos nor pictures", "name files, or another folder"));
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
        } else if let Some(name) = path.to_str() {
            if is_seen(&path) {
                files.push(name.to_owned());
            } else {
                tracing::info!("{name}: neither a video nor a picture, passed over");
            }
        }
    }
    Ok(())
}

/// Whether a file in a folder is a video or picture: texts and tables that lie there too are none. By name first, since a
/// container is known for certain only when it is opened.
fn is_seen(path: &Path) -> bool {
    const ENDINGS: [&str; 29] = [
        "mp4", "m4v", "mov", "mkv", "webm", "avi", "flv", "ts", "mts", "m2ts", "mpg", "mpeg", "vob", "ogv", "3gp",
        "3g2", "wmv", "asf", "mxf", "gif", "jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff", "y4m", "f4v",
    ];
    let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
    match ending {
        Some(ending) => ENDINGS.contains(&ending.as_str()),
        None => path.to_str().is_some_and(|name| matches!(Source::identify(name), Ok(Source::Picture(_)))),
    }
}
