//! The same calls through the official Python SDKs and through vidgist: what reaches the server is the same, but for
//! what is listed here. The server that both ask is the strict one, so that it is held against the SDKs as well.

use crate::support::python;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::fake_server::{CHAT_MODEL, FakeServer, HEARING_MODEL, Seen, What};
use serde_json::{Value, json};
use vidgist::chat::{Message, Part, Role};
use vidgist::http::{ServerConfig, parse_base_url};
use vidgist::limits::Limits;
use vidgist::llm::batch::{BatchEnd, Created};
use vidgist::llm::provider::Providers;
use vidgist::llm::{ChatConfig, ChatRequest, Detail, ResponseFormat, SamplingParams, StreamSink, connect};
use vidgist::media::{EncodedImage, ImageFormat, Ratio};
use vidgist::source::Source;
use vidgist::time::Timestamp;
use vidgist::transcribe::Transcriber as _;
use vidgist::transcribe::api::{ApiTranscriber, ApiTranscriberConfig};

const KEY: &str = "sk-canary-7f3a9b2c1d";

/// What vidgist alone sends: the call, the key, the value, and why.
const OURS_ALONE: [(&str, &str, Value, &str); 2] = [
    ("chat", "store", Value::Bool(false), "the SDK leaves it to the account's setting whether the pictures are kept"),
    ("streamed chat", "store", Value::Bool(false), "as above"),
];

/// The calls in their order.
const CALLS: [&str; 5] = ["chat", "streamed chat", "transcription", "message", "streamed message"];

/// Headers that differ for Anthropic: the SDK's name and value, and ours. Anthropic's documentation has ours, as its SDK
/// had before version 2.
const OF_ANTHROPIC: [[(&str, &str); 2]; 2] = [
    [("authorization", "Bearer sk-canary-7f3a9b2c1d"), ("x-api-key", KEY)],
    [("anthropic-version", "2026-10-21"), ("anthropic-version", "2023-06-01")],
];

/// Headers that carry meaning. The SDKs' others name the SDK, its version and the machine (`x-stainless-*`), which is
/// nobody's business.
const HEADERS: [&str; 4] = ["authorization", "x-api-key", "anthropic-version", "content-type"];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

fn messages() -> Vec<Message> {
    let text = |text: &str| Part::Text(text.into());
    let picture = |name: &str, format| {
        let (pts, time) = (Timestamp::ZERO, Timestamp::ZERO);
        let bytes = std::fs::read(fixture(name)).expect(name).into();
        Part::Image(EncodedImage { frame_idx: 0, pts, time, width: 320, height: 180, format, bytes })
    };
    let parts = vec![
        text("[t=00:01.5 #0]"),
        picture("picture.jpg", ImageFormat::Jpeg),
        picture("picture.png", ImageFormat::Png),
        text("Says \"Über\"?\n🎞"),
    ];
    vec![Message { role: Role::System, parts: vec![text("Rules")] }, Message { role: Role::User, parts }]
}

fn server(fake_server: &FakeServer) -> ServerConfig {
    let base_url = parse_base_url(&fake_server.base_url()).expect("an address");
    ServerConfig { api_key: Some(KEY.into()), max_retries: 0, ..ServerConfig::new(base_url) }
}

/// Asks whole, then streamed.
async fn ask(fake_server: &FakeServer, provider: &str, params: SamplingParams) {
    let provider = Providers::default().get(provider).expect("a row").clone();
    let config = ChatConfig::with_provider(provider, server(fake_server), CHAT_MODEL);
    let model = connect(ChatConfig { params, ..config }).expect("a model");
    let schema = json!({"type": "object", "properties": {"mark": {"type": "integer"}}, "required": ["mark"],
        "additionalProperties": false});
    let format = ResponseFormat::json_schema("marks", schema).expect("a schema");
    for live in [None, Some(StreamSink(&|_| {}))] {
        let messages = messages();
        let question = ChatRequest { response_format: Some(&format), stream: live, ..ChatRequest::new(&messages) };
        let answer = model.complete(&question).await.expect("an answer");
        assert_eq!(answer.dropped_params, [""; 0]);
    }
}

async fn ask_all(fake_server: &FakeServer, sound: &Path) {
    // This SDK of Anthropic's has neither temperature nor top_p any more.
    let common = SamplingParams {
        max_tokens: Some(800),
        reasoning_effort: Some("low".into()),
        stop: vec!["END".into()],
        ..SamplingParams::default()
    };
    let of_openai = SamplingParams {
        temperature: Some(0.25),
        top_p: Some(0.5),
        n: Some(2),
        seed: Some(-7),
        stop: vec!["END".into(), "\n\n".into()],
        detail: Some(Detail::High),
        ..common.clone()
    };
    ask(fake_server, "openai", of_openai).await;
    let config = ApiTranscriberConfig {
        word_times: true,
        language: Some("en".into()),
        prompt: Some("Vidgist".into()),
        ..ApiTranscriberConfig::new(server(fake_server), HEARING_MODEL)
    };
    let source = Source::identify(sound.to_str().expect("UTF-8")).expect("sound");
    let media = vidgist::probe::probe(&source, Ratio::ONE, &Limits::default()).expect("sound");
    ApiTranscriber::new(config)
        .expect("a transcriber")
        .transcribe(vidgist::transcribe::TranscriptionInput::new(sound, &media), &|_| {})
        .await
        .expect("words");
    ask(fake_server, "anthropic", common).await;
}

/// What was sent, in a form that does not depend on the order of keys or fields, without what is listed.
fn sent(call: &str, seen: &Seen, is_ours: bool) -> Value {
    let mut body = match &seen.what {
        What::Chat(chat) => chat.json.clone(),
        What::Sound(sound) => {
            let mut fields = sound.fields.clone();
            fields.sort();
            json!({"fields": fields, "mime": sound.mime, "rate": sound.rate_hz, "seconds": sound.seconds})
        }
        other => panic!("{call}: {other:?}"),
    };
    for (_, key, value, why) in OURS_ALONE.iter().filter(|(of, ..)| is_ours && *of == call) {
        assert_eq!(body.as_object_mut().expect("an object").remove(*key).as_ref(), Some(value), "{call}: {why}");
    }
    let mut compared = HEADERS.to_vec();
    for pair in OF_ANTHROPIC.iter().filter(|_| call.ends_with("message")) {
        let (name, value) = pair[usize::from(is_ours)];
        assert_eq!(seen.header(name), Some(value), "{call}: {name}");
        compared.retain(|name| pair.iter().all(|(listed, _)| listed != name));
    }
    let header = |name: &&'static str| {
        let value = seen.header(name).map(|value| value.split("boundary=").next().unwrap_or(value).to_owned());
        (*name, value)
    };
    json!({"method": seen.method, "path": seen.path, "headers": compared.iter().map(header).collect::<Vec<_>>(),
        "body": body})
}

#[tokio::test]
async fn requests_equal_those_of_the_official_sdks() {
    let Some(python) = python::python_for("sdk") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let sound = folder.path().join("sound.flac");
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-nostdin", "-i"]).arg(fixture("speech.wav")).args(["-ac", "1", "-ar", "16000"]);
    let made = ffmpeg.args(["-sample_fmt", "s16"]).arg(&sound).status().expect("ffmpeg is installed");
    assert!(made.success());
    let fake_server = FakeServer::start_with_key(KEY);
    let asked = Command::new(python)
        .env_clear()
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk/ask.py"))
        .args([&format!("http://{}", fake_server.address()), KEY])
        .args([&sound, &fixture("picture.jpg"), &fixture("picture.png")])
        .output()
        .expect("Python");
    assert!(asked.status.success(), "{}\n{:?}", String::from_utf8_lossy(&asked.stderr), fake_server.refusals());
    ask_all(&fake_server, &sound).await;
    assert_eq!(fake_server.refusals(), [""; 0]);
    let seen = fake_server.seen();
    let (theirs, ours) = seen.split_at(CALLS.len());
    assert_eq!(ours.len(), CALLS.len());
    for ((call, theirs), ours) in CALLS.iter().zip(theirs).zip(ours) {
        assert!(sent(call, ours, true) == sent(call, theirs, false), "{}", difference(call, theirs, ours));
    }
}

/// Sends two questions as a batch, and fetches the answers.
async fn batch(fake_server: &FakeServer, provider: &str) {
    let provider = Providers::default().get(provider).expect("a row").clone();
    let config = ChatConfig::with_provider(provider, server(fake_server), CHAT_MODEL);
    let params = SamplingParams { max_tokens: Some(50), ..SamplingParams::default() };
    let model = connect(ChatConfig { params, ..config }).expect("a model");
    let api = model.batch_api().expect("its provider has one");
    let folder = tempfile::tempdir().expect("a folder");
    let (requests, results) = (folder.path().join("requests.jsonl"), folder.path().join("results.jsonl"));
    let mut file = BufWriter::new(File::create(&requests).expect("a file"));
    for number in 0..2 {
        let text = format!("Über {number}?\n🎞");
        let messages = [Message { role: Role::User, parts: vec![Part::Text(text)] }];
        let body = model.request_body(&ChatRequest::new(&messages)).expect("a request");
        api.write_request(&format!("request-{number}"), &body, &mut file).expect("written");
    }
    file.into_inner().expect("written");
    let input_file = api.upload(&requests).await.expect("an upload");
    let batch = api.create(input_file.as_deref(), &requests).await.expect("a batch");
    let Created::Batch(batch) = batch else { panic!("{batch:?}") };
    let listed = api.list().await.expect("a list");
    assert!(listed.len() == 1 && listed[0].id == batch && listed[0].n_requests == Some(2), "{listed:?}");
    let state = api.status(&batch).await.expect("a state");
    let Some(BatchEnd::Results(files)) = state.end else { panic!("{state:?}") };
    for file in &files {
        api.download(file, &results).await.expect("results");
    }
    let text = std::fs::read_to_string(&results).expect("results");
    let mut answers: Vec<_> = text.lines().map(|line| api.read_line(line).expect("a result")).collect();
    answers.sort_by(|(a, _), (b, _)| a.cmp(b));
    let ids: Vec<&str> = answers.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["request-0", "request-1"]);
    assert!(answers.iter().all(|(_, answer)| answer.as_ref().is_ok_and(|answer| answer.usage.is_some())));
    for file in input_file.iter().chain(&files) {
        api.delete(file).await.expect("deleted");
    }
}

/// The steps of batches: what was done where, and the JSON that was sent.
fn steps(fake_server: &FakeServer) -> Vec<Value> {
    let step = |seen: &Seen| {
        let json: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
        // The SDKs name the type of a body that they do not send, when they delete.
        let kind = seen.header("content-type").filter(|_| seen.method == "POST");
        let kind = kind.map(|kind| kind.split(';').next().unwrap_or(kind).to_owned());
        // vidgist asks for more of a list than the 20 that come by themselves.
        let path = seen.path.trim_end_matches("?limit=100");
        json!({"method": seen.method, "path": path, "content-type": kind, "body": json})
    };
    fake_server.seen().iter().map(step).collect()
}

#[tokio::test]
async fn batches_are_sent_as_the_official_sdks_send_them() {
    let Some(python) = python::python_for("sdk") else { return };
    let (theirs, ours) = (FakeServer::start_with_key(KEY), FakeServer::start_with_key(KEY));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk/batch.py");
    let mut command = Command::new(python);
    command.env_clear().arg(script).args([&format!("http://{}", theirs.address()), KEY]);
    let asked = command.output().expect("Python");
    assert!(asked.status.success(), "{}\n{:?}", String::from_utf8_lossy(&asked.stderr), theirs.refusals());
    batch(&ours, "openai").await;
    batch(&ours, "anthropic").await;
    assert_eq!((theirs.refusals(), ours.refusals()), (vec![], vec![]));
    let chats = |fake_server: &FakeServer| -> Vec<Value> {
        let without_store = |mut json: Value| {
            // The one thing that vidgist adds: see `OURS_ALONE`.
            json.as_object_mut().expect("an object").remove("store");
            json
        };
        fake_server.batched().into_iter().map(|chat| without_store(chat.json)).collect()
    };
    assert_eq!(chats(&ours), chats(&theirs));
    // The SDK of Anthropic's looks for the address of the results once more, which vidgist does not follow.
    let mut of_sdk = steps(&theirs);
    of_sdk.dedup();
    assert_eq!(steps(&ours), of_sdk);
    assert_eq!((ours.n_left(), theirs.n_left()), ((0, 1), (0, 1)), "nothing stays there");
}

/// Both, pictures shortened.
fn difference(call: &str, theirs: &Seen, ours: &Seen) -> String {
    fn short(value: &mut Value) {
        match value {
            Value::String(text) if text.len() > 60 => *text = format!("{}…", text.chars().take(60).collect::<String>()),
            Value::Array(values) => values.iter_mut().for_each(short),
            Value::Object(object) => object.values_mut().for_each(short),
            _ => {}
        }
    }
    let [mut theirs, mut ours] = [sent(call, theirs, false), sent(call, ours, true)];
    short(&mut theirs);
    short(&mut ours);
    format!("{call}\nSDK:     {theirs:#}\nvidgist: {ours:#}")
}
