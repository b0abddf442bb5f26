//! The configuration file: defaults for flags, in TOML, under the user's XDG folder. Flags and environment win.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use vidgist::error::{Error, Result};

use super::api_key::KeyCommand;
use super::args::{PictureFormat, Stt};

/// `config.toml`. Keys never stand in it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
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
    /// Prints the key to stdout. The environment takes precedence.
    #[serde(rename = "api_key_command")]
    pub key: Option<KeyCommand>,
    /// No longer supported: any value is an error that names the replacement.
    api_key_keyring: Option<toml::Value>,
    pub frames: FramesConfig,
    pub transcription: TranscriptionConfig,
    /// Put over the table of providers, key by key.
    pub providers: toml::Table,
    /// `api_key_command` of each `[providers.NAME]`: the library's table has no keys.
    #[serde(skip)]
    pub keys: BTreeMap<String, KeyCommand>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FramesConfig {
    pub interval: Option<String>,
    pub max_frames: Option<usize>,
    pub max_width: Option<u32>,
    pub jpeg_quality: Option<u8>,
    pub image_format: Option<PictureFormat>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TranscriptionConfig {
    /// Where words come from: as `--stt`.
    pub stt: Option<Stt>,
    /// As `--whisper-model`.
    pub whisper_model: Option<String>,
    pub model: Option<String>,
    pub base_url: Option<String>,
    pub language: Option<String>,
}

impl Config {
    /// Reads `explicit`, or the user's file where there is one.
    pub fn load(explicit: Option<&Path>) -> Result<Self> {
        let path = match explicit {
            Some(path) => path.to_owned(),
            None => match default_path() {
                Some(path) if path.exists() => path,
                _ => return Ok(Self::default()),
            },
        };
        let text = std::fs::read_to_string(&path).map_err(|e| Error::io(&path, e))?;
        let mut config: Self = toml::from_str(&text).map_err(|e| {
            let line = |start| text.bytes().take(start).filter(|b| *b == b'\n').count() + 1;
            let place = e.span().map_or(String::new(), |span| format!("line {}: ", line(span.start)));
            Error::usage(path.display(), format!("{place}{}", e.message()), "see the README for what may stand there")
        })?;
        config.check(&path)?;
        config.take_keys(&path)?;
        Ok(config)
    }

    fn take_keys(&mut self, path: &Path) -> Result<()> {
        let removed = |place: &str, name: Option<&str>| {
            let lookup = format!("secret-tool lookup service vidgist username {}", name.unwrap_or("NAME"));
            let problem = format!("{place}api_key_keyring is no longer supported");
            Err(Error::usage(path.display(), problem, format!("write {place}api_key_command = \"{lookup}\"")))
        };
        if let Some(name) = &self.api_key_keyring {
            return removed("", name.as_str());
        }
        for (name, row) in &mut self.providers {
            let Some(row) = row.as_table_mut() else { continue };
            if let Some(entry) = row.get("api_key_keyring") {
                return removed(&format!("providers.{name}."), entry.as_str());
            }
            let Some(command) = row.remove("api_key_command") else { continue };
            let problem = format!("providers.{name}.api_key_command must be a string or a list of strings");
            let command = command.try_into().map_err(|_| Error::usage(path.display(), problem, ""))?;
            self.keys.insert(name.clone(), command);
        }
        Ok(())
    }

    fn check(&self, path: &Path) -> Result<()> {
        let bad = |key: &str, range: &str| Err(Error::usage(path.display(), format!("{key} must be {range}"), ""));
        match self.concurrency.map(u32::from).into_iter().chain(self.max_requests_per_minute).min() {
            Some(0) => return bad("concurrency and max_requests_per_minute", "at least 1"),
            _ if self.max_tokens_per_minute == Some(0) => return bad("max_tokens_per_minute", "at least 1"),
            _ => {}
        }
        match &self.frames {
            FramesConfig { jpeg_quality: Some(0 | 101..), .. } => bad("frames.jpeg_quality", "1 to 100"),
            FramesConfig { max_width: Some(0..16 | 16_384..), .. } => bad("frames.max_width", "16 to 16383"),
            _ => Ok(()),
        }
    }
}

/// `$XDG_CONFIG_HOME/vidgist/config.toml`, by default `~/.config/vidgist/config.toml`.
pub fn default_path() -> Option<PathBuf> {
    use etcetera::BaseStrategy as _;
    etcetera::choose_base_strategy().ok().map(|dirs| dirs.config_dir().join("vidgist").join("config.toml"))
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
