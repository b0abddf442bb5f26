//! What one request cannot hold: shared out among several, nothing left out, nothing sent twice, and one answer made of
//! all.

use crate::support::fake_server;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::support::fake_server::{CHAT_MODEL, Chat, FakeServer, Fault};
use tokio_util::sync::CancellationToken;
use vidgist::analyze::{Analysis, Answerer, SpendLimit};
use vidgist::event::Event;
use vidgist::http::{ServerConfig, parse_base_url};
use vidgist::input::Source;
use vidgist::llm::catalog::CatalogEntry;
use vidgist::llm::provider::Providers;
use vidgist::llm::{ChatConfig, OpenAi, SamplingParams};
use vidgist::pipeline::summarize::{self, Summarize};
use vidgist::pipeline::{FrameOptions, TranscriptSearch};
use vidgist::report::{Format, PageOptions, Report, Status, TranscriptOutcome, render};
use vidgist::sampling::{Sampling, SamplingSpec};
use vidgist::transcribe::subtitles::Subtitles;

/// 20 s in steps of 0.87 s.
const N_FRAMES: usize = 23;

/// Groq's row takes five pictures in a request.
fn config(fake_server: &FakeServer) -> ChatConfig {
    let base_url = parse_base_url(&fake_server.base_url()).expect("an address");
    let server = ServerConfig { first_wait: Duration::from_millis(1), ..ServerConfig::new(base_url) };
    let groq = Providers::default().get("groq").expect("a row").clone();
    assert_eq!(groq.max_images, Some(5));
    ChatConfig::with_provider(groq, server, CHAT_MODEL)
}

fn analysis(config: ChatConfig) -> Analysis {
    let model = Arc::new(OpenAi::new(config).expect("a model"));
    Analysis::new(Answerer::Chat(model))
}

fn job(analysis: Analysis) -> Summarize {
    let talk = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/talk.mp4");
    let interval = "870ms".parse().expect("a time");
    let sampling = SamplingSpec { sampling: Sampling::Interval(interval), start: None, end: None, max_frames: None };
    Summarize {
        source: Source::identify(talk.to_str().expect("UTF-8")).expect("a file"),
        options: FrameOptions::new(sampling),
        transcript: TranscriptSearch {
            transcribers: vec![Arc::new(Subtitles::default())],
            is_required: true,
            ..TranscriptSearch::default()
        },
        analysis,
        dry_run: None,
        output: None,
        page: PageOptions::default(),
        returns_page: false,
        embed_chapters: None,
    }
}

async fn finish(job: Summarize) -> vidgist::Result<Report> {
    let run = vidgist::pipeline::start(CancellationToken::new(), |context| summarize::run(job, context));
    run.finish().await
}

/// The ids of the pictures, in the order in which they stand in the requests.
fn ids(chats: &[Chat]) -> Vec<u64> {
    chats.iter().flat_map(|chat| &chat.pictures).filter_map(|picture| picture.id).collect()
}

/// The chats about windows by the time of their first picture, and the others.
fn sorted(chats: Vec<Chat>) -> (Vec<Chat>, Vec<Chat>) {
    let (mut windows, merges): (Vec<_>, Vec<_>) = chats.into_iter().partition(|chat| !chat.pictures.is_empty());
    windows.sort_by_key(|chat| chat.pictures[0].id);
    (windows, merges)
}

#[tokio::test]
async fn each_frame_and_word_is_in_exactly_one_request_and_one_makes_one_answer_of_all() {
    let fake_server = FakeServer::start();
    let report = finish(job(analysis(config(&fake_server)))).await.expect("a report");
    assert_eq!(fake_server.refusals(), [""; 0]);
    let (windows, merges) = sorted(fake_server.chats());
    assert_eq!((windows.len(), merges.len()), (5, 1));
    assert_eq!(ids(&windows), (0..N_FRAMES as u64).collect::<Vec<_>>());
    assert!(windows.iter().all(|chat| (4..=5).contains(&chat.pictures.len())), "none is tiny");
    let n_words: usize = windows.iter().flat_map(|chat| &chat.pictures).map(|picture| picture.words.len()).sum();
    assert_eq!(n_words, 5, "each segment once, with its frame");

    // The same beginning, so that a provider's cache hits; then which part it is.
    for (at, chat) in windows.iter().enumerate() {
        assert_eq!(chat.json["messages"][0], windows[0].json["messages"][0]);
        assert_eq!(chat.texts[0], windows[0].texts[0]);
        let place = format!("This is part {} of 5: ", at + 1);
        assert!(chat.texts[1].starts_with(&place), "{}", chat.texts[1]);
        assert_eq!(chat.texts.last(), windows[0].texts.last(), "the same question");
    }
    // The last request holds the records, whole and in order, with their evidence and the speech that they cite.
    let asked: String = merges[0].texts.join("\n");
    let mut rest = asked.as_str();
    assert_eq!(report.records.len(), N_FRAMES);
    for (at, record) in report.records.iter().enumerate() {
        assert_eq!((record.id, record.frames.as_slice()), (at, &[at][..]));
        let line = format!("[r{at} {}] {}\nevidence: #{at}", record.range.start.label(), record.text);
        let (_, behind) = rest.split_once(&line).unwrap_or_else(|| panic!("{line} in {rest}"));
        rest = behind;
        for id in &record.segments {
            let TranscriptOutcome::Found(transcript) = &report.transcript else { panic!("words") };
            let source = format!("\ns{id}: {}\n", transcript.segments[*id].text);
            assert!(rest.contains(&source), "{source} in {rest}");
        }
    }
    assert_eq!(report.records.iter().map(|record| record.segments.len()).sum::<usize>(), 5);
    let answer = report.answer.as_ref().expect("an answer");
    assert_eq!(answer.choices[0].text, merges[0].evidence().to_string());
    assert_eq!((report.status(), report.windows.len(), report.frames.len()), (Status::Complete, 5, N_FRAMES));
    let total = report.total.expect("a sum");
    let prompt: u64 = report.windows.iter().filter_map(|window| window.usage?.prompt_tokens).sum();
    let last = answer.usage.and_then(|usage| usage.prompt_tokens).expect("counted");
    assert_eq!((total.n_answers, total.usage.prompt_tokens), (6, Some(prompt + last)));
    assert_eq!(report.windows[0].range.start, report.sampling.range.start);
    assert_eq!(report.windows[4].range.end, report.sampling.range.end);
    let text = render(&report, Format::Markdown).expect("text");
    assert!(text.contains("- Sent as 5 windows, then merged:\n  - 00:00:00.000 to "), "{text}");
    assert!(text.contains("- Total: 6 answers; tokens: "), "{text}");
}

#[tokio::test]
async fn one_window_without_an_answer_makes_the_result_partial_and_names_its_time() {
    let fake_server = FakeServer::start();
    fake_server.then_succeed();
    fake_server.fail_with([Fault::Param(None, "no")]);
    let report = finish(job(Analysis { concurrency: 1, ..analysis(config(&fake_server)) })).await.expect("a report");
    let (windows, merges) = sorted(fake_server.chats());
    assert_eq!((windows.len(), merges.len()), (5, 1));
    let failed = report.windows[1].range;
    let gaps = report.gaps();
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(gaps[0].what, format!("the records of {} to {}", failed.start, failed.end));
    assert!(gaps[0].why.contains("400"), "{gaps:?}");
    assert!(report.answer.is_some() && report.status() == Status::Partial);
    let no_answer = format!("[{} to {}] no records", failed.start.label(), failed.end.label());
    assert!(merges[0].texts.join("\n").contains(&no_answer), "{:?}", merges[0].texts);
}

#[tokio::test]
async fn a_stopped_run_has_what_was_answered_and_asks_nothing_more() {
    let fake_server = FakeServer::start();
    fake_server.then_succeed();
    fake_server.fail_with([Fault::SlowDrip(Duration::from_millis(1)), Fault::SlowDrip(Duration::from_mins(1))]);
    let cancel = CancellationToken::new();
    let job = job(Analysis { concurrency: 2, ..analysis(config(&fake_server)) });
    let mut run = vidgist::pipeline::start(cancel.clone(), |context| summarize::run(job, context));
    while let Some(event) = run.next_event().await {
        // The second and the third are in flight; the second still comes, the third never does.
        if matches!(event, Event::Window { n_done: 1 }) {
            cancel.cancel();
        }
    }
    let report = run.finish().await.expect("a report");
    let texts: Vec<bool> = report.windows.iter().map(|window| window.n_records.is_some()).collect();
    assert!(texts[0] && !texts[3] && !texts[4] && texts.len() == 5, "{texts:?}");
    assert!(fake_server.seen().len() <= 3, "nothing was asked after the stop");
    assert!(report.was_stopped && report.status() == Status::Partial && report.answer.is_none());
    let text = render(&report, Format::Markdown).expect("text");
    assert!(text.contains("\n## Records\n\n- 00:00:00.000: Mark "), "{text}");
    assert!(text.contains("the run was stopped before this request was sent"), "{text}");
}

#[tokio::test]
async fn without_any_answer_the_reason_is_reported_once() {
    let fake_server = FakeServer::start();
    fake_server.fail_with(std::iter::repeat_n(Fault::Param(None, "no"), 5));
    let report = finish(job(analysis(config(&fake_server)))).await.expect("a report");
    assert_eq!(fake_server.seen().len(), 5, "nothing is made of no answers");
    let gaps = report.gaps();
    assert_eq!((gaps.len(), gaps[0].what.as_str()), (1, "the answer"), "{gaps:?}");
    assert_eq!(report.windows.iter().filter(|window| window.no_answer_because.is_some()).count(), 5);
}

#[tokio::test]
async fn answers_that_cannot_be_made_one_are_in_the_report() {
    let fake_server = FakeServer::start();
    (0..5).for_each(|_| fake_server.then_succeed());
    fake_server.fail_with([Fault::Param(None, "no")]);
    let report = finish(job(analysis(config(&fake_server)))).await.expect("a report");
    assert!(report.answer.is_none() && report.no_answer_because.is_some());
    let text = render(&report, Format::Markdown).expect("text");
    assert_eq!(text.matches(": Mark ").count(), N_FRAMES, "{text}");
}

#[tokio::test]
async fn what_the_server_finds_too_long_is_halved() {
    let refusals = [
        Fault::Status(413),
        Fault::Refuse(
            400,
            r#"{"error":{"message":"Too long","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
        ),
        Fault::Refuse(
            400,
            r#"{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error","n_prompt_tokens":9000,"n_ctx":4096}}"#,
        ),
        Fault::Refuse(
            400,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"}}"#,
        ),
        Fault::Refuse(
            400,
            r#"{"object":"error","message":"At most 1 image(s) may be provided in one request.","type":"BadRequestError","code":400}"#,
        ),
    ];
    for refusal in refusals {
        let fake_server = FakeServer::start();
        // The last window is halved, and its first half again. Later windows would be halved before they are sent.
        (0..4).for_each(|_| fake_server.then_succeed());
        fake_server.fail_with([refusal.clone(), refusal.clone()]);
        let report =
            finish(job(Analysis { concurrency: 1, ..analysis(config(&fake_server)) })).await.expect("a report");
        let answered: Vec<Chat> = fake_server
            .seen()
            .into_iter()
            .filter(|seen| seen.fault.is_none())
            .filter_map(|seen| if let fake_server::What::Chat(chat) = seen.what { Some(chat) } else { None })
            .collect();
        let (windows, merges) = sorted(answered);
        assert_eq!((windows.len(), merges.len()), (7, 1), "{refusal:?}");
        assert_eq!(ids(&windows), (0..N_FRAMES as u64).collect::<Vec<_>>(), "{refusal:?}");
        assert_eq!((report.windows.len(), report.status()), (7, Status::Complete), "{refusal:?}");
        for pair in report.windows.windows(2) {
            assert_eq!(pair[0].range.end, pair[1].range.start);
        }
    }
}

#[tokio::test]
async fn a_server_that_refuses_every_length_ends_the_run() {
    let fake_server = FakeServer::start();
    fake_server.fail_with(std::iter::repeat_n(Fault::Status(413), 1000));
    let report = finish(job(analysis(config(&fake_server)))).await.expect("a report");
    // Down to single frames and single words: 28 things, and each cut that led there.
    assert!(fake_server.seen().len() <= 60, "{}", fake_server.seen().len());
    assert!(report.answer.is_none());
}

#[tokio::test]
async fn one_request_that_is_too_long_becomes_two() {
    let fake_server = FakeServer::start();
    fake_server.fail_with([Fault::Status(413)]);
    let mut config = config(&fake_server);
    config.provider.max_images = None;
    config.provider.max_body_bytes = None;
    let report = finish(job(analysis(config))).await.expect("a report");
    let sizes: Vec<usize> = report.windows.iter().map(|window| window.n_frames).collect();
    assert_eq!((sizes, fake_server.seen().len()), (vec![11, 12], 4));
    assert_eq!(report.status(), Status::Complete);
}

#[tokio::test]
async fn bytes_and_tokens_limit_a_request_too() {
    let fake_server = FakeServer::start();
    let mut by_bytes = config(&fake_server);
    by_bytes.provider.max_images = None;
    by_bytes.limits.max_request_image_bytes = 100_000;
    let report = finish(job(analysis(by_bytes))).await.expect("a report");
    let (windows, _) = sorted(fake_server.chats());
    assert!(windows.len() > 1, "{} windows", windows.len());
    for chat in &windows {
        let first = chat.pictures[0].id.expect("an id") as usize;
        let n_bytes: usize = report.frames[first..first + chat.pictures.len()].iter().map(|f| f.size_bytes).sum();
        assert!(n_bytes <= 100_000, "{n_bytes}");
    }
    assert_eq!(ids(&windows).len(), N_FRAMES);

    // One frame in each request, and more answers than the last one holds: made one in two steps.
    let fake_server = FakeServer::start();
    let mut by_tokens = config(&fake_server);
    by_tokens.facts = Some(CatalogEntry { context: Some(2000), ..CatalogEntry::default() });
    by_tokens.params = SamplingParams { max_tokens: Some(500), ..SamplingParams::default() };
    let report = finish(job(analysis(by_tokens))).await.expect("a report");
    let (windows, merges) = sorted(fake_server.chats());
    assert_eq!(ids(&windows), (0..N_FRAMES as u64).collect::<Vec<_>>());
    for merge in &merges {
        let n_bytes: usize = merge.texts.iter().map(String::len).sum();
        assert!(n_bytes / 4 <= 1500, "a merge request of {n_bytes} bytes");
    }
    assert!(windows.len() >= 12 && merges.len() > 1, "{} and {}", windows.len(), merges.len());
    assert_eq!(report.total.map(|total| total.n_answers), Some(windows.len() + merges.len()));
    assert_eq!(report.status(), Status::Complete);
}

#[tokio::test]
async fn a_run_stops_before_it_crosses_its_limit() {
    let fake_server = FakeServer::start();
    // This server counts Base64 as text, many times what formulas say: the plan fits, what comes does not.
    let allowance = SpendLimit { tokens: Some(60_000), ..SpendLimit::default() };
    let report = finish(job(Analysis { concurrency: 1, spend_limit: allowance, ..analysis(config(&fake_server)) }))
        .await
        .expect("a report");
    let spent = report.total.and_then(|total| Some(total.usage.prompt_tokens? + total.usage.completion_tokens?));
    let n_asked = fake_server.seen().len();
    assert!((1..6).contains(&n_asked), "{n_asked} requests");
    let refused: Vec<_> = report.windows.iter().filter_map(|window| window.no_answer_because.as_deref()).collect();
    assert!(!refused.is_empty(), "{spent:?}");
    assert!(refused.iter().all(|why| why.contains("exceed its limit of 60000 tokens")), "{refused:?}");
    assert_eq!(report.status(), Status::Partial);
    // Past the limit by one answer that was longer than expected at most.
    let largest = report.windows.iter().filter_map(|window| window.usage?.prompt_tokens).max().expect("one");
    assert!(spent.expect("counted") <= 60_000 + largest, "{spent:?}");
}

#[tokio::test]
async fn a_plan_within_a_limit_of_tokens_looks_at_fewer_frames() {
    let fake_server = FakeServer::start();
    let allowance = SpendLimit { tokens: Some(12_000), ..SpendLimit::default() };
    let report =
        finish(job(Analysis { spend_limit: allowance, ..analysis(config(&fake_server)) })).await.expect("a report");
    assert!((8..N_FRAMES).contains(&report.frames.len()), "{}", report.frames.len());
    let expected = format!("{} of {N_FRAMES} frames are used", report.frames.len());
    assert_eq!(report.changes, std::slice::from_ref(&expected));
    assert!(render(&report, Format::Markdown).expect("text").contains(&expected));
    // The frames still cover the whole range.
    assert!(report.frames.last().expect("frames").time >= "18s".parse().expect("a time"));
    let allowance = SpendLimit { tokens: Some(100), ..SpendLimit::default() };
    let error = finish(job(Analysis { spend_limit: allowance, ..analysis(config(&fake_server)) }))
        .await
        .expect_err("too little")
        .to_string();
    assert!(error.starts_with("the token limit of the run: 100 tokens is less than the minimum"), "{error}");
}
