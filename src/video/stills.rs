//! Reads pictures as a video: one picture, or a sequence at a fixed rate.

use std::path::{Path, PathBuf};

use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder as _};

use super::index::FrameIndex;
use super::reader::{FrameReader, FrameSink, ReadOutcome};
use crate::error::{Error, Result};
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

    fn load(&self, path: &Path, (width, height): (u32, u32)) -> Result<Vec<u8>> {
        let broken = |e: image::ImageError| {
            let problem = format!("the {} picture is damaged: {e}", self.stream.codec);
            Error::malformed(path.display(), problem, "check it with an image viewer").because(e)
        };
        let reader = image::ImageReader::open(path)
            .and_then(image::ImageReader::with_guessed_format)
            .map_err(|e| Error::io(path, e))?;
        let mut decoder = reader.into_decoder().map_err(broken)?;
        let (w, h) = decoder.dimensions();
        self.limits.check_pixels(&path.display().to_string(), w, h)?;
        let orientation = decoder.orientation().unwrap_or(image::metadata::Orientation::NoTransforms);
        let mut picture = DynamicImage::from_decoder(decoder).map_err(broken)?;
        picture.apply_orientation(orientation);
        // Transparent pictures are composited on white, as image viewers do.
        let picture = if picture.color().has_alpha() { on_white(&picture) } else { picture.into_rgb8() };
        if picture.dimensions() == (width, height) {
            return Ok(picture.into_raw());
        }
        Ok(image::imageops::resize(&picture, width, height, FilterType::CatmullRom).into_raw())
    }
}

fn on_white(picture: &DynamicImage) -> image::RgbImage {
    let rgba = picture.to_rgba8();
    image::RgbImage::from_fn(rgba.width(), rgba.height(), |x, y| {
        let [r, g, b, a] = rgba.get_pixel(x, y).0.map(u32::from);
        image::Rgb([r, g, b].map(|c| ((c * a + 255 * (255 - a) + 127) / 255) as u8))
    })
}

impl FrameReader for StillReader<'_> {
    fn name(&self) -> String {
        "image".to_owned()
    }

    fn read(&mut self, points: &[Timestamp], size: (u32, u32), sink: &mut FrameSink<'_>) -> Result<ReadOutcome> {
        let index = FrameIndex::regular(self.pictures.len(), self.stream.time_base);
        let wanted = index.wanted(points);
        let mut outcome = ReadOutcome { n_repeated: points.len() - wanted.len(), ..ReadOutcome::default() };
        let mut first_failure = None;
        for (number, point) in wanted {
            match self.load(&self.pictures[number], size) {
                Ok(rgb) => {
                    let pts = index.pts(number);
                    sink(Frame { frame_idx: outcome.n_frames, pts, time: pts, width: size.0, height: size.1, rgb })?;
                    outcome.n_frames += 1;
                    outcome.n_decoded += 1;
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
}
