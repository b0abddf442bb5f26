//! Reads animated WebP pictures as a video.

use std::fs::File;
use std::path::Path;

use image::metadata::Orientation;
use image::{ImageDecoder as _, RgbaImage, imageops};

use super::index::FrameIndex;
use super::reader::{FrameReader, FrameSink, ReadOutcome};
use super::scale::Upright;
use super::size::TargetSize;
use super::stills::{stored_orientation, upright};
use crate::error::{Error, Result};
use crate::media::{Frame, VideoStream};
use crate::time::Timestamp;
use crate::webp_animation::{AnimationFrame, WebpAnimation};

pub(super) struct AnimationReader<'a> {
    path: &'a Path,
    index: &'a FrameIndex,
    animation: WebpAnimation,
    /// The canvas after the frames before `next`.
    canvas: RgbaImage,
    next: usize,
    /// A frame that cannot be decoded: those that build on it are not shown.
    broken: Option<usize>,
}

/// The animation in a file that was identified as one.
fn opened(path: &Path) -> Result<WebpAnimation> {
    WebpAnimation::open(path).ok_or_else(|| {
        Error::malformed(path.display(), "is no longer the animated WebP picture that it was", "run it again")
    })
}

/// The times of the frames of an animation.
pub(super) fn index(path: &Path, stream: &VideoStream) -> Result<FrameIndex> {
    let animation = opened(path)?;
    let times = |is_wanted: fn(&AnimationFrame) -> bool| {
        animation.frames.iter().filter(|frame| is_wanted(frame)).map(|frame| frame.start_millis).collect()
    };
    Ok(FrameIndex::of_times(times(|_| true), times(|frame| frame.is_key), animation.end_millis, stream.time_base))
}

impl<'a> AnimationReader<'a> {
    pub(super) fn open(path: &'a Path, stream: &'a VideoStream, index: &'a FrameIndex) -> Result<Self> {
        let canvas = RgbaImage::new(stream.width, stream.height);
        Ok(Self { path, index, animation: opened(path)?, canvas, next: 0, broken: None })
    }

    /// Draws the frames up to `number` into the canvas.
    fn draw_up_to(&mut self, number: usize, file: &mut File) -> Result<u64> {
        let key = self.animation.frames[..=number].iter().rposition(|frame| frame.is_key).unwrap_or(0);
        if self.next <= key {
            self.canvas.fill(0);
            self.next = key;
        }
        if self.broken.is_some_and(|broken| key <= broken) {
            return Err(self.damaged("a frame that it builds on cannot be decoded"));
        }
        let mut n_decoded = 0;
        while self.next <= number {
            let at = self.next;
            if let Some(before) = at.checked_sub(1).filter(|_| at > key).map(|at| self.animation.frames[at])
                && before.is_disposed
            {
                let cleared = RgbaImage::new(before.size.0, before.size.1);
                imageops::replace(&mut self.canvas, &cleared, before.place.0.into(), before.place.1.into());
            }
            self.draw(&self.animation.frames[at].clone(), file).inspect_err(|_| self.broken = Some(at))?;
            self.next = at + 1;
            n_decoded += 1;
        }
        Ok(n_decoded)
    }

    fn draw(&mut self, frame: &AnimationFrame, file: &mut File) -> Result<()> {
        let (right, bottom) = (frame.place.0 + frame.size.0, frame.place.1 + frame.size.1);
        if right > self.canvas.width() || bottom > self.canvas.height() {
            return Err(self.damaged("a frame exceeds the canvas"));
        }
        let bytes = frame.picture(file).map_err(|error| Error::io(self.path, error))?;
        let broken = |error: image::ImageError| self.damaged(error.to_string()).because(error);
        let decoder = image::codecs::webp::WebPDecoder::new(std::io::Cursor::new(bytes)).map_err(broken)?;
        if decoder.dimensions() != frame.size {
            return Err(self.damaged("a frame has another size than it states"));
        }
        let picture = image::DynamicImage::from_decoder(decoder).map_err(broken)?.into_rgba8();
        let place = (frame.place.0.into(), frame.place.1.into());
        if frame.is_blended {
            imageops::overlay(&mut self.canvas, &picture, place.0, place.1);
        } else {
            imageops::replace(&mut self.canvas, &picture, place.0, place.1);
        }
        Ok(())
    }

    fn damaged(&self, why: impl std::fmt::Display) -> Error {
        let problem = format!("the webp animation is damaged: {why}");
        Error::malformed(self.path.display(), problem, "check it with an image viewer")
    }

    fn shown(&self, orientation: Orientation, target: TargetSize) -> Upright {
        upright(self.canvas.clone().into(), orientation, target)
    }
}

impl FrameReader for AnimationReader<'_> {
    fn name(&self) -> String {
        "image".to_owned()
    }

    fn read(&mut self, points: &[Timestamp], target: TargetSize, sink: &mut FrameSink<'_>) -> Result<ReadOutcome> {
        let mut file = File::open(self.path).map_err(|error| Error::io(self.path, error))?;
        let orientation = stored_orientation(self.path);
        let wanted = self.index.wanted(points);
        let mut outcome = ReadOutcome { n_repeated: points.len() - wanted.len(), ..ReadOutcome::default() };
        let mut first_failure = None;
        for (number, point) in wanted {
            match self.draw_up_to(number, &mut file) {
                Ok(n_decoded) => {
                    let Upright { size: (width, height), rgb } = self.shown(orientation, target);
                    let (pts, time, frame_idx) = (self.index.pts(number), self.index.time(number), outcome.n_frames);
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
}
