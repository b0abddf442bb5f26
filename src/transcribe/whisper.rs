//! Speech recognition on this machine: OpenAI's Whisper, run by whisper.cpp.
//!
//! ```text
//! audio -> speech probabilities -> chunks -> one decoder per core -> phrases checked against the speech -> transcript
//! ```
//!
//! Silero's voice activity model finds the speech. Only speech is transcribed, each chunk on its own; speech that no
//! phrase covers is transcribed again. Memory holds a few chunks of 30 s, whatever the length of the recording. Each
//! decoder uses one thread: several chunks in parallel are faster than several threads on one chunk.
//!
//! Without the cargo feature `whisper`, [`Whisper::new`] fails with
//! [`ErrorCode::Unsupported`](crate::ErrorCode::Unsupported), and whisper.cpp is not built.

mod config;
pub mod models;

#[cfg(feature = "whisper")]
mod channels;
#[cfg(feature = "whisper")]
mod chunk_finder;
#[cfg(feature = "whisper")]
mod chunk_task;
#[cfg(feature = "whisper")]
mod chunking;
#[cfg(feature = "whisper")]
mod decoder;
#[cfg(feature = "whisper")]
mod file;
#[cfg(feature = "whisper")]
mod invented;
#[cfg(feature = "whisper")]
mod language_search;
#[cfg(feature = "whisper")]
mod language_vote;
#[cfg(all(feature = "whisper", target_arch = "x86_64"))]
mod matrix_product;
#[cfg(feature = "whisper")]
mod model_path;
#[cfg(feature = "whisper")]
mod postprocess;
#[cfg(feature = "whisper")]
mod run;
#[cfg(feature = "whisper")]
mod speech_track;
#[cfg(feature = "whisper")]
mod spoken_language;
#[cfg(feature = "whisper")]
mod transcriber;
#[cfg(feature = "whisper")]
mod vad;

#[cfg(not(feature = "whisper"))]
mod unavailable;

pub use config::WhisperConfig;
#[cfg(feature = "whisper")]
pub use transcriber::Whisper;
#[cfg(not(feature = "whisper"))]
pub use unavailable::UnavailableWhisper as Whisper;

/// Whether this build contains Whisper (the cargo feature `whisper`).
pub const IS_AVAILABLE: bool = cfg!(feature = "whisper");
