//! Chapters as files, and in a copy of the input: read back by FFmpeg.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its input stops")]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::command::{User, names, project};
use crate::support::programs::{ffmpeg_with, run};

/// Titles that could break a format, and what is read of them. A line end in a title stays where the format has a way to
/// write it.
fn titles() -> Vec<(String, String)> {
    let same = |title: &str| (title.to_owned(), title.to_owned());
    vec![
        same("Opening; what = #1 \\ about"),
        same("two\nlines = ;END"),
        same("00:00:01.000 --> 00:00:02.000"),
        same("제3장: 결론 & <끝>"),
        same("긴 제목 ".repeat(100).trim_end()),
        (String::new(), "Chapter 6".to_owned()),
        ("a\u{1b}[31mb\u{202e}c".to_owned(), "abc".to_owned()),
    ]
}

/// Length of each chapter: all of them fit into the shortest clip, of 3 s.
const MILLIS: usize = 400;

/// The list of chapters that ffmpeg reads, the first at `from` milliseconds.
fn list(titles: &[(String, String)], from: usize) -> String {
    let mut out = String::from(";FFMETADATA1\ntitle=A talk\nartist=Somebody\ncomment=Kept = yes\n");
    out = out.replace("Kept = yes", "Kept \\= yes");
    for (at, (title, _)) in titles.iter().enumerate() {
        let title = ['\\', '=', ';', '#', '\n'].iter().fold(title.clone(), |t, c| t.replace(*c, &format!("\\{c}")));
        let (start, end) = (from + at * MILLIS, from + (at + 1) * MILLIS);
        let _ = write!(out, "[CHAPTER]\nTIMEBASE=1/1000\nSTART={start}\nEND={end}\ntitle={title}\n");
    }
    out
}

/// Copies `input` to `name` in the user's folder, with chapters; `more` are arguments of ffmpeg behind the inputs.
fn with_chapters(user: &User, input: &str, name: &str, more: &[&str]) -> String {
    let home = user.home.path();
    std::fs::write(home.join("list.txt"), list(&titles(), 0)).unwrap();
    let input = project().join("fixtures").join(input);
    let args =
        ["-i", input.to_str().unwrap(), "-i", "list.txt", "-map", "0", "-map_chapters", "1", "-map_metadata", "1"];
    ffmpeg_with(home, &[&args[..], &["-c", "copy"], more, &[name]].concat());
    user.path(name)
}

fn ffprobe(path: &str, args: &[&str]) -> Value {
    let args = [&["-v", "error", "-of", "json"], args, &[path]].concat();
    serde_json::from_slice(&run("ffprobe", Path::new("/"), &args)).unwrap()
}

/// Start and end in milliseconds, and the title, as ffprobe reads them.
fn chapters(path: &str) -> Vec<(i64, i64, String)> {
    let found = ffprobe(path, &["-show_chapters"]);
    let millis = |time: &Value| (time.as_str().unwrap().parse::<f64>().unwrap() * 1000.0).round() as i64;
    let read = |c: &Value| {
        let title = c["tags"]["title"].as_str().unwrap_or_default().to_owned();
        (millis(&c["start_time"]), millis(&c["end_time"]), title)
    };
    found["chapters"].as_array().unwrap().iter().map(read).collect()
}

fn expected() -> Vec<(i64, i64, String)> {
    let length = MILLIS as i64;
    (0..).zip(titles()).map(|(at, (_, title))| (at * length, (at + 1) * length, title)).collect()
}

/// The command that makes a copy as fast as it can.
fn embed<'a>(input: &'a str, output: &'a str) -> Vec<&'a str> {
    vec!["summarize", input, "--interval", "100s", "--no-transcript", "--embed-chapters", output]
}

#[test]
fn ffmpeg_reads_the_files_of_a_folder() {
    let user = User::new();
    let talk = with_chapters(&user, "talk.mp4", "talk.mkv", &[]);
    let folder = user.home.path().join("report");
    let to_folder = ["summarize", &talk, "--interval", "5s", "--no-transcript", "-o", folder.to_str().unwrap()];
    user.run(&to_folder).complete();
    let lists = ["chapters.ffmetadata", "chapters.txt", "chapters.vtt"];
    let has = |name: &str| names(&folder).contains(&name.to_owned());
    assert!(lists.iter().all(|name| has(name)), "{:?}", names(&folder));

    let plain = project().join("fixtures/talk.mp4");
    let args = ["-i", plain.to_str().unwrap(), "-i", "chapters.ffmetadata", "-map", "0", "-map_chapters", "1"];
    ffmpeg_with(&folder, &[&args[..], &["-c", "copy", "../again.mkv"]].concat());
    assert_eq!(chapters(&user.path("again.mkv")), expected());

    // A cue for each, and its text alone.
    let vtt = folder.join("chapters.vtt");
    let cues = ffprobe(vtt.to_str().unwrap(), &["-show_packets"]);
    assert_eq!(cues["packets"].as_array().unwrap().len(), titles().len());
    let text = std::fs::read_to_string(&vtt).unwrap();
    assert!(text.starts_with("WEBVTT\n\n00:00:00.000 --> 00:00:00.400\nOpening; what = #1 \\ about\n\n"), "{text}");
    assert!(text.contains("\n00:00:01.000 --&gt; 00:00:02.000\n"), "{text}");
    assert!(text.contains("\n제3장: 결론 &amp; &lt;끝&gt;\n"), "{text}");

    let lines = std::fs::read_to_string(folder.join("chapters.txt")).unwrap();
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), titles().len());
    assert_eq!((lines[0], lines[1]), ("0:00 Opening; what = #1 \\ about", "0:00 two lines = ;END"));
    assert_eq!((lines[3], lines[5], lines[6]), ("0:01 제3장: 결론 & ‹끝›", "0:02 Chapter 6", "0:02 abc"));

    // A later run of a file without chapters leaves none behind, and other files alone.
    std::fs::write(folder.join("chapters.old.txt"), "mine").unwrap();
    let again = [&["summarize", plain.to_str().unwrap()][..], &to_folder[2..]].concat();
    user.run(&again).complete();
    assert!(!lists.iter().any(|name| has(name)) && has("chapters.old.txt"), "{:?}", names(&folder));
    // In a folder that is not a report, a file of such a name is not ours.
    let other = user.home.path().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("chapters.txt"), "mine").unwrap();
    user.run(&[&again[..6], &[other.to_str().unwrap()]].concat()).complete();
    assert_eq!(std::fs::read_to_string(other.join("chapters.txt")).unwrap(), "mine");
}

/// Tags of the file, and codec, rotation, language and marks of each stream, as far as the formats of both files have them.
fn facts(path: &str, other: &str) -> (Vec<Option<String>>, Vec<Value>) {
    let found = ffprobe(path, &["-show_streams", "-show_format"]);
    let text = |value: &Value| value.as_str().map(str::to_owned).filter(|text| text != "und");
    let tags: HashMap<String, String> = found["format"]["tags"]
        .as_object()
        .unwrap()
        .iter()
        .filter_map(|(name, value)| Some((name.to_lowercase(), text(value)?)))
        .collect();
    let tags = ["title", "artist", "comment"].map(|name| tags.get(name).cloned()).to_vec();
    // QuickTime's family marks the first track of a kind as the default, and has no other marks.
    let is_matroska = |path: &str| path.ends_with("mkv") || path.ends_with("webm");
    let has_marks = is_matroska(path) == is_matroska(other);
    let streams = found["streams"].as_array().unwrap().iter().filter(|stream| stream["codec_type"] != "data");
    let stream = |stream: &Value| {
        let rotation = &stream["side_data_list"][0]["rotation"];
        let marks = stream["disposition"].as_object().filter(|_| has_marks);
        let tags = &stream["tags"];
        json!([stream["codec_name"], rotation, text(&tags["language"]), tags["timecode"], tags["filename"], marks])
    };
    (tags, streams.map(stream).collect())
}

#[test]
fn a_copy_has_the_chapters_and_every_packet() {
    let user = User::new();
    let talk = with_chapters(&user, "talk.mp4", "talk.mp4", &["-metadata:s:a:0", "language=kor"]);
    let two = with_chapters(&user, "two-languages.mkv", "two.mkv", &["-disposition:a:1", "original"]);
    let turned = with_chapters(&user, "rotated-90.mp4", "turned.mp4", &[]);
    let web = with_chapters(&user, "vp9-opus.webm", "web.webm", &[]);
    let words = with_chapters(&user, "subs-mov_text.mp4", "words.mp4", &[]);
    let drawn = with_chapters(
        &user,
        "subs-ass.mkv",
        "drawn.mkv",
        &["-attach", "list.txt", "-metadata:s:t:0", "mimetype=text/plain"],
    );
    let clock = with_chapters(&user, "talk.mp4", "clock.mov", &["-timecode", "01:00:00:00"]);
    for (input, copy) in [
        (&talk, "copy.mp4"),
        (&talk, "copy.mov"),
        (&talk, "copy.mkv"),
        (&two, "two-copy.mkv"),
        (&two, "two-copy.mp4"),
        (&turned, "turned-copy.mp4"),
        (&web, "web-copy.webm"),
        (&words, "words-copy.mp4"),
        (&drawn, "drawn-copy.mkv"),
        (&clock, "clock-copy.mov"),
        (&clock, "clock-copy.mp4"),
    ] {
        let copy = user.path(copy);
        let ran = user.run(&embed(input, &copy));
        assert_eq!(ran.code, Some(0), "{copy}: {ran:?}");
        for (found, wanted) in chapters(&copy).iter().zip(expected()) {
            // Matroska has no times before 0: where the sound's encoder starts before it, all streams are moved with the
            // chapters, here by at most 47 ms.
            let moved = found.0 - wanted.0;
            assert!((0..=47).contains(&moved) && found.2 == wanted.2, "{copy}: {found:?}, {wanted:?}");
            assert!((found.1 - wanted.1 - moved).abs() <= 1, "{copy}: {found:?}, {wanted:?}");
        }
        assert_eq!(chapters(&copy).len(), titles().len(), "{copy}");
        let kinds = ffprobe(input, &["-show_entries", "stream=codec_type"]);
        let has = |kind: &str| kinds["streams"].as_array().unwrap().iter().any(|stream| stream["codec_type"] == kind);
        assert!(has("video"), "{input}");
        for (stream, kind) in [("0:v", "video"), ("0:a", "audio"), ("0:s", "subtitle")] {
            if !has(kind) {
                continue;
            }
            let hash = |path: &str| {
                let args = ["-i", path, "-map", stream, "-c", "copy", "-f", "streamhash", "-"];
                String::from_utf8(ffmpeg_with(user.home.path(), &args)).unwrap()
            };
            let original = hash(input);
            assert!(!original.trim().is_empty(), "{input} {stream}");
            assert_eq!(hash(&copy), original, "{copy} {stream}");
        }
        assert_eq!(facts(&copy, input), facts(input, &copy), "{copy}");
    }
    assert_eq!(names(user.home.path()).iter().filter(|name| name.starts_with(".vidgist-")).count(), 0);
}

/// The times of the packets of each kind of stream, in seconds and in file order.
fn times(path: &str) -> HashMap<String, Vec<f64>> {
    let found = ffprobe(path, &["-show_entries", "packet=codec_type,pts_time"]);
    let mut times: HashMap<String, Vec<f64>> = HashMap::new();
    for packet in found["packets"].as_array().unwrap() {
        let kind = packet["codec_type"].as_str().unwrap().to_owned();
        times.entry(kind).or_default().extend(packet["pts_time"].as_str().and_then(|text| text.parse::<f64>().ok()));
    }
    times
}

#[test]
fn streams_and_chapters_stay_in_sync() {
    let user = User::new();
    let cut = |name: &str, start: &str, more: &[&str]| {
        let from = if more.contains(&"5") { 5000 } else { 0 };
        std::fs::write(user.path("list.txt"), list(&titles(), from)).unwrap();
        let talk = project().join("fixtures/talk.mp4");
        let args = [
            "-ss",
            start,
            "-copyts",
            "-start_at_zero",
            "-i",
            talk.to_str().unwrap(),
            "-i",
            "list.txt",
            "-map_chapters",
            "1",
        ];
        ffmpeg_with(user.home.path(), &[&args[..], &["-c", "copy"], more, &[name]].concat());
        user.path(name)
    };
    let inputs = [
        with_chapters(&user, "edit-list.mp4", "edited.mp4", &[]),
        cut("hidden.mp4", "2.2", &["-avoid_negative_ts", "disabled"]),
        cut("late.mp4", "0", &["-output_ts_offset", "5"]),
        cut("late.mkv", "0", &["-output_ts_offset", "5"]),
        with_chapters(&user, "sound-early.mp4", "early.mp4", &[]),
        with_chapters(&user, "sound-late.mkv", "sound-late.mkv", &[]),
    ];
    for (input, extension) in inputs.iter().zip(["mkv", "mp4", "mov", "mp4", "mkv", "mov"]).chain([
        (&inputs[0], "mp4"),
        (&inputs[1], "mkv"),
        (&inputs[2], "mkv"),
    ]) {
        let copy = format!("{input}.copy.{extension}");
        let ran = user.run(&embed(input, &copy));
        assert_eq!(ran.code, Some(0), "{copy}: {ran:?}");
        let (old, new) = (times(input), times(&copy));
        let shift = |kind: &str| {
            let (old, new) = (&old[kind], &new[kind]);
            assert_eq!(old.len(), new.len(), "{copy} {kind}");
            let shifts: Vec<f64> = old.iter().zip(new).map(|(old, new)| new - old).collect();
            let low = shifts.iter().copied().fold(f64::MAX, f64::min);
            let high = shifts.iter().copied().fold(f64::MIN, f64::max);
            // The times of Matroska and of lists of edits are milliseconds.
            assert!(high - low < 0.0011, "{copy} {kind}: {low} to {high}");
            low
        };
        let (video, audio) = (shift("video"), shift("audio"));
        assert!((video - audio).abs() < 0.0011, "{copy}: video moved by {video} s, audio by {audio} s");
        let mut written = chapters(&copy);
        written.retain(|(_, _, title)| title != "Start");
        assert_eq!(written.len(), titles().len(), "{copy}");
        for ((old, _, title), (new, _, new_title)) in chapters(input).iter().zip(written) {
            let title = if title.is_empty() { "Chapter 6" } else { title };
            assert!(new_title == title || title.contains('\u{1b}'), "{copy}: {title} {new_title}");
            // A chapter that began before the clock's zero begins with it.
            let moved = new - old - (video * 1000.0).round() as i64;
            assert!(moved.abs() <= 1 || new == 0, "{copy}: {title} moved by {moved} ms more than the video");
        }
    }
}

#[test]
fn chapters_after_the_end_are_left_out() {
    let user = User::new();
    std::fs::write(user.path("list.txt"), list(&titles(), 19_000)).unwrap();
    let talk = project().join("fixtures/talk.mp4");
    let args = ["-i", talk.to_str().unwrap(), "-i", "list.txt", "-map_chapters", "1", "-c", "copy", "late.mkv"];
    ffmpeg_with(user.home.path(), &args);
    let (input, copy) = (user.path("late.mkv"), user.path("copy.mp4"));
    let ran = user.run(&embed(&input, &copy));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains("copy.mp4 does not contain 4 chapters after the end of the input"), "{}", ran.err);
    let found = chapters(&copy);
    let starts: Vec<i64> = found.iter().map(|(start, _, _)| *start).collect();
    assert_eq!(starts, [0, 19_000, 19_400, 19_800]);
    // The file does not become longer.
    assert!(found[0].2 == "Start" && found[3].1 <= 20_050, "{found:?}");

    // One alone.
    std::fs::write(user.path("list.txt"), list(&titles()[..4], 19_000)).unwrap();
    ffmpeg_with(user.home.path(), &args);
    let ran = user.run(&embed(&input, &user.path("again.mp4")));
    assert!(ran.err.contains("again.mp4 does not contain 1 chapter after the end of the input"), "{}", ran.err);
}

#[test]
fn covers_stay_covers() {
    let user = User::new();
    let song = with_chapters(&user, "cover.mp3", "song.mp3", &[]);
    for (copy, codecs) in [("song.mka", &["mp3", "mjpeg"][..]), ("song.mp4", &["mp3", "mjpeg"])] {
        let copy = user.path(copy);
        let subtitles = project().join("fixtures/talk.srt");
        let args = ["summarize", &song, "--transcript", subtitles.to_str().unwrap(), "--embed-chapters", &copy];
        let ran = user.run(&args);
        assert_eq!(ran.code, Some(0), "{copy}: {ran:?}");
        let facts = ffprobe(&copy, &["-show_streams"]);
        let streams: Vec<&Value> =
            facts["streams"].as_array().unwrap().iter().filter(|s| s["codec_type"] != "data").collect();
        let mut found: Vec<&str> = streams.iter().filter_map(|s| s["codec_name"].as_str()).collect();
        found.retain(|name| codecs.contains(name));
        assert_eq!(found.len(), codecs.len(), "{copy}: {facts}");
        let cover = streams.iter().find(|s| s["codec_type"] == "video").unwrap();
        assert_eq!(cover["disposition"]["attached_pic"], 1, "{copy}");
        let picture =
            |path: &str| ffmpeg_with(user.home.path(), &["-i", path, "-map", "0:v", "-c", "copy", "-f", "md5", "-"]);
        assert_eq!(picture(&copy), picture(&song), "{copy}");
    }
}

/// The names in the user's folder, without the index of frames, which vidgist keeps.
fn files(user: &User) -> Vec<String> {
    names(user.home.path()).into_iter().filter(|name| name != ".cache").collect()
}

#[test]
fn what_cannot_be_embedded_is_said_first() {
    let user = User::new();
    let talk = with_chapters(&user, "talk.mp4", "talk.mp4", &[]);
    let words = with_chapters(&user, "subs-mov_text.mp4", "words.mp4", &[]);
    let turned = with_chapters(&user, "rotated-90.mp4", "turned.mp4", &[]);
    std::fs::write(user.path("taken.mp4"), "mine").unwrap();
    std::os::unix::fs::symlink(&talk, user.path("link.mp4")).unwrap();
    std::os::unix::fs::symlink(user.path("nowhere"), user.path("dangling.mp4")).unwrap();
    let at = |name: &str| user.path(name);
    let new = at("new.mp4");
    let before = files(&user);
    for (args, wanted) in [
        (vec![&*talk, &*at("taken.mp4")], "exists already"),
        (vec![&talk, &talk], "is the input itself"),
        (vec![&talk, &at("link.mp4")], "is the input itself"),
        (vec![&talk, &at("dangling.mp4")], "exists already"),
        (vec!["fixtures/talk.mp4", &new], "has no chapters to embed"),
        (
            vec![&talk, &at("new.avi")],
            "copies with chapters are not supported for this file type; name it .mp4, .m4v, .m4a, .mov, .mkv, .mka, .webm",
        ),
        (vec![&talk, &at("new")], "name it .mp4"),
        (vec![&talk, &at("new.webm")], ".webm cannot hold stream #0 (video, h264); name the copy .mkv"),
        (vec![&words, &at("new.mkv")], ".mkv cannot hold stream #2 (subtitle, mov_text); name the copy .mp4"),
        (vec!["fixtures/picture.jpg", &new], "is a picture"),
        (vec!["fixtures/seq", &new], "is a picture"),
        (vec!["http://127.0.0.1:9/talk.mp4", &new], "is not a file"),
        (vec!["camera:0", &new], "is not a file"),
        (vec![&talk, &new, &talk, "--join"], "is in several files"),
    ] {
        let (input, output, more) = (args[0], args[1], &args[2..]);
        let ran = user.run(&[&["summarize", input][..], more, &["--no-store", "--embed-chapters", output]].concat());
        assert_eq!((ran.code, &*ran.out), (Some(2), ""), "{args:?}: {ran:?}");
        assert!(ran.err.contains(wanted), "{args:?}: {}", ran.err);
        assert_eq!(files(&user), before, "{args:?}");
    }
    assert_eq!(std::fs::read_to_string(at("taken.mp4")).unwrap(), "mine");
    // The rotation is known to be lost only once the copy is there; newer versions of libavformat keep it.
    let copy = at("turned.mkv");
    let ran = user.run(&[&embed(&turned, &copy)[..], &["--no-store"]].concat());
    if ran.code == Some(1) {
        assert!(ran.err.contains(".mkv cannot hold the rotation of stream #0; name the copy .mp4 or .mov"), "{ran:?}");
        assert_eq!(files(&user), before);
    } else {
        let facts = ffprobe(&copy, &["-show_streams"]);
        assert_eq!(facts["streams"][0]["side_data_list"][0]["rotation"], -90);
    }
    // An estimate writes nothing.
    let ran = user.run(&["plan", &talk, "--no-store", "--embed-chapters", &new]);
    assert!(ran.code == Some(0) && !Path::new(&new).exists(), "{ran:?}");
}

/// A file of about 60 MB, which takes a moment to copy.
fn large(user: &User) -> String {
    let home = user.home.path();
    std::fs::write(home.join("list.txt"), list(&titles(), 0)).unwrap();
    let source = ["-f", "lavfi", "-i", "testsrc2=s=640x360:r=25:d=7", "-i", "list.txt", "-map", "0"];
    ffmpeg_with(home, &[&source[..], &["-map_chapters", "1", "-c:v", "rawvideo", "large.mkv"]].concat());
    user.path("large.mkv")
}

#[test]
fn an_unfinished_copy_is_no_file() {
    let user = User::new();
    let input = large(&user);
    let before = files(&user);
    let copy = user.path("copy.mkv");
    let args = [&embed(&input, &copy)[..], &["--no-store"]].concat();

    // The file may not grow over 8 MiB, as on a full disk.
    let script = "trap '' XFSZ; ulimit -f 16384; exec \"$0\" \"$@\"";
    let mut limited = Command::new("bash");
    limited.args(["-c", script, env!("CARGO_BIN_EXE_vidgist")]).args(&args).env_clear();
    limited.env("HOME", user.home.path()).env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let ran = crate::support::command::ran(limited.current_dir(project()));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("missing the copy with chapters") && ran.err.contains("copy.mkv"), "{}", ran.err);
    assert!(ran.out.contains("# large.mkv"), "the report is there: {}", ran.out);
    assert_eq!(files(&user), before);

    for (signal, leaves_temporary_file) in [("INT", false), ("KILL", true)] {
        let mut child = user.command(&args).process_group(0).spawn().unwrap();
        // Until the copy has begun.
        let begun = || files(&user).iter().any(|name| name.starts_with(".vidgist-"));
        while !begun() && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        run("kill", Path::new("/"), &[&format!("-{signal}"), &child.id().to_string()]);
        let status = child.wait().unwrap();
        if Path::new(&copy).exists() {
            // It was faster than the signal.
            assert_eq!(chapters(&copy).len(), titles().len(), "{signal}");
            std::fs::remove_file(&copy).unwrap();
        } else {
            assert!(!status.success(), "{signal}");
        }
        let left: Vec<String> = files(&user).into_iter().filter(|name| !before.contains(name)).collect();
        assert!(left.is_empty() || leaves_temporary_file && left.len() == 1, "{signal}: {left:?}");
        for name in left {
            std::fs::remove_file(user.home.path().join(name)).unwrap();
        }
    }
}
