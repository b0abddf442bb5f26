//! The shape that `ARCHITECTURE.md` promises, read from the sources: who imports whom, where foreign code is called,
//! how long files are.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What every module may use: it knows nothing of the stages.
const VOCABULARY: &[&str] = &[
    "change",
    "error",
    "files",
    "language",
    "limits",
    "media",
    "message",
    "money",
    "time",
    "timeline",
    "transcript",
    "untrusted",
];

/// Which module uses which other, besides the vocabulary, and why. All else is refused.
const ALLOWED: &[(&str, &str, &str)] = &[
    ("probe", "libav", "containers are read there"),
    ("probe", "source", "its input"),
    ("probe", "video", "a stream or camera can be asked by opening it alone"),
    ("video", "libav", "packets tell where the frames are"),
    ("video", "source", "its input"),
    ("video", "probe", "a claimed size is checked in one place"),
    ("audio", "libav", "packet times, and edit lists"),
    ("transcribe", "libav", "packets of embedded subtitles"),
    ("transcribe", "audio", "speech is sent as sound"),
    ("transcribe", "service", "the endpoint is a server"),
    ("model", "service", "the model is a server"),
    ("model", "audio", "the built-in one puts what was measured into words"),
    ("prompt", "audio", "what was measured of a sound"),
    ("report", "audio", "what was measured of a sound"),
    ("report", "model", "it names who answered"),
    ("report", "plan", "it names why each frame was looked at"),
];

/// The vocabulary's own order: each uses what stands before it, and these besides.
const WITHIN_VOCABULARY: &[(&str, &str)] = &[
    ("change", "time"),
    ("files", "error"),
    ("files", "media"),
    ("media", "time"),
    ("message", "media"),
    ("message", "money"),
    ("timeline", "change"),
    ("timeline", "media"),
    ("timeline", "time"),
    ("timeline", "transcript"),
    ("transcript", "time"),
];

struct SourceFile {
    /// Below `src/`, with forward slashes.
    path: String,
    /// The top-level module that it belongs to.
    module: String,
    text: String,
}

fn sources() -> Vec<SourceFile> {
    fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root, &mut found);
    found.sort();
    let files = found.iter().map(|path| {
        let below = path.strip_prefix(&root).expect("below src").to_str().expect("UTF-8").replace('\\', "/");
        let module = below.split(['/', '.']).next().expect("a name").to_owned();
        SourceFile { path: below, module, text: std::fs::read_to_string(path).expect("UTF-8") }
    });
    files.collect()
}

impl SourceFile {
    fn is_command(&self) -> bool {
        self.module == "main" || self.module == "cli"
    }

    /// The code without comments; tests in the same file are left out, for they may build what they like.
    fn code(&self) -> String {
        let code = self.text.split("#[cfg(test)]\nmod tests").next().expect("a first part");
        let lines = code.lines().map(|line| match line.find("//") {
            Some(at) if !line[..at].ends_with(':') => &line[..at],
            _ => line,
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Top-level modules that the code names as `crate::…`, or the command as `vidgist::…`.
    fn uses(&self) -> BTreeSet<String> {
        let code = self.code();
        let mut uses = BTreeSet::new();
        for (at, found) in code.match_indices("crate::") {
            let rest = &code[at + found.len()..];
            let name: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            assert!(
                !rest.starts_with('{'),
                "{}: one `use crate::module` a line, so that this test can read it",
                self.path
            );
            uses.insert(name);
        }
        uses.remove("");
        uses.remove(&self.module);
        uses
    }
}

#[test]
fn arrows_point_one_way() {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for file in sources().iter().filter(|file| !file.is_command() && file.module != "lib") {
        for used in file.uses() {
            let is_vocabulary = VOCABULARY.contains(&&*used);
            let is_right = match &*file.module {
                "pipeline" => used != "cli",
                module if VOCABULARY.contains(&module) => WITHIN_VOCABULARY.contains(&(module, &used)),
                module => {
                    let listed = ALLOWED.iter().find(|(from, to, _)| (*from, *to) == (module, &*used));
                    seen.extend(listed.map(|(from, to, _)| (*from, *to)));
                    is_vocabulary || listed.is_some()
                }
            };
            if !is_right {
                wrong.push(format!("src/{} uses {used}", file.path));
            }
        }
    }
    assert!(wrong.is_empty(), "not in the list of tests/architecture.rs:\n{}", wrong.join("\n"));
    let unused: Vec<_> = ALLOWED.iter().filter(|(from, to, _)| !seen.contains(&(*from, *to))).collect();
    assert!(unused.is_empty(), "no longer needed: {unused:?}");
}

#[test]
fn nothing_imports_the_command() {
    for file in sources().iter().filter(|file| !file.is_command()) {
        let code = file.code();
        assert!(!code.contains("crate::cli") && !code.contains("mod cli"), "src/{}", file.path);
    }
}

#[test]
fn foreign_code_is_called_in_its_places_alone() {
    let mut n_places = 0;
    for file in sources() {
        let code = file.code();
        let is_place = matches!(&*file.module, "libav" | "video") || file.path == "transcribe/whisper/ear.rs";
        // The command names `video::opencv` to print the version; the crate itself it may not touch.
        let words = code.replace("video::opencv::", "").replace("mod opencv", "").replace("opencv::FileReader", "");
        let words = words.replace("opencv::LiveReader", "");
        let is_foreign = words.contains("opencv::") || words.contains("ffmpeg_the_third") || words.contains("ffi::");
        assert!(is_place || !is_foreign, "src/{} calls foreign code", file.path);
        n_places += usize::from(is_foreign);
        let is_unsafe = code.contains("unsafe {") || code.contains("unsafe fn") || code.contains("unsafe impl");
        assert!(is_place || !is_unsafe, "src/{} has unsafe code", file.path);
    }
    assert!(n_places >= 4, "the test knows foreign code when it sees it: {n_places} files");
}

#[test]
fn the_network_is_touched_in_its_places_alone() {
    for file in sources() {
        let code = file.code();
        let is_place = matches!(&*file.module, "service" | "model" | "transcribe");
        let is_network = ["reqwest::", "std::net::Tcp", "std::net::Udp", "tokio::net"].iter().any(|w| code.contains(w));
        assert!(is_place || !is_network, "src/{} touches the network", file.path);
    }
}

#[test]
fn the_library_does_not_print_exit_or_read_the_environment() {
    for file in sources().iter().filter(|file| !file.is_command()) {
        let code = file.code();
        for word in
            ["println!", "eprintln!", "print!(", "dbg!", "process::exit", "env::var", "io::stdout", "io::stderr"]
        {
            assert!(!code.contains(word), "src/{} has {word}", file.path);
        }
    }
}

#[test]
fn files_are_short() {
    let lengths: Vec<(usize, String)> =
        sources().into_iter().map(|file| (file.text.lines().count(), file.path)).collect();
    let long: Vec<_> = lengths.iter().filter(|(n, _)| *n > 600).collect();
    assert!(long.is_empty(), "over 600 lines: {long:?}");
    let n_short = lengths.iter().filter(|(n, _)| *n < 160).count();
    assert!(2 * n_short >= lengths.len(), "{n_short} of {} files are under 160 lines", lengths.len());
}
