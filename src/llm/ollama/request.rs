//! From messages to the body of an `/api/chat` request.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;

use crate::chat::{Message, Part};
use crate::http::RequestError;
use crate::llm::body::{Attachment, Attachments, RequestBody};
use crate::llm::config::ChatConfig;
use crate::llm::params::ResponseFormat;
use crate::llm::request::ChatRequest;
use crate::llm::supported_params::{AcceptedParams, Param};
use crate::llm::tool_calls;
use crate::llm::tool_spec::{self, FunctionTool};

/// Tokens reserved for the answer where no limit is set.
pub(super) const ANSWER_TOKENS: u64 = 2048;
/// The smallest context that is requested: Ollama's default.
const MIN_CONTEXT: u64 = 4096;

/// The order of the fields is fixed; what stays the same between requests comes first.
#[derive(Serialize)]
struct OllamaRequest<'a> {
    model: &'a str,
    messages: Vec<PartMessage<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<FunctionTool<'a>>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    think: Option<Think<'a>>,
    options: OllamaOptions<'a>,
}

/// One part of a message. Ollama places images before the text of their message, which would separate them from the label
/// in front of them, so each part is a message; the tool calls of an answer are one message.
#[derive(Serialize)]
struct PartMessage<'a> {
    role: &'static str,
    content: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    images: Option<[Attachment; 1]>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<OllamaCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_name: Option<&'a str>,
}

impl<'a> PartMessage<'a> {
    fn new(role: &'static str, content: &'a str) -> Self {
        Self { role, content, images: None, tool_calls: Vec::new(), tool_name: None }
    }
}

#[derive(Serialize)]
struct OllamaCall<'a> {
    function: OllamaFunction<'a>,
}

#[derive(Serialize)]
struct OllamaFunction<'a> {
    name: &'a str,
    arguments: Cow<'a, Value>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Think<'a> {
    Off(bool),
    Effort(&'a str),
}

#[derive(Serialize)]
struct OllamaOptions<'a> {
    num_ctx: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    num_predict: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
}

/// The context for a request of about `prompt` tokens: a quarter more, since estimates are that inexact, rounded up to
/// a power of two, since Ollama reloads the model when the context changes.
pub(super) fn context(prompt: u64, answer: u64) -> u64 {
    let wanted = prompt.saturating_add(prompt / 4).saturating_add(answer);
    wanted.max(MIN_CONTEXT).checked_next_power_of_two().unwrap_or(u64::MAX)
}

pub(super) fn is_address(part: &Part) -> bool {
    matches!(part, Part::ImageUrl(_))
}

/// The request, with a context of `n_context` tokens.
pub(super) fn body(
    config: &ChatConfig,
    accepted: &AcceptedParams,
    request: &ChatRequest<'_>,
    n_context: u64,
) -> Result<RequestBody, RequestError> {
    let (params, takes) = (&config.params, |param| accepted.takes(param));
    let mut attachments = Attachments::default();
    let mut messages = Vec::new();
    for (idx, message) in request.messages.iter().enumerate() {
        let before = idx.checked_sub(1).and_then(|before| request.messages.get(before));
        push(message, before, &mut messages, &mut attachments);
    }
    let effort = params.reasoning_effort.as_deref().filter(|_| takes(Param::ReasoningEffort));
    let content = OllamaRequest {
        model: &config.model,
        messages,
        tools: request.tools.iter().map(FunctionTool::new).collect(),
        stream: request.stream.is_some(),
        format: request.response_format.filter(|_| takes(Param::ResponseFormat)).map(ResponseFormat::schema),
        think: effort.map(|effort| if effort == "none" { Think::Off(false) } else { Think::Effort(effort) }),
        options: OllamaOptions {
            num_ctx: n_context,
            num_predict: params.max_tokens.filter(|_| takes(Param::MaxTokens)),
            seed: params.seed.filter(|_| takes(Param::Seed)),
            stop: Some(&params.stop[..]).filter(|stop| !stop.is_empty() && takes(Param::Stop)),
            temperature: params.temperature.filter(|_| takes(Param::Temperature)),
            top_p: params.top_p.filter(|_| takes(Param::TopP)),
        },
    };
    RequestBody::new(&content, &attachments)
}

/// Adds a message: results first, each with the name of its tool, since the API has no IDs; `before` has the calls.
fn push<'a>(
    message: &'a Message,
    before: Option<&'a Message>,
    messages: &mut Vec<PartMessage<'a>>,
    attachments: &mut Attachments,
) {
    let (role, start) = (message.role.name(), messages.len());
    for (id, text) in tool_spec::results(message) {
        let call = before.into_iter().flat_map(tool_spec::calls).find(|call| call.id == id);
        messages.push(PartMessage { tool_name: call.map(|call| call.name.as_str()), ..PartMessage::new("tool", text) });
    }
    for part in &message.parts {
        match part {
            Part::Text(text) => messages.push(PartMessage::new(role, text)),
            // Refused before: the API has no audio.
            Part::Audio(_) => messages.push(PartMessage::new(role, "(audio)")),
            Part::Image(image) => {
                let images = Some([attachments.base64(&image.bytes)]);
                messages.push(PartMessage { images, ..PartMessage::new(role, "") });
            }
            // Addresses were refused before.
            Part::ImageUrl(_) | Part::ToolCall(_) | Part::ToolResult { .. } => {}
        }
    }
    let calls = tool_spec::calls(message).map(|call| OllamaCall {
        function: OllamaFunction { name: &call.name, arguments: tool_calls::sent_arguments(call) },
    });
    let tool_calls: Vec<_> = calls.collect();
    if tool_calls.is_empty() {
        return;
    }
    match messages.get_mut(start..).and_then(<[_]>::last_mut) {
        Some(text) => text.tool_calls = tool_calls,
        None => messages.push(PartMessage { tool_calls, ..PartMessage::new(role, "") }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_context_grows_in_powers_of_two() {
        for (prompt, answer, expected) in
            [(0, 2048, 4096), (1600, 2048, 4096), (1700, 2048, 8192), (13_440, 2048, 32_768), (u64::MAX, 1, u64::MAX)]
        {
            assert_eq!(context(prompt, answer), expected, "{prompt} {answer}");
        }
    }
}
