//! From messages to the body of a `/messages` request.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;

use crate::chat::{Message, Part, Role, ToolCall};
use crate::http::RequestError;
use crate::llm::body::{Attachment, Attachments, RequestBody};
use crate::llm::config::ChatConfig;
use crate::llm::request::ChatRequest;
use crate::llm::supported_params::{AcceptedParams, Param};
use crate::llm::tool_calls::{self, CALL_DATA};
use crate::llm::tool_spec::{self, ToolSpec};

/// The token limit where none is set and the model is unknown: the API requires one.
const DEFAULT_MAX_TOKENS: u64 = 4096;
/// The default for a known model is no larger: an answer of this length already takes minutes.
const MAX_DEFAULT_TOKENS: u64 = 16_384;

/// The order of the fields is fixed; what stays the same between requests comes first.
#[derive(Serialize)]
struct MessagesRequest<'a> {
    model: &'a str,
    max_tokens: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<String>,
    messages: Vec<TurnMessage<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<OutputConfig<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_sequences: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
}

#[derive(Serialize)]
struct OutputConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<OutputFormat<'a>>,
}

#[derive(Serialize)]
struct OutputFormat<'a> {
    r#type: &'static str,
    schema: &'a Value,
}

#[derive(Serialize)]
struct Tool<'a> {
    name: &'a str,
    description: &'a str,
    input_schema: &'a Value,
}

#[derive(Serialize)]
struct TurnMessage<'a> {
    role: Role,
    content: Vec<ContentBlock<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ContentBlock<'a> {
    Text {
        text: &'a str,
    },
    Image {
        source: ImageSource<'a>,
    },
    ToolUse {
        id: &'a str,
        name: &'a str,
        input: Cow<'a, Value>,
    },
    ToolResult {
        tool_use_id: &'a str,
        #[serde(skip_serializing_if = "str::is_empty")]
        content: &'a str,
    },
    /// A block of reasoning as the API sent it.
    #[serde(untagged)]
    Unchanged(&'a Value),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ImageSource<'a> {
    Base64 { media_type: &'static str, data: Attachment },
    Url { url: &'a str },
}

pub(super) fn body<'a>(
    config: &'a ChatConfig,
    accepted: &AcceptedParams,
    request: &'a ChatRequest<'_>,
) -> Result<RequestBody, RequestError> {
    let (params, takes) = (&config.params, |param| accepted.takes(param));
    let known = config.facts.as_ref().and_then(|facts| facts.output);
    let default = known.map_or(DEFAULT_MAX_TOKENS, |most| most.min(MAX_DEFAULT_TOKENS));
    let system = request.messages.iter().filter(|message| message.role == Role::System);
    let system: Vec<&str> = system
        .flat_map(|message| &message.parts)
        .filter_map(|part| if let Part::Text(text) = part { Some(text.as_str()) } else { None })
        .collect();
    let mut attachments = Attachments::default();
    let turns = request.messages.iter().filter(|message| message.role != Role::System);
    let messages = turns.map(|message| turn(message, &mut attachments)).collect();
    let tool =
        |tool: &'a ToolSpec| Tool { name: &tool.name, description: &tool.description, input_schema: &tool.parameters };
    let effort = params.reasoning_effort.as_deref().filter(|_| takes(Param::ReasoningEffort));
    // All its schemas are strict: another one is left to the words of the task.
    let format = request.response_format.filter(|format| format.is_strict() && takes(Param::ResponseFormat));
    let format = format.map(|format| OutputFormat { r#type: "json_schema", schema: format.schema() });
    let content = MessagesRequest {
        model: &config.model,
        max_tokens: params.max_tokens.map_or(default, u64::from),
        tools: request.tools.iter().map(tool).collect(),
        system: (!system.is_empty()).then(|| system.join("\n")),
        messages,
        output_config: (effort.is_some() || format.is_some()).then_some(OutputConfig { effort, format }),
        stop_sequences: Some(&params.stop[..]).filter(|stop| !stop.is_empty() && takes(Param::Stop)),
        stream: request.stream.is_some().then_some(true),
        temperature: params.temperature.filter(|_| takes(Param::Temperature)),
        top_p: params.top_p.filter(|_| takes(Param::TopP)),
    };
    RequestBody::new(&content, &attachments)
}

/// A message in the form of the API: results come first, and the reasoning before the first call comes before everything.
fn turn<'a>(message: &'a Message, attachments: &mut Attachments) -> TurnMessage<'a> {
    let mut content: Vec<ContentBlock<'a>> = Vec::new();
    for (tool_use_id, text) in tool_spec::results(message) {
        content.push(ContentBlock::ToolResult { tool_use_id, content: text });
    }
    content.extend(tool_spec::calls(message).take(1).flat_map(reasoning));
    let mut n_calls = 0;
    for part in &message.parts {
        match part {
            // The API refuses empty texts.
            Part::Text(text) if text.trim().is_empty() => {}
            Part::Text(text) => content.push(ContentBlock::Text { text }),
            Part::Image(image) => {
                let (media_type, data) = (image.format.mime(), attachments.base64(&image.bytes));
                content.push(ContentBlock::Image { source: ImageSource::Base64 { media_type, data } });
            }
            Part::ImageUrl(url) => content.push(ContentBlock::Image { source: ImageSource::Url { url } }),
            // Refused before: the API has no audio.
            Part::Audio(_) => content.push(ContentBlock::Text { text: "(audio)" }),
            Part::ToolCall(call) => {
                if n_calls > 0 {
                    content.extend(reasoning(call));
                }
                n_calls += 1;
                let input = tool_calls::sent_arguments(call);
                content.push(ContentBlock::ToolUse { id: &call.id, name: &call.name, input });
            }
            Part::ToolResult { .. } => {}
        }
    }
    TurnMessage { role: message.role, content }
}

/// The blocks of reasoning before a call, which the API requires back unchanged.
fn reasoning(call: &ToolCall) -> impl Iterator<Item = ContentBlock<'_>> {
    let blocks = call.provider_data.as_ref().and_then(|data| data.get(CALL_DATA)).and_then(Value::as_array);
    blocks.into_iter().flatten().map(ContentBlock::Unchanged)
}
