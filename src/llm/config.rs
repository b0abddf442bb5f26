//! The configuration of a chat model.

use super::catalog::CatalogEntry;
use super::cost::Prices;
use super::params::SamplingParams;
use super::provider::{Provider, Providers};
use crate::advice::Setting;
use crate::error::{Error, Result};
use crate::http::ServerConfig;
use crate::limits::Limits;

/// The configuration of a chat model.
#[derive(Clone, Debug)]
pub struct ChatConfig {
    /// The server.
    pub server: ServerConfig,
    /// The model's name on the server.
    pub model: String,
    /// The provider.
    pub provider: Provider,
    /// The catalog entry of the model; None where it is unknown, and cautious assumptions are made.
    pub facts: Option<CatalogEntry>,
    /// Sampling parameters.
    pub params: SamplingParams,
    /// Whether a parameter that the model does not support is an error instead of being dropped.
    pub strict_params: bool,
    /// Limits of one request; those of the provider may lower them.
    pub limits: Limits,
}

impl ChatConfig {
    /// The prices of the model; all unknown without a catalog entry.
    pub(super) fn prices(&self) -> Prices {
        self.facts.as_ref().map(CatalogEntry::prices).unwrap_or_default()
    }

    /// No parameters and default limits; finds the provider by the address and the catalog entry by the name.
    #[must_use]
    pub fn new(server: ServerConfig, model: impl Into<String>) -> Self {
        let provider = Providers::default().at(&server.base_url).clone();
        Self::with_provider(provider, server, model)
    }

    /// As [`ChatConfig::new`], for a given provider.
    #[must_use]
    pub fn with_provider(provider: Provider, server: ServerConfig, model: impl Into<String>) -> Self {
        let model = model.into();
        Self {
            facts: CatalogEntry::of(&provider.name, &model).cloned(),
            server: provider.prepare(server),
            model,
            provider,
            params: SamplingParams::default(),
            strict_params: false,
            limits: Limits::default(),
        }
    }

    /// The limits of one request: the caller's and the provider's.
    #[must_use]
    pub fn request_limits(&self) -> Limits {
        self.provider.narrow(self.limits, self.facts.as_ref().and_then(|facts| facts.context))
    }

    pub(super) fn check(&self) -> Result<()> {
        self.params.check()?;
        if self.model.trim().is_empty() {
            return Err(Error::setting(Setting::Model, "is empty", "choose a model of the server"));
        }
        Ok(())
    }
}
