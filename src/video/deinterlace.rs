//! Detects combing: the two fields of an interlaced frame differ because something moved between them.

use ffmpeg_the_third as ffmpeg;
use ffmpeg_the_third::ffi;

/// Minimum difference of adjacent lines in a comb, in 8-bit levels. Noise and fine detail stay below.
const CONTRAST: i32 = 16;
/// Maximum difference of lines of the same field in a comb, in 8-bit levels.
const SAMENESS: i32 = 8;
/// A frame is combed if more than one in this many examined pixels is.
const SHARE: u32 = 4000;

/// Examines luma only. Also false where the frame cannot be split into fields because the number of lines is not even.
///
/// A pixel is combed if it differs from the lines above and below in the same direction, but resembles the lines two
/// above and two below, which belong to its own field. A thin line in the scene has no such neighbours.
pub(super) fn is_combed(frame: &ffmpeg::frame::Video) -> bool {
    let (width, height) = (frame.width() as usize, frame.height() as usize);
    if height < 8 {
        return false;
    }
    // SAFETY: the frame and its format's descriptor (null for a number that is no format) live while it is borrowed. The
    // sample at (x, y) of the first component, x < width and y < height, lies in the plane that the descriptor names;
    // it takes two bytes where its depth is above 8.
    #[expect(unsafe_code, reason = "the wrapper gives no access to components and assumes a positive line size")]
    let sample = unsafe {
        let source = &*frame.as_ptr();
        let descriptor = ffi::av_pix_fmt_desc_get(ffi::AVPixelFormat(source.format));
        let skipped = ffi::AV_PIX_FMT_FLAG_PAL | ffi::AV_PIX_FMT_FLAG_BITSTREAM | ffi::AV_PIX_FMT_FLAG_HWACCEL;
        if descriptor.is_null() || (*descriptor).flags & skipped as u64 != 0 {
            return false;
        }
        // Each chroma plane must split into fields, too.
        if !height.is_multiple_of(2 << (*descriptor).log2_chroma_h) {
            return false;
        }
        let luma = (*descriptor).comp[0];
        let big_endian = (*descriptor).flags & ffi::AV_PIX_FMT_FLAG_BE as u64 != 0;
        let plane = luma.plane as usize;
        let (data, distance) = (source.data[plane], source.linesize[plane] as isize);
        if data.is_null() || luma.depth > 16 {
            return false;
        }
        move |x: usize, y: usize| {
            let at = data.offset(y as isize * distance + x as isize * luma.step as isize + luma.offset as isize);
            if luma.depth <= 8 {
                return i32::from(*at);
            }
            let bytes = [*at, *at.add(1)];
            let value = if big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) };
            i32::from(value) >> luma.shift >> (luma.depth - 8)
        }
    };
    let (mut n_combed, mut n_looked_at) = (0, 0);
    for y in (2..height - 2).step_by(2) {
        for x in 0..width {
            let here = sample(x, y);
            let (above, beneath) = (here - sample(x, y - 1), here - sample(x, y + 1));
            let differs = above.abs() >= CONTRAST && beneath.abs() >= CONTRAST && (above > 0) == (beneath > 0);
            if differs && (above - beneath).abs() <= SAMENESS {
                let same = |y: usize| (here - sample(x, y)).abs() <= SAMENESS;
                n_combed += u32::from(same(y - 2) && same(y + 2));
            }
        }
        n_looked_at += width as u32;
    }
    n_combed * SHARE > n_looked_at
}
