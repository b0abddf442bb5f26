//! Speech models: the catalog, their files, and their download.
//!
//! Nothing is downloaded unless requested. A file gets its final name only after its SHA-256 has been verified.

mod catalog;
mod download;

pub use catalog::{ALL, DEFAULT, SpeechModel, VAD};
pub use download::{ModelHub, download};
