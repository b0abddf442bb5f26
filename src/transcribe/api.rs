//! Words from an OpenAI-compatible `/audio/transcriptions`.
//!
//! The sound is sent as WAV files of 16 kHz, cut in pauses to stay under the server's limit, one after another, so
//! that memory holds one piece whatever the recording's length. Each piece's times are put back on the shared clock.

mod pieces;
mod reply;

use std::fmt;
use std::path::Path;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use reqwest::RequestBuilder;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::multipart::{Form, Part};

use self::pieces::{Piece, Pieces};

use crate::audio::{AudioReader, AudioWant};
use crate::error::{Error, Result};
use crate::media::MediaInfo;
use crate::service::{Failure, Kind, Server, ServerConfig};
use crate::transcribe::{Heard, Transcriber, Words};
use crate::transcript::{Transcript, TranscriptSource};

/// What speech models hear at; more would only be sent.
const RATE_HZ: u32 = 16_000;

/// Which transcription model is asked, where, and how.
#[derive(Clone, Debug)]
pub struct ApiTranscriberConfig {
    /// The server.
    pub server: ServerConfig,
    /// The model's name as the server knows it.
    pub model: String,
    /// The language spoken (ISO 639-1); None lets the model find out.
    pub language: Option<String>,
    /// Names and words that the model should expect.
    pub prompt: Option<String>,
    /// The audio stream to hear, as an index among all streams of the container; None is the main one.
    pub stream_idx: Option<usize>,
    /// Largest file that is sent, in bytes; a piece is never shorter than a second.
    pub max_piece_bytes: usize,
}

impl ApiTranscriberConfig {
    /// The main audio stream, in pieces of at most 12 minutes (23 MB: servers take 25 MB with all that is around it).
    #[must_use]
    pub fn new(server: ServerConfig, model: impl Into<String>) -> Self {
        let max_piece_bytes = pieces::HEADER_BYTES + 12 * 60 * RATE_HZ as usize * 2;
        Self { server, model: model.into(), language: None, prompt: None, stream_idx: None, max_piece_bytes }
    }
}

/// A transcription model behind an OpenAI-compatible server.
///
/// A server that has no times (it answers text alone) makes one segment of each piece.
#[derive(Clone)]
pub struct ApiTranscriber {
    server: Server,
    config: ApiTranscriberConfig,
}

impl ApiTranscriber {
    /// Checks the configuration; connects to nothing.
    ///
    /// # Errors
    /// [`Error::Usage`] where the model has no name or the key would be sent unencrypted; [`Error::Service`] where
    /// the machine has no working TLS.
    pub fn new(config: ApiTranscriberConfig) -> Result<Self> {
        if config.model.trim().is_empty() {
            return Err(Error::usage("transcription model", "is empty", "name a model of the server"));
        }
        Ok(Self { server: Server::new(config.server.clone())?, config })
    }

    async fn hear(&self, path: &Path, media: &MediaInfo, heard: Heard<'_>) -> Result<Words> {
        let stream = match self.config.stream_idx {
            Some(idx) => Some(media.audio.iter().find(|stream| stream.stream_idx == idx).ok_or_else(|| {
                Error::usage(path.display(), format!("stream {idx} is not an audio stream"), "vidgist probe lists them")
            })?),
            None => media.main_audio(),
        };
        let Some(stream) = stream.cloned() else {
            return Ok(Words::None { reason: "there is no sound".to_owned() });
        };
        let (owned_path, owned_media) = (path.to_owned(), media.clone());
        let want = AudioWant { rate_hz: Some(RATE_HZ), channels: Some(1) };
        let blocks = blocking(move || AudioReader::open(&owned_path, &owned_media, &stream, &want)).await?;
        let mut pieces = Pieces::new(blocks, path.display().to_string(), self.config.max_piece_bytes);

        let source = TranscriptSource::Api { model: self.config.model.clone() };
        let mut transcript = Transcript { source, language: self.config.language.clone(), segments: Vec::new() };
        let mut has_times = true;
        loop {
            let (rest, piece) = blocking(move || {
                let piece = pieces.next();
                (pieces, piece)
            })
            .await;
            pieces = rest;
            let Some(piece) = piece.transpose()? else { break };
            heard(piece.range.start);
            // Models make words up where there are none; and it is not free.
            if piece.is_silent {
                continue;
            }
            let found = self.hear_piece(&piece, &mut has_times).await?;
            transcript.segments.extend(found.segments);
            transcript.language = transcript.language.or(found.language);
        }
        transcript.segments.sort_by_key(|segment| segment.range.start);
        Ok(Words::Found(transcript))
    }

    /// Sends one piece; `has_times` becomes false where the model turns out to have none.
    async fn hear_piece(&self, piece: &Piece, has_times: &mut bool) -> Result<reply::HeardPiece> {
        loop {
            let fill = |request: RequestBuilder| request.multipart(self.form(piece, *has_times));
            let read = |reply: serde_json::Value| reply::read(&reply, piece.range);
            match self.server.post(&["audio", "transcriptions"], 0, fill, read).await {
                Ok((heard, _)) => return Ok(heard),
                Err(failure) if *has_times && refuses_times(&failure) => {
                    tracing::warn!("{}: {} has no times: asking for text alone", self.server.name(), self.config.model);
                    *has_times = false;
                }
                Err(mut failure) => {
                    let (start, end) = (piece.range.start, piece.range.end);
                    failure.problem = format!("sound from {start} to {end}: {}", failure.problem);
                    return Err(failure.into_error(self.server.name()));
                }
            }
        }
    }

    fn form(&self, piece: &Piece, has_times: bool) -> Form {
        // The brackets of `timestamp_granularities[]` must stay as they are.
        let mut form = Form::new().percent_encode_noop().text("model", self.config.model.clone());
        if let Some(language) = &self.config.language {
            form = form.text("language", language.clone());
        }
        if let Some(prompt) = &self.config.prompt {
            form = form.text("prompt", prompt.clone());
        }
        form = if has_times {
            form.text("response_format", "verbose_json").text("timestamp_granularities[]", "segment")
        } else {
            form.text("response_format", "json")
        };
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("audio/wav"))]);
        // Servers go by the name's extension.
        form.part("file", Part::stream(piece.wav.clone()).file_name("audio.wav").headers(headers))
    }
}

impl Transcriber for ApiTranscriber {
    fn is_remote(&self) -> bool {
        true
    }

    /// # Errors
    /// [`Error::Service`] naming the time range that could not be heard; the errors of [`AudioReader`];
    /// [`Error::Usage`] where the stream asked for is no audio stream.
    fn transcribe<'a>(
        &'a self,
        path: &'a Path,
        media: &'a MediaInfo,
        heard: Heard<'a>,
    ) -> BoxFuture<'a, Result<Words>> {
        self.hear(path, media, heard).boxed()
    }
}

impl fmt::Debug for ApiTranscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiTranscriber").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Whether the server refuses `verbose_json` or its granularity, as models without times do.
fn refuses_times(failure: &Failure) -> bool {
    const NAMES: [&str; 3] = ["response_format", "timestamp_granularities", "verbose_json"];
    let names_it = |text: &str| NAMES.iter().any(|name| text.contains(name));
    matches!(failure.kind, Kind::Status(400 | 422))
        && (names_it(&failure.problem) || failure.param.as_deref().is_some_and(names_it))
}

/// Runs `work`, which decodes, away from the threads that serve the network.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
