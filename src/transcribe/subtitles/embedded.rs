//! Subtitle streams inside a container, read from their packets: text needs no decoder.

use std::cmp::Reverse;
use std::path::Path;

use super::{Cues, ass, encoding, language, markup};
use crate::error::{Error, Result};
use crate::libav::Demuxer;
use crate::limits::Limits;
use crate::media::{MediaInfo, SubtitleStream};
use crate::time::Timestamp;

/// How long a cue without a length stays, where no other follows sooner: about two lines read at leisure.
const LENGTHLESS_MILLIS: i64 = 5000;

/// The text stream to read: the wanted language, else the default, else the first; those that only translate foreign
/// passages last. None where there is no text stream.
pub(super) fn choose<'a>(media: &'a MediaInfo, wanted: Option<&str>) -> Option<&'a SubtitleStream> {
    media.subtitles.iter().filter(|s| s.is_text).max_by_key(|s| {
        let speaks = wanted.zip(s.language.as_deref()).is_some_and(|(wanted, tag)| language::is_same(wanted, tag));
        (!s.is_forced, speaks, s.is_default, Reverse(s.stream_idx))
    })
}

/// Why a container that holds subtitles gives no words: they are pictures. None where there are no subtitles, or
/// some that can be read.
#[must_use]
pub fn unread_reason(media: &MediaInfo) -> Option<String> {
    if media.subtitles.is_empty() || media.subtitles.iter().any(|s| s.is_text) {
        return None;
    }
    let mut codecs: Vec<&str> = media.subtitles.iter().map(|s| s.codec.as_str()).collect();
    codecs.sort_unstable();
    codecs.dedup();
    Some(format!("its subtitles are pictures of text ({}), which are not read", codecs.join(", ")))
}

/// All cues of one stream, on the shared clock.
///
/// # Errors
/// [`ErrorKind::Limit`](crate::ErrorKind::Limit) where its text is over the limit, and as for opening the container.
pub(super) fn read(path: &Path, media: &MediaInfo, stream: &SubtitleStream, limits: &Limits) -> Result<Cues> {
    let mut demuxer = Demuxer::open(path, limits)?;
    demuxer.keep_only(&[stream.stream_idx]);
    let base = demuxer.time_base(stream.stream_idx);
    let mut cues = Cues::default();
    let mut n_bytes = 0;
    // Cues without a length end where they begin until the next one is known.
    while let Some(packet) = demuxer.next_packet()? {
        if packet.stream_idx() != stream.stream_idx {
            continue;
        }
        n_bytes += packet.data().len() as u64;
        if n_bytes > limits.max_subtitle_bytes {
            let problem = format!("stream {} holds more than {} bytes", stream.stream_idx, limits.max_subtitle_bytes);
            return Err(Error::limit(&media.input, problem, "pass --transcript FILE"));
        }
        let voices = voices(&stream.codec, packet.data());
        if voices.is_empty() {
            continue;
        }
        let Some(pts) = packet.pts() else {
            cues.n_dropped += 1;
            continue;
        };
        let start = Timestamp::new(pts, base).minus(media.start);
        let end = start.plus(Timestamp::new(packet.duration(), base));
        // What began before playback is on the screen from its first moment.
        let start = if start.is_negative() && !end.is_negative() { Timestamp::ZERO } else { start };
        cues.push_at(start, end, voices);
    }
    cues.segments.sort_by_key(|s| s.range.start);
    close_open_ends(&mut cues);
    Ok(cues.tidy())
}

fn close_open_ends(cues: &mut Cues) {
    let mut next_start: Option<Timestamp> = None;
    for segment in cues.segments.iter_mut().rev() {
        let start = segment.range.start;
        if segment.range.end <= start {
            let latest = start.plus(Timestamp::from_millis(LENGTHLESS_MILLIS));
            segment.range.end = next_start.filter(|next| *next > start).map_or(latest, |next| next.min(latest));
        }
        if next_start.is_none_or(|next| next > start) {
            next_start = Some(start);
        }
    }
}

fn voices(codec: &str, data: &[u8]) -> Vec<markup::Voice> {
    match codec {
        "mov_text" => markup::Voice::only(None, &mov_text(data)),
        "ass" | "ssa" => ass::packet(&encoding::decode(data)),
        "webvtt" => markup::vtt(&encoding::decode(data)),
        _ => markup::srt(&encoding::decode(data)),
    }
}

/// 3GPP timed text: a length in two bytes, the text, then boxes of styles (TS 26.245, 5.17).
fn mov_text(data: &[u8]) -> String {
    let Some((head, rest)) = data.split_first_chunk::<2>() else { return String::new() };
    let length = usize::from(u16::from_be_bytes(*head)).min(rest.len());
    encoding::decode(&rest[..length])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::TimeRange;
    use crate::transcript::Segment;

    fn stream(stream_idx: usize, language: &str, is_default: bool, is_forced: bool, is_text: bool) -> SubtitleStream {
        let language = Some(language.to_owned()).filter(|l| !l.is_empty());
        SubtitleStream { stream_idx, codec: "subrip".to_owned(), is_text, language, is_default, is_forced }
    }

    fn media(subtitles: Vec<SubtitleStream>) -> MediaInfo {
        MediaInfo { subtitles, ..MediaInfo::new("talk.mkv", "matroska") }
    }

    #[test]
    fn language_then_default_then_first_and_forced_last() {
        let all = media(vec![
            stream(1, "eng", false, true, true),
            stream(2, "fra", false, false, true),
            stream(3, "eng", true, false, true),
            stream(4, "deu", false, false, false),
        ]);
        let idx = |wanted| choose(&all, wanted).map(|s| s.stream_idx);
        assert_eq!(
            (idx(None), idx(Some("fr")), idx(Some("en-GB")), idx(Some("de"))),
            (Some(3), Some(2), Some(3), Some(3))
        );
        assert!(choose(&media(vec![stream(4, "", true, false, false)]), None).is_none());
        assert_eq!(choose(&media(vec![stream(1, "", true, true, true)]), None).map(|s| s.stream_idx), Some(1));
    }

    #[test]
    fn pictures_are_named_as_the_reason() {
        let reason = unread_reason(&media(vec![stream(4, "", true, false, false)])).unwrap();
        assert!(reason.contains("pictures") && reason.contains("subrip"), "{reason}");
        assert_eq!(unread_reason(&media(Vec::new())), None);
    }

    #[test]
    fn open_ends_close_at_the_next_cue_or_after_five_seconds() {
        let at = Timestamp::from_millis;
        let cue = |start, end| Segment::new(TimeRange::new(at(start), at(end)), "x");
        let mut cues =
            Cues { segments: vec![cue(0, 0), cue(1000, 1000), cue(1000, 1500), cue(9000, 9000)], ..Cues::default() };
        close_open_ends(&mut cues);
        let ends: Vec<_> = cues.segments.iter().map(|s| s.range.end.millis()).collect();
        assert_eq!(ends, [1000, 6000, 1500, 14_000]);
    }

    #[test]
    fn timed_text_lengths_are_not_believed() {
        assert_eq!(mov_text(b"\0\x02hi----styl"), "hi");
        assert_eq!(mov_text(b"\xff\xffhi"), "hi");
        assert_eq!((mov_text(b""), mov_text(b"\0")), (String::new(), String::new()));
    }
}
