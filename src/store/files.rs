//! The files of a store.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::entry::{EntryState, MAX_ENTRY_BYTES, decode};
use crate::error::{Error, Result};

/// A temporary file that was not written to for this long belongs to a process that ended.
const ABANDONED: Duration = Duration::from_hours(1);
const EXTENSION: &str = "entry";

/// The names within the folder of a store.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
}

impl Files {
    /// Whether there is a store.
    pub fn exist(folder: &Path) -> Result<bool> {
        folder.join("entries").try_exists().map_err(|error| Error::io(folder, error))
    }

    pub fn create(folder: &Path) -> Result<Self> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        // Transcripts are private.
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder.join("entries")).map_err(|error| Error::io(folder, error))?;
        Ok(Self { folder: folder.to_owned() })
    }

    pub fn catalog(&self) -> PathBuf {
        self.folder.join("catalog.sqlite")
    }

    pub fn entry(&self, id: &str) -> PathBuf {
        self.folder.join("entries").join(id.get(..2).unwrap_or("00")).join(format!("{id}.{EXTENSION}"))
    }

    /// Reads and checks an entry.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if the file is there and cannot be read.
    pub fn read(&self, id: &str) -> Result<EntryState> {
        let path = self.entry(id);
        let io = |error| Error::io(&path, error);
        let file = match std::fs::File::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(EntryState::Absent),
            file => file.map_err(io)?,
        };
        if file.metadata().map_err(io)?.len() > MAX_ENTRY_BYTES {
            return Ok(EntryState::Broken("it is too large"));
        }
        let mut bytes = Vec::new();
        file.take(MAX_ENTRY_BYTES).read_to_end(&mut bytes).map_err(io)?;
        Ok(match decode(bytes) {
            EntryState::Intact(entry) if entry.metadata.key.id() != id => {
                EntryState::Broken("its key does not match its name")
            }
            found => found,
        })
    }

    /// Removes an entry that may be gone.
    pub fn remove(&self, id: &str) -> Result<()> {
        remove(&self.entry(id))
    }

    /// Moves an entry that may be gone to `broken/`.
    pub fn set_aside(&self, id: &str) -> Result<()> {
        self.move_aside(&self.entry(id))
    }

    /// Moves the files of the catalog, where they are there, to `broken/`.
    pub fn set_catalog_aside(&self) -> Result<()> {
        for suffix in ["", "-wal", "-shm"] {
            let mut name = self.catalog().into_os_string();
            name.push(suffix);
            self.move_aside(Path::new(&name))?;
        }
        Ok(())
    }

    fn move_aside(&self, path: &Path) -> Result<()> {
        let broken = self.broken();
        std::fs::create_dir_all(&broken).map_err(|error| Error::io(&broken, error))?;
        match std::fs::rename(path, broken.join(path.file_name().unwrap_or_default())) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io(path, error)),
            _ => Ok(()),
        }
    }

    fn broken(&self) -> PathBuf {
        self.folder.join("broken")
    }

    /// The names of all entries.
    pub fn ids(&self) -> Vec<String> {
        let paths = self.walk();
        let is_id = |id: &String| id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let ids = paths.iter().filter(|path| path.extension().is_some_and(|end| end == EXTENSION));
        ids.filter_map(|path| path.file_stem()?.to_str().map(str::to_owned)).filter(is_id).collect()
    }

    /// Removes what is of no use: broken entries, and temporary files that their process left.
    pub fn clean(&self) -> Result<()> {
        for broken in std::fs::read_dir(self.broken()).into_iter().flatten().flatten() {
            // Folders are not from the store.
            if broken.file_type().is_ok_and(|kind| !kind.is_dir()) {
                remove(&broken.path())?;
            }
        }
        let is_abandoned = |path: &PathBuf| {
            let written = std::fs::metadata(path).and_then(|metadata| metadata.modified());
            let age = written.ok().and_then(|written| SystemTime::now().duration_since(written).ok());
            path.extension().is_some_and(|end| end == "tmp") && age.is_some_and(|age| age > ABANDONED)
        };
        self.walk().iter().filter(|path| is_abandoned(path)).try_for_each(|path| remove(path))
    }

    fn walk(&self) -> Vec<PathBuf> {
        let found = walkdir::WalkDir::new(self.folder.join("entries")).min_depth(2).max_depth(2);
        let files = found.into_iter().flatten().filter(|entry| entry.file_type().is_file());
        files.map(walkdir::DirEntry::into_path).collect()
    }
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io(path, error)),
        _ => Ok(()),
    }
}
