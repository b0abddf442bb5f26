//! Converts a decoded frame to RGB24 as displayed: scales it from its own pixel format, maps its colours to full-range
//! SDR, and rotates it. Frames of libav and OpenCV are both converted here.
//!
//! Transparent frames are composited on white, as in `video/stills.rs`. Of a combed interlaced frame only the earlier field
//! is used.

mod to_rgb;

use std::ffi::CStr;

use ffmpeg_the_third as ffmpeg;
use ffmpeg_the_third::ffi;
use ffmpeg_the_third::format::Pixel;
use ffmpeg_the_third::software::scaling;

use super::deinterlace;
use super::size::TargetSize;
use super::tone_map::{ToSdr, Transfer};
use crate::libav::valid_aspect;
use crate::media::{ColorTags, FieldOrder, Ratio, Rotation, VideoStream, display_size};
use to_rgb::ToRgb;

/// An upright frame.
pub(super) struct Upright {
    /// Width and height.
    pub(super) size: (u32, u32),
    /// RGB24 rows from the top without padding.
    pub(super) rgb: Vec<u8>,
}

/// Scales the frames of one stream; keeps its tables between frames of one size.
pub(super) struct Scaler {
    context: Option<scaling::Context>,
    /// Converts the context's YUV output.
    to_rgb: Option<ToRgb>,
    scaled: ffmpeg::frame::Video,
    to_sdr: Option<(Transfer, ToSdr)>,
    /// Rows of `scaled` as RGB24, where libswscale's output has another format.
    flat: Vec<u8>,
    /// The container's tags, for frames without their own.
    tags: ColorTags,
    field_order: Option<FieldOrder>,
    rotation: Rotation,
    is_mirrored: bool,
    target: TargetSize,
    /// Stored and displayed size of the stream.
    stored: (u32, u32),
    displayed: (u32, u32),
    stream_aspect: Ratio,
    stated_aspect: Option<Ratio>,
    /// Size of the scaled frame before rotation.
    width: u32,
    height: u32,
}

/// The output of libswscale, and how it becomes RGB24.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// RGB24, from RGB, grey and palettes.
    Rgb,
    /// YUV at the target size, to be converted to RGB24.
    Yuv,
    /// RGBA, to be composited on white.
    Transparent,
    /// 16 bits per channel in BT.2020, to be mapped to SDR.
    Wide(Transfer),
}

impl Kind {
    fn of(frame: &ffmpeg::frame::Video, tags: &Tags<'_>) -> Self {
        match tags.wide() {
            Some(transfer) => Self::Wide(transfer),
            None if has_flag(frame, ffi::AV_PIX_FMT_FLAG_ALPHA) => Self::Transparent,
            None if is_yuv(frame) => Self::Yuv,
            None => Self::Rgb,
        }
    }

    fn format(self) -> Pixel {
        match self {
            Self::Rgb => Pixel::RGB24,
            #[cfg(target_endian = "little")]
            Self::Yuv => Pixel::YUV444P10LE,
            #[cfg(target_endian = "big")]
            Self::Yuv => Pixel::YUV444P10BE,
            Self::Transparent => Pixel::RGBA,
            #[cfg(target_endian = "little")]
            Self::Wide(_) => Pixel::RGB48LE,
            #[cfg(target_endian = "big")]
            Self::Wide(_) => Pixel::RGB48BE,
        }
    }
}

impl Scaler {
    /// A scaler to upright frames. `stated_aspect` is the container's sample aspect ratio, which takes precedence over that
    /// of the frames.
    pub(super) fn new(stream: &VideoStream, stated_aspect: Option<Ratio>, target: TargetSize) -> Self {
        Self {
            context: None,
            to_rgb: None,
            scaled: ffmpeg::frame::Video::empty(),
            to_sdr: None,
            flat: Vec::new(),
            tags: stream.color.clone(),
            field_order: stream.field_order,
            rotation: stream.rotation,
            is_mirrored: stream.is_mirrored,
            target,
            stored: (stream.width, stream.height),
            displayed: stream.display_size(),
            stream_aspect: stream.sample_aspect,
            stated_aspect,
            width: 0,
            height: 0,
        }
    }

    /// The display size of a frame. Size and sample aspect ratio may change within a stream.
    fn display_size(&self, frame: &ffmpeg::frame::Video) -> (u32, u32) {
        let stored = (frame.width(), frame.height());
        let own_aspect = || valid_aspect(frame.aspect_ratio()).unwrap_or(self.stream_aspect);
        let aspect = self.stated_aspect.unwrap_or_else(own_aspect);
        if stored == self.stored && aspect == self.stream_aspect {
            return self.displayed;
        }
        display_size(stored, aspect, self.rotation)
    }

    /// Converts and scales one frame.
    pub(super) fn upright_rgb(&mut self, frame: &ffmpeg::frame::Video) -> Result<Upright, ffmpeg::Error> {
        let size = self.target.of(self.display_size(frame));
        (self.width, self.height) = if self.rotation.swaps_sides() { (size.1, size.0) } else { size };
        let tags = Tags::of(frame, &self.tags);
        let kind = Kind::of(frame, &tags);
        let format = plain(frame.format());
        // First line, distance of lines and number of lines to read.
        let (first, step, n_lines) = match self.field_order {
            Some(order @ (FieldOrder::TopFirst | FieldOrder::BottomFirst)) if deinterlace::is_combed(frame) => {
                (usize::from(order == FieldOrder::BottomFirst), 2, frame.height() / 2)
            }
            _ => (0, 1, frame.height()),
        };
        let fits = |context: &scaling::Context| {
            let (input, output) = (context.input(), context.output());
            (input.format, input.width, input.height) == (format, frame.width(), n_lines)
                && (output.format, output.width, output.height) == (kind.format(), self.width, self.height)
        };
        if !self.context.as_ref().is_some_and(fits) {
            let (context, to_rgb) = context(frame, n_lines, kind, &tags, (self.width, self.height))?;
            (self.context, self.to_rgb) = (Some(context), Some(to_rgb));
            self.scaled = ffmpeg::frame::Video::new(kind.format(), self.width, self.height);
        }
        if let Kind::Wide(transfer) = kind
            && self.to_sdr.as_ref().is_none_or(|(made_for, _)| *made_for != transfer)
        {
            self.to_sdr = Some((transfer, ToSdr::new(transfer)));
        }
        let Some(context) = self.context.as_mut() else { return Err(ffmpeg::Error::Bug) };
        // SAFETY: both frames are valid for the call; sws_scale reads `n_lines` lines of `frame`'s planes, `step` apart, none
        // of which lies beyond them (`is_combed` checks this for fields), and fills `scaled`, whose buffers were allocated for
        // the context's output. The wrapper's `run` refuses the formats that `plain` renames.
        #[expect(unsafe_code, reason = "the wrapper compares pixel formats by name, and knows no fields")]
        let code = unsafe {
            let source = &*frame.as_ptr();
            let mut lines = [std::ptr::null::<u8>(); 4];
            let mut distances = [0; 4];
            for plane in 0..4 {
                let distance = source.linesize[plane];
                // The second plane of a picture with a palette has no lines.
                let is_plane = distance != 0 && !source.data[plane].is_null();
                let skip = if is_plane { first as isize * distance as isize } else { 0 };
                lines[plane] = source.data[plane].cast_const().wrapping_offset(skip);
                distances[plane] = distance * step;
            }
            ffi::sws_scale(
                context.as_mut_ptr(),
                lines.as_ptr(),
                distances.as_ptr(),
                0,
                n_lines as i32,
                (*self.scaled.as_mut_ptr()).data.as_ptr(),
                (*self.scaled.as_mut_ptr()).linesize.as_ptr(),
            )
        };
        if code <= 0 {
            return Err(ffmpeg::Error::InvalidData);
        }
        Ok(Upright { size, rgb: self.finished(kind) })
    }

    /// The scaled rows as opaque SDR, upright.
    fn finished(&mut self, kind: Kind) -> Vec<u8> {
        let (rows, stride, row_bytes) = (self.scaled.data(0), self.scaled.stride(0), self.width as usize * 3);
        if kind == Kind::Rgb {
            return self.turned(rows, stride);
        }
        self.flat.resize(row_bytes * self.height as usize, 0);
        for (y, flat) in self.flat.chunks_exact_mut(row_bytes).enumerate() {
            let row = &rows[y * stride..];
            match (&self.to_rgb, &self.to_sdr, kind) {
                (Some(to_rgb), _, Kind::Yuv) => {
                    to_rgb.row([0, 1, 2].map(|plane| &self.scaled.data(plane)[y * self.scaled.stride(plane)..]), flat);
                }
                (_, Some((_, to_sdr)), Kind::Wide(_)) => {
                    for (to, from) in flat.chunks_exact_mut(3).zip(row.chunks_exact(6)) {
                        let channel = |i: usize| u16::from_ne_bytes([from[2 * i], from[2 * i + 1]]);
                        to.copy_from_slice(&to_sdr.pixel([channel(0), channel(1), channel(2)]));
                    }
                }
                _ => {
                    for (to, from) in flat.chunks_exact_mut(3).zip(row.chunks_exact(4)) {
                        let alpha = u32::from(from[3]);
                        for (to, from) in to.iter_mut().zip(from) {
                            *to = ((u32::from(*from) * alpha + 255 * (255 - alpha) + 127) / 255) as u8;
                        }
                    }
                }
            }
        }
        self.turned(&self.flat, row_bytes)
    }

    /// Copies the scaled rows, flipped and rotated.
    fn turned(&self, rows: &[u8], stride: usize) -> Vec<u8> {
        let (w, h) = (self.width as usize, self.height as usize);
        let row = |y: usize| {
            let y = if self.is_mirrored { h - 1 - y } else { y };
            &rows[y * stride..y * stride + w * 3]
        };
        let mut rgb = vec![0; w * h * 3];
        match self.rotation {
            Rotation::None => {
                for (y, out) in rgb.chunks_exact_mut(w * 3).enumerate() {
                    out.copy_from_slice(row(y));
                }
            }
            Rotation::Half => {
                for (y, out) in rgb.chunks_exact_mut(w * 3).enumerate() {
                    for (to, from) in out.chunks_exact_mut(3).zip(row(h - 1 - y).rchunks_exact(3)) {
                        to.copy_from_slice(from);
                    }
                }
            }
            Rotation::Quarter | Rotation::ThreeQuarters => {
                // The upright frame is `h` wide: its column x is row h-1-x (clockwise) or row x of the stored one.
                for y in 0..h {
                    let x = if self.rotation == Rotation::Quarter { h - 1 - y } else { y };
                    for (stored_x, from) in row(y).chunks_exact(3).enumerate() {
                        let upright_y = if self.rotation == Rotation::Quarter { stored_x } else { w - 1 - stored_x };
                        let at = (upright_y * h + x) * 3;
                        rgb[at..at + 3].copy_from_slice(from);
                    }
                }
            }
        }
        rgb
    }
}

/// A context that scales `n_lines` lines of such frames to `size`.
fn context(
    frame: &ffmpeg::frame::Video,
    n_lines: u32,
    kind: Kind,
    tags: &Tags<'_>,
    (width, height): (u32, u32),
) -> Result<(scaling::Context, ToRgb), ffmpeg::Error> {
    // Area averaging, full chroma and exact rounding: plain settings come out two levels dark.
    let flags = scaling::Flags::AREA
        | scaling::Flags::FULL_CHR_H_INT
        | scaling::Flags::FULL_CHR_H_INP
        | scaling::Flags::ACCURATE_RND;
    let format = plain(frame.format());
    let mut context = scaling::Context::get(format, frame.width(), n_lines, kind.format(), width, height, flags)?;
    let is_full = tags.range == Some("pc") || format != frame.format();
    // YUV keeps its range; RGB has the full one.
    let full = i32::from(is_full);
    let full_after = if kind == Kind::Yuv { full } else { 1 };
    // SAFETY: the context is ours; the tables are libswscale's own, static, of four numbers.
    #[expect(unsafe_code, reason = "the wrapper does not set matrix and range")]
    let coefficients = unsafe {
        // Both ways: RGB that is scaled goes through luma and chroma and back.
        let matrix = ffi::sws_getCoefficients(matrix(frame.height(), tags));
        let one = 1 << 16;
        ffi::sws_setColorspaceDetails(context.as_mut_ptr(), matrix, full, matrix, full_after, 0, one, one);
        *matrix.cast::<[i32; 4]>()
    };
    Ok((context, ToRgb::new(coefficients, is_full)))
}

/// The plain format of those "with JPEG range", which libswscale warns about. The range is set separately.
fn plain(format: Pixel) -> Pixel {
    match format {
        Pixel::YUVJ420P => Pixel::YUV420P,
        Pixel::YUVJ422P => Pixel::YUV422P,
        Pixel::YUVJ444P => Pixel::YUV444P,
        Pixel::YUVJ440P => Pixel::YUV440P,
        other => other,
    }
}

/// A frame's colour tags with libav's names; the container's where the frame has none.
struct Tags<'a> {
    matrix: Option<&'a str>,
    range: Option<&'a str>,
    transfer: Option<&'a str>,
    primaries: Option<&'a str>,
}

impl<'a> Tags<'a> {
    fn of(frame: &ffmpeg::frame::Video, container: &'a ColorTags) -> Self {
        let or = |name: *const std::ffi::c_char, other: &'a Option<String>| {
            // SAFETY: libav's names are static strings that end in NUL; null for a number without one.
            #[expect(unsafe_code, reason = "the wrapper panics at numbers that it does not know")]
            let name: Option<&'static CStr> = (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) });
            let known =
                name.and_then(|name| name.to_str().ok()).filter(|name| !matches!(*name, "unknown" | "reserved"));
            known.or(other.as_deref())
        };
        // SAFETY: `frame` is valid while it is borrowed; the functions take any number.
        #[expect(unsafe_code, reason = "the wrapper panics at numbers that it does not know")]
        unsafe {
            let frame = &*frame.as_ptr();
            Self {
                matrix: or(ffi::av_color_space_name(frame.colorspace), &container.matrix),
                range: or(ffi::av_color_range_name(frame.color_range), &container.range),
                transfer: or(ffi::av_color_transfer_name(frame.color_trc), &container.transfer),
                primaries: or(ffi::av_color_primaries_name(frame.color_primaries), &container.primaries),
            }
        }
    }

    /// The transfer function of colours wider than SDR; None for SDR.
    fn wide(&self) -> Option<Transfer> {
        match (self.transfer, self.primaries) {
            (Some("smpte2084"), _) => Some(Transfer::Pq),
            (Some("arib-std-b67"), _) => Some(Transfer::Hlg),
            (_, Some("bt2020")) => Some(Transfer::Sdr),
            _ => None,
        }
    }
}

/// The colour tags of a decoded frame; those of `container` where it has none.
pub(super) fn color_tags(frame: &ffmpeg::frame::Video, container: &ColorTags) -> ColorTags {
    let tags = Tags::of(frame, container);
    let [matrix, range, transfer, primaries] =
        [tags.matrix, tags.range, tags.transfer, tags.primaries].map(|tag| tag.map(str::to_owned));
    ColorTags { matrix, range, transfer, primaries }
}

/// The share of red and of blue in the luma of a stream.
pub(super) fn luma_shares(stream: &VideoStream) -> (f32, f32) {
    let tags = Tags {
        matrix: stream.color.matrix.as_deref(),
        range: None,
        transfer: stream.color.transfer.as_deref(),
        primaries: stream.color.primaries.as_deref(),
    };
    match matrix(stream.height, &tags) {
        ffi::SWS_CS_ITU709 => (0.2126, 0.0722),
        ffi::SWS_CS_FCC => (0.3, 0.11),
        ffi::SWS_CS_SMPTE240M => (0.212, 0.087),
        ffi::SWS_CS_BT2020 => (0.2627, 0.0593),
        _ => (0.299, 0.114),
    }
}

/// Whether the frame's pixel format has one of libav's `AV_PIX_FMT_FLAG_*`.
fn has_flag(frame: &ffmpeg::frame::Video, flag: std::ffi::c_int) -> bool {
    descriptor(frame).is_some_and(|descriptor| descriptor.flags & flag as u64 != 0)
}

/// Whether the frame has luma and two chroma channels: not grey, RGB or palette.
fn is_yuv(frame: &ffmpeg::frame::Video) -> bool {
    let other = (ffi::AV_PIX_FMT_FLAG_RGB | ffi::AV_PIX_FMT_FLAG_PAL) as u64;
    descriptor(frame).is_some_and(|descriptor| descriptor.nb_components >= 3 && descriptor.flags & other == 0)
}

fn descriptor(frame: &ffmpeg::frame::Video) -> Option<&'static ffi::AVPixFmtDescriptor> {
    // SAFETY: `frame` is valid while it is borrowed; the descriptor is static, or null for a number that is no format.
    #[expect(unsafe_code, reason = "the wrapper's descriptor has no flags")]
    unsafe {
        ffi::av_pix_fmt_desc_get(ffi::AVPixelFormat((*frame.as_ptr()).format)).as_ref()
    }
}

/// The tagged matrix. Without a tag, as players do: BT.2020 for high dynamic range, BT.709 from 720 lines, else BT.601.
fn matrix(height: u32, tags: &Tags<'_>) -> i32 {
    match tags.matrix {
        Some("bt709") => ffi::SWS_CS_ITU709,
        Some("fcc") => ffi::SWS_CS_FCC,
        Some("smpte240m") => ffi::SWS_CS_SMPTE240M,
        Some("bt2020nc" | "bt2020c") => ffi::SWS_CS_BT2020,
        Some("bt470bg" | "smpte170m") => ffi::SWS_CS_ITU601,
        _ if tags.wide().is_some() => ffi::SWS_CS_BT2020,
        _ if height >= 720 => ffi::SWS_CS_ITU709,
        _ => ffi::SWS_CS_ITU601,
    }
}
