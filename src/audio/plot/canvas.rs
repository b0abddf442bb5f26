//! Rectangles and small text on a picture.

use image::{Rgb, RgbImage};
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

const FONT: (FontWeight, RasterHeight) = (FontWeight::Regular, RasterHeight::Size16);

/// Height of a line of text in pixels.
pub(super) const TEXT_HEIGHT: u32 = 16;

pub(super) type Colour = [u8; 3];

pub(super) const PAPER: Colour = [255, 255, 255];
pub(super) const INK: Colour = [48, 48, 56];
pub(super) const GRID: Colour = [222, 222, 228];

/// Which point of a text is at the given position.
#[derive(Clone, Copy)]
pub(super) enum Align {
    Left,
    Centre,
    Right,
}

pub(super) struct Canvas {
    image: RgbImage,
}

impl Canvas {
    pub(super) fn new(width: u32, height: u32) -> Self {
        Self { image: RgbImage::from_pixel(width, height, Rgb(PAPER)) }
    }

    pub(super) fn into_image(self) -> RgbImage {
        self.image
    }

    /// Pixels outside of the image are ignored.
    pub(super) fn put(&mut self, x: u32, y: u32, colour: Colour) {
        if let Some(pixel) = self.image.get_pixel_mut_checked(x, y) {
            *pixel = Rgb(colour);
        }
    }

    pub(super) fn fill(&mut self, x: u32, y: u32, width: u32, height: u32, colour: Colour) {
        for y in y..y.saturating_add(height).min(self.image.height()) {
            for x in x..x.saturating_add(width).min(self.image.width()) {
                self.put(x, y, colour);
            }
        }
    }

    /// One line of ASCII text, its middle at the height `y`.
    pub(super) fn text(&mut self, x: u32, y: u32, align: Align, text: &str) {
        let width = text.len() as u32 * get_raster_width(FONT.0, FONT.1) as u32;
        let mut left = match align {
            Align::Left => x,
            Align::Centre => x.saturating_sub(width / 2),
            Align::Right => x.saturating_sub(width),
        };
        let top = y.saturating_sub(TEXT_HEIGHT / 2);
        for letter in text.chars() {
            let Some(raster) = get_raster(letter, FONT.0, FONT.1) else { continue };
            for (y, row) in (top..).zip(raster.rows()) {
                for (x, cover) in (left..).zip(row).filter(|(_, cover)| **cover > 0) {
                    if let Some(Rgb(pixel)) = self.image.get_pixel_mut_checked(x, y) {
                        for (value, ink) in pixel.iter_mut().zip(INK) {
                            let (old, ink, cover) = (u32::from(*value), u32::from(ink), u32::from(*cover));
                            *value = ((old * (255 - cover) + ink * cover) / 255) as u8;
                        }
                    }
                }
            }
            left += raster.width() as u32;
        }
    }
}
