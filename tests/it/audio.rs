//! Sound out of real files: ffmpeg makes them, a known burst of sound says whether the times hold.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its input stops")]

use std::path::{Path, PathBuf};

use vidgist::audio::{self, FileFormat};
use vidgist::limits::Limits;
use vidgist::media::{MediaInfo, Ratio};
use vidgist::pcm::{AudioReader, PcmFormat};
use vidgist::probe::probe;
use vidgist::source::Source;
use vidgist::time::Timestamp;
use vidgist::{Error, ErrorKind, Result};

use crate::support;
use crate::support::programs::ffmpeg;

const RATE: u32 = 44_100;

/// The burst's first and last sample, seconds.
const BURST: std::ops::Range<f64> = 1.0..1.5;

/// A rising tone under a smooth window: it correlates sharply with itself in one place alone.
fn burst(t: f64) -> f64 {
    if !BURST.contains(&t) {
        return 0.0;
    }
    let u = t - BURST.start;
    let window = 0.5 - 0.5 * (std::f64::consts::TAU * u / 0.5).cos();
    0.8 * window * (std::f64::consts::TAU * (300.0 * u + 2700.0 * u * u)).sin()
}

/// Three seconds and a bit (no whole number of any codec's frames), the burst at 1 s.
fn source(folder: &Path) -> PathBuf {
    let path = folder.join("burst.wav");
    let spec =
        hound::WavSpec { channels: 1, sample_rate: RATE, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut writer = hound::WavWriter::create(&path, spec).unwrap();
    for i in 0..136_710 {
        writer.write_sample((burst(f64::from(i) / f64::from(RATE)) * 32_767.0) as i16).unwrap();
    }
    writer.finalize().unwrap();
    path
}

fn facts(path: &Path) -> Result<MediaInfo> {
    probe(&Source::Media(path.to_owned()), Ratio::ONE, &Limits::default())
}

struct Sound {
    samples: Vec<f32>,
    rate_hz: u32,
    channels: u16,
    start: f64,
    n_damaged: u64,
    seconds_read: f64,
}

fn read_with(path: &Path, want: PcmFormat) -> Result<Sound> {
    let media = facts(path)?;
    let stream = media.main_audio().expect("an audio stream");
    let mut reader = AudioReader::open(path, &media, stream, &want)?;
    let mut sound = Sound {
        samples: Vec::new(),
        rate_hz: reader.rate_hz(),
        channels: reader.channels(),
        start: reader.start().secs_f64(),
        n_damaged: 0,
        seconds_read: 0.0,
    };
    for block in reader.by_ref() {
        let block = block?;
        // Blocks follow on without a gap.
        let n = sound.samples.len() / usize::from(sound.channels);
        let expected = sound.start + n as f64 / f64::from(sound.rate_hz);
        assert!((block.time.secs_f64() - expected).abs() < 1e-6, "a block at {} not {expected}", block.time);
        sound.samples.extend(block.samples);
    }
    sound.n_damaged = reader.n_damaged();
    sound.seconds_read = reader.seconds_read();
    Ok(sound)
}

fn read(path: &Path) -> Sound {
    read_with(path, PcmFormat::default()).unwrap_or_else(|e| panic!("{e}"))
}

/// Seconds on the shared clock at which the first channel's burst begins, and how well it fits (0 to 1).
fn burst_time(sound: &Sound) -> (f64, f64) {
    let rate = f64::from(sound.rate_hz);
    let first: Vec<f64> = sound.samples.iter().step_by(usize::from(sound.channels)).map(|s| f64::from(*s)).collect();
    let wanted: Vec<f64> = (0..(0.5 * rate) as usize).map(|i| burst(BURST.start + i as f64 / rate)).collect();
    let energy = |s: &[f64]| s.iter().map(|x| x * x).sum::<f64>().sqrt();
    let fit = |at: usize| {
        let part = &first[at..at + wanted.len()];
        part.iter().zip(&wanted).map(|(a, b)| a * b).sum::<f64>() / (energy(part) * energy(&wanted)).max(1e-9)
    };
    // Where the energy is, roughly; then every sample around it.
    let total: f64 = first.iter().map(|x| x * x).sum();
    let centre = first.iter().enumerate().map(|(i, x)| i as f64 * x * x).sum::<f64>() / total.max(1e-9);
    let around = (centre - 0.25 * rate) as usize;
    let span = around.saturating_sub(2000)..(around + 2000).min(first.len() - wanted.len());
    let (at, best) = span.map(|at| (at, fit(at))).max_by(|a, b| a.1.total_cmp(&b.1)).expect("a span");
    (sound.start + at as f64 / rate, best)
}

#[track_caller]
fn assert_burst_at(name: &str, sound: &Sound, seconds: f64) {
    let (time, fit) = burst_time(sound);
    // Lossless and lossy codecs alike keep a loud clean tone; 1 ms is the project's promise.
    assert!(fit > 0.99, "{name}: the burst is not recognised ({fit})");
    assert!((time - seconds).abs() < 0.001, "{name}: the burst is at {time} s, not {seconds}");
}

#[test]
fn every_format_keeps_the_time() {
    let folder = tempfile::tempdir().unwrap();
    source(folder.path());
    let good = [
        ("a.wav", ""),
        ("u8.wav", "-c:a pcm_u8"),
        ("s24.wav", "-c:a pcm_s24le"),
        ("f32.wav", "-c:a pcm_f32le"),
        ("alaw.wav", "-c:a pcm_alaw"),
        ("a.flac", ""),
        ("a.mp3", ""),
        ("vbr.mp3", "-q:a 4"),
        ("a.ogg", "-c:a libvorbis"),
        ("flac.ogg", "-c:a flac"),
        ("a.m4a", "-c:a aac"),
        ("alac.m4a", "-c:a alac"),
        ("mp3.mp4", "-c:a libmp3lame"),
        ("a.aiff", ""),
        ("s24.aiff", "-c:a pcm_s24be"),
        ("a.caf", "-c:a pcm_s16le"),
        ("s16be.mov", "-c:a pcm_s16be"),
        ("s24le.mov", "-c:a pcm_s24le"),
        ("flac.mka", "-c:a flac"),
        ("s24.mka", "-c:a pcm_s24le"),
    ];
    for (name, options) in good {
        ffmpeg(folder.path(), &format!("-i burst.wav {options} {name}"));
        let sound = read(&folder.path().join(name));
        assert_eq!((sound.rate_hz, sound.channels, sound.n_damaged), (RATE, 1, 0), "{name}");
        assert_burst_at(name, &sound, 1.0);
        // Encoders pad the end by less than two of their frames.
        let n = sound.samples.len();
        assert!((136_710..136_710 + 2400).contains(&n), "{name}: {n} samples");
    }
    // The first Vorbis packet makes no sound, but its 128 samples have a place in Matroska's times.
    ffmpeg(folder.path(), "-i burst.wav -c:a libvorbis vorbis.mka");
    assert_burst_at("vorbis.mka", &read(&folder.path().join("vorbis.mka")), 1.0 + 128.0 / f64::from(RATE));
    // Without an edit list nothing says that the encoder's delay of 1024 samples is not sound.
    ffmpeg(folder.path(), "-i burst.wav -c:a aac -movflags frag_keyframe+empty_moov fragments.mp4");
    assert_burst_at("fragments.mp4", &read(&folder.path().join("fragments.mp4")), 1.0 + 1024.0 / f64::from(RATE));
}

#[test]
fn sound_beside_a_picture_keeps_its_start() {
    let folder = tempfile::tempdir().unwrap();
    source(folder.path());
    let picture = "-f lavfi -i testsrc=r=25:d=3:s=64x48";
    for (name, before, options, at) in [
        ("plain.mp4", "", "", 1.0),
        ("late.mp4", "-itsoffset 0.7", "", 1.7),
        ("late.mov", "-itsoffset 0.7", "-c:a pcm_s16le", 1.7),
        ("plain.mkv", "", "-c:a flac", 1.0),
        ("late.mkv", "-itsoffset 0.7", "-c:a flac", 1.7),
    ] {
        let command = format!("{picture} {before} -i burst.wav -c:v mpeg4 {options} {name}");
        ffmpeg(folder.path(), &command);
        assert_burst_at(name, &read(&folder.path().join(name)), at);
    }
    // AAC in Matroska: ffmpeg puts the encoder's delay (1024 samples) in front of everything, picture included.
    ffmpeg(folder.path(), &format!("{picture} -i burst.wav -c:v mpeg4 -c:a aac delay.mkv"));
    let path = folder.path().join("delay.mkv");
    let media = facts(&path).unwrap();
    let picture_start = media.video[0].start.unwrap().minus(media.start).secs_f64();
    assert_burst_at("delay.mkv", &read(&path), 1.0 + 1024.0 / f64::from(RATE));
    assert!(picture_start <= 0.024, "{picture_start}");
}

#[test]
fn an_edit_list_that_cuts_the_head_moves_the_sound() {
    let folder = tempfile::tempdir().unwrap();
    source(folder.path());
    for (codec, end, cut) in [("aac", "mov", 0.3), ("alac", "m4a", 0.3), ("pcm_s16le", "mov", 0.5), ("aac", "mp4", 0.9)]
    {
        ffmpeg(folder.path(), &format!("-i burst.wav -c:a {codec} whole.{end}"));
        // Copying from the middle keeps the packets before and hides them with an edit list.
        let cut_name = format!("cut.{end}");
        ffmpeg(folder.path(), &format!("-ss {cut} -i whole.{end} -c copy {cut_name}"));
        let path = folder.path().join(&cut_name);
        let whole = read(&folder.path().join(format!("whole.{end}")));
        let sound = read(&path);
        let (at, fit) = burst_time(&sound);
        assert!(fit > 0.99, "{codec}: {fit}");
        // ffmpeg's own decode of the cut file is the truth, whatever its copy rounded to.
        let expected = ffmpeg_burst(folder.path(), &cut_name, &facts(&path).unwrap());
        assert!((at - expected).abs() < 0.001, "{codec} cut at {cut}: {at} s, ffmpeg {expected}");
        assert!(sound.samples.len() < whole.samples.len());
    }
}

/// The burst's time by ffmpeg's decoder and its start time.
fn ffmpeg_burst(folder: &Path, name: &str, media: &MediaInfo) -> f64 {
    ffmpeg(folder, &format!("-i {name} -c:a pcm_s16le truth.wav"));
    let mut sound = read(&folder.join("truth.wav"));
    sound.start = media.main_audio().unwrap().start.unwrap().minus(media.start).secs_f64();
    burst_time(&sound).0
}

#[test]
fn a_hole_in_the_times_becomes_silence() {
    let folder = tempfile::tempdir().unwrap();
    source(folder.path());
    // Five packets of 4608 samples are dropped before the burst; the container's times say so.
    ffmpeg(folder.path(), "-i burst.wav -c:a flac -bsf:a noise=drop=gt(n\\,2)*lt(n\\,8) hole.mka");
    let sound = read(&folder.path().join("hole.mka"));
    assert_burst_at("hole.mka", &sound, 1.0);
    assert!(sound.samples.len() > 136_000, "{}", sound.samples.len());
}

#[test]
fn rate_and_channels_are_made() {
    let folder = tempfile::tempdir().unwrap();
    source(folder.path());
    ffmpeg(folder.path(), "-i burst.wav -filter_complex pan=5.1|FL=c0|FR=c0|FC=c0|BL=c0|BR=c0 -c:a flac six.flac");
    ffmpeg(folder.path(), "-i burst.wav -c:a aac -ac 2 two.m4a");
    for (name, channels) in [("burst.wav", 1), ("burst.wav", 2), ("two.m4a", 1), ("six.flac", 1), ("six.flac", 2)] {
        let want = PcmFormat { rate_hz: Some(16_000), channels: Some(channels) };
        let sound = read_with(&folder.path().join(name), want).unwrap();
        assert_eq!((sound.rate_hz, sound.channels), (16_000, channels));
        assert_burst_at(name, &sound, 1.0);
        if name == "burst.wav" {
            // 136710 * 16000 / 44100, rounded.
            assert_eq!(sound.samples.len(), 49_600 * usize::from(channels));
        }
    }
    let refused = read_with(&folder.path().join("burst.wav"), PcmFormat { rate_hz: None, channels: Some(3) });
    assert!(matches!(refused, Err(Error { kind: ErrorKind::Usage, .. })));
}

#[test]
fn an_unsupported_codec_is_named() {
    let folder = tempfile::tempdir().unwrap();
    source(folder.path());
    ffmpeg(folder.path(), "-i burst.wav -c:a alac a.m4a");
    let path = folder.path().join("a.m4a");
    let mut bytes = std::fs::read(&path).unwrap();
    // A codec that nobody knows.
    let at = bytes.windows(8).rposition(|w| w[4..] == *b"alac" && w[..4] == [0, 0, 0, 72]).unwrap();
    bytes[at + 4..at + 8].copy_from_slice(b"zzzz");
    std::fs::write(&path, &bytes).unwrap();
    match read_with(&path, PcmFormat::default()) {
        Err(e @ Error { kind: ErrorKind::Unsupported, .. }) => assert!(e.to_string().contains("no decoder"), "{e}"),
        other => panic!("{:?}", other.map(|sound| sound.samples.len())),
    }
}

#[test]
fn a_wav_file_is_written_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = source(folder.path());
    let media = facts(&path).unwrap();
    let mut reader = AudioReader::open(&path, &media, &media.audio[0], &PcmFormat::default()).unwrap();
    let out = folder.path().join("out.wav");
    let summary = audio::write(&mut reader, &out, FileFormat::Wav).unwrap();
    assert_eq!((summary.n_samples, summary.rate_hz, summary.channels, summary.n_damaged), (136_710, RATE, 1, 0));
    assert_eq!(summary.duration, Timestamp::from_millis(3100));
    // 16-bit sound comes through bit for bit.
    let samples = |p: &Path| hound::WavReader::open(p).unwrap().into_samples::<i16>().map(|s| s.unwrap()).collect();
    let (before, after): (Vec<i16>, Vec<i16>) = (samples(&path), samples(&out));
    assert!(before == after);
    let mut reader = AudioReader::open(&path, &media, &media.audio[0], &PcmFormat::default()).unwrap();
    let error = audio::write(&mut reader, &folder.path().join("no/such/out.wav"), FileFormat::Wav).unwrap_err();
    assert!(matches!(error, Error { kind: ErrorKind::Io, .. }), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "a temporary file is left");
}

/// An MP3 is what its frames are, not what its first header counts; files are joined by advertisers and recorders.
#[test]
fn joined_mp3_files_are_read_to_their_end() {
    let folder = tempfile::tempdir().unwrap();
    let make = |options: &str, name: &str| {
        ffmpeg(folder.path(), &format!("-f lavfi -i sine=440:d=2:r=22050 {options} -c:a libmp3lame {name}"));
        std::fs::read(folder.path().join(name)).unwrap()
    };
    let plain = make("-q:a 4", "plain.mp3");
    let stereo = make("-ac 2 -write_xing 0", "stereo.mp3");
    let fast = make("-ar 44100 -write_xing 0", "fast.mp3");
    for (name, middle) in [("joined.mp3", &plain), ("channels.mp3", &stereo), ("rate.mp3", &fast)] {
        let path = folder.path().join(name);
        std::fs::write(&path, [&plain[..], middle, &plain].concat()).unwrap();
        let sound = read(&path);
        // Each joint adds the encoder's delay and padding: below three packets of 576 samples.
        let seconds = sound.samples.len() as f64 / f64::from(sound.rate_hz);
        assert!((6.0..6.2).contains(&seconds), "{name}: {seconds} s");
        let loud = |from: f64| {
            let at = (from * f64::from(sound.rate_hz)) as usize;
            sound.samples[at..at + 1000].iter().any(|sample| sample.abs() > 0.05)
        };
        assert!([1.0, 3.0, 5.0].into_iter().all(loud), "{name}: a part is silent");
        assert!(sound.n_damaged <= 2, "{name}: {} packets count as damaged", sound.n_damaged);
    }
}

#[test]
fn damage_keeps_the_time_of_what_follows() {
    let folder = tempfile::tempdir().unwrap();
    source(folder.path());
    ffmpeg(folder.path(), "-i burst.wav -c:a aac whole.m4a");
    ffmpeg(folder.path(), "-i burst.wav whole.mp3");
    for name in ["whole.m4a", "whole.mp3"] {
        let mut bytes = std::fs::read(folder.path().join(name)).unwrap();
        let whole = read(&folder.path().join(name));
        // A stretch before the burst, away from the head.
        let (from, to) = (bytes.len() / 10, bytes.len() / 10 + 150);
        for (i, byte) in bytes[from..to].iter_mut().enumerate() {
            *byte = (i * 89 + 41) as u8;
        }
        let path = folder.path().join(format!("damaged-{name}"));
        std::fs::write(&path, &bytes).unwrap();
        let sound = read(&path);
        assert!(sound.n_damaged > 0, "{name}: the damage is not counted");
        assert!(sound.samples.len().abs_diff(whole.samples.len()) <= 1152, "{name}");
        if name == "whole.m4a" {
            assert_burst_at(name, &sound, 1.0);
        }
    }
}

#[test]
fn cut_and_bent_files_end_in_words() {
    let folder = tempfile::tempdir().unwrap();
    source(folder.path());
    let names = ["c.wav", "c.flac", "c.mp3", "c.ogg", "c.m4a", "c.mka", "c.aiff", "c.caf"];
    for (i, name) in names.into_iter().enumerate() {
        ffmpeg(folder.path(), &format!("-i burst.wav -t 1.6 {name}"));
        let bytes = std::fs::read(folder.path().join(name)).unwrap();
        let whole = read(&folder.path().join(name)).seconds_read;
        let path = folder.path().join(format!("cut-{name}"));
        for k in 0..24 {
            std::fs::write(&path, &bytes[..bytes.len() * k / 24]).unwrap();
            if let Ok(sound) = read_with(&path, PcmFormat::default()) {
                assert!(sound.seconds_read <= whole + 0.05, "{name} cut: {} s", sound.seconds_read);
            }
        }
        let mut random = fastrand::Rng::with_seed(i as u64);
        for _ in 0..40 {
            let mut bent = bytes.clone();
            for _ in 0..random.usize(1..40) {
                // Half of the damage in the head, where lengths and counts are.
                let reach = if random.bool() { bent.len() } else { bent.len().min(600) };
                let at = random.usize(..reach);
                bent[at] = random.u8(..);
            }
            std::fs::write(&path, &bent).unwrap();
            if let Ok(media) = facts(&path)
                && let Some(stream) = media.main_audio()
                && let Ok(reader) = AudioReader::open(&path, &media, stream, &PcmFormat::default())
            {
                // A damaged head may claim days of silence: what counts is that it streams.
                assert!(reader.take(20_000).all(|block| block.map_or(true, |b| b.samples.len() < 1 << 20)));
            }
        }
    }
}

#[test]
fn real_recordings_have_the_length_that_ffmpeg_found() {
    let Some(media) = support::shared("media") else { return };
    for name in
        ["speech/jfk/jfk.flac", "speech/uberi/english.wav", "speech/sonnet/p001.mp3", "androidx/bear_vorbis.ogg"]
    {
        let path = media.join(name);
        let truth = std::fs::read_to_string(format!("{}.truth.json", path.display())).unwrap();
        let truth: serde_json::Value = serde_json::from_str(&truth).unwrap();
        let n_wanted = truth["audio_decode"][0]["n_samples_per_ch"].as_u64().unwrap();
        let sound = read(&path);
        let n = (sound.samples.len() / usize::from(sound.channels)) as u64;
        // MP3 and Vorbis decoders may differ in what they take for padding: one packet at most.
        let allowed = if name.ends_with("mp3") || name.ends_with("ogg") { 1152 } else { 0 };
        assert!(n.abs_diff(n_wanted) <= allowed, "{name}: {n} samples, ffmpeg {n_wanted}");
    }
}
