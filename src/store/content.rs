//! What a file contains, and whether it is still the same file.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// Bytes that are hashed at once, on all cores. Reading, not mapping: a mapped file that another process truncates ends
/// this process.
const CHUNK_BYTES: usize = 8 << 20;
/// A file that was changed this recently may change again without its times being other: some file systems count in
/// steps of two seconds.
const SETTLED: Duration = Duration::from_secs(3);

/// The BLAKE3 of the bytes of a file, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContentId(pub(super) String);

impl ContentId {
    /// That of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(blake3::hash(bytes).to_hex().to_string())
    }

    /// That of a recording in several files, in their order.
    #[must_use]
    pub fn of_parts(parts: &[Self]) -> Self {
        let ids: Vec<&str> = parts.iter().map(Self::as_str).collect();
        Self::of(format!("joined\n{}", ids.join("\n")).as_bytes())
    }

    /// All 64 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The content of a file as it was when it was opened.
#[derive(Clone, Debug)]
pub struct FileContent {
    /// The content.
    pub id: ContentId,
    stamp: Option<FileStamp>,
}

impl FileContent {
    pub(super) fn new(id: ContentId, stamp: Option<FileStamp>) -> Self {
        Self { id, stamp }
    }

    /// Whether the file still has this content, as far as its size and times tell.
    #[must_use]
    pub fn is_still_in(&self, path: &Path) -> bool {
        std::fs::metadata(path).is_ok_and(|metadata| self.is_of(&metadata))
    }

    pub(super) fn is_of(&self, metadata: &Metadata) -> bool {
        self.stamp == FileStamp::of(metadata)
    }
}

/// What changes with every change of a file. The time of the last change of the inode is part of it, because the time
/// of the last modification can be set back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileStamp {
    pub device: u64,
    pub inode: u64,
    pub n_bytes: u64,
    pub modified_ns: i64,
    pub changed_ns: i64,
}

impl FileStamp {
    /// None where the system has no inodes; there, each file is read each time.
    #[cfg(unix)]
    #[expect(clippy::unnecessary_wraps, reason = "as on other systems")]
    pub fn of(metadata: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let nanos = |seconds: i64, nanos: i64| seconds.saturating_mul(1_000_000_000).saturating_add(nanos);
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            n_bytes: metadata.len(),
            modified_ns: nanos(metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: nanos(metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    #[cfg(not(unix))]
    pub fn of(_: &Metadata) -> Option<Self> {
        None
    }

    /// Whether the next change gives another stamp.
    pub fn is_settled(&self, now: SystemTime) -> bool {
        let last = u64::try_from(self.modified_ns.max(self.changed_ns)).unwrap_or_default();
        let last = SystemTime::UNIX_EPOCH + Duration::from_nanos(last);
        now.duration_since(last).is_ok_and(|age| age > SETTLED)
    }
}

/// The BLAKE3 of what is left to read of `file`.
pub(super) fn hash_file(mut file: &File) -> std::io::Result<ContentId> {
    let mut hasher = blake3::Hasher::new();
    let mut chunk = Vec::with_capacity(CHUNK_BYTES);
    loop {
        chunk.clear();
        file.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut chunk)?;
        if chunk.is_empty() {
            return Ok(ContentId(hasher.finalize().to_hex().to_string()));
        }
        hasher.update_rayon(&chunk);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_several_chunks_has_the_hash_of_its_bytes() {
        let bytes: Vec<u8> = (0..2 * CHUNK_BYTES + 12_345).map(|i| (i * 31 % 251) as u8).collect();
        let folder = tempfile::tempdir().unwrap();
        for n in [0, 1, CHUNK_BYTES, bytes.len()] {
            let path = folder.path().join("file");
            std::fs::write(&path, &bytes[..n]).unwrap();
            assert_eq!(hash_file(&File::open(&path).unwrap()).unwrap(), ContentId::of(&bytes[..n]), "{n} bytes");
        }
    }

    #[test]
    fn a_recent_change_is_not_settled() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, b"x").unwrap();
        let stamp = FileStamp::of(&std::fs::metadata(&path).unwrap()).unwrap();
        assert!(!stamp.is_settled(SystemTime::now()));
        assert!(stamp.is_settled(SystemTime::now() + SETTLED + Duration::from_mins(1)));
    }
}
