//! A transcript that is plain text: it has no times, gets none, and the result says so.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its input stops")]

use serde_json::Value;

use crate::support::command::{User, names};

const TALK: &str = "fixtures/talk.mp4";
const NOTES: &str = "Ann: Good evening.\nTonight we talk of ships.\n\nBob: They were late.\n";

fn user() -> (User, String) {
    let user = User::new();
    let file = user.path("notes.txt");
    std::fs::write(&file, NOTES).unwrap();
    (user, file)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_report_quotes_it_without_times() {
    let (user, file) = user();
    let out = user.path("out");
    let ran =
        user.run(&["summarize", TALK, "--model", "built-in", "--interval", "5s", "--transcript", &file, "-o", &out]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains("notes.txt: has no times"), "{}", ran.err);
    assert_eq!(
        names(std::path::Path::new(&out)),
        ["frames", "report.html", "report.json", "report.md", "transcript.txt"]
    );
    let report = json(&std::fs::read_to_string(format!("{out}/report.json")).unwrap());
    let transcript = &report["transcript"];
    assert_eq!(transcript["state"], "found");
    assert_eq!(transcript["segments"], serde_json::json!([]));
    assert_eq!(transcript["untimed"][0], "Ann: Good evening. Tonight we talk of ships.");
    assert_eq!(report["frames"][0]["speech"], Value::Null, "it is unknown what is said at a frame");
    assert_eq!(report["speech_before_frames"], Value::Null);
    let markdown = std::fs::read_to_string(format!("{out}/report.md")).unwrap();
    assert!(markdown.contains("2 paragraphs without times"), "{markdown}");
    assert!(markdown.contains("## Transcript, without times\n\n- Ann: Good evening."), "{markdown}");
    // The digest quotes sentences.
    assert!(markdown.contains("\n- Tonight we talk of ships."), "{markdown}");
    // A later run with subtitles replaces it.
    user.run(&["summarize", TALK, "--model", "built-in", "--interval", "5s", "-o", &out]);
    assert_eq!(
        names(std::path::Path::new(&out)),
        ["frames", "report.html", "report.json", "report.md", "transcript.srt"]
    );
}

#[test]
fn a_model_reads_it_before_the_frames_and_without_times() {
    let (user, file) = user();
    let plan =
        ["plan", TALK, "--model", "openai:gpt-4o-mini", "--show-requests", "--format", "json", "--interval", "5s"];
    let ran = user.run(&[&plan[..], &["--transcript", &file]].concat());
    let request = json(&ran.out)["requests"][0]["body"].to_string();
    let position = |text: &str| request.find(text).unwrap_or_else(|| panic!("no {text:?} in {request}"));
    assert!(position("Transcript of the whole file, without times") < position("Tonight we talk of ships."));
    assert!(position("They were late.") < position("[t=00:00.0 #0]"));
    assert!(request.contains("give no times for it"), "{request}");
    // A range cannot limit it, and that is said.
    let ran = user.run(&[&plan[..], &["--transcript", &file, "--end", "2s"]].concat());
    assert!(ran.err.contains("all of it is used for the range"), "{}", ran.err);
}

#[test]
fn it_is_written_as_text_and_not_as_subtitles() {
    let (user, file) = user();
    let transcribe = |format: &str| user.run(&["transcribe", TALK, "--transcript", &file, "--format", format]);
    for format in ["srt", "vtt"] {
        let ran = transcribe(format);
        assert_eq!(ran.code, Some(2));
        assert!(ran.err.contains("without times") && ran.err.contains("--format txt"), "{}", ran.err);
    }
    assert_eq!(transcribe("txt").out, "Ann: Good evening. Tonight we talk of ships.\n\nBob: They were late.\n\n");
    assert!(transcribe("md").out.contains("Bob: They were late."));
    let own = transcribe("json").out;
    assert_eq!(json(&own)["untimed"][1], "Bob: They were late.");
}

/// Its neighbours: the text of an API's plain JSON, TTML whose paragraphs have no times, another encoding, one long line.
#[test]
fn other_texts_without_times() {
    let (user, file) = user();
    let long = "word ".repeat(2000);
    let cp1251: &[u8] = b"\xcf\xf0\xe8\xe2\xe5\xf2, \xea\xe0\xea \xe4\xe5\xeb\xe0?\n\xd1\xe5\xe3\xee\xe4\xed\xff \xec\xfb \xe3\xee\xe2\xee\xf0\xe8\xec.";
    for (bytes, first) in [
        (&b"{\"text\": \"All in one. Two.\"}"[..], "All in one. Two."),
        (b"<tt><body><div><p>First.</p><p>Second.</p></div></body></tt>", "First."),
        (cp1251, "\u{41f}\u{440}\u{438}\u{432}\u{435}\u{442}, \u{43a}\u{430}\u{43a} \u{434}\u{435}\u{43b}\u{430}?"),
        (b"[Music] Hello.\nSpeaker 1  0:03\nYes.\n", "[Music] Hello."),
    ] {
        std::fs::write(&file, bytes).unwrap();
        let ran = user.run(&["transcribe", TALK, "--transcript", &file, "--format", "json"]);
        assert_eq!(json(&ran.out)["untimed"][0], first, "{ran:?}");
    }
    std::fs::write(&file, &long).unwrap();
    let ran = user.run(&["transcribe", TALK, "--transcript", &file, "--format", "json"]);
    let parts: Vec<String> = serde_json::from_value(json(&ran.out)["untimed"].clone()).unwrap();
    assert!(parts.len() > 5);
    assert_eq!(parts.join(" "), long.trim());
}

/// A text beside the media may be anything; it is used only if it is named.
#[test]
fn a_text_beside_the_media_is_not_taken_for_its_transcript() {
    let (user, _) = user();
    std::fs::copy("fixtures/no-audio.mp4", user.path("talk.mp4")).unwrap();
    std::fs::rename(user.path("notes.txt"), user.path("talk.txt")).unwrap();
    std::fs::write(user.path("talk.srt"), NOTES).unwrap();
    let ran = user.run(&["transcribe", &user.path("talk.mp4"), "--stt", "subtitles"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("talk.srt: skipped"), "{}", ran.err);
}
