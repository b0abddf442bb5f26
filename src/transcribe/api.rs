//! Words from an OpenAI-compatible `/audio/transcriptions`.
//!
//! The sound is sent as FLAC files of 16 kHz, cut in pauses to stay under the server's limit, one after another, so
//! that memory holds one piece whatever the recording's length. Each piece's times are put back on the shared clock.
//!
//! Pieces are short until the server has shown that it has times, for a piece without is one segment.

mod pieces;
mod reply;

use std::fmt;
use std::path::Path;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use reqwest::RequestBuilder;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::multipart::{Form, Part};

use self::pieces::{Piece, Pieces};

use crate::error::{Error, Result};
use crate::http::{ApiClient, RequestError, RequestErrorKind, ServerConfig};
use crate::media::MediaInfo;
use crate::pcm::{AudioReader, PcmFormat};
use crate::transcribe::{Heard, Transcriber, Words, stream_to_hear};
use crate::transcript::{Transcript, TranscriptSource};

/// What speech models hear at; more would only be sent.
const RATE_HZ: u32 = 16_000;
/// Longest piece for a server of which it is not known that it has times: so far its words may be off.
const BLIND_PIECE: Duration = Duration::from_secs(30);

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
    /// Whether each word's time is asked for. Models that have none are asked for segments, with a warning.
    pub words: bool,
    /// Largest file that is sent, in bytes; a piece is never shorter than a second.
    pub max_piece_bytes: usize,
    /// Longest piece where the server has times; 30 s, or this if it is less, where it has none.
    pub max_piece: Duration,
}

impl ApiTranscriberConfig {
    /// The main audio stream, in pieces of at most 20 minutes (OpenAI's later models take 23) and 24 MB (servers take
    /// 25 with all that is around it).
    #[must_use]
    pub fn new(server: ServerConfig, model: impl Into<String>) -> Self {
        Self {
            server,
            model: model.into(),
            language: None,
            prompt: None,
            stream_idx: None,
            words: false,
            max_piece_bytes: 24_000_000,
            max_piece: Duration::from_mins(20),
        }
    }

    fn piece_len(&self, has_times: bool) -> Duration {
        if has_times { self.max_piece } else { self.max_piece.min(BLIND_PIECE) }
    }
}

/// A transcription model behind an OpenAI-compatible server.
///
/// A server that has no times (it answers text alone) makes one segment of each piece. A model whose name says that it
/// diarizes is asked who speaks; it names speakers anew in each piece, so that those of later pieces get its number.
#[derive(Clone)]
pub struct ApiTranscriber {
    server: ApiClient,
    config: ApiTranscriberConfig,
}

impl ApiTranscriber {
    /// Checks the configuration; connects to nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where the model has no name or the key would be sent unencrypted; [`ErrorKind::Service`](crate::ErrorKind::Service) where
    /// the machine has no working TLS.
    pub fn new(config: ApiTranscriberConfig) -> Result<Self> {
        if config.model.trim().is_empty() {
            return Err(Error::usage("transcription model", "is empty", "name a model of the server"));
        }
        Ok(Self { server: ApiClient::new(config.server.clone())?, config })
    }

    async fn hear(&self, path: &Path, media: &MediaInfo, heard: Heard<'_>) -> Result<Words> {
        let Some(stream) = stream_to_hear(media, path, self.config.stream_idx)?.cloned() else {
            return Ok(Words::None { reason: "there is no sound".to_owned() });
        };
        let (owned_path, owned_media) = (path.to_owned(), media.clone());
        let want = PcmFormat { rate_hz: Some(RATE_HZ), channels: Some(1) };
        let blocks = blocking(move || AudioReader::open(&owned_path, &owned_media, &stream, &want)).await?;
        let (mut ask, mut n_heard) = (Ask::first(&self.config), 0_u32);
        if self.config.words && ask == Ask::Speakers {
            tracing::warn!("{}: {} has no times of words beside speakers", self.server.name(), self.config.model);
        }
        let max_len = self.config.piece_len(ask == Ask::Speakers);
        let mut pieces = Pieces::new(blocks, path.display().to_string(), self.config.max_piece_bytes, max_len);

        let source = TranscriptSource::Api { model: self.config.model.clone() };
        let mut transcript = Transcript { source, language: self.config.language.clone(), segments: Vec::new() };
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
            let mut found = self.hear_piece(&piece, &mut ask).await?;
            n_heard += 1;
            if let Some(has_times) = found.has_times {
                pieces.max_len = self.config.piece_len(has_times);
            }
            if n_heard > 1 {
                for speaker in found.segments.iter_mut().filter_map(|segment| segment.speaker.as_mut()) {
                    *speaker = format!("{speaker} (part {n_heard})");
                }
            }
            transcript.segments.extend(found.segments);
            transcript.language = transcript.language.or(found.language);
        }
        transcript.segments.sort_by_key(|segment| segment.range.start);
        Ok(Words::Found(transcript))
    }

    /// Sends one piece; `ask` becomes less where the model turns out not to have what it asks for.
    async fn hear_piece(&self, piece: &Piece, ask: &mut Ask) -> Result<reply::HeardPiece> {
        loop {
            let fill = |request: RequestBuilder| request.multipart(self.form(piece, *ask));
            let read = |reply: serde_json::Value| reply::read(&reply, piece.range);
            match self.server.post(&["audio", "transcriptions"], 0, fill, read).await {
                Ok((heard, _)) => return Ok(heard),
                Err(mut failure) => {
                    if let Some(less) = ask.after(&failure) {
                        let (server, model) = (self.server.name(), &self.config.model);
                        tracing::warn!("{server}: {model} has no {}: asking for {}", ask.gives(), less.gives());
                        *ask = less;
                        continue;
                    }
                    let (start, end) = (piece.range.start, piece.range.end);
                    failure.problem = format!("sound from {start} to {end}: {}", failure.problem);
                    return Err(failure.into_error(self.server.name()));
                }
            }
        }
    }

    fn form(&self, piece: &Piece, ask: Ask) -> Form {
        // The brackets of `timestamp_granularities[]` must stay as they are.
        let mut form = Form::new().percent_encode_noop().text("model", self.config.model.clone());
        if let Some(language) = &self.config.language {
            form = form.text("language", language.clone());
        }
        // Models that diarize refuse a prompt.
        if let Some(prompt) = self.config.prompt.as_ref().filter(|_| ask != Ask::Speakers) {
            form = form.text("prompt", prompt.clone());
        }
        for (name, value) in ask.fields() {
            form = form.text(*name, *value);
        }
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("audio/flac"))]);
        // Servers go by the name's extension.
        form.part("file", Part::stream(piece.flac.clone()).file_name("audio.flac").headers(headers))
    }
}

impl Transcriber for ApiTranscriber {
    fn is_remote(&self) -> bool {
        true
    }

    /// # Errors
    /// [`ErrorKind::Service`](crate::ErrorKind::Service) naming the time range that could not be heard; the errors of [`AudioReader`];
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where the stream asked for is no audio stream.
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

/// What the reply is to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    Words,
    Segments,
    Speakers,
    Text,
}

impl Ask {
    fn first(config: &ApiTranscriberConfig) -> Self {
        if config.model.contains("diarize") {
            Self::Speakers
        } else if config.words {
            Self::Words
        } else {
            Self::Segments
        }
    }

    fn fields(self) -> &'static [(&'static str, &'static str)] {
        const WORD: (&str, &str) = ("timestamp_granularities[]", "word");
        const SEGMENT: (&str, &str) = ("timestamp_granularities[]", "segment");
        match self {
            Self::Words => &[("response_format", "verbose_json"), WORD, SEGMENT],
            Self::Segments => &[("response_format", "verbose_json"), SEGMENT],
            // Sound of more than 30 s is refused without.
            Self::Speakers => &[("response_format", "diarized_json"), ("chunking_strategy", "auto")],
            Self::Text => &[("response_format", "json")],
        }
    }

    /// What to ask for after a refusal; None where the failure is about something else, or nothing is left to drop.
    fn after(self, failure: &RequestError) -> Option<Self> {
        let is_named = |name: &str| {
            failure.problem.contains(name) || failure.param.as_deref().is_some_and(|param| param.contains(name))
        };
        let is_form = is_named("response_format") || is_named("verbose_json");
        let is_granularity = is_named("timestamp_granularities");
        match self {
            _ if !matches!(failure.kind, RequestErrorKind::Status(400 | 422)) => None,
            Self::Words if is_granularity && !is_form => Some(Self::Segments),
            Self::Words | Self::Segments if is_granularity || is_form => Some(Self::Text),
            _ => None,
        }
    }

    fn gives(self) -> &'static str {
        match self {
            Self::Words => "times of words",
            Self::Segments => "times",
            Self::Speakers => "speakers",
            Self::Text => "text alone",
        }
    }
}

/// Runs `work`, which decodes, away from the threads that serve the network.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
