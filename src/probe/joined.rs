//! The facts of a recording in several files: each on the clock that all share.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::input::shown_name;
use crate::media::{MediaChapter, MediaInfo, MediaPart};
use crate::time::{TimeBase, Timestamp};

/// Each part starts where the one before it ends, by the length of its longest stream. A part that cannot be opened is
/// left out, and is damage.
pub(super) fn joined(name: &str, paths: &[PathBuf], probe: impl Fn(&Path) -> Result<MediaInfo>) -> Result<MediaInfo> {
    let mut parts: Vec<MediaPart> = Vec::new();
    let mut damage = Vec::new();
    let mut offset = Timestamp::ZERO;
    let mut first_error = None;
    for (at, path) in paths.iter().enumerate() {
        let is_last = at + 1 == paths.len();
        let media = match probe(path) {
            Ok(media) => media,
            Err(error) => {
                let later = if is_last { "" } else { ", and the times after it are earlier by its length" };
                damage.push(format!("{}: {}; it is left out{later}", error.input, error.problem));
                first_error = first_error.or(Some(error));
                continue;
            }
        };
        if let Some(first) = parts.first() {
            check(&first.media, &media)?;
        }
        damage.extend(media.damage.iter().map(|why| format!("{}: {why}", media.input)));
        let length = length(&media);
        parts.push(MediaPart::new(path.clone(), offset, media));
        match length {
            Some(length) => offset = offset.plus(length),
            None if is_last => {}
            None => {
                let problem = "states no length, so what follows it has no time";
                return Err(Error::unsupported(
                    shown_name(path),
                    problem,
                    "copy it with: ffmpeg -i IN -c copy OUT.mkv",
                ));
            }
        }
    }
    let Some(first) = parts.first().map(|part| part.media.clone()) else {
        return Err(first_error.unwrap_or_else(|| Error::usage(name, "has no parts", "name media files")));
    };
    let chapters = parts.iter().flat_map(|part| {
        part.media.chapters.iter().map(|chapter| MediaChapter {
            start: chapter.start.plus(part.offset),
            end: chapter.end.plus(part.offset),
            ..chapter.clone()
        })
    });
    let is_whole = parts.last().is_some_and(|part| length(&part.media).is_some());
    Ok(MediaInfo {
        input: name.to_owned(),
        start: Timestamp::ZERO,
        size_bytes: parts.iter().map(|part| part.media.size_bytes).sum(),
        duration: is_whole.then_some(offset),
        chapters: chapters.collect(),
        damage,
        parts,
        ..first
    })
}

/// Containers whose stated length ends where their last packet does, but begins at time 0 of their own clock, although their
/// first packet may be later: parts that keep the times of the recording.
const COUNTED_FROM_ZERO: [&str; 2] = ["mov", "matroska"];

/// From the start of the container to the end of its longest stream. The container may claim more than its streams hold, and
/// a stream may hold more than its container presents, such as the padding of an audio encoder. None if neither is stated.
fn length(media: &MediaInfo) -> Option<Timestamp> {
    let is_from_zero = COUNTED_FROM_ZERO.iter().any(|format| media.format.starts_with(format));
    let stated = media.duration.map(|end| if is_from_zero { end.minus(media.start) } else { end });
    let video = media.video.iter().filter(|video| !video.is_cover).map(|video| (video.start, video.duration));
    let audio = media.audio.iter().map(|audio| (audio.start, audio.duration));
    let mut ends = video.chain(audio).map(|(start, length)| Some(length?.plus(start?.minus(media.start))));
    let longest = ends.try_fold(Timestamp::ZERO, |longest, end| end.map(|end| longest.max(end)));
    // Containers often state their length in whole milliseconds, streams in their own ticks.
    let rounding = Timestamp::new(1, TimeBase::MILLIS);
    let is_within = |longest: &Timestamp| stated.is_none_or(|stated| stated.plus(rounding) >= *longest);
    longest.filter(is_within).or(stated).filter(|length| *length > Timestamp::ZERO)
}

/// Sizes, codecs and rates may differ, since each part is decoded on its own. What one has and the other lacks may not.
fn check(first: &MediaInfo, part: &MediaInfo) -> Result<()> {
    let kinds =
        |media: &MediaInfo| [("a video", media.main_video().is_some()), ("an audio", media.main_audio().is_some())];
    let differs = kinds(first).into_iter().zip(kinds(part)).find(|((_, before), (_, now))| before != now);
    let Some((_, (kind, is_there))) = differs else { return Ok(()) };
    let what = if is_there { kind } else { kind.split_once(' ').map_or(kind, |(_, name)| name) };
    let problem = format!("has {}{what} stream, unlike {}", if is_there { "" } else { "no " }, first.input);
    Err(Error::unsupported(&part.input, format!("cannot be joined: {problem}"), "leave it out, or read it alone"))
}
