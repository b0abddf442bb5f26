//! The clients of the API against a server that is stricter than it: what they send, and what they make of every way
//! in which a server can fail.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use crate::support::fake_server::{CHAT_MODEL, DIARIZING_MODEL, FakeServer, Fault, HEARING_MODEL, TEXT_ONLY_MODEL};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use vidgist::chat::{ChatResponse, FinishReason, Message, Part, Role};
use vidgist::http::{ServerConfig, parse_base_url};
use vidgist::limits::Limits;
use vidgist::llm::{ChatConfig, ChatModel as _, ChatRequest, OpenAi, SamplingParams};
use vidgist::media::{EncodedImage, ImageFormat, MediaInfo, Ratio};
use vidgist::source::Source;
use vidgist::time::{TimeRange, Timestamp};
use vidgist::transcribe::api::{ApiTranscriber, ApiTranscriberConfig};
use vidgist::transcribe::{Transcriber as _, TranscriptionInput, TranscriptionOutcome};
use vidgist::transcript::{Transcript, TranscriptSource};
use vidgist::{Error, ErrorKind};

/// In no text that leaves the process but the header.
const KEY: &str = "sk-canary-7f3a9b2c1d";

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

fn server(fake_server: &FakeServer, key: Option<&str>) -> ServerConfig {
    ServerConfig {
        api_key: key.map(Into::into),
        first_wait: Duration::from_millis(1),
        max_retries: 2,
        ..ServerConfig::new(parse_base_url(&fake_server.base_url()).expect("an address"))
    }
}

fn config(server: ServerConfig) -> ChatConfig {
    ChatConfig::new(server, CHAT_MODEL)
}

fn picture(name: &str, format: ImageFormat) -> Part {
    Part::Image(EncodedImage {
        frame_idx: 0,
        pts: Timestamp::ZERO,
        time: Timestamp::ZERO,
        width: 320,
        height: 180,
        format,
        bytes: std::fs::read(fixture(name)).expect(name).into(),
    })
}

fn messages() -> Vec<Message> {
    let text = |text: &str| Part::Text(text.into());
    vec![
        Message { role: Role::System, parts: vec![text("Rules: \"quoted\"\n\u{1b}é 🎞")] },
        Message {
            role: Role::User,
            parts: vec![
                text("[t=00:01.5 #0]"),
                picture("picture.jpg", ImageFormat::Jpeg),
                picture("picture.png", ImageFormat::Png),
                Part::ImageUrl("https://host.example/a.jpg?x=1&y=\"2\"".into()),
                text("Task"),
            ],
        },
    ]
}

async fn ask(config: ChatConfig) -> vidgist::Result<ChatResponse> {
    let _range = TimeRange::new(Timestamp::ZERO, Timestamp::ZERO);
    let messages = messages();
    OpenAi::new(config)?.complete(&ChatRequest::new(&messages)).await
}

fn data_url(mime: &str, name: &str) -> String {
    format!("data:{mime};base64,{}", STANDARD.encode(std::fs::read(fixture(name)).expect(name)))
}

#[tokio::test]
async fn a_request_without_options_is_exactly_this() {
    let fake_server = FakeServer::start_with_key(KEY);
    let answer = ask(config(server(&fake_server, Some(KEY)))).await.expect("an answer");
    let expected = format!(
        concat!(
            r#"{{"model":"fake-chat","messages":[{{"role":"system","content":"Rules: \"quoted\"\n\u001bé 🎞"}},"#,
            r#"{{"role":"user","content":[{{"type":"text","text":"[t=00:01.5 #0]"}},"#,
            r#"{{"type":"image_url","image_url":{{"url":"{}"}}}},{{"type":"image_url","image_url":{{"url":"{}"}}}},"#,
            r#"{{"type":"image_url","image_url":{{"url":"https://host.example/a.jpg?x=1&y=\"2\""}}}},"#,
            r#"{{"type":"text","text":"Task"}}]}}]}}"#
        ),
        data_url("image/jpeg", "picture.jpg"),
        data_url("image/png", "picture.png")
    );
    let seen = fake_server.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(String::from_utf8_lossy(&seen[0].body), expected);
    assert_eq!(seen[0].header("authorization"), Some("Bearer sk-canary-7f3a9b2c1d"));
    assert_eq!(seen[0].header("content-length"), Some(expected.len().to_string().as_str()));
    assert_eq!((answer.n_attempts, answer.choices.len()), (1, 1));
    assert_eq!(answer.choices[0].finish, FinishReason::Stop);
    assert_eq!(answer.model.as_deref(), Some(CHAT_MODEL));
    assert_eq!(answer.usage.and_then(|usage| usage.prompt_tokens), Some(expected.len().div_ceil(4) as u64));
    let told: Value = serde_json::from_str(&answer.choices[0].text).expect("JSON");
    let marks: Vec<&Value> = told["pictures"].as_array().expect("pictures").iter().map(|p| &p["mark"]).collect();
    assert_eq!(marks, [&Value::from(7), &Value::from(7), &Value::Null]);
}

#[tokio::test]
async fn each_parameter_is_sent_where_it_is_set_and_only_there() {
    type Set = fn(&mut SamplingParams);
    let table: [(Set, &str); 7] = [
        (|p| p.temperature = Some(0.1), r#","temperature":0.1}"#),
        (|p| p.temperature = Some(0.0), r#","temperature":0.0}"#),
        (|p| p.max_tokens = Some(300), r#","max_tokens":300}"#),
        (|p| p.top_p = Some(0.5), r#","top_p":0.5}"#),
        (|p| p.n = Some(2), r#","n":2}"#),
        (|p| p.stop = vec!["END".into(), "\n\n".into()], r#","stop":["END","\n\n"]}"#),
        (|p| p.seed = Some(-7), r#","seed":-7}"#),
    ];
    let fake_server = FakeServer::start();
    ask(config(server(&fake_server, None))).await.expect("an answer");
    let plain = String::from_utf8(fake_server.seen()[0].body.clone()).expect("UTF-8");
    let mut all = config(server(&fake_server, None));
    for (at, (set, expected)) in table.into_iter().enumerate() {
        let mut one = config(server(&fake_server, None));
        set(&mut one.params);
        set(&mut all.params);
        let n_wanted = one.params.n.unwrap_or(1) as usize;
        assert_eq!(ask(one).await.expect(expected).choices.len(), n_wanted, "{expected}");
        let sent = String::from_utf8(fake_server.seen()[at + 1].body.clone()).expect("UTF-8");
        assert_eq!(sent, format!("{}{expected}", plain.strip_suffix('}').expect("an object")));
    }
    ask(all).await.expect("all at once");
    let sent = fake_server.chats().pop().expect("a chat").json;
    assert_eq!(sent.as_object().map(serde_json::Map::len), Some(8), "model, messages and six parameters");
    assert!(fake_server.seen().iter().all(|seen| seen.header("authorization").is_none()));
}

/// What comes of faults, each followed by the right answer: the attempts, and a word of the answer or of the error.
struct Outcome {
    faults: Vec<Fault>,
    n_attempts: usize,
    result: Result<&'static str, &'static str>,
}

fn outcomes() -> Vec<Outcome> {
    let again = |fault: Fault| Outcome { faults: vec![fault], n_attempts: 2, result: Ok("\"mark\":7") };
    let final_one = |fault: Fault, result| Outcome { faults: vec![fault], n_attempts: 1, result };
    let thrice = |fault: Fault, word| Outcome { faults: vec![fault; 3], n_attempts: 3, result: Err(word) };
    vec![
        again(Fault::RateLimit("0.01")),
        again(Fault::RateLimit("soon")),
        again(Fault::Status(500)),
        again(Fault::Status(503)),
        again(Fault::Html(502)),
        again(Fault::ResetBefore),
        again(Fault::ResetMidReply),
        again(Fault::CutJson),
        again(Fault::TooShort),
        again(Fault::TooLong),
        Outcome { faults: vec![Fault::Status(500), Fault::ResetBefore], n_attempts: 3, result: Ok("\"mark\":7") },
        thrice(
            Fault::Status(500),
            "500 Internal Server Error: The server had an error (tried 3 times); try again later",
        ),
        thrice(Fault::RateLimit("0"), "Rate limit reached for requests (tried 3 times)"),
        thrice(Fault::Html(502), "502 Bad Gateway: A gateway Hello (tried 3 times)"),
        thrice(Fault::ResetBefore, "the connection broke"),
        thrice(Fault::ResetMidReply, "the connection broke"),
        thrice(Fault::TooShort, "the connection broke"),
        thrice(Fault::CutJson, "is not complete JSON"),
        final_one(Fault::RateLimit("121"), Err("requests a wait of 121 s")),
        final_one(Fault::Quota, Err("the account has no credit")),
        final_one(Fault::Status(400), Err("400 Bad Request")),
        final_one(Fault::Status(403), Err("403 Forbidden")),
        final_one(Fault::Html(200), Err("the reply is a web page, not JSON")),
        final_one(Fault::NoChoices, Err("`choices` is empty")),
        final_one(Fault::LengthEmpty, Err("raise the token limit of an answer")),
        final_one(Fault::NullContent, Err("the answer is empty")),
        final_one(Fault::Refusal, Ok("I cannot.")),
        final_one(Fault::ContentFilter, Ok("")),
        // A drip is slow, not broken.
        final_one(Fault::SlowDrip(Duration::ZERO), Ok("\"mark\":7")),
    ]
}

#[tokio::test]
async fn every_fault_has_its_outcome() {
    for Outcome { faults, n_attempts, result } in outcomes() {
        let fake_server = FakeServer::start_with_key(KEY);
        fake_server.fail_with(faults.clone());
        let answered = ask(config(server(&fake_server, Some(KEY)))).await;
        match (&answered, result) {
            (Ok(answer), Ok(word)) => {
                assert!(answer.choices[0].text.contains(word), "{faults:?}: {answer:?}");
                assert_eq!(answer.n_attempts as usize, n_attempts, "{faults:?}");
            }
            (Err(error @ Error { kind: ErrorKind::Service, .. }), Err(word)) => {
                assert!(error.to_string().contains(word), "{faults:?}: {error}");
            }
            _ => panic!("{faults:?}: {answered:?}, expected {result:?}"),
        }
        let seen = fake_server.seen();
        assert_eq!(seen.len(), n_attempts, "{faults:?}");
        assert!(seen.iter().all(|one| one.body == seen[0].body), "{faults:?}: a retry is the same request");
        assert_eq!(fake_server.refusals(), [""; 0], "{faults:?}");
        if let Ok(answer) = answered {
            let expected = match faults[0] {
                Fault::Refusal => FinishReason::Refusal,
                Fault::ContentFilter => FinishReason::ContentFilter,
                _ => FinishReason::Stop,
            };
            assert_eq!(answer.choices[0].finish, expected, "{faults:?}");
        }
    }
}

#[tokio::test]
async fn a_drip_that_outlasts_the_try_is_a_timeout() {
    let fake_server = FakeServer::start();
    fake_server.fail_with([Fault::SlowDrip(Duration::from_millis(20))]);
    let timeout = Duration::from_millis(250);
    let patient = ServerConfig { timeout, ..server(&fake_server, None) };
    assert_eq!(ask(config(patient)).await.expect("the second try").n_attempts, 2);
    fake_server.fail_with([Fault::SlowDrip(Duration::from_millis(20))]);
    let hasty = ServerConfig { timeout, max_retries: 0, ..server(&fake_server, None) };
    let error = ask(config(hasty)).await.expect_err("a timeout").to_string();
    assert!(error.contains("no answer after 0.25 s; raise the timeout"), "{error}");
}

#[tokio::test]
async fn a_reply_is_read_up_to_its_limit() {
    let fake_server = FakeServer::start();
    let limited = |max_reply_bytes| config(ServerConfig { max_reply_bytes, ..server(&fake_server, None) });
    fake_server.fail_with([Fault::Huge(1 << 20), Fault::Huge(1 << 20)]);
    ask(limited(2 << 20)).await.expect("it fits");
    let error = ask(limited(1 << 20)).await.expect_err("too large");
    assert!(
        matches!(error, Error { kind: ErrorKind::Limit, .. })
            && error.to_string().contains("larger than 1048576 bytes"),
        "{error}"
    );
    assert_eq!(fake_server.seen().len(), 2, "the size is no moment's trouble");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (fake_server, other) = (FakeServer::start_with_key(KEY), FakeServer::start());
    let targets = [format!("{}/chat/completions", other.base_url()), "/v1/models".into(), String::new()];
    // 301 to 303 turn a POST into a GET without the body, which clients follow most readily.
    for (status, target) in
        [301, 302, 303, 307, 308].iter().flat_map(|status| targets.iter().map(move |t| (*status, t)))
    {
        let n_before = fake_server.seen().len();
        fake_server.fail_with([Fault::Redirect(status, target.clone())]);
        let error = ask(config(server(&fake_server, Some(KEY)))).await.expect_err("a redirect").to_string();
        assert!(error.contains(&status.to_string()) && error.contains("not followed"), "{status} {target}: {error}");
        assert_eq!(fake_server.seen().len(), n_before + 1, "{status} {target}");
    }
    fake_server.fail_with([Fault::Redirect(303, targets[0].clone())]);
    let hearing = ApiTranscriberConfig::new(server(&fake_server, Some(KEY)), HEARING_MODEL);
    let error = hear(hearing, "speech.wav").await.expect_err("a redirect").to_string();
    assert!(error.contains("303 See Other") && error.contains("not followed"), "{error}");
    assert!(other.seen().is_empty(), "nothing went to the other host");
}

#[tokio::test]
async fn a_refused_request_reports_the_servers_message() {
    let fake_server = FakeServer::start_with_key(KEY);
    let unknown = ChatConfig { model: "gpt-99".into(), ..config(server(&fake_server, Some(KEY))) };
    let error = ask(unknown).await.expect_err("no such model").to_string();
    assert!(
        error.contains("The model `gpt-99` does not exist")
            && error.ends_with("check the base URL, or check the model")
    );
    let error = ask(config(server(&fake_server, None))).await.expect_err("no key").to_string();
    assert!(error.contains("401") && error.ends_with("set OPENAI_API_KEY"), "{error}");
    let error = ask(config(server(&fake_server, Some("sk-wrong")))).await.expect_err("a wrong key").to_string();
    assert!(error.contains("401") && error.ends_with("check the key in OPENAI_API_KEY"), "{error}");
    assert_eq!(fake_server.seen().len(), 3, "none is worth another try");
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|bound| bound.local_addr()).expect("a free port");
    let closed = ServerConfig {
        base_url: format!("http://{free}/v1").parse().expect("an address"),
        ..server(&fake_server, None)
    };
    let error = ask(config(closed)).await.expect_err("nobody listens").to_string();
    assert!(error.contains("cannot connect") && error.contains("tried 3 times"), "{error}");
}

/// All that is logged by anything in this process, at TRACE.
fn log() -> Arc<Mutex<Vec<u8>>> {
    #[derive(Clone)]
    struct Sink(Arc<Mutex<Vec<u8>>>);
    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("a log").extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    static LOG: OnceLock<Arc<Mutex<Vec<u8>>>> = OnceLock::new();
    let log = LOG.get_or_init(|| {
        let log = Arc::new(Mutex::new(Vec::new()));
        let sink = Sink(Arc::clone(&log));
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || sink.clone())
            .init();
        log
    });
    Arc::clone(log)
}

#[tokio::test]
async fn the_key_is_in_no_error_debug_text_or_log() {
    let log = log();
    let mut texts = Vec::new();
    for fault in [
        Fault::EchoKey(401),
        Fault::EchoKey(400),
        Fault::EchoKey(500),
        Fault::RateLimit("0"),
        Fault::ResetBefore,
        Fault::ResetMidReply,
        Fault::CutJson,
        Fault::Html(200),
        Fault::Redirect(303, format!("http://{KEY}:{KEY}@127.0.0.1:1/?key={KEY}")),
    ] {
        let fake_server = FakeServer::start_with_key(KEY);
        fake_server.fail_with(vec![fault.clone(); 3]);
        let config = config(server(&fake_server, Some(KEY)));
        texts.push(format!("{config:?} {:?} {:?}", config.server, OpenAi::new(config.clone()).expect("a model")));
        let error = ask(config).await.expect_err("a fault");
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(error) = cause {
            texts.push(format!("{error} {error:?} {error:#?}"));
            cause = error.source();
        }
        assert!(
            fake_server.seen().iter().all(|seen| seen.header("authorization").is_some_and(|value| value.contains(KEY)))
        );
    }
    let fake_server = FakeServer::start_with_key(KEY);
    let hearing = ApiTranscriberConfig::new(server(&fake_server, Some(KEY)), HEARING_MODEL);
    texts.push(format!("{hearing:?} {:?}", ApiTranscriber::new(hearing.clone()).expect("a transcriber")));
    fake_server.fail_with([Fault::EchoKey(500), Fault::EchoKey(401)]);
    let error = hear(hearing, "speech.wav").await.expect_err("a fault");
    texts.push(format!("{error} {error:?}"));

    texts.push(String::from_utf8(log.lock().expect("a log").clone()).expect("UTF-8"));
    for text in &texts {
        assert!(!text.contains(KEY), "{text}");
    }
    let log = texts.last().expect("the log");
    // What must be in it, so that its silence on the key tells something.
    for expected in ["request id req-fake-server", "attempt 2 of 3", "TRACE", "[key]"] {
        assert!(log.contains(expected), "{expected} is not in the log:\n{log}");
    }
}

/// What is said of a panic, its message and its place.
fn panicked(work: impl FnOnce()) -> String {
    static SAID: Mutex<String> = Mutex::new(String::new());
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|info| *SAID.lock().expect("a text") = info.to_string()));
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    std::panic::set_hook(hook);
    assert!(outcome.is_err(), "it panics");
    std::mem::take(&mut SAID.lock().expect("a text"))
}

#[test]
fn the_key_is_in_no_panic() {
    let fake_server = FakeServer::start_with_key(KEY);
    let config = config(server(&fake_server, Some(KEY)));
    // Whoever unwraps a result prints what is in it.
    let of_config = panicked(|| panic!("{config:?}"));
    let of_model = panicked(|| panic!("{:?}", OpenAi::new(config.clone())));
    fake_server.fail_with(vec![Fault::EchoKey(401); 3]);
    let of_error = panicked(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(ask(config.clone())).expect("an answer");
    });
    for (said, expected) in [(of_config, "base_url"), (of_model, "OpenAi"), (of_error, "401 Unauthorized")] {
        assert!(said.contains(expected) && !said.contains(KEY), "{said}");
    }
}

fn probe(name: &str) -> MediaInfo {
    let source = Source::identify(name).expect(name);
    vidgist::probe::probe(&source, Ratio::ONE, &Limits::default()).expect(name)
}

async fn transcript(config: ApiTranscriberConfig, path: &Path) -> vidgist::Result<Transcript> {
    let model = config.model.clone();
    let media = probe(path.to_str().expect("UTF-8"));
    let found = ApiTranscriber::new(config)?.transcribe(TranscriptionInput::new(path, &media), &|_| {}).await?;
    let TranscriptionOutcome::Found(transcript) = found else { panic!("there is sound: {found:?}") };
    assert_eq!(transcript.source, TranscriptSource::Api { model });
    Ok(transcript)
}

/// The segments in seconds, and the language.
async fn hear(config: ApiTranscriberConfig, name: &str) -> vidgist::Result<(Vec<(f64, f64, String)>, Option<String>)> {
    let transcript = transcript(config, &fixture(name)).await?;
    let segments = transcript.segments.into_iter();
    let segments = segments.map(|s| (s.range.start.secs_f64(), s.range.end.secs_f64(), s.text)).collect();
    Ok((segments, transcript.language))
}

/// The cues of `talk.srt` in seconds.
const TALK: [(f64, f64); 5] = [(0.3, 2.996), (4.2, 7.555), (8.2, 10.578), (12.2, 15.093), (16.2, 19.664)];

/// Steps of 0.02 s, the soft first and last sounds of an utterance (a breathed `h` or `s`), and AAC that smears it.
const TOLERANCE_SECONDS: f64 = 0.12;

fn assert_near(heard: &[(f64, f64, String)], expected: &[(f64, f64)], what: &str) {
    assert_eq!(heard.len(), expected.len(), "{what}: {heard:?}");
    for ((from, to, text), expected) in heard.iter().zip(expected) {
        let is_near = (from - expected.0).abs() < TOLERANCE_SECONDS && (to - expected.1).abs() < TOLERANCE_SECONDS;
        assert!(is_near, "{what}: {from:.3} to {to:.3} ({text}), expected {expected:?}");
    }
}

#[tokio::test]
async fn words_come_back_at_the_time_when_they_were_said() {
    let fake_server = FakeServer::start();
    let config = ApiTranscriberConfig::new(server(&fake_server, None), HEARING_MODEL);
    let (whole, language) = hear(config.clone(), "talk.mp4").await.expect("words");
    assert_near(&whole, &TALK, "in one piece");
    assert_eq!(language.as_deref(), Some("english"));
    assert_eq!(fake_server.sounds().len(), 1);
    assert_eq!(fake_server.sounds()[0].rate_hz, 16_000);

    // A pause lies in the last third of each 5 s, where it is looked for.
    let small = ApiTranscriberConfig { max_piece: Duration::from_secs(5), ..config };
    let (in_pieces, _) = hear(small, "talk.mp4").await.expect("words");
    assert_near(&in_pieces, &TALK, "in pieces");
    let pieces = &fake_server.sounds()[1..];
    assert_eq!(pieces.len(), 5, "{pieces:?}");
    assert!(pieces.iter().all(|piece| piece.seconds <= 5.0 && piece.mime == "audio/flac"), "{pieces:?}");
    let seconds: f64 = pieces.iter().map(|piece| piece.seconds).sum();
    assert!((seconds - fake_server.sounds()[0].seconds).abs() < 1e-9, "no sample is lost or sent twice");
    assert!(fake_server.refusals().is_empty(), "{:?}", fake_server.refusals());
}

#[tokio::test]
async fn words_are_put_on_the_clock_of_the_picture() {
    // The same narration: 0.3 s after the sound's start, which is the clock's zero in the second alone. In the first its
    // 5 s cut the second utterance off.
    let table = [
        ("sound-late.mkv", vec![(1.0, 3.7), (4.9, 5.018)]),
        ("sound-early.mp4", vec![(0.3, 2.996), (4.2, 5.7)]),
        ("offset.mkv", vec![(0.347, 3.046)]),
    ];
    let fake_server = FakeServer::start();
    for (name, expected) in table {
        let (heard, _) =
            hear(ApiTranscriberConfig::new(server(&fake_server, None), HEARING_MODEL), name).await.expect(name);
        assert_near(&heard, &expected, name);
    }
    assert!(fake_server.refusals().is_empty(), "{:?}", fake_server.refusals());
}

#[tokio::test]
async fn a_model_without_times_is_requested_as_text() {
    let fake_server = FakeServer::start();
    let config = ApiTranscriberConfig::new(server(&fake_server, None), TEXT_ONLY_MODEL);
    let config = ApiTranscriberConfig { max_piece: Duration::from_secs(4), ..config };
    let (heard, _) = hear(config, "speech.wav").await.expect("words");
    assert_eq!((heard.len(), fake_server.refusals().len()), (2, 1), "{heard:?} {:?}", fake_server.refusals());
    assert!(heard[0].0.abs() < 1e-9 && (heard[0].1 - heard[1].0).abs() < 1e-9, "each piece is a segment: {heard:?}");
    assert_eq!(fake_server.seen().len(), 3, "the refusal is not met again for the second piece");
}

#[tokio::test]
async fn a_piece_that_fails_is_reported_with_its_time() {
    let fake_server = FakeServer::start();
    let config = ApiTranscriberConfig::new(server(&fake_server, None), HEARING_MODEL);
    let config = ApiTranscriberConfig {
        max_piece: Duration::from_secs(5),
        language: Some("en".into()),
        prompt: Some("Vidgist".into()),
        ..config
    };
    fake_server.fail_with([Fault::Status(500)]);
    assert_eq!(hear(config.clone(), "talk.mp4").await.expect("a retry").0.len(), 5);
    let form = &fake_server.sounds()[0].fields;
    let expected = [
        ("model", HEARING_MODEL),
        ("language", "en"),
        ("prompt", "Vidgist"),
        ("response_format", "verbose_json"),
        ("timestamp_granularities[]", "segment"),
    ];
    assert_eq!(*form, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    fake_server.then_succeed();
    fake_server.fail_with([Fault::Status(400)]);
    let error = hear(config, "talk.mp4").await.expect_err("a refusal").to_string();
    let (_, time) = error.split_once("audio from 00:00:0").expect(&error);
    assert!(time.contains(" to 00:00:0") && time.contains("400 Bad Request"), "{error}");
}

/// The narration of `talk.mp4` so many times over, as a file, 20 s each.
fn long_talk(folder: &Path, n_times: &str) -> PathBuf {
    let path = folder.join("long.wav");
    let mut ffmpeg = std::process::Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-nostdin", "-stream_loop", n_times, "-i"]).arg(fixture("talk.mp4"));
    assert!(ffmpeg.args(["-vn", "-ac", "1", "-ar", "16000"]).arg(&path).status().expect("ffmpeg").success());
    path
}

#[tokio::test]
async fn pieces_are_long_once_the_server_has_shown_that_it_has_times() {
    let (fake_server, folder) = (FakeServer::start(), tempfile::tempdir().expect("a folder"));
    let talk = long_talk(folder.path(), "5");
    let heard =
        transcript(ApiTranscriberConfig::new(server(&fake_server, None), HEARING_MODEL), &talk).await.expect("words");
    assert_eq!(heard.segments.len(), 6 * TALK.len(), "{heard:?}");
    let seconds: Vec<f64> = fake_server.sounds().iter().map(|sound| sound.seconds).collect();
    assert!(matches!(seconds[..], [20.0..=30.0, 90.0..=100.0]), "{seconds:?}");
    let bytes: f64 = fake_server.sounds().iter().map(|sound| sound.n_bytes as f64).sum();
    let share = bytes / (seconds.iter().sum::<f64>() * 32_000.0);
    // 0.47 of PCM was measured: 24 MB are 26 minutes.
    assert!(share < 0.6, "{share}");

    // Text alone: each piece is a segment, none longer than half a minute.
    let before = fake_server.sounds().len();
    let heard =
        transcript(ApiTranscriberConfig::new(server(&fake_server, None), TEXT_ONLY_MODEL), &talk).await.expect("words");
    let pieces = &fake_server.sounds()[before..];
    assert!(pieces.len() >= 4 && pieces.iter().all(|piece| piece.seconds <= 30.0), "{pieces:?}");
    assert_eq!((heard.segments.len(), fake_server.refusals().len()), (pieces.len(), 1), "{:?}", fake_server.refusals());
    let joined = heard.segments.windows(2).all(|two| two[0].range.end == two[1].range.start);
    assert!(joined, "each piece keeps its time: {heard:?}");
}

#[tokio::test]
async fn words_have_times_if_requested() {
    let fake_server = FakeServer::start();
    let config = ApiTranscriberConfig {
        word_times: true,
        ..ApiTranscriberConfig::new(server(&fake_server, None), HEARING_MODEL)
    };
    let small = ApiTranscriberConfig { max_piece: Duration::from_secs(5), ..config.clone() };
    for config in [config, small] {
        let heard = transcript(config, &fixture("talk.mp4")).await.expect("words");
        assert_eq!(heard.segments.len(), TALK.len());
        for (segment, expected) in heard.segments.iter().zip(TALK) {
            let words: Vec<&str> = segment.words.iter().map(|word| word.text.as_str()).collect();
            assert_eq!(words.join(" "), segment.text);
            let (first, last) = (&segment.words[0].range, &segment.words[4].range);
            assert!((first.start.secs_f64() - expected.0).abs() < TOLERANCE_SECONDS, "{segment:?}");
            assert!((last.end.secs_f64() - expected.1).abs() < TOLERANCE_SECONDS, "{segment:?}");
        }
    }
    // A model that has none: one refusal, and text.
    let config = ApiTranscriberConfig::new(server(&fake_server, None), TEXT_ONLY_MODEL);
    let heard =
        transcript(ApiTranscriberConfig { word_times: true, ..config }, &fixture("speech.wav")).await.expect("words");
    assert!(heard.segments.iter().all(|segment| segment.words.is_empty()), "{heard:?}");
    assert_eq!(fake_server.refusals().len(), 1, "{:?}", fake_server.refusals());
}

#[tokio::test]
async fn a_model_that_diarizes_gives_speakers() {
    let fake_server = FakeServer::start();
    let config = ApiTranscriberConfig::new(server(&fake_server, None), DIARIZING_MODEL);
    let speakers = async |config: ApiTranscriberConfig| {
        let segments = transcript(config, &fixture("talk.mp4")).await.expect("words").segments;
        segments.into_iter().map(|segment| segment.speaker.expect("a name")).collect::<Vec<_>>()
    };
    assert_eq!(speakers(config.clone()).await, ["A", "B", "A", "B", "A"]);
    // The A of the second piece is another A.
    let config = ApiTranscriberConfig { max_piece: Duration::from_secs(12), prompt: Some("x".into()), ..config };
    let told = speakers(config).await;
    assert_eq!(told.len(), 5);
    assert!(told[0] == "A" && told[4].ends_with(" (part 2)"), "{told:?}");
    assert_eq!(fake_server.refusals(), [""; 0]);
}
