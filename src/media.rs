//! Facts of a container and its streams, and one decoded frame.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::time::{TimeBase, Timestamp};

/// A fraction of positive integers: a frame rate or a pixel's sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Ratio {
    /// Numerator, at least 1.
    pub num: u32,
    /// Denominator, at least 1.
    pub den: u32,
}

impl Ratio {
    /// The ratio 1:1.
    pub const ONE: Self = Self { num: 1, den: 1 };

    /// The ratio as a float.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        f64::from(self.num) / f64::from(self.den)
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.num, self.den)
    }
}

/// Clockwise rotation that makes a stored picture upright.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Rotation {
    /// As stored.
    #[default]
    #[serde(rename = "0")]
    None,
    /// A quarter clockwise.
    #[serde(rename = "90")]
    Quarter,
    /// Upside down.
    #[serde(rename = "180")]
    Half,
    /// A quarter anticlockwise.
    #[serde(rename = "270")]
    ThreeQuarters,
}

impl Rotation {
    /// The nearest quarter turn to `degrees` clockwise.
    #[must_use]
    pub fn from_degrees(degrees: f64) -> Self {
        match (degrees / 90.0).round().rem_euclid(4.0) as u8 {
            1 => Self::Quarter,
            2 => Self::Half,
            3 => Self::ThreeQuarters,
            _ => Self::None,
        }
    }

    /// Whether width and height change places.
    #[must_use]
    pub fn swaps_sides(self) -> bool {
        matches!(self, Self::Quarter | Self::ThreeQuarters)
    }
}

/// Facts of a container. None means that the container does not state it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct MediaInfo {
    /// Path or URL as the user gave it.
    pub input: String,
    /// The container's short name: `mov,mp4`, `matroska`, `png`.
    pub format: String,
    /// Size of the file; None for streams and cameras.
    pub size_bytes: Option<u64>,
    /// The container's start time: zero of the shared clock of video and audio.
    pub start: Timestamp,
    /// The container's stated duration.
    pub duration: Option<Timestamp>,
    /// Title tag, untrusted text.
    pub title: Option<String>,
    /// Who published it, as its site says; untrusted text.
    pub uploader: Option<String>,
    /// Its description, as its site says; untrusted text.
    pub description: Option<String>,
    /// Video streams in container order.
    pub video: Vec<VideoStream>,
    /// Audio streams in container order.
    pub audio: Vec<AudioStream>,
    /// Subtitle streams in container order.
    pub subtitles: Vec<SubtitleStream>,
    /// Chapters in time order.
    pub chapters: Vec<MediaChapter>,
    /// The video behind the picture of a motion photo, which is not read; None for others.
    pub motion_video: Option<MotionVideo>,
    /// Known damage, as phrases; empty where none is known.
    pub damage: Vec<String>,
    /// The files of a joined recording, in order; empty for a single file. The streams are then those of the first file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<MediaPart>,
}

/// One file of a joined recording.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct MediaPart {
    /// Its file.
    #[serde(skip)]
    pub path: std::path::PathBuf,
    /// Where it starts on the clock of the whole.
    pub offset: Timestamp,
    /// Its own facts, with times on its own clock.
    pub media: MediaInfo,
}

impl MediaPart {
    /// The file at `path` from `offset` on.
    #[must_use]
    pub fn new(path: std::path::PathBuf, offset: Timestamp, media: MediaInfo) -> Self {
        Self { path, offset, media }
    }
}

/// The video of a motion photo, a file within the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MotionVideo {
    /// The position of its first byte, from 0. It ends with the file.
    pub at_byte: u64,
    /// Its stated duration.
    pub duration: Option<Timestamp>,
}

impl MediaInfo {
    /// A source of which only the name and the format are known.
    #[must_use]
    pub fn new(input: impl Into<String>, format: impl Into<String>) -> Self {
        Self {
            input: input.into(),
            format: format.into(),
            size_bytes: None,
            start: Timestamp::ZERO,
            duration: None,
            title: None,
            uploader: None,
            description: None,
            video: Vec::new(),
            audio: Vec::new(),
            subtitles: Vec::new(),
            chapters: Vec::new(),
            motion_video: None,
            damage: Vec::new(),
            parts: Vec::new(),
        }
    }

    /// The number, from 0, of the part of a joined recording to which a time on its clock belongs; None for a single file.
    #[must_use]
    pub fn part_at(&self, time: Timestamp) -> Option<usize> {
        let n_started = self.parts.partition_point(|part| part.offset <= time);
        (!self.parts.is_empty()).then(|| n_started.saturating_sub(1))
    }

    /// That the video of a motion photo is not read, and how to read it; None for others.
    #[must_use]
    pub fn motion_notice(&self) -> Option<String> {
        let MotionVideo { at_byte, duration } = self.motion_video?;
        let length = duration.map(|length| format!(" of {:.1} s", length.secs_f64())).unwrap_or_default();
        let first = at_byte + 1;
        Some(format!(
            "is a motion photo; only the picture is read, not its video{length} (extract it with: tail -c +{first} FILE > video.mp4)"
        ))
    }

    /// The default video stream: the one marked default, else the largest. Never a cover picture.
    #[must_use]
    pub fn main_video(&self) -> Option<&VideoStream> {
        let pictures = |v: &&VideoStream| !v.is_cover;
        self.video
            .iter()
            .filter(pictures)
            .max_by_key(|v| (v.is_default, u64::from(v.width) * u64::from(v.height), std::cmp::Reverse(v.stream_idx)))
    }

    /// The default audio stream: the first marked default, else the first.
    #[must_use]
    pub fn main_audio(&self) -> Option<&AudioStream> {
        self.audio.iter().find(|a| a.is_default).or_else(|| self.audio.first())
    }
}

/// Colour tags of a stream, with libav's names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ColorTags {
    /// Matrix between RGB and luma and chroma: `bt709`, `smpte170m`.
    pub matrix: Option<String>,
    /// `tv` (limited) or `pc` (full).
    pub range: Option<String>,
    /// Transfer function: `bt709`; `smpte2084` (PQ) and `arib-std-b67` (HLG) are high dynamic range.
    pub transfer: Option<String>,
    /// Colour primaries: `bt709`, `bt2020`.
    pub primaries: Option<String>,
}

/// Whether frames are interlaced, and which field comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum FieldOrder {
    /// Not interlaced.
    Progressive,
    /// Interlaced: lines 0, 2, 4… are earlier.
    TopFirst,
    /// Interlaced: lines 1, 3, 5… are earlier.
    BottomFirst,
}

/// Where the times of frames come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FrameTiming {
    /// The container stores them, or the decoder derives them from what it stores.
    #[default]
    Stored,
    /// The frame rate alone: a raw stream (`.264`) stores no times.
    FrameRate,
}

/// One video stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct VideoStream {
    /// Index among all streams of the container, from 0.
    pub stream_idx: usize,
    /// libav's codec name: `h264`.
    pub codec: String,
    /// Stored width in pixels, before rotation and sample aspect.
    pub width: u32,
    /// Stored height in pixels.
    pub height: u32,
    /// Sample aspect ratio (SAR): width to height of one stored pixel.
    pub sample_aspect: Ratio,
    /// Rotation that makes the picture upright.
    pub rotation: Rotation,
    /// Whether the stored picture must be flipped vertically before it is rotated.
    pub is_mirrored: bool,
    /// Stated average frame rate.
    pub frame_rate: Option<Ratio>,
    /// libav's pixel format name: `yuv420p`.
    pub pixel_format: Option<String>,
    /// Colour tags.
    pub color: ColorTags,
    /// Field order; None where it is not stated.
    pub field_order: Option<FieldOrder>,
    /// Time base of pts.
    pub time_base: TimeBase,
    /// Stated first pts, on the stream's own clock.
    pub start: Option<Timestamp>,
    /// Stated duration.
    pub duration: Option<Timestamp>,
    /// Stated number of frames.
    pub n_frames: Option<u64>,
    /// Where the times of frames come from.
    pub timing: FrameTiming,
    /// The scheme that encrypts it; None where it is clear.
    pub encryption: Option<String>,
    /// Language tag (ISO 639), untrusted text.
    pub language: Option<String>,
    /// Marked default by the container.
    pub is_default: bool,
    /// An attached picture (cover art), not a video.
    pub is_cover: bool,
}

impl VideoStream {
    /// Width and height in pixels as displayed, with rotation and sample aspect ratio applied. The shorter side is
    /// stretched, so that no stored detail is lost.
    #[must_use]
    pub fn display_size(&self) -> (u32, u32) {
        display_size((self.width, self.height), self.sample_aspect, self.rotation)
    }
}

/// Width and height as displayed of a picture stored with `width` and `height`; see [`VideoStream::display_size`].
pub(crate) fn display_size((width, height): (u32, u32), sample_aspect: Ratio, rotation: Rotation) -> (u32, u32) {
    let scale = |side: u32, by: u32, over: u32| {
        ((u64::from(side) * u64::from(by) + u64::from(over) / 2) / u64::from(over)).max(1) as u32
    };
    let (w, h) = if sample_aspect.num >= sample_aspect.den {
        (scale(width, sample_aspect.num, sample_aspect.den), height)
    } else {
        (width, scale(height, sample_aspect.den, sample_aspect.num))
    };
    if rotation.swaps_sides() { (h, w) } else { (w, h) }
}

/// One audio stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct AudioStream {
    /// Index among all streams of the container, from 0.
    pub stream_idx: usize,
    /// libav's codec name: `aac`.
    pub codec: String,
    /// Sample rate in Hz.
    pub sample_rate_hz: Option<u32>,
    /// Number of channels.
    pub channels: Option<u16>,
    /// Time of the first audible sample, on the container's own clock (edit lists applied).
    pub start: Option<Timestamp>,
    /// Time of the first stored sample, on the container's own clock: earlier than `start` where the encoder
    /// put priming samples in front.
    pub first_packet: Option<Timestamp>,
    /// Stated duration.
    pub duration: Option<Timestamp>,
    /// The scheme that encrypts it; None where it is clear.
    pub encryption: Option<String>,
    /// Language tag (ISO 639), untrusted text.
    pub language: Option<String>,
    /// Title tag, untrusted text.
    pub title: Option<String>,
    /// Marked default by the container.
    pub is_default: bool,
}

/// One chapter of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct MediaChapter {
    /// Its start on the shared clock.
    pub start: Timestamp,
    /// Its end on the shared clock.
    pub end: Timestamp,
    /// Title tag, untrusted text.
    pub title: Option<String>,
}

/// One subtitle stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SubtitleStream {
    /// Index among all streams of the container, from 0.
    pub stream_idx: usize,
    /// libav's codec name: `subrip`.
    pub codec: String,
    /// Whether it contains text. Bitmap subtitles are not read.
    pub is_text: bool,
    /// Language tag (ISO 639), untrusted text.
    pub language: Option<String>,
    /// Marked default by the container.
    pub is_default: bool,
    /// Marked forced: it translates only foreign passages.
    pub is_forced: bool,
}

/// One decoded frame, upright, scaled, RGB.
#[derive(Clone)]
pub struct Frame {
    /// Index of the frame in this run, from 0.
    pub frame_idx: usize,
    /// Presentation time on the stream's own clock.
    pub pts: Timestamp,
    /// Presentation time on the shared clock.
    pub time: Timestamp,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// RGB24, rows from the top without padding: `width * height * 3` bytes.
    pub rgb: Vec<u8>,
    /// Whether the decoder reported an error in it or in a frame that it refers to, so that it may look wrong.
    pub is_suspect: bool,
}

impl Frame {
    /// The picture for the `image` crate, with a copy of the pixels.
    ///
    /// Where `rgb` does not hold `width * height * 3` bytes, missing bytes are black and extra bytes are dropped.
    #[must_use]
    pub fn to_image(&self) -> image::RgbImage {
        let mut rgb = self.rgb.clone();
        rgb.resize(self.width as usize * self.height as usize * 3, 0);
        // The size fits: None is for a buffer that is too small.
        image::RgbImage::from_raw(self.width, self.height, rgb).unwrap_or_default()
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame {{ #{} {} {}x{} }}", self.frame_idx, self.time, self.width, self.height)
    }
}

/// Why a frame was sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FrameReason {
    /// A multiple of the sampling interval.
    Interval,
    /// The caller asked for this time.
    Moment,
    /// The frame is a keyframe.
    Keyframe,
    /// The first frame of the range.
    First,
    /// The last frame of the range.
    Last,
    /// The frame represents a shot.
    Scene,
    /// The frame limits the longest gap.
    Floor,
    /// The video changes much around the frame.
    Activity,
    /// The model asked for it while it answered.
    SecondLook,
}

/// What a decoder must decode for one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeCost {
    /// Presentation time in ticks of the stream.
    pub ticks: i64,
    /// Number of the packet that decoding starts at. Frames with the same start are consecutive in presentation order.
    pub start: u32,
    /// Reference frames that are decoded from there for this frame or an earlier one with the same start, so that it does
    /// not decrease; 1 for a keyframe.
    pub n_references: u32,
    /// Whether the frame itself comes on top, because no other frame refers to it.
    pub is_disposable: bool,
    /// Whether it is a keyframe.
    pub is_key: bool,
}

/// Formats of encoded frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ImageFormat {
    /// JPEG, 4:2:0. Every model accepts it.
    #[default]
    Jpeg,
    /// PNG, lossless.
    Png,
    /// WebP, lossy.
    Webp,
}

impl ImageFormat {
    /// The MIME type.
    #[must_use]
    pub fn mime(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
        }
    }

    /// The file name extension, without the dot.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Webp => "webp",
        }
    }
}

/// One encoded frame, as written to a file and sent to a model.
#[derive(Clone, Serialize)]
pub struct EncodedImage {
    /// Index of the frame in this run, from 0.
    pub frame_idx: usize,
    /// Presentation time on the stream's own clock.
    #[serde(skip)]
    pub pts: Timestamp,
    /// Presentation time on the shared clock.
    pub time: Timestamp,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The format of `bytes`.
    pub format: ImageFormat,
    /// The encoded bytes, shared between clones.
    #[serde(skip)]
    pub bytes: Bytes,
}

impl fmt::Debug for EncodedImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncodedImage {{ #{} {} {} bytes }}", self.frame_idx, self.time, self.bytes.len())
    }
}
