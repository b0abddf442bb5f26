//! A file that can no longer be read, as on a lost network share, is an error: its beginning does not pass for the whole.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::support::command::{Ran, User, project, ran};
use crate::support::fake_server::{FakeServer, HEARING_MODEL};

/// Linux numbers: an I/O error, no memory, a device that was removed, a connection that was lost (three ways), a stale
/// file of a network share.
const ERRORS: [(i32, &str); 7] = [
    (5, "input/output error"),
    (12, "cannot allocate memory"),
    (19, "no such device"),
    (104, "connection reset by peer"),
    (107, "transport endpoint is not connected"),
    (110, "connection timed out"),
    (116, "stale file handle"),
];

/// A library that lets reads of a file fail.
struct FailingReads {
    folder: TempDir,
}

impl FailingReads {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let source = project().join("tests/it/support/failing_read.c");
        let library = folder.path().join("failing_read.so");
        let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).arg("-ldl").output();
        let built = built.expect("cc starts");
        assert!(built.status.success(), "{built:?}");
        Self { folder }
    }

    /// Runs the command; reads of `file` fail from its middle on.
    fn run(&self, user: &User, args: &[&str], file: &str, code: i32) -> Ran {
        let file = PathBuf::from(file).canonicalize().expect("a file");
        let middle = std::fs::metadata(&file).expect("a file").len() / 2;
        let mut command = user.command(args);
        command.env("LD_PRELOAD", self.folder.path().join("failing_read.so"));
        command.env("FAIL_FILE", file).env("FAIL_ERRNO", code.to_string()).env("FAIL_AT", middle.to_string());
        ran(&mut command)
    }
}

#[test]
fn a_failed_read_is_not_the_end_of_the_file() {
    let (user, reads) = (User::new(), FailingReads::new());
    let failed = |command: &str, file: &str, code: i32, problem: &str| {
        let (file, output) = (format!("fixtures/{file}"), user.path(&format!("{command}-{code}.wav")));
        let ran = reads.run(&user, &[command, &file, "-o", &output], &file, code);
        assert!(ran.code == Some(2) && ran.err.contains(problem), "{command} {file} {code}: {ran:?}");
    };
    for (code, problem) in ERRORS {
        failed("frames", "offset.mkv", code, problem);
    }
    for file in ["mpegts.ts", "mpeg4.avi", "talk.mp4", "h264-aac.flv"] {
        failed("frames", file, 116, "stale file handle");
    }
    for file in ["offset.mkv", "mpegts.ts", "speech.wav", "speech.flac", "speech.mp3", "speech.ogg"] {
        failed("audio", file, 116, "stale file handle");
    }
}

#[test]
fn no_transcript_of_a_beginning_is_kept() {
    let (user, reads, server) = (User::new(), FailingReads::new(), FakeServer::start());
    let (file, base_url) = ("fixtures/speech.wav", server.base_url());
    let args = ["transcribe", file, "--stt", "api", "--stt-model", HEARING_MODEL, "--stt-base-url", &base_url];
    let ran = reads.run(&user, &args, file, 116);
    assert!(ran.code == Some(2) && ran.out.is_empty() && ran.err.contains("stale file handle"), "{ran:?}");
    let n_sounds = server.sounds().len();
    user.run(&args).complete();
    assert!(server.sounds().len() > n_sounds);
}
