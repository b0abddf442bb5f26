//! Sound to look at: a waveform and a spectrogram, drawn while the sound streams by, their memory flat in its length.

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

/// Where the sound itself is drawn, in pixels from the left: labels stand on both sides.
const PLOT_LEFT: u32 = 76;
/// Width of the drawn sound in pixels, whatever its length.
const PLOT_WIDTH: u32 = 1120;
/// Space above the drawn sound, in pixels.
const PLOT_TOP: u32 = 14;
/// Space below it for the time axis, in pixels.
const AXIS_HEIGHT: u32 = 34;
/// Width of the whole picture in pixels.
const WIDTH: u32 = 1280;

/// The picture as a PNG file.
///
/// # Errors
/// [`ErrorKind::Limit`](crate::ErrorKind::Limit) where there is no memory for it.
pub fn to_png(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut png = Cursor::new(Vec::new());
    picture
        .write_to(&mut png, ImageFormat::Png)
        .map_err(|e| Error::limit("png", "the picture cannot be encoded", "").because(e))?;
    Ok(png.into_inner())
}
