//! The report as one JSON document; `docs/output.md` says what each key means.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use super::{
    MadeWith, Missing, Report, ReportFrame, SCHEMA_VERSION, SamplingSummary, StageTime, Status, Total,
    TranscriptOutcome, WindowReport,
};
use crate::chat::ChatResponse;
use crate::chat::ModelDescription;
use crate::error::{Error, Result};
use crate::media::MediaInfo;
use crate::sanitize::{is_unseen, shown_input};

#[derive(Serialize)]
struct Document<'a> {
    schema_version: u32,
    status: Status,
    media: MediaInfo,
    sampling: &'a SamplingSummary,
    words_before_frames: Option<&'a str>,
    frames: &'a [ReportFrame],
    contact_sheets: &'a [String],
    transcript: &'a TranscriptOutcome,
    model: Option<&'a ModelDescription>,
    answer: Option<&'a ChatResponse>,
    windows: &'a [WindowReport],
    total: Option<&'a Total>,
    changes: &'a [String],
    missing: Vec<Missing>,
    timings: &'a [StageTime],
    made_with: &'a MadeWith,
}

/// The document, indented, with a line end behind it.
///
/// # Errors
/// [`ErrorKind::Io`](crate::ErrorKind::Io) where the JSON writer fails.
pub fn render(report: &Report) -> Result<String> {
    let document = Document {
        schema_version: SCHEMA_VERSION,
        status: report.status(),
        media: MediaInfo { input: shown_input(&report.media.input), ..report.media.clone() },
        sampling: &report.sampling,
        words_before_frames: report.words_before_frames.as_deref(),
        frames: &report.frames,
        contact_sheets: &report.contact_sheets,
        transcript: &report.transcript,
        model: report.model.as_ref(),
        answer: report.answer.as_ref(),
        windows: &report.windows,
        total: report.total.as_ref(),
        changes: &report.changes,
        missing: report.gaps(),
        timings: &report.timings,
        made_with: &report.made_with,
    };
    to_text(&document)
}

/// Any value as indented JSON that is safe to print: characters that a terminal obeys or the eye does not see are
/// escaped, which changes no string's value.
///
/// # Errors
/// [`ErrorKind::Io`](crate::ErrorKind::Io) where the JSON writer fails.
pub fn to_text(value: &impl Serialize) -> Result<String> {
    let text = serde_json::to_string_pretty(value).map_err(|source| Error::io(Path::new("JSON"), source.into()))?;
    Ok(escaped(&text))
}

/// The same on one line, for JSON Lines.
///
/// # Errors
/// As [`to_text`].
pub fn to_line(value: &impl Serialize) -> Result<String> {
    let text = serde_json::to_string(value).map_err(|source| Error::io(Path::new("JSON"), source.into()))?;
    Ok(escaped(&text))
}

/// The document with what a terminal would obey as escapes, and a line end behind it.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        // Line ends are the document's own: those of strings are escaped already, as is all below U+0020.
        if c != '\n' && is_unseen(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String does not fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaping_keeps_the_value() {
        let hostile = "a\u{1b}[2J\u{9b}1m\u{202e}b\u{e0041}\u{7f}\"\\\n\u{2028}é👩\u{200d}🚀";
        let text = to_text(&[hostile]).unwrap();
        assert!(!text.chars().any(|c| c != '\n' && is_unseen(c)), "{text:?}");
        assert!(text.contains("é👩\u{200d}🚀") && text.contains("\\udb40\\udc41"), "{text}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&text).unwrap(), [hostile]);
    }
}
