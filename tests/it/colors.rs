//! Known colours come out as they are known, whatever matrix, range, transfer or transparency they were stored with.

use std::path::Path;

use vidgist::limits::Limits;
use vidgist::media::{Frame, Ratio};
use vidgist::source::Source;
use vidgist::time::Timestamp;
use vidgist::video::{DecoderBackend, TargetSize, VideoSource};

/// What `scripts/fixtures/draw.py --bars` paints, from the left.
const BARS: [[u8; 3]; 8] = [
    [191, 191, 191],
    [191, 191, 0],
    [0, 191, 191],
    [0, 191, 0],
    [191, 0, 191],
    [191, 0, 0],
    [0, 0, 191],
    [128, 128, 128],
];

fn frames(name: &str, decoder: DecoderBackend) -> Vec<Frame> {
    let limits = Limits::default();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
    let source = Source::identify(path.to_str().expect("UTF-8")).expect("a source");
    let info = vidgist::probe::probe(&source, Ratio::ONE, &limits).expect("facts");
    let video = VideoSource::open(&source, &info, decoder, &limits, None).expect("opens").expect("a video");
    let index = video.index.as_ref().expect("an index");
    let points: Vec<Timestamp> = (0..index.n_frames()).map(|number| index.time(number)).collect();
    let size = TargetSize::max_width(768);
    let mut frames = Vec::new();
    let outcome = video.reader().expect("a reader").read(&points, size, &mut |frame| {
        frames.push(frame);
        Ok(())
    });
    outcome.expect("frames");
    frames
}

/// Mean colour of the middle of each bar, beneath the mark.
fn bars(frame: &Frame) -> [[u8; 3]; 8] {
    let (width, height) = (frame.width as usize, frame.height as usize);
    std::array::from_fn(|bar| {
        let (mut sum, mut n) = ([0_u32; 3], 0);
        for y in height / 2..height * 3 / 4 {
            for x in width * (4 * bar + 1) / 32..width * (4 * bar + 3) / 32 {
                let at = (y * width + x) * 3;
                (0..3).for_each(|i| sum[i] += u32::from(frame.rgb[at + i]));
                n += 1;
            }
        }
        sum.map(|sum| ((sum + n / 2) / n) as u8)
    })
}

/// `dark` is the tolerance where the expected value is 0.
fn check(name: &str, decoder: DecoderBackend, expected: [[u8; 3]; 8], tolerance: u8, dark: u8) {
    let all = bars(&frames(name, decoder)[0]);
    for (got, expected) in all.iter().zip(expected) {
        let is_near =
            |(got, expected): (&u8, u8)| got.abs_diff(expected) <= if expected == 0 { dark } else { tolerance };
        assert!(got.iter().zip(expected).all(is_near), "{name} {decoder:?}: {got:?}, not {expected:?}; all: {all:?}");
    }
}

#[test]
fn bars_come_out_as_painted_in_either_matrix_and_range() {
    for name in ["bars-bt601.mp4", "bars-bt709.mp4", "bars-bt709-full.mp4", "bars-full.webm"] {
        for decoder in [DecoderBackend::Auto, DecoderBackend::OpenCv] {
            // H.264 at CRF 10 and 8-bit chroma: two levels; OpenCV's rounding adds one.
            check(name, decoder, BARS, 3, 3);
        }
    }
}

#[test]
fn bars_of_high_dynamic_range_come_out_as_in_sdr() {
    // Painted for a white of 203 nits: the brightest bar has 101 nits, where the curve begins to bend (2 levels). A dark
    // channel is the difference of bright ones of BT.2020, each rounded when it was stored: 24 levels are a third of a
    // percent of white's light.
    for decoder in [DecoderBackend::Auto, DecoderBackend::OpenCv] {
        check("bars-pq.mp4", decoder, BARS, 3, 10);
        check("bars-hlg.mp4", decoder, BARS, 3, 24);
    }
}

#[test]
fn transparency_lies_on_white() {
    let on_white = BARS.map(|bar| bar.map(|c| (f32::from(c) * 0.8 + 255.0 * 0.2).round() as u8));
    for decoder in [DecoderBackend::Auto, DecoderBackend::OpenCv] {
        check("bars-alpha.mov", decoder, on_white, 1, 1);
        let gif = &frames("transparent.gif", decoder)[0];
        let corner = &gif.rgb[gif.rgb.len() - 3..];
        assert_eq!(corner, [255; 3], "the blue field is transparent");
    }
}

/// Pixels that differ from both neighbouring lines, which are alike, while the lines next but one are like them.
fn n_combed(frame: &Frame) -> usize {
    let stride = frame.width as usize * 3;
    let green = |x: usize, y: usize| i32::from(frame.rgb[y * stride + x * 3 + 1]);
    let mut n = 0;
    for y in 2..frame.height as usize - 2 {
        for x in 0..frame.width as usize {
            let [a, b, c, d, e] = [y - 2, y - 1, y, y + 1, y + 2].map(|y| green(x, y));
            n += usize::from((b - c).abs() > 20 && (b - d).abs() < 10 && (a - c).abs() < 10 && (c - e).abs() < 10);
        }
    }
    n
}

#[test]
fn moving_things_of_interlaced_video_show_no_comb() {
    // The bars of the same moving scene woven together, as ffmpeg gives them: the measure sees combs.
    let woven = std::process::Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/interlaced.ts"))
        .args(["-fps_mode", "passthrough", "-pix_fmt", "rgb24", "-f", "rawvideo", "-"])
        .output()
        .expect("ffmpeg runs");
    for name in ["interlaced.ts", "interlaced-bottom.mp4"] {
        for decoder in [DecoderBackend::Auto, DecoderBackend::OpenCv] {
            let frames = frames(name, decoder);
            let woven = frames.iter().zip(woven.stdout.chunks(320 * 180 * 3));
            let (mut before, mut after) = (0, 0);
            for (frame, rgb) in woven {
                before += n_combed(&Frame { rgb: rgb.to_vec(), ..frame.clone() });
                after += n_combed(frame);
            }
            // What is left are pictures in which too little moves to be taken for a comb.
            assert!(before > 5000 && after * 50 < before, "{name} {decoder:?}: {before} before, {after} after");
        }
    }
}
