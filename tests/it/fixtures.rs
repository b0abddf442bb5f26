//! The fixtures are what `fixtures/README.md` and `fixtures/truth.json` say: every frame's mark reads, also from the
//! small JPEG that a model would be sent. Frames are decoded by the ffmpeg command, not by this crate.

use crate::support::marks;
use std::path::{Path, PathBuf};
use std::process::Command;

use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;
use serde_json::Value;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn truth() -> Value {
    let text = std::fs::read_to_string(fixtures().join("truth.json")).expect("truth.json is committed");
    serde_json::from_str(&text).expect("truth.json is JSON")
}

/// All frames of a video stream, upright, scaled to `width` x `height`.
fn decode(file: &Path, stream: usize, width: u32, height: u32) -> Vec<RgbImage> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-threads", "1", "-i"])
        .arg(file)
        .args(["-map", &format!("0:{stream}"), "-fps_mode", "passthrough", "-s", &format!("{width}x{height}")])
        .args(["-pix_fmt", "rgb24", "-f", "rawvideo", "-"])
        .output()
        .expect("ffmpeg runs");
    assert!(output.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&output.stderr));
    let size = (width * height * 3) as usize;
    output
        .stdout
        .chunks(size)
        .map(|rgb| RgbImage::from_raw(width, height, rgb.to_vec()).expect("whole frames"))
        .collect()
}

fn through_jpeg(picture: &RgbImage, quality: u8) -> RgbImage {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality).encode_image(picture).expect("encodes");
    image::load_from_memory(&bytes).expect("decodes").to_rgb8()
}

/// Width and height in which a stream is shown, in proportion, `width` wide.
fn shown(stream: &Value, width: u32) -> (u32, u32) {
    let number = |key: &str| stream[key].as_f64().expect("a number");
    let sar = stream["sar"]
        .as_str()
        .and_then(|sar| sar.split_once(':'))
        .map_or(1.0, |(num, den)| num.parse::<f64>().expect("a number") / den.parse::<f64>().expect("a number"));
    let mut aspect = number("width") * sar / number("height");
    if number("rotation") as u32 % 180 == 90 {
        aspect = 1.0 / aspect;
    }
    (width, (f64::from(width) / aspect).round() as u32)
}

fn check(names: impl Fn(&str) -> bool) {
    let truth = truth();
    let mut n_streams = 0;
    for (name, file) in truth["good"].as_object().expect("an object") {
        for (stream_idx, stream) in file["streams"].as_array().expect("a list").iter().enumerate() {
            let Some(frames) = stream["frames"].as_array().filter(|_| names(name)) else { continue };
            let (width, height) = shown(stream, 256);
            let pictures = decode(&fixtures().join(name), stream_idx, width, height);
            assert_eq!(pictures.len(), frames.len(), "{name}: frames");
            for (picture, frame) in pictures.iter().zip(frames) {
                let expected = frame[1].as_u64().map(|mark| mark as u32);
                assert!(expected.is_some(), "{name}: the truth has a mark for each frame");
                assert_eq!(marks::read_mark(picture), expected, "{name}: pts {}", frame[0]);
                assert_eq!(marks::read_mark(&through_jpeg(picture, 50)), expected, "{name}: pts {} as JPEG", frame[0]);
            }
            n_streams += 1;
        }
    }
    assert!(n_streams > 5, "only {n_streams} streams were looked at");
}

// Three tests, so that they run side by side.
#[test]
fn marks_read_back_in_every_mp4() {
    check(|name| name.ends_with("mp4") && name < "o");
}

#[test]
fn marks_read_back_in_every_later_mp4() {
    check(|name| name.ends_with("mp4") && name >= "o");
}

#[test]
fn marks_read_back_in_every_other_container() {
    check(|name| !name.ends_with("mp4"));
}

#[test]
fn pictures_and_the_sequence_show_their_marks() {
    // `image` leaves EXIF to its caller: those two are read above, by ffmpeg, and here as stored.
    for (name, mark) in [("picture.png", Some(7)), ("picture.webp", Some(7)), ("picture-exif-6.jpg", None)] {
        let picture = image::open(fixtures().join(name)).expect("opens").to_rgb8();
        assert_eq!(marks::read_mark(&picture), mark, "{name}");
    }
    for number in 1..=10 {
        let file = fixtures().join(format!("seq/img_{number:04}.png"));
        let picture = image::open(&file).expect("opens").to_rgb8();
        assert_eq!(marks::read_mark(&picture), Some(number - 1), "{}", file.display());
    }
}

#[test]
fn a_mark_does_not_read_from_a_turned_mirrored_blended_or_tiny_picture() {
    let picture = image::open(fixtures().join("picture.png")).expect("opens").to_rgb8();
    let other = image::open(fixtures().join("seq/img_0005.png")).expect("opens").to_rgb8();
    let other = image::imageops::resize(&other, 320, 180, image::imageops::FilterType::Nearest);
    let mut blend = picture.clone();
    for (to, from) in blend.pixels_mut().zip(other.pixels()) {
        for (to, from) in to.0.iter_mut().zip(from.0) {
            *to = u8::midpoint(*to, from);
        }
    }
    assert_eq!(marks::read_mark(&image::imageops::flip_horizontal(&picture)), None);
    assert_eq!(marks::read_mark(&image::imageops::rotate180(&picture)), None);
    assert_eq!(marks::read_mark(&image::imageops::rotate90(&picture)), None);
    assert_eq!(marks::read_mark(&blend), None);
    assert_eq!(marks::read_mark(&RgbImage::new(320, 180)), None);
    assert_eq!(marks::read_mark(&image::imageops::thumbnail(&picture, 40, 22)), None);
}

#[test]
fn the_readme_and_the_truth_list_every_fixture() {
    let readme = std::fs::read_to_string(fixtures().join("README.md")).expect("README.md is committed");
    let truth = truth();
    for entry in std::fs::read_dir(fixtures()).expect("a folder") {
        let name = entry.expect("an entry").file_name().into_string().expect("a name in ASCII");
        let listed =
            name == "README.md" || readme.contains(&format!("`{name}")) || readme.contains(&format!("`{name}/`"));
        assert!(listed, "{name} is not in fixtures/README.md");
        let media = !["md", "json", "srt", "vtt"].iter().any(|end| name.ends_with(end)) && name.contains('.');
        assert!(!media || truth["good"].get(&name).is_some(), "{name} is not in truth.json: run scripts/make-fixtures");
    }
    for entry in std::fs::read_dir(fixtures().join("broken")).expect("a folder") {
        let name = entry.expect("an entry").file_name().into_string().expect("a name in ASCII");
        let outcomes = &truth["broken"][&name]["outcomes"];
        assert!(name == "classes.json" || outcomes.is_array(), "broken/{name} is not in truth.json");
    }
    for name in truth["good"].as_object().expect("an object").keys() {
        assert!(fixtures().join(name).exists(), "{name} is in truth.json, but not there");
    }
}
