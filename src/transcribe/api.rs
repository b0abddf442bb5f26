//! Transcripts from an OpenAI-compatible `/audio/transcriptions` endpoint.
//!
//! The audio is sent as FLAC files of 16 kHz, cut in pauses to stay under the server's limit, one after another, so that
//! memory holds one piece whatever the length of the recording. The times of each piece are moved to the shared clock.
//!
//! Pieces are short until the server has returned times, because a piece without times becomes one segment.

mod config;
mod pieces;
mod reply;
mod reply_detail;

use std::fmt;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use reqwest::RequestBuilder;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::multipart::{Form, Part};

use self::pieces::{AudioPiece, AudioPieces};
use self::reply_detail::ReplyDetail;
use crate::advice::Setting;
use crate::blocking::run_blocking;
use crate::error::{Error, Result};
use crate::http::ApiClient;
use crate::pcm::{AudioReader, PcmFormat};
use crate::transcribe::transcriber::{
    ProgressCallback, StoredSettings, Transcriber, TranscriptionInput, TranscriptionOutcome, select_audio_stream,
};
use crate::transcript::{Transcript, TranscriptSource};

pub use config::ApiTranscriberConfig;

/// The sample rate of speech models; a higher one only costs bandwidth.
const RATE_HZ: u32 = 16_000;
/// Version of the transcripts: increase it when the same replies give other transcripts.
const VERSION: u32 = 1;

/// A transcription model behind an OpenAI-compatible server.
///
/// If a server returns only text, each piece becomes one segment. A model with `diarize` in its name is asked for
/// speakers; it names them independently in each piece, so the names of later pieces get the number of the piece.
#[derive(Clone)]
pub struct ApiTranscriber {
    server: ApiClient,
    config: ApiTranscriberConfig,
}

impl ApiTranscriber {
    /// Checks the configuration; opens no connection.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) if the model has no name or the key would be sent unencrypted;
    /// [`ErrorKind::Service`](crate::ErrorKind::Service) if the machine has no working TLS.
    pub fn new(config: ApiTranscriberConfig) -> Result<Self> {
        if config.model.trim().is_empty() {
            return Err(Error::setting(Setting::SttModel, "is empty", "choose a model of the server"));
        }
        Ok(Self { server: ApiClient::new(config.server.clone())?, config })
    }

    async fn run(
        &self,
        input: TranscriptionInput<'_>,
        on_progress: ProgressCallback<'_>,
    ) -> Result<TranscriptionOutcome> {
        let TranscriptionInput { path, media, bounds, .. } = input;
        let Some(stream) = select_audio_stream(input)?.cloned() else {
            return Ok(TranscriptionOutcome::None { reason: "there is no audio stream".to_owned() });
        };
        let (owned_path, owned_media) = (path.to_owned(), media.clone());
        let want = PcmFormat { rate_hz: Some(RATE_HZ), channels: Some(1) };
        let blocks =
            run_blocking(move || Ok(AudioReader::open(&owned_path, &owned_media, &stream, &want)?.within(bounds)))
                .await?;
        let (mut detail, mut n_transcribed) = (ReplyDetail::first(&self.config), 0_u32);
        if self.config.word_times && detail == ReplyDetail::Speakers {
            tracing::warn!("{}: {} returns speakers without word times", self.server.name(), self.config.model);
        }
        let max_len = self.config.piece_len(detail == ReplyDetail::Speakers);
        let mut pieces = AudioPieces::new(blocks, crate::input::shown_name(path), self.config.max_piece_bytes, max_len);

        let source = TranscriptSource::Api { model: self.config.model.clone() };
        let mut transcript = Transcript::new(source, self.config.language.clone(), Vec::new());
        loop {
            let (rest, piece) = run_blocking(move || {
                let piece = pieces.next().transpose()?;
                Ok((pieces, piece))
            })
            .await?;
            pieces = rest;
            let Some(piece) = piece else { break };
            on_progress(piece.range.start);
            // Models invent text in silence, and each request costs money.
            if piece.is_silent {
                continue;
            }
            let mut found = self.transcribe_piece(&piece, &mut detail).await?;
            n_transcribed += 1;
            if let Some(has_times) = found.has_times {
                pieces.max_len = self.config.piece_len(has_times);
            }
            if n_transcribed > 1 {
                for speaker in found.segments.iter_mut().filter_map(|segment| segment.speaker.as_mut()) {
                    *speaker = format!("{speaker} (part {n_transcribed})");
                }
            }
            transcript.segments.extend(found.segments);
            transcript.language = transcript.language.or(found.language);
        }
        transcript.segments.sort_by_key(|segment| segment.range.start);
        transcript.single_channel_seconds = pieces.blocks.single_channel_seconds();
        transcript.levels = pieces.meter.finish().map(Box::new);
        Ok(TranscriptionOutcome::Found(transcript))
    }

    /// Sends one piece; reduces `detail` if the model does not support it.
    async fn transcribe_piece(&self, piece: &AudioPiece, detail: &mut ReplyDetail) -> Result<reply::PieceTranscript> {
        loop {
            let fill = |request: RequestBuilder| request.multipart(self.form(piece, *detail));
            let read = |reply: serde_json::Value| reply::read(&reply, piece.range);
            match self.server.post(&["audio", "transcriptions"], 0, fill, read).await {
                Ok((transcript, _)) => return Ok(transcript),
                Err(mut failure) => {
                    if let Some(less) = detail.after(&failure) {
                        let (server, model) = (self.server.name(), &self.config.model);
                        let (from, to) = (detail.name(), less.name());
                        tracing::warn!("{server}: {model} does not support {from}; requesting {to}");
                        *detail = less;
                        continue;
                    }
                    let (start, end) = (piece.range.start, piece.range.end);
                    failure.problem = format!("audio from {start} to {end}: {}", failure.problem);
                    return Err(failure.into_error(self.server.name()));
                }
            }
        }
    }

    fn form(&self, piece: &AudioPiece, detail: ReplyDetail) -> Form {
        // Servers expect the brackets of `timestamp_granularities[]` unencoded.
        let mut form = Form::new().percent_encode_noop().text("model", self.config.model.clone());
        if let Some(language) = &self.config.language {
            form = form.text("language", language.clone());
        }
        // Models that diarize reject a prompt.
        if let Some(prompt) = self.config.prompt.as_ref().filter(|_| detail != ReplyDetail::Speakers) {
            form = form.text("prompt", prompt.clone());
        }
        for (name, value) in detail.fields() {
            form = form.text(*name, *value);
        }
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("audio/flac"))]);
        // Servers detect the format by the file name.
        form.part("file", Part::stream(piece.flac.clone()).file_name("audio.flac").headers(headers))
    }
}

impl Transcriber for ApiTranscriber {
    fn stored_settings(&self) -> Option<StoredSettings> {
        let ApiTranscriberConfig { server, model, language, prompt, word_times, max_piece_bytes, max_piece } =
            &self.config;
        let options = [
            ("transcriber", "api".into()),
            // Servers give models the same names.
            ("server", crate::sanitize::shown_input(server.base_url.as_str()).into()),
            ("server_id", server.server_id().into()),
            ("language", language.clone().into()),
            ("prompt", prompt.clone().into()),
            ("word_times", (*word_times).into()),
            ("max_piece_bytes", (*max_piece_bytes).into()),
            ("max_piece_seconds", max_piece.as_secs_f64().into()),
        ];
        let options = options.map(|(name, value)| (name.to_owned(), value)).into();
        Some(StoredSettings { version: VERSION, model: model.clone(), options, files: Vec::new() })
    }

    fn is_remote(&self) -> bool {
        true
    }

    /// # Errors
    /// [`ErrorKind::Service`](crate::ErrorKind::Service) with the time range that could not be transcribed;
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) if the requested stream is not an audio stream; the errors of
    /// [`AudioReader`].
    fn transcribe<'a>(
        &'a self,
        input: TranscriptionInput<'a>,
        on_progress: ProgressCallback<'a>,
    ) -> BoxFuture<'a, Result<TranscriptionOutcome>> {
        self.run(input, on_progress).boxed()
    }
}

impl fmt::Debug for ApiTranscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiTranscriber").field("config", &self.config).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::ServerConfig;

    #[test]
    fn stored_settings_tell_servers_apart_and_hold_no_secret() {
        let settings = |address: &str, key: &str, tenant: &str| {
            let base_url = crate::http::parse_base_url(address).unwrap();
            let headers = [("x-tenant".to_owned(), tenant.to_owned())].into();
            let server = ServerConfig { api_key: Some(key.into()), headers, ..ServerConfig::new(base_url) };
            let transcriber = ApiTranscriber::new(ApiTranscriberConfig::new(server, "whisper-1")).unwrap();
            transcriber.stored_settings().unwrap()
        };
        let first = settings("https://api.example/v1?region=secret-region", "sk-secret-key", "secret-tenant");
        assert_eq!(settings("https://api.example/v1?region=secret-region", "sk-other", "secret-tenant"), first);
        for other in [
            settings("https://api.example/v1?region=2", "sk-secret-key", "secret-tenant"),
            settings("https://api.example/v1", "sk-secret-key", "secret-tenant"),
            settings("https://api.example/v1?region=secret-region", "sk-secret-key", "another"),
        ] {
            assert_ne!(other, first);
        }
        let text = format!("{first:?}");
        assert!(!text.contains("secret") && text.contains("https://api.example/v1?..."), "{text}");
    }
}
