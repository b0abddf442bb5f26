//! The facts of a recording in several files: each on the clock that all share.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::input::shown_name;
use crate::limits::MAX_STATED_SECONDS;
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
                let later = if is_last { "" } else { "; all later times are too early by its length" };
                damage.push(format!("{}: {}; skipped{later}", error.input, error.problem));
                first_error = first_error.or(Some(error));
                continue;
            }
        };
        if let Some(first) = parts.first() {
            check(&first.media, &media)?;
        }
        damage.extend(media.damage.iter().map(|why| format!("{}: {why}", media.input)));
        let length = length(&media);
        let is_too_long = media.duration.is_some() && length.is_none();
        parts.push(MediaPart::new(path.clone(), offset, media));
        match length {
            Some(length) => offset = offset.plus(length),
            None if is_last => {}
            None => {
                let stated = if is_too_long { "states a duration of over a day" } else { "has no stated duration" };
                let problem = format!("{stated}, so the files after it cannot be placed in time");
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
/// a stream may hold more than its container presents, such as the padding of an audio encoder. None if neither is stated, and
/// for more than a day, which would become as much silence.
fn length(media: &MediaInfo) -> Option<Timestamp> {
    let stated = stated_length(media);
    // Containers often state their length in whole milliseconds, streams in their own ticks.
    let rounding = Timestamp::new(1, TimeBase::MILLIS);
    let is_within = |longest: &Timestamp| stated.is_none_or(|stated| stated.plus(rounding) >= *longest);
    let longest = Timestamp::new(MAX_STATED_SECONDS, TimeBase::SECONDS);
    let length = longest_stream(media).filter(is_within).or(stated);
    length.filter(|length| *length > Timestamp::ZERO && *length <= longest)
}

fn stated_length(media: &MediaInfo) -> Option<Timestamp> {
    let is_from_zero = COUNTED_FROM_ZERO.iter().any(|format| media.format.starts_with(format));
    media.duration.map(|end| if is_from_zero { end.minus(media.start) } else { end })
}

/// None if the length of a stream is not stated.
fn longest_stream(media: &MediaInfo) -> Option<Timestamp> {
    let video = media.video.iter().filter(|video| !video.is_cover).map(|video| (video.start, video.duration));
    let audio = media.audio.iter().map(|audio| (audio.start, audio.duration));
    let mut ends = video.chain(audio).map(|(start, length)| Some(length?.plus(start?.minus(media.start))));
    ends.try_fold(Timestamp::ZERO, |longest, end| end.map(|end| longest.max(end)))
}

/// Sizes, codecs and rates may differ, since each part is decoded on its own. What one has and the other lacks may not.
fn check(first: &MediaInfo, part: &MediaInfo) -> Result<()> {
    let has = |media: &MediaInfo| [media.main_video().is_some(), media.main_audio().is_some()];
    let texts = [("has a video stream", "has no video stream"), ("has an audio stream", "has no audio stream")];
    let differs = has(first).into_iter().zip(has(part)).zip(texts).find(|((before, now), _)| before != now);
    let Some(((_, is_there), (with, without))) = differs else { return Ok(()) };
    let what = if is_there { with } else { without };
    let problem = format!("cannot be joined: {what}, unlike {}", first.input);
    Err(Error::unsupported(&part.input, problem, "leave it out, or read it alone"))
}
