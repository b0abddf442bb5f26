//! Where words come from: flags and configuration to the ways that are tried, in their order.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use vidgist::error::{Error, Result};
use vidgist::http::parse_base_url;
use vidgist::limits::Limits;
use vidgist::transcribe::Transcriber;
use vidgist::transcribe::api::{ApiTranscriber, ApiTranscriberConfig};
use vidgist::transcribe::subtitles::Subtitles;
use vidgist::transcribe::whisper::models::{self, SpeechModel};
use vidgist::transcribe::whisper::{IS_AVAILABLE, Whisper, WhisperConfig};

use super::args::{ServerArgs, Stt, TranscriptArgs};
use super::config::{self, Config};
use super::model;

/// What a command besides [`TranscriptArgs`] says of the words.
#[derive(Clone, Copy, Debug)]
pub struct WordsContext<'a> {
    /// Address of the chat model's server, where the endpoint has none of its own.
    pub base_url: Option<&'a str>,
    /// How the endpoint is asked.
    pub server: &'a ServerArgs,
    /// The audio stream that is meant, among all streams of the container; None is the main one.
    pub stream_idx: Option<usize>,
}

/// The ways to get at the words, in the order in which they are tried; empty where none are wanted.
pub fn ways(args: &TranscriptArgs, context: WordsContext<'_>, config: &Config) -> Result<Vec<Arc<dyn Transcriber>>> {
    let stt = match args.stt.or(config.transcription.stt) {
        _ if args.no_transcript => Stt::None,
        _ if args.transcript.is_some() => Stt::Subtitles,
        Some(Stt::Subtitles | Stt::None) if args.translate || args.words => {
            let problem = "--words is for Whisper and the endpoint, --translate for Whisper";
            return Err(Error::usage("--stt", problem, "use --stt whisper, or leave it out"));
        }
        Some(Stt::Api) if args.translate => {
            return Err(Error::usage("--stt", "--translate is for Whisper", "use --stt whisper, or leave it out"));
        }
        Some(Stt::Api) => Stt::Api,
        _ if args.translate || args.words => Stt::Whisper,
        stt => stt.unwrap_or(Stt::Auto),
    };
    let api_model = args.stt_model.as_ref().or(config.transcription.model.as_ref());
    let mut ways: Vec<Arc<dyn Transcriber>> = Vec::new();
    if matches!(stt, Stt::Auto | Stt::Subtitles) {
        let (explicit, language) = (args.transcript.clone(), language(args, config));
        ways.push(Arc::new(Subtitles { explicit, language, limits: Limits::default() }));
    }
    match (stt, api_model) {
        (Stt::Api, None) => {
            return Err(Error::usage("--stt api", "needs the endpoint's model", "name it with --stt-model"));
        }
        (Stt::Api | Stt::Auto, Some(model)) => ways.push(Arc::new(api(model, args, context, config)?)),
        // A build without Whisper does not try it unless it is named.
        (Stt::Auto, None) if !IS_AVAILABLE => {}
        (Stt::Whisper | Stt::Auto, _) => ways.push(Arc::new(whisper(args, context, config, stt == Stt::Whisper)?)),
        (Stt::Subtitles | Stt::None, _) => {}
    }
    Ok(ways)
}

fn language(args: &TranscriptArgs, config: &Config) -> Option<String> {
    args.language.clone().or_else(|| config.transcription.language.clone())
}

fn api(model: &str, args: &TranscriptArgs, context: WordsContext<'_>, config: &Config) -> Result<ApiTranscriber> {
    let address = args.stt_base_url.as_deref().or(config.transcription.base_url.as_deref());
    let address = address.or(context.base_url).or(config.base_url.as_deref()).unwrap_or(model::OPENAI);
    let key = model::key(config)?;
    if key.is_none() && address == model::OPENAI {
        // Sound that cannot be answered for is not sent.
        let advice = format!("set {}, or name a server with --stt-base-url", model::KEY_VARIABLE);
        return Err(Error::usage("--stt-model", "no key of OpenAI is known", advice));
    }
    let server = model::server(parse_base_url(address)?, key, context.server, config)?;
    ApiTranscriber::new(ApiTranscriberConfig {
        language: language(args, config),
        stream_idx: context.stream_idx,
        word_times: args.words,
        ..ApiTranscriberConfig::new(server, model)
    })
}

/// Whisper; `is_named` where the user wants nothing else, so that its model must be there.
fn whisper(args: &TranscriptArgs, context: WordsContext<'_>, config: &Config, is_named: bool) -> Result<Whisper> {
    let is_chosen = args.whisper_model.is_some();
    let name = args.whisper_model.as_deref().or(config.transcription.whisper_model.as_deref());
    let name = name.unwrap_or(models::DEFAULT);
    let folder = config::models_folder().unwrap_or_default();
    let model = model_file(name, &folder)?;
    let vad_model = SpeechModel::by_name(models::VAD).map(|vad| vad.path_in(&folder)).unwrap_or_default();
    if let Some(missing) = [&model, &vad_model].into_iter().find(|file| (is_named || is_chosen) && !file.exists()) {
        let known = SpeechModel::by_name(name).map_or("", |model| model.name);
        let advice = format!("get it with: {}", format!("vidgist models pull {known}").trim());
        return Err(Error::usage(missing.display(), "the speech model is not on this machine", advice));
    }
    // A file that is not in the catalog goes by its own name.
    let file_name = model.file_name().filter(|_| SpeechModel::by_name(name).is_none());
    let shown = file_name.map_or_else(|| name.to_owned(), |file| file.to_string_lossy().into_owned());
    let mut whisper = WhisperConfig::new(shown, model, vad_model);
    whisper.language = language(args, config);
    whisper.translate = args.translate;
    whisper.word_times = args.words;
    whisper.stream_idx = context.stream_idx;
    Whisper::new(whisper)
}

/// The file of a model that is known by name, or is named by its path.
fn model_file(name: &str, folder: &Path) -> Result<PathBuf> {
    if let Some(weights) = SpeechModel::by_name(name).filter(|model| model.name != models::VAD) {
        return Ok(weights.path_in(folder));
    }
    let is_path = name.contains(std::path::is_separator) || Path::new(name).exists();
    if is_path {
        return Ok(name.into());
    }
    let names: Vec<&str> = models::ALL.iter().map(|w| w.name).filter(|name| *name != models::VAD).collect();
    let advice = format!("there are {}; or name a file in whisper.cpp's form", names.join(", "));
    Err(Error::usage("--whisper-model", format!("{name:?} is not known"), advice))
}
