//! The providers of models, as `vidgist models` lists them.

use vidgist::error::Result;
use vidgist::llm::provider::Providers;

use super::config::CommandConfig;

/// Each provider with its address, whether its key is set, and its default model.
pub fn list(config: &CommandConfig) -> Result<String> {
    let is_set = |name: &str| std::env::var(name).is_ok_and(|value| !value.trim().is_empty());
    Ok(Providers::with(&config.providers)?.listing(is_set))
}
