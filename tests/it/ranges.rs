//! A range bounds all that a command does, and the track that holds the speech is transcribed.

use std::path::Path;

use serde_json::Value;

use crate::speech::{n_errors, text, user};
use crate::support::command::User;
use crate::support::fake_server::{FakeServer, HEARING_MODEL};
use crate::support::programs::{ffmpeg_with, run};

const SENTENCES: [&str; 3] = [
    "The first sentence is about the harbor and the ships.",
    "The second sentence tells you to bring your passport.",
    "The third sentence ends the recording with thanks.",
];

/// `talk.wav`: a sentence at 0, 8 and 16 s, silence between them.
fn talk(folder: &Path) {
    for (idx, sentence) in SENTENCES.iter().enumerate() {
        run("espeak-ng", folder, &["-v", "en-us", "-s", "150", "-w", &format!("{idx}.wav"), sentence]);
    }
    let parts = "[0]apad=whole_dur=8[a];[1]apad=whole_dur=8[b];[a][b][2]concat=n=3:v=0:a=1";
    ffmpeg_with(
        folder,
        &["-i", "0.wav", "-i", "1.wav", "-i", "2.wav", "-filter_complex", parts, "-ar", "16000", "talk.wav"],
    );
}

fn transcript(user: &User, name: &str, flags: &[&str]) -> (Value, String) {
    let ran = user.run(&[&["transcribe", &user.path(name), "--format", "json", "--language", "en"], flags].concat());
    assert_eq!(ran.code, Some(0), "{name} {flags:?}: {ran:?}");
    (serde_json::from_str(&ran.out).expect("JSON"), ran.err)
}

#[test]
fn a_range_bounds_the_transcript() {
    let Some(user) = user() else { return };
    talk(user.home.path());
    let ranges = [
        (&["--start", "7.5s", "--end", "15s"][..], &SENTENCES[1..2]),
        (&["--end", "7s"], &SENTENCES[..1]),
        (&["--start", "7.5s"], &SENTENCES[1..]),
    ];
    for (flags, said) in ranges {
        let (found, _) = transcript(&user, "talk.wav", flags);
        // The voice is synthetic: a word in a sentence may be misheard.
        assert!(n_errors(&said.join(" "), &text(&found)) <= 2 * said.len(), "{flags:?}: {found}");
        let start = found["segments"][0]["start"].as_f64().expect("seconds");
        assert_eq!(start > 7.0, flags[0] == "--start", "times are those of the file: {found}");
    }
    // Subtitles are bounded, too.
    let srt = "1\n00:00:01,000 --> 00:00:02,000\nOne\n\n2\n00:00:05,000 --> 00:00:06,000\nTwo\n\n\
               3\n00:00:09,000 --> 00:00:10,000\nThree\n";
    std::fs::write(user.path("talk.srt"), srt).expect("written");
    let (found, _) = transcript(&user, "talk.wav", &["--start", "5.5", "--end", "9"]);
    assert_eq!(text(&found), "Two");
}

#[test]
fn a_range_bounds_written_and_described_audio() {
    let user = User::new();
    let home = user.home.path();
    // A tone from 4 to 6 s.
    ffmpeg_with(
        home,
        &["-f", "lavfi", "-i", "sine=d=10:r=8000", "-af", "volume=0:enable='not(between(t,4,6))'", "t.wav"],
    );
    let (tone, out) = (user.path("t.wav"), user.path("out.wav"));
    for (flags, millis) in [
        (&["--start", "4", "--end", "6.5"][..], 2500),
        (&["--start", "9"], 1000),
        (&["--end", "0.25"], 250),
        (&["--start", "2", "--end", "30"], 8000),
        (&["--start", "4.0001", "--end", "4.1", "--rate", "16000", "--channels", "2"], 100),
    ] {
        let ran = user.run(&[&["audio", &tone, "-o", &out], flags].concat());
        assert_eq!((ran.code, &*ran.err), (Some(0), ""), "{flags:?}: {ran:?}");
        let wav = hound::WavReader::open(&out).expect("a WAV file");
        assert!(
            (f64::from(wav.duration()) / f64::from(wav.spec().sample_rate) * 1000.0 - f64::from(millis)).abs() < 0.2
        );
    }
    let described = user.run(&["describe-audio", &tone, "--start", "4", "--end", "6", "--format", "json"]).complete();
    let described: Value = serde_json::from_str(&described).expect("JSON");
    let sound = &described[0]["sound"];
    assert_eq!(
        (&sound["silences"], sound["start"].as_f64(), sound["end"].as_f64()),
        (&Value::Array(vec![]), Some(4.0), Some(6.0))
    );
    for (flags, said) in [
        (&["--start", "10"][..], "--start: 00:00:10.000 is not before the end"),
        (&["--start", "3", "--end", "3"], "--end: 00:00:03.000 is not after the start"),
    ] {
        for command in [&["audio", &*tone, "-o", &*out][..], &["describe-audio", &*tone], &["transcribe", &*tone]] {
            let ran = user.run(&[command, flags].concat());
            assert!(ran.code == Some(2) && ran.err.contains(said), "{command:?}: {ran:?}");
        }
    }
}

#[test]
fn nothing_outside_the_range_is_sent_to_an_endpoint() {
    let (user, fake_server) = (User::new(), FakeServer::start());
    let home = user.home.path();
    let tone = ["-f", "lavfi", "-i", "sine=d=60:r=16000"];
    ffmpeg_with(
        home,
        &[&tone[..], &["-f", "lavfi", "-i", "testsrc=s=64x48:r=5:d=60", "-c:v", "mpeg4", "film.mp4"]].concat(),
    );
    let (film, url) = (user.path("film.mp4"), fake_server.base_url());
    // Without the store, where the second command would find the transcript of the first.
    let endpoint = ["--stt-model", HEARING_MODEL, "--base-url", &url, "--start", "10s", "--end", "15s", "--no-store"];
    let summarize = ["summarize", &film, "--model", "built-in", "--interval", "5s"];
    for command in [&["transcribe", &film, "--stt", "api"][..], &summarize] {
        let n_before = fake_server.sounds().len();
        let ran = user.run(&[command, &endpoint].concat());
        assert_eq!(ran.code, Some(0), "{command:?}: {ran:?}");
        let sounds = fake_server.sounds();
        assert_eq!(sounds.len(), n_before + 1, "{command:?}: {ran:?}");
        // A resampler's padding is far below a tenth of a second.
        assert!((sounds[n_before].seconds - 5.0).abs() < 0.1, "{command:?}: {} s", sounds[n_before].seconds);
    }
}

#[test]
fn the_track_that_holds_the_speech_is_transcribed_and_named() {
    let Some(user) = user() else { return };
    let home = user.home.path();
    talk(home);
    let tone = ["-f", "lavfi", "-i", "sine=300:r=16000:d=20,volume=0.05"];
    let film = ["-f", "lavfi", "-i", "testsrc=s=64x48:r=5:d=20"];
    let own = ["-i", "talk.wav"];
    let silence = ["-f", "lavfi", "-i", "anullsrc=r=16000:d=20"];
    let copy = ["-map", "0", "-map", "1", "-map", "2", "-c:v", "mpeg4", "-c:a", "flac"];
    ffmpeg_with(home, &[&film[..], &tone, &own, &copy, &["-metadata:s:a:1", "title=Mic", "second.mkv"]].concat());
    ffmpeg_with(home, &[&film[..], &own, &tone, &copy, &["first.mkv"]].concat());
    ffmpeg_with(home, &[&film[..], &silence, &own, &copy, &["silent.mkv"]].concat());
    ffmpeg_with(home, &[&film[..], &tone, &silence, &copy, &["none.mkv"]].concat());
    for (name, track) in [("second.mkv", Some(2)), ("first.mkv", None), ("silent.mkv", Some(2)), ("none.mkv", None)] {
        let (found, err) = transcript(&user, name, &[]);
        assert_eq!(found["source"]["track"].as_u64(), track, "{name}: {found}");
        assert_eq!(err.contains("transcribing track 2"), track.is_some(), "{name}: {err}");
        let said = if name == "none.mkv" { String::new() } else { SENTENCES.join(" ") };
        assert!(n_errors(&said, &text(&found)) <= 6, "{name}: {found}");
    }
    // A track that the user names is not replaced, in no command that listens.
    let (found, _) = transcript(&user, "second.mkv", &["--track", "1"]);
    assert_eq!(found["segments"], Value::Array(vec![]));
    let args =
        ["-q", "summarize", &user.path("first.mkv"), "--model", "built-in", "--interval", "10s", "--format", "json"];
    for (flags, n_words) in [(&[][..], 20), (&["--track", "2"], 0)] {
        let report: Value = serde_json::from_str(&user.run(&[&args[..], flags].concat()).complete()).expect("JSON");
        let segments = report["transcript"]["segments"].as_array().map_or(0, Vec::len);
        assert_eq!(segments > 0, n_words > 0, "{flags:?}: {report}");
    }
}

/// A recording whose audio continues after its video: the words there reach the report, with the range that was requested.
#[test]
fn a_range_after_the_video_has_the_words_alone() {
    let user = User::new();
    let inputs = "-f lavfi -i testsrc=d=2:r=10:s=160x120 -f lavfi -i sine=d=10";
    crate::support::programs::ffmpeg(user.home.path(), &format!("{inputs} -map 0 -map 1 talk.mp4"));
    let srt = "1\n00:00:01,000 --> 00:00:02,000\nOne\n\n2\n00:00:06,000 --> 00:00:07,000\nTwo\n\n\
               3\n00:00:09,000 --> 00:00:10,000\nThree\n";
    std::fs::write(user.path("talk.srt"), srt).expect("written");
    let talk = user.path("talk.mp4");
    for (flags, said, frames) in [
        (&["--start", "5s", "--end", "8s"][..], &["Two"][..], 0),
        (&["--start", "2s"], &["Two", "Three"], 0),
        (&["--start", "1.5s", "--end", "8s"], &["One", "Two"], 1),
    ] {
        let ran = user.run(&[&["summarize", &talk, "--model", "built-in", "--format", "json"], flags].concat());
        assert_eq!(ran.code, Some(0), "{flags:?}: {ran:?}");
        let report: Value = serde_json::from_str(&ran.out).expect("JSON");
        let segments = report["transcript"]["segments"].as_array().expect("a transcript");
        assert_eq!(segments.iter().map(|s| s["text"].as_str().expect("text")).collect::<Vec<_>>(), said, "{report}");
        assert_eq!(report["frames"].as_array().expect("frames").len(), frames, "{report}");
    }
    // Nothing is there.
    let ran = user.run(&["summarize", &talk, "--model", "built-in", "--start", "11s"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("--start"), "{ran:?}");
    let ran = user.run(&["frames", &talk, "--start", "5s", "-o", &user.path("frames")]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
}
