//! Model providers and their differences, as data. The table is `providers.toml` in this folder; the user's
//! configuration can override any key and add rows.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

use reqwest::header::HeaderName;
use serde::Deserialize;
use url::Url;

use super::batch_support::BatchSupport;
use crate::error::{Error, Result};
use crate::http::{Auth, ServerConfig, parse_base_url};
use crate::limits::Limits;
use crate::media::ImageFormat;

/// The row for addresses without a row of their own.
pub const GENERIC: &str = "generic";
/// A model whose context is this small, in tokens, may have a lower limit of pictures.
const SMALL_CONTEXT_TOKENS: u64 = 200_000;

static BUILT_IN: LazyLock<toml::Table> =
    LazyLock::new(|| include_str!("providers.toml").parse().expect("a test reads it"));

/// The API that a provider has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DialectKind {
    /// `POST /chat/completions`.
    #[default]
    Openai,
    /// `POST /messages`, Anthropic's API.
    Anthropic,
    /// `POST /api/chat`, Ollama's API, which takes a context length.
    Ollama,
}

/// One provider. None and an empty list mean unknown unless a field says otherwise.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is one cell of a table")]
pub struct Provider {
    /// The name: the key of its table, and the part before the colon in `openai:gpt-4o`.
    #[serde(skip)]
    pub name: String,
    /// The API.
    #[serde(default)]
    pub dialect: DialectKind,
    /// The base URL; None if each user has a different one.
    pub base_url: Option<String>,
    /// The environment variable with a different base URL.
    pub base_url_variable: Option<String>,
    /// The path appended to a base URL from that variable if it has none.
    #[serde(default)]
    pub base_url_path: String,
    /// Environment variables with the key; the first one that is set counts.
    #[serde(default)]
    pub key_variables: Vec<String>,
    /// The header that carries the key.
    #[serde(default)]
    pub auth: Auth,
    /// Whether a key is required.
    #[serde(default = "yes")]
    pub needs_key: bool,
    /// Headers of each request, by name.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The default model.
    pub default_model: Option<String>,
    /// The name of the parameter that limits the answer's tokens.
    #[serde(default = "max_tokens")]
    pub max_tokens_key: String,
    /// The name of the seed parameter; empty if there is none.
    #[serde(default = "seed")]
    pub seed_key: String,
    /// Parameters that none of its models supports, by `OpenAI`'s names.
    #[serde(default)]
    pub refused: Vec<String>,
    /// Whether it has the parameter `store`, which is then sent as false so that nothing is stored.
    #[serde(default)]
    pub takes_store: bool,
    /// Maximum number of images in a request.
    pub max_images: Option<usize>,
    /// The same for models with a context of at most 200,000 tokens, if it differs.
    pub max_images_small_context: Option<usize>,
    /// Maximum size of a request body in bytes.
    pub max_body_bytes: Option<u64>,
    /// Maximum size of an image in bytes, before Base64.
    pub max_image_bytes: Option<u64>,
    /// Maximum length of an image's longer side in pixels.
    pub max_image_edge_px: Option<u32>,
    /// The same for requests with more than 20 images.
    pub max_image_edge_many_px: Option<u32>,
    /// Supported image formats.
    #[serde(default)]
    pub image_formats: Vec<ImageFormat>,
    /// Whether it supports JSON schemas for answers.
    #[serde(default)]
    pub json_schema: bool,
    /// Whether messages can contain audio.
    #[serde(default)]
    pub audio_input: bool,
    /// Whether it may truncate a request that exceeds the model's context without an error.
    #[serde(default)]
    pub may_cut_context: bool,
    /// The batch API; None if none is known.
    pub batch: Option<BatchSupport>,
    /// The date on which the row was checked, `YYYY-MM-DD`.
    pub checked: Option<String>,
    /// How reliable the row is: see the top of `providers.toml`.
    #[serde(default)]
    pub source: String,
}

fn yes() -> bool {
    true
}

fn max_tokens() -> String {
    "max_tokens".into()
}

fn seed() -> String {
    "seed".into()
}

impl Provider {
    /// `limits` lowered to those of the provider, for a model with a context of this many tokens.
    #[must_use]
    pub fn narrow(&self, limits: Limits, context_tokens: Option<u64>) -> Limits {
        let is_small = context_tokens.is_some_and(|tokens| tokens <= SMALL_CONTEXT_TOKENS);
        let max_images = self.max_images_small_context.filter(|_| is_small).or(self.max_images);
        // Base64 turns three bytes into four. 64 KiB and a twentieth are reserved for the text around the images.
        let max_bytes = self.max_body_bytes.map(|bytes| (bytes - bytes / 20).saturating_sub(1 << 16) / 4 * 3);
        Limits {
            max_request_frames: max_images.unwrap_or(usize::MAX).min(limits.max_request_frames),
            max_request_image_bytes: max_bytes.unwrap_or(u64::MAX).min(limits.max_request_image_bytes),
            ..limits
        }
    }

    /// The server configuration for this provider: its headers, and the variable of its key for error messages.
    #[must_use]
    pub fn prepare(&self, server: ServerConfig) -> ServerConfig {
        let key_variable = self.key_variable().to_owned();
        ServerConfig { auth: self.auth, headers: self.headers.clone(), key_variable, ..server }
    }

    /// The environment variable that errors name when the key is missing.
    #[must_use]
    pub fn key_variable(&self) -> &str {
        self.key_variables.first().map_or("OPENAI_API_KEY", String::as_str)
    }

    /// Parses a base URL of this provider, with or without scheme, path and port.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) if it is not a valid URL.
    pub fn parse_address(&self, text: &str) -> Result<Url> {
        let text = text.trim();
        // Ollama's variable is `host`, `host:port` or a URL, and 0.0.0.0 if the server listens on all interfaces.
        let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let own = self.base_url.as_deref().and_then(|own| own.parse::<Url>().ok());
        let mut url = parse_base_url(if self.dialect == DialectKind::Ollama { &with_scheme } else { text })?;
        if self.dialect == DialectKind::Ollama {
            if url.host_str() == Some("0.0.0.0") {
                let _ = url.set_host(Some("127.0.0.1"));
            }
            if !text.contains("://") && url.port().is_none() {
                let _ = url.set_port(own.and_then(|own| own.port()));
            }
        }
        if !self.base_url_path.is_empty() && matches!(url.path(), "/v1" | "/openai") {
            url.set_path(&self.base_url_path);
        }
        Ok(url)
    }

    fn check(&self) -> Result<()> {
        let refuse = |problem: String| Err(Error::usage(format!("providers.{}", self.name), problem, ""));
        if let Some(url) = &self.base_url {
            parse_base_url(url)?;
        } else if self.base_url_variable.is_none() && self.name != GENERIC {
            return refuse("has no base_url".into());
        }
        if let Some(name) = self.headers.keys().find(|name| name.parse::<HeaderName>().is_err()) {
            return refuse(format!("{name:?} is not a header name"));
        }
        Ok(())
    }

    /// Whether `url` is this provider's default address.
    fn is_at(&self, url: &Url) -> bool {
        let own = self.base_url.as_deref().and_then(|own| own.parse::<Url>().ok());
        let is_azure =
            self.base_url.is_none() && url.host_str().is_some_and(|host| host.ends_with(".openai.azure.com"));
        let is_same = |own: Url| {
            let host = |url: &Url| url.host_str().map(|host| host.replace("127.0.0.1", "localhost"));
            host(&own) == host(url) && own.port_or_known_default() == url.port_or_known_default()
        };
        own.map_or(is_azure && self.name == "azure", is_same)
    }
}

/// All known providers by name.
#[derive(Clone, Debug)]
pub struct Providers {
    rows: BTreeMap<String, Provider>,
}

impl Default for Providers {
    fn default() -> Self {
        Self::with(&toml::Table::new()).expect("a test reads the table")
    }
}

impl Providers {
    /// The built-in table with `overrides` merged into it key by key.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) if a key is unknown, a value has the wrong type, or a new row has no address.
    pub fn with(overrides: &toml::Table) -> Result<Self> {
        let mut rows = BUILT_IN.clone();
        for (name, over) in overrides {
            let place = format!("providers.{name}");
            let over = over.as_table().ok_or_else(|| Error::usage(&place, "must be a table", ""))?;
            let row = rows.entry(name.clone()).or_insert_with(|| toml::Table::new().into());
            let row = row.as_table_mut().ok_or_else(|| Error::usage(&place, "must be a table", ""))?;
            row.extend(over.clone());
        }
        let read = |(name, row): (String, toml::Value)| {
            let mut provider: Provider = row.try_into().map_err(|error: toml::de::Error| {
                Error::usage(format!("providers.{name}"), error.message().to_owned(), "")
            })?;
            provider.name.clone_from(&name);
            provider.check()?;
            Ok((name, provider))
        };
        Ok(Self { rows: rows.into_iter().map(read).collect::<Result<_>>()? })
    }

    /// All rows, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Provider> {
        self.rows.values()
    }

    /// The row with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Provider> {
        self.rows.get(name)
    }

    /// The environment variables that may hold a provider's key or address.
    #[must_use]
    pub fn variables(&self) -> Vec<String> {
        let own =
            self.rows.values().flat_map(|provider| provider.key_variables.iter().chain(&provider.base_url_variable));
        let mut names: Vec<String> =
            own.cloned().chain(["OPENAI_API_KEY", "OPENAI_BASE_URL"].map(str::to_owned)).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The providers, one a line: name, whether its key is set (`is_set` tests an environment variable), address and default
    /// model.
    #[must_use]
    pub fn listing(&self, is_set: impl Fn(&str) -> bool) -> String {
        let mut lines = String::new();
        for provider in self.iter().filter(|provider| provider.name != GENERIC) {
            let key = match provider.key_variables.iter().find(|name| is_set(name)) {
                Some(name) => format!("{name} is set"),
                None if provider.needs_key => format!("set {}", provider.key_variables.join(" or ")),
                None => "needs no key".into(),
            };
            let own = provider.base_url_variable.as_deref();
            let address = match (own.filter(|name| is_set(name)), &provider.base_url) {
                (Some(variable), _) => format!("as {variable} says"),
                (None, Some(url)) => url.clone(),
                (None, None) => format!("set {}", own.unwrap_or("base_url")),
            };
            let model = provider.default_model.as_ref().map_or_else(String::new, |model| format!("  {model}"));
            // Writing to a `String` does not fail.
            let _ = writeln!(lines, "{:<11} {key:<35} {address}{model}", provider.name);
        }
        lines
    }

    /// The provider at an address, else the generic row.
    ///
    /// # Panics
    /// Never: the generic row is built in.
    #[must_use]
    pub fn at(&self, url: &Url) -> &Provider {
        // Several programs share a default port: the port alone does not identify one.
        let mut found = self.iter().filter(|provider| provider.is_at(url));
        let generic = self.get(GENERIC).expect("it is built in");
        found.next().filter(|_| found.next().is_none()).unwrap_or(generic)
    }

    /// Splits `openai:gpt-4o` into the provider and the model's name; the name is None if nothing follows the colon. A colon
    /// after anything but a provider is part of the model's name (`qwen2.5vl:7b`).
    #[must_use]
    pub fn split<'a>(&self, model: &'a str) -> (Option<&Provider>, Option<&'a str>) {
        match model.split_once(':').and_then(|(name, rest)| Some((self.get(name)?, rest))) {
            Some((provider, rest)) => (Some(provider), Some(rest).filter(|rest| !rest.is_empty())),
            None => (None, Some(model)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_providers_name_and_nothing_else() {
        let providers = Providers::default();
        for (text, provider, model) in [
            ("openai:gpt-4o", Some("openai"), Some("gpt-4o")),
            ("ollama:qwen2.5vl:7b", Some("ollama"), Some("qwen2.5vl:7b")),
            ("qwen2.5vl:7b", None, Some("qwen2.5vl:7b")),
            ("gpt-4o", None, Some("gpt-4o")),
            ("anthropic:", Some("anthropic"), None),
            ("llama.cpp:x", Some("llama.cpp"), Some("x")),
            ("OpenAI:x", None, Some("OpenAI:x")),
        ] {
            let (found, rest) = providers.split(text);
            assert_eq!((found.map(|p| p.name.as_str()), rest), (provider, model), "{text}");
        }
    }

    #[test]
    fn an_address_identifies_the_provider() {
        let providers = Providers::default();
        for (url, expected) in [
            ("https://api.openai.com/v1", "openai"),
            ("https://me.openai.azure.com/openai/v1", "azure"),
            ("https://api.openai.com.evil.example/v1", "generic"),
            ("http://api.openai.com/v1", "generic"),
            ("http://localhost:11434/v1", "ollama"),
            ("http://127.0.0.1:11434/v1", "ollama"),
            ("http://127.0.0.1:8080/v1", "llama.cpp"),
            ("http://gpu:8000/v1", "generic"),
            ("https://api.groq.com/openai/v1", "groq"),
        ] {
            assert_eq!(providers.at(&url.parse().expect(url)).name, expected, "{url}");
        }
    }

    #[test]
    fn each_providers_address_is_read_as_people_keep_it() {
        let providers = Providers::default();
        for (provider, text, expected) in [
            ("ollama", "0.0.0.0", "http://127.0.0.1:11434/v1"),
            ("ollama", "gpu:9000", "http://gpu:9000/v1"),
            ("ollama", "http://gpu:9000/", "http://gpu:9000/v1"),
            ("ollama", "https://ollama.com", "https://ollama.com/v1"),
            ("azure", "https://me.openai.azure.com/", "https://me.openai.azure.com/openai/v1"),
            ("azure", "https://me.openai.azure.com/openai/v1", "https://me.openai.azure.com/openai/v1"),
            ("anthropic", "https://api.anthropic.com", "https://api.anthropic.com/v1"),
        ] {
            let url = providers.get(provider).expect(provider).parse_address(text).expect(text);
            assert_eq!(url.as_str(), expected, "{provider} {text}");
        }
    }

    #[test]
    fn a_configuration_overrides_keys_and_adds_rows() {
        let with = |text: &str| Providers::with(&text.parse().expect("TOML"));
        let providers = with("[groq]\nmax_images = 3\n[mine]\nbase_url = \"https://llm.example/v1\"").expect("sound");
        let groq = providers.get("groq").expect("a row");
        assert_eq!((groq.max_images, groq.max_body_bytes), (Some(3), Some(4_000_000)));
        assert_eq!(providers.at(&"https://llm.example/v1".parse().expect("a URL")).name, "mine");
        for (text, said) in [
            ("[groq]\nmax_image = 3", "unknown field `max_image`"),
            ("[mine]\nneeds_key = false", "has no base_url"),
            ("[mine]\nbase_url = \"localhost\"", "base URL"),
            ("[mine]\nbase_url = \"https://a\"\nheaders = { \"a b\" = \"c\" }", "is not a header name"),
            ("mine = 3", "must be a table"),
        ] {
            let error = with(text).expect_err(text).to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn the_listing_shows_missing_keys() {
        let listing = Providers::default().listing(|name| matches!(name, "GEMINI_API_KEY" | "OLLAMA_HOST"));
        let line = |name: &str| {
            let line = listing.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}"));
            line.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(line("openai "), "openai set OPENAI_API_KEY https://api.openai.com/v1 gpt-6-luna");
        assert!(line("gemini ").starts_with("gemini GEMINI_API_KEY is set https://generativelanguage"));
        assert_eq!(line("ollama "), "ollama needs no key as OLLAMA_HOST says");
        assert_eq!(line("azure "), "azure set AZURE_OPENAI_API_KEY set AZURE_OPENAI_ENDPOINT");
        assert_eq!(listing.lines().count(), Providers::default().iter().count() - 1);
    }

    #[test]
    fn limits_are_lowered_and_never_raised() {
        let providers = Providers::default();
        let narrow = |name: &str, context| {
            let limits = providers.get(name).expect(name).narrow(Limits::default(), context);
            (limits.max_request_frames, limits.max_request_image_bytes)
        };
        assert_eq!(narrow("generic", None), (500, 36_000_000));
        assert_eq!(narrow("openai", None), (500, 36_000_000));
        assert_eq!(narrow("anthropic", Some(1_000_000)), (500, 22_750_848));
        assert_eq!(narrow("anthropic", Some(200_000)), (100, 22_750_848));
        assert_eq!(narrow("groq", None).0, 5);
    }
}
