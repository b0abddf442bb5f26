//! From messages to the JSON of `/messages`.

use crate::chat::{Part, Role};
use crate::llm::body::RequestBody;
use crate::llm::supported_params::{Adapted, Param};
use crate::llm::{ChatConfig, ChatRequest, ResponseFormat};

/// The limit of tokens where none is asked for, and the model is not known: the API must have one.
const DEFAULT_MAX_TOKENS: u64 = 4096;
/// Of a known model no more is asked for without being told: an answer of this length takes minutes already.
const MOST_DEFAULT_TOKENS: u64 = 16_384;

/// The request. Its keys have a fixed order, what stays the same between requests first.
pub(super) fn body(config: &ChatConfig, sent: &Adapted, question: &ChatRequest<'_>) -> RequestBody {
    let (messages, format, is_stream) = (question.messages, question.response_format, question.stream.is_some());
    let params = &config.params;
    let mut body = RequestBody::default();
    body.raw("{\"model\":");
    body.string(&config.model);
    body.raw(",\"max_tokens\":");
    let known = config.facts.as_ref().and_then(|facts| facts.output);
    let default = known.map_or(DEFAULT_MAX_TOKENS, |most| most.min(MOST_DEFAULT_TOKENS));
    body.number(params.max_tokens.map_or(default, u64::from));
    let rules = messages.iter().filter(|message| message.role == Role::System).flat_map(|message| &message.parts);
    let rules: Vec<&str> =
        rules.filter_map(|part| if let Part::Text(text) = part { Some(text.as_str()) } else { None }).collect();
    if !rules.is_empty() {
        body.raw(",\"system\":");
        body.string(&rules.join("\n"));
    }
    body.raw(",\"messages\":[");
    for (at, message) in messages.iter().filter(|message| message.role == Role::User).enumerate() {
        body.raw(if at == 0 { "" } else { "," });
        body.raw("{\"role\":\"user\",\"content\":[");
        // An empty text is refused.
        let parts = message.parts.iter().filter(|part| !matches!(part, Part::Text(text) if text.trim().is_empty()));
        for (at, part) in parts.enumerate() {
            body.raw(if at == 0 { "" } else { "," });
            write_part(&mut body, part);
        }
        body.raw("]}");
    }
    body.raw("]");
    write_output(&mut body, config, sent, format);
    if !params.stop.is_empty() && sent.takes(Param::Stop) {
        body.raw(",\"stop_sequences\":");
        body.strings(&params.stop);
    }
    if is_stream {
        body.raw(",\"stream\":true");
    }
    if let Some(temperature) = params.temperature.filter(|_| sent.takes(Param::Temperature)) {
        body.raw(",\"temperature\":");
        body.number(temperature);
    }
    if let Some(top_p) = params.top_p.filter(|_| sent.takes(Param::TopP)) {
        body.raw(",\"top_p\":");
        body.number(top_p);
    }
    body.raw("}");
    body.finish()
}

/// Effort and schema stand in one object.
fn write_output(body: &mut RequestBody, config: &ChatConfig, sent: &Adapted, format: Option<&ResponseFormat>) {
    let effort = config.params.reasoning_effort.as_ref().filter(|_| sent.takes(Param::ReasoningEffort));
    let format = format.filter(|_| sent.takes(Param::ResponseFormat));
    if effort.is_none() && format.is_none() {
        return;
    }
    body.raw(",\"output_config\":{");
    if let Some(effort) = effort {
        body.raw("\"effort\":");
        body.string(effort);
    }
    if let Some(format) = format {
        body.raw(if effort.is_some() { "," } else { "" });
        body.raw("\"format\":{\"type\":\"json_schema\",\"schema\":");
        body.json(format.schema());
        body.raw("}");
    }
    body.raw("}");
}

fn write_part(body: &mut RequestBody, part: &Part) {
    match part {
        Part::Text(text) => {
            body.raw("{\"type\":\"text\",\"text\":");
            body.string(text);
            body.raw("}");
        }
        Part::Image(image) => {
            body.raw("{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":");
            body.string(image.format.mime());
            body.raw(",\"data\":");
            body.base64(&image.bytes);
            body.raw("}}");
        }
        Part::ImageUrl(url) => {
            body.raw("{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":");
            body.string(url);
            body.raw("}}");
        }
        // Refused before: the API has no such part.
        Part::Audio(_) => body.raw("{\"type\":\"text\",\"text\":\"(sound)\"}"),
    }
}
