//! A digest of all that decides the response to a request, so that a stored response can be found again.

use sha2::{Digest as _, Sha256};

use super::config::ChatConfig;
use super::request::ChatRequest;
use crate::chat::{Part, Role};
use crate::fs::hex;

/// The SHA-256, in hexadecimal, of the server's address and headers, the model, its parameters, the response format and the
/// messages. It depends neither on the API key nor on whether the response is streamed.
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
    for message in request.messages {
        let role = match message.role {
            Role::System => "system",
            Role::User => "user",
        };
        fields.add("role", role);
        for part in &message.parts {
            match part {
                Part::Text(text) => fields.add("text", text),
                Part::Image(image) => {
                    fields.add("image", image.format.mime());
                    fields.add("bytes", &image.bytes);
                }
                Part::ImageUrl(url) => fields.add("url", url),
                Part::Audio(wav) => fields.add("audio", wav),
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
    use crate::chat::Message;
    use crate::http::{ServerConfig, parse_base_url};
    use crate::llm::{ResponseFormat, SamplingParams};

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
}
