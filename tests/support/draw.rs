//! Pictures of known content.

use bytes::Bytes;
use image::{Rgb, RgbImage};
use vidgist::media::{EncodedImage, ImageFormat};
use vidgist::time::Timestamp;

/// A picture that carries a frame index as `marks.rs` describes it.
pub fn marked(index: u32) -> RgbImage {
    let check = (index >> 12 ^ index >> 8 ^ index >> 4 ^ index ^ 0b1010) & 0xF;
    let rows = [1 << 11 | (index >> 8 & 0xFF) << 3 | check >> 2 << 1, (index & 0xFF) << 3 | (check & 3) << 1 | 1];
    let (width, height) = (480, 270);
    RgbImage::from_fn(width, height, |x, y| {
        let bit = rows.get((y * 10 / height) as usize).map(|row| row >> (11 - x * 12 / width) & 1);
        Rgb([bit.map_or(90, |bit| bit as u8 * 255); 3])
    })
}

/// A picture in the given format.
pub fn encode(picture: &RgbImage, format: ImageFormat, frame_idx: usize, millis: i64) -> EncodedImage {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let image_format = match format {
        ImageFormat::Jpeg => image::ImageFormat::Jpeg,
        ImageFormat::Png => image::ImageFormat::Png,
        ImageFormat::Webp => image::ImageFormat::WebP,
    };
    picture.write_to(&mut bytes, image_format).expect("encodes");
    let (width, height) = picture.dimensions();
    let time = Timestamp::from_millis(millis);
    EncodedImage { frame_idx, pts: time, time, width, height, format, bytes: bytes.into_inner().into() }
}

/// A picture whose bytes are these: no picture at all, for tests that never show it to anyone.
pub fn opaque(bytes: Bytes, format: ImageFormat) -> EncodedImage {
    EncodedImage { frame_idx: 0, pts: Timestamp::ZERO, time: Timestamp::ZERO, width: 1, height: 1, format, bytes }
}
