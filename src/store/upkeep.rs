//! What users do with a store as a whole.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Mutex;

use super::catalog::Catalog;
use super::content::ContentId;
use super::entry::EntryState;
use super::files::Files;
use super::summary::{GcOutcome, RebuildOutcome, StoredContent, VerifyOutcome};
use super::{Store, StoreConfig, in_use_millis, logged, now_millis};
use crate::error::{Error, ErrorKind, Result};

/// The shortest beginning of a content's ID that names it.
const MIN_ID_DIGITS: usize = 8;

impl Store {
    /// The contents and their entries, the one that was used last first.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn contents(&self) -> Result<Vec<StoredContent>> {
        self.catalog().contents()
    }

    /// The size of all entries in bytes.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn n_bytes(&self) -> Result<u64> {
        self.catalog().n_bytes()
    }

    /// Notes a name under which a content is met, to be listed. Nothing is noted of a content without entries. What fails
    /// is logged: no result depends on names.
    pub fn meet(&self, content: &ContentId, name: &str) {
        logged(self.catalog().meet(content, name, now_millis()));
    }

    /// The content that `name` stands for: a file, the first eight or more digits of its ID, or a name under which it was
    /// met. None if the store does not list it.
    ///
    /// # Errors
    /// As [`Store::content`]; [`ErrorKind::Usage`] if the digits are those of several contents.
    pub fn find(&self, name: &str) -> Result<Option<StoredContent>> {
        let path = Path::new(name);
        let of_file = if path.is_file() { Some(self.content(path)?.id) } else { None };
        let absolute = std::path::absolute(path).map_or_else(|_| name.to_owned(), |path| crate::input::text_of(&path));
        let is_met = |content: &StoredContent| content.names.iter().any(|met| met == name || *met == absolute);
        let is_prefix = name.len() >= MIN_ID_DIGITS && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        let mut found = self.contents()?;
        found.retain(|content| match &of_file {
            Some(id) => content.content == *id,
            None => is_met(content) || (is_prefix && content.content.as_str().starts_with(&name.to_lowercase())),
        });
        match found.len() {
            0 | 1 => Ok(found.pop()),
            n => {
                Err(Error::usage(name, format!("stands for {n} contents of the store"), "write the ID of one of them"))
            }
        }
    }

    /// Removes all results of a content, also broken ones, and forgets the files that have it.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] about an entry that cannot be removed; the others are removed.
    pub fn remove(&self, content: &ContentId) -> Result<GcOutcome> {
        self.tidy()?;
        self.catalog().remove_content(content, &|id| self.files.remove(id))
    }

    /// Lists entries that killed processes left unlisted, and removes broken entries and stale temporary files.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] about a file that cannot be removed; as [`Store::open`].
    pub fn tidy(&self) -> Result<()> {
        let listed = self.catalog().ids()?;
        if let Err(error) = self.list_files(&listed) {
            tracing::warn!("{error}");
        }
        self.files.clean()
    }

    /// Checks every entry; broken ones are moved aside. Those of newer versions of vidgist are skipped.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] about an entry that cannot be read or moved; the others are checked.
    pub fn verify(&self) -> Result<VerifyOutcome> {
        let found = self.list_files(&HashSet::new())?;
        Ok(VerifyOutcome { n_intact: found.n_entries, n_broken: found.n_broken })
    }

    /// Removes entries, least recently used first, until they take at most `max_bytes`; also broken entries and stale
    /// temporary files. Entries that were used within [`IN_USE`](super::IN_USE) stay.
    ///
    /// # Errors
    /// As [`Store::tidy`].
    pub fn gc(&self, max_bytes: u64) -> Result<GcOutcome> {
        self.tidy()?;
        self.catalog().remove_oldest(max_bytes, now_millis() - in_use_millis(), &|id| self.files.remove(id))
    }

    /// Rebuilds the catalog from the entries. Names other than the one under which an entry was made are lost if the
    /// catalog is.
    ///
    /// # Errors
    /// As [`Store::verify`].
    pub fn rebuild(config: &StoreConfig) -> Result<RebuildOutcome> {
        let files = Files::create(&config.folder)?;
        let (catalog, was_damaged) = match Catalog::open(&files.catalog()) {
            Err(error) if error.kind == ErrorKind::Malformed => {
                files.set_catalog_aside()?;
                (Catalog::open(&files.catalog())?, true)
            }
            catalog => (catalog?, false),
        };
        let store = Self { files, catalog: Mutex::new(catalog), max_bytes: config.max_bytes };
        Ok(RebuildOutcome { was_damaged, ..store.list_files(&HashSet::new())? })
    }

    /// Checks the entries in the folder but those in `skipped`, lists them, and moves broken ones aside.
    ///
    /// # Errors
    /// The last one about an entry that cannot be read or moved; the others are listed.
    fn list_files(&self, skipped: &HashSet<String>) -> Result<RebuildOutcome> {
        let (mut entries, mut n_broken, mut problem) = (Vec::new(), 0, None);
        for id in self.files.ids().into_iter().filter(|id| !skipped.contains(id)) {
            match self.files.read(&id) {
                Ok(EntryState::Intact(entry)) => entries.push((id, entry.metadata, entry.n_bytes)),
                Ok(EntryState::Broken(why)) => match self.set_aside_broken(&id, why) {
                    Ok(is_moved) => n_broken += usize::from(is_moved),
                    Err(error) => problem = Some(error),
                },
                Ok(EntryState::Absent | EntryState::Newer) => {}
                Err(error) => problem = Some(error),
            }
        }
        self.catalog().relist(&entries, &|id| self.files.entry(id).exists())?;
        let outcome = RebuildOutcome { n_entries: entries.len(), n_broken, was_damaged: false };
        problem.map_or(Ok(outcome), Err)
    }
}
