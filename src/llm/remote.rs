//! A model on a server, and what is known about both.

use std::sync::Arc;

use super::config::ChatConfig;
use super::learnt_limits::LearntLimits;
use super::request::ChatRequest;
use super::supported_params::SupportedParams;
use super::usage::{self, UsageWarnings};
use crate::error::Result;
use crate::http::ApiClient;

/// A model on a server. Clones share connections and what was learnt about parameters and limits.
#[derive(Clone, Debug)]
pub(super) struct RemoteModel {
    pub server: ApiClient,
    pub config: ChatConfig,
    pub supported: SupportedParams,
    pub learnt: Arc<LearntLimits>,
    pub warnings: Arc<UsageWarnings>,
}

impl RemoteModel {
    /// Checks the configuration. Sends nothing.
    pub fn new(config: ChatConfig) -> Result<Self> {
        config.check()?;
        Ok(Self {
            server: ApiClient::new(config.server.clone())?,
            supported: SupportedParams::new(&config)?,
            learnt: Arc::default(),
            warnings: Arc::default(),
            config,
        })
    }

    /// The estimated tokens of a request and its answer, which servers count together.
    pub fn n_tokens(&self, request: &ChatRequest<'_>) -> u64 {
        let (estimate, _) = usage::estimate(&self.config, request);
        estimate.prompt_tokens.saturating_add(self.config.params.max_tokens.map_or(0, u64::from))
    }
}
