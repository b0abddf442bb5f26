//! Waveforms and spectrograms, read back from the PNG: what is drawn is where it sounded.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its input stops")]

use std::process::Command;

use crate::support::command::User;
use image::RgbImage;

/// Where the sound is drawn in the picture: pixels from the left and from the top.
const LEFT: u32 = 76;
const WIDTH: u32 = 1120;
const TOP: u32 = 14;
const ROWS: u32 = 400;

/// The colour of silence.
const FLOOR: [u8; 3] = [0, 0, 4];

/// Describes a sound that ffmpeg makes of `source`; gives the waveform and the spectrogram.
fn drawn(source: &str, rate: u32, seconds: f64) -> [RgbImage; 2] {
    let user = User::new();
    let (sound, wave, spectrum) = (user.path("a.wav"), user.path("w.png"), user.path("s.png"));
    let done = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-f", "lavfi", "-i", &format!("aevalsrc='{source}':s={rate}:d={seconds}")])
        .arg(&sound)
        .status()
        .expect("ffmpeg is installed");
    assert!(done.success());
    user.run(&["describe-audio", &sound, "--no-transcript", "--waveform", &wave, "--spectrogram", &spectrum])
        .complete();
    [wave, spectrum].map(|file| image::open(file).unwrap().into_rgb8())
}

/// Lightness of a pixel of the spectrogram, `x` and `row` counted from the lower left end of what is drawn.
fn lightness(picture: &RgbImage, x: u32, row: u32) -> u32 {
    let [r, g, b] = picture.get_pixel(LEFT + x, TOP + ROWS - 1 - row).0.map(u32::from);
    2 * r + 3 * g + b
}

fn mel(hertz: f64) -> f64 {
    2595.0 * (1.0 + hertz / 700.0).log10()
}

#[test]
fn the_ridge_of_a_sweep_is_where_it_sounds() {
    // 200 Hz to 7200 Hz in ten seconds, and the same in five minutes, where columns were put together many times.
    for (seconds, rate) in [(10.0, 16_000), (300.0, 16_000), (1.0, 44_100)] {
        let slope = 3500.0 / seconds;
        let [_, spectrum] = drawn(&format!("0.5*sin(2*PI*t*(200+{slope}*t))"), rate, seconds);
        assert_eq!(spectrum.dimensions(), (1280, 448));
        for x in (60..WIDTH - 60).step_by(40) {
            let hertz = 200.0 + 2.0 * slope * seconds * (f64::from(x) + 0.5) / f64::from(WIDTH);
            let wanted = mel(hertz) / mel(f64::from(rate) / 2.0) * f64::from(ROWS);
            let brightest = (0..ROWS).max_by_key(|row| lightness(&spectrum, x, *row)).unwrap();
            let most = lightness(&spectrum, x, brightest);
            let same: Vec<u32> = (0..ROWS).filter(|row| lightness(&spectrum, x, *row) == most).collect();
            let ridge = f64::from(same.iter().sum::<u32>()) / same.len() as f64 + 0.5;
            // A row is 7 mel here; a bin of the lowest ones is some rows high, and a second of sweep is fast.
            assert!((ridge - wanted).abs() <= 5.0, "{seconds} s: at x {x} the ridge is in row {ridge}, not {wanted}");
        }
    }
}

#[test]
fn silence_is_the_floor() {
    for seconds in [0.001, 3.0, 200.0] {
        let [wave, spectrum] = drawn("0", 8000, seconds);
        for (x, row) in (0..WIDTH).flat_map(|x| [0, 57, ROWS - 1].map(|row| (x, row))) {
            assert_eq!(spectrum.get_pixel(LEFT + x, TOP + row).0, FLOOR, "{seconds} s: x {x}, row {row}");
        }
        // One line in the middle of the lane of 241 pixels, the paper and its grid elsewhere.
        for x in 0..WIDTH {
            let inks = (0..241).filter(|y| wave.get_pixel(LEFT + x, TOP + y).0 == [32, 86, 158]).collect::<Vec<_>>();
            assert_eq!(inks, [120], "{seconds} s: x {x}");
        }
    }
}

#[test]
fn a_click_is_at_its_second_and_clipping_is_red() {
    for seconds in [8.0, 120.0] {
        let at = seconds * 0.75;
        let [wave, spectrum] = drawn(&format!("1.5*between(t,{at},{at}+0.0002)"), 48_000, seconds);
        let x = (0.75 * f64::from(WIDTH)) as u32;
        let red: Vec<u32> = (0..WIDTH).filter(|x| wave.get_pixel(LEFT + x, TOP).0 == [214, 40, 40]).collect();
        assert!(!red.is_empty() && red.iter().all(|red| red.abs_diff(x) <= 1), "{seconds} s: {red:?}");
        let lit: Vec<u32> = (0..WIDTH).filter(|x| lightness(&spectrum, *x, 300) > 60).collect();
        // A window is 43 ms long: 6 pixels of 8 s on either side at most.
        assert!(lit.contains(&x) && lit.iter().all(|lit| lit.abs_diff(x) <= 6), "{seconds} s: {lit:?}");
    }
}

#[test]
fn a_picture_shows_one_sound_and_is_a_png() {
    let user = User::new();
    let (file, other) = ("fixtures/speech.wav", "fixtures/speech.mp3");
    let png = user.path("a.png");
    for (args, word) in [
        (vec!["describe-audio", file, other, "--waveform", &png], "one by one"),
        (vec!["describe-audio", file, "--spectrogram", "/tmp/a.jpg"], "FILE.png"),
        (vec!["describe-audio", file, "--spectrogram", &png, "--waveform", &png], "same file"),
    ] {
        let ran = user.run(&args);
        assert!(ran.code == Some(2) && ran.err.contains(word), "{ran:?}");
    }
}
