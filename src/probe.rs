//! Reads the facts of a file into [`MediaInfo`] without decoding. Facts that the file does not state are None.

mod encryption;
mod extent;
mod joined;
mod motion_photo;

use std::path::Path;

use image::ImageDecoder as _;

use crate::error::{Error, Result};
use crate::fs::read_head;
use crate::heif::heif_facts;
use crate::input::{KIND_HEAD_BYTES, Source, heif_format, shown_name};
use crate::libav::Demuxer;
use crate::limits::Limits;
use crate::media::{ColorTags, FrameTiming, MediaInfo, MotionVideo, Ratio, Rotation, VideoStream};
use crate::sanitize::clean_line;
use crate::time::{TimeBase, Timestamp};
use crate::webp_animation::WebpAnimation;

/// Reads the facts of a file or an image sequence. `sequence_rate` is the frame rate of an image sequence.
///
/// [`crate::pipeline::probe_source`] also probes streams and cameras, which it opens with OpenCV.
///
/// # Errors
/// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for a stream or a camera; else as for opening the file: [`ErrorKind::Io`](crate::ErrorKind::Io), [`ErrorKind::Malformed`](crate::ErrorKind::Malformed), [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported), [`ErrorKind::Limit`](crate::ErrorKind::Limit).
pub fn probe(source: &Source, sequence_rate: Ratio, limits: &Limits) -> Result<MediaInfo> {
    match source {
        Source::Media(path) => container(path, limits),
        Source::Joined { name, parts } => joined::joined(name, parts, |path| container(path, limits)),
        Source::Picture(path) => picture(path, &source.name(), 1, Ratio::ONE, limits),
        Source::Animation(path) => animation(path, &source.name(), limits),
        Source::Sequence { pictures, .. } => {
            picture(&pictures[0], &source.name(), pictures.len(), sequence_rate, limits)
        }
        Source::Stream(_) | Source::Camera(_) => {
            Err(Error::unsupported(source.name(), "is a live source, which has no container", ""))
        }
    }
}

fn container(path: &Path, limits: &Limits) -> Result<MediaInfo> {
    let size = std::fs::metadata(path).map_err(|e| Error::io(path, e))?.len();
    let name = shown_name(path);
    let mut info = Demuxer::open(path, limits)?.into_media_info(&name, size);
    if info.video.is_empty() && info.audio.is_empty() {
        let advice = "check the file with ffprobe";
        return Err(Error::malformed(name, "has neither a video nor an audio stream", advice));
    }
    encryption::mark(path, &mut info);
    info.damage.extend(extent::missing_end(path, size));
    Ok(info)
}

fn picture(path: &Path, name: &str, n_frames: usize, rate: Ratio, limits: &Limits) -> Result<MediaInfo> {
    let size = std::fs::metadata(path).map_err(|e| Error::io(path, e))?.len();
    let (format, (width, height), rotation, is_mirrored) = picture_facts(path, limits)?;
    let frame_time = TimeBase::new(rate.den, rate.num).unwrap_or(TimeBase::SECONDS);
    let duration = Timestamp::new(n_frames as i64, frame_time);
    let video = VideoStream {
        stream_idx: 0,
        codec: format.clone(),
        width,
        height,
        sample_aspect: Ratio::ONE,
        rotation,
        is_mirrored,
        frame_rate: (n_frames > 1).then_some(rate),
        pixel_format: None,
        color: ColorTags::default(),
        field_order: None,
        time_base: frame_time,
        start: Some(Timestamp::ZERO),
        duration: Some(duration),
        n_frames: Some(n_frames as u64),
        timing: FrameTiming::Stored,
        encryption: None,
        language: None,
        is_default: true,
        is_cover: false,
    };
    let may_move = n_frames == 1 && matches!(&*format, "jpeg" | "heic" | "avif");
    let motion_video = if may_move { motion_video(path, limits) } else { None };
    let format = if n_frames > 1 { format!("{format} sequence") } else { format };
    Ok(MediaInfo {
        size_bytes: (n_frames == 1).then_some(size),
        duration: (n_frames > 1).then_some(duration),
        video: vec![video],
        motion_video,
        damage: if n_frames == 1 { extent::missing_end(path, size).into_iter().collect() } else { Vec::new() },
        ..MediaInfo::new(name, format)
    })
}

/// The video behind the picture of a motion photo.
fn motion_video(path: &Path, limits: &Limits) -> Option<MotionVideo> {
    motion_photo::candidates(path).ok()?.into_iter().find_map(|at_byte| {
        let copy = motion_photo::copy_from(path, at_byte).ok()?;
        let info = container(copy.path(), limits).ok()?;
        info.main_video().map(|_| MotionVideo { at_byte, duration: info.duration })
    })
}

/// As [`picture`], of an animated WebP picture.
fn animation(path: &Path, name: &str, limits: &Limits) -> Result<MediaInfo> {
    let mut info = picture(path, name, 1, Ratio::ONE, limits)?;
    if let (Some(animation), Some(video)) = (WebpAnimation::open(path), info.video.first_mut()) {
        let n_frames = animation.frames.len();
        video.time_base = TimeBase::MILLIS;
        video.duration = Some(Timestamp::from_millis(animation.end_millis));
        video.n_frames = Some(n_frames as u64);
        let millis = u32::try_from(animation.end_millis).ok();
        let rate = u32::try_from(n_frames).ok().and_then(|n| n.checked_mul(1000)).zip(millis);
        video.frame_rate = rate.map(|(num, den)| Ratio { num, den });
        info.duration = video.duration;
    }
    Ok(info)
}

/// Format, stored size and orientation of a picture, read without decoding its pixels.
fn picture_facts(path: &Path, limits: &Limits) -> Result<(String, (u32, u32), Rotation, bool)> {
    if let Some(format) = heif_format(&read_head(path, KIND_HEAD_BYTES)?) {
        // libheif rotates and mirrors.
        let facts = heif_facts(path, limits)?;
        return Ok((format.to_owned(), (facts.width, facts.height), Rotation::None, false));
    }
    let name = path.display();
    let broken = |e: image::ImageError| {
        Error::malformed(
            &name,
            format!("not a picture that can be read: {}", clean_line(&e.to_string())),
            "check it with an image viewer",
        )
        .because(e)
    };
    let reader = image::ImageReader::open(path)
        .and_then(image::ImageReader::with_guessed_format)
        .map_err(|e| Error::io(path, e))?;
    let format = reader.format().map_or_else(String::new, |f| format!("{f:?}").to_lowercase());
    let mut decoder = reader.into_decoder().map_err(broken)?;
    let (width, height) = decoder.dimensions();
    match format.as_str() {
        "jpeg" => limits.check_jpeg_pixels(&name.to_string(), width, height)?,
        _ => limits.check_pixels(&name.to_string(), width, height)?,
    }
    let (rotation, is_mirrored) =
        quarter_turns(decoder.orientation().unwrap_or(image::metadata::Orientation::NoTransforms));
    Ok((format, (width, height), rotation, is_mirrored))
}

/// EXIF's eight orientations as "flip vertically, then rotate clockwise".
fn quarter_turns(orientation: image::metadata::Orientation) -> (Rotation, bool) {
    use image::metadata::Orientation as O;
    match orientation {
        O::NoTransforms => (Rotation::None, false),
        O::Rotate90 => (Rotation::Quarter, false),
        O::Rotate180 => (Rotation::Half, false),
        O::Rotate270 => (Rotation::ThreeQuarters, false),
        O::FlipVertical => (Rotation::None, true),
        O::FlipHorizontal => (Rotation::Half, true),
        // The image crate rotates, then flips horizontally. Swapping the order reverses the rotation.
        O::Rotate90FlipH => (Rotation::Quarter, true),
        O::Rotate270FlipH => (Rotation::ThreeQuarters, true),
    }
}
