//! Identifies the user's input by its content, not by its name. Nothing is decoded here.

mod joined;
pub mod site;

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::fs::read_head;
pub use crate::input::Source;
use crate::input::{KIND_HEAD_BYTES, file_kind, heif_format, path_of};
use crate::webp_animation::WebpAnimation;

impl Source {
    /// Identifies `input`: a path, a folder of pictures, a pattern such as `img_%04d.png`, an address with a
    /// scheme, `camera:0`, or `/dev/video0`.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) where the path cannot be read; [`ErrorKind::Usage`](crate::ErrorKind::Usage) where it is not a file, folder or address;
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) where the file is empty.
    pub fn identify(input: &str) -> Result<Self> {
        let path = &path_of(input);
        let camera = input.strip_prefix("camera:").filter(|_| !path.exists());
        if let Some(number) = camera.or_else(|| input.strip_prefix("/dev/video")) {
            let advice = "write it as camera:0";
            return number.parse().map(Self::Camera).map_err(|_| Error::usage(input, "is not a camera number", advice));
        }
        if !path.exists() {
            if has_scheme(input) {
                return Ok(Self::Stream(input.to_owned()));
            }
            if let Some(pattern) = Pattern::parse(path) {
                return pattern.pictures().map(|pictures| Self::Sequence { name: path.to_owned(), pictures });
            }
        }
        let metadata = std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
        if metadata.is_dir() {
            return folder_of_pictures(path);
        }
        if !metadata.is_file() {
            return Err(Error::usage(input, "is not a regular file", "copy it to a file first"));
        }
        if metadata.len() == 0 {
            return Err(Error::malformed(input, "the file is empty (0 bytes)", "copy or download it again"));
        }
        Ok(match picture_kind(path)? {
            Some(PictureKind::Still) => Self::Picture(path.to_owned()),
            Some(PictureKind::WebpAnimation) => Self::Animation(path.to_owned()),
            None => Self::Media(path.to_owned()),
        })
    }
}

fn has_scheme(input: &str) -> bool {
    input.split_once("://").is_some_and(|(scheme, rest)| {
        !rest.is_empty()
            && !scheme.is_empty()
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    })
}

/// A picture that libav does not read as a video.
#[derive(PartialEq, Eq)]
enum PictureKind {
    Still,
    WebpAnimation,
}

/// The kind of a picture file; None for other files. An animated GIF or PNG is a video.
fn picture_kind(path: &Path) -> Result<Option<PictureKind>> {
    let head = read_head(path, KIND_HEAD_BYTES)?;
    let is_still = heif_format(&head).is_some()
        || match image::guess_format(&head) {
            Ok(image::ImageFormat::Gif) => !is_animated_gif(path),
            Ok(image::ImageFormat::Png) => !is_animated_png(path),
            Ok(image::ImageFormat::WebP) if WebpAnimation::open(path).is_some() => {
                return Ok(Some(PictureKind::WebpAnimation));
            }
            Ok(image::ImageFormat::WebP | image::ImageFormat::Jpeg) => true,
            Ok(format) => matches!(format, image::ImageFormat::Bmp | image::ImageFormat::Tiff),
            Err(_) => false,
        };
    Ok(is_still.then_some(PictureKind::Still))
}

/// Larger GIFs are not examined: counting their frames would take too much memory.
const MAX_GIF_PIXELS: u64 = 16_777_216;

fn is_animated_gif(path: &Path) -> bool {
    use image::{AnimationDecoder as _, ImageDecoder as _};
    let Ok(file) = std::fs::File::open(path) else { return false };
    image::codecs::gif::GifDecoder::new(std::io::BufReader::new(file)).is_ok_and(|gif| {
        // A larger one is refused later, before its pixels are allocated.
        let (width, height) = gif.dimensions();
        u64::from(width) * u64::from(height) <= MAX_GIF_PIXELS && gif.into_frames().take(2).flatten().count() == 2
    })
}

/// Whether a PNG states more than one frame, before its first pixels (PNG, third edition, 11.3.6.1).
fn is_animated_png(path: &Path) -> bool {
    use std::io::{Read as _, Seek as _, SeekFrom};
    const MAX_CHUNKS: usize = 1000;
    let frames = || -> std::io::Result<u32> {
        let mut file = std::io::BufReader::new(std::fs::File::open(path)?);
        file.seek(SeekFrom::Start(8))?;
        for _ in 0..MAX_CHUNKS {
            let mut head = [0; 12];
            file.read_exact(&mut head)?;
            let [n_bytes, kind, first] =
                [0, 4, 8].map(|at| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]));
            match &kind.to_be_bytes() {
                b"acTL" => return Ok(first),
                b"IDAT" => break,
                // The rest of the chunk and its checksum.
                _ => drop(file.seek(SeekFrom::Current(i64::from(n_bytes)))?),
            }
        }
        Ok(1)
    };
    frames().is_ok_and(|n_frames| n_frames > 1)
}

fn folder_of_pictures(folder: &Path) -> Result<Source> {
    let entries = std::fs::read_dir(folder).map_err(|e| Error::io(folder, e))?;
    let (mut pictures, mut others) = (Vec::new(), Vec::new());
    for entry in entries {
        let path = entry.map_err(|e| Error::io(folder, e))?.path();
        if path.is_file() && picture_kind(&path).is_ok_and(|kind| kind == Some(PictureKind::Still)) {
            pictures.push(path);
        } else {
            others.push(path);
        }
    }
    if pictures.is_empty() {
        let advice = "name a media file, or a folder of JPEG, PNG, WebP, HEIC, AVIF, BMP or TIFF pictures";
        return Err(Error::usage(folder.display(), "the folder contains no pictures", advice));
    }
    others.sort();
    for other in others {
        tracing::warn!("{}: skipped: {}", other.display(), not_a_picture(&other));
    }
    pictures.sort_by_cached_key(|path| natural_key(path));
    Ok(Source::Sequence { name: folder.to_owned(), pictures })
}

/// Why an entry of a folder of pictures is skipped.
fn not_a_picture(path: &Path) -> String {
    if path.is_dir() {
        return "is a folder".to_owned();
    }
    match read_head(path, KIND_HEAD_BYTES) {
        Ok(head) if head.is_empty() => "is empty (0 bytes)".to_owned(),
        Ok(head) => {
            let is_animated = image::guess_format(&head).is_ok_and(|format| {
                matches!(format, image::ImageFormat::Gif | image::ImageFormat::Png | image::ImageFormat::WebP)
            });
            let other = if is_animated { "an animation, which is a video" } else { "not a picture" };
            format!("is {}", file_kind(&head).unwrap_or(other))
        }
        Err(error) => error.problem,
    }
}

/// Why an entry of a folder is not a media file; None if it may be one.
fn not_media(path: &Path) -> Option<String> {
    if path.is_dir() {
        return Some("is a folder".to_owned());
    }
    let head = match read_head(path, KIND_HEAD_BYTES) {
        Ok(head) if head.is_empty() => return Some("is empty (0 bytes)".to_owned()),
        Ok(head) => head,
        Err(error) => return Some(error.problem),
    };
    match picture_kind(path) {
        Ok(Some(PictureKind::Still)) => Some("is an image".to_owned()),
        Ok(Some(PictureKind::WebpAnimation)) => Some("is an animated image".to_owned()),
        _ => file_kind(&head).map(|kind| format!("is {kind}")),
    }
}

/// Sort key that orders `img2` before `img10`: digits by value, the rest by character.
fn natural_key(path: &Path) -> Vec<(String, u128, usize)> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut key = Vec::new();
    let mut rest = name.as_ref();
    while !rest.is_empty() {
        let text_len = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (text, tail) = rest.split_at(text_len);
        let n_digits = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
        let (digits, tail) = tail.split_at(n_digits);
        key.push((text.to_lowercase(), digits.parse().unwrap_or(u128::MAX), n_digits));
        rest = tail;
    }
    key
}

/// A name with one `%d` or `%04d` in it.
struct Pattern {
    folder: PathBuf,
    before: String,
    after: String,
    n_digits: usize,
}

impl Pattern {
    fn parse(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let (before, rest) = name.split_once('%')?;
        let (width, after) = rest.split_once('d')?;
        let n_digits = match width {
            "" => 0,
            _ => width.strip_prefix('0')?.parse().ok().filter(|n| *n <= 20)?,
        };
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Some(Self { folder: folder.to_owned(), before: before.to_owned(), after: after.to_owned(), n_digits })
    }

    /// Every matching file, sorted by number. Numbers may have gaps.
    fn pictures(&self) -> Result<Vec<PathBuf>> {
        let entries = std::fs::read_dir(&self.folder).map_err(|e| Error::io(&self.folder, e))?;
        let mut found: Vec<(u64, PathBuf)> = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|e| Error::io(&self.folder, e))?;
            let name = entry.file_name();
            let number = name.to_str().and_then(|n| n.strip_prefix(&*self.before)?.strip_suffix(&*self.after));
            let Some(digits) =
                number.filter(|d| d.len() >= self.n_digits.max(1) && d.bytes().all(|b| b.is_ascii_digit()))
            else {
                continue;
            };
            if let Ok(number) = digits.parse() {
                found.push((number, entry.path()));
            }
        }
        if found.is_empty() {
            let name = format!("{}%0{}d{}", self.before, self.n_digits, self.after);
            return Err(Error::usage(
                self.folder.join(name).display(),
                "no file matches the pattern",
                "check the folder and the number of digits",
            ));
        }
        found.sort();
        Ok(found.into_iter().map(|(_, path)| path).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn numbers_in_names_sort_by_value() {
        let mut names = ["img10.png", "img2.png", "IMG1.png", "a.png"].map(PathBuf::from);
        names.sort_by_cached_key(|path| natural_key(path));
        assert_eq!(names, ["a.png", "IMG1.png", "img2.png", "img10.png"].map(PathBuf::from));
    }

    #[test]
    fn what_an_input_is() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for n in [1, 3, 12] {
            image::RgbImage::new(2, 2).save(at(&format!("f_{n:03}.png"))).unwrap();
        }
        std::fs::write(at("100%.mp4"), b"not media").unwrap();
        std::fs::write(at("empty.mp4"), b"").unwrap();
        let identify = |name: &str| Source::identify(at(name).to_str().unwrap());
        assert!(matches!(identify("f_001.png"), Ok(Source::Picture(_))));
        assert!(matches!(identify("100%.mp4"), Ok(Source::Media(_))));
        assert!(matches!(identify("empty.mp4"), Err(Error { kind: ErrorKind::Malformed, .. })));
        assert!(matches!(identify("missing.mp4"), Err(Error { kind: ErrorKind::Io, .. })));
        assert!(matches!(identify("f_%03d.png"), Ok(Source::Sequence { pictures, .. }) if pictures.len() == 3));
        assert!(matches!(identify(""), Ok(Source::Sequence { pictures, .. }) if pictures.len() == 3));
        assert!(matches!(Source::identify("rtsp://user:pw@host/live"), Ok(Source::Stream(_))));
        assert_eq!(Source::identify("rtsp://user:pw@host/live?key=1").unwrap().name(), "rtsp://host/live?...");
        assert!(matches!(Source::identify("camera:1"), Ok(Source::Camera(1))));
        assert!(matches!(Source::identify("camera:x"), Err(Error { kind: ErrorKind::Usage, .. })));
    }
}
