//! Converts OpenCV's BGR back to the decoded luma and chroma.
//!
//! `VideoCapture` returns only BGR, which libswscale made with the BT.601 matrix, whatever the stream's tags are, and with
//! plain rounding. Both are known, so both are reversed here; `scale.rs` then applies the right matrix, range and scaling,
//! as it does for libav's frames. Two limits: only 8 bits remain of 10 or more; and saturated colours outside of BT.601's
//! RGB were clipped, so their saturation is unknown. The maximum is assumed: right for pure colours, as in graphics; up to
//! 40 levels too strong for others.

use ffmpeg_the_third as ffmpeg;
use ffmpeg_the_third::format::Pixel;

use super::super::scale::luma_shares;
use crate::media::VideoStream;

/// Converts OpenCV's BGR to YUV frames; keeps its planes between frames.
pub(super) struct BgrToYuv {
    layout: Option<Layout>,
    frame: ffmpeg::frame::Video,
}

/// The decoder's pixel layout.
struct Layout {
    format: Pixel,
    /// Horizontal and vertical chroma subsampling.
    shared: (usize, usize),
    is_full: bool,
    /// Mean error of libswscale's plain conversion for blue, green and red, measured on every value.
    added: [f32; 3],
    /// True blue, green and red per level of each channel of the input.
    true_matrix: [[f32; 3]; 3],
}

impl Layout {
    /// None for RGB, grey and unknown formats.
    fn of(name: &str, red_and_blue: (f32, f32)) -> Option<Self> {
        let has = |part: &str| name.contains(part);
        let is_full = name.starts_with("yuvj");
        if !(has("yuv") || has("yvu") || name.starts_with("nv") || has("uyvy") || name.starts_with("p0")) {
            return None;
        }
        let is_deep =
            name.starts_with("p0") || ["9", "10", "12", "14", "16"].iter().any(|bits| has(&format!("p{bits}")));
        let (format, shared) = if has("444") || has("nv24") {
            (Pixel::YUV444P, (1, 1))
        } else if has("422") || has("nv16") || has("nv20") {
            (Pixel::YUV422P, (2, 1))
        } else if has("440") {
            (Pixel::YUV440P, (1, 2))
        } else if has("411") {
            (Pixel::YUV411P, (4, 1))
        } else if has("410") {
            (Pixel::YUV410P, (4, 4))
        } else {
            (Pixel::YUV420P, (2, 2))
        };
        let added = match (shared, is_full, is_deep) {
            ((1, 1), ..) => [0.0; 3],
            ((2, 2), _, true) => [0.07, -1.23, -0.01],
            (_, true, _) => [-0.49, -1.0, -0.51],
            (_, false, _) => [-0.98, -1.48, -0.97],
        };
        let unit = |i: usize| true_color(std::array::from_fn(|j| f32::from(u8::from(i == j))), red_and_blue);
        Some(Self { format, shared, is_full, added, true_matrix: [unit(0), unit(1), unit(2)] })
    }

    /// The pixel before rounding, and before clipping where the true colour limits it.
    fn came(&self, pixel: &[u8], is_clipped: bool) -> [f32; 3] {
        let mut came: [f32; 3] = std::array::from_fn(|i| f32::from(pixel[i]) - self.added[i]);
        if !is_clipped {
            return came;
        }
        // Green first: it is clipped the most.
        for channel in [1, 2, 0] {
            let outwards = match pixel[channel] {
                0 => -1.0,
                255 => 1.0,
                _ => continue,
            };
            let is_true = |i: usize| (0..3).map(|j| came[j] * self.true_matrix[j][i]).sum::<f32>();
            // Extends the channel until one of the true channels reaches its limit.
            let room = (0..3).map(|i| {
                let slope = outwards * self.true_matrix[channel][i];
                let end = if slope > 0.0 { 255.0 } else { 0.0 };
                if slope.abs() < 1e-3 { f32::INFINITY } else { (end - is_true(i)) / slope }
            });
            came[channel] += outwards * room.fold(MOST_CLIPPED, f32::min).max(0.0);
        }
        came
    }
}

/// Maximum distance in levels of a colour of another matrix from RGB.
const MOST_CLIPPED: f32 = 60.0;

/// BT.601 luma of blue, green and red.
fn luma([b, g, r]: [f32; 3]) -> f32 {
    0.299 * r + 0.587 * g + 0.114 * b
}

/// Converts blue, green and red from the BT.601 matrix to the one in which red and blue have these shares of luma.
fn true_color(came: [f32; 3], (red, blue): (f32, f32)) -> [f32; 3] {
    let y = luma(came);
    let b = y + (came[0] - y) / 1.772 * 2.0 * (1.0 - blue);
    let r = y + (came[2] - y) / 1.402 * 2.0 * (1.0 - red);
    [b, (y - red * r - blue * b) / (1.0 - red - blue), r]
}

impl BgrToYuv {
    pub(super) fn new(stream: &VideoStream) -> Self {
        let layout = stream.pixel_format.as_deref().and_then(|name| Layout::of(name, luma_shares(stream)));
        Self { layout, frame: ffmpeg::frame::Video::empty() }
    }

    /// `bgr` holds `height` rows of `width` pixels without padding.
    pub(super) fn frame(&mut self, bgr: &[u8], width: u32, height: u32) -> &ffmpeg::frame::Video {
        let format = self.layout.as_ref().map_or(Pixel::BGR24, |layout| layout.format);
        if (self.frame.width(), self.frame.height()) != (width, height) {
            self.frame = ffmpeg::frame::Video::new(format, width, height);
        }
        let (width, height) = (width as usize, height as usize);
        let row = |y: usize| &bgr[y * width * 3..(y + 1) * width * 3];
        let Some(layout) = &self.layout else {
            let stride = self.frame.stride(0);
            for (y, line) in self.frame.data_mut(0).chunks_mut(stride).take(height).enumerate() {
                line[..width * 3].copy_from_slice(row(y));
            }
            return &self.frame;
        };
        if layout.is_full {
            self.frame.set_color_range(ffmpeg::color::Range::JPEG);
        }
        let (luma_scale, luma_zero, chroma_scale) =
            if layout.is_full { (1.0, 0.0, 1.0) } else { (219.0 / 255.0, 16.0, 224.0 / 255.0) };
        let (across, down) = layout.shared;
        let n_across = width.div_ceil(across);
        let strides: [usize; 3] = std::array::from_fn(|plane| self.frame.stride(plane));
        let mut luma_line = vec![0; width];
        let mut chroma_lines = [vec![0; n_across], vec![0; n_across]];
        for chroma_y in 0..height.div_ceil(down) {
            let mut shared = vec![Shared::default(); n_across];
            for y in chroma_y * down..((chroma_y + 1) * down).min(height) {
                for (x, (to, pixel)) in luma_line.iter_mut().zip(row(y).chunks_exact(3)).enumerate() {
                    let is_clipped = pixel.iter().any(|c| matches!(c, 0 | 255));
                    let came = layout.came(pixel, is_clipped);
                    *to = (luma(came) * luma_scale + luma_zero).round() as u8;
                    shared[x / across].add(came, is_clipped);
                }
                self.frame.data_mut(0)[y * strides[0]..][..width].copy_from_slice(&luma_line);
            }
            let [u, v] = &mut chroma_lines;
            for ((u, v), shared) in u.iter_mut().zip(v).zip(&shared) {
                let mean = shared.mean();
                let y = luma(mean);
                *u = ((mean[0] - y) / 1.772 * chroma_scale + 128.0).round() as u8;
                *v = ((mean[2] - y) / 1.402 * chroma_scale + 128.0).round() as u8;
            }
            for (plane, line) in [1, 2].into_iter().zip(&chroma_lines) {
                self.frame.data_mut(plane)[chroma_y * strides[plane]..][..n_across].copy_from_slice(line);
            }
        }
        &self.frame
    }
}

/// Pixels that share one chroma sample. Clipped pixels are less precise and count only where there are no others.
#[derive(Clone, Copy, Default)]
struct Shared {
    sum: [f32; 3],
    n: u16,
    is_clipped: bool,
}

impl Shared {
    fn add(&mut self, came: [f32; 3], is_clipped: bool) {
        if self.n == 0 || self.is_clipped && !is_clipped {
            *self = Self { sum: came, n: 1, is_clipped };
        } else if is_clipped == self.is_clipped {
            (0..3).for_each(|i| self.sum[i] += came[i]);
            self.n += 1;
        }
    }

    fn mean(&self) -> [f32; 3] {
        self.sum.map(|sum| sum / f32::from(self.n.max(1)))
    }
}
