//! What the command writes: frames of the right moments, sound of the right length, words in each format, a report's
//! folder. Frames are known by the marks in them.

use crate::support::marks;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use crate::support::command::{User, names, project};
use serde_json::Value;

const TALK: &str = "fixtures/talk.mp4";

/// The mark in a written picture.
fn mark(path: &str) -> u32 {
    let picture = image::open(path).unwrap_or_else(|e| panic!("{path}: {e}"));
    marks::read_mark(&picture.into_rgb8()).unwrap_or_else(|| panic!("{path} has no mark"))
}

fn json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).expect("JSON")
}

/// Runs `frames` into a new folder; gives (timestamp, mark) of each line printed, held against `frames.json` and
/// the files that are there.
#[track_caller]
fn frames(args: &[&str]) -> Vec<(String, u32)> {
    let user = User::new();
    let out = user.path("out");
    let mut all = vec!["frames", "-o", &*out];
    all.extend(args);
    let printed = user.run(&all).complete();
    let lines: Vec<(&str, &str)> = printed.lines().map(|line| line.split_once('\t').expect("a tab")).collect();
    let index = json(&user.home.path().join("out/frames.json"));
    assert_eq!(index["status"], "complete", "{index}");
    let listed: Vec<(String, String)> = index["frames"]
        .as_array()
        .expect("frames")
        .iter()
        .map(|frame| {
            let text = |key: &str| frame[key].as_str().expect("text").to_owned();
            (text("timestamp"), format!("{out}/{}", text("file")))
        })
        .collect();
    assert!(listed.iter().map(|(time, path)| (&**time, &**path)).eq(lines.iter().copied()), "{printed}{index}");
    let n_files = names(Path::new(&out)).len();
    assert_eq!(n_files, lines.len() + 1, "the frames and frames.json, nothing else");
    lines.iter().map(|(time, path)| ((*time).to_owned(), mark(path))).collect()
}

fn told(frames: &[(&str, u32)]) -> Vec<(String, u32)> {
    frames.iter().map(|(time, mark)| ((*time).to_owned(), *mark)).collect()
}

#[test]
fn frames_come_at_fixed_intervals() {
    let expected = [("00:00:00.000", 0), ("00:00:05.000", 125), ("00:00:10.000", 250), ("00:00:15.000", 375)];
    assert_eq!(frames(&[TALK]), told(&expected));
    assert_eq!(frames(&[TALK, "--fps", "0.2"]), told(&expected));
    assert_eq!(frames(&["fixtures/still.mp4", "--interval", "1m"]), told(&[("00:00:00.000", 0)]));
}

#[test]
fn single_moments_get_the_frame_on_the_screen() {
    // 12.39 s is within frame 309, shown from 12.36 to 12.40 s.
    let expected = [("00:00:04.000", 100), ("00:00:12.360", 309)];
    assert_eq!(frames(&[TALK, "--at", "12.39s,0:04"]), told(&expected));
}

#[test]
fn a_part_is_taken_half_open() {
    let expected = [("00:00:04.000", 100), ("00:00:05.000", 125)];
    assert_eq!(frames(&[TALK, "--start", "4s", "--end", "00:00:06", "--interval", "1s"]), told(&expected));
}

#[test]
fn the_most_frames_are_spread_over_the_whole_range() {
    let few = frames(&[TALK, "--interval", "1s", "--max-frames", "4"]);
    let expected = [("00:00:00.000", 0), ("00:00:06.000", 150), ("00:00:13.000", 325), ("00:00:19.000", 475)];
    assert_eq!(few, told(&expected));
}

#[test]
fn pictures_are_taken_singly_by_folder_and_by_pattern() {
    assert_eq!(frames(&["fixtures/picture-exif-6.jpg"]), told(&[("00:00:00.000", 7)]));
    let expected = [("00:00:00.000", 0), ("00:00:03.000", 3), ("00:00:06.000", 6), ("00:00:09.000", 9)];
    assert_eq!(frames(&["fixtures/seq", "--interval", "3s"]), told(&expected));
    let twice_as_fast = [("00:00:00.000", 0), ("00:00:03.000", 6)];
    let pattern = "fixtures/seq/img_%04d.png";
    assert_eq!(frames(&[pattern, "--interval", "3s", "--sequence-fps", "2"]), told(&twice_as_fast));
}

#[test]
fn images_have_the_requested_format_and_width() {
    for (format, extension) in [("jpeg", "jpg"), ("png", "png"), ("webp", "webp")] {
        let user = User::new();
        let out = user.path("out");
        let args = ["frames", TALK, "--at", "4s", "--max-width", "200", "--image-format", format, "-o", &out];
        user.run(&args).complete();
        let path = format!("{out}/frame_000000_t00-00-04.000.{extension}");
        assert_eq!(image::image_dimensions(&path).expect("a picture"), (200, 113), "{format}");
        assert_eq!(mark(&path), 100);
    }
    let user = User::new();
    let out = user.path("out");
    user.run(&["frames", TALK, "--at", "4s", "--max-width", "4000", "-o", &out]).complete();
    let path = format!("{out}/frame_000000_t00-00-04.000.jpg");
    assert_eq!(image::image_dimensions(&path).expect("a picture"), (640, 360), "never enlarged");
}

#[test]
fn sound_is_written_with_the_length_of_the_clip() {
    let user = User::new();
    for (args, rate_hz, channels) in [
        (&["audio", TALK][..], 22_050, 1),
        (&["audio", TALK, "--rate", "16000"][..], 16_000, 1),
        (&["audio", TALK, "--rate", "48000", "--channels", "2"][..], 48_000, 2),
    ] {
        let path = user.path("talk.wav");
        let printed = user.run(&[args, &["-o", &path]].concat()).complete();
        assert!(printed.starts_with(&format!("{path}\t{rate_hz} Hz, {channels} channel")), "{printed}");
        let wav = hound::WavReader::open(&path).expect("a WAV file");
        let spec = wav.spec();
        assert_eq!((spec.sample_rate, spec.channels, spec.bits_per_sample), (rate_hz, channels, 16));
        let seconds = f64::from(wav.duration()) / f64::from(rate_hz);
        // AAC comes in packets of 1024 samples: the last one may reach 46 ms beyond the end.
        assert!((20.0..20.047).contains(&seconds), "{seconds} s");
    }
    assert_eq!(names(user.home.path()), ["talk.wav"]);
}

#[test]
fn words_are_written_in_each_format() {
    let user = User::new();
    let printed = |format: &str| user.run(&["transcribe", TALK, "--format", format]).complete();
    let srt = std::fs::read_to_string(project().join("fixtures/talk.srt")).expect("the transcript");
    assert_eq!(printed("srt").trim(), srt.trim());
    let first = "A red square slides to the right over a blue field.";
    assert!(printed("vtt").starts_with(&format!("WEBVTT\n\n00:00:00.300 --> 00:00:02.996\n{first}\n")));
    let words = printed("txt");
    assert_eq!((words.lines().next(), words.lines().count()), (Some(first), 5));
    let document: Value = serde_json::from_str(&printed("json")).expect("JSON");
    let segment = &document["segments"][0];
    assert_eq!((segment["start"].as_f64(), segment["text"].as_str()), (Some(0.3), Some(first)));
    let path = user.path("words.srt");
    assert_eq!(user.run(&["transcribe", TALK, "-o", &path]).complete(), "", "the file is the result");
    assert_eq!(std::fs::read_to_string(path).expect("the file"), printed("srt"));
}

#[test]
fn probe_describes_a_file() {
    let user = User::new();
    let info: Value = serde_json::from_str(&user.run(&["probe", "--json", TALK]).complete()).expect("JSON");
    let video = &info["video"][0];
    assert_eq!((&info["duration"], &video["codec"], &video["n_frames"]), (&20.0.into(), &"h264".into(), &500.into()));
    assert_eq!(info["audio"][0]["sample_rate_hz"], 22_050);
    let table = user.run(&["probe", TALK]).complete();
    assert!(table.contains("h264, 640x360") && table.contains("aac, 22050 Hz"), "{table}");
}

#[test]
fn a_report_is_written_as_a_folder() {
    let user = User::new();
    let out = user.path("out");
    let printed = user.run(&["summarize", TALK, "--max-frames", "5", "-o", &out]).complete();
    let folder = user.home.path().join("out");
    assert_eq!(names(&folder), ["frames", "report.html", "report.json", "report.md", "transcript.srt"]);
    assert!(printed.starts_with("# talk.mp4\n"), "{printed}");
    let report = json(&folder.join("report.json"));
    let frames = report["frames"].as_array().expect("frames");
    assert_eq!((frames.len(), names(&folder.join("frames")).len()), (5, 5));
    for frame in frames {
        let (file, seconds) = (frame["file"].as_str().expect("a path"), frame["seconds"].as_f64().expect("a time"));
        assert_eq!(mark(folder.join(file).to_str().expect("UTF-8")), (seconds * 25.0).round() as u32);
    }
    assert_eq!((&report["status"], &report["missing"]), (&"complete".into(), &Value::Array(Vec::new())));
    let srt = std::fs::read_to_string(folder.join("transcript.srt")).expect("the transcript");
    assert_eq!(srt.matches(" --> ").count(), 5);
}

/// Serves the clip to whoever asks, from the byte that is asked for.
fn serve(stream: &mut TcpStream, clip: &[u8]) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < 8192 {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let range = head.lines().find_map(|line| line.strip_prefix("range: bytes=")?.split('-').next()?.parse().ok());
    let from = range.unwrap_or(0).min(clip.len());
    let status = if range.is_some() { "206 Partial Content" } else { "200 OK" };
    let (n_bytes, last, total) = (clip.len() - from, clip.len() - 1, clip.len());
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: video/mp4\r\nContent-Length: {n_bytes}\r\nAccept-Ranges: bytes\r\n\
         Content-Range: bytes {from}-{last}/{total}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(&clip[from..])
}

#[test]
fn a_stream_gives_the_frames_of_the_right_moments() {
    let clip = std::fs::read(project().join(TALK)).expect("the clip");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/talk.mp4", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // A reader that has seen enough closes early.
            let _ = stream.and_then(|mut stream| serve(&mut stream, &clip));
        }
    });
    let expected = [("00:00:00.000", 0), ("00:00:05.000", 125), ("00:00:10.000", 250)];
    assert_eq!(frames(&[&url, "--interval", "5s", "--max-frames", "3"]), told(&expected));
}

/// The names below a folder, with the folders' own.
fn tree(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for name in names(folder) {
        let path = folder.join(&name);
        if path.is_dir() {
            found.extend(tree(&path).into_iter().map(|inner| format!("{name}/{inner}")));
        } else {
            found.push(name);
        }
    }
    found
}

/// What an earlier run wrote goes as a whole: frames of another video, interval, format and number, the transcript of a
/// file that had one, contact sheets. Files of others stay.
#[test]
fn a_second_run_replaces_the_first_as_a_whole() {
    let user = User::new();
    let (same, clean) = (user.path("same"), user.path("clean"));
    let (same_folder, clean_folder) = (Path::new(&same), Path::new(&clean));
    let summarize = |args: &[&str], out: &str| {
        user.run(&[&["summarize", "--model", "built-in", "-o", out], args].concat()).complete_but_told();
    };
    let runs: [&[&str]; 4] = [
        &[TALK, "--interval", "1s"],
        &["fixtures/no-audio.mp4", "--interval", "1s", "--no-transcript"],
        &[TALK, "--interval", "4s", "--image-format", "png"],
        &["fixtures/speech.wav", "--transcript", "fixtures/talk.srt"],
    ];
    std::fs::create_dir_all(same_folder.join("frames")).expect("a folder");
    let others = ["frames/mine.jpg", "frames/frame_1.jpg", "notes.md", "frames/frame_000000_t00-00-00.000.txt"];
    for name in others {
        std::fs::write(same_folder.join(name), name).expect("written");
    }
    for args in runs {
        summarize(args, &same);
        let _ = std::fs::remove_dir_all(clean_folder);
        summarize(args, &clean);
        let mut expected = tree(clean_folder);
        expected.extend(others.map(str::to_owned));
        expected.sort();
        let mut found = tree(same_folder);
        found.sort();
        assert_eq!(found, expected, "{args:?}");
    }
    let frames = |args: &[&str]| user.run(&[&["frames", "-o", &same], args].concat()).complete();
    frames(&[TALK, "--interval", "2s", "--contact-sheet"]);
    assert!(same_folder.join("contact-sheet-01.jpg").exists());
    let printed = frames(&["fixtures/no-audio.mp4", "--interval", "1s"]);
    let written = names(same_folder).into_iter().filter(|name| name.starts_with("frame_")).count();
    assert_eq!(written, printed.lines().count(), "{printed}");
    assert!(same_folder.join("report.md").exists() && same_folder.join("notes.md").exists(), "not of this command");
}

/// A report says how far apart its frames are: the interval where it was kept, else the mean distance. Kept: an interval
/// that leaves room. Not kept: fewer frames than it asks for, a video with fewer frames, a spending limit.
#[test]
fn a_report_names_the_interval_only_where_it_was_kept() {
    let user = User::new();
    for (args, told, interval) in [
        (&["--interval", "5s"][..], "6 from 00:00:00.000 to 00:00:30.000, one every 5 s", Some(5.0)),
        (&["--interval", "1s", "--max-frames", "5"], "5 from 00:00:00.000 to 00:00:30.000, about one every 6 s", None),
        (
            &["--interval", "250ms", "--max-frames", "200"],
            "30 from 00:00:00.000 to 00:00:30.000, about one every 1 s",
            Some(0.25),
        ),
        (
            &["--start", "10s", "--end", "20s", "--max-frames", "4"],
            "4 from 00:00:10.000 to 00:00:20.000, about one every 2.5 s",
            None,
        ),
        (&["--at", "1s,2s"], "2 from 00:00:00.000 to 00:00:30.000\n", None),
    ] {
        let out = user.path("out");
        let base = ["summarize", "fixtures/one-fps.mp4", "--model", "built-in", "--no-transcript", "-o", &*out];
        let report = user.run(&[&base, args].concat()).complete();
        assert!(report.contains(&format!("- Frames: {told}")), "{args:?}: {report}");
        let document = json(&user.home.path().join("out/report.json"));
        assert_eq!(document["sampling"]["interval"].as_f64(), interval, "{args:?}");
    }
}

/// The last lines of a report that no language model wrote: what is missing, if anything, and one line of facts.
#[test]
fn a_built_in_report_ends_with_one_line() {
    let user = User::new();
    let report = user.run(&["summarize", "fixtures/no-audio.mp4", "--model", "built-in"]).complete();
    assert!(!report.contains("## Details") && !report.contains("## Missing"), "{report}");
    let last = report.lines().last().expect("a line");
    assert!(last.starts_with("*Nothing is missing. vidgist ") && last.ends_with('*'), "{last}");
    let damaged = user.run(&["summarize", "fixtures/broken/cut-to-60-percent.mp4", "--model", "built-in"]);
    assert_eq!(damaged.code, Some(1));
    assert!(damaged.out.contains("## Missing") && damaged.out.contains("*Partial result. "), "{damaged:?}");
}
