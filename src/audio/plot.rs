//! Waveform and spectrogram images, computed while streaming; memory does not depend on the duration.

mod axis;
mod canvas;
mod columns;
mod spectrogram;
mod waveform;

use std::io::Cursor;

use image::{ImageFormat, RgbImage};

pub use spectrogram::Spectrogram;
pub use waveform::Waveform;

use crate::error::{Error, Result};

/// Left edge of the plot area in pixels; labels are on both sides of it.
const PLOT_LEFT: u32 = 76;
/// Width of the plot area in pixels.
const PLOT_WIDTH: u32 = 1120;
/// Margin above the plot area in pixels.
const PLOT_TOP: u32 = 14;
/// Margin below the plot area for the time axis in pixels.
const AXIS_HEIGHT: u32 = 34;
/// Width of the image in pixels.
const WIDTH: u32 = 1280;

/// Encodes an image as PNG.
///
/// # Errors
/// [`ErrorKind::Limit`](crate::ErrorKind::Limit) if it cannot be encoded.
pub fn to_png(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut png = Cursor::new(Vec::new());
    picture
        .write_to(&mut png, ImageFormat::Png)
        .map_err(|e| Error::limit("png", "the picture cannot be encoded", "").because(e))?;
    Ok(png.into_inner())
}
