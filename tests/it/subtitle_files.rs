//! Subtitle files and streams as people have them: legacy encodings, missing blank lines, names that yt-dlp writes, and
//! Matroska text that other programs wrote.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its input stops")]

use encoding_rs::Encoding;
use serde_json::Value;

use crate::support::command::{Ran, User};

/// Transcribes `fixtures/no-audio.mp4`, copied to the user's home folder, with these flags.
fn transcribe(user: &User, flags: &[&str]) -> Ran {
    let film = user.path("talk.mp4");
    std::fs::copy("fixtures/no-audio.mp4", &film).unwrap();
    user.run(&[&["transcribe", &film, "--format", "json"], flags].concat())
}

fn texts(ran: &Ran) -> Vec<String> {
    let transcript: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let segments = transcript["segments"].as_array().unwrap();
    segments.iter().map(|segment| segment["text"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_legacy_encoding_is_guessed_and_reported_or_named() {
    let user = User::new();
    let file = user.path("own.srt");
    for (label, name, lines) in [
        ("windows-1251", "windows-1251", ["Привет, как дела?", "Сегодня мы говорим о погоде."]),
        ("gbk", "GBK", ["大家好，欢迎收看今天的节目。", "我们先看一下数据。"]),
        ("windows-1250", "windows-1250", ["Dzień dobry, witamy państwa.", "Żółta łódź płynie po rzece."]),
        ("windows-1253", "windows-1253", ["Καλημέρα σας, πώς είστε;", "Σήμερα μιλάμε για τον καιρό."]),
        ("shift_jis", "Shift_JIS", ["皆さん、こんにちは。", "今日は天気について話します。"]),
        ("euc-kr", "EUC-KR", ["여러분 안녕하세요.", "오늘은 날씨에 대해 이야기합니다."]),
        ("koi8-u", "KOI8-U", ["Привет, как дела?", "Сегодня мы говорим о погоде."]),
    ] {
        let text = format!(
            "1\n00:00:01,000 --> 00:00:03,000\n{}\n\n2\n00:00:04,000 --> 00:00:06,000\n{}\n",
            lines[0], lines[1]
        );
        let (bytes, ..) = Encoding::for_label(label.as_bytes()).unwrap().encode(&text);
        std::fs::write(&file, bytes).unwrap();
        let guessed = transcribe(&user, &["--transcript", &file]);
        assert_eq!(
            (guessed.code, texts(&guessed)),
            (Some(0), lines.map(str::to_owned).to_vec()),
            "{label}: {guessed:?}"
        );
        assert!(guessed.err.contains("most likely encoding"), "{label}: {}", guessed.err);
        let transcript: Value = serde_json::from_str(&guessed.out).unwrap();
        assert_eq!(transcript["source"]["guessed_encoding"], name);
        let named = transcribe(&user, &["--transcript", &file, "--subtitle-encoding", label]);
        assert_eq!(texts(&named), lines, "{label}");
        assert_eq!(named.err, "", "what the user names is no guess");
    }
    let unknown = transcribe(&user, &["--transcript", &file, "--subtitle-encoding", "klingon"]);
    assert!(unknown.code == Some(2) && unknown.err.contains("--subtitle-encoding: "), "{unknown:?}");
    // UTF-8 needs no guess.
    std::fs::write(&file, "1\n00:00:01,000 --> 00:00:03,000\nÇa va\n").unwrap();
    assert_eq!(transcribe(&user, &["--transcript", &file]).err, "");
}

#[test]
fn files_that_yt_dlp_names_are_found() {
    for name in ["talk.en-ehkg1hFWq8A.vtt", "talk.en-nP7-2PuUl7o.vtt", "talk.en-orig.vtt", "talk.en.vtt"] {
        let user = User::new();
        let vtt = "WEBVTT\n\n00:00:01.000 --> 00:00:03.000\nFrom the file.\n";
        std::fs::write(user.path(name), vtt).unwrap();
        let ran = transcribe(&user, &["--stt", "subtitles"]);
        assert_eq!(texts(&ran), ["From the file."], "{name}: {ran:?}");
        let transcript: Value = serde_json::from_str(&ran.out).unwrap();
        let language = transcript["language"].as_str().unwrap();
        assert!(language == "en" || language == "en-orig", "{name}: {language}");
    }
    let user = User::new();
    std::fs::write(user.path("talk.part-ehkg1hFWq8A.vtt"), "WEBVTT\n\n00:01.000 --> 00:03.000\nOther.\n").unwrap();
    assert_eq!(transcribe(&user, &["--stt", "subtitles"]).code, Some(2), "not a language");
}

/// An element of Matroska (RFC 8794): its identifier, its size in eight bytes, its data.
fn element(id: &[u8], data: &[u8]) -> Vec<u8> {
    let size = (data.len() as u64 | 1 << 56).to_be_bytes();
    [id, &size, data].concat()
}

/// A file with one second of PCM and a subtitle stream of this codec, a cue at 0.1 s and one at 0.5 s.
fn matroska(codec: &str, private: &[u8], cues: [&[u8]; 2]) -> Vec<u8> {
    let track = |number: u8, kind: u8, codec: &str, rest: &[u8]| {
        let fields = [
            element(&[0xd7], &[number]),
            element(&[0x73, 0xc5], &[number]),
            element(&[0x83], &[kind]),
            element(&[0x86], codec.as_bytes()),
            rest.to_vec(),
        ];
        element(&[0xae], &fields.concat())
    };
    let sampling = [element(&[0xb5], &8000_f64.to_be_bytes()), element(&[0x9f], &[1]), element(&[0x62, 0x64], &[16])];
    let private = if private.is_empty() { Vec::new() } else { element(&[0x63, 0xa2], private) };
    let tracks = [track(1, 2, "A_PCM/INT/LIT", &element(&[0xe1], &sampling.concat())), track(2, 17, codec, &private)];
    let sound = element(&[0xa3], &[&[0x81, 0, 0, 0x80][..], &[0; 16_000]].concat());
    let cue = |millis: u16, text: &[u8]| {
        let [high, low] = millis.to_be_bytes();
        let block = element(&[0xa1], &[&[0x82, high, low, 0], text].concat());
        // A duration of 300 ms.
        element(&[0xa0], &[block, element(&[0x9b], &300_u16.to_be_bytes())].concat())
    };
    let cluster = [element(&[0xe7], &[0]), sound, cue(100, cues[0]), cue(500, cues[1])];
    let info = element(&[0x15, 0x49, 0xa9, 0x66], &element(&[0x2a, 0xd7, 0xb1], &1_000_000_u32.to_be_bytes()));
    let segment = [
        info,
        element(&[0x16, 0x54, 0xae, 0x6b], &tracks.concat()),
        element(&[0x1f, 0x43, 0xb6, 0x75], &cluster.concat()),
    ];
    let head = element(&[0x1a, 0x45, 0xdf, 0xa3], &element(&[0x42, 0x82], b"matroska"));
    [head, element(&[0x18, 0x53, 0x80, 0x67], &segment.concat())].concat()
}

#[test]
fn matroska_text_of_other_programs_is_read() {
    let ass =
        b"[Script Info]\n[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n";
    let ass_cues: [&[u8]; 2] = [b"0,0,Default,,0,0,0,,First.\0junk", b"1,0,Default,,0,0,0,,Second.\0"];
    let nul: [&[u8]; 2] = [b"First.\0junk behind it", b"Second.\0\0\0"];
    let cp1251: [&[u8]; 2] = [
        b"\xcf\xf0\xe8\xe2\xe5\xf2, \xea\xe0\xea \xe4\xe5\xeb\xe0?",
        b"\xd1\xe5\xe3\xee\xe4\xed\xff \xec\xfb \xe3\xee\xe2\xee\xf0\xe8\xec.",
    ];
    for (codec, private, cues, expected) in [
        ("S_TEXT/UTF8", &b""[..], nul, ["First.", "Second."]),
        ("S_TEXT/ASS", ass, ass_cues, ["First.", "Second."]),
        ("S_TEXT/WEBVTT", b"WEBVTT", [b"<v Ann>First.", b"Second &amp; last."], ["First.", "Second & last."]),
        ("S_TEXT/WEBVTT", b"WEBVTT\n\nSTYLE\n::cue {}\n", nul, ["First.", "Second."]),
        ("D_WEBVTT/SUBTITLES", b"", [b"\n\nFirst.", b"id\n\nSecond."], ["First.", "Second."]),
        ("S_TEXT/UTF8", b"", cp1251, ["Привет, как дела?", "Сегодня мы говорим."]),
    ] {
        let user = User::new();
        let file = user.path("talk.mkv");
        std::fs::write(&file, matroska(codec, private, cues)).unwrap();
        let ran = user.run(&["transcribe", &file, "--stt", "subtitles", "--format", "json"]);
        assert_eq!(ran.code, Some(0), "{codec}: {ran:?}");
        assert_eq!(texts(&ran), expected, "{codec}");
    }
}
