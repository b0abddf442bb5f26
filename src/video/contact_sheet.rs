//! Contact sheets: frames side by side on one image, each with its number and time below it.

use opencv::core::{CV_8UC3, Mat, MatTraitConst as _, MatTraitConstManual as _, Point, Rect, Scalar, Size};
use opencv::imgproc;

use crate::error::{Error, Result};
use crate::media::Frame;
use crate::time::Timestamp;

/// Columns and rows of a full sheet.
const ACROSS: i32 = 5;
const DOWN: i32 = 10;
/// Width of one tile, space around it and height of its caption, in pixels.
const TILE_WIDTH: i32 = 320;
const GAP: i32 = 8;
const LINE: i32 = 24;

/// Draws frames onto sheets of 50. Holds one sheet in memory: about 10 MB for 16:9 frames.
#[derive(Default)]
pub struct ContactSheets {
    canvas: Option<Mat>,
    n_drawn: i32,
    /// Size of one tile, from the first frame.
    tile: Size,
}

impl ContactSheets {
    /// Draws a frame and returns the sheet if it is now full. The sheet's own times are 0.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) where OpenCV cannot draw the frame.
    pub fn add(&mut self, frame: &Frame) -> Result<Option<Frame>> {
        self.draw(frame).map_err(|source| {
            Error::malformed(format!("frame #{}", frame.frame_idx), "OpenCV could not draw it", "").because(source)
        })?;
        Ok(if self.n_drawn == ACROSS * DOWN { self.take() } else { None })
    }

    /// Returns the last, partly filled sheet; None where there is none.
    #[must_use]
    pub fn finish(mut self) -> Option<Frame> {
        self.take()
    }

    fn draw(&mut self, frame: &Frame) -> opencv::Result<()> {
        let (width, height) = (frame.width as i32, frame.height as i32);
        let picture = Mat::new_rows_cols_with_bytes::<opencv::core::Vec3b>(height, width, &frame.rgb)?;
        if self.canvas.is_none() {
            let tile_height = i64::from(TILE_WIDTH) * i64::from(height) / i64::from(width.max(1));
            // A very tall frame is squeezed to at most twice the tile's width.
            self.tile = Size::new(TILE_WIDTH, tile_height.clamp(1, i64::from(TILE_WIDTH) * 2) as i32);
            let (w, h) = (GAP + ACROSS * (TILE_WIDTH + GAP), GAP + DOWN * (self.tile.height + LINE + GAP));
            self.canvas = Some(Mat::new_rows_cols_with_default(h, w, CV_8UC3, Scalar::all(255.0))?);
        }
        let Some(canvas) = &mut self.canvas else { return Ok(()) };
        let (column, row) = (self.n_drawn % ACROSS, self.n_drawn / ACROSS);
        let (x, y) = (GAP + column * (TILE_WIDTH + GAP), GAP + row * (self.tile.height + LINE + GAP));
        let mut small = Mat::default();
        imgproc::resize(&picture, &mut small, self.tile, 0.0, 0.0, imgproc::INTER_AREA)?;
        let mut place = Mat::roi_mut(canvas, Rect::new(x, y, TILE_WIDTH, self.tile.height))?;
        small.copy_to(&mut place)?;
        drop(place);
        let label = format!("#{}  {}", frame.frame_idx, frame.time);
        let corner = Point::new(x, y + self.tile.height + LINE - 7);
        let (font, black) = (imgproc::FONT_HERSHEY_SIMPLEX, Scalar::all(0.0));
        imgproc::put_text(canvas, &label, corner, font, 0.5, black, 1, imgproc::LINE_AA, false)?;
        self.n_drawn += 1;
        Ok(())
    }

    fn take(&mut self) -> Option<Frame> {
        let canvas = self.canvas.take()?;
        let n_drawn = std::mem::take(&mut self.n_drawn);
        let (n_across, n_down) = (n_drawn.min(ACROSS), (n_drawn + ACROSS - 1) / ACROSS);
        let (width, height) = (GAP + n_across * (TILE_WIDTH + GAP), GAP + n_down * (self.tile.height + LINE + GAP));
        let rows = canvas.data_bytes().ok()?.chunks_exact(canvas.cols() as usize * 3);
        let rgb = rows.take(height as usize).flat_map(|row| &row[..width as usize * 3]).copied().collect();
        let time = Timestamp::ZERO;
        Some(Frame {
            frame_idx: 0,
            pts: time,
            time,
            width: width as u32,
            height: height as u32,
            rgb,
            is_suspect: false,
        })
    }
}
