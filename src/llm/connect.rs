//! From a configuration to a model.

use std::sync::Arc;

use super::anthropic::Anthropic;
use super::config::ChatConfig;
use super::model::ChatModel;
use super::ollama::Ollama;
use super::openai::OpenAi;
use super::provider::DialectKind;
use crate::error::Result;

/// The model, in the dialect of its provider. Sends nothing.
///
/// # Errors
/// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where a parameter is out of its range, the model has no name, or the key would be sent unencrypted;
/// [`ErrorKind::Service`](crate::ErrorKind::Service) where the machine has no working TLS.
pub fn connect(config: ChatConfig) -> Result<Arc<dyn ChatModel>> {
    Ok(match config.provider.dialect {
        DialectKind::Openai => Arc::new(OpenAi::new(config)?),
        DialectKind::Anthropic => Arc::new(Anthropic::new(config)?),
        DialectKind::Ollama => Arc::new(Ollama::new(config)?),
    })
}
