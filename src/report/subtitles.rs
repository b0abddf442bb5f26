//! Transcripts as subtitle files.

use std::fmt::Write as _;

use super::facts::transcript_source;
use crate::media::MediaInfo;
use crate::sanitize::{markdown_line, short_name};
use crate::time::Timestamp;
use crate::transcript::{Segment, Transcript};

/// The transcript as `SubRip`: numbers from 1, times as `HH:MM:SS,mmm`, a speaker as `Name: words`.
///
/// Segments without words are left out, times before the clock's zero become it. The format has no way to escape
/// `<i>` and the like, so they are kept as they are.
#[must_use]
pub fn to_srt(transcript: &Transcript) -> String {
    let mut out = String::new();
    let spoken = transcript.segments.iter().filter_map(|s| Some((s, one_line(&s.text)?)));
    for (number, (segment, text)) in spoken.enumerate() {
        let text = match segment.speaker.as_deref().and_then(one_line) {
            Some(speaker) => format!("{speaker}: {text}"),
            None => text,
        };
        let (start, end) = times(segment, ',');
        // An arrow in the words would read as a line of times.
        let text = text.replace("-->", "->");
        let _ = write!(out, "{}\n{start} --> {end}\n{text}\n\n", number + 1);
    }
    out
}

/// The transcript as WebVTT: times as `HH:MM:SS.mmm`, a speaker as `<v Name>`, the language in the head.
#[must_use]
pub fn to_vtt(transcript: &Transcript) -> String {
    let mut out = String::from("WEBVTT\n");
    if let Some(language) = transcript.language.as_deref().and_then(one_line) {
        let _ = writeln!(out, "Language: {}", language.replace("-->", "->"));
    }
    out.push('\n');
    for segment in &transcript.segments {
        let Some(text) = one_line(&segment.text) else { continue };
        let (start, end) = times(segment, '.');
        let _ = writeln!(out, "{start} --> {end}");
        if let Some(speaker) = segment.speaker.as_deref().and_then(one_line) {
            let _ = write!(out, "<v {}>", escaped(&speaker));
        }
        let _ = write!(out, "{}\n\n", escaped(&text));
    }
    out
}

/// The transcript as Markdown: the file's name, the source of the transcript, then each segment with its time.
#[must_use]
pub fn to_markdown(transcript: &Transcript, media: &MediaInfo) -> String {
    let mut out = format!("# {}\n\n", markdown_line(&short_name(&media.input)));
    let _ = writeln!(out, "*{}*\n", markdown_line(&transcript_source(transcript)));
    for segment in &transcript.segments {
        let Some(text) = one_line(&segment.text) else { continue };
        let speaker = segment.speaker.as_deref().and_then(one_line);
        let speaker = speaker.map(|name| format!("**{}:** ", markdown_line(&name))).unwrap_or_default();
        let _ = writeln!(out, "- {} {speaker}{}", segment.range.start.label(), markdown_line(&text));
    }
    for paragraph in &transcript.untimed {
        let _ = writeln!(out, "{}\n", markdown_line(paragraph));
    }
    out
}

/// The text alone: a line for each segment, a speaker as `Name: words`, or the paragraphs of a text without times.
#[must_use]
pub fn to_text(transcript: &Transcript) -> String {
    let mut out = String::new();
    for segment in &transcript.segments {
        // Writing to a String does not fail.
        let _ = match &segment.speaker {
            Some(speaker) => writeln!(out, "{speaker}: {}", segment.text),
            None => writeln!(out, "{}", segment.text),
        };
    }
    for paragraph in &transcript.untimed {
        let _ = writeln!(out, "{paragraph}\n");
    }
    out
}

/// The text on one line without control characters; None where nothing is left.
fn one_line(text: &str) -> Option<String> {
    let text = text.replace(|c: char| c.is_control(), " ");
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (!line.is_empty()).then_some(line)
}

/// `&`, `<` and `>` as WebVTT wants them; an arrow cannot be left over.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Start and end; the end at least a millisecond later, as WebVTT asks for.
fn times(segment: &Segment, point: char) -> (String, String) {
    let start = segment.range.start.millis().max(0);
    let end = segment.range.end.millis().max(start.saturating_add(1));
    let text = |millis| Timestamp::from_millis(millis).to_string().replace('.', &point.to_string());
    (text(start), text(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::TimeRange;
    use crate::transcript::TranscriptSource;

    fn transcript(segments: Vec<Segment>) -> Transcript {
        let source = TranscriptSource::Sidecar { path: String::new(), guessed_encoding: None };
        Transcript::new(source, Some("en".to_owned()), segments)
    }

    fn segment(start: i64, end: i64, text: &str) -> Segment {
        Segment::new(TimeRange::new(Timestamp::from_millis(start), Timestamp::from_millis(end)), text)
    }

    #[test]
    fn words_cannot_break_the_format() {
        let mut hostile = segment(0, 0, "one\n\n2\n00:00:00,000 --> 00:00:01,000\r\nfake <b>&amp;");
        hostile.speaker = Some("Eve>\n-->".to_owned());
        let transcript = transcript(vec![hostile, segment(5, 6, " \n "), segment(3_661_000, 3_662_500, "end")]);
        assert_eq!(
            to_srt(&transcript),
            "1\n00:00:00,000 --> 00:00:00,001\nEve> ->: one 2 00:00:00,000 -> 00:00:01,000 fake <b>&amp;\n\n\
             2\n01:01:01,000 --> 01:01:02,500\nend\n\n"
        );
        assert_eq!(
            to_vtt(&transcript),
            "WEBVTT\nLanguage: en\n\n00:00:00.000 --> 00:00:00.001\n\
             <v Eve&gt; --&gt;>one 2 00:00:00,000 --&gt; 00:00:01,000 fake &lt;b&gt;&amp;amp;\n\n\
             01:01:01.000 --> 01:01:02.500\nend\n\n"
        );
    }
}
