//! Times in place of the IDs that an answer cites: `(#17, s42)` becomes `(04:12.5, 04:15.0)`.

use super::document::{Report, TranscriptOutcome};
use crate::citation_syntax::{frame_id, id_range_end, segment_id};
use crate::time::Timestamp;

/// Characters of the longest list of IDs that is read.
const MAX_GROUP_CHARS: usize = 300;

/// What an answer cites.
#[derive(Clone, Copy)]
enum CitedId {
    Frame(usize),
    Segment(usize),
}

/// The text with times in place of IDs, where parentheses or brackets contain IDs alone. IDs that do not exist stay.
pub(super) fn with_times(text: &str, report: &Report) -> String {
    let segments = match &report.transcript {
        TranscriptOutcome::Found(transcript) => transcript.segments.as_slice(),
        _ => &[],
    };
    let time_of = |id: CitedId| match id {
        CitedId::Frame(idx) => report.frames.iter().find(|frame| frame.frame_idx == idx).map(|frame| frame.time),
        CitedId::Segment(at) => segments.get(at).map(|segment| segment.range.start),
    };
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find(['(', '[']) {
        let close = if rest[open..].starts_with('(') { ')' } else { ']' };
        let inside = &rest[open + 1..];
        // A list of IDs is short. Looking further would take quadratic time with many brackets.
        let near = inside.char_indices().nth(MAX_GROUP_CHARS).map_or(inside, |(end, _)| &inside[..end]);
        let group = near.find(close).map(|end| &inside[..end]);
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
fn times(group: &str, time_of: &impl Fn(CitedId) -> Option<Timestamp>) -> Option<String> {
    let mut labels: Vec<String> = Vec::new();
    for item in group.split([',', ';']).map(str::trim) {
        let is_frame = item.starts_with('#');
        let parse = if is_frame { frame_id } else { segment_id };
        let kind = |id| if is_frame { CitedId::Frame(id) } else { CitedId::Segment(id) };
        let (from, n) = parse(item)?;
        let to = id_range_end(&item[n..], parse);
        if n + to.map_or(0, |(_, n)| n) != item.len() {
            return None;
        }
        let from = time_of(kind(from))?.label();
        let label = match to {
            None => from,
            Some((to, _)) => format!("{from} to {}", time_of(kind(to))?.label()),
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
        let time_of = |id: CitedId| {
            let millis = match id {
                CitedId::Frame(0) => 0,
                CitedId::Frame(17) | CitedId::Segment(44) => 252_500,
                CitedId::Segment(42) => 255_000,
                CitedId::Segment(43) => 260_000,
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
