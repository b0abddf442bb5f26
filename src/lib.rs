//! Vidgist turns video and sound into text.

pub mod error;
pub mod limits;
pub mod media;
pub mod message;
pub mod model;
pub mod service;
pub mod time;
pub mod timeline;
pub mod transcribe;
pub mod transcript;

pub use error::{Error, Result};
