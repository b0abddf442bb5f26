//! Reads frames with OpenCV's `cv::VideoCapture`. `Mat` is not used outside of this file.
//!
//! Limits of OpenCV 4.6 and the remedies: a read error looks like the end of the file (the frames are compared with the
//! index); `CAP_PROP_POS_MSEC` is 0 on the last frames, and wrong where packets carry no times (frames are then counted);
//! only the first video stream is read. OpenCV converts every stream with the BT.601 matrix; `opencv/yuv.rs` reverses
//! that. Streams for which it cannot be reversed (`can_show`) are read by libav.

mod yuv;

use std::path::Path;
use std::time::Instant;

use ffmpeg_the_third as ffmpeg;
use opencv::core::{self, Mat, MatTraitConst as _, MatTraitConstManual as _};
use opencv::videoio::{self, VideoCapture, VideoCaptureTrait as _, VideoCaptureTraitConst as _};

use super::index::FrameIndex;
use super::reader::{FrameReader, FrameSink, ReadOutcome, no_frame};
use super::scale::{Scaler, Upright, color_tags};
use super::size::TargetSize;
use crate::error::{Error, Result};
use crate::input::Source;
use crate::libav::Demuxer;
use crate::limits::Limits;
use crate::media::{ColorTags, Frame, FrameTiming, MediaInfo, Ratio, Rotation, VideoStream};
use crate::time::{TimeBase, Timestamp};

/// Reads files whose frames are indexed.
pub(super) struct FileReader<'a> {
    capture: VideoCapture,
    path: &'a Path,
    stream: VideoStream,
    index: &'a FrameIndex,
}

impl<'a> FileReader<'a> {
    pub(super) fn open(path: &'a Path, stream: &VideoStream, index: &'a FrameIndex, limits: &Limits) -> Result<Self> {
        quiet();
        let mut stream = stream.clone();
        stream.color = decoded_tags(path, &stream, limits)?;
        let mut url = std::ffi::OsString::from("file:");
        url.push(path);
        let mut capture = VideoCapture::from_file(url, videoio::CAP_FFMPEG)
            .ok()
            .filter(|capture| capture.is_opened().unwrap_or(false))
            .ok_or_else(|| no_frame(path, &stream.codec))?;
        stored_orientation(&mut capture);
        Ok(Self { capture, path, stream, index })
    }

    /// Number of the frame that was just grabbed, where `next` is the one after the last.
    fn number(&self, next: usize) -> usize {
        let millis = self.capture.get(videoio::CAP_PROP_POS_MSEC).unwrap_or(0.0);
        let (Some(start), true) = (self.stream.start, self.index.is_exact && millis > 0.0) else { return next };
        let Some(since_start) = Timestamp::from_secs_f64(millis / 1000.0) else { return next };
        let base = self.stream.time_base;
        let half_tick = Timestamp::new(1, TimeBase::new(base.num(), base.den().saturating_mul(2)).unwrap_or(base));
        let ticks = start.plus(since_start).plus(half_tick).floor_to(base);
        // A float of milliseconds holds a tick to well under half of it.
        self.index.nearest(ticks, 1).filter(|number| *number >= next).unwrap_or(next)
    }
}

impl FrameReader for FileReader<'_> {
    fn name(&self) -> String {
        version()
    }

    fn read(&mut self, points: &[Timestamp], target: TargetSize, sink: &mut FrameSink<'_>) -> Result<ReadOutcome> {
        let wanted = self.index.wanted(points);
        let mut outcome = ReadOutcome { n_repeated: points.len() - wanted.len(), ..ReadOutcome::default() };
        let mut picture = BgrConverter::new(&self.stream, target);
        let mut incoming = Mat::default();
        let mut next = 0;
        let mut wanted = wanted.into_iter().peekable();
        // Grabbing decodes; only wanted frames are also converted.
        while wanted.peek().is_some() && grab(&mut self.capture) {
            outcome.n_decoded += 1;
            let got = self.number(next);
            next = got + 1;
            while let Some((number, point)) = wanted.next_if(|(number, _)| *number <= got) {
                if number < got || !retrieve(&mut self.capture, &mut incoming) {
                    outcome.missing.push(point);
                    continue;
                }
                let Upright { size, rgb } =
                    picture.upright_rgb(&incoming).map_err(|e| broken(self.path.display(), &e))?;
                let (pts, time) = (self.index.pts(number), self.index.time(number));
                let (width, height) = size;
                // OpenCV does not report errors of single frames.
                let is_suspect = false;
                sink(Frame { frame_idx: outcome.n_frames, pts, time, width, height, rgb, is_suspect })?;
                outcome.n_frames += 1;
            }
        }
        outcome.missing.extend(wanted.map(|(_, point)| point));
        if outcome.n_frames == 0 && !points.is_empty() {
            return Err(no_frame(self.path, &self.stream.codec));
        }
        Ok(outcome)
    }
}

/// Reads a live stream or a camera. Decodes every frame.
pub(super) struct LiveReader<'a> {
    capture: VideoCapture,
    name: String,
    stream: &'a VideoStream,
    is_camera: bool,
}

impl<'a> LiveReader<'a> {
    pub(super) fn open(source: &Source, stream: &'a VideoStream) -> Result<Self> {
        let capture = open_live(source)?;
        Ok(Self { capture, name: source.name(), stream, is_camera: matches!(source, Source::Camera(_)) })
    }
}

impl FrameReader for LiveReader<'_> {
    fn name(&self) -> String {
        version()
    }

    fn read(&mut self, points: &[Timestamp], target: TargetSize, sink: &mut FrameSink<'_>) -> Result<ReadOutcome> {
        let mut outcome = ReadOutcome::default();
        let began = Instant::now();
        let (mut incoming, mut shown) = (Mat::default(), Mat::default());
        let mut picture = BgrConverter::new(self.stream, target);
        let mut shown_at: Option<Timestamp> = None;
        let mut first = None;
        let mut points = points.iter().copied().peekable();
        while points.peek().is_some() {
            let is_open = grab(&mut self.capture) && retrieve(&mut self.capture, &mut incoming);
            // A camera has no clock of its own.
            let seconds = if self.is_camera {
                began.elapsed().as_secs_f64()
            } else {
                self.capture.get(videoio::CAP_PROP_POS_MSEC).unwrap_or(0.0) / 1000.0
            };
            let clock = Timestamp::from_secs_f64(seconds).unwrap_or(Timestamp::ZERO);
            let time = clock.minus(*first.get_or_insert(clock));
            outcome.n_decoded += u64::from(is_open);
            // The previous frame was displayed until this one came.
            if let Some(at) = shown_at {
                let mut is_wanted = false;
                while points.next_if(|point| !is_open && *point <= at || is_open && *point < time).is_some() {
                    outcome.n_repeated += usize::from(is_wanted);
                    is_wanted = true;
                }
                if is_wanted {
                    let Upright { size, rgb } = picture.upright_rgb(&shown).map_err(|e| broken(&self.name, &e))?;
                    let (width, height) = size;
                    let frame_idx = outcome.n_frames;
                    sink(Frame { frame_idx, pts: at, time: at, width, height, rgb, is_suspect: false })?;
                    outcome.n_frames += 1;
                }
            }
            if !is_open {
                break;
            }
            std::mem::swap(&mut shown, &mut incoming);
            // Where the stream has no times, the clock does not advance, and later points get the last frame.
            shown_at = Some(time.max(shown_at.unwrap_or(time)));
        }
        if outcome.n_frames == 0 {
            return Err(Error::malformed(
                &self.name,
                "returned no frame",
                "check the address, and that the sender is running",
            ));
        }
        Ok(outcome)
    }
}

/// Opens a stream or a camera to read its facts.
///
/// # Errors
/// [`ErrorKind::Io`](crate::ErrorKind::Io) where OpenCV cannot open it; [`ErrorKind::Usage`](crate::ErrorKind::Usage)
/// where `source` is not live.
pub fn probe_live(source: &Source) -> Result<MediaInfo> {
    let capture = open_live(source)?;
    let side = |property| capture.get(property).ok().filter(|v| *v >= 1.0).map_or(0, |v| v as u32);
    let rate = capture.get(videoio::CAP_PROP_FPS).ok().filter(|fps| (0.01..=1000.0).contains(fps));
    let video = VideoStream {
        stream_idx: 0,
        codec: fourcc(&capture),
        width: side(videoio::CAP_PROP_FRAME_WIDTH),
        height: side(videoio::CAP_PROP_FRAME_HEIGHT),
        sample_aspect: sample_aspect(&capture),
        rotation: Rotation::from_degrees(capture.get(videoio::CAP_PROP_ORIENTATION_META).unwrap_or(0.0)),
        is_mirrored: false,
        frame_rate: rate.map(|fps| Ratio { num: (fps * 1000.0).round() as u32, den: 1000 }),
        pixel_format: None,
        color: ColorTags::default(),
        field_order: None,
        time_base: TimeBase::NANOS,
        start: None,
        duration: None,
        n_frames: None,
        timing: FrameTiming::Stored,
        encryption: None,
        language: None,
        is_default: true,
        is_cover: false,
    };
    let format = if matches!(source, Source::Camera(_)) { "camera" } else { "stream" };
    Ok(MediaInfo { video: vec![video], ..MediaInfo::new(source.name(), format) })
}

fn open_live(source: &Source) -> Result<VideoCapture> {
    quiet();
    let capture = match source {
        Source::Camera(number) => VideoCapture::new(*number, videoio::CAP_ANY),
        Source::Stream(url) => VideoCapture::from_file(url, videoio::CAP_FFMPEG),
        _ => return Err(Error::usage(source.name(), "is not a live source", "")),
    };
    let mut capture = capture.ok().filter(|c| c.is_opened().unwrap_or(false)).ok_or_else(|| {
        Error::io(
            Path::new(&source.name()),
            std::io::Error::other("OpenCV could not open it: there is no answer, or it is not a video"),
        )
    })?;
    stored_orientation(&mut capture);
    Ok(capture)
}

/// Turns off OpenCV's own rotation. The scaler rotates after scaling, and also mirrors, which OpenCV does not.
fn stored_orientation(capture: &mut VideoCapture) {
    let _ = capture.set(videoio::CAP_PROP_ORIENTATION_AUTO, 0.0);
}

fn sample_aspect(capture: &VideoCapture) -> Ratio {
    let side = |property| capture.get(property).ok().filter(|v| *v >= 1.0).map(|v| v as u32);
    match (side(videoio::CAP_PROP_SAR_NUM), side(videoio::CAP_PROP_SAR_DEN)) {
        (Some(num), Some(den)) => Ratio { num, den },
        _ => Ratio::ONE,
    }
}

fn fourcc(capture: &VideoCapture) -> String {
    let code = capture.get(videoio::CAP_PROP_FOURCC).unwrap_or(0.0) as u32;
    let text: String = code.to_le_bytes().iter().filter(|b| b.is_ascii_graphic()).map(|b| char::from(*b)).collect();
    if text.is_empty() { "unknown".to_owned() } else { text }
}

fn grab(capture: &mut VideoCapture) -> bool {
    capture.grab().unwrap_or(false)
}

fn retrieve(capture: &mut VideoCapture, picture: &mut Mat) -> bool {
    capture.retrieve(picture, 0).unwrap_or(false) && !picture.empty()
}

/// Whether OpenCV can represent this stream. It drops transparency, reduces high dynamic range to 8 bits, and clips full
/// range that is not part of the pixel format's name (as it is in `yuvj420p`).
pub(super) fn can_show(stream: &VideoStream) -> bool {
    let format = stream.pixel_format.as_deref().unwrap_or_default();
    let is_transparent = ["yuva", "rgba", "bgra", "argb", "abgr", "gbrap", "ya8", "ya16", "pal8"];
    let is_cut =
        format.starts_with("yuv") && !format.starts_with("yuvj") && stream.color.range.as_deref() == Some("pc");
    let is_hdr = matches!(stream.color.transfer.as_deref(), Some("smpte2084" | "arib-std-b67"));
    !is_cut && !is_hdr && !is_transparent.iter().any(|name| format.starts_with(name))
}

/// The colour tags of the first frame. Some codecs (VP8) carry them only there.
fn decoded_tags(path: &Path, stream: &VideoStream, limits: &Limits) -> Result<ColorTags> {
    /// Maximum number of packets before the first frame.
    const MAX_PACKETS: usize = 200;
    let mut demuxer = Demuxer::open(path, limits)?;
    demuxer.keep_only(&[stream.stream_idx]);
    let mut decoder = demuxer.video_decoder(stream.stream_idx, 1)?;
    for _ in 0..MAX_PACKETS {
        let packet = demuxer.next_packet()?;
        if packet.as_ref().is_none_or(|packet| packet.stream_idx() == stream.stream_idx) {
            decoder.send(packet.as_ref());
        }
        if let Some(frame) = decoder.receive() {
            return Ok(color_tags(frame, &stream.color));
        }
        if packet.is_none() {
            break;
        }
    }
    Ok(stream.color.clone())
}

/// Converts OpenCV's frames to upright RGB of the target size.
struct BgrConverter {
    source: yuv::BgrToYuv,
    scaler: Scaler,
}

impl BgrConverter {
    fn new(stream: &VideoStream, target: TargetSize) -> Self {
        Self { source: yuv::BgrToYuv::new(stream), scaler: Scaler::new(stream, None, target) }
    }

    fn upright_rgb(&mut self, stored: &Mat) -> std::result::Result<Upright, String> {
        let (width, height) = (stored.cols().max(1) as u32, stored.rows().max(1) as u32);
        if stored.typ() != core::CV_8UC3 || !stored.is_continuous() {
            return Err("it does not have three channels of 8 bits".to_owned());
        }
        let bgr = stored.data_bytes().map_err(|e| e.message)?;
        let frame = self.source.frame(bgr, width, height);
        self.scaler.upright_rgb(frame).map_err(|e: ffmpeg::Error| e.to_string())
    }
}

fn broken(name: impl std::fmt::Display, reason: &str) -> Error {
    Error::malformed(name, format!("OpenCV could not convert a frame: {reason}"), "")
}

/// Turns off OpenCV's own messages on stderr; errors are returned instead.
fn quiet() {
    crate::libav::quiet();
    let _ = core::set_log_level(core::LogLevel::LOG_LEVEL_SILENT);
}

/// The OpenCV version in use: `OpenCV 4.6.0`.
#[must_use]
pub fn version() -> String {
    core::get_version_string().map_or_else(|_| "OpenCV".to_owned(), |version| format!("OpenCV {version}"))
}
