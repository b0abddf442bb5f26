//! Anthropic's `/messages`, read as strictly.

use serde_json::{Value, json};

use super::CHAT_MODEL;
use super::chat::{Chat, object, read_label, read_picture};
use super::http::{Refusal, Reply, Request, header};
use super::tools::{self, Open};

const KEYS: [&str; 10] = [
    "model",
    "max_tokens",
    "tools",
    "system",
    "messages",
    "output_config",
    "stop_sequences",
    "stream",
    "temperature",
    "top_p",
];

/// A key, whether it must be there, and whether its value is right.
type Check<'a> = (&'a str, bool, &'a dyn Fn(&Value) -> bool);

/// The API's own form of a refusal.
pub(super) fn refuse(refusal: &Refusal) -> Reply {
    let kind = match refusal.status {
        401 => "authentication_error",
        404 => "not_found_error",
        _ => "invalid_request_error",
    };
    let error = json!({"type": kind, "message": refusal.message});
    Reply::json(refusal.status, &json!({"type": "error", "error": error, "request_id": "req-fake-server"}))
}

/// Checks a request and takes out of it what a model would see.
pub(super) fn read(request: &Request, key: Option<&str>) -> Result<Chat, Refusal> {
    let bad = |message: &str| Refusal::new(400, message, None, None);
    // The documentation has the first; the SDK of 2.13 sends the second.
    let bearer = header(&request.headers, "authorization").map(|value| value.strip_prefix("Bearer ").unwrap_or("?"));
    match (key, header(&request.headers, "x-api-key"), bearer) {
        (None, None, None) => {}
        (Some(key), Some(value), None) | (Some(key), None, Some(value)) if key == value => {}
        _ => return Err(Refusal::new(401, "invalid x-api-key", None, None)),
    }
    // The documentation's and the SDK's.
    if !matches!(header(&request.headers, "anthropic-version"), Some("2023-06-01" | "2026-10-21")) {
        return Err(bad("anthropic-version: header is required"));
    }
    if header(&request.headers, "content-type") != Some("application/json") {
        return Err(bad("content-type: must be application/json"));
    }
    let json: Value = serde_json::from_slice(&request.body).map_err(|_| bad("invalid JSON"))?;
    let top = object(&json, "the body", &KEYS)?;
    if top.get("model").and_then(Value::as_str) != Some(CHAT_MODEL) {
        return Err(Refusal::new(404, format!("model: {:?}", top.get("model")), None, None));
    }
    let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.trim().is_empty());
    let is_share = |value: &Value| value.as_f64().is_some_and(|number| (0.0..=1.0).contains(&number));
    let checks: [Check<'_>; 7] = [
        ("max_tokens", true, &|value| value.as_u64().is_some_and(|n| n > 0)),
        ("system", false, &is_text),
        ("stop_sequences", false, &|value| value.as_array().is_some_and(|texts| texts.iter().all(is_text))),
        ("stream", false, &Value::is_boolean),
        ("temperature", false, &is_share),
        ("top_p", false, &is_share),
        ("output_config", false, &is_output_config),
    ];
    for (name, is_needed, is_right) in checks {
        if !top.get(name).map_or(!is_needed, is_right) {
            return Err(bad(&format!("{name}: {:?}", top.get(name))));
        }
    }
    tools::check_tools(top)?;
    let (mut chat, mut open) = (Chat::empty(json.clone(), request.body.len()), Open::default());
    let messages = top.get("messages").and_then(Value::as_array).filter(|messages| !messages.is_empty());
    for message in messages.ok_or_else(|| bad("messages: at least one message is required"))? {
        let message = object(message, "messages", &["role", "content"])?;
        let Some(role @ ("user" | "assistant")) = message.get("role").and_then(Value::as_str) else {
            return Err(bad("messages: role"));
        };
        if role == "assistant" {
            open.check_closed()?;
        }
        let parts = message.get("content").and_then(Value::as_array).filter(|parts| !parts.is_empty());
        let mut label = None;
        for (place, part) in parts.ok_or_else(|| bad("messages: content"))?.iter().enumerate() {
            if open.anthropic(role, part, place, top.contains_key("tools"))? {
                continue;
            }
            match part.get("type").and_then(Value::as_str) {
                Some("text") => {
                    let part = object(part, "a text block", &["type", "text"])?;
                    let text = part.get("text").filter(|text| is_text(text)).and_then(Value::as_str);
                    let text = text.ok_or_else(|| bad("messages: text content blocks must be non-empty"))?;
                    chat.texts.push(text.to_owned());
                    label = read_label(text);
                }
                Some("image") => {
                    let part = object(part, "an image block", &["type", "source"])?;
                    let url = source(part.get("source").unwrap_or(&Value::Null))?;
                    chat.pictures.push(read_picture(&url, label.take())?);
                }
                kind => return Err(bad(&format!("messages: content type {kind:?}"))),
            }
        }
    }
    open.check_closed()?;
    Ok(chat)
}

/// The source of a picture as a URL.
fn source(source: &Value) -> Result<String, Refusal> {
    let bad = || Refusal::new(400, format!("messages: image source {source}"), None, None);
    let text = |name: &str| source.get(name).and_then(Value::as_str).ok_or_else(bad);
    match text("type")? {
        "base64" => {
            object(source, "source", &["type", "media_type", "data"])?;
            let url = format!("data:{};base64,{}", text("media_type")?, text("data")?);
            if text("data")?.starts_with("data:") { Err(bad()) } else { Ok(url) }
        }
        "url" => {
            object(source, "source", &["type", "url"])?;
            let url = text("url")?;
            if url.starts_with("https://") { Ok(url.to_owned()) } else { Err(bad()) }
        }
        _ => Err(bad()),
    }
}

fn is_output_config(value: &Value) -> bool {
    let Some(config) = value.as_object().filter(|config| !config.is_empty()) else { return false };
    config.iter().all(|(key, value)| match key.as_str() {
        "effort" => matches!(value.as_str(), Some("low" | "medium" | "high" | "xhigh" | "max")),
        "format" => {
            value.as_object().is_some_and(|format| format.len() == 2)
                && value["type"] == "json_schema"
                && value["schema"].is_object()
        }
        _ => false,
    })
}

/// The answer, whole or as events.
pub(super) fn reply(chat: &Chat) -> Reply {
    let text = chat.evidence().to_string();
    let usage = json!({"input_tokens": chat.n_prompt() - 7, "cache_read_input_tokens": 7,
        "cache_creation_input_tokens": 0, "output_tokens": 1});
    let n_output = text.len().div_ceil(4);
    let reason = if chat.calls.is_empty() { "end_turn" } else { "tool_use" };
    let head = |content: Value, reason: Option<&str>, usage: &Value| {
        json!({"id": "msg_fake_server", "type": "message", "role": "assistant", "model": CHAT_MODEL, "content": content,
            "stop_reason": reason, "stop_sequence": null, "usage": usage})
    };
    if chat.json.get("stream") != Some(&Value::Bool(true)) {
        let mut usage = usage;
        usage["output_tokens"] = n_output.into();
        let mut content = vec![json!({"type": "thinking", "thinking": "Hm.", "signature": "x"})];
        if chat.calls.is_empty() {
            content.push(json!({"type": "text", "text": text}));
        }
        for (id, (name, arguments)) in chat.call_ids().iter().zip(&chat.calls) {
            let input: Value = serde_json::from_str(arguments).expect("JSON");
            content.push(json!({"type": "tool_use", "id": id, "name": name, "input": input}));
        }
        return Reply::json(200, &head(json!(content), Some(reason), &usage));
    }
    let event = |event: Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().expect("a type"));
    let mut body = event(json!({"type": "message_start", "message": head(json!([]), None, &usage)}));
    body += &event(
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}}),
    );
    body += &event(json!({"type": "content_block_delta", "index": 0,
        "delta": {"type": "thinking_delta", "thinking": "Hm."}}));
    body += &event(json!({"type": "content_block_delta", "index": 0,
        "delta": {"type": "signature_delta", "signature": "x"}}));
    body += &event(json!({"type": "ping"}));
    let text = if chat.calls.is_empty() { text } else { String::new() };
    body += &event(json!({"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}}));
    for piece in text.chars().collect::<Vec<_>>().chunks(7) {
        let delta = json!({"type": "text_delta", "text": piece.iter().collect::<String>()});
        body += &event(json!({"type": "content_block_delta", "index": 1, "delta": delta}));
    }
    body += &event(json!({"type": "content_block_stop", "index": 1}));
    for (index, (id, (name, arguments))) in (2..).zip(chat.call_ids().iter().zip(&chat.calls)) {
        let block = json!({"type": "tool_use", "id": id, "name": name, "input": {}});
        body += &event(json!({"type": "content_block_start", "index": index, "content_block": block}));
        for piece in arguments.as_bytes().chunks(5) {
            let delta = json!({"type": "input_json_delta", "partial_json": String::from_utf8_lossy(piece)});
            body += &event(json!({"type": "content_block_delta", "index": index, "delta": delta}));
        }
        body += &event(json!({"type": "content_block_stop", "index": index}));
    }
    body += &event(json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null},
        "usage": {"output_tokens": n_output}}));
    body += &event(json!({"type": "message_stop"}));
    Reply::events(&body)
}
