//! Transcripts from subtitles: a file that the user names, one beside the media, or a text stream inside it.

mod ass;
mod cues;
mod embedded;
mod encoding;
mod markup;
mod parse;
mod rolling;
mod sidecar;
mod srt;
mod timing;
mod vtt;

use std::path::{Path, PathBuf};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::transcriber::{ProgressCallback, Transcriber, TranscriptionOutcome};
use crate::blocking::run_blocking;
use crate::error::{Error, Result};
use crate::language;
use crate::limits::Limits;
use crate::media::MediaInfo;
use crate::transcript::{Transcript, TranscriptSource};

pub use cues::Cues;
pub use embedded::unread_reason;
pub use encoding::SubtitleEncoding;
pub use parse::{ReadOptions, parse, read_file};
pub use sidecar::{Sidecar, find_sidecar};

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
        path: &'a Path,
        media: &'a MediaInfo,
        _: ProgressCallback<'a>,
    ) -> BoxFuture<'a, Result<TranscriptionOutcome>> {
        let (this, path, media) = (self.clone(), path.to_owned(), media.clone());
        run_blocking(move || {
            let found = this.read(&path, &media)?;
            let reason = || unread_reason(&media).unwrap_or_else(|| "no subtitles were found".to_owned());
            Ok(found.map_or_else(|| TranscriptionOutcome::None { reason: reason() }, TranscriptionOutcome::Found))
        })
        .boxed()
    }
}

impl Subtitles {
    fn read_options<'a>(&self, language: Option<&'a str>) -> ReadOptions<'a> {
        ReadOptions { encoding: self.encoding, language }
    }

    /// The blocking form of [`Transcriber::transcribe`]; None if there are no subtitles.
    ///
    /// # Errors
    /// Those of [`Transcriber::transcribe`].
    pub fn read(&self, path: &Path, media: &MediaInfo) -> Result<Option<Transcript>> {
        if let Some(file) = &self.explicit {
            let cues = read_file(file, &self.read_options(self.language.as_deref()), &self.limits)?;
            if cues.segments.is_empty() {
                let advice = "choose an SRT, WebVTT or ASS file";
                return Err(Error::malformed(file.display(), "contains no readable subtitle", advice));
            }
            return Ok(Some(cues.into_transcript(file, None)));
        }
        let preferred = self.language.as_deref();
        let stream = embedded::choose(media, preferred);
        let is_preferred = |tag: Option<&str>| preferred.zip(tag).is_some_and(|(a, b)| language::is_same(a, b));
        if let Some(sidecar) = find_sidecar(path, preferred) {
            let tag = sidecar.language.as_deref();
            let is_other = preferred.is_some() && tag.is_some() && !is_preferred(tag);
            let is_stream_better = is_other && stream.is_some_and(|s| is_preferred(s.language.as_deref()));
            if !is_stream_better {
                let cues = read_file(&sidecar.path, &self.read_options(tag), &self.limits)?;
                if !cues.segments.is_empty() {
                    return Ok(Some(cues.into_transcript(&sidecar.path, sidecar.language)));
                }
                tracing::warn!("{}: skipped, contains no readable subtitle", sidecar.path.display());
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
        Ok((!cues.segments.is_empty()).then(|| Transcript {
            source: TranscriptSource::Embedded { stream_idx: stream.stream_idx, codec: stream.codec.clone() },
            language: stream.language.clone(),
            segments: cues.segments,
        }))
    }
}
