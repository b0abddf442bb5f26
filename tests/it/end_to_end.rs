//! From the file to the answer: what a model behind the API is shown is what the file holds, at the time that the label
//! claims. The truth is the pts that another program listed and the mark that each frame carries.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::support::fake_server::{CHAT_MODEL, Chat, FakeServer, Fault, HEARING_MODEL, Spoken};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use vidgist::analyze::{Analysis, Answerer};
use vidgist::event::Event;
use vidgist::http::{ServerConfig, parse_base_url};
use vidgist::input::Source;
use vidgist::llm::catalog::CatalogEntry;
use vidgist::llm::{ChatConfig, OpenAi};
use vidgist::pipeline::summarize::{self, Summarize};
use vidgist::pipeline::{FrameOptions, Run, TranscriptSearch};
use vidgist::report::{PageOptions, Report};
use vidgist::sampling::{Sampling, SamplingSpec};
use vidgist::transcribe::Transcriber;
use vidgist::transcribe::api::{ApiTranscriber, ApiTranscriberConfig};
use vidgist::transcribe::subtitles::Subtitles;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// A frame: microseconds from the container's start, rounded down, and its mark.
type Frame = (i64, u32);

/// The frames of a fixture's first video stream, as `truth.json` has them.
fn frames(name: &str) -> Vec<Frame> {
    let text = std::fs::read_to_string(fixture("truth.json")).expect("truth.json");
    let truth: Value = serde_json::from_str(&text).expect("JSON");
    let clip = &truth["good"][name];
    let streams = clip["streams"].as_array().expect(name);
    let video = streams.iter().find(|stream| stream["type"] == "video").expect("a video stream");
    let (num, den) = video["time_base"].as_str().and_then(|base| base.split_once('/')).expect("a time base");
    let (num, den): (i64, i64) = (num.parse().expect("a number"), den.parse().expect("a number"));
    let start_us = clip["start_us"].as_i64().expect("a start");
    let listed: Vec<(i64, u32)> = serde_json::from_value(video["frames"].clone()).expect("frames");
    listed.into_iter().map(|(pts, mark)| ((pts * num * 1_000_000).div_euclid(den) - start_us, mark)).collect()
}

/// What is expected of sampling every `interval_us` from the first frame to the end of the last one, which lasts
/// `last_us`: the frames on the screen at those moments, each once.
fn sampled(frames: &[Frame], interval_us: i64, last_us: i64) -> Vec<Frame> {
    let (first, last) = (frames[0].0, frames[frames.len() - 1].0);
    let points = (0..).map(|n| first + n * interval_us).take_while(|point| *point < last + last_us);
    let mut shown: Vec<Frame> =
        points.map(|point| *frames.iter().rev().find(|frame| frame.0 <= point).expect("a frame")).collect();
    shown.dedup();
    shown
}

/// `MM:SS.s`, rounded down.
fn label(us: i64) -> String {
    let tenths = us.div_euclid(100_000);
    format!("{:02}:{:02}.{}", tenths / 600, tenths / 10 % 60, tenths % 10)
}

fn server(fake_server: &FakeServer) -> ServerConfig {
    let base_url = parse_base_url(&fake_server.base_url()).expect("an address");
    ServerConfig { first_wait: Duration::from_millis(1), ..ServerConfig::new(base_url) }
}

fn job(fake_server: &FakeServer, name: &str, interval_ms: i64, transcribers: Vec<Arc<dyn Transcriber>>) -> Summarize {
    let mut config = ChatConfig::new(server(fake_server), CHAT_MODEL);
    // All in one request, however many frames there are.
    config.facts = Some(CatalogEntry { context: Some(1_000_000), ..CatalogEntry::default() });
    let interval = format!("{interval_ms}ms").parse().expect("a time");
    let sampling = SamplingSpec { sampling: Sampling::Interval(interval), start: None, end: None, max_frames: None };
    let model = Arc::new(OpenAi::new(config).expect("a model"));
    Summarize {
        source: Source::identify(fixture(name).to_str().expect("UTF-8")).expect(name),
        options: FrameOptions::new(sampling),
        transcript: TranscriptSearch { transcribers, is_required: true, ..TranscriptSearch::default() },
        analysis: Analysis::new(Answerer::Chat(model)),
        dry_run: None,
        output: None,
        page: PageOptions::default(),
        returns_page: false,
        embed_chapters: None,
    }
}

fn start(job: Summarize) -> Run<Report> {
    vidgist::pipeline::start(CancellationToken::new(), |context| summarize::run(job, context))
}

fn subtitles() -> Vec<Arc<dyn Transcriber>> {
    vec![Arc::new(Subtitles::default())]
}

fn hearing(fake_server: &FakeServer) -> Vec<Arc<dyn Transcriber>> {
    let config = ApiTranscriberConfig::new(server(fake_server), HEARING_MODEL);
    vec![Arc::new(ApiTranscriber::new(config).expect("a transcriber"))]
}

/// Runs to the end: the report, and how many frames the events told of.
async fn finish(job: Summarize) -> (Report, usize) {
    let mut run = start(job);
    let mut n_frames = 0;
    while let Some(event) = run.next_event().await {
        n_frames += usize::from(matches!(event, Event::Frame { .. }));
    }
    (run.finish().await.expect("a report"), n_frames)
}

/// Runs one clip; gives the report and the one chat that the model was sent.
async fn tell(fake_server: &FakeServer, job: Summarize) -> (Report, Chat) {
    let n_before = fake_server.chats().len();
    let (report, n_frames) = finish(job).await;
    assert_eq!(fake_server.refusals(), [""; 0]);
    assert_eq!(report.no_answer_because, None);
    assert!(report.missing.is_empty(), "{:?}", report.missing);
    let mut chats = fake_server.chats();
    assert_eq!(chats.len(), n_before + 1, "one request");
    let chat = chats.pop().expect("a chat");
    assert_eq!(n_frames, chat.pictures.len());
    let answer = report.answer.as_ref().expect("an answer");
    assert_eq!(answer.choices[0].text, chat.evidence().to_string());
    (report, chat)
}

/// Each picture shows the frame whose time its label claims, and all that were asked for are there.
fn assert_shows(chat: &Chat, expected: &[Frame], name: &str) {
    let got: Vec<_> = chat.pictures.iter().map(|picture| (picture.time.clone(), picture.id, picture.mark)).collect();
    let expected: Vec<_> =
        (0..).zip(expected).map(|(id, (us, mark))| (Some(label(*us)), Some(id), Some(*mark))).collect();
    let differs = got.iter().zip(&expected).find(|(got, expected)| got != expected);
    assert_eq!(differs, None, "{name}: (label, id, mark), got and expected");
    assert_eq!(got.len(), expected.len(), "{name}: pictures");
}

#[tokio::test]
async fn each_picture_shows_the_frame_that_its_label_claims() {
    // Name, interval in ms, length of the last frame in us. 370 ms is in step with no frame rate. The last frames
    // of the vfr clips have no length of their own: it is taken from their mean rate, 120 frames in 7.765 s.
    let table = [
        ("vfr.mp4", 370, 64_700),
        ("vfr.mp4", 50, 64_700),
        ("vfr.mkv", 370, 64_700),
        ("one-fps.mp4", 370, 1_000_000),
        ("ntsc.mp4", 370, 33_366),
        ("offset.ts", 370, 40_000),
        ("offset.ts", 1000, 40_000),
        ("offset.mp4", 370, 40_000),
        ("offset.mkv", 370, 40_000),
        ("edit-list.mp4", 370, 40_000),
        ("open-gop.ts", 370, 40_000),
        ("intra-refresh.mp4", 370, 40_000),
        ("one-gop.mp4", 370, 40_000),
        ("rotated-90.mp4", 370, 40_000),
        ("rotated-180.mp4", 370, 40_000),
        ("wide-pixels-rotated-90.mp4", 370, 40_000),
        ("sound-early.mp4", 370, 40_000),
        ("still.mp4", 1000, 40_000),
        ("hevc-10bit.mkv", 370, 40_000),
        ("vp9-opus.webm", 370, 40_000),
        ("animated.gif", 370, 100_000),
    ];
    let fake_server = FakeServer::start();
    for (name, interval_ms, last_us) in table {
        let (report, chat) = tell(&fake_server, job(&fake_server, name, interval_ms, Vec::new())).await;
        let expected = sampled(&frames(name), interval_ms * 1000, last_us);
        assert_shows(&chat, &expected, name);
        assert_eq!(report.sampling.n_planned, Some(expected.len()), "{name}");
        assert_eq!(report.frames.len(), expected.len(), "{name}");
        assert!(chat.words_before.is_empty() && chat.pictures.iter().all(|picture| picture.words.is_empty()), "{name}");
        assert!(chat.pictures.iter().all(|picture| picture.mime.as_deref() == Some("image/jpeg")), "{name}");
    }
}

#[tokio::test]
async fn a_turned_picture_is_sent_upright_and_in_its_shape() {
    let fake_server = FakeServer::start();
    for (name, size) in [
        ("rotated-90.mp4", (240, 426)),
        ("rotated-270.mp4", (320, 180)),
        ("wide-pixels.mp4", (320, 180)),
        ("wide-pixels-rotated-90.mp4", (180, 320)),
        ("cropped.mp4", (322, 242)),
    ] {
        let (_, chat) = tell(&fake_server, job(&fake_server, name, 1000, Vec::new())).await;
        assert!(chat.pictures.iter().all(|p| p.size == size && p.mark.is_some()), "{name}: {:?}", chat.pictures);
    }
}

fn cue(time: &str, text: &str) -> Spoken {
    Spoken { id: None, time: time.into(), text: text.into() }
}

/// The words of each passage, the part before the first picture first, without the passages that have none.
fn words(chat: &Chat) -> Vec<(Option<String>, Vec<Spoken>)> {
    let lines = chat.words_before.iter().chain(chat.pictures.iter().flat_map(|picture| &picture.words));
    assert!(lines.enumerate().all(|(at, line)| line.id == Some(at as u64)), "IDs count the segments: {chat:?}");
    let without_ids =
        |words: &[Spoken]| -> Vec<Spoken> { words.iter().map(|line| Spoken { id: None, ..line.clone() }).collect() };
    let before = (None, without_ids(&chat.words_before));
    let after = chat.pictures.iter().map(|picture| (picture.time.clone(), without_ids(&picture.words)));
    std::iter::once(before).chain(after).filter(|(_, words)| !words.is_empty()).collect()
}

const TALK: [(&str, &str); 5] = [
    ("00:00.3", "A red square slides to the right over a blue field."),
    ("00:04.2", "In the second shot a white ball bounces in front of a sunset."),
    ("00:08.2", "Here a black disc crosses the green chessboard."),
    ("00:12.2", "Two green squares meet in the middle of the yellow stripes."),
    ("00:16.2", "At last the hand of a dial turns once, and the film ends."),
];

#[tokio::test]
async fn words_stand_after_the_frame_at_which_they_are_said() {
    let fake_server = FakeServer::start();
    let (report, chat) = tell(&fake_server, job(&fake_server, "talk.mp4", 1000, subtitles())).await;
    assert_shows(&chat, &sampled(&frames("talk.mp4"), 1_000_000, 40_000), "talk.mp4");
    let expected: Vec<_> = ["00:00.0", "00:04.0", "00:08.0", "00:12.0", "00:16.0"]
        .iter()
        .zip(TALK)
        .map(|(frame, (time, text))| (Some((*frame).to_owned()), vec![cue(time, text)]))
        .collect();
    assert_eq!(words(&chat), expected);
    let told: Vec<&str> =
        report.frames.iter().filter_map(|frame| frame.speech.as_deref()).filter(|w| !w.is_empty()).collect();
    assert_eq!(told, TALK.map(|(_, text)| text));

    // Every 5 s: two utterances begin between two frames.
    let (_, chat) = tell(&fake_server, job(&fake_server, "talk.mp4", 5000, subtitles())).await;
    let of = |which: &[usize]| which.iter().map(|at| cue(TALK[*at].0, TALK[*at].1)).collect::<Vec<_>>();
    let expected = [("00:00.0", of(&[0, 1])), ("00:05.0", of(&[2])), ("00:10.0", of(&[3])), ("00:15.0", of(&[4]))];
    assert_eq!(words(&chat), expected.map(|(frame, words)| (Some(frame.to_owned()), words)));
}

#[tokio::test]
async fn words_inside_the_file_are_on_the_clock_of_its_pictures() {
    let fake_server = FakeServer::start();
    // The sound of the third begins 46 ms before the picture, its encoder's priming: the clock's zero.
    for (name, frames_at) in [
        ("subs-mov_text.mp4", ["00:00.0", "00:04.0"]),
        ("subs-subrip.mkv", ["00:00.0", "00:04.0"]),
        ("subs-offset.mkv", ["00:00.0", "00:04.0"]),
    ] {
        let (_, chat) = tell(&fake_server, job(&fake_server, name, 1000, subtitles())).await;
        assert_shows(&chat, &sampled(&frames(name), 1_000_000, 40_000), name);
        let expected: Vec<_> = frames_at
            .iter()
            .zip(TALK)
            .map(|(frame, (time, text))| (Some((*frame).to_owned()), vec![cue(time, text)]))
            .collect();
        assert_eq!(words(&chat), expected, "{name}");
    }
}

#[tokio::test]
async fn speech_follows_the_frame_at_its_time() {
    let fake_server = FakeServer::start();
    // The sound starts 0.7 s after the picture, and its first words 0.3 s later; the second ones at 4.9 s.
    let (_, chat) = tell(&fake_server, job(&fake_server, "sound-late.mkv", 370, hearing(&fake_server))).await;
    assert_shows(&chat, &sampled(&frames("sound-late.mkv"), 370_000, 40_000), "sound-late.mkv");
    let heard = words(&chat);
    let places: Vec<_> = heard.iter().map(|(frame, words)| (frame.as_deref(), words[0].time.as_str())).collect();
    // The frames at 0.74 and at 4.81 s.
    assert_eq!(places, [(Some("00:00.7"), "00:00.9"), (Some("00:04.8"), "00:04.8")], "{heard:?}");

    // The sound starts 0.7 s before the picture: its first words are said before there is one.
    let (_, chat) = tell(&fake_server, job(&fake_server, "sound-early.mp4", 1000, hearing(&fake_server))).await;
    assert_shows(&chat, &sampled(&frames("sound-early.mp4"), 1_000_000, 40_000), "sound-early.mp4");
    let heard = words(&chat);
    let places: Vec<_> = heard.iter().map(|(frame, words)| (frame.as_deref(), words[0].time.as_str())).collect();
    assert_eq!(places, [(None, "00:00.3"), (Some("00:03.6"), "00:04.2")], "{heard:?}");
}

#[tokio::test]
async fn a_server_that_fails_once_changes_nothing_but_the_number_of_attempts() {
    let fake_server = FakeServer::start();
    let (plain, chat) = tell(&fake_server, job(&fake_server, "talk.mp4", 1000, subtitles())).await;
    for fault in
        [Fault::Status(500), Fault::ResetBefore, Fault::ResetMidReply, Fault::CutJson, Fault::RateLimit("0.01")]
    {
        fake_server.fail_with([fault.clone()]);
        let (mut report, _) = finish(job(&fake_server, "talk.mp4", 1000, subtitles())).await;
        let [.., first, second] = &fake_server.seen()[..] else { panic!("two requests") };
        assert_eq!(first.body, second.body, "{fault:?}");
        assert_eq!(fake_server.chats().pop().expect("a chat").json, chat.json, "{fault:?}");
        let answer = report.answer.as_mut().expect("an answer");
        assert_eq!(answer.n_attempts, 2, "{fault:?}");
        answer.n_attempts = 1;
        report.timings.clone_from(&plain.timings);
        assert_eq!(format!("{report:?}"), format!("{plain:?}"), "{fault:?}");
    }
}

#[tokio::test]
async fn a_server_that_never_answers_leaves_frames_and_words() {
    let fake_server = FakeServer::start();
    fake_server.fail_with([Fault::Quota]);
    let (report, n_frames) = finish(job(&fake_server, "talk.mp4", 1000, subtitles())).await;
    assert_eq!((report.frames.len(), n_frames, fake_server.seen().len()), (20, 20, 1));
    assert!(report.answer.is_none());
    let reason = report.no_answer_because.expect("a reason");
    assert!(reason.contains("no credit"), "{reason}");
}

#[tokio::test]
async fn a_streamed_answer_arrives_in_pieces_and_restarts_after_a_break() {
    let fake_server = FakeServer::start();
    fake_server.fail_with([Fault::HalfStream]);
    let mut job = job(&fake_server, "talk.mp4", 5000, subtitles());
    job.analysis.is_streamed = true;
    let mut run = start(job);
    let (mut text, mut n_pieces, mut n_restarts) = (String::new(), 0, 0);
    while let Some(event) = run.next_event().await {
        match event {
            Event::Text { text: piece } => {
                text.push_str(&piece);
                n_pieces += 1;
            }
            Event::TextRestarted => {
                text.clear();
                n_restarts += 1;
            }
            _ => {}
        }
    }
    let report = run.finish().await.expect("a report");
    let answer = report.answer.as_ref().expect("an answer");
    assert_eq!((n_restarts, answer.n_attempts), (1, 2));
    assert_eq!(text, answer.choices[0].text);
    // More than the queue of events holds: none is lost while a reader is slow.
    assert!(n_pieces > 64, "{n_pieces}");
    assert_eq!(fake_server.refusals(), [""; 0]);
}
