//! From messages to the body of a `/messages` request.

use serde::Serialize;
use serde_json::Value;

use crate::chat::{Part, Role};
use crate::http::RequestError;
use crate::llm::body::{Attachment, Attachments, RequestBody};
use crate::llm::config::ChatConfig;
use crate::llm::request::ChatRequest;
use crate::llm::supported_params::{AcceptedParams, Param};

/// The token limit where none is set and the model is unknown: the API requires one.
const DEFAULT_MAX_TOKENS: u64 = 4096;
/// The default for a known model is no larger: an answer of this length already takes minutes.
const MAX_DEFAULT_TOKENS: u64 = 16_384;

/// The order of the fields is fixed; what stays the same between requests comes first.
#[derive(Serialize)]
struct MessagesRequest<'a> {
    model: &'a str,
    max_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<String>,
    messages: Vec<UserMessage<'a>>,
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
struct UserMessage<'a> {
    role: Role,
    content: Vec<ContentBlock<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ContentBlock<'a> {
    Text { text: &'a str },
    Image { source: ImageSource<'a> },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ImageSource<'a> {
    Base64 { media_type: &'static str, data: Attachment },
    Url { url: &'a str },
}

pub(super) fn body(
    config: &ChatConfig,
    accepted: &AcceptedParams,
    request: &ChatRequest<'_>,
) -> Result<RequestBody, RequestError> {
    let (params, takes) = (&config.params, |param| accepted.takes(param));
    let known = config.facts.as_ref().and_then(|facts| facts.output);
    let default = known.map_or(DEFAULT_MAX_TOKENS, |most| most.min(MAX_DEFAULT_TOKENS));
    let of_role = |role| request.messages.iter().filter(move |message| message.role == role);
    let system: Vec<&str> = of_role(Role::System)
        .flat_map(|message| &message.parts)
        .filter_map(|part| if let Part::Text(text) = part { Some(text.as_str()) } else { None })
        .collect();
    let mut attachments = Attachments::default();
    let messages = of_role(Role::User).map(|message| {
        // The API refuses empty texts.
        let parts = message.parts.iter().filter(|part| !matches!(part, Part::Text(text) if text.trim().is_empty()));
        UserMessage { role: Role::User, content: parts.map(|part| convert(part, &mut attachments)).collect() }
    });
    let messages = messages.collect();
    let effort = params.reasoning_effort.as_deref().filter(|_| takes(Param::ReasoningEffort));
    // All its schemas are strict: another one is left to the words of the task.
    let format = request.response_format.filter(|format| format.is_strict() && takes(Param::ResponseFormat));
    let format = format.map(|format| OutputFormat { r#type: "json_schema", schema: format.schema() });
    let content = MessagesRequest {
        model: &config.model,
        max_tokens: params.max_tokens.map_or(default, u64::from),
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

fn convert<'a>(part: &'a Part, attachments: &mut Attachments) -> ContentBlock<'a> {
    match part {
        Part::Text(text) => ContentBlock::Text { text },
        Part::Image(image) => {
            let (media_type, data) = (image.format.mime(), attachments.base64(&image.bytes));
            ContentBlock::Image { source: ImageSource::Base64 { media_type, data } }
        }
        Part::ImageUrl(url) => ContentBlock::Image { source: ImageSource::Url { url } },
        // Refused before: the API has no audio.
        Part::Audio(_) => ContentBlock::Text { text: "(audio)" },
    }
}
