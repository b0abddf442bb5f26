//! The frame at each sample point is the frame on the screen then: read from the mark that each fixture's frames
//! carry, against the pts that another program listed.

use crate::support::marks;
use std::path::{Path, PathBuf};

use vidgist::encode::{EncodeOptions, encode};
use vidgist::limits::Limits;
use vidgist::media::{Frame, Ratio};
use vidgist::sampling::{Sampling, SamplingSpec, plan};
use vidgist::source::Source;
use vidgist::time::{TimeBase, Timestamp};
use vidgist::video::{DecoderBackend, ReadOutcome, TargetSize, VideoSource};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// The video stream that is meant (marked default, else the first) of a fixture as `ffprobe -show_frames` saw it: time base, and per frame pts and mark.
struct Truth {
    name: String,
    base: TimeBase,
    start_us: i64,
    frames: Vec<(i64, u32)>,
}

fn truths(decoder: DecoderBackend) -> Vec<Truth> {
    let text = std::fs::read_to_string(fixtures().join("truth.json")).expect("fixtures/truth.json");
    let all: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let good = all["good"].as_object().expect("an object");
    let mut truths = Vec::new();
    for (name, clip) in good {
        let streams = clip["streams"].as_array().expect("streams");
        let pictures: Vec<_> = streams.iter().filter(|s| s["type"] == "video" && s["cover"] == false).collect();
        // OpenCV reads the first one, whatever is meant.
        let is_meant = |s: &&&serde_json::Value| decoder == DecoderBackend::Auto && s["default"] == true;
        let Some(video) = pictures.iter().find(is_meant).or(pictures.first()) else { continue };
        let (num, den) = video["time_base"].as_str().and_then(|b| b.split_once('/')).expect("a time base");
        let frames: Vec<(i64, u32)> = serde_json::from_value(video["frames"].clone()).unwrap_or_default();
        if !frames.is_empty() {
            truths.push(Truth {
                name: name.clone(),
                base: TimeBase::new(num.parse().expect("a number"), den.parse().expect("a number")).expect("a base"),
                start_us: clip["start_us"].as_i64().unwrap_or(0),
                frames,
            });
        }
    }
    assert!(truths.len() > 20, "truth.json lists {} clips", truths.len());
    truths
}

fn read(
    path: &Path,
    sampling: Sampling,
    decoder: DecoderBackend,
    limits: Limits,
) -> vidgist::Result<(Vec<Timestamp>, Vec<Frame>, ReadOutcome)> {
    let source = Source::identify(path.to_str().expect("UTF-8"))?;
    let info = vidgist::probe::probe(&source, Ratio::ONE, &limits)?;
    let video = VideoSource::open(&source, &info, decoder, &limits, None)?.expect("a video");
    let options = SamplingSpec { sampling, start: None, end: None, max_frames: None };
    let plan = plan(&options, video.index.as_ref().map(vidgist::video::index::FrameIndex::range), &limits)?;
    let mut frames = Vec::new();
    let size = TargetSize::max_width(768);
    let outcome = video.reader()?.read(&plan.moments(), size, &mut |frame| {
        frames.push(frame);
        Ok(())
    })?;
    Ok((plan.moments(), frames, outcome))
}

/// The mark in the JPEG as it would be sent.
fn mark(frame: &Frame) -> Option<u32> {
    let encoded = encode(frame, &EncodeOptions::default()).expect("a JPEG");
    marks::read_mark(&image::load_from_memory(&encoded.bytes).expect("a picture").into_rgb8())
}

/// The (pts, mark) displayed at `point`, by brute force over the truth.
fn displayed(truth: &Truth, point: Timestamp) -> (i64, u32) {
    let start = Timestamp::new(truth.start_us, TimeBase::new(1, 1_000_000).expect("a base"));
    let on_screen = truth.frames.iter().rev().find(|(pts, _)| {
        // libav rounds the container's start to a microsecond.
        Timestamp::new(*pts, truth.base).minus(start).minus(point) <= Timestamp::from_nanos(1000)
    });
    *on_screen.unwrap_or(&truth.frames[0])
}

#[test]
fn every_sample_point_gets_the_frame_on_the_screen_through_opencv() {
    check(DecoderBackend::OpenCv, Limits::default());
}

#[test]
fn every_sample_point_gets_the_frame_on_the_screen_through_libav() {
    check(DecoderBackend::Auto, Limits::default());
}

#[test]
fn every_sample_point_gets_the_frame_on_the_screen_of_a_file_too_long_to_be_read_through() {
    check(DecoderBackend::Auto, Limits { max_scan_bytes: 0, ..Limits::default() });
}

fn check(decoder: DecoderBackend, limits: Limits) {
    let mut wrong = Vec::new();
    for truth in truths(decoder) {
        // 0.37 s is in step with no frame rate of the fixtures.
        for interval in ["1s", "0.37s", "40ms", "1.7s"] {
            let sampling = Sampling::Interval(interval.parse().expect("a time"));
            let (points, frames, outcome) = match read(&fixtures().join(&truth.name), sampling, decoder, limits) {
                Ok(read) => read,
                Err(error) => {
                    wrong.push(format!("{} every {interval}: {error}", truth.name));
                    continue;
                }
            };
            let mut expected: Vec<(i64, u32)> = points.iter().map(|point| displayed(&truth, *point)).collect();
            expected.dedup();
            let got: Vec<(i64, Option<u32>)> = frames.iter().map(|f| (f.pts.floor_to(truth.base), mark(f))).collect();
            let right = got
                .iter()
                .zip(&expected)
                .filter(|(got, expected)| got.0 == expected.0 && got.1 == Some(expected.1))
                .count();
            if right != expected.len() || got.len() != expected.len() || !outcome.missing.is_empty() {
                let first = got.iter().zip(&expected).find(|(g, e)| g.0 != e.0 || g.1 != Some(e.1));
                wrong.push(format!(
                    "{} every {interval}: {right} of {} right, {} came, {} missing, first (got, expected): {first:?}",
                    truth.name,
                    expected.len(),
                    got.len(),
                    outcome.missing.len()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn frames_lost_to_damage_are_named_and_the_others_are_right() {
    let path = fixtures().join("broken/wiped-packets.mp4");
    for (decoder, n_least) in [(DecoderBackend::OpenCv, 10), (DecoderBackend::Auto, 68)] {
        let every_frame = Sampling::Interval("40ms".parse().expect("a time"));
        let (points, frames, outcome) = read(&path, every_frame, decoder, Limits::default()).expect("what is left");
        assert_eq!(frames.len() + outcome.missing.len() + outcome.n_repeated, points.len(), "{decoder:?}");
        assert!(frames.len() >= n_least && !outcome.missing.is_empty(), "{decoder:?}: {} came", frames.len());
        // 25 frames a second from 0 on. Until the next keyframe decoders smear what refers to a damaged frame (no mark is
        // read then), or repeat what they had.
        let expected = |frame: &Frame| frame.time.times(25).floor_to(TimeBase::SECONDS) as u32;
        let n_hidden = frames.iter().filter(|f| mark(f).is_some_and(|mark| mark != expected(f))).count();
        let n_right = frames.iter().filter(|f| mark(f) == Some(expected(f))).count();
        assert!(
            n_right >= n_least.min(25) && n_hidden * 10 <= frames.len(),
            "{decoder:?}: {n_right} right, {n_hidden} hidden of {}",
            frames.len()
        );
        if decoder == DecoderBackend::Auto {
            assert!(outcome.n_damaged > 0, "damaged packets are counted");
        }
    }
}
