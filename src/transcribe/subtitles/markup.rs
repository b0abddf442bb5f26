//! Plain text from cues with markup.

use super::timing::parse_time;

/// The longest tag; anything longer is text with a stray `<`.
const MAX_TAG_CHARS: usize = 400;

/// The text of one speaker in a cue; `WebVTT` calls it a voice span.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct VoiceSpan {
    pub(super) speaker: Option<String>,
    pub(super) text: String,
}

impl VoiceSpan {
    /// A cue with one speaker; empty if no text remains.
    pub(super) fn single(speaker: Option<String>, text: &str) -> Vec<Self> {
        let text = collapse_whitespace(text);
        if text.is_empty() { Vec::new() } else { vec![Self { speaker, text }] }
    }
}

/// Collapses white space to single spaces and removes control and direction characters: a transcript has no layout.
pub(super) fn collapse_whitespace(text: &str) -> String {
    let is_noise = |c: char| {
        matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
            || (c.is_control() && !c.is_whitespace())
    };
    let mut out = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !is_noise(*c)) {
        if !c.is_whitespace() {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with(' ') {
            out.push(' ');
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// The text of an SRT cue without HTML-like tags and ASS blocks; any other `<` and `{` is text.
pub(super) fn srt(text: &str) -> Vec<VoiceSpan> {
    let text = without_blocks(text);
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find('<') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        match tag(rest) {
            Some((body, after)) if is_html(body) => {
                if name(body).eq_ignore_ascii_case("br") {
                    out.push(' ');
                }
                rest = after;
            }
            _ => {
                out.push('<');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    VoiceSpan::single(None, &entities(&out))
}

/// The text of a WebVTT cue, one span per voice.
pub(super) fn vtt(text: &str) -> Vec<VoiceSpan> {
    let mut voices = Vec::new();
    let mut speaker: Option<String> = None;
    let mut said = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        said.push_str(&entities(&rest[..at]));
        rest = &rest[at..];
        let Some((body, after)) = tag(rest) else {
            said.push('<');
            rest = &rest[1..];
            continue;
        };
        rest = after;
        let is_voice = name(body).split('.').next() == Some("v");
        if is_voice || body == "/v" {
            voices.extend(VoiceSpan::single(speaker.take(), &std::mem::take(&mut said)));
        }
        if is_voice {
            let annotation = body.split_once(char::is_whitespace).map_or("", |(_, annotation)| annotation);
            speaker = Some(collapse_whitespace(&entities(annotation))).filter(|s| !s.is_empty());
        }
    }
    said.push_str(&entities(rest));
    voices.extend(VoiceSpan::single(speaker, &said));
    voices
}

/// The text of an ASS event without override blocks, drawings and line breaks.
pub(super) fn ass(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut is_drawing = false;
    let mut rest = text;
    loop {
        let block = rest.find('{').and_then(|at| rest[at..].find('}').map(|length| (at, at + length)));
        let plain = &rest[..block.map_or(rest.len(), |(at, _)| at)];
        if !is_drawing {
            out.push_str(&plain.replace("\\N", " ").replace("\\n", " ").replace("\\h", " "));
        }
        let Some((from, to)) = block else { break };
        for command in rest[from + 1..to].split('\\').skip(1) {
            // `\p1` begins a drawing, `\p0` ends it; `\pos` and `\pbo` are other commands.
            if let Some(scale) = command.strip_prefix('p').and_then(|n| n.trim().parse::<u32>().ok()) {
                is_drawing = scale > 0;
            }
        }
        rest = &rest[to + 1..];
    }
    collapse_whitespace(&out)
}

/// Removes `{\…}`; players do the same in SRT.
fn without_blocks(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("{\\") {
        let Some(length) = rest[at..].find('}') else { break };
        out.push_str(&rest[..at]);
        rest = &rest[at + length + 1..];
    }
    out.push_str(rest);
    out
}

/// The tag at the start of `text`, without its brackets, and the text after it.
fn tag(text: &str) -> Option<(&str, &str)> {
    let end = text.char_indices().take(MAX_TAG_CHARS).find(|(_, c)| *c == '>')?.0;
    Some((&text[1..end], &text[end + 1..]))
}

fn name(body: &str) -> &str {
    body.trim_start_matches('/').split([' ', '\t', '\n', '/']).next().unwrap_or_default()
}

fn is_html(body: &str) -> bool {
    const NAMES: [&str; 14] = ["i", "b", "u", "s", "em", "strong", "font", "span", "c", "v", "br", "p", "ruby", "rt"];
    let name = name(body).split('.').next().unwrap_or_default();
    NAMES.iter().any(|known| known.eq_ignore_ascii_case(name)) || parse_time(body).is_some()
}

/// Replaces the entities that subtitles use; keeps unknown ones.
pub(super) fn entities(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let body = rest.char_indices().take(12).find(|(_, c)| *c == ';').map(|(end, _)| &rest[1..end]);
        let known = body.and_then(|body| Some((entity(body)?, body.len() + 2)));
        let (c, length) = known.unwrap_or(('&', 1));
        out.push(c);
        rest = &rest[length..];
    }
    out.push_str(rest);
    out
}

fn entity(body: &str) -> Option<char> {
    let number = |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
    match body {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some(' '),
        "lrm" => Some('\u{200e}'),
        "rlm" => Some('\u{200f}'),
        _ => match body.strip_prefix('#')? {
            hex if hex.starts_with(['x', 'X']) => number(&hex[1..], 16),
            digits => number(digits, 10),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(voices: &[VoiceSpan]) -> String {
        voices.iter().map(|v| v.text.as_str()).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn srt_tags_are_removed() {
        for (cue, words) in [
            ("<i>Hello</i> <font color=\"#fff\">world</font>", "Hello world"),
            ("{\\an8}Up here", "Up here"),
            ("a < b and c > d", "a < b and c > d"),
            ("I <3 you", "I <3 you"),
            ("<unknown> stays", "<unknown> stays"),
            ("line one\nline two", "line one line two"),
            ("one<br/>two", "one two"),
            ("R&amp;B &#233; &unknown; &", "R&B é &unknown; &"),
            ("<i>", ""),
            ("{\\open", "{\\open"),
            ("&lt;i&gt;", "<i>"),
        ] {
            assert_eq!(text(&srt(cue)), words, "{cue}");
        }
    }

    #[test]
    fn vtt_voices_are_separate_spans() {
        let voices = vtt("<v.loud Ann Lee>Hi <c.red>there</c></v> <v Bob>R&amp;B <00:00:01.000>now");
        let voice = |speaker: &str, text: &str| VoiceSpan { speaker: Some(speaker.into()), text: text.into() };
        assert_eq!(voices, [voice("Ann Lee", "Hi there"), voice("Bob", "R&B now")]);
        assert_eq!(vtt("plain &lt;v X&gt;"), [VoiceSpan { speaker: None, text: "plain <v X>".into() }]);
        assert_eq!(vtt("<v >no name"), [VoiceSpan { speaker: None, text: "no name".into() }]);
    }

    #[test]
    fn ass_overrides_and_drawings_are_removed() {
        for (event, words) in [
            ("{\\i1}Hello{\\i0}\\Nworld", "Hello world"),
            ("{\\p1}m 0 0 l 100 0{\\p0}text", "text"),
            ("{\\pos(1,2)\\pbo3}kept", "kept"),
            ("a\\hb {comment}c", "a b c"),
            ("un{closed", "un{closed"),
        ] {
            assert_eq!(ass(event), words, "{event}");
        }
    }
}
