//! Transcripts of a file: from subtitles, from Whisper on this machine, or from a transcription endpoint.

pub mod api;
pub mod subtitles;
mod transcriber;
pub mod whisper;

pub use transcriber::{
    ChannelMode, ProgressCallback, StoredSettings, Transcriber, TranscriberNeed, TranscriptionInput,
    TranscriptionOutcome,
};
