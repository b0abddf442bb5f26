//! What each stage costs for itself: `cargo bench`, or `cargo bench -- encode` for one of them.
//!
//! Against other tools, and the whole way: `scripts/bench`.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use vidgist::chat::{Message, Part, Role};
use vidgist::encode::{EncodeOptions, encode};
use vidgist::frame_diff::{FrameScore, SIGNATURE_BLOCKS, Signature};
use vidgist::http::{ServerConfig, parse_base_url};
use vidgist::limits::Limits;
use vidgist::llm::{ChatConfig, ChatModel as _, ChatRequest, OpenAi};
use vidgist::media::{Frame, ImageFormat, MediaInfo, Ratio};
use vidgist::probe::probe;
use vidgist::sampling::{Sampling, SamplingSpec, Scanned, choose, plan};
use vidgist::source::Source;
use vidgist::time::{TimeRange, Timestamp};
use vidgist::video::index::FrameIndex;
use vidgist::video::score::Scorer;
use vidgist::video::{DecoderBackend, TargetSize, VideoSource};

const TWO_HOURS: i64 = 2 * 3600 * 1000;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    planning(&mut criterion);
    pictures(&mut criterion);
    base64(&mut criterion);
    match clip() {
        Ok(clip) => reading(&mut criterion, &clip),
        Err(reason) => eprintln!("read: not measured: {reason}"),
    }
    criterion.final_summary();
}

/// Facts and wishes to sample points: two hours of video.
fn planning(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("plan");
    let range = TimeRange::new(Timestamp::ZERO, Timestamp::from_millis(TWO_HOURS));
    let limits = Limits::default();
    let options = |sampling, max_frames| SamplingSpec { sampling, start: None, end: None, max_frames };
    let each_second = options(Sampling::Interval(Timestamp::from_millis(1000)), None);
    group.bench_function("interval, 1 s of 2 h", |b| {
        b.iter(|| plan(black_box(&each_second), Some(range), &limits).expect("a plan"));
    });

    let scanned: Vec<Scanned> = (0..TWO_HOURS / 1000).map(seen_in_small).collect();
    for (name, options) in [
        ("scene, of 7,200 seen", options(Sampling::Scenes, None)),
        ("budget of 50, of 7,200 seen", options(Sampling::Budget, Some(50))),
    ] {
        group.bench_function(name, |b| {
            b.iter(|| choose(black_box(&options), range, &scanned, &limits).expect("a choice"));
        });
    }
    group.finish();
}

/// A frame each second, a new shot every 8 s.
fn seen_in_small(second: i64) -> Scanned {
    let n_blocks = SIGNATURE_BLOCKS.0 * SIGNATURE_BLOCKS.1;
    let shade = (second / 8 * 37 % 251) as u8;
    let change = if second % 8 == 0 { 0.9 } else { 0.02 };
    Scanned {
        time: Timestamp::from_millis(second * 1000),
        score: FrameScore { sharpness: (second % 13) as f64, change },
        look: Signature::new(vec![[shade, shade / 2, 255 - shade]; n_blocks]).expect("as many blocks as it has"),
    }
}

/// One frame, as `vidgist frames` writes it.
fn pictures(criterion: &mut Criterion) {
    let frame = frame();
    let mut group = criterion.benchmark_group("encode");
    for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Webp] {
        let options = EncodeOptions { format, quality: 85 };
        group.bench_function(format!("{format:?}, 768x432"), |b| {
            b.iter(|| encode(black_box(&frame), &options).expect("a picture"));
        });
    }
    group.finish();
    let mut scorer = Scorer::new();
    criterion.bench_function("score, 768x432", |b| b.iter(|| scorer.score(black_box(&frame)).expect("a score")));
}

/// A request with 50 pictures, its body made as it is sent: nearly all of that is Base64.
fn base64(criterion: &mut Criterion) {
    let picture = encode(&frame(), &EncodeOptions::default()).expect("a picture");
    let n_pictures = 50;
    let n_bytes = picture.bytes.len() * n_pictures;
    let messages = [Message { role: Role::User, parts: vec![Part::Image(picture); n_pictures] }];
    let model = parse_base_url("http://127.0.0.1:9/v1").map(ServerConfig::new).expect("an address");
    let model = OpenAi::new(ChatConfig::new(model, "none")).expect("a model");
    let question = ChatRequest::new(&messages);
    let mut group = criterion.benchmark_group("request");
    group.throughput(Throughput::Bytes(n_bytes as u64));
    group.bench_function("Base64 of 50 pictures", |b| {
        b.iter(|| {
            let body = model.request_body(&question).expect("within the limits");
            body.chunks().map(|chunk| black_box(chunk).len()).sum::<usize>()
        });
    });
    group.finish();
}

/// From 1080p H.264: finding the frames, and reading some at several sizes. What the sizes differ in is scaling.
fn reading(criterion: &mut Criterion, clip: &Path) {
    let limits = Limits::default();
    let source = Source::identify(&clip.display().to_string()).expect("a source");
    let info: MediaInfo = probe(&source, Ratio::ONE, &limits).expect("facts");
    let video =
        VideoSource::open(&source, &info, DecoderBackend::Auto, &limits, None).expect("a video").expect("a picture");
    let n_frames = video.index.as_ref().map_or(0, FrameIndex::n_frames);

    let mut group = criterion.benchmark_group("read");
    group.throughput(Throughput::Elements(n_frames as u64));
    group.bench_function("index, 120 frames", |b| {
        b.iter(|| FrameIndex::scan(clip, &video.stream, info.start, &limits).expect("an index"));
    });
    // Keyframes each 10 frames: 12 of them, each a span of its own, no other frame decoded.
    let points: Vec<_> = video.index.iter().flat_map(FrameIndex::keyframes).collect();
    group.throughput(Throughput::Elements(points.len() as u64)).sample_size(20);
    for size in [(192, 108), (768, 432), (1920, 1080)] {
        group.bench_with_input(
            BenchmarkId::new("1080p keyframes to", format!("{}x{}", size.0, size.1)),
            &size,
            |b, size| {
                b.iter_batched(
                    || video.reader().expect("a reader"),
                    |mut reader| {
                        let outcome = reader.read(&points, TargetSize::Exact(size.0, size.1), &mut |frame| {
                            black_box(frame);
                            Ok(())
                        });
                        assert_eq!(outcome.expect("frames").n_frames, points.len());
                    },
                    BatchSize::PerIteration,
                );
            },
        );
    }
    group.finish();
}

/// 4 s of 1080p with a keyframe each 10 frames, made once by ffmpeg; the reason where it cannot be made.
fn clip() -> Result<PathBuf, String> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stages-1080p30.mp4");
    if target.exists() {
        return Ok(target);
    }
    let part = target.with_extension("part.mp4");
    let status = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=s=1920x1080:r=30,noise=alls=4:allf=t"])
        .args(["-t", "4", "-c:v", "libx264", "-g", "10", "-pix_fmt", "yuv420p"])
        .arg(&part)
        .status()
        .map_err(|e| format!("ffmpeg: {e}"))?;
    if !status.success() {
        return Err(format!("ffmpeg ended with {status}"));
    }
    std::fs::rename(&part, &target).map_err(|e| e.to_string())?;
    Ok(target)
}

/// Shapes over a gradient with some grain: no picture that compresses to nothing.
fn frame() -> Frame {
    let (width, height) = (768, 432);
    let mut grain = 1u32;
    let mut rgb = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            grain = grain.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let shape = if (x / 48 + y / 48) % 2 == 0 { 60 } else { 0 };
            let grain = grain >> 29;
            rgb.extend([x * 180 / width, y * 180 / height, 90].map(|level| (level + shape) as u8 + grain as u8));
        }
    }
    Frame {
        frame_idx: 0,
        pts: Timestamp::ZERO,
        time: Timestamp::ZERO,
        width: width as u32,
        height: height as u32,
        rgb,
        is_suspect: false,
    }
}
