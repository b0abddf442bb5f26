//! What runs have found out, kept in one folder, so that no stage works twice for the same content.
//!
//! ```text
//! FOLDER/entries/3f/3f9c….entry   results, by the BLAKE3 of their key
//! FOLDER/broken/                  entries whose checksum was wrong
//! FOLDER/catalog.sqlite           contents, titles, paths seen, entries, sizes, last use
//! ```
//!
//! An entry is found by its key alone: a catalog that is lost or damaged loses no result, and [`Store::rebuild`] makes it
//! anew. Several processes may use one folder: entries appear by renaming complete files, and the renames and removals of
//! entries happen within write transactions of the catalog, which exclude each other.

mod access;
mod catalog;
mod content;
mod entry;
mod files;
mod key;
mod summary;
mod upkeep;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

pub use self::access::StoreAccess;
use self::catalog::Catalog;
pub use self::content::{ContentId, FileContent};
use self::content::{FileStamp, hash_file};
pub use self::entry::Origin;
use self::entry::{EntryMetadata, decode, encode};
use self::files::Files;
pub use self::key::EntryKey;
pub use self::summary::{GcOutcome, RebuildOutcome, StoredContent, StoredEntry, VerifyOutcome};
use crate::error::{Error, Result};
use crate::fs::PendingFile;

/// The default of [`StoreConfig::max_bytes`]: 20 GB.
pub const DEFAULT_MAX_BYTES: u64 = 20_000_000_000;
/// Entries that were used within this time are in use: no limit removes them.
pub const IN_USE: Duration = Duration::from_mins(10);

/// Where the store is, and how large it may become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// The folder.
    pub folder: PathBuf,
    /// The limit of all entries together, in bytes. Beyond it, the entries that were not used for the longest time are
    /// removed.
    pub max_bytes: u64,
}

impl StoreConfig {
    /// At most [`DEFAULT_MAX_BYTES`] in `folder`.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), max_bytes: DEFAULT_MAX_BYTES }
    }
}

/// An open store. All methods block.
#[derive(Debug)]
pub struct Store {
    files: Files,
    catalog: Mutex<Catalog>,
    max_bytes: u64,
}

impl Store {
    /// Opens the store; creates its folder, readable for its user alone, where there is none.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if the folder cannot be created or read,
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) if the catalog is damaged,
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) if a newer vidgist made it.
    pub fn open(config: &StoreConfig) -> Result<Self> {
        let files = Files::create(&config.folder)?;
        let catalog = Mutex::new(Catalog::open(&files.catalog())?);
        Ok(Self { files, catalog, max_bytes: config.max_bytes })
    }

    /// As [`Store::open`], but creates nothing; None where there is no store.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_existing(config: &StoreConfig) -> Result<Option<Self>> {
        if Files::exist(&config.folder)? { Self::open(config).map(Some) } else { Ok(None) }
    }

    /// The content of a file: the BLAKE3 of its bytes. The file is read only if it has changed since it was last read.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if the file cannot be read, or changes meanwhile; as [`Store::open`].
    pub fn content(&self, path: &Path) -> Result<FileContent> {
        let io = |error| Error::io(path, error);
        let file = std::fs::File::open(path).map_err(io)?;
        let stamp = FileStamp::of(&file.metadata().map_err(io)?);
        if let Some(id) = stamp.as_ref().map(|stamp| self.catalog().remembered(stamp)).transpose()?.flatten() {
            return Ok(FileContent::new(id, stamp));
        }
        let id = hash_file(&file).map_err(io)?;
        let content = FileContent::new(id, stamp);
        if !content.is_of(&file.metadata().map_err(io)?) {
            return Err(io(std::io::Error::other("the file changed while it was read")));
        }
        if let Some(stamp) = stamp.as_ref().filter(|stamp| stamp.is_settled(SystemTime::now())) {
            self.catalog().remember(stamp, &content.id, now_millis())?;
        }
        Ok(content)
    }

    /// What an earlier run kept under `key`; None if there is nothing, or it is broken. A broken entry is moved aside,
    /// with a warning in the log.
    #[must_use]
    pub fn get(&self, key: &EntryKey) -> Option<Vec<u8>> {
        let id = key.id();
        let bytes = match self.files.read(&id) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!("{}: an entry of the store cannot be read: {error}", self.files.entry(&id).display());
                return None;
            }
        };
        match decode(&bytes).and_then(|found| if found.0.key == *key { Ok(found) } else { Err("its key is another") }) {
            Ok((metadata, payload)) => {
                // A catalog that cannot be written loses a time of use, not a result.
                if let Err(error) = self.catalog().use_entry(&id, &metadata, bytes.len() as u64, now_millis()) {
                    tracing::debug!(%error, "the catalog of the store was not updated");
                }
                Some(payload.to_vec())
            }
            Err(problem) => {
                self.set_aside(key, problem);
                None
            }
        }
    }

    /// Moves the entry of `key` aside, because what it holds is of no use.
    pub fn set_aside(&self, key: &EntryKey, problem: &str) {
        let id = key.id();
        tracing::warn!("{}: a broken entry of the store is moved aside: {problem}", self.files.entry(&id).display());
        if let Err(error) = self.files.set_aside(&id).and_then(|()| self.catalog().forget_entry(&id)) {
            tracing::warn!("{error}");
        }
    }

    /// Keeps `payload` under `key`, in place of what is there, then removes old entries if the store is too large.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if the entry or the catalog cannot be written.
    pub fn put(&self, key: &EntryKey, origin: &Origin, payload: &[u8]) -> Result<()> {
        let (id, now) = (key.id(), now_millis());
        let metadata = EntryMetadata { key: key.clone(), origin: origin.clone(), created_ms: now };
        let bytes = encode(&metadata, payload)?;
        let pending = PendingFile::write(&self.files.entry(&id), &bytes, 0o600)?;
        let mut catalog = self.catalog();
        catalog.publish(&id, &metadata, bytes.len() as u64, now, || pending.publish())?;
        let removed = catalog.remove_oldest(self.max_bytes, now - in_use_millis(), &|id| self.files.remove(id))?;
        if removed.n_entries > 0 {
            tracing::info!("the store is full: removed {} entries ({} bytes)", removed.n_entries, removed.n_bytes);
        }
        Ok(())
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.files.folder()
    }

    fn catalog(&self) -> MutexGuard<'_, Catalog> {
        // A panic within a transaction rolled it back.
        self.catalog.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Milliseconds since 1970.
fn now_millis() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn in_use_millis() -> i64 {
    i64::try_from(IN_USE.as_millis()).unwrap_or(i64::MAX)
}
