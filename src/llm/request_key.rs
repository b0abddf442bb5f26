//! A digest of all that decides the response to a request, so that a stored response can be found again.

use sha2::{Digest as _, Sha256};

use super::config::ChatConfig;
use super::request::ChatRequest;
use crate::chat::Part;
use crate::fs::hex;

/// The SHA-256, in hexadecimal, of the server's address and headers, the model, its parameters, the tools, the response
/// format and the messages. It depends neither on the API key nor on whether the response is streamed, nor on the IDs of
/// tool calls and the provider's data in them, which servers make at random.
pub(super) fn request_key(config: &ChatConfig, request: &ChatRequest<'_>) -> String {
    let mut fields = Fields(Sha256::new());
    fields.add("server", config.server.server_id());
    fields.add("model", &config.model);
    // Debug names every field: a new parameter changes the digest.
    fields.add("params", format!("{:?}", config.params));
    if let Some(format) = request.response_format {
        fields.add("format", format.name());
        fields.add("schema", format.schema().to_string());
    }
    for tool in request.tools {
        fields.add("tool", &tool.name);
        fields.add("description", &tool.description);
        fields.add("parameters", tool.parameters.to_string());
    }
    let mut call_ids: Vec<&str> = Vec::new();
    for message in request.messages {
        fields.add("role", message.role.name());
        for part in &message.parts {
            match part {
                Part::Text(text) => fields.add("text", text),
                Part::Image(image) => {
                    fields.add("image", image.format.mime());
                    fields.add("bytes", &image.bytes);
                }
                Part::ImageUrl(url) => fields.add("url", url),
                Part::Audio(wav) => fields.add("audio", wav),
                Part::ToolCall(call) => {
                    fields.add("call", &call.name);
                    fields.add("arguments", call.arguments.to_string());
                    call_ids.push(&call.id);
                }
                Part::ToolResult { call_id, text } => {
                    let position = call_ids.iter().rposition(|id| id == call_id);
                    fields.add("result of", format!("{position:?}"));
                    fields.add("result", text);
                }
            }
        }
    }
    hex(&fields.0.finalize())
}

/// Hashes named fields, each with its length, so that no two lists of fields hash the same bytes.
struct Fields(Sha256);

impl Fields {
    fn add(&mut self, name: &str, value: impl AsRef<[u8]>) {
        for bytes in [name.as_bytes(), value.as_ref()] {
            self.0.update((bytes.len() as u64).to_le_bytes());
            self.0.update(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::ToolCall;
    use crate::chat::{Message, Role};
    use crate::http::{ServerConfig, parse_base_url};
    use crate::llm::{ResponseFormat, SamplingParams, ToolSpec};

    fn config() -> ChatConfig {
        ChatConfig::new(ServerConfig::new(parse_base_url("http://localhost:9").expect("an address")), "m")
    }

    fn messages(texts: &[&str]) -> Vec<Message> {
        vec![Message { role: Role::User, parts: texts.iter().map(|text| Part::Text((*text).to_owned())).collect() }]
    }

    #[test]
    fn everything_but_the_key_and_streaming_decides() {
        let asked = messages(&["a", "b"]);
        let key = request_key(&config(), &ChatRequest::new(&asked));
        let mut with_key = config();
        with_key.server.api_key = Some("secret".into());
        assert_eq!(request_key(&with_key, &ChatRequest::new(&asked)), key);

        let format = ResponseFormat::json_schema("records", serde_json::json!({"type": "object"})).expect("a schema");
        let mut elsewhere = config();
        elsewhere.server.base_url = parse_base_url("http://localhost:10").expect("an address");
        let mut with_header = config();
        with_header.server.headers.insert("x-tenant".into(), "2".into());
        let params = SamplingParams { temperature: Some(0.5), ..SamplingParams::default() };
        let others = [
            request_key(&elsewhere, &ChatRequest::new(&asked)),
            request_key(&with_header, &ChatRequest::new(&asked)),
            request_key(&ChatConfig { model: "n".into(), ..config() }, &ChatRequest::new(&asked)),
            request_key(&ChatConfig { params, ..config() }, &ChatRequest::new(&asked)),
            request_key(&config(), &ChatRequest { response_format: Some(&format), ..ChatRequest::new(&asked) }),
            request_key(&config(), &ChatRequest::new(&messages(&["ab"]))),
            request_key(&config(), &ChatRequest::new(&messages(&["a", "b", ""]))),
        ];
        let all: std::collections::HashSet<&String> = others.iter().chain([&key]).collect();
        assert_eq!(all.len(), others.len() + 1);
    }

    #[test]
    fn tools_calls_and_results_decide_and_ids_do_not() {
        let tool = |name: &str, description: &str, parameters| ToolSpec {
            name: name.into(),
            description: description.into(),
            parameters,
        };
        let tools = [tool("frames", "d", serde_json::json!({}))];
        let calls = |ids: [&str; 2], results: [&str; 2], first: &str| {
            let call = |id: &str, name: &str| Part::ToolCall(ToolCall::new(id, name, serde_json::json!({"n": 1})));
            let result =
                |id: &str, n: usize| Part::ToolResult { call_id: id.into(), text: format!("result {}", results[n]) };
            vec![
                Message { role: Role::Assistant, parts: vec![call(ids[0], first), call(ids[1], "frames")] },
                Message { role: Role::User, parts: vec![result(ids[0], 0), result(ids[1], 1)] },
            ]
        };
        let key = |messages: &[Message], tools: &[ToolSpec]| {
            request_key(&config(), &ChatRequest { tools, ..ChatRequest::new(messages) })
        };
        let asked = calls(["a", "b"], ["1", "2"], "frames");
        assert_eq!(key(&asked, &tools), key(&calls(["x", "y"], ["1", "2"], "frames"), &tools));
        let mut swapped = asked.clone();
        swapped[1].parts.swap(0, 1);
        let others = [
            key(&asked, &tools),
            key(&asked, &[]),
            key(&asked, &[tool("frame", "d", serde_json::json!({}))]),
            key(&asked, &[tool("frames", "e", serde_json::json!({}))]),
            key(&asked, &[tool("frames", "d", serde_json::json!({"type": "object"}))]),
            key(&calls(["a", "b"], ["2", "1"], "frames"), &tools),
            key(&calls(["a", "b"], ["1", "2"], "transcript"), &tools),
            key(&swapped, &tools),
            key(&asked[..1], &tools),
        ];
        let all: std::collections::HashSet<&String> = others.iter().collect();
        assert_eq!(all.len(), others.len());
    }
}
