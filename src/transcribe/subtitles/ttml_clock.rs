//! Time expressions of TTML (TTML2, section 12.3): clock times, with frames too, and offsets in six units.

use super::timing::parse_time;
use super::xml::Element;

/// Times from this one on are errors: a hundred days.
const MAX_MILLIS: f64 = 8.64e9;

/// The units of a document's times, from the attributes of its root.
#[derive(Clone, Copy)]
pub(super) struct Clock {
    /// Frames of a second in time codes: 30 for 30000/1001.
    nominal_rate: f64,
    /// Frames per second.
    frame_rate: f64,
    sub_frame_rate: f64,
    tick_rate: f64,
    /// Whether clock times count frames, as time codes of SMPTE do, so that an hour of 29.97 frames per second lasts 3603.6 s.
    is_smpte: bool,
    /// Whether time codes leave out two numbers each minute except each tenth.
    is_drop_frame: bool,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            nominal_rate: 30.0,
            frame_rate: 30.0,
            sub_frame_rate: 1.0,
            tick_rate: 1.0,
            is_smpte: false,
            is_drop_frame: false,
        }
    }
}

impl Clock {
    /// Reads `frameRate`, `frameRateMultiplier`, `subFrameRate`, `tickRate`, `timeBase` and `dropMode`; a value that is
    /// not a sensible number is as good as absent.
    pub(super) fn new(root: &Element) -> Self {
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|n| *n > 0.0 && *n <= 1e12);
        let attribute = |name: &str| root.attribute(name).and_then(number);
        let stated_rate = attribute("frameRate");
        let nominal_rate = stated_rate.unwrap_or(30.0);
        let multiplier = root.attribute("frameRateMultiplier").and_then(|text| {
            let (num, den) = text.split_once([' ', ':']).unwrap_or((text, "1"));
            Some(number(num)? / number(den)?)
        });
        let sub_frame_rate = attribute("subFrameRate").unwrap_or(1.0);
        let frame_rate = nominal_rate * multiplier.unwrap_or(1.0);
        let default_ticks = stated_rate.map_or(1.0, |_| frame_rate * sub_frame_rate);
        Self {
            nominal_rate,
            frame_rate,
            sub_frame_rate,
            tick_rate: attribute("tickRate").unwrap_or(default_ticks),
            is_smpte: root.attribute("timeBase") == Some("smpte"),
            is_drop_frame: root.attribute("dropMode") == Some("dropNTSC"),
        }
    }

    /// Milliseconds; None if the text is no time expression, is negative or is huge.
    pub(super) fn millis(&self, text: &str) -> Option<i64> {
        let millis = if text.contains(':') { self.clock_time(text)? } else { self.offset(text)? * 1000.0 };
        (millis < MAX_MILLIS).then(|| millis.round() as i64)
    }

    /// `12.5s`, `500ms`, `3m`, `2h`, `40f`, `90000t`; in seconds. Without a unit, seconds.
    fn offset(&self, text: &str) -> Option<f64> {
        let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let count = decimal(&text[..text.len() - unit.len()])?;
        let seconds = match unit {
            "s" | "" => 1.0,
            "ms" => 0.001,
            "m" => 60.0,
            "h" => 3600.0,
            "f" => 1.0 / self.frame_rate,
            "t" => 1.0 / self.tick_rate,
            _ => return None,
        };
        Some(count * seconds)
    }

    /// `HH:MM:SS`, `HH:MM:SS.fraction`, `HH:MM:SS:frames`, `HH:MM:SS:frames.sub-frames`; in milliseconds.
    fn clock_time(&self, text: &str) -> Option<f64> {
        let text = text.replace(';', ":");
        if text.matches(':').count() < 3 {
            let millis = parse_time(&text)? as f64;
            return Some(if self.is_smpte {
                self.counted(millis / 1000.0 * self.nominal_rate) * 1000.0
            } else {
                millis
            });
        }
        let (clock, frames) = text.rsplit_once(':')?;
        let seconds = parse_time(clock)? as f64 / 1000.0;
        let (frames, sub_frames) = frames.split_once('.').unwrap_or((frames, "0"));
        let (frames, sub_frames) = (decimal(frames)?, decimal(sub_frames)?);
        let frames = frames + sub_frames / self.sub_frame_rate;
        if frames >= self.nominal_rate.max(1.0) {
            return None;
        }
        let seconds = if self.is_smpte {
            self.counted(seconds * self.nominal_rate + frames)
        } else {
            seconds + frames / self.frame_rate
        };
        Some(seconds * 1000.0)
    }

    /// The seconds of a time code, given as the number of frames that it names.
    fn counted(&self, frames: f64) -> f64 {
        let dropped = if self.is_drop_frame {
            let minutes = (frames / (60.0 * self.nominal_rate)).floor();
            2.0 * (minutes - (minutes / 10.0).floor())
        } else {
            0.0
        };
        (frames - dropped) / self.frame_rate
    }
}

/// Digits with at most one point.
fn decimal(text: &str) -> Option<f64> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    text.parse().ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use super::super::xml::{self, Node};
    use super::*;

    fn clock(attributes: &str) -> Clock {
        let mut clock = Clock::default();
        xml::read(&format!("<tt {attributes}/>"), &mut |node| {
            if let Node::Open(element) = node {
                clock = Clock::new(&element);
            }
        });
        clock
    }

    #[test]
    fn every_form_of_time() {
        let film = "ttp:frameRate='24' ttp:frameRateMultiplier='1000 1001'";
        let ntsc = "frameRate='30' frameRateMultiplier='1000 1001' timeBase='smpte'";
        let drop = format!("{ntsc} dropMode='dropNTSC'");
        for (attributes, text, millis) in [
            ("", "00:00:01.500", 1500),
            ("", "01:00:00", 3_600_000),
            ("", "100:00:00.25", 360_000_250),
            ("", "00:00:01:15", 1500),
            ("", "12.5s", 12_500),
            ("", "500ms", 500),
            ("", "1.5m", 90_000),
            ("", "2h", 7_200_000),
            ("", "45f", 1500),
            ("", "7t", 7000),
            ("", "3.25", 3250),
            ("ttp:tickRate='10000000'", "15000000t", 1500),
            ("frameRate='25'", "50t", 2000),
            ("frameRate='25' subFrameRate='2'", "00:00:00:10.1", 420),
            (film, "24f", 1001),
            (film, "00:00:10:06", 10_250),
            ("frameRate='30' frameRateMultiplier='1000:1001'", "30f", 1001),
            (ntsc, "01:00:00:00", 3_603_600),
            (&*drop, "01:00:00:00", 3_599_996),
            (&*drop, "00:01:00;02", 60_060),
            ("frameRate='0' tickRate='-5'", "30f", 1000),
        ] {
            assert_eq!(clock(attributes).millis(text), Some(millis), "{attributes} {text}");
        }
    }

    #[test]
    fn hostile_times_are_none() {
        for text in [
            "-1s",
            "",
            "s",
            "1.2.3s",
            "NaN",
            "infs",
            "1e9s",
            "00:00:01:30",
            "00:61:00",
            "99999999999999999999t",
            "wallclock(12:00)",
            "::",
            "1:2:3:4:5",
            "1 s",
            "\u{661}s",
            "00:00:01:-1",
        ] {
            assert_eq!(Clock::default().millis(text), None, "{text}");
        }
    }
}
