//! Ollama's `/api/chat` and `/api/show`, read as strictly.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::CHAT_MODEL;
use super::chat::{Chat, object, read_label, read_picture};
use super::http::{Refusal, Reply, Request};
use super::tools::{self, Open};

/// The model's longest context in tokens.
pub const CONTEXT: u64 = 32_768;
const KEYS: [&str; 7] = ["model", "messages", "tools", "stream", "format", "think", "options"];
const OPTIONS: [&str; 6] = ["num_ctx", "num_predict", "seed", "stop", "temperature", "top_p"];

/// The API's own form of a refusal.
pub(super) fn refuse(refusal: &Refusal) -> Reply {
    Reply::json(refusal.status, &json!({"error": refusal.message}))
}

fn bad(message: impl Into<String>) -> Refusal {
    Refusal::new(400, message, None, None)
}

fn body<'a>(json: &'a Value, keys: &[&str]) -> Result<&'a serde_json::Map<String, Value>, Refusal> {
    let top = object(json, "the body", keys)?;
    match top.get("model").and_then(Value::as_str) {
        Some(CHAT_MODEL) => Ok(top),
        model => Err(Refusal::new(404, format!("model {model:?} not found"), None, None)),
    }
}

/// What is known of the model.
pub(super) fn show(request: &Request) -> Result<Reply, Refusal> {
    let json: Value = serde_json::from_slice(&request.body).map_err(|_| bad("invalid JSON"))?;
    body(&json, &["model"])?;
    let info = json!({"general.architecture": "fake_server", "fake_server.context_length": CONTEXT});
    Ok(Reply::json(200, &json!({"model_info": info, "capabilities": ["completion", "vision", "tools"]})))
}

/// Checks a request and takes out of it what a model would see.
pub(super) fn read(request: &Request) -> Result<Chat, Refusal> {
    let json: Value = serde_json::from_slice(&request.body).map_err(|_| bad("invalid JSON"))?;
    let top = body(&json, &KEYS)?;
    if !top.get("stream").is_some_and(Value::is_boolean) {
        return Err(bad("stream must be said: it is on where it is not"));
    }
    if !top.get("format").is_none_or(Value::is_object) {
        return Err(bad("format"));
    }
    let nothing = json!({});
    let options = object(top.get("options").unwrap_or(&nothing), "options", &OPTIONS)?;
    let n_context = options.get("num_ctx").and_then(Value::as_u64).unwrap_or(4096);
    if n_context > CONTEXT {
        return Err(bad("num_ctx is more than the model has"));
    }
    tools::check_functions(top)?;
    let (mut chat, mut open) = (Chat::empty(json.clone(), request.body.len()), Open::default());
    let mut label = None;
    let messages = top.get("messages").and_then(Value::as_array).filter(|messages| !messages.is_empty());
    for message in messages.ok_or_else(|| bad("messages"))? {
        if open.ollama(message, top.contains_key("tools"))? {
            continue;
        }
        let message = object(message, "messages", &["role", "content", "images"])?;
        if !matches!(message.get("role").and_then(Value::as_str), Some("user" | "system")) {
            return Err(bad("role"));
        }
        let text = message.get("content").and_then(Value::as_str).ok_or_else(|| bad("content"))?;
        for image in message.get("images").and_then(Value::as_array).into_iter().flatten() {
            let data = image.as_str().ok_or_else(|| bad("images"))?;
            let bytes = STANDARD.decode(data).map_err(|_| bad("illegal base64 data"))?;
            let mime = if bytes.starts_with(b"\x89PNG") { "image/png" } else { "image/jpeg" };
            chat.pictures.push(read_picture(&format!("data:{mime};base64,{data}"), label.take())?);
        }
        if !text.is_empty() {
            label = read_label(text);
            chat.texts.push(text.to_owned());
        }
    }
    open.check_closed()?;
    Ok(chat)
}

/// The answer, whole or in lines.
pub(super) fn reply(chat: &Chat) -> Reply {
    let text = if chat.calls.is_empty() { chat.evidence().to_string() } else { String::new() };
    let call = |(name, arguments): &(String, String)| {
        let arguments: Value = serde_json::from_str(arguments).expect("JSON");
        json!({"function": {"name": name, "arguments": arguments}})
    };
    let calls: Vec<Value> = chat.calls.iter().map(call).collect();
    let n_tokens = text.len().div_ceil(4);
    let last = |text: &str| {
        json!({"model": CHAT_MODEL, "created_at": "2026-11-24T00:00:00Z", "done": true, "done_reason": "stop",
            "message": {"role": "assistant", "content": text}, "prompt_eval_count": chat.n_prompt(),
            "eval_count": n_tokens})
    };
    if chat.json["stream"] == false {
        let mut whole = last(&text);
        if !calls.is_empty() {
            whole["message"]["tool_calls"] = json!(calls);
        }
        return Reply::json(200, &whole);
    }
    let mut lines = Vec::new();
    for piece in text.chars().collect::<Vec<_>>().chunks(7) {
        let content: String = piece.iter().collect();
        let line = json!({"model": CHAT_MODEL, "done": false, "message": {"role": "assistant", "content": content}});
        lines.push(line.to_string());
    }
    for call in calls {
        let message = json!({"role": "assistant", "content": "", "tool_calls": [call]});
        lines.push(json!({"model": CHAT_MODEL, "done": false, "message": message}).to_string());
    }
    lines.push(last("").to_string());
    let body = lines.join(
        "
",
    ) + "
";
    Reply { status: 200, headers: vec![("content-type", "application/x-ndjson".into())], body: body.into_bytes() }
}
