//! Video streams as cameras, recorders and broadcasts leave them: damaged, cut, raw, and of changing size. ffmpeg makes
//! them.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its input stops")]

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::command::{Ran, User};
use crate::support::programs::ffmpeg;

const TEST_PICTURE: &str = "-f lavfi -i testsrc2=s=160x90:r=25";

/// The frames that `frames` extracts from a file, and how it ended.
struct Frames {
    ran: Ran,
    report: Value,
}

impl Frames {
    fn of(user: &User, name: &str, arguments: &[&str]) -> Self {
        let out = user.path(&format!("{name}.frames"));
        let input = user.path(name);
        let ran = user.run(&[&["frames", &input, "-o", &out], arguments].concat());
        let report = std::fs::read(Path::new(&out).join("frames.json"))
            .map(|bytes| serde_json::from_slice(&bytes).unwrap())
            .unwrap_or_default();
        Self { ran, report }
    }

    fn all<T>(&self, value: impl Fn(&Value) -> T) -> Vec<T> {
        self.report["frames"].as_array().into_iter().flatten().map(value).collect()
    }

    /// Times in milliseconds.
    fn millis(&self) -> Vec<i64> {
        self.all(|frame| (frame["seconds"].as_f64().unwrap() * 1000.0).round() as i64)
    }

    fn sizes(&self) -> Vec<(u64, u64)> {
        self.all(|frame| (frame["width"].as_u64().unwrap(), frame["height"].as_u64().unwrap()))
    }

    /// Numbers of the suspect frames, at 25 frames a second.
    fn suspects(&self) -> Vec<i64> {
        let frames = self.all(|frame| (frame["seconds"].as_f64().unwrap() * 25.0, frame["suspect"] == true));
        frames.into_iter().filter(|(_, is_suspect)| *is_suspect).map(|(number, _)| number.round() as i64).collect()
    }

    #[track_caller]
    fn assert_complete(&self) {
        assert_eq!(self.ran.code, Some(0), "{:?}", self.ran);
        assert_eq!(self.report["missing"], serde_json::json!([]));
    }
}

/// 80 frames with a keyframe every 40, and the same with damage in packet 20 (from 0, in decoding order).
fn damaged(user: &User, encoder: &str, container: &str) -> (Frames, Frames) {
    let folder = user.home.path();
    ffmpeg(folder, &format!("{TEST_PICTURE} -frames:v 80 -g 40 {encoder} good.{container}"));
    ffmpeg(folder, &format!("-i good.{container} -c copy -bsf:v noise=amount=if(eq(n\\,20)\\,6\\,0) bad.{container}"));
    let of = |name: &str| Frames::of(user, &format!("{name}.{container}"), &["--interval", "40ms"]);
    (of("good"), of("bad"))
}

#[test]
fn frames_that_refer_to_a_damaged_one_are_suspect_until_the_next_keyframe() {
    for (encoder, container) in [
        ("-c:v libx264 -sc_threshold 0 -bf 0", "mp4"),
        ("-c:v libx265 -x265-params log-level=none:keyint=40:scenecut=0:bframes=0", "mkv"),
        ("-c:v mpeg4 -bf 0", "avi"),
        ("-c:v mpeg2video -bf 0 -sc_threshold 1000000000", "ts"),
        ("-c:v libvpx-vp9 -cpu-used 8 -deadline realtime", "webm"),
    ] {
        let user = User::new();
        let (good, bad) = damaged(&user, encoder, container);
        good.assert_complete();
        assert_eq!(good.suspects(), [0; 0], "{encoder}: a false alarm");
        assert_eq!(bad.ran.code, Some(1), "{encoder}: {:?}", bad.ran);
        // Frame 20 itself may be lost, and a damaged head may take it for another one.
        let suspects = bad.suspects();
        assert!(suspects.ends_with(&(21..40).collect::<Vec<_>>()), "{encoder}: {suspects:?}");
        assert!(suspects.iter().all(|number| (19..40).contains(number)), "{encoder}: {suspects:?}");
        let missing = bad.report["missing"].to_string();
        assert!(missing.contains("suspect frames"), "{encoder}: {missing}");
    }
}

#[test]
fn frames_whose_reference_was_lost_are_suspect_until_the_next_keyframe() {
    // No frame is damaged: the decoder puts another picture in place of the lost one, and sets no flag. The frame at 20 in
    // decoding order is that at 20 without B-frames; x264's default has three, so that it is a later one.
    for (encoder, container, first) in [
        ("-c:v libx265 -x265-params log-level=none:keyint=40:scenecut=0:bframes=0", "mkv", 21),
        ("-c:v libx264 -sc_threshold 0", "mp4", 24),
    ] {
        let user = User::new();
        let folder = user.home.path();
        ffmpeg(folder, &format!("{TEST_PICTURE} -frames:v 80 -g 40 {encoder} good.{container}"));
        ffmpeg(folder, &format!("-i good.{container} -c copy -bsf:v noise=drop=eq(n\\,20) lost.{container}"));
        let lost = Frames::of(&user, &format!("lost.{container}"), &["--interval", "40ms"]);
        assert_eq!(lost.ran.code, Some(1), "{encoder}: {:?}", lost.ran);
        assert_eq!(lost.suspects(), (first..40).collect::<Vec<_>>(), "{encoder} {container}");
    }
}

#[test]
fn frames_before_the_first_keyframe_are_not_shown_where_the_decoder_cannot_tell_that_they_are_wrong() {
    for (encoder, container) in
        [("mpeg4 -bf 0", "mp4"), ("mpeg4", "avi"), ("h263 -s 176x144", "mov"), ("wmv2", "wmv"), ("flv1", "flv")]
    {
        let user = User::new();
        let folder = user.home.path();
        ffmpeg(folder, &format!("{TEST_PICTURE} -frames:v 80 -g 20 -c:v {encoder} good.{container}"));
        ffmpeg(folder, &format!("-i good.{container} -c copy -copyts -bsf:v noise=drop=lt(n\\,7) late.{container}"));
        let late = Frames::of(&user, &format!("late.{container}"), &["--interval", "40ms"]);
        late.assert_complete();
        assert_eq!(late.suspects(), [0; 0], "{encoder}");
        // 80 frames, of which those before the second keyframe are not shown.
        assert_eq!(late.millis().len(), 60, "{encoder}: {:?}", late.millis());
    }
}

#[test]
fn damage_in_a_frame_that_no_other_refers_to_reaches_it_alone() {
    let user = User::new();
    let folder = user.home.path();
    let encoder = "-c:v libx264 -sc_threshold 0 -bf 1 -x264-params b-adapt=0:b-pyramid=none:force-cfr=1";
    ffmpeg(folder, &format!("{TEST_PICTURE} -frames:v 40 -g 40 {encoder} good.mp4"));
    // In decoding order I P B P B …: packet 10 is a B-frame. The damage begins after its slice header.
    let bytes = std::fs::read(folder.join("good.mp4")).unwrap();
    let probe = Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", "packet=pos,size", "-of", "csv=p=0"])
        .arg(folder.join("good.mp4"))
        .output()
        .unwrap();
    let listed = String::from_utf8(probe.stdout).unwrap();
    let packet = listed.lines().nth(10).unwrap().trim_end_matches(',').split_once(',').unwrap();
    let (size, pos): (usize, usize) = (packet.0.parse().unwrap(), packet.1.parse().unwrap());
    let mut bad = bytes;
    bad[pos + size / 2..pos + size].fill(0xa5);
    std::fs::write(folder.join("bad.mp4"), bad).unwrap();
    let bad = Frames::of(&user, "bad.mp4", &["--interval", "40ms"]);
    assert!(bad.suspects().len() <= 1, "{:?}", bad.suspects());
    assert_eq!(bad.ran.code, Some(1), "{:?}", bad.ran);
}

#[test]
fn a_decoder_that_starts_in_the_middle_gets_the_message_of_x264() {
    // libav decodes 4:4:4 of x264 before build 151 in another way; the message that names the build is in the first packet.
    for container in ["mp4", "mkv", "ts"] {
        let user = User::new();
        let folder = user.home.path();
        let encoder = "-pix_fmt yuv444p -c:v libx264 -g 25 -sc_threshold 0";
        ffmpeg(folder, &format!("{TEST_PICTURE} -frames:v 60 {encoder} new.mp4"));
        let bytes = std::fs::read(folder.join("new.mp4")).unwrap();
        let at = bytes.windows(9).position(|window| window == b"264 - cor").unwrap() + b"264 - core ".len();
        let old = [&bytes[..at], b"142", &bytes[at + 3..]].concat();
        std::fs::write(folder.join("old.mp4"), old).unwrap();
        ffmpeg(folder, &format!("-i old.mp4 -c copy copy.{container}"));
        let name = format!("copy.{container}");
        let late = Frames::of(&user, &name, &["--at", "2s", "--image-format", "png"]);
        assert_eq!(late.all(|frame| frame["suspect"] == true), [true]);
        ffmpeg(
            folder,
            &format!(
                "-threads 1 -i {name} -vf select=eq(n\\,50),scale=flags=accurate_rnd+full_chroma_int -pix_fmt rgb24 -frames:v 1 full.png"
            ),
        );
        let file = late.report["frames"][0]["file"].as_str().unwrap().to_owned();
        let open = |path: &Path| image::open(path).unwrap().into_rgb8();
        let (found, full) = (open(&folder.join(format!("{name}.frames")).join(file)), open(&folder.join("full.png")));
        let apart =
            found.iter().zip(full.iter()).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / full.len() as f64;
        // Concealment differs a little with the number of threads; without the message the mean difference is above 80.
        assert!(apart < 8.0, "{container}: {apart}");
    }
}

#[test]
fn a_recording_that_begins_within_a_gop_begins_with_its_first_decodable_frame() {
    let user = User::new();
    let folder = user.home.path();
    let length = "-t 4";
    for (encoder, container) in [
        ("-c:v mpeg2video -b:v 1M -bf 2 -g 12", "ts"),
        ("-c:v libx264 -bf 3 -g 25 -x264-params open-gop=1", "ts"),
        ("-c:v libx265 -x265-params log-level=none:keyint=25:open-gop=1", "ts"),
        ("-c:v mpeg2video -b:v 1M -bf 2 -g 12 -f vob", "vob"),
    ] {
        ffmpeg(folder, &format!("{TEST_PICTURE} {length} {encoder} full.{container}"));
        ffmpeg(folder, &format!("-ss 1.1 -i full.{container} -c copy cut.{container}"));
        // Cut at the byte: the stream begins with frames whose references are gone.
        let bytes = std::fs::read(folder.join(format!("full.{container}"))).unwrap();
        let start = bytes.len() / 3 / 2048 * 2048;
        let start = if container == "ts" { bytes.len() / 3 / 188 * 188 } else { start };
        std::fs::write(folder.join(format!("tail.{container}")), &bytes[start..]).unwrap();
        for name in ["cut", "tail"] {
            let frames = Frames::of(&user, &format!("{name}.{container}"), &["--interval", "500ms"]);
            frames.assert_complete();
            assert_eq!(frames.suspects(), [0; 0], "{encoder} {name}");
            assert!(frames.millis().len() >= 4, "{encoder} {name}: {:?}", frames.millis());
            std::fs::remove_dir_all(folder.join(format!("{name}.{container}.frames"))).unwrap();
        }
    }
}

#[test]
fn an_empty_avi_chunk_repeats_the_frame_before_it() {
    for encoder in ["mpeg4", "mjpeg", "libx264 -bf 0"] {
        let user = User::new();
        let gaps = "-vf select=not(between(n\\,30\\,50)) -fps_mode passthrough";
        ffmpeg(user.home.path(), &format!("{TEST_PICTURE} {gaps} -t 4 -c:v {encoder} gaps.avi"));
        let frames = Frames::of(&user, "gaps.avi", &["--interval", "500ms"]);
        frames.assert_complete();
        // At 1.5 s frame 29 is displayed; at 2 s still.
        assert_eq!(frames.millis(), [0, 480, 1000, 1160, 2480, 3000, 3480], "{encoder}");
        let bytes = std::fs::read(user.path("gaps.avi")).unwrap();
        std::fs::write(user.path("cut.avi"), &bytes[..bytes.len() / 2]).unwrap();
        assert_eq!(
            Frames::of(&user, "cut.avi", &["--interval", "500ms"]).ran.code,
            Some(1),
            "{encoder}: a cut file is not"
        );
    }
}

#[test]
fn raw_streams_have_the_times_of_their_frame_rate() {
    let user = User::new();
    for (rate, encoder, name, times) in [
        ("25", "-c:v libx264 -bf 3 -f h264", "a.264", &[0, 1000, 2000][..]),
        ("10", "-c:v libx264 -f h264", "b.h264", &[0, 1000, 2000]),
        ("30000/1001", "-c:v libx264 -f h264", "c.264", &[0, 968, 1969]),
        ("50", "-c:v libx265 -x265-params log-level=none -f hevc", "d.265", &[0, 1000, 2000]),
        ("25", "-c:v mpeg4 -f m4v", "e.m4v", &[0, 1000, 2000]),
    ] {
        let picture = format!("-f lavfi -i testsrc2=s=160x90:r={rate}");
        ffmpeg(user.home.path(), &format!("{picture} -t 3 {encoder} {name}"));
        let frames = Frames::of(&user, name, &["--interval", "1s"]);
        frames.assert_complete();
        assert_eq!(frames.millis()[..3], *times, "{name}");
    }
    let probed = user.run(&["probe", &user.path("c.264"), "--json"]).complete();
    let probed: Value = serde_json::from_str(&probed).unwrap();
    assert_eq!(probed["video"][0]["timing"], "frame_rate");
    let text = user.run(&["probe", &user.path("c.264")]).complete();
    assert!(text.contains("29.970 frames/s, no timestamps"), "{text}");
}

#[test]
fn each_frame_keeps_its_own_shape() {
    let user = User::new();
    let folder = user.home.path();
    // Another size, and another aspect ratio of the same size, as broadcasts change them between programmes.
    for (first, second, name, sizes) in [
        ("160x90:r=25", "90x160:r=25", "size.ts", [(160, 90), (90, 160)]),
        ("160x90:r=25 -aspect 16:9", "160x90:r=25 -aspect 4:3", "aspect.ts", [(160, 90), (160, 120)]),
    ] {
        let encoder = "-t 1 -c:v mpeg2video -q:v 2";
        ffmpeg(folder, &format!("-f lavfi -i testsrc2=s={first} {encoder} a.ts"));
        ffmpeg(folder, &format!("-f lavfi -i testsrc2=s={second} {encoder} -output_ts_offset 1 b.ts"));
        let bytes = ["a.ts", "b.ts"].map(|name| std::fs::read(folder.join(name)).unwrap()).concat();
        std::fs::write(folder.join(name), bytes).unwrap();
        let frames = Frames::of(&user, name, &["--interval", "1s", "--contact-sheet"]);
        assert_eq!(frames.sizes(), sizes, "{name}");
    }
    std::fs::create_dir(folder.join("pictures")).unwrap();
    for (name, size) in [("1.png", "64x36"), ("2.png", "40x80")] {
        ffmpeg(folder, &format!("-f lavfi -i testsrc2=s={size} -frames:v 1 pictures/{name}"));
    }
    let frames = Frames::of(&user, "pictures", &["--interval", "1s"]);
    assert_eq!(frames.sizes(), [(64, 36), (40, 80)]);
}

#[test]
fn the_longer_side_can_be_limited() {
    let user = User::new();
    ffmpeg(user.home.path(), "-f lavfi -i testsrc2=s=90x200:r=25 -t 1 -c:v mpeg4 tall.mp4");
    assert_eq!(Frames::of(&user, "tall.mp4", &["--max-edge", "100"]).sizes(), [(45, 100)]);
    std::fs::remove_dir_all(user.home.path().join("tall.mp4.frames")).unwrap();
    let both = Frames::of(&user, "tall.mp4", &["--max-edge", "100", "--max-width", "20"]);
    assert_eq!(both.sizes(), [(20, 44)]);
}
