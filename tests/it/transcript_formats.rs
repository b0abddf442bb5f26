//! Transcripts in common formats, each detected by its content: as `--transcript FILE` under any name, and as a
//! file beside the media. The parsers' own rules are tested in their files.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its input stops")]

use serde_json::{Value, json};

use crate::support::command::{Ran, User};

/// The same two cues in each format, and the extension under which it is found beside the media.
fn formats() -> Vec<(&'static str, &'static str, String)> {
    let whisper = json!({"text": " First words. The second ones.", "language": "english", "segments": [
        {"id": 0, "seek": 0, "start": 0.5, "end": 1.25, "text": " First words.", "tokens": [50364], "avg_logprob": -0.3,
         "words": [{"word": " First", "start": 0.5, "end": 0.8, "probability": 0.9}, {"word": " words.", "start": 0.8, "end": 1.25, "probability": 0.7}]},
        {"id": 1, "seek": 0, "start": 1.5, "end": 2.75, "text": " The second ones.", "tokens": [], "avg_logprob": -0.3}]});
    let verbose = json!({"task": "transcribe", "language": "english", "duration": 3.0, "text": "First words. The second ones.",
        "segments": [{"start": 0.5, "end": 1.25, "text": "First words."}, {"start": 1.5, "end": 2.75, "text": "The second ones."}],
        "words": [{"word": "First", "start": 0.5, "end": 0.8}, {"word": "words", "start": 0.8, "end": 1.25},
                  {"word": "The", "start": 1.5, "end": 1.6}]});
    let cpp = json!({"systeminfo": "AVX = 1", "model": {"type": "base"}, "params": {"model": "m", "language": "auto"},
        "result": {"language": "en"}, "transcription": [
        {"timestamps": {"from": "00:00:00,500", "to": "00:00:01,250"}, "offsets": {"from": 500, "to": 1250}, "text": " First words.",
         "tokens": [{"text": "[_BEG_]", "offsets": {"from": 500, "to": 500}, "id": 50363, "p": 0.9},
                    {"text": " Fir", "offsets": {"from": 500, "to": 600}, "id": 1, "p": 0.9},
                    {"text": "st", "offsets": {"from": 600, "to": 800}, "id": 1, "p": 0.9},
                    {"text": " words", "offsets": {"from": 800, "to": 1200}, "id": 1, "p": 0.9},
                    {"text": ".", "offsets": {"from": 1200, "to": 1250}, "id": 1, "p": 0.9}]},
        {"offsets": {"from": 1500, "to": 2750}, "text": " The second ones."}]});
    let whisperx = json!({"segments": [
        {"start": 0.5, "end": 1.25, "text": " First words.", "speaker": "SPEAKER_00",
         "words": [{"word": "First", "start": 0.5, "end": 0.8, "score": 0.9, "speaker": "SPEAKER_00"}, {"word": "7"}]},
        {"start": 1.5, "end": 2.75, "text": "The second ones."}],
        "word_segments": [{"word": "First", "start": 0.5, "end": 0.8, "score": 0.9}], "language": "en"});
    let list = json!([{"start": 0.5, "end": 1.25, "text": "First words."}, {"start": "1.5", "end": "2.75", "text": "The second ones."}]);
    let chunks = json!({"text": "x", "chunks": [{"timestamp": [0.5, 1.25], "text": " First words."},
        {"timestamp": [1.5, 2.75], "text": " The second ones."}]});
    let json3 = json!({"wireMagic": "pb3", "pens": [{}], "events": [{"tStartMs": 0, "dDurationMs": 9000, "id": 1, "wpWinPosId": 1},
        {"tStartMs": 500, "dDurationMs": 750, "wWinId": 1, "segs": [{"utf8": "First", "acAsrConf": 0}, {"utf8": " words.", "tOffsetMs": 300}]},
        {"tStartMs": 1200, "dDurationMs": 50, "wWinId": 1, "aAppend": 1, "segs": [{"utf8": "\n"}]},
        {"tStartMs": 1500, "dDurationMs": 1250, "segs": [{"utf8": "The second\nones."}]}]});
    let text = |value: Value| value.to_string();
    vec![
        ("TTML", "ttml", "<?xml version=\"1.0\"?><tt xmlns=\"http://www.w3.org/ns/ttml\"><body><div>\
            <p begin=\"0.5s\" end=\"1.25s\">First<br/>words.</p><p begin=\"00:00:01.500\" dur=\"1.25s\">The <span>second</span> ones.</p>\
            </div></body></tt>".to_owned()),
        ("DFXP", "dfxp", "<tt xmlns=\"http://www.w3.org/2006/10/ttaf1\" xmlns:ttp=\"http://www.w3.org/2006/10/ttaf1#parameter\" \
            ttp:frameRate=\"24\"><body><div><p begin=\"12f\" end=\"30f\">First words.</p>\n\
            <p begin=\"00:00:01:12\" end=\"00:00:02:18\">The second ones.</p></div></body></tt>".to_owned()),
        ("SRV1", "srv1", "<?xml version=\"1.0\"?><transcript><text start=\"0.5\" dur=\"0.75\">First words.</text>\
            <text start=\"1.5\" dur=\"1.25\">The second ones.</text></transcript>".to_owned()),
        ("SRV3", "srv3", "<timedtext format=\"3\"><body><p t=\"500\" d=\"750\"><s>First</s><s t=\"300\"> words.</s></p>\
            <p t=\"1500\" d=\"1250\">The second ones.</p></body></timedtext>".to_owned()),
        ("JSON3", "json3", text(json3)),
        ("SBV", "sbv", "0:00:00.500,0:00:01.250\nFirst\nwords.\n\n0:00:01.500,0:00:02.750\nThe second ones.\n".to_owned()),
        ("LRC", "lrc", "[ar:x]\n[00:00.50]First words.\n[00:01.25]\n[00:01.50]<00:01.50>The <00:01.60>second <00:02.00>ones.<00:02.75>\n".to_owned()),
        ("MicroDVD", "sub", "{1}{1}100.000\n{50}{125}{y:i}First|words.\n{150}{275}The second ones.\n".to_owned()),
        ("Whisper", "json", text(whisper)),
        ("verbose_json", "json", text(verbose)),
        ("whisper.cpp", "json", text(cpp)),
        ("WhisperX", "json", text(whisperx)),
        ("a list of segments", "json", text(list)),
        ("a pipeline's chunks", "json", text(chunks)),
    ]
}

/// Transcribes `fixtures/no-audio.mp4` (25 frames per second), copied to the user's home folder, with these flags.
fn transcribe(user: &User, flags: &[&str]) -> Ran {
    let film = user.path("talk.mp4");
    std::fs::copy("fixtures/no-audio.mp4", &film).unwrap();
    user.run(&[&["transcribe", &film, "--format", "json"], flags].concat())
}

fn document(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

/// Start, end and text of each segment.
fn spans(ran: &Ran) -> Vec<(f64, f64, String)> {
    let document = document(ran);
    let segments = document["segments"].as_array().unwrap();
    let number = |value: &Value| value.as_f64().unwrap();
    segments.iter().map(|s| (number(&s["start"]), number(&s["end"]), s["text"].as_str().unwrap().to_owned())).collect()
}

fn talk() -> [(f64, f64, String); 2] {
    [(0.5, 1.25, "First words.".to_owned()), (1.5, 2.75, "The second ones.".to_owned())]
}

#[test]
fn each_format_is_told_by_its_content() {
    let user = User::new();
    for (format, _, text) in formats() {
        // The name says something else.
        let file = user.path("words.srt");
        for bytes in [text.clone().into_bytes(), [b"\xef\xbb\xbf", text.as_bytes()].concat(), utf16(&text)] {
            std::fs::write(&file, bytes).unwrap();
            let ran = transcribe(&user, &["--transcript", &file]);
            assert_eq!((ran.code, spans(&ran)), (Some(0), talk().to_vec()), "{format}: {ran:?}");
            assert_eq!(ran.err, "", "{format}");
        }
    }
}

fn utf16(text: &str) -> Vec<u8> {
    std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

#[test]
fn each_format_is_found_beside_the_media() {
    for (format, extension, text) in formats() {
        let user = User::new();
        std::fs::write(user.path(&format!("talk.en.{extension}")), &text).unwrap();
        let ran = transcribe(&user, &["--stt", "subtitles"]);
        assert_eq!((ran.code, spans(&ran)), (Some(0), talk().to_vec()), "{format}: {ran:?}");
        assert_eq!(document(&ran)["language"], "en", "{format}");
    }
}

#[test]
fn words_speakers_and_languages_are_kept() {
    let user = User::new();
    let file = user.path("words");
    let read = |format: &str| {
        let (.., text) = formats().into_iter().find(|(name, ..)| *name == format).unwrap();
        std::fs::write(&file, text).unwrap();
        document(&transcribe(&user, &["--transcript", &file]))
    };
    let first = |start: f64, end: f64, text: &str| json!({"start": start, "end": end, "text": text});
    for format in ["Whisper", "verbose_json", "whisper.cpp", "JSON3", "SRV3"] {
        let words = read(format)["segments"][0]["words"].clone();
        assert_eq!(words[0], first(0.5, 0.8, "First"), "{format}");
        assert_eq!((&words[1]["start"], words.as_array().map(Vec::len)), (&json!(0.8), Some(2)), "{format}");
    }
    assert_eq!(read("LRC")["segments"][1]["words"][2], first(2.0, 2.75, "ones."));
    let whisper = read("Whisper");
    assert_eq!((&whisper["language"], &whisper["segments"][0]["confidence"]), (&json!("en"), &json!(0.8)));
    assert_eq!(read("whisper.cpp")["language"], "en");
    let diarized = read("WhisperX");
    assert_eq!(diarized["segments"][0]["speaker"], "SPEAKER_00");
    // A word without times is in the text alone.
    assert_eq!(diarized["segments"][0]["words"].as_array().map(Vec::len), Some(1));
}

/// What `transcribe --format json` writes can be read back.
#[test]
fn the_commands_own_json_is_a_transcript() {
    let user = User::new();
    let (own, again) = (user.path("own.json"), user.path("again.json"));
    let talk = "fixtures/talk.srt";
    assert_eq!(transcribe(&user, &["--transcript", talk, "-o", &own]).code, Some(0));
    assert_eq!(transcribe(&user, &["--transcript", &own, "-o", &again]).code, Some(0));
    let read = |path: &str| -> Value { serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap() };
    assert!(!read(&own)["segments"].as_array().unwrap().is_empty());
    assert_eq!(read(&own)["segments"], read(&again)["segments"]);
}

#[test]
fn frames_are_counted_at_the_rate_of_the_video() {
    let user = User::new();
    let file = user.path("words.sub");
    // The other formats' 0.5 s is 12.5 frames, which cannot be written, so the times differ.
    std::fs::write(&file, "{0}{25}First words.\n{50}{}The second ones.\n").unwrap();
    let expected = vec![(0.0, 1.0, "First words.".to_owned()), (2.0, 7.0, "The second ones.".to_owned())];
    assert_eq!(spans(&transcribe(&user, &["--transcript", &file])), expected);
    // A recording without a picture has no rate.
    let ran = user.run(&["transcribe", "fixtures/speech.wav", "--transcript", &file]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("MicroDVD") && ran.err.contains("frames"), "{}", ran.err);
}

#[test]
fn what_is_no_transcript_is_named() {
    let user = User::new();
    let file = user.path("words.srt");
    for (bytes, why) in [
        (&b"<!doctype html><title>404</title><p>Not found</p>"[..], "is a web page (HTML)"),
        (b"{\"detail\": \"Not found\"}", "holds neither segments, events nor a transcription"),
        (b"{\"events\": [{\"tStartMs\": \"soon\"}]}", "is JSON, but not a transcript"),
        (b"{\"segments\": [{\"start\": 1, \"end\": 2, \"text\": \"cut", "is JSON, but not a transcript"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is an SVG drawing"),
        (b"<tt><body><div begin='1s' smpte:backgroundImage='#a'/></body></tt>", "its subtitles are images"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "is a PDF document"),
        (b"PK\x03\x04\x14\0\0\0words.srt", "is a zip archive"),
        (b"\0\0\x01\xba\x44\0\x04\0\x04\x01", "is neither a subtitle file nor text"),
        (b"", "contains no readable subtitle"),
    ] {
        std::fs::write(&file, bytes).unwrap();
        let ran = transcribe(&user, &["--transcript", &file]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.err.contains(&format!("{file}: ")) && ran.err.contains(why), "{why}: {}", ran.err);
        assert!(ran.err.contains("TTML"), "what can be read: {}", ran.err);
    }
}

/// Files that have the name of a transcript and are something else do not stop the search, and only names that are a
/// subtitle file's are warned of.
#[test]
fn other_files_beside_the_media_are_passed_over() {
    let user = User::new();
    std::fs::write(user.path("talk.json"), "{\"title\": \"A talk\", \"formats\": []}").unwrap();
    std::fs::write(user.path("talk.xml"), "<NonRealTimeMeta><Duration value=\"75\"/></NonRealTimeMeta>").unwrap();
    std::fs::write(user.path("talk.sub"), b"\0\0\x01\xba\x44\0\x04\0\x04\x01").unwrap();
    assert_eq!(transcribe(&user, &["--stt", "subtitles"]).code, Some(2));
    std::fs::write(user.path("talk.ttml"), "not XML").unwrap();
    std::fs::write(user.path("talk.sbv"), "0:00:00.500,0:00:01.250\nFirst words.\n").unwrap();
    let ran = transcribe(&user, &["--stt", "subtitles"]);
    assert_eq!(spans(&ran), talk()[..1]);
    assert_eq!(ran.err.matches("warning").count() + ran.err.matches("WARN").count(), 1, "{}", ran.err);
    assert!(ran.err.contains("talk.ttml: skipped"), "{}", ran.err);
}

/// Huge counts, negative and reversed times, numbers that are none: dropped, counted, and no panic.
#[test]
fn hostile_times_are_dropped_and_counted() {
    let user = User::new();
    let file = user.path("words");
    let good = json!({"start": 0.5, "end": 1.25, "text": "First words."});
    let json = |bad: Value| json!({"segments": [bad, good]}).to_string();
    for (text, n_dropped) in [
        (json(json!({"start": -1.0, "end": 2.0, "text": "x"})), 1),
        (json(json!({"start": 5.0, "end": 2.0, "text": "x"})), 1),
        (json(json!({"start": 1e300, "end": 1e300, "text": "x"})), 1),
        (json(json!({"start": null, "end": 2.0, "text": "x"})), 1),
        (json(json!({"start": [], "end": {}, "text": "x"})), 1),
        (json(json!({"start": 1, "end": 2, "text": ""})), 0),
        ("{\"segments\": [{\"start\": NaN, \"end\": Infinity, \"text\": \"x\"}, {\"start\": 0.5, \"end\": 1.25, \"text\": \
          \"First words.\", \"avg_logprob\": -Infinity}]}".to_owned(), 1),
        ("{\"events\": [{\"tStartMs\": 9223372036854775807, \"dDurationMs\": 9223372036854775807, \"segs\": [{\"utf8\": \"x\", \
          \"tOffsetMs\": 9223372036854775807}]}, {\"tStartMs\": 500, \"dDurationMs\": 750, \"segs\": [{\"utf8\": \"First words.\"}]}]}"
            .to_owned(), 1),
        ("0:00:05.000,0:00:02.000\nx\n\n0:00:00.500,0:00:01.250\nFirst words.\n".to_owned(), 1),
        ("{99999999999999999999}{1}x\n{12}{31}\0First words.\n".to_owned(), 1),
    ] {
        std::fs::write(&file, &text).unwrap();
        let ran = transcribe(&user, &["--transcript", &file]);
        let found = spans(&ran);
        assert_eq!((found.len(), &*found[0].2), (1, "First words."), "{text}: {ran:?}");
        let warned = ran.err.contains(&format!("skipped {n_dropped} subtitles with invalid times"));
        assert_eq!(warned, n_dropped > 0, "{text}: {}", ran.err);
    }
}

#[test]
fn a_file_above_the_limit_is_refused_unread() {
    let user = User::new();
    let file = user.path("words.json");
    // Sparse: 100 MB that take no space.
    std::fs::File::create(&file).unwrap().set_len(100_000_000).unwrap();
    let ran = transcribe(&user, &["--transcript", &file]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("larger than the limit"), "{}", ran.err);
    // Beside the media it may be anything.
    std::fs::rename(&file, user.path("talk.json")).unwrap();
    let ran = transcribe(&user, &["--stt", "subtitles"]);
    assert!(!ran.err.contains("limit"), "{}", ran.err);
}
