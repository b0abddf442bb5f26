//! Subtitle files and transcripts of every supported format, detected by content.

use std::io::Read as _;
use std::path::Path;

use super::cues::Cues;
use super::encoding::{EncodingHints, SubtitleEncoding, TextEncoding};
use super::{ass, json, lrc, microdvd, plain, sbv, srt, ttml, vtt, xml, youtube};
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::media::Ratio;

/// Reads a transcript: SRT, WebVTT, ASS, TTML, SBV, LRC, `MicroDVD`, the formats of `YouTube` (JSON3, SRV1 to SRV3),
/// the JSON of Whisper's programs, or plain text without times, detected by its content. An encoding other than UTF-8
/// and UTF-16 is guessed unless the options name it.
///
/// # Errors
/// [`ErrorKind::Io`](crate::ErrorKind::Io) if it cannot be read, [`ErrorKind::Limit`](crate::ErrorKind::Limit) if it is
/// larger than `max_subtitle_bytes`, [`ErrorKind::Usage`](crate::ErrorKind::Usage) if it is not a regular file,
/// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) if it is no transcript.
pub fn read_file(path: &Path, options: &ReadOptions<'_>, limits: &Limits) -> Result<Cues> {
    let io = |e| Error::io(path, e);
    if !std::fs::metadata(path).map_err(io)?.is_file() {
        return Err(Error::usage(path.display(), "is not a regular file", "choose a subtitle file"));
    }
    let file = std::fs::File::open(path).map_err(io)?;
    let mut bytes = Vec::new();
    file.take(limits.max_subtitle_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > limits.max_subtitle_bytes {
        let problem = format!("is larger than the limit of {} bytes for subtitles", limits.max_subtitle_bytes);
        return Err(Error::limit(path.display(), problem, "check that it is a subtitle file"));
    }
    parse(&bytes, options).map_err(|problem| Error::malformed(path.display(), problem, FORMATS))
}

/// How a subtitle file is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadOptions<'a> {
    /// Its encoding; None detects it.
    pub encoding: Option<SubtitleEncoding>,
    /// Its language, as a tag: a hint for the detection.
    pub language: Option<&'a str>,
    /// Frames per second of the video, for times in frames; None if unknown.
    pub frame_rate: Option<Ratio>,
}

/// What to try if a file is no transcript.
pub(super) const FORMATS: &str =
    "choose an SRT, WebVTT, ASS, TTML, SBV, LRC or MicroDVD file, JSON of YouTube or Whisper, or plain text";

/// Parses the bytes of a transcript in any encoding; skips everything that is not a cue.
///
/// # Errors
/// A phrase if it has none of the supported formats: `is a web page (HTML), not a transcript`.
pub fn parse(bytes: &[u8], options: &ReadOptions<'_>) -> std::result::Result<Cues, String> {
    let hints = EncodingHints { chosen: options.encoding, language: options.language };
    let encoding = TextEncoding::detect(bytes, hints);
    let text = encoding.decode(bytes);
    let mut cues = match parse_timed(&text, options) {
        Some(outcome) => outcome?,
        None => Cues { untimed: plain::paragraphs(bytes, &text)?, ..Cues::default() },
    };
    cues.guessed_encoding = encoding.guess();
    Ok(cues.normalized())
}

/// None if the text has none of the formats that have times.
fn parse_timed(text: &str, options: &ReadOptions<'_>) -> Option<std::result::Result<Cues, String>> {
    let root = xml::root(text);
    Some(Ok(if vtt::is_vtt(text) {
        vtt::parse(text)
    } else if json::is_json(text) {
        return Some(json::parse(text));
    } else if root.as_deref() == Some("tt") {
        ttml::parse(text)
    } else if matches!(root.as_deref(), Some("timedtext" | "transcript")) {
        youtube::parse_xml(text)
    } else if ass::is_ass(text) {
        ass::parse(text)
    } else if srt::is_srt(text) {
        srt::parse(text)
    } else if sbv::is_sbv(text) {
        sbv::parse(text)
    } else if microdvd::is_microdvd(text) {
        return Some(microdvd::parse(text, options.frame_rate));
    } else if lrc::is_lrc(text) {
        lrc::parse(text)
    } else {
        return None;
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consecutive_cues_with_the_same_text_are_merged() {
        let srt = "1\n00:00:01,000 --> 00:00:02,000\nHello\n\n2\n00:00:02,000 --> 00:00:03,000\nHello\n\n\
                   3\n00:00:05,000 --> 00:00:06,000\nHello\n";
        let cues = parse(srt.as_bytes(), &ReadOptions::default()).expect("SRT");
        let spans: Vec<_> = cues.segments.iter().map(|s| (s.range.start.millis(), s.range.end.millis())).collect();
        assert_eq!(spans, [(1000, 3000), (5000, 6000)]);
    }

    fn texts(subtitles: &str) -> Vec<(i64, i64, String)> {
        let cues = parse(subtitles.as_bytes(), &ReadOptions::default()).expect("subtitles");
        let segments = cues.segments.into_iter();
        segments.map(|s| (s.range.start.millis(), s.range.end.millis(), s.text)).collect()
    }

    #[test]
    fn rolling_captions_keep_each_word_once() {
        let youtube = "WEBVTT\nKind: captions\nLanguage: en\n\n\
            00:00:00.160 --> 00:00:02.350 align:start position:0%\n \nhello<00:00:00.480><c> everyone</c>\n\n\
            00:00:02.350 --> 00:00:02.360 align:start position:0%\nhello everyone\n \n\n\
            00:00:02.360 --> 00:00:04.630 align:start position:0%\nhello everyone\nwelcome<00:00:02.720><c> to</c><c> the show</c>\n\n\
            00:00:04.630 --> 00:00:04.640 align:start position:0%\nwelcome to the show\n \n\n\
            00:00:04.640 --> 00:00:07.000 align:start position:0%\nwelcome to the show\nthe show is new\n\n\
            00:00:07.000 --> 00:00:07.010 align:start position:0%\nthe show is new\n \n\n";
        let cue = |start, end, text: &str| (start, end, text.to_owned());
        assert_eq!(
            texts(youtube),
            [
                cue(160, 2360, "hello everyone"),
                cue(2360, 4640, "welcome to the show"),
                cue(4640, 7010, "the show is new"),
            ]
        );
    }

    #[test]
    fn repeated_speech_is_not_rolling() {
        let srt = "1\n00:00:01,000 --> 00:00:02,000\nAnd what did he say? No.\n\n\
            2\n00:00:02,000 --> 00:00:03,000\nNo. That is what he said.\n\n\
            3\n00:00:03,000 --> 00:00:04,000\nI see.\n\n4\n00:00:04,000 --> 00:00:05,000\nDo you?\n";
        assert_eq!(texts(srt).len(), 4);
        assert_eq!(texts(srt)[1].2, "No. That is what he said.");
    }
}
