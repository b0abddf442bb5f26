//! Reads pictures as a video: one picture, or a sequence at a fixed rate.

use std::path::{Path, PathBuf};

use image::imageops::FilterType;
use image::metadata::Orientation;
use image::{DynamicImage, GenericImageView as _, ImageDecoder as _};

use super::index::FrameIndex;
use super::reader::{FrameReader, FrameSink, ReadOutcome};
use super::scale::Upright;
use super::size::TargetSize;
use super::{heif, reduced_jpeg};
use crate::error::{Error, Result};
use crate::fs::read_head;
use crate::input::{KIND_HEAD_BYTES, heif_format};
use crate::limits::Limits;
use crate::media::{Frame, VideoStream};
use crate::time::Timestamp;

pub(super) struct StillReader<'a> {
    pictures: &'a [PathBuf],
    stream: &'a VideoStream,
    limits: Limits,
}

impl<'a> StillReader<'a> {
    pub(super) fn new(pictures: &'a [PathBuf], stream: &'a VideoStream, limits: Limits) -> Self {
        Self { pictures, stream, limits }
    }

    fn load(&self, path: &Path, target: TargetSize) -> Result<Upright> {
        if heif_format(&read_head(path, KIND_HEAD_BYTES)?).is_some() {
            return heif::load(path, self.stream, target, &self.limits);
        }
        let broken = |e: image::ImageError| {
            let problem = format!("the {} picture is damaged: {e}", self.stream.codec);
            Error::malformed(path.display(), problem, "check it with an image viewer").because(e)
        };
        let reader = image::ImageReader::open(path)
            .and_then(image::ImageReader::with_guessed_format)
            .map_err(|e| Error::io(path, e))?;
        let is_jpeg = reader.format() == Some(image::ImageFormat::Jpeg);
        let mut decoder = reader.into_decoder().map_err(broken)?;
        let (w, h) = decoder.dimensions();
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let size = upright_size((w, h), orientation, target);
        let picture = if is_jpeg && self.limits.exceeds_pixels(w, h) {
            drop(decoder);
            DynamicImage::ImageRgb8(reduced_jpeg::load(path, (w, h), size.0.max(size.1), &self.limits)?)
        } else {
            self.limits.check_pixels(&path.display().to_string(), w, h)?;
            DynamicImage::from_decoder(decoder).map_err(broken)?
        };
        Ok(turned(picture, orientation, size))
    }
}

/// The size in which a picture of a stored size is shown.
fn upright_size((w, h): (u32, u32), orientation: Orientation, target: TargetSize) -> (u32, u32) {
    let swaps_sides = matches!(
        orientation,
        Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH
    );
    target.of(if swaps_sides { (h, w) } else { (w, h) })
}

/// A picture as it is shown.
pub(super) fn upright(picture: DynamicImage, orientation: Orientation, target: TargetSize) -> Upright {
    let size = upright_size(picture.dimensions(), orientation, target);
    turned(picture, orientation, size)
}

fn turned(mut picture: DynamicImage, orientation: Orientation, size: (u32, u32)) -> Upright {
    picture.apply_orientation(orientation);
    let turned = picture.dimensions();
    let size = (size.0.min(turned.0), size.1.min(turned.1));
    // Transparent pictures are composited on white, as image viewers do.
    let picture = if picture.color().has_alpha() { on_white(picture) } else { picture.into_rgb8() };
    let rgb = if picture.dimensions() == size {
        picture.into_raw()
    } else {
        image::imageops::resize(&picture, size.0, size.1, FilterType::CatmullRom).into_raw()
    };
    Upright { size, rgb }
}

/// How a picture is turned, by its EXIF.
pub(super) fn stored_orientation(path: &Path) -> Orientation {
    let decoder = image::ImageReader::open(path)
        .and_then(image::ImageReader::with_guessed_format)
        .ok()
        .and_then(|reader| reader.into_decoder().ok());
    decoder.and_then(|mut decoder| decoder.orientation().ok()).unwrap_or(Orientation::NoTransforms)
}

fn on_white(picture: DynamicImage) -> image::RgbImage {
    let rgba = picture.into_rgba8();
    image::RgbImage::from_fn(rgba.width(), rgba.height(), |x, y| {
        let [r, g, b, a] = rgba.get_pixel(x, y).0.map(u32::from);
        image::Rgb([r, g, b].map(|c| ((c * a + 255 * (255 - a) + 127) / 255) as u8))
    })
}

impl FrameReader for StillReader<'_> {
    fn name(&self) -> String {
        "image".to_owned()
    }

    fn read(&mut self, points: &[Timestamp], target: TargetSize, sink: &mut FrameSink<'_>) -> Result<ReadOutcome> {
        let index = FrameIndex::regular(self.pictures.len(), self.stream.time_base);
        read_pictures(&index, points, sink, |number| Ok((self.load(&self.pictures[number], target)?, 1)))
    }
}

/// Reads the picture of each frame of `index` that is displayed at one of `points`. `load` gives the picture of a frame by its
/// number, and how many pictures were decoded for it; what it cannot load is missing, an error if that is all.
pub(super) fn read_pictures(
    index: &FrameIndex,
    points: &[Timestamp],
    sink: &mut FrameSink<'_>,
    mut load: impl FnMut(usize) -> Result<(Upright, u64)>,
) -> Result<ReadOutcome> {
    let wanted = index.wanted(points);
    let mut outcome = ReadOutcome { n_repeated: points.len() - wanted.len(), ..ReadOutcome::default() };
    let mut first_failure = None;
    for (number, point) in wanted {
        match load(number) {
            Ok((Upright { size: (width, height), rgb }, n_decoded)) => {
                let (pts, time, frame_idx) = (index.pts(number), index.time(number), outcome.n_frames);
                sink(Frame { frame_idx, pts, time, width, height, rgb, is_suspect: false })?;
                outcome.n_frames += 1;
                outcome.n_decoded += n_decoded;
            }
            Err(error) => {
                outcome.missing.push(point);
                first_failure.get_or_insert(error);
            }
        }
    }
    match first_failure {
        Some(error) if outcome.n_frames == 0 => Err(error),
        _ => Ok(outcome),
    }
}
