//! `YouTube`'s own caption formats, as yt-dlp saves them: JSON3, and SRV1, SRV2 and SRV3 in XML.

use serde::Deserialize;

use super::cues::Cues;
use super::markup::{self, VoiceSpan};
use super::xml::{self, Element, Node};
use crate::time::{TimeRange, Timestamp};
use crate::transcript::Word;

/// An event of JSON3; those without text set up windows.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CaptionEvent {
    #[serde(default)]
    t_start_ms: i64,
    d_duration_ms: Option<i64>,
    #[serde(default)]
    segs: Vec<CaptionPiece>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CaptionPiece {
    #[serde(default)]
    utf8: String,
    t_offset_ms: Option<i64>,
}

/// The events of JSON3; missing ends are not set yet.
pub(super) fn events(events: Vec<CaptionEvent>) -> Cues {
    let mut cues = Cues::default();
    for event in events {
        let pieces = event.segs.iter().map(|segment| (segment.t_offset_ms, segment.utf8.as_str()));
        push(&mut cues, event.t_start_ms, event.d_duration_ms, &pieces.collect::<Vec<_>>());
    }
    cues
}

/// A caption being read from XML.
struct Caption {
    start: Option<i64>,
    duration: Option<i64>,
    /// Offsets and texts.
    pieces: Vec<(Option<i64>, String)>,
}

/// SRV1 (`transcript`), SRV2 and SRV3 (`timedtext`).
pub(super) fn parse_xml(text: &str) -> Cues {
    let mut cues = Cues::default();
    let mut caption: Option<Caption> = None;
    let finish = |caption: &mut Option<Caption>, cues: &mut Cues| {
        let Some(Caption { start, duration, pieces }) = caption.take() else { return };
        match start {
            Some(start) => {
                // What is between tags is escaped once more: `&amp;#39;`.
                let texts: Vec<_> = pieces.iter().map(|(at, text)| (*at, markup::entities(text))).collect();
                let pieces: Vec<_> = texts.iter().map(|(at, text)| (*at, text.as_str())).collect();
                push(cues, start, duration, &pieces);
            }
            None => cues.n_dropped += 1,
        }
    };
    let end = xml::read(text, &mut |node| match node {
        Node::Open(element) if element.name == "text" || element.name == "p" => {
            finish(&mut caption, &mut cues);
            let (start, duration) = times(&element);
            caption = Some(Caption { start, duration, pieces: vec![(None, String::new())] });
        }
        Node::Open(element) => {
            if let Some(caption) = caption.as_mut().filter(|_| element.name == "s" || element.name == "br") {
                let offset = element.attribute("t").and_then(|millis| millis.parse().ok());
                let text = if element.name == "br" { "\n" } else { "" };
                caption.pieces.push((offset, text.to_owned()));
            }
        }
        Node::Text(text) => {
            if let Some((_, piece)) = caption.as_mut().and_then(|caption| caption.pieces.last_mut()) {
                piece.push_str(&text);
            }
        }
        Node::Close => {}
    });
    finish(&mut caption, &mut cues);
    cues.damage = end;
    cues.with_ends()
}

/// Milliseconds in `t` and `d`, or seconds in `start` and `dur`.
fn times(element: &Element) -> (Option<i64>, Option<i64>) {
    let whole = |name: &str| element.attribute(name)?.parse::<i64>().ok();
    let seconds = |name: &str| {
        let seconds: f64 = element.attribute(name)?.parse().ok()?;
        Timestamp::from_secs_f64(seconds).map(Timestamp::millis)
    };
    (whole("t").or_else(|| seconds("start")), whole("d").or_else(|| seconds("dur")))
}

/// Adds a caption; words where the pieces have offsets. A word ends when the next one starts.
fn push(cues: &mut Cues, start: i64, duration: Option<i64>, pieces: &[(Option<i64>, &str)]) {
    let text: String = pieces.iter().map(|(_, text)| *text).collect();
    let voices = VoiceSpan::single(None, &text);
    if voices.is_empty() {
        return;
    }
    let duration = duration.filter(|duration| *duration > 0);
    let end = duration.map(|duration| start.saturating_add(duration));
    let Some(segment) = cues.push_open(start, end, voices) else { return };
    if !pieces.iter().any(|(offset, _)| offset.is_some()) {
        return;
    }
    let mut words: Vec<Word> = Vec::new();
    for (offset, text) in pieces {
        let text = markup::collapse_whitespace(text);
        let at = Timestamp::from_millis(start.saturating_add(offset.unwrap_or(0).max(0)));
        if text.is_empty() {
            continue;
        }
        if let Some(last) = words.last_mut() {
            last.range.end = at.max(last.range.start);
        }
        words.push(Word { range: TimeRange::new(at, segment.range.end.max(at)), text });
    }
    segment.words = words;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(cues: Cues) -> Vec<(i64, i64, String)> {
        let segments = cues.normalized().segments.into_iter();
        segments.map(|s| (s.range.start.millis(), s.range.end.millis(), s.text)).collect()
    }

    fn cue(start: i64, end: i64, text: &str) -> (i64, i64, String) {
        (start, end, text.to_owned())
    }

    #[test]
    fn three_generations_of_xml() {
        let srv1 = "<?xml version=\"1.0\"?><transcript><text start=\"1.5\" dur=\"2\">It&amp;#39;s &amp;quot;one&amp;quot;</text>\
                    <text start=\"4\">two</text><text>lost</text></transcript>";
        assert_eq!(spans(parse_xml(srv1)), [cue(1500, 3500, "It's \"one\""), cue(4000, 9000, "two")]);
        assert_eq!(parse_xml(srv1).n_dropped, 1);
        let srv2 = "<timedtext><window t=\"0\" id=\"1\"/><text t=\"1500\" d=\"2000\" w=\"1\">one</text>\
                    <text t=\"3500\" w=\"1\" append=\"1\">\n</text><text t=\"4000\" d=\"1000\" w=\"1\">two</text></timedtext>";
        assert_eq!(spans(parse_xml(srv2)), [cue(1500, 3500, "one"), cue(4000, 5000, "two")]);
        let srv3 = "<timedtext format=\"3\"><head><ws id=\"0\"/></head><body><w t=\"0\" id=\"1\" wp=\"1\"/>\
                    <p t=\"160\" d=\"4000\" w=\"1\"><s ac=\"0\">hello</s><s t=\"400\" ac=\"0\"> every</s><s t=\"800\">one</s></p>\
                    <p t=\"2000\" d=\"5\" w=\"1\" a=\"1\">\n</p><p t=\"5000\" d=\"1000\">R&amp;B<br/>more</p></body></timedtext>";
        assert_eq!(spans(parse_xml(srv3)), [cue(160, 4160, "hello everyone"), cue(5000, 6000, "R&B more")]);
        let words: Vec<_> = parse_xml(srv3).segments[0]
            .words
            .iter()
            .map(|w| (w.range.start.millis(), w.range.end.millis(), w.text.clone()))
            .collect();
        assert_eq!(words, [cue(160, 560, "hello"), cue(560, 960, "every"), cue(960, 4160, "one")]);
    }

    #[test]
    fn hostile_times_of_xml_are_dropped() {
        for (attributes, n_dropped) in [
            ("t='-5' d='10'", 1),
            ("t='9223372036854775807' d='9223372036854775807'", 1),
            ("t='99999999999999999999'", 1),
            ("start='1e30'", 1),
            ("start='NaN'", 1),
            ("t='5' d='-10'", 0),
        ] {
            let cues = parse_xml(&format!("<transcript><text {attributes}>x</text></transcript>"));
            assert_eq!((cues.n_dropped, cues.segments.len()), (n_dropped, 1 - n_dropped), "{attributes}");
        }
    }
}
