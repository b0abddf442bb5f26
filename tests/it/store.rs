//! The store: what was transcribed once is not transcribed again, whatever becomes of the file's name, and no kill, damage
//! or second process makes a wrong result of it.

use std::path::{Path, PathBuf};

use serde_json::Value;
use vidgist::store::{ContentId, Store, StoreConfig};

use crate::support::command::{Ran, User, names, project};
use crate::support::fake_server::{CHAT_MODEL, FakeServer, HEARING_MODEL};

/// A user, a copy of a recording in the home folder, and a server that transcribes it.
struct Setting {
    user: User,
    server: FakeServer,
}

impl Setting {
    fn new() -> Self {
        let setting = Self { user: User::new(), server: FakeServer::start() };
        std::fs::copy(project().join("fixtures/speech.wav"), setting.user.path("talk.wav")).expect("copied");
        setting
    }

    fn run(&self, args: &[&str]) -> Ran {
        let base_url = self.server.base_url();
        let server = ["--stt", "api", "--stt-model", HEARING_MODEL, "--stt-base-url", &base_url];
        self.user.run(&[args, &server].concat())
    }

    /// The transcript as JSON, and how many requests it took.
    fn transcribed(&self, name: &str, flags: &[&str]) -> (Value, usize) {
        let before = self.server.sounds().len();
        let ran = self.run(&[&["transcribe", &self.user.path(name), "--format", "json"], flags].concat());
        (serde_json::from_str(&ran.complete()).expect("JSON"), self.server.sounds().len() - before)
    }

    fn folder(&self) -> PathBuf {
        self.user.home.path().join(".local/share/vidgist/store")
    }

    fn store(&self) -> Store {
        Store::open(&StoreConfig::new(self.folder())).expect("a store")
    }

    /// All files of entries.
    fn entries(&self) -> Vec<PathBuf> {
        entries(&self.folder())
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let folder = folder.join("entries");
    let below = names(&folder).into_iter().flat_map(|name| {
        let folder = folder.join(name);
        names(&folder).into_iter().map(move |name| folder.join(name))
    });
    below.collect()
}

/// Without the key that says that it comes from the store.
fn content(transcript: &Value) -> Value {
    let mut transcript = transcript.clone();
    transcript.as_object_mut().expect("an object").remove("from_store");
    transcript
}

fn change_a_byte(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).expect("readable");
    bytes[at] ^= 1;
    std::fs::write(path, bytes).expect("written");
}

#[test]
fn the_same_content_and_options_are_transcribed_once() {
    let setting = Setting::new();
    let (first, n_requests) = setting.transcribed("talk.wav", &[]);
    assert!(n_requests > 0 && first.get("from_store").is_none(), "{first}");
    let stored = |name: &str, flags: &[&str]| {
        let (again, n_requests) = setting.transcribed(name, flags);
        assert_eq!((n_requests, &again["from_store"]), (0, &Value::Bool(true)), "{name} {flags:?}");
        assert_eq!(content(&again), first, "{name} {flags:?}");
    };
    stored("talk.wav", &[]);
    std::fs::rename(setting.user.path("talk.wav"), setting.user.path("moved.wav")).expect("moved");
    stored("moved.wav", &[]);
    std::fs::copy(setting.user.path("moved.wav"), setting.user.path("talk.wav")).expect("copied");
    stored("talk.wav", &[]);
    stored("talk.wav", &["--concurrency", "1", "--timeout", "1m"]);
    // It has one track.
    stored("talk.wav", &["--track", "1"]);

    let other = |name: &str, flags: &[&str]| {
        let (made, n_requests) = setting.transcribed(name, flags);
        assert!(n_requests > 0 && made.get("from_store").is_none(), "{name} {flags:?}: {made}");
    };
    for flags in [&["--language", "en"][..], &["--words"], &["--end", "2s"]] {
        other("talk.wav", flags);
        let (_, n_requests) = setting.transcribed("talk.wav", flags);
        assert_eq!(n_requests, 0, "{flags:?}");
    }
    other("talk.wav", &["--no-store"]);
    let elsewhere = setting.user.path("elsewhere");
    other("talk.wav", &["--store", &elsewhere]);
    assert_eq!(entries(Path::new(&elsewhere)).len(), 1);
    // Fresh: it is made anew, and replaces what was there.
    let n_entries = setting.entries().len();
    other("talk.wav", &["--fresh"]);
    assert_eq!(setting.entries().len(), n_entries);
    stored("talk.wav", &[]);
    // One byte of the sound.
    change_a_byte(Path::new(&setting.user.path("talk.wav")), 100_000);
    other("talk.wav", &[]);
    assert_eq!(setting.server.refusals(), Vec::<String>::new());
}

#[test]
fn reports_and_logs_say_what_comes_from_the_store() {
    let setting = Setting::new();
    let talk = setting.user.path("talk.wav");
    setting.run(&["transcribe", &talk]).complete();
    let log = setting.run(&["transcribe", &talk, "-v"]).err;
    assert!(log.contains("talk.wav: the transcript comes from the store"), "{log}");
    let markdown = setting.run(&["summarize", &talk, "--model", "built-in"]).complete();
    assert!(markdown.contains("transcribed by fake-ear, from the store"), "{markdown}");
    let report = setting.run(&["summarize", &talk, "--model", "built-in", "--format", "json"]).complete();
    let report: Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(report["transcript"]["from_store"], true, "{report}");
    // Captions and descriptions take it too; a dry run sends nothing and knows the words.
    let film = setting.user.path("film.mp4");
    std::fs::copy(project().join("fixtures/sound-late.mp4"), &film).expect("copied");
    setting.run(&["transcribe", &film]).complete_but_told();
    let n_sounds = setting.server.sounds().len();
    let base_url = setting.server.base_url();
    let described = setting.run(&["describe-audio", &talk, "--model", "built-in"]);
    assert_eq!(described.code, Some(0), "{described:?}");
    let captioned = setting.run(&["caption", &film, "--base-url", &base_url, "--model", CHAT_MODEL]);
    assert_eq!(captioned.code, Some(0), "{captioned:?}");
    let plan = setting.run(&["plan", &talk, "--base-url", &base_url, "--model", CHAT_MODEL]).complete();
    assert!(!plan.contains("its words are not counted"), "{plan}");
    assert_eq!(setting.server.sounds().len(), n_sounds);
    setting.run(&["describe-audio", &talk, "--model", "built-in", "--fresh"]).complete_but_told();
    assert!(setting.server.sounds().len() > n_sounds);
}

#[test]
fn silence_is_remembered_as_silence() {
    let setting = Setting::new();
    let silence = setting.user.path("silence.wav");
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 16_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut file = hound::WavWriter::create(&silence, spec).expect("created");
    (0..32_000).for_each(|_| file.write_sample(0_i16).expect("written"));
    file.finalize().expect("written");
    let report = |flags: &[&str]| -> Value {
        let args = [&["summarize", &silence, "--model", "built-in", "--format", "json"], flags].concat();
        serde_json::from_str(&setting.run(&args).complete_but_told()).expect("JSON")
    };
    assert_eq!(report(&[])["transcript"]["state"], "no_speech");
    let again = report(&[]);
    assert_eq!(
        (&again["transcript"]["state"], &again["transcript"]["from_store"]),
        (&"no_speech".into(), &true.into())
    );
}

#[test]
fn a_joined_recording_is_another_content_than_its_first_file() {
    let setting = Setting::new();
    let (first, _) = setting.transcribed("talk.wav", &[]);
    std::fs::copy(setting.user.path("talk.wav"), setting.user.path("talk2.wav")).expect("copied");
    let more = [&*setting.user.path("talk2.wav"), "--join"];
    let (joined, n_requests) = setting.transcribed("talk.wav", &more);
    assert!(n_requests > 0 && content(&joined) != first, "{joined}");
    let (again, n_requests) = setting.transcribed("talk.wav", &more);
    assert_eq!((n_requests, content(&again)), (0, joined));
    assert_eq!(content(&setting.transcribed("talk.wav", &[]).0), first);
    // Another part.
    change_a_byte(Path::new(&setting.user.path("talk2.wav")), 100_000);
    assert!(setting.transcribed("talk.wav", &more).1 > 0);
}

#[test]
fn whisper_is_kept_by_the_content_of_its_model() {
    let Some(user) = super::speech::user() else { return };
    let heard = |flags: &[&str]| super::speech::heard(&user, "fixtures/speech.wav", flags);
    let first = heard(&[]);
    assert!(first.get("from_store").is_none() && !super::speech::text(&first).is_empty(), "{first}");
    let again = heard(&[]);
    assert_eq!((content(&again), &again["from_store"]), (first, &true.into()));
    assert!(heard(&["--whisper-model", "tiny.en"]).get("from_store").is_none());
}

#[test]
fn what_takes_no_work_leaves_no_store() {
    let user = User::new();
    user.run(&["transcribe", "fixtures/talk.mp4"]).complete();
    user.run(&["summarize", "fixtures/picture.png"]).complete();
    user.run(&["store", "list"]).complete();
    user.run(&["doctor"]).complete();
    assert_eq!(names(&user.home.path().join(".local/share")), Vec::<String>::new());
}

#[test]
fn standard_input_is_kept_by_its_content() {
    let setting = Setting::new();
    let (first, _) = setting.transcribed("talk.wav", &[]);
    let base_url = setting.server.base_url();
    let n_sounds = setting.server.sounds().len();
    let mut command = setting.user.command(&["transcribe", "-", "--format", "json", "--stt", "api"]);
    command.args(["--stt-model", HEARING_MODEL, "--stt-base-url", &base_url]);
    command.stdin(std::fs::File::open(setting.user.path("talk.wav")).expect("opened"));
    let again: Value = serde_json::from_str(&crate::support::command::ran(&mut command).complete()).expect("JSON");
    assert_eq!((content(&again), setting.server.sounds().len()), (first, n_sounds));
    let contents = setting.store().contents().expect("a list");
    assert_eq!(contents[0].names, ["stdin", &*setting.user.path("talk.wav")]);
}

#[test]
fn a_broken_entry_is_a_miss_and_is_moved_aside() {
    let setting = Setting::new();
    let (first, _) = setting.transcribed("talk.wav", &[]);
    let [entry] = &*setting.entries() else { panic!("one entry") };
    let whole = std::fs::read(entry).expect("an entry");
    let mut changed = whole.clone();
    changed[whole.len() - 9] ^= 0x20;
    for broken in [&changed[..], &whole[..whole.len() / 2], b""] {
        std::fs::write(entry, broken).expect("written");
        let n_sounds = setting.server.sounds().len();
        let ran = setting.run(&["transcribe", &setting.user.path("talk.wav"), "--format", "json"]);
        assert!(ran.err.contains("a broken entry of the store is moved aside"), "{ran:?}");
        assert_eq!(serde_json::from_str::<Value>(&ran.complete_but_told()).expect("JSON"), first);
        assert!(setting.server.sounds().len() > n_sounds);
        let aside = setting.folder().join("broken").join(entry.file_name().expect("a name"));
        assert_eq!(std::fs::read(aside).expect("moved aside"), broken);
        assert_eq!(setting.transcribed("talk.wav", &[]).1, 0, "kept again");
    }
    // An intact entry under another's name.
    let other = setting.folder().join("entries/00").join(format!("{}.entry", "0".repeat(64)));
    std::fs::create_dir_all(other.parent().expect("a folder")).expect("created");
    std::fs::copy(entry, &other).expect("copied");
    let ran = setting.user.run(&["store", "verify"]);
    assert_eq!((ran.code, &*ran.out), (Some(1), "1 result intact, 1 broken and moved aside\n"));
    assert_eq!(setting.user.run(&["store", "verify"]).complete(), "1 result intact, 0 broken and moved aside\n");
    assert!(!other.exists() && entry.exists());
}

#[test]
fn a_store_that_cannot_be_written_is_a_warning() {
    let setting = Setting::new();
    std::fs::write(setting.user.path("file"), b"").expect("written");
    let store = setting.user.path("file/store");
    for _ in 0..2 {
        let ran = setting.run(&["transcribe", &setting.user.path("talk.wav"), "--store", &store]);
        assert!(ran.err.contains("file/store") && ran.err.contains("this run uses no store"), "{ran:?}");
        assert!(!ran.complete_but_told().is_empty());
    }
    let doctor = setting.user.run(&["doctor", "--store", &store]);
    assert!(doctor.code == Some(1) && doctor.out.contains("BAD  store"), "{doctor:?}");
    let list = setting.user.run(&["store", "list", "--store", &store]);
    assert_eq!(list.code, Some(2), "{list:?}");
}

#[test]
fn a_damaged_catalog_loses_no_result() {
    let setting = Setting::new();
    setting.transcribed("talk.wav", &[]);
    let catalog = setting.folder().join("catalog.sqlite");
    std::fs::write(&catalog, b"this is no database, but long enough to have a header".repeat(20)).expect("written");
    let ran = setting.run(&["transcribe", &setting.user.path("talk.wav")]);
    assert!(ran.err.contains("the catalog of the store is damaged; run: vidgist store rebuild"), "{ran:?}");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let rebuilt = setting.user.run(&["store", "rebuild"]).complete();
    assert_eq!(rebuilt, "1 result listed, 0 broken and moved aside; the damaged catalog was moved aside\n");
    assert_eq!(setting.transcribed("talk.wav", &[]).1, 0);
    let contents = setting.store().contents().expect("a list");
    assert_eq!((contents.len(), &*contents[0].names), (1, &[setting.user.path("talk.wav")][..]));
    // One that opens, but lacks tables: no name is noted, and no hash is known.
    let database = rusqlite::Connection::open(&catalog).expect("a catalog");
    database.execute_batch("DROP TABLE file; DROP TABLE seen").expect("dropped");
    assert_eq!(setting.transcribed("talk.wav", &[]).1, 0);
    drop(database);
    // Without a catalog, as with a damaged one.
    std::fs::remove_file(&catalog).expect("removed");
    assert_eq!(setting.transcribed("talk.wav", &[]).1, 0);
    assert_eq!(setting.store().contents().expect("a list").len(), 1, "what is used is listed again");
    assert_eq!(setting.user.run(&["store", "rebuild"]).complete(), "1 result listed, 0 broken and moved aside\n");
}

#[test]
fn several_processes_use_one_store() {
    let setting = Setting::new();
    let base_url = setting.server.base_url();
    let talk = std::fs::read(setting.user.path("talk.wav")).expect("readable");
    let start = |name: &str| {
        let args = ["transcribe", &setting.user.path(name), "--stt", "api", "--stt-model", HEARING_MODEL];
        setting.user.command(&[&args[..], &["--stt-base-url", &base_url]].concat()).spawn().expect("vidgist starts")
    };
    let files: Vec<String> = (0..6).map(|n| format!("{n}.wav")).collect();
    for (n, name) in files.iter().enumerate() {
        let mut bytes = talk.clone();
        bytes[100_000] = n as u8;
        std::fs::write(setting.user.path(name), bytes).expect("written");
    }
    // The store does not exist yet: they create it at the same time. Each file is transcribed by two processes.
    let children: Vec<_> = files.iter().chain(&files).map(|name| start(name)).collect();
    for child in children {
        let output = child.wait_with_output().expect("it ends");
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && log.is_empty() && !output.stdout.is_empty(), "{log}");
    }
    let contents = setting.store().contents().expect("a list");
    assert_eq!((contents.len(), setting.entries().len()), (6, 6));
    let n_sounds = setting.server.sounds().len();
    for name in &files {
        assert_eq!(setting.transcribed(name, &[]).0["from_store"], true);
    }
    assert_eq!(setting.server.sounds().len(), n_sounds);
}

#[test]
fn contents_are_listed_shown_and_removed() {
    let setting = Setting::new();
    let evil = "a\u{1b}[31m\u{202e}b\nc.wav";
    std::fs::rename(setting.user.path("talk.wav"), setting.user.path(evil)).expect("renamed");
    setting.transcribed(evil, &["--language", "en"]);
    setting.transcribed(evil, &["--words"]);
    let listed = setting.user.run(&["store", "list"]).complete();
    let id = ContentId::of(&std::fs::read(setting.user.path(evil)).expect("read"));
    assert!(listed.contains(&id.as_str()[..12]) && listed.contains("of at most 20.00 GB"), "{listed}");
    let list: Value = serde_json::from_str(&setting.user.run(&["store", "list", "--json"]).complete()).expect("JSON");
    assert_eq!((&list[0]["content"], list.as_array().map(Vec::len)), (&id.as_str().into(), Some(1)));
    let path = setting.user.path(evil);
    let shown = setting.user.run(&["store", "show", &path]).complete();
    assert!(
        shown.contains(id.as_str()) && shown.contains(" by fake-ear") && shown.contains("word_times true"),
        "{shown}"
    );
    for text in [&listed, &shown] {
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
        assert!(!text.lines().any(|line| line.starts_with("c.wav")), "{text}");
    }
    // By the beginning of its ID, and by its name when the file is gone.
    std::fs::remove_file(&path).expect("removed");
    for name in [&id.as_str()[..8], &path] {
        let shown = setting.user.run(&["store", "show", name, "--json"]).complete();
        let shown: Value = serde_json::from_str(&shown).expect("JSON");
        assert_eq!((&shown["content"], shown["entries"].as_array().map(Vec::len)), (&id.as_str().into(), Some(2)));
    }
    let gc = setting.user.run(&["store", "gc", "--max-size", "1B"]).complete();
    let kept = "removed 0 results (0 B)\nkept 2 results beyond the limit: used within the last 10 minutes\n";
    assert!(gc.starts_with(kept) && gc.ends_with(" left\n"), "{gc}");
    assert!(!setting.user.run(&["store", "gc"]).complete().contains("kept"));
    for bad in ["1XB", "many", "", "1 GB of it"] {
        let ran = setting.user.run(&["store", "gc", "--max-size", bad]);
        assert!(ran.code == Some(2) && ran.err.contains("is not a size; write it as 500MB or 20GB"), "{ran:?}");
    }
    let doctor = setting.user.run(&["doctor"]).complete();
    assert!(doctor.contains("ok   store") && doctor.contains(".local/share/vidgist/store"), "{doctor}");
    assert!(setting.user.run(&["store", "remove", &id.as_str()[..8]]).complete().starts_with("removed 2 results"));
    assert_eq!(setting.entries(), Vec::<PathBuf>::new());
    for name in ["store list", "absent.mp4", &id.as_str()[..8], "fixtures/talk.mp4"] {
        let ran = setting.user.run(&["store", "remove", name]);
        assert!(ran.code == Some(2) && ran.err.contains("the store has no results for it"), "{ran:?}");
    }
    assert!(setting.user.run(&["store", "gc"]).complete().starts_with("removed 0 results"));
}

#[test]
fn the_configuration_chooses_the_store() {
    let setting = Setting::new();
    let config = setting.user.path("config.toml");
    let folder = setting.user.path("chosen");
    let with = |text: &str, args: &[&str]| {
        std::fs::write(&config, text).expect("written");
        setting.user.run(&[args, &["--config", &config]].concat())
    };
    std::fs::write(&config, format!("store = {folder:?}\nstore_max_size = \"3MB\"\n")).expect("written");
    setting.transcribed("talk.wav", &["--config", &config]);
    assert_eq!(entries(Path::new(&folder)).len(), 1);
    let listed = setting.user.run(&["store", "--config", &config]).complete();
    assert!(listed.contains("/chosen") && listed.contains("of at most 3.00 MB"), "{listed}");
    std::fs::write(&config, "store = false\n").expect("written");
    setting.transcribed("talk.wav", &["--config", &config]);
    assert!(!setting.folder().exists());
    assert!(with("store = false", &["doctor"]).out.contains("results are not kept"));
    let ran = with("store = false", &["store", "list"]);
    assert!(ran.code == Some(2) && ran.err.contains("is switched off"), "{ran:?}");
    assert!(with("store = true", &["store", "list"]).complete().contains(".local/share/vidgist/store"));
    assert!(with("store_max_size = 3000000", &["store", "list"]).complete().contains("of at most 3.00 MB"));
    for bad in ["store = \"\"", "store = 3"] {
        let ran = with(bad, &["store", "list"]);
        assert!(ran.code == Some(2) && ran.err.contains("config.toml"), "{bad}: {ran:?}");
    }
    for bad in ["\"many\"", "\"-1GB\"", "-1", "true", "[]"] {
        let ran = with(&format!("store_max_size = {bad}"), &["store", "list"]);
        assert!(ran.code == Some(2) && ran.err.contains("config.toml: line 1: "), "{bad}: {ran:?}");
        assert!(ran.err.contains(" is not a size; write it as 500MB or 20GB"), "{bad}: {ran:?}");
    }
}

#[test]
fn the_store_is_private_and_holds_no_key() {
    use std::os::unix::fs::PermissionsExt as _;
    let setting = Setting { server: FakeServer::start_with_key("sk-secret-of-the-test"), ..Setting::new() };
    let base_url = setting.server.base_url().replace("http://", "http://user:pass-word@");
    let mut command = setting.user.command(&["transcribe", &setting.user.path("talk.wav"), "--stt", "api"]);
    command.args(["--stt-model", HEARING_MODEL, "--stt-base-url", &base_url]);
    command.env("OPENAI_API_KEY", "sk-secret-of-the-test");
    let ran = crate::support::command::ran(&mut command);
    assert!(ran.code == Some(2) && ran.err.contains("contains a user name or password"), "{ran:?}");
    let base_url = setting.server.base_url();
    let mut command = setting.user.command(&["transcribe", &setting.user.path("talk.wav"), "--stt", "api"]);
    command.args(["--stt-model", HEARING_MODEL, "--stt-base-url", &base_url]);
    command.env("OPENAI_API_KEY", "sk-secret-of-the-test");
    crate::support::command::ran(&mut command).complete();
    let folder = setting.folder();
    let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o077;
    assert_eq!(mode(&folder), 0);
    let databases = ["catalog.sqlite", "catalog.sqlite-wal"].map(|name| folder.join(name));
    let files = setting.entries().into_iter().chain(databases.into_iter().filter(|path| path.exists()));
    for path in files {
        let bytes = String::from_utf8_lossy(&std::fs::read(&path).expect("readable")).into_owned();
        assert!(!bytes.contains("sk-secret") && !bytes.contains("pass-word"), "{} after {ran:?}", path.display());
    }
}
