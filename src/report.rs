//! The result of a run, written as Markdown, as JSON or as a page of HTML.

pub mod caption;
pub mod chapters;
mod cited;
mod document;
pub mod estimate;
pub(crate) mod facts;
mod footnotes;
pub mod json;
mod look;
pub mod markdown;
pub mod page;
mod safe_json;
#[cfg(feature = "schema")]
pub mod schema;
mod sentence_finder;
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
pub use self::look::LookReport;
pub use self::page::PageOptions;
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
    /// For a browser: one page, which needs no other file. Of summaries alone.
    Html,
}

/// The report as text that is safe to print on a terminal.
///
/// A page shows the pictures of frames that are in files. [`Report::page`] has them inside, where the run was asked for it.
///
/// # Errors
/// [`ErrorKind::Io`](crate::ErrorKind::Io) if the JSON writer fails.
pub fn render(report: &Report, format: Format) -> Result<String> {
    match format {
        Format::Markdown => Ok(markdown::render(report)),
        Format::Json => json::render(report),
        Format::Html => Ok(report.page.clone().unwrap_or_else(|| page::render(report, &[], None))),
    }
}
