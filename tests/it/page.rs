//! The report page in a real browser: what it shows, loads and runs; by mouse and keyboard; with hostile text.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its input stops")]

use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde_json::{Value, json};
use tempfile::TempDir;
use vidgist::ErrorKind;
use vidgist::audio_facts::AudioLevels;
use vidgist::chat::{Choice, FinishReason};
use vidgist::media::{EncodedImage, MediaInfo};
use vidgist::report::write::write_dir;
use vidgist::report::{PageOptions, Report, TranscriptOutcome, page};
use vidgist::sentence::{CheckedSentence, GroundingProblem, Verdict};
use vidgist::time::TimeRange;
use vidgist::timeline::{Timeline, TimelineFrame};
use vidgist::transcript::{Segment, Transcript, TranscriptSource};

use crate::support::browser;
use crate::support::command::User;
use crate::support::documents;
use crate::support::fake_server::{FakeServer, HEARING_MODEL};
use crate::support::programs::ffmpeg_with;
use crate::support::sample::{self, at, segment};

const TALK: &str = "fixtures/talk.mp4";

/// A frame whose picture a browser can show.
fn frame(idx: usize, millis: i64) -> TimelineFrame {
    let bytes = Bytes::from_static(include_bytes!("../../fixtures/picture.jpg"));
    let frame = sample::frame(idx, millis, 100.0, 0.5);
    TimelineFrame { image: EncodedImage { bytes, ..frame.image }, ..frame }
}

/// A run with an answer of a model: every kind of sentence, chapters, two alternatives, parts that are missing.
fn talk() -> (Report, Vec<EncodedImage>) {
    let mut frames: Vec<_> = [(0, 1000), (1, 31_000), (2, 61_000), (3, 90_000)].map(|(idx, t)| frame(idx, t)).into();
    frames[2].score.sharpness = 240.0;
    let timeline = Timeline::new(TimeRange::new(at(0), at(95_500)), frames, Some(sample::transcript()));
    let images = timeline.frames.iter().map(|frame| frame.image.clone()).collect();
    let mut report = sample::report();
    report.frames = Report::new(sample::media(), report.sampling.clone(), &timeline, "").frames;
    let chapters = json!([
        {"start": 0.0, "end": 30.0, "title": "Opening"},
        {"start": 30.0, "end": 95.5, "title": null},
    ]);
    report.media.chapters = serde_json::from_value(chapters).unwrap();
    let sentence = |text: &str, verdict, problems| CheckedSentence { verdict, ..CheckedSentence::new(text, problems) };
    let answer = report.answer.as_mut().unwrap();
    answer.choices = vec![
        Choice {
            sentences: vec![
                sentence("A guest thanks the host (#1, 00:31.0).", Verdict::Supported, vec![]),
                sentence(
                    "They talk of forty ships (00:12.0).",
                    Verdict::Weak,
                    vec![GroundingProblem::NumberNotFound { number: "40".into(), may_be_shown: true }],
                ),
                sentence(
                    "A storm rises (#99).",
                    Verdict::Unsupported,
                    vec![GroundingProblem::UnknownFrame { frame_idx: 99 }],
                ),
            ],
            ..Choice::new(
                "# A talk\n\nA **guest** thanks the host (#1, 00:31.0). They talk of forty ships (00:12.0).\n\n\
                 - A storm rises (#99).\n\n| when | what |\n|---:|:---:|\n| 01:30.0 | the end |\n",
                FinishReason::Stop,
            )
        },
        Choice::new("", FinishReason::Length),
    ];
    (report, images)
}

/// A folder with the page of a report.
fn written(report: &mut Report, images: &[EncodedImage], options: &PageOptions) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    write_dir(report, images, dir.path(), options).unwrap();
    documents::check_reports_below(dir.path());
    let page = dir.path().join("report.html");
    (dir, page)
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().filter_map(Value::as_str).collect()
}

/// Audits a page: nothing on the console, no request but for what lies beside the page, no grave fault of accessibility in
/// light and dark, nothing wider than the window. None where there is no browser.
#[track_caller]
fn audited(page: &Path) -> Option<Value> {
    let found = browser::scenario(page, "audit")?;
    for kind in ["messages", "dialogs", "failed", "light", "dark", "handlers"] {
        assert_eq!(texts(&found[kind]), Vec::<&str>::new(), "{kind} of {}", page.display());
    }
    for width in ["overflow360", "overflow800", "overflow1280"] {
        assert_eq!(found[width], 0, "{width}");
    }
    let folder = format!("file://{}/", page.parent().unwrap().display());
    for request in texts(&found["requests"]) {
        assert!(request.starts_with(&folder) || request.starts_with("data:image/"), "{request}");
    }
    for picture in found["pictures"].as_array().unwrap() {
        assert!(picture[1].as_u64().unwrap() > 0, "each picture is shown");
    }
    // One h1, no level left out.
    let levels: Vec<u8> = texts(&found["headings"]).iter().map(|h| h.as_bytes()[1] - b'0').collect();
    assert!(levels[0] == 1 && levels[1..].iter().all(|level| *level > 1), "{:?}", found["headings"]);
    assert!(levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{:?}", found["headings"]);
    Some(found)
}

#[test]
fn a_page_shows_what_was_found_and_asks_nothing_of_anybody() {
    let (mut report, images) = talk();
    let (_dir, page) = written(&mut report, &images, &PageOptions::default());
    let Some(found) = audited(&page) else { return };
    assert_eq!(found["pictures"].as_array().unwrap().len(), 4);
    assert_eq!(found["links"], json!([]), "no link leads away");
    let text = found["text"].as_str().unwrap();
    for expected in [
        "Ships & stars",
        "Partial result: 3 items missing",
        "Summary, alternative 1 of 2",
        "2 of 3 sentences to check",
        "weak: 40 is not in the cited speech",
        "unsupported: there is no frame #99",
        "The answer is truncated here",
        "Chapter 2",
        "the sound of stream 3",
        "1000 in the request, 64 of them cached",
        "decode 1.2 s",
        "Sent as 2 windows, then merged",
        "Partial result. vidgist 0.0.0, OpenCV 4.6.0",
    ] {
        assert!(text.contains(expected), "{expected:?} in {text}");
    }
    assert_eq!(texts(&found["lines"])[2], "00:31.0GuestThank you. The ships were late.");
}

#[test]
fn citations_open_and_lead_to_their_evidence_by_mouse_and_keyboard() {
    let (mut report, images) = talk();
    let (_dir, page) = written(&mut report, &images, &PageOptions::default());
    let Some(found) = browser::scenario(&page, "evidence") else { return };
    assert_eq!(texts(&found["messages"]), Vec::<&str>::new());
    let step = |name: &str| &found["steps"][name];
    assert_eq!(found["steps"]["cites"], json!([["#1, 00:31.0", "#f1"], ["00:12.0", "#s1"], ["01:30.0", "#s3"]]));
    assert_eq!(step("opened")["stage"], "#2 at 01:01.0", "the clearest frame");

    let card = &step("hovered")["card"];
    assert_eq!(card["picture"], true);
    assert!(card["text"].as_str().unwrap().contains("00:31.0 GuestThank you."), "{card}");
    assert!(card["left"].as_f64().unwrap() >= 0.0 && card["right"].as_f64().unwrap() <= 1280.0, "{card}");
    assert_eq!(step("hovered")["described"], "#f1");
    assert_eq!((&step("escaped")["card"], &step("escaped")["described"]), (&Value::Null, &Value::Null));

    let clicked = step("clicked");
    assert_eq!((&clicked["frame"], &clicked["line"], &clicked["current"]), (&json!("f1"), &json!("s2"), &json!(2)));
    assert_eq!((&clicked["focus"], &clicked["hash"]), (&json!("#s2"), &json!("#f1")));
    assert_eq!(step("back")["focus"], "#f1", "Escape leads back to the citation");

    let focused = step("focused");
    assert_eq!((&focused["focus"], &focused["described"]), (&json!("#s1"), &json!("#s1")));
    assert!(focused["card"]["text"].as_str().unwrap().contains("Tonight we talk of ships."), "{focused}");
    let entered = step("entered");
    assert_eq!((&entered["frame"], &entered["line"], &entered["focus"]), (&json!("f0"), &json!("s1"), &json!("#s1")));
    assert_eq!(step("down")["focus"], "#s2", "the arrow keys move along the lines");
    assert_eq!((&step("chosen")["line"], &step("chosen")["frame"]), (&json!("s2"), &json!("f1")));
    assert_eq!(step("history")["line"], "s1", "the browser's own way back");

    assert_eq!((&step("searched")["count"], &step("searched")["shown"]), (&json!("1 of 4 lines"), &json!(1)));
    assert_eq!(step("found")["focus"], "#s2", "Enter leads to the first line found");
    assert_eq!((&step("cleared")["count"], &step("cleared")["shown"]), (&json!(""), &json!(4)));
    assert_eq!((&step("last")["frame"], &step("last")["line"]), (&json!("f3"), &json!("s3")));
    assert_eq!(step("left")["focus"], "#f2", "the arrow keys move along the frames");
    assert_eq!((&step("overview")["frame"], &step("overview")["line"]), (&json!("f1"), &json!("s2")));
}

#[test]
fn what_a_search_finds_is_marked_in_any_script() {
    let (mut report, images) = talk();
    let TranscriptOutcome::Found(transcript) = &mut report.transcript else { panic!("the sample has words") };
    transcript.segments[1].text =
        "\u{bc30}\u{ac00} \u{b2a6}\u{ac8c} \u{b3c4}\u{cc29}\u{d588}\u{c2b5}\u{b2c8}\u{b2e4}.".into();
    transcript.segments[2].text = "Un Caf\u{e9}, le CAF\u{c9} d'\u{c9}lise. \u{414}\u{43e}\u{43c}.".into();
    let (_dir, page) = written(&mut report, &images, &PageOptions::default());
    let queries = ["\u{b2a6}\u{ac8c}", "caf\u{e9}", "\u{434}\u{43e}\u{43c}", "elise", "ZZZ"];
    let Some(found) = browser::searched(&page, &queries) else { return };
    assert_eq!(texts(&found["messages"]), Vec::<&str>::new());
    for (at, (count, highlighted)) in [
        ("1 of 4 lines", &["\u{b2a6}\u{ac8c}"][..]),
        ("1 of 4 lines", &["Caf\u{e9}", "CAF\u{c9}"]),
        ("1 of 4 lines", &["\u{414}\u{43e}\u{43c}"]),
        // Found without its accent, but not marked.
        ("1 of 4 lines", &[]),
        ("0 of 4 lines", &[]),
    ]
    .into_iter()
    .enumerate()
    {
        let result = &found["results"][at];
        assert_eq!((&result["count"], texts(&result["highlighted"])), (&json!(count), highlighted.to_vec()));
    }
}

/// Text that acts wherever it is taken for HTML, for a script, for an address or for a style.
const EVIL: &str = "</title></script></style><script>canary=1;alert(1)</script><img src=x onerror=\"canary=2;alert(2)\">\
    '\"><svg onload=alert(3)> <a href=\"javascript:alert(4)\">x</a> [y](javascript:alert(5)) ![z](http://evil.example/p.png) \
    <http://evil.example> {{7*7}} -->]]> &lt;b&gt; \u{1b}[2J \u{202e}gpj.exe";

#[test]
fn hostile_text_is_shown_and_does_nothing() {
    let (mut report, images) = talk();
    report.media.title = Some(EVIL.into());
    report.media.input = format!("a/{EVIL}.mp4").replace("</", "<");
    report.media.format = EVIL.into();
    report.media.uploader = Some(EVIL.into());
    report.media.description = Some(EVIL.into());
    report.media.video[0].codec = EVIL.into();
    report.media.audio[0].language = Some(EVIL.into());
    report.media.chapters[0].title = Some(EVIL.into());
    report.model.as_mut().unwrap().name = EVIL.into();
    report.made_with.decoder = Some(EVIL.into());
    report.miss(EVIL, EVIL);
    let TranscriptOutcome::Found(transcript) = &mut report.transcript else { panic!("the sample has words") };
    transcript.segments[0].text = EVIL.into();
    transcript.segments[1].speaker = Some(EVIL.into());
    transcript.language = Some(EVIL.into());
    let answer = report.answer.as_mut().unwrap();
    answer.model = Some(EVIL.into());
    answer.choices = vec![
        Choice {
            sentences: vec![CheckedSentence::new(
                EVIL,
                vec![GroundingProblem::QuotationNotFound { quotation: EVIL.into(), may_be_shown: false }],
            )],
            ..Choice::new(
                format!(
                    "# {EVIL}\n\n{EVIL} (#1)\n\n{EVIL}\n===\n\n| {EVIL} |\n|---|\n| {EVIL} |\n\n> {EVIL}\n\n```{EVIL}\n{EVIL}\n"
                ),
                FinishReason::Other(EVIL.into()),
            )
        },
        Choice::new(EVIL, FinishReason::Stop),
    ];
    let mut unmerged = report.clone();
    unmerged.answer = None;
    unmerged.records[0].text = EVIL.into();
    for report in [&mut report, &mut unmerged] {
        let (_dir, page) = written(report, &images, &PageOptions::default());
        let Some(found) = audited(&page) else { return };
        assert_eq!(found["canary"], Value::Null);
        assert_eq!(found["links"], json!([]));
        let elements = texts(&found["elements"]);
        for ours in ["iframe", "object", "embed", "form", "base", "link", "meta", "style"] {
            assert!(!elements.contains(&ours), "{ours} in {elements:?}");
        }
        let (shown, heading) = (found["lines"][0].as_str().unwrap(), found["heading"].as_str().unwrap());
        let literal =
            "</title></script></style><script>canary=1;alert(1)</script><img src=x onerror=\"canary=2;alert(2)\">";
        assert!(shown.contains(literal) && heading.starts_with(literal), "to the letter: {shown} {heading}");
        assert!(!shown.contains(['\u{1b}', '\u{202e}']) && shown.contains("&lt;b&gt;"), "{shown}");
    }
}

#[test]
fn the_built_in_model_has_the_same_page() {
    let user = User::new();
    user.run(&["summarize", TALK, "-o", &user.path("out")]).complete();
    let page = user.home.path().join("out/report.html");
    let Some(found) = audited(&page) else { return };
    assert!(found["text"].as_str().unwrap().contains("Nothing is missing."), "{found}");
    assert_eq!(found["lines"].as_array().unwrap().len(), 5);
    let found = browser::scenario(&page, "evidence").unwrap();
    let cites = found["steps"]["cites"].as_array().unwrap();
    assert!(cites.len() > 8, "lines of speech and shots are linked: {cites:?}");
    let clicked = &found["steps"]["clicked"];
    assert!(clicked["frame"].is_string() && clicked["line"].is_string(), "{clicked}");
}

#[test]
fn recordings_without_a_part_have_a_page_too() {
    let user = User::new();
    let home = user.home.path();
    std::fs::write(home.join("words.srt"), "1\n00:00:00,500 --> 00:00:02,000\nWords alone.\n").unwrap();
    std::fs::write(home.join("plain.txt"), "A text without times.\n\nIts second paragraph.\n").unwrap();
    let project = crate::support::command::project();
    let fixture = |name: &str| project.join("fixtures").join(name).to_str().unwrap().to_owned();
    let (silent, sound, still) = (fixture("no-audio.mp4"), fixture("speech.mp3"), fixture("picture.png"));
    let (words, plain, talk) = (user.path("words.srt"), user.path("plain.txt"), fixture("talk.mp4"));
    for (name, args, n_lines) in [
        ("without audio", &[&*silent][..], 0),
        ("without audio, with subtitles", &[&*silent, "--transcript", &words], 1),
        ("without video", &[&*sound, "--transcript", &words], 1),
        ("without a transcript", &[&*talk, "--stt", "none"], 0),
        ("without times", &[&*talk, "--transcript", &plain], 2),
        ("of a picture", &[&*still], 0),
    ] {
        let out = user.path(&name.replace(' ', "-"));
        user.run(&[&["summarize"], args, &["-o", &out]].concat()).complete_but_told();
        let Some(found) = audited(&Path::new(&out).join("report.html")) else { return };
        assert_eq!(found["lines"].as_array().unwrap().len(), n_lines, "{name}");
    }
    // A run whose model gave no answer, and that lost its frames.
    let (mut report, _) = self::talk();
    (report.answer, report.no_answer_because) = (None, Some("the server is down".into()));
    (report.windows, report.records) = (Vec::new(), Vec::new());
    report.frames.clear();
    report.transcript = TranscriptOutcome::None { reason: "the source has no audio".into() };
    let (_dir, page) = written(&mut report, &[], &PageOptions::default());
    let found = audited(&page).unwrap();
    assert!(found["text"].as_str().unwrap().contains("There is no summary: see what is missing"), "{found}");
}

#[test]
fn audio_that_is_transcribed_is_drawn() {
    let (user, server) = (User::new(), FakeServer::start());
    std::fs::copy(TALK, user.path("talk.mp4")).unwrap();
    let (url, out) = (server.base_url(), user.path("out"));
    let endpoint = ["--stt", "api", "--stt-base-url", &url, "--stt-model", HEARING_MODEL];
    user.run(&[&["summarize", &user.path("talk.mp4"), "--model", "built-in", "-o", &out][..], &endpoint].concat())
        .complete();
    let report: Value = serde_json::from_slice(&std::fs::read(Path::new(&out).join("report.json")).unwrap()).unwrap();
    let levels = &report["transcript"]["levels"];
    let peaks: Vec<u64> = levels["peaks"].as_array().unwrap().iter().map(|peak| peak.as_u64().unwrap()).collect();
    assert!((500..=1000).contains(&peaks.len()), "{levels}");
    // A sentence from 0.3 s on, and a pause before the next, at 4.2 s.
    let at = |seconds: f64| {
        let from = (seconds / levels["step"].as_f64().unwrap()) as usize;
        *peaks[from..from + 5].iter().max().unwrap()
    };
    assert!(at(1.0) > 20 && at(3.9) < 5, "{} {}", at(1.0), at(3.9));
    let page = Path::new(&out).join("report.html");
    let Some(found) = audited(&page) else { return };
    let elements = texts(&found["elements"]);
    assert!(elements.contains(&"use") && elements.contains(&"g"), "the waveform and its mirror: {elements:?}");
    let of_subtitles = user.path("subtitles");
    user.run(&["summarize", TALK, "-o", &of_subtitles]).complete();
    let page = std::fs::read_to_string(Path::new(&of_subtitles).join("report.html")).unwrap();
    assert!(!page.contains("<g class=\"wave\""), "subtitles need no audio");
}

/// Makes a recording that is named to break an address, and its page with a player.
fn linked(user: &User, name: &str, args: &[&str]) -> PathBuf {
    let home = user.home.path();
    ffmpeg_with(home, &[args, &[&user.path(name)]].concat());
    std::fs::write(
        home.join("words.srt"),
        "1\n00:00:01,000 --> 00:00:02,000\nWords.\n\n2\n00:00:04,000 --> 00:00:05,000\nMore.\n",
    )
    .unwrap();
    let out = user.path("out \"1\"");
    let words = user.path("words.srt");
    user.run(&["summarize", &user.path(name), "--transcript", &words, "--link-media", "-o", &out]).complete();
    Path::new(&out).join("report.html")
}

#[test]
fn a_linked_recording_plays_and_every_time_leads_into_it() {
    let talk = crate::support::command::project().join(TALK);
    let user = User::new();
    let copy = ["-i", talk.to_str().unwrap(), "-t", "6", "-c", "copy"];
    let page = linked(&user, "12:30 \"50% #1?\" <script>.mp4", &copy);
    if audited_but_for_media(&page).is_none() {
        return;
    }
    let found = browser::scenario(&page, "play").unwrap();
    assert_eq!(texts(&found["messages"]), Vec::<&str>::new());
    assert_eq!(found["source"], "../12:30%20%2250%25%20%231%3F%22%20%3Cscript%3E.mp4");
    let time = |step: &str| found[step]["time"].as_f64().unwrap();
    assert!((time("before"), found["before"]["stage"].as_str()) == (0.0, None), "the video itself is the picture");
    // Within the tenth of a second that the label of the line stands for.
    assert!((4.0..4.1).contains(&time("sought")), "{found}");
    assert_eq!(found["sought"]["line"], "s1");
    assert!(time("ended") > 5.5 && found["ended"]["line"] == "s1", "{found}");

    let sound = ["-i", talk.to_str().unwrap(), "-t", "6", "-vn", "-c:a", "copy"];
    let page = linked(&user, "sound.m4a", &sound);
    audited_but_for_media(&page).unwrap();
    let found = browser::scenario(&page, "play").unwrap();
    assert_eq!((&found["source"], &found["sought"]["line"]), (&json!("../sound.m4a"), &json!("s1")));
}

#[test]
fn a_linked_recording_without_a_transcript_plays() {
    let user = User::new();
    std::fs::copy(TALK, user.path("talk.mp4")).unwrap();
    let out = user.path("out");
    user.run(&["summarize", &user.path("talk.mp4"), "--stt", "none", "--link-media", "-o", &out]).complete_but_told();
    let Some(found) = browser::scenario(&Path::new(&out).join("report.html"), "play") else { return };
    assert_eq!(texts(&found["messages"]), Vec::<&str>::new());
    assert_eq!(found["ended"]["line"], Value::Null);
    let (sought, ended) = (&found["sought"]["frame"], &found["ended"]["frame"]);
    assert!(sought.is_string() && ended.is_string() && sought != ended, "the frames follow the player: {found}");
}

#[test]
fn a_folder_stays_as_it_is_where_the_recording_to_play_is_absent() {
    let (mut report, images) = talk();
    let (dir, _page) = written(&mut report, &images, &PageOptions::default());
    let files = || {
        let mut files = Vec::new();
        for folder in [dir.path().to_owned(), dir.path().join("frames")] {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                files.push((path.clone(), std::fs::read(&path).ok()));
            }
        }
        files.sort();
        files
    };
    let before = files();
    assert!(before.len() > 8, "{before:?}");
    let (mut other, _) = talk();
    other.transcript = TranscriptOutcome::None { reason: "the source has no audio".into() };
    other.media.chapters.clear();
    let options = PageOptions { recording: Some(dir.path().join("absent.mp4")), ..PageOptions::default() };
    let error = write_dir(&mut other, [&images[0]], dir.path(), &options).unwrap_err();
    assert!(error.kind == ErrorKind::Io && error.to_string().contains("absent.mp4"), "{error}");
    assert!(files() == before, "no file is gone or other");
}

/// As [`audited`], of a page whose recording lies beside its folder.
#[track_caller]
fn audited_but_for_media(page: &Path) -> Option<Value> {
    let found = browser::scenario(page, "audit")?;
    for kind in ["messages", "light", "dark", "handlers"] {
        assert_eq!(texts(&found[kind]), Vec::<&str>::new(), "{kind} of {}", page.display());
    }
    // The pictures of the player's own controls are data.
    let is_local = |request: &&str| request.starts_with("file:///") || request.starts_with("data:image/");
    assert!(texts(&found["requests"]).iter().all(is_local), "{found}");
    assert_eq!(found["overflow360"], 0);
    Some(found)
}

#[test]
fn what_a_browser_cannot_play_still_has_its_pictures() {
    let user = User::new();
    std::fs::copy("fixtures/mpeg4.avi", user.path("film.avi")).unwrap();
    let out = user.path("out");
    user.run(&["summarize", &user.path("film.avi"), "--link-media", "-o", &out]).complete_but_told();
    let Some(found) = audited_but_for_media(&Path::new(&out).join("report.html")) else { return };
    let text = found["text"].as_str().unwrap();
    assert!(text.contains("This browser cannot play the recording."), "{text}");
}

#[test]
fn pictures_can_be_inside_the_page() {
    let user = User::new();
    user.run(&["summarize", TALK, "--max-frames", "4", "--inline-pictures", "-o", &user.path("out")]).complete();
    let printed = user.run(&["summarize", TALK, "--max-frames", "4", "--format", "html"]).complete();
    std::fs::write(user.path("printed.html"), printed).unwrap();
    for page in ["out/report.html", "printed.html"] {
        let page = user.home.path().join(page);
        let Some(found) = audited(&page) else { return };
        assert_eq!(found["pictures"].as_array().unwrap().len(), 4);
        let files = texts(&found["requests"]).into_iter().filter(|request| request.starts_with("file:"));
        assert_eq!(files.count(), 1, "the page alone: {}", found["requests"]);
    }
}

#[test]
fn a_player_or_a_page_that_cannot_be_is_refused() {
    let user = User::new();
    let out = user.path("out");
    for (args, expected) in [
        (&["summarize", TALK, "--link-media"][..], "--link-media: there is no report page to write; pass --output"),
        (&["summarize", TALK, "--inline-pictures"], "--inline-pictures: there is no report page to write"),
        (
            &["summarize", "fixtures/picture.png", "--link-media", "-o", &out],
            "picture.png: is not one recording on this machine",
        ),
        (&["summarize", TALK, TALK, "--join", "--link-media", "-o", &out], "is not one recording on this machine"),
        (
            &["summarize", "https://127.0.0.1:9/v.mp4", "--link-media", "-o", &out],
            "is not one recording on this machine",
        ),
        (&["summarize", "-", "--link-media", "-o", &out], "stdin"),
        (&["plan", TALK, "--format", "html"], "--format: an estimate is written as Markdown or JSON"),
    ] {
        let ran = user.run(args);
        assert!(ran.code == Some(2) && ran.err.contains(expected), "{args:?}: {ran:?}");
    }
    std::fs::write(
        user.path("job.toml"),
        format!("version = 1\n[task.describe-audio]\ninputs = [{TALK:?}]\nformat = \"html\"\n"),
    )
    .unwrap();
    let ran = user.run(&["run", &user.path("job.toml")]);
    assert!(
        ran.code == Some(2) && ran.err.contains("a description of audio is written as Markdown or JSON"),
        "{ran:?}"
    );
}

#[test]
fn three_hours_take_less_than_300_kilobytes() {
    // 2,000 lines of 13 words, and the frames of 4 * sqrt(seconds).
    let words = "we have looked at the harbour and its ships for about three hours";
    let lines: Vec<Segment> = (0..2000).map(|n| segment(n * 5400, n * 5400 + 5000, &format!("{words} {n}"))).collect();
    let frames = (0..416).map(|n| frame(n, n as i64 * 26_000)).collect();
    let range = TimeRange::new(at(0), at(10_800_000));
    let source = TranscriptSource::Whisper { model: "base".into(), track: None };
    let mut transcript = Transcript::new(source, Some("en".into()), lines);
    let peaks = (0..1000_u32).map(|n| (n * 89 % 256) as u8).collect();
    transcript.levels = Some(Box::new(AudioLevels { start: at(0), step: at(10_800), peaks }));
    let timeline = Timeline::new(range, frames, Some(transcript));
    let images: Vec<_> = timeline.frames.iter().map(|frame| frame.image.clone()).collect();
    let mut report = Report::new(MediaInfo::new("long.mp4", "mp4"), sample::report().sampling, &timeline, "");
    let text = (0..120).map(|n| format!("- They look at ship {n} (#{n}, 00:26.0).")).collect::<Vec<_>>().join("\n");
    report.answer = sample::report().answer;
    report.answer.as_mut().unwrap().choices = vec![Choice::new(text, FinishReason::Stop)];
    let (_dir, page) = written(&mut report, &images, &PageOptions::default());
    let n_bytes = std::fs::metadata(&page).unwrap().len();
    assert!(n_bytes < 300_000, "{n_bytes} bytes");
    let alone = page::render(&report, &[], None);
    assert_eq!(std::fs::read_to_string(&page).unwrap(), alone, "the same report is the same page");
    let Some(found) = browser::searched(&page, &["hours 19", "the", "whale"]) else { return };
    assert_eq!(texts(&found["messages"]), Vec::<&str>::new());
    for (at, n) in [111, 2000, 0].into_iter().enumerate() {
        let result = &found["results"][at];
        assert_eq!((&result["count"], &result["shown"]), (&json!(format!("{n} of 2000 lines")), &json!(n)));
    }
}
