//! Vidgist turns video and sound into text.

pub mod audio;
pub mod encode;
pub mod error;
pub mod files;
pub mod libav;
pub mod limits;
pub mod media;
pub mod message;
pub mod model;
pub mod pipeline;
pub mod plan;
pub mod probe;
pub mod prompt;
pub mod report;
pub mod service;
pub mod source;
pub mod time;
pub mod timeline;
pub mod transcribe;
pub mod transcript;
pub mod untrusted;
pub mod video;

pub use error::{Error, Result};
