//! Two decoders, one picture: libav's reader and OpenCV's bring the same frames, with the pts of a full decode by ffprobe,
//! and as good as the same colours.

use std::path::{Path, PathBuf};

use opencv::prelude::{VideoCaptureTrait as _, VideoCaptureTraitConst as _};
use opencv::videoio::{self, VideoCapture};
use vidgist::limits::Limits;
use vidgist::media::{Frame, Ratio, VideoStream};
use vidgist::source::Source;
use vidgist::time::{TimeBase, Timestamp};
use vidgist::video::{DecoderBackend, TargetSize, VideoSource};

use crate::support;

/// What the same picture must reach between two decoders: an error of 1.4 levels in the mean square.
const LEAST_DB: f64 = 45.0;

/// Where OpenCV's picture cannot be that near, how near it is, and why.
const LESS: &[(&str, f64, &str)] = &[(
    "bear-vp9-odd-dimensions.webm",
    43.0,
    "libswscale interpolates the chroma of odd heights: it comes back smoothed",
)];

/// Where OpenCV's own clock (`CAP_PROP_POS_MSEC`) is wrong besides the last frames, where it is 0, and why.
const WRONG_CLOCKS: &[(&str, &str)] =
    &[("mpeg4-b-frames.avi", "packets carry no pts: OpenCV tells when they are decoded, 1/25 s late")];

/// What ffprobe tells of a fixture's first video.
struct Truth {
    name: String,
    base: TimeBase,
    pts: Vec<i64>,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn truths() -> Vec<Truth> {
    let text = std::fs::read_to_string(fixtures().join("truth.json")).expect("fixtures/truth.json");
    let all: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let mut truths = Vec::new();
    for (name, clip) in all["good"].as_object().expect("an object") {
        let streams = clip["streams"].as_array().expect("streams");
        let Some(video) = streams.iter().find(|s| s["type"] == "video" && s["cover"] == false) else { continue };
        let (num, den) = video["time_base"].as_str().and_then(|b| b.split_once('/')).expect("a time base");
        let frames: Vec<(i64, u32)> = serde_json::from_value(video["frames"].clone()).unwrap_or_default();
        let base = TimeBase::new(num.parse().expect("a number"), den.parse().expect("a number")).expect("a base");
        // Pictures are read by neither.
        if !frames.is_empty() && !name.starts_with("picture") {
            truths.push(Truth { name: name.clone(), base, pts: frames.iter().map(|(pts, _)| *pts).collect() });
        }
    }
    truths
}

/// Every `step`th frame, at most `width` wide, who read them, and what the stream says of itself.
fn read(
    path: &Path,
    decoder: DecoderBackend,
    width: u32,
    step: usize,
) -> vidgist::Result<(Vec<Frame>, String, VideoStream)> {
    let limits = Limits::default();
    let source = Source::identify(path.to_str().expect("UTF-8"))?;
    let mut info = vidgist::probe::probe(&source, Ratio::ONE, &limits)?;
    // OpenCV reads the first stream, whatever is meant: both read that one.
    info.video.truncate(1);
    let video = VideoSource::open(&source, &info, decoder, &limits, None)?.expect("a video");
    let index = video.index.as_ref().expect("an index");
    let points: Vec<Timestamp> = (0..index.n_frames()).step_by(step).map(|number| index.time(number)).collect();
    let size = TargetSize::max_width(width);
    let mut frames = Vec::new();
    let mut reader = video.reader()?;
    reader.read(&points, size, &mut |frame| {
        frames.push(frame);
        Ok(())
    })?;
    let name = reader.name();
    drop(reader);
    Ok((frames, name, video.stream))
}

/// Peak signal-to-noise ratio in dB over all channels.
fn psnr(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    let sum: u64 = a.iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum();
    if sum == 0 { 99.0 } else { 10.0 * (255.0_f64.powi(2) * a.len() as f64 / sum as f64).log10() }
}

/// Frames of one clip through both readers.
struct Comparison {
    pts: Vec<Timestamp>,
    /// Least PSNR of all frames.
    least_db: f64,
    what: String,
}

/// An error where the readers do not bring the same frames.
fn compare(path: &Path, width: u32, step: usize) -> Result<Comparison, String> {
    let read = |decoder| read(path, decoder, width, step).map_err(|e| e.to_string());
    let ((libav, _, stream), (opencv, by, _)) = (read(DecoderBackend::Auto)?, read(DecoderBackend::OpenCv)?);
    let times = |frames: &[Frame]| frames.iter().map(|frame| frame.pts).collect::<Vec<_>>();
    if times(&libav) != times(&opencv) {
        return Err(format!("libav {:?}, OpenCV {:?}", times(&libav), times(&opencv)));
    }
    let least_db = libav.iter().zip(&opencv).map(|(a, b)| psnr(&a.rgb, &b.rgb)).fold(f64::INFINITY, f64::min);
    let format = stream.pixel_format.unwrap_or_default();
    let matrix = stream.color.matrix.unwrap_or_default();
    let what = format!("{} {format} {matrix} {}", stream.codec, by.split(' ').next().unwrap_or_default());
    Ok(Comparison { pts: times(&libav), least_db, what })
}

/// Compares a clip and tells so in one line; what is wrong is returned.
fn check(path: &Path, width: u32, step: usize, expected: Option<(&[i64], TimeBase)>) -> Option<String> {
    let name = path.file_name().expect("a name").to_string_lossy().into_owned();
    let found = match compare(path, width, step) {
        Ok(found) => found,
        Err(problem) => return Some(format!("{name} at {width}: {problem}")),
    };
    let (n_frames, db) = (found.pts.len(), found.least_db);
    eprintln!("{name:46} {width:4} px wide {n_frames:4} frames  {db:5.1} dB  {}", found.what);
    let least = LESS.iter().find(|(clip, ..)| *clip == name).map_or(LEAST_DB, |(_, least, _)| *least);
    let pts = |base| found.pts.iter().map(|pts| pts.floor_to(base)).collect::<Vec<_>>();
    match expected.map(|(expected, base)| (expected, pts(base))) {
        Some((expected, pts)) if pts != expected => Some(format!("{name}: pts {pts:?}, not {expected:?}")),
        _ if db < least => Some(format!("{name} at {width}: {db:.1} dB, not {least}")),
        _ => None,
    }
}

/// As stored, each frame; and some scaled down.
fn check_fixtures(are_meant: impl Fn(&str) -> bool) {
    let mut wrong = Vec::new();
    for truth in truths().into_iter().filter(|truth| are_meant(&truth.name)) {
        let path = fixtures().join(&truth.name);
        wrong.extend(check(&path, 768, 1, Some((&truth.pts, truth.base))));
        wrong.extend(check(&path, 200, 9, None));
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

// Two tests, so that they run side by side.
#[test]
fn both_readers_bring_the_same_times_and_colours_of_fixtures_up_to_o() {
    check_fixtures(|name| name < "o");
}

#[test]
fn both_readers_bring_the_same_times_and_colours_of_fixtures_from_o_on() {
    check_fixtures(|name| name >= "o");
}

#[test]
fn both_readers_bring_the_same_colours_of_real_clips() {
    let Some(media) = support::shared("media") else { return };
    let mut clips = Vec::new();
    for folder in ["nasa", "bbb_mp4", "bbb_webm", "androidx"] {
        let files =
            std::fs::read_dir(media.join(folder)).expect("a folder").map(|entry| entry.expect("an entry").path());
        clips.extend(files.filter(|path| {
            let is_sound = path.file_name().is_some_and(|name| {
                ["ac3", "alac", "audio", "opus"].iter().any(|sound| name.to_string_lossy().contains(sound))
            });
            !is_sound && path.extension().is_some_and(|e| ["mp4", "webm", "mkv", "ts"].iter().any(|known| e == *known))
        }));
    }
    assert!(!clips.is_empty(), "no clip has a known name");
    clips.sort();
    let wrong: Vec<String> =
        clips.iter().flat_map(|path| [check(path, 768, 37, None), check(path, 256, 41, None)]).flatten().collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// What OpenCV itself says of each frame's time, in milliseconds.
fn opencv_clock(path: &Path) -> Vec<f64> {
    let mut capture =
        VideoCapture::from_file(path.to_str().expect("UTF-8"), videoio::CAP_FFMPEG).expect("OpenCV has FFmpeg");
    let mut times = Vec::new();
    while capture.grab().expect("grabs") {
        times.push(capture.get(videoio::CAP_PROP_POS_MSEC).expect("a time"));
    }
    times
}

#[test]
fn opencv_gives_the_same_times_if_its_clock_is_right() {
    let mut wrong = Vec::new();
    for truth in truths() {
        let clock = opencv_clock(&fixtures().join(&truth.name));
        let shown = |pts: i64| Timestamp::new(pts - truth.pts[0], truth.base).secs_f64() * 1000.0;
        let half_tick = f64::from(truth.base.num()) / f64::from(truth.base.den()) * 500.0;
        let n_right = clock.iter().zip(&truth.pts).filter(|(ms, pts)| (**ms - shown(**pts)).abs() <= half_tick).count();
        // 0 is "not told": so it is on the last frames, which come out when the decoder is drained.
        let is_untold = |ms: &f64| *ms == 0.0;
        let n_untold = clock.iter().skip(1).rev().take_while(|ms| is_untold(ms)).count();
        let is_right = clock.len() == truth.pts.len() && n_right + n_untold >= truth.pts.len();
        let excuse = WRONG_CLOCKS.iter().find(|(name, _)| *name == truth.name);
        if is_right != excuse.is_none() {
            wrong.push(format!(
                "{}: {} frames of {}, {n_right} with the right time, {n_untold} at the end without; listed as wrong: {}\n  {:?}",
                truth.name,
                clock.len(),
                truth.pts.len(),
                excuse.is_some(),
                clock.iter().zip(&truth.pts).map(|(ms, pts)| (*ms, shown(*pts))).take(4).collect::<Vec<_>>(),
            ));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
