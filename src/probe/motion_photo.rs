//! Motion photos: a picture with a short video behind it, in one file. Phones write them as JPEG and HEIC.

use std::io::Write as _;
use std::path::Path;

use tempfile::NamedTempFile;

/// Larger files are not searched.
const MAX_BYTES: u64 = 256 << 20;

/// The video behind a picture, if there is one: the position of its first byte, and a copy, since demuxers read files.
pub(super) fn copy_video(path: &Path) -> Option<(u64, NamedTempFile)> {
    if std::fs::metadata(path).ok()?.len() > MAX_BYTES {
        return None;
    }
    let bytes = std::fs::read(path).ok()?;
    let at = video_start(&bytes)?;
    let mut copy = NamedTempFile::new().ok()?;
    copy.write_all(&bytes[at..]).ok()?;
    Some((at as u64, copy))
}

/// Where a file of boxes (ISO/IEC 14496-12) that holds a film begins, behind the start.
fn video_start(bytes: &[u8]) -> Option<usize> {
    let length_at = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize);
    let begins = |at: usize| {
        let next = at + length_at(at).filter(|length| (16..1024).contains(length))?;
        let kind = bytes.get(next + 4..next + 8)?;
        [&b"moov"[..], b"mdat", b"free", b"skip", b"wide", b"uuid", b"moof"].contains(&kind).then_some(at)
    };
    // The file type box of a HEIC picture is at its start.
    let kinds = bytes.windows(4).enumerate().skip(8);
    kinds.filter(|(_, kind)| kind == b"ftyp").find_map(|(at, _)| begins(at - 4))
}
