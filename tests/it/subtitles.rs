//! Subtitles from real files and containers, and parsers that nothing may break.
#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its input stops")]

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use vidgist::limits::Limits;
use vidgist::media::{MediaInfo, Ratio};
use vidgist::probe::probe;
use vidgist::report::subtitles::{to_srt, to_vtt};
use vidgist::source::Source;
use vidgist::time::{TimeRange, Timestamp};
use vidgist::transcribe::subtitles::{Cues, ReadOptions, Subtitles, parse, read_file, unread_reason};
use vidgist::transcribe::{Transcriber, TranscriptionInput, TranscriptionOutcome};
use vidgist::transcript::{Segment, Transcript, TranscriptSource};
use vidgist::{Error, ErrorKind, Result};

use crate::support;
use crate::support::programs::ffmpeg;

const TALK: &str =
    "1\n00:00:00,500 --> 00:00:01,250\nFirst words.\n\n2\n00:00:01,500 --> 00:00:02,750\nThe <i>second</i> ones.\n";

/// `(start ms, end ms, text)` of each segment.
fn spans(segments: &[Segment]) -> Vec<(i64, i64, &str)> {
    segments.iter().map(|s| (s.range.start.millis(), s.range.end.millis(), s.text.as_str())).collect()
}

fn talk() -> Vec<(i64, i64, &'static str)> {
    vec![(500, 1250, "First words."), (1500, 2750, "The second ones.")]
}

/// The cues of any bytes; none where they are no transcript.
fn cues(bytes: &[u8]) -> Cues {
    let rate = Ratio { num: 25, den: 1 };
    parse(bytes, &ReadOptions { frame_rate: Some(rate), ..ReadOptions::default() }).unwrap_or_default()
}

fn facts(path: &Path) -> MediaInfo {
    probe(&Source::Media(path.to_owned()), Ratio::ONE, &Limits::default()).unwrap()
}

async fn words(subtitles: Subtitles, path: &Path) -> Result<Option<Transcript>> {
    match subtitles.transcribe(TranscriptionInput::new(path, &facts(path)), &|_| {}).await? {
        TranscriptionOutcome::Found(transcript) => Ok(Some(transcript)),
        TranscriptionOutcome::None { .. } => Ok(None),
    }
}

/// A folder with `talk.mp4` (two seconds of picture, no subtitles).
fn folder_with_talk() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    ffmpeg(folder.path(), "-f lavfi -i testsrc=r=5:d=3:s=64x48 -c:v mpeg4 talk.mp4");
    let path = folder.path().join("talk.mp4");
    (folder, path)
}

#[tokio::test]
async fn embedded_streams_of_every_text_codec() {
    let (folder, _) = folder_with_talk();
    std::fs::write(folder.path().join("words.srt"), TALK).unwrap();
    let cases =
        [("mov_text", "mov.mp4"), ("srt", "srt.mkv"), ("ass", "ass.mkv"), ("webvtt", "vtt.mkv"), ("text", "text.mkv")];
    for (codec, name) in cases {
        ffmpeg(folder.path(), &format!("-i talk.mp4 -i words.srt -map 0 -map 1 -c copy -c:s {codec} {name}"));
        let transcript = words(Subtitles::default(), &folder.path().join(name)).await.unwrap().unwrap();
        assert_eq!(spans(&transcript.segments), talk(), "{codec}");
        assert!(matches!(transcript.source, TranscriptSource::Embedded { stream_idx: 1, .. }), "{codec}");
    }
}

#[tokio::test]
async fn the_wanted_language_is_taken_from_inside_or_beside() {
    let (folder, path) = folder_with_talk();
    let write = |name: &str, text: &str| {
        let cue = format!("1\n00:00:00,500 --> 00:00:01,250\n{text}\n");
        std::fs::write(folder.path().join(name), cue).unwrap();
    };
    write("a.srt", "inside English");
    write("b.srt", "inside French");
    let languages = "-metadata:s:s:0 language=eng -metadata:s:s:1 language=fra";
    ffmpeg(
        folder.path(),
        &format!("-i talk.mp4 -i a.srt -i b.srt -map 0 -map 1 -map 2 -c copy -c:s srt {languages} two.mkv"),
    );
    let two = folder.path().join("two.mkv");
    let said = async |language: Option<&str>, path: &Path| {
        let subtitles = Subtitles { language: language.map(str::to_owned), ..Subtitles::default() };
        words(subtitles, path).await.unwrap().map(|t| (t.segments[0].text.clone(), t.language))
    };
    let is = |text: &str, language: Option<&str>| Some((text.to_owned(), language.map(str::to_owned)));
    assert_eq!(said(None, &two).await, is("inside English", Some("eng")));
    assert_eq!(said(Some("fr"), &two).await, is("inside French", Some("fra")));
    write("two.en.srt", "beside English");
    assert_eq!(said(None, &two).await, is("beside English", Some("en")));
    assert_eq!(said(Some("fr"), &two).await, is("inside French", Some("fra")));
    assert_eq!(said(Some("en-GB"), &two).await, is("beside English", Some("en")));
    // A file beside it that holds nothing does not hide the stream inside.
    std::fs::write(folder.path().join("two.srt"), "nothing here").unwrap();
    assert_eq!(said(None, &two).await, is("beside English", Some("en")));
    std::fs::remove_file(folder.path().join("two.en.srt")).unwrap();
    assert_eq!(said(None, &two).await, is("inside English", Some("eng")));
    assert_eq!(said(None, &path).await, None);
}

#[tokio::test]
async fn a_named_file_must_hold_words() {
    let (folder, path) = folder_with_talk();
    let named = |name: &str| Subtitles { explicit: Some(folder.path().join(name)), ..Subtitles::default() };
    std::fs::write(folder.path().join("talk.srt"), "1\n00:00:00,000 --> 00:00:01,000\nbeside\n").unwrap();
    std::fs::write(folder.path().join("own.srt"), TALK).unwrap();
    let transcript = words(named("own.srt"), &path).await.unwrap().unwrap();
    assert_eq!(spans(&transcript.segments), talk());
    std::fs::write(folder.path().join("empty.srt"), "1\n00:00:01,000 --> 00:00:02,000\n<i></i>\n").unwrap();
    assert!(matches!(words(named("empty.srt"), &path).await, Err(Error { kind: ErrorKind::Malformed, .. })));
    assert!(matches!(words(named("none.srt"), &path).await, Err(Error { kind: ErrorKind::Io, .. })));
    assert!(matches!(words(named("."), &path).await, Err(Error { kind: ErrorKind::Usage, .. })));
    let limits = Limits { max_subtitle_bytes: 20, ..Limits::default() };
    assert!(matches!(
        words(Subtitles { limits, ..named("own.srt") }, &path).await,
        Err(Error { kind: ErrorKind::Limit, .. })
    ));
}

#[tokio::test]
async fn embedded_words_are_on_the_clock_of_the_picture() {
    let (folder, _) = folder_with_talk();
    std::fs::write(folder.path().join("words.srt"), TALK).unwrap();
    // Everything starts ten seconds in, as in a cut of a broadcast.
    ffmpeg(folder.path(), "-i talk.mp4 -i words.srt -map 0 -map 1 -c copy -c:s srt -output_ts_offset 10 late.mkv");
    let path = folder.path().join("late.mkv");
    assert_eq!(facts(&path).start.millis(), 10_000);
    let transcript = words(Subtitles::default(), &path).await.unwrap().unwrap();
    assert_eq!(spans(&transcript.segments), talk());
}

#[tokio::test]
async fn pictures_of_text_are_no_words_but_a_reason() {
    let (_folder, path) = folder_with_talk();
    // ffmpeg draws no text as pictures, so the stream is one that the facts claim.
    let mut media = facts(&path);
    let stream = serde_json::json!({
        "stream_idx": 1, "codec": "dvd_subtitle", "is_text": false, "language": null, "is_default": true, "is_forced": false
    });
    media.subtitles.push(serde_json::from_value(stream).unwrap());
    let found = Subtitles::default().transcribe(TranscriptionInput::new(&path, &media), &|_| {}).await.unwrap();
    assert!(matches!(found, TranscriptionOutcome::None { reason } if reason.contains("dvd_subtitle")));
    assert!(unread_reason(&media).unwrap().contains("dvd_subtitle"));
}

#[tokio::test]
async fn real_containers_say_what_another_program_read() {
    let Some(media) = support::shared("media") else { return };
    for name in ["androidx/sample_with_srt.mkv", "androidx/sample_with_ass_subtitles.mkv", "nasa/nasa_13013.mp4"] {
        let path = media.join(name);
        let truth = std::fs::read_to_string(format!("{}.truth.json", path.display())).unwrap();
        let truth: serde_json::Value = serde_json::from_str(&truth).unwrap();
        let start = facts(&path).start.millis();
        let transcript = words(Subtitles::default(), &path).await.unwrap().unwrap();
        let TranscriptSource::Embedded { stream_idx, .. } = transcript.source else { panic!("{name}: not embedded") };
        let streams = truth["subtitles"].as_array().unwrap();
        let wanted = streams.iter().find(|s| s["index"] == stream_idx as u64).unwrap()["srt"].as_str().unwrap();
        let wanted = cues(wanted.as_bytes());
        assert!(!wanted.segments.is_empty());
        // The other program's times are the container's; ours begin with the picture.
        let wanted: Vec<_> =
            spans(&wanted.segments).into_iter().map(|(a, b, t)| ((a - start).max(0), b - start, t)).collect();
        assert_eq!(spans(&transcript.segments), wanted, "{name}");
    }
}

#[test]
fn the_projects_own_sidecar_is_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/talk.srt");
    let cues = read_file(&path, &ReadOptions::default(), &Limits::default()).unwrap();
    assert_eq!((cues.segments.len(), cues.n_dropped), (5, 0));
    assert_eq!(cues.segments[1].range.start.millis(), 4200);
}

fn transcript(segments: Vec<Segment>) -> Transcript {
    let source = TranscriptSource::Sidecar { path: String::new(), guessed_encoding: None };
    Transcript::new(source, Some("en-GB".to_owned()), segments)
}

/// Cues in order, each with its number in its text so that none repeats the one before.
fn any_cues(text: &'static str) -> impl Strategy<Value = Vec<Segment>> {
    prop::collection::vec((0i64..5_000_000, 1i64..100_000, text), 0..20).prop_map(|cues| {
        let mut at = 0;
        let segment = |(i, (gap, length, text)): (usize, (i64, i64, String))| {
            at += gap;
            let range = TimeRange::new(Timestamp::from_millis(at), Timestamp::from_millis(at + length));
            Segment::new(range, format!("{i} {text}"))
        };
        cues.into_iter().enumerate().map(segment).collect()
    })
}

/// Words as they come back: white space in one piece.
fn plain(segments: &[Segment]) -> Vec<(i64, i64, String)> {
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    spans(segments).into_iter().map(|(a, b, text)| (a, b, one_line(text))).collect()
}

proptest! {
    #[test]
    fn srt_comes_back_as_it_went(cues in any_cues("[a-zA-Z0-9 .,'éß字\n-]{0,40}")) {
        let back = self::cues(to_srt(&transcript(cues.clone())).as_bytes());
        prop_assert_eq!(back.n_dropped, 0);
        prop_assert_eq!(plain(&back.segments), plain(&cues));
    }

    #[test]
    fn vtt_comes_back_as_it_went_whatever_the_words(cues in any_cues("[a-z0-9<>&;:#{}\\\\ \n-]{0,40}")) {
        let back = self::cues(to_vtt(&transcript(cues.clone())).as_bytes());
        prop_assert_eq!(back.n_dropped, 0);
        prop_assert_eq!(back.language.as_deref(), Some("en-GB"));
        prop_assert_eq!(plain(&back.segments), plain(&cues));
    }

    #[test]
    fn no_bytes_break_the_parsers(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        for head in HEADS {
            check(&cues(&[head.as_bytes(), &bytes].concat()).segments)?;
        }
    }

    #[test]
    fn no_odd_subtitles_break_the_parsers(parts in prop::collection::vec(prop::sample::select(ODD.to_vec()), 0..60)) {
        for head in HEADS {
            check(&cues(format!("{head}{}", parts.concat()).as_bytes()).segments)?;
        }
    }
}

/// Starts from which each format is recognized.
const HEADS: [&str; 10] = [
    "",
    "WEBVTT\n\n",
    "[Events]\nFormat: Start, End, Text\n",
    "<tt ttp:frameRate='25'><body><div begin='1s'>",
    "<timedtext><body>",
    "0:00:01.000,0:00:02.000\n",
    "[00:01.00]a\n[offset:5]",
    "{1}{2}a\n",
    "{\"events\":[{\"tStartMs\":1,\"segs\":[{\"utf8\":\"a\"}]}",
    "{\"segments\":[{\"start\":1,\"end\":2,\"text\":\"a\"}]",
];

/// Pieces that subtitle files are made of, and some that they should not be.
const ODD: [&str; 52] = [
    "\n",
    "\r\n",
    "\n\n",
    "1",
    "42\n",
    "00:00:01,000",
    " --> ",
    "-->",
    "00:00:02.5",
    "99:99:99,999",
    "-00:00:01,0",
    "0:1",
    "<",
    ">",
    "<i>",
    "</i>",
    "<v Ann>",
    "<v ",
    "{",
    "}",
    "{\\an8}",
    "{\\p1}",
    "\\N",
    "&",
    "&amp;",
    "&#x110000;",
    "&#;",
    "words",
    "é",
    "字",
    "\u{feff}",
    "\0",
    "NOTE ",
    "Dialogue: 0,0:00:01.00,0:00:02.00,D,N,0,0,0,,",
    "Format: ",
    ",",
    "<p begin='1s' end='2s'>",
    "<p begin='-5f' dur='9999999999999999999t'>",
    "<span begin='00:00:01:99'>",
    "</p>",
    "<br/>",
    "<p t='1' d='-5'><s t='99999999999'>",
    "<!DOCTYPE x [<!ENTITY a 'b'>]>",
    "]}",
    ",\"words\":[{\"word\":\"w\",\"start\":-1}]",
    "0:00:03.000,0:00:02.000\n",
    "[00:99.00]",
    "[00:02.00]<00:02.50>",
    "{5}{}",
    "{99999999999999999999}{1}",
    "[offset:-9223372036854775808]",
    "NaN",
];

/// What every transcript keeps: order, sense in time, words on one line.
fn check(segments: &[Segment]) -> std::result::Result<(), TestCaseError> {
    prop_assert!(segments.is_sorted_by(|a, b| a.range.start <= b.range.start));
    for segment in segments {
        prop_assert!(!segment.range.start.is_negative() && segment.range.start <= segment.range.end);
        prop_assert!(!segment.text.is_empty() && !segment.text.contains(char::is_control));
    }
    Ok(())
}
