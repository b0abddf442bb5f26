//! What every source of a transcript provides.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::advice::Advice;
use crate::error::{Error, Result};
use crate::media::{AudioStream, MediaInfo};
use crate::time::{TimeBounds, Timestamp};
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

/// What a transcriber needs of an input that is not on this machine yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TranscriberNeed {
    /// The audio.
    Audio,
    /// Captions in place of audio.
    Captions {
        /// The language that is wanted; None takes the spoken one.
        language: Option<String>,
    },
    /// Nothing.
    Nothing,
}

/// How the channels of a stereo recording are transcribed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelMode {
    /// Apart if they hold different speakers, otherwise together.
    #[default]
    Auto,
    /// Apart; the segments are those of the speakers `left` and `right`.
    Split,
    /// Mixed into one.
    Mix,
}

/// Receives the time on the shared clock up to which the audio has been transcribed.
pub type ProgressCallback<'a> = &'a (dyn Fn(Timestamp) + Send + Sync);

/// What is transcribed.
#[derive(Clone, Copy, Debug)]
pub struct TranscriptionInput<'a> {
    /// The file.
    pub path: &'a Path,
    /// What its container holds.
    pub media: &'a MediaInfo,
    /// The audio stream, as an index among all streams of the container; None leaves the choice to the transcriber.
    pub stream_idx: Option<usize>,
    /// The range that is transcribed.
    pub bounds: TimeBounds,
}

impl<'a> TranscriptionInput<'a> {
    /// The whole file.
    #[must_use]
    pub fn new(path: &'a Path, media: &'a MediaInfo) -> Self {
        Self { path, media, stream_idx: None, bounds: TimeBounds::default() }
    }
}

/// What decides the transcript of a recording, beside its track and range: with the same settings, a later run can take
/// the transcript of an earlier one.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredSettings {
    /// The version of the transcriber, increased when it makes other transcripts of the same recordings.
    pub version: u32,
    /// The model's name.
    pub model: String,
    /// The options by name. They hold no key.
    pub options: BTreeMap<String, Value>,
    /// Files whose content decides, such as the model.
    pub files: Vec<PathBuf>,
}

/// A source of transcripts.
pub trait Transcriber: Send + Sync {
    /// Transcribes a file. Dropping the future stops the work.
    ///
    /// # Errors
    /// Those of the implementation. A transcript that exists but cannot be read is an error, not
    /// [`TranscriptionOutcome::None`].
    fn transcribe<'a>(
        &'a self,
        input: TranscriptionInput<'a>,
        on_progress: ProgressCallback<'a>,
    ) -> BoxFuture<'a, Result<TranscriptionOutcome>>;

    /// What it needs of an input that must be downloaded first.
    fn need(&self) -> TranscriberNeed {
        TranscriberNeed::Audio
    }

    /// Whether audio leaves this machine. A dry run skips such a transcriber.
    fn is_remote(&self) -> bool {
        false
    }

    /// What decides its transcripts; None if they are not worth keeping, or it does not apply.
    fn stored_settings(&self) -> Option<StoredSettings> {
        None
    }
}

/// The audio stream to transcribe: the requested one, or the main one if none is requested. None if the file has no audio.
///
/// # Errors
/// [`ErrorKind::Usage`](crate::ErrorKind::Usage) if `stream_idx` is not an audio stream.
pub(super) fn select_audio_stream(input: TranscriptionInput<'_>) -> Result<Option<&AudioStream>> {
    let Some(idx) = input.stream_idx else { return Ok(input.media.main_audio()) };
    let found = input.media.audio.iter().find(|stream| stream.stream_idx == idx);
    found.map(Some).ok_or_else(|| {
        let problem = format!("stream {idx} is not an audio stream");
        Error::usage(input.path.display(), problem, Advice::Run("probe".into()))
    })
}
