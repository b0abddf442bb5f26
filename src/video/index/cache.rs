//! Stores the indexes of scanned files in the user's cache folder.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::entry::PacketEntry;
use super::frame_index::FrameIndex;
use crate::error::Result;
use crate::fs::{hex, write_file};
use crate::limits::Limits;
use crate::media::VideoStream;
use crate::time::Timestamp;

/// Version of the stored format. Indexes of other versions are not found.
const VERSION: u32 = 2;

/// Number and size of the samples that identify a file. The start and the end of the file are among them.
const N_PLACES: u64 = 32;
const PLACE_BYTES: u64 = 4096;

/// Smaller files are scanned as fast as a stored index is read.
const MIN_CACHED_BYTES: u64 = 8 << 20;

/// Maximum number of stored indexes; the oldest are removed. One hour of video takes about 3 MB.
const MAX_CACHED: usize = 64;

#[derive(Serialize, Deserialize)]
struct CachedIndex {
    pts: Vec<i64>,
    keys: Vec<i64>,
    packets: Vec<PacketEntry>,
    end: i64,
    is_exact: bool,
    n_packets: u64,
    n_read_errors: u32,
    preamble: Vec<u8>,
}

impl FrameIndex {
    /// As [`FrameIndex::scan`], but reuses an index in `folder` of a file with the same content, whatever its name. A
    /// cache that cannot be read or written is ignored.
    ///
    /// # Errors
    /// As [`FrameIndex::scan`].
    pub(in crate::video) fn scan_cached(
        path: &Path,
        stream: &VideoStream,
        start: Timestamp,
        limits: &Limits,
        folder: Option<&Path>,
    ) -> Result<Self> {
        let Some(place) = folder.and_then(|folder| Some(folder.join(content_name(path, stream)?))) else {
            return Self::scan(path, stream, start, limits);
        };
        if let Some(kept) = read(&place) {
            tracing::debug!(path = %path.display(), "using the frame index of an earlier run");
            return Ok(Self {
                pts: kept.pts,
                keys: kept.keys,
                packets: kept.packets,
                end: kept.end,
                base: stream.time_base,
                start,
                is_exact: kept.is_exact,
                is_outline: false,
                n_packets: Some(kept.n_packets),
                n_read_errors: kept.n_read_errors,
                preamble: kept.preamble,
            });
        }
        let index = Self::scan(path, stream, start, limits)?;
        if let Err(error) = write(&index, &place) {
            tracing::debug!(place = %place.display(), %error, "the frame index was not stored");
        }
        Ok(index)
    }
}

/// A file name derived from the content: file size, sampled bytes and stream. None where the file cannot be read or is
/// too small to be cached.
fn content_name(path: &Path, stream: &VideoStream) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let size = file.metadata().ok().map(|facts| facts.len()).filter(|size| *size >= MIN_CACHED_BYTES)?;
    let mut hash = Sha256::new();
    hash.update(VERSION.to_le_bytes());
    hash.update(crate::libav::version());
    hash.update(size.to_le_bytes());
    hash.update((stream.stream_idx as u64).to_le_bytes());
    let last = size.saturating_sub(PLACE_BYTES);
    let mut bytes = Vec::with_capacity(PLACE_BYTES as usize);
    for i in 0..N_PLACES {
        file.seek(SeekFrom::Start((u128::from(last) * u128::from(i) / u128::from(N_PLACES - 1)) as u64)).ok()?;
        bytes.clear();
        (&mut file).take(PLACE_BYTES).read_to_end(&mut bytes).ok()?;
        hash.update(&bytes);
    }
    Some(hex(&hash.finalize()) + ".json")
}

fn read(place: &Path) -> Option<CachedIndex> {
    let kept: CachedIndex = serde_json::from_slice(&std::fs::read(place).ok()?).ok()?;
    // The file may be truncated or written by another program.
    let is_whole = !kept.pts.is_empty() && kept.pts.is_sorted() && kept.keys.is_sorted();
    is_whole.then_some(kept)
}

fn write(index: &FrameIndex, place: &Path) -> Result<()> {
    let kept = CachedIndex {
        pts: index.pts.clone(),
        keys: index.keys.clone(),
        packets: index.packets.clone(),
        end: index.end,
        is_exact: index.is_exact,
        n_packets: index.n_packets.unwrap_or_default(),
        n_read_errors: index.n_read_errors,
        preamble: index.preamble.clone(),
    };
    let text = serde_json::to_vec(&kept).map_err(|e| crate::Error::io(place, e.into()))?;
    write_file(place, &text)?;
    remove_oldest(place.parent().unwrap_or(Path::new(".")));
    Ok(())
}

fn remove_oldest(folder: &Path) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut kept: Vec<(std::time::SystemTime, PathBuf)> = entries
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "json"))
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    kept.sort();
    for (_, path) in kept.iter().rev().skip(MAX_CACHED) {
        // Another run may have removed the file.
        let _ = std::fs::remove_file(path);
    }
}
