//! Words from subtitles: a file that the user names, one beside the media, or a text stream inside it.

mod ass;
mod embedded;
mod encoding;
mod markup;
mod rolling;
mod sidecar;
mod srt;
mod vtt;

use std::io::Read;
use std::path::{Path, PathBuf};

use futures_util::future::BoxFuture;

use super::{Heard, Transcriber, Words};
use crate::error::{Error, Result};
use crate::language;
use crate::limits::Limits;
use crate::media::MediaInfo;
use crate::time::{TimeRange, Timestamp};
use crate::transcript::{Segment, Transcript, TranscriptSource};

pub use embedded::unread_reason;
pub use sidecar::{Sidecar, find_sidecar};

/// Takes the words from subtitles: the named file, else one beside the media, else a stream inside it.
#[derive(Clone, Debug, Default)]
pub struct Subtitles {
    /// A subtitle file that the user names: then nothing else is looked at.
    pub explicit: Option<PathBuf>,
    /// The language that is preferred where there is a choice (`en`, `eng`, `en-US`); None takes the default.
    pub language: Option<String>,
    /// What is read at most.
    pub limits: Limits,
}

impl Transcriber for Subtitles {
    /// # Errors
    /// A named file that is missing or holds no cue; a file or stream that cannot be read or is over the limit.
    fn transcribe<'a>(&'a self, path: &'a Path, media: &'a MediaInfo, _: Heard<'a>) -> BoxFuture<'a, Result<Words>> {
        let (this, path, media) = (self.clone(), path.to_owned(), media.clone());
        Box::pin(async move {
            let name = path.display().to_string();
            let none = || embedded::unread_reason(&media).unwrap_or_else(|| "no subtitles were found".to_owned());
            let found = tokio::task::spawn_blocking({
                let media = media.clone();
                move || this.read(&path, &media)
            });
            let found = found.await.unwrap_or_else(|e| {
                Err(Error::malformed(name, "its subtitles made the reader fail in itself", "").because(e))
            })?;
            Ok(found.map_or_else(|| Words::None { reason: none() }, Words::Found))
        })
    }
}

impl Subtitles {
    /// The same as [`Transcriber::transcribe`], blocking.
    ///
    /// # Errors
    /// As there.
    pub fn read(&self, path: &Path, media: &MediaInfo) -> Result<Option<Transcript>> {
        if let Some(file) = &self.explicit {
            let cues = read_file(file, &self.limits)?;
            if cues.segments.is_empty() {
                let advice = "name an SRT, WebVTT or ASS file";
                return Err(Error::malformed(file.display(), "holds no subtitle that can be read", advice));
            }
            return Ok(Some(cues.into_transcript(file, None)));
        }
        let wanted = self.language.as_deref();
        let stream = embedded::choose(media, wanted);
        let speaks = |tag: Option<&str>| wanted.zip(tag).is_some_and(|(wanted, tag)| language::is_same(wanted, tag));
        if let Some(sidecar) = find_sidecar(path, wanted) {
            let is_foreign = wanted.is_some() && sidecar.language.is_some() && !speaks(sidecar.language.as_deref());
            let better_inside = is_foreign && stream.is_some_and(|s| speaks(s.language.as_deref()));
            if !better_inside {
                let cues = read_file(&sidecar.path, &self.limits)?;
                if !cues.segments.is_empty() {
                    return Ok(Some(cues.into_transcript(&sidecar.path, sidecar.language)));
                }
                tracing::warn!("{}: holds no subtitle that can be read, passed over", sidecar.path.display());
            }
        }
        let Some(stream) = stream else {
            if let Some(reason) = unread_reason(media) {
                tracing::info!("{}: {reason}", media.input);
            }
            return Ok(None);
        };
        let cues = embedded::read(path, media, stream, &self.limits)?;
        cues.report(&media.input);
        Ok((!cues.segments.is_empty()).then(|| Transcript {
            source: TranscriptSource::Embedded { stream_idx: stream.stream_idx, codec: stream.codec.clone() },
            language: stream.language.clone(),
            segments: cues.segments,
        }))
    }
}

/// What a subtitle file or stream holds.
#[derive(Clone, Debug, Default)]
pub struct Cues {
    /// The cues, sorted by start, plain text; those without text left out.
    pub segments: Vec<Segment>,
    /// The language that the file itself names.
    pub language: Option<String>,
    /// Cues left out because their times are negative, reversed or senseless.
    pub n_dropped: usize,
}

impl Cues {
    fn into_transcript(self, path: &Path, tag: Option<String>) -> Transcript {
        let path = path.display().to_string();
        self.report(&path);
        let source = TranscriptSource::Sidecar { path };
        Transcript { source, language: tag.or(self.language), segments: self.segments }
    }

    fn report(&self, name: &str) {
        if self.n_dropped > 0 {
            tracing::warn!("{name}: {} subtitles with senseless times are left out", self.n_dropped);
        }
    }

    /// Adds a cue, one segment for each voice; senseless times are counted instead.
    fn push(&mut self, timing: Timing, voices: Vec<markup::Voice>) {
        match timing {
            Timing::At(start, end) => self.push_at(Timestamp::from_millis(start), Timestamp::from_millis(end), voices),
            Timing::Senseless => self.n_dropped += 1,
        }
    }

    fn push_at(&mut self, start: Timestamp, end: Timestamp, voices: Vec<markup::Voice>) {
        if start.is_negative() || end < start {
            self.n_dropped += 1;
            return;
        }
        for voice in voices {
            let mut segment = Segment::new(TimeRange::new(start, end), voice.text);
            segment.speaker = voice.speaker;
            self.segments.push(segment);
        }
    }

    /// Sorts, makes one of cues that say the same again without a pause, and takes out what rolling cues repeat.
    fn tidy(mut self) -> Self {
        self.segments.sort_by_key(|s| s.range.start);
        self.segments.dedup_by(|later, kept| {
            let is_same =
                later.text == kept.text && later.speaker == kept.speaker && later.range.start <= kept.range.end;
            if is_same {
                kept.range.end = kept.range.end.max(later.range.end);
            }
            is_same
        });
        rolling::unroll(&mut self.segments);
        self
    }
}

/// Reads a subtitle file: SRT, WebVTT or ASS, told by its content.
///
/// # Errors
/// [`ErrorKind::Io`](crate::ErrorKind::Io) where it cannot be read, [`ErrorKind::Limit`](crate::ErrorKind::Limit) where it is larger than `max_subtitle_bytes`,
/// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where it is not a file.
pub fn read_file(path: &Path, limits: &Limits) -> Result<Cues> {
    let io = |e| Error::io(path, e);
    if !std::fs::metadata(path).map_err(io)?.is_file() {
        return Err(Error::usage(path.display(), "is not a regular file", "name a subtitle file"));
    }
    let file = std::fs::File::open(path).map_err(io)?;
    let mut bytes = Vec::new();
    file.take(limits.max_subtitle_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > limits.max_subtitle_bytes {
        let problem = format!("is larger than the {} bytes that subtitles may have", limits.max_subtitle_bytes);
        return Err(Error::limit(path.display(), problem, "check that it is a subtitle file"));
    }
    Ok(parse(&bytes))
}

/// Reads the bytes of a subtitle file in any encoding; what is not a cue is passed over.
#[must_use]
pub fn parse(bytes: &[u8]) -> Cues {
    let text = encoding::decode(bytes);
    let cues = if vtt::is_vtt(&text) {
        vtt::parse(&text)
    } else if ass::is_ass(&text) {
        ass::parse(&text)
    } else {
        srt::parse(&text)
    };
    cues.tidy()
}

/// `H:MM:SS,mmm` in milliseconds: comma or dot, hours and fraction optional. None where it is no time or negative.
fn parse_time(text: &str) -> Option<i64> {
    let (clock, fraction) = text.split_once([',', '.']).unwrap_or((text, ""));
    let digits = |s: &str, most: usize| !s.is_empty() && s.len() <= most && s.bytes().all(|b| b.is_ascii_digit());
    let mut seconds: i64 = 0;
    let parts: Vec<&str> = clock.split(':').collect();
    if !(2..=3).contains(&parts.len()) {
        return None;
    }
    for (i, part) in parts.iter().enumerate() {
        let most = if i == 0 && parts.len() == 3 { 6 } else { 3 };
        if !digits(part, most) {
            return None;
        }
        let value: i64 = part.parse().ok()?;
        if i > 0 && value > 59 {
            return None;
        }
        seconds = seconds * 60 + value;
    }
    if !fraction.is_empty() && !digits(fraction, 9) {
        return None;
    }
    let millis = fraction.bytes().chain(*b"000").take(3).fold(0, |n, b| n * 10 + i64::from(b - b'0'));
    Some(seconds * 1000 + millis)
}

/// The times of a cue.
#[derive(Clone, Copy)]
enum Timing {
    /// Start and end in milliseconds.
    At(i64, i64),
    /// Written as times, but negative or no times at all.
    Senseless,
}

/// The times of a line `start --> end settings`; None where it is no such line.
fn parse_timing(line: &str) -> Option<Timing> {
    let (start, rest) = line.split_once("-->")?;
    let start = start.trim();
    if start.is_empty() || !start.bytes().all(|b| b.is_ascii_digit() || b":,.- ".contains(&b)) {
        return None;
    }
    let end = rest.split_whitespace().next().unwrap_or_default();
    Some(parse_time(start).zip(parse_time(end)).map_or(Timing::Senseless, |(start, end)| Timing::At(start, end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_every_spelling() {
        for (text, millis) in [
            ("00:00:01,500", 1500),
            ("1:02:03.25", 3_723_250),
            ("02:03.250", 123_250),
            ("100:00:00,000", 360_000_000),
            ("00:00:01", 1000),
            ("0:00:00.00", 0),
        ] {
            assert_eq!(parse_time(text), Some(millis), "{text}");
        }
        for bad in ["", "-00:00:01,000", "1", "00:61:00,000", "00:00:-1,0", "a:b:c", "00:00:01,x", "9999999:00:00,0"] {
            assert_eq!(parse_time(bad), None, "{bad}");
        }
    }

    #[test]
    fn said_twice_without_a_pause_is_said_once() {
        let srt = "1\n00:00:01,000 --> 00:00:02,000\nHello\n\n2\n00:00:02,000 --> 00:00:03,000\nHello\n\n\
                   3\n00:00:05,000 --> 00:00:06,000\nHello\n";
        let cues = parse(srt.as_bytes());
        let spans: Vec<_> = cues.segments.iter().map(|s| (s.range.start.millis(), s.range.end.millis())).collect();
        assert_eq!(spans, [(1000, 3000), (5000, 6000)]);
    }
}
