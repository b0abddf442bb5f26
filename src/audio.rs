//! Audio files, measurements and plots of an audio stream.

mod file;
pub mod measure;
pub mod plot;
pub mod wav;

pub use file::{AudioSummary, FileFormat, wav_bytes, write};
