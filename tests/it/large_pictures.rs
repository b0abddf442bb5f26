//! Very large pictures: decoded at a reduced size, or refused before memory is taken.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its input stops")]

use std::path::Path;

use image::RgbImage;
use serde_json::Value;
use turbojpeg::{PixelFormat, Subsamp, Transform};

use crate::support::command::{Ran, User};

/// Four areas of one colour each, as CMYK of Adobe's kind, in which 255 is no ink, and the colours that they show.
const INKS: [[u8; 4]; 4] = [[255, 0, 0, 255], [0, 255, 255, 255], [255, 255, 255, 128], [40, 200, 90, 200]];
const COLORS: [[u8; 3]; 4] = [[255, 0, 0], [0, 255, 255], [128, 128, 128], [31, 156, 70]];

/// A JPEG of the four areas.
fn jpeg((width, height): (usize, usize), format: PixelFormat, subsamp: Subsamp) -> Vec<u8> {
    let n = format.size();
    let mut pixels = Vec::with_capacity(width * height * n);
    for y in 0..height {
        let row = |x: usize| usize::from(x >= width / 2) + 2 * usize::from(y >= height / 2);
        let color = |x: usize| if n == 4 { &INKS[row(x)][..] } else { &COLORS[row(x)] };
        let halves = [color(0).repeat(width / 2), color(width - 1).repeat(width - width / 2)];
        pixels.extend(halves.concat());
    }
    let image = turbojpeg::Image { pixels: &pixels[..], width, pitch: width * n, height, format };
    turbojpeg::compress(image, 90, subsamp).unwrap().to_vec()
}

fn progressive(jpeg: &[u8]) -> Vec<u8> {
    turbojpeg::transform(&Transform { progressive: true, ..Transform::default() }, jpeg).unwrap().to_vec()
}

/// With EXIF's orientation 6: a quarter turn clockwise.
fn turned(jpeg: &[u8]) -> Vec<u8> {
    let exif = b"\xff\xe1\0\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    [&jpeg[..2], exif, &jpeg[2..]].concat()
}

fn frame(user: &User, name: &str) -> (Ran, Option<RgbImage>) {
    let out = user.path("out");
    let _ = std::fs::remove_dir_all(&out);
    let done = user.run(&["frames", &user.path(name), "--image-format", "png", "-o", &out]);
    let report = std::fs::read(Path::new(&out).join("frames.json")).ok();
    let report: Option<Value> = report.map(|bytes| serde_json::from_slice(&bytes).unwrap());
    let picture = report.map(|report| {
        image::open(Path::new(&out).join(report["frames"][0]["file"].as_str().unwrap())).unwrap().into_rgb8()
    });
    (done, picture)
}

#[test]
fn every_kind_of_large_jpeg_shows_its_colors() {
    let user = User::new();
    let (rgb, cmyk) = (PixelFormat::RGB, PixelFormat::CMYK);
    // Above 67 megapixels; the small ones are decoded by another library.
    let (large, small) = ((9000, 7600), (400, 300));
    for (name, file, is_turned) in [
        ("rgb.jpg", jpeg(large, rgb, Subsamp::Sub2x2), false),
        ("progressive.jpg", progressive(&jpeg(large, rgb, Subsamp::Sub2x2)), false),
        ("small-cmyk.jpg", jpeg(small, cmyk, Subsamp::None), false),
        ("cmyk.jpg", jpeg(large, cmyk, Subsamp::None), false),
        ("turned-cmyk.jpg", turned(&jpeg(large, cmyk, Subsamp::Sub2x2)), true),
        ("turned-progressive.jpg", turned(&progressive(&jpeg(large, rgb, Subsamp::Sub2x1))), true),
    ] {
        std::fs::write(user.path(name), file).unwrap();
        let (done, picture) = frame(&user, name);
        assert_eq!((done.code, &*done.err), (Some(0), ""), "{name}");
        let picture = picture.unwrap();
        let (w, h) = picture.dimensions();
        assert_eq!(h > w, is_turned, "{name}: {w}x{h}");
        // From the upper left, in rows; a quarter turn clockwise puts the lower left area there.
        let order = if is_turned { [2, 0, 3, 1] } else { [0, 1, 2, 3] };
        for (place, area) in order.into_iter().enumerate() {
            let (x, y) = (w / 4 + w / 2 * (place as u32 % 2), h / 4 + h / 2 * (place as u32 / 2));
            let found = picture.get_pixel(x, y).0;
            // Quality 90 and the conversion of colours move them by some steps.
            let is_near = found.iter().zip(COLORS[area]).all(|(a, b)| a.abs_diff(b) <= 6);
            assert!(is_near, "{name}, area {area}: {found:?}, not {:?}", COLORS[area]);
        }
    }
}

/// The checksum of PNG's chunks (PNG, third edition, annex D).
fn crc(bytes: &[u8]) -> u32 {
    let step = |sum: u32| if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 };
    !bytes.iter().fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| step(sum)))
}

/// A PNG that claims a size and holds no more than its head and `data`.
fn png(width: u32, height: u32, data: &[u8]) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let head = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    for (kind, data) in [(b"IHDR", &head[..]), (b"IDAT", data), (b"IEND", b"")] {
        file.extend((data.len() as u32).to_be_bytes());
        let body = [&kind[..], data].concat();
        file.extend_from_slice(&body);
        file.extend(crc(&body).to_be_bytes());
    }
    file
}

#[test]
fn what_is_too_large_or_lies_about_its_size_is_refused_by_name() {
    let user = User::new();
    let small = jpeg((400, 300), PixelFormat::RGB, Subsamp::Sub2x2);
    // The height and the width in the frame header (ITU T.81, B.2.2).
    let at = small.windows(4).position(|window| window == [0xff, 0xc0, 0, 17]).unwrap() + 5;
    let claims = |height: u16, width: u16| {
        let mut file = small.clone();
        file[at..at + 4].copy_from_slice(&[height.to_be_bytes(), width.to_be_bytes()].concat());
        file
    };
    let tiff = {
        let entry = |tag: u16, kind: u16, n: u32, value: u32| {
            [&tag.to_le_bytes()[..], &kind.to_le_bytes(), &n.to_le_bytes(), &value.to_le_bytes()].concat()
        };
        let entries =
            [(256, 20_000), (257, 20_000), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, 20_000), (279, 9)];
        let list: Vec<u8> = entries.iter().flat_map(|(tag, value)| entry(*tag, 4, 1, *value)).collect();
        [b"II*\0\x08\0\0\0", &(entries.len() as u16).to_le_bytes()[..], &list, &[0; 4]].concat()
    };
    let webp = [
        &b"RIFF\x1e\0\0\0WEBPVP8L\x12\0\0\0\x2f"[..],
        // 14 bits each of width and height, less one: 16,383 by 16,383.
        &[0xfe, 0xbf, 0xff, 0x0f],
        &[0; 13],
    ]
    .concat();
    for (name, file, reason) in [
        ("large.png", png(20_000, 20_000, b"x"), "at most 67108864 are decoded"),
        ("flat.png", png(1_000_000, 100, b"x"), "at most 67108864 are decoded"),
        ("large.tiff", tiff, "at most 67108864 are decoded"),
        ("large.webp", webp, "at most 67108864 are decoded"),
        ("claims.jpg", claims(65_000, 65_000), "at most 536870912 are decoded"),
        ("empty.jpg", claims(300, 0), ""),
    ] {
        std::fs::write(user.path(name), file).unwrap();
        let (done, _) = frame(&user, name);
        assert_eq!(done.code, Some(2), "{name}: {done:?}");
        assert!(done.err.contains(name) && done.err.contains(reason), "{name}: {}", done.err);
    }
    // Within the limit, but less data than the size takes.
    for (name, file) in [("taller.jpg", claims(9000, 9000)), ("short.png", png(8000, 8000, b"x"))] {
        std::fs::write(user.path(name), file).unwrap();
        let (done, picture) = frame(&user, name);
        assert!(picture.is_none() && done.code == Some(2), "{name}: {done:?}");
        assert!(done.err.contains(name) && done.err.contains("picture is damaged: "), "{name}: {}", done.err);
    }
}
