//! Pictures in the container of MP4 (ISO/IEC 23008-12): HEIC and AVIF, decoded by libheif. Rotation, mirroring, cropping and
//! tiles are applied by libheif.

use std::path::Path;

use libheif_rs::{Channel, ColorSpace, HeifContext, HeifError, Image, LibHeif, Plane};

use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::media::ColorTags;

/// Bytes of a file that are read into memory.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// The primary picture of a file, as displayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeifFacts {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Bits of a sample.
    pub bits: u8,
}

/// Reads the facts of the primary picture without decoding it.
///
/// # Errors
/// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) where there is no readable picture;
/// [`ErrorKind::Limit`](crate::ErrorKind::Limit) where it is too large.
pub(crate) fn heif_facts(path: &Path, limits: &Limits) -> Result<HeifFacts> {
    facts(path, &open(path, &read(path)?)?, limits)
}

/// A decoded picture. Its planes are 8 bits a sample, or 16 in the byte order of this machine.
pub(crate) struct HeifImage {
    image: Image,
    /// libav's names of its colours.
    pub color: ColorTags,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

/// Decodes the primary picture, as displayed.
///
/// # Errors
/// As [`heif_facts`].
pub(crate) fn decode_heif(path: &Path, limits: &Limits) -> Result<HeifImage> {
    let bytes = read(path)?;
    let context = open(path, &bytes)?;
    facts(path, &context, limits)?;
    let handle = context.primary_image_handle().map_err(|error| broken(path, error))?;
    let stored = handle.color_profile_nclx();
    let decoded = LibHeif::new().decode(&handle, ColorSpace::Undefined, None);
    let image = decoded.map_err(|error| broken(path, error))?;
    let profile = stored.or_else(|| image.color_profile_nclx());
    let color = profile.map_or_else(default_color, |profile| ColorTags {
        matrix: Some(matrix(profile.matrix_coefficients() as u32)),
        range: Some(if profile.full_range_flag() == 0 { "tv" } else { "pc" }.to_owned()),
        transfer: transfer(profile.transfer_characteristics() as u32),
        primaries: (profile.color_primaries() as u32 == 9).then(|| "bt2020".to_owned()),
    });
    let (width, height) = (image.width(), image.height());
    Ok(HeifImage { image, color, width, height })
}

impl HeifImage {
    /// Luma and the two colour differences; of a grey picture luma alone; of RGB green, blue, red, as in libav's GBR formats.
    pub fn planes(&self) -> Vec<Plane<&[u8]>> {
        let planes = self.image.planes();
        if planes.y.is_some() {
            [planes.y, planes.cb, planes.cr].into_iter().flatten().collect()
        } else {
            [planes.g, planes.b, planes.r].into_iter().flatten().collect()
        }
    }

    /// Whether [`HeifImage::planes`] are green, blue and red.
    pub fn is_rgb(&self) -> bool {
        !self.image.has_channel(Channel::Y)
    }

    /// The opacity.
    pub fn alpha(&self) -> Option<Plane<&[u8]>> {
        self.image.planes().a
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let n_bytes = std::fs::metadata(path).map_err(|error| Error::io(path, error))?.len();
    if n_bytes > MAX_FILE_BYTES {
        let problem = format!("the picture has {n_bytes} bytes; at most {MAX_FILE_BYTES} are read");
        return Err(Error::limit(path.display(), problem, "scale it down with another tool first"));
    }
    let mut bytes = std::fs::read(path).map_err(|error| Error::io(path, error))?;
    let end = end_of_picture(&bytes);
    bytes.truncate(end);
    Ok(bytes)
}

/// Where the file of the picture ends: a motion photo has another file behind it, a video.
fn end_of_picture(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some([a, b, c, d, kind @ ..]) = bytes.get(at..at + 8) {
        if at > 0 && kind == b"ftyp" {
            return at;
        }
        let n_bytes = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        // Without a size in 32 bits it is the last one, or has more than is read.
        if n_bytes < 8 {
            break;
        }
        at += n_bytes;
    }
    bytes.len()
}

fn open<'a>(path: &Path, bytes: &'a [u8]) -> Result<HeifContext<'a>> {
    HeifContext::read_from_bytes(bytes).map_err(|error| broken(path, error))
}

/// A picture that is not of tiles is in memory twice while it is decoded.
fn facts(path: &Path, context: &HeifContext<'_>, limits: &Limits) -> Result<HeifFacts> {
    let handle = context.primary_image_handle().map_err(|error| broken(path, error))?;
    let facts = HeifFacts { width: handle.width(), height: handle.height(), bits: handle.luma_bits_per_pixel() };
    let max_pixels = if facts.bits > 8 { limits.max_pixels } else { limits.max_pixels.saturating_mul(2) };
    Limits { max_pixels, ..*limits }.check_pixels(&path.display().to_string(), facts.width, facts.height)?;
    Ok(facts)
}

fn broken(path: &Path, error: HeifError) -> Error {
    let problem = format!("the HEIF picture cannot be read: {}", crate::sanitize::clean_line(&error.message));
    Error::malformed(path.display(), problem, "check it with an image viewer").because(error)
}

/// What the standard says of a picture without a profile (ISO/IEC 23000-22, 7.3.6.4): sRGB, BT.601, full range.
fn default_color() -> ColorTags {
    ColorTags { matrix: Some(matrix(6)), range: Some("pc".to_owned()), transfer: None, primaries: None }
}

/// libav's name of a matrix by its number in ISO/IEC 23091-2.
fn matrix(number: u32) -> String {
    let name = match number {
        1 => "bt709",
        4 => "fcc",
        7 => "smpte240m",
        9 => "bt2020nc",
        10 => "bt2020c",
        _ => "smpte170m",
    };
    name.to_owned()
}

fn transfer(number: u32) -> Option<String> {
    let name = match number {
        16 => "smpte2084",
        18 => "arib-std-b67",
        _ => return None,
    };
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_behind_the_picture_is_left_out() {
        let head = b"\0\0\0\x0cftypheic";
        let data = b"\0\0\0\x0amdatab";
        let end = |parts: &[&[u8]]| end_of_picture(&parts.concat());
        assert_eq!(end(&[head, data, b"\0\0\0\x0cftypisom"]), 22);
        assert_eq!(end(&[head, data]), 22);
        assert_eq!(end(&[head, b"\0\0\0\0mdatftypftyp"]), 28);
        assert_eq!(end(&[head, b"\xff\xff\xff\xffmdat"]), 20);
        assert_eq!(end(&[b"\0\0"]), 2);
    }
}
