//! The result of a run, written as Markdown or as JSON.

pub mod caption;
mod document;
pub mod estimate;
pub mod json;
pub mod markdown;
mod safe_json;
pub mod sound;
pub mod subtitles;
pub mod transcript;
mod version;
mod windows;
pub mod write;

use serde::{Deserialize, Serialize};

pub use self::document::{
    Dropped, MadeWith, Missing, Report, ReportFrame, SamplingSummary, StageTime, Status, TranscriptOutcome,
};
pub use self::json::SCHEMA_VERSION;
pub use self::windows::{Total, WindowReport};
use crate::error::Result;

/// The output formats of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    #[default]
    Markdown,
    /// For programs: the document of `docs/output.md`.
    Json,
}

/// The report as text that is safe to print on a terminal.
///
/// # Errors
/// [`ErrorKind::Io`](crate::ErrorKind::Io) if the JSON writer fails.
pub fn render(report: &Report, format: Format) -> Result<String> {
    match format {
        Format::Markdown => Ok(markdown::render(report)),
        Format::Json => json::render(report),
    }
}
