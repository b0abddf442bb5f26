//! Answers that come in pieces, parameters that a model does not take, Anthropic's and Ollama's own APIs, and whether a
//! server read all of the question.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::fake_server::{CHAT_MODEL, FakeServer, Fault};
use crate::support::recorder::recorder;
use serde_json::{Value, json};
use vidgist::chat::{ChatResponse, FinishReason, Message, Part, Role};
use vidgist::http::{ServerConfig, parse_base_url};
use vidgist::llm::catalog::CatalogEntry;
use vidgist::llm::provider::Providers;
use vidgist::llm::{
    ChatConfig, ChatModel, ChatRequest, Detail, ResponseFormat, SamplingParams, StreamSink, StreamUpdate, connect,
};
use vidgist::media::{EncodedImage, ImageFormat};
use vidgist::time::Timestamp;
use vidgist::{Error, ErrorKind};

const KEY: &str = "sk-canary-7f3a9b2c1d";

fn config(provider: &str, fake_server: &FakeServer) -> ChatConfig {
    let provider = Providers::default().get(provider).expect("a row").clone();
    let is_keyed = provider.needs_key;
    let server = ServerConfig {
        api_key: is_keyed.then(|| KEY.into()),
        first_wait: Duration::from_millis(1),
        max_retries: 2,
        ..ServerConfig::new(parse_base_url(&fake_server.base_url()).expect("an address"))
    };
    ChatConfig::with_provider(provider, server, CHAT_MODEL)
}

fn picture(name: &str, format: ImageFormat, side: u32) -> Part {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
    let bytes = std::fs::read(path).expect(name).into();
    let (pts, time) = (Timestamp::ZERO, Timestamp::ZERO);
    Part::Image(EncodedImage { frame_idx: 0, pts, time, width: side, height: side, format, bytes })
}

fn messages() -> Vec<Message> {
    let text = |text: &str| Part::Text(text.into());
    let parts = vec![
        text("[t=00:01.5 #0]"),
        picture("picture.jpg", ImageFormat::Jpeg, 320),
        text("[t=00:02.5 #1]"),
        picture("picture.png", ImageFormat::Png, 320),
        text("Ünd die Aufgabe 🎞"),
    ];
    vec![Message { role: Role::System, parts: vec![text("Rules")] }, Message { role: Role::User, parts }]
}

/// What was read along: the pieces joined, a bar where the answer began anew.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<String>>);

impl Heard {
    fn text(&self) -> String {
        self.0.lock().expect("no panic").clone()
    }
}

async fn put(
    model: &dyn ChatModel,
    messages: &[Message],
    heard: Option<&Heard>,
    format: Option<&ResponseFormat>,
) -> vidgist::Result<ChatResponse> {
    let hear = |text: StreamUpdate<'_>| {
        let text = if let StreamUpdate::Piece(text) = text { text } else { "|" };
        heard.expect("it is live").0.lock().expect("no panic").push_str(text);
    };
    let live = heard.map(|_| StreamSink(&hear));
    model.complete(&ChatRequest { stream: live, response_format: format, ..ChatRequest::new(messages) }).await
}

async fn ask(config: ChatConfig, heard: Option<&Heard>) -> vidgist::Result<ChatResponse> {
    put(connect(config)?.as_ref(), &messages(), heard, None).await
}

/// The dialects, by a provider that speaks them.
const DIALECTS: [&str; 3] = ["openai", "anthropic", "ollama"];

fn fake_server(provider: &str) -> FakeServer {
    if provider == "ollama" { FakeServer::start() } else { FakeServer::start_with_key(KEY) }
}

#[tokio::test]
async fn an_answer_in_pieces_is_the_answer_in_one() {
    for provider in DIALECTS {
        let fake_server = fake_server(provider);
        let whole = ask(config(provider, &fake_server), None).await.expect(provider);
        let heard = Heard::default();
        let pieces = ask(config(provider, &fake_server), Some(&heard)).await.expect(provider);
        assert_eq!(fake_server.refusals(), [""; 0], "{provider}");
        let told: Value = serde_json::from_str(&whole.choices[0].text).expect("JSON");
        let seen: Vec<(&Value, &Value)> =
            told["pictures"].as_array().expect("pictures").iter().map(|p| (&p["id"], &p["mark"])).collect();
        assert_eq!(seen, [(&json!(0), &json!(7)), (&json!(1), &json!(7))], "{provider}: each picture has its label");
        assert_eq!(heard.text(), whole.choices[0].text, "{provider}");
        assert_eq!(pieces.choices[0].text, whole.choices[0].text, "{provider}");
        for answer in [&whole, &pieces] {
            assert_eq!(answer.choices[0].finish, FinishReason::Stop, "{provider}");
            assert_eq!(answer.model.as_deref(), Some(CHAT_MODEL), "{provider}");
            assert!(answer.estimate.is_some_and(|estimate| estimate.prompt_tokens > 0), "{provider}");
        }
        let usages = [&whole, &pieces].map(|answer| answer.usage.expect("usage"));
        // Streamed, the request is some bytes longer, and a token here is four of them.
        let n_prompt = usages.map(|usage| usage.prompt_tokens.expect("tokens"));
        assert!(n_prompt[1].abs_diff(n_prompt[0]) < 20, "{provider}: {n_prompt:?}");
        assert_eq!(usages[0].completion_tokens, usages[1].completion_tokens, "{provider}");
    }
}

#[tokio::test]
async fn a_stream_that_breaks_begins_anew() {
    for provider in DIALECTS {
        for fault in [Fault::HalfStream, Fault::ResetMidReply, Fault::CutJson, Fault::TooShort, Fault::Status(503)] {
            let fake_server = fake_server(provider);
            if provider == "ollama" {
                // The question for the model's context.
                fake_server.then_succeed();
            }
            fake_server.fail_with([fault.clone()]);
            let heard = Heard::default();
            let answer = ask(config(provider, &fake_server), Some(&heard)).await.expect(provider);
            assert_eq!(answer.n_attempts, 2, "{provider} {fault:?}");
            let heard = heard.text();
            let last = heard.rsplit('|').next().expect("a part");
            assert_eq!(last, answer.choices[0].text, "{provider} {fault:?}: nothing is joined to what broke");
            assert!(heard.matches('|').count() <= 1, "{provider} {fault:?}: {heard}");
        }
    }
}

#[tokio::test]
async fn what_a_stream_may_hold() {
    let heard = Heard::default();
    let fake_server = fake_server("openai");
    fake_server.fail_with([Fault::NoDone]);
    let answer = ask(config("openai", &fake_server), Some(&heard)).await.expect("the reasons tell that it is whole");
    assert_eq!((answer.n_attempts, answer.choices[0].text.clone()), (1, heard.text()));

    fake_server.fail_with([Fault::ErrorMidStream("insufficient_quota")]);
    let error = ask(config("openai", &fake_server), Some(&heard)).await.expect_err("no credit").to_string();
    assert!(error.contains("The server had an error") && error.contains("no credit"), "{error}");
    fake_server.fail_with([Fault::ErrorMidStream("server_error")]);
    assert_eq!(ask(config("openai", &fake_server), Some(&heard)).await.expect("the second try").n_attempts, 2);

    // A server that cannot stream answers in one piece.
    fake_server.fail_with([Fault::Json(r#"{"choices":[{"message":{"content":"Yes."},"finish_reason":"stop"}]}"#)]);
    assert_eq!(ask(config("openai", &fake_server), Some(&heard)).await.expect("whole").choices[0].text, "Yes.");

    let several = SamplingParams { n: Some(3), ..SamplingParams::default() };
    let heard = Heard::default();
    let answer =
        ask(ChatConfig { params: several, ..config("openai", &fake_server) }, Some(&heard)).await.expect("three");
    assert_eq!(answer.choices.len(), 3);
    assert!(answer.choices.iter().all(|alternative| alternative.text == heard.text()), "the first is read along");

    let server = ServerConfig { max_reply_bytes: 20, ..config("openai", &fake_server).server };
    let error =
        ask(ChatConfig { server, ..config("openai", &fake_server) }, Some(&heard)).await.expect_err("too large");
    assert!(matches!(error, Error { kind: ErrorKind::Limit, .. }), "{error:?}");
}

fn params() -> SamplingParams {
    SamplingParams {
        temperature: Some(0.5),
        max_tokens: Some(300),
        seed: Some(4),
        detail: Some(Detail::Low),
        reasoning_effort: Some("low".into()),
        ..SamplingParams::default()
    }
}

#[tokio::test]
async fn a_refused_parameter_is_dropped_and_reported() {
    let unsupported = "Unsupported value: 'temperature' does not support 0.5 with this model. Only the default (1)";
    let renamed =
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.";
    let fake_server = FakeServer::start();
    fake_server.fail_with([
        Fault::Param(None, unsupported),
        Fault::Param(Some("seed"), "Unknown parameter: 'seed'."),
        Fault::Param(Some("max_tokens"), renamed),
        Fault::Param(Some("messages[1].content[1].image_url.detail"), "Invalid value"),
    ]);
    let model = connect(ChatConfig { params: params(), ..config("generic", &fake_server) }).expect("a model");
    let answer = put(model.as_ref(), &messages(), None, None).await.expect("an answer");
    assert_eq!(answer.dropped_params, ["detail", "seed", "temperature"]);
    assert_eq!(answer.n_attempts, 5);
    let sent: Vec<Value> = fake_server.chats().into_iter().map(|chat| chat.json).collect();
    let has = |at: usize| {
        let keys = ["temperature", "seed", "max_tokens", "max_completion_tokens", "reasoning_effort"];
        let top = keys.map(|key| u8::from(sent[at].get(key).is_some()));
        (top, sent[at].pointer("/messages/1/content/1/image_url/detail").is_some())
    };
    assert_eq!(has(0), ([1, 1, 1, 0, 1], true));
    assert_eq!(has(1), ([0, 1, 1, 0, 1], true));
    assert_eq!(has(2), ([0, 0, 1, 0, 1], true));
    assert_eq!(has(3), ([0, 0, 0, 1, 1], true));
    assert_eq!(has(4), ([0, 0, 0, 1, 1], false));
    // What was learnt holds for the next question.
    let answer = put(model.as_ref(), &messages(), None, None).await.expect("an answer");
    assert_eq!((answer.n_attempts, answer.dropped_params.len()), (1, 3));
    assert_eq!(fake_server.seen().len(), 6);
    assert_eq!(fake_server.refusals(), [""; 0]);
}

#[tokio::test]
async fn strict_parameters_end_the_run() {
    let fake_server = FakeServer::start();
    fake_server.fail_with([Fault::Param(Some("temperature"), "Unsupported value")]);
    let strict = ChatConfig { params: params(), strict_params: true, ..config("generic", &fake_server) };
    let error = ask(strict, None).await.expect_err("strict").to_string();
    assert!(error.contains("Unsupported value") && error.contains("leave out the temperature"), "{error}");
    assert_eq!(fake_server.seen().len(), 1);
}

#[tokio::test]
async fn a_schema_is_sent_in_each_dialect() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"],
        "additionalProperties": false});
    let format = ResponseFormat::json_schema("captions", schema.clone()).expect("sound");
    let places = ["/response_format/json_schema/schema", "/output_config/format/schema", "/format"];
    for (provider, place) in DIALECTS.into_iter().zip(places) {
        let fake_server = fake_server(provider);
        let model = connect(config(provider, &fake_server)).expect(provider);
        put(model.as_ref(), &messages(), None, Some(&format)).await.expect(provider);
        let chat = fake_server.chats().pop().expect("a chat").json;
        assert_eq!(chat.pointer(place), Some(&schema), "{provider}: {chat}");
        assert_eq!(fake_server.refusals(), [""; 0], "{provider}");
    }
}

#[tokio::test]
async fn anthropic_gets_requests_in_its_own_format() {
    let fake_server = fake_server("anthropic");
    let params = SamplingParams { stop: vec!["END".into()], reasoning_effort: Some("high".into()), ..params() };
    let answer = ask(ChatConfig { params, ..config("anthropic", &fake_server) }, None).await.expect("an answer");
    assert_eq!(fake_server.refusals(), [""; 0]);
    // It has neither; and `detail` is nothing that it refuses, since it is never sent.
    assert_eq!(answer.dropped_params, ["seed"]);
    let usage = answer.usage.expect("usage");
    assert_eq!(usage.cached_tokens, Some(7), "and they are among those of the request");
    let seen = fake_server.seen().pop().expect("a request");
    assert_eq!(usage.prompt_tokens, Some(seen.body.len().div_ceil(4) as u64));
    assert_eq!(seen.header("anthropic-version"), Some("2023-06-01"));
    assert_eq!(seen.header("content-length"), Some(seen.body.len().to_string().as_str()));
    let json: Value = serde_json::from_slice(&seen.body).expect("JSON");
    assert_eq!(json["max_tokens"], 300);
    assert_eq!((&json["system"], &json["output_config"]["effort"]), (&json!("Rules"), &json!("high")));
    assert_eq!(json["stop_sequences"], json!(["END"]));
    let plain = ask(config("anthropic", &fake_server), None).await.expect("an answer");
    assert_eq!(plain.dropped_params, [""; 0]);
    assert_eq!(
        fake_server.chats()[1].json["max_tokens"],
        4096,
        "the API must have one, and nothing is known of the model"
    );

    for (fault, said) in [
        (
            Fault::Json(r#"{"type":"message","content":[],"stop_reason":"max_tokens"}"#),
            "raise the token limit of an answer",
        ),
        (Fault::Json(r#"{"type":"error","error":{"type":"invalid_request_error","message":"no"}}"#), "no"),
        (Fault::Json(r#"{"choices":[]}"#), "has no `content`"),
    ] {
        fake_server.fail_with([fault]);
        let error = ask(config("anthropic", &fake_server), None).await.expect_err(said).to_string();
        assert!(error.contains(said), "{error}");
    }
    fake_server.fail_with([Fault::Json(r#"{"content":[{"type":"text","text":"I"}],"stop_reason":"refusal"}"#)]);
    let answer = ask(config("anthropic", &fake_server), None).await.expect("a refusal is an answer");
    assert_eq!(answer.choices[0].finish, FinishReason::Refusal);
    let error = ask(ChatConfig { model: "gone".into(), ..config("anthropic", &fake_server) }, None).await;
    assert!(error.expect_err("no such model").to_string().contains("check the base URL, or check the model"));
}

#[tokio::test]
async fn ollama_is_given_the_context_that_the_question_needs() {
    let fake_server = FakeServer::start();
    let contexts = |fake_server: &FakeServer| -> Vec<Value> {
        fake_server.chats().iter().map(|chat| chat.json["options"]["num_ctx"].clone()).collect()
    };
    let model = connect(config("ollama", &fake_server)).expect("a model");
    put(model.as_ref(), &messages(), None, None).await.expect("short");
    // 448 tokens a picture where the model is not known: about 11,000, and a quarter more.
    let many = |n: usize| {
        let parts = vec![picture("picture.jpg", ImageFormat::Jpeg, 320); n];
        vec![Message { role: Role::User, parts }]
    };
    put(model.as_ref(), &many(25), None, None).await.expect("longer");
    put(model.as_ref(), &many(80), None, None).await.expect("as long as the model has");
    assert_eq!(contexts(&fake_server), [4096, 16_384, 32_768]);
    assert_eq!(fake_server.seen().iter().filter(|seen| seen.path == "/api/show").count(), 1, "it is asked once");
    assert_eq!(fake_server.refusals(), [""; 0]);

    let text = Message { role: Role::User, parts: vec![Part::Text("word ".repeat(60_000))] };
    let error = put(model.as_ref(), &[text], None, None).await.expect_err("too long");
    assert!(
        matches!(error, Error { kind: ErrorKind::Limit, .. })
            && error.to_string().contains("the model's context has 32768"),
        "{error}"
    );
    let address = Message { role: Role::User, parts: vec![Part::ImageUrl("https://host.example/a.jpg".into())] };
    let error = put(model.as_ref(), &[address], None, None).await.expect_err("an address");
    assert!(matches!(error, Error { kind: ErrorKind::Usage, .. }), "{error}");
}

#[tokio::test]
async fn a_server_that_cuts_the_request_is_found_out() {
    // 30 frames of 768 by 432 are about 13,500 tokens of qwen2.5vl.
    let mut frame = picture("picture.jpg", ImageFormat::Jpeg, 768);
    if let Part::Image(image) = &mut frame {
        image.height = 432;
    }
    let messages = vec![Message { role: Role::User, parts: vec![frame; 30] }];
    for (provider, model, n_read, is_cut) in [
        ("generic", "qwen2.5vl", 4096, true),
        ("generic", "qwen2.5vl", 8000, false),
        ("generic", "qwen2.5vl", 13_000, false),
        // How it counts pictures is not known.
        ("generic", "some-model", 4096, false),
        // It refuses what is too long.
        ("openai", "qwen2.5vl", 4096, false),
    ] {
        let usage = json!({"prompt_tokens": n_read, "completion_tokens": 2});
        let (address, came) =
            recorder(1, json!({"choices": [{"message": {"content": "Yes."}}], "usage": usage}).to_string());
        let provider = Providers::default().get(provider).expect("a row").clone();
        let server = ServerConfig::new(parse_base_url(&address).expect("an address"));
        let model = connect(ChatConfig::with_provider(provider, server, model)).expect("a model");
        let told = put(model.as_ref(), &messages, None, None).await;
        assert_eq!(came.join().expect("no panic").len(), 1, "it is not asked again");
        match told {
            Err(fault @ Error { kind: ErrorKind::Service, .. }) if is_cut => {
                assert!(fault.problem.contains("it truncated the request to the model's context"), "{fault}");
                assert!(fault.advice.to_string().contains("num_ctx"), "{fault}");
            }
            Ok(answer) if !is_cut => assert_eq!(answer.choices[0].text, "Yes."),
            told => panic!("{told:?}, expected cut: {is_cut}"),
        }
    }
}

#[tokio::test]
async fn an_answer_has_its_price() {
    let fake_server = fake_server("openai");
    let config = config("openai", &fake_server);
    let facts = CatalogEntry::of("openai", "gpt-4o").cloned();
    assert!(facts.is_some());
    let answer = ask(ChatConfig { facts, ..config.clone() }, None).await.expect("an answer");
    let usage = answer.usage.expect("usage");
    // 2.50 and 10 dollars a million, in trillionths for a token.
    let expected = usage.prompt_tokens.expect("n") * 2_500_000 + usage.completion_tokens.expect("n") * 10_000_000;
    assert_eq!(answer.cost.expect("a price").picos(), expected);
    let estimate = answer.estimate.expect("an estimate");
    assert_eq!(estimate.prompt_cost.expect("a price").picos(), estimate.prompt_tokens * 2_500_000);
    let unknown = ask(config, None).await.expect("an answer");
    assert_eq!((unknown.cost, unknown.estimate.expect("an estimate").prompt_cost), (None, None));
}

#[tokio::test]
async fn what_a_provider_does_not_take_is_not_sent() {
    let fake_server = fake_server("openai");
    let error = |provider: &'static str, parts: Vec<Part>| {
        let config = ChatConfig { ..config(provider, &fake_server) };
        async move {
            let messages = [Message { role: Role::User, parts }];
            put(connect(config).expect("a model").as_ref(), &messages, None, None)
                .await
                .expect_err(provider)
                .to_string()
        }
    };
    let webp = || picture("picture.webp", ImageFormat::Webp, 320);
    assert!(error("xai", vec![webp()]).await.contains("does not support image/webp; set the image format to jpeg"));
    let jpeg = |side| picture("picture.jpg", ImageFormat::Jpeg, side);
    assert!(error("groq", vec![jpeg(320); 6]).await.contains("6 images; the maximum is 5"));
    assert!(error("anthropic", vec![jpeg(8001)]).await.contains("8001 px; the maximum of anthropic is 8000 px"));
    assert!(error("anthropic", vec![jpeg(2001); 21]).await.contains("the maximum of anthropic is 2000 px"));
    assert!(fake_server.seen().is_empty());
}
