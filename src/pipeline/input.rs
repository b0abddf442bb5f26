//! Opens an input by its name.

use std::path::PathBuf;

use crate::advice::{Advice, Setting};
use crate::error::{Error, ErrorCode, Result};
use crate::input::Source;
use crate::limits::Limits;
use crate::media::{AudioStream, MediaInfo, Ratio};
use crate::probe;
use crate::time::TimeBounds;
use crate::video;

/// Reads the facts of any source. `sequence_rate` is the frame rate of an image sequence.
///
/// Files are not decoded. A stream or a camera is opened with OpenCV and closed again.
///
/// # Errors
/// As [`probe::probe`] for files and [`video::opencv::probe_live`] for streams and cameras.
pub fn probe_source(source: &Source, sequence_rate: Ratio, limits: &Limits) -> Result<MediaInfo> {
    if source.is_live() { video::opencv::probe_live(source) } else { probe::probe(source, sequence_rate, limits) }
}

/// Identifies an input. `join` has the files that continue it as one recording, or none for all files of the folder
/// `input`; None reads `input` alone.
///
/// # Errors
/// As [`Source::identify`] and [`Source::join`].
pub fn identify(input: &str, join: Option<&[String]>) -> Result<Source> {
    match join {
        None => Source::identify(input),
        Some(rest) => Source::join(&[&[input.to_owned()], rest].concat()),
    }
}

/// The inputs one by one, or all of them as one recording: each with the files that continue it.
pub(super) fn recordings(inputs: &[String], is_joined: bool) -> Vec<(&String, Option<&[String]>)> {
    match inputs {
        [first, rest @ ..] if is_joined => vec![(first, Some(rest))],
        _ => inputs.iter().map(|input| (input, None)).collect(),
    }
}

/// Identifies and probes a media file; the path of a joined recording is that of its first file. Blocks.
///
/// # Errors
/// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where the input is a picture, a stream or a camera.
pub(super) fn open_media(input: &str, join: Option<&[String]>) -> Result<(PathBuf, MediaInfo)> {
    let source = identify(input, join)?;
    let Some(path) = source.media_path() else {
        return Err(
            Error::usage(input, "is not a media file with sound", "name a media file").with_code(ErrorCode::NoAudio)
        );
    };
    let path = path.to_owned();
    let info = probe_source(&source, Ratio::ONE, &Limits::default())?;
    Ok((path, info))
}

/// Checks that a range has a length and begins before the file ends.
///
/// # Errors
/// [`ErrorKind::Usage`](crate::ErrorKind::Usage).
pub(super) fn check_bounds(bounds: TimeBounds, info: &MediaInfo) -> Result<()> {
    if let (Some(start), Some(end)) = (bounds.start, bounds.end)
        && end <= start
    {
        let problem = format!("{end} is not after the start, {start}");
        return Err(Error::setting(Setting::End, problem, Advice::Raise(Setting::End)));
    }
    if let (Some(start), Some(duration)) = (bounds.start, info.duration)
        && start >= duration
    {
        let problem = format!("{start} is not before the end of {}, {duration}", info.input);
        return Err(Error::setting(Setting::Start, problem, Advice::Lower(Setting::Start)));
    }
    Ok(())
}

/// The chosen audio stream; by default the main one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrackChoice {
    /// The number of the audio stream among the audio streams, from 1.
    pub number: Option<u16>,
    /// Its language tag.
    pub language: Option<String>,
}

impl TrackChoice {
    /// Whether the user chose one.
    pub(super) fn is_set(&self) -> bool {
        *self != Self::default()
    }

    /// The audio stream; without a choice, the main one.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) without audio,
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where the choice fits none.
    pub(super) fn choose<'a>(&self, info: &'a MediaInfo) -> Result<&'a AudioStream> {
        let Some(main) = info.main_audio() else {
            let advice = crate::advice::Advice::Run("probe".into());
            return Err(Error::unsupported(&info.input, "has no audio stream", advice).with_code(ErrorCode::NoAudio));
        };
        let found = match (self.number, &self.language) {
            (Some(number), _) => usize::from(number).checked_sub(1).and_then(|idx| info.audio.get(idx)),
            (None, Some(wanted)) => {
                let is_wanted =
                    |a: &&AudioStream| a.language.as_ref().is_some_and(|tag| crate::language::is_same(tag, wanted));
                let mut matching = info.audio.iter().filter(is_wanted);
                let first = matching.clone().next();
                matching.find(|a| a.is_default).or(first)
            }
            (None, None) => Some(main),
        };
        found.ok_or_else(|| {
            let problem = match (self.number, &self.language) {
                (Some(number), _) => format!("has no audio track {number}"),
                (_, language) => format!("has no audio track in {}", language.as_deref().unwrap_or_default()),
            };
            let tracks: Vec<String> = info.audio.iter().enumerate().map(|(idx, a)| track_name(idx, a)).collect();
            Error::usage(&info.input, problem, format!("choose among {}", tracks.join(", ")))
        })
    }
}

/// A track by its number from 1, codec and language: `2 (aac, fre)`; `idx` counts audio streams from 0.
fn track_name(idx: usize, stream: &AudioStream) -> String {
    let language = stream.language.as_ref().map(|tag| format!(", {tag}")).unwrap_or_default();
    format!("{} ({}{language})", idx + 1, stream.codec)
}
