//! What a test calls when it cannot do all of its work.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Continuous integration sets it to 1: there, a test that skips fails.
const REQUIRE: &str = "VIDGIST_TEST_REQUIRE";

/// Notes that the running test leaves out all or part of its work. `scripts/test` counts and prints these notes.
///
/// # Panics
/// Where `VIDGIST_TEST_REQUIRE=1` is set.
#[track_caller]
pub fn skip(reason: &str) {
    let name = std::env::var("NEXTEST_TEST_NAME").ok();
    let name = name.or_else(|| std::thread::current().name().map(str::to_owned)).unwrap_or_else(|| "a test".into());
    assert!(std::env::var_os(REQUIRE).is_none_or(|value| value != "1"), "{name} cannot skip: {reason}");
    eprintln!("skipped: {reason}");
    // Tests run side by side: one short write to the end is not torn apart.
    let notes = Path::new(env!("CARGO_TARGET_TMPDIR")).join("skipped-tests.txt");
    let mut notes = OpenOptions::new().create(true).append(true).open(notes).expect("the target folder can be written");
    notes.write_all(format!("{name}: {reason}\n").as_bytes()).expect("the target folder can be written");
}

/// A file or folder of `../shared`, which lies beside the project; skips where it does not exist.
#[track_caller]
pub fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(name);
    let exists = path.exists();
    if !exists {
        skip(&format!("{} does not exist", path.display()));
    }
    exists.then_some(path)
}
