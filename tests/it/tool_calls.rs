//! Tools in each dialect: what is sent, what is read, servers that have none, and replies that no one should trust.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::fake_server::{CHAT_MODEL, FakeServer, Fault, What};
use serde_json::{Value, json};
use vidgist::ErrorKind;
use vidgist::chat::{ChatResponse, Choice, FinishReason, Message, Part, Role, ToolCall};
use vidgist::error::ErrorCode;
use vidgist::http::{ServerConfig, parse_base_url};
use vidgist::llm::provider::Providers;
use vidgist::llm::{ChatConfig, ChatModel, ChatRequest, SamplingParams, StreamSink, StreamUpdate, ToolSpec, connect};
use vidgist::media::{EncodedImage, ImageFormat};
use vidgist::time::Timestamp;

const KEY: &str = "sk-canary-7f3a9b2c1d";
/// The dialects, by a provider of each.
const DIALECTS: [&str; 3] = ["openai", "anthropic", "ollama"];
const CALLS: Fault =
    Fault::Calls(&[("frames", r#"{"start":1.5,"end":4,"n":2}"#), ("transcript", r#"{"start":0,"end":30}"#)]);

fn fake_server(provider: &str) -> FakeServer {
    let server = if provider == "openai" || provider == "anthropic" {
        FakeServer::start_with_key(KEY)
    } else {
        FakeServer::start()
    };
    if provider == "ollama" {
        // The request for the model's context.
        server.then_succeed();
    }
    server
}

fn config(provider: &str, fake_server: &FakeServer) -> ChatConfig {
    let provider = Providers::default().get(provider).expect("a row").clone();
    let server = ServerConfig {
        api_key: provider.needs_key.then(|| KEY.into()),
        first_wait: Duration::from_millis(1),
        max_retries: 2,
        ..ServerConfig::new(parse_base_url(&fake_server.base_url()).expect("an address"))
    };
    ChatConfig::with_provider(provider, server, CHAT_MODEL)
}

fn picture() -> Part {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/picture.jpg");
    let (bytes, time) = (std::fs::read(path).expect("a fixture").into(), Timestamp::ZERO);
    let format = ImageFormat::Jpeg;
    Part::Image(EncodedImage { frame_idx: 0, pts: time, time, width: 320, height: 180, format, bytes })
}

fn question() -> Vec<Message> {
    let text = |text: &str| Part::Text(text.into());
    vec![
        Message { role: Role::System, parts: vec![text("Rules")] },
        Message { role: Role::User, parts: vec![text("[t=00:01.5 #0]"), picture(), text("What is on the slide?")] },
    ]
}

fn tools() -> [ToolSpec; 2] {
    let number = json!({"type": "number"});
    let tool = |name: &str, parameters: &Value| ToolSpec {
        name: name.into(),
        description: format!("Shows {name}."),
        parameters: json!({"type": "object", "properties": parameters, "required": ["start", "end"]}),
    };
    [
        tool("frames", &json!({"start": number, "end": number, "n": {"type": "integer"}})),
        tool("transcript", &json!({"start": number, "end": number})),
    ]
}

async fn put(
    model: &dyn ChatModel,
    messages: &[Message],
    tools: &[ToolSpec],
    is_stream: bool,
) -> vidgist::Result<(ChatResponse, String)> {
    let heard = Arc::new(Mutex::new(String::new()));
    let hear = |update: StreamUpdate<'_>| {
        if let StreamUpdate::Piece(text) = update {
            heard.lock().expect("no panic").push_str(text);
        }
    };
    let stream = is_stream.then_some(StreamSink(&hear));
    let response = model.complete(&ChatRequest { tools, stream, ..ChatRequest::new(messages) }).await?;
    let heard = heard.lock().expect("no panic").clone();
    Ok((response, heard))
}

/// The conversation with the answer and results of its calls; a picture belongs to the first.
fn go_on(mut messages: Vec<Message>, choice: &Choice) -> Vec<Message> {
    messages.push(choice.to_message());
    let result = |call: &ToolCall| Part::ToolResult { call_id: call.id.clone(), text: format!("of {}", call.name) };
    let mut parts: Vec<Part> = choice.tool_calls.iter().map(result).collect();
    parts.insert(1, picture());
    parts.insert(1, Part::Text("[t=00:02.5 #7]".into()));
    messages.push(Message { role: Role::User, parts });
    messages
}

#[tokio::test]
async fn calls_and_results_go_both_ways_in_each_dialect() {
    for (provider, is_stream) in DIALECTS.into_iter().flat_map(|provider| [(provider, false), (provider, true)]) {
        let server = fake_server(provider);
        let model = connect(config(provider, &server)).expect(provider);
        assert!(model.takes_tools(), "{provider}");
        server.fail_with([CALLS, CALLS]);
        let mut messages = question();
        for round in 0..2 {
            let (response, heard) = put(&*model, &messages, &tools(), is_stream).await.expect(provider);
            let choice = &response.choices[0];
            assert_eq!((choice.text.as_str(), heard.as_str()), ("", ""), "{provider}");
            assert_eq!(choice.finish, FinishReason::ToolCalls, "{provider} {round}");
            let called: Vec<(&str, &Value)> =
                choice.tool_calls.iter().map(|call| (call.name.as_str(), &call.arguments)).collect();
            let expected = [json!({"start": 1.5, "end": 4, "n": 2}), json!({"start": 0, "end": 30})];
            assert_eq!(called, [("frames", &expected[0]), ("transcript", &expected[1])], "{provider} {is_stream}");
            let json = serde_json::to_string(&response).expect("JSON");
            let read: ChatResponse = serde_json::from_str(&json).expect("as it was written");
            assert_eq!(read.choices[0].tool_calls, choice.tool_calls, "{provider}");
            messages = go_on(messages, choice);
        }
        let (response, _) = put(&*model, &messages, &tools(), is_stream).await.expect(provider);
        assert_eq!(server.refusals(), [""; 0], "{provider}");
        assert_eq!(response.choices[0].finish, FinishReason::Stop, "{provider}");
        assert_eq!(response.choices[0].tool_calls, [], "{provider}");
        let told: Value = serde_json::from_str(&response.choices[0].text).expect("JSON");
        let ids: Vec<&Value> = told["pictures"].as_array().expect("pictures").iter().map(|p| &p["id"]).collect();
        assert_eq!(ids, [0, 7, 7], "{provider}: each picture has its label");
        let estimate = |request: &ChatRequest<'_>| {
            let body = model.request_body(request).expect(provider);
            body.shortened()
        };
        let request = ChatRequest { tools: &tools(), ..ChatRequest::new(&messages) };
        assert!(estimate(&request).contains("of transcript"), "{provider}");
    }
}

#[tokio::test]
async fn requests_have_the_form_of_each_dialect() {
    let arguments = json!({"start": 1});
    let mut first = ToolCall::new("a", "frames", arguments.clone());
    let assistant = |first: ToolCall| Message {
        role: Role::Assistant,
        parts: vec![
            Part::Text("Let me see.".into()),
            Part::ToolCall(first),
            Part::ToolCall(ToolCall::new("b", "frames", json!("frames(1"))),
        ],
    };
    let results = Message {
        role: Role::User,
        parts: vec![
            Part::Text("[t=00:02.5 #7]".into()),
            Part::ToolResult { call_id: "a".into(), text: "one".into() },
            Part::ToolResult { call_id: "b".into(), text: "no JSON".into() },
        ],
    };
    let raw = json!({"arguments": "frames(1"});
    let sent = |provider: &'static str, first: ToolCall| {
        let messages = [question(), vec![assistant(first), results.clone()]].concat();
        async move {
            let server = fake_server(provider);
            let model = connect(config(provider, &server)).expect(provider);
            put(&*model, &messages, &tools(), false).await.expect(provider);
            assert_eq!(server.refusals(), [""; 0], "{provider}");
            server.chats().pop().expect("a chat").json
        }
    };
    let json = sent("openai", first.clone()).await;
    let call = |id: &str, arguments: &Value| json!({"id": id, "type": "function", "function": {"name": "frames", "arguments": arguments.to_string()}});
    assert_eq!(json["tools"][0]["function"]["parameters"], tools()[0].parameters);
    assert_eq!(
        json["messages"].as_array().expect("messages")[2..],
        [
            json!({"role": "assistant", "content": "Let me see.", "tool_calls": [call("a", &arguments), call("b", &raw)]}),
            json!({"role": "tool", "content": "one", "tool_call_id": "a"}),
            json!({"role": "tool", "content": "no JSON", "tool_call_id": "b"}),
            json!({"role": "user", "content": "[t=00:02.5 #7]"}),
        ]
    );
    let json = sent("ollama", first.clone()).await;
    let call = |arguments: &Value| json!({"function": {"name": "frames", "arguments": arguments}});
    assert_eq!(
        json["messages"].as_array().expect("messages")[4..],
        [
            json!({"role": "assistant", "content": "Let me see.", "tool_calls": [call(&arguments), call(&raw)]}),
            json!({"role": "tool", "content": "one", "tool_name": "frames"}),
            json!({"role": "tool", "content": "no JSON", "tool_name": "frames"}),
            json!({"role": "user", "content": "[t=00:02.5 #7]"}),
        ]
    );
    let thinking = json!({"type": "thinking", "thinking": "Hm.", "signature": "x"});
    first.provider_data = Some(json!({"extra_content": [thinking]}));
    let json = sent("anthropic", first).await;
    assert_eq!(json["tools"][1]["input_schema"], tools()[1].parameters);
    let call = |id: &str, input: &Value| json!({"type": "tool_use", "id": id, "name": "frames", "input": input});
    let result = |id: &str, text: &str| json!({"type": "tool_result", "tool_use_id": id, "content": text});
    let said = |text: &str| json!({"type": "text", "text": text});
    assert_eq!(
        json["messages"].as_array().expect("messages")[1..],
        [
            json!({"role": "assistant", "content": [thinking, said("Let me see."), call("a", &arguments), call("b", &raw)]}),
            json!({"role": "user", "content": [result("a", "one"), result("b", "no JSON"), said("[t=00:02.5 #7]")]}),
        ]
    );
}

/// Signatures of Gemini and `OpenRouter`: a call that comes back without them is refused.
#[tokio::test]
async fn what_a_provider_requires_back_is_sent_back() {
    let server = fake_server("generic");
    let model = connect(config("generic", &server)).expect("a model");
    let whole = r#"{"choices":[{"finish_reason":"tool_calls","message":{"content":"","reasoning_details":[{"data":"r"}],
        "reasoning_content":"Hm.","tool_calls":[{"id":"a","type":"function","extra_content":{"google":
        {"thought_signature":"s"}},"function":{"name":"frames","arguments":"{}"}}]}}]}"#;
    let delta = |delta: Value, finish: Value| {
        format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}))
    };
    let start = json!([{"index": 0, "id": "a", "function": {"name": "frames", "arguments": ""}}]);
    let end =
        json!([{"index": 0, "function": {"arguments": "{}"}, "extra_content": {"google": {"thought_signature": "s"}}}]);
    let events = [
        delta(json!({"reasoning_content": "H", "reasoning_details": []}), Value::Null),
        delta(json!({"reasoning_content": "m.", "reasoning_details": [{"data": "r"}]}), Value::Null),
        delta(json!({"tool_calls": start}), Value::Null),
        delta(json!({"tool_calls": end}), json!("tool_calls")),
    ];
    for (fault, is_stream) in [(Fault::Json(whole), false), (Fault::Events(events.concat()), true)] {
        server.fail_with([fault]);
        let (response, _) = put(&*model, &question(), &tools(), is_stream).await.expect("calls");
        let mut messages = question();
        messages.push(response.choices[0].to_message());
        messages.push(Message {
            role: Role::User,
            parts: vec![Part::ToolResult { call_id: "a".into(), text: String::new() }],
        });
        // OpenAI's description does not know these fields: they are for the servers that send them.
        let body = model.request_body(&ChatRequest { tools: &tools(), ..ChatRequest::new(&messages) }).expect("a body");
        for part in [
            r#""extra_content":{"google":{"thought_signature":"s"}}"#,
            r#""reasoning_details":[{"data":"r"}]"#,
            r#""reasoning_content":"Hm.""#,
            r#"{"role":"tool","content":"","tool_call_id":"a"}"#,
        ] {
            assert!(body.shortened().contains(part), "{part}: {}", body.shortened());
        }
    }
}

#[tokio::test]
async fn servers_without_tools_are_asked_once() {
    let table = [
        (
            "generic",
            400,
            r#"{"object":"error","message":"\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set","type":"BadRequestError","param":null,"code":400}"#,
        ),
        (
            "generic",
            500,
            r#"{"error":{"code":500,"message":"tools param requires --jinja flag","type":"server_error"}}"#,
        ),
        (
            "generic",
            404,
            r#"{"error":{"message":"No endpoints found that support tool use. To learn more about provider routing, visit: https://openrouter.ai/docs/provider-routing","code":404}}"#,
        ),
        (
            "generic",
            400,
            r#"{"error":{"message":"Function tools with reasoning_effort are not supported for gpt-5.6 in /v1/chat/completions. To use function tools, use /v1/responses or set reasoning_effort to 'none'.","type":"invalid_request_error","param":"reasoning_effort","code":null}}"#,
        ),
        (
            "generic",
            422,
            r#"{"detail":[{"type":"extra_forbidden","loc":["body","tools"],"msg":"Extra inputs are not permitted"}]}"#,
        ),
        ("generic", 400, r#"{"error":{"message":"Unknown parameter: 'tools'.","param":"tools"}}"#),
        ("ollama", 400, r#"{"error":"registry.ollama.ai/library/moondream:latest does not support tools"}"#),
        (
            "anthropic",
            400,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"tools: Extra inputs are not permitted"}}"#,
        ),
    ];
    for ((provider, status, body), is_stream) in table.into_iter().flat_map(|row| [(row, false), (row, true)]) {
        let server = fake_server(provider);
        // Set, so that dropping it is possible.
        let params = SamplingParams { reasoning_effort: Some("low".into()), ..SamplingParams::default() };
        let model = connect(ChatConfig { params, ..config(provider, &server) }).expect(provider);
        server.fail_with([Fault::Refuse(status, body)]);
        let error = put(&*model, &question(), &tools(), is_stream).await.expect_err(body);
        assert_eq!((error.kind, error.code), (ErrorKind::Service, ErrorCode::ToolsUnsupported), "{error}");
        assert_eq!(server.chats().len(), 1, "{body}");
        let same = model.with_params(SamplingParams::default());
        for model in [&model, &same] {
            assert!(!model.takes_tools(), "{body}");
            let error = put(&**model, &question(), &tools(), is_stream).await.expect_err("it is known");
            assert_eq!(error.code, ErrorCode::ToolsUnsupported, "{error}");
        }
        assert_eq!(server.chats().len(), 1, "{body}: nothing is sent again");
        let (response, _) = put(&*model, &question(), &[], is_stream).await.expect("without tools");
        assert_eq!(response.dropped_params, [""; 0], "{body}");
        assert_eq!(server.chats().pop().expect("a chat").pictures.len(), 1);
    }
}

#[tokio::test]
async fn another_refusal_says_nothing_about_tools() {
    let server = fake_server("generic");
    let model = connect(config("generic", &server)).expect("a model");
    for body in [
        r#"{"error":{"message":"the picture does not decode"}}"#,
        r#"{"error":{"message":"image input is not supported"}}"#,
    ] {
        server.fail_with([Fault::Refuse(400, body)]);
        let error = put(&*model, &question(), &tools(), false).await.expect_err(body);
        assert_eq!(error.code, ErrorCode::RequestRefused, "{error}");
        assert!(model.takes_tools());
    }
}

#[tokio::test]
async fn what_is_known_before_is_not_asked() {
    let server = FakeServer::start();
    let mut refusing = config("generic", &server);
    refusing.provider.refused.push("tools".into());
    let model = connect(refusing).expect("a model");
    assert!(!model.takes_tools());
    let error = put(&*model, &question(), &tools(), false).await.expect_err("no tools");
    assert_eq!(error.code, ErrorCode::ToolsUnsupported);
    assert!(server.seen().is_empty());
    // Ollama reports what a model can do: no picture is sent for nothing.
    server
        .fail_with([Fault::Json(r#"{"model_info":{"a.context_length":8192},"capabilities":["completion","vision"]}"#)]);
    let model = connect(config("ollama", &server)).expect("a model");
    let error = put(&*model, &question(), &tools(), false).await.expect_err("no tools");
    assert_eq!(error.code, ErrorCode::ToolsUnsupported, "{error}");
    assert!(!model.takes_tools());
    assert!(server.chats().is_empty());
    put(&*model, &question(), &[], false).await.expect("without tools");
    let whats: Vec<bool> = server.seen().iter().map(|seen| matches!(seen.what, What::Models)).collect();
    assert_eq!(whats, [true, false], "the capabilities are queried once");
}

#[tokio::test]
async fn hostile_replies_are_bounded() {
    let server = fake_server("generic");
    let model = connect(config("generic", &server)).expect("a model");
    let reply = |calls: &Value, finish: &str| {
        let message = json!({"role": "assistant", "content": null, "tool_calls": calls});
        let reply = json!({"choices": [{"index": 0, "message": message, "finish_reason": finish}]});
        // A fault lives as long as the program.
        Fault::Json(reply.to_string().leak())
    };
    let call = |id: &Value, name: &str, arguments: &Value| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
    let sound = call(&json!("a"), "frames", &json!("{}"));
    let huge = json!("9".repeat(1 << 20));
    let many: Vec<Value> = (0..600).map(|n| call(&json!(n.to_string()), "frames", &json!("{}"))).collect();
    for (calls, n_calls) in [
        (json!(many), 32),
        (json!(vec![sound.clone(); 600]), 32),
        (json!([call(&json!("a"), "frames", &huge)]), 1),
        (json!([call(&json!("a"), "frames", &json!({"start": 1}))]), 1),
        (json!([call(&json!(null), "fra\u{1b}[31m\u{202e}mes\u{0}", &json!("{\"start\":"))]), 1),
        (json!([call(&json!("x".repeat(1 << 20)), &"y".repeat(1 << 20), &json!(null)), sound, sound]), 3),
        (json!([{}, null, 7, "frames"]), 1),
    ] {
        server.fail_with([reply(&calls, "tool_calls")]);
        let (response, _) = put(&*model, &question(), &tools(), false).await.expect("calls");
        let choice = &response.choices[0];
        assert_eq!((&choice.finish, choice.tool_calls.len()), (&FinishReason::ToolCalls, n_calls));
        assert!(serde_json::to_string(choice).expect("JSON").len() < 1 << 18);
        // The server accepts what comes back.
        let mut messages = question();
        messages.push(choice.to_message());
        let result = |call: &ToolCall| Part::ToolResult { call_id: call.id.clone(), text: "no".into() };
        messages.push(Message { role: Role::User, parts: choice.tool_calls.iter().map(result).collect() });
        server.then_succeed();
        put(&*model, &messages, &tools(), false).await.expect("an answer");
    }
    assert_eq!(server.refusals(), [""; 0]);
    for calls in [json!(null), json!([]), json!({}), json!([null])] {
        server.fail_with([reply(&calls, "tool_calls")]);
        let error = put(&*model, &question(), &tools(), false).await.expect_err("nothing");
        assert_eq!(error.code, ErrorCode::InvalidResponse, "{error}");
        assert!(error.problem.contains("the answer is empty, finish reason tool_calls"), "{error}");
    }
    // Nobody asked for tools.
    for is_stream in [false, true] {
        server.fail_with([CALLS]);
        let error = put(&*model, &question(), &[], is_stream).await.expect_err("calls without tools");
        assert!(error.problem.contains("the answer is empty, finish reason tool_calls"), "{error}");
    }
}

#[tokio::test]
async fn streams_in_any_order_are_joined() {
    let server = fake_server("anthropic");
    let model = connect(config("anthropic", &server)).expect("a model");
    let start =
        |index: usize, block: Value| json!({"type": "content_block_start", "index": index, "content_block": block});
    let delta = |index: usize, delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
    let json_of = |index, text: &str| delta(index, json!({"type": "input_json_delta", "partial_json": text}));
    let tool = |id: &str, name: &str| json!({"type": "tool_use", "id": id, "name": name, "input": {}});
    let stop = |reason: &str| json!({"type": "message_delta", "delta": {"stop_reason": reason}});
    let end = json!({"type": "message_stop"});
    let calls = vec![
        // The second before the first, the arguments before their block, and a separator inside of a block of calls.
        start(2, tool("b", "transcript")),
        json_of(1, "{\"n\""),
        start(1, tool("a", "frames")),
        json_of(2, "{\"n\""),
        delta(2, json!({"type": "text_delta", "text": "\n"})),
        json_of(1, ":1}"),
        json_of(2, ":2}"),
        // A call without arguments, and blocks of no use.
        start(3, tool("c", "frames")),
        start(4, json!({"type": "server_tool_use", "id": "d", "name": "x"})),
        json_of(9, "{}"),
        json_of(1 << 40, "{}"),
        json!({"type": "content_block_delta", "delta": {"type": "input_json_delta", "partial_json": "{}"}}),
        stop("tool_use"),
        end.clone(),
    ];
    let events = |events: &[Value]| {
        let event = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().expect("a type"));
        Fault::Events(events.iter().map(event).collect())
    };
    server.fail_with([events(&calls)]);
    let (response, _) = put(&*model, &question(), &tools(), true).await.expect("calls");
    let choice = &response.choices[0];
    assert_eq!(choice.finish, FinishReason::ToolCalls);
    assert_eq!(
        choice.tool_calls,
        [
            ToolCall::new("a", "frames", json!({"n": 1})),
            ToolCall::new("b", "transcript", json!({"n": 2})),
            ToolCall::new("c", "frames", json!({})),
        ]
    );
    // Reasoning is kept where it has a signature, with the call after it.
    let signed = json!({"type": "thinking", "thinking": "Hm.", "signature": "sig"});
    let redacted = json!({"type": "redacted_thinking", "data": "x"});
    let reasoning = vec![
        start(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
        delta(0, json!({"type": "thinking_delta", "thinking": "H"})),
        delta(0, json!({"type": "thinking_delta", "thinking": "m."})),
        delta(0, json!({"type": "signature_delta", "signature": "sig"})),
        start(1, redacted.clone()),
        start(2, tool("a", "frames")),
        start(3, json!({"type": "thinking", "thinking": "unsigned", "signature": ""})),
        start(4, tool("b", "frames")),
        stop("tool_use"),
        end.clone(),
    ];
    server.fail_with([events(&reasoning)]);
    let (response, _) = put(&*model, &question(), &tools(), true).await.expect("calls");
    let data: Vec<Option<Value>> =
        response.choices[0].tool_calls.iter().map(|call| call.provider_data.clone()).collect();
    assert_eq!(data, [Some(json!({"extra_content": [signed, redacted]})), None]);
    // Cut off in the middle of the arguments: the raw text, and the reason.
    server.fail_with([events(&[start(0, tool("a", "frames")), json_of(0, "{\"n\""), stop("max_tokens"), end])]);
    let (response, _) = put(&*model, &question(), &tools(), true).await.expect("calls");
    let choice = &response.choices[0];
    assert_eq!((&choice.finish, &choice.tool_calls[0].arguments), (&FinishReason::Length, &json!("{\"n\"")));
    // Larger than a reply may be.
    let large = ServerConfig { max_reply_bytes: 2000, ..config("anthropic", &server).server };
    let model = connect(ChatConfig { server: large, ..config("anthropic", &server) }).expect("a model");
    let pieces: Vec<Value> =
        std::iter::once(start(0, tool("a", "frames"))).chain((0..40).map(|_| json_of(0, &"9".repeat(100)))).collect();
    server.fail_with([events(&pieces)]);
    let error = put(&*model, &question(), &tools(), true).await.expect_err("too large");
    assert_eq!((error.kind, error.code), (ErrorKind::Limit, ErrorCode::TooLarge), "{error}");
}

#[tokio::test]
async fn a_conversation_that_every_api_refuses_is_not_sent() {
    let server = FakeServer::start();
    let model = connect(config("generic", &server)).expect("a model");
    let call = Part::ToolCall(ToolCall::new("a", "frames", json!({})));
    let turn = |role, parts| Message { role, parts };
    let result = || Part::ToolResult { call_id: "a".into(), text: "one".into() };
    for (messages, said) in [
        (vec![turn(Role::Assistant, vec![call.clone()])], "no user message"),
        (vec![turn(Role::User, vec![result()])], "no tool call of the message before"),
        (vec![turn(Role::Assistant, vec![picture()])], "an assistant message contains an image"),
        (vec![turn(Role::System, vec![call.clone()])], "not in an assistant message"),
    ] {
        let error = put(&*model, &messages, &tools(), false).await.expect_err(said);
        assert!(error.kind == ErrorKind::Usage && error.problem.contains(said), "{error}");
    }
    let messages = [turn(Role::Assistant, vec![call]), turn(Role::User, vec![result()])];
    let error = put(&*model, &messages, &[], false).await.expect_err("no tools");
    assert!(error.problem.contains("but not the tools"), "{error}");
    assert!(server.seen().is_empty());
}
