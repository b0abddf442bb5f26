//! Detects truncated files from their structure. Decoders of a truncated file often report nothing.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Describes what is missing at the end of the file; None where nothing is, or where the format does not tell.
pub(super) fn missing_end(path: &Path, size: u64) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let mut head = [0u8; 12];
    file.read_exact(&mut head).ok()?;
    if head.starts_with(&[0xff, 0xd8, 0xff]) {
        let is_cut = jpeg_has_end(path)? == JpegEnd::Missing;
        return is_cut.then(|| format!("the JPEG ends after {size} bytes without an end marker"));
    }
    let claimed = match &head {
        [_, _, _, _, b'f', b't', b'y', b'p', ..]
        | [_, _, _, _, b'm', b'o', b'o', b'v', ..]
        | [_, _, _, _, b'm', b'd', b'a', b't', ..] => boxes_end(&mut file, size)?,
        [b'R', b'I', b'F', b'F', a, b, c, d, ..] => riff_end(u32::from_le_bytes([*a, *b, *c, *d]))?,
        [0x89, b'P', b'N', b'G', ..] => chunks_end(&mut file)?,
        [0x30, 0x26, 0xb2, 0x75, 0x8e, 0x66, 0xcf, 0x11, ..] => objects_end(&mut file, size)?,
        [0x1a, 0x45, 0xdf, 0xa3, ..] => segment_end(&mut file)?,
        [0x47, ..] if is_transport_stream(&mut file) => size.div_ceil(188) * 188,
        _ => return None,
    };
    (claimed > size).then(|| format!("the file ends after {size} of the {claimed} bytes that its header states"))
}

#[derive(PartialEq, Eq)]
enum JpegEnd {
    Found,
    Missing,
}

/// Follows a JPEG's segments (ITU T.81, annex B) to its end marker. The marker of a thumbnail lies inside a segment.
fn jpeg_has_end(path: &Path) -> Option<JpegEnd> {
    let mut bytes = std::io::BufReader::new(File::open(path).ok()?).bytes().skip(2);
    let mut next = || bytes.next()?.ok();
    // Outside of coded data a marker follows directly; inside, 0xff is escaped by a following 0.
    loop {
        let Some(byte) = next() else { return Some(JpegEnd::Missing) };
        if byte != 0xff {
            continue;
        }
        let mut code = 0xff;
        while code == 0xff {
            let Some(byte) = next() else { return Some(JpegEnd::Missing) };
            code = byte;
        }
        match code {
            0xd9 => return Some(JpegEnd::Found),
            0x00 | 0x01 | 0xd0..=0xd7 => {}
            _ => {
                let (Some(high), Some(low)) = (next(), next()) else { return Some(JpegEnd::Missing) };
                for _ in 2..u16::from_be_bytes([high, low]) {
                    if next().is_none() {
                        return Some(JpegEnd::Missing);
                    }
                }
            }
        }
    }
}

/// The end of the last top-level box of an mp4 or mov.
fn boxes_end(file: &mut File, size: u64) -> Option<u64> {
    let mut at = 0u64;
    // Fragmented files have two boxes per fragment; 16 bytes of each are read.
    for _ in 0..1_000_000 {
        if at >= size {
            return Some(at);
        }
        let mut head = [0u8; 16];
        file.seek(SeekFrom::Start(at)).ok()?;
        let got = read_up_to(file, &mut head)?;
        if got < 8 {
            return Some(at + 8);
        }
        let small = u64::from(u32::from_be_bytes([head[0], head[1], head[2], head[3]]));
        let length = match small {
            0 => return Some(size),
            1 if got < 16 => return Some(at + 16),
            1 => u64::from_be_bytes([head[8], head[9], head[10], head[11], head[12], head[13], head[14], head[15]]),
            _ => small,
        };
        if length < 8 || !head[4..8].iter().all(|b| b.is_ascii_graphic() || *b == b' ' || *b == 0xa9) {
            return None;
        }
        at = at.checked_add(length)?;
    }
    None
}

/// The end of a PNG's last chunk (`IEND`), or of the truncated one.
fn chunks_end(file: &mut File) -> Option<u64> {
    let mut at = 8u64;
    for _ in 0..1_000_000 {
        let mut head = [0u8; 8];
        file.seek(SeekFrom::Start(at)).ok()?;
        let got = read_up_to(file, &mut head)?;
        if got < 8 {
            return Some(at + 12);
        }
        at += u64::from(u32::from_be_bytes([head[0], head[1], head[2], head[3]])) + 12;
        if &head[4..] == b"IEND" {
            return Some(at);
        }
    }
    None
}

/// The end of the last top-level object of an ASF file (WMV); None where one has no size, as in streams.
fn objects_end(file: &mut File, size: u64) -> Option<u64> {
    const HEAD_BYTES: u64 = 24;
    let mut at = 0u64;
    for _ in 0..1000 {
        if at >= size {
            return Some(at);
        }
        // A GUID of 16 bytes, then the object's size, its head included.
        file.seek(SeekFrom::Start(at.checked_add(16)?)).ok()?;
        let mut length = [0u8; 8];
        if read_up_to(file, &mut length)? < length.len() {
            return Some(at + HEAD_BYTES);
        }
        at = at.checked_add(Some(u64::from_le_bytes(length)).filter(|length| *length >= HEAD_BYTES)?)?;
    }
    None
}

/// 0 and all ones mean "unknown".
fn riff_end(length: u32) -> Option<u64> {
    (length != 0 && length != u32::MAX).then(|| u64::from(length) + 8)
}

/// The end of the Segment of a Matroska or `WebM` file (RFC 9559); None where it was written as unknown.
fn segment_end(file: &mut File) -> Option<u64> {
    file.seek(SeekFrom::Start(4)).ok()?;
    let header = read_vint(file)?;
    file.seek(SeekFrom::Current(i64::try_from(header).ok()?)).ok()?;
    let mut id = [0u8; 4];
    file.read_exact(&mut id).ok()?;
    if id != [0x18, 0x53, 0x80, 0x67] {
        return None;
    }
    let length = read_vint(file)?;
    file.stream_position().ok()?.checked_add(length)
}

/// An EBML variable-length size; None at the end of the file or where all its bits are set ("unknown").
fn read_vint(file: &mut File) -> Option<u64> {
    let mut first = [0u8; 1];
    file.read_exact(&mut first).ok()?;
    let n_more = first[0].leading_zeros();
    if n_more > 7 {
        return None;
    }
    let mut value = u64::from(first[0]) & ((1 << (7 - n_more)) - 1);
    let mut all_ones = (1u64 << (7 - n_more)) - 1;
    for _ in 0..n_more {
        let mut byte = [0u8; 1];
        file.read_exact(&mut byte).ok()?;
        value = value << 8 | u64::from(byte[0]);
        all_ones = all_ones << 8 | 0xff;
    }
    (value != all_ones).then_some(value)
}

fn is_transport_stream(file: &mut File) -> bool {
    (1..4).all(|n| {
        let mut byte = [0u8; 1];
        file.seek(SeekFrom::Start(n * 188)).is_ok() && file.read_exact(&mut byte).is_ok() && byte[0] == 0x47
    })
}

fn read_up_to(file: &mut File, buffer: &mut [u8]) -> Option<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match file.read(&mut buffer[got..]).ok()? {
            0 => break,
            n => got += n,
        }
    }
    Some(got)
}
