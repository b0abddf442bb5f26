//! The report: word for word, key for key, and against hostile text.

use crate::support::documents;
use crate::support::sample;
use crate::support::snapshot;

use serde_json::Value;
use vidgist::chat::{Choice, FinishReason};
use vidgist::report::write::write_dir;
use vidgist::report::{Format, PageOptions, Report, SamplingSummary, Status, TranscriptOutcome, render};
use vidgist::time::{TimeRange, Timestamp};
use vidgist::timeline::Timeline;

fn markdown(report: &Report) -> String {
    render(report, Format::Markdown).expect("text")
}

fn json(report: &Report) -> Value {
    let document = serde_json::from_str(&render(report, Format::Json).expect("text")).expect("JSON");
    documents::check("report", &document);
    document
}

type Harm = fn(&mut Report);

/// A report of the same file without anything amiss.
fn complete() -> Report {
    let mut report = sample::report();
    report.missing.clear();
    report.windows.clear();
    report.changes.clear();
    report.sampling.n_planned = Some(4);
    report.answer.as_mut().expect("an answer").choices.truncate(1);
    report
}

#[test]
fn the_whole_report() {
    let text = markdown(&sample::report());
    snapshot::check("report.md", &text, "VIDGIST_UPDATE_SNAPSHOTS=1 cargo nextest run -E 'test(the_whole_report)'");
}

#[test]
fn nothing_missing_can_be_called_complete() {
    assert_eq!(complete().status(), Status::Complete);
    assert!(markdown(&complete()).contains("Nothing is missing."));
    let harms: [(&str, Harm); 10] = [
        ("the records of 00:01:01.000 to 00:01:35.500", |r| r.windows = sample::report().windows),
        ("the end of the records of 00:00:00.000 to 00:01:01.000", |r| {
            r.windows = sample::report().windows;
            r.windows.truncate(1);
            r.windows[0].finish = Some(FinishReason::Length);
        }),
        ("part of the file", |r| r.media.damage.push("it ends after 9 of its 10 bytes".into())),
        ("the sound", |r| r.miss("the sound", "no codec")),
        ("1 of 5 frames", |r| r.sampling.n_planned = Some(5)),
        ("the answer", |r| r.answer = None),
        ("the answer", |r| {
            r.answer = None;
            r.model = None;
            r.no_answer_because = Some("the server is down".into());
        }),
        ("the end of the answer", |r| r.answer.as_mut().unwrap().choices[0].finish = FinishReason::Length),
        ("the content of the answer", |r| r.answer.as_mut().unwrap().choices[0].finish = FinishReason::Refusal),
        ("all or part of the answer", |r| {
            r.answer.as_mut().unwrap().choices[0].finish = FinishReason::ContentFilter;
        }),
    ];
    for (what, harm) in harms {
        let mut report = complete();
        harm(&mut report);
        assert_eq!(report.status(), Status::Partial, "{what}");
        let document = json(&report);
        assert_eq!(document["status"], "partial");
        assert_eq!(document["missing"][0]["what"], what);
        let text = markdown(&report);
        assert!(text.contains("**Partial result:** 1 item missing"), "{text}");
        assert!(text.contains(&format!("- {what}: ")), "{text}");
    }
}

#[test]
fn values_come_through() {
    let document = json(&sample::report());
    assert_eq!(document["schema_version"], 3);
    let frame = &document["frames"][1];
    assert_eq!((frame["pts"].as_i64(), frame["time_base"].as_str()), (Some(930_000), Some("1/30000")));
    assert_eq!((frame["seconds"].as_f64(), frame["timestamp"].as_str()), (Some(31.0), Some("00:00:31.000")));
    assert_eq!(frame["speech"], "Guest: Thank you. The ships were late.");
    assert_eq!(frame["file"], Value::Null);
    // `printf 'picture 1' | sha256sum`
    assert_eq!(frame["sha256"], "2dabd364013897cccceb7b1526cffb689610f8202cff6b4a8c387525982ad437");
    assert_eq!(document["speech_before_frames"], "Good evening, and welcome.");
    assert_eq!(document["answer"]["choices"][2]["finish"]["other"], "eos");
    let mut silent = sample::report();
    silent.transcript = TranscriptOutcome::None { reason: "no subtitles were found".into() };
    assert_eq!(json(&silent)["transcript"]["state"], "none");
}

#[test]
fn a_report_reads_back_to_the_byte() {
    let mut partial = sample::report();
    partial.missing.clear();
    partial.media.damage.push("it ends after 9 of its 10 bytes".into());
    partial.sampling.n_planned = Some(99);
    partial.sampling.lost_because = Some("the disk is full".into());
    let mut unanswered = complete();
    (unanswered.answer, unanswered.no_answer_because) = (None, Some("the server is down".into()));
    for report in [sample::report(), complete(), partial, unanswered] {
        let written = render(&report, Format::Json).unwrap();
        let read = vidgist::report::json::parse(&written).unwrap();
        assert_eq!(render(&read, Format::Json).unwrap(), written);
        assert_eq!(render(&read, Format::Markdown).unwrap(), render(&report, Format::Markdown).unwrap());
        assert_eq!((read.status(), read.gaps()), (report.status(), report.gaps()));
    }
    let written = render(&complete(), Format::Json).unwrap();
    let newer = written.replace("\"schema_version\": 3", "\"schema_version\": 4");
    let error = vidgist::report::json::parse(&newer).unwrap_err();
    assert_eq!(error.code, vidgist::ErrorCode::Unsupported);
    assert!(error.to_string().contains("has schema version 4, but version 3 is supported"), "{error}");
    assert_eq!(vidgist::report::json::parse("{}").unwrap_err().code, vidgist::ErrorCode::Malformed);
    assert_eq!(vidgist::report::json::parse(&written[..900]).unwrap_err().code, vidgist::ErrorCode::Malformed);
}

const EVIL: &str = "<script>alert(1)</script> ![x](http://evil.example/p.png) [y](javascript:alert(1)) \
    <img src=http://evil.example/q.png> [z]: http://evil.example \u{1b}]52;c;ZXZpbA==\u{7} \u{1b}[2J \u{202e}gpj.exe";

#[test]
fn hostile_text_is_inert_wherever_it_comes_from() {
    let mut report = sample::report();
    report.media.title = Some(EVIL.into());
    report.media.input = format!("{EVIL}.mp4");
    report.media.format = EVIL.into();
    report.media.video[0].codec = EVIL.into();
    report.media.video[0].language = Some(EVIL.into());
    report.media.audio[0].language = Some(EVIL.into());
    report.speech_before_frames = Some(EVIL.into());
    report.frames[0].speech = Some(EVIL.into());
    report.model.as_mut().unwrap().name = EVIL.into();
    report.miss(EVIL, EVIL);
    (report.records[0].text, report.sections[0].title) = (EVIL.into(), EVIL.into());
    let answer = report.answer.as_mut().unwrap();
    answer.model = Some(EVIL.into());
    answer.choices = vec![
        Choice::new(format!("{EVIL}\n\n{EVIL}\n```\nopen"), FinishReason::Other(EVIL.into())),
        Choice::new("# Missing\n\nx\n---\n\ny\n===", FinishReason::Stop),
    ];
    let TranscriptOutcome::Found(transcript) = &mut report.transcript else { panic!("the sample has words") };
    transcript.segments[0].text = EVIL.into();
    transcript.segments[0].speaker = Some(EVIL.into());
    transcript.language = Some(EVIL.into());
    let mut of_audio = report.clone();
    of_audio.frames.clear();
    let mut unmerged = report.clone();
    unmerged.answer = None;
    assert!(!markdown(&unmerged).contains("<s") && markdown(&unmerged).contains("## Records"));
    for text in [markdown(&report), markdown(&of_audio)] {
        let ours = "(frames/frame_000002_t00-01-01.000.jpg)";
        let rest = text.replace(&format!("]{ours}"), "").replace("\n[^1]: unsupported", "");
        for forbidden in ["<s", "<i", "</", "![", "](", "]: ", "\u{1b}", "\u{7}", "\u{202e}", "ZXZpbA"] {
            assert!(!rest.contains(forbidden), "{forbidden:?} in {rest}");
        }
        let headings: Vec<_> = text.lines().filter(|l| l.starts_with("# ") || l.starts_with("## ")).collect();
        assert_eq!(
            headings.len(),
            7,
            "the title, two alternatives, sections, timeline, missing, details: {headings:?}"
        );
        assert_eq!(text.lines().filter(|line| *line == "```").count(), 2, "the open fence is closed: {text}");
    }
    let text = render(&report, Format::Json).unwrap();
    assert!(!text.chars().any(|c| c != '\n' && vidgist::sanitize::is_unseen(c)), "{text:?}");
    assert_eq!(json(&report)["media"]["title"], EVIL, "the value itself is kept");
}

#[test]
fn secrets_of_an_address_stay_out() {
    let mut report = complete();
    report.media.input = "https://me:hunter2@h.example/v.mp4?token=hunter2#hunter2".into();
    for format in [Format::Markdown, Format::Json, Format::Html] {
        let text = render(&report, format).unwrap();
        assert!(!text.contains("hunter2") && text.contains("https://h.example/v.mp4"), "{text}");
    }
}

#[test]
fn silent_frames_share_a_line_and_sound_alone_lists_its_words() {
    let frames = (0..50).map(|i| sample::frame(i, i as i64 * 1000, 1.0, 0.0)).collect();
    let range = TimeRange::new(Timestamp::ZERO, sample::at(50_000));
    let sampling = SamplingSummary {
        method: "interval".into(),
        interval: Some(sample::at(1000)),
        range,
        n_planned: Some(50),
        ..SamplingSummary::default()
    };
    let timeline = Timeline::new(range, frames, None);
    let report = Report::new(sample::media(), sampling.clone(), &timeline, "no subtitles were found");
    let text = markdown(&report);
    assert!(text.contains("\n- 00:00:00.000 to 00:00:49.000 #0 to #49\n"), "{text}");
    assert!(text.contains("- Transcript: none; no subtitles were found\n"), "{text}");
    assert_eq!(json(&report)["frames"][0]["speech"], Value::Null);
    let sampling = SamplingSummary { n_planned: Some(0), ..sampling };
    let heard = Timeline::new(range, Vec::new(), Some(sample::transcript()));
    let text = markdown(&Report::new(sample::media(), sampling, &heard, ""));
    assert!(text.contains("\n- 00:00:31.000 Guest: Thank you. The ships were late.\n"), "{text}");
}

#[test]
fn a_folder_holds_report_pictures_and_words() {
    let dir = tempfile::tempdir().unwrap();
    let timeline = sample::timeline();
    let mut report = sample::report();
    let out = dir.path().join("new");
    let paths =
        write_dir(&mut report, timeline.frames.iter().map(|f| &f.image), &out, &PageOptions::default()).unwrap();
    let names: Vec<_> = paths.iter().map(|p| p.strip_prefix(&out).unwrap().to_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "frames/frame_000000_t00-00-01.000.jpg",
            "frames/frame_000001_t00-00-31.000.jpg",
            "frames/frame_000002_t00-01-01.000.jpg",
            "transcript.srt",
            "chapters.ffmetadata",
            "chapters.txt",
            "chapters.vtt",
            "report.json",
            "report.html",
            "report.md",
        ]
    );
    let document: Value = serde_json::from_slice(&std::fs::read(out.join("report.json")).unwrap()).unwrap();
    for (at, frame) in document["frames"].as_array().unwrap().iter().enumerate() {
        let bytes = std::fs::read(out.join(frame["file"].as_str().unwrap())).unwrap();
        assert_eq!(bytes, format!("picture {at}").as_bytes());
    }
    let text = std::fs::read_to_string(out.join("report.md")).unwrap();
    assert!(text.contains("[#0](frames/frame_000000_t00-00-01.000.jpg)"), "{text}");
    let srt = std::fs::read_to_string(out.join("transcript.srt")).unwrap();
    assert!(srt.contains("00:00:12,000 --> 00:00:15,500\nTonight we talk of ships.\n"), "{srt}");
}

#[test]
fn damage_is_reported_once() {
    let mut report = complete();
    report.media.damage.push("it ends after 9 of its 10 bytes".into());
    report.miss("the end of the file", "it ends after 9 of its 10 bytes");
    assert_eq!(report.gaps().len(), 1);
}
