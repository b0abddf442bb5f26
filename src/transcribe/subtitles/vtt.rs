//! WebVTT (W3C), parsed as blocks between blank lines.

use super::cues::Cues;
use super::markup;
use super::timing::parse_timing;
use crate::language;

pub(super) fn is_vtt(text: &str) -> bool {
    text.strip_prefix("WEBVTT").is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
}

pub(super) fn parse(text: &str) -> Cues {
    let mut cues = Cues::default();
    let lines: Vec<&str> = text.lines().map(|line| line.trim_end_matches('\r')).collect();
    for (i, block) in blocks(&lines).enumerate() {
        if i == 0 {
            // The header; some programs declare the language here.
            let declared = block.iter().find_map(|line| line.strip_prefix("Language:"));
            cues.language = declared.map(|tag| tag.trim().to_owned()).filter(|tag| language::is_tag(tag));
        }
        // A block may have an identifier before the timing; comments, styles and regions are not cues.
        let is_other = block.first().is_some_and(|line| {
            ["NOTE", "STYLE", "REGION"].iter().any(|word| {
                line.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
            })
        });
        let head = if i == 0 { block.len() } else { 2 };
        let timing = block.iter().take(head).enumerate().find_map(|(at, line)| Some((at, parse_timing(line)?)));
        match timing {
            Some((at, timing)) if !is_other => cues.push(timing, markup::vtt(&block[at + 1..].join("\n"))),
            _ => {}
        }
    }
    cues
}

/// The runs of lines between blank lines. A line of only spaces belongs to a cue (`YouTube` writes them), unless another
/// cue starts after it.
fn blocks<'a>(lines: &'a [&'a str]) -> impl Iterator<Item = &'a [&'a str]> {
    let starts_cue = |at: usize| lines.get(at).is_some_and(|line| parse_timing(line).is_some());
    let is_end = move |at: usize| {
        lines[at].is_empty() || (lines[at].trim().is_empty() && (starts_cue(at + 1) || starts_cue(at + 2)))
    };
    let ends: Vec<usize> = (0..lines.len()).filter(|at| is_end(*at)).chain([lines.len()]).collect();
    let starts = std::iter::once(0).chain(ends.clone().into_iter().map(|end| end + 1));
    starts.zip(ends).map(move |(start, end)| &lines[start..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cues_notes_styles_and_settings() {
        let text = "WEBVTT - title\nKind: captions\nLanguage: en-GB\n\nNOTE\nnot a cue\n\nSTYLE\n::cue { color: red }\n\n\
                    REGION\nid:fred\n\nname of cue\n00:01.000 --> 00:02.500 align:start position:10%\n<v Ann>Hello &amp; hi</v>\n\n\
                    01:00:00.000 --> 01:00:01.000\nlate\r\nlines\r\n\n00:05.000 --> 00:04.000\nreversed\n\n\
                    NOTE 00:00.000 --> 00:01.000\ncommented out\n";
        let cues = parse(text).normalized();
        let got: Vec<_> = cues
            .segments
            .iter()
            .map(|s| (s.range.start.millis(), s.range.end.millis(), s.speaker.as_deref(), s.text.as_str()))
            .collect();
        assert_eq!(got, [(1000, 2500, Some("Ann"), "Hello & hi"), (3_600_000, 3_601_000, None, "late lines")]);
        assert_eq!((cues.n_dropped, cues.language.as_deref()), (1, Some("en-GB")));
        assert!(is_vtt("WEBVTT\n") && !is_vtt("WEBVTTX\n"));
    }
}
