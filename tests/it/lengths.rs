//! Lengths and channels of audio streams: what a container states exactly is checked, what it guesses is not.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its input stops")]

use std::path::Path;

use serde_json::Value;

use crate::support::command::{Ran, User};
use crate::support::programs::ffmpeg_with;

/// The samples of a file as ffmpeg decodes it, 16 bits, interleaved.
fn samples(folder: &Path, name: &str) -> Vec<i16> {
    ffmpeg_with(folder, &["-i", name, "-f", "s16le", "samples.raw"]);
    let bytes = std::fs::read(folder.join("samples.raw")).unwrap();
    bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}

/// Writes the audio of a file in the user's home folder, and reads the exit code, stderr and the length in seconds.
fn audio(user: &User, name: &str, flags: &[&str]) -> (Ran, f64) {
    let out = user.path("out.wav");
    let _ = std::fs::remove_file(&out);
    let ran = user.run(&[&["audio", &user.path(name), "-o", &out], flags].concat());
    let seconds =
        hound::WavReader::open(&out).map_or(0.0, |wav| f64::from(wav.duration()) / f64::from(wav.spec().sample_rate));
    (ran, seconds)
}

const TONE: &[&str] = &["-f", "lavfi", "-i", "sine=300:r=44100:d=5"];
const FILM: &[&str] = &["-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=10"];

#[test]
fn containers_without_lengths_of_streams_are_not_cut() {
    let user = User::new();
    for (name, codecs) in [
        ("film.webm", "-c:v libvpx -c:a libopus"),
        ("film.mkv", "-c:v mpeg4 -c:a aac"),
        ("film.flv", "-c:v flv1 -c:a libmp3lame"),
        ("film.ts", "-c:v mpeg2video -c:a mp2"),
        ("film.wmv", "-c:v wmv2 -c:a wmav2"),
        // These state the length of each stream.
        ("film.mp4", "-c:v mpeg4 -c:a aac"),
        ("film.avi", "-c:v mpeg4 -c:a pcm_s16le"),
    ] {
        let codecs: Vec<&str> = codecs.split(' ').collect();
        ffmpeg_with(user.home.path(), &[FILM, TONE, &codecs, &[name]].concat());
        let (ran, seconds) = audio(&user, name, &[]);
        assert!(ran.code == Some(0) && ran.err.is_empty(), "{name}: {ran:?}");
        assert!((4.95..5.2).contains(&seconds), "{name}: {seconds} s");
    }
}

#[test]
fn a_length_that_is_guessed_or_of_a_part_is_counted_instead() {
    let user = User::new();
    let home = user.home.path();
    // Silence first: the bit rate of its packets says nothing about the noise.
    let parts = "anullsrc=r=44100:cl=mono,atrim=0:8[s];anoisesrc=d=4:a=0.5:r=44100[n];[s][n]concat=n=2:v=0:a=1";
    for (name, options) in [
        ("guess.aac", "-c:a aac"),
        ("guess.mp3", "-c:a libmp3lame -q:a 4 -write_xing 0"),
        ("vbr.mp3", "-c:a libmp3lame -q:a 4"),
        ("guess.ac3", "-c:a ac3"),
        ("guess.mp2", "-c:a mp2"),
        ("guess.dts", "-c:a dca -strict -2 -ac 2"),
    ] {
        let options: Vec<&str> = options.split(' ').collect();
        ffmpeg_with(home, &[&["-filter_complex", parts], &options[..], &[name]].concat());
        let (ran, seconds) = audio(&user, name, &[]);
        assert!(ran.code == Some(0) && ran.err.is_empty(), "{name}: {ran:?}");
        assert!((12.0..12.2).contains(&seconds), "{name}: {seconds} s");
        let probed: Value = serde_json::from_str(&user.run(&["probe", &user.path(name), "--json"]).out).unwrap();
        let stated = probed["duration"].as_f64().unwrap();
        assert!((stated - seconds).abs() < 0.1, "{name}: {stated} s, not {seconds}");
    }
    // Three files in one: the header of the first counts its own frames.
    let one = std::fs::read(home.join("vbr.mp3")).unwrap();
    std::fs::write(home.join("joined.mp3"), one.repeat(3)).unwrap();
    let probed: Value = serde_json::from_str(&user.run(&["probe", &user.path("joined.mp3"), "--json"]).out).unwrap();
    assert!((36.0..36.5).contains(&probed["duration"].as_f64().unwrap()), "{probed}");
}

#[test]
fn what_a_format_states_exactly_is_reported_where_it_is_missing() {
    let user = User::new();
    let home = user.home.path();
    for (name, share) in [("tone.flac", 0.97), ("tone.wav", 0.9), ("tone.aiff", 0.9)] {
        ffmpeg_with(home, &[TONE, &[name]].concat());
        assert_eq!(audio(&user, name, &[]).0.code, Some(0), "{name} is whole");
        let whole = std::fs::read(home.join(name)).unwrap();
        std::fs::write(home.join(name), &whole[..(whole.len() as f64 * share) as usize]).unwrap();
        let (ran, _) = audio(&user, name, &[]);
        assert!(ran.code == Some(1) && ran.err.contains("missing") | ran.err.contains("ends after"), "{name}: {ran:?}");
    }
    // FLAC counts its samples: one packet of 4608 less is a loss, though it lasts a tenth of a second.
    ffmpeg_with(home, &[TONE, &["whole.flac"]].concat());
    ffmpeg_with(
        home,
        &["-i", "whole.flac", "-c", "copy", "-bsf:a", "noise=drop=gt(n\\,46)", "-f", "flac", "less.flac"],
    );
    let (whole, mut less) =
        (std::fs::read(home.join("whole.flac")).unwrap(), std::fs::read(home.join("less.flac")).unwrap());
    // STREAMINFO follows the marker and the header of its block.
    less[8..42].copy_from_slice(&whole[8..42]);
    std::fs::write(home.join("less.flac"), less).unwrap();
    let (ran, seconds) = audio(&user, "less.flac", &[]);
    assert!(ran.code == Some(1) && ran.err.contains("s of the audio that the file claims are missing"), "{ran:?}");
    assert!((4.8..5.0).contains(&seconds), "{seconds} s");
}

#[test]
fn a_stream_without_samples_is_refused_with_advice_that_exists() {
    let user = User::new();
    for name in ["empty.wav", "empty.flac", "empty.aiff"] {
        ffmpeg_with(user.home.path(), &["-f", "lavfi", "-i", "anullsrc", "-t", "0", name]);
        let (ran, _) = audio(&user, name, &[]);
        assert!(ran.code == Some(2) && !ran.err.contains("--"), "{name}: {ran:?}");
        assert_eq!(ran.err.lines().count(), 1, "{name}: {}", ran.err);
    }
}

#[test]
fn containers_without_times_of_packets_have_no_gaps() {
    let user = User::new();
    let home = user.home.path();
    for (name, codec) in [("wma.wav", "wmav2"), ("wma1.wav", "wmav1"), ("mp3.wav", "libmp3lame"), ("ac3.wav", "ac3")] {
        ffmpeg_with(home, &["-f", "lavfi", "-i", "anoisesrc=d=9:a=0.4:r=48000", "-c:a", codec, name]);
        assert_eq!(audio(&user, name, &[]).0.code, Some(0), "{name}");
        let (own, ffmpegs) = (samples(home, "out.wav"), samples(home, name));
        assert_eq!(own.len(), ffmpegs.len(), "{name}");
        // Rounding to 16 bits differs by one step.
        assert!(own.iter().zip(&ffmpegs).all(|(a, b)| a.abs_diff(*b) <= 1), "{name}");
    }
}

#[test]
fn channels_of_opposite_phase_survive_a_mono_mix() {
    let user = User::new();
    let home = user.home.path();
    for (name, pan, is_lost) in [
        ("opposite.wav", "stereo|c0=c0|c1=-1*c0", true),
        ("quieter.wav", "stereo|c0=c0|c1=-0.85*c0", true),
        ("surround.wav", "5.1|FL=c0|FR=-1*c0", true),
        ("same.wav", "stereo|c0=c0|c1=c0", false),
        ("left.wav", "stereo|c0=c0|c1=0*c0", false),
    ] {
        ffmpeg_with(home, &[TONE, &["-af", &format!("pan={pan}"), name]].concat());
        let (ran, _) = audio(&user, name, &["--channels", "1"]);
        assert_eq!(ran.code, Some(0), "{name}: {ran:?}");
        assert_eq!(ran.err.contains("cancel each other"), is_lost, "{name}: {}", ran.err);
        let loudest = samples(home, "out.wav").iter().map(|sample| sample.unsigned_abs()).max().unwrap();
        // ffmpeg's tone has an amplitude of an eighth.
        assert!(loudest > 1500, "{name}: {loudest}");
    }
}

#[test]
fn a_transcript_tells_where_only_one_channel_was_transcribed() {
    let Some(user) = crate::speech::user() else { return };
    let home = user.home.path();
    let clip = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/speech.wav");
    let opposite = "pan=stereo|c0=c0|c1=-1*c0";
    // The speech twice, of opposite phase in the first half alone.
    let half =
        "[0:a]asplit[a][b];[a]pan=stereo|c0=c0|c1=-1*c0[l];[b]pan=stereo|c0=c0|c1=c0[r];[l][r]concat=v=0:a=1[out]";
    for (name, filter) in [
        ("opposite.wav", ["-af", opposite]),
        ("quieter.flac", ["-af", "pan=stereo|c0=c0|c1=-0.85*c0"]),
        ("two-of-six.wav", ["-af", "pan=5.1|FL=c0|FR=-1*c0"]),
        ("same.wav", ["-af", "pan=stereo|c0=c0|c1=c0"]),
    ] {
        ffmpeg_with(home, &["-i", clip, filter[0], filter[1], name]);
    }
    ffmpeg_with(home, &["-i", clip, "-filter_complex", half, "-map", "[out]", "half.wav"]);
    // The clip is 6 s long, a part of it silent.
    for (name, flags, seconds) in [
        ("opposite.wav", &[][..], Some(5.0..6.1)),
        ("quieter.flac", &[], Some(5.0..6.1)),
        ("two-of-six.wav", &[], Some(5.0..6.1)),
        ("same.wav", &[], None),
        ("half.wav", &[], Some(5.0..6.2)),
        // Only what is in the range counts.
        ("half.wav", &["--end", "3s"], Some(2.0..3.1)),
        ("half.wav", &["--start", "6500ms"], None),
    ] {
        let args = ["transcribe", "--stt", "whisper", "--whisper-model", "tiny.en", "--format", "json"];
        let ran = user.run(&[&args[..], flags, &[&user.path(name)]].concat());
        assert_eq!(ran.code, Some(0), "{name} {flags:?}: {ran:?}");
        let transcript: Value = serde_json::from_str(&ran.out).unwrap();
        let found = transcript["single_channel_seconds"].as_f64();
        let is_right = seconds.clone().map_or(found.is_none(), |range| found.is_some_and(|s| range.contains(&s)));
        assert!(is_right, "{name} {flags:?}: {found:?}, not {seconds:?}");
        // Once, although the stream is opened several times.
        let n_told = ran.err.matches("cancel each other").count();
        assert_eq!(n_told, usize::from(seconds.is_some()), "{name} {flags:?}: {}", ran.err);
        assert!(!transcript["segments"].as_array().unwrap().is_empty(), "{name} {flags:?}: {transcript}");
    }
    let opposite = user.path("opposite.wav");
    let args =
        ["-q", "summarize", "--stt", "whisper", "--whisper-model", "tiny.en", &opposite, "-o", &user.path("out")];
    user.run(&args).complete();
    let read = |name: &str| std::fs::read_to_string(home.join("out").join(name)).unwrap();
    let report: Value = serde_json::from_str(&read("report.json")).unwrap();
    assert!(report["transcript"]["single_channel_seconds"].as_f64().is_some_and(|s| s > 5.0), "{report}");
    assert!(read("report.md").contains("from the loudest channel alone for 6 s"), "{}", read("report.md"));
}
