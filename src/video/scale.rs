//! A decoded libav frame to RGB24 as shown: scaled straight from its own pixel format, then turned.

use ffmpeg_the_third as ffmpeg;
use ffmpeg_the_third::ffi;
use ffmpeg_the_third::format::Pixel;
use ffmpeg_the_third::software::scaling;

use crate::media::{Rotation, VideoStream};

/// Scales frames of one stream to one size; keeps its tables between frames.
pub(super) struct Scaler {
    context: Option<scaling::Context>,
    scaled: ffmpeg::frame::Video,
    rotation: Rotation,
    is_mirrored: bool,
    /// Size before turning.
    width: u32,
    height: u32,
}

impl Scaler {
    /// For upright pictures of `size`.
    pub(super) fn new(stream: &VideoStream, (width, height): (u32, u32)) -> Self {
        let (width, height) = if stream.rotation.swaps_sides() { (height, width) } else { (width, height) };
        Self {
            context: None,
            scaled: ffmpeg::frame::Video::empty(),
            rotation: stream.rotation,
            is_mirrored: stream.is_mirrored,
            width,
            height,
        }
    }

    /// RGB24 rows from the top without padding.
    pub(super) fn upright_rgb(&mut self, frame: &ffmpeg::frame::Video) -> Result<Vec<u8>, ffmpeg::Error> {
        let format = plain(frame.format());
        let fits = |context: &scaling::Context| {
            let input = context.input();
            (input.format, input.width, input.height) == (format, frame.width(), frame.height())
        };
        if !self.context.as_ref().is_some_and(fits) {
            self.context = Some(self.make(frame, format)?);
        }
        let Some(context) = self.context.as_mut() else { return Err(ffmpeg::Error::Bug) };
        // SAFETY: both frames are valid for the call; sws_scale reads `frame`'s planes and fills `scaled`, whose buffers
        // were allocated for the context's output. The wrapper's `run` refuses the formats that `plain` renames.
        #[expect(unsafe_code, reason = "the wrapper compares pixel formats by name")]
        let code = unsafe {
            ffi::sws_scale(
                context.as_mut_ptr(),
                (*frame.as_ptr()).data.as_ptr().cast::<*const u8>(),
                (*frame.as_ptr()).linesize.as_ptr(),
                0,
                (*frame.as_ptr()).height,
                (*self.scaled.as_mut_ptr()).data.as_ptr(),
                (*self.scaled.as_mut_ptr()).linesize.as_ptr(),
            )
        };
        if code <= 0 {
            return Err(ffmpeg::Error::InvalidData);
        }
        Ok(self.turned())
    }

    fn make(&mut self, frame: &ffmpeg::frame::Video, format: Pixel) -> Result<scaling::Context, ffmpeg::Error> {
        // Area averaging, full chroma and exact rounding: plain settings come out two levels dark.
        let flags = scaling::Flags::AREA
            | scaling::Flags::FULL_CHR_H_INT
            | scaling::Flags::FULL_CHR_H_INP
            | scaling::Flags::ACCURATE_RND;
        let mut context =
            scaling::Context::get(format, frame.width(), frame.height(), Pixel::RGB24, self.width, self.height, flags)?;
        let is_full = frame.color_range() == ffmpeg::color::Range::JPEG || format != frame.format();
        // SAFETY: the context is ours; the tables are libswscale's own and static.
        #[expect(unsafe_code, reason = "the wrapper does not set matrix and range")]
        unsafe {
            let matrix = ffi::sws_getCoefficients(matrix(frame));
            let rgb = ffi::sws_getCoefficients(ffi::SWS_CS_DEFAULT);
            ffi::sws_setColorspaceDetails(
                context.as_mut_ptr(),
                matrix,
                i32::from(is_full),
                rgb,
                1,
                0,
                1 << 16,
                1 << 16,
            );
        }
        self.scaled = ffmpeg::frame::Video::new(Pixel::RGB24, self.width, self.height);
        Ok(context)
    }

    /// Copies the scaled rows where they belong when the picture is flipped and turned.
    fn turned(&self) -> Vec<u8> {
        let (w, h) = (self.width as usize, self.height as usize);
        let (rows, stride) = (self.scaled.data(0), self.scaled.stride(0));
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
                // The upright picture is `h` wide: column x of it is row h-1-x (clockwise) or row x of the stored one.
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

/// The formats "with JPEG range" under their plain names: libswscale warns about them; the range is set apart.
fn plain(format: Pixel) -> Pixel {
    match format {
        Pixel::YUVJ420P => Pixel::YUV420P,
        Pixel::YUVJ422P => Pixel::YUV422P,
        Pixel::YUVJ444P => Pixel::YUV444P,
        Pixel::YUVJ440P => Pixel::YUV440P,
        other => other,
    }
}

/// The matrix that the frame names; where it names none, BT.709 for high definition and BT.601 below, as players do.
fn matrix(frame: &ffmpeg::frame::Video) -> i32 {
    use ffmpeg::color::Space;
    match frame.color_space() {
        Space::BT709 => ffi::SWS_CS_ITU709,
        Space::FCC => ffi::SWS_CS_FCC,
        Space::SMPTE240M => ffi::SWS_CS_SMPTE240M,
        Space::BT2020NCL | Space::BT2020CL => ffi::SWS_CS_BT2020,
        Space::BT470BG | Space::SMPTE170M => ffi::SWS_CS_ITU601,
        _ if frame.height() >= 720 => ffi::SWS_CS_ITU709,
        _ => ffi::SWS_CS_ITU601,
    }
}
