//! From messages to the body of a request.

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::chat::{Message, Part, ToolCall};
use crate::http::RequestError;
use crate::llm::body::{Attachment, Attachments, RequestBody};
use crate::llm::config::ChatConfig;
use crate::llm::params::Detail;
use crate::llm::request::ChatRequest;
use crate::llm::supported_params::{AcceptedParams, Param};
use crate::llm::tool_calls::{self, CALL_DATA, MESSAGE_DATA};
use crate::llm::tool_spec::{self, FunctionTool};

/// The order of the fields is fixed. What stays the same between requests comes first, since the prompt caches of
/// providers compare the beginning of the text.
#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    messages: Vec<RequestMessage<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<FunctionTool<'a>>,
    #[serde(flatten)]
    max_tokens: NamedField<'a, u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<RequestFormat<'a>>,
    #[serde(flatten)]
    seed: NamedField<'a, i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
}

/// A field whose name depends on the provider; absent where its value is None.
struct NamedField<'a, T> {
    name: &'a str,
    value: Option<T>,
}

impl<T: Serialize> Serialize for NamedField<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.value.as_ref().map(|value| (self.name, value)))
    }
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Serialize)]
struct RequestFormat<'a> {
    r#type: &'static str,
    json_schema: JsonSchema<'a>,
}

#[derive(Serialize)]
struct JsonSchema<'a> {
    name: &'a str,
    strict: bool,
    schema: &'a Value,
}

#[derive(Serialize)]
struct RequestMessage<'a> {
    role: &'static str,
    /// None is null: an answer of tool calls alone.
    content: Option<MessageContent<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<RequestCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_details: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a Value>,
}

#[derive(Serialize)]
struct RequestCall<'a> {
    id: &'a str,
    r#type: &'static str,
    function: RequestFunction<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_content: Option<&'a Value>,
}

#[derive(Serialize)]
struct RequestFunction<'a> {
    name: &'a str,
    arguments: String,
}

#[derive(Serialize)]
#[serde(untagged)]
enum MessageContent<'a> {
    Text(String),
    Parts(Vec<ContentPart<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ContentPart<'a> {
    Text { text: &'a str },
    ImageUrl { image_url: ImageUrl<'a> },
    InputAudio { input_audio: InputAudio },
}

#[derive(Serialize)]
struct ImageUrl<'a> {
    url: Url<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Url<'a> {
    Address(&'a str),
    Data(Attachment),
}

#[derive(Serialize)]
struct InputAudio {
    data: Attachment,
    format: &'static str,
}

pub(super) fn body(
    config: &ChatConfig,
    accepted: &AcceptedParams,
    request: &ChatRequest<'_>,
) -> Result<RequestBody, RequestError> {
    let (params, provider) = (&config.params, &config.provider);
    let (takes, is_stream) = (|param| accepted.takes(param), request.stream.is_some());
    let detail = params.detail.filter(|_| takes(Param::Detail)).map(Detail::word);
    let mut attachments = Attachments::default();
    let content = Request {
        model: &config.model,
        messages: request.messages.iter().flat_map(|message| convert(message, detail, &mut attachments)).collect(),
        tools: request.tools.iter().map(FunctionTool::new).collect(),
        max_tokens: NamedField {
            name: accepted.max_tokens_key.unwrap_or(&provider.max_tokens_key),
            value: params.max_tokens.filter(|_| takes(Param::MaxTokens)),
        },
        n: params.n.filter(|_| takes(Param::N)),
        reasoning_effort: params.reasoning_effort.as_deref().filter(|_| takes(Param::ReasoningEffort)),
        response_format: request.response_format.filter(|_| takes(Param::ResponseFormat)).map(|format| RequestFormat {
            r#type: "json_schema",
            json_schema: JsonSchema { name: format.name(), strict: format.is_strict(), schema: format.schema() },
        }),
        seed: NamedField { name: &provider.seed_key, value: params.seed.filter(|_| takes(Param::Seed)) },
        stop: Some(&params.stop[..]).filter(|stop| !stop.is_empty() && takes(Param::Stop)),
        // Asks the provider to keep nothing.
        store: takes(Param::Store).then_some(false),
        stream: is_stream.then_some(true),
        stream_options: (is_stream && takes(Param::StreamOptions)).then_some(StreamOptions { include_usage: true }),
        temperature: params.temperature.filter(|_| takes(Param::Temperature)),
        top_p: params.top_p.filter(|_| takes(Param::TopP)),
    };
    RequestBody::new(&content, &attachments)
}

/// The message in the form of the API: each result is a message of its own, of text alone, right after the calls; images
/// follow in a user message.
fn convert<'a>(
    message: &'a Message,
    detail: Option<&'static str>,
    attachments: &mut Attachments,
) -> Vec<RequestMessage<'a>> {
    let part = |part: &'a Part| match part {
        Part::Text(text) => Some(ContentPart::Text { text }),
        Part::Image(image) => {
            Some(ContentPart::ImageUrl { image_url: ImageUrl { url: Url::Data(attachments.data_url(image)), detail } })
        }
        Part::ImageUrl(url) => Some(ContentPart::ImageUrl { image_url: ImageUrl { url: Url::Address(url), detail } }),
        Part::Audio(wav) => {
            Some(ContentPart::InputAudio { input_audio: InputAudio { data: attachments.base64(wav), format: "wav" } })
        }
        Part::ToolCall(_) | Part::ToolResult { .. } => None,
    };
    let content = match only_text(message) {
        Some(text) => MessageContent::Text(text),
        None => MessageContent::Parts(message.parts.iter().filter_map(part).collect()),
    };
    let plain = |role, content| RequestMessage {
        role,
        content,
        tool_calls: Vec::new(),
        tool_call_id: None,
        reasoning_details: None,
        reasoning_content: None,
    };
    let result = |(id, text): (&'a str, &'a str)| RequestMessage {
        tool_call_id: Some(id),
        ..plain("tool", Some(MessageContent::Text(text.to_owned())))
    };
    let mut messages: Vec<_> = tool_spec::results(message).map(result).collect();
    let calls: Vec<&ToolCall> = tool_spec::calls(message).collect();
    let has_others = message.parts.len() > calls.len() + messages.len();
    let data = |field: &str| calls.first().and_then(|call| call.provider_data.as_ref()?.get(field));
    if has_others || messages.is_empty() {
        messages.push(RequestMessage {
            tool_calls: calls.iter().map(|call| RequestCall::new(call)).collect(),
            reasoning_details: data(MESSAGE_DATA[0]),
            reasoning_content: data(MESSAGE_DATA[1]),
            ..plain(message.role.name(), Some(content).filter(|_| has_others || calls.is_empty()))
        });
    }
    messages
}

impl<'a> RequestCall<'a> {
    fn new(call: &'a ToolCall) -> Self {
        Self {
            id: &call.id,
            r#type: "function",
            function: RequestFunction { name: &call.name, arguments: tool_calls::sent_arguments(call).to_string() },
            extra_content: call.provider_data.as_ref().and_then(|data| data.get(CALL_DATA)),
        }
    }
}

/// The text of a message without images or audio, one part a line: models without vision accept only a plain string.
fn only_text(message: &Message) -> Option<String> {
    let texts = message.parts.iter().filter_map(|part| match part {
        Part::Text(text) => Some(Some(text.as_str())),
        Part::ToolCall(_) | Part::ToolResult { .. } => None,
        Part::Image(_) | Part::ImageUrl(_) | Part::Audio(_) => Some(None),
    });
    Some(texts.collect::<Option<Vec<_>>>()?.join("\n"))
}
