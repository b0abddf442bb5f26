//! Animated WebP pictures, read as videos. What each frame shows is compared with libwebp's own reader of animations.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its input stops")]

use std::path::Path;

use image::codecs::webp::WebPEncoder;
use image::{ExtendedColorType, Rgba, RgbaImage};
use serde_json::Value;
use vidgist::limits::Limits;
use vidgist::media::Ratio;
use vidgist::source::Source;
use vidgist::time::Timestamp;
use vidgist::video::{DecoderBackend, FrameReader, TargetSize, VideoSource};

use crate::support::command::{Ran, User};

/// Flags of a frame (RFC 9649, 2.7.1.1).
const REPLACES: u8 = 2;
const DISPOSED: u8 = 1;

/// How the picture of a frame is stored.
#[derive(Clone, Copy)]
enum Coding {
    Lossless,
    Lossy,
    LossyWithAlpha,
}

struct Part {
    place: (u32, u32),
    picture: RgbaImage,
    millis: u32,
    flags: u8,
    coding: Coding,
}

impl Part {
    fn new(place: (u32, u32), picture: RgbaImage, millis: u32, flags: u8) -> Self {
        Self { place, picture, millis, flags, coding: Coding::Lossless }
    }
}

fn plain(size: (u32, u32), color: [u8; 4]) -> RgbaImage {
    RgbaImage::from_pixel(size.0, size.1, Rgba(color))
}

fn u24(n: u32) -> [u8; 3] {
    let bytes = n.to_le_bytes();
    [bytes[0], bytes[1], bytes[2]]
}

fn chunk(kind: &[u8], data: &[u8]) -> Vec<u8> {
    let padding: &[u8] = if data.len().is_multiple_of(2) { b"" } else { b"\0" };
    [kind, &(data.len() as u32).to_le_bytes(), data, padding].concat()
}

/// The chunks of a picture, without the head of its file.
fn chunks(part: &Part) -> Vec<u8> {
    let (w, h) = part.picture.dimensions();
    match part.coding {
        Coding::Lossless => {
            let mut file = Vec::new();
            WebPEncoder::new_lossless(&mut file).encode(&part.picture, w, h, ExtendedColorType::Rgba8).unwrap();
            file[12..].to_vec()
        }
        Coding::Lossy => {
            let rgb = image::DynamicImage::from(part.picture.clone()).into_rgb8();
            webp::Encoder::from_rgb(&rgb, w, h).encode(90.0)[12..].to_vec()
        }
        // Behind the chunk that announces the transparency.
        Coding::LossyWithAlpha => webp::Encoder::from_rgba(&part.picture, w, h).encode(90.0)[30..].to_vec(),
    }
}

/// An animated WebP file.
fn animation(size: (u32, u32), parts: &[Part]) -> Vec<u8> {
    let mut body = chunk(b"VP8X", &[&[0x12, 0, 0, 0][..], &u24(size.0 - 1), &u24(size.1 - 1)].concat());
    // A background that viewers do not show, and no limit of repetitions.
    body.extend(chunk(b"ANIM", &[0, 0, 255, 255, 0, 0]));
    for part in parts {
        let (w, h) = part.picture.dimensions();
        let head = [part.place.0 / 2, part.place.1 / 2, w - 1, h - 1, part.millis].map(u24).concat();
        body.extend(chunk(b"ANMF", &[&head[..], &[part.flags], &chunks(part)].concat()));
        body.extend(chunk(b"XYZW", b"odd"));
    }
    [b"RIFF", &(body.len() as u32 + 4).to_le_bytes()[..], b"WEBP", &body].concat()
}

/// Writes the frames at `times` as PNG; how that ended, and time and picture of each.
fn frames(user: &User, name: &str, flags: &[&str]) -> (Ran, Vec<(f64, image::RgbImage)>) {
    let out = user.path(&format!("{name}.frames"));
    let _ = std::fs::remove_dir_all(&out);
    let done = user.run(&[&["frames", &user.path(name), "--image-format", "png", "-o", &out], flags].concat());
    let report = std::fs::read(Path::new(&out).join("frames.json")).unwrap_or_default();
    let report: Value = serde_json::from_slice(&report).unwrap_or_default();
    let list = report["frames"].as_array().cloned().unwrap_or_default();
    let read = |frame: &Value| {
        let file = Path::new(&out).join(frame["file"].as_str().unwrap());
        (frame["seconds"].as_f64().unwrap(), image::open(file).unwrap().into_rgb8())
    };
    let found = list.iter().map(read).collect();
    (done, found)
}

/// What libwebp shows, on white.
fn by_libwebp(file: &[u8]) -> Vec<image::RgbImage> {
    let decoded = webp::AnimDecoder::new(file).decode().unwrap();
    let picture = |idx| {
        let frame = decoded.get_frame(idx).unwrap();
        let rgba = RgbaImage::from_raw(frame.width(), frame.height(), frame.get_image().to_vec()).unwrap();
        image::RgbImage::from_fn(rgba.width(), rgba.height(), |x, y| {
            let [r, g, b, a] = rgba.get_pixel(x, y).0.map(u32::from);
            image::Rgb([r, g, b].map(|c| ((c * a + 255 * (255 - a) + 127) / 255) as u8))
        })
    };
    (0..decoded.len()).map(picture).collect()
}

fn worst(a: &image::RgbImage, b: &image::RgbImage) -> u8 {
    assert_eq!(a.dimensions(), b.dimensions());
    a.iter().zip(b.iter()).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

#[test]
fn each_frame_is_shown_for_its_time() {
    let user = User::new();
    let size = (64, 48);
    // 0 and 10 ms stand for 100 ms; 11 ms is a time. Frames of no time do not come.
    let millis = [250, 0, 10, 11, 40, 600];
    let parts: Vec<Part> = millis
        .iter()
        .zip(0_u8..)
        .map(|(millis, number)| Part::new((0, 0), plain(size, [number * 40, 200, 10, 255]), *millis, 0))
        .collect();
    std::fs::write(user.path("a.webp"), animation(size, &parts)).unwrap();
    let facts: Value = serde_json::from_str(&user.run(&["probe", &user.path("a.webp"), "--json"]).complete()).unwrap();
    let video = &facts["video"][0];
    assert_eq!((facts["format"].as_str(), facts["duration"].as_f64()), (Some("webp"), Some(1.101)), "{facts}");
    assert_eq!((video["n_frames"].as_u64(), video["duration"].as_f64()), (Some(6), Some(1.101)), "{facts}");

    let (done, found) = frames(&user, "a.webp", &["--interval", "1ms"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let times: Vec<f64> = found.iter().map(|(time, _)| *time).collect();
    assert_eq!(times, [0.0, 0.25, 0.35, 0.45, 0.461, 0.501]);
    for (number, (time, picture)) in found.iter().enumerate() {
        assert_eq!(picture.get_pixel(9, 9).0, [number as u8 * 40, 200, 10], "{time}");
    }
    // The frame on display at a time, with a start in the middle, and scaled.
    let (_, found) = frames(&user, "a.webp", &["--at", "249ms,450ms,1s", "--max-width", "32"]);
    let shown: Vec<_> =
        found.iter().map(|(time, picture)| (*time, picture.get_pixel(3, 3).0[0], picture.width())).collect();
    assert_eq!(shown, [(0.0, 0, 32), (0.45, 120, 32), (0.501, 200, 32)]);
    let (_, found) = frames(&user, "a.webp", &["--sampling", "keyframe"]);
    // Each covers all, but what is lossless may be transparent.
    assert_eq!(found.len(), 1);
    let summary = user.run(&["summarize", &user.path("a.webp")]).complete();
    assert!(summary.contains("- Video: webp, 64x48, 5.45 fps"), "{summary}");
}

#[test]
fn frames_are_drawn_as_libwebp_draws_them() {
    let user = User::new();
    let size = (64, 48);
    let (red, half, clear) = ([220, 20, 30, 255], [10, 40, 230, 128], [0, 0, 0, 0]);
    let gradient = RgbaImage::from_fn(30, 20, |x, y| Rgba([x as u8 * 8, y as u8 * 12, 90, 255]));
    let glass = RgbaImage::from_fn(30, 20, |x, _| Rgba([200, 90, 10, x as u8 * 8]));
    let with = |part: Part, coding| Part { coding, ..part };
    for (name, parts) in [
        (
            "blended",
            vec![
                Part::new((0, 0), plain(size, red), 100, 0),
                Part::new((10, 8), plain((20, 20), half), 100, 0),
                Part::new((20, 8), glass.clone(), 100, 0),
            ],
        ),
        (
            "replaced",
            vec![
                Part::new((0, 0), plain(size, red), 100, REPLACES),
                Part::new((10, 8), plain((20, 20), half), 100, REPLACES),
                Part::new((12, 10), plain((6, 6), clear), 100, REPLACES),
            ],
        ),
        (
            "disposed",
            vec![
                Part::new((0, 0), plain(size, red), 100, 0),
                Part::new((10, 8), gradient.clone(), 100, DISPOSED),
                Part::new((30, 20), plain((20, 20), half), 100, DISPOSED | REPLACES),
                Part::new((0, 0), plain((8, 8), half), 100, 0),
            ],
        ),
        (
            "lossy",
            vec![
                with(Part::new((0, 0), plain(size, red), 100, DISPOSED), Coding::Lossy),
                with(Part::new((10, 8), gradient, 100, DISPOSED), Coding::Lossy),
                with(Part::new((20, 8), glass, 100, 0), Coding::LossyWithAlpha),
                with(Part::new((0, 0), plain(size, [9, 200, 90, 255]), 100, 0), Coding::Lossy),
            ],
        ),
        (
            "transparent at first",
            vec![Part::new((10, 8), plain((20, 20), half), 100, 0), Part::new((20, 20), plain((9, 7), red), 100, 0)],
        ),
    ] {
        let file = animation(size, &parts);
        std::fs::write(user.path("a.webp"), &file).unwrap();
        let (done, found) = frames(&user, "a.webp", &["--interval", "100ms"]);
        assert_eq!((done.code, found.len()), (Some(0), parts.len()), "{name}: {done:?}");
        for (number, ((_, picture), wanted)) in found.iter().zip(by_libwebp(&file)).enumerate() {
            // Blending is rounded differently, and libwebp interpolates colours at other places than the image crate.
            let most = if name == "lossy" { 24 } else { 2 };
            let worst = worst(picture, &wanted);
            assert!(worst <= most, "{name}, frame {number}: {worst}");
        }
        // Single frames are the same as in a row.
        for number in [parts.len() - 1, 1] {
            let (_, alone) = frames(&user, "a.webp", &["--at", &format!("{}ms", number * 100)]);
            assert!(alone[0].1 == found[number].1, "{name}, frame {number} alone");
        }
    }
}

#[test]
fn what_is_no_animation_stays_a_picture() {
    let user = User::new();
    let size = (64, 48);
    let one = animation(size, &[Part::new((0, 0), plain(size, [9, 99, 200, 255]), 100, 0)]);
    std::fs::write(user.path("one.webp"), one).unwrap();
    std::fs::copy("fixtures/picture.webp", user.path("still.webp")).unwrap();
    for name in ["one.webp", "still.webp"] {
        let (done, found) = frames(&user, name, &[]);
        assert_eq!((done.code, found.len()), (Some(0), 1), "{name}: {done:?}");
        let facts = user.run(&["probe", &user.path(name), "--json"]).complete();
        let facts: Value = serde_json::from_str(&facts).unwrap();
        assert!(facts["duration"].is_null() && facts["video"][0]["n_frames"] == 1, "{name}: {facts}");
    }
    let two = [0, 1].map(|n: u8| Part::new((0, 0), plain(size, [n * 99, 99, 200, 255]), 100, 0));
    std::fs::write(user.path("two.webp"), animation(size, &two)).unwrap();
    // A sequence has no room for an animation, as for a GIF.
    let (done, found) = frames(&user, ".", &["--interval", "1s"]);
    assert!(done.err.contains("two.webp: skipped: is an animation, which is a video"), "{done:?}");
    assert_eq!(found.len(), 2, "{done:?}");
    std::fs::copy("fixtures/no-audio.mp4", user.path("video.mp4")).unwrap();
    let joined = user.run(&["probe", &user.path("."), "--join"]);
    assert!(joined.err.contains("two.webp: skipped: is an animated image"), "{joined:?}");
    assert!(joined.err.contains("one.webp: skipped: is an image"), "{joined:?}");
    let audio = user.run(&["audio", &user.path("two.webp"), "-o", &user.path("a.wav")]);
    assert!(audio.code == Some(2) && audio.err.contains("is not a media file with sound"), "{audio:?}");
}

#[test]
fn damage_of_an_animation_is_told() {
    let user = User::new();
    let size = (64, 48);
    let noise = |seed: u8| RgbaImage::from_fn(64, 48, |x, y| Rgba([(x * 7 + y * 13) as u8 ^ seed, seed, x as u8, 255]));
    let part = |number: u8, coding| Part { coding, ..Part::new((0, 0), noise(number * 31), 100, 0) };
    let lossless: Vec<Part> = (0..6).map(|n| part(n, Coding::Lossless)).collect();
    let whole = animation(size, &lossless);
    let at = |n: usize| whole.windows(4).enumerate().filter(|(_, w)| *w == b"ANMF").nth(n).unwrap().0;

    // Cut within the fourth frame.
    std::fs::write(user.path("cut.webp"), &whole[..at(3) + 200]).unwrap();
    let (done, found) = frames(&user, "cut.webp", &["--interval", "100ms"]);
    assert_eq!((done.code, found.len()), (Some(1), 3), "{done:?}");
    assert!(done.err.contains("bytes that its header states"), "{done:?}");

    // The third frame cannot be decoded: those that build on it are missing too.
    let mut broken = whole.clone();
    broken[at(2) + 8 + 16 + 8] = 0;
    std::fs::write(user.path("broken.webp"), broken).unwrap();
    let (done, found) = frames(&user, "broken.webp", &["--interval", "100ms"]);
    assert_eq!((done.code, found.len()), (Some(1), 2), "{done:?}");
    let why = "the decoder returned no frame for 4 moments from 00:00:00.200 to 00:00:00.500";
    assert!(done.err.contains(why), "{done:?}");
    for times in ["400ms", "200ms,400ms"] {
        let (done, _) = frames(&user, "broken.webp", &["--at", times]);
        let why = "broken.webp: the webp animation is damaged: Format error decoding WebP";
        assert!(done.code == Some(2) && done.err.contains(why), "{times}: {done:?}");
    }

    // Frames that cover all of it end the damage.
    let lossy: Vec<Part> = (0..6).map(|n| part(n, if n == 4 { Coding::Lossy } else { Coding::Lossless })).collect();
    let mut broken = animation(size, &lossy);
    broken[at(2) + 8 + 16 + 8] = 0;
    std::fs::write(user.path("mended.webp"), broken).unwrap();
    let (done, found) = frames(&user, "mended.webp", &["--interval", "100ms"]);
    let times: Vec<f64> = found.iter().map(|(time, _)| *time).collect();
    assert_eq!((done.code, times), (Some(1), vec![0.0, 0.1, 0.4, 0.5]), "{done:?}");
    assert!(done.err.contains("no frame for 2 moments from 00:00:00.200 to 00:00:00.300"), "{done:?}");

    // A frame outside the canvas, and a canvas that is too large.
    let outside = [Part::new((0, 0), noise(1), 100, 0), Part::new((40, 0), noise(2), 100, 0)];
    std::fs::write(user.path("outside.webp"), animation(size, &outside)).unwrap();
    let (done, found) = frames(&user, "outside.webp", &["--interval", "100ms"]);
    assert_eq!((done.code, found.len()), (Some(1), 1), "{done:?}");
    assert!(done.err.contains("no frame for 00:00:00.100"), "{done:?}");
    let large = animation((16_000_000, 16_000_000), &lossless);
    std::fs::write(user.path("large.webp"), large).unwrap();
    let (done, _) = frames(&user, "large.webp", &[]);
    assert!(done.code == Some(2) && done.err.contains("large.webp"), "{done:?}");
}

/// What is opened may be replaced before it is read, and a reader may be used again for earlier times.
#[test]
fn a_reader_holds_no_state_and_notices_another_file() {
    let user = User::new();
    let size = (64, 48);
    let path = user.path("a.webp");
    let shades = |n: u8, millis| -> Vec<Part> {
        (0..n).map(|shade| Part::new((0, 0), plain(size, [shade * 30, 0, 0, 255]), millis, 0)).collect()
    };
    let whole = animation(size, &shades(6, 100));
    let limits = Limits::default();
    let opened = || {
        std::fs::write(&path, &whole).unwrap();
        let source = Source::identify(&path).unwrap();
        let info = vidgist::probe::probe(&source, Ratio::ONE, &limits).unwrap();
        VideoSource::open(&source, &info, DecoderBackend::Auto, &limits, None).unwrap().unwrap()
    };
    let read = |reader: &mut dyn FrameReader, millis: &[i64]| -> vidgist::Result<Vec<u8>> {
        let points: Vec<Timestamp> = millis.iter().map(|millis| Timestamp::from_millis(*millis)).collect();
        let mut reds = Vec::new();
        reader.read(&points, TargetSize::max_width(64), &mut |frame| {
            reds.push(frame.rgb[0] / 30);
            Ok(())
        })?;
        Ok(reds)
    };
    let video = opened();
    let mut reader = video.reader().unwrap();
    for millis in [&[100, 500][..], &[200], &[0, 300]] {
        let expected: Vec<u8> = millis.iter().map(|millis| (millis / 100) as u8).collect();
        assert_eq!(read(&mut *reader, millis).unwrap(), expected);
    }
    // A frame that is damaged later does not keep earlier ones from being read.
    let at = whole.windows(4).enumerate().filter(|(_, four)| *four == b"ANMF").nth(3).unwrap().0;
    let mut broken = whole.clone();
    broken[at + 8 + 16 + 8] = 0;
    std::fs::write(&path, broken).unwrap();
    assert!(read(&mut *reader, &[300]).is_err());
    assert_eq!(read(&mut *reader, &[0, 200]).unwrap(), [0, 2]);

    let still = std::fs::read("fixtures/picture.webp").unwrap();
    let larger: Vec<Part> = (0..6).map(|_| Part::new((0, 0), plain((90, 90), [0; 4]), 100, 0)).collect();
    for (name, other) in [
        ("fewer frames", animation(size, &shades(3, 100))),
        ("other times", animation(size, &shades(6, 90))),
        ("another size", animation((90, 90), &larger)),
        ("a still picture", still),
    ] {
        let video = opened();
        std::fs::write(&path, other).unwrap();
        let error = video.reader().err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("a.webp: changed while it was being read"), "{name}: {error}");
    }

    // What is behind the file that the header states is no part of it.
    std::fs::write(&path, [&whole[..], &whole[at..]].concat()).unwrap();
    let facts: Value = serde_json::from_str(&user.run(&["probe", &path, "--json"]).out).unwrap();
    assert_eq!(facts["video"][0]["n_frames"], 6, "{facts}");
}
