//! The language of speech, and speakers on channels of their own. Needs the models of `scripts/fetch-whisper` and the
//! clips of `../shared/media`; skips where they do not exist.

use std::fmt::Write as _;

use serde_json::Value;
use tempfile::TempDir;

use crate::speech::{clip, heard, made, n_errors, segments, text, user};
use crate::support::command::User;

const JFK: &str =
    "And so my fellow Americans ask not what your country can do for you, ask what you can do for your country.";

/// The clips one after another, 16 kHz mono, with this many seconds of silence between.
fn in_turn(folder: &TempDir, name: &str, clips: &[&str], gap: f64) -> String {
    let (mut args, mut graph) = (Vec::new(), String::new());
    for (idx, clip) in clips.iter().enumerate() {
        args.extend(["-i", clip]);
        let _ = write!(graph, "[{idx}:a]aresample=16000,aformat=channel_layouts=mono,apad=pad_dur={gap}[c{idx}];");
    }
    for idx in 0..clips.len() {
        let _ = write!(graph, "[c{idx}]");
    }
    let _ = write!(graph, "concat=n={}:v=0:a=1[out]", clips.len());
    args.extend(["-filter_complex", &graph, "-map", "[out]"]);
    made(folder, name, &args)
}

fn confidence(transcript: &Value) -> f64 {
    transcript["language_confidence"].as_f64().expect("a confidence")
}

#[test]
fn the_language_is_that_of_most_speech_in_the_first_minutes() {
    let Some(user) = user() else { return };
    let clips = ["speech/uberi/french.aiff", "speech/jfk/jfk.flac", "speech/ljspeech/LJ001-0001.flac"].map(clip);
    let [Some(french), Some(jfk), Some(lj)] = &clips else { return };
    let folder = tempfile::tempdir().expect("a folder");
    // A foreign sentence first must not decide, nor one at the end.
    for (name, order) in [("first", [french, jfk, lj]), ("last", [jfk, lj, french])] {
        let input = in_turn(&folder, name, &order.map(String::as_str), 1.5);
        let transcript = heard(&user, &input, &[]);
        assert_eq!(transcript["language"], "en", "{name}: {transcript}");
        assert!((0.5..=1.0).contains(&confidence(&transcript)), "{name}: {transcript}");
        assert!(transcript["likely_language"].is_null(), "{name}");
        // Also the chunk that sounded French at first is transcribed again as English where it has to be.
        assert!(text(&transcript).to_lowercase().contains("fellow americans"), "{name}: {transcript}");
    }
    let alone = heard(&user, jfk, &["--language", "en"]);
    assert!(alone["language"] == "en" && alone["language_confidence"].is_null(), "told, not detected: {alone}");
}

#[test]
fn the_choice_of_languages_can_be_restricted() {
    let Some(user) = user() else { return };
    let (Some(chinese), Some(jfk)) = (clip("speech/uberi/chinese.flac"), clip("speech/jfk/jfk.flac")) else { return };
    let config = user.path("config.toml");
    let write = |text: &str| std::fs::write(&config, text).expect("written");
    let hear = |user: &User, input: &str, flags: &[&str]| {
        let config = user.path("config.toml");
        heard(user, input, &[&["--config", &config], flags].concat())
    };
    write("[transcription]\nlanguages = [\"fr\", \"en\"]\n");
    assert_eq!(hear(&user, &jfk, &[])["language"], "en");
    let other = hear(&user, &chinese, &[]);
    let language = if other["language"].is_null() { &other["likely_language"] } else { &other["language"] };
    assert!(language == "fr" || language == "en", "{other}");
    assert_eq!(hear(&user, &chinese, &["--language", "zh"])["language"], "zh", "the flag replaces the list");
    assert_eq!(hear(&user, &jfk, &["--language", "de,en"])["language"], "en", "a list on the command line");

    write("[transcription]\nlanguage = \"fr\"\n");
    assert_eq!(
        hear(&user, &jfk, &["--language", "auto"])["language"],
        "en",
        "auto detects whatever the configuration says"
    );

    write("[transcription]\nlanguages = [\"fr\", \"klingon\"]\n");
    let ran = user.run(&["--config", &config, "transcribe", "--stt", "whisper", &jfk]);
    assert!(ran.code == Some(2) && ran.err.contains("Whisper does not know \"klingon\""), "{ran:?}");
    assert!(ran.err.starts_with("error: "), "whisper.cpp prints nothing of its own: {ran:?}");
    let ran = user.run(&["transcribe", "--stt", "whisper", "--whisper-model", "tiny.en", "--language", "fr,de", &jfk]);
    assert!(ran.code == Some(2) && ran.err.contains("supports English only"), "{ran:?}");
}

#[test]
fn an_uncertain_language_is_said_to_be_uncertain() {
    let Some(user) = user() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    // A sentence each of three languages.
    let clips = ["english.wav", "french.aiff", "chinese.flac"].map(|name| clip(&format!("speech/uberi/{name}")));
    let [Some(english), Some(french), Some(chinese)] = &clips else { return };
    let input = in_turn(&folder, "three", &[english, french, chinese], 1.5);
    let ran = user.run(&["transcribe", "--stt", "whisper", "--format", "json", &input]);
    let transcript: Value = serde_json::from_str(&ran.out).expect("JSON");
    assert!(confidence(&transcript) < 0.5, "the test needs an uncertain clip: {transcript}");
    assert!(transcript["language"].is_null(), "{transcript}");
    let likely = transcript["likely_language"].as_str().expect("a language");
    assert!(ran.err.contains(&format!("language is uncertain; it was transcribed as {likely}")), "{ran:?}");
    let page = user.run(&["-q", "transcribe", "--stt", "whisper", "--format", "md", &input]).complete();
    assert!(page.contains(&format!("language uncertain, most likely {likely}")), "{page}");
}

#[test]
fn several_languages_are_found_stretch_by_stretch() {
    let Some(user) = user() else { return };
    let clips = ["speech/jfk/jfk.flac", "speech/uberi/french.aiff", "speech/ljspeech/LJ001-0001.flac"].map(clip);
    let [Some(jfk), Some(french), Some(lj)] = &clips else { return };
    let folder = tempfile::tempdir().expect("a folder");
    for (name, gap) in [("gaps", 1.5), ("short pauses", 0.5)] {
        let input = in_turn(&folder, name, &[jfk, french, lj], gap);
        let transcript = heard(&user, &input, &["--multilingual"]);
        assert_eq!(transcript["language"], "en", "{name}: {transcript}");
        let list = transcript["segments"].as_array().expect("a list");
        let languages: Vec<_> = list.iter().map(|s| s["language"].as_str().unwrap_or("en")).collect();
        assert!(languages.contains(&"fr"), "{name}: {transcript}");
        assert_eq!((languages.first(), languages.last()), (Some(&"en"), Some(&"en")), "{name}: {transcript}");
        let is_english = |s: &&Value| s["language"].is_null() && s["start"].as_f64() < Some(11.0);
        let english: Vec<_> = list.iter().filter(is_english).filter_map(|s| s["text"].as_str()).collect();
        assert!(n_errors(JFK, &english.join(" ")) <= 2, "{name}: {transcript}");
    }
    let one = heard(&user, jfk, &["--multilingual"]);
    assert!(one["segments"].as_array().expect("a list").iter().all(|s| s["language"].is_null()), "{one}");
}

#[test]
fn speakers_on_channels_of_their_own_are_told_apart() {
    let Some(user) = user() else { return };
    let (Some(jfk), Some(lj)) = (clip("speech/jfk/jfk.flac"), clip("speech/ljspeech/LJ001-0001.flac")) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let stereo = |name: &str, graph: &str| {
        let mono = "aresample=16000,aformat=channel_layouts=mono";
        let graph = format!("[0:a]{mono}[a];[1:a]{mono}[b];{graph}");
        made(&folder, name, &["-i", &jfk, "-i", &lj, "-filter_complex", &graph, "-map", "[out]"])
    };
    let speakers = |transcript: &Value| -> Vec<String> {
        let list = transcript["segments"].as_array().expect("a list").iter();
        list.filter_map(|s| s["speaker"].as_str().map(str::to_owned)).collect()
    };
    let of = |transcript: &Value, name: &str| -> String {
        let list = transcript["segments"].as_array().expect("a list").iter();
        list.filter(|s| s["speaker"] == name).filter_map(|s| s["text"].as_str()).collect::<Vec<_>>().join(" ")
    };
    // In turn, and over each other.
    for (name, delay) in [("in turn", 11_500), ("at once", 300)] {
        let graph = format!("[a]apad=whole_dur=22[l];[b]adelay={delay},apad=whole_dur=22[r];[l][r]amerge[out]");
        let input = stereo(name, &graph);
        let transcript = heard(&user, &input, &["--whisper-model", "tiny.en"]);
        assert!(n_errors(JFK, &of(&transcript, "left")) <= 3, "{name}: {transcript}");
        assert!(of(&transcript, "right").to_lowercase().contains("printing"), "{name}: {transcript}");
        let times: Vec<f64> = segments(&transcript).iter().map(|s| s.0).collect();
        assert!(times.is_sorted(), "{name}: {times:?}");
        let mixed = heard(&user, &input, &["--whisper-model", "tiny.en", "--channels", "mix"]);
        assert!(speakers(&mixed).is_empty(), "{name}: {mixed}");
    }
    // One voice on both channels is one speaker: the same samples, the second microphone later and quieter, phases
    // opposite, one channel silent.
    for (name, graph) in [
        ("same", "[b]anullsink;[a]asplit[l][r];[l][r]amerge[out]"),
        ("delayed", "[b]anullsink;[a]asplit[l][m];[m]adelay=12,volume=0.5[r];[l][r]amerge[out]"),
        ("opposite", "[b]anullsink;[a]asplit[l][m];[m]aeval=-val(0)[r];[l][r]amerge[out]"),
        ("silent", "[b]anullsink;[a]asplit[l][m];[m]volume=0[r];[l][r]amerge[out]"),
    ] {
        let transcript = heard(&user, &stereo(name, graph), &["--whisper-model", "tiny.en"]);
        assert!(speakers(&transcript).is_empty(), "{name}: {transcript}");
        assert!(n_errors(JFK, &text(&transcript)) <= 3, "{name}: {transcript}");
    }
    let split = heard(
        &user,
        &stereo("split", "[b]anullsink;[a]asplit[l][m];[m]volume=0[r];[l][r]amerge[out]"),
        &["--whisper-model", "tiny.en", "--channels", "split"],
    );
    let names = speakers(&split);
    assert!(!names.is_empty() && names.iter().all(|name| name == "left"), "{split}");
    let ran = user.run(&["transcribe", "--stt", "whisper", "--channels", "split", &jfk_mono(&folder, &jfk)]);
    assert!(ran.code == Some(2) && ran.err.contains("1 channels; only those of stereo can be split"), "{ran:?}");
}

fn jfk_mono(folder: &TempDir, jfk: &str) -> String {
    made(folder, "mono", &["-i", jfk, "-ac", "1", "-t", "3"])
}
