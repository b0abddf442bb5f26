//! Motion photos: a picture with a short video behind it, in one file. Phones write them as JPEG and HEIC.

use std::fs::File;
use std::io::{Read as _, Result, Seek as _, SeekFrom};
use std::path::Path;

use tempfile::NamedTempFile;

/// Larger files are not searched.
const MAX_BYTES: u64 = 256 << 20;
/// Bytes that are searched at a time.
const PIECE_BYTES: u64 = 1 << 20;
/// A file type box is shorter. The head of the box behind it is examined too.
const MAX_TYPE_BYTES: usize = 1024;
/// Places that are examined further: the bytes of a picture may look like a file type box.
const MAX_CANDIDATES: usize = 4;

/// The places in a picture, by their first byte, where a video may begin.
pub(super) fn candidates(path: &Path) -> Result<Vec<u64>> {
    let mut file = File::open(path)?;
    let (mut found, mut piece, mut piece_at) = (Vec::new(), Vec::new(), 0);
    if file.metadata()?.len() > MAX_BYTES {
        return Ok(found);
    }
    while found.len() < MAX_CANDIDATES {
        let is_end = file.by_ref().take(PIECE_BYTES).read_to_end(&mut piece)? == 0;
        // What begins later is searched with the next piece.
        let n_searched = if is_end { piece.len() } else { piece.len().saturating_sub(MAX_TYPE_BYTES + 8) };
        let begins = (0..n_searched).filter(|at| begins_film(&piece[*at..])).map(|at| piece_at + at as u64);
        // The file type box of a HEIC picture is at its start.
        found.extend(begins.filter(|at| *at > 0));
        if is_end {
            break;
        }
        piece.drain(..n_searched);
        piece_at += n_searched as u64;
    }
    found.truncate(MAX_CANDIDATES);
    Ok(found)
}

/// Whether a file of boxes (ISO/IEC 14496-12) that holds a film begins here.
fn begins_film(bytes: &[u8]) -> bool {
    let kind_at = |at: usize| bytes.get(at + 4..at + 8);
    if kind_at(0) != Some(b"ftyp") {
        return false;
    }
    let length = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
    let next = kind_at(length).filter(|_| (16..MAX_TYPE_BYTES).contains(&length));
    next.is_some_and(|kind| [&b"moov"[..], b"mdat", b"free", b"skip", b"wide", b"uuid", b"moof"].contains(&kind))
}

/// A copy of the bytes from `at`, since demuxers read files.
pub(super) fn copy_from(path: &Path, at: u64) -> Result<NamedTempFile> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(at))?;
    let mut copy = NamedTempFile::new()?;
    std::io::copy(&mut file, &mut copy)?;
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found_across_pieces_and_are_few() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jpg");
        let film = b"\0\0\0\x14ftypisom\0\0\0\0isom\0\0\0\x08free";
        let picture = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic\0\0\0\x08meta";
        let short = b"\0\0\0\x08ftyp\0\0\0\x08free";
        // Around the ends of the first two pieces, and of what is searched of the first.
        for end in [100, (1 << 20) - 1032, 1 << 20, (2 << 20) - 1032] {
            for at in [end - 27, end - 5, end - 1, end, end + 1] {
                std::fs::write(&path, [&film[..], &vec![0; at - film.len()], &film[..]].concat()).unwrap();
                assert_eq!(candidates(&path).unwrap(), [at as u64], "{at}");
            }
        }
        std::fs::write(&path, [&film[..], &film.repeat(9)].concat()).unwrap();
        assert_eq!(candidates(&path).unwrap(), [28, 56, 84, 112]);
        std::fs::write(&path, [&b"x"[..], picture, short, &film[..film.len() - 1]].concat()).unwrap();
        assert_eq!(candidates(&path).unwrap(), [] as [u64; 0]);
        let copy = copy_from(&path, 1).unwrap();
        assert!(std::fs::read(copy.path()).unwrap().starts_with(picture));
    }
}
