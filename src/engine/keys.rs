//! Which key belongs to which provider.

use secrecy::SecretString;

use super::config::Config;
use super::secrets::{KeyOwner, Secrets};
use crate::error::Result;
use crate::llm::provider::{Provider, Providers};

/// The variable that holds `OpenAI`'s key.
pub const KEY_VARIABLE: &str = "OPENAI_API_KEY";
/// `OpenAI`'s name in the provider table.
pub(super) const OPENAI_NAME: &str = "openai";
/// `OpenAI`'s address.
pub(super) const OPENAI: &str = "https://api.openai.com/v1";

/// Looks up keys.
pub(super) struct Keys<'a> {
    pub config: &'a Config,
    pub secrets: &'a Secrets,
}

impl Keys<'_> {
    /// The key of `OpenAI`, or of an address that the user named.
    pub async fn default_key(&self) -> Result<Option<SecretString>> {
        if let Some(key) = self.secrets.variable(KEY_VARIABLE) {
            return Ok(Some(key));
        }
        let own = self.secrets.stored(KeyOwner::Provider(OPENAI_NAME.to_owned())).await?;
        if own.is_some() || self.default_key_owner()?.is_some_and(|owner| owner != OPENAI_NAME) {
            return Ok(own);
        }
        self.secrets.stored(KeyOwner::Default).await
    }

    /// The key of a named provider.
    pub async fn provider_key(&self, provider: &Provider) -> Result<Option<SecretString>> {
        match self.own_key(provider).await? {
            None if provider.name == OPENAI_NAME => self.default_key().await,
            None if self.default_key_owner()?.is_some_and(|owner| owner == provider.name) => {
                self.secrets.stored(KeyOwner::Default).await
            }
            own => Ok(own),
        }
    }

    /// The key of this provider alone: from its own variables, or stored for it.
    pub async fn own_key(&self, provider: &Provider) -> Result<Option<SecretString>> {
        match provider.key_variables.iter().find_map(|name| self.secrets.variable(name)) {
            None => self.secrets.stored(KeyOwner::Provider(provider.name.clone())).await,
            own => Ok(own),
        }
    }

    /// The provider that the default key belongs to: that of the configured model. None if it names none: then the key
    /// belongs to `OpenAI` or to the configured address.
    fn default_key_owner(&self) -> Result<Option<String>> {
        let providers = Providers::with(&self.config.providers)?;
        Ok(self.config.model.as_deref().and_then(|model| Some(providers.split(model).0?.name.clone())))
    }
}
