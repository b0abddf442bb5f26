//! Whisper on real speech, and on audio without speech. Needs the models of `scripts/fetch-whisper` and, for speech, the
//! clips of `../shared/media`; skips where they do not exist.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::support;
use crate::support::command::User;

const MODELS: [&str; 3] = ["ggml-base-q8_0.bin", "ggml-tiny.en.bin", "ggml-silero-v6.2.0.bin"];

/// A user who has the models of this machine; None where one is missing.
pub fn user() -> Option<User> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let folder = cache.or(home)?.join("vidgist").join("models");
    if let Some(missing) = MODELS.iter().find(|file| !folder.join(file).exists()) {
        support::skip(&format!("{missing} is not in {}; run scripts/fetch-whisper", folder.display()));
        return None;
    }
    let user = User::new();
    std::fs::create_dir_all(user.path(".cache/vidgist")).expect("a folder");
    std::os::unix::fs::symlink(folder, user.path(".cache/vidgist/models")).expect("a link");
    Some(user)
}

/// A clip with known words; None where it does not exist.
pub fn clip(name: &str) -> Option<String> {
    support::shared(&format!("media/{name}")).map(|path| path.to_str().expect("UTF-8").to_owned())
}

/// The transcript as JSON.
pub fn heard(user: &User, input: &str, flags: &[&str]) -> Value {
    let args = [&["-q", "transcribe", "--stt", "whisper", "--format", "json", input], flags].concat();
    serde_json::from_str(&user.run(&args).complete()).expect("JSON")
}

pub fn segments(transcript: &Value) -> Vec<(f64, f64, String)> {
    let segments = transcript["segments"].as_array().expect("a list");
    let time = |segment: &Value, key: &str| segment[key].as_f64().expect("seconds");
    segments.iter().map(|s| (time(s, "start"), time(s, "end"), s["text"].as_str().expect("text").to_owned())).collect()
}

pub fn text(transcript: &Value) -> String {
    segments(transcript).into_iter().map(|(_, _, text)| text).collect::<Vec<_>>().join(" ")
}

/// Lower case, without punctuation.
fn words(text: &str) -> Vec<String> {
    let plain = text.to_lowercase().replace('\'', "").replace(|c: char| !c.is_alphanumeric(), " ");
    plain.split_whitespace().map(str::to_owned).collect()
}

/// Substituted, dropped and invented words (Levenshtein distance of words).
pub fn n_errors(said: &str, heard: &str) -> usize {
    let (said, heard) = (words(said), words(heard));
    let mut row: Vec<usize> = (0..=heard.len()).collect();
    for (i, word) in said.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in heard.iter().enumerate() {
            let best = (row[j] + 1).min(row[j + 1] + 1).min(diagonal + usize::from(word != other));
            diagonal = std::mem::replace(&mut row[j + 1], best);
        }
    }
    row[heard.len()]
}

/// The build needs OpenBLAS's library. If the linker took the matrix products from there, a processor that OpenBLAS does
/// not know would multiply with the instructions of 2004.
#[test]
fn matrix_products_do_not_come_from_openblas() {
    let program = std::fs::read(env!("CARGO_BIN_EXE_vidgist")).expect("the program");
    assert!(contains(&program, b"libopencv_core"), "the names of the libraries are in it");
    assert!(!contains(&program, b"libopenblas"));
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// A sound file that ffmpeg makes, 16-bit WAV.
pub fn made(folder: &TempDir, name: &str, args: &[&str]) -> String {
    let path = folder.path().join(format!("{name}.wav")).to_str().expect("UTF-8").to_owned();
    let status = Command::new("ffmpeg").args(["-nostdin", "-v", "error", "-y"]).args(args).arg(&path).status();
    assert!(status.expect("ffmpeg runs").success(), "{name}");
    path
}

#[test]
fn the_default_model_transcribes_every_word_of_a_clear_speaker() {
    let (Some(user), Some(jfk)) = (user(), clip("speech/jfk/jfk.flac")) else { return };
    let said =
        "And so, my fellow Americans, ask not what your country can do for you, ask what you can do for your country.";
    let transcript = heard(&user, &jfk, &[]);
    assert_eq!(words(&text(&transcript)), words(said));
    assert_eq!(transcript["source"]["kind"], "whisper");
    assert_eq!(transcript["source"]["model"], "base");
    assert_eq!(transcript["language"], "en");
    let segments = segments(&transcript);
    // He begins 0.3 s into the clip and ends 10.5 s into it.
    assert!((segments[0].0 - 0.35).abs() < 0.2, "{segments:?}");
    assert!((segments.last().expect("one").1 - 10.55).abs() < 0.3, "{segments:?}");
    assert!(segments.windows(2).all(|pair| pair[0].1 <= pair[1].0), "none overlap: {segments:?}");
}

#[test]
fn speech_over_a_film_is_transcribed() {
    let (Some(user), Some(nasa)) = (user(), clip("nasa/nasa_13013.mp4")) else { return };
    let said = "This is the optical and science segment of the Webb Space Telescope in one of the largest clean rooms \
                in the world at NASA's Goddard Space Flight Center in Greenbelt, Maryland.";
    for model in ["base", "tiny.en"] {
        let found = text(&heard(&user, &nasa, &["--whisper-model", model]));
        // One word in 31 is 3.2 %.
        assert!(n_errors(said, &found) <= 1, "{model}: {found}");
    }
}

#[test]
fn words_are_timed_within_their_segments() {
    let (Some(user), Some(jfk)) = (user(), clip("speech/jfk/jfk.flac")) else { return };
    let transcript = heard(&user, &jfk, &["--whisper-model", "tiny.en", "--words"]);
    let mut last = 0.0;
    for segment in transcript["segments"].as_array().expect("a list") {
        let of = |value: &Value, key: &str| value[key].as_f64().expect("seconds");
        let timed = segment["words"].as_array().expect("words");
        let joined: Vec<&str> = timed.iter().map(|word| word["text"].as_str().expect("text")).collect();
        assert_eq!(joined.join(" "), segment["text"].as_str().expect("text"));
        for word in timed {
            assert!(of(word, "start") >= last && of(word, "end") >= of(word, "start"), "{word} after {last}");
            assert!(of(word, "start") >= of(segment, "start") && of(word, "end") <= of(segment, "end"), "{word}");
            last = of(word, "start");
        }
        let confidence = of(segment, "confidence");
        assert!((0.0..=1.0).contains(&confidence), "{confidence}");
    }
    // He says "country" twice, 2.6 s apart at least.
    let country: Vec<f64> = transcript["segments"]
        .as_array()
        .expect("a list")
        .iter()
        .flat_map(|segment| segment["words"].as_array().expect("words"))
        .filter(|word| word["text"].as_str().expect("text").starts_with("country"))
        .map(|word| word["start"].as_f64().expect("seconds"))
        .collect();
    assert_eq!(country.len(), 2, "{country:?}");
    assert!((country[0] - 6.2).abs() < 0.5 && (country[1] - 9.8).abs() < 0.5, "{country:?}");
}

#[test]
fn the_language_is_reported_if_it_is_sure() {
    let Some(user) = user() else { return };
    for (name, language) in [("french.aiff", "fr"), ("chinese.flac", "zh"), ("english.wav", "en")] {
        let Some(path) = clip(&format!("speech/uberi/{name}")) else { return };
        let transcript = heard(&user, &path, &[]);
        assert!(!segments(&transcript).is_empty(), "{name}");
        let told = &transcript["language"];
        assert!(told == language || told.is_null(), "{name}: {told}, never another one");
    }
}

/// Utterances with gaps between them, and music before them: each where it is, none lost, none invented.
#[test]
fn utterances_between_long_gaps_keep_their_times() {
    let Some(user) = user() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    // The file, the second at which it is put, and the speech's own second in it.
    let plan = [(1, 4.0), (2, 17.0), (4, 24.5), (6, 58.0), (8, 65.2)];
    let mut args: Vec<String> = ["-f", "lavfi", "-i", "anoisesrc=a=0.002:r=16000:d=80:seed=7"].map(String::from).into();
    let (mut graph, mut said) = (String::new(), Vec::new());
    let Some(truth) = clip("speech/ljspeech/transcripts.json") else { return };
    let truth: Value = serde_json::from_str(&std::fs::read_to_string(truth).expect("a file")).expect("JSON");
    for (at, (number, second)) in plan.iter().enumerate() {
        let name = format!("LJ001-000{number}.flac");
        let Some(path) = clip(&format!("speech/ljspeech/{name}")) else { return };
        args.extend(["-i".to_owned(), path]);
        let millis = (second * 1000.0) as u32;
        let _ = write!(graph, "[{}:a]aresample=16000,adelay={millis}[s{at}];", at + 1);
        said.push(truth[&name].as_str().expect("words").to_owned());
    }
    let _ = write!(graph, "[0:a]");
    for at in 0..plan.len() {
        let _ = write!(graph, "[s{at}]");
    }
    let _ = write!(graph, "amix=inputs={}:duration=first:normalize=0[out]", plan.len() + 1);
    args.extend(["-filter_complex", &graph, "-map", "[out]"].map(String::from));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let input = made(&folder, "gaps", &args);

    let transcript = heard(&user, &input, &[]);
    let segments = segments(&transcript);
    let said_at = |n: usize| plan[n].1;
    for (n, words_said) in said.iter().enumerate() {
        let until = plan.get(n + 1).map_or(80.0, |next| next.1);
        let mine: Vec<_> = segments.iter().filter(|s| s.0 >= said_at(n) - 0.5 && s.0 < until - 0.5).collect();
        let found = mine.iter().map(|s| s.2.clone()).collect::<Vec<_>>().join(" ");
        // The readers of this set begin within 0.2 s of their file.
        assert!(mine.first().is_some_and(|s| (s.0 - said_at(n)).abs() <= 0.5), "utterance {n}: {segments:?}");
        let n_words = words(words_said).len();
        // Numbers and spellings ("1455" for words) count as errors here: a fifth is far from losing an utterance.
        assert!(n_errors(words_said, &found) * 5 <= n_words.max(10), "utterance {n}: {words_said} / {found}");
    }
    let first = segments.first().expect("speech");
    assert!(first.0 >= 3.5, "nothing is heard in the noise before: {first:?}");
}

#[test]
fn audio_without_speech_gives_no_words() {
    let Some(user) = user() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let lavfi = |source: &str, seconds: u32| -> Vec<String> {
        ["-f", "lavfi", "-i", source, "-t", &seconds.to_string(), "-ar", "16000"].map(String::from).into()
    };
    let mut clips: Vec<(String, Vec<String>)> = Vec::new();
    for seconds in [1, 12, 65] {
        clips.push((format!("silence-{seconds}"), lavfi("anullsrc=r=16000:cl=mono", seconds)));
    }
    for color in ["white", "pink", "brown", "blue", "violet"] {
        for loudness in ["0.5", "0.01"] {
            let source = format!("anoisesrc=c={color}:a={loudness}:r=16000:seed=3");
            clips.push((format!("{color}-{loudness}"), lavfi(&source, 15)));
        }
    }
    for hz in [50, 200, 440, 1000, 3000, 6000] {
        clips.push((format!("tone-{hz}"), lavfi(&format!("sine=f={hz}:r=16000"), 10)));
    }
    for (name, formula) in [
        ("chord", "0.2*(sin(440*PI*t)+sin(554*PI*t)+sin(660*PI*t))"),
        ("arpeggio", "0.4*sin(2*PI*t*(220+110*mod(floor(t*4),5)))*exp(-4*mod(t,0.25))"),
        ("bells", "0.4*(sin(1760*PI*t)+0.5*sin(4752*PI*t))*exp(-2*mod(t,1.3))"),
        ("organ", "0.1*(sin(261*PI*t)+sin(522*PI*t)+sin(783*PI*t)+sin(1044*PI*t))*(1+0.3*sin(10*PI*t))"),
        ("drums", "0.8*sin(120*PI*t)*exp(-9*mod(t,0.5))+0.3*(random(0)-0.5)*exp(-30*mod(t+0.25,0.5))"),
        ("siren", "0.4*sin(2*PI*(700*t-90*cos(2*PI*t*0.8)))"),
        ("clicks", "0.9*lt(mod(t,0.7),0.001)"),
        ("hum", "0.2*sin(100*PI*t)+0.1*sin(200*PI*t)+0.05*sin(300*PI*t)"),
        ("dial", "0.3*(sin(700*PI*t)+sin(880*PI*t))*lt(mod(t,1),0.4)"),
        ("wind", "0.5*(random(0)-0.5)*(0.5+0.5*sin(0.7*PI*t))"),
        ("fade", "0.5*sin(880*PI*t)*t/12"),
    ] {
        // A comma would end the filter's arguments.
        let formula = formula.replace(',', "\\,");
        clips.push((name.to_owned(), lavfi(&format!("aevalsrc={formula}:s=16000"), 12)));
    }
    for name in ["bbb_mp4/bigbuckbunny.mp4", "bbb_webm/big_buck_bunny_0_30.webm"] {
        clips.extend(clip(name).map(|path| (name.replace('/', "-"), vec!["-i".to_owned(), path])));
    }
    let (mut n, mut invented) = (0, Vec::new());
    for (name, args) in &clips {
        let has_sound = !name.contains("webm");
        if !has_sound {
            continue;
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let input = made(&folder, name, &args);
        let transcript = heard(&user, &input, &[]);
        n += 1;
        if !segments(&transcript).is_empty() {
            invented.push(format!("{name}: {}", text(&transcript)));
        }
    }
    assert!(n >= 30, "{n} clips");
    assert!(invented.is_empty(), "{invented:#?}");
}

#[test]
fn no_speech_is_a_state_of_its_own() {
    let Some(user) = user() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let tone = made(&folder, "tone", &["-f", "lavfi", "-i", "sine=f=440:r=16000", "-t", "5"]);
    let ran = user.run(&["transcribe", &tone]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), ""));
    assert!(ran.err.contains("no speech was detected"), "{}", ran.err);

    let silent = user.path("silent.mp4");
    let talk = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/talk.mp4");
    let status = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y", "-i", talk.to_str().expect("UTF-8"), "-i", &tone])
        .args(["-map", "0:v", "-map", "1:a", "-c:v", "copy", "-c:a", "aac", "-shortest", &silent])
        .status();
    assert!(status.expect("ffmpeg runs").success());
    let report = user.run(&["summarize", &silent, "--format", "json"]).complete();
    let report: Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(report["transcript"]["state"], "no_speech");
    assert_eq!(report["transcript"]["source"]["kind"], "whisper");
    let markdown = user.run(&["summarize", &silent]).complete();
    assert!(markdown.contains("no speech found by Whisper (base)"), "{markdown}");
}

#[test]
fn a_file_that_is_not_a_model_is_refused() {
    let (Some(user), Some(jfk)) = (user(), clip("speech/jfk/jfk.flac")) else { return };
    let real = std::fs::read(user.path(".cache/vidgist/models/ggml-tiny.en.bin")).expect("a model");
    let mut wild = real[..2_000_000].to_vec();
    // A header that claims 2 billion words.
    wild[4..8].copy_from_slice(&i32::MAX.to_le_bytes());
    let bad: [(&str, &[u8]); 4] =
        [("empty", b""), ("text", b"this is not a model, but some text"), ("cut", &real[..2_000_000]), ("wild", &wild)];
    for (name, bytes) in bad {
        let path = user.path(&format!("{name}.bin"));
        std::fs::write(&path, bytes).expect("written");
        let ran = user.run(&["transcribe", "--whisper-model", &path, "--stt", "whisper", &jfk]);
        assert_eq!(ran.code, Some(2), "{name}: {ran:?}");
        assert!(ran.err.contains("is not a Whisper model"), "{name}: {ran:?}");
    }
}

#[test]
fn without_a_model_the_error_explains_how_to_get_one() {
    let user = User::new();
    let folder = tempfile::tempdir().expect("a folder");
    let tone = made(&folder, "tone", &["-f", "lavfi", "-i", "sine=f=440:r=16000", "-t", "1"]);
    let ran = user.run(&["transcribe", &tone]);
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.err.contains("no speech model is on this machine") && ran.err.contains("vidgist models pull"),
        "{ran:?}"
    );
    let ran = user.run(&["transcribe", "--stt", "whisper", "--whisper-model", "small", &tone]);
    assert!(ran.err.contains("vidgist models pull small"), "{ran:?}");
    let ran = user.run(&["transcribe", "--whisper-model", "huge", &tone]);
    assert!(ran.err.contains("choose among tiny.en, tiny, base, small, large-v3-turbo"), "{ran:?}");
    let ran = user.run(&["transcribe", "--language", "klingon", &tone]);
    assert!(ran.err.contains("Whisper does not know"), "{ran:?}");
    let ran = user.run(&["models", "path"]);
    assert!(ran.code == Some(2) && ran.err.contains("vidgist models pull base"), "{ran:?}");
    assert!(user.run(&["models", "list"]).complete().contains("large-v3-turbo"));
}

#[test]
fn several_files_go_into_a_folder() {
    let (Some(user), Some(jfk)) = (user(), clip("speech/jfk/jfk.flac")) else { return };
    let copy = user.path("jfk.flac");
    std::fs::copy(&jfk, &copy).expect("copied");
    let broken = user.path("broken.wav");
    std::fs::write(&broken, b"RIFF....WAVE").expect("written");
    let out = user.path("texts");
    let ran =
        user.run(&["transcribe", "--whisper-model", "tiny.en", "--format", "md", &jfk, &broken, &copy, "-o", &out]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("broken.wav"), "{ran:?}");
    let mut names: Vec<_> =
        std::fs::read_dir(&out).expect("a folder").map(|e| e.expect("an entry").file_name()).collect();
    names.sort();
    assert_eq!(names, ["jfk.2.md", "jfk.md"]);
    let page = std::fs::read_to_string(format!("{out}/jfk.md")).expect("a page");
    assert!(
        page.starts_with("# jfk.flac\n") && page.contains("Whisper (tiny.en)") && page.contains("country"),
        "{page}"
    );
    let ran = user.run(&["transcribe", &jfk, &copy]);
    assert!(ran.code == Some(2) && ran.err.contains("pass --output"), "{ran:?}");
}
