//! Decodes very large JPEGs at 1/2, 1/4 or 1/8 of their size, which libjpeg-turbo does while it decodes.

use std::path::Path;

use crate::error::{Error, Result};
use crate::limits::Limits;

/// Bytes of a JPEG file that are read into memory.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// Bytes of all coefficients of a progressive JPEG, which must be in memory at the same time.
const MAX_COEFFICIENT_BYTES: u64 = 400 << 20;

/// Loads a JPEG of `stored` size at the smallest scale at which its longer side has at least `wanted` pixels, or at the
/// largest that is within the limit.
pub(super) fn load(path: &Path, (width, height): (u32, u32), wanted: u32, limits: &Limits) -> Result<image::RgbImage> {
    let name = path.display().to_string();
    limits.check_jpeg_pixels(&name, width, height)?;
    let n_bytes = std::fs::metadata(path).map_err(|e| Error::io(path, e))?.len();
    if n_bytes > MAX_FILE_BYTES {
        let problem = format!("the JPEG file has {n_bytes} bytes; at most {MAX_FILE_BYTES} are read");
        return Err(Error::limit(name, problem, "scale it down with another tool first"));
    }
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    let broken = |e: turbojpeg::Error| {
        Error::malformed(&name, format!("the jpeg picture is damaged: {e}"), "check it with an image viewer").because(e)
    };
    let mut decoder = turbojpeg::Decompressor::new().map_err(broken)?;
    let header = decoder.read_header(&bytes).map_err(broken)?;
    let (block_w, block_h) = match header.subsamp {
        turbojpeg::Subsamp::Sub2x2 => (2, 2),
        turbojpeg::Subsamp::Sub2x1 => (2, 1),
        turbojpeg::Subsamp::Sub1x2 => (1, 2),
        _ => (1, 1),
    };
    let n_pixels = u64::from(width) * u64::from(height);
    let n_coefficients = n_pixels + 2 * n_pixels / (block_w * block_h);
    if is_progressive(&bytes) && n_coefficients * 2 > MAX_COEFFICIENT_BYTES {
        let problem = format!("a progressive JPEG of {width}x{height} pixels takes too much memory to decode");
        return Err(Error::limit(name, problem, "scale it down with another tool first"));
    }
    let scaled = |divisor: u32| (width.div_ceil(divisor), height.div_ceil(divisor));
    let is_enough = |(w, h): (u32, u32)| w.max(h) >= wanted;
    let fits = |(w, h): (u32, u32)| !limits.exceeds_pixels(w, h);
    let sizes = [8, 4, 2].map(scaled);
    let enough = sizes.into_iter().find(|size| is_enough(*size) && fits(*size));
    let (width, height) = enough.or_else(|| sizes.into_iter().rev().find(|size| fits(*size))).unwrap_or(sizes[0]);
    let is_ink = matches!(header.colorspace, turbojpeg::Colorspace::CMYK | turbojpeg::Colorspace::YCCK);
    let format = if is_ink { turbojpeg::PixelFormat::CMYK } else { turbojpeg::PixelFormat::RGB };
    let pitch = width as usize * format.size();
    let mut pixels = vec![0; pitch * height as usize];
    let (width, height) = (width as usize, height as usize);
    let output = turbojpeg::Image { pixels: &mut pixels[..], width, pitch, height, format };
    decoder.decompress(&bytes, output).map_err(broken)?;
    if is_ink {
        pixels = pixels.chunks_exact(4).flat_map(from_ink).collect();
    }
    image::RgbImage::from_raw(width as u32, height as u32, pixels)
        .ok_or_else(|| Error::internal(&name, "a picture has the wrong size", ""))
}

/// CMYK as Adobe's programs store it in JPEG: 255 is no ink.
fn from_ink(pixel: &[u8]) -> [u8; 3] {
    let key = u16::from(pixel[3]);
    [0, 1, 2].map(|at| (u16::from(pixel[at]) * key / 255) as u8)
}

/// Whether the first frame header is a progressive one (ITU T.81, table B.1).
fn is_progressive(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some([0xff, code, high, low]) = bytes.get(at..at + 4) {
        match code {
            0xc0 | 0xc1 => return false,
            0xc2 | 0xc6 | 0xca | 0xce => return true,
            0xff => at += 1,
            _ => at += 2 + usize::from(u16::from_be_bytes([*high, *low])),
        }
    }
    true
}
