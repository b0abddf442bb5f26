//! Where the words come from: subtitle files and streams, Whisper on this machine, or a transcription endpoint.

pub mod api;
pub mod subtitles;
pub mod whisper;

use std::path::Path;

use futures_util::future::BoxFuture;

use crate::error::{Error, Result};
use crate::media::{AudioStream, MediaInfo};
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

/// The audio stream to hear: the one with that index among all streams of the container, else the main one; None where
/// the file has no sound.
fn stream_to_hear<'a>(media: &'a MediaInfo, path: &Path, stream_idx: Option<usize>) -> Result<Option<&'a AudioStream>> {
    let Some(idx) = stream_idx else { return Ok(media.main_audio()) };
    let found = media.audio.iter().find(|stream| stream.stream_idx == idx);
    found.map(Some).ok_or_else(|| {
        Error::usage(path.display(), format!("stream {idx} is not an audio stream"), "vidgist probe lists them")
    })
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
