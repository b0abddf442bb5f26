//! Frames that are chosen by what is to see: shots, a budget, keyframes; repeated ones dropped; a sheet of them all.

use crate::support;
use crate::support::command;
use crate::support::marks;
use std::fmt::Write as _;
use std::path::Path;

use crate::support::command::{User, project};
use image::{Rgb, RgbImage};
use serde_json::Value;

/// Runs `frames` with `args` into a new folder; gives its `frames.json` and the user whose folder it is.
#[track_caller]
fn frames(args: &[&str]) -> (Value, User) {
    let user = User::new();
    let out = user.path("out");
    let mut all = vec!["frames", "-o", &*out];
    all.extend(args);
    user.run(&all).complete();
    let text = std::fs::read_to_string(user.home.path().join("out/frames.json")).expect("frames.json");
    (serde_json::from_str(&text).expect("JSON"), user)
}

fn list<'a>(index: &'a Value, key: &str) -> Vec<&'a Value> {
    index["frames"].as_array().expect("frames").iter().map(|frame| &frame[key]).collect()
}

fn seconds(index: &Value) -> Vec<f64> {
    list(index, "seconds").into_iter().map(|s| s.as_f64().expect("a number")).collect()
}

/// The fixtures whose shots `fixtures/truth.json` cannot name: name, length of a shot and number of shots.
const SHOTS: [(&str, f64, usize); 6] = [
    ("talk.mp4", 4.0, 5),
    ("ntsc.mp4", 1.001, 3),
    ("open-gop.mp4", 1.0, 5),
    ("intra-refresh.mp4", 1.0, 5),
    ("one-gop.mp4", 2.4, 5),
    ("rotated-90.mp4", 1.0, 3),
];

#[test]
fn each_shot_is_found_once() {
    for (name, length, n_shots) in SHOTS {
        let (index, _user) = frames(&[&format!("fixtures/{name}"), "--sampling", "scene"]);
        let shots: Vec<usize> = seconds(&index).iter().map(|t| (t / length) as usize).collect();
        assert_eq!(shots, (0..n_shots).collect::<Vec<_>>(), "{name}: {:?}", seconds(&index));
        assert!(list(&index, "reason").iter().all(|reason| **reason == "scene"), "{index}");
        assert_eq!(index["sampling"]["method"], "scenes");
    }
}

#[test]
fn a_budget_sees_each_shot_both_ends_and_leaves_no_long_stretch() {
    for (name, length, n_shots) in SHOTS {
        let (index, _user) = frames(&[&format!("fixtures/{name}"), "--sampling", "budget", "--max-frames", "10"]);
        let times = seconds(&index);
        assert_eq!(times.len(), 10, "{name}: {times:?}");
        let mut shots: Vec<usize> = times.iter().map(|t| (t / length) as usize).collect();
        shots.dedup();
        assert_eq!(shots, (0..n_shots).collect::<Vec<_>>(), "{name}: {times:?}");
        let reasons = list(&index, "reason");
        assert_eq!((reasons[0], reasons[9]), (&Value::from("first"), &Value::from("last")), "{name}");
        let whole = length * n_shots as f64;
        // A frame in 200 ms is looked at; the last one lasts until the end.
        let longest = index["sampling"]["longest_gap"].as_f64().expect("a number");
        assert!(longest <= whole / 3.0 + 0.2, "{name}: {longest}");
    }
}

/// A film of pieces of real clips, each from another clip than the one before; where the pieces begin and the film
/// ends, in seconds. None where the clips do not exist.
fn film_of_real_clips(folder: &Path) -> Option<(String, Vec<f64>)> {
    let media = support::shared("media")?;
    let clips =
        [("bbb_webm/big_buck_bunny_0_30.webm", 25.0), ("nasa/nasa_13013.mp4", 8.0), ("bbb_mp4/bigbuckbunny.mp4", 3.0)];
    let (mut list, mut begins, mut at, mut seed) = (String::new(), Vec::new(), 0.0, 7u32);
    for i in 0..40 {
        let (clip, longest) = clips[[0, 1, 0, 2][i % 4]];
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let length = 1.2 + f64::from(seed >> 24) / 255.0 * 2.8;
        let offset = f64::from(seed >> 16 & 0xff) / 255.0 * (longest - length).max(0.0);
        let piece = folder.join(format!("{i:02}.mp4"));
        let made = std::process::Command::new("ffmpeg")
            .args(["-v", "error", "-y", "-ss", &format!("{offset:.2}"), "-t", &format!("{length:.2}"), "-i"])
            .arg(media.join(clip))
            .args([
                "-map",
                "0:v:0",
                "-vf",
                "scale=320:180,fps=25,setsar=1",
                "-c:v",
                "libx264",
                "-preset",
                "ultrafast",
                "-an",
            ])
            .arg(&piece)
            .status();
        assert!(made.expect("ffmpeg").success());
        let shown = std::process::Command::new("ffprobe")
            .args(["-v", "error", "-count_packets", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0"])
            .arg(&piece)
            .output()
            .expect("ffprobe");
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        let n_frames: f64 = shown.trim().parse().unwrap_or_else(|e| panic!("{}: {shown:?}: {e}", piece.display()));
        begins.push(at);
        at += n_frames / 25.0;
        writeln!(list, "file '{}'", piece.display()).expect("a line");
    }
    begins.push(at);
    let (listed, film) = (folder.join("list.txt"), folder.join("film.mp4"));
    std::fs::write(&listed, list).expect("written");
    // Coded anew as one film, so that cuts lie where the encoder does not expect them: no keyframe is put at a cut.
    let made = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "concat", "-safe", "0", "-i"])
        .arg(&listed)
        .args(["-c:v", "libx264", "-crf", "28", "-sc_threshold", "0", "-g", "125"])
        .arg(&film)
        .status();
    assert!(made.expect("ffmpeg").success());
    Some((film.to_str().expect("UTF-8").to_owned(), begins))
}

#[test]
fn cuts_between_real_pictures_are_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some((film, begins)) = film_of_real_clips(folder.path()) else { return };
    let n_pieces = begins.len() - 1;
    let n_seen = |index: &Value| {
        let times = seconds(index);
        begins.windows(2).filter(|piece| times.iter().any(|t| (piece[0] - 0.001..piece[1] - 0.001).contains(t))).count()
    };
    let (scenes, _user) = frames(&[&film, "--sampling", "scene"]);
    let (budget, _user) = frames(&[&film, "--sampling", "budget", "--max-frames", "70"]);
    eprintln!(
        "{} of {n_pieces} pieces seen by {} scene frames, {} by a budget of 70",
        n_seen(&scenes),
        seconds(&scenes).len(),
        n_seen(&budget)
    );
    // The clips have cuts of their own, so more frames than pieces are right.
    assert!(n_seen(&scenes) * 100 >= n_pieces * 95 && seconds(&scenes).len() <= n_pieces * 3 / 2);
    assert!(n_seen(&budget) * 100 >= n_pieces * 95);
}

#[test]
fn keyframes_are_those_of_the_container() {
    for name in ["talk.mp4", "open-gop.mp4", "open-gop.ts", "edit-list.mp4", "vfr.mkv", "mpeg4.avi", "interlaced.ts"] {
        let path = format!("fixtures/{name}");
        let listed = std::process::Command::new("ffprobe")
            .args(["-v", "error", "-select_streams", "v:0", "-show_entries"])
            .args(["frame=key_frame,best_effort_timestamp", "-of", "csv=p=0", &path])
            .current_dir(project())
            .output()
            .expect("ffprobe");
        let listed = String::from_utf8(listed.stdout).expect("UTF-8");
        let expected: Vec<i64> =
            listed.lines().filter_map(|line| line.strip_prefix("1,")?.trim_end_matches(',').parse().ok()).collect();
        let (index, _user) = frames(&[&path, "--sampling", "keyframe"]);
        let found: Vec<i64> = list(&index, "pts").into_iter().map(|pts| pts.as_i64().expect("ticks")).collect();
        assert_eq!(found, expected, "{name}");
        let (opencv, _user) = frames(&[&path, "--sampling", "keyframe", "--decoder", "opencv"]);
        assert_eq!(list(&opencv, "pts"), list(&index, "pts"), "{name} through OpenCV");
    }
    let (index, _user) = frames(&["fixtures/talk.mp4", "--sampling", "keyframe", "--start", "4s", "--max-frames", "2"]);
    assert_eq!(seconds(&index), [5.0, 15.0]);
}

/// A slide with text-like lines and, where wished, one stroke of a pen and a caption.
fn slide(ground: [u8; 3], has_stroke: bool, caption: u32) -> RgbImage {
    RgbImage::from_fn(1280, 720, |x, y| {
        let is_text =
            (100..500).contains(&y) && y % 50 < 20 && (80..900).contains(&x) && (x * 7 + y / 50 * 31) % 23 < 11;
        let is_stroke = has_stroke && (600..640).contains(&y) && (x + y).abs_diff(900) < 3;
        let is_letter =
            (660..680).contains(&y) && (400..600).contains(&x) && ((x / 4 * 7919) ^ caption).is_multiple_of(3);
        Rgb(match (is_stroke, is_text || is_letter) {
            (true, _) => [200, 0, 0],
            (_, true) => [20, 20, 60],
            _ => ground,
        })
    })
}

fn pictures(slides: &[RgbImage]) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    for (i, slide) in slides.iter().enumerate() {
        slide.save(folder.path().join(format!("{i:03}.png"))).expect("a picture");
    }
    let path = folder.path().to_str().expect("UTF-8").to_owned();
    (folder, path)
}

#[test]
fn repeated_frames_are_dropped_with_their_reason_and_small_changes_stay() {
    let white = [250, 250, 250];
    let (a, b) = (slide(white, false, 1), slide([60, 90, 160], false, 1));
    let slides = [
        a.clone(),
        a.clone(),
        b.clone(),
        a.clone(),                      // A, B, A
        slide(white, true, 1),          // a pen stroke
        slide(white, true, 7),          // another caption
        slide([255, 18, 30], false, 1), // red and green cards of equal grey
        slide([20, 140, 18], false, 1),
        b.clone(),
        b, // the last frame stays, though it repeats
    ];
    let (_folder, path) = pictures(&slides);
    let (index, _user) = frames(&[&path, "--interval", "1s", "--dedup"]);
    assert_eq!(seconds(&index), [0.0, 2.0, 4.0, 5.0, 6.0, 7.0, 9.0]);
    let dropped = index["sampling"]["dropped"].as_array().expect("a list");
    let told: Vec<_> = dropped.iter().map(|d| (d["seconds"].as_f64(), d["same_as"].as_u64())).collect();
    assert_eq!(told, [(Some(1.0), Some(0)), (Some(3.0), Some(0)), (Some(8.0), Some(1))]);
    assert_eq!((&index["status"], &index["sampling"]["n_planned"]), (&"complete".into(), &10.into()));
    assert_eq!(list(&index, "frame_idx"), [0, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_picture_that_never_changes_keeps_its_first_and_last_frame() {
    let (index, user) = frames(&["fixtures/still.mp4", "--interval", "1s", "--dedup"]);
    assert_eq!(seconds(&index), [0.0, 9.0]);
    assert_eq!(index["sampling"]["dropped"].as_array().expect("a list").len(), 8);
    assert!(user.home.path().join("out/frame_000001_t00-00-09.000.jpg").exists());
}

#[test]
fn a_contact_sheet_shows_every_frame_in_its_place() {
    let (index, user) = frames(&["fixtures/talk.mp4", "--fps", "3", "--contact-sheet", "--image-format", "png"]);
    assert_eq!(index["contact_sheets"], serde_json::json!(["contact-sheet-01.png", "contact-sheet-02.png"]));
    let mut marks = Vec::new();
    for name in ["contact-sheet-01.png", "contact-sheet-02.png"] {
        let sheet = image::open(user.home.path().join("out").join(name)).expect("a picture").into_rgb8();
        // 320x180 pictures with 8 pixels around them and a line of 24 below.
        for y in (8..sheet.height() - 180).step_by(212) {
            for x in (8..sheet.width() - 310).step_by(328) {
                let tile = image::imageops::crop_imm(&sheet, x, y, 320, 180).to_image();
                marks.extend(marks::read_mark(&tile));
            }
        }
    }
    let whole = |frame: &Value| {
        let file = user.home.path().join("out").join(frame.as_str().expect("a name"));
        marks::read_mark(&image::open(file).expect("a picture").into_rgb8()).expect("a mark")
    };
    let expected: Vec<u32> = list(&index, "file").into_iter().map(whole).collect();
    assert_eq!((marks.len(), marks), (60, expected));
}

#[test]
fn where_frames_are_is_found_out_once_for_each_content() {
    let user = User::new();
    let cache = user.home.path().join(".cache/vidgist/index");
    let run = |path: &str| {
        let printed = user.run(&["frames", path, "--interval", "0.37s", "-o", &user.path("out")]).complete();
        printed.lines().count()
    };
    for (i, name) in ["vfr.mp4", "edit-list.mp4"].into_iter().enumerate() {
        // Made long by a box that means nothing.
        let mut bytes = std::fs::read(project().join("fixtures").join(name)).expect("a fixture");
        bytes.extend(&(9u32 << 20).to_be_bytes());
        bytes.extend(b"free");
        bytes.resize(bytes.len() + (9 << 20) - 8, 0);
        let [path, copy] = ["", "copy-"].map(|prefix| user.path(&format!("{prefix}{name}")));
        std::fs::write(&path, &bytes).expect("written");
        std::fs::write(&copy, &bytes).expect("written");
        let hashes = |path: &str| {
            let n_frames = run(path);
            let text = std::fs::read(user.home.path().join("out/frames.json")).expect("frames.json");
            let index: Value = serde_json::from_slice(&text).expect("JSON");
            let hashes: Vec<Value> = list(&index, "sha256").into_iter().cloned().collect();
            assert_eq!(hashes.len(), n_frames);
            hashes
        };
        let before = hashes(&path);
        assert_eq!(command::names(&cache).len(), i + 1);
        // Another name, the same content.
        assert_eq!(hashes(&copy), before, "{name}");
        assert_eq!(command::names(&cache).len(), i + 1);
        // A cache that somebody spoilt is made anew.
        for kept in command::names(&cache) {
            std::fs::write(cache.join(kept), b"{\"pts\":[3,2,1]}").expect("written");
        }
        assert_eq!(hashes(&path), before, "{name}");
    }
    run("fixtures/talk.mp4");
    assert_eq!(command::names(&cache).len(), 2, "a short file is not worth it");
}

#[test]
fn invalid_choices_are_errors() {
    let user = User::new();
    let out = user.path("out");
    let run = |args: &[&str]| {
        let ran = user.run(&[&["frames", "-o", &*out][..], args].concat());
        assert_eq!(ran.code, Some(2), "{ran:?}");
        ran.err
    };
    let both = run(&["fixtures/talk.mp4", "--sampling", "scene", "--interval", "1s"]);
    assert!(both.contains("--interval: is for the sampling method interval only"), "{both}");
    let none = run(&["fixtures/talk.mp4", "--sampling", "keyframe", "--start", "16s"]);
    assert!(none.contains("no keyframe from 00:00:16.000 to 00:00:20.000"), "{none}");
    assert!(!Path::new(&out).exists());
}
