//! Reads animated WebP pictures as a video.

use std::fs::File;
use std::path::Path;

use image::{ImageDecoder as _, RgbaImage, imageops};

use super::index::FrameIndex;
use super::reader::{FrameReader, FrameSink, ReadOutcome};
use super::size::TargetSize;
use super::stills::{read_pictures, stored_orientation, upright};
use crate::error::{Error, Result};
use crate::media::VideoStream;
use crate::time::Timestamp;
use crate::webp_animation::{AnimationFrame, WebpAnimation};

pub(super) struct AnimationReader<'a> {
    path: &'a Path,
    index: &'a FrameIndex,
    animation: WebpAnimation,
    /// The canvas after the frames before `next`.
    canvas: RgbaImage,
    next: usize,
    /// A frame that cannot be decoded: those that depend on it are not shown.
    broken: Option<usize>,
}

/// The animation in a file that was identified as one of this size.
fn opened(path: &Path, stream: &VideoStream) -> Result<WebpAnimation> {
    let is_same = |animation: &WebpAnimation| animation.size == (stream.width, stream.height);
    WebpAnimation::open(path).filter(is_same).ok_or_else(|| changed(path))
}

fn changed(path: &Path) -> Error {
    Error::malformed(path.display(), "changed while it was being read", "run the same command again")
}

/// The times of the frames of an animation.
pub(super) fn index(path: &Path, stream: &VideoStream) -> Result<FrameIndex> {
    let animation = opened(path, stream)?;
    let times = |is_wanted: fn(&AnimationFrame) -> bool| {
        animation.frames.iter().filter(|frame| is_wanted(frame)).map(|frame| frame.start_millis).collect()
    };
    Ok(FrameIndex::of_times(times(|_| true), times(|frame| frame.is_key), animation.end_millis, stream.time_base))
}

impl<'a> AnimationReader<'a> {
    pub(super) fn open(path: &'a Path, stream: &'a VideoStream, index: &'a FrameIndex) -> Result<Self> {
        let animation = opened(path, stream)?;
        let times = animation.frames.iter().map(|frame| Timestamp::from_millis(frame.start_millis));
        if !times.eq((0..index.n_frames()).map(|number| index.time(number))) {
            return Err(changed(path));
        }
        let canvas = RgbaImage::new(stream.width, stream.height);
        Ok(Self { path, index, animation, canvas, next: 0, broken: None })
    }

    /// Draws the frames up to `number` into the canvas.
    fn draw_up_to(&mut self, number: usize, file: &mut File) -> Result<u64> {
        let key = self.animation.frames[..=number].iter().rposition(|frame| frame.is_key).unwrap_or(0);
        if self.next <= key {
            self.canvas.fill(0);
            self.next = key;
        }
        if self.broken.is_some_and(|broken| key <= broken) {
            return Err(self.damaged("an earlier frame that it depends on cannot be decoded"));
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
}

impl FrameReader for AnimationReader<'_> {
    fn name(&self) -> String {
        "image".to_owned()
    }

    fn read(&mut self, points: &[Timestamp], target: TargetSize, sink: &mut FrameSink<'_>) -> Result<ReadOutcome> {
        let mut file = File::open(self.path).map_err(|error| Error::io(self.path, error))?;
        let orientation = stored_orientation(self.path);
        // An earlier call may have read later frames.
        (self.next, self.broken) = (0, None);
        read_pictures(self.index, points, sink, |number| {
            let n_decoded = self.draw_up_to(number, &mut file)?;
            Ok((upright(self.canvas.clone().into(), orientation, target), n_decoded))
        })
    }
}
