//! The transcript of a file: transcribers are tried in their order until one has it.

use std::path::Path;
use std::sync::Arc;

use super::input::TrackChoice;
use super::run::Context;
use super::stored_transcript::TranscriptPlace;
use crate::error::Result;
use crate::event::Event;
use crate::media::MediaInfo;
use crate::time::TimeBounds;
use crate::transcribe::{Transcriber, TranscriberNeed, TranscriptionInput, TranscriptionOutcome};
use crate::transcript::Transcript;

/// Where a transcript may come from.
#[derive(Clone, Default)]
pub struct TranscriptSearch {
    /// Tried in this order; empty where no transcript is wanted.
    pub transcribers: Vec<Arc<dyn Transcriber>>,
    /// Which audio track.
    pub track: TrackChoice,
    /// Which part of the file.
    pub bounds: TimeBounds,
    /// Whether the failure of a transcriber fails the job; else the next one is tried, and the failure is reported.
    pub is_required: bool,
}

impl TranscriptSearch {
    /// Whether a transcriber needs the audio itself.
    pub(super) fn needs_audio(&self) -> bool {
        self.transcribers.iter().any(|transcriber| transcriber.need() == TranscriberNeed::Audio)
    }
}

/// What the search for a transcript found.
#[derive(Default)]
pub(super) struct FoundTranscript {
    /// None where no transcriber had one. Without segments: no speech was detected.
    pub transcript: Option<Transcript>,
    /// Why there is none, as a phrase; empty where there is one.
    pub reason: String,
    /// What failed on the way, and why.
    pub problems: Vec<(String, String)>,
}

/// Tries each transcriber until one has the transcript. `path` is None for a source without sound. `captions` are those of
/// a site, which were downloaded because a transcriber takes them. In a dry run transcribers that send sound to a server
/// are left out.
/// A transcript that the store holds is not made again.
///
/// # Errors
/// As the first transcriber that fails, where a transcript is required.
pub(super) async fn find_transcript(
    options: &TranscriptSearch,
    path: Option<&Path>,
    captions: Option<&Transcript>,
    info: &MediaInfo,
    context: &Context,
    is_dry: bool,
) -> Result<FoundTranscript> {
    let mut found = FoundTranscript::default();
    if let Some(captions) = captions {
        let mut transcript = captions.clone();
        transcript.segments.retain(|segment| options.bounds.overlaps(segment.range));
        found.transcript = Some(transcript);
        return Ok(found);
    }
    let Some(path) = path.filter(|_| !options.transcribers.is_empty()) else {
        let reason = if options.transcribers.is_empty() { "none was requested" } else { "the source has no audio" };
        reason.clone_into(&mut found.reason);
        return Ok(found);
    };
    // A file without audio may have subtitles.
    let is_chosen = options.track.is_set() && !info.audio.is_empty();
    let stream_idx = if is_chosen { Some(options.track.choose(info)?.stream_idx) } else { None };
    let input = TranscriptionInput { path, media: info, stream_idx, bounds: options.bounds };
    let events = &context.events;
    events.send(Event::Transcribing).await;
    // A slow reader of events misses one of these, not a result.
    let progress = |until| events.try_send(Event::Transcribed { until });
    let mut reasons: Vec<String> = Vec::new();
    for transcriber in &options.transcribers {
        let place = TranscriptPlace::of(transcriber, input, &context.store).await;
        let stored = match &place {
            Some(place) => place.read().await,
            None => None,
        };
        if stored.is_none() && is_dry && transcriber.is_remote() {
            reasons.push("a dry run sends nothing to the transcription endpoint, so its words are not counted".into());
            continue;
        }
        let outcome = match stored {
            Some(transcript) => Ok(TranscriptionOutcome::Found(transcript)),
            None => transcriber.transcribe(input, &progress).await,
        };
        match outcome {
            Ok(TranscriptionOutcome::Found(transcript)) => {
                if let Some(place) = place.filter(|_| !transcript.from_store) {
                    place.keep(&transcript).await;
                }
                for message in transcript.warnings() {
                    events.send(Event::warning(&info.input, message)).await;
                }
                found.transcript = Some(transcript);
                return Ok(found);
            }
            Ok(TranscriptionOutcome::None { reason }) => reasons.push(reason),
            Err(error) if options.is_required => return Err(error),
            Err(error) => found.problems.push(("the transcript".to_owned(), error.to_string())),
        }
    }
    found.reason = reasons.join(", and ");
    Ok(found)
}
