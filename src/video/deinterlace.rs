//! Whether an interlaced picture shows a comb: its two fields are of different moments, and something moved between.

use ffmpeg_the_third as ffmpeg;
use ffmpeg_the_third::ffi;

/// Levels of 255 that neighbouring lines differ by where there is a comb; noise and fine structure stay below.
const CONTRAST: i32 = 16;
/// Levels that lines of the same field differ by at most within a comb.
const SAMENESS: i32 = 8;
/// One in so many of the pixels that are looked at makes a comb.
const SHARE: u32 = 4000;

/// Looks at luma alone. False also where the picture cannot be taken apart: where its planes' lines do not halve.
///
/// A pixel is part of a comb where it differs from the lines above and beneath in the same sense, while the next lines
/// but one, which are of its own field, are like it. A thin line of the scene has no such neighbours.
pub(super) fn is_combed(frame: &ffmpeg::frame::Video) -> bool {
    let (width, height) = (frame.width() as usize, frame.height() as usize);
    if height < 8 {
        return false;
    }
    // SAFETY: the frame and its format's descriptor (null for a number that is no format) live while it is borrowed. The
    // sample at (x, y) of the first component, x < width and y < height, lies in the plane that the descriptor names;
    // it takes two bytes where its depth is above 8.
    #[expect(unsafe_code, reason = "the wrapper has no access to components, and takes lines to run downwards")]
    let sample = unsafe {
        let source = &*frame.as_ptr();
        let descriptor = ffi::av_pix_fmt_desc_get(ffi::AVPixelFormat(source.format));
        let skipped = ffi::AV_PIX_FMT_FLAG_PAL | ffi::AV_PIX_FMT_FLAG_BITSTREAM | ffi::AV_PIX_FMT_FLAG_HWACCEL;
        if descriptor.is_null() || (*descriptor).flags & skipped as u64 != 0 {
            return false;
        }
        // Lines of chroma, fewer than those of luma, must halve as well.
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
