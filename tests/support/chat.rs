//! Chat requests, checked as strictly as the strictest server, and what can be seen in them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::{ImageFormat, RgbImage};
use serde_json::{Map, Value, json};

use super::http::{Refusal, Request};
use super::marks::read_mark;

type Checked<T = ()> = Result<T, Refusal>;

/// A picture that was received.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// The claimed time in seconds and the claimed id, from the `[t=MM:SS.s #id]` last seen before the picture.
    pub label: Option<(f64, usize)>,
    /// The frame index read off the picture itself.
    pub mark: Option<u32>,
    /// The text between the picture and the next label.
    pub words: String,
    /// Empty for an http(s) URL.
    pub mime: String,
    pub n_bytes: usize,
    /// None for an http(s) URL.
    pub image: Option<RgbImage>,
    /// The http(s) URL.
    pub url: Option<String>,
}

/// A chat request that was found right.
#[derive(Clone, Debug)]
pub struct Chat {
    pub json: Value,
    pub pictures: Vec<Picture>,
}

fn refuse<T>(param: &str, message: impl Into<String>) -> Checked<T> {
    Err(Refusal::new(400, param, message))
}

/// Every key of the API with what it must be; the two names for the limit of tokens exclude each other.
const KEYS: [(&str, &str); 31] = [
    ("model", "string"),
    ("messages", "array"),
    ("temperature", "number"),
    ("top_p", "number"),
    ("n", "integer"),
    ("stop", "any"),
    ("seed", "integer"),
    ("max_tokens", "integer"),
    ("max_completion_tokens", "integer"),
    ("stream", "boolean"),
    ("stream_options", "object"),
    ("store", "boolean"),
    ("response_format", "object"),
    ("reasoning_effort", "string"),
    ("verbosity", "string"),
    ("frequency_penalty", "number"),
    ("presence_penalty", "number"),
    ("logit_bias", "object"),
    ("logprobs", "boolean"),
    ("top_logprobs", "integer"),
    ("metadata", "object"),
    ("modalities", "array"),
    ("audio", "object"),
    ("prediction", "object"),
    ("tools", "array"),
    ("tool_choice", "any"),
    ("parallel_tool_calls", "boolean"),
    ("service_tier", "string"),
    ("safety_identifier", "string"),
    ("prompt_cache_key", "string"),
    ("prompt_cache_options", "object"),
];

fn has_type(value: &Value, expected: &str) -> bool {
    match expected {
        "string" => value.is_string(),
        "array" => value.is_array(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        _ => !value.is_null(),
    }
}

/// Checks a request to `/chat/completions`.
pub fn check(request: &Request) -> Checked<Chat> {
    if request.header("content-type") != Some("application/json") {
        return Err(Refusal::new(415, "", "Content-Type must be application/json"));
    }
    let json: Value = serde_json::from_slice(&request.body)
        .map_err(|error| Refusal::new(400, "", format!("We could not parse the JSON body of your request: {error}")))?;
    let Some(body) = json.as_object() else { return refuse("", "the body must be an object") };
    for (key, value) in body {
        match KEYS.iter().find(|(name, _)| name == key) {
            None => return refuse(key, format!("Unrecognized request argument supplied: {key}")),
            Some((_, expected)) if !has_type(value, expected) => {
                return refuse(key, format!("Invalid type for '{key}': expected {expected}, got {value}"));
            }
            _ => {}
        }
    }
    check_parameters(body)?;
    let pictures = check_messages(body.get("messages").and_then(Value::as_array))?;
    Ok(Chat { pictures, json })
}

fn check_parameters(body: &Map<String, Value>) -> Checked {
    let model = body.get("model").and_then(Value::as_str).unwrap_or_default();
    if model.trim().is_empty() {
        return refuse("model", "you must provide a model parameter");
    }
    if model == "missing" {
        let message = "The model `missing` does not exist or you do not have access to it.";
        return Err(Refusal { code: Some("model_not_found".into()), ..Refusal::new(404, "model", message) });
    }
    // As OpenAI's reasoning models do.
    for name in ["temperature", "top_p", "stop", "max_tokens"] {
        if model.starts_with("reasoning") && body.contains_key(name) {
            return refuse(name, format!("Unsupported parameter: '{name}' is not supported with this model."));
        }
    }
    for (name, range) in [("temperature", 0.0..=2.0), ("top_p", 0.0..=1.0)] {
        let value = body.get(name).and_then(Value::as_f64);
        if value.is_some_and(|value| !range.contains(&value)) {
            return refuse(name, format!("Invalid '{name}': not between {range:?}"));
        }
    }
    for (name, range) in [("n", 1..=128), ("max_tokens", 1..=i64::MAX), ("max_completion_tokens", 1..=i64::MAX)] {
        let value = body.get(name).map(|value| value.as_i64().unwrap_or(0));
        if value.is_some_and(|value| !range.contains(&value)) {
            return refuse(name, format!("Invalid '{name}': integer not in {range:?}"));
        }
    }
    if body.contains_key("max_tokens") && body.contains_key("max_completion_tokens") {
        return refuse("max_tokens", "max_tokens and max_completion_tokens exclude each other");
    }
    match body.get("stop") {
        None | Some(Value::String(_)) => Ok(()),
        Some(Value::Array(stops)) if (1..=4).contains(&stops.len()) && stops.iter().all(Value::is_string) => Ok(()),
        Some(other) => refuse("stop", format!("Invalid 'stop': {other}")),
    }
}

fn check_messages(messages: Option<&Vec<Value>>) -> Checked<Vec<Picture>> {
    let Some(messages) = messages.filter(|messages| !messages.is_empty()) else {
        return refuse("messages", "Missing required parameter or empty array: 'messages'");
    };
    let mut eye = Eye::default();
    for (idx, message) in messages.iter().enumerate() {
        let at = format!("messages[{idx}]");
        let Some(message) = message.as_object() else { return refuse(&at, "must be an object") };
        only_keys(message, &["role", "content", "name"], &at)?;
        let role = message.get("role").and_then(Value::as_str).unwrap_or_default();
        if !matches!(role, "system" | "developer" | "user" | "assistant") {
            return refuse(&format!("{at}.role"), format!("Invalid value: '{role}'"));
        }
        match message.get("content") {
            Some(Value::String(text)) if !text.is_empty() => eye.text(text),
            Some(Value::Array(parts)) if !parts.is_empty() => {
                for (part_idx, part) in parts.iter().enumerate() {
                    check_part(part, role, &format!("{at}.content[{part_idx}]"), &mut eye)?;
                }
            }
            other => return refuse(&format!("{at}.content"), format!("Invalid content: {other:?}")),
        }
    }
    if eye.pictures.len() > 500 || eye.pictures.iter().map(|picture| picture.n_bytes).sum::<usize>() > 50 << 20 {
        return Err(Refusal::new(413, "messages", "too many or too large pictures"));
    }
    Ok(eye.pictures)
}

fn only_keys(object: &Map<String, Value>, known: &[&str], at: &str) -> Checked {
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => refuse(at, format!("Unknown parameter: '{at}.{key}'")),
        None => Ok(()),
    }
}

fn check_part(part: &Value, role: &str, at: &str, eye: &mut Eye) -> Checked {
    let Some(object) = part.as_object() else { return refuse(at, "must be an object") };
    match object.get("type").and_then(Value::as_str) {
        Some("text") => {
            only_keys(object, &["type", "text"], at)?;
            let Some(text) = object.get("text").and_then(Value::as_str).filter(|text| !text.is_empty()) else {
                return refuse(at, "a text part needs a text");
            };
            eye.text(text);
            Ok(())
        }
        Some("image_url") if role == "user" => {
            only_keys(object, &["type", "image_url"], at)?;
            let Some(image) = object.get("image_url").and_then(Value::as_object) else {
                return refuse(at, format!("Invalid type for '{at}.image_url': expected an object"));
            };
            only_keys(image, &["url", "detail"], at)?;
            let detail = image.get("detail");
            if detail
                .is_some_and(|detail| ![json!("auto"), json!("low"), json!("high"), json!("original")].contains(detail))
            {
                return refuse(at, format!("Invalid detail: {detail:?}"));
            }
            eye.picture(read_picture(image.get("url").and_then(Value::as_str), at)?);
            Ok(())
        }
        other => refuse(at, format!("Invalid part {other:?} in a message of role {role}")),
    }
}

fn read_picture(url: Option<&str>, at: &str) -> Checked<Picture> {
    let url = url.unwrap_or_default();
    if url.starts_with("https://") || url.starts_with("http://") {
        return Ok(Picture { url: Some(url.into()), ..Picture::default() });
    }
    let Some((mime, base64)) = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")) else {
        return refuse(at, "Invalid image URL: neither http(s) nor data:MIME;base64,");
    };
    let bytes = match STANDARD.decode(base64) {
        Ok(bytes) => bytes,
        Err(error) => return refuse(at, format!("Invalid base64 image_url: {error}")),
    };
    let format = match mime {
        "image/jpeg" => ImageFormat::Jpeg,
        "image/png" => ImageFormat::Png,
        "image/webp" => ImageFormat::WebP,
        "image/gif" => ImageFormat::Gif,
        _ => return refuse(at, format!("You uploaded an unsupported image: {mime}")),
    };
    if image::guess_format(&bytes).ok() != Some(format) {
        return refuse(at, format!("The bytes are not what {mime} says"));
    }
    match image::load_from_memory_with_format(&bytes, format) {
        Ok(image) => {
            let (image, n_bytes) = (image.to_rgb8(), bytes.len());
            Ok(Picture {
                mark: read_mark(&image),
                mime: mime.into(),
                n_bytes,
                image: Some(image),
                ..Picture::default()
            })
        }
        Err(error) => refuse(at, format!("The picture does not decode: {error}")),
    }
}

/// Goes through texts and pictures in their order.
#[derive(Default)]
struct Eye {
    label: Option<(f64, usize)>,
    pictures: Vec<Picture>,
}

impl Eye {
    fn text(&mut self, text: &str) {
        let (words, label) = match text.rfind("[t=").map(|at| (at, read_label(&text[at..]))) {
            Some((at, label @ Some(_))) => (&text[..at], label),
            _ => (text, None),
        };
        if let Some(last) = self.pictures.last_mut().filter(|_| self.label.is_none()) {
            last.words.push_str(words);
        }
        self.label = label.or(self.label);
    }

    fn picture(&mut self, picture: Picture) {
        self.pictures.push(Picture { label: self.label.take(), ..picture });
    }
}

/// Reads `[t=MM:SS.s #id]` or `[t=H:MM:SS.s #id]` at the start of `text`, with nothing but white space behind it.
fn read_label(text: &str) -> Option<(f64, usize)> {
    let (time, id) = text.trim_end().strip_prefix("[t=")?.strip_suffix(']')?.split_once(" #")?;
    let (sign, time) = time.strip_prefix('-').map_or((1.0, time), |time| (-1.0, time));
    let seconds = time.split(':').try_fold(0.0, |sum, part| Some(sum * 60.0 + part.parse::<f64>().ok()?))?;
    Some((sign * seconds, id.parse().ok()?))
}

/// The answer: what was received, told back, `n` times.
pub fn answer(chat: &Chat) -> Value {
    let mut text = format!("I received {} pictures.", chat.pictures.len());
    for picture in &chat.pictures {
        let label = picture.label.map_or("without a label".into(), |(time, id)| format!("{time:.1} s, #{id}"));
        let mark = picture.mark.map_or("no frame".into(), |mark| format!("frame {mark}"));
        text += &format!("\n- {label}: {mark}; {}", picture.words.trim());
    }
    let choice = |index| {
        json!({"index": index, "message": {"role": "assistant", "content": text, "refusal": null}, "logprobs": null,
            "finish_reason": "stop"})
    };
    let n = chat.json.get("n").and_then(Value::as_u64).unwrap_or(1);
    let n_completion = text.len() as u64 / 4 * n;
    json!({"id": "chatcmpl-oracle", "object": "chat.completion", "created": 1_795_478_400,
        "model": chat.json["model"], "choices": (0..n).map(choice).collect::<Vec<_>>(),
        "usage": {"prompt_tokens": 85 * chat.pictures.len() + 10, "completion_tokens": n_completion,
            "total_tokens": 85 * chat.pictures.len() as u64 + 10 + n_completion,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0}}})
}
