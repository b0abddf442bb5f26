//! What a server's refusal means, in a line that a person can act on.

use std::error::Error as StdError;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;

use super::retry_policy::{MAX_OBEYED, RequestErrorKind, RetryHints};
use crate::error::Error;
use crate::sanitize::clean_line;

/// At most this much of what a server says is shown.
const MAX_MESSAGE_BYTES: usize = 2048;

/// One failed try: what to tell, and what [`retry`](super::retry_policy) decides by.
#[derive(Debug)]
pub(crate) struct RequestError {
    /// What went wrong.
    pub kind: RequestErrorKind,
    /// A refusal because the account is empty.
    pub no_credit: bool,
    /// The reply was larger than is accepted here, or the request than the server takes.
    pub is_limit: bool,
    /// The request's field that the server names as the cause.
    pub param: Option<String>,
    /// What the server's headers say of another try.
    pub hints: RetryHints,
    /// What failed, without the server's name.
    pub problem: String,
    /// What to try.
    pub advice: String,
    /// The failure beneath.
    pub source: Option<Box<dyn StdError + Send + Sync>>,
}

impl RequestError {
    /// A failure with nothing known but its text.
    pub fn new(kind: RequestErrorKind, problem: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            kind,
            no_credit: false,
            is_limit: false,
            param: None,
            hints: RetryHints::default(),
            problem: problem.into(),
            advice: advice.into(),
            source: None,
        }
    }

    /// A failure below HTTP; `what` is what was being done (`sending the request`).
    pub fn transport(error: reqwest::Error, is_loopback: bool) -> Self {
        // The address may hold a key as a query.
        let error = error.without_url();
        let cause = deepest_text(&error);
        let mut failure = if error.is_builder() {
            Self::new(RequestErrorKind::Final, format!("cannot build the request: {cause}"), "")
        } else if error.is_connect() {
            let advice = if is_loopback {
                "check that the server runs, and --base-url"
            } else {
                "check --base-url, the network and its proxy"
            };
            Self::new(RequestErrorKind::Connect, format!("cannot connect: {cause}"), advice)
        } else if error.is_timeout() {
            Self::new(RequestErrorKind::Timeout, "timed out", "raise --timeout, or send fewer frames")
        } else {
            Self::new(RequestErrorKind::Broken, format!("the connection broke: {cause}"), "try again later")
        };
        failure.source = Some(error.into());
        failure
    }

    /// A try that took longer than it may.
    pub fn timeout(limit: Duration, what: &str) -> Self {
        let seconds = limit.as_secs_f64();
        Self::new(
            RequestErrorKind::Timeout,
            format!("{what} after {seconds} s"),
            "raise --timeout, or send fewer frames",
        )
    }

    /// A reply with a status other than success. `key_variable` and `has_key` are for the advice.
    pub fn status(status: StatusCode, body: &[u8], hints: RetryHints, key: &Key<'_>) -> Self {
        let said = Said::read(body);
        let mut failure = said.failure(status.as_u16(), key);
        let reason = status.canonical_reason().unwrap_or(if status.as_u16() == 529 { "Overloaded" } else { "" });
        failure.problem = match said.message.as_str() {
            "" => format!("{} {reason}", status.as_u16()).trim_end().to_owned(),
            message => format!("{} {reason}: {message}", status.as_u16()),
        };
        failure.hints = hints;
        failure
    }

    /// An `error` object inside a reply of status 200; None where `reply` holds none.
    pub fn inside(reply: &Value, key: &Key<'_>) -> Option<Self> {
        let error = reply.get("error").filter(|error| !error.is_null())?;
        let mut failure = Self::of(error, key);
        failure.problem = match failure.problem.as_str() {
            "" => "an error inside a 200 reply, without a message".to_owned(),
            message => format!("an error inside a 200 reply: {message}"),
        };
        Some(failure)
    }

    /// What an `error` object says; its message, which may be empty, is the problem.
    pub fn of(error: &Value, key: &Key<'_>) -> Self {
        let said = Said::of(error);
        let status = said.code.parse::<u16>().ok().filter(|code| (400..600).contains(code)).unwrap_or(
            match (said.code.as_str(), said.kind.as_str()) {
                ("rate_limit_exceeded" | "insufficient_quota", _) | (_, "rate_limit_error") => 429,
                ("server_error", _) | (_, "server_error" | "overloaded_error" | "api_error") => 500,
                _ => 400,
            },
        );
        Self { problem: said.message.clone(), ..said.failure(status, key) }
    }

    /// The failure after `n_tries` tries.
    pub fn after(mut self, n_tries: u32) -> Self {
        if n_tries > 1 {
            self.problem = format!("{} (tried {n_tries} times)", self.problem);
        }
        self
    }

    /// Whether every further request to this server must fail alike: a wrong key, an empty account.
    pub fn ends_run(&self) -> bool {
        self.no_credit || matches!(self.kind, RequestErrorKind::Status(401 | 402))
    }

    /// The same again, without the failure beneath.
    pub fn echo(&self) -> Self {
        let echo = Self::new(self.kind, self.problem.clone(), self.advice.clone());
        Self { no_credit: self.no_credit, is_limit: self.is_limit, param: self.param.clone(), ..echo }
    }

    /// The failure where there is no time for another try.
    pub fn with_no_time_left(mut self, total: Duration) -> Self {
        let seconds = total.as_secs_f64();
        self.problem = format!("{}; the {seconds} s for all tries leave no time for another", self.problem);
        "try again later, or raise --total-timeout".clone_into(&mut self.advice);
        self
    }

    /// The failure where the server asks for a wait that is not waited.
    pub fn with_long_wait(mut self, wait: Duration) -> Self {
        let (asked, most) = (wait.as_secs(), MAX_OBEYED.as_secs());
        self.problem = format!("{}; it asks to wait {asked} s, longer than the {most} s that are waited", self.problem);
        "try again later".clone_into(&mut self.advice);
        self
    }

    /// The error that the caller gets; `server` is host and port.
    pub fn into_error(self, server: &str) -> Error {
        let constructor = if self.is_limit { Error::limit } else { Error::service };
        let error = constructor(server, self.problem, self.advice);
        match self.source {
            Some(source) => error.because(source),
            None => error,
        }
    }
}

/// What is known of the key, for advice alone.
pub(crate) struct Key<'a> {
    /// The environment variable that it is taken from.
    pub variable: &'a str,
    /// Whether there is one.
    pub is_set: bool,
}

/// What a server says of its refusal: every field empty where it does not say.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    message: String,
    kind: String,
    param: String,
    code: String,
}

impl Said {
    /// Reads the bodies of `OpenAI`, Anthropic, Gemini (an array at times), Ollama, `FastAPI` and of proxies' HTML.
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

    /// Reads the error object itself, or a bare text.
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
        }
    }

    fn failure(&self, status: u16, key: &Key<'_>) -> RequestError {
        let no_credit = [&self.code, &self.kind].iter().any(|word| {
            matches!(word.as_str(), "insufficient_quota" | "billing_hard_limit_reached" | "billing_not_active")
        });
        // llama.cpp's server says so with a 500, as if another try could give it eyes.
        let kind = if self.is_blind() { RequestErrorKind::Final } else { RequestErrorKind::Status(status) };
        let mut failure = RequestError::new(kind, "", self.advice(status, no_credit, key));
        failure.no_credit = no_credit;
        failure.is_limit = self.is_too_long(status);
        failure.param = Some(self.param.clone()).filter(|param| !param.is_empty());
        failure
    }

    fn advice(&self, status: u16, no_credit: bool, key: &Key<'_>) -> String {
        if let Some(flag) = self.refused_flag().filter(|_| matches!(status, 400 | 422)) {
            return format!("leave {flag} out: this model does not take it so");
        }
        if self.is_too_long(status) {
            return "send fewer frames (--interval, --max-frames) or smaller ones (--max-width)".into();
        }
        if self.is_blind() {
            return "name a model that takes it with --model; llama.cpp's server needs its --mmproj too".into();
        }
        match status {
            401 | 403 if !key.is_set => format!("set {} to a key of this server", key.variable),
            401 => format!("check the key in {}", key.variable),
            403 => format!("check that the key in {} may use this model", key.variable),
            402 | 429 if no_credit || status == 402 => "the account has no credit: see its billing page".into(),
            404 => "check --base-url and --model".into(),
            300..=399 | 405 => "check --base-url".into(),
            408 | 429 | 500.. => "try again later".into(),
            _ => String::new(),
        }
    }

    /// The option of ours that the server names as refused.
    fn refused_flag(&self) -> Option<&'static str> {
        const FLAGS: [(&str, &str); 9] = [
            ("temperature", "--temperature"),
            ("max_tokens", "--max-tokens"),
            ("max_completion_tokens", "--max-tokens"),
            ("top_p", "--top-p"),
            ("n", "--n"),
            ("stop", "--stop"),
            ("seed", "--seed"),
            ("detail", "--detail"),
            ("reasoning_effort", "--reasoning-effort"),
        ];
        let named = |name: &str| {
            self.param == name
                || ["Unsupported parameter: ", "Unsupported value: "]
                    .iter()
                    .any(|text| self.message.contains(&format!("{text}'{name}'")))
        };
        FLAGS.iter().find(|(name, _)| named(name)).map(|(_, flag)| *flag)
    }

    /// Whether the model takes no pictures, or no sound.
    fn is_blind(&self) -> bool {
        ["image", "audio"].iter().any(|what| self.message.contains(&format!("{what} input is not supported")))
    }

    fn is_too_long(&self, status: u16) -> bool {
        const WORDS: [&str; 9] = [
            "context length",
            "context window",
            "context size",
            "maximum context",
            "prompt is too long",
            "too many images",
            "too much media",
            "image(s) may be provided",
            "maximum number of images",
        ];
        let message = self.message.to_lowercase();
        status == 413
            || self.code == "context_length_exceeded"
            || self.kind == "exceed_context_size_error"
            || (matches!(status, 400 | 422) && WORDS.iter().any(|word| message.contains(word)))
    }
}

/// One line of at most 2 KB, without control and direction characters, so that a server cannot paint on a terminal.
pub(crate) fn tidy(text: &str) -> String {
    let mut line = clean_line(text);
    if line.len() > MAX_MESSAGE_BYTES {
        line.truncate(line.floor_char_boundary(MAX_MESSAGE_BYTES));
        line.push('…');
    }
    line
}

/// The text of an HTML page, its scripts and styles left out, at most 300 bytes of it; other text as it is.
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

/// The text of the innermost cause, without the operating system's number.
fn deepest_text(error: &dyn StdError) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let text = tidy(&cause.to_string());
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key<'static> = Key { variable: "OPENAI_API_KEY", is_set: true };

    fn told(status: u16, body: &str) -> String {
        let status = StatusCode::from_u16(status).expect("a status");
        RequestError::status(status, body.as_bytes(), RetryHints::default(), &KEY).into_error("host").to_string()
    }

    #[test]
    fn each_servers_shape_of_error_is_read() {
        #[rustfmt::skip]
        let table = [
            (429, r#"{"error":{"message":"slow down","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#,
                "host: 429 Too Many Requests: slow down; try again later"),
            (429, r#"{"error":{"message":"You exceeded","type":"insufficient_quota","code":"insufficient_quota"}}"#,
                "host: 429 Too Many Requests: You exceeded; the account has no credit: see its billing page"),
            (400, r#"{"error":{"code":400,"message":"too big","type":"exceed_context_size_error","n_ctx":512}}"#,
                "host: 400 Bad Request: too big; send fewer frames (--interval, --max-frames) or smaller ones (--max-width)"),
            (404, r#"{"error":"model 'x' not found"}"#,
                "host: 404 Not Found: model 'x' not found; check --base-url and --model"),
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
                 leave --temperature out: this model does not take it so"),
            (500, "\u{1b}[31mred\u{7}\r\n\u{202e}text", "host: 500 Internal Server Error: red text; try again later"),
            (500, r#"{"error":{"code":500,"message":"image input is not supported - hint: if this is unexpected, you may need to provide the mmproj","type":"server_error"}}"#,
                "host: 500 Internal Server Error: image input is not supported - hint: if this is unexpected, you may need \
                 to provide the mmproj; name a model that takes it with --model; llama.cpp's server needs its --mmproj too"),
            (413, "{}", "host: 413 Payload Too Large; send fewer frames (--interval, --max-frames) or smaller ones (--max-width)"),
        ];
        for (status, body, expected) in table {
            assert_eq!(told(status, body), expected);
        }
    }

    #[test]
    fn a_missing_key_and_a_wrong_key_have_different_advice() {
        let none = Key { variable: "GROQ_API_KEY", is_set: false };
        let failure = RequestError::status(StatusCode::UNAUTHORIZED, b"", RetryHints::default(), &none);
        assert_eq!(failure.advice, "set GROQ_API_KEY to a key of this server");
    }

    #[test]
    fn an_error_inside_a_success_has_the_status_that_it_claims() {
        let kind = |text: &str| {
            let reply = serde_json::from_str(text).expect("JSON");
            RequestError::inside(&reply, &KEY).map(|failure| (failure.kind, failure.no_credit))
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
    }

    #[test]
    fn what_a_server_says_is_cut_at_a_character() {
        let long = "é".repeat(5000);
        assert_eq!(tidy(&long).len(), MAX_MESSAGE_BYTES + '…'.len_utf8());
        let page = format!("<p>{}", "word ".repeat(4000));
        assert!(told(500, &page).len() < 3000);
    }
}
