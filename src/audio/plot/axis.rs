//! The time axis, on the clock that audio and video share.

use super::canvas::{Align, Canvas, INK, TEXT_HEIGHT};
use super::{PLOT_LEFT, PLOT_WIDTH};

/// Steps between labels, in seconds: what people divide time by. Beyond them, whole days.
const STEPS: &[f64] = &[
    1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0,
    300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0, 21_600.0, 43_200.0,
];

/// Labels over the whole width at most.
const MAX_LABELS: f64 = 11.0;

/// Times to be labelled from `start` to `end`, in seconds, each with the pixel of its place.
pub(super) fn ticks(start: f64, end: f64) -> Vec<(u32, String)> {
    let length = (end - start).max(1e-9);
    let days = || (length / MAX_LABELS / 86_400.0).ceil() * 86_400.0;
    let step = STEPS.iter().copied().find(|step| length / step <= MAX_LABELS).unwrap_or_else(days);
    let first = (start / step - 1e-9).ceil();
    let times = (0..).map(|i| (first + f64::from(i)) * step).take_while(|time| *time <= end + 1e-9 * length);
    // Not many more than that fit, whatever rounding does.
    let times = times.take(MAX_LABELS as usize + 2);
    times
        .map(|time| {
            let x = f64::from(PLOT_LEFT) + (time - start) / length * f64::from(PLOT_WIDTH);
            (x.round() as u32, clock(time, step))
        })
        .collect()
}

/// `1:02:03`, `2:03`, or `2:03.25` with as many decimals as the step needs.
fn clock(time: f64, step: f64) -> String {
    let decimals = if step < 1.0 { (-step.log10()).ceil() as usize } else { 0 };
    let unit = 10_f64.powi(decimals as i32);
    let units = (time.abs() * unit).round();
    let (sign, whole) = (if time < -step / 2.0 { "-" } else { "" }, (units / unit).floor());
    let (hours, minutes, seconds) = ((whole / 3600.0).floor(), (whole / 60.0).floor() % 60.0, whole % 60.0);
    let head = if hours > 0.0 { format!("{hours}:{minutes:02}") } else { format!("{minutes}") };
    let tail = if decimals > 0 { format!(".{:0decimals$}", units % unit) } else { String::new() };
    format!("{sign}{head}:{seconds:02}{tail}")
}

/// Draws the axis below the height `y`.
pub(super) fn draw(canvas: &mut Canvas, y: u32, start: f64, end: f64) {
    canvas.fill(PLOT_LEFT, y, PLOT_WIDTH, 1, INK);
    for (x, label) in ticks(start, end) {
        canvas.fill(x, y, 1, 6, INK);
        canvas.text(x, y + 8 + TEXT_HEIGHT / 2, Align::Centre, &label);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_fit_the_length() {
        let labels = |start, end| ticks(start, end).into_iter().map(|(_, label)| label).collect::<Vec<_>>();
        assert_eq!(
            labels(0.0, 5.0),
            [
                "0:00.0", "0:00.5", "0:01.0", "0:01.5", "0:02.0", "0:02.5", "0:03.0", "0:03.5", "0:04.0", "0:04.5",
                "0:05.0"
            ]
        );
        assert_eq!(labels(-0.5, 1.5).first().map(String::as_str), Some("-0:00.4"));
        assert_eq!(
            labels(3500.0, 3800.0),
            ["58:30", "59:00", "59:30", "1:00:00", "1:00:30", "1:01:00", "1:01:30", "1:02:00", "1:02:30", "1:03:00"]
        );
        assert_eq!(labels(0.0, 86_400.0).last().map(String::as_str), Some("24:00:00"));
        for length in [1e-9, 1e-4, 0.3, 7.0, 61.0, 5000.0, 1e6, 1e12] {
            let n = labels(0.0, length).len();
            assert!((1..=13).contains(&n), "{length}: {n}");
        }
        assert_eq!(ticks(2.0, 4.0)[5], (PLOT_LEFT + PLOT_WIDTH / 2, "0:03.0".into()));
    }
}
