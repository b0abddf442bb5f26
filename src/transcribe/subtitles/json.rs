//! Transcripts in JSON: of `YouTube` (JSON3), of Whisper's programs and servers, and of vidgist itself.

use serde::Deserialize;

use super::cues::Cues;
use super::plain;
use super::whisper_json::{Chunk, CppSegment, Entry, segments_of_chunks, segments_of_cpp, segments_of_entries};
use super::youtube::{self, CaptionEvent};
use crate::language;

/// The keys of all kinds; the kind follows from the key that is present.
#[derive(Default, Deserialize)]
#[serde(default)]
struct TranscriptJson {
    /// `YouTube`.
    events: Option<Vec<CaptionEvent>>,
    /// `OpenAI`, faster-whisper, `WhisperX`, vidgist.
    segments: Option<Vec<Entry>>,
    /// Words beside the segments, or without segments.
    words: Vec<Entry>,
    /// whisper.cpp.
    transcription: Option<Vec<CppSegment>>,
    result: Option<CppResult>,
    /// Pipelines of Hugging Face.
    chunks: Option<Vec<Chunk>>,
    text: Option<String>,
    /// A tag, or an English name.
    language: Option<String>,
}

#[derive(Deserialize)]
struct CppResult {
    language: Option<String>,
}

pub(super) fn is_json(text: &str) -> bool {
    let text = text.trim_start();
    let inner = |open: char| text.strip_prefix(open).map(str::trim_start);
    inner('{').is_some_and(|rest| rest.starts_with(['"', '}'])) || inner('[').is_some_and(|rest| rest.starts_with('{'))
}

/// The text with null for the numbers that Python writes and JSON does not have. Strings stay as they are.
fn without_python_numbers(text: &str) -> String {
    let mut is_string = false;
    let parts = text.split('"').map(|part| {
        let shown = if is_string {
            part.to_owned()
        } else {
            part.replace("-Infinity", "null").replace("Infinity", "null").replace("NaN", "null")
        };
        // An escaped quotation mark does not end a string.
        let n_backslashes = part.len() - part.trim_end_matches('\\').len();
        is_string = !is_string || n_backslashes % 2 == 1;
        shown
    });
    parts.collect::<Vec<_>>().join("\"")
}

/// # Errors
/// A phrase if it is not a transcript.
pub(super) fn parse(text: &str) -> Result<Cues, String> {
    let document = match read(text) {
        // Python writes numbers that JSON does not have.
        Err(_) if text.contains("NaN") || text.contains("Infinity") => read(&without_python_numbers(text)),
        outcome => outcome,
    };
    let document = document.map_err(|error| format!("is JSON, but not a transcript: {error}"))?;
    let declared = document.language.or(document.result.and_then(|result| result.language));
    let mut cues = if let Some(events) = document.events {
        youtube::events(events)
    } else if let Some(segments) = document.transcription {
        segments_of_cpp(segments)
    } else if let Some(chunks) = document.chunks {
        segments_of_chunks(chunks)
    } else if document.segments.is_some() || !document.words.is_empty() {
        segments_of_entries(document.segments.as_deref().unwrap_or_default(), &document.words)
    } else if let Some(text) = document.text {
        Cues { untimed: plain::paragraphs(text.as_bytes(), &text)?, ..Cues::default() }
    } else {
        return Err("is JSON, but holds neither segments, events nor a transcription".to_owned());
    };
    let code = declared.and_then(|tag| match language::two_letter_code(&tag) {
        Some(code) if !language::is_tag(&tag) => Some(code.to_owned()),
        _ => Some(tag).filter(|tag| language::is_tag(tag)),
    });
    cues.language = code;
    Ok(cues.with_ends())
}

fn read(text: &str) -> serde_json::Result<TranscriptJson> {
    if text.trim_start().starts_with('[') {
        let segments = Some(serde_json::from_str(text)?);
        return Ok(TranscriptJson { segments, ..TranscriptJson::default() });
    }
    serde_json::from_str(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_python_become_null_and_words_stay() {
        let text = r#"{"a": NaN, "b": [-Infinity, Infinity], "text": "To \"Infinity\" and NaN", "c": NaN}"#;
        let expected = r#"{"a": null, "b": [null, null], "text": "To \"Infinity\" and NaN", "c": null}"#;
        assert_eq!(without_python_numbers(text), expected);
    }
}
