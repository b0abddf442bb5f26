//! What can go wrong, sorted by who can mend it.
//!
//! The rules: the text is lower case, the input comes first, then what failed, then what to try
//! (`talk.mp4: no audio stream; pass --no-audio or --transcript FILE`). Sources are kept for `-v`. A key never
//! gets into an error: only hosts, statuses and the server's own message do.

use std::fmt;
use std::path::Path;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn std::error::Error + Send + Sync + 'static>;

/// One failure: which input, what failed, what to try.
#[derive(Debug)]
pub struct Fault {
    /// The file, URL, option or service that the failure is about.
    pub input: String,
    /// What failed, in lower case.
    pub problem: String,
    /// What the reader can try; empty where nothing sensible is known.
    pub advice: String,
    /// The failure beneath, where there is one.
    pub source: Option<Source>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.input, self.problem)?;
        if !self.advice.is_empty() {
            write!(f, "; {}", self.advice)?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// The error type, sorted by who can mend the failure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller's arguments: mend the call.
    #[error(transparent)]
    Usage(Fault),
    /// The input is broken: mend or replace the file.
    #[error(transparent)]
    Malformed(Fault),
    /// The input is sound, but not something that this crate reads.
    #[error(transparent)]
    Unsupported(Fault),
    /// A limit was reached: raise it or ask for less.
    #[error(transparent)]
    Limit(Fault),
    /// A server said no, answered nonsense or could not be reached.
    #[error(transparent)]
    Service(Fault),
    /// The disk, a pipe or another part of the machine.
    #[error(transparent)]
    Io(Fault),
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
}

macro_rules! constructors {
    ($($name:ident $variant:ident),*) => {$(
        #[doc = concat!("A [`Error::", stringify!($variant), "`] about `input`; `advice` may be empty.")]
        pub fn $name(input: impl fmt::Display, problem: impl Into<String>, advice: impl Into<String>) -> Self {
            Self::$variant(Fault { input: input.to_string(), problem: problem.into(), advice: advice.into(), source: None })
        }
    )*};
}

impl Error {
    constructors!(usage Usage, malformed Malformed, unsupported Unsupported, limit Limit, service Service);

    /// An I/O failure about a path, with its cause in the text.
    #[must_use]
    pub fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io(Fault {
            input: path.display().to_string(),
            problem: describe_io(&source),
            advice: String::new(),
            source: Some(source.into()),
        })
    }

    /// The same error with the failure beneath it kept.
    #[must_use]
    pub fn because(mut self, source: impl Into<Source>) -> Self {
        if let Some(fault) = self.fault_mut() {
            fault.source = Some(source.into());
        }
        self
    }

    /// The failure's parts; None for [`Error::Interrupted`].
    #[must_use]
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Usage(f)
            | Self::Malformed(f)
            | Self::Unsupported(f)
            | Self::Limit(f)
            | Self::Service(f)
            | Self::Io(f) => Some(f),
            Self::Interrupted => None,
        }
    }

    fn fault_mut(&mut self) -> Option<&mut Fault> {
        match self {
            Self::Usage(f)
            | Self::Malformed(f)
            | Self::Unsupported(f)
            | Self::Limit(f)
            | Self::Service(f)
            | Self::Io(f) => Some(f),
            Self::Interrupted => None,
        }
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
        let error = Error::malformed("talk.mp4", "no audio stream", "pass --no-audio");
        assert_eq!(error.to_string(), "talk.mp4: no audio stream; pass --no-audio");
        let gone = std::io::Error::from_raw_os_error(2);
        assert_eq!(Error::io(Path::new("a.mp4"), gone).to_string(), "a.mp4: no such file or directory");
    }

    #[test]
    fn a_broken_pipe_is_known_through_its_causes() {
        let pipe = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert!(Error::io(Path::new("stdout"), pipe).is_broken_pipe());
        assert!(!Error::Interrupted.is_broken_pipe());
    }
}
