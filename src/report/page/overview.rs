//! The whole recording as one line: chapters, the level of the audio, frames, and what the answer cites.

use std::collections::HashSet;
use std::fmt::Write as _;

use maud::{Markup, html};

use super::places::{PagePlace, segments};
use crate::report::chapters;
use crate::report::{Report, ReportFrame, TranscriptOutcome};
use crate::time::{TimeRange, Timestamp};

/// Width and height in the drawing's own units; it is stretched to the width of the page.
const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 48.0;
/// Where the waveform has its middle, and how high it is above.
const WAVE_MIDDLE: f64 = 19.0;
const WAVE_HEIGHT: f64 = 18.0;

/// The drawing; None where there is no length.
pub(super) fn drawing(report: &Report, cited: &HashSet<PagePlace>) -> Option<Markup> {
    let range = report.sampling.range;
    let range = report.frames.iter().fold(range, |range, frame| TimeRange::new(range.start, range.end.max(frame.time)));
    let length = range.length().secs_f64();
    if length <= 0.0 {
        return None;
    }
    let x = |time: Timestamp| ((time.minus(range.start).secs_f64() / length) * WIDTH).clamp(0.0, WIDTH);
    let ticks = |times: &mut dyn Iterator<Item = Timestamp>, top: f64| {
        times.fold(String::new(), |mut path, time| {
            // Writing to a String does not fail.
            let _ = write!(path, "M{:.1} {top}V{HEIGHT}", x(time));
            path
        })
    };
    let (cited_frames, others): (Vec<&ReportFrame>, Vec<_>) =
        report.frames.iter().partition(|frame| cited.contains(&PagePlace::Frame(frame.frame_idx)));
    let cited_lines = segments(report).iter().enumerate().filter(|(at, _)| cited.contains(&PagePlace::Line(*at)));
    let mut cited_times =
        cited_frames.iter().map(|frame| frame.time).chain(cited_lines.map(|(_, segment)| segment.range.start));
    let bands = chapters::chapters(report).into_iter().skip(1).step_by(2).map(|chapter| {
        let (from, to) = (x(chapter.start), x(chapter.end));
        (format!("{from:.1}"), format!("{:.1}", (to - from).max(0.0)))
    });
    let levels = match &report.transcript {
        TranscriptOutcome::Found(transcript) => transcript.levels.as_ref(),
        _ => None,
    };
    let wave = levels.map(|levels| {
        let step = levels.step.secs_f64() / length * WIDTH;
        (hills(&levels.peaks), format!("translate({:.2} 0) scale({step:.6} 1)", x(levels.start)))
    });
    let label = format!("Timeline from {} to {}", range.start.label(), range.end.label());
    Some(html! {
        svg #overview viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-label=(label)
            data-start=(range.start.secs_f64()) data-length=(length) {
            @for (x, width) in bands { rect x=(x) y="0" width=(width) height=(HEIGHT) {} }
            @if let Some((hills, place)) = &wave {
                g.wave transform=(place) {
                    path #hills d=(hills) {}
                    use href="#hills" transform={ "matrix(1 0 0 -1 0 " (2.0 * WAVE_MIDDLE) ")" } {}
                }
            }
            path d=(ticks(&mut others.iter().map(|frame| frame.time), 38.0)) {}
            path.cited d=(ticks(&mut cited_times, 30.0)) {}
            line #now x1="0" x2="0" y1="0" y2=(HEIGHT) hidden {}
        }
    })
}

/// The upper half of a waveform, a unit wide for each value; the loudest is as high as there is room.
fn hills(peaks: &[u8]) -> String {
    let loudest = f64::from(peaks.iter().copied().max().unwrap_or_default().max(1));
    let (mut path, mut before) = (format!("M0 {WAVE_MIDDLE}"), 0);
    for peak in peaks {
        let height = (f64::from(*peak) / loudest * WAVE_HEIGHT).round() as i64;
        // Writing to a String does not fail.
        let _ = write!(path, "v{}h1", before - height);
        before = height;
    }
    let _ = write!(path, "v{before}z");
    path
}
