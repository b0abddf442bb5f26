//! The report as one JSON document; `docs/output.md` describes each key.

use serde::{Deserialize, Serialize};

use super::document::{MadeWith, Missing, Report, ReportFrame, SamplingSummary, StageTime, Status, TranscriptOutcome};
use super::look::LookReport;
pub use super::safe_json::{to_line, to_text};
use super::version;
use super::windows::{Total, WindowReport};
use crate::chat::{ChatResponse, ModelDescription};
use crate::error::Result;
use crate::media::MediaInfo;
use crate::record::{EventRecord, Section};
use crate::sanitize::shown_input;

/// Version of the JSON document: increased whenever a key changes its meaning or is removed.
pub const SCHEMA_VERSION: u32 = 3;

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Document<'a> {
    #[cfg_attr(feature = "schema", schemars(extend("const" = SCHEMA_VERSION)))]
    schema_version: u32,
    status: Status,
    media: MediaInfo,
    sampling: &'a SamplingSummary,
    speech_before_frames: Option<&'a str>,
    frames: &'a [ReportFrame],
    contact_sheets: &'a [String],
    transcript: &'a TranscriptOutcome,
    model: Option<&'a ModelDescription>,
    #[serde(skip_serializing_if = "Option::is_none")]
    question: Option<&'a str>,
    answer: Option<&'a ChatResponse>,
    windows: &'a [WindowReport],
    records: &'a [EventRecord],
    sections: &'a [Section],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    looks: &'a [LookReport],
    total: Option<&'a Total>,
    changes: &'a [String],
    missing: Vec<Missing>,
    timings: &'a [StageTime],
    made_with: &'a MadeWith,
}

/// The document, indented, with a trailing newline.
///
/// # Errors
/// [`ErrorKind::Io`](crate::ErrorKind::Io) if the JSON writer fails.
pub fn render(report: &Report) -> Result<String> {
    let document = Document {
        schema_version: SCHEMA_VERSION,
        status: report.status(),
        media: MediaInfo { input: shown_input(&report.media.input), ..report.media.clone() },
        sampling: &report.sampling,
        speech_before_frames: report.speech_before_frames.as_deref(),
        frames: &report.frames,
        contact_sheets: &report.contact_sheets,
        transcript: &report.transcript,
        model: report.model.as_ref(),
        question: report.question.as_deref(),
        answer: report.answer.as_ref(),
        windows: &report.windows,
        records: &report.records,
        sections: &report.sections,
        looks: &report.looks,
        total: report.total.as_ref(),
        changes: &report.changes,
        missing: report.gaps(),
        timings: &report.timings,
        made_with: &report.made_with,
    };
    to_text(&document)
}

#[derive(Deserialize)]
struct OwnedDocument {
    media: MediaInfo,
    sampling: SamplingSummary,
    speech_before_frames: Option<String>,
    frames: Vec<ReportFrame>,
    contact_sheets: Vec<String>,
    transcript: TranscriptOutcome,
    model: Option<ModelDescription>,
    question: Option<String>,
    answer: Option<ChatResponse>,
    windows: Vec<WindowReport>,
    records: Vec<EventRecord>,
    sections: Vec<Section>,
    #[serde(default)]
    looks: Vec<LookReport>,
    total: Option<Total>,
    changes: Vec<String>,
    missing: Vec<Missing>,
    timings: Vec<StageTime>,
    made_with: MadeWith,
}

/// Reads what [`render`] wrote. Rendered again, it is the same to the byte. Times have the precision of the document:
/// see [`Timestamp`](crate::time::Timestamp).
///
/// # Errors
/// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) if it is not a report, [`ErrorKind::Unsupported`](
/// crate::ErrorKind::Unsupported) if its schema version is not [`SCHEMA_VERSION`].
pub fn parse(text: &str) -> Result<Report> {
    const NAME: &str = "the report";
    version::check(NAME, text, SCHEMA_VERSION)?;
    let malformed = |error| version::malformed(NAME, error);
    let document: OwnedDocument = serde_json::from_str(text).map_err(malformed)?;
    Ok(Report {
        media: document.media,
        sampling: document.sampling,
        frames: document.frames,
        contact_sheets: document.contact_sheets,
        speech_before_frames: document.speech_before_frames,
        transcript: document.transcript,
        model: document.model,
        question: document.question,
        answer: document.answer,
        no_answer_because: None,
        windows: document.windows,
        records: document.records,
        sections: document.sections,
        looks: document.looks,
        total: document.total,
        changes: document.changes,
        forecast: None,
        page: None,
        has_requested_chapters: false,
        was_stopped: false,
        missing: document.missing,
        timings: document.timings,
        made_with: document.made_with,
    })
}
