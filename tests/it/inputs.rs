//! What an input is: told by its content, named in every refusal, whatever its name is.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its input stops")]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use serde_json::Value;

use crate::support::command::{User, names, ran};
use crate::support::programs::ffmpeg;

fn clip(user: &User, name: &str) {
    std::fs::copy("fixtures/one-fps.mp4", user.home.path().join(name)).unwrap();
}

#[test]
fn a_refusal_names_what_the_file_is() {
    let user = User::new();
    for (name, bytes, kind) in [
        ("page.mp4", &b"<!doctype html><title>404</title><p>Not found"[..], "is a web page (HTML)"),
        ("page.jpg", b"\n<html><body>Not found", "is a web page (HTML)"),
        ("paper.mp4", b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", "is a PDF document"),
        ("clips.mov", b"PK\x03\x04\x14\0\0\0\x08\0clip.mov", "is a zip archive"),
        ("answer.mp3", b"{\"error\": {\"message\": \"not found\"}}", "is a JSON document"),
        ("list.mkv", b"#EXTM3U\n#EXTINF:4,\nsegment-1.ts\n", "is a playlist"),
        ("clip.mp4", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "is a Git LFS pointer"),
        ("raw.cr3", b"\0\0\0\x18ftypcrx \0\0\0\0crx isom\0\0\0\0", "is a camera's raw picture (CR3)"),
        ("zeros.mp4", &[0; 4096], "is a file of zeros"),
        ("cut.mp4", b"\0\0\0\x18ftypisom\0\0\0\0isommp41\0\0\x10\0mdat\x01\x02\x03", "missing or damaged index"),
    ] {
        std::fs::write(user.path(name), bytes).unwrap();
        let output = user.path("out");
        for arguments in [vec!["probe"], vec!["frames", "-o", &output], vec!["transcribe"], vec!["summarize"]] {
            let ran = user.run(&[&arguments[..1], &[&user.path(name)], &arguments[1..]].concat());
            assert_eq!(ran.code, Some(2), "{arguments:?} {name}: {ran:?}");
            assert!(ran.err.contains(kind), "{arguments:?} {name}: {}", ran.err);
        }
    }
}

#[test]
fn a_folder_is_read_by_content_and_skipped_files_are_listed() {
    let user = User::new();
    let folder = user.home.path().join("phone");
    std::fs::create_dir(&folder).unwrap();
    // Without an ending, with one of another kind, and in capitals.
    for name in ["phone/clip", "phone/clip.dat", "phone/CLIP.MP4"] {
        clip(&user, name);
    }
    std::fs::copy("fixtures/picture.jpg", folder.join("IMG_2")).unwrap();
    std::fs::write(folder.join("notes.txt"), "bring the tripod").unwrap();
    std::fs::write(folder.join("scan.bin"), b"%PDF-1.4\n").unwrap();
    std::fs::copy("fixtures/speech.wav", folder.join("memo.wav")).unwrap();
    let phone = user.path("phone");
    let estimate = user.run(&["caption", &phone, "--model", "m", "--base-url", "http://127.0.0.1:9/v1", "--dry-run"]);
    assert_eq!(estimate.code, Some(0), "{estimate:?}");
    for (name, reason) in
        [("notes.txt", "is plain text"), ("scan.bin", "is a PDF document"), ("memo.wav", "no video stream")]
    {
        let line = estimate.err.lines().find(|line| line.contains(name)).unwrap_or_default();
        assert!(line.contains("skipped") && line.contains(reason), "{name}: {}", estimate.err);
    }
    assert!(["clip:", "clip.dat:", "CLIP.MP4:", "IMG_2:"].iter().all(|name| !estimate.err.contains(name)));
    // A folder of pictures for `frames`.
    let frames = user.run(&["frames", &phone, "-o", &user.path("out")]);
    for name in ["clip.dat", "notes.txt", "memo.wav"] {
        assert!(
            frames.err.lines().any(|line| line.contains(name) && line.contains("skipped")),
            "{name}: {}",
            frames.err
        );
    }
}

#[test]
fn names_that_are_not_utf8_are_read() {
    let user = User::new();
    let folder = user.home.path().join("names");
    std::fs::create_dir(&folder).unwrap();
    for (at, name) in [&b"caf\xe9.mp4"[..], b"\xff\xfe.mp4", b"50%25 \xe9.mp4"].into_iter().enumerate() {
        let path = folder.join(OsStr::from_bytes(name));
        std::fs::copy("fixtures/one-fps.mp4", &path).unwrap();
        let mut probe = user.command(&["probe"]);
        let probed = ran(probe.arg(&path));
        assert_eq!(probed.code, Some(0), "{probed:?}");
        assert!(probed.out.contains('\u{fffd}'), "{}", probed.out);
        let out = user.home.path().join(format!("out-{at}"));
        let mut frames = user.command(&["frames"]);
        let extracted = ran(frames.arg(&path).arg("-o").arg(&out).args(["--interval", "2s"]));
        assert_eq!(extracted.code, Some(0), "{extracted:?}");
        assert!(names(&out).len() > 2);
    }
    let folder = user.path("names");
    let plan = user.run(&["caption", &folder, "--model", "m", "--base-url", "http://127.0.0.1:9/v1", "--dry-run"]);
    assert_eq!((plan.code, plan.err.contains("skipped")), (Some(0), false), "{plan:?}");
}

#[test]
fn a_file_wins_over_a_camera_of_its_name() {
    let user = User::new();
    for name in ["camera:0", "camera:0.mp4", "camera:x"] {
        clip(&user, name);
        let mut probe = user.command(&["probe", name]);
        let probed = ran(probe.current_dir(user.home.path()));
        assert_eq!(probed.code, Some(0), "{probed:?}");
    }
    let missing = user.run(&["probe", "camera:y"]);
    assert!(missing.err.contains("is not a camera number"), "{}", missing.err);
}

#[test]
fn names_of_files_are_no_addresses_patterns_or_flags() {
    let user = User::new();
    let film = std::fs::read("fixtures/one-fps.mp4").unwrap();
    std::fs::create_dir_all(user.path("http:/host")).unwrap();
    for (at, name) in [
        // Protocols of libav, an address as folders, a drive.
        "http:video.mp4",
        "http://host/video.mp4",
        "file:a.mp4",
        "pipe:1.mp4",
        "concat:a|b.mp4",
        "subfile,,start,1,end,0,,:x.mp4",
        "data:,abc",
        "crypto:a.mp4",
        "a:b.mp4",
        "rtsp:",
        // Patterns of pictures, of a shell, and of its variables.
        "%03d.mp4",
        "clip*[1]?.mp4",
        "a$HOME~.mp4",
        // Standard input and flags, as a path; a flag behind the end of flags.
        "./-",
        "./--version",
        "./-o.mp4",
        "--help",
    ]
    .into_iter()
    .enumerate()
    {
        std::fs::write(user.home.path().join(name), &film).unwrap();
        let run = |args: &[&str]| {
            let mut command = user.command(args);
            ran(command.current_dir(user.home.path()).args(["--", name]))
        };
        let probed = run(&["probe", "--json"]);
        let facts: Value = serde_json::from_str(&probed.out).unwrap_or_default();
        assert_eq!((probed.code, facts["input"].as_str()), (Some(0), Some(name)), "{name}: {probed:?}");
        let out = user.path(&format!("out-{at}"));
        let frames = run(&["frames", "--interval", "10s", "-o", &out]);
        assert_eq!((frames.code, frames.out.lines().count()), (Some(0), 3), "{name}: {frames:?}");
    }
    // One picture whose name is a pattern is that picture.
    std::fs::copy("fixtures/picture.jpg", user.path("%02d.jpg")).unwrap();
    std::fs::copy("fixtures/picture.jpg", user.path("01.jpg")).unwrap();
    let probed: Value = serde_json::from_str(&user.run(&["probe", &user.path("%02d.jpg"), "--json"]).out).unwrap();
    assert_eq!(probed["format"], "jpeg", "{probed}");
}

#[test]
fn encrypted_streams_are_named_and_not_decoded() {
    let user = User::new();
    let folder = user.home.path();
    let key = "-encryption_scheme cenc-aes-ctr -encryption_key 00112233445566778899aabbccddeeff -encryption_kid 00112233445566778899aabbccddeeff";
    let talk = std::env::current_dir().unwrap().join("fixtures/talk.mp4");
    ffmpeg(folder, &format!("-i {} -t 3 -c copy {key} drm.mp4", talk.display()));
    ffmpeg(folder, &format!("-i {} -t 3 -c copy scrambled.ts", talk.display()));
    let mut stream = std::fs::read(folder.join("scrambled.ts")).unwrap();
    for packet in stream.chunks_exact_mut(188) {
        // Elementary streams have identifiers from 0x100 on in ffmpeg's files.
        if packet[1] & 0x1f == 1 {
            packet[3] |= 0xc0;
        }
    }
    std::fs::write(folder.join("scrambled.ts"), stream).unwrap();
    for (name, scheme) in [("drm.mp4", "cenc"), ("scrambled.ts", "scrambled broadcast")] {
        let path = user.path(name);
        let probed: Value = serde_json::from_str(&user.run(&["probe", &path, "--json"]).out).unwrap();
        assert_eq!(probed["video"][0]["encryption"], scheme, "{name}");
        assert_eq!(probed["audio"][0]["encryption"], scheme, "{name}");
        let text = user.run(&["probe", &path]).out;
        assert!(text.contains(&format!("encrypted ({scheme})")), "{text}");
        let output = user.path("out");
        let audio = user.path("out.wav");
        for arguments in [
            vec!["frames", &path, "-o", &output],
            vec!["summarize", &path],
            vec!["audio", &path, "-o", &audio],
            vec!["describe-audio", &path],
        ] {
            let ran = user.run(&arguments);
            assert!(ran.code == Some(2) && ran.err.contains("is encrypted"), "{arguments:?}: {ran:?}");
        }
    }
    let clear: Value = serde_json::from_str(&user.run(&["probe", "fixtures/talk.mp4", "--json"]).out).unwrap();
    assert_eq!(clear["video"][0]["encryption"], Value::Null);
}

#[test]
fn chapters_of_the_container_are_carried() {
    let user = User::new();
    let folder = user.home.path();
    let chapter = |start, end, title| format!("[CHAPTER]\nTIMEBASE=1/1000\nSTART={start}\nEND={end}\ntitle={title}\n");
    let list = format!(";FFMETADATA1\n{}{}", chapter(0, 8400, "Harbor"), chapter(8400, 20_000, "Passport"));
    std::fs::write(folder.join("chapters.txt"), list).unwrap();
    let talk = std::env::current_dir().unwrap().join("fixtures/talk.mp4");
    for name in ["book.m4b", "talk.mkv", "talk.mp4", "talk.ogg"] {
        let video = if name.starts_with("book") || name.ends_with("ogg") { "-vn" } else { "-c:v copy" };
        let audio = if name.ends_with("ogg") { "-c:a libopus" } else { "-c:a copy" };
        ffmpeg(folder, &format!("-i {} -i chapters.txt -map_chapters 1 {video} {audio} {name}", talk.display()));
        let path = user.path(name);
        let probed: Value = serde_json::from_str(&user.run(&["probe", &path, "--json"]).complete()).unwrap();
        let titles: Vec<&str> =
            probed["chapters"].as_array().unwrap().iter().filter_map(|c| c["title"].as_str()).collect();
        assert_eq!(titles, ["Harbor", "Passport"], "{name}");
        assert!(user.run(&["probe", &path]).complete().contains("00:00:08.4"), "{name}");
    }
    std::fs::copy("fixtures/talk.srt", folder.join("talk.srt")).unwrap();
    let summary = user.run(&["summarize", &user.path("talk.mkv"), "--interval", "10s"]);
    assert!(summary.out.contains("- Chapter: 00:00:08.400 to 00:00:20.000, Passport"), "{}", summary.out);
    let json = user.run(&["summarize", &user.path("talk.mkv"), "--interval", "10s", "--format", "json"]);
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["media"]["chapters"][1]["start"], 8.4);
}

#[test]
fn a_recording_is_as_long_as_its_longest_stream() {
    let user = User::new();
    let folder = user.home.path();
    let talk = std::env::current_dir().unwrap().join("fixtures/talk.mp4");
    // One picture, and half of the pictures, with all of the sound.
    for (name, pictures) in
        [("still.mp4", "-frames:v 1"), ("short.mp4", "-filter:v trim=end=10"), ("short.mkv", "-filter:v trim=end=5")]
    {
        ffmpeg(folder, &format!("-i {} {pictures} -c:v libx264 -c:a copy {name}", talk.display()));
        let subtitles = Path::new(name).with_extension("srt");
        std::fs::copy("fixtures/talk.srt", folder.join(subtitles)).unwrap();
        let summary = user.run(&["summarize", &user.path(name), "--format", "json"]);
        assert_eq!(summary.code, Some(0), "{name}: {summary:?}");
        let report: Value = serde_json::from_str(&summary.out).unwrap();
        assert_eq!(report["transcript"]["segments"].as_array().map(Vec::len), Some(5), "{name}");
        let bounded = user.run(&["summarize", &user.path(name), "--format", "json", "--end", "4s"]);
        let report: Value = serde_json::from_str(&bounded.out).unwrap();
        assert_eq!(report["transcript"]["segments"].as_array().map(Vec::len), Some(1), "{name}: the end limits it");
    }
}

#[test]
fn a_very_large_jpeg_is_decoded_at_a_reduced_size() {
    let user = User::new();
    let folder = user.home.path();
    // EXIF's orientation: 1 is upright, 6 needs a quarter turn clockwise.
    for (size, orientation, width, height) in [
        ("12000x9000", 1, 768, 576),
        ("9000x12000", 1, 768, 1024),
        ("20001x5003", 1, 768, 192),
        ("20001x5003", 6, 768, 3070),
    ] {
        ffmpeg(
            folder,
            &format!(
                "-f lavfi -i testsrc=s=640x480 -frames:v 1 -vf scale={} -pix_fmt yuvj420p big.jpg",
                size.replace('x', ":")
            ),
        );
        let mut bytes = std::fs::read(folder.join("big.jpg")).unwrap();
        let exif = [
            &b"\xff\xe1\0\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0"[..],
            &[orientation, 0, 0, 0, 0, 0, 0, 0],
        ];
        bytes.splice(2..2, exif.concat());
        std::fs::write(folder.join("big.jpg"), bytes).unwrap();
        let out = user.path("out");
        let ran = user.run(&["frames", &user.path("big.jpg"), "-o", &out]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let report: Value =
            serde_json::from_slice(&std::fs::read(Path::new(&out).join("frames.json")).unwrap()).unwrap();
        assert_eq!(
            (&report["frames"][0]["width"], &report["frames"][0]["height"]),
            (&width.into(), &height.into()),
            "{size}, orientation {orientation}"
        );
        std::fs::remove_dir_all(out).unwrap();
    }
}

#[test]
fn an_animated_png_is_a_video() {
    let user = User::new();
    let folder = user.home.path();
    ffmpeg(folder, "-f lavfi -i testsrc2=s=160x90:r=5 -frames:v 10 -f apng moving.png");
    ffmpeg(folder, "-f lavfi -i testsrc2=s=160x90:r=5 -frames:v 1 -f apng still.png");
    ffmpeg(folder, "-f lavfi -i testsrc2=s=160x90:r=5 -frames:v 1 plain.png");
    for (name, n_frames) in [("moving.png", 10), ("still.png", 1), ("plain.png", 1)] {
        let out = user.path(&format!("{name}.frames"));
        let done = user.run(&["frames", &user.path(name), "--interval", "200ms", "-o", &out]);
        assert_eq!((done.code, done.out.lines().count()), (Some(0), n_frames), "{name}: {done:?}");
    }
}

#[test]
fn a_motion_photo_is_its_picture() {
    let user = User::new();
    let video = std::fs::read("fixtures/one-fps.mp4").unwrap();
    let folder = user.home.path();
    ffmpeg(folder, "-f lavfi -i testsrc2=s=160x90 -frames:v 1 p.png");
    crate::support::programs::run("heif-enc", folder, &["-q", "80", "-o", "p.heic", "p.png"]);
    std::fs::copy("fixtures/picture.jpg", folder.join("p.jpg")).unwrap();
    // Google and Samsung append the video; in HEIC it is in a box of its own.
    let wrapped = [&(video.len() as u32 + 8).to_be_bytes()[..], b"mpvd", &video].concat();
    for (name, behind) in [("p.jpg", &video), ("p.heic", &wrapped), ("p.heic", &video)] {
        let picture = std::fs::read(folder.join(name)).unwrap();
        let photo = format!("motion-{name}");
        std::fs::write(folder.join(&photo), [&picture[..], behind].concat()).unwrap();
        let out = user.path("out");
        let done = user.run(&["frames", &user.path(&photo), "-o", &out]);
        assert_eq!((done.code, done.out.lines().count()), (Some(0), 1), "{name}: {done:?}");
        std::fs::remove_dir_all(out).unwrap();
        assert_eq!(user.run(&["probe", &user.path(&photo)]).code, Some(0), "{name}: nothing is damaged");
        is_told(&user, &photo, &video);
    }
    // Samsung writes a marker before the video and a table behind it; the preview of a picture may be a film's picture.
    let picture = std::fs::read(folder.join("p.jpg")).unwrap();
    let table = b"\0\0\x30\x0a\x08\0\0\0SEFHk\0\0\0SEFT";
    let samsung = [&picture[..], b"\0\0\x30\x0a\x10\0\0\0MotionPhoto_Data", &video, table].concat();
    std::fs::write(folder.join("samsung.jpg"), samsung).unwrap();
    is_told(&user, "samsung.jpg", &video);

    // What looks like a video comes before it.
    let decoy = b"\0\0\0\x14ftypisom\0\0\0\0isom\0\xff\xff\xffmdat";
    std::fs::write(folder.join("decoy.jpg"), [&picture[..], decoy, decoy, decoy, &video].concat()).unwrap();
    is_told(&user, "decoy.jpg", &video);

    // No video: none behind it, another picture, a text that names the box, a video that is cut before its table.
    let heic = std::fs::read(folder.join("p.heic")).unwrap();
    for (name, behind) in [
        ("plain.jpg", &b""[..]),
        ("picture.jpg", &heic),
        ("text.jpg", b"\0\0\0\x14ftypisom\0\0\0\0isom and more text"),
        ("cut.jpg", &video[..2000]),
    ] {
        std::fs::write(folder.join(name), [&picture[..], behind].concat()).unwrap();
        let probe = user.run(&["probe", &user.path(name), "--json"]);
        let facts: Value = serde_json::from_str(&probe.out).unwrap();
        assert!(facts["motion_video"].is_null() && facts["video"][0]["codec"] == "jpeg", "{name}: {facts}");
    }
    let server = crate::support::fake_server::FakeServer::start();
    let args = ["caption", &user.path("."), "--model", "gpt-4o-mini", "--base-url", &server.base_url()];
    let captions = user.run(&args);
    assert_eq!(captions.err.matches("is a motion photo").count(), 1, "{}", captions.err);
    assert!(captions.err.contains("so are 3 other pictures"), "{}", captions.err);
    let (one, two) = (user.path("samsung.jpg"), user.path("decoy.jpg"));
    let captions = user.run(&["caption", &one, &two, "--model", "gpt-4o-mini", "--base-url", &server.base_url()]);
    assert!(captions.err.contains("; so is 1 other picture\n"), "{}", captions.err);
}

/// Whether `probe`, `frames` and `summarize` name the video of a motion photo, which can be copied out as they say.
#[track_caller]
fn is_told(user: &User, photo: &str, video: &[u8]) {
    let path = user.path(photo);
    let facts: Value = serde_json::from_str(&user.run(&["probe", &path, "--json"]).complete()).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let at = facts["motion_video"]["at_byte"].as_u64().unwrap() as usize;
    assert!(bytes[at..].starts_with(video), "{photo}: {facts}");
    assert_eq!(facts["motion_video"]["duration"].as_f64(), Some(30.0), "{photo}");
    let notice = format!("its video of 30.0 s (extract it with: tail -c +{} FILE > video.mp4)", at + 1);
    let page = user.run(&["summarize", &path]);
    let out = user.path("told");
    for (text, from) in [
        (user.run(&["probe", &path]).out, "probe"),
        (user.run(&["frames", &path, "-o", &out]).err, "frames"),
        (page.err, "summarize"),
    ] {
        assert!(text.contains(&notice), "{photo}, {from}: {text}");
    }
    assert!(page.out.contains("- Note: the file is a motion photo"), "{}", page.out);
}

/// A recording as Dahua's cameras store it (`.dav`), of the access units of an H.264 stream, 200 ms apart.
fn dhav(stream: &[u8], sizes: &[usize]) -> Vec<u8> {
    let (mut file, mut rest) = (Vec::new(), stream);
    for (number, size) in sizes.iter().enumerate() {
        let (unit, behind) = rest.split_at(*size);
        rest = behind;
        let number = number as u32;
        // Codec and frame rate, then width and height.
        let facts = [&[0x81, 0, 4, 5][..], &[0x82, 0, 0, 0], &160_u16.to_le_bytes(), &96_u16.to_le_bytes()].concat();
        let length = (24 + facts.len() + unit.len() + 8) as u32;
        let kind = if number.is_multiple_of(5) { 0xfd } else { 0xfc };
        file.extend_from_slice(b"DHAV");
        file.extend_from_slice(&[kind, 0, 0, 0]);
        file.extend_from_slice(&number.to_le_bytes());
        file.extend_from_slice(&length.to_le_bytes());
        // 2026-01-01, 00:00 and whole seconds: years from 2000, months, days, hours, minutes, seconds.
        file.extend_from_slice(&((26_u32 << 26) | (1 << 22) | (1 << 17) | (number / 5)).to_le_bytes());
        file.extend_from_slice(&((number * 200) as u16).to_le_bytes());
        file.extend_from_slice(&[facts.len() as u8, 0]);
        file.extend_from_slice(&facts);
        file.extend_from_slice(unit);
        file.extend_from_slice(b"dhav");
        file.extend_from_slice(&length.to_le_bytes());
    }
    file
}

#[test]
fn a_recording_of_a_surveillance_camera_is_read() {
    let user = User::new();
    let folder = user.home.path();
    ffmpeg(folder, "-f lavfi -i testsrc2=s=160x96:r=5 -frames:v 10 -c:v libx264 -bf 0 -g 5 -sc_threshold 0 a.264");
    let sizes = crate::support::programs::run(
        "ffprobe",
        folder,
        &["-v", "error", "-show_entries", "packet=size", "-of", "csv=p=0", "a.264"],
    );
    let sizes: Vec<usize> =
        String::from_utf8(sizes).unwrap().lines().map(|size| size.trim_end_matches(',').parse().unwrap()).collect();
    let stream = std::fs::read(folder.join("a.264")).unwrap();
    std::fs::write(folder.join("a.dav"), dhav(&stream, &sizes)).unwrap();
    let out = user.path("out");
    let done = user.run(&["frames", &user.path("a.dav"), "--interval", "200ms", "-o", &out]);
    assert_eq!((done.code, done.out.lines().count()), (Some(0), 10), "{done:?}");
    assert!(done.out.lines().last().unwrap().starts_with("00:00:01.8"), "{}", done.out);
}
