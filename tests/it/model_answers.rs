//! Answers and refusals of servers that people run: reasoning before the answer, markup around it, answers that are cut
//! off, limits, waits and errors in each server's form.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::command::{Ran, User};
use crate::support::fake_server::{CHAT_MODEL, FakeServer, Fault};
use vidgist::chat::{ChatResponse, Message, Part, Role};
use vidgist::error::ErrorCode;
use vidgist::http::{ServerConfig, parse_base_url};
use vidgist::llm::provider::Providers;
use vidgist::llm::{ChatConfig, ChatModel, ChatRequest, StreamSink, StreamUpdate, connect};
use vidgist::media::{EncodedImage, ImageFormat};
use vidgist::time::Timestamp;
use vidgist::{Error, ErrorKind};

const KEY: &str = "sk-canary-7f3a9b2c1d";
const TALK: &str = "fixtures/talk.mp4";

fn server_config(fake_server: &FakeServer) -> ServerConfig {
    let server = ServerConfig::new(parse_base_url(&fake_server.base_url()).expect("an address"));
    ServerConfig { first_wait: Duration::from_millis(1), max_retries: 2, ..server }
}

fn model(provider: &str, fake_server: &FakeServer) -> std::sync::Arc<dyn ChatModel> {
    let provider = Providers::default().get(provider).expect("a row").clone();
    let api_key = provider.needs_key.then(|| KEY.into());
    let server = ServerConfig { api_key, ..server_config(fake_server) };
    connect(ChatConfig::with_provider(provider, server, CHAT_MODEL)).expect("a model")
}

fn messages(n_images: usize) -> Vec<Message> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/picture.jpg");
    let bytes = bytes::Bytes::from(std::fs::read(path).expect("a fixture"));
    let (pts, time, format) = (Timestamp::ZERO, Timestamp::ZERO, ImageFormat::Jpeg);
    let image =
        |frame_idx| EncodedImage { frame_idx, pts, time, width: 320, height: 320, format, bytes: bytes.clone() };
    let mut parts: Vec<Part> = (0..n_images).map(|idx| Part::Image(image(idx))).collect();
    parts.push(Part::Text("the task".into()));
    let rules = Part::Text("the rules".into());
    vec![Message { role: Role::System, parts: vec![rules] }, Message { role: Role::User, parts }]
}

async fn ask(model: &dyn ChatModel, n_images: usize) -> vidgist::Result<ChatResponse> {
    model.complete(&ChatRequest::new(&messages(n_images))).await
}

fn caption(user: &User, fake_server: &FakeServer, args: &[&str]) -> Ran {
    let base_url = fake_server.base_url();
    user.run(&[&["caption", "--base-url", &base_url, "--model", CHAT_MODEL, "--no-transcript"], args].concat())
}

fn rows(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[tokio::test]
async fn reasoning_and_markup_are_not_in_the_answer() {
    let fake_server = FakeServer::start();
    let model = model("generic", &fake_server);
    for (text, reasoning) in [
        ("<think>\nIs it a dog?\n</think>\n\nA dog.", Some("Is it a dog?")),
        ("Is it a dog?\n</think>\nA dog.", Some("Is it a dog?")),
        ("[THINK]Is it a dog?[/THINK]A dog.", Some("Is it a dog?")),
        ("<|begin_of_box|>A dog.<|end_of_box|>", None),
        ("```\nA dog.\n```", None),
        ("A dog.<|im_end|>", None),
    ] {
        fake_server.fail_with([Fault::Answer(text, "stop")]);
        let answer = ask(&*model, 1).await.expect(text);
        let first = &answer.choices[0];
        assert_eq!((first.text.as_str(), first.reasoning.as_deref()), ("A dog.", reasoning), "{text}");
    }
    // Streamed, the reasoning is not shown either.
    let shown = std::sync::Mutex::new(String::new());
    let sink = |update: StreamUpdate<'_>| {
        if let StreamUpdate::Piece(text) = update {
            shown.lock().expect("no panic").push_str(text);
        }
    };
    fake_server.fail_with([Fault::Answer("<think>\nIs it a dog?\n</think>\n\nA dog.", "stop")]);
    let messages = messages(1);
    let request = ChatRequest { stream: Some(StreamSink(&sink)), ..ChatRequest::new(&messages) };
    let answer = model.complete(&request).await.expect("an answer");
    assert_eq!((answer.choices[0].text.as_str(), shown.lock().expect("no panic").as_str()), ("A dog.", "A dog."));
    assert_eq!(answer.choices[0].reasoning.as_deref(), Some("Is it a dog?"));
}

#[tokio::test]
async fn reasoning_in_a_field_of_its_own_is_kept() {
    for (provider, reply) in [
        (
            "generic",
            r#"{"choices":[{"message":{"content":"A dog.","reasoning_content":"why"},"finish_reason":"stop"}]}"#,
        ),
        ("generic", r#"{"choices":[{"message":{"content":"A dog.","reasoning":"why"},"finish_reason":"stop"}]}"#),
        (
            "ollama",
            r#"{"message":{"role":"assistant","content":"A dog.","thinking":"why"},"done":true,"done_reason":"stop"}"#,
        ),
        (
            "anthropic",
            r#"{"type":"message","content":[{"type":"thinking","thinking":"why"},{"type":"text","text":"A dog."}],"stop_reason":"end_turn"}"#,
        ),
    ] {
        let fake_server = if provider == "anthropic" { FakeServer::start_with_key(KEY) } else { FakeServer::start() };
        let model = model(provider, &fake_server);
        if provider == "ollama" {
            // The first request asks for the model's context.
            fake_server.then_succeed();
        }
        fake_server.fail_with([Fault::Json(reply)]);
        let answer = ask(&*model, 1).await.expect(reply);
        let first = &answer.choices[0];
        assert_eq!((first.text.as_str(), first.reasoning.as_deref()), ("A dog.", Some("why")), "{reply}");
    }
}

#[test]
fn captions_of_a_group_are_found_behind_the_reasoning() {
    let (user, fake_server) = (User::new(), FakeServer::start());
    let answer = "<think>The first is {a: dog}.</think>\n```json\n{\"captions\":[{\"id\":0,\"caption\":\"a dog\"},\
        {\"id\":1,\"caption\":\"a cat\"}]}\n```";
    fake_server.fail_with([Fault::Answer(answer, "stop")]);
    let ran = caption(&user, &fake_server, &[TALK, "--max-frames", "2", "--frames-per-request", "2"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let rows = rows(&ran.out);
    let texts: Vec<&str> = rows.iter().filter_map(|row| row["caption"].as_str()).collect();
    assert_eq!(texts, ["a dog", "a cat"]);
    assert_eq!(rows[0]["reasoning"], "The first is {a: dog}.");
    assert_eq!(rows[1]["reasoning"], Value::Null);
    assert_eq!(fake_server.chats().len(), 1);
}

#[test]
fn a_truncated_caption_is_incomplete_and_requested_again() {
    let (user, fake_server) = (User::new(), FakeServer::start());
    let out = user.path("captions.jsonl");
    let args = [TALK, "--max-frames", "3", "--concurrency", "1", "-o", &out];
    fake_server.then_succeed();
    fake_server.fail_with([Fault::Answer("A man holds a", "length")]);
    let ran = caption(&user, &fake_server, &args);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let first = rows(&std::fs::read_to_string(&out).expect("a file"));
    assert_eq!(first[1]["caption"], "A man holds a");
    assert!(first[1]["error"].as_str().is_some_and(|why| why.contains("cut off")), "{}", first[1]);
    let n_before = fake_server.chats().len();
    let ran = caption(&user, &fake_server, &[&args[..], &["--resume"]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(fake_server.chats().len() - n_before, 1, "only the incomplete one");
    let second = rows(&std::fs::read_to_string(&out).expect("a file"));
    assert!(second.iter().all(|row| row["error"].is_null()) && second.len() == 3, "{second:?}");

    // As a text, half a caption is not written.
    let folder = user.path("texts");
    fake_server.fail_with([Fault::Answer("A man holds a", "length")]);
    let ran = caption(&user, &fake_server, &[TALK, "--max-frames", "1", "--format", "txt", "-o", &folder]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let texts = walkdir::WalkDir::new(&folder).into_iter().filter_map(Result::ok);
    assert_eq!(texts.filter(|entry| entry.path().extension().is_some_and(|ending| ending == "txt")).count(), 0);
}

#[tokio::test]
async fn a_limit_of_the_context_is_learnt_from_each_servers_wording() {
    for text in [
        "The decoder prompt (length 33012) is longer than the maximum model length of 32768. Make sure that \
         `max_model_len` is no smaller than the number of text tokens plus multimodal tokens.",
        "The input (33012 tokens) is longer than the model's context length (32768 tokens).",
        "Prompt contains 33012 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
        "At most 2 image(s) may be provided in one prompt.",
    ] {
        let fake_server = FakeServer::start();
        let model = model("generic", &fake_server);
        fake_server.fail_with([Fault::Param(None, Box::leak(text.to_owned().into_boxed_str()))]);
        let error = ask(&*model, 4).await.expect_err(text);
        assert!(matches!(error, Error { kind: ErrorKind::Limit, code: ErrorCode::RequestTooLarge, .. }), "{error}");
        let error = ask(&*model, 4).await.expect_err("known to be too long");
        assert_eq!(error.code, ErrorCode::RequestTooLarge, "{error}");
        assert_eq!(fake_server.seen().len(), 1, "{text}: the second request was not sent");
        ask(&*model, 2).await.expect("a smaller request is sent");
    }
}

#[tokio::test]
async fn a_wait_in_the_body_is_obeyed() {
    for body in [
        r#"{"error":{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"0.3s"}]}}"#,
        r#"[{"error":{"code":429,"message":"quota","details":[{"retryDelay":"0.3s"}]}}]"#,
        r#"{"error":{"message":"Rate limit reached. Please try again in 300ms.","code":"rate_limit_exceeded"}}"#,
    ] {
        let fake_server = FakeServer::start();
        let model = model("generic", &fake_server);
        fake_server.fail_with([Fault::Refuse(429, body)]);
        let begun = Instant::now();
        assert_eq!(ask(&*model, 1).await.expect(body).n_attempts, 2);
        assert!(begun.elapsed() >= Duration::from_millis(300), "{body}: {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a_server_that_loads_its_model_is_waited_for() {
    let fake_server = FakeServer::start();
    let provider = Providers::default().get("generic").expect("a row").clone();
    let server = ServerConfig { max_retries: 0, ..server_config(&fake_server) };
    let model = connect(ChatConfig::with_provider(provider, server, CHAT_MODEL)).expect("a model");
    fake_server.fail_with([Fault::Refuse(
        503,
        r#"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#,
    )]);
    assert_eq!(ask(&*model, 1).await.expect("an answer").n_attempts, 2, "although nothing is retried");
    fake_server.fail_with([Fault::Refuse(503, r#"{"error":{"message":"The engine is overloaded"}}"#)]);
    ask(&*model, 1).await.expect_err("an overloaded server is not waited for");
}

#[tokio::test]
async fn an_error_inside_a_choice_is_retried_as_its_code() {
    for (reply, n_attempts) in [
        (
            r#"{"choices":[{"index":0,"message":{"content":""},"finish_reason":"error","error":{"code":502,"message":"upstream failed"}}]}"#,
            Ok(2),
        ),
        (r#"{"choices":[{"index":0,"message":{"content":"half"},"finish_reason":"error"}]}"#, Ok(2)),
        (r#"{"choices":[{"finish_reason":"error","error":{"code":429,"message":"slow down"}}]}"#, Ok(2)),
        (
            r#"{"choices":[{"finish_reason":"error","error":{"code":400,"message":"upstream refused"}}]}"#,
            Err("upstream refused"),
        ),
    ] {
        let fake_server = FakeServer::start();
        let model = model("generic", &fake_server);
        fake_server.fail_with([Fault::Json(reply)]);
        match (ask(&*model, 1).await, n_attempts) {
            (Ok(answer), Ok(expected)) => assert_eq!(answer.n_attempts, expected, "{reply}"),
            (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{error}"),
            (outcome, _) => panic!("{reply}: {outcome:?}"),
        }
    }
}

#[tokio::test]
async fn a_model_without_vision_fails_at_once() {
    for (provider, status, body) in [
        ("ollama", 500, r#"{"error":"this model is missing data required for image input"}"#),
        (
            "generic",
            500,
            r#"{"error":{"code":500,"message":"image input is not supported - hint: you may need to provide the mmproj"}}"#,
        ),
        ("generic", 400, r#"{"message":"some/model is not a multimodal model","code":400}"#),
        ("generic", 404, r#"{"error":{"message":"No endpoints found that support image input","code":404}}"#),
    ] {
        let fake_server = FakeServer::start();
        let model = model(provider, &fake_server);
        if provider == "ollama" {
            fake_server.then_succeed();
        }
        fake_server.fail_with([Fault::Refuse(status, body)]);
        let error = ask(&*model, 1).await.expect_err(body);
        assert!(error.advice.to_string().contains("choose a model that supports it"), "{error}");
        assert!(!error.to_string().contains("tried"), "{error}");
    }
}

#[tokio::test]
async fn rules_go_to_the_user_message_where_there_is_no_system_role() {
    for (status, text) in [
        (400, "System role not supported"),
        (500, "Value is not callable: System role not supported"),
        (400, "Unsupported value: 'messages[0].role' does not support 'system' with this model."),
        (400, "Developer instruction is not enabled for models/gemma-3-27b-it"),
        (400, "Conversation roles must alternate user/assistant/user/assistant/..."),
    ] {
        let fake_server = FakeServer::start();
        let model = model("generic", &fake_server);
        let body: &'static str = Box::leak(json!({"error": {"message": text}}).to_string().into_boxed_str());
        fake_server.fail_with([Fault::Refuse(status, body)]);
        ask(&*model, 1).await.expect(text);
        ask(&*model, 1).await.expect(text);
        let chats = fake_server.chats();
        let roles = |at: usize| -> Vec<&Value> {
            chats[at].json["messages"].as_array().expect("messages").iter().map(|message| &message["role"]).collect()
        };
        assert_eq!(
            (chats.len(), roles(0), roles(2)),
            (3, vec![&json!("system"), &json!("user")], vec![&json!("user")])
        );
        assert_eq!(roles(1), roles(2), "{text}: the second request has none any more");
        assert_eq!(chats[1].json["messages"][0]["content"][0]["text"], "the rules", "{text}");
        assert_eq!(fake_server.refusals(), [""; 0]);
    }
}

#[test]
fn a_server_that_counts_more_tokens_is_reported_once() {
    let (user, fake_server) = (User::new(), FakeServer::start());
    let prompt = "word ".repeat(200);
    let args = [TALK, "--max-frames", "4", "--concurrency", "1", "--image-format", "png", "--prompt", &prompt];
    let ran = caption(&user, &fake_server, &args);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let warnings: Vec<&str> = ran.err.lines().filter(|line| line.contains("the server counted")).collect();
    assert_eq!(warnings.len(), 1, "{ran:?}");
    assert!(warnings[0].contains(" times as many"), "{}", warnings[0]);
}

/// Answers of a server that counts these tokens in its requests; None where it states no usage.
fn counting(counts: &[Option<u64>]) -> Vec<Fault> {
    let answer = |count: &Option<u64>| {
        let message = json!({"role": "assistant", "content": "A harbor."});
        let mut reply = json!({"id": "1", "object": "chat.completion", "model": CHAT_MODEL,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]});
        if let Some(n) = count {
            reply["usage"] = json!({"prompt_tokens": n, "completion_tokens": 5, "total_tokens": n + 5});
        }
        Fault::Json(Box::leak(reply.to_string().into_boxed_str()))
    };
    counts.iter().map(answer).collect()
}

#[test]
fn counts_of_tokens_that_are_lower_missing_growing_or_zero() {
    let prompt = "word ".repeat(3000);
    let fits = [Some(4000); 4];
    for (name, counts, concurrency, warnings) in [
        ("as estimated", fits, "1", &[][..]),
        // A little fewer is what an estimate is for.
        ("fewer", [Some(2500); 4], "1", &[]),
        ("not counted", [None; 4], "1", &[]),
        ("zero", [Some(0); 4], "1", &[]),
        ("more", [Some(40_000); 4], "1", &["times as many"]),
        ("growing", [Some(20_000), Some(40_000), Some(80_000), Some(160_000)], "1", &["times as many"]),
        ("later", [Some(4000), Some(4000), Some(40_000), Some(40_000)], "1", &["times as many"]),
        ("at once", [Some(40_000); 4], "4", &["times as many"]),
    ] {
        let (user, fake_server) = (User::new(), FakeServer::start());
        fake_server.fail_with(counting(&counts));
        let args = [TALK, "--max-frames", "4", "--concurrency", concurrency, "--prompt", &prompt, "--format", "jsonl"];
        let ran = caption(&user, &fake_server, &args);
        assert_eq!(ran.code, Some(0), "{name}: {ran:?}");
        let told: Vec<&str> = ran.err.lines().filter(|line| line.contains("the server")).collect();
        assert_eq!(told.len(), warnings.len(), "{name}: {told:?}");
        for warning in warnings {
            assert!(told.iter().any(|line| line.contains(warning)), "{name}: {told:?}");
        }
        let rows: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).expect("a row")).collect();
        let counted: Vec<Option<u64>> = rows.iter().map(|row| row["usage"]["prompt_tokens"].as_u64()).collect();
        // A count of 0 is none.
        let expected: Vec<_> = counts.iter().map(|count| count.filter(|n| *n > 0)).collect();
        assert_eq!(counted, expected, "{name}");
    }
    // Far fewer: the server read a part of the request alone.
    let (user, fake_server) = (User::new(), FakeServer::start());
    fake_server.fail_with(counting(&[Some(100)]));
    let ran = caption(&user, &fake_server, &[TALK, "--max-frames", "1", "--prompt", &prompt]);
    assert!(ran.code == Some(1) && ran.out.contains("the server read 100 of at least"), "{ran:?}");
}
