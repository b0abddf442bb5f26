//! Encodes frames as JPEG, PNG or WebP, without metadata.

use image::ImageEncoder as _;

use crate::advice::{Advice, Setting};
use crate::error::{Error, Result};
use crate::media::{EncodedImage, Frame, ImageFormat};

/// How frames are encoded.
#[derive(Clone, Copy, Debug)]
pub struct EncodeOptions {
    /// The format.
    pub format: ImageFormat,
    /// Quality of JPEG and WebP, 1 to 100.
    pub quality: u8,
}

impl Default for EncodeOptions {
    fn default() -> Self {
        Self { format: ImageFormat::Jpeg, quality: 85 }
    }
}

/// Encodes one frame. The same frame and options give the same bytes, so that prompt caches hit.
///
/// # Errors
/// [`ErrorKind::Limit`](crate::ErrorKind::Limit) where the format does not support a picture of this size (WebP: up to 16,383 pixels per side).
pub fn encode(frame: &Frame, options: &EncodeOptions) -> Result<EncodedImage> {
    let bytes = match options.format {
        ImageFormat::Jpeg => jpeg(frame, options.quality),
        ImageFormat::Png => png(frame),
        ImageFormat::Webp => webp(frame, options.quality),
    }
    .map_err(|cause| {
        let problem = format!(
            "a frame of {}x{} pixels cannot be encoded as {}: {cause}",
            frame.width,
            frame.height,
            options.format.mime()
        );
        let advice = Advice::Lower(Setting::MaxWidth).or(Advice::Set(Setting::ImageFormat));
        Error::limit(format!("frame at {}", frame.time), problem, advice)
    })?;
    Ok(EncodedImage {
        frame_idx: frame.frame_idx,
        pts: frame.pts,
        time: frame.time,
        width: frame.width,
        height: frame.height,
        format: options.format,
        bytes: bytes.into(),
    })
}

fn jpeg(frame: &Frame, quality: u8) -> std::result::Result<Vec<u8>, String> {
    let picture = turbojpeg::Image {
        pixels: frame.rgb.as_slice(),
        width: frame.width as usize,
        pitch: frame.width as usize * 3,
        height: frame.height as usize,
        format: turbojpeg::PixelFormat::RGB,
    };
    // Chroma at half resolution is enough for the image loaders of models.
    turbojpeg::compress(picture, i32::from(quality.clamp(1, 100)), turbojpeg::Subsamp::Sub2x2)
        .map(|bytes| bytes.to_vec())
        .map_err(|e| e.to_string())
}

fn png(frame: &Frame) -> std::result::Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    image::codecs::png::PngEncoder::new(&mut bytes)
        .write_image(&frame.rgb, frame.width, frame.height, image::ExtendedColorType::Rgb8)
        .map_err(|e| e.to_string())?;
    Ok(bytes)
}

fn webp(frame: &Frame, quality: u8) -> std::result::Result<Vec<u8>, String> {
    webp::Encoder::from_rgb(&frame.rgb, frame.width, frame.height)
        .encode_simple(false, f32::from(quality.clamp(1, 100)))
        .map(|bytes| bytes.to_vec())
        .map_err(|e| format!("{e:?}"))
}

/// Length in bytes of the Base64 data URL of a picture.
#[must_use]
pub fn data_url_len(format: ImageFormat, n_bytes: usize) -> usize {
    "data:;base64,".len() + format.mime().len() + n_bytes.div_ceil(3) * 4
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::time::Timestamp;

    fn frame(width: u32, height: u32) -> Frame {
        let rgb = (0..height).flat_map(|y| (0..width).flat_map(move |x| [(x * 3) as u8, (y * 3) as u8, 90])).collect();
        Frame { frame_idx: 0, pts: Timestamp::ZERO, time: Timestamp::ZERO, width, height, rgb, is_suspect: false }
    }

    #[test]
    fn each_format_decodes_to_nearly_the_same_picture() {
        let frame = frame(80, 61);
        for (format, worst) in [(ImageFormat::Png, 0), (ImageFormat::Jpeg, 24), (ImageFormat::Webp, 24)] {
            let encoded = encode(&frame, &EncodeOptions { format, quality: 90 }).unwrap();
            assert_eq!(image::guess_format(&encoded.bytes).unwrap().to_mime_type(), format.mime());
            let decoded = image::load_from_memory(&encoded.bytes).unwrap().into_rgb8();
            assert_eq!(decoded.dimensions(), (80, 61));
            let diff = decoded.as_raw().iter().zip(&frame.rgb).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
            assert!(diff <= worst, "{format:?}: {diff}");
            assert_eq!(encoded.bytes, encode(&frame, &EncodeOptions { format, quality: 90 }).unwrap().bytes);
        }
    }

    #[test]
    fn a_picture_too_large_for_its_format_is_an_error() {
        let wide = frame(20_000, 1);
        assert!(matches!(
            encode(&wide, &EncodeOptions { format: ImageFormat::Webp, quality: 80 }),
            Err(Error { kind: ErrorKind::Limit, .. })
        ));
    }
}
