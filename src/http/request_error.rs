//! One failed request: what the caller reads, and what the retry policy needs.

use std::error::Error as StdError;
use std::time::Duration;

use super::retry_hints::{MAX_RETRY_AFTER, RetryHints};
use crate::advice::{Advice, Setting};
use crate::error::{Error, ErrorCode};
use crate::sanitize::excerpt;

/// At most this much of a server's message is shown, in characters.
pub(super) const MAX_MESSAGE_CHARS: usize = 2048;

/// How one attempt failed: the retry policy depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestErrorKind {
    /// No connection: refused, unknown host, TLS.
    Connect,
    /// The attempt exceeded its timeout, or the response paused for too long.
    Timeout,
    /// The connection ended before the response was complete.
    Broken,
    /// A successful status with a truncated or invalid body.
    InvalidBody,
    /// An HTTP status, or the same number inside a response of status 200.
    Status(u16),
    /// A failure that a retry cannot fix.
    Final,
}

impl RequestErrorKind {
    /// The code of a failure about which nothing more exact is known.
    fn code(self) -> ErrorCode {
        match self {
            Self::Connect => ErrorCode::Unreachable,
            Self::Timeout | Self::Status(408) => ErrorCode::Timeout,
            Self::InvalidBody | Self::Final => ErrorCode::InvalidResponse,
            Self::Status(401 | 403) => ErrorCode::Unauthorized,
            Self::Status(402) => ErrorCode::QuotaExhausted,
            Self::Status(413) => ErrorCode::RequestTooLarge,
            Self::Status(429) => ErrorCode::RateLimited,
            Self::Broken | Self::Status(500..) => ErrorCode::ServerError,
            Self::Status(_) => ErrorCode::RequestRefused,
        }
    }
}

/// What an error response says about its cause.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RefusalDetails {
    /// The field of the request that the server names.
    pub param: Option<String>,
    /// Whether the model has no system role.
    pub has_no_system_role: bool,
    /// The maximum number of tokens of a request, where the server names it.
    pub max_tokens: Option<u64>,
    /// The tokens that the server counted in the request.
    pub n_tokens: Option<u64>,
    /// The maximum number of images of a request, where the server names it.
    pub max_images: Option<usize>,
}

/// One failed attempt.
#[derive(Debug)]
pub(crate) struct RequestError {
    /// How it failed.
    pub kind: RequestErrorKind,
    /// What failed, as the caller gets it. [`ErrorCode::RequestTooLarge`] and [`ErrorCode::TooLarge`] become an error of
    /// kind [`ErrorKind::Limit`](crate::ErrorKind::Limit), all others one of kind [`ErrorKind::Service`](crate::ErrorKind::Service).
    pub code: ErrorCode,
    /// What the server says about the cause.
    pub details: Option<Box<RefusalDetails>>,
    /// What the response headers say about retrying.
    pub hints: RetryHints,
    /// What failed, without the server's name.
    pub problem: String,
    /// What to try.
    pub advice: Advice,
    /// The underlying error.
    pub source: Option<Box<dyn StdError + Send + Sync>>,
}

impl RequestError {
    /// A failure with the code that its kind implies.
    pub fn new(kind: RequestErrorKind, problem: impl Into<String>, advice: impl Into<Advice>) -> Self {
        Self {
            kind,
            code: kind.code(),
            details: None,
            hints: RetryHints::default(),
            problem: problem.into(),
            advice: advice.into(),
            source: None,
        }
    }

    /// The same failure with another code.
    pub fn with_code(self, code: ErrorCode) -> Self {
        Self { code, ..self }
    }

    /// The field of the request that the server names as the cause.
    pub fn param(&self) -> Option<&str> {
        self.details.as_ref()?.param.as_deref()
    }

    /// A failure below HTTP.
    pub fn transport(error: reqwest::Error, is_loopback: bool) -> Self {
        // The URL may hold a key as a query.
        let error = error.without_url();
        let cause = deepest_text(&error);
        let failure = if error.is_builder() {
            let failure = Self::new(RequestErrorKind::Final, format!("cannot build the request: {cause}"), "");
            failure.with_code(ErrorCode::Internal)
        } else if error.is_connect() {
            let first =
                if is_loopback { "check that the server is running" } else { "check the network and its proxy" };
            let advice = Advice::from(first).or(Advice::Check(Setting::BaseUrl));
            Self::new(RequestErrorKind::Connect, format!("cannot connect: {cause}"), advice)
        } else if error.is_timeout() {
            Self::new(RequestErrorKind::Timeout, "timed out", timeout_advice())
        } else {
            Self::new(RequestErrorKind::Broken, format!("the connection broke: {cause}"), "try again later")
        };
        Self { source: Some(error.into()), ..failure }
    }

    /// An attempt that exceeded a timeout; `what` is the problem without the duration (`no answer`).
    pub fn timeout(limit: Duration, what: &str) -> Self {
        let seconds = limit.as_secs_f64();
        Self::new(RequestErrorKind::Timeout, format!("{what} after {seconds} s"), timeout_advice())
    }

    /// The failure after `n_attempts` attempts.
    pub fn after(mut self, n_attempts: u32) -> Self {
        if n_attempts > 1 {
            self.problem = format!("{} (tried {n_attempts} times)", self.problem);
        }
        self
    }

    /// Whether every further request to this server must fail in the same way: an invalid key, no credit.
    pub fn ends_run(&self) -> bool {
        self.code == ErrorCode::QuotaExhausted || matches!(self.kind, RequestErrorKind::Status(401 | 402))
    }

    /// A copy without the underlying error.
    pub fn copy(&self) -> Self {
        let copy = Self::new(self.kind, self.problem.clone(), self.advice.clone());
        Self { code: self.code, details: self.details.clone(), ..copy }
    }

    /// The failure where the total timeout leaves no time for another attempt.
    pub fn with_no_time_left(mut self, total: Duration) -> Self {
        let seconds = total.as_secs_f64();
        self.problem = format!("{}; the total timeout of {seconds} s leaves no time for a retry", self.problem);
        self.advice = Advice::from("try again later").or(Advice::Raise(Setting::TotalTimeout));
        self
    }

    /// The failure where the server requests a wait that is too long.
    pub fn with_long_wait(mut self, wait: Duration) -> Self {
        let (requested, most) = (wait.as_secs(), MAX_RETRY_AFTER.as_secs());
        self.problem =
            format!("{}; the server requests a wait of {requested} s, above the maximum of {most} s", self.problem);
        self.advice = "try again later".into();
        self
    }

    /// The error for the caller; `server` is host and port.
    pub fn into_error(self, server: &str) -> Error {
        let is_limit = matches!(self.code, ErrorCode::RequestTooLarge | ErrorCode::TooLarge);
        let constructor = if is_limit { Error::limit } else { Error::service };
        let error = constructor(server, self.problem, self.advice).with_code(self.code);
        match self.source {
            Some(source) => error.because(source),
            None => error,
        }
    }
}

fn timeout_advice() -> Advice {
    Advice::Raise(Setting::Timeout).or(Advice::send_less())
}

/// The part of a server's text that is shown: one line, without control and direction characters, so that a server cannot
/// paint on a terminal.
pub(crate) fn tidy(text: &str) -> String {
    excerpt(text, MAX_MESSAGE_CHARS)
}

/// The text of the innermost cause, without the operating system's number.
pub(super) fn deepest_text(error: &dyn StdError) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let text = tidy(&cause.to_string());
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
