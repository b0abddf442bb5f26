//! `/chat/completions`: the strictest reading of a request, and an answer out of nothing but the request.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::http::{Refusal, Reply, Request, header};
use super::tools::{self, Open};
use super::{CHAT_MODEL, HEARING_MODEL, TEXT_ONLY_MODEL};
use crate::support::marks::read_mark;

/// The API has more, but nothing here sends them.
const KEYS: [&str; 15] = [
    "model",
    "messages",
    "tools",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "reasoning_effort",
    "response_format",
    "seed",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "top_p",
];

/// A request.
#[derive(Clone, Debug)]
pub struct Chat {
    /// The whole request.
    pub json: Value,
    /// The pictures of all messages, in order.
    pub pictures: Vec<Picture>,
    /// The sounds of all messages, in order: samples a second, channels, samples.
    pub sounds: Vec<(u32, u16, Vec<i16>)>,
    /// What is said before the first picture.
    pub words_before: Vec<Spoken>,
    /// Every text of a user message, in order.
    pub texts: Vec<String>,
    /// The tools that the model asks for: name and JSON of the arguments.
    pub calls: Vec<(String, String)>,
    n_bytes: usize,
    n_choices: u64,
    is_stream: bool,
    has_usage: bool,
}

/// A picture and what stands around it.
#[derive(Clone, Debug)]
pub struct Picture {
    /// The time in the label before it, as it stands there (`00:01.5`); None where there is no label.
    pub time: Option<String>,
    /// The id in the label before it.
    pub id: Option<u64>,
    /// The mark that it shows; None where it shows none, or is an address.
    pub mark: Option<u32>,
    /// `image/jpeg`; None for an address.
    pub mime: Option<String>,
    /// Width and height in pixels; zeros for an address.
    pub size: (u32, u32),
    /// The address, where it is one that the server would fetch.
    pub address: Option<String>,
    /// What is said until the next picture.
    pub words: Vec<Spoken>,
}

/// One line of speech.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spoken {
    /// The ID of its segment: 42 of `s42`; None where the line has none.
    pub id: Option<u64>,
    /// Its time as it stands before it: `00:04.2`.
    pub time: String,
    /// What is said.
    pub text: String,
}

impl Chat {
    /// A chat in which nothing was found yet.
    pub(super) fn empty(json: Value, n_bytes: usize) -> Self {
        Self {
            n_choices: json.get("n").and_then(Value::as_u64).unwrap_or(1),
            is_stream: json.get("stream") == Some(&Value::Bool(true)),
            has_usage: json.pointer("/stream_options/include_usage") == Some(&Value::Bool(true)),
            json,
            pictures: Vec::new(),
            sounds: Vec::new(),
            words_before: Vec::new(),
            texts: Vec::new(),
            calls: Vec::new(),
            n_bytes,
        }
    }

    /// The request's tokens, as this model counts them.
    pub fn n_prompt(&self) -> usize {
        self.n_bytes.div_ceil(4)
    }

    /// The lines of subtitles that are to be translated, and those around them; their times are what stands in brackets.
    pub fn cues(&self) -> Vec<Spoken> {
        let text = self.texts.join("\n");
        let listing = text.split_once("The cues:\n<data-").and_then(|(_, rest)| rest.split_once("\n</data-"));
        let line = |line: &str| {
            let (time, text) = line.strip_prefix('[')?.split_once("] ")?;
            Some(Spoken { id: None, time: time.to_owned(), text: text.to_owned() })
        };
        listing.map(|(lines, _)| lines.lines().filter_map(line).collect()).unwrap_or_default()
    }

    /// What the model answers: JSON as text. Where the form of captions is asked for, each caption is the mark that is seen;
    /// told to leave out the first or the last, it does. A translation is the text in «…».
    pub fn evidence(&self) -> Value {
        if self.asks_for("captions") {
            let left_out = |which| usize::from(self.texts.iter().any(|text| text.contains(which)));
            let (first, last) = (left_out("Leave out the first"), left_out("Leave out the last"));
            let told = &self.pictures[first..self.pictures.len() - last];
            let caption = |p: &Picture| json!({"id": p.id, "caption": format!("mark {:?}", p.mark)});
            return json!({"captions": told.iter().map(caption).collect::<Vec<_>>()});
        }
        if self.asks_for("records") {
            return self.records();
        }
        if self.asks_for("label") {
            let labels = self.json.pointer("/response_format/json_schema/schema/properties/label/enum");
            let evidence =
                self.pictures.first().and_then(|first| first.id).map_or("s0".to_owned(), |id| format!("#{id}"));
            return json!({"label": labels.and_then(|labels| labels.get(0)), "reason": format!("It fits ({evidence}).")});
        }
        if self.asks_for("verdict") {
            let sentence = self.texts.last().map_or("", String::as_str);
            let is_supported = !sentence.contains("false");
            return json!({"reason": if is_supported { "It is shown." } else { "It is not shown." }, "is_supported": is_supported});
        }
        if self.asks_for("data") {
            return self.data(&self.json["response_format"]["json_schema"]["schema"]);
        }
        if self.asks_for("sections") {
            return self.sections();
        }
        if self.asks_for("translations") {
            let cue = |line: &Spoken| {
                let id: u64 = line.time.split(',').next()?.parse().ok()?;
                Some(json!({"id": id, "text": format!("«{}»", line.text)}))
            };
            return json!({"cues": self.cues().iter().filter_map(cue).collect::<Vec<_>>()});
        }
        let words =
            |words: &[Spoken]| -> Vec<String> { words.iter().map(|w| format!("[{}] {}", w.time, w.text)).collect() };
        let picture = |p: &Picture| json!({"time": p.time, "id": p.id, "mark": p.mark, "words": words(&p.words)});
        let pictures: Vec<Value> = self.pictures.iter().map(picture).collect();
        json!({"words_before": words(&self.words_before), "pictures": pictures})
    }

    /// Data of a simple schema: texts are the first mark that is seen, numbers the number of pictures.
    fn data(&self, schema: &Value) -> Value {
        match schema["type"].as_str() {
            Some("object") => {
                let properties = schema["properties"].as_object().into_iter().flatten();
                properties.map(|(name, schema)| (name.clone(), self.data(schema))).collect::<Map<_, _>>().into()
            }
            Some("array") => json!([self.data(&schema["items"])]),
            Some("integer" | "number") => json!(self.pictures.len()),
            Some("string") => json!(self.pictures.first().map_or(String::new(), |first| format!("{:?}", first.mark))),
            _ => Value::Null,
        }
    }

    /// Whether JSON by the schema of this name is asked for.
    fn asks_for(&self, name: &str) -> bool {
        self.json.pointer("/response_format/json_schema/name") == Some(&json!(name))
    }

    /// A record for each picture: its mark, and what is said while it is shown; and one for what is said before.
    fn records(&self) -> Value {
        let record = |text: String, frames: Vec<u64>, words: &[Spoken]| {
            let ids: Vec<u64> = words.iter().filter_map(|line| line.id).collect();
            let quote = words.first().map(|line| line.text.clone());
            json!({"event": text, "frames": frames, "segments": ids, "quote": quote, "on_screen_text": null, "people": []})
        };
        let before = (!self.words_before.is_empty())
            .then(|| record(format!("Said: {}", self.words_before[0].text), Vec::new(), &self.words_before));
        let shown = self.pictures.iter().map(|p| {
            let said: Vec<&str> = p.words.iter().map(|line| line.text.as_str()).collect();
            record(format!("Mark {:?} is shown. {}", p.mark, said.join(" ")), p.id.into_iter().collect(), &p.words)
        });
        json!({"records": before.into_iter().chain(shown).collect::<Vec<_>>()})
    }

    /// A section for each ten records, counted over the whole recording.
    fn sections(&self) -> Value {
        let lines = self.texts.iter().flat_map(|text| text.lines());
        let ids = lines.filter_map(|line| line.strip_prefix("[r")?.split_once(' ')?.0.parse::<u64>().ok());
        let ids: Vec<u64> = ids.collect();
        let starts = ids.iter().filter(|id| **id == ids[0] || **id % 10 == 0);
        let section =
            |id| json!({"first_record": id, "title": format!("Part {id}"), "text": format!("From record {id} on.")});
        json!({"sections": starts.map(section).collect::<Vec<_>>()})
    }

    /// The IDs of the calls, which differ from those of earlier turns.
    pub(super) fn call_ids(&self) -> Vec<String> {
        let n_before = self.json["messages"].as_array().map_or(0, Vec::len);
        (0..self.calls.len()).map(|at| format!("fake_{n_before}_{at}")).collect()
    }

    /// The reply: in one piece, or as events where that was asked for.
    pub(super) fn reply(&self) -> Reply {
        let whole = self.answer();
        if !self.is_stream {
            return Reply::json(200, &whole);
        }
        let chunk = |choices: Value, usage: &Value| {
            let chunk = json!({"id": "chatcmpl-fake-server", "object": "chat.completion.chunk", "created": 0,
                "model": CHAT_MODEL, "choices": choices, "usage": usage});
            format!("data: {chunk}\r\n\r\n")
        };
        let delta = |index: u64, delta: Value, finish: Option<&str>| {
            chunk(json!([{"index": index, "delta": delta, "finish_reason": finish}]), &Value::Null)
        };
        let content = whole["choices"][0]["message"]["content"].as_str().unwrap_or_default();
        let content: Vec<char> = content.chars().collect();
        // A comment as gateways send it while they wait.
        let mut body = ": PROCESSING\n\n".to_owned();
        for index in 0..self.n_choices {
            body += &delta(index, json!({"role": "assistant", "content": "", "refusal": null}), None);
        }
        for piece in content.chunks(7) {
            for index in 0..self.n_choices {
                body += &delta(index, json!({"content": piece.iter().collect::<String>()}), None);
            }
        }
        // A piece of each call in turn.
        for (at, (id, (name, _))) in self.call_ids().iter().zip(&self.calls).enumerate() {
            let function = json!({"name": name, "arguments": ""});
            let call = json!({"index": at, "id": id, "type": "function", "function": function});
            body += &delta(0, json!({"tool_calls": [call]}), None);
        }
        let mut rest: Vec<&str> = self.calls.iter().map(|(_, arguments)| arguments.as_str()).collect();
        while rest.iter().any(|rest| !rest.is_empty()) {
            for (at, rest) in rest.iter_mut().enumerate() {
                let (piece, more) = rest.split_at(rest.len().min(5));
                *rest = more;
                body += &delta(0, json!({"tool_calls": [{"index": at, "function": {"arguments": piece}}]}), None);
            }
        }
        for index in 0..self.n_choices {
            body += &delta(index, json!({}), whole["choices"][0]["finish_reason"].as_str());
        }
        if self.has_usage {
            body += &chunk(json!([]), &whole["usage"]);
        }
        Reply::events(&(body + "data: [DONE]\n\n"))
    }

    pub(super) fn answer(&self) -> Value {
        let content = self.evidence().to_string();
        let n_tokens = content.len().div_ceil(4);
        let call = |(id, (name, arguments)): (String, &(String, String))| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
        let calls: Vec<Value> = self.call_ids().into_iter().zip(&self.calls).map(call).collect();
        let (message, finish) = if calls.is_empty() {
            (json!({"role": "assistant", "content": content, "refusal": null}), "stop")
        } else {
            (json!({"role": "assistant", "content": null, "refusal": null, "tool_calls": calls}), "tool_calls")
        };
        let choice = |index| json!({"index": index, "message": message, "logprobs": null, "finish_reason": finish});
        let choices: Vec<Value> = (0..self.n_choices).map(choice).collect();
        let n_prompt = self.n_prompt();
        json!({
            "id": "chatcmpl-fake-server", "object": "chat.completion", "created": 0, "model": CHAT_MODEL, "choices": choices,
            "usage": {"prompt_tokens": n_prompt, "completion_tokens": n_tokens, "total_tokens": n_prompt + n_tokens,
                "prompt_tokens_details": {"cached_tokens": 0}, "completion_tokens_details": {"reasoning_tokens": 0}},
        })
    }
}

/// Checks a request and takes out of it what a model would see.
pub(super) fn read(request: &Request) -> Result<Chat, Refusal> {
    let kind = header(&request.headers, "content-type").unwrap_or_default();
    if !matches!(kind, "application/json" | "application/json; charset=utf-8") {
        return Err(Refusal::new(415, format!("Unsupported Media Type: {kind}"), None, None));
    }
    let broken = |_| Refusal::new(400, "We could not parse the JSON body of your request.", None, None);
    let json: Value = serde_json::from_slice(&request.body).map_err(broken)?;
    // `Value` keeps the last of equal keys: all that is written must be in what was read.
    if written_keys(&request.body) != n_keys(&json) {
        return Err(Refusal::new(400, "a key stands twice in one object", None, None));
    }
    let top = object(&json, "the body", &KEYS)?;
    check_params(top)?;
    let messages = top.get("messages").and_then(Value::as_array).filter(|messages| !messages.is_empty());
    let messages = messages.ok_or_else(|| Refusal::field("messages", "must be an array, not empty"))?;
    tools::check_functions(top)?;
    let (mut chat, mut open) = (Chat::empty(json.clone(), request.body.len()), Open::default());
    let mut others = Vec::new();
    for message in messages {
        if !open.openai(message, top.contains_key("tools"))? {
            others.push(message);
        }
    }
    open.check_closed()?;
    others.into_iter().try_for_each(|message| read_message(&mut chat, message))?;
    Ok(chat)
}

/// Keys of all objects in `json`.
fn n_keys(json: &Value) -> usize {
    match json {
        Value::Object(object) => object.len() + object.values().map(n_keys).sum::<usize>(),
        Value::Array(values) => values.iter().map(n_keys).sum(),
        _ => 0,
    }
}

/// Colons outside of strings in JSON text: one for each key.
fn written_keys(json: &[u8]) -> usize {
    let (mut n_colons, mut is_string, mut is_escaped) = (0, false, false);
    for &byte in json {
        if is_escaped {
            is_escaped = false;
        } else if is_string {
            is_escaped = byte == b'\\';
            is_string = byte != b'"';
        } else {
            is_string = byte == b'"';
            n_colons += usize::from(byte == b':');
        }
    }
    n_colons
}

pub(super) fn object<'a>(value: &'a Value, what: &str, keys: &[&str]) -> Result<&'a Map<String, Value>, Refusal> {
    let object = value.as_object().ok_or_else(|| Refusal::field(what, format!("{what} must be an object")))?;
    match object.keys().find(|key| !keys.contains(&key.as_str())) {
        Some(key) => {
            let message = format!("Unrecognized request argument supplied: {key}");
            Err(Refusal::new(400, message, Some(key), Some("unknown_parameter")))
        }
        None => Ok(object),
    }
}

/// Whether a parameter's value is right.
type Check<'a> = &'a dyn Fn(&Value) -> bool;

fn check_params(top: &Map<String, Value>) -> Result<(), Refusal> {
    match top.get("model").and_then(Value::as_str) {
        Some(CHAT_MODEL) => {}
        Some(model @ (HEARING_MODEL | TEXT_ONLY_MODEL)) => {
            let message = format!("{model} is not a chat model");
            return Err(Refusal::new(404, message, Some("model"), None));
        }
        Some(model) => {
            let message = format!("The model `{model}` does not exist or you do not have access to it.");
            return Err(Refusal::new(404, message, None, Some("model_not_found")));
        }
        None => return Err(Refusal::new(400, "you must provide a model parameter", None, None)),
    }
    let is_share = |most: f64| move |value: &Value| value.as_f64().is_some_and(|number| (0.0..=most).contains(&number));
    let is_count = |most: u64| move |value: &Value| value.as_u64().is_some_and(|number| (1..=most).contains(&number));
    let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    let is_stop = |value: &Value| {
        is_text(value)
            || value.as_array().is_some_and(|texts| (1..=4).contains(&texts.len()) && texts.iter().all(is_text))
    };
    let is_effort = |value: &Value| {
        matches!(value.as_str(), Some("none" | "minimal" | "low" | "medium" | "high" | "xhigh" | "max"))
    };
    let checks: [(&str, Check<'_>); 11] = [
        ("reasoning_effort", &is_effort),
        ("response_format", &is_schema),
        ("store", &Value::is_boolean),
        ("stream", &Value::is_boolean),
        ("temperature", &is_share(2.0)),
        ("top_p", &is_share(1.0)),
        ("n", &is_count(128)),
        ("max_tokens", &is_count(1 << 20)),
        ("max_completion_tokens", &is_count(1 << 20)),
        ("seed", &|value: &Value| value.as_i64().is_some()),
        ("stop", &is_stop),
    ];
    for (name, is_right) in checks {
        if let Some(value) = top.get(name).filter(|value| !is_right(value)) {
            return Err(Refusal::field(name, format!("Invalid '{name}': {value}")));
        }
    }
    if top.contains_key("max_tokens") && top.contains_key("max_completion_tokens") {
        return Err(Refusal::field("max_tokens", "max_tokens and max_completion_tokens at once"));
    }
    if let Some(options) = top.get("stream_options") {
        let options = object(options, "stream_options", &["include_usage"])?;
        if top.get("stream") != Some(&Value::Bool(true)) || !options.values().all(Value::is_boolean) {
            return Err(Refusal::field("stream_options", "only with stream, and include_usage a boolean"));
        }
    }
    Ok(())
}

/// A named schema. A strict one has closed objects that require each property.
fn is_schema(format: &Value) -> bool {
    let keys = |value: &Value, names: &[&str]| {
        let object = value.as_object();
        object.is_some_and(|object| object.len() == names.len() && names.iter().all(|name| object.contains_key(*name)))
    };
    let is_name = |name: &str| {
        let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        (1..=64).contains(&name.len()) && name.bytes().all(is_fine)
    };
    keys(format, &["type", "json_schema"])
        && format["type"] == "json_schema"
        && keys(&format["json_schema"], &["name", "strict", "schema"])
        && format["json_schema"]["name"].as_str().is_some_and(is_name)
        && format["json_schema"]["schema"].is_object()
        && match &format["json_schema"]["strict"] {
            Value::Bool(is_strict) => !is_strict || is_closed(&format["json_schema"]["schema"]),
            _ => false,
        }
}

/// Whether each object in a schema is closed and requires each property.
fn is_closed(schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => {
            let properties = fields.get("properties").and_then(Value::as_object);
            let is_whole = properties.is_none_or(|properties| {
                let required = schema["required"].as_array().map_or(0, Vec::len);
                schema["additionalProperties"] == false && required == properties.len()
            });
            is_whole && fields.values().all(is_closed)
        }
        Value::Array(values) => values.iter().all(is_closed),
        _ => true,
    }
}

fn read_message(chat: &mut Chat, message: &Value) -> Result<(), Refusal> {
    let message = object(message, "messages", &["role", "content", "name"])?;
    let role = match message.get("role").and_then(Value::as_str) {
        Some(role @ ("system" | "developer" | "user")) => role,
        role => return Err(Refusal::field("messages.role", format!("Invalid role: {role:?}"))),
    };
    let is_user = role == "user";
    match message.get("content") {
        Some(Value::String(text)) => read_text(chat, text, is_user),
        Some(Value::Array(parts)) if !parts.is_empty() => {
            let mut label = None;
            for part in parts {
                label = read_part(chat, part, is_user, label)?;
            }
        }
        _ => return Err(Refusal::field("messages.content", "must be a text or an array of parts, not empty")),
    }
    Ok(())
}

/// Reads one part; `label` is that of the part before, and comes back where this part is one.
fn read_part(
    chat: &mut Chat,
    part: &Value,
    is_user: bool,
    label: Option<(String, u64)>,
) -> Result<Option<(String, u64)>, Refusal> {
    match part.get("type").and_then(Value::as_str) {
        Some("text") => {
            let part = object(part, "a text part", &["type", "text"])?;
            let text = part.get("text").and_then(Value::as_str);
            let text = text.ok_or_else(|| Refusal::field("messages.content.text", "must be a text"))?;
            read_text(chat, text, is_user);
            Ok(read_label(text))
        }
        Some("image_url") if !is_user => {
            Err(Refusal::field("messages.content", "Image URLs are only allowed for messages with role 'user'"))
        }
        Some("image_url") => {
            let part = object(part, "an image part", &["type", "image_url"])?;
            let nothing = Value::Null;
            let image = object(part.get("image_url").unwrap_or(&nothing), "image_url", &["url", "detail"])?;
            if let Some(detail) =
                image.get("detail").filter(|d| !matches!(d.as_str(), Some("auto" | "low" | "high" | "original")))
            {
                return Err(Refusal::field("image_url.detail", format!("Invalid detail: {detail}")));
            }
            let url = image.get("url").and_then(Value::as_str);
            let url = url.ok_or_else(|| Refusal::field("image_url.url", "must be a text"))?;
            chat.pictures.push(read_picture(url, label)?);
            Ok(None)
        }
        Some("input_audio") if !is_user => {
            Err(Refusal::field("messages.content", "Audio is only allowed for messages with role 'user'"))
        }
        Some("input_audio") => {
            let part = object(part, "an audio part", &["type", "input_audio"])?;
            let nothing = Value::Null;
            let sound = object(part.get("input_audio").unwrap_or(&nothing), "input_audio", &["data", "format"])?;
            if sound.get("format").and_then(Value::as_str) != Some("wav") {
                return Err(Refusal::field("input_audio.format", "must be wav"));
            }
            let data = sound.get("data").and_then(Value::as_str);
            let data = data.ok_or_else(|| Refusal::field("input_audio.data", "must be a text"))?;
            chat.sounds.push(read_sound(data)?);
            Ok(None)
        }
        kind => Err(Refusal::field("messages.content.type", format!("Invalid type of a part: {kind:?}"))),
    }
}

/// A WAV file of 16-bit PCM as Base64, without the head of a data URL.
fn read_sound(data: &str) -> Result<(u32, u16, Vec<i16>), Refusal> {
    let invalid = |why: String| Refusal::field("input_audio.data", format!("Invalid audio: {why}"));
    let bytes = STANDARD.decode(data).map_err(|error| invalid(error.to_string()))?;
    let mut wav = hound::WavReader::new(bytes.as_slice()).map_err(|error| invalid(error.to_string()))?;
    let spec = wav.spec();
    let samples = wav.samples().collect::<Result<Vec<i16>, _>>().map_err(|error| invalid(error.to_string()))?;
    Ok((spec.sample_rate, spec.channels, samples))
}

pub(super) fn read_picture(url: &str, label: Option<(String, u64)>) -> Result<Picture, Refusal> {
    let invalid = |message: &str| Refusal::new(400, message, Some("image_url.url"), Some("invalid_image_url"));
    let (time, id) = label.unzip();
    if url.starts_with("https://") || url.starts_with("http://") {
        let address = Some(url.to_owned());
        return Ok(Picture { time, id, mark: None, mime: None, size: (0, 0), address, words: Vec::new() });
    }
    let data = url.strip_prefix("data:").ok_or_else(|| invalid("neither an http(s) nor a data URL"))?;
    let (mime, data) = data.split_once(";base64,").ok_or_else(|| invalid("a data URL without `;base64,`"))?;
    // Padding and the bits behind the last byte are checked too.
    let bytes = STANDARD.decode(data).map_err(|error| invalid(&format!("Invalid base64 image data: {error}")))?;
    let claimed = match mime {
        "image/jpeg" => image::ImageFormat::Jpeg,
        "image/png" => image::ImageFormat::Png,
        "image/webp" => image::ImageFormat::WebP,
        "image/gif" => image::ImageFormat::Gif,
        _ => return Err(invalid(&format!("Unsupported image type: {mime}"))),
    };
    if image::guess_format(&bytes).ok() != Some(claimed) {
        return Err(invalid("the picture is not what its MIME type says"));
    }
    let picture = image::load_from_memory_with_format(&bytes, claimed)
        .map_err(|error| invalid(&format!("the picture does not decode: {error}")))?
        .into_rgb8();
    let (mark, size, mime) = (read_mark(&picture), picture.dimensions(), Some(mime.to_owned()));
    Ok(Picture { time, id, mark, mime, size, address: None, words: Vec::new() })
}

/// `[t=00:01.5 #3]`, whole.
pub(super) fn read_label(text: &str) -> Option<(String, u64)> {
    let (time, id) = text.strip_prefix("[t=")?.strip_suffix(']')?.split_once(" #")?;
    Some((time.to_owned(), id.parse().ok()?))
}

/// Keeps a text, and the speech in it: lines `[00:04.2] words` between fences.
fn read_text(chat: &mut Chat, text: &str, is_user: bool) {
    if !is_user {
        return;
    }
    chat.texts.push(text.to_owned());
    let Some(fenced) = text.strip_prefix("<data-").and_then(|rest| rest.split_once(">\n")) else { return };
    let spoken = fenced.1.lines().filter_map(|line| {
        let (label, text) = line.strip_prefix('[')?.split_once("] ")?;
        let (id, time) = match label.strip_prefix('s').and_then(|label| label.split_once(' ')) {
            Some((id, time)) => (id.parse().ok(), time),
            None => (None, label),
        };
        Some(Spoken { id, time: time.to_owned(), text: text.to_owned() })
    });
    match chat.pictures.last_mut() {
        Some(picture) => picture.words.extend(spoken),
        None => chat.words_before.extend(spoken),
    }
}
