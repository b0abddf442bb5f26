//! The list of what the store holds, in `SQLite`: for listing, for the order of last use, and for the hashes of files.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Transaction, TransactionBehavior, params};

use super::content::{ContentId, FileStamp};
use super::entry::EntryMetadata;
use super::summary::{GcOutcome, StoredContent, StoredEntry};
use crate::advice::Advice;
use crate::error::{Error, Result};

const VERSION: i64 = 1;
/// How long one process waits for the writes of another.
const BUSY: Duration = Duration::from_secs(10);
/// Hashes older than this are discarded.
const REMEMBERED_MS: i64 = 90 * 24 * 3600 * 1000;

const SCHEMA: &str = "
CREATE TABLE file (
    device INTEGER NOT NULL, inode INTEGER NOT NULL, n_bytes INTEGER NOT NULL, modified_ns INTEGER NOT NULL,
    changed_ns INTEGER NOT NULL, content TEXT NOT NULL, used_ms INTEGER NOT NULL, PRIMARY KEY (device, inode)
) WITHOUT ROWID;
CREATE TABLE content (id TEXT PRIMARY KEY, title TEXT, n_bytes INTEGER, used_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE seen (
    content TEXT NOT NULL, name TEXT NOT NULL, seen_ms INTEGER NOT NULL, PRIMARY KEY (content, name)
) WITHOUT ROWID;
CREATE TABLE entry (
    id TEXT PRIMARY KEY, content TEXT NOT NULL, stage TEXT NOT NULL, producer TEXT, options TEXT NOT NULL,
    n_bytes INTEGER NOT NULL, created_ms INTEGER NOT NULL, used_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX entry_content ON entry (content);
CREATE INDEX entry_used ON entry (used_ms);
";

#[derive(Debug)]
pub(super) struct Catalog {
    path: PathBuf,
    connection: Connection,
}

type Sql<T> = rusqlite::Result<T>;

impl Catalog {
    pub fn open(path: &Path) -> Result<Self> {
        create_private(path).map_err(|error| Error::io(path, error))?;
        let open = || -> Sql<(Connection, i64)> {
            let mut connection = Connection::open(path)?;
            connection.busy_timeout(BUSY)?;
            let version = |connection: &Connection| connection.query_row("PRAGMA user_version", [], |row| row.get(0));
            let mut found = version(&connection)?;
            if found == 0 {
                connection.pragma_update(None, "journal_mode", "WAL")?;
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                // Another process may have been faster.
                if version(&transaction)? == 0 {
                    transaction.execute_batch(SCHEMA)?;
                    transaction.pragma_update(None, "user_version", VERSION)?;
                }
                transaction.commit()?;
                found = version(&connection)?;
            }
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            // Names and titles of removed recordings leave no trace in unused parts of the file.
            connection.pragma_update(None, "secure_delete", true)?;
            Ok((connection, found))
        };
        match open() {
            Ok((connection, VERSION)) => Ok(Self { path: path.to_owned(), connection }),
            Ok(_) => {
                Err(Error::unsupported(path.display(), "was made by another version of vidgist", "update vidgist"))
            }
            Err(error) => Err(failed(path, error)),
        }
    }

    /// The content of the file with this stamp; None if it is not known.
    pub fn remembered(&self, stamp: &FileStamp) -> Result<Option<ContentId>> {
        let sql = "SELECT content FROM file
            WHERE device = ? AND inode = ? AND n_bytes = ? AND modified_ns = ? AND changed_ns = ?";
        let found = self.connection.query_row(sql, stamp_params(stamp), |row| row.get(0).map(ContentId)).optional();
        found.map_err(|error| failed(&self.path, error))
    }

    pub fn remember(&mut self, stamp: &FileStamp, content: &ContentId, now: i64) -> Result<()> {
        let [device, inode, n_bytes, modified, changed] = stamp_params(stamp);
        self.change(|transaction| {
            let sql = "INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?, ?)";
            transaction.execute(sql, params![device, inode, n_bytes, modified, changed, content.as_str(), now])?;
            transaction.execute("DELETE FROM file WHERE used_ms < ?", [now - REMEMBERED_MS])?;
            Ok(())
        })
    }

    /// Lists an entry, whose file `publish` puts in its place, as used `now`.
    pub fn publish(
        &mut self,
        id: &str,
        metadata: &EntryMetadata,
        n_bytes: u64,
        now: i64,
        publish: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let mut published = Ok(());
        self.change(|transaction| {
            published = publish();
            if published.is_ok() { list(transaction, id, metadata, n_bytes, now) } else { Ok(()) }
        })?;
        published
    }

    /// Notes that an entry is used, and lists it if it is not listed.
    pub fn use_entry(&mut self, id: &str, metadata: &EntryMetadata, n_bytes: u64, now: i64) -> Result<()> {
        self.change(|transaction| list(transaction, id, metadata, n_bytes, now))
    }

    /// Notes that `content` was met under this name.
    pub fn meet(&mut self, content: &ContentId, name: &str, now: i64) -> Result<()> {
        self.change(|transaction| {
            let sql = "INSERT OR REPLACE INTO seen SELECT id, ?, ? FROM content WHERE id = ?";
            transaction.execute(sql, params![name, now, content.as_str()]).map(drop)
        })
    }

    /// Forgets an entry, unless `set_aside` leaves its file where it is; whether it moved the file.
    pub fn forget_entry(&mut self, id: &str, set_aside: impl FnOnce() -> Result<bool>) -> Result<bool> {
        let mut is_moved = Ok(false);
        self.change(|transaction| {
            is_moved = set_aside();
            if matches!(is_moved, Ok(true)) {
                transaction.execute("DELETE FROM entry WHERE id = ?", [id])?;
                drop_empty(transaction)?;
            }
            Ok(())
        })?;
        is_moved
    }

    /// The IDs of all entries that are listed.
    pub fn ids(&self) -> Result<HashSet<String>> {
        let ids = ids_and_sizes(&self.connection, "SELECT id, n_bytes FROM entry", []);
        ids.map(|ids| ids.into_iter().map(|(id, _)| id).collect()).map_err(|error| failed(&self.path, error))
    }

    /// Removes the entries of a content, whose files `remove` removes, and all that is known of it.
    pub fn remove_content(&mut self, content: &ContentId, remove: &dyn Fn(&str) -> Result<()>) -> Result<GcOutcome> {
        let (mut removed, mut problem) = (GcOutcome::default(), None);
        self.change(|transaction| {
            let sql = "SELECT id, n_bytes FROM entry WHERE content = ?";
            for (id, n_bytes) in ids_and_sizes(transaction, sql, params![content.as_str()])? {
                remove_one(transaction, &id, n_bytes, remove, &mut removed, &mut problem)?;
            }
            transaction.execute("DELETE FROM file WHERE content = ?", [content.as_str()])?;
            drop_empty(transaction)
        })?;
        // The log of writes has the names, too. It stays where another process reads it.
        if let Err(error) = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
            tracing::debug!(%error, "the log of the catalog was not emptied");
        }
        problem.map_or(Ok(removed), Err)
    }

    /// Removes entries, least recently used first, until they take at most `max_bytes`. Entries that were used at or
    /// after `in_use` stay.
    pub fn remove_oldest(
        &mut self,
        max_bytes: u64,
        in_use: i64,
        remove: &dyn Fn(&str) -> Result<()>,
    ) -> Result<GcOutcome> {
        let (mut removed, mut problem) = (GcOutcome::default(), None);
        if self.n_bytes()? <= max_bytes {
            return Ok(removed);
        }
        self.change(|transaction| {
            let before = total(transaction)?;
            let mut left = before;
            let sql = "SELECT id, n_bytes FROM entry WHERE used_ms < ? ORDER BY used_ms, id";
            for (id, n_bytes) in ids_and_sizes(transaction, sql, params![in_use])? {
                if left <= max_bytes {
                    break;
                }
                remove_one(transaction, &id, n_bytes, remove, &mut removed, &mut problem)?;
                left = before.saturating_sub(removed.n_bytes);
            }
            if left > max_bytes {
                let sql = "SELECT count(*) FROM entry WHERE used_ms >= ?";
                let n_in_use: i64 = transaction.query_row(sql, [in_use], |row| row.get(0))?;
                removed.n_in_use = usize::try_from(n_in_use).unwrap_or_default();
            }
            drop_empty(transaction)
        })?;
        problem.map_or(Ok(removed), Err)
    }

    /// The size of all entries in bytes.
    pub fn n_bytes(&self) -> Result<u64> {
        total(&self.connection).map_err(|error| failed(&self.path, error))
    }

    /// Lists `entries`, each with its name and size, and no entry whose file is gone.
    pub fn relist(&mut self, entries: &[(String, EntryMetadata, u64)], exists: &dyn Fn(&str) -> bool) -> Result<()> {
        self.change(|transaction| {
            // What is listed already keeps its time of use.
            let is_listed = |id: &str| transaction.prepare("SELECT 1 FROM entry WHERE id = ?")?.exists([id]);
            for (id, metadata, n_bytes) in entries {
                if !is_listed(id)? {
                    list(transaction, id, metadata, *n_bytes, metadata.created_ms)?;
                }
            }
            // Another process may have kept more since the files were listed.
            for (id, _) in ids_and_sizes(transaction, "SELECT id, n_bytes FROM entry", [])? {
                if !exists(&id) {
                    transaction.execute("DELETE FROM entry WHERE id = ?", [id])?;
                }
            }
            drop_empty(transaction)
        })
    }

    /// All contents, the one that was used last first.
    pub fn contents(&self) -> Result<Vec<StoredContent>> {
        self.read_contents().map_err(|error| failed(&self.path, error))
    }

    fn read_contents(&self) -> Sql<Vec<StoredContent>> {
        let mut contents =
            self.connection.prepare("SELECT id, title, n_bytes, used_ms FROM content ORDER BY used_ms DESC, id")?;
        let mut names =
            self.connection.prepare("SELECT name FROM seen WHERE content = ? ORDER BY seen_ms DESC, name")?;
        let mut entries = self.connection.prepare(
            "SELECT id, stage, producer, options, n_bytes, created_ms, used_ms FROM entry WHERE content = ?
            ORDER BY created_ms, id",
        )?;
        let found = contents.query_map([], |row| {
            let id: String = row.get(0)?;
            let names = names.query_map([&id], |row| row.get(0))?.collect::<Sql<_>>()?;
            let entries = entries.query_map([&id], stored_entry)?.collect::<Sql<_>>()?;
            Ok(StoredContent {
                content: ContentId(id),
                title: row.get(1)?,
                file_bytes: row.get::<_, Option<i64>>(2)?.map(unsigned),
                used_ms: row.get(3)?,
                names,
                entries,
            })
        })?;
        found.collect()
    }

    /// Runs `work` in a write transaction, which excludes those of other processes.
    fn change(&mut self, work: impl FnOnce(&Transaction<'_>) -> Sql<()>) -> Result<()> {
        let change = || {
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            work(&transaction)?;
            transaction.commit()
        };
        change().map_err(|error| failed(&self.path, error))
    }
}

/// `SQLite` gives its other files the permissions of this one.
fn create_private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::File::options();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

fn list(transaction: &Transaction<'_>, id: &str, metadata: &EntryMetadata, n_bytes: u64, used: i64) -> Sql<()> {
    let EntryMetadata { key, origin, created_ms } = metadata;
    let (content, size) = (key.content.as_str(), origin.n_bytes.map(signed));
    transaction.execute(
        "INSERT INTO content VALUES (?1, ?2, ?3, ?4) ON CONFLICT (id) DO UPDATE SET
            title = coalesce(title, ?2), n_bytes = coalesce(n_bytes, ?3), used_ms = max(used_ms, ?4)",
        params![content, origin.title, size, used],
    )?;
    let sql = "INSERT INTO seen VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
    transaction.execute(sql, params![content, origin.seen, created_ms])?;
    let options = serde_json::to_string(&key.options).unwrap_or_default();
    transaction.execute(
        "INSERT INTO entry VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (id) DO UPDATE SET
            n_bytes = ?6, created_ms = ?7, used_ms = max(used_ms, ?8)",
        params![id, content, key.stage, key.producer, options, signed(n_bytes), created_ms, used],
    )?;
    Ok(())
}

fn remove_one(
    transaction: &Transaction<'_>,
    id: &str,
    n_bytes: u64,
    remove: &dyn Fn(&str) -> Result<()>,
    removed: &mut GcOutcome,
    problem: &mut Option<Error>,
) -> Sql<()> {
    match remove(id) {
        Ok(()) => {
            transaction.execute("DELETE FROM entry WHERE id = ?", [id])?;
            removed.n_entries += 1;
            removed.n_bytes += n_bytes;
        }
        Err(error) => *problem = Some(error),
    }
    Ok(())
}

/// A content without entries is not listed.
fn drop_empty(transaction: &Transaction<'_>) -> Sql<()> {
    transaction.execute("DELETE FROM content WHERE id NOT IN (SELECT content FROM entry)", [])?;
    transaction.execute("DELETE FROM seen WHERE content NOT IN (SELECT id FROM content)", [])?;
    Ok(())
}

fn total(connection: &Connection) -> Sql<u64> {
    connection.query_row("SELECT coalesce(sum(n_bytes), 0) FROM entry", [], |row| row.get(0)).map(unsigned)
}

fn ids_and_sizes(connection: &Connection, sql: &str, params: impl rusqlite::Params) -> Sql<Vec<(String, u64)>> {
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map(params, |row| Ok((row.get(0)?, unsigned(row.get(1)?))))?;
    rows.collect()
}

fn stored_entry(row: &rusqlite::Row<'_>) -> Sql<StoredEntry> {
    let options: String = row.get(3)?;
    Ok(StoredEntry {
        id: row.get(0)?,
        stage: row.get(1)?,
        producer: row.get(2)?,
        options: serde_json::from_str(&options).unwrap_or_default(),
        n_bytes: unsigned(row.get(4)?),
        created_ms: row.get(5)?,
        used_ms: row.get(6)?,
    })
}

/// `SQLite` has signed numbers; the bits are kept.
fn stamp_params(stamp: &FileStamp) -> [i64; 5] {
    let FileStamp { device, inode, n_bytes, modified_ns, changed_ns } = *stamp;
    [device.cast_signed(), inode.cast_signed(), signed(n_bytes), modified_ns, changed_ns]
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or_default()
}

fn failed(path: &Path, error: rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            let problem = "the catalog of the store is damaged";
            Error::malformed(path.display(), problem, Advice::Run("store rebuild".into())).because(error)
        }
        _ => Error::io(path, std::io::Error::other(error)),
    }
}
