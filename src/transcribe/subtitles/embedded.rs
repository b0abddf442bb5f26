//! Subtitle streams inside a container, read from their packets; text needs no decoder.

use std::cmp::Reverse;
use std::path::Path;

use super::ass;
use super::cues::Cues;
use super::encoding::{EncodingHints, SubtitleEncoding, TextEncoding};
use super::markup::{self, VoiceSpan};
use crate::advice::{Advice, Setting};
use crate::error::{Error, Result};
use crate::language;
use crate::libav::Demuxer;
use crate::limits::Limits;
use crate::media::{MediaInfo, SubtitleStream};
use crate::time::Timestamp;

/// The text stream to read: the preferred language, otherwise the default, otherwise the first; forced streams, which
/// only translate foreign passages, last. None if there is no text stream.
pub(super) fn choose<'a>(media: &'a MediaInfo, preferred: Option<&str>) -> Option<&'a SubtitleStream> {
    media.subtitles.iter().filter(|s| s.is_text).max_by_key(|s| {
        let is_preferred = preferred.zip(s.language.as_deref()).is_some_and(|(a, b)| language::is_same(a, b));
        (!s.is_forced, is_preferred, s.is_default, Reverse(s.stream_idx))
    })
}

/// Why the subtitles of a container cannot be read: they are images. None if there are no subtitles, or if some can be
/// read.
#[must_use]
pub fn unread_reason(media: &MediaInfo) -> Option<String> {
    if media.subtitles.is_empty() || media.subtitles.iter().any(|s| s.is_text) {
        return None;
    }
    let mut codecs: Vec<&str> = media.subtitles.iter().map(|s| s.codec.as_str()).collect();
    codecs.sort_unstable();
    codecs.dedup();
    Some(format!("its subtitles are images ({}), which cannot be read as text", codecs.join(", ")))
}

/// All cues of one stream, on the shared clock.
///
/// # Errors
/// [`ErrorKind::Limit`](crate::ErrorKind::Limit) if its text exceeds the limit, and the errors of
/// opening the container.
pub(super) fn read(
    path: &Path,
    media: &MediaInfo,
    stream: &SubtitleStream,
    encoding: Option<SubtitleEncoding>,
    limits: &Limits,
) -> Result<Cues> {
    let mut demuxer = Demuxer::open(path, limits)?;
    demuxer.keep_only(&[stream.stream_idx]);
    let base = demuxer.time_base(stream.stream_idx);
    let mut texts = Vec::new();
    let mut n_bytes = 0;
    while let Some(packet) = demuxer.next_packet()? {
        if packet.stream_idx() != stream.stream_idx {
            continue;
        }
        n_bytes += packet.data().len() as u64;
        if n_bytes > limits.max_subtitle_bytes {
            let n_max = limits.max_subtitle_bytes;
            let problem = format!("subtitle stream {} is larger than the limit of {n_max} bytes", stream.stream_idx);
            return Err(Error::limit(&media.input, problem, Advice::Set(Setting::Transcript)));
        }
        texts.push((packet.pts(), packet.duration(), text_bytes(&stream.codec, packet.data()).to_vec()));
    }
    let hints = EncodingHints { chosen: encoding, language: stream.language.as_deref() };
    // One encoding for the stream: a single cue is too short for a guess.
    let legacy: Vec<u8> = texts
        .iter()
        .filter(|(.., text)| std::str::from_utf8(text).is_err())
        .flat_map(|(.., text)| text.clone())
        .collect();
    let encoding = TextEncoding::detect(&legacy, hints);
    let mut cues = Cues { guessed_encoding: encoding.guess(), ..Cues::default() };
    for (pts, duration, bytes) in texts {
        let is_utf8 = std::str::from_utf8(&bytes).is_ok();
        let text =
            if is_utf8 { TextEncoding::detect(&bytes, EncodingHints::default()) } else { encoding }.decode(&bytes);
        let voices = voices(&stream.codec, &text);
        if voices.is_empty() {
            continue;
        }
        let Some(pts) = pts else {
            cues.n_dropped += 1;
            continue;
        };
        let start = Timestamp::new(pts, base).minus(media.start);
        let end = start.plus(Timestamp::new(duration, base));
        // A cue that starts before the zero of the clock is visible from zero on.
        let start = if start.is_negative() && !end.is_negative() { Timestamp::ZERO } else { start };
        cues.push_at(start, end, voices);
    }
    // Packets without a duration made empty ranges.
    Ok(cues.with_ends().normalized())
}

fn voices(codec: &str, text: &str) -> Vec<VoiceSpan> {
    match codec {
        "mov_text" => VoiceSpan::single(None, text),
        "ass" | "ssa" => ass::packet(text),
        "webvtt" => markup::vtt(text),
        _ => markup::srt(text),
    }
}

/// The text of a packet. In Matroska a text may be padded with NUL characters (RFC 9559, section 7.5), behind which
/// anything can stand.
fn text_bytes<'a>(codec: &str, data: &'a [u8]) -> &'a [u8] {
    if codec == "mov_text" {
        return mov_text(data);
    }
    data.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// 3GPP timed text: a length in two bytes, the text, then boxes of styles (TS 26.245, 5.17).
fn mov_text(data: &[u8]) -> &[u8] {
    let Some((head, rest)) = data.split_first_chunk::<2>() else { return &[] };
    let length = usize::from(u16::from_be_bytes(*head)).min(rest.len());
    &rest[..length]
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn image_subtitles_are_the_reason() {
        let reason = unread_reason(&media(vec![stream(4, "", true, false, false)])).unwrap();
        assert!(reason.contains("images") && reason.contains("subrip"), "{reason}");
        assert_eq!(unread_reason(&media(Vec::new())), None);
    }

    #[test]
    fn invalid_timed_text_lengths_are_clamped() {
        assert_eq!(mov_text(b"\0\x02hi----styl"), b"hi");
        assert_eq!(mov_text(b"\xff\xffhi"), b"hi");
        assert_eq!((mov_text(b""), mov_text(b"\0")), (&b""[..], &b""[..]));
    }

    #[test]
    fn text_ends_at_a_nul() {
        for (data, text) in
            [(&b"words\0rest"[..], &b"words"[..]), (b"words\0\0", b"words"), (b"\0rest", b""), (b"", b"")]
        {
            assert_eq!(text_bytes("subrip", data), text);
        }
        assert_eq!(text_bytes("mov_text", b"\0\x03a\0b"), b"a\0b");
    }
}
