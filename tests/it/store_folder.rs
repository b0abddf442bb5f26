//! The folder of a store: no kill, damage, full disk or second process makes a wrong result of it or blocks its upkeep.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use vidgist::ErrorKind;
use vidgist::store::{ContentId, EntryKey, Origin, Store, StoreConfig};

use crate::support::command::{names, project};

fn key(n: u64) -> EntryKey {
    EntryKey {
        stage: "test".to_owned(),
        stage_version: 1,
        content: ContentId::of(&n.to_le_bytes()),
        options: BTreeMap::from([("n".to_owned(), n.into())]),
        producer: None,
        prompt_version: None,
    }
}

fn origin(name: &str) -> Origin {
    Origin { seen: name.to_owned(), title: None, n_bytes: None }
}

fn payload(n: u64) -> Vec<u8> {
    n.to_le_bytes().repeat(30_000)
}

/// In a process of its own, it writes entries until it is killed, and says how many it wrote.
#[test]
fn a_killed_writer_leaves_no_half_entry() {
    const FOLDER: &str = "VIDGIST_TEST_STORE";
    if let Some(folder) = std::env::var_os(FOLDER) {
        let store = Store::open(&StoreConfig::new(folder)).expect("a store");
        for n in 0.. {
            store.put(&key(n % 50), &origin("film.mp4"), &payload(n % 50)).expect("kept");
            println!("wrote {n}");
        }
    }
    for round in 0..20 {
        let folder = tempfile::tempdir().expect("a folder");
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "store_folder::a_killed_writer_leaves_no_half_entry", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        // It goes on while the line is read: it is killed anywhere in the next entry.
        let written = lines.map_while(Result::ok).filter(|line| line.contains("wrote")).nth(round % 7);
        assert!(written.is_some());
        child.kill().expect("killed");
        child.wait().expect("ended");
        let store = Store::open(&StoreConfig::new(folder.path())).expect("a store");
        let found = store.verify().expect("checked");
        assert!(found.n_broken == 0 && found.n_intact > round % 7, "{found:?}");
        for n in 0..=(round % 7) as u64 {
            assert_eq!(store.get(&key(n)).as_deref(), Some(&*payload(n)));
        }
    }
}

#[test]
fn the_least_recently_used_go_first_and_those_in_use_stay() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = StoreConfig { max_bytes: 2_000_000, ..StoreConfig::new(folder.path()) };
    let store = Store::open(&config).expect("a store");
    for n in 0..6 {
        store.put(&key(n), &origin(&format!("{n}.mp4")), &payload(n)).expect("kept");
    }
    let kept = |store: &Store| (0..6).filter(|n| entry_file(folder.path(), store, *n).exists()).collect::<Vec<u64>>();
    let gc = |max_bytes| store.gc(max_bytes).expect("cleaned").n_entries;
    // They were all used just now.
    assert_eq!((gc(0), kept(&store).len()), (0, 6));
    assert_eq!(store.gc(0).expect("cleaned").n_in_use, 6);
    assert_eq!(store.gc(u64::MAX).expect("cleaned").n_in_use, 0);
    // Long ago: 3 before 1 before 5 and so on.
    let database = rusqlite::Connection::open(folder.path().join("catalog.sqlite")).expect("a catalog");
    let used = |n: u64, at: i64| {
        let sql = "UPDATE entry SET used_ms = ? WHERE content = ?";
        database.execute(sql, rusqlite::params![at, key(n).content.as_str()]).expect("updated");
    };
    for (at, n) in [3, 1, 5, 0, 2, 4].into_iter().enumerate() {
        used(n, at as i64 + 1);
    }
    let n_bytes = store.n_bytes().expect("a size") / 6;
    assert_eq!(gc(5 * n_bytes + 500), 1);
    assert_eq!(kept(&store), [0, 1, 2, 4, 5]);
    // What is read is used.
    assert!(store.get(&key(1)).is_some());
    assert_eq!(gc(3 * n_bytes + 500), 2);
    assert_eq!(kept(&store), [1, 2, 4]);
    assert_eq!((gc(0), kept(&store)), (2, vec![1]));
    assert_eq!(store.contents().expect("a list")[0].names, ["1.mp4"]);
    // A full store makes room when something is kept.
    let small = Store::open(&StoreConfig { max_bytes: n_bytes, ..config }).expect("a store");
    used(1, 7);
    small.put(&key(0), &origin("0.mp4"), &payload(0)).expect("kept");
    assert_eq!(kept(&store), [0]);
}

/// The file of the entry of `key(n)`, by what the catalog or an open store says.
fn entry_file(folder: &Path, store: &Store, n: u64) -> PathBuf {
    let contents = store.contents().expect("a list");
    let found = contents.into_iter().find(|content| content.content == key(n).content);
    let id = found.and_then(|content| Some(content.entries.first()?.id.clone())).unwrap_or_else(|| "absent".to_owned());
    folder.join("entries").join(&id[..2]).join(format!("{id}.entry"))
}

#[test]
fn an_unchanged_file_is_not_read_again_and_a_changed_one_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(&StoreConfig::new(folder.path().join("store"))).expect("a store");
    let path = project().join("fixtures/talk.mp4");
    let id = store.content(&path).expect("read").id;
    assert_eq!(id, ContentId::of(&std::fs::read(&path).expect("read")));
    // Another hash in the catalog shows which one is taken.
    let database = rusqlite::Connection::open(folder.path().join("store/catalog.sqlite")).expect("a catalog");
    let forged = "0".repeat(64);
    assert_eq!(database.execute("UPDATE file SET content = ?", [&forged]).expect("updated"), 1);
    assert_eq!(store.content(&path).expect("remembered").id.as_str(), forged);
    for change in ["n_bytes = n_bytes + 1", "modified_ns = modified_ns - 1", "changed_ns = changed_ns - 1"] {
        database.execute(&format!("UPDATE file SET content = ?, {change}"), [&forged]).expect("updated");
        assert_eq!(store.content(&path).expect("read").id, id, "{change}");
    }
    // A change that sets the time back: a file that was written just now is read each time.
    let path = folder.path().join("file");
    std::fs::write(&path, b"one").expect("written");
    let modified = std::fs::metadata(&path).expect("a file").modified().expect("a time");
    let one = store.content(&path).expect("read");
    std::fs::write(&path, b"two").expect("written");
    std::fs::File::options().write(true).open(&path).expect("opened").set_modified(modified).expect("set");
    assert!(!one.is_still_in(&path));
    assert_eq!(store.content(&path).expect("read").id, ContentId::of(b"two"));
    for missing in ["absent", "store"] {
        store.content(&folder.path().join(missing)).expect_err(missing);
    }
}

/// A store with the entries of `key(n)` for each `n`.
fn store_with(folder: &Path, entries: &[u64]) -> Store {
    let store = Store::open(&StoreConfig::new(folder)).expect("a store");
    for n in entries {
        store.put(&key(*n), &origin(&format!("{n}.mp4")), &payload(*n)).expect("kept");
    }
    store
}

#[test]
fn an_entry_beyond_the_limit_and_foreign_folders_block_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = store_with(folder.path(), &[0, 1]);
    let huge = entry_file(folder.path(), &store, 1);
    std::fs::File::options()
        .write(true)
        .open(&huge)
        .and_then(|file| file.set_len((1 << 30) + 1))
        .expect("a sparse file");
    let stale = huge.with_file_name(".vidgist-1.tmp");
    std::fs::write(&stale, b"half").expect("written");
    let long_ago = std::time::SystemTime::UNIX_EPOCH;
    std::fs::File::options().write(true).open(&stale).and_then(|file| file.set_modified(long_ago)).expect("old");
    for name in ["broken/folder", "entries/00/folder.tmp", "entries/00/folder.entry"] {
        std::fs::create_dir_all(folder.path().join(name)).expect("created");
    }
    let found = store.verify().expect("checked");
    assert_eq!((found.n_intact, found.n_broken), (1, 1));
    assert!(!huge.exists() && store.get(&key(0)).is_some() && store.get(&key(1)).is_none());
    assert_eq!(names(&folder.path().join("broken")).len(), 2);
    assert_eq!(store.gc(u64::MAX).expect("cleaned").n_entries, 0);
    assert_eq!((names(&folder.path().join("broken")), stale.exists()), (vec!["folder".to_owned()], false));
    assert_eq!(Store::rebuild(&StoreConfig::new(folder.path())).expect("rebuilt").n_entries, 1);
    // The payload is not read: it takes no memory.
    let error = store.put(&key(1), &origin("1.mp4"), &vec![0; 1 << 30]).expect_err("too large");
    assert_eq!(error.kind, ErrorKind::Limit);
}

#[test]
fn entries_of_a_newer_format_are_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = store_with(folder.path(), &[0]);
    let mut newer = std::fs::read(entry_file(folder.path(), &store, 0)).expect("an entry");
    newer[8] = 2;
    let path = folder.path().join("entries/ab").join(format!("{}.entry", "ab".repeat(32)));
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("created");
    std::fs::write(&path, newer).expect("written");
    let found = store.verify().expect("checked");
    assert_eq!((found.n_intact, found.n_broken), (1, 0));
    store.gc(0).expect("cleaned");
    let found = Store::rebuild(&StoreConfig::new(folder.path())).expect("rebuilt");
    assert_eq!((found.n_entries, found.n_broken, path.exists()), (1, 0, true));
}

#[test]
fn an_entry_that_another_process_replaced_is_not_moved_aside() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = store_with(folder.path(), &[0]);
    store.set_aside(&key(0), b"what was read before", "it is no transcript");
    assert!(store.get(&key(0)).is_some());
    // The broken entry is a pipe: while it is read, an intact one takes its place.
    let path = entry_file(folder.path(), &store, 0);
    let intact = folder.path().join("intact");
    std::fs::rename(&path, &intact).expect("moved");
    assert!(Command::new("mkfifo").arg(&path).status().expect("mkfifo starts").success());
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| store.get(&key(0)));
        let mut pipe = std::fs::File::options().write(true).open(&path).expect("a reader");
        pipe.write_all(b"no entry").expect("written");
        std::fs::rename(&intact, &path).expect("moved");
        drop(pipe);
        assert_eq!(reader.join().expect("it ends"), None);
    });
    assert_eq!(names(&folder.path().join("broken")), Vec::<String>::new());
    assert_eq!(store.get(&key(0)), Some(payload(0)));
    // One that is still there is moved.
    store.set_aside(&key(0), &payload(0), "it is no transcript");
    assert_eq!((names(&folder.path().join("broken")).len(), store.get(&key(0))), (1, None));
}

#[test]
fn a_catalog_without_its_tables_loses_no_result() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = store_with(folder.path(), &[]);
    let database = rusqlite::Connection::open(folder.path().join("catalog.sqlite")).expect("a catalog");
    database.execute_batch("DROP TABLE file").expect("dropped");
    let content = store.content(&project().join("fixtures/talk.mp4")).expect("hashed").id;
    let key = EntryKey { content: content.clone(), ..key(0) };
    store.put(&key, &origin("talk.mp4"), b"text").expect("kept");
    for table in ["seen", "content", "entry"] {
        database.execute_batch(&format!("DROP TABLE {table}")).expect("dropped");
        store.meet(&content, "talk.mp4");
        assert_eq!(store.get(&key).as_deref(), Some(&b"text"[..]), "without {table}");
    }
}

#[test]
fn a_full_store_that_cannot_make_room_keeps_the_result() {
    let folder = tempfile::tempdir().expect("a folder");
    store_with(folder.path(), &[0, 1]);
    let small = Store::open(&StoreConfig { max_bytes: 1, ..StoreConfig::new(folder.path()) }).expect("a store");
    let path = entry_file(folder.path(), &small, 0);
    std::fs::remove_file(&path).and_then(|()| std::fs::create_dir(&path)).expect("a folder in its place");
    let database = rusqlite::Connection::open(folder.path().join("catalog.sqlite")).expect("a catalog");
    database.execute_batch("UPDATE entry SET used_ms = 1").expect("updated");
    small.put(&key(2), &origin("2.mp4"), &payload(2)).expect("kept");
    assert_eq!((small.get(&key(1)), small.get(&key(2))), (None, Some(payload(2))));
}

#[test]
fn a_removed_recording_leaves_no_trace() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = store_with(folder.path(), &[1]);
    let stages = ["broken", "unlisted", "listed"].map(|stage| EntryKey { stage: stage.to_owned(), ..key(0) });
    for stage in &stages {
        let origin = Origin { title: Some("a private title".into()), ..origin("/home/me/a private recording.mp4") };
        store.put(stage, &origin, b"a private sentence").expect("kept");
    }
    let holding = |text: &str| {
        let holds = |path: &&PathBuf| {
            let bytes = std::fs::read(path).unwrap_or_default();
            bytes.windows(text.len()).any(|found| found == text.as_bytes())
        };
        files_below(folder.path()).iter().filter(holds).count()
    };
    assert!(holding("a private recording") > 3);
    store.set_aside(&stages[0], b"a private sentence", "it is no transcript");
    let database = rusqlite::Connection::open(folder.path().join("catalog.sqlite")).expect("a catalog");
    assert_eq!(database.execute("DELETE FROM entry WHERE stage = 'unlisted'", []).expect("deleted"), 1);
    drop(database);
    assert_eq!(store.remove(&key(0).content).expect("removed").n_entries, 2);
    for text in ["a private recording", "a private title", "a private sentence", key(0).content.as_str()] {
        assert_eq!(holding(text), 0, "{text}");
    }
    assert_eq!(store.get(&key(1)), Some(payload(1)));
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let paths = names(folder).into_iter().map(|name| folder.join(name));
    paths.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}
