//! Runs the command as a user does, but for its environment, which is cleared.
#![allow(dead_code, reason = "each test file uses its part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::documents;

/// How a run ended.
#[derive(Debug)]
pub struct Ran {
    /// The exit code; None where a signal killed it.
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Asserts the exit code and that nothing came on stderr; gives stdout.
    #[track_caller]
    pub fn complete(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        assert_eq!(self.err, "", "nothing to complain of");
        self.out
    }
}

impl Ran {
    /// Asserts the exit code alone; gives stdout.
    #[track_caller]
    pub fn complete_but_told(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }
}

/// A user with an empty home folder.
pub struct User {
    pub home: TempDir,
}

impl User {
    pub fn new() -> Self {
        Self { home: tempfile::tempdir().expect("a folder") }
    }

    /// A path in the home folder, as text.
    pub fn path(&self, name: &str) -> String {
        self.home.path().join(name).to_str().expect("UTF-8").to_owned()
    }

    /// The command with `args`, in the project's folder, so that `fixtures/talk.mp4` is found.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vidgist"));
        command.env_clear().env("HOME", self.home.path()).current_dir(env!("CARGO_MANIFEST_DIR"));
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Ran {
        ran(&mut self.command(args))
    }
}

/// Reports that a test wrote otherwise than by [`ran`] are checked here.
impl Drop for User {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            documents::check_reports_below(self.home.path());
        }
    }
}

/// Runs the command to its end. The JSON that it writes is checked against its schema.
#[track_caller]
pub fn ran(command: &mut Command) -> Ran {
    let output = command.output().expect("vidgist starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    let ran = Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
    documents::check_run(command, ran.code, &ran.out);
    ran
}

/// The names in a folder, sorted; empty where it is not there.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

pub fn project() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
