//! Transcripts from subtitles: a file that the user names, one beside the media, or a text stream inside it.

mod ass;
mod cues;
mod embedded;
mod encoding;
mod json;
mod lrc;
mod markup;
mod microdvd;
mod parse;
mod plain;
mod rolling;
mod sbv;
mod sidecar;
mod srt;
mod timing;
mod ttml;
mod ttml_clock;
mod vtt;
mod whisper_json;
mod xml;
mod youtube;

use std::path::{Path, PathBuf};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::transcriber::{ProgressCallback, Transcriber, TranscriberNeed, TranscriptionInput, TranscriptionOutcome};
use crate::blocking::run_blocking;
use crate::error::{Error, ErrorKind, Result};
use crate::language;
use crate::limits::Limits;
use crate::media::{MediaInfo, MediaPart};
use crate::time::{TimeBounds, TimeRange};
use crate::transcript::{Transcript, TranscriptSource};

pub use cues::Cues;
pub use embedded::unread_reason;
pub use encoding::SubtitleEncoding;
pub use parse::{ReadOptions, parse, read_file};
pub use sidecar::{Sidecar, find_sidecars};

/// Reads the transcript from subtitles: the explicit file, otherwise one beside the media, otherwise a stream inside it.
#[derive(Clone, Debug, Default)]
pub struct Subtitles {
    /// A subtitle file that the user names; no other source is then considered.
    pub explicit: Option<PathBuf>,
    /// The preferred language (`en`, `eng`, `en-US`); None takes the default.
    pub language: Option<String>,
    /// The encoding of subtitle files; None detects it.
    pub encoding: Option<SubtitleEncoding>,
    /// How much is read at most.
    pub limits: Limits,
}

impl Transcriber for Subtitles {
    /// # Errors
    /// The explicit file is missing or contains no cue; a file or stream cannot be read or exceeds the limit.
    fn transcribe<'a>(
        &'a self,
        input: TranscriptionInput<'a>,
        _: ProgressCallback<'a>,
    ) -> BoxFuture<'a, Result<TranscriptionOutcome>> {
        let (this, path, media) = (self.clone(), input.path.to_owned(), input.media.clone());
        let bounds = input.bounds;
        run_blocking(move || {
            let mut found = this.read(&path, &media)?;
            if let Some(transcript) = &mut found {
                if bounds != TimeBounds::default() && !transcript.untimed.is_empty() {
                    tracing::warn!(
                        "{}: the transcript has no times, so all of it is used for the range",
                        crate::input::shown_name(&path)
                    );
                }
                transcript.segments.retain(|segment| bounds.overlaps(segment.range));
            }
            let reason = || unread_reason(&media).unwrap_or_else(|| "no subtitles were found".to_owned());
            Ok(found.map_or_else(|| TranscriptionOutcome::None { reason: reason() }, TranscriptionOutcome::Found))
        })
        .boxed()
    }

    fn need(&self) -> TranscriberNeed {
        match self.explicit {
            Some(_) => TranscriberNeed::Nothing,
            None => TranscriberNeed::Captions { language: self.language.clone() },
        }
    }
}

impl Subtitles {
    /// The blocking form of [`Transcriber::transcribe`]; None if there are no subtitles.
    ///
    /// # Errors
    /// Those of [`Transcriber::transcribe`].
    pub fn read(&self, path: &Path, media: &MediaInfo) -> Result<Option<Transcript>> {
        if self.explicit.is_none() && !media.parts.is_empty() {
            return self.read_joined(media);
        }
        let frame_rate = media.main_video().and_then(|video| video.frame_rate);
        let preferred = self.language.as_deref();
        let read = |file: &Path, language: Option<&str>| {
            read_file(file, &ReadOptions { encoding: self.encoding, language, frame_rate }, &self.limits)
        };
        if let Some(file) = &self.explicit {
            let cues = read(file, preferred)?;
            if cues.segments.is_empty() && cues.untimed.is_empty() {
                let damage = cues.damage.map(|damage| format!(": {damage}")).unwrap_or_default();
                let problem = format!("contains no readable subtitle{damage}");
                return Err(Error::malformed(file.display(), problem, parse::FORMATS));
            }
            return Ok(Some(cues.into_transcript(file, None)));
        }
        let stream = embedded::choose(media, preferred);
        let is_preferred = |tag: Option<&str>| preferred.zip(tag).is_some_and(|(a, b)| language::is_same(a, b));
        for sidecar in find_sidecars(path, preferred) {
            let tag = sidecar.language.as_deref();
            let is_other = preferred.is_some() && tag.is_some() && !is_preferred(tag);
            if is_other && stream.is_some_and(|s| is_preferred(s.language.as_deref())) {
                break;
            }
            match read(&sidecar.path, tag) {
                Ok(cues) if !cues.segments.is_empty() => {
                    return Ok(Some(cues.into_transcript(&sidecar.path, sidecar.language)));
                }
                Err(error) if sidecar.is_certain() && error.kind != ErrorKind::Malformed => return Err(error),
                outcome => {
                    let damage = outcome.map_or_else(|error| Some(error.problem), |cues| cues.damage);
                    let problem = damage.unwrap_or_else(|| "contains no readable subtitle".to_owned());
                    let text = format!("{}: skipped: {problem}", sidecar.path.display());
                    if sidecar.is_certain() { tracing::warn!("{text}") } else { tracing::info!("{text}") }
                }
            }
        }
        let Some(stream) = stream else {
            if let Some(reason) = unread_reason(media) {
                tracing::info!("{}: {reason}", media.input);
            }
            return Ok(None);
        };
        let cues = embedded::read(path, media, stream, self.encoding, &self.limits)?;
        cues.warn(&media.input);
        let source = TranscriptSource::Embedded { stream_idx: stream.stream_idx, codec: stream.codec.clone() };
        let language = stream.language.clone();
        Ok((!cues.segments.is_empty()).then(|| Transcript::new(source, language, cues.segments)))
    }

    /// The subtitles of each file of a joined recording, on the clock of the whole; None unless all files have some.
    fn read_joined(&self, media: &MediaInfo) -> Result<Option<Transcript>> {
        let read = |part: &MediaPart| self.read(&part.path, &part.media);
        let found = media.parts.iter().map(read).collect::<Result<Vec<_>>>()?;
        if let Some(without) = found.iter().position(Option::is_none) {
            if found.iter().any(Option::is_some) {
                let name = &media.parts[without].media.input;
                tracing::warn!("{name}: has no subtitles, so those of the other files are not used");
            }
            return Ok(None);
        }
        let mut whole: Option<Transcript> = None;
        for (part, transcript) in media.parts.iter().zip(found.into_iter().flatten()) {
            let moved = transcript.segments.into_iter().map(|mut segment| {
                let later =
                    |range: TimeRange| TimeRange::new(range.start.plus(part.offset), range.end.plus(part.offset));
                segment.range = later(segment.range);
                segment.words.iter_mut().for_each(|word| word.range = later(word.range));
                segment
            });
            match &mut whole {
                Some(whole) => whole.segments.extend(moved),
                None => {
                    whole =
                        Some(Transcript::new(transcript.source.clone(), transcript.language.clone(), moved.collect()));
                }
            }
        }
        if let Some(whole) = &mut whole {
            whole.segments.sort_by_key(|segment| segment.range.start);
        }
        Ok(whole)
    }
}
