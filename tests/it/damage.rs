//! Damaged files have the verdict that a full decode by ffmpeg gives, and undamaged ones none: a part of what
//! `scripts/mutate` compares.

use std::process::Command;

use crate::support::command::{project, ran};

#[test]
fn damaged_files_are_judged_as_a_full_decode_judges_them() {
    let mut command = Command::new("python3");
    command.arg(project().join("scripts/mutate")).args(["--count", "28"]);
    command.env("VIDGIST_BIN", env!("CARGO_BIN_EXE_vidgist")).env("PYTHONDONTWRITEBYTECODE", "1");
    let ran = ran(&mut command);
    assert!(ran.out.contains("28 undamaged files, 0 false alarms"), "{ran:?}");
    assert!(!ran.out.lines().any(|line| line.starts_with("false alarm:")), "{}", ran.out);
    let missed: Vec<&str> = ran.out.lines().filter(|line| line.starts_with("missed:")).collect();
    // Known: a lost B-frame of H.264 that others refer to, and the beginning of an AVI without times in its packets.
    let is_known = |line: &&&str| line.contains(" 6 sound-late.mkv") || line.contains(" 13 mpeg4-b-frames.avi");
    assert_eq!(missed.iter().filter(|line| !is_known(line)).count(), 0, "{}", ran.out);
}
