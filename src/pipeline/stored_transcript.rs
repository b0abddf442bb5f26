//! Transcripts in the store: on most machines, speech recognition is the most expensive stage.

use std::path::PathBuf;
use std::sync::Arc;

use super::input_identity::InputIdentity;
use crate::blocking::run_blocking;
use crate::error::Result;
use crate::store::{EntryKey, StoreAccess};
use crate::time::Timestamp;
use crate::transcribe::{StoredSettings, Transcriber, TranscriptionInput};
use crate::transcript::Transcript;

/// Where the transcript of one transcriber is kept.
#[derive(Clone)]
pub(super) struct TranscriptPlace {
    store: StoreAccess,
    identity: InputIdentity,
    key: EntryKey,
}

impl TranscriptPlace {
    /// None where the transcript is not kept: without a store, for subtitles, for a transcriber that does not apply. What
    /// fails is a warning in the log.
    pub async fn of(
        transcriber: &Arc<dyn Transcriber>,
        input: TranscriptionInput<'_>,
        store: &StoreAccess,
    ) -> Option<Self> {
        if input.media.audio.is_empty() {
            return None;
        }
        let StoredSettings { version, model, mut options, files: model_files } = transcriber.stored_settings()?;
        // A job that names the only track shares the transcript of one that names none. Of several tracks, a transcriber may
        // take another than the first, so that the choice is part of the key.
        let only = match input.media.audio.as_slice() {
            [only] => Some(only.stream_idx),
            _ => None,
        };
        let stream_idx = input.stream_idx.or(only);
        options.insert("stream_idx".to_owned(), stream_idx.into());
        let range = [input.bounds.start, input.bounds.end].map(|time| time.map(Timestamp::secs_f64));
        options.insert("range".to_owned(), serde_json::json!(range));
        let (media, path, store) = (input.media.clone(), input.path.to_owned(), store.clone());
        let place = run_blocking(move || {
            let Some(opened) = store.open() else { return Ok(None) };
            let identity = InputIdentity::of(opened, &path, &media)?;
            let content_of = |path: PathBuf| opened.content(&path).map(|content| content.id.to_string());
            let model_files: Vec<String> = model_files.into_iter().map(content_of).collect::<Result<_>>()?;
            options.insert("files".to_owned(), model_files.into());
            let key = EntryKey {
                stage: "transcript".to_owned(),
                stage_version: version,
                content: identity.content.clone(),
                options,
                producer: Some(model),
                prompt_version: None,
            };
            Ok(Some(Self { store: store.clone(), identity, key }))
        });
        place.await.unwrap_or_else(|error| {
            tracing::warn!("{error}; the transcript is not kept");
            None
        })
    }

    /// The transcript of an earlier run; None if there is none, or the job does its work anew.
    pub async fn read(&self) -> Option<Transcript> {
        let this = self.clone();
        let read = run_blocking(move || {
            let Some(store) = this.store.open().filter(|_| !this.store.is_fresh()) else { return Ok(None) };
            let Some(bytes) = store.get(&this.key) else { return Ok(None) };
            match serde_json::from_slice::<Transcript>(&bytes) {
                Ok(transcript) => {
                    tracing::info!("{}: the transcript comes from the store", this.identity.origin.seen);
                    Ok(Some(Transcript { from_store: true, ..transcript }))
                }
                Err(error) => {
                    store.set_aside(&this.key, &bytes, &error.to_string());
                    Ok(None)
                }
            }
        });
        read.await.ok().flatten()
    }

    /// Keeps a transcript, unless the file was changed while it was made. What fails is a warning in the log.
    pub async fn keep(self, transcript: &Transcript) {
        let payload = serde_json::to_vec(transcript);
        let kept = run_blocking(move || {
            let (Some(store), Ok(payload)) = (self.store.open(), payload) else { return Ok(()) };
            match self.identity.changed() {
                None => return store.put(&self.key, &self.identity.origin, &payload),
                Some(path) => tracing::warn!("{}: changed meanwhile; the transcript is not kept", path.display()),
            }
            Ok(())
        });
        if let Err(error) = kept.await {
            tracing::warn!("{error}; the transcript is not kept");
        }
    }
}
