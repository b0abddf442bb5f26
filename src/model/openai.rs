//! A model behind an OpenAI-compatible `/chat/completions`.

mod request;
mod stream;

use std::fmt;

use serde_json::Value;

use super::adapt::Adapted;
use super::body::Body;
use super::reply;
use super::wire::{Relay, Remote, Wire};
use super::{ChatConfig, Question};
use crate::error::Result;
use crate::message::Answer;
use crate::service::{Failure, Server, ServerConfig, tidy};

/// A model behind an OpenAI-compatible server; cloning shares its connections and what it learnt of the model.
#[derive(Clone)]
pub struct OpenAi {
    remote: Remote,
}

impl OpenAi {
    /// Checks the configuration; connects to nothing.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::Error::Usage) where a parameter is out of its range or known not to be taken under
    /// `strict_params`, the model has no name, or the key would be sent unencrypted;
    /// [`Error::Service`](crate::Error::Service) where the machine has no working TLS.
    pub fn new(config: ChatConfig) -> Result<Self> {
        Ok(Self { remote: Remote::new(config)? })
    }
}

impl Wire for OpenAi {
    const PATH: &'static [&'static str] = &["chat", "completions"];
    type Reader<'r> = stream::Reader<'r>;

    fn remote(&self) -> &Remote {
        &self.remote
    }

    fn with_remote(&self, remote: Remote) -> Self {
        Self { remote }
    }

    fn body(&self, question: &Question<'_>, sent: &Adapted) -> Body {
        request::body(&self.remote.config, sent, question)
    }

    fn read(reply: &Value) -> Result<Answer, Failure> {
        reply::read(reply)
    }

    fn reader<'r>(server: &'r Server, relay: &'r Relay<'r>, max_bytes: usize) -> Self::Reader<'r> {
        stream::Reader::new(server, relay, max_bytes)
    }
}

impl fmt::Debug for OpenAi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAi").field("config", &self.remote.config).finish_non_exhaustive()
    }
}

/// The names of the models that a server offers, in its order.
///
/// # Errors
/// [`Error::Service`](crate::Error::Service) where it does not answer or has no such list; as [`OpenAi::new`] for the
/// configuration.
pub async fn list_models(server: ServerConfig) -> Result<Vec<String>> {
    let server = Server::new(server)?;
    let names = |reply: serde_json::Value| {
        let models = reply.get("data").and_then(|data| data.as_array()).cloned().unwrap_or_default();
        Ok(models.iter().filter_map(|model| model.get("id")?.as_str().map(tidy)).collect())
    };
    let (names, _) = server.get(&["models"], names).await.map_err(|failure| failure.into_error(server.name()))?;
    Ok(names)
}
