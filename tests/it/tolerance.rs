//! Frames within a tolerance of their sample points: each is the frame that an exact run gives for its time, keyframes come
//! first, and frames stay in order and close together.

use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;
use vidgist::input::Source;
use vidgist::limits::Limits;
use vidgist::media::Ratio;
use vidgist::pipeline::FrameOptions;
use vidgist::pipeline::frames::{self, ExtractFrames};
use vidgist::report::Report;
use vidgist::sampling::Sampling;
use vidgist::time::{Timestamp, Tolerance};
use vidgist::video::{DecoderBackend, VideoSource};

use crate::support::command::User;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

async fn extract(name: &str, sampling: Sampling, tolerance: Tolerance, limits: Limits) -> Report {
    let folder = tempfile::tempdir().expect("a folder");
    let task = ExtractFrames {
        source: Source::identify(fixture(name).to_str().expect("UTF-8")).expect(name),
        options: FrameOptions { tolerance, limits, ..FrameOptions::new(sampling.into()) },
        contact_sheets: false,
        output: folder.path().to_owned(),
    };
    let run = vidgist::pipeline::start(CancellationToken::new(), |context| frames::run(task, context));
    run.finish().await.unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Presentation times of all frames and of the keyframes of a clip, on the shared clock.
fn index(name: &str) -> (Vec<Timestamp>, Vec<Timestamp>) {
    let source = Source::identify(fixture(name).to_str().expect("UTF-8")).expect(name);
    let limits = Limits::default();
    let info = vidgist::probe::probe(&source, Ratio::ONE, &limits).expect(name);
    let video = VideoSource::open(&source, &info, DecoderBackend::Auto, &limits, None).expect(name).expect("a video");
    let index = video.index.expect("an index");
    ((0..index.n_frames()).map(|number| index.time(number)).collect(), index.keyframes())
}

/// Clips whose frames have times in their packets: MP4, Matroska and MPEG-TS; constant and variable frame rate, open
/// GOPs, one GOP, no keyframe but the first, an edit list, first times other than 0, two fields, every frame a keyframe.
const CLIPS: [&str; 20] = [
    "talk.mp4",
    "open-gop.mp4",
    "open-gop.ts",
    "one-gop.mp4",
    "intra-refresh.mp4",
    "vfr.mp4",
    "vfr.mkv",
    "ntsc.mp4",
    "one-fps.mp4",
    "edit-list.mp4",
    "offset.mp4",
    "offset.mkv",
    "offset.ts",
    "hevc.mp4",
    "hevc-10bit.mkv",
    "vp9-opus.webm",
    "av1.mp4",
    "interlaced.ts",
    "mjpeg.mov",
    "rotated-90.mp4",
];

async fn check(name: &str, limits: Limits) {
    let (times, keyframes) = index(name);
    let longest = times.windows(2).map(|pair| pair[1].minus(pair[0])).max().unwrap_or(Timestamp::ZERO);
    for (interval, tolerance) in
        [("1s", "50%"), ("0.37s", "50%"), ("1.7s", "50%"), ("1s", "100%"), ("0.37s", "300%"), ("1.7s", "0.25s")]
    {
        let what = format!("{name} every {interval}, tolerance {tolerance}");
        let interval: Timestamp = interval.parse().expect("a time");
        let tolerance: Tolerance = tolerance.parse().expect("a tolerance");
        let exact = extract(name, Sampling::Interval(interval), Tolerance::EXACT, limits).await;
        let near = extract(name, Sampling::Interval(interval), tolerance, limits).await;
        let near_times: Vec<Timestamp> = near.frames.iter().map(|frame| frame.time).collect();
        let same = extract(name, Sampling::At(near_times.clone()), Tolerance::EXACT, limits).await;
        let pictures = |report: &Report| -> Vec<(i64, String)> {
            report.frames.iter().map(|frame| (frame.pts, frame.sha256.clone())).collect()
        };
        assert_eq!(pictures(&near), pictures(&same), "{what}: frames differ from the exact ones of their times");
        assert!(near_times.iter().all(|time| times.contains(time)), "{what}");
        assert!(near_times.windows(2).all(|pair| pair[0] < pair[1]), "{what}: {near_times:?}");
        let gaps = near_times.windows(2).map(|pair| pair[1].minus(pair[0]));
        // Where the video has no frame for longer than the interval, the frames around are as far apart as they are.
        let hole = if longest > interval { longest.plus(interval.times(2)) } else { Timestamp::ZERO };
        assert!(gaps.max().unwrap_or(Timestamp::ZERO) <= interval.times(2).max(hole), "{what}: {near_times:?}");
        if longest <= interval {
            // Each sample point has a frame of its own.
            assert_eq!(near.frames.len(), exact.frames.len(), "{what}");
            let reach = tolerance.within(interval);
            for (i, time) in near_times.iter().enumerate() {
                let point = exact.sampling.range.start.plus(interval.times(i as i64));
                let distance = |time: Timestamp| time.minus(point).max(point.minus(time));
                assert!(distance(*time) <= reach || *time == exact.frames[i].time, "{what}: {time} for {point}");
                let has_key = keyframes.iter().any(|key| distance(*key) <= reach && *key < exact.sampling.range.end);
                // Beyond half of the interval two points may share a keyframe. A file that is not read through is known
                // only up to the sample points.
                if reach.times(2) <= interval && limits.max_scan_bytes > 0 {
                    // The displayed frame may be a keyframe that is farther away.
                    let is_key = keyframes.contains(time);
                    let is_exact = *time == exact.frames[i].time;
                    assert!(is_key == has_key || is_key && is_exact, "{what}: {time} for {point}");
                }
            }
        }
    }
}

#[tokio::test]
async fn near_frames_are_the_exact_frames_of_the_times_that_they_claim() {
    for name in CLIPS {
        check(name, Limits::default()).await;
    }
}

#[tokio::test]
async fn near_frames_of_a_file_that_is_not_read_through_are_right_too() {
    for name in ["talk.mp4", "open-gop.mp4", "vfr.mkv", "offset.mkv", "edit-list.mp4"] {
        check(name, Limits { max_scan_bytes: 0, ..Limits::default() }).await;
    }
}

#[tokio::test]
async fn where_all_frames_are_decoded_or_none_depends_on_another_frames_are_exact() {
    // Packets without times, pictures of their own, keyframes alone.
    for name in ["mpeg4-b-frames.avi", "mpeg2.mpg", "picture.png", "mjpeg.mov", "prores.mov"] {
        let sampling = || Sampling::Interval(Timestamp::from_millis(370));
        let [exact, near] = [Tolerance::EXACT, Tolerance::HALF];
        let exact = extract(name, sampling(), exact, Limits::default()).await;
        let near = extract(name, sampling(), near, Limits::default()).await;
        let pts = |report: &Report| report.frames.iter().map(|frame| frame.pts).collect::<Vec<_>>();
        assert_eq!(pts(&near), pts(&exact), "{name}");
    }
}

#[tokio::test]
async fn listed_times_may_have_a_tolerance_in_time() {
    let (_, keyframes) = index("talk.mp4");
    let key = keyframes[1];
    let at = |millis: i64| key.plus(Timestamp::from_millis(millis));
    let listed = Sampling::At(vec![at(-300), at(400), at(2000)]);
    let report = extract("talk.mp4", listed, "350ms".parse().expect("a time"), Limits::default()).await;
    let times: Vec<Timestamp> = report.frames.iter().map(|frame| frame.time).collect();
    assert_eq!((times.len(), times[0]), (3, key));
    assert!(times[1] > at(49) && times[1] < at(751) && times[2] > at(1649), "{times:?}");
}

/// The report of a command as JSON.
#[track_caller]
fn report(user: &User, args: &[&str]) -> serde_json::Value {
    let ran = user.run(args);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    serde_json::from_str(&ran.out).expect("JSON")
}

#[test]
fn summaries_are_near_by_default_and_exact_where_moments_are_chosen() {
    let user = User::new();
    let tolerance = |args: &[&str]| {
        let base = ["summarize", "fixtures/talk.mp4", "--format", "json"];
        report(&user, &[&base, args].concat())["sampling"]["tolerance"].clone()
    };
    assert_eq!(tolerance(&[]), "50%");
    assert_eq!(tolerance(&["--max-frames", "4"]), "50%");
    assert_eq!(tolerance(&["--sampling", "scene"]), "50%");
    for exact in [&["--interval", "2s"][..], &["--fps", "0.5"], &["--at", "1s,3s"], &["--tolerance", "0"]] {
        assert_eq!(tolerance(exact), serde_json::Value::Null, "{exact:?}");
    }
    assert_eq!(tolerance(&["--interval", "2s", "--tolerance", "12.5%"]), "12.5%");
    assert_eq!(tolerance(&["--sampling", "keyframe"]), serde_json::Value::Null);
    std::fs::write(user.path("config.toml"), "[frames]\ntolerance = \"300ms\"\n").expect("written");
    let config = user.path("config.toml");
    assert_eq!(tolerance(&["--config", &config]), "0.3s");
    assert_eq!(tolerance(&["--config", &config, "--sampling", "keyframe"]), serde_json::Value::Null);
    std::fs::write(user.path("config.toml"), "[frames]\ntolerance = \"50%\"\n").expect("written");
    assert_eq!(tolerance(&["--config", &config, "--at", "1s"]), serde_json::Value::Null);
    let text = user.run(&["summarize", "fixtures/talk.mp4", "--no-store"]).complete();
    assert!(text.contains("one every 1 s; tolerance 50%\n"), "{text}");
}

#[test]
fn a_plan_counts_the_same_frames_near_and_exact() {
    let user = User::new();
    let n_frames = |args: &[&str]| {
        let base =
            ["plan", "fixtures/talk.mp4", "--format", "json", "--base-url", "http://127.0.0.1:9/v1", "--model", "m"];
        report(&user, &[&base, args].concat())["n_frames"].as_u64()
    };
    assert_eq!(n_frames(&[]), Some(20));
    assert_eq!(n_frames(&["--tolerance", "0"]), Some(20));
    assert_eq!(n_frames(&["--interval", "2s", "--tolerance", "100%"]), Some(10));
}

#[test]
fn frames_are_exact_by_default_and_a_tolerance_that_cannot_be_used_is_refused() {
    let user = User::new();
    let out = user.path("out");
    let index = |args: &[&str]| {
        user.run(&[&["frames", "fixtures/talk.mp4", "-o", &*out][..], args].concat()).complete();
        let text = std::fs::read_to_string(user.home.path().join("out/frames.json")).expect("frames.json");
        serde_json::from_str::<serde_json::Value>(&text).expect("JSON")
    };
    let (default, zero) = (index(&[]), index(&["--tolerance", "0"]));
    assert_eq!((&default["frames"], &default["sampling"]), (&zero["frames"], &zero["sampling"]));
    assert_eq!(default["sampling"]["tolerance"], serde_json::Value::Null);
    let scenes = index(&["--sampling", "scene", "--tolerance", "50%"]);
    assert_eq!((scenes["frames"].as_array().map(Vec::len), &scenes["sampling"]["tolerance"]), (Some(5), &"50%".into()));
    for (args, expected) in [
        (&["--sampling", "keyframe", "--tolerance", "50%"][..], "--tolerance: is for sample points only"),
        (&["--at", "1s", "--tolerance", "50%"], "--tolerance: is a share of an interval, and listed times have none"),
        (&["--tolerance", "half"], "half: is not a tolerance; write it as 50%, 2s or 500ms"),
        (&["--tolerance=-5%"], "is not a tolerance"),
    ] {
        let ran = user.run(&[&["frames", "fixtures/talk.mp4", "-o", &*out][..], args].concat());
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.err.contains(expected), "{ran:?}");
    }
}
