//! What comes out: files and documents made from a run's results.

pub mod subtitles;
