//! The command as a program: exit codes, what goes to stdout and what to stderr, help, configuration, keys, signals.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Child;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::support::command::{Ran, User, names, project, ran};

/// What never may be printed.
const CANARY: &str = "sk-canary-4f1d2b";

/// A loopback address that nobody listens on.
fn closed_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    format!("http://{}/v1", listener.local_addr().expect("an address"))
}

/// Asserts exit code 2, nothing on stdout and one line of error; gives that line.
#[track_caller]
fn refused(ran: Ran) -> String {
    assert_eq!((ran.code, &*ran.out), (Some(2), ""), "a failure has no result: {ran:?}");
    assert!(ran.err.starts_with("error: ") && ran.err.ends_with('\n'), "{ran:?}");
    assert_eq!(ran.err.lines().count(), 1, "{ran:?}");
    ran.err
}

/// The text between two markers of a page, without its fence.
fn page_block(page: &str, name: &str) -> String {
    let text = std::fs::read_to_string(project().join(page)).expect(page);
    let (_, rest) = text.split_once(&format!("<!-- {name} -->\n")).expect("the begin marker");
    let (block, _) = rest.split_once(&format!("<!-- /{name} -->")).expect("the end marker");
    let (_, body) = block.split_once('\n').expect("a fence");
    body.strip_suffix("```\n").expect("the fence's end").to_owned()
}

#[test]
fn the_documentation_shows_the_current_help() {
    let help = User::new().run(&["--help"]).complete();
    let path = project().join("docs/cli.md");
    if std::env::var_os("VIDGIST_UPDATE_SNAPSHOTS").is_some() {
        let page = std::fs::read_to_string(&path).expect("docs/cli.md");
        std::fs::write(&path, page.replace(&page_block("docs/cli.md", "help"), &help)).expect("written");
    }
    assert_eq!(help, page_block("docs/cli.md", "help"), "run ./scripts/user-visible");
}

#[test]
fn the_readme_shows_a_real_summary() {
    let printed = User::new().run(&["summarize", "fixtures/talk.mp4"]).complete();
    assert!(printed.contains(&page_block("README.md", "summarize")), "{printed}");
}

#[test]
fn the_documentation_shows_the_job_that_its_flags_make() {
    let flags = ["--interval", "5s", "--model", "ollama:qwen2.5vl:7b", "--max-cost", "0.05", "--print-job"];
    let printed = User::new().run(&[&["summarize", "talk.mp4"], &flags[..]].concat()).complete();
    assert_eq!(printed, page_block("docs/jobs.md", "job"));
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut pages = vec![project().join("README.md"), project().join("CONTRIBUTING.md"), project().join("SECURITY.md")];
    let docs = names(&project().join("docs"))
        .into_iter()
        .filter(|name| std::path::Path::new(name).extension().is_some_and(|ending| ending == "md"));
    pages.extend(docs.map(|name| project().join("docs").join(name)));
    for page in pages {
        let text = std::fs::read_to_string(&page).expect("a page");
        for target in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target) {
            let file = target.split('#').next().unwrap_or_default();
            let found = target.starts_with("http") || file.is_empty() || page.with_file_name(file).exists();
            assert!(found, "{}: {target}", page.display());
        }
    }
}

#[test]
fn the_documentation_shows_a_configuration_that_is_taken() {
    let user = User::new();
    std::fs::write(user.path("c.toml"), page_block("docs/configuration.md", "config")).expect("written");
    // The server it names is not there: for doctor that is a failure in its result, not of the configuration.
    let ran = user.run(&["doctor", "--config", &user.path("c.toml"), "--base-url", &closed_address()]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.contains(&user.path("c.toml")) && ran.out.contains("qwen2.5vl"), "{ran:?}");
}

#[test]
fn help_of_a_command_has_examples() {
    let user = User::new();
    for name in ["summarize", "frames", "audio", "transcribe"] {
        let help = user.run(&["help", name]).complete();
        let (_, examples) = help.split_once("Examples:\n").unwrap_or_else(|| panic!("{name}: {help}"));
        assert!(examples.contains(&format!("vidgist {name} ")), "{help}");
    }
    assert!(user.run(&["--version"]).complete().starts_with("vidgist "));
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = User::new().run(&["completions", shell]).complete();
        assert!(script.contains("summarize") && script.contains("max-frames"), "{shell}");
    }
}

#[test]
fn what_cannot_be_done_is_one_line_on_stderr_and_code_2() {
    let user = User::new();
    std::fs::write(user.path("empty.mp4"), b"").expect("written");
    std::fs::create_dir(user.path("empty")).expect("made");
    let out = user.path("out");
    let (empty_file, empty_folder, no_pictures) =
        (user.path("empty.mp4"), user.path("empty"), user.path("no_%03d.png"));
    let (gone, song) = (user.path("gone.mp4"), user.path("song.mp3"));
    let talk = "fixtures/talk.mp4";
    for (args, said) in [
        (vec!["frames", &gone, "-o", &out], "no such file or directory"),
        (vec!["summarize", &gone], "no such file or directory"),
        (vec!["audio", &gone, "-o", &out], "no such file or directory"),
        (vec!["transcribe", &gone], "no such file or directory"),
        (vec!["probe", &gone], "no such file or directory"),
        (vec!["probe", &empty_file], "empty (0 bytes)"),
        (vec!["summarize", &empty_folder], "no pictures"),
        (vec!["summarize", &no_pictures], "no file matches"),
        (vec!["audio", "fixtures/no-audio.mp4", "-o", &out], "has no audio stream"),
        (vec!["audio", talk, "-o", &song], "mp3 cannot be written, only WAV and FLAC"),
        (vec!["transcribe", "fixtures/no-audio.mp4"], "--transcript"),
        (vec!["summarize", talk, "--transcript", &gone], "no such file or directory"),
        (vec!["summarize", talk, "--prompt", "Why?"], "does not follow a prompt"),
        (vec!["summarize", talk, "--model", "m"], "no server is known"),
        (vec!["frames", talk, "-o", &out, "--at", "1:04"], "outside of the video"),
        (vec!["frames", talk, "-o", &out, "--start", "5s", "--end", "3s"], "not after the start"),
        (vec!["frames", talk, "-o", &out, "--interval", "0s"], "longer than 0"),
        (vec!["frames", talk, "-o", &out, "--max-frames", "0"], "at least 1"),
        (vec!["frames", talk, "-o", &out, "--fps", "x"], "not a rate"),
        (vec!["frames", "camera:x", "-o", &out], "camera"),
        (vec!["--config", &gone, "doctor"], "no such file or directory"),
    ] {
        let line = refused(user.run(&args));
        assert!(line.contains(said), "{args:?}: {line}");
    }
    assert_eq!(names(user.home.path()), ["empty", "empty.mp4"], "nothing was made");
}

#[test]
fn wrong_usage_is_an_error_on_stderr_with_code_2() {
    let user = User::new();
    for args in [
        vec!["frames", "fixtures/talk.mp4"],
        vec!["no-such-command"],
        vec!["probe", "--no-such-flag", "fixtures/talk.mp4"],
        vec!["frames", "fixtures/talk.mp4", "-o", "x", "--fps", "1", "--interval", "1s"],
        vec!["frames", "fixtures/talk.mp4", "-o", "x", "--jpeg-quality", "101"],
        vec!["frames", "fixtures/talk.mp4", "-o", "x", "--interval", "soon"],
    ] {
        let ran = user.run(&args);
        assert_eq!((ran.code, &*ran.out), (Some(2), ""), "{args:?}");
        assert!(ran.err.starts_with("error: "), "{args:?}: {}", ran.err);
    }
}

#[test]
fn a_partial_result_has_code_1_and_a_warning_that_q_leaves_out() {
    let user = User::new();
    let cut = "fixtures/broken/cut.mkv";
    for command in ["summarize", "probe"] {
        let ran = user.run(&[command, cut]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.out.contains("84301 bytes"), "the result says what is missing: {ran:?}");
    }
    let ran = user.run(&["summarize", cut]);
    assert!(ran.err.starts_with("warning: fixtures/broken/cut.mkv: missing "), "{ran:?}");
    let quiet = user.run(&["-q", "summarize", cut]);
    assert_eq!((quiet.code, &*quiet.err), (Some(1), ""));
    assert!(quiet.out.contains("84301 bytes"), "{quiet:?}");
}

#[test]
fn verbose_output_goes_to_stderr_and_without_colours() {
    let user = User::new();
    let loud = user.run(&["-vv", "summarize", "fixtures/talk.mp4", "--format", "json"]);
    assert_eq!(loud.code, Some(0), "{loud:?}");
    assert!(!loud.err.contains('\u{1b}'), "{loud:?}");
    serde_json::from_str::<serde_json::Value>(&loud.out).expect("stdout is one JSON document");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let user = User::new();
    let out = user.path("out");
    for args in [
        vec!["probe", "--json", "fixtures/talk.mp4"],
        vec!["summarize", "fixtures/talk.mp4"],
        vec!["transcribe", "fixtures/talk.mp4"],
        vec!["frames", "fixtures/talk.mp4", "-o", &out],
        vec!["completions", "bash"],
    ] {
        let mut child = user.command(&args).spawn().expect("vidgist starts");
        drop(child.stdout.take());
        let ended = child.wait_with_output().expect("it ends");
        let err = String::from_utf8_lossy(&ended.stderr);
        assert_eq!((ended.status.code(), &*err), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn the_configuration_stands_in_the_xdg_folder_and_flags_win() {
    let user = User::new();
    let folder = user.home.path().join("xdg/vidgist");
    std::fs::create_dir_all(&folder).expect("made");
    std::fs::write(folder.join("config.toml"), "[frames]\ninterval = \"10s\"\nimage_format = \"png\"\n")
        .expect("written");
    let out = user.path("out");
    let args = ["frames", "fixtures/talk.mp4", "-o", &*out];
    let lines = ran(user.command(&args).env("XDG_CONFIG_HOME", user.path("xdg"))).complete();
    assert_eq!(lines.lines().count(), 2, "{lines}");
    assert!(lines.ends_with(".png\n"), "{lines}");
    let flags = ["frames", "fixtures/talk.mp4", "-o", &*out, "--interval", "4s"];
    let lines = ran(user.command(&flags).env("XDG_CONFIG_HOME", user.path("xdg"))).complete();
    assert_eq!(lines.lines().count(), 5, "{lines}");
    let lines = user.run(&args).complete();
    assert_eq!(lines.lines().count(), 4, "the default, for ~/.config has none: {lines}");
}

#[test]
fn a_configuration_with_a_fault_is_refused_with_its_line() {
    let user = User::new();
    let path = user.path("c.toml");
    for (text, line, said) in [
        ("model = \"x\"\n\nbase_ulr = \"y\"\n", "line 3", "base_ulr"),
        ("api_key = \"sk\"\n", "line 1", "api_key"),
        ("[frames]\njpeg_quality = \"high\"\n", "line 2", "invalid type"),
        ("[frames]\nmax_frames = -3\n", "line 2", "invalid value"),
        // Values that are read after the file: the key stands in place of the line.
        ("[frames]\ninterval = \"abc\"\n", "frames.interval", "is not a time"),
        ("timeout = \"abc\"\n", "timeout", "is not a time"),
    ] {
        std::fs::write(&path, text).expect("written");
        let error = refused(user.run(&["--config", &path, "doctor"]));
        assert!(error.contains(&path) && error.contains(line) && error.contains(said), "{error}");
    }
    std::fs::write(&path, "[frames]\njpeg_quality = 101\n").expect("written");
    assert!(refused(user.run(&["--config", &path, "doctor"])).contains("1 to 100"));
}

#[test]
fn the_key_is_never_printed() {
    let user = User::new();
    let address = closed_address();
    let keyed = |args: &[&str]| -> Ran {
        let mut command = user.command(args);
        ran(command.env("OPENAI_API_KEY", CANARY).env("OPENAI_BASE_URL", &address).env("VIDGIST_LOG", "trace"))
    };
    let out = user.path("out");
    let summarize = ["-vv", "summarize", "fixtures/talk.mp4", "--model", "m", "--timeout", "300ms", "-o", &*out];
    // Nobody answers: the frames and words are there, the answer is not.
    for (args, code) in [(&["-vv", "doctor"][..], 1), (&summarize[..], 1), (&["summarize", "--help"][..], 0)] {
        let ran = keyed(args);
        assert_eq!(ran.code, Some(code), "{args:?}: {}", ran.err);
        assert!(!ran.out.contains(CANARY) && !ran.err.contains(CANARY), "{args:?}");
    }
    for file in ["report.md", "report.json"] {
        let text = std::fs::read_to_string(user.home.path().join("out").join(file)).expect("the report");
        assert!(text.contains("cannot connect") && !text.contains(CANARY), "{text}");
    }
}

#[test]
fn doctor_names_what_would_answer_and_what_would_mend_it() {
    let user = User::new();
    let bare = user.run(&["doctor"]).complete();
    for said in ["OpenCV", "libavformat", "built-in digest", "OPENAI_API_KEY", "--stt-model"] {
        assert!(bare.contains(said), "{said}: {bare}");
    }
    let dead = user.run(&["doctor", "--base-url", &closed_address(), "--model", "m"]);
    assert_eq!((dead.code, &*dead.err), (Some(1), ""), "{dead:?}");
    assert!(dead.out.contains("BAD  model") && dead.out.contains("connection refused"), "{dead:?}");
}

/// Answers every connection with `head`, tells, and then says nothing more.
fn stalling_server(head: Vec<u8>) -> (String, mpsc::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let (stalled, is_stalled) = mpsc::channel();
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut request = [0; 4096];
            if stream.read(&mut request).is_ok_and(|n| n > 0) && stream.write_all(&head).is_ok() {
                let _ = stalled.send(());
            }
            open.push(stream);
        }
    });
    (address, is_stalled)
}

/// Looks again and again, for nobody tells when another process has written a file.
#[track_caller]
fn wait_until(is_there: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_there() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it does not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends SIGINT and asserts that the run ends with 130 soon, without more ado.
#[track_caller]
fn interrupt(child: Child) {
    assert_eq!(interrupted(child), "interrupted\n");
}

/// Sends SIGINT and asserts that the run ends with 130 soon; gives what it said.
#[track_caller]
fn interrupted(mut child: Child) -> String {
    let pid = child.id().to_string();
    let kill = std::process::Command::new("sh").args(["-c", &format!("kill -INT {pid}")]).status();
    assert!(kill.expect("sh starts").success());
    let (sender, ended) = mpsc::channel();
    let mut err = child.stderr.take().expect("stderr");
    std::thread::spawn(move || {
        let mut text = String::new();
        let _ = err.read_to_string(&mut text);
        let _ = sender.send((child.wait().expect("it ends").code(), text));
    });
    // Below the ten seconds of grace after which the command would end itself in any case.
    let (code, err) = ended.recv_timeout(Duration::from_secs(8)).expect("it ends soon");
    assert_eq!(code, Some(130), "{err}");
    err
}

#[test]
fn an_interrupted_reading_ends_with_130_and_leaves_no_half_file() {
    let user = User::new();
    let clip = std::fs::read(project().join("fixtures/talk.mp4")).expect("the clip");
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: {}\r\n\r\n", clip.len());
    let mut reply = head.into_bytes();
    reply.extend_from_slice(&clip[..clip.len() / 2]);
    let (address, is_stalled) = stalling_server(reply);
    let (url, out) = (format!("{address}/talk.mp4"), user.path("out"));
    let args = ["frames", &url, "--interval", "40ms", "--max-frames", "400", "-o", &out];
    let child = user.command(&args).spawn().expect("vidgist starts");
    is_stalled.recv_timeout(Duration::from_secs(20)).expect("the clip was asked for");
    let folder = user.home.path().join("out");
    wait_until(|| names(&folder).iter().any(|name| name.starts_with("frame_")));
    interrupt(child);
    let left = names(&folder);
    assert!(left.iter().all(|name| name.starts_with("frame_")), "whole frames alone: {left:?}");
}

#[test]
fn an_interrupted_request_ends_with_130_and_writes_a_partial_report() {
    let user = User::new();
    let (address, is_stalled) = stalling_server(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n".to_vec());
    let (url, out) = (format!("{address}/v1"), user.path("out"));
    let args = ["summarize", "fixtures/talk.mp4", "--max-frames", "2", "--base-url", &url, "--model", "m", "-o", &out];
    let child = user.command(&args).spawn().expect("vidgist starts");
    is_stalled.recv_timeout(Duration::from_secs(20)).expect("the model was asked");
    let told = interrupted(child);
    assert!(told.starts_with("stopping: waiting for requests in flight"), "{told}");
    assert!(told.contains("missing the answer: the run was stopped before the answer came"), "{told}");
    assert_eq!(
        names(&user.home.path().join("out")),
        ["frames", "report.html", "report.json", "report.md", "transcript.srt"]
    );
}

/// Six hours of silence: they take no room on the disk.
const DATA_BYTES: u32 = 6 * 3600 * 22_050 * 2;

#[test]
fn interrupted_sound_ends_with_130_and_leaves_no_half_file() {
    let user = User::new();
    let (long, out) = (user.path("long.wav"), user.path("out.wav"));
    let mut head = Vec::new();
    head.extend_from_slice(b"RIFF");
    head.extend_from_slice(&(DATA_BYTES + 36).to_le_bytes());
    head.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    head.extend_from_slice(&22_050_u32.to_le_bytes());
    head.extend_from_slice(&44_100_u32.to_le_bytes());
    head.extend_from_slice(b"\x02\0\x10\0data");
    head.extend_from_slice(&DATA_BYTES.to_le_bytes());
    std::fs::write(&long, &head).expect("written");
    let file = std::fs::OpenOptions::new().write(true).open(&long).expect("opened");
    file.set_len(u64::from(DATA_BYTES) + head.len() as u64).expect("lengthened");
    let child = user.command(&["audio", &long, "--rate", "48000", "-o", &out]).spawn().expect("vidgist starts");
    let unfinished = |name: &String| name.starts_with(".vidgist-") && !names(&user.home.path().join(name)).is_empty();
    wait_until(|| names(user.home.path()).iter().any(unfinished));
    interrupt(child);
    assert_eq!(names(user.home.path()), ["long.wav"]);
}

#[test]
fn sound_is_not_sent_to_whom_no_key_is_known_for() {
    let user = User::new();
    let ran = user.run(&["transcribe", "fixtures/speech.wav", "--stt-model", "whisper-1"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("--stt-model: no OpenAI key is set; set OPENAI_API_KEY"), "{ran:?}");
}
