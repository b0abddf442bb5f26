//! Transcripts in the store: on most machines, speech recognition is the most expensive stage.

use std::path::PathBuf;
use std::sync::Arc;

use super::store_access::StoreAccess;
use crate::blocking::run_blocking;
use crate::error::Result;
use crate::input::text_of;
use crate::store::{ContentId, EntryKey, FileContent, Origin};
use crate::time::Timestamp;
use crate::transcribe::{StoredSettings, Transcriber, TranscriptionInput};
use crate::transcript::Transcript;

/// Where the transcript of one transcriber is kept.
#[derive(Clone)]
pub(super) struct TranscriptPlace {
    store: StoreAccess,
    /// The files of the recording, as they were when they were identified.
    files: Vec<(PathBuf, FileContent)>,
    key: EntryKey,
    origin: Origin,
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
        options.insert("stream_idx".to_owned(), input.stream_idx.into());
        let range = [input.bounds.start, input.bounds.end].map(|time| time.map(Timestamp::secs_f64));
        options.insert("range".to_owned(), serde_json::json!(range));
        let (media, path, store) = (input.media, input.path.to_owned(), store.clone());
        let parts: Vec<PathBuf> = media.parts.iter().map(|part| part.path.clone()).collect();
        let mut origin = Origin { seen: media.input.clone(), title: media.title.clone(), n_bytes: media.size_bytes };
        let place = run_blocking(move || {
            let Some(opened) = store.open() else { return Ok(None) };
            // Not that of standard input or of a download.
            if origin.seen == path.display().to_string() {
                origin.seen = std::path::absolute(&path).map_or(origin.seen, |path| text_of(&path));
            }
            let content_of = |path: PathBuf| opened.content(&path).map(|content| (path, content));
            let model_files: Vec<_> = model_files.into_iter().map(content_of).collect::<Result<_>>()?;
            let model_files: Vec<String> = model_files.iter().map(|(_, content)| content.id.to_string()).collect();
            options.insert("files".to_owned(), model_files.into());
            let (content, files) = if parts.is_empty() {
                let file = content_of(path)?;
                (file.1.id.clone(), vec![file])
            } else {
                let files: Vec<_> = parts.into_iter().map(content_of).collect::<Result<_>>()?;
                let ids: Vec<ContentId> = files.iter().map(|(_, content)| content.id.clone()).collect();
                (ContentId::of_parts(&ids), files)
            };
            opened.meet(&content, &origin.seen)?;
            let key = EntryKey {
                stage: "transcript".to_owned(),
                stage_version: version,
                content,
                options,
                producer: Some(model),
                prompt_version: None,
            };
            Ok(Some(Self { store: store.clone(), files, key, origin }))
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
                    tracing::info!("{}: the transcript comes from the store", this.origin.seen);
                    Ok(Some(Transcript { from_store: true, ..transcript }))
                }
                Err(error) => {
                    store.set_aside(&this.key, &error.to_string());
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
            match self.files.iter().find(|(path, content)| !content.is_still_in(path)) {
                None => return store.put(&self.key, &self.origin, &payload),
                Some((path, _)) => tracing::warn!("{}: changed meanwhile; the transcript is not kept", path.display()),
            }
            Ok(())
        });
        if let Err(error) = kept.await {
            tracing::warn!("{error}; the transcript is not kept");
        }
    }
}
