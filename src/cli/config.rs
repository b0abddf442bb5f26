//! The configuration file: defaults for flags, in TOML, under the user's XDG folder. Flags and environment win.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use vidgist::engine::{Config, KeyOwner, Secrets};
use vidgist::error::{Error, Result};
use vidgist::llm::provider::Providers;
use vidgist::store::{DEFAULT_MAX_BYTES, StoreConfig};
use vidgist::time::{Timestamp, Tolerance};

use super::api_key::KeyCommand;
use super::args::{ImageFormatArg, StoreArgs, Stt, parse_size};
use super::text_file::read_text;

/// `config.toml`. It never contains keys.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CommandConfig {
    /// The model's name.
    pub model: Option<String>,
    /// Address of an OpenAI-compatible server.
    pub base_url: Option<String>,
    /// Longest wait for one answer.
    pub timeout: Option<String>,
    /// Longest time of a request over all its tries.
    pub total_timeout: Option<String>,
    /// Requests at a time.
    pub concurrency: Option<u16>,
    /// Requests within any minute.
    pub max_requests_per_minute: Option<u32>,
    /// Tokens within any minute.
    pub max_tokens_per_minute: Option<u64>,
    /// PEM certificates that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Further arguments of yt-dlp.
    pub ytdlp_args: Vec<String>,
    /// Folder that keeps results for later runs, or whether there is one.
    store: Option<StoreSetting>,
    /// Its limit.
    #[serde(deserialize_with = "size")]
    pub store_max_size: Option<ByteSize>,
    /// Prints the key; the environment takes precedence.
    api_key_command: Option<KeyCommand>,
    pub frames: FramesTable,
    pub transcription: TranscriptionTable,
    /// Put over the table of providers, key by key.
    pub providers: toml::Table,
    /// `api_key_command` of `[providers.NAME]` by name; the library has no such option.
    #[serde(skip)]
    key_commands: BTreeMap<String, KeyCommand>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum StoreSetting {
    IsUsed(bool),
    Folder(PathBuf),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FramesTable {
    pub interval: Option<String>,
    pub tolerance: Option<Tolerance>,
    pub max_frames: Option<usize>,
    pub max_width: Option<u32>,
    pub max_edge: Option<u32>,
    pub jpeg_quality: Option<u8>,
    pub image_format: Option<ImageFormatArg>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TranscriptionTable {
    /// Where words come from: as `--stt`.
    pub stt: Option<Stt>,
    /// As `--whisper-model`.
    pub whisper_model: Option<String>,
    pub model: Option<String>,
    pub base_url: Option<String>,
    pub language: Option<String>,
    pub languages: Vec<String>,
}

impl CommandConfig {
    /// Reads `explicit`, or the user's file where there is one.
    pub fn load(explicit: Option<&Path>) -> Result<Self> {
        let path = match explicit {
            Some(path) => path.to_owned(),
            None => match default_path() {
                Some(path) if path.exists() => path,
                _ => return Ok(Self::default()),
            },
        };
        let text = read_text(&path, "see docs/configuration.md")?;
        let mut config: Self = toml::from_str(&text).map_err(|e| {
            let line = |start| text.bytes().take(start).filter(|b| *b == b'\n').count() + 1;
            let place = e.span().map_or(String::new(), |span| format!("line {}: ", line(span.start)));
            Error::usage(path.display(), format!("{place}{}", e.message()), "see docs/configuration.md")
        })?;
        config.check(&path)?;
        config.take_key_commands(&path)?;
        Ok(config)
    }

    /// The configuration where the flags of the store have precedence.
    pub fn with_store(mut self, args: &StoreArgs) -> Self {
        let folder = args.store.clone().map(StoreSetting::Folder);
        let chosen = if args.no_store { Some(StoreSetting::IsUsed(false)) } else { folder };
        self.store = chosen.or(self.store);
        self
    }

    /// Where results are kept; None where none are.
    pub fn store(&self) -> Option<StoreConfig> {
        let folder = match &self.store {
            Some(StoreSetting::IsUsed(false)) => return None,
            Some(StoreSetting::Folder(folder)) => folder.clone(),
            Some(StoreSetting::IsUsed(true)) | None => default_store()?,
        };
        let max_bytes = self.store_max_size.map_or(DEFAULT_MAX_BYTES, |size| size.as_u64());
        Some(StoreConfig { max_bytes, ..StoreConfig::new(folder) })
    }

    fn take_key_commands(&mut self, path: &Path) -> Result<()> {
        let bad = |problem: String| Error::usage(path.display(), problem, "");
        for (name, row) in &mut self.providers {
            let Some(row) = row.as_table_mut() else { continue };
            let Some(value) = row.remove("api_key_command") else { continue };
            let problem = format!("providers.{name}.api_key_command must be a text or a list of texts");
            self.key_commands.insert(name.clone(), value.try_into().map_err(|_| bad(problem))?);
        }
        Ok(())
    }

    /// The defaults of jobs; `streams` is the default for streaming answers.
    pub fn engine(&self, streams: bool) -> Config {
        let mut config = Config::default();
        config.model.clone_from(&self.model);
        config.base_url.clone_from(&self.base_url);
        config.timeout = self.timeout.as_deref().and_then(duration);
        config.total_timeout = self.total_timeout.as_deref().and_then(duration);
        config.concurrency = self.concurrency;
        config.max_requests_per_minute = self.max_requests_per_minute;
        config.max_tokens_per_minute = self.max_tokens_per_minute;
        config.ca_file.clone_from(&self.ca_file);
        config.ytdlp_args.clone_from(&self.ytdlp_args);
        config.frames.interval = self.frames.interval.as_deref().and_then(|text| text.parse().ok());
        config.frames.tolerance = self.frames.tolerance;
        config.frames.max_frames = self.frames.max_frames;
        config.frames.max_width = self.frames.max_width;
        config.frames.max_edge = self.frames.max_edge;
        config.frames.jpeg_quality = self.frames.jpeg_quality;
        config.frames.image_format = self.frames.image_format.map(ImageFormatArg::into);
        config.transcription.source = self.transcription.stt.map(Stt::into);
        config.transcription.whisper_model.clone_from(&self.transcription.whisper_model);
        config.transcription.model.clone_from(&self.transcription.model);
        config.transcription.base_url.clone_from(&self.transcription.base_url);
        config.transcription.language.clone_from(&self.transcription.language);
        config.transcription.languages.clone_from(&self.transcription.languages);
        config.providers.clone_from(&self.providers);
        config.models_folder = models_folder();
        config.cache_folder = cache_folder();
        config.store = self.store();
        config.streams = streams;
        config
    }

    /// The keys: the variables of the providers, then the commands that the configuration names.
    pub fn secrets(&self) -> Result<Secrets> {
        let mut secrets = Secrets::default();
        for name in Providers::with(&self.providers)?.variables() {
            if let Ok(value) = std::env::var(&name) {
                secrets = secrets.with_variable(name, value);
            }
        }
        let (default, commands) = (self.api_key_command.clone(), self.key_commands.clone());
        Ok(secrets.with_lookup(move |owner| {
            let command = match owner {
                KeyOwner::Default => default.clone(),
                KeyOwner::Provider(name) => commands.get(&name).cloned(),
            };
            async move {
                match command {
                    Some(command) => command.key().await.map(Some),
                    None => Ok(None),
                }
            }
        }))
    }

    fn check(&self, path: &Path) -> Result<()> {
        let bad = |key: &str, range: &str| Err(Error::usage(path.display(), format!("{key} must be {range}"), ""));
        match self.concurrency.map(u32::from).into_iter().chain(self.max_requests_per_minute).min() {
            Some(0) => return bad("concurrency and max_requests_per_minute", "at least 1"),
            _ if self.max_tokens_per_minute == Some(0) => return bad("max_tokens_per_minute", "at least 1"),
            _ => {}
        }
        let times = [
            ("timeout", &self.timeout),
            ("total_timeout", &self.total_timeout),
            ("frames.interval", &self.frames.interval),
        ];
        for (key, text) in times {
            if let Some(Err(error)) = text.as_deref().map(str::parse::<Timestamp>) {
                let problem = format!("{key} = {}: {}", error.input, error.problem);
                return Err(Error::usage(path.display(), problem, error.advice));
            }
        }
        if matches!(&self.store, Some(StoreSetting::Folder(folder)) if folder.as_os_str().is_empty()) {
            return bad("store", "a folder, true or false");
        }
        if self.ytdlp_args.iter().any(|arg| arg == "--") {
            return bad("ytdlp_args", "options alone: the address follows them");
        }
        match &self.frames {
            FramesTable { jpeg_quality: Some(0 | 101..), .. } => bad("frames.jpeg_quality", "1 to 100"),
            FramesTable { max_width: Some(0..16 | 16_384..), .. } => bad("frames.max_width", "16 to 16383"),
            FramesTable { max_edge: Some(0..16 | 16_384..), .. } => bad("frames.max_edge", "16 to 16383"),
            _ => Ok(()),
        }
    }
}

/// `$XDG_CONFIG_HOME/vidgist/config.toml`, by default `~/.config/vidgist/config.toml`.
pub fn default_path() -> Option<PathBuf> {
    use etcetera::BaseStrategy as _;
    etcetera::choose_base_strategy().ok().map(|dirs| dirs.config_dir().join("vidgist").join("config.toml"))
}

/// `$XDG_DATA_HOME/vidgist/store`, by default `~/.local/share/vidgist/store`.
fn default_store() -> Option<PathBuf> {
    use etcetera::BaseStrategy as _;
    etcetera::choose_base_strategy().ok().map(|dirs| dirs.data_dir().join("vidgist").join("store"))
}

/// Where the speech models lie, unless there is no home folder.
pub fn models_folder() -> Option<PathBuf> {
    cache_folder().map(|folder| folder.join("models"))
}

/// `$XDG_CACHE_HOME/vidgist`, by default `~/.cache/vidgist`.
pub fn cache_folder() -> Option<PathBuf> {
    use etcetera::BaseStrategy as _;
    etcetera::choose_base_strategy().ok().map(|dirs| dirs.cache_dir().join("vidgist"))
}

fn duration(text: &str) -> Option<std::time::Duration> {
    let time: Timestamp = text.parse().ok()?;
    Some(std::time::Duration::from_millis(u64::try_from(time.millis()).unwrap_or_default().max(1)))
}

/// A number of bytes, or a text such as `20GB`.
fn size<'de, D: Deserializer<'de>>(value: D) -> std::result::Result<Option<ByteSize>, D::Error> {
    let text = match toml::Value::deserialize(value)? {
        toml::Value::String(text) => text,
        other => other.to_string(),
    };
    parse_size(&text).map(Some).map_err(|problem| D::Error::custom(format!("{text:?} {problem}")))
}
