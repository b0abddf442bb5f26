//! HEIC and AVIF pictures as frames. A very large one is reduced while it is copied, so that it is never in memory as RGB.

use std::path::Path;

use ffmpeg_the_third as ffmpeg;
use ffmpeg_the_third::format::Pixel;

use super::scale::{Scaler, Upright};
use super::size::TargetSize;
use crate::error::{Error, Result};
use crate::heif::{HeifImage, decode_heif};
use crate::limits::Limits;
use crate::media::{Ratio, Rotation, VideoStream};

/// Larger pictures are reduced by powers of 2.
const MAX_FULL_PIXELS: u64 = 1 << 24;

/// Loads a picture at the size `target` gives it.
pub(super) fn load(path: &Path, stream: &VideoStream, target: TargetSize, limits: &Limits) -> Result<Upright> {
    let image = decode_heif(path, limits)?;
    let size = target.of((image.width, image.height));
    let frame = frame(&image, reduction(&image, size))
        .ok_or_else(|| Error::unsupported(path.display(), "has a layout of samples that is not read", ""))?;
    let stream = VideoStream {
        width: frame.width(),
        height: frame.height(),
        color: image.color.clone(),
        rotation: Rotation::None,
        is_mirrored: false,
        ..stream.clone()
    };
    drop(image);
    let mut scaler = Scaler::new(&stream, Some(Ratio::ONE), TargetSize::Exact(size.0, size.1));
    scaler.upright_rgb(&frame).map_err(|error| {
        Error::malformed(path.display(), format!("cannot be converted: {error}"), "check it with an image viewer")
            .because(error)
    })
}

/// The power of 2 that a picture is reduced by: it stays at least as large as `wanted`.
fn reduction(image: &HeifImage, wanted: (u32, u32)) -> u32 {
    let n_pixels = u64::from(image.width) * u64::from(image.height);
    let fits = |factor: u32| image.width / factor >= wanted.0 && image.height / factor >= wanted.1;
    [8, 4, 2].into_iter().find(|factor| n_pixels > MAX_FULL_PIXELS && fits(*factor)).unwrap_or(1)
}

/// Samples of one channel, and their places.
struct Samples<'a> {
    data: &'a [u8],
    width: usize,
    height: usize,
    stride: usize,
    bits: u32,
}

impl Samples<'_> {
    fn at(&self, x: usize, y: usize) -> u32 {
        let row = &self.data[y.min(self.height - 1) * self.stride..];
        let x = x.min(self.width - 1);
        if self.bits > 8 { u32::from(u16::from_ne_bytes([row[2 * x], row[2 * x + 1]])) } else { u32::from(row[x]) }
    }

    /// The mean of `factor` by `factor` samples, with `bits` bits.
    fn mean(&self, (x, y): (usize, usize), factor: usize, bits: u32) -> u32 {
        let square = (0..factor).flat_map(|dy| (0..factor).map(move |dx| (dx, dy)));
        let sum: u32 = square.map(|(dx, dy)| self.at(x * factor + dx, y * factor + dy)).sum();
        let n = (factor * factor) as u32;
        let mean = (sum + n / 2) / n;
        if self.bits > bits { mean >> (self.bits - bits) } else { mean << (bits - self.bits) }
    }
}

/// The picture as a frame of libav, reduced by `factor`; None where its planes do not fit together.
fn frame(image: &HeifImage, factor: u32) -> Option<ffmpeg::frame::Video> {
    let mut planes = image.planes();
    let alpha = image.alpha();
    let bits = if planes.first()?.bits_per_pixel > 8 { 10 } else { 8 };
    let is_gray = planes.len() == 1;
    let (luma, chroma) = ((planes[0].width, planes[0].height), planes.get(1).map(|plane| (plane.width, plane.height)));
    if !is_gray && planes.len() != 3 {
        return None;
    }
    let halves = chroma.map_or((true, true), |(w, h)| (w < luma.0, h < luma.1));
    let format = format(image.is_rgb(), halves, bits, alpha.is_some())?;
    let reduced = |length: u32| length.div_ceil(factor);
    let (width, height) = (reduced(image.width), reduced(image.height));
    let mut frame = ffmpeg::frame::Video::new(format, width, height);
    planes.extend(alpha);
    let n_planes = if frame.planes() == 4 { 4 } else { 3 };
    for idx in 0..n_planes {
        let is_chroma = (1..3).contains(&idx) && !image.is_rgb();
        let of = |length: u32, is_half: bool| if is_chroma && is_half { length.div_ceil(2) } else { length } as usize;
        let (w, h) = (of(width, halves.0), of(height, halves.1));
        let stride = frame.stride(idx);
        let data = frame.data_mut(idx);
        // A grey picture has neutral colours.
        let from = match (is_gray, idx) {
            (true, 1 | 2) => None,
            (true, 3) => planes.get(1),
            _ => planes.get(idx),
        };
        let samples = from.map(|plane| Samples {
            data: plane.data,
            width: plane.width as usize,
            height: plane.height as usize,
            stride: plane.stride,
            bits: u32::from(plane.bits_per_pixel),
        });
        let samples = samples.filter(|samples| samples.width > 0 && samples.height > 0);
        for y in 0..h {
            let row = &mut data[y * stride..];
            for x in 0..w {
                let value = samples.as_ref().map_or(1 << (bits - 1), |from| from.mean((x, y), factor as usize, bits));
                if bits > 8 {
                    row[2 * x..2 * x + 2].copy_from_slice(&(value as u16).to_le_bytes());
                } else {
                    row[x] = value as u8;
                }
            }
        }
    }
    Some(frame)
}

/// libav's planar format; `halves` says whether the colours have half the width and half the height.
fn format(is_rgb: bool, halves: (bool, bool), bits: u32, has_alpha: bool) -> Option<Pixel> {
    Some(match (is_rgb, halves, bits, has_alpha) {
        (true, _, 8, false) => Pixel::GBRP,
        (true, _, 8, true) => Pixel::GBRAP,
        (true, _, _, false) => Pixel::GBRP10LE,
        (true, _, _, true) => Pixel::GBRAP10LE,
        (_, (true, true), 8, false) => Pixel::YUV420P,
        (_, (true, true), 8, true) => Pixel::YUVA420P,
        (_, (true, true), _, false) => Pixel::YUV420P10LE,
        (_, (true, true), _, true) => Pixel::YUVA420P10LE,
        (_, (true, false), 8, false) => Pixel::YUV422P,
        (_, (true, false), 8, true) => Pixel::YUVA422P,
        (_, (true, false), _, false) => Pixel::YUV422P10LE,
        (_, (true, false), _, true) => Pixel::YUVA422P10LE,
        (_, (false, false), 8, false) => Pixel::YUV444P,
        (_, (false, false), 8, true) => Pixel::YUVA444P,
        (_, (false, false), _, false) => Pixel::YUV444P10LE,
        (_, (false, false), _, true) => Pixel::YUVA444P10LE,
        (_, (false, true), _, _) => return None,
    })
}
