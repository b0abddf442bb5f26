//! The settings of a transcription endpoint.

use std::time::Duration;

use crate::http::ServerConfig;

/// The longest piece for a server that may not return times: the error of a time is at most this long.
const UNTIMED_PIECE: Duration = Duration::from_secs(30);

/// The endpoint, its model, and the request.
#[derive(Clone, Debug)]
pub struct ApiTranscriberConfig {
    /// The server.
    pub server: ServerConfig,
    /// The server's name of the model.
    pub model: String,
    /// The spoken language (ISO 639-1); None detects it.
    pub language: Option<String>,
    /// Names and terms that the recording is likely to contain.
    pub prompt: Option<String>,
    /// Whether to request word times. If the model has none, the transcriber logs a warning and requests segments.
    pub word_times: bool,
    /// The largest file to send, in bytes; a piece is never shorter than a second.
    pub max_piece_bytes: usize,
    /// The longest piece if the server returns times; otherwise 30 s, or this if it is shorter.
    pub max_piece: Duration,
}

impl ApiTranscriberConfig {
    /// Pieces of at most 20 minutes (OpenAI's newer models accept 23) and 24 MB (servers accept
    /// 25 for the whole request).
    #[must_use]
    pub fn new(server: ServerConfig, model: impl Into<String>) -> Self {
        Self {
            server,
            model: model.into(),
            language: None,
            prompt: None,
            word_times: false,
            max_piece_bytes: 24_000_000,
            max_piece: Duration::from_mins(20),
        }
    }

    /// The longest piece, given whether the server returns times.
    pub(super) fn piece_len(&self, has_times: bool) -> Duration {
        if has_times { self.max_piece } else { self.max_piece.min(UNTIMED_PIECE) }
    }
}
