//! `SubViewer`: `YouTube`'s SBV and version 2 (`.sub`). The start and the end are on one line, separated by a comma.

use super::cues::Cues;
use super::markup;
use super::timing::CueTiming;

/// The times of a line `0:00:01.000,0:00:02.500`; None for any other line.
fn timing(line: &str) -> Option<CueTiming> {
    let is_time = |text: &str| text.contains(':') && text.bytes().all(|b| b.is_ascii_digit() || b":.-".contains(&b));
    let (start, end) = line.trim().split_once(',')?;
    let (start, end) = (start.trim(), end.trim());
    if !is_time(start) || !is_time(end) {
        return None;
    }
    Some(CueTiming::parse(start, end))
}

pub(super) fn is_sbv(text: &str) -> bool {
    text.lines().any(|line| timing(line).is_some())
}

/// A cue is all lines after its times; `SubViewer` 2 writes `[br]` between lines.
pub(super) fn parse(text: &str) -> Cues {
    let mut cues = Cues::default();
    let mut cue: Option<(CueTiming, String)> = None;
    let mut push = |cue: Option<(CueTiming, String)>| {
        if let Some((timing, text)) = cue {
            cues.push(timing, markup::srt(&text.replace("[br]", "\n")));
        }
    };
    for line in text.lines() {
        if let Some(timing) = timing(line) {
            push(cue.replace((timing, String::new())));
        } else if let Some((_, text)) = &mut cue {
            text.push_str(line);
            text.push('\n');
        }
    }
    push(cue);
    cues
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_generations() {
        let sbv = "0:00:01.000,0:00:02.500\nFirst,\nwords\n\n0:00:03.000,0:00:04.000\n>> ANN: Second\n\n\
                   0:00:06.000,0:00:05.000\nback\n\n-0:00:01.000,0:00:05.000\nbefore\n";
        assert!(is_sbv(sbv) && !is_sbv("12:30,13:45x\n1,2\nwords, words\n"));
        let cues = parse(sbv);
        assert_eq!(cues.n_dropped, 2);
        let texts: Vec<_> = cues.segments.iter().map(|s| (s.range.start.millis(), s.text.as_str())).collect();
        assert_eq!(texts, [(1000, "First, words"), (3000, ">> ANN: Second")]);
        let old = "[INFORMATION]\n[TITLE]x\n[END INFORMATION]\n[SUBTITLE]\n[COLF]&HFFFFFF\n\
                   00:00:01.50,00:00:02.25\nOne[br]<i>two</i>\n";
        let cues = parse(old);
        assert_eq!((cues.segments[0].range.start.millis(), &*cues.segments[0].text), (1500, "One two"));
    }
}
