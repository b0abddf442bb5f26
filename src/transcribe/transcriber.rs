//! What every source of a transcript provides.

use std::path::Path;

use futures_util::future::BoxFuture;

use crate::advice::Advice;
use crate::error::{Error, Result};
use crate::media::{AudioStream, MediaInfo};
use crate::time::Timestamp;
use crate::transcript::Transcript;

/// The result of one transcriber.
#[derive(Clone, Debug)]
pub enum TranscriptionOutcome {
    /// A transcript on the shared clock. If it has no segment, the audio was transcribed and contains no speech.
    Found(Transcript),
    /// This transcriber does not apply to the file; try the next one.
    None {
        /// Why, as a phrase: `no subtitles were found`.
        reason: String,
    },
}

/// Receives the time on the shared clock up to which the audio has been transcribed.
pub type ProgressCallback<'a> = &'a (dyn Fn(Timestamp) + Send + Sync);

/// A source of transcripts.
pub trait Transcriber: Send + Sync {
    /// Transcribes the file at `path`, which `media` describes. Dropping the future stops the work.
    ///
    /// # Errors
    /// Those of the implementation. A transcript that exists but cannot be read is an error, not
    /// [`TranscriptionOutcome::None`].
    fn transcribe<'a>(
        &'a self,
        path: &'a Path,
        media: &'a MediaInfo,
        on_progress: ProgressCallback<'a>,
    ) -> BoxFuture<'a, Result<TranscriptionOutcome>>;

    /// Whether audio leaves this machine. A dry run skips such a transcriber.
    fn is_remote(&self) -> bool {
        false
    }
}

/// The audio stream to transcribe: the one with index `stream_idx` among all streams of the container, or the main one
/// if that is None. None if the file has no audio.
///
/// # Errors
/// [`ErrorKind::Usage`](crate::ErrorKind::Usage) if `stream_idx` is not an audio stream.
pub(super) fn select_audio_stream<'a>(
    media: &'a MediaInfo,
    path: &Path,
    stream_idx: Option<usize>,
) -> Result<Option<&'a AudioStream>> {
    let Some(idx) = stream_idx else { return Ok(media.main_audio()) };
    let found = media.audio.iter().find(|stream| stream.stream_idx == idx);
    found.map(Some).ok_or_else(|| {
        let problem = format!("stream {idx} is not an audio stream");
        Error::usage(path.display(), problem, Advice::Run("probe".into()))
    })
}
