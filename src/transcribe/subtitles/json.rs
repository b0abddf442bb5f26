//! Transcripts in JSON: of `YouTube` (JSON3), of Whisper's programs and servers, and of vidgist itself.

use serde::Deserialize;

use super::cues::Cues;
use super::plain;
use super::whisper_json::{Chunk, CppSegment, Entry, segments_of_chunks, segments_of_cpp, segments_of_entries};
use super::youtube::{self, CaptionEvent};
use crate::language;

/// The keys of all kinds; the one that is present tells the kind.
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

/// # Errors
/// A phrase if it is not a transcript.
pub(super) fn parse(text: &str) -> Result<Cues, String> {
    let document = match read(text) {
        // Python writes numbers that JSON does not have.
        Err(_) if text.contains("NaN") || text.contains("Infinity") => {
            read(&text.replace("-Infinity", "null").replace("Infinity", "null").replace("NaN", "null"))
        }
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
