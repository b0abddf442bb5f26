//! What the results of an input are stored under: its content.

use std::path::{Path, PathBuf};

use crate::blocking::run_blocking;
use crate::error::Result;
use crate::input::text_of;
use crate::media::MediaInfo;
use crate::store::{ContentId, FileContent, Origin, Store, StoreAccess};

/// The content of an input, and where it was met.
#[derive(Clone, Debug)]
pub(super) struct InputIdentity {
    pub content: ContentId,
    pub origin: Origin,
    /// The files of the recording, as they were when they were identified.
    files: Vec<(PathBuf, FileContent)>,
}

impl InputIdentity {
    /// Reads the file at `path`, or all files of a joined recording, unless the store remembers them. Blocks.
    ///
    /// # Errors
    /// As [`Store::content`].
    pub fn of(store: &Store, path: &Path, media: &MediaInfo) -> Result<Self> {
        let mut origin = Origin { seen: media.input.clone(), title: media.title.clone(), n_bytes: media.size_bytes };
        // Not that of standard input or of a download.
        if origin.seen == path.display().to_string() {
            origin.seen = std::path::absolute(path).map_or(origin.seen, |path| text_of(&path));
        }
        let content_of = |path: &Path| store.content(path).map(|content| (path.to_owned(), content));
        let (content, files) = if media.parts.is_empty() {
            let file = content_of(path)?;
            (file.1.id.clone(), vec![file])
        } else {
            let files: Vec<_> = media.parts.iter().map(|part| content_of(&part.path)).collect::<Result<_>>()?;
            let ids: Vec<ContentId> = files.iter().map(|(_, content)| content.id.clone()).collect();
            (ContentId::of_parts(&ids), files)
        };
        store.meet(&content, &origin.seen);
        Ok(Self { content, origin, files })
    }

    /// As [`InputIdentity::of`]; None without a store, and for inputs without a file. A failure is a warning in the log.
    pub async fn find(store: &StoreAccess, path: Option<&Path>, media: &MediaInfo) -> Option<Self> {
        let (path, store, media) = (path?.to_owned(), store.clone(), media.clone());
        let identify = move || store.open().map(|opened| Self::of(opened, &path, &media)).transpose();
        run_blocking(identify).await.unwrap_or_else(|error| {
            tracing::warn!("{error}; results are not stored");
            None
        })
    }

    /// The first file that has changed since it was identified.
    pub fn changed(&self) -> Option<&Path> {
        self.files.iter().find(|(path, content)| !content.is_still_in(path)).map(|(path, _)| path.as_path())
    }
}
