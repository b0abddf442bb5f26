//! Input sources as data. [`crate::source`] identifies it by content.

mod file_kind;

use std::path::{Path, PathBuf};

use crate::sanitize::shown_input;
pub use file_kind::{KIND_HEAD_BYTES, file_kind, heif_format, may_be_subtitles};

/// An input with images, audio or both.
#[derive(Clone, Debug)]
pub enum Source {
    /// A media container on disk.
    Media(PathBuf),
    /// One recording in several media containers on disk, one after the other.
    Joined {
        /// The name of the whole in errors and reports.
        name: String,
        /// The files in order, at least two.
        parts: Vec<PathBuf>,
    },
    /// One still image on disk.
    Picture(PathBuf),
    /// An animated WebP image on disk. Other animated images are media containers.
    Animation(PathBuf),
    /// An image sequence on disk.
    Sequence {
        /// The folder or pattern as the user gave it.
        name: PathBuf,
        /// The image files in order, at least one.
        pictures: Vec<PathBuf>,
    },
    /// A live stream: a URL such as `rtsp://…`.
    Stream(String),
    /// A camera by its number.
    Camera(i32),
}

impl Source {
    /// The name of the input in errors and reports.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Media(path) | Self::Picture(path) | Self::Animation(path) | Self::Sequence { name: path, .. } => {
                shown_name(path)
            }
            Self::Joined { name, .. } => name.clone(),
            Self::Stream(url) => shown_input(url),
            Self::Camera(number) => format!("camera:{number}"),
        }
    }

    /// The media file; of a joined recording the first. None for pictures and live sources.
    #[must_use]
    pub fn media_path(&self) -> Option<&Path> {
        match self {
            Self::Media(path) => Some(path),
            Self::Joined { parts, .. } => parts.first().map(PathBuf::as_path),
            _ => None,
        }
    }

    /// Whether the source has no known end.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(self, Self::Stream(_) | Self::Camera(_))
    }
}

/// The name of a spooled file: that of standard input.
pub const SPOOLED_NAME: &str = "stdin";
/// What the name of the temporary folder of a spooled file begins with.
pub const SPOOL_PREFIX: &str = ".vidgist-stdin-";

/// The name of a file in errors and reports: its path, or [`SPOOLED_NAME`] for a temporary file in a folder that begins
/// with [`SPOOL_PREFIX`], which the user has never heard of.
#[must_use]
pub fn shown_name(path: &Path) -> String {
    let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    let is_spooled = path.ends_with(SPOOLED_NAME) && folder.is_some_and(|name| name.starts_with(SPOOL_PREFIX));
    if is_spooled { SPOOLED_NAME.to_owned() } else { path.display().to_string() }
}

/// A path as the text of an input. One that is not UTF-8 becomes a `file:` address, which keeps its bytes.
#[must_use]
pub fn text_of(path: &Path) -> String {
    match path.to_str() {
        Some(text) => text.to_owned(),
        None => std::path::absolute(path)
            .ok()
            .and_then(|path| url::Url::from_file_path(path).ok())
            .map_or_else(|| path.to_string_lossy().into_owned(), String::from),
    }
}

/// The path that the text of an input names: see [`text_of`].
#[must_use]
pub fn path_of(input: &str) -> PathBuf {
    let address = input.strip_prefix("file://").and_then(|_| url::Url::parse(input).ok());
    address.and_then(|address| address.to_file_path().ok()).unwrap_or_else(|| PathBuf::from(input))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spooled_files_are_shown_by_their_source() {
        assert_eq!(shown_name(Path::new("/tmp/.vidgist-stdin-x1Y/stdin")), "stdin");
        for other in ["/tmp/stdin", "stdin", "/tmp/.vidgist-stdin-x/other", "/tmp/.vidgist-stdin-x/stdin/a", ""] {
            assert_eq!(shown_name(Path::new(other)), other);
        }
    }

    #[test]
    fn a_name_of_any_bytes_survives_as_text() {
        use std::os::unix::ffi::OsStrExt as _;
        for name in [&b"/tmp/talk 1.mp4"[..], b"/tmp/caf\xe9.mp4", b"/tmp/100%25 \xff.mp4", b"clip.mp4"] {
            let path = Path::new(std::ffi::OsStr::from_bytes(name));
            assert_eq!(path_of(&text_of(path)), path);
        }
        assert_eq!(text_of(Path::new("clip.mp4")), "clip.mp4");
    }
}
