//! Programs that make the inputs of tests.

use std::path::Path;
use std::process::Command;

/// Runs a program in a folder, asserts that it succeeds, and returns what it wrote to stdout.
#[track_caller]
pub fn run(program: &str, folder: &Path, args: &[&str]) -> Vec<u8> {
    let done = Command::new(program)
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap_or_else(|error| panic!("{program} is installed: {error}"));
    assert!(done.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    done.stdout
}

/// As [`run`], for ffmpeg, which replaces its outputs.
#[track_caller]
pub fn ffmpeg_with(folder: &Path, args: &[&str]) -> Vec<u8> {
    run("ffmpeg", folder, &[&["-v", "error", "-nostdin", "-y"], args].concat())
}

/// As [`ffmpeg_with`], with arguments that white space separates.
#[track_caller]
pub fn ffmpeg(folder: &Path, arguments: &str) -> Vec<u8> {
    ffmpeg_with(folder, &arguments.split_whitespace().collect::<Vec<_>>())
}
