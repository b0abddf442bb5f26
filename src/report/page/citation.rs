//! Finds the citations in the text of an answer: IDs and times that name a frame or a line of the report.

use std::ops::Range;

use super::places::{PagePlace, PagePlaces};
use crate::citation_syntax::{frame_id, may_follow, segment_id, written_time};

/// The citations of a text in order, each with what it names. IDs and times that name nothing are left out: the check of
/// the sentences says so.
pub(super) fn citations(text: &str, places: &PagePlaces) -> Vec<(Range<usize>, PagePlace)> {
    let (mut found, mut at, mut before) = (Vec::new(), 0, ' ');
    while let Some(c) = text[at..].chars().next() {
        let cited = if may_follow(before) { cited(&text[at..], places) } else { None };
        if let Some((place, n)) = cited {
            found.push((at..at + n, place));
            at += n;
            before = '0';
        } else {
            at += c.len_utf8();
            before = c;
        }
    }
    found
}

/// What the start of a text cites, and the number of bytes that it takes.
fn cited(text: &str, places: &PagePlaces) -> Option<(PagePlace, usize)> {
    let frame = frame_id(text).and_then(|(id, n)| Some((places.frame(id)?, n)));
    let id = frame.or_else(|| segment_id(text).and_then(|(id, n)| Some((places.line(id)?, n))));
    if let Some((place, n)) = id {
        return Some((place, n + own_time(&text[n..], place, places)));
    }
    let (time, n) = written_time(text)?;
    Some((places.labelled(time)?, n))
}

/// The bytes of the time that follows an ID, where it is the time of the same place: `#17, 04:12.5` is one link.
fn own_time(text: &str, place: PagePlace, places: &PagePlaces) -> usize {
    let rest = text.trim_start_matches([',', ' ', '@', 't', '=']);
    let rest = rest.strip_prefix("a").map_or(rest, |after| after.trim_start_matches(['t', ' ']));
    match written_time(rest) {
        Some((time, n)) if places.is_labelled(place, time) => text.len() - rest.len() + n,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn places() -> PagePlaces {
        let at = Timestamp::from_millis;
        PagePlaces::new([(0, at(0)), (7, at(6540)), (8, at(8000))], [4250, 8000, 3_852_500].map(at))
    }

    #[test]
    fn ids_and_times_of_the_report_are_found() {
        for (text, expected) in [
            ("A ship (#7).", "#7>f7"),
            ("A ship (#7, 00:06.5), then (#0 to #8)", "#7, 00:06.5>f7 #0>f0 #8>f8"),
            ("#7 at 00:06.5 and #7 at 00:04.2", "#7 at 00:06.5>f7 #7>f7 00:04.2>s0"),
            ("- 00:04.2 said, 0:04 and 00:04 too", "00:04.2>s0 0:04>s0 00:04>s0"),
            ("both at 00:08.0; the frame alone at 00:06", "00:08.0>s1 00:06>f7"),
            ("later [t=1:04:12.5 #8]", "1:04:12.5>s2 #8>f8"),
            ("said (s0, s2) and (#8, s1)", "s0>s0 s2>s2 #8>f8 s1>s1"),
            ("At 00:04: it begins", "00:04>s0"),
            ("배가 떠난다#7에서", "#7>f7"),
        ] {
            let found = citations(text, &places());
            let shown: Vec<_> = found.iter().map(|(range, p)| format!("{}>{}", &text[range.clone()], p.id())).collect();
            assert_eq!(shown.join(" "), expected, "{text}");
        }
    }

    #[test]
    fn what_names_nothing_is_no_citation() {
        for text in [
            "#9",
            "#7a",
            "a#7",
            "00:05.0",
            "10:30",
            "16:10",
            "1:2",
            "#",
            ":",
            "#99999999999999999999999",
            "s3",
            "s",
            "was0",
            "s1b",
        ] {
            assert_eq!(citations(text, &places()), [], "{text}");
        }
    }
}
