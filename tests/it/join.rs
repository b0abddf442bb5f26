//! Several files as one recording on one clock: `--join`.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its input stops")]

use std::path::Path;

use serde_json::{Value, json};
use vidgist::limits::Limits;
use vidgist::media::Ratio;
use vidgist::source::Source;
use vidgist::time::Timestamp;
use vidgist::video::{DecoderBackend, TargetSize, VideoSource};

use crate::support::command::User;
use crate::support::marks;
use crate::support::programs::ffmpeg;

/// 3 s of 25 frames per second without sound.
const PAL: &str = "fixtures/no-audio.mp4";
/// 3.003 s of 30000/1001 frames per second without sound.
const NTSC: &str = "fixtures/ntsc.mp4";
/// 3 s of 25 frames per second, 321 by 241 pixels, without sound.
const ODD: &str = "fixtures/odd-size-444.mp4";

fn document(path: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// (milliseconds, part, mark, width) of each frame in a folder that `frames` wrote.
pub fn frames(folder: &str) -> Vec<(i64, Value, u32, u64)> {
    let index = document(&format!("{folder}/frames.json"));
    let frame = |frame: &Value| {
        let picture = image::open(format!("{folder}/{}", frame["file"].as_str().unwrap())).unwrap();
        let mark = marks::read_mark(&picture.into_rgb8()).unwrap_or(u32::MAX);
        let millis = (frame["seconds"].as_f64().unwrap() * 1000.0).round() as i64;
        (millis, frame["part"].clone(), mark, frame["width"].as_u64().unwrap())
    };
    index["frames"].as_array().unwrap().iter().map(frame).collect()
}

/// Files of another frame rate, size and codec follow on one clock; each frame keeps its size and names its file.
#[test]
fn frames_of_different_files_are_on_one_clock() {
    let user = User::new();
    let out = user.path("out");
    user.run(&["frames", PAL, NTSC, ODD, "--join", "--interval", "1s", "-o", &out]).complete();
    let tick = |n: i64| (n * 1001 + 15) / 30;
    let expected: Vec<(i64, Value, u32, u64)> = vec![
        (0, json!(0), 0, 320),
        (1000, json!(0), 25, 320),
        (2000, json!(0), 50, 320),
        (3000, json!(1), 0, 320),
        (3000 + tick(29), json!(1), 29, 320),
        (3000 + tick(59), json!(1), 59, 320),
        // At 6 s the last frame of the second file is still displayed; the third starts at 6.003 s.
        (3000 + tick(89), json!(1), 89, 320),
        (6003 + 960, json!(2), 24, 321),
        (6003 + 1960, json!(2), 49, 321),
        (6003 + 2960, json!(2), 74, 321),
    ];
    assert_eq!(frames(&out), expected);
    let index = document(&format!("{out}/frames.json"));
    assert_eq!((&index["status"], &index["media"]["duration"]), (&json!("complete"), &json!(9.003)));
    // A file alone has no parts.
    user.run(&["frames", PAL, "--at", "1s", "-o", &out]).complete();
    assert_eq!(frames(&out), [(1000, Value::Null, 25, 320)]);
}

/// A recording that is split at keyframes gives, joined again, the frames of the whole, with every sampling method and with a
/// tolerance. Without B-frames ffmpeg's concat demuxer gives the same; with them it moves all files after the first, since
/// the length that the first states includes the delay of its first frame.
#[test]
fn a_split_recording_has_the_frames_of_the_whole() {
    let methods = [
        &["--interval", "300ms"][..],
        &["--at", "0.96s,1s,1.04s,9.99s,10.5s"],
        &["--interval", "700ms", "--tolerance", "50%"],
        &["--interval", "1s", "--tolerance", "0.1s", "--start", "2.2s", "--end", "8.7s"],
        &["--sampling", "keyframe"],
        &["--sampling", "scene"],
    ];
    split_and_join(0, &methods);
    split_and_join(2, &methods[1..2]);
}

fn split_and_join(b_frames: u32, methods: &[&[&str]]) {
    let user = User::new();
    let home = user.home.path();
    let talk = std::fs::canonicalize("fixtures/talk.mp4").unwrap();
    std::fs::create_dir(home.join("parts")).unwrap();
    let encoder =
        format!("-c:v libx264 -bf {b_frames} -g 25 -keyint_min 25 -sc_threshold 0 -pix_fmt yuv420p -s 320x180");
    ffmpeg(home, &format!("-i {} -an {encoder} -t 11 whole.mp4", talk.display()));
    let numbers = "-segment_start_number 1 -reset_timestamps 1 parts/part%d.mp4";
    ffmpeg(home, &format!("-i whole.mp4 -c copy -f segment -segment_time 1 {numbers}"));
    // By number, not by letter: the second part comes before the tenth.
    let list: Vec<String> = (1..=11).map(|number| format!("file 'parts/part{number}.mp4'")).collect();
    std::fs::write(home.join("list.txt"), list.join("\n")).unwrap();
    ffmpeg(home, "-f concat -safe 0 -i list.txt -c copy concat.mp4");
    let (whole, concat, parts, out) =
        (user.path("whole.mp4"), user.path("concat.mp4"), user.path("parts"), user.path("out"));
    for args in methods {
        let of = |input: &[&str]| -> Vec<(i64, u32)> {
            user.run(&[&["frames"], input, &["-o", &out], args].concat()).complete();
            frames(&out).into_iter().map(|frame| (frame.0, frame.2)).collect()
        };
        let joined = of(&[&parts, "--join"]);
        assert!(joined.len() > 2, "{args:?}: {joined:?}");
        assert_eq!(joined, of(&[&whole]), "{args:?}");
        if b_frames == 0 {
            assert_eq!(joined, of(&[&concat]), "ffmpeg's concat, {args:?}");
        }
    }
}

#[test]
fn every_sampling_method_crosses_the_files() {
    let user = User::new();
    let out = user.path("out");
    for (args, expected) in [
        (&["--at", "2.96s,3s,5.5s"][..], vec![(0, 74), (1, 0), (1, 62)]),
        (&["--start", "2.5s", "--end", "3.5s", "--interval", "500ms"], vec![(0, 62), (1, 0)]),
    ] {
        user.run(&[&["frames", PAL, PAL, "--join", "-o", &out], args].concat()).complete();
        let found: Vec<_> = frames(&out).into_iter().map(|(_, part, mark, _)| (part.as_u64().unwrap(), mark)).collect();
        assert_eq!(found, expected, "{args:?}");
    }
    let of = |input: &[&str], method: &str| -> Vec<(i64, u32)> {
        user.run(&[&["frames"], input, &["--sampling", method, "-o", &out]].concat()).complete();
        frames(&out).into_iter().map(|frame| (frame.0, frame.2)).collect()
    };
    for method in ["keyframe", "scene"] {
        let alone = of(&[PAL], method);
        assert!(alone.len() > 1, "{method}: {alone:?}");
        let again = alone.iter().map(|(millis, mark)| (3000 + millis, *mark));
        let expected: Vec<(i64, u32)> = alone.iter().copied().chain(again).collect();
        assert_eq!(of(&[PAL, PAL, "--join"], method), expected, "the same frames of each, {method}");
    }
    // The frames that fit the budget, at their interval, and the last one.
    let every_200_ms = (0..30).map(|n| (n * 200, (n % 15 * 5) as u32));
    assert_eq!(of(&[PAL, PAL, "--join"], "budget"), every_200_ms.chain([(5960, 74)]).collect::<Vec<_>>());
}

#[test]
fn chapters_are_moved_to_the_clock_of_the_whole() {
    let user = User::new();
    let home = user.home.path();
    let chapter = |from: u32, to: u32, title: &str| {
        format!("[CHAPTER]\nTIMEBASE=1/1000\nSTART={from}\nEND={to}\ntitle={title}\n")
    };
    let chapters = format!(";FFMETADATA1\n{}{}", chapter(0, 1000, "One"), chapter(1000, 3000, "Two"));
    std::fs::write(home.join("chapters.txt"), chapters).unwrap();
    let video = std::fs::canonicalize(PAL).unwrap();
    ffmpeg(home, &format!("-i {} -i chapters.txt -map 0:v -map_metadata 1 -c copy a.mkv", video.display()));
    let a = user.path("a.mkv");
    let info = document_of(&user.run(&["probe", &a, &a, "--join", "--json"]).complete());
    let found: Vec<_> = info["chapters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (c["start"].as_f64().unwrap(), c["end"].as_f64().unwrap(), c["title"].as_str().unwrap()))
        .collect();
    assert_eq!(found, [(0.0, 1.0, "One"), (1.0, 3.0, "Two"), (3.0, 4.0, "One"), (4.0, 6.0, "Two")]);
}

/// A recording that was written without seeking states no length: only the last file may.
#[test]
fn a_file_without_a_length_can_only_be_the_last() {
    let user = User::new();
    let video = std::fs::canonicalize(PAL).unwrap();
    let live = ffmpeg(user.home.path(), &format!("-i {} -c copy -f matroska pipe:1", video.display()));
    let path = user.path("live.mkv");
    std::fs::write(&path, live).unwrap();
    let out = user.path("out");
    user.run(&["frames", PAL, &path, "--join", "--interval", "1s", "-o", &out]).complete();
    let found: Vec<_> = frames(&out).into_iter().map(|frame| (frame.0, frame.2)).collect();
    assert_eq!(found, [(0, 0), (1000, 25), (2000, 50), (3000, 0), (4000, 25), (5000, 50)]);
    let first = user.run(&["frames", &path, PAL, "--join", "-o", &out]);
    assert_eq!(first.code, Some(2), "{first:?}");
    assert!(first.err.contains("live.mkv: has no stated duration") && first.err.contains("-c copy"), "{}", first.err);
}

/// What a damaged header states would become days of silence.
#[test]
fn a_file_that_states_over_a_day_can_only_be_the_last() {
    let user = User::new();
    let video = std::fs::canonicalize(PAL).unwrap();
    ffmpeg(user.home.path(), &format!("-i {} -c copy long.mkv", video.display()));
    let (path, out) = (user.path("long.mkv"), user.path("out"));
    let states = |seconds: f64| {
        let mut bytes = std::fs::read(&path).unwrap();
        // The element with the duration in milliseconds (RFC 9559, 5.1.2.10).
        let at = bytes.windows(3).position(|three| three == [0x44, 0x89, 0x88]).unwrap() + 3;
        bytes[at..at + 8].copy_from_slice(&(seconds * 1000.0).to_be_bytes());
        std::fs::write(&path, bytes).unwrap();
    };
    states(86_401.0);
    let first = user.run(&["frames", &path, PAL, "--join", "-o", &out]);
    let why = "long.mkv: states a duration of over a day, so the files after it cannot be placed in time";
    assert!(first.code == Some(2) && first.err.contains(why), "{first:?}");
    let last = user.run(&["probe", PAL, &path, "--join", "--json"]);
    assert!(last.code == Some(0) && document_of(&last.out)["duration"].is_null(), "{last:?}");
    states(86_400.0);
    let info = document_of(&user.run(&["probe", &path, PAL, "--join", "--json"]).out);
    assert_eq!(info["duration"], 86_403.0);
}

/// Parts may keep the times of the recording, and a header may claim a length that the streams do not have.
#[test]
fn the_next_file_starts_where_the_streams_of_the_last_one_end() {
    let user = User::new();
    let home = user.home.path();
    let video = std::fs::canonicalize(PAL).unwrap();
    let out = user.path("out");
    let marks_of = |files: &[&str]| -> Vec<(i64, u32)> {
        user.run(&[&["frames"], files, &["--join", "--interval", "1s", "-o", &out]].concat()).complete();
        frames(&out).into_iter().map(|frame| (frame.0, frame.2)).collect()
    };
    let expected = [(0, 0), (1000, 25), (2000, 50), (3000, 0), (4000, 25), (5000, 50)];
    for container in ["mkv", "mp4", "mov", "flv", "ts", "webm"] {
        let encoder = if container == "webm" { "-c:v libvpx -b:v 1M" } else { "-c:v libx264 -bf 0" };
        let name = format!("later.{container}");
        ffmpeg(home, &format!("-i {} {encoder} -output_ts_offset 100 {name}", video.display()));
        let later = user.path(&name);
        assert_eq!(marks_of(&[&later, PAL]), expected, "{container}");
    }
    assert_eq!(marks_of(&["fixtures/broken/claims-10-hours.mp4", PAL]), expected);
}

/// Chapters of an action camera in a folder, with what else it writes there.
#[test]
fn a_folder_is_joined_in_the_order_of_its_chapters() {
    let user = User::new();
    let folder = user.path("DCIM");
    std::fs::create_dir(&folder).unwrap();
    let copy = |from: &str, name: &str| std::fs::copy(from, format!("{folder}/{name}")).unwrap();
    copy(PAL, "GH010123.MP4");
    copy(NTSC, "GH020123.MP4");
    copy(ODD, "GH010124.MP4");
    copy(PAL, "GL010123.LRV");
    copy("fixtures/picture.jpg", "GH010123.THM");
    std::fs::write(format!("{folder}/notes.txt"), "a note").unwrap();
    std::fs::write(format!("{folder}/._GH010123.MP4"), [0, 5, 22, 7, 0, 2, 0, 0]).unwrap();
    std::fs::write(format!("{folder}/GH030123.MP4"), "").unwrap();
    std::fs::create_dir(format!("{folder}/MISC")).unwrap();
    let ran = user.run(&["probe", &folder, "--join", "--json"]);
    let info: Value = serde_json::from_str(&ran.out).unwrap();
    let parts: Vec<(f64, String)> = info["parts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| (part["offset"].as_f64().unwrap(), part["media"]["input"].as_str().unwrap().to_owned()))
        .collect();
    let name = |name: &str| format!("{folder}/{name}");
    assert_eq!(parts, [(0.0, name("GH010123.MP4")), (3.0, name("GH020123.MP4")), (6.003, name("GH010124.MP4"))]);
    assert_eq!((&info["input"], &info["duration"]), (&json!(folder), &json!(9.003)));
    for (skipped, why) in [
        ("GL010123.LRV", "small copy"),
        ("GH010123.THM", "is an image"),
        ("notes.txt", "is plain text"),
        ("._GH010123.MP4", "is a hidden file"),
        ("GH030123.MP4", "is empty (0 bytes)"),
        ("MISC", "is a folder"),
    ] {
        assert!(ran.err.lines().any(|line| line.contains(skipped) && line.contains(why)), "{skipped}: {}", ran.err);
    }
    assert!(user.run(&["probe", &folder, "--join"]).out.contains("part         00:00:06.003 "));
}

#[test]
fn transcripts_are_moved_to_the_clock_of_the_whole() {
    let user = User::new();
    let copy = |name: &str| {
        std::fs::copy(PAL, user.path(&format!("{name}.mp4"))).unwrap();
        user.path(&format!("{name}.mp4"))
    };
    let (a, b) = (copy("a"), copy("b"));
    let write = |name: &str, text: &str| {
        std::fs::write(user.path(name), format!("1\n00:00:00,500 --> 00:00:01,250\n{text}\n")).unwrap();
    };
    let args = ["transcribe", &a, &b, "--join", "--stt", "subtitles", "--format", "json"];
    for (with, without) in [("a", "b"), ("b", "a")] {
        write(&format!("{with}.srt"), "First.");
        let ran = user.run(&args);
        assert_eq!(ran.code, Some(2));
        assert!(ran.err.contains(&format!("{without}.mp4: has no subtitles, so those of the other")), "{}", ran.err);
        std::fs::remove_file(user.path(&format!("{with}.srt"))).unwrap();
    }
    let none = user.run(&args);
    assert!(none.code == Some(2) && !none.err.contains("of the other files"), "{none:?}");
    write("a.srt", "First.");
    write("b.srt", "Second.");
    let found = document_of(&user.run(&args).complete());
    let segments = found["segments"].as_array().unwrap();
    let spans: Vec<_> = segments.iter().map(|s| (s["start"].as_f64().unwrap(), s["text"].as_str().unwrap())).collect();
    assert_eq!(spans, [(0.5, "First."), (3.5, "Second.")]);
    let written = user.path("whole.srt");
    let printed = user.run(&["transcribe", &a, &b, "--join", "--stt", "subtitles", "-o", &written]).complete();
    assert_eq!(printed, "", "a path is printed for each of several transcripts alone");
    assert_eq!(std::fs::read_to_string(&written).unwrap().matches(" --> ").count(), 2);
    // A named transcript is on the clock of the whole already.
    let report = user.path("out");
    let args = [
        "summarize",
        &*a,
        &b,
        "--join",
        "--model",
        "built-in",
        "--interval",
        "2s",
        "--transcript",
        "fixtures/talk.srt",
    ];
    user.run(&[&args[..], &["-o", &report]].concat()).complete();
    let document = document(&format!("{report}/report.json"));
    let parts: Vec<_> = document["frames"].as_array().unwrap().iter().map(|frame| frame["part"].clone()).collect();
    assert_eq!(parts, [json!(0), json!(0), json!(1)]);
    let markdown = std::fs::read_to_string(format!("{report}/report.md")).unwrap();
    assert!(markdown.contains("- Part: from 00:00:03.000, b.mp4"), "{markdown}");
    assert!(markdown.starts_with("# a.mp4 and 1 more\n"), "{markdown}");
}

fn document_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Damage in one file is data in the result: an index that is missing, a file that is cut, text in place of media.
#[test]
fn damage_in_one_file_is_reported_and_the_others_are_read() {
    let user = User::new();
    let out = user.path("out");
    let text = user.path("text.mp4");
    std::fs::write(&text, "<!doctype html><title>404</title>").unwrap();
    for (bad, why) in [(&*text, "is a web page"), ("fixtures/broken/no-moov.mp4", "no-moov.mp4: ")] {
        let ran = user.run(&["frames", PAL, bad, PAL, "--join", "--interval", "1s", "-o", &out]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.err.contains(why) && ran.err.contains("skipped; all later times are too early"), "{}", ran.err);
        let found: Vec<_> = frames(&out).into_iter().map(|frame| (frame.0, frame.2)).collect();
        assert_eq!(found, [(0, 0), (1000, 25), (2000, 50), (3000, 0), (4000, 25), (5000, 50)]);
    }
    let cut =
        user.run(&["frames", "fixtures/broken/cut-to-60-percent.mp4", PAL, "--join", "--interval", "1s", "-o", &out]);
    assert_eq!(cut.code, Some(1), "{cut:?}");
    assert!(frames(&out).iter().any(|frame| frame.1 == 1), "the second file is read");
    let index = document(&format!("{out}/frames.json"));
    assert!(!index["missing"].as_array().unwrap().is_empty());
    // A file that can be opened but not decoded keeps its place. Its samples are wiped, its index is not.
    let mut bytes = std::fs::read(PAL).unwrap();
    let at = bytes.windows(4).position(|four| four == b"mdat").unwrap();
    let box_start = at - 4;
    let size = u32::from_be_bytes(bytes[box_start..at].try_into().unwrap()) as usize;
    bytes[at + 4..box_start + size].fill(0);
    let wiped = user.path("wiped.mp4");
    std::fs::write(&wiped, bytes).unwrap();
    for method in [&["--interval", "1s"][..], &["--sampling", "keyframe"], &["--sampling", "scene"]] {
        let ran = user.run(&[&["frames", PAL, &wiped, PAL, "--join", "-o", &out], method].concat());
        assert_eq!(ran.code, Some(1), "{method:?}: {ran:?}");
        assert!(ran.err.contains("wiped.mp4"), "{method:?}: {}", ran.err);
        let found = frames(&out);
        assert!(found.iter().all(|frame| frame.1 != json!(1)), "{method:?}: {found:?}");
        assert!(found.iter().any(|frame| frame.1 == json!(2) && frame.0 >= 6000), "{method:?}: {found:?}");
    }
    let wiped_alone = user.run(&["frames", &wiped, &wiped, "--join", "-o", &out]);
    assert_eq!(wiped_alone.code, Some(2), "{wiped_alone:?}");
    let nothing = user.run(&["frames", &text, &text, "--join", "-o", &out]);
    assert_eq!(nothing.code, Some(2), "{nothing:?}");
}

#[test]
fn what_cannot_be_joined_is_refused() {
    let user = User::new();
    let out = user.path("out");
    let empty = user.path("empty");
    std::fs::create_dir(&empty).unwrap();
    for (args, why) in [
        (
            &["frames", PAL, "fixtures/talk.mp4", "--join", "-o", &out][..],
            "talk.mp4: cannot be joined: has an audio stream",
        ),
        (
            &["frames", "fixtures/talk.mp4", PAL, "--join", "-o", &out],
            "no-audio.mp4: cannot be joined: has no audio stream",
        ),
        (
            &["frames", PAL, "fixtures/speech.wav", "--join", "-o", &out],
            "speech.wav: cannot be joined: has no video stream",
        ),
        (
            &["frames", PAL, "fixtures/picture.jpg", "--join", "-o", &out],
            "picture.jpg: cannot be joined: it is not a media file",
        ),
        (&["frames", &empty, "--join", "-o", &out], "contains no media files"),
        (&["frames", PAL, PAL, "-o", &out], "--join"),
        (
            &["audio", "http://127.0.0.1:9/a.mp4", "--join", "-o", &out],
            "http://127.0.0.1:9/a.mp4: cannot be joined: it is not a media file",
        ),
        (
            &["audio", "fixtures/speech.wav", "http://127.0.0.1:9/a.mp4", "--join", "-o", &out],
            "http://127.0.0.1:9/a.mp4: cannot be joined: it is not a media file",
        ),
    ] {
        let ran = user.run(args);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.err.contains(why), "{why}: {}", ran.err);
    }
    assert!(!Path::new(&out).exists());
    // One file is read as it is.
    let alone = document_of(&user.run(&["probe", PAL, "--join", "--json"]).complete());
    assert_eq!((&alone["input"], &alone["parts"]), (&json!(PAL), &Value::Null));
}

/// A recording may have hundreds of files: a decoder is open only while its file is read.
#[test]
fn only_files_with_wanted_frames_are_opened() {
    let user = User::new();
    let inputs = ["a.mp4", "b.mp4", "c.mp4"].map(|name| {
        std::fs::copy(PAL, user.path(name)).unwrap();
        user.path(name)
    });
    let source = Source::join(&inputs).unwrap();
    let limits = Limits::default();
    let info = vidgist::probe::probe(&source, Ratio::ONE, &limits).unwrap();
    for decoder in [DecoderBackend::Auto, DecoderBackend::OpenCv] {
        std::fs::copy(PAL, &inputs[1]).unwrap();
        let video = VideoSource::open(&source, &info, decoder, &limits, None).unwrap().unwrap();
        std::fs::remove_file(&inputs[1]).unwrap();
        let mut reader = video.reader().unwrap();
        let mut read = |seconds: [i64; 2]| {
            let mut times = Vec::new();
            let points = seconds.map(|seconds| Timestamp::from_millis(seconds * 1000));
            let outcome = reader.read(&points, TargetSize::max_width(64), &mut |frame| {
                times.push(frame.time.secs_f64());
                Ok(())
            });
            (times, outcome.unwrap().unread.len())
        };
        assert_eq!(read([1, 7]), (vec![1.0, 7.0], 0), "{decoder:?}");
        assert_eq!(read([1, 4]), (vec![1.0], 1), "{decoder:?}");
    }
}
