//! From messages to the body of a request.

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::chat::{Message, Part, Role};
use crate::http::RequestError;
use crate::llm::body::{Attachment, Attachments, RequestBody};
use crate::llm::config::ChatConfig;
use crate::llm::params::Detail;
use crate::llm::request::ChatRequest;
use crate::llm::supported_params::{AcceptedParams, Param};

/// The order of the fields is fixed. What stays the same between requests comes first, since the prompt caches of
/// providers compare the beginning of the text.
#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    messages: Vec<RequestMessage<'a>>,
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
    role: Role,
    content: MessageContent<'a>,
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
        messages: request.messages.iter().map(|message| convert(message, detail, &mut attachments)).collect(),
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

fn convert<'a>(
    message: &'a Message,
    detail: Option<&'static str>,
    attachments: &mut Attachments,
) -> RequestMessage<'a> {
    let part = |part: &'a Part| match part {
        Part::Text(text) => ContentPart::Text { text },
        Part::Image(image) => {
            ContentPart::ImageUrl { image_url: ImageUrl { url: Url::Data(attachments.data_url(image)), detail } }
        }
        Part::ImageUrl(url) => ContentPart::ImageUrl { image_url: ImageUrl { url: Url::Address(url), detail } },
        Part::Audio(wav) => {
            ContentPart::InputAudio { input_audio: InputAudio { data: attachments.base64(wav), format: "wav" } }
        }
    };
    let content = match only_text(message) {
        Some(text) => MessageContent::Text(text),
        None => MessageContent::Parts(message.parts.iter().map(part).collect()),
    };
    RequestMessage { role: message.role, content }
}

/// The text of a message without images or audio, one part a line: models without vision accept only a plain string.
fn only_text(message: &Message) -> Option<String> {
    let texts = message.parts.iter().map(|part| if let Part::Text(text) = part { Some(text.as_str()) } else { None });
    Some(texts.collect::<Option<Vec<_>>>()?.join("\n"))
}
