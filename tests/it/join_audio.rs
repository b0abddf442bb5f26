//! The audio of several files as one recording: `--join`.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its input stops")]

use std::path::Path;

use serde_json::json;

use crate::join::frames;
use crate::speech;
use crate::support::command::{Ran, User};
use crate::support::programs::ffmpeg;

/// Samples of a 16-bit WAV file, channels interleaved.
fn samples(path: &str) -> Vec<i16> {
    hound::WavReader::open(path).unwrap().into_samples::<i16>().collect::<Result<_, _>>().unwrap()
}

#[test]
fn audio_is_joined_sample_for_sample() {
    let user = User::new();
    let (out, alone) = (user.path("out.wav"), user.path("alone.wav"));
    let speech = "fixtures/speech.wav";
    user.run(&["audio", speech, "-o", &alone]).complete();
    user.run(&["audio", speech, speech, "--join", "-o", &out]).complete();
    let once = samples(&alone);
    assert!(samples(&out) == [&once[..], &once[..]].concat());
    // A range across the files.
    user.run(&["audio", speech, speech, "--join", "--start", "5s", "--end", "8s", "-o", &out]).complete();
    let (from, to) = (5 * 22_050, 8 * 22_050);
    assert!(samples(&out) == [&once[..], &once[..]].concat()[from..to]);
    user.run(&["audio", speech, speech, "--join", "--start", "7s", "-o", &out]).complete();
    assert!(samples(&out) == [&once[..], &once[..]].concat()[7 * 22_050..]);
    // Another codec, rate and number of channels become those of the first.
    user.run(&["audio", "fixtures/stereo-48k.wav", "fixtures/speech.mp3", "--join", "-o", &out]).complete();
    let reader = hound::WavReader::open(&out).unwrap();
    assert_eq!((reader.spec().channels, reader.spec().sample_rate), (2, 48_000));
    let seconds = f64::from(reader.duration()) / 48_000.0;
    assert!((6.9..7.2).contains(&seconds), "1 s and 6 s: {seconds}");
}

/// A file whose sound ends before its picture is followed by silence, one whose sound is longer by its own end.
#[test]
fn sound_starts_where_each_file_does() {
    let user = User::new();
    let home = user.home.path();
    let fixture = |name: &str| std::fs::canonicalize(format!("fixtures/{name}")).unwrap().display().to_string();
    let (video, speech) = (fixture("no-audio.mp4"), fixture("speech.wav"));
    for (seconds, name) in [(2, "short.mov"), (4, "long.mov")] {
        let filter = format!("-af atrim=0:{seconds} -c:v copy -c:a pcm_s16le");
        ffmpeg(home, &format!("-i {video} -i {speech} -map 0:v -map 1:a {filter} {name}"));
    }
    let (short, long, out) = (user.path("short.mov"), user.path("long.mov"), user.path("out.wav"));
    let once = samples("fixtures/speech.wav");
    let rate = 22_050;
    let (two, four, silence) = (&once[..2 * rate], &once[..4 * rate], &vec![0; rate][..]);
    user.run(&["audio", &short, &long, &short, "--join", "-o", &out]).complete();
    assert!(samples(&out) == [two, silence, four, two].concat());
    user.run(&["audio", &short, &long, &short, "--join", "--start", "2.5s", "--end", "8s", "-o", &out]).complete();
    assert!(samples(&out) == [&silence[rate / 2..], four, &two[..rate]].concat());
    // The picture of the second file ends at 6 s, its sound at 7 s.
    let folder = user.path("frames");
    user.run(&["frames", &short, &long, &short, "--join", "--at", "2.5s,3s,6.5s,7s", "-o", &folder]).complete();
    let found: Vec<_> = frames(&folder).into_iter().map(|frame| (frame.0, frame.1, frame.2)).collect();
    assert_eq!(found, [(2480, json!(0), 62), (3000, json!(1), 0), (5960, json!(1), 74), (7000, json!(2), 0)]);
    let described = user.run(&["describe-audio", &short, &long, "--join", "--stt", "none", "--model", "built-in"]);
    assert!(described.complete().contains("00:07.0 of sound"), "both files");
}

/// Of several tracks, each file gives the one in the same place, or of the same language where the order differs.
#[test]
fn the_same_track_is_read_of_each_file() {
    let user = User::new();
    let home = user.home.path();
    let both = std::fs::canonicalize("fixtures/two-languages.mkv").unwrap();
    let both = both.display();
    for (maps, name) in [("-map 0:a:0 -map 0:a:1", "a.mov"), ("-map 0:a:1 -map 0:a:0", "b.mov")] {
        ffmpeg(home, &format!("-i {both} {maps} -c:a pcm_s16le -af asetpts=N/SR/TB,atrim=end_sample=22050 {name}"));
    }
    let (a, b, out, alone) = (user.path("a.mov"), user.path("b.mov"), user.path("out.wav"), user.path("alone.wav"));
    for track in ["1", "2"] {
        user.run(&["audio", &a, "--track", track, "-o", &alone]).complete();
        user.run(&["audio", &a, &b, "--join", "--track", track, "-o", &out]).complete();
        let once = samples(&alone);
        assert!(samples(&out) == [&once[..], &once[..]].concat(), "track {track}");
    }
}

/// A copy of an MP4 file whose samples are wiped and whose index is not: it can be probed, but not decoded.
fn wiped(from: &str, to: &str) {
    let mut bytes = std::fs::read(from).unwrap();
    let at = bytes.windows(4).position(|four| four == b"mdat").unwrap();
    let size = u32::from_be_bytes(bytes[at - 4..at].try_into().unwrap()) as usize;
    bytes[at + 4..at - 4 + size].fill(0);
    std::fs::write(to, bytes).unwrap();
}

/// A file that cannot be decoded keeps its place as silence and is reported, if it is in the range.
#[test]
fn a_file_that_cannot_be_decoded_is_silence() {
    let user = User::new();
    let (good, bad, out) = ("fixtures/speech.m4a", user.path("bad.m4a"), user.path("out.wav"));
    wiped(good, &bad);
    let run = |files: &[&str], range: &[&str]| -> (Ran, Vec<i16>) {
        let _ = std::fs::remove_file(&out);
        let ran = user.run(&[&["audio"], files, &["--join", "-o", &out], range].concat());
        let found = if Path::new(&out).exists() { samples(&out) } else { Vec::new() };
        (ran, found)
    };
    let (_, alone) = run(&[good], &[]);
    // Both files state 6 s; the last one is read to its end.
    let n = 6 * 22_050;
    let (once, silence) = (&alone[..n], vec![0; n]);

    let (ran, found) = run(&[good, &bad, good], &[]);
    assert!(found == [once, &silence, &alone].concat());
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("bad.m4a: no packet of audio stream 0") && ran.err.contains("silence takes its place"));
    let missing = "speech.m4a and 2 more: 6.00 s of the audio that the file claims are missing";
    assert!(ran.err.contains(missing), "{}", ran.err);

    // At the start, the audio begins later; at the end, it ends earlier.
    let (ran, found) = run(&[&bad, good], &[]);
    assert!(found == alone && ran.code == Some(1), "{ran:?}");
    assert!(ran.out.contains("starts at 00:00:06.000") && ran.err.contains("6.00 s of the audio"), "{ran:?}");
    let (ran, found) = run(&[good, &bad], &[]);
    assert!(found == once && ran.code == Some(1) && ran.err.contains("6.00 s of the audio"), "{ran:?}");

    // What is outside of the range is neither opened nor counted.
    for (files, range, expected) in [
        (&[&*bad, good][..], &["--start", "7s"][..], &alone[n / 6..]),
        (&[good, &bad, good], &["--start", "13s"], &alone[n / 6..]),
        (&[good, &bad, good], &["--end", "6s"], once),
        (&[good, &bad, good], &["--start", "1s", "--end", "5s"], &once[n / 6..n / 6 * 5]),
    ] {
        let (ran, found) = run(files, range);
        assert_eq!((ran.code, &*ran.err), (Some(0), ""), "{files:?} {range:?}");
        assert!(found == expected, "{files:?} {range:?}");
    }
    let (ran, found) = run(&[good, &bad, good], &["--start", "4s", "--end", "13s"]);
    assert!(found == [&once[n / 6 * 4..], &silence, &alone[..n / 6]].concat() && ran.code == Some(1), "{ran:?}");
    let (ran, found) = run(&[good, &bad, good], &["--start", "10s"]);
    assert!(found == [&silence[..n / 6 * 2], &alone].concat() && ran.code == Some(1), "{ran:?}");
    assert!(ran.err.contains("2.00 s of the audio"), "{}", ran.err);

    // Nothing of the range can be read.
    for (files, range) in [
        (&[&*bad, &bad][..], &[][..]),
        (&[good, &bad, good], &["--start", "7s", "--end", "8s"]),
        (&[good, &bad], &["--start", "7s"]),
    ] {
        let (ran, found) = run(files, range);
        assert!(ran.code == Some(2) && found.is_empty(), "{files:?} {range:?}: {ran:?}");
        assert!(ran.err.contains("error: ") && ran.err.contains("bad.m4a: no packet"), "{}", ran.err);
    }
}

/// A container may state less than its streams hold.
#[test]
fn a_file_ends_where_the_next_one_starts() {
    let user = User::new();
    let speech = std::fs::canonicalize("fixtures/speech.wav").unwrap();
    ffmpeg(user.home.path(), &format!("-i {} -c copy long.mkv", speech.display()));
    let (long, out) = (user.path("long.mkv"), user.path("out.wav"));
    let mut bytes = std::fs::read(&long).unwrap();
    let at = bytes.windows(3).position(|three| three == [0x44, 0x89, 0x88]).unwrap() + 3;
    bytes[at..at + 8].copy_from_slice(&2000.0_f64.to_be_bytes());
    std::fs::write(&long, bytes).unwrap();
    let once = samples("fixtures/speech.wav");
    user.run(&["audio", &long, "fixtures/speech.wav", "--join", "-o", &out]).complete();
    assert!(samples(&out) == [&once[..2 * 22_050], &once].concat());
}

/// Whisper transcribes the words of every file, each at its time.
#[test]
fn speech_of_all_files_is_transcribed() {
    let (Some(user), Some(jfk)) = (speech::user(), speech::clip("speech/jfk/jfk.flac")) else { return };
    let found = speech::heard(&user, &jfk, &[&jfk, "--join", "--whisper-model", "tiny.en"]);
    let fellow = speech::segments(&found).into_iter().filter(|segment| segment.2.contains("fellow"));
    let starts: Vec<f64> = fellow.map(|segment| segment.0).collect();
    // The clip has 11.0 s; an utterance that starts at the cut may be placed in the pause before it.
    assert!(matches!(starts[..], [a, b] if a < 1.0 && (10.4..12.0).contains(&b)), "{starts:?}");
}
