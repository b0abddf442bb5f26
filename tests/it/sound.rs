//! Tracks and descriptions of sound through the command, against what ffmpeg measures.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its input stops")]

use std::path::Path;
use std::process::Command;

use crate::support;
use crate::support::command::{User, names, project};
use serde_json::Value;

fn ffmpeg(folder: &Path, arguments: &str) -> String {
    let done = Command::new("ffmpeg")
        .args(["-hide_banner", "-nostdin", "-nostats", "-y"])
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .output()
        .expect("ffmpeg is installed");
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "ffmpeg {arguments}: {said}");
    said
}

/// Two sounds, French and English, of one and of two channels, the second marked default.
fn two_tracks(user: &User) -> String {
    let inputs = "-f lavfi -i sine=440:d=2:r=44100 -f lavfi -i sine=880:d=2:r=48000";
    let tags = "-metadata:s:a:0 language=fre -metadata:s:a:1 language=eng -disposition:a:0 0 -disposition:a:1 default";
    ffmpeg(user.home.path(), &format!("{inputs} -map 0 -map 1 -ac:a:1 2 -c:a flac {tags} two.mkv"));
    user.path("two.mkv")
}

fn wav(path: &str) -> (u32, u16, Vec<i16>) {
    let mut reader = hound::WavReader::open(path).unwrap();
    let spec = reader.spec();
    (spec.sample_rate, spec.channels, reader.samples().map(Result::unwrap).collect())
}

#[test]
fn a_track_is_chosen_by_number_or_language() {
    let user = User::new();
    let file = two_tracks(&user);
    let out = user.path("out.wav");
    for (args, rate_hz) in [
        (&[][..], 48_000),
        (&["--track", "1"][..], 44_100),
        (&["--track", "2"][..], 48_000),
        (&["--audio-language", "fr"][..], 44_100),
        (&["--audio-language", "fr-CA"][..], 44_100),
        (&["--audio-language", "eng"][..], 48_000),
    ] {
        user.run(&[&["audio", &file, "-o", &out], args].concat()).complete();
        assert_eq!(wav(&out).0, rate_hz, "{args:?}");
    }
    for args in [&["--track", "3"][..], &["--audio-language", "de"][..]] {
        let ran = user.run(&[&["audio", &file, "-o", &out], args].concat());
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.err.contains("choose among 1 (flac, fre), 2 (flac, eng)"), "{ran:?}");
    }
    let printed = user.run(&["audio", &file, "--all-tracks", "-o", &user.path("all.wav")]).complete();
    assert!(printed.contains("all.1.wav\t44100 Hz, 1 channel,") && printed.ends_with(", eng\n"), "{printed}");
    assert_eq!(wav(&user.path("all.2.wav")).1, 2);
    assert_eq!(names(user.home.path()), ["all.1.wav", "all.2.wav", "out.wav", "two.mkv"]);
}

#[test]
fn verbose_output_names_the_decoder_and_the_reason() {
    let user = User::new();
    let file = two_tracks(&user);
    ffmpeg(user.home.path(), "-f lavfi -i sine=d=1 a.wav");
    let said = |file: &str| user.run(&["-v", "audio", file, "-o", &user.path("o.wav")]).err;
    assert!(
        said(&file).contains("flac is decoded by Symphonia: the same samples as libav's decoder"),
        "{}",
        said(&file)
    );
    ffmpeg(user.home.path(), "-f lavfi -i sine=d=1 -c:a aac a.m4a");
    let expected = "aac is decoded by libav: Symphonia decodes neither HE-AAC nor more than two channels";
    assert!(said(&user.path("a.m4a")).contains(expected), "{}", said(&user.path("a.m4a")));
}

/// Integrated loudness, loudness range and true peak as ffmpeg's filter measures them.
fn measured_by_ffmpeg(folder: &Path, file: &str) -> [f64; 3] {
    let said = ffmpeg(folder, &format!("-i {file} -map 0:a:0 -af ebur128=peak=true -f null -"));
    let (_, summary) = said.split_once("Summary:").unwrap();
    let value = |name: &str| -> f64 {
        let line = summary.lines().find(|line| line.trim().starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    [value("I:"), value("LRA:"), value("Peak:")]
}

fn described(user: &User, file: &str) -> Value {
    let text = user.run(&["describe-audio", file, "--no-transcript", "--format", "json"]).complete();
    serde_json::from_str::<Value>(&text).unwrap()[0].take()
}

#[test]
fn loudness_is_that_of_ffmpeg() {
    let user = User::new();
    let home = user.home.path();
    std::fs::copy(project().join("fixtures/talk.mp4"), home.join("talk.mp4")).unwrap();
    let levels = "aevalsrc='0.5*sin(900*t)*(0.2+0.8*lt(mod(t,9),5))|0.3*sin(2500*t*t)':d=30:s=48000";
    ffmpeg(home, &format!("-f lavfi -i {levels} -c:a pcm_s24le levels.wav"));
    ffmpeg(home, "-i levels.wav -ar 44100 -ac 1 -c:a pcm_s16le mono.wav");
    ffmpeg(home, "-i levels.wav -af pan=5.1|FL=c0|FR=c1|FC=0.5*c0|LFE=c1|BL=0.4*c1|BR=0.4*c0 -c:a flac six.flac");
    let mut files: Vec<String> = ["talk.mp4", "levels.wav", "mono.wav", "six.flac"].map(|f| user.path(f)).to_vec();
    let clips = ["speech/jfk/jfk.flac", "nasa/nasa_13013.mp4", "bbb_mp4/bigbuckbunny.mp4", "androidx/bear_vorbis.ogg"];
    if let Some(media) = support::shared("media") {
        files.extend(clips.map(|clip| media.join(clip).to_str().unwrap().to_owned()));
    }
    for file in files {
        let wanted = measured_by_ffmpeg(home, &file);
        let sound = described(&user, &file)["sound"].take();
        let got = ["loudness_lufs", "loudness_range_lu", "true_peak_dbtp"].map(|key| sound[key].as_f64());
        // Of less than three seconds there is no range; ffmpeg says 0.
        assert_eq!(got[1].is_none(), sound["end"].as_f64().unwrap() < 3.0, "{file}: {got:?}");
        let got = got.map(Option::unwrap_or_default);
        println!("{file}: {got:.2?}, ffmpeg {wanted:?}");
        // ffmpeg prints one decimal, which is worth 0.05 of the 0.1 LU.
        assert!((got[0] - wanted[0]).abs() <= 0.1, "{file}: {got:?}, ffmpeg {wanted:?}");
        // We take a window of three seconds every second (EBU Tech 3342 asks for that at least), ffmpeg ten: on levels
        // that change within seconds the percentiles differ by up to a LU, and by more on less than 15 windows.
        let tolerance = if sound["end"].as_f64().unwrap() < 15.0 { 2.5 } else { 1.0 };
        assert!((got[1] - wanted[1]).abs() <= tolerance, "{file}: {got:?}, ffmpeg {wanted:?}");
        // Two filters oversample: BS.1770-4 allows them to differ by half a decibel.
        assert!((got[2] - wanted[2]).abs() <= 0.5, "{file}: {got:?}, ffmpeg {wanted:?}");
    }
}

#[test]
fn silences_are_found_to_a_hundredth() {
    let user = User::new();
    let gaps = "aevalsrc='0.5*sin(900*t)*(1-between(t,2,3.5)-between(t,6,6.4)-gte(t,8))':d=10:s=44100";
    ffmpeg(user.home.path(), &format!("-f lavfi -i {gaps} -c:a pcm_s16le gaps.wav"));
    let sound = described(&user, &user.path("gaps.wav"))["sound"].take();
    let silences: Vec<(f64, f64)> = sound["silences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|range| (range["start"].as_f64().unwrap(), range["end"].as_f64().unwrap()))
        .collect();
    assert_eq!(silences.len(), 2, "0.4 s is a pause: {silences:?}");
    for (found, wanted) in silences.iter().zip([(2.0, 3.5), (8.0, 10.0)]) {
        assert!((found.0 - wanted.0).abs() <= 0.011 && (found.1 - wanted.1).abs() <= 0.011, "{silences:?}");
    }
}

/// Seconds of each kind: speech, music, other, silence.
fn kinds(report: &Value) -> [f64; 4] {
    ["speech", "music", "other", "silence"].map(|kind| {
        let stretches = report["sound"]["stretches"].as_array().unwrap().iter();
        stretches.filter(|s| s["kind"] == kind).map(|s| s["end"].as_f64().unwrap() - s["start"].as_f64().unwrap()).sum()
    })
}

#[test]
fn speech_music_and_noise_are_distinguished() {
    let user = User::new();
    let home = user.home.path();
    ffmpeg(home, "-f lavfi -i anoisesrc=d=12:c=pink:a=0.3:r=44100 noise.wav");
    ffmpeg(home, "-f lavfi -i sine=440:d=12 tone.wav");
    let note = "220*pow(2,mod(floor(t/0.4)*7,12)/12)";
    let tune = format!("0.25*exp(-3*mod(t,0.4))*(sin(2*PI*t*{note})+0.6*sin(4*PI*t*{note}))+0.1*sin(700*t)");
    ffmpeg(home, &format!("-f lavfi -i aevalsrc='{tune}':d=12:s=44100 tune.wav"));
    ffmpeg(home, "-f lavfi -i anullsrc=d=12 -t 12 nothing.wav");
    // A half second at either end may be heard as something else.
    for (file, at) in [("tune.wav", 1), ("noise.wav", 2), ("tone.wav", 2), ("nothing.wav", 3)] {
        let report = described(&user, &user.path(file));
        let seconds = kinds(&report);
        assert!(seconds[at] >= 11.0 && seconds[0] == 0.0, "{file}: {seconds:?}");
        assert!((seconds.iter().sum::<f64>() - 12.0).abs() < 0.01, "without gaps: {seconds:?}");
        assert_eq!(report["sound"]["loudness_lufs"].is_null(), file == "nothing.wav");
    }
    let Some(media) = support::shared("media") else { return };
    for clip in ["speech/jfk/jfk.flac", "speech/sonnet/p001.mp3", "speech/ljspeech/LJ001-0001.flac"] {
        let seconds = kinds(&described(&user, media.join(clip).to_str().unwrap()));
        assert!(seconds[0] >= 0.8 * seconds.iter().sum::<f64>(), "{clip}: {seconds:?}");
    }
    let seconds = kinds(&described(&user, media.join("bbb_webm/big_buck_bunny_0_30.webm").to_str().unwrap()));
    assert!(seconds[1] > 0.7 * seconds.iter().sum::<f64>(), "music of a film: {seconds:?}");
}

#[test]
fn several_files_are_described_and_one_that_fails_is_reported() {
    let user = User::new();
    let talk = "fixtures/talk.mp4";
    let text = user.run(&["listen", talk]).complete();
    assert!(text.starts_with("# talk.mp4\n\n00:20.0 of sound: "), "{text}");
    for part in ["- Loudness (EBU R128): ", "- True peak: ", "words per minute (", "## Speech, music and other sounds"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let ran = user.run(&["describe-audio", talk, &user.path("gone.mp4"), "--format", "json"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("gone.mp4: "), "{ran:?}");
    let reports: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(reports.as_array().map(Vec::len), Some(1));
    assert!(reports[0]["speech"]["words_per_minute"].as_f64().is_some_and(|rate| (50.0..300.0).contains(&rate)));
    let ran = user.run(&["describe-audio", "fixtures/no-audio.mp4"]);
    assert!(ran.code == Some(2) && ran.err.contains("has no audio stream"), "{ran:?}");
}
