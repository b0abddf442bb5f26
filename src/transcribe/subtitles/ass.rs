//! Advanced `SubStation` Alpha (.ass, .ssa): events as lines of comma-separated fields, the text last.

use super::cues::Cues;
use super::markup::{self, VoiceSpan};
use super::timing::{CueTiming, parse_time};

pub(super) fn is_ass(text: &str) -> bool {
    let mut head = text.lines().take(50).map(|line| line.trim().to_ascii_lowercase());
    head.any(|line| line == "[script info]" || line == "[events]")
}

/// The positions of an event's fields, from its `Format:` line.
struct EventFormat {
    n_fields: usize,
    start: usize,
    end: usize,
    name: Option<usize>,
}

impl EventFormat {
    fn parse(format: &str) -> Option<Self> {
        let names: Vec<String> = format.split(',').map(|name| name.trim().to_ascii_lowercase()).collect();
        let at = |name: &str| names.iter().position(|n| n == name);
        // The text is the last field and may contain commas.
        (names.last().map(String::as_str) == Some("text")).then_some(())?;
        let name = at("name").or_else(|| at("actor"));
        Some(Self { n_fields: names.len(), start: at("start")?, end: at("end")?, name })
    }
}

pub(super) fn parse(text: &str) -> Cues {
    let mut cues = Cues::default();
    let mut fields = EventFormat { n_fields: 10, start: 1, end: 2, name: Some(4) };
    let mut is_events = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            is_events = line.eq_ignore_ascii_case("[events]");
        } else if is_events && let Some(format) = line.strip_prefix("Format:") {
            fields = EventFormat::parse(format).unwrap_or(fields);
        } else if is_events && let Some(event) = line.strip_prefix("Dialogue:") {
            let parts: Vec<&str> = event.splitn(fields.n_fields, ',').collect();
            let time = |at: usize| parse_time(parts.get(at)?.trim());
            match (time(fields.start).zip(time(fields.end)), parts.get(fields.n_fields - 1)) {
                (Some((start, end)), Some(text)) => {
                    let speaker = fields.name.and_then(|at| speaker_name(parts[at]));
                    cues.push(CueTiming::At(start, end), VoiceSpan::single(speaker, &markup::ass(text)));
                }
                _ => cues.n_dropped += 1,
            }
        }
    }
    cues
}

/// One packet of an ASS stream: `ReadOrder,Layer,Style,Name,MarginL,MarginR,MarginV,Effect,Text`.
pub(super) fn packet(text: &str) -> Vec<VoiceSpan> {
    let fields: Vec<&str> = text.splitn(9, ',').collect();
    let [_, _, _, name, _, _, _, _, text] = fields[..] else { return Vec::new() };
    VoiceSpan::single(speaker_name(name), &markup::ass(text))
}

fn speaker_name(field: &str) -> Option<String> {
    Some(markup::collapse_whitespace(field)).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_with_speaker_names() {
        let text = "[Script Info]\nTitle: x\n\n[V4+ Styles]\nFormat: Name, Fontname\n\n[Events]\n\
                    Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n\
                    Comment: 0,0:00:00.00,0:00:01.00,Default,,0,0,0,,not said\n\
                    Dialogue: 0,0:00:01.50,0:00:02.00,Default,Ann,0,0,0,,{\\b1}Hello, you\\Nthere\n\
                    Dialogue: 0,0:00:09.00,0:00:08.00,Default,,0,0,0,,reversed\nDialogue: broken\n";
        assert!(is_ass(text));
        let cues = parse(text);
        assert_eq!(cues.n_dropped, 2);
        let [cue] = &cues.segments[..] else { panic!("{:?}", cues.segments) };
        assert_eq!((cue.range.start.millis(), cue.range.end.millis()), (1500, 2000));
        assert_eq!((cue.speaker.as_deref(), cue.text.as_str()), (Some("Ann"), "Hello, you there"));
    }

    #[test]
    fn an_invalid_format_line_is_ignored() {
        let cues = parse("[Events]\nFormat: Text, Start\nDialogue: 0,0:00:01.00,0:00:02.00,D,,0,0,0,,words\n");
        assert_eq!(cues.segments[0].text, "words");
    }
}
