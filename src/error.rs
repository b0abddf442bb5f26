//! Errors, grouped by who can fix them.
//!
//! The text is lower case: the input, what failed, then advice (`talk.mp4: no audio stream; choose another audio track`).
//! Advice is data, so that the command can name a flag and a server can name a field. A key never appears in an error:
//! only hosts, statuses and the server's own message do.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::advice::{Advice, Setting};

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Cause = Box<dyn std::error::Error + Send + Sync + 'static>;

/// Who can fix an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller: the arguments are wrong.
    Usage,
    /// The owner of the input: it is damaged.
    Malformed,
    /// Nobody here: the input is sound, but this crate does not read it.
    Unsupported,
    /// The caller: a limit was reached; raise it or ask for less.
    Limit,
    /// The owner of a server: it refused, could not be reached or sent an invalid reply.
    Service,
    /// The owner of the machine: disk, pipe or permission.
    Io,
    /// The caller stopped the work.
    Interrupted,
    /// The authors of this crate: a bug.
    Internal,
}

/// What failed, as a name that stays the same between versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorCode {
    /// An argument has an invalid value, or arguments contradict each other.
    InvalidArgument,
    /// No API key is set for a provider that needs one.
    MissingKey,
    /// A model's name or file is unknown, or its file is not on this machine.
    UnknownModel,
    /// The output exists already.
    OutputExists,
    /// The spending limit is too low.
    SpendLimit,
    /// The input is damaged.
    Malformed,
    /// The input has no bytes.
    EmptyInput,
    /// The kind of input is not supported.
    Unsupported,
    /// The input is encrypted.
    Encrypted,
    /// The input has no video stream.
    NoVideo,
    /// The input has no audio stream.
    NoAudio,
    /// The input has no transcript, and none could be made.
    NoTranscript,
    /// The input is larger than the limits allow.
    TooLarge,
    /// The request is larger than the server accepts.
    RequestTooLarge,
    /// The server cannot be reached.
    Unreachable,
    /// The server did not answer in time.
    Timeout,
    /// The server refused the key.
    Unauthorized,
    /// The account has no credit left.
    QuotaExhausted,
    /// The server limits the rate of requests.
    RateLimited,
    /// The server refused the request.
    RequestRefused,
    /// The server or the model has no tool calls.
    ToolsUnsupported,
    /// The server failed.
    ServerError,
    /// The server's reply is not valid.
    InvalidResponse,
    /// A file or folder does not exist.
    NotFound,
    /// The operating system denied access.
    PermissionDenied,
    /// The disk is full.
    DiskFull,
    /// The reader of our output has gone.
    BrokenPipe,
    /// Another failure of input or output.
    Io,
    /// The caller stopped the work.
    Interrupted,
    /// A bug in this crate.
    Internal,
}

impl ErrorCode {
    /// The name in snake case, as in JSON: `no_audio`.
    #[must_use]
    pub fn name(self) -> String {
        // A unit variant serializes to its name.
        serde_json::to_value(self).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
    }
}

/// One failure: which input, what failed, what to try.
#[derive(Debug)]
#[non_exhaustive]
pub struct Error {
    /// Who can fix it.
    pub kind: ErrorKind,
    /// What failed, as a stable name.
    pub code: ErrorCode,
    /// The file, URL or server that the failure is about; for an invalid setting its name in words.
    pub input: String,
    /// The setting that the failure is about, where it is about one.
    pub setting: Option<Setting>,
    /// What failed, in lower case.
    pub problem: String,
    /// What the reader can try.
    pub advice: Advice,
    cause: Option<Cause>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind == ErrorKind::Interrupted {
            return f.write_str(&self.problem);
        }
        write!(f, "{}: {}", self.input, self.problem)?;
        if !self.advice.is_none() {
            write!(f, "; {}", self.advice)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

macro_rules! constructors {
    ($($name:ident $kind:ident $code:ident),*) => {$(
        #[doc = concat!("An error of kind [`ErrorKind::", stringify!($kind), "`] about `input`, with code [`ErrorCode::", stringify!($code), "`].")]
        pub fn $name(input: impl fmt::Display, problem: impl Into<String>, advice: impl Into<Advice>) -> Self {
            Self::new(ErrorKind::$kind, ErrorCode::$code, input, problem, advice)
        }
    )*};
}

impl Error {
    constructors!(
        usage Usage InvalidArgument,
        malformed Malformed Malformed,
        unsupported Unsupported Unsupported,
        limit Limit TooLarge,
        service Service ServerError,
        internal Internal Internal
    );

    fn new(
        kind: ErrorKind,
        code: ErrorCode,
        input: impl fmt::Display,
        problem: impl Into<String>,
        advice: impl Into<Advice>,
    ) -> Self {
        let input = crate::input::shown_name(Path::new(&input.to_string()));
        let (problem, advice) = (problem.into(), advice.into());
        Self { kind, code, input, setting: None, problem, advice, cause: None }
    }

    /// An error of kind [`ErrorKind::Usage`] about a setting.
    pub fn setting(setting: Setting, problem: impl Into<String>, advice: impl Into<Advice>) -> Self {
        Self { setting: Some(setting), ..Self::usage(setting, problem, advice) }
    }

    /// An I/O failure about a path, with its cause in the text.
    #[must_use]
    pub fn io(path: &Path, cause: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let code = match cause.kind() {
            Io::NotFound => ErrorCode::NotFound,
            Io::PermissionDenied => ErrorCode::PermissionDenied,
            Io::StorageFull | Io::QuotaExceeded => ErrorCode::DiskFull,
            Io::BrokenPipe => ErrorCode::BrokenPipe,
            _ => ErrorCode::Io,
        };
        Self::new(ErrorKind::Io, code, path.display(), describe_io(&cause), Advice::None).because(cause)
    }

    /// The work was stopped by its caller.
    #[must_use]
    pub fn interrupted() -> Self {
        Self::new(ErrorKind::Interrupted, ErrorCode::Interrupted, "", "interrupted", Advice::None)
    }

    /// The same error with another code.
    #[must_use]
    pub fn with_code(self, code: ErrorCode) -> Self {
        Self { code, ..self }
    }

    /// The same error with the failure that caused it.
    #[must_use]
    pub fn because(self, cause: impl Into<Cause>) -> Self {
        Self { cause: Some(cause.into()), ..self }
    }

    /// Whether the caller stopped the work.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.kind == ErrorKind::Interrupted
    }

    /// Whether the error is about the contents of one file, so that other files can be read.
    pub(crate) fn is_damage(&self) -> bool {
        matches!(self.kind, ErrorKind::Malformed | ErrorKind::Io)
    }

    /// Whether the request was larger than the server or the limits allow.
    #[must_use]
    pub fn is_limit(&self) -> bool {
        self.kind == ErrorKind::Limit
    }

    /// Whether the reader of our output has gone, which ends a run without being a failure.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = cause {
            if error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe) {
                return true;
            }
            cause = error.source();
        }
        false
    }
}

/// What the operating system or a library said, without an error number.
fn describe_io(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        // A name such as OpenCV keeps its capitals.
        (Some(first), second) if !second.is_some_and(char::is_uppercase) => first.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_names_input_problem_and_advice() {
        let error = Error::malformed("talk.mp4", "no audio stream", "choose another file");
        assert_eq!(error.to_string(), "talk.mp4: no audio stream; choose another file");
        let gone = std::io::Error::from_raw_os_error(2);
        let error = Error::io(Path::new("a.mp4"), gone);
        assert_eq!((error.to_string(), error.code), ("a.mp4: no such file or directory".into(), ErrorCode::NotFound));
        let error = Error::setting(Setting::MaxCost, "is too low", Advice::Raise(Setting::MaxCost));
        assert_eq!(error.to_string(), "the cost limit: is too low; raise the cost limit");
        assert_eq!(Error::interrupted().to_string(), "interrupted");
        assert_eq!(ErrorCode::NoAudio.name(), "no_audio");
    }

    #[test]
    fn a_broken_pipe_is_found_among_the_causes() {
        let pipe = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert!(Error::io(Path::new("stdout"), pipe).is_broken_pipe());
        assert!(!Error::interrupted().is_broken_pipe());
    }
}
