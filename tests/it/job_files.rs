//! `vidgist run` of a printed job does what the flags do, for each command, to the byte but for timings.

use std::path::Path;

use crate::support::command::{Ran, User, project};
use crate::support::fake_server::{CHAT_MODEL, FakeServer};
use crate::support::programs::ffmpeg_with;

/// Text without what differs between two runs: durations, and the name of the output folder.
fn without_timings(text: &str, folder: &str) -> String {
    let mut in_timings = false;
    let mut out = String::new();
    for line in text.lines() {
        // The page has them in a line of their own.
        if line.starts_with("<dt>Timings</dt>") {
            continue;
        }
        in_timings = (in_timings || line.trim_start().starts_with("\"timings\"")) && line.trim() != "],";
        if !in_timings {
            out.push_str(&line.replace(folder, "OUT"));
            out.push('\n');
        }
    }
    out
}

/// The files below a folder by name, text files without timings.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(at) = open.pop() {
        for entry in std::fs::read_dir(&at).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).expect("readable");
            let bytes = match String::from_utf8(bytes) {
                Ok(text) => without_timings(&text, folder.to_str().expect("UTF-8")).into_bytes(),
                Err(binary) => binary.into_bytes(),
            };
            found.push((path.strip_prefix(folder).expect("below").to_str().expect("UTF-8").to_owned(), bytes));
        }
    }
    found.sort();
    found
}

/// Runs a command with flags, and the job that it prints; both must have the same result. `OUT` in an argument stands
/// for the output folder.
#[track_caller]
fn same(user: &User, args: &[&str]) {
    let run = |folder: &str, args: &[&str]| -> (Ran, Vec<(String, Vec<u8>)>) {
        let out = user.home.path().join(folder);
        let _ = std::fs::remove_dir_all(&out);
        std::fs::create_dir(&out).expect("created");
        // The second run does all work again.
        let _ = std::fs::remove_dir_all(user.path(".local"));
        let ran = user.run(args);
        (ran, files(&out))
    };
    // Both runs write to a folder of the same name, so that no path differs.
    let args: Vec<String> = args.iter().map(|arg| arg.replace("OUT", &user.path("out"))).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (by_flags, flag_files) = run("out", &args);
    let job = user.run(&[&args[..], &["--print-job"]].concat()).complete();
    assert!(job.starts_with("version = 1\n"), "{job}");
    assert!(!job.contains("sk-"), "no key in {job}");
    std::fs::write(user.path("job.toml"), &job).expect("written");
    let (by_job, job_files) = run("out", &["run", &user.path("job.toml")]);
    assert_eq!(by_job.code, by_flags.code, "{args:?}: {by_flags:?} {by_job:?}");
    let folder = user.path("out");
    let text = |ran: &Ran| (without_timings(&ran.out, &folder), without_timings(&ran.err, &folder));
    assert_eq!(text(&by_job), text(&by_flags), "{args:?}\n{job}");
    let names = |files: &[(String, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&job_files), names(&flag_files), "{args:?}");
    for ((name, by_job), (_, by_flags)) in job_files.iter().zip(&flag_files) {
        assert!(by_job == by_flags, "{args:?}: {name} differs");
    }
    assert!(!by_flags.out.is_empty() || !flag_files.is_empty(), "{args:?} has a result: {by_flags:?}");
}

const TALK: &str = "fixtures/talk.mp4";

#[test]
fn commands_without_a_server() {
    let user = User::new();
    same(&user, &["summarize", TALK, "--interval", "2s", "--max-width", "320"]);
    same(&user, &["summarize", TALK, "--format", "json", "--at", "1s,2.5s", "-o", "OUT/talk"]);
    same(&user, &["frames", TALK, "--interval", "2s", "--tolerance", "12.5%", "-o", "OUT/frames"]);
    same(&user, &["summarize", TALK, "--tolerance", "0.3s"]);
    same(&user, &["summarize", TALK, "--at", "1s,2.5s", "--link-media", "--inline-pictures", "-o", "OUT/talk"]);
    same(&user, &["summarize", TALK, "--at", "1s", "--format", "html"]);
    same(&user, &["frames", TALK, "--fps", "1/2", "--image-format", "png", "--contact-sheet", "-o", "OUT/frames"]);
    same(&user, &["frames", TALK, "--sampling", "scene", "--dedup", "--end", "5s", "-o", "OUT/frames"]);
    same(&user, &["transcribe", TALK, "--format", "vtt"]);
    same(&user, &["frames", TALK, TALK, "--join", "--interval", "4s", "-o", "OUT/frames"]);
    same(&user, &["transcribe", TALK, TALK, "--join", "--format", "vtt"]);
    same(&user, &["audio", TALK, TALK, "--join", "-o", "OUT/joined.wav"]);
    same(&user, &["transcribe", TALK, "--format", "json", "-o", "OUT/talk.json"]);
    same(&user, &["audio", TALK, "--rate", "16000", "--channels", "1", "-o", "OUT/talk.wav"]);
    same(&user, &["audio", TALK, "--all-tracks", "--format", "flac", "-o", "OUT/talk.flac"]);
    same(&user, &["describe-audio", TALK, "--format", "json", "--waveform", "OUT/talk.png"]);
}

#[test]
fn a_copy_with_chapters() {
    let user = User::new();
    std::fs::write(user.path("list.txt"), ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1\nSTART=0\nEND=8\ntitle=One\n")
        .expect("written");
    let talk = user.path("talk.mp4");
    let input = project().join(TALK);
    let args = ["-i", input.to_str().expect("UTF-8"), "-i", "list.txt", "-map_chapters", "1", "-c", "copy", &talk];
    ffmpeg_with(user.home.path(), &args);
    same(&user, &["summarize", &talk, "--interval", "5s", "-o", "OUT/talk", "--embed-chapters", "OUT/copy.mp4"]);
}

#[test]
fn commands_with_a_server() {
    let (user, fake_server) = (User::new(), FakeServer::start());
    let base_url = fake_server.base_url();
    let model = ["--base-url", &base_url, "--model", CHAT_MODEL];
    let with_model = |args: &[&'static str]| [args, &model].concat();
    same(&user, &with_model(&["ask", TALK, "Who?", "--interval", "2s", "--output-language", "ko", "--strict"]));
    same(&user, &with_model(&["summarize", TALK, "--interval", "2s", "--temperature", "0.5", "--max-tokens", "900"]));
    same(
        &user,
        &with_model(&[
            "summarize",
            TALK,
            "--at",
            "1s",
            "--task",
            "minutes",
            "--length",
            "90",
            "--output-language",
            "ko",
        ]),
    );
    std::fs::write(user.path("notes.md"), "Ann Kovač leads.").expect("written");
    let notes = user.path("notes.md");
    let context = ["summarize", TALK, "--at", "1s", "--context", &notes, "--context", &notes];
    same(&user, &[&context[..], &model].concat());
    same(&user, &with_model(&["plan", TALK, "--format", "json", "--show-requests"]));
    same(&user, &with_model(&["caption", TALK, "--interval", "3s", "--frames-per-request", "2", "--seed", "7"]));
    same(&user, &with_model(&["caption", TALK, "--interval", "3s", "--format", "txt", "-o", "OUT/captions"]));
    same(&user, &with_model(&["caption", TALK, "--at", "1s", "--dry-run"]));
    same(&user, &with_model(&["describe-audio", TALK]));
    same(&user, &with_model(&["translate", TALK, "--to", "ko", "--end", "12s", "--max-tokens", "900"]));
    same(&user, &with_model(&["translate", "fixtures/talk.srt", "--to", "pt-BR", "-o", "OUT/talk.vtt"]));
    same(&user, &with_model(&["translate", "fixtures/talk.srt", "--to", "Korean", "--dry-run"]));
    assert_eq!(fake_server.refusals(), Vec::<String>::new());
}

#[test]
fn failures_are_the_same_too() {
    let user = User::new();
    for args in [
        &["summarize", "fixtures/absent.mp4"][..],
        &["transcribe", TALK, "--stt", "api"],
        &["describe-audio", TALK, "--send-audio"],
    ] {
        let by_flags = user.run(args);
        assert_eq!(by_flags.code, Some(2), "{by_flags:?}");
        let job = user.run(&[args, &["--print-job"]].concat()).complete();
        std::fs::write(user.path("job.toml"), job).expect("written");
        let by_job = user.run(&["run", &user.path("job.toml")]);
        assert_eq!((by_job.code, by_job.err), (by_flags.code, by_flags.err), "{args:?}");
    }
}

#[test]
fn a_job_of_another_version_or_with_an_unknown_key_is_refused() {
    let user = User::new();
    for (text, expected) in [
        ("version = 2\n[task.frames]\ninput = \"a\"\noutput = \"b\"\n", "has version 2"),
        ("version = 1\n[task.frames]\ninptu = \"a\"\n", "line 3: unknown field `inptu`"),
        ("version = 1\n", "missing field `task`"),
    ] {
        std::fs::write(user.path("job.toml"), text).expect("written");
        let ran = user.run(&["run", &user.path("job.toml")]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.err.contains(expected) && ran.err.contains("job.toml"), "{ran:?}");
    }
}
