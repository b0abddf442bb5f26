//! Recordings that a device has split into several files: chapters of an action camera, parts of a dashcam.

use std::path::{Path, PathBuf};

use super::{Source, natural_key, not_media};
use crate::error::{Error, Result};
use crate::input::shown_name;

/// Extensions of the small copies that action cameras and drones write beside each recording.
const PREVIEWS: [&str; 3] = ["lrv", "lrf", "glv"];

impl Source {
    /// The files of one recording, in order: as they are named, or all media files of a folder.
    ///
    /// In a folder, chapters of `GoPro` (`GH010123.MP4`, `GH020123.MP4`) come by recording, then by chapter; other files in
    /// the order of their names, in which `2` comes before `10`. Files that are skipped are logged with the reason.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) for an input that is not a media file, or a folder without any; else
    /// as [`Source::identify`].
    pub fn join(inputs: &[String]) -> Result<Self> {
        if let [folder] = inputs
            && Path::new(folder).is_dir()
        {
            return join_folder(Path::new(folder));
        }
        let mut parts = Vec::new();
        for input in inputs {
            match Self::identify(input)? {
                Self::Media(path) => parts.push(path),
                _ => return Err(Error::usage(input, "cannot be joined: it is not a media file", "name media files")),
            }
        }
        let first = parts.first().map(|path| shown_name(path)).unwrap_or_default();
        Ok(of_parts(format!("{first} and {} more", parts.len().saturating_sub(1)), parts))
    }
}

/// One file is itself.
fn of_parts(name: String, mut parts: Vec<PathBuf>) -> Source {
    if parts.len() == 1 { Source::Media(parts.remove(0)) } else { Source::Joined { name, parts } }
}

fn join_folder(folder: &Path) -> Result<Source> {
    let entries = std::fs::read_dir(folder).map_err(|error| Error::io(folder, error))?;
    let (mut parts, mut skipped) = (Vec::new(), Vec::new());
    for entry in entries {
        let path = entry.map_err(|error| Error::io(folder, error))?.path();
        match not_media(&path) {
            _ if is_hidden(&path) => skipped.push((path, "is a hidden file".to_owned())),
            _ if is_preview(&path) => skipped.push((path, "is a small copy of another file".to_owned())),
            None => parts.push(path),
            Some(why) => skipped.push((path, why)),
        }
    }
    if parts.is_empty() {
        return Err(Error::usage(
            folder.display(),
            "the folder contains no media files",
            "name a folder of recordings",
        ));
    }
    skipped.sort();
    for (path, why) in skipped {
        tracing::warn!("{}: skipped: {why}", path.display());
    }
    parts.sort_by_cached_key(|path| (recording(path), natural_key(path)));
    Ok(of_parts(folder.display().to_string(), parts))
}

/// Such as the `._GH010123.MP4` that macOS writes beside each file of a card.
fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn is_preview(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default();
    PREVIEWS.iter().any(|known| extension.eq_ignore_ascii_case(known))
}

/// The number of the recording and of the chapter in a name of `GoPro`: `GH020123.MP4` is chapter 2 of recording 123;
/// `GOPR0123.MP4` is followed by `GP010123.MP4`. None for other names.
fn recording(path: &Path) -> Option<(u32, u32)> {
    let stem = path.file_stem()?.to_str()?.to_ascii_uppercase();
    let (head, number) = stem.split_at_checked(4)?;
    let number = number.parse().ok().filter(|_| number.len() == 4 && number.bytes().all(|b| b.is_ascii_digit()))?;
    if head == "GOPR" {
        return Some((number, 0));
    }
    let chapter = ["GH", "GX", "GP", "GL", "GS"].iter().find_map(|brand| head.strip_prefix(brand))?;
    Some((number, chapter.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chapters_follow_their_recording() {
        for (name, expected) in [
            ("GH010123.MP4", Some((123, 1))),
            ("gx110042.mp4", Some((42, 11))),
            ("GOPR0123.MP4", Some((123, 0))),
            ("GP020123.MP4", Some((123, 2))),
            ("GH01012.MP4", None),
            ("GHAB0123.MP4", None),
            ("DJI_0001.MP4", None),
            ("VID_20260101_120000.mp4", None),
            ("\u{5b57}\u{5b57}0123.mp4", None),
        ] {
            assert_eq!(recording(Path::new(name)), expected, "{name}");
        }
        let mut names = ["GH010124.MP4", "GH020123.MP4", "GH010123.MP4"].map(PathBuf::from);
        names.sort_by_cached_key(|path| (recording(path), natural_key(path)));
        assert_eq!(names, ["GH010123.MP4", "GH020123.MP4", "GH010124.MP4"].map(PathBuf::from));
        let mut names = ["part10.ts", "part9.ts", "20260101_1.ts"].map(PathBuf::from);
        names.sort_by_cached_key(|path| (recording(path), natural_key(path)));
        assert_eq!(names, ["20260101_1.ts", "part9.ts", "part10.ts"].map(PathBuf::from));
    }
}
