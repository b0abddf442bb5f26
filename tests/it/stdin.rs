//! Standard input as an input: `-`.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its input stops")]

use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::support::command::{Ran, User, names, ran};

/// Runs with a file as standard input, and holds that the temporary file is gone and is named nowhere.
#[track_caller]
fn piped(user: &User, file: &str, args: &[&str]) -> Ran {
    let temporary = user.path("temporary");
    std::fs::create_dir_all(&temporary).unwrap();
    let stdin = Stdio::from(File::open(file).unwrap());
    let ran = ran(user.command(args).env("TMPDIR", &temporary).stdin(stdin));
    assert_eq!(names(Path::new(&temporary)), Vec::<String>::new(), "{args:?}");
    assert!(!ran.out.contains(".vidgist-stdin") && !ran.err.contains(".vidgist-stdin"), "{ran:?}");
    ran
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn each_command_that_takes_a_file_takes_standard_input() {
    let user = User::new();
    let out = user.path("out");
    for file in ["fixtures/talk.mp4", "fixtures/vp9-opus.webm", "fixtures/mpegts.ts", "fixtures/mpeg4.avi"] {
        let probed = json(&piped(&user, file, &["probe", "-", "--json"]).complete());
        let direct = json(&user.run(&["probe", file, "--json"]).complete());
        assert_eq!(probed["input"], "stdin");
        assert_eq!((&probed["video"], &probed["duration"]), (&direct["video"], &direct["duration"]), "{file}");
        let printed = piped(&user, file, &["frames", "-", "--interval", "1s", "-o", &out]).complete();
        let direct = user.run(&["frames", file, "--interval", "1s", "-o", &out]).complete();
        assert_eq!(printed, direct, "{file}");
    }
    let index = json(&std::fs::read_to_string(format!("{out}/frames.json")).unwrap());
    assert_eq!(index["media"]["input"], "fixtures/mpeg4.avi");
    let wav = user.path("talk.wav");
    piped(&user, "fixtures/speech.mp3", &["audio", "-", "-o", &wav]).complete();
    assert!(std::fs::metadata(&wav).unwrap().len() > 100_000);
    let report =
        piped(&user, "fixtures/talk.mp4", &["summarize", "-", "--model", "built-in", "--interval", "5s", "-o", &out]);
    assert_eq!(report.code, Some(0), "{report:?}");
    assert!(report.out.starts_with("# "), "{report:?}");
    let written = json(&std::fs::read_to_string(format!("{out}/report.json")).unwrap());
    assert_eq!(written["media"]["input"], "stdin");
    assert!(!std::fs::read_to_string(format!("{out}/report.md")).unwrap().contains(".vidgist-stdin"));
    let described =
        piped(&user, "fixtures/speech.wav", &["describe-audio", "-", "--no-transcript", "--format", "json"]);
    assert_eq!(json(&described.out)[0]["input"], "stdin");
    let subtitles = piped(&user, "fixtures/subs-subrip.mkv", &["transcribe", "-", "--stt", "subtitles"]);
    assert!(subtitles.out.contains(" --> "), "{subtitles:?}");
    // It may be any file of a joined recording.
    for files in [["-", "fixtures/speech.wav"], ["fixtures/speech.wav", "-"]] {
        let joined = json(&piped(&user, "fixtures/speech.wav", &["probe", files[0], files[1], "--join", "--json"]).out);
        let names: Vec<&str> = [0, 1].map(|at| joined["parts"][at]["media"]["input"].as_str().unwrap()).into();
        assert_eq!(names, files.map(|name| if name == "-" { "stdin" } else { name }));
        piped(&user, "fixtures/speech.wav", &["audio", files[0], files[1], "--join", "-o", &wav]).complete();
    }
    // A picture has no container to seek in, and is read all the same.
    let picture = json(&piped(&user, "fixtures/picture.png", &["probe", "-", "--json"]).complete());
    assert_eq!(picture["format"], "png");
}

#[test]
fn a_job_file_and_a_transcript_may_name_it() {
    let user = User::new();
    let job = user.run(&["transcribe", "-", "--stt", "subtitles", "--print-job"]).complete();
    assert!(job.contains("inputs = [\"-\"]"), "{job}");
    std::fs::write(user.path("job.toml"), job).unwrap();
    let by_job = piped(&user, "fixtures/subs-subrip.mkv", &["run", &user.path("job.toml")]);
    assert!(by_job.out.contains(" --> "), "{by_job:?}");
    let args = ["transcribe", "fixtures/no-audio.mp4", "--transcript", "-", "--format", "json"];
    let transcript = json(&piped(&user, "fixtures/talk.srt", &args).out);
    assert_eq!(
        (&transcript["source"]["path"], transcript["segments"].as_array().map(Vec::len)),
        (&"stdin".into(), Some(5))
    );
}

#[test]
fn what_cannot_be_done_is_said() {
    let user = User::new();
    let empty = user.path("empty");
    std::fs::write(&empty, "").unwrap();
    let text = user.path("text");
    std::fs::write(&text, "<!doctype html><title>x</title>").unwrap();
    let out = user.path("out");
    for (file, args, why) in [
        (&*empty, &["probe", "-"][..], "stdin: the file is empty"),
        (&text, &["frames", "-", "-o", &out], "stdin: is a web page (HTML)"),
        ("fixtures/talk.mp4", &["transcribe", "-", "--transcript", "-"], "stdin: can be read once only"),
        ("fixtures/talk.mp4", &["transcribe", "-", "-", "-o", &out], "stdin: can be read once only"),
        ("fixtures/talk.mp4", &["frames", "-", "-", "--join", "-o", &out], "stdin: can be read once only"),
        ("fixtures/talk.mp4", &["probe", "fixtures/talk.mp4", "-", "-", "--join"], "stdin: can be read once only"),
        (
            "fixtures/talk.mp4",
            &["caption", "-", "--base-url", "http://127.0.0.1:9/v1", "--model", "m"],
            "stdin: cannot be captioned",
        ),
        ("fixtures/speech.wav", &["frames", "-", "-o", &out], "stdin: has no video stream"),
    ] {
        let ran = piped(&user, file, args);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.err.contains(why), "{why}: {}", ran.err);
    }
    // A file of that name is written with its folder.
    std::fs::copy("fixtures/no-audio.mp4", user.path("-")).unwrap();
    let probed = json(&user.run(&["probe", &user.path("-"), "--json"]).complete());
    assert_eq!(probed["input"], user.path("-"));
}
