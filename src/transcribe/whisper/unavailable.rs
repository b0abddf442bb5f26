//! Whisper in a build without whisper.cpp.

use std::path::Path;

use futures_util::future::BoxFuture;

use super::config::WhisperConfig;
use crate::error::{Error, Result};
use crate::media::MediaInfo;
use crate::transcribe::transcriber::{ProgressCallback, Transcriber, TranscriptionOutcome};

/// Whisper, which this build does not contain: no value of this type exists.
#[derive(Clone, Debug)]
pub enum UnavailableWhisper {}

impl UnavailableWhisper {
    /// Always fails.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported): this build has no Whisper.
    pub fn new(config: WhisperConfig) -> Result<Self> {
        let advice = "build vidgist with the cargo feature `whisper`, or choose another source of the transcript";
        Err(Error::unsupported(config.name, "this build has no Whisper", advice))
    }
}

impl Transcriber for UnavailableWhisper {
    fn transcribe<'a>(
        &'a self,
        _: &'a Path,
        _: &'a MediaInfo,
        _: ProgressCallback<'a>,
    ) -> BoxFuture<'a, Result<TranscriptionOutcome>> {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;

    #[test]
    fn asking_for_whisper_is_a_clear_error() {
        let error =
            UnavailableWhisper::new(WhisperConfig::new("base", "base.bin", "vad.bin")).expect_err("not built in");
        assert_eq!(error.code, ErrorCode::Unsupported);
        assert!(error.to_string().starts_with("base: this build has no Whisper; "), "{error}");
    }
}
