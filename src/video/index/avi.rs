//! Counts the chunks of an AVI file. libav does not return empty chunks, which repeat the frame before.

use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// Number of video chunks of a stream, including empty ones; None where the file cannot be walked.
pub(super) fn n_avi_chunks(path: &Path, stream_idx: usize) -> Option<u64> {
    let mut file = BufReader::new(File::open(path).ok()?);
    let size = file.seek(SeekFrom::End(0)).ok()?;
    let (tens, ones) = (u8::try_from(stream_idx / 10).ok()?, (stream_idx % 10) as u8);
    let stream = [b'0' + tens, b'0' + ones];
    let (mut at, mut n_chunks) = (0, 0);
    while at + 8 <= size {
        let position = file.stream_position().ok()?;
        file.seek_relative(i64::try_from(at).ok()? - i64::try_from(position).ok()?).ok()?;
        let mut head = [0u8; 12];
        let n_read = if at + 12 <= size { 12 } else { 8 };
        file.read_exact(&mut head[..n_read]).ok()?;
        let length = u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]]));
        let is_list = &head[..4] == b"RIFF" || &head[..4] == b"LIST" && matches!(&head[8..], b"movi" | b"rec ");
        if is_list {
            at += 12;
            continue;
        }
        let is_video = head[..2] == stream && matches!(&head[2..4], b"dc" | b"db");
        n_chunks += u64::from(is_video);
        at += 8 + length + length % 2;
    }
    Some(n_chunks)
}
