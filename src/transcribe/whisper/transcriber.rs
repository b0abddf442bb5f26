//! Whisper as a [`Transcriber`].

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;

use super::config::WhisperConfig;
use super::run::LocalTranscription;
use super::spoken_language::whisper_language;
use crate::advice::{Advice, Setting};
use crate::blocking::run_blocking;
use crate::error::{Error, Result};
use crate::time::Timestamp;
use crate::transcribe::transcriber::{
    ProgressCallback, StoredSettings, Transcriber, TranscriptionInput, TranscriptionOutcome, select_audio_stream,
};

/// Each decoder of a model of base's size takes about 150 MB; eight are enough for a desktop.
const MAX_DECODERS: usize = 8;

/// Version of the transcripts: increase it when the same model makes other transcripts of the same recordings.
const VERSION: u32 = 1;

/// Whisper on this machine.
#[derive(Clone, Debug)]
pub struct Whisper {
    config: WhisperConfig,
}

impl Whisper {
    /// Checks the configuration; loads no model.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) if Whisper does not know the language.
    pub fn new(config: WhisperConfig) -> Result<Self> {
        if let Some(tag) = config.languages.iter().find(|tag| whisper_language(tag).is_none()) {
            let advice = Advice::from("write it as en, fr or german").or(Advice::Unset(Setting::Language));
            return Err(Error::setting(Setting::Language, format!("Whisper does not know {tag:?}"), advice));
        }
        Ok(Self { config })
    }

    fn n_decoders(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        // There is one graphics card, however many decoders queue for it.
        let most = if cfg!(any(feature = "cuda", feature = "metal", feature = "vulkan")) { 1 } else { MAX_DECODERS };
        self.config.n_decoders.map_or(cores.min(most), NonZeroUsize::get)
    }
}

impl Transcriber for Whisper {
    fn stored_settings(&self) -> Option<StoredSettings> {
        let WhisperConfig { model, vad_model, name, languages, multilingual, channels, translate, word_times, .. } =
            &self.config;
        let files = vec![model.clone(), vad_model.clone()];
        let options = [
            ("transcriber", "whisper".into()),
            ("languages", languages.clone().into()),
            ("multilingual", (*multilingual).into()),
            ("channels", serde_json::to_value(channels).ok()?),
            ("translate", (*translate).into()),
            ("word_times", (*word_times).into()),
        ];
        let options = options.map(|(name, value)| (name.to_owned(), value)).into();
        files.iter().all(|file| file.exists()).then(|| StoredSettings {
            version: VERSION,
            model: name.clone(),
            options,
            files,
        })
    }

    /// # Errors
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) if a model file cannot be loaded.
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) if the model supports only English and another language is
    /// requested, or if the requested stream is not an audio stream. The errors of
    /// [`AudioReader`](crate::pcm::AudioReader).
    fn transcribe<'a>(
        &'a self,
        input: TranscriptionInput<'a>,
        on_progress: ProgressCallback<'a>,
    ) -> BoxFuture<'a, Result<TranscriptionOutcome>> {
        async move {
            let Some(stream) = select_audio_stream(input)?.cloned() else {
                return Ok(TranscriptionOutcome::None { reason: "there is no audio stream".to_owned() });
            };
            for file in [&self.config.model, &self.config.vad_model] {
                if !file.exists() {
                    let reason = "no speech model is on this machine (to download one, run: vidgist models pull)";
                    return Ok(TranscriptionOutcome::None { reason: reason.to_owned() });
                }
            }
            // Stops the work on its thread when this future is dropped.
            let cancel = CancelOnDrop(Arc::new(AtomicBool::new(false)));
            let (progress, mut times) = mpsc::unbounded_channel::<Timestamp>();
            let transcription = LocalTranscription {
                config: self.config.clone(),
                path: input.path.to_owned(),
                media: input.media.clone(),
                stream,
                is_stream_chosen: input.stream_idx.is_some(),
                bounds: input.bounds,
                n_decoders: self.n_decoders(),
                is_cancelled: cancel.0.clone(),
                progress,
            };
            let work = run_blocking(move || transcription.run());
            tokio::pin!(work);
            loop {
                tokio::select! {
                    biased;
                    Some(time) = times.recv() => on_progress(time),
                    transcript = &mut work => {
                        while let Ok(time) = times.try_recv() {
                            on_progress(time);
                        }
                        return transcript.map(TranscriptionOutcome::Found);
                    }
                }
            }
        }
        .boxed()
    }
}

struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcribe::transcriber::ChannelMode;

    #[test]
    fn each_option_that_decides_is_among_the_settings() {
        let folder = tempfile::tempdir().unwrap();
        let (model, vad) = (folder.path().join("model"), folder.path().join("vad"));
        let settings = |change: fn(&mut WhisperConfig)| {
            let mut config = WhisperConfig::new("base", &model, &vad);
            change(&mut config);
            Whisper::new(config).unwrap().stored_settings()
        };
        assert_eq!(settings(|_| {}), None, "without its files it does not apply");
        std::fs::write(&model, b"m").unwrap();
        std::fs::write(&vad, b"v").unwrap();
        let plain = settings(|_| {}).unwrap();
        assert_eq!(plain.files, [model.clone(), vad.clone()]);
        let changes: [fn(&mut WhisperConfig); 6] = [
            |config| config.name = "small".into(),
            |config| config.languages = vec!["ko".into()],
            |config| config.multilingual = true,
            |config| config.channels = ChannelMode::Split,
            |config| config.translate = true,
            |config| config.word_times = true,
        ];
        for change in changes {
            assert_ne!(settings(change).unwrap(), plain);
        }
        assert_eq!(settings(|config| config.n_decoders = NonZeroUsize::new(1)).unwrap(), plain);
    }
}
