//! Common containers and codecs, made by ffmpeg and read back: as many samples as ffmpeg's own decoder finds, the same
//! samples, at the same time relative to the video. Prints the rows of `docs/audio-decoders.md`: which decoder reads which
//! codec, and why; how many frames are missing or surplus, by how much samples differ from ffmpeg's, and by how many
//! milliseconds the start does.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its input stops")]
#![expect(clippy::print_stdout, reason = "prints the table of decoders")]

use std::path::Path;

use vidgist::limits::Limits;
use vidgist::media::{MediaInfo, Ratio};
use vidgist::pcm::{AudioReader, PcmFormat};
use vidgist::probe::probe;
use vidgist::source::Source;

use crate::support;
use crate::support::programs::{ffmpeg, run};

/// One file to be made.
struct Pair {
    file: &'static str,
    encoder: &'static str,
    options: &'static str,
    /// Encoder of a picture beside the sound, which then begins 0.7 s late.
    picture: Option<&'static str>,
}

const fn alone(file: &'static str, encoder: &'static str, options: &'static str) -> Pair {
    Pair { file, encoder, options, picture: None }
}

const fn late(file: &'static str, encoder: &'static str, options: &'static str, picture: &'static str) -> Pair {
    Pair { file, encoder, options, picture: Some(picture) }
}

const FIVE_ONE: &str = "-af pan=5.1|FL=c0|FR=c1|FC=0.5*c0|LFE=0.3*c1|BL=0.4*c1|BR=0.4*c0";
const SEVEN_ONE: &str = "-af pan=7.1|FL=c0|FR=c1|FC=0.5*c0|LFE=0.3*c1|BL=0.4*c1|BR=0.4*c0|SL=0.2*c0|SR=0.2*c1";

/// Files that hold sound alone.
const ALONE: &[Pair] = &[
    alone("s16.wav", "pcm_s16le", ""),
    alone("f32.wav", "pcm_f32le", ""),
    alone("mulaw.wav", "pcm_mulaw", ""),
    alone("ms.wav", "adpcm_ms", ""),
    alone("rf64.wav", "pcm_s16le", "-rf64 always"),
    alone("mp3.wav", "libmp3lame", ""),
    alone("gsm.wav", "libgsm_ms", "-ar 8000 -ac 1"),
    alone("seven.wav", "pcm_s24le", SEVEN_ONE),
    alone("a.w64", "pcm_s16le", ""),
    alone("a.flac", "flac", ""),
    alone("six.flac", "flac", FIVE_ONE),
    alone("a.mp3", "libmp3lame", ""),
    alone("a.mp2", "mp2", ""),
    alone("vorbis.ogg", "libvorbis", ""),
    alone("flac.ogg", "flac", ""),
    alone("opus.ogg", "libopus", "-ar 48000"),
    alone("speex.ogg", "libspeex", "-ar 16000 -ac 1"),
    alone("s24.aiff", "pcm_s24be", ""),
    alone("alac.caf", "alac", ""),
    alone("s16.caf", "pcm_s16le", ""),
    alone("a.au", "pcm_s16be", ""),
    alone("a.aac", "aac", ""),
    alone("six.aac", "aac", FIVE_ONE),
    alone("a.ac3", "ac3", ""),
    alone("six.eac3", "eac3", FIVE_ONE),
    alone("a.dts", "dca", "-strict -2 -ar 48000"),
    alone("a.wma", "wmav2", ""),
    alone("one.wma", "wmav1", ""),
    alone("a.tta", "tta", ""),
    alone("a.wv", "wavpack", ""),
    alone("a.rm", "real_144", "-ar 8000 -ac 1"),
    alone("u8.wav", "pcm_u8", ""),
    alone("s24.wav", "pcm_s24le", ""),
    alone("s32.wav", "pcm_s32le", ""),
    alone("f64.wav", "pcm_f64le", ""),
    alone("alaw.wav", "pcm_alaw", ""),
    alone("ima.wav", "adpcm_ima_wav", ""),
    alone("s24.flac", "flac", "-sample_fmt s32"),
    alone("six.ogg", "libvorbis", FIVE_ONE),
    alone("low.mp3", "libmp3lame", "-ar 16000 -ac 1"),
    alone("vbr.mp3", "libmp3lame", "-q:a 2"),
    alone("a.voc", "pcm_u8", "-ac 1"),
];

/// The MP4 family.
const MP4: &[Pair] = &[
    late("aac.mp4", "aac", "", "mpeg4"),
    late("six.mp4", "aac", FIVE_ONE, "mpeg4"),
    late("seven.mp4", "aac", SEVEN_ONE, "mpeg4"),
    late("mp3.mp4", "libmp3lame", "", "mpeg4"),
    late("opus.mp4", "libopus", "-ar 48000", "mpeg4"),
    late("flac.mp4", "flac", "-strict -2", "mpeg4"),
    late("ac3.mp4", "ac3", "", "mpeg4"),
    late("eac3.mp4", "eac3", FIVE_ONE, "mpeg4"),
    late("alac.mov", "alac", "", "mpeg4"),
    late("s24be.mov", "pcm_s24be", "", "mpeg4"),
    late("s16le.mov", "pcm_s16le", "", "mpeg4"),
    late("f64.mov", "pcm_f64le", "", "mpeg4"),
    late("ima.mov", "adpcm_ima_qt", "", "mpeg4"),
    late("aac.3gp", "aac", "", "mpeg4"),
    alone("aac.m4a", "aac", ""),
    alone("alac.m4a", "alac", ""),
    alone("s24.m4a", "alac", "-sample_fmt s32p"),
    alone("six-alac.m4a", "alac", FIVE_ONE),
    alone("fragments.mp4", "aac", "-movflags frag_keyframe+empty_moov"),
];

/// The rest of those that hold pictures too.
const OTHER: &[Pair] = &[
    late("aac.mkv", "aac", "", "mpeg4"),
    late("six.mkv", "aac", FIVE_ONE, "mpeg4"),
    late("flac.mkv", "flac", "", "mpeg4"),
    late("s16.mkv", "pcm_s16le", "", "mpeg4"),
    late("alac.mkv", "alac", "", "mpeg4"),
    late("vorbis.mkv", "libvorbis", "", "mpeg4"),
    late("mp3.mkv", "libmp3lame", "", "mpeg4"),
    late("opus.mkv", "libopus", "-ar 48000", "mpeg4"),
    late("dts.mkv", "dca", "-strict -2 -ar 48000", "mpeg4"),
    late("truehd.mkv", "truehd", "-strict -2 -ar 48000", "mpeg4"),
    alone("opus.webm", "libopus", "-ar 48000"),
    late("vorbis.webm", "libvorbis", "", "libvpx"),
    late("aac.ts", "aac", "", "mpeg2video"),
    late("mp2.ts", "mp2", "", "mpeg2video"),
    late("ac3.ts", "ac3", "", "mpeg2video"),
    late("mp2.mpg", "mp2", "", "mpeg2video"),
    late("ac3.vob", "ac3", FIVE_ONE, "mpeg2video"),
    late("mp3.avi", "libmp3lame", "", "mpeg4"),
    late("s16.avi", "pcm_s16le", "", "mpeg4"),
    late("ac3.avi", "ac3", "", "mpeg4"),
    late("aac.flv", "aac", "", "flv"),
    late("mp3.flv", "libmp3lame", "", "flv"),
    late("wma.wmv", "wmav2", "", "wmv2"),
    late("s16.mxf", "pcm_s16le", "-ar 48000", "mpeg2video"),
    late("aac.nut", "aac", "", "mpeg4"),
];

/// Four seconds of two different sounds that never repeat themselves: sliding tones and a little noise.
fn source(folder: &Path) {
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: 44_100,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(folder.join("source.wav"), spec).unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    // No whole number of any codec's frames.
    for i in 0..176_543 {
        let t = f64::from(i) / 44_100.0;
        let noise = (random.f64() - 0.5) * 0.02;
        let left = 0.4 * (std::f64::consts::TAU * (200.0 * t + 90.0 * t * t)).sin() + noise;
        let right = 0.3 * (std::f64::consts::TAU * (900.0 * t - 70.0 * t * t)).sin() - noise;
        writer.write_sample((left * 32_767.0) as i16).unwrap();
        writer.write_sample((right * 32_767.0) as i16).unwrap();
    }
    writer.finalize().unwrap();
}

/// The first numbers that ffprobe prints of the first decoded frames of a stream.
fn first_frames(folder: &Path, file: &str, stream: &str, entries: &str) -> Vec<Vec<f64>> {
    let command = format!(
        "-v error -select_streams {stream} -show_entries frame={entries} -of csv=p=0 -read_intervals %+#9 {file}"
    );
    let text = String::from_utf8(run("ffprobe", folder, &command.split_whitespace().collect::<Vec<_>>())).unwrap();
    let rows = text.lines().map(|line| line.split(',').filter_map(|cell| cell.parse().ok()).collect::<Vec<f64>>());
    rows.filter(|row| !row.is_empty()).collect()
}

fn check(folder: &Path, pair: &Pair) -> Result<String, String> {
    let file = pair.file;
    let (input, codec) = match pair.picture {
        Some(encoder) => (
            "-f lavfi -i testsrc=r=25:d=5:s=352x288 -itsoffset 0.7 -i source.wav -map 0 -map 1",
            format!("-c:v {encoder}"),
        ),
        None => ("-i source.wav", String::new()),
    };
    let (encoder, options) = (pair.encoder, pair.options);
    ffmpeg(folder, &format!("{input} {codec} -c:a {encoder} {options} {file}"));
    compare(folder, file, pair.picture.is_some())
}

/// Half a step of 16 bits: samples of Symphonia that differ less from libav's count as the same.
const SAME: f32 = 0.5 / 32_768.0;

/// Reads `file` and compares it with ffmpeg's own decode. Returns a row of the table.
fn compare(folder: &Path, file: &str, has_picture: bool) -> Result<String, String> {
    let truth = ffmpeg(folder, &format!("-i {file} -map 0:a:0 -f f32le -"));
    let truth: Vec<f32> = truth.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();

    let path = folder.join(file);
    let media: MediaInfo =
        probe(&Source::Media(path.clone()), Ratio::ONE, &Limits::default()).map_err(|e| e.to_string())?;
    let stream = media.main_audio().ok_or("no audio stream")?;
    let mut reader = AudioReader::open(&path, &media, stream, &PcmFormat::default()).map_err(|e| e.to_string())?;
    let (channels, start) = (usize::from(reader.channels()), reader.start().plus(media.start).secs_f64());
    let mut sound = Vec::new();
    for block in reader.by_ref() {
        sound.extend(block.map_err(|e| e.to_string())?.samples);
    }
    if reader.n_damaged() > 0 {
        return Err(format!("{} packets count as damaged", reader.n_damaged()));
    }

    let frames = first_frames(folder, file, "a:0", "pts_time,nb_samples");
    let packet = frames.iter().filter_map(|row| row.last()).fold(1.0, |a: f64, b| a.max(*b)) as usize;
    let (n, n_wanted) = (sound.len() / channels, truth.len() / channels);
    let (decoder, reason) = reader.decoder();
    let difference = sound.iter().zip(&truth).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    if decoder == "Symphonia" && (n != n_wanted || difference > SAME) {
        return Err(format!(
            "Symphonia decodes {} to {n} samples, ffmpeg to {n_wanted}; they differ by up to {difference:.2e}",
            stream.codec
        ));
    }
    let off = n.abs_diff(n_wanted);
    if off > packet {
        return Err(format!("{n} samples, ffmpeg {n_wanted}: a packet has {packet}"));
    }
    let fit = correlation(&sound, &truth);
    if fit <= 0.99 {
        return Err(format!("correlates with ffmpeg's samples at {fit:.4}"));
    }
    // Containers without times begin at 0.
    let wanted = frames.first().filter(|row| row.len() == 2).map_or(0.0, |row| row[0]);
    let late = (start - wanted).abs();
    if late > 0.005 {
        return Err(format!("begins at {start:.4} s, ffmpeg {wanted:.4} s"));
    }
    if has_picture {
        let seen = first_frames(folder, file, "v:0", "pts_time").first().map_or(0.0, |row| row[0]);
        let offset = start - seen;
        // These have no place for a late start: ffmpeg drops it.
        let has_start = !matches!(&*media.format, "avi" | "mxf");
        if has_start && (offset - 0.7).abs() > 0.06 {
            return Err(format!("begins {offset:.4} s after the picture, not 0.7 s"));
        }
    }
    let container = media.format.split(',').next().unwrap_or_default();
    Ok(format!(
        "| {file} | {container} | {} | {decoder} | {off} | {difference:.1e} | {:.2} | {reason} |",
        stream.codec,
        late * 1000.0
    ))
}

fn correlation(a: &[f32], b: &[f32]) -> f64 {
    let sum = |f: &dyn Fn(f64, f64) -> f64| a.iter().zip(b).map(|(x, y)| f(f64::from(*x), f64::from(*y))).sum::<f64>();
    sum(&|x, y| x * y) / (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt().max(1e-12)
}

fn check_all(pairs: &[Pair], n_least: usize) {
    let folder = tempfile::tempdir().unwrap();
    source(folder.path());
    let encoders = String::from_utf8(ffmpeg(folder.path(), "-encoders")).unwrap();
    let (mut wrong, mut n_read) = (Vec::new(), 0);
    for pair in pairs {
        if !encoders.split_whitespace().any(|word| word == pair.encoder) {
            support::skip(&format!("{}: this ffmpeg has no encoder {}", pair.file, pair.encoder));
            continue;
        }
        match check(folder.path(), pair) {
            Ok(what) => {
                n_read += 1;
                println!("{what}");
            }
            Err(why) => wrong.push(format!("{}: {why}", pair.file)),
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), pairs.len(), wrong.join("\n"));
    assert!(n_read >= n_least, "only {n_read} pairs could be made here");
}

#[test]
fn files_of_sound_alone() {
    check_all(ALONE, 20);
}

#[test]
fn the_mp4_family() {
    check_all(MP4, 10);
}

#[test]
fn other_containers_beside_a_picture() {
    check_all(OTHER, 12);
}

/// Codecs that Debian's ffmpeg decodes, but has no encoder for: `fixtures/sound`, put into containers here.
#[test]
fn codecs_without_an_encoder() {
    let folder = tempfile::tempdir().unwrap();
    let clips = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sound");
    let mut wrong = Vec::new();
    for (clip, containers) in [
        ("he-aac.aac", &["aac", "m4a", "mp4", "mkv", "ts", "flv"][..]),
        ("he-aac-v2.aac", &["aac", "m4a", "mp4", "mkv", "ts", "flv"][..]),
        ("amr-nb.amr", &["amr", "3gp", "mov"][..]),
        ("amr-wb.awb", &["awb", "3gp", "mov"][..]),
    ] {
        let stem = clip.split('.').next().unwrap();
        std::fs::copy(clips.join(clip), folder.path().join(clip)).unwrap();
        for container in containers {
            let file = format!("{stem}.{container}");
            if file != clip {
                ffmpeg(folder.path(), &format!("-i {clip} -c copy {file}"));
            }
            match compare(folder.path(), &file, false) {
                Ok(what) => println!("{what}"),
                Err(why) => wrong.push(format!("{file}: {why}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
