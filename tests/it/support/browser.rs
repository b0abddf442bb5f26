//! Chromium with the packages that drive it: `tests/browser/page.mjs` opens a report page and says what it found.
#![allow(dead_code, reason = "each test uses its part")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

/// The folder of the packages; None where there is no Chromium or no Node.js, or they cannot be fetched.
fn packages() -> Option<PathBuf> {
    for program in ["chromium", "node"] {
        let runs = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
        if !runs {
            super::skip(&format!("{program} is not installed"));
            return None;
        }
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/browser-for");
    let made = Command::new(script).output().expect("a shell");
    match made.status.code() {
        Some(0) => Some(said(&made.stdout).into()),
        Some(3) => {
            super::skip(&said(&made.stderr));
            None
        }
        _ => panic!("browser-for: {made:?}"),
    }
}

/// What a scenario of `tests/browser/page.mjs` finds in a page; None where there is no browser.
#[track_caller]
pub fn scenario(page: &Path, name: &str) -> Option<Value> {
    scenario_with(page, name, &[])
}

/// What the page shows after a search for each of these in turn; None where there is no browser.
#[track_caller]
pub fn searched(page: &Path, queries: &[&str]) -> Option<Value> {
    scenario_with(page, "search", queries)
}

#[track_caller]
fn scenario_with(page: &Path, name: &str, args: &[&str]) -> Option<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/page.mjs");
    let done =
        Command::new("node").arg(script).arg(packages()?).arg(page).arg(name).args(args).output().expect("node runs");
    assert!(done.status.success(), "{name} of {}: {}", page.display(), said(&done.stderr));
    Some(serde_json::from_slice(&done.stdout).expect("JSON"))
}
