//! Reads the error responses of servers: what they mean, in a line that a person can act on.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::request_error::{RefusalDetails, RequestError, RequestErrorKind, tidy};
use super::retry_hints::RetryHints;
use super::too_long;
use super::tools_unsupported::is_tool_refusal;
use crate::advice::{Advice, Setting};
use crate::error::ErrorCode;

/// A response with a status other than success.
pub(super) fn from_response(status: StatusCode, body: &[u8], hints: RetryHints, key: &KeyInfo<'_>) -> RequestError {
    let refusal = Refusal::read(body);
    let mut failure = refusal.failure(status.as_u16(), key);
    let reason = status.canonical_reason().unwrap_or(if status.as_u16() == 529 { "Overloaded" } else { "" });
    failure.problem = match refusal.message.as_str() {
        "" => format!("{} {reason}", status.as_u16()).trim_end().to_owned(),
        message => format!("{} {reason}: {message}", status.as_u16()),
    };
    failure.hints = hints.with_body(status.as_u16(), &refusal.error, &refusal.message);
    failure
}

/// An `error` object inside a response of status 200, or inside its first choice (`OpenRouter`, `LiteLLM`); None where `reply`
/// has none.
pub(super) fn inside_success(reply: &Value, key: &KeyInfo<'_>) -> Option<RequestError> {
    let choice = reply.get("choices").and_then(|choices| choices.get(0));
    let of = |value: Option<&'_ Value>| value.and_then(|value| value.get("error")).filter(|e| !e.is_null()).cloned();
    let ended_by_error = || {
        let is_error = choice?.get("finish_reason")?.as_str()?.eq_ignore_ascii_case("error");
        is_error.then(|| json!({"code": 502, "message": "the provider failed while it answered"}))
    };
    let error = &of(Some(reply)).or_else(|| of(choice)).or_else(ended_by_error)?;
    let mut failure = from_error_object(error, key);
    failure.problem = match failure.problem.as_str() {
        "" => "an error inside a 200 reply, without a message".to_owned(),
        message => format!("an error inside a 200 reply: {message}"),
    };
    Some(failure)
}

/// An `error` object; its message, which may be empty, is the problem.
pub(super) fn from_error_object(error: &Value, key: &KeyInfo<'_>) -> RequestError {
    let refusal = Refusal::of(error);
    let status = refusal.code.parse::<u16>().ok().filter(|code| (400..600).contains(code)).unwrap_or(
        match (refusal.code.as_str(), refusal.kind.as_str()) {
            ("rate_limit_exceeded" | "insufficient_quota", _) | (_, "rate_limit_error") => 429,
            ("server_error", _) | (_, "server_error" | "overloaded_error" | "api_error") => 500,
            (_, "UNAVAILABLE" | "unavailable_error") => 503,
            (_, "RESOURCE_EXHAUSTED") => 429,
            _ => 400,
        },
    );
    let hints = RetryHints::default().with_body(status, &refusal.error, &refusal.message);
    RequestError { problem: refusal.message.clone(), hints, ..refusal.failure(status, key) }
}

/// What is known about the key, for advice.
pub(super) struct KeyInfo<'a> {
    /// The environment variable that holds it.
    pub variable: &'a str,
    /// Whether a key is sent.
    pub is_set: bool,
    /// Whether a key is set but not sent, because the connection is not encrypted.
    pub is_withheld: bool,
}

/// The content of an error response. Absent fields are empty.
#[derive(Debug, Default, PartialEq, Eq)]
struct Refusal {
    message: String,
    kind: String,
    param: String,
    code: String,
    /// The error object.
    error: Value,
}

impl Refusal {
    /// Reads the bodies of `OpenAI`, Anthropic, Gemini (an array in some versions), Ollama, `FastAPI` and the HTML of proxies.
    fn read(body: &[u8]) -> Self {
        let Ok(mut json) = serde_json::from_slice::<Value>(body) else {
            return Self { message: tidy(&without_tags(&String::from_utf8_lossy(body))), ..Self::default() };
        };
        if let Some(first) = json.get_mut(0) {
            json = first.take();
        }
        match json.get("error") {
            Some(error) if !error.is_null() => Self::of(error),
            _ => Self::of(&json),
        }
    }

    /// Reads the error object itself, or a plain text.
    fn of(error: &Value) -> Self {
        let text = |names: &[&str]| {
            let value = names.iter().find_map(|name| error.get(name).filter(|value| !value.is_null()));
            value.map_or_else(String::new, |value| value.as_str().map_or_else(|| tidy(&value.to_string()), tidy))
        };
        Self {
            message: error.as_str().map_or_else(|| text(&["message", "detail", "msg"]), tidy),
            kind: text(&["type", "status"]),
            param: text(&["param"]),
            code: text(&["code"]),
            error: error.clone(),
        }
    }

    fn failure(&self, status: u16, key: &KeyInfo<'_>) -> RequestError {
        let has_no_credit = [&self.code, &self.kind].iter().any(|word| {
            matches!(word.as_str(), "insufficient_quota" | "billing_hard_limit_reached" | "billing_not_active")
        });
        let has_no_tools = is_tool_refusal(status, &self.message);
        // llama.cpp and Ollama report these with status 500, although a retry cannot help.
        let is_final = has_no_tools
            || self.is_unsupported_medium()
            || self.has_no_system_role()
            || (status >= 500 && self.is_too_long(status));
        let kind = if is_final { RequestErrorKind::Final } else { RequestErrorKind::Status(status) };
        let mut failure = RequestError::new(kind, "", self.advice(status, has_no_credit, key));
        if has_no_credit {
            failure.code = ErrorCode::QuotaExhausted;
        } else if has_no_tools {
            failure.code = ErrorCode::ToolsUnsupported;
        } else if self.is_too_long(status) {
            failure.code = ErrorCode::RequestTooLarge;
        } else if self.is_unsupported_medium() {
            failure.code = ErrorCode::RequestRefused;
        } else if matches!(status, 401 | 403) && !key.is_set {
            failure.code = ErrorCode::MissingKey;
        }
        failure.details = self.details(status).map(Box::new);
        failure
    }

    fn advice(&self, status: u16, has_no_credit: bool, key: &KeyInfo<'_>) -> Advice {
        if is_tool_refusal(status, &self.message) {
            return Advice::Check(Setting::Model);
        }
        if let Some(setting) = self.refused_setting().filter(|_| matches!(status, 400 | 422)) {
            return Advice::Unset(setting);
        }
        if self.is_too_long(status) {
            return Advice::send_less();
        }
        if self.is_unsupported_medium() {
            let advice = "choose a model that supports it (llama.cpp needs a multimodal projector; in Ollama, pull the model again)";
            return Advice::from(advice).or(Advice::Check(Setting::Model));
        }
        match status {
            401 | 403 if key.is_withheld => {
                Advice::from("use the server's https:// address").or(Advice::Set(Setting::SendKeyUnencrypted))
            }
            401 | 403 if !key.is_set => Advice::SetKey(key.variable.to_owned()),
            401 => format!("check the key in {}", key.variable).into(),
            403 => format!("check that the key in {} may use this model", key.variable).into(),
            402 | 429 if has_no_credit || status == 402 => "the account has no credit: see its billing page".into(),
            404 => Advice::Check(Setting::BaseUrl).or(Advice::Check(Setting::Model)),
            300..=399 | 405 => Advice::Check(Setting::BaseUrl),
            408 | 429 | 500.. => "try again later".into(),
            _ => Advice::None,
        }
    }

    /// The setting behind the field that the server names as refused.
    fn refused_setting(&self) -> Option<Setting> {
        const SETTINGS: [(&str, Setting); 9] = [
            ("temperature", Setting::Temperature),
            ("max_tokens", Setting::MaxTokens),
            ("max_completion_tokens", Setting::MaxTokens),
            ("top_p", Setting::TopP),
            ("n", Setting::NChoices),
            ("stop", Setting::Stop),
            ("seed", Setting::Seed),
            ("detail", Setting::Detail),
            ("reasoning_effort", Setting::ReasoningEffort),
        ];
        let is_named = |name: &str| {
            self.param == name
                || ["Unsupported parameter: ", "Unsupported value: "]
                    .iter()
                    .any(|text| self.message.contains(&format!("{text}'{name}'")))
        };
        SETTINGS.iter().find(|(name, _)| is_named(name)).map(|(_, setting)| *setting)
    }

    fn details(&self, status: u16) -> Option<RefusalDetails> {
        let is_too_long = self.is_too_long(status);
        let limits = if is_too_long { too_long::limits(&self.message, &self.error) } else { RefusalDetails::default() };
        let param = Some(&self.param).filter(|param| !param.is_empty()).cloned();
        let details = RefusalDetails { param, has_no_system_role: self.has_no_system_role(), ..limits };
        (details != RefusalDetails::default()).then_some(details)
    }

    /// Whether the model does not accept images or audio.
    fn is_unsupported_medium(&self) -> bool {
        // Ollama; OpenAI; vLLM; vLLM; SGLang; OpenRouter; LM Studio.
        const WORDS: [&str; 8] = [
            "missing data required for image input",
            "image_url is only supported by certain models",
            "is not a multimodal model",
            "does not support multimodal",
            "not enable multimodal",
            "no endpoints found that support image input",
            "does not support vision",
            "model does not have vision",
        ];
        let message = self.message.to_lowercase();
        WORDS.iter().any(|words| message.contains(words))
            || ["image", "audio"].iter().any(|medium| {
                [
                    format!("{medium} input is not supported"),
                    format!("does not support {medium}"),
                    format!("{medium} input is not enabled"),
                ]
                .iter()
                .any(|words| message.contains(words))
            })
    }

    /// Whether the model has no system role: chat templates of Gemma and early Mistral models, `OpenAI`'s first reasoning models.
    fn has_no_system_role(&self) -> bool {
        const WORDS: [&str; 9] = [
            "system role not supported",
            "system role is not supported",
            "system messages are not supported",
            "system message is not supported",
            "does not support system",
            "does not support 'system'",
            "developer instruction is not enabled",
            "only user and assistant roles are supported",
            "only user, assistant and tool roles are supported",
        ];
        let message = self.message.to_lowercase();
        let must_alternate = message.contains("conversation roles must alternate user/assistant");
        WORDS.iter().any(|words| message.contains(words)) || (must_alternate && !message.contains("optional system"))
    }

    /// Whether the request is larger than the server or the model accepts.
    fn is_too_long(&self, status: u16) -> bool {
        status == 413
            || self.code == "context_length_exceeded"
            || self.kind == "exceed_context_size_error"
            || (matches!(status, 400 | 422 | 500) && too_long::is_about_length(&self.message))
    }
}

/// The text of an HTML page, without scripts and styles, at most 300 bytes; other text is unchanged.
fn without_tags(text: &str) -> String {
    if !text.trim_start().starts_with('<') {
        return text.to_owned();
    }
    let (mut shown, mut rest) = (String::new(), text);
    while let Some(open) = rest.find('<') {
        shown.push_str(&rest[..open]);
        shown.push(' ');
        let tag = &rest[open..];
        let hidden = ["script", "style"]
            .iter()
            .find(|name| tag.get(1..=name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)));
        let end = match hidden {
            Some(name) => tag.find(&format!("</{name}")).and_then(|at| Some(at + tag[at..].find('>')?)),
            None => tag.find('>'),
        };
        rest = end.map_or("", |end| &tag[end + 1..]);
        if shown.len() > 300 {
            shown.truncate(shown.floor_char_boundary(300));
            return format!("{shown}…");
        }
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::super::request_error::MAX_MESSAGE_CHARS;
    use super::*;

    const KEY: KeyInfo<'static> = KeyInfo { variable: "OPENAI_API_KEY", is_set: true, is_withheld: false };

    fn message(status: u16, body: &str) -> String {
        let status = StatusCode::from_u16(status).expect("a status");
        from_response(status, body.as_bytes(), RetryHints::default(), &KEY).into_error("host").to_string()
    }

    #[test]
    fn error_responses_of_each_server_are_read() {
        #[rustfmt::skip]
        let table = [
            (429, r#"{"error":{"message":"slow down","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#,
                "host: 429 Too Many Requests: slow down; try again later"),
            (429, r#"{"error":{"message":"You exceeded","type":"insufficient_quota","code":"insufficient_quota"}}"#,
                "host: 429 Too Many Requests: You exceeded; the account has no credit: see its billing page"),
            (400, r#"{"error":{"code":400,"message":"too big","type":"exceed_context_size_error","n_ctx":512}}"#,
                "host: 400 Bad Request: too big; raise the sampling interval, lower the maximum number of frames, or lower the maximum width"),
            (404, r#"{"error":"model 'x' not found"}"#,
                "host: 404 Not Found: model 'x' not found; check the base URL, or check the model"),
            (529, r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"r"}"#,
                "host: 529 Overloaded: Overloaded; try again later"),
            (401, r#"[{"error":{"code":401,"message":"API key not valid","status":"UNAUTHENTICATED"}}]"#,
                "host: 401 Unauthorized: API key not valid; check the key in OPENAI_API_KEY"),
            (422, r#"{"detail":[{"loc":["body","n"],"msg":"bad"}]}"#,
                r#"host: 422 Unprocessable Entity: [{"loc":["body","n"],"msg":"bad"}]"#),
            (502, "<html><head><title>502 Bad Gateway</title><style>p{}</style></head><body><h1>nginx</h1></body>",
                "host: 502 Bad Gateway: 502 Bad Gateway nginx; try again later"),
            (503, "", "host: 503 Service Unavailable; try again later"),
            (400, "{\"error\":{\"message\":\"Unsupported value: 'temperature' does not support 0.1 with this model.\"}}",
                "host: 400 Bad Request: Unsupported value: 'temperature' does not support 0.1 with this model.; \
                 leave out the temperature"),
            (500, "\u{1b}[31mred\u{7}\r\n\u{202e}text", "host: 500 Internal Server Error: red text; try again later"),
            (500, r#"{"error":{"code":500,"message":"image input is not supported - hint: if this is unexpected, you may need to provide the mmproj","type":"server_error"}}"#,
                "host: 500 Internal Server Error: image input is not supported - hint: if this is unexpected, you may need \
                 to provide the mmproj; choose a model that supports it (llama.cpp needs a multimodal projector; in Ollama, pull the \
                 model again), or check the model"),
            (413, "{}", "host: 413 Payload Too Large; raise the sampling interval, lower the maximum number of frames, or lower the maximum width"),
        ];
        for (status, body, expected) in table {
            assert_eq!(message(status, body), expected);
        }
    }

    #[test]
    fn a_missing_key_and_a_wrong_key_have_different_advice() {
        let none = KeyInfo { variable: "GROQ_API_KEY", is_set: false, is_withheld: false };
        let failure = from_response(StatusCode::UNAUTHORIZED, b"", RetryHints::default(), &none);
        assert_eq!(failure.advice.to_string(), "set GROQ_API_KEY");
        let withheld = KeyInfo { is_withheld: true, ..none };
        let failure = from_response(StatusCode::UNAUTHORIZED, b"", RetryHints::default(), &withheld);
        assert_eq!(failure.advice.to_string(), "use the server's https:// address, or set sending the key unencrypted");
    }

    #[test]
    fn an_error_inside_a_success_has_the_status_that_it_names() {
        let kind = |text: &str| {
            let reply = serde_json::from_str(text).expect("JSON");
            inside_success(&reply, &KEY).map(|failure| (failure.kind, failure.ends_run()))
        };
        assert_eq!(
            kind(r#"{"error":{"code":502,"message":"upstream"}}"#),
            Some((RequestErrorKind::Status(502), false))
        );
        assert_eq!(kind(r#"{"error":{"code":"429"}}"#), Some((RequestErrorKind::Status(429), false)));
        assert_eq!(kind(r#"{"error":{"code":"insufficient_quota"}}"#), Some((RequestErrorKind::Status(429), true)));
        assert_eq!(kind(r#"{"error":{"type":"overloaded_error"}}"#), Some((RequestErrorKind::Status(500), false)));
        assert_eq!(kind(r#"{"error":"what"}"#), Some((RequestErrorKind::Status(400), false)));
        assert_eq!(kind(r#"{"error":null,"choices":[]}"#), None);
        assert_eq!(kind(r#"{"error":{"status":"UNAVAILABLE"}}"#), Some((RequestErrorKind::Status(503), false)));
    }

    #[test]
    fn an_error_inside_a_choice_has_the_status_that_it_names() {
        let kind = |choice: &str| {
            let reply = serde_json::from_str(&format!(r#"{{"choices":[{choice}]}}"#)).expect("JSON");
            inside_success(&reply, &KEY).map(|failure| (failure.kind, failure.problem))
        };
        let (status, problem) =
            kind(r#"{"finish_reason":"error","error":{"code":502,"message":"upstream"}}"#).expect("an error");
        assert_eq!(
            (status, problem.as_str()),
            (RequestErrorKind::Status(502), "an error inside a 200 reply: upstream")
        );
        let status = |choice| kind(choice).map(|(status, _)| status);
        assert_eq!(status(r#"{"finish_reason":"error"}"#), Some(RequestErrorKind::Status(502)));
        assert_eq!(status(r#"{"delta":{},"error":{"code":429}}"#), Some(RequestErrorKind::Status(429)));
        assert_eq!(status(r#"{"error":{"code":"400","message":"no"}}"#), Some(RequestErrorKind::Status(400)));
        assert_eq!(status(r#"{"finish_reason":"stop","error":null}"#), None);
        assert_eq!(status(r#"{"finish_reason":null}"#), None);
    }

    #[test]
    fn a_medium_that_the_model_cannot_read_fails_at_once() {
        for (status, text) in [
            (500, "this model is missing data required for image input"),
            (500, "image input is not supported - hint: you may need to provide the mmproj"),
            (400, "Invalid content type. image_url is only supported by certain models."),
            (400, "org/model is not a multimodal model"),
            (404, "No endpoints found that support image input"),
            (500, "audio input is not supported"),
        ] {
            let body = json!({"error": text}).to_string();
            let status = StatusCode::from_u16(status).expect("a status");
            let failure = from_response(status, body.as_bytes(), RetryHints::default(), &KEY);
            assert_eq!(failure.kind, RequestErrorKind::Final, "{text}");
            assert!(failure.advice.to_string().contains("choose a model"), "{text}");
        }
    }

    #[test]
    fn long_messages_are_cut() {
        let long = "é".repeat(5000);
        assert_eq!(tidy(&long).chars().count(), MAX_MESSAGE_CHARS + 1);
        let page = format!("<p>{}", "word ".repeat(4000));
        assert!(message(500, &page).len() < 3000);
    }
}
