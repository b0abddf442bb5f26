//! Times in place of the IDs that an answer cites: `(#17, s42)` becomes `(04:12.5, 04:15.0)`.

use super::document::{Report, TranscriptOutcome};
use crate::time::Timestamp;

/// The text with times in place of IDs, where parentheses or brackets contain IDs alone. IDs that do not exist stay.
pub(super) fn with_times(text: &str, report: &Report) -> String {
    let segments = match &report.transcript {
        TranscriptOutcome::Found(transcript) => transcript.segments.as_slice(),
        _ => &[],
    };
    let time_of = |id: &str| -> Option<Timestamp> {
        if let Some(frame) = id.strip_prefix('#') {
            let idx: usize = frame.parse().ok()?;
            return report.frames.iter().find(|frame| frame.frame_idx == idx).map(|frame| frame.time);
        }
        Some(segments.get(id.strip_prefix('s')?.parse::<usize>().ok()?)?.range.start)
    };
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find(['(', '[']) {
        let close = if rest[open..].starts_with('(') { ')' } else { ']' };
        let inside = &rest[open + 1..];
        let group = inside.find(close).map(|end| &inside[..end]);
        out.push_str(&rest[..=open]);
        let Some((group, times)) = group.and_then(|group| Some((group, times(group, &time_of)?))) else {
            rest = inside;
            continue;
        };
        out.push_str(&times);
        rest = &inside[group.len()..];
    }
    out + rest
}

/// The times of a list of IDs, in order and once each; None where it contains anything else, or an unknown ID.
fn times(group: &str, time_of: &impl Fn(&str) -> Option<Timestamp>) -> Option<String> {
    let mut labels: Vec<String> = Vec::new();
    for item in group.split([',', ';']).map(str::trim) {
        let (from, to) = item.split_once(['-', '\u{2013}']).map_or((item, None), |(from, to)| (from, Some(to.trim())));
        let from_time = time_of(from.trim())?;
        // `s42-44` is a range, too.
        let to_time = to.map(|to| time_of(to).or_else(|| time_of(&format!("{}{to}", from.get(..1)?))));
        let label = match to_time {
            None => from_time.label(),
            Some(to) => format!("{} to {}", from_time.label(), to?.label()),
        };
        if !labels.contains(&label) {
            labels.push(label);
        }
    }
    (!labels.is_empty()).then(|| labels.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_ids_become_times() {
        let time_of = |id: &str| {
            let millis = match id {
                "#0" => 0,
                "#17" | "s44" => 252_500,
                "s42" => 255_000,
                "s43" => 260_000,
                _ => return None,
            };
            Some(Timestamp::from_millis(millis))
        };
        for (ids, expected) in [
            ("#17", Some("04:12.5")),
            ("#17, s42", Some("04:12.5, 04:15.0")),
            ("#17; s44", Some("04:12.5")),
            ("s42-s43", Some("04:15.0 to 04:20.0")),
            ("s42\u{2013}43", Some("04:15.0 to 04:20.0")),
            ("#17, s99", None),
            ("see #17", None),
            ("-", None),
            ("#17-\u{e9}", None),
            ("", None),
        ] {
            assert_eq!(times(ids, &time_of).as_deref(), expected, "{ids}");
        }
    }
}
