//! Input sources as data. [`crate::source`] identifies it by content.

use std::path::PathBuf;

/// An input with images, audio or both.
#[derive(Clone, Debug)]
pub enum Source {
    /// A media container on disk.
    Media(PathBuf),
    /// One still image on disk.
    Picture(PathBuf),
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
            Self::Media(path) | Self::Picture(path) | Self::Sequence { name: path, .. } => path.display().to_string(),
            Self::Stream(url) => without_credentials(url),
            Self::Camera(number) => format!("camera:{number}"),
        }
    }

    /// Whether the source has no known end.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(self, Self::Stream(_) | Self::Camera(_))
    }
}

/// A URL without user name and password, for errors and reports.
fn without_credentials(address: &str) -> String {
    url::Url::parse(address).map_or_else(
        |_| address.to_owned(),
        |mut url| {
            let _ = url.set_username("");
            let _ = url.set_password(None);
            url.set_query(url.query().map(|_| "…"));
            url.to_string()
        },
    )
}
