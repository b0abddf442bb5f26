//! Indexes of files that were read through before, kept in a folder of the user's.

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

/// Counts up whenever what is kept changes its meaning; an index made by another version is not found.
const VERSION: u32 = 1;

/// Places of a file that tell it from others, its head and its end among them, and bytes of each.
const N_PLACES: u64 = 32;
const PLACE_BYTES: u64 = 4096;

/// A file shorter than this is read as quickly as its index.
const MIN_CACHED_BYTES: u64 = 8 << 20;

/// Indexes that are kept; beyond that the oldest goes. One of an hour takes about 3 MB.
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
}

impl FrameIndex {
    /// As [`FrameIndex::scan`], but what was learnt of the same file before, under whatever name, is taken from
    /// `folder`. A cache that cannot be read or written is no failure.
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
            tracing::debug!(path = %path.display(), "the packets' times are known from an earlier run");
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
            });
        }
        let index = Self::scan(path, stream, start, limits)?;
        if let Err(error) = write(&index, &place) {
            tracing::debug!(place = %place.display(), %error, "the packets' times were not kept");
        }
        Ok(index)
    }
}

/// A name made of what the file holds: its size, bytes from places all over it, and the stream; None where the file
/// cannot be read or is not worth it.
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
    // The file may have been cut off or written by somebody else.
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
        // Another run may have removed it.
        let _ = std::fs::remove_file(path);
    }
}
