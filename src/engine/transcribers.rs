//! Which transcribers are tried, in their order.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::SecretString;

use super::config::Config;
use super::keys::{KEY_VARIABLE, OPENAI};
use super::options;
use crate::advice::{Advice, Setting};
use crate::error::{Error, ErrorCode, Result};
use crate::http::{ServerConfig, parse_base_url};
use crate::job::{ServerOptions, TranscriptChoice, TranscriptOptions};
use crate::limits::Limits;
use crate::transcribe::Transcriber;
use crate::transcribe::api::{ApiTranscriber, ApiTranscriberConfig};
use crate::transcribe::subtitles::Subtitles;
use crate::transcribe::whisper::models::{self, SpeechModel};
use crate::transcribe::whisper::{IS_AVAILABLE, Whisper, WhisperConfig};

/// The language that means: detect it.
const AUTO: &str = "auto";

/// The chat server, used if the transcription endpoint has no address of its own, and its connection settings.
#[derive(Clone, Debug, Default)]
pub(super) struct Endpoint {
    pub base_url: Option<String>,
    pub server: ServerOptions,
    /// Whether nothing is sent, so that no key is needed.
    pub is_dry: bool,
}

/// The transcribers, in the order in which they are tried; empty where no transcript is wanted.
pub(super) fn transcribers(
    options: &TranscriptOptions,
    endpoint: &Endpoint,
    key: Option<SecretString>,
    config: &Config,
) -> Result<Vec<Arc<dyn Transcriber>>> {
    let source = source(options, config)?;
    let api_model = options.stt_model.as_ref().or(config.transcription.model.as_ref());
    let mut transcribers: Vec<Arc<dyn Transcriber>> = Vec::new();
    if matches!(source, TranscriptChoice::Auto | TranscriptChoice::Subtitles) {
        let (explicit, language) = (options.file.clone(), language(options, config));
        // Before anything else is read.
        if let Some(file) = &explicit {
            std::fs::metadata(file).map_err(|error| Error::io(file, error))?;
        }
        let encoding = options.subtitle_encoding.as_deref().map(str::parse).transpose()?;
        transcribers.push(Arc::new(Subtitles { explicit, language, encoding, limits: Limits::default() }));
    }
    match (source, api_model) {
        (TranscriptChoice::Api, None) => {
            let problem = "api needs the transcription endpoint's model";
            return Err(Error::setting(Setting::Stt, problem, Advice::Set(Setting::SttModel)));
        }
        (TranscriptChoice::Api | TranscriptChoice::Auto, Some(model)) => {
            transcribers.push(Arc::new(api(model, options, endpoint, key, config)?));
        }
        // A build without Whisper does not try it unless it is named.
        (TranscriptChoice::Auto, None) if !IS_AVAILABLE && options.whisper_model.is_none() => {}
        (TranscriptChoice::Whisper | TranscriptChoice::Auto, _) => {
            let is_named = source == TranscriptChoice::Whisper;
            transcribers.push(Arc::new(whisper(options, config, is_named)?));
        }
        (TranscriptChoice::Subtitles | TranscriptChoice::None, _) => {}
    }
    Ok(transcribers)
}

fn source(options: &TranscriptOptions, config: &Config) -> Result<TranscriptChoice> {
    let advice = || Advice::SetTo(Setting::Stt, "whisper".into()).or(Advice::Unset(Setting::Stt));
    Ok(match options.source.or(config.transcription.source) {
        Some(TranscriptChoice::None) if options.source.is_some() => TranscriptChoice::None,
        _ if options.file.is_some() => TranscriptChoice::Subtitles,
        Some(TranscriptChoice::Subtitles | TranscriptChoice::None) if options.translate || options.words => {
            let problem = "word times need Whisper or the endpoint, and translation needs Whisper";
            return Err(Error::setting(Setting::Stt, problem, advice()));
        }
        Some(TranscriptChoice::Api) if options.translate => {
            return Err(Error::setting(Setting::Stt, "translation needs Whisper", advice()));
        }
        Some(TranscriptChoice::Api) => TranscriptChoice::Api,
        _ if options.translate || options.words => TranscriptChoice::Whisper,
        source => source.unwrap_or(TranscriptChoice::Auto),
    })
}

/// The language that is expected, if it is only one.
fn language(options: &TranscriptOptions, config: &Config) -> Option<String> {
    match languages(options, config) {
        [only] => Some(only.clone()),
        _ => None,
    }
}

/// The languages that are expected; empty for all. What the job says comes before what the configuration says.
fn languages<'a>(options: &'a TranscriptOptions, config: &'a Config) -> &'a [String] {
    let config = &config.transcription;
    match (&options.language, &config.language) {
        (Some(language), _) if language != AUTO => std::slice::from_ref(language),
        (_, _) if !options.languages.is_empty() => &options.languages,
        (None, Some(language)) if language != AUTO => std::slice::from_ref(language),
        _ => &config.languages,
    }
}

fn api(
    model: &str,
    options: &TranscriptOptions,
    endpoint: &Endpoint,
    key: Option<SecretString>,
    config: &Config,
) -> Result<ApiTranscriber> {
    let address = options.stt_base_url.as_deref().or(config.transcription.base_url.as_deref());
    let address = address.or(endpoint.base_url.as_deref()).or(config.base_url.as_deref()).unwrap_or(OPENAI);
    if key.is_none() && address == OPENAI && !endpoint.is_dry {
        // Audio is not sent where no answer can come.
        let advice = Advice::SetKey(KEY_VARIABLE.to_owned()).or(Advice::Set(Setting::SttBaseUrl));
        return Err(Error::setting(Setting::SttModel, "no OpenAI key is set", advice).with_code(ErrorCode::MissingKey));
    }
    let mut server = ServerConfig::new(parse_base_url(address)?);
    server.api_key = key;
    KEY_VARIABLE.clone_into(&mut server.key_variable);
    let server = options::server(server, &endpoint.server, config);
    ApiTranscriber::new(ApiTranscriberConfig {
        language: language(options, config),
        word_times: options.words,
        ..ApiTranscriberConfig::new(server, model)
    })
}

/// Whisper; `is_named` where nothing else is wanted, so that its model must be there.
fn whisper(options: &TranscriptOptions, config: &Config, is_named: bool) -> Result<Whisper> {
    let is_chosen = options.whisper_model.is_some();
    let name = options.whisper_model.as_deref().or(config.transcription.whisper_model.as_deref());
    let name = name.unwrap_or(models::DEFAULT);
    let folder = config.models_folder.clone().unwrap_or_default();
    let model = model_file(name, &folder)?;
    let vad_model = SpeechModel::by_name(models::VAD).map(|vad| vad.path_in(&folder)).unwrap_or_default();
    if let Some(missing) =
        [&model, &vad_model].into_iter().find(|file| IS_AVAILABLE && (is_named || is_chosen) && !file.exists())
    {
        let known = SpeechModel::by_name(name).map_or("", |model| model.name);
        let advice = Advice::Run(format!("models pull {known}").trim().to_owned());
        return Err(Error::usage(missing.display(), "the speech model is not on this machine", advice)
            .with_code(ErrorCode::UnknownModel));
    }
    // A file that is not in the catalog goes by its own name.
    let file_name = model.file_name().filter(|_| SpeechModel::by_name(name).is_none());
    let shown = file_name.map_or_else(|| name.to_owned(), |file| file.to_string_lossy().into_owned());
    let mut whisper = WhisperConfig::new(shown, model, vad_model);
    whisper.languages = languages(options, config).to_vec();
    whisper.multilingual = options.multilingual;
    whisper.channels = options.channels;
    whisper.translate = options.translate;
    whisper.word_times = options.words;
    Whisper::new(whisper)
}

/// The file of a model that is known by name, or is named by its path.
fn model_file(name: &str, folder: &Path) -> Result<PathBuf> {
    if let Some(model) = SpeechModel::by_name(name).filter(|model| model.name != models::VAD) {
        return Ok(model.path_in(folder));
    }
    let is_path = name.contains(std::path::is_separator) || Path::new(name).exists();
    if is_path {
        return Ok(name.into());
    }
    let names: Vec<&str> = models::ALL.iter().map(|w| w.name).filter(|name| *name != models::VAD).collect();
    let advice = format!("choose among {}, or name a file in whisper.cpp's format", names.join(", "));
    Err(Error::setting(Setting::WhisperModel, format!("{name:?} is unknown"), advice)
        .with_code(ErrorCode::UnknownModel))
}
