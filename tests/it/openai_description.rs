//! The test server's second judge, `OpenAI`'s own description, refuses what is bad, and each judge sees what the others
//! cannot: schemas let unknown keys through, and neither schemas nor keys see what the documentation says in prose.

use crate::support;
use crate::support::fake_server::{By, CHAT_MODEL, Description, FakeServer, HEARING_MODEL};
use serde_json::{Value, json};

/// A picture of one pixel.
const PIXEL: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVQI12P4//8/AAX+Av7czFnnAAAAAElFTkSuQmCC";

/// All that vidgist may send.
fn good() -> Value {
    json!({
        "model": CHAT_MODEL,
        "messages": [
            {"role": "system", "content": "Rules"},
            {"role": "user", "content": [
                {"type": "text", "text": "What is there?"},
                {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
                {"type": "image_url", "image_url": {"url": PIXEL, "detail": "original"}},
                {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}},
            ]},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "frames", "arguments": "{\"start\":1}"}},
            ]},
            {"role": "tool", "content": "2 frames", "tool_call_id": "a"},
            {"role": "user", "content": "These are the frames."},
        ],
        "tools": [{"type": "function", "function":
            {"name": "frames", "description": "Shows frames", "parameters": {"type": "object", "anything": "is free"}}}],
        "max_completion_tokens": 800, "n": 2, "reasoning_effort": "low",
        "response_format": {"type": "json_schema", "json_schema":
            {"name": "frames", "strict": true, "schema": {"type": "object", "properties": {"anything": {"is": "free"}},
                "required": ["anything"], "additionalProperties": false}}},
        "seed": -1, "stop": ["END"], "store": false, "stream": true, "stream_options": {"include_usage": true},
        "temperature": 0.5, "top_p": 1,
    })
}

/// The description; skips where it does not exist.
fn description() -> Option<&'static Description> {
    let description = Description::get();
    if description.is_none() {
        support::skip("OpenAI's description is not in ../shared");
    }
    description
}

/// Who must refuse: a judge of the description, or, since the description lets it pass, the test server alone.
type Judge = Option<By>;
const SCHEMA: Judge = Some(By::Schema);
const KEYS: Judge = Some(By::Keys);
const PROSE: Judge = None;

/// What is bad, who refuses, how it is spoilt, and a word of the refusal.
type Bad = (&'static str, Judge, fn(&mut Value), &'static str);

fn at<'a>(body: &'a mut Value, pointer: &str) -> &'a mut Value {
    body.pointer_mut(pointer).expect(pointer)
}

const TEXT: &str = "/messages/1/content/0";
const IMAGE: &str = "/messages/1/content/1/image_url";
const TOOL: &str = "/tools/0/function";
const CALL: &str = "/messages/2/tool_calls/0";
const FORMAT: &str = "/response_format/json_schema";

#[rustfmt::skip]
const TABLE: [Bad; 62] = [
    ("no model", SCHEMA, |b| { b.as_object_mut().expect("an object").remove("model"); }, "model"),
    ("a number as model", SCHEMA, |b| b["model"] = json!(4), "/model"),
    ("no messages at all", SCHEMA, |b| { b.as_object_mut().expect("an object").remove("messages"); }, "messages"),
    ("an empty list of messages", SCHEMA, |b| b["messages"] = json!([]), "/messages"),
    ("messages as a text", SCHEMA, |b| b["messages"] = json!("Hello"), "/messages"),
    ("an unknown role", SCHEMA, |b| b["messages"][1]["role"] = json!("human"), "/messages/1/role"),
    ("a message without role", SCHEMA, |b| { b["messages"][1].as_object_mut().expect("an object").remove("role"); }, "role"),
    ("content null", SCHEMA, |b| b["messages"][1]["content"] = json!(null), "/messages/1/content"),
    ("no parts", SCHEMA, |b| b["messages"][1]["content"] = json!([]), "/messages/1/content"),
    ("a part of unknown type", SCHEMA, |b| at(b, TEXT)["type"] = json!("words"), "/messages/1/content/0/type"),
    ("a part without type", SCHEMA, |b| *at(b, TEXT) = json!({"text": "x"}), "type"),
    ("a number as text", SCHEMA, |b| at(b, TEXT)["text"] = json!(7), "/messages/1/content/0/text"),
    ("a picture for the system", SCHEMA, |b| b["messages"][1]["role"] = json!("system"), "/type: value is not one of \"text\""),
    ("image_url as a text", SCHEMA, |b| *at(b, IMAGE) = json!(PIXEL), "/messages/1/content/1/image_url"),
    ("a picture without address", SCHEMA, |b| *at(b, IMAGE) = json!({"detail": "low"}), "url"),
    ("an unknown detail", SCHEMA, |b| at(b, IMAGE)["detail"] = json!("fine"), "/image_url/detail"),
    ("Anthropic's picture", SCHEMA, |b| *at(b, TEXT) = json!({"type": "image", "source": {}}), "/messages/1/content/0/type"),
    ("Ogg as sound", SCHEMA, |b| *at(b, "/messages/1/content/3/input_audio/format") = json!("ogg"), "/input_audio/format"),
    ("temperature as a text", SCHEMA, |b| b["temperature"] = json!("0"), "/temperature"),
    ("a hot temperature", SCHEMA, |b| b["temperature"] = json!(2.1), "/temperature"),
    ("a cold temperature", SCHEMA, |b| b["temperature"] = json!(-0.1), "/temperature"),
    ("a large top_p", SCHEMA, |b| b["top_p"] = json!(1.01), "/top_p"),
    ("n of 0", SCHEMA, |b| b["n"] = json!(0), "/n"),
    ("n of 129", SCHEMA, |b| b["n"] = json!(129), "/n"),
    ("five stops", SCHEMA, |b| b["stop"] = json!(["a", "b", "c", "d", "e"]), "/stop"),
    ("no stop in a list", SCHEMA, |b| b["stop"] = json!([]), "/stop"),
    ("seed as a text", SCHEMA, |b| b["seed"] = json!("1"), "/seed"),
    ("store as a text", SCHEMA, |b| b["store"] = json!("no"), "/store"),
    ("stream as a number", SCHEMA, |b| b["stream"] = json!(1), "/stream"),
    ("an unknown effort", SCHEMA, |b| b["reasoning_effort"] = json!("hard"), "/reasoning_effort"),
    ("an unknown form of answer", SCHEMA, |b| b["response_format"]["type"] = json!("xml"), "/response_format/type"),
    ("a schema without a name", SCHEMA, |b| { at(b, FORMAT).as_object_mut().expect("an object").remove("name"); }, "name"),
    ("half a token", SCHEMA, |b| b["max_completion_tokens"] = json!(0.5), "/max_completion_tokens"),
    ("a misspelt limit", KEYS, |b| b["max_token"] = json!(5), "/max_token"),
    ("a key of other servers", KEYS, |b| b["top_k"] = json!(5), "/top_k"),
    ("Mistral's seed", KEYS, |b| b["random_seed"] = json!(5), "/random_seed"),
    ("Ollama's pictures", KEYS, |b| b["messages"][1]["images"] = json!([]), "/messages/1/images"),
    ("a cache mark of Anthropic's", KEYS, |b| at(b, TEXT)["cache_control"] = json!({}), "/content/0/cache_control"),
    ("detail in the part", KEYS, |b| at(b, "/messages/1/content/1")["detail"] = json!("low"), "/content/1/detail"),
    ("a key of another part", KEYS, |b| at(b, TEXT)["image_url"] = json!({"url": PIXEL}), "/content/0/image_url"),
    ("a size in the address", KEYS, |b| at(b, IMAGE)["width"] = json!(1), "/image_url/width"),
    ("a misspelt option of the stream", KEYS, |b| b["stream_options"] = json!({"includeUsage": true}), "/stream_options/includeUsage"),
    ("a schema at the wrong depth", KEYS, |b| b["response_format"]["schema"] = json!({}), "/response_format/schema"),
    ("a negative limit", PROSE, |b| b["max_completion_tokens"] = json!(-5), "max_completion_tokens"),
    ("both limits", PROSE, |b| b["max_tokens"] = json!(5), "at once"),
    ("bad Base64", PROSE, |b| at(b, IMAGE)["url"] = json!("data:image/png;base64,@@@"), "base64"),
    ("a file of this machine", PROSE, |b| at(b, IMAGE)["url"] = json!("file:///etc/passwd"), "URL"),
    ("a blank in the schema's name", PROSE, |b| at(b, FORMAT)["name"] = json!("a b"), "response_format"),
    ("options of a stream that is none", PROSE, |b| b["stream"] = json!(false), "stream_options"),
    ("a tool without a name", SCHEMA, |b| { at(b, TOOL).as_object_mut().expect("an object").remove("name"); }, "name"),
    ("a tool without type", SCHEMA, |b| { at(b, "/tools/0").as_object_mut().expect("an object").remove("type"); }, "type"),
    ("a call without ID", SCHEMA, |b| { at(b, CALL).as_object_mut().expect("an object").remove("id"); }, "id"),
    ("arguments as an object", SCHEMA, |b| at(b, CALL)["function"]["arguments"] = json!({}), "arguments"),
    ("a result without its call", SCHEMA, |b| { at(b, "/messages/3").as_object_mut().expect("an object").remove("tool_call_id"); }, "tool_call_id"),
    ("a picture as result", SCHEMA, |b| at(b, "/messages/3")["content"] = json!([{"type": "image_url", "image_url": {"url": PIXEL}}]), "/messages/3/content"),
    ("Anthropic's schema of a tool", KEYS, |b| at(b, TOOL)["input_schema"] = json!({}), "/tools/0/function/input_schema"),
    ("Ollama's name of a result", KEYS, |b| at(b, "/messages/3")["tool_name"] = json!("frames"), "/messages/3/tool_name"),
    ("a blank in a tool's name", PROSE, |b| at(b, TOOL)["name"] = json!("a b"), "pattern"),
    ("a result for no call", PROSE, |b| at(b, "/messages/3")["tool_call_id"] = json!("b"), "unexpected result"),
    ("a call without result", PROSE, |b| drop(b["messages"].as_array_mut().expect("a list").remove(3)), "without results"),
    ("calls without tools", PROSE, |b| { b.as_object_mut().expect("an object").remove("tools"); }, "without tools"),
    ("an empty stop", PROSE, |b| b["stop"] = json!([""]), "stop"),
];

#[tokio::test]
async fn each_judge_refuses_what_it_can_see() {
    let Some(description) = description() else { return };
    description.judge_chat(&good()).expect("a good request");
    let fake_server = FakeServer::start();
    let url = format!("{}/chat/completions", fake_server.base_url());
    let client = reqwest::Client::new();
    for (what, judge, spoil, word) in TABLE {
        let mut body = good();
        spoil(&mut body);
        let judged = description.judge_chat(&body);
        match (&judged, judge) {
            (Err(wrong), Some(by)) => assert!(wrong.by == by && wrong.why.contains(word), "{what}: {wrong:?}"),
            (Ok(()), None) => {}
            _ => panic!("{what}: {judged:?}, expected {judge:?}"),
        }
        let response = client.post(&url).json(&body).send().await.expect("a reply");
        let (status, reply) = (response.status(), response.text().await.expect("a text"));
        assert!(status.is_client_error(), "{what}: {status} {reply}");
        assert!(judge.is_some() || reply.contains(word), "{what}: {reply}");
    }
}

/// The form's name and value, who refuses, and a word of the refusal.
type BadField = (&'static str, &'static str, Judge, &'static str);

#[test]
fn a_bad_form_is_refused() {
    let Some(description) = description() else { return };
    let fields = |fields: &[(&str, &str)]| -> Vec<(String, String)> {
        fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let good = [
        ("model", HEARING_MODEL),
        ("language", "en"),
        ("prompt", "Vidgist"),
        ("response_format", "verbose_json"),
        ("timestamp_granularities[]", "word"),
        ("timestamp_granularities[]", "segment"),
        ("temperature", "0"),
    ];
    description.judge_sound(&fields(&good)).expect("a good form");
    let without_model = description.judge_sound(&fields(&good[1..])).expect_err("no model");
    assert!(without_model.by == By::Schema && without_model.why.contains("model"), "{without_model:?}");
    #[rustfmt::skip]
    let table: [BadField; 6] = [
        ("response_format", "xml", SCHEMA, "/response_format"),
        ("timestamp_granularities[]", "sentence", SCHEMA, "/timestamp_granularities/"),
        ("temperature", "warm", SCHEMA, "/temperature"),
        // This schema forbids other properties itself.
        ("granularity", "word", SCHEMA, "granularity"),
        ("lang", "en", SCHEMA, "lang"),
        ("chunking_strategy", "silence", SCHEMA, "/chunking_strategy"),
    ];
    for (name, value, judge, word) in table {
        let mut form = fields(&good);
        form.retain(|(other, _)| *other != name);
        form.extend(fields(&[(name, value)]));
        let wrong = description.judge_sound(&form).expect_err(name);
        assert!(Some(wrong.by) == judge && wrong.why.contains(word), "{name}={value}: {wrong:?}");
    }
}
