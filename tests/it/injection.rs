//! Hostile text in everything that a request shows: it changes neither the structure of a request nor that of a report, and
//! honest text survives to the letter.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use vidgist::chat::{Message, Part};
use vidgist::prompt::{
    CaptionFrame, CaptionPrompt, ContextDocument, CueLine, PartAnswer, PromptSpec, QuestionPassage, Refinement,
    SentenceEvidence, TranslationPrompt, build, build_again, build_captions, build_look_problem, build_looked_speech,
    build_merge, build_question, build_sections, build_translation, build_verification, record_sources,
};
use vidgist::record::EventRecord;
use vidgist::time::TimeRange;
use vidgist::timeline::Timeline;
use vidgist::transcript::Segment;

use crate::support::canaries::{CANARIES, HONEST, Kind, texts};
use crate::support::command::{Ran, project};
use crate::support::fake_server::{CHAT_MODEL, Chat, Fault, HEARING_MODEL};
use crate::support::programs::ffmpeg_with;
use crate::support::sample::{self, at};
use crate::support::shapes::{assert_same, headings, json_shape, outside, page, request_shape, tag};
use crate::support::summaries::{Summarizer, recording};

const TALK: &str = "fixtures/talk.mp4";

const ANSWER: &str = "Shown at the beginning (#0).";

/// What a run requested and wrote.
struct Found {
    chats: Vec<Chat>,
    folder: PathBuf,
}

impl Found {
    fn read(&self, name: &str) -> String {
        let path = self.folder.join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}

/// One of two runs that differ in their texts alone.
struct Run<'a> {
    kind: Kind<'a>,
    setting: Summarizer,
}

impl<'a> Run<'a> {
    fn new(kind: Kind<'a>) -> Self {
        Self { kind, setting: Summarizer::new() }
    }

    fn texts(&self) -> Vec<String> {
        texts(self.kind)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.setting.user.path(name);
        std::fs::write(&path, text).expect("written");
        path
    }

    /// WebVTT with a cue for each text, in its speaker's name too, one each `millis`.
    fn subtitles(&self, millis: usize) -> String {
        let escaped = |text: &str| {
            let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            text.replace(['\n', '\0'], " ")
        };
        let mut vtt = "WEBVTT\n".to_owned();
        for (n, text) in self.texts().iter().enumerate() {
            let time = |at: usize| format!("{:02}:{:02}.{:03}", at / 60_000, at / 1000 % 60, at % 1000);
            let name: String = text.chars().rev().take(50).collect::<Vec<_>>().into_iter().rev().collect();
            let times = format!("\n{} --> {}\n", time(n * millis), time(n * millis + millis / 2));
            let cue = format!("<v {}>{}\n", escaped(&name), escaped(text));
            vtt += &(times + &cue);
        }
        self.write("words.vtt", &vtt)
    }

    /// A run of the command, whose requests are answered so.
    #[track_caller]
    fn found(&self, args: &[&str], faults: impl IntoIterator<Item = Fault>) -> Found {
        let server = &self.setting.server;
        server.fail_with(faults);
        let (before, base_url) = (server.chats().len(), server.base_url());
        let folder = self.setting.user.path(&format!("out-{before}"));
        let ran: Ran =
            self.setting.user.run(&[args, &["--model", CHAT_MODEL, "--base-url", &base_url, "-o", &folder]].concat());
        assert_eq!(server.refusals(), [""; 0]);
        assert!(ran.code == Some(0) && !ran.err.contains('\u{1b}'), "{args:?}: {ran:?}");
        Found { chats: server.chats().split_off(before), folder: folder.into() }
    }
}

/// What a pair of runs may differ in.
#[derive(Clone, Copy, Default)]
struct Free {
    /// The lines within fences, which are the text's own.
    lines: bool,
    /// The Markdown of an answer.
    answer: bool,
}

/// The same requests and reports but for the texts; honest text to the letter.
#[track_caller]
fn check(honest: &Found, hostile: &Found, free: Free) {
    check_requests(honest, hostile, free);
    let report = |found: &Found| -> Value { serde_json::from_str(&found.read("report.json")).expect("JSON") };
    let (of_honest, of_hostile) = (report(honest), report(hostile));
    assert_eq!(json_shape(&of_hostile), json_shape(&of_honest), "the report");
    let ((elements, shown), (hostile_elements, _)) =
        (page(&honest.read("report.html")), page(&hostile.read("report.html")));
    let (mut levels, mut hostile_levels) = (headings(&honest.read("report.md")), headings(&hostile.read("report.md")));
    if free.answer {
        let markdown = [
            "p ",
            "em ",
            "strong ",
            "code ",
            "pre ",
            "ul ",
            "ol ",
            "li ",
            "h3 ",
            "h4 ",
            "h5 ",
            "h6 ",
            "hr ",
            "br ",
            "sup class",
            "a aria-label href id",
            "a aria-label href",
        ];
        let tables = [
            "table ",
            "thead ",
            "tbody ",
            "tr ",
            "th ",
            "td ",
            "blockquote ",
            "del ",
            "div aria-label class role tabindex",
        ];
        let is_ours = |element: &String| {
            elements.contains(element) || markdown.contains(&&**element) || tables.contains(&&**element)
        };
        let new: Vec<&String> = hostile_elements.iter().filter(|element| !is_ours(element)).collect();
        assert!(new.is_empty(), "new elements: {new:?}");
        levels.retain(|level| *level < 3);
        hostile_levels.retain(|level| *level < 3);
    } else {
        assert_same(&hostile_elements, &elements, "the page");
    }
    assert_eq!(hostile_levels, levels, "headings");
    assert!(of_honest.to_string().contains(&json!(HONEST).to_string().trim_matches('"').to_owned()), "{of_honest}");
    assert!(shown.contains(HONEST), "{shown}");
}

#[track_caller]
fn check_requests(honest: &Found, hostile: &Found, free: Free) {
    let shapes = |found: &Found| {
        let mut shapes: Vec<_> = found.chats.iter().map(|chat| request_shape(chat, free.lines)).collect();
        // Windows are sent at the same time.
        shapes.sort();
        shapes
    };
    assert!(!honest.chats.is_empty(), "a request");
    for (at, (hostile, honest)) in shapes(hostile).iter().zip(&shapes(honest)).enumerate() {
        assert_same(hostile, honest, &format!("request {at}"));
    }
    assert_eq!(hostile.chats.len(), honest.chats.len());
    let shown: String = honest.chats.iter().flat_map(|chat| &chat.texts).cloned().collect();
    assert!(shown.contains(HONEST), "{shown}");
    let shown: String = hostile.chats.iter().flat_map(|chat| &chat.texts).cloned().collect();
    let lost: Vec<usize> = (0..=CANARIES.len()).filter(|at| !shown.contains(&format!("n{at:02}"))).collect();
    assert_eq!(lost, [0; 0], "canaries that no request shows");
}

/// An honest run, and a hostile one that knows the honest one's fence.
fn both(run: impl Fn(&Run<'_>) -> Found, free: Free) {
    let calm = Run::new(Kind::Honest);
    let honest = run(&calm);
    let tag = tag(&honest.chats[honest.chats.len() - 1]);
    let attack = Run::new(Kind::Canaries(&tag));
    check(&honest, &run(&attack), free);
}

#[test]
fn subtitles_stay_text() {
    both(
        |run| {
            run.found(
                &["summarize", TALK, "--interval", "5s", "--transcript", &run.subtitles(400)],
                [Fault::Answer(ANSWER, "stop")],
            )
        },
        Free::default(),
    );
}

#[test]
fn speech_that_a_server_transcribes_stays_text() {
    let run = |run: &Run<'_>| {
        let segment = |(id, text): (usize, String)| {
            let start = id as f64 * 0.4;
            json!({"id": id, "seek": 0, "start": start, "end": start + 0.3, "text": text, "tokens": [], "temperature": 0.0,
                "avg_logprob": -0.25, "compression_ratio": 1.0, "no_speech_prob": 0.01})
        };
        let segments: Vec<Value> = run.texts().into_iter().enumerate().map(segment).collect();
        let reply =
            json!({"task": "transcribe", "language": "english", "duration": 20.0, "text": "", "segments": segments});
        std::fs::copy(TALK, run.setting.user.path("talk.mp4")).expect("copied");
        let (talk, url) = (run.setting.user.path("talk.mp4"), run.setting.server.base_url());
        let args = ["summarize", &talk, "--interval", "5s", "--stt", "api", "--stt-base-url", &url];
        run.found(
            &[&args[..], &["--stt-model", HEARING_MODEL]].concat(),
            [Fault::Json(reply.to_string().leak()), Fault::Answer(ANSWER, "stop")],
        )
    };
    both(run, Free::default());
}

#[test]
fn titles_of_containers_and_chapters_stay_text() {
    let run = |run: &Run<'_>| {
        let escaped = |text: &str| {
            let special = |c: char| matches!(c, '=' | ';' | '#' | '\\' | '\n');
            let chars = text.chars().filter(|c| *c != '\0');
            chars.flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect::<String>()
        };
        let texts = run.texts();
        let mut metadata = format!(";FFMETADATA1\ntitle={}\n", escaped(&texts.join(" ")));
        for (n, text) in texts.iter().enumerate() {
            let times = format!("[CHAPTER]\nTIMEBASE=1/1000\nSTART={}\nEND={}\n", n * 400, n * 400 + 400);
            metadata += &(times + "title=" + &escaped(text) + "\n");
        }
        run.write("titles.txt", &metadata);
        let talk = project().join(TALK);
        let (folder, talk) = (run.setting.user.home.path(), talk.to_str().expect("UTF-8"));
        let maps = ["-map_metadata", "1", "-map_chapters", "1", "-map", "0", "-c", "copy", "talk.mkv"];
        ffmpeg_with(folder, &[&["-i", talk, "-f", "ffmetadata", "-i", "titles.txt"][..], &maps].concat());
        let words = "fixtures/talk.srt";
        run.found(
            &["summarize", &run.setting.user.path("talk.mkv"), "--interval", "5s", "--transcript", words],
            [Fault::Answer(ANSWER, "stop")],
        )
    };
    both(run, Free::default());
}

#[test]
fn names_of_files_stay_text() {
    let run = |kind: Kind<'_>| {
        let run = Run::new(kind);
        let mut names = vec![String::new()];
        for text in run.texts() {
            let text: String = text.replace(['/', '\0'], "").chars().take(100).collect();
            match names.last_mut() {
                Some(name) if name.len() + text.len() < 200 => name.push_str(&text),
                _ => names.push(text),
            }
        }
        let summarized = |name: &String| {
            let path = run.setting.user.path(&format!("{name}.jpg"));
            std::fs::copy("fixtures/picture.jpg", &path).expect("copied");
            run.found(&["summarize", &path, "--no-store"], [Fault::Answer(ANSWER, "stop")])
        };
        if kind == Kind::Honest {
            names.truncate(1);
        }
        // The folder of the results is beside the inputs.
        let n_inputs = names.len();
        let found: Vec<Found> = names.iter().map(summarized).collect();
        assert_eq!(crate::support::command::names(run.setting.user.home.path()).len(), 2 * n_inputs);
        let shapes: Vec<_> = found
            .iter()
            .map(|found| {
                let report: Value = serde_json::from_str(&found.read("report.json")).expect("JSON");
                let (elements, shown) = page(&found.read("report.html"));
                let text = found.chats[0].texts.concat() + &shown + &report.to_string();
                (
                    request_shape(&found.chats[0], false),
                    json_shape(&report),
                    elements,
                    headings(&found.read("report.md")),
                    text,
                )
            })
            .collect();
        (shapes, tag(&found[0].chats[0]))
    };
    let (honest, tag) = run(Kind::Honest);
    let (hostile, _) = run(Kind::Canaries(&tag));
    assert!(hostile.len() > 5, "{}", hostile.len());
    for (request, report, elements, levels, _) in &hostile {
        assert_same(request, &honest[0].0, "the request");
        assert_eq!((report, levels), (&honest[0].1, &honest[0].3));
        assert_same(elements, &honest[0].2, "the page");
    }
    // A path ends at its last separator, which may be a backslash.
    let end = "path 50 % off {x} [0] #1 한국어 🎬";
    assert!(honest[0].4.matches(end).count() >= 3, "{}", honest[0].4);
    assert!(!Path::new("pwned").exists());
}

#[test]
fn background_documents_stay_text() {
    let run = |run: &Run<'_>| {
        let path = run.write("notes.md", &run.texts().join("\n").replace('\0', ""));
        let words = run.write("words.srt", &format!("1\n00:00:01,000 --> 00:00:02,000\n{}\n", "a < b"));
        run.found(
            &["summarize", TALK, "--interval", "5s", "--context", &path, "--transcript", &words],
            [Fault::Answer(ANSWER, "stop")],
        )
    };
    let calm = Run::new(Kind::Honest);
    let honest = run(&calm);
    let tag = tag(&honest.chats[0]);
    let attack = Run::new(Kind::Canaries(&tag));
    check_requests(&honest, &run(&attack), Free { lines: true, answer: false });
}

#[test]
fn replies_of_models_stay_text_in_what_follows() {
    let replies = |run: &Run<'_>| {
        let texts = run.texts();
        let record = |(at, text): (usize, &String)| {
            // Quotations are compared with the speech, from which other characters are taken out.
            let is_plain = !CANARIES.get(at).unwrap_or(&"").contains(|c: char| vidgist::sanitize::is_unseen(c));
            let quote = is_plain.then_some(text);
            json!({"event": text, "frames": [], "segments": [at], "quote": quote, "on_screen_text": text, "people": [text]})
        };
        let records: Vec<Value> = texts.iter().enumerate().map(record).collect();
        let section = |(at, text): (usize, &String)| json!({"first_record": at, "title": text, "text": text});
        let sections: Vec<Value> = texts.iter().enumerate().map(section).collect();
        let leak = |text: String| -> &'static str { text.leak() };
        let records = leak(json!({"records": records}).to_string());
        (records, leak(texts.join("\n\n")), leak(json!({"sections": sections}).to_string()))
    };
    let calm = Run::new(Kind::Honest);
    let honest = of_long_recording(&calm, replies(&calm));
    let tag = tag(&honest[0].chats[0]);
    let attack = Run::new(Kind::Canaries(&tag));
    let hostile = of_long_recording(&attack, replies(&attack));
    let (lines, answer) = (true, true);
    let list = Free { lines: false, answer };
    for (at, free) in [list, list, Free { lines, answer }].into_iter().enumerate() {
        check(&honest[at], &hostile[at], free);
    }
    // Which passages are searched out depends on the text; what stands around them does not.
    let around = |found: &Found| -> BTreeSet<String> {
        let shape = request_shape(&found.chats[0], true).join("\n");
        shape.lines().map(|line| line.replace(|c: char| c.is_ascii_digit(), "0")).collect()
    };
    assert_eq!(around(&hostile[3]), around(&honest[3]));
}

/// A summary by windows; its chapters, whose first reply is broken; the summary, refined; a question.
fn of_long_recording(
    run: &Run<'_>,
    (records, answer, sections): (&'static str, &'static str, &'static str),
) -> [Found; 4] {
    let film = recording(&run.setting.user, 420);
    let words = run.subtitles(8000);
    let summarize = ["summarize", &film, "--transcript", &words];
    let reply = |text: &'static str| Fault::Answer(text, "stop");
    let summary = run.found(&summarize, [reply(records), reply(records), reply(answer)]);
    let chapters = run.found(&[&summarize[..], &["--task", "chapters"]].concat(), [reply(answer), reply(sections)]);
    let refined = run.found(&[&summarize[..], &["--refine", "shorter"]].concat(), [reply(answer)]);
    let question: Vec<String> = (0..=CANARIES.len()).map(|at| format!("n{at:02}")).collect();
    let ask = ["ask", &film, &question.join(" "), "--transcript", &words];
    let asked = run.found(&ask, [reply(answer)]);
    assert!(asked.chats[0].texts.iter().any(|text| text.contains("\nRecords:\n<data-")), "passages, not frames");
    [summary, chapters, refined, asked]
}

#[test]
fn a_value_of_a_wrong_type_stays_text_in_the_request_for_another() {
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"],
        "additionalProperties": false});
    let run = |run: &Run<'_>| {
        let path = run.write("schema.json", &schema.to_string());
        let reply = json!({"n": run.texts().join(" ")}).to_string().leak();
        run.found(&["summarize", TALK, "--interval", "5s", "--schema", &path], [Fault::Answer(reply, "stop")])
    };
    let calm = Run::new(Kind::Honest);
    let honest = run(&calm);
    let tag = tag(&honest.chats[0]);
    let attack = Run::new(Kind::Canaries(&tag));
    let hostile = run(&attack);
    let shape = |found: &Found| request_shape(&found.chats[1], false);
    assert_eq!((honest.chats.len(), shape(&hostile)), (2, shape(&honest)));
}

/// Each request that the library builds, with the texts in every place, and a fence whose number they know.
fn built(kind: Kind<'_>, fence: u32) -> Vec<Vec<Message>> {
    let texts = texts(kind);
    let mut media = sample::media();
    (media.title, media.uploader, media.description) =
        (Some(texts.join(" ")), Some(texts.join(" ")), Some(texts[0].clone()));
    let timed = |(n, text): (usize, &String)| {
        let range = TimeRange::new(at(n as i64 * 1000), at(n as i64 * 1000 + 500));
        let mut segment = Segment::new(range, text.clone());
        segment.speaker = Some(format!("{text}\n{text}"));
        segment
    };
    let segments: Vec<Segment> = texts.iter().enumerate().map(timed).collect();
    let full = sample::timeline();
    let mut transcript = full.transcript.clone().expect("a transcript");
    (transcript.segments, transcript.language) = (segments.clone(), Some(texts[0].clone()));
    let timeline = Timeline { transcript: Some(transcript.clone()), ..full.clone() };
    transcript.segments = Vec::new();
    transcript.untimed.clone_from(&texts);
    let untimed = Timeline { transcript: Some(transcript), ..full };
    let record = |(n, text): (usize, &String)| {
        let mut record = EventRecord::new(n, timeline.range, text.clone());
        record.segments = vec![n];
        (record.quote, record.on_screen_text) = (Some(text.clone()), Some(text.clone()));
        record.people = vec![text.clone(), text.clone()];
        record
    };
    let records: Vec<EventRecord> = texts.iter().enumerate().map(record).collect();
    let options = PromptSpec {
        context: vec![ContextDocument { name: texts.join(" "), text: texts[0].replace('\n', " ") }],
        refinement: Some(Refinement { answer: texts[0].replace('\n', " "), wish: "shorter".into() }),
        ..PromptSpec::default()
    };
    let answer = PartAnswer { range: timeline.range, text: Some(record_sources(&records, &segments)) };
    let passage =
        QuestionPassage { range: timeline.range, segments: &segments, first_segment_id: 0, records: records.clone() };
    let image = timeline.frames[0].image.clone();
    let caption = CaptionFrame { image, words: segments.clone() };
    let cue = |(n, text)| CueLine { number: Some(n), speaker: Some(text), text };
    let cues: Vec<CueLine<'_>> = texts.iter().map(String::as_str).enumerate().map(cue).collect();
    let translation =
        TranslationPrompt { target: "Korean".into(), source: Some(texts[0].clone()), title: Some(texts.join(" ")) };
    let evidence =
        SentenceEvidence { frames: timeline.frames.iter().collect(), lines: segments.iter().enumerate().collect() };
    let sections = build_sections(&timeline, &records, Some(&options), fence);
    let looked = [
        build_looked_speech(timeline.range, &segments, 0, fence),
        // What it repeats is the model's own.
        build_look_problem("no such tool", fence),
    ];
    let looked = vec![Message { role: vidgist::chat::Role::User, parts: looked.map(Part::Text).into() }];
    vec![
        build(&timeline, &media, &options, fence),
        build(&untimed, &media, &options, fence),
        build_again(sections.clone(), &texts.join(" "), &texts.join(" "), fence),
        sections,
        build_merge(&timeline, &[answer], &media, &options, fence),
        build_question(&timeline, &[passage], &media, &options, fence),
        build_captions(&[caption], &CaptionPrompt::default(), fence),
        build_translation(&cues, &translation, &[], fence),
        build_verification(&texts.join(" "), &evidence, fence),
        looked,
    ]
}

#[test]
fn text_that_knows_the_fence_stays_in_it_in_each_request() {
    let shapes = |kind| {
        let texts = |messages: Vec<Message>| {
            let parts = messages.into_iter().flat_map(|message| message.parts);
            let text = |part| match part {
                Part::Text(text) => outside(&text, "0badcafe", text.starts_with("Transcript of the whole file")),
                _ => "image".into(),
            };
            parts.map(text).collect::<Vec<String>>()
        };
        built(kind, 0x0bad_cafe).into_iter().map(texts).collect::<Vec<_>>()
    };
    let (honest, hostile) = (shapes(Kind::Honest), shapes(Kind::Canaries("0badcafe")));
    for (at, (hostile, honest)) in hostile.iter().zip(&honest).enumerate() {
        assert_same(hostile, honest, &format!("request {at}"));
    }
}
