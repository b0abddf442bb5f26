//! Words heard on this machine: OpenAI's Whisper, run by whisper.cpp.
//!
//! ```text
//! sound -> probability of speech -> stretches -> one ear a core -> phrases held against the speech -> transcript
//! ```
//!
//! Silero's voice activity model finds where somebody speaks; only that is transcribed, each stretch by itself, and
//! again where speech is left that no phrase covers. Memory holds some stretches of 30 s, whatever the recording's
//! length. Each ear works on one thread: several stretches at a time are quicker than several threads on one.

mod chunking;
mod decoder;
mod file;
pub mod models;
mod postprocess;
mod run;
mod vad;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;

use crate::error::{Error, Result};
use crate::language;
use crate::media::MediaInfo;
use crate::time::Timestamp;
use crate::transcribe::{Heard, Transcriber, Words, stream_to_hear};

/// What mends a file that is no model.
const FETCH_AGAIN: &str = "fetch it again with: vidgist models pull";

/// Each ear of a model of base's size holds about 150 MB: eight are enough for a desktop.
const MAX_EARS: usize = 8;

/// Which model listens, and for what.
#[derive(Clone, Debug)]
pub struct WhisperConfig {
    /// The model's file, in whisper.cpp's form (ggml).
    pub model: PathBuf,
    /// Silero's voice activity model, in the same form.
    pub voice_model: PathBuf,
    /// The model's name for the report: `base`.
    pub name: String,
    /// The language spoken, as a tag such as `en`; None lets the model find out.
    pub language: Option<String>,
    /// Whether the words are translated to English.
    pub translate: bool,
    /// Whether each word gets its time.
    pub words: bool,
    /// The audio stream to hear, as an index among all streams of the container; None is the main one.
    pub stream_idx: Option<usize>,
    /// Stretches that are transcribed at a time, each on one thread; None is one for each core, 8 at most.
    pub n_ears: Option<NonZeroUsize>,
}

/// Whisper on this machine.
#[derive(Clone, Debug)]
pub struct Whisper {
    config: WhisperConfig,
}

impl Whisper {
    /// Loads nothing yet.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where Whisper does not know the language.
    pub fn new(config: WhisperConfig) -> Result<Self> {
        if let Some(tag) = &config.language
            && known_language(tag).is_none()
        {
            let advice = "write it as en, fr or german, or leave it out";
            return Err(Error::usage("--language", format!("Whisper does not know {tag:?}"), advice));
        }
        Ok(Self { config })
    }

    fn n_ears(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        // A graphics card is one, however many ears queue for it.
        let most = if cfg!(any(feature = "cuda", feature = "metal", feature = "vulkan")) { 1 } else { MAX_EARS };
        self.config.n_ears.map_or(cores.min(most), NonZeroUsize::get)
    }
}

impl Transcriber for Whisper {
    /// # Errors
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) where a model's file cannot be loaded; [`ErrorKind::Usage`](crate::ErrorKind::Usage) where the model knows English alone
    /// and another language is wanted, or the stream asked for is no audio stream; the errors of
    /// [`AudioReader`](crate::pcm::AudioReader).
    fn transcribe<'a>(
        &'a self,
        path: &'a Path,
        media: &'a MediaInfo,
        heard: Heard<'a>,
    ) -> BoxFuture<'a, Result<Words>> {
        async move {
            let Some(stream) = stream_to_hear(media, path, self.config.stream_idx)?.cloned() else {
                return Ok(Words::None { reason: "there is no sound".to_owned() });
            };
            for file in [&self.config.model, &self.config.voice_model] {
                if !file.exists() {
                    let reason = "no speech model is on this machine (get one with: vidgist models pull)";
                    return Ok(Words::None { reason: reason.to_owned() });
                }
            }
            // Ends the work on its thread where this future is dropped.
            let stop = StopOnDrop(Arc::new(AtomicBool::new(false)));
            let (tell, mut told) = mpsc::unbounded_channel::<Timestamp>();
            let work = run::Work {
                config: self.config.clone(),
                path: path.to_owned(),
                media: media.clone(),
                stream,
                n_ears: self.n_ears(),
                stop: stop.0.clone(),
                heard: tell,
            };
            let done = tokio::task::spawn_blocking(move || work.run());
            while let Some(time) = told.recv().await {
                heard(time);
            }
            let transcript = done.await.unwrap_or_else(|failure| {
                let problem = "the speech model failed in itself: this is a fault of vidgist";
                Err(Error::malformed(path.display(), problem, "report it, with the file if you can").because(failure))
            })?;
            Ok(Words::Found(transcript))
        }
        .boxed()
    }
}

/// The language as Whisper writes it; None where it does not know it.
fn known_language(tag: &str) -> Option<&'static str> {
    let primary = tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    if primary.is_empty() || primary.contains('\0') {
        return None;
    }
    let by_code = whisper_rs::get_lang_id(&primary).and_then(whisper_rs::get_lang_str);
    by_code.or_else(|| {
        // `eng` and `ger` are what containers write.
        (0..=whisper_rs::get_lang_max_id())
            .filter_map(whisper_rs::get_lang_str)
            .find(|code| language::is_same(code, tag))
    })
}

/// A path for a foreign library.
fn utf8(path: &Path) -> Result<&str> {
    path.to_str()
        .filter(|text| !text.contains('\0'))
        .ok_or_else(|| Error::usage(path.display(), "a model's path must be plain Unicode", "move the file elsewhere"))
}

struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_known_by_code_tag_and_name() {
        for (tag, expected) in [
            ("en", Some("en")),
            ("en-GB", Some("en")),
            ("fre", Some("fr")),
            ("deu", Some("de")),
            ("german", Some("de")),
            ("FR", Some("fr")),
            ("tlh", None),
            ("", None),
        ] {
            assert_eq!(known_language(tag), expected, "{tag}");
        }
    }
}
