//! Python with the packages that a test needs.

#![allow(dead_code, reason = "each test uses its part")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// The Python for `tests/NAME/`; None where it cannot be made: no registry, or no wheels for this machine.
pub fn python_for(name: &str) -> Option<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/python-for");
    let made = Command::new(script).arg(name).output().expect("a shell");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match made.status.code() {
        Some(0) => Some(said(&made.stdout).into()),
        Some(3) => {
            super::skip(&said(&made.stderr));
            None
        }
        _ => panic!("python-for {name}: {made:?}"),
    }
}
