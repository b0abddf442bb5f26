//! Frames that are read while a model answers.

use futures_util::future::BoxFuture;

use super::extract::{Extracted, FrameStream};
use super::frame_options::FrameOptions;
use super::run::Context;
use super::select::select;
use crate::advice::{Advice, Setting};
use crate::analyze::{Crop, FrameView, ReadFrame, ViewReader};
use crate::blocking::run_blocking;
use crate::encode::{EncodeOptions, encode};
use crate::error::{Error, Result};
use crate::event::EventSender;
use crate::input::Source;
use crate::media::{EncodedImage, Frame, ImageFormat};
use crate::sampling::{Sampling, SamplingSpec};
use crate::time::Tolerance;
use crate::timeline::TimelineFrame;
use crate::video::SizeLimit;

/// The frames of a source that can be read again.
#[derive(Clone)]
pub(super) struct SourceFrames {
    source: Source,
    options: FrameOptions,
    context: Context,
}

impl SourceFrames {
    /// None for live sources.
    pub(super) fn new(source: &Source, options: &FrameOptions, context: &Context) -> Option<Self> {
        // The progress of the job is not that of these frames.
        let context = Context { events: EventSender::channel().0, ..context.clone() };
        (!source.is_live()).then(|| Self { source: source.clone(), options: options.clone(), context })
    }

    async fn frames(&self, FrameView { times, max_width, crop }: FrameView) -> Result<Vec<ReadFrame>> {
        let max_width = max_width.or(self.options.size.max_width);
        let encoded = self.options.encode;
        let mut options = FrameOptions {
            sampling: SamplingSpec { sampling: Sampling::At(times), start: None, end: None, max_frames: None },
            is_limited_by_length: false,
            tolerance: Tolerance::EXACT,
            dedup: false,
            size: SizeLimit { max_width, max_edge: self.options.size.max_edge.filter(|_| max_width.is_none()) },
            ..self.options.clone()
        };
        if let Some(crop) = crop {
            // The part is to have the width, and is encoded once more.
            let whole = max_width.map(|width| (f64::from(width) / (crop.right - crop.left)).min(16_383.0) as u32);
            options.size = SizeLimit { max_width: whole, max_edge: None };
            options.encode = EncodeOptions { format: ImageFormat::Png, ..encoded };
        }
        let source = self.source.clone();
        let (options, selected) = run_blocking(move || {
            let (info, video) = options.open(&source)?;
            let mut video = video.ok_or_else(|| Error::unsupported(&info.input, "has no video", ""))?;
            let selection = select(&options, &mut video)?;
            Ok((options, (video, selection)))
        })
        .await?;
        let mut stream = FrameStream::start(&options, &self.source, selected, false, &self.context).await?;
        let (mut frames, mut n_bytes, most) = (Vec::new(), 0, options.limits.max_kept_image_bytes);
        while let Some(item) = stream.next().await {
            let Extracted::Frame { image, score, is_suspect, .. } = item else { continue };
            let image = match crop {
                Some(crop) => run_blocking(move || cropped(&image, crop, encoded)).await?,
                None => image,
            };
            n_bytes += image.bytes.len() as u64;
            if n_bytes > most {
                let problem = format!("the frames take more than {most} bytes of memory");
                return Err(Error::limit("the frames", problem, Advice::Lower(Setting::LookFrames)));
            }
            frames.push(ReadFrame { frame: TimelineFrame { image, score }, is_suspect });
        }
        stream.finish().await?;
        Ok(frames)
    }
}

impl ViewReader for SourceFrames {
    fn read(&self, view: FrameView) -> BoxFuture<'_, Result<Vec<ReadFrame>>> {
        Box::pin(self.frames(view))
    }
}

/// A part of a picture.
fn cropped(image: &EncodedImage, crop: Crop, options: EncodeOptions) -> Result<EncodedImage> {
    let picture = image::load_from_memory(&image.bytes).map_err(|error| {
        Error::internal("a frame", "its picture cannot be read", "report it, with the input if you can").because(error)
    })?;
    let edge = |share: f64, length: u32| (share * f64::from(length)).round() as u32;
    let (left, top) = (edge(crop.left, image.width), edge(crop.top, image.height));
    let part = picture.to_rgb8();
    let width = edge(crop.right, image.width).saturating_sub(left).max(1);
    let height = edge(crop.bottom, image.height).saturating_sub(top).max(1);
    let part = image::imageops::crop_imm(&part, left, top, width, height).to_image();
    let frame = Frame {
        frame_idx: image.frame_idx,
        pts: image.pts,
        time: image.time,
        width: part.width(),
        height: part.height(),
        rgb: part.into_raw(),
        is_suspect: false,
    };
    encode(&frame, &options)
}
