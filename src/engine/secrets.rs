//! API keys, and other values that come from outside the job: the library itself reads no environment.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret as _, SecretString};

use crate::error::Result;

/// The provider that a stored key is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyOwner {
    /// `OpenAI`, or the server of the configuration.
    Default,
    /// The provider of this name.
    Provider(String),
}

type Lookup = Arc<dyn Fn(KeyOwner) -> BoxFuture<'static, Result<Option<SecretString>>> + Send + Sync>;

/// Where keys come from. Debug shows names alone.
#[derive(Clone, Default)]
pub struct Secrets {
    variables: BTreeMap<String, SecretString>,
    lookup: Option<Lookup>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").field("variables", &self.variables.keys().collect::<Vec<_>>()).finish_non_exhaustive()
    }
}

impl Secrets {
    /// Adds the value of a variable such as `OPENAI_API_KEY`; blank ones count as not set.
    #[must_use]
    pub fn with_variable(mut self, name: impl Into<String>, value: impl Into<SecretString>) -> Self {
        let value = value.into();
        if !value.expose_secret().trim().is_empty() {
            self.variables.insert(name.into(), value);
        }
        self
    }

    /// Adds a key store, which is queried only when a key is needed.
    #[must_use]
    pub fn with_lookup<F>(mut self, lookup: impl Fn(KeyOwner) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Option<SecretString>>> + Send + 'static,
    {
        self.lookup = Some(Arc::new(move |owner| Box::pin(lookup(owner))));
        self
    }

    /// The value of a variable.
    pub(super) fn variable(&self, name: &str) -> Option<SecretString> {
        self.variables.get(name).cloned()
    }

    /// The value of a variable that is no secret, such as an address.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.variables.get(name).map(|value| value.expose_secret().to_owned())
    }

    /// A stored key.
    pub(super) async fn stored(&self, owner: KeyOwner) -> Result<Option<SecretString>> {
        match &self.lookup {
            Some(lookup) => lookup(owner).await,
            None => Ok(None),
        }
    }
}
