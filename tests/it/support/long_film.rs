//! Long films with a mark in each frame and a line of speech every 40 s, made by ffmpeg.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// A sentence is spoken every 40 s.
pub const LINE_SECONDS: u64 = 40;
const WIDTH: usize = 160;
const HEIGHT: usize = 90;

/// A film of this length, one frame per second with its number as a mark, and subtitles that name an event in each line.
pub fn make(folder: &Path, minutes: u64) -> String {
    let film = folder.join(format!("long-{minutes}.mp4"));
    let mut encoder = Command::new("ffmpeg");
    encoder.args([
        "-v",
        "error",
        "-y",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "gray",
        "-s",
        &format!("{WIDTH}x{HEIGHT}"),
        "-r",
        "1",
    ]);
    encoder.args(["-i", "-", "-c:v", "libx264", "-preset", "ultrafast", "-crf", "18", "-g", "30"]).arg(&film);
    let mut encoder = encoder.stdin(Stdio::piped()).spawn().expect("ffmpeg");
    let mut frames = encoder.stdin.take().expect("a pipe");
    for second in 0..minutes * 60 {
        frames.write_all(&draw(u32::try_from(second).expect("some hours"))).expect("a frame");
    }
    drop(frames);
    assert!(encoder.wait().expect("ended").success());
    let time = |seconds: u64| format!("{:02}:{:02}:{:02},000", seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut cues = String::new();
    for n in 0..minutes * 60 / LINE_SECONDS {
        let start = n * LINE_SECONDS + 5;
        // Writing to a String does not fail.
        let _ = write!(cues, "{}\n{} --> {}\n{}\n\n", n + 1, time(start), time(start + 4), event(n));
    }
    std::fs::write(film.with_extension("srt"), cues).expect("written");
    film.to_str().expect("UTF-8").to_owned()
}

/// A grey frame with its number as the mark that [`read_mark`](crate::support::marks::read_mark) reads.
fn draw(number: u32) -> Vec<u8> {
    let check = (number >> 12 ^ number >> 8 ^ number >> 4 ^ number ^ 0b1010) & 0xF;
    let upper = 1 << 11 | (number >> 8 & 0xFF) << 3 | (check >> 2) << 1;
    let lower = (number & 0xFF) << 3 | (check & 3) << 1 | 1;
    let mut pixels = vec![100; WIDTH * HEIGHT];
    for (y, row) in pixels.chunks_mut(WIDTH).take(HEIGHT / 5).enumerate() {
        let bits = if y < HEIGHT / 10 { upper } else { lower };
        for (x, pixel) in row.iter_mut().enumerate() {
            *pixel = if bits >> (11 - x * 12 / WIDTH) & 1 == 1 { 255 } else { 0 };
        }
    }
    pixels
}

/// What the line with this number says.
pub fn event(n: u64) -> String {
    format!("Event {n} happens now, and {} boxes are counted.", 1000 + 7 * n)
}
