//! Where the words come from: subtitle files and streams, Whisper on this machine, or a transcription endpoint.

pub mod api;
pub mod subtitles;
pub mod whisper;

use std::path::Path;

use futures_util::future::BoxFuture;

use crate::error::Result;
use crate::media::MediaInfo;
use crate::time::Timestamp;
use crate::transcript::Transcript;

/// What came of one way to get at the words.
#[derive(Clone, Debug)]
pub enum Words {
    /// The words, on the shared clock. Without a segment: somebody listened, and nobody speaks.
    Found(Transcript),
    /// This way has nothing to read or hear, so that the next is tried.
    None {
        /// Why, as a phrase: `no subtitles were found`.
        reason: String,
    },
}

/// Told, from time to time, up to where on the shared clock the sound has been heard.
pub type Heard<'a> = &'a (dyn Fn(Timestamp) + Send + Sync);

/// A way to get at the words of a file.
pub trait Transcriber: Send + Sync {
    /// The words of the file at `path`, of which the probe said `media`. Dropping the future ends the work.
    ///
    /// # Errors
    /// As each implementation says: a transcript that is there but cannot be had is an error, not [`Words::None`].
    fn transcribe<'a>(&'a self, path: &'a Path, media: &'a MediaInfo, heard: Heard<'a>)
    -> BoxFuture<'a, Result<Words>>;

    /// Whether sound leaves this machine, so that a dry run does without.
    fn is_remote(&self) -> bool {
        false
    }
}
