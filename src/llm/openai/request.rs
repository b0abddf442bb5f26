//! From messages to the request's JSON.

use crate::chat::{Message, Part, Role};
use crate::llm::body::RequestBody;
use crate::llm::supported_params::{Adapted, Param};
use crate::llm::{ChatConfig, ChatRequest, Detail};

/// The request. Its keys have a fixed order, what stays the same between requests first, so that the prompt caches of
/// providers, which go by the text's beginning, hit.
pub(super) fn body(config: &ChatConfig, sent: &Adapted, question: &ChatRequest<'_>) -> RequestBody {
    let (messages, format, is_stream) = (question.messages, question.response_format, question.stream.is_some());
    let (params, provider) = (&config.params, &config.provider);
    let mut body = RequestBody::default();
    body.raw("{\"model\":");
    body.string(&config.model);
    body.raw(",\"messages\":[");
    let detail = params.detail.filter(|_| sent.takes(Param::Detail));
    for (message_idx, message) in messages.iter().enumerate() {
        body.raw(if message_idx == 0 { "" } else { "," });
        write_message(&mut body, message, detail);
    }
    body.raw("]");
    if let Some(max_tokens) = params.max_tokens.filter(|_| sent.takes(Param::MaxTokens)) {
        key(&mut body, sent.max_tokens_key.unwrap_or(&provider.max_tokens_key));
        body.number(max_tokens);
    }
    if let Some(n) = params.n.filter(|_| sent.takes(Param::N)) {
        key(&mut body, "n");
        body.number(n);
    }
    if let Some(effort) = params.reasoning_effort.as_ref().filter(|_| sent.takes(Param::ReasoningEffort)) {
        key(&mut body, "reasoning_effort");
        body.string(effort);
    }
    if let Some(format) = format.filter(|_| sent.takes(Param::ResponseFormat)) {
        key(&mut body, "response_format");
        body.raw("{\"type\":\"json_schema\",\"json_schema\":{\"name\":");
        body.string(format.name());
        body.raw(",\"strict\":true,\"schema\":");
        body.json(format.schema());
        body.raw("}}");
    }
    if let Some(seed) = params.seed.filter(|_| sent.takes(Param::Seed)) {
        key(&mut body, &provider.seed_key);
        body.number(seed);
    }
    if !params.stop.is_empty() && sent.takes(Param::Stop) {
        key(&mut body, "stop");
        body.strings(&params.stop);
    }
    if sent.takes(Param::Store) {
        key(&mut body, "store");
        body.raw("false");
    }
    if is_stream {
        key(&mut body, "stream");
        body.raw("true");
        if sent.takes(Param::StreamOptions) {
            key(&mut body, "stream_options");
            body.raw("{\"include_usage\":true}");
        }
    }
    if let Some(temperature) = params.temperature.filter(|_| sent.takes(Param::Temperature)) {
        key(&mut body, "temperature");
        body.number(temperature);
    }
    if let Some(top_p) = params.top_p.filter(|_| sent.takes(Param::TopP)) {
        key(&mut body, "top_p");
        body.number(top_p);
    }
    body.raw("}");
    body.finish()
}

fn key(body: &mut RequestBody, name: &str) {
    body.raw(",");
    body.string(name);
    body.raw(":");
}

fn write_message(body: &mut RequestBody, message: &Message, detail: Option<Detail>) {
    body.raw(match message.role {
        Role::System => "{\"role\":\"system\",\"content\":",
        Role::User => "{\"role\":\"user\",\"content\":",
    });
    if let Some(text) = only_text(message) {
        body.string(&text);
    } else {
        for (part_idx, part) in message.parts.iter().enumerate() {
            body.raw(if part_idx == 0 { "[" } else { "," });
            write_part(body, part, detail);
        }
        body.raw("]");
    }
    body.raw("}");
}

/// The text of a message without pictures, one part a line: models without eyes take a plain string alone.
fn only_text(message: &Message) -> Option<String> {
    let texts = message.parts.iter().map(|part| if let Part::Text(text) = part { Some(text.as_str()) } else { None });
    Some(texts.collect::<Option<Vec<_>>>()?.join("\n"))
}

fn write_part(body: &mut RequestBody, part: &Part, detail: Option<Detail>) {
    match part {
        Part::Text(text) => {
            body.raw("{\"type\":\"text\",\"text\":");
            body.string(text);
        }
        Part::Image(image) => {
            body.raw("{\"type\":\"image_url\",\"image_url\":{\"url\":");
            body.picture(image);
            write_detail(body, detail);
            body.raw("}");
        }
        Part::ImageUrl(url) => {
            body.raw("{\"type\":\"image_url\",\"image_url\":{\"url\":");
            body.string(url);
            write_detail(body, detail);
            body.raw("}");
        }
        Part::Audio(wav) => {
            body.raw("{\"type\":\"input_audio\",\"input_audio\":{\"data\":");
            body.base64(wav);
            body.raw(",\"format\":\"wav\"}");
        }
    }
    body.raw("}");
}

fn write_detail(body: &mut RequestBody, detail: Option<Detail>) {
    if let Some(detail) = detail {
        key(body, "detail");
        body.string(detail.word());
    }
}
