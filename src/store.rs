//! A store of stage results on disk, keyed by content, so that no stage runs twice on the same input.
//!
//! ```text
//! FOLDER/entries/3f/3f9c….entry   results, by the BLAKE3 of their key
//! FOLDER/broken/                  entries that failed verification
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
use self::entry::{EntryMetadata, EntryState, IntactEntry, encode};
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
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if the file cannot be read, or changes meanwhile.
    pub fn content(&self, path: &Path) -> Result<FileContent> {
        let io = |error| Error::io(path, error);
        let file = std::fs::File::open(path).map_err(io)?;
        let stamp = FileStamp::of(&file.metadata().map_err(io)?);
        // A catalog that fails costs the time to hash the file again.
        if let Some(id) = stamp.as_ref().and_then(|stamp| logged(self.catalog().remembered(stamp))?) {
            return Ok(FileContent::new(id, stamp));
        }
        let id = hash_file(&file).map_err(io)?;
        let content = FileContent::new(id, stamp);
        if !content.is_of(&file.metadata().map_err(io)?) {
            return Err(io(std::io::Error::other("the file changed while it was read")));
        }
        if let Some(stamp) = stamp.as_ref().filter(|stamp| stamp.is_settled(SystemTime::now())) {
            logged(self.catalog().remember(stamp, &content.id, now_millis()));
        }
        Ok(content)
    }

    /// What an earlier run kept under `key`; None if there is nothing, or it is broken. A broken entry is moved aside,
    /// with a warning in the log.
    #[must_use]
    pub fn get(&self, key: &EntryKey) -> Option<Vec<u8>> {
        let id = key.id();
        match self.files.read(&id) {
            Ok(EntryState::Intact(IntactEntry { metadata, payload, n_bytes })) => {
                // A catalog that cannot be written loses a time of use, not a result.
                logged(self.catalog().use_entry(&id, &metadata, n_bytes, now_millis()));
                return Some(payload);
            }
            Ok(EntryState::Absent) => return None,
            Ok(EntryState::Broken(problem)) => self.set_aside_broken(&id, problem),
            Ok(EntryState::Newer) => self.set_aside_broken(&id, "its format does not match its name"),
            Err(error) => Err(error),
        }
        .map_or_else(|error| tracing::warn!("{error}; the entry of the store is not used"), drop);
        None
    }

    /// Moves the entry of `key` aside, because its `payload` is of no use. An entry that another process has written
    /// meanwhile stays.
    pub fn set_aside(&self, key: &EntryKey, payload: &[u8], problem: &str) {
        let is_same = |found: &EntryState| matches!(found, EntryState::Intact(entry) if entry.payload == payload);
        if let Err(error) = self.set_aside_if(&key.id(), problem, is_same) {
            tracing::warn!("{error}");
        }
    }

    /// Moves an entry aside that is found to be broken, unless another process has replaced it; whether it did.
    fn set_aside_broken(&self, id: &str, problem: &str) -> Result<bool> {
        self.set_aside_if(id, problem, |found| matches!(found, EntryState::Broken(_) | EntryState::Newer))
    }

    fn set_aside_if(&self, id: &str, problem: &str, is_useless: impl Fn(&EntryState) -> bool) -> Result<bool> {
        // Entries are published in write transactions: none replaces this one between the check and the move.
        let is_moved = self.catalog().forget_entry(id, || {
            let is_useless = is_useless(&self.files.read(id)?);
            if is_useless {
                self.files.set_aside(id)?;
            }
            Ok(is_useless)
        })?;
        if is_moved {
            tracing::warn!("{}: a broken entry of the store is moved aside: {problem}", self.files.entry(id).display());
        }
        Ok(is_moved)
    }

    /// Keeps `payload` under `key`, in place of what is there, then removes old entries if the store is too large.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if the entry or the catalog cannot be written,
    /// [`ErrorKind::Limit`](crate::ErrorKind::Limit) if the entry would be larger than 1 GiB.
    pub fn put(&self, key: &EntryKey, origin: &Origin, payload: &[u8]) -> Result<()> {
        let (id, now) = (key.id(), now_millis());
        let metadata = EntryMetadata { key: key.clone(), origin: origin.clone(), created_ms: now };
        let bytes = encode(&metadata, payload)?;
        let pending = PendingFile::write(&self.files.entry(&id), &bytes, 0o600)?;
        let mut catalog = self.catalog();
        catalog.publish(&id, &metadata, bytes.len() as u64, now, || pending.publish())?;
        match catalog.remove_oldest(self.max_bytes, now - in_use_millis(), &|id| self.files.remove(id)) {
            Ok(GcOutcome { n_entries: 0, .. }) => {}
            Ok(GcOutcome { n_entries, n_bytes, .. }) => {
                tracing::info!("the store is full: removed {n_entries} entries ({n_bytes} bytes)");
            }
            // The payload is kept.
            Err(error) => tracing::warn!("{error}; the store may exceed its limit"),
        }
        Ok(())
    }

    fn catalog(&self) -> MutexGuard<'_, Catalog> {
        // A panic within a transaction rolled it back.
        self.catalog.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The value, where an error of the catalog is worth no more than a line in the log.
fn logged<T>(result: Result<T>) -> Option<T> {
    result.inspect_err(|error| tracing::debug!(%error, "the catalog of the store failed")).ok()
}

/// Milliseconds since 1970.
fn now_millis() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn in_use_millis() -> i64 {
    i64::try_from(IN_USE.as_millis()).unwrap_or(i64::MAX)
}
