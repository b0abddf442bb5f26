//! Chapters: the container's own or the report's sections, as files for players, editors and web pages.

use std::fmt::Write as _;

use super::Report;
use super::subtitles::escaped;
use crate::sanitize::{clean_line, clean_text};
use crate::time::Timestamp;

/// The files of chapters in the folder of a report.
pub const FILES: [&str; 3] = ["chapters.ffmetadata", "chapters.txt", "chapters.vtt"];

/// A chapter of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReportChapter {
    /// Its start on the shared clock, never negative.
    pub start: Timestamp,
    /// Its end on the shared clock, never before the start.
    pub end: Timestamp,
    /// Its title without control and invisible characters, never empty; it may have several lines. Untrusted text.
    pub title: String,
}

/// The chapters of a report in time order: those of the container, or the sections if it has none or if chapters were asked
/// for. One without a title is
/// called `Chapter 3`, by its number from 1.
#[must_use]
pub fn chapters(report: &Report) -> Vec<ReportChapter> {
    let own = report.media.chapters.iter().map(|chapter| (chapter.start, chapter.end, chapter.title.as_deref()));
    let sections =
        report.sections.iter().map(|section| (section.range.start, section.range.end, Some(&*section.title)));
    let is_requested = report.has_requested_chapters && !report.sections.is_empty();
    if report.media.chapters.is_empty() || is_requested { in_order(sections) } else { in_order(own) }
}

fn in_order<'a>(chapters: impl Iterator<Item = (Timestamp, Timestamp, Option<&'a str>)>) -> Vec<ReportChapter> {
    let mut chapters: Vec<_> = chapters.collect();
    chapters.sort_by_key(|(start, _, _)| *start);
    let numbered = (1..).zip(chapters);
    let chapter = |(number, (start, end, title)): (usize, (Timestamp, Timestamp, Option<&str>))| {
        let start = start.max(Timestamp::ZERO);
        let title = title.map(|title| clean_text(title).trim().to_owned()).filter(|title| !title.is_empty());
        ReportChapter { start, end: end.max(start), title: title.unwrap_or_else(|| format!("Chapter {number}")) }
    };
    numbered.map(chapter).collect()
}

/// The metadata format of FFmpeg, version 1, with times in milliseconds: `ffmpeg -i in.mp4 -i chapters.ffmetadata
/// -map_chapters 1` reads it.
#[must_use]
pub fn to_ffmetadata(chapters: &[ReportChapter]) -> String {
    let mut out = String::from(";FFMETADATA1\n");
    for chapter in chapters {
        let (start, end) = (chapter.start.millis(), chapter.end.millis());
        let _ = write!(out, "[CHAPTER]\nTIMEBASE=1/1000\nSTART={start}\nEND={end}\ntitle=");
        for c in chapter.title.chars() {
            if matches!(c, '=' | ';' | '#' | '\\' | '\n') {
                out.push('\\');
            }
            out.push(c);
        }
        out.push('\n');
    }
    out
}

/// Lines for the description of a video on YouTube: `0:00 Title`, `1:02:03 Title`.
///
/// YouTube wants the first line at 0:00: where the first chapter starts a second or more later, a line `0:00 Start` is put
/// before it. A description must not have angle brackets: `<` and `>` become `‹` and `›`.
#[must_use]
pub fn to_youtube(chapters: &[ReportChapter]) -> String {
    let mut out = String::new();
    let lead = chapters.first().filter(|first| seconds(first.start) > 0).map(|_| (0, "Start".to_owned()));
    let own = chapters.iter().map(|chapter| {
        let title = clean_line(&chapter.title).replace('<', "‹").replace('>', "›");
        (seconds(chapter.start), title)
    });
    for (at, title) in lead.into_iter().chain(own) {
        let (hours, minutes, seconds) = (at / 3600, at / 60 % 60, at % 60);
        // Writing to a String does not fail.
        let _ = match hours {
            0 => writeln!(out, "{minutes}:{seconds:02} {title}"),
            _ => writeln!(out, "{hours}:{minutes:02}:{seconds:02} {title}"),
        };
    }
    out
}

fn seconds(time: Timestamp) -> i64 {
    time.millis() / 1000
}

/// WebVTT for a `<track kind="chapters">`: a cue for each chapter, at least a millisecond long, with the title as its text.
#[must_use]
pub fn to_vtt(chapters: &[ReportChapter]) -> String {
    let mut out = String::from("WEBVTT\n\n");
    for chapter in chapters {
        let start = chapter.start.millis();
        let end = chapter.end.millis().max(start.saturating_add(1));
        let (start, end) = (Timestamp::from_millis(start), Timestamp::from_millis(end));
        let _ = write!(out, "{start} --> {end}\n{}\n\n", escaped(&clean_line(&chapter.title)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{MediaChapter, MediaInfo};
    use crate::record::Section;
    use crate::report::SamplingSummary;
    use crate::time::TimeRange;
    use crate::timeline::Timeline;

    fn list(chapters: &[(i64, i64, Option<&str>)]) -> Vec<ReportChapter> {
        let at = Timestamp::from_millis;
        in_order(chapters.iter().map(|(start, end, title)| (at(*start), at(*end), *title)))
    }

    #[test]
    fn chapters_of_the_container_win() {
        let range = TimeRange::new(Timestamp::ZERO, Timestamp::from_millis(9000));
        let media = MediaInfo::new("talk.mp4", "mp4");
        let timeline = Timeline::new(range, Vec::new(), None);
        let mut report = Report::new(media, SamplingSummary::default(), &timeline, "none was requested");
        assert_eq!(chapters(&report), []);
        report.sections = vec![Section::new(range, "A\u{1b}[2J section", "", (0, 1))];
        let titles = |report: &Report| chapters(report).into_iter().map(|chapter| chapter.title).collect::<Vec<_>>();
        assert_eq!(titles(&report), ["A section"]);
        report.media.chapters = vec![MediaChapter { start: range.start, end: range.end, title: None }];
        assert_eq!(titles(&report), ["Chapter 1"]);
        report.has_requested_chapters = true;
        assert_eq!(titles(&report), ["A section"], "chapters were asked for");
        report.sections.clear();
        assert_eq!(titles(&report), ["Chapter 1"]);
    }

    #[test]
    fn titles_cannot_break_a_format() {
        let hostile =
            list(&[(0, 1500, Some("a=b;c#d\\e\n00:00:01.000 --> x <b>&\u{1b}[31m\u{202e}")), (1500, 2000, None)]);
        assert_eq!(
            to_ffmetadata(&hostile),
            ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1500\n\
             title=a\\=b\\;c\\#d\\\\e\\\n00:00:01.000 --> x <b>&\n\
             [CHAPTER]\nTIMEBASE=1/1000\nSTART=1500\nEND=2000\ntitle=Chapter 2\n"
        );
        assert_eq!(to_youtube(&hostile), "0:00 a=b;c#d\\e 00:00:01.000 --› x ‹b›&\n0:01 Chapter 2\n");
        assert_eq!(
            to_vtt(&hostile),
            "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\na=b;c#d\\e 00:00:01.000 --&gt; x &lt;b&gt;&amp;\n\n\
             00:00:01.500 --> 00:00:02.000\nChapter 2\n\n"
        );
    }

    #[test]
    fn odd_times_are_put_right() {
        let odd = list(&[(7_200_999, 3_000, Some("late")), (-500, -100, Some(" \n ")), (90_000, 90_000, Some("none"))]);
        assert_eq!(to_youtube(&odd), "0:00 Chapter 1\n1:30 none\n2:00:00 late\n");
        let vtt = to_vtt(&odd);
        for times in ["00:00:00.000 --> 00:00:00.001", "00:01:30.000 --> 00:01:30.001", "02:00:00.999 --> 02:00:01.000"]
        {
            assert!(vtt.contains(times), "{vtt}");
        }
        assert!(to_ffmetadata(&odd).contains("START=7200999\nEND=7200999"));
    }

    #[test]
    fn youtube_gets_a_line_at_zero() {
        assert_eq!(to_youtube(&list(&[(5_000, 9_000, Some("a"))])), "0:00 Start\n0:05 a\n");
        assert_eq!(to_youtube(&list(&[(900, 9_000, Some("a"))])), "0:00 a\n");
        assert_eq!(to_youtube(&[]), "");
    }
}
