//! Where the words come from: subtitle files and streams, or a transcription endpoint.

pub mod api;
pub mod subtitles;

use std::path::Path;

use futures_util::future::BoxFuture;

use crate::error::Result;
use crate::media::MediaInfo;
use crate::transcript::Transcript;

/// A way to get at the words of a file.
pub trait Transcriber: Send + Sync {
    /// The words, on the shared clock; None where this way has none for the file, so that the next is tried.
    ///
    /// # Errors
    /// As each implementation says: a transcript that is there but cannot be had is an error, not None.
    fn transcribe<'a>(&'a self, path: &'a Path, media: &'a MediaInfo) -> BoxFuture<'a, Result<Option<Transcript>>>;
}
