//! Reads the frame index that `scripts/fixtures/draw.py` paints into each frame of the fixtures.
//!
//! The mark takes the upper fifth of the upright picture: two rows of twelve cells, white for 1. With the 16-bit
//! index as bytes HI and LO, and C the xor of its four nibbles and 0b1010:
//!
//! ```text
//! row 0:   1  HI (most significant bit first)  c3 c2  0
//! row 1:   0  LO (most significant bit first)  c1 c0  1
//! ```
//!
//! Positions are relative, so that any scaled picture reads. The first and last cells are the sync: a picture that
//! is mirrored, upside down or turned does not read.

use image::RgbImage;

const COLUMNS: u32 = 12;

/// The index of the frame that `picture` shows, from 0; None where no whole mark stands in it: a cell that is
/// neither black nor white (two frames blended, say), a wrong sync, a wrong check.
pub fn read_mark(picture: &RgbImage) -> Option<u32> {
    // Below this a cell is smaller than a JPEG block's ringing.
    if picture.width() < 4 * COLUMNS || picture.height() < 30 {
        return None;
    }
    let upper = read_row(picture, 0)?;
    let lower = read_row(picture, 1)?;
    let sync = |row: u32| (row >> 11, row & 1);
    if sync(upper) != (1, 0) || sync(lower) != (0, 1) {
        return None;
    }
    let index = (upper >> 3 & 0xFF) << 8 | (lower >> 3 & 0xFF);
    let check = (upper >> 1 & 3) << 2 | (lower >> 1 & 3);
    let expected = (index >> 12 ^ index >> 8 ^ index >> 4 ^ index ^ 0b1010) & 0xF;
    (check == expected).then_some(index)
}

/// The twelve cells of a row, the leftmost in bit 11.
fn read_row(picture: &RgbImage, row: u32) -> Option<u32> {
    (0..COLUMNS).try_fold(0, |bits, column| Some(bits << 1 | u32::from(read_cell(picture, column, row)?)))
}

/// Whether a cell is white; None where it is neither black nor white. The mean of its middle half counts.
fn read_cell(picture: &RgbImage, column: u32, row: u32) -> Option<bool> {
    let middle = |i: u32, length: u32, parts: u32| {
        let from = (4 * i + 1) * length / (4 * parts);
        from..((4 * i + 3) * length / (4 * parts)).max(from + 1)
    };
    let (mut sum, mut n_values) = (0_u64, 0_u64);
    for y in middle(row, picture.height(), 10) {
        for x in middle(column, picture.width(), COLUMNS) {
            sum += picture.get_pixel(x, y).0.iter().map(|&value| u64::from(value)).sum::<u64>();
            n_values += 3;
        }
    }
    match sum / n_values {
        // Black and white come back within 30 levels even through JPEG quality 50 and a wrong colour range; a blend
        // of two frames lies near 128.
        0..=80 => Some(false),
        175..=255 => Some(true),
        _ => None,
    }
}
