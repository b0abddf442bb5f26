//! Models behind an OpenAI-compatible `/chat/completions`.

mod request;
mod stream;

use std::fmt;

use serde_json::Value;

use super::body::RequestBody;
use super::config::ChatConfig;
use super::dialect::Dialect;
use super::remote::RemoteModel;
use super::reply;
use super::request::ChatRequest;
use super::stream_writer::StreamWriter;
use super::supported_params::AcceptedParams;
use crate::chat::ChatResponse;
use crate::error::Result;
use crate::http::{ApiClient, RequestError, ServerConfig, tidy};

/// A model behind an OpenAI-compatible server. Clones share connections and what was learnt about parameters.
#[derive(Clone)]
pub struct OpenAi {
    remote: RemoteModel,
}

impl OpenAi {
    /// Checks the configuration. Sends nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where a parameter is out of range or unsupported under
    /// `strict_params`, the model has no name, or the key would be sent unencrypted;
    /// [`ErrorKind::Service`](crate::ErrorKind::Service) where the machine has no working TLS.
    pub fn new(config: ChatConfig) -> Result<Self> {
        Ok(Self { remote: RemoteModel::new(config)? })
    }
}

impl Dialect for OpenAi {
    const PATH: &'static [&'static str] = &["chat", "completions"];
    type Reader<'r> = stream::OpenAiStream<'r>;

    fn remote(&self) -> &RemoteModel {
        &self.remote
    }

    fn with_remote(&self, remote: RemoteModel) -> Self {
        Self { remote }
    }

    fn body(&self, request: &ChatRequest<'_>, accepted: &AcceptedParams) -> Result<RequestBody, RequestError> {
        request::body(&self.remote.config, accepted, request)
    }

    fn read(reply: &Value) -> Result<ChatResponse, RequestError> {
        reply::read(reply)
    }

    fn reader<'r>(server: &'r ApiClient, writer: &'r StreamWriter<'r>, max_bytes: usize) -> Self::Reader<'r> {
        stream::OpenAiStream::new(server, writer, max_bytes)
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
/// [`ErrorKind::Service`](crate::ErrorKind::Service) where the server does not answer or has no list; as [`OpenAi::new`] for the
/// configuration.
pub async fn list_models(server: ServerConfig) -> Result<Vec<String>> {
    let server = ApiClient::new(server)?;
    let names = |reply: serde_json::Value| {
        let models = reply.get("data").and_then(|data| data.as_array()).cloned().unwrap_or_default();
        Ok(models.iter().filter_map(|model| model.get("id")?.as_str().map(tidy)).collect())
    };
    let (names, _) = server.get(&["models"], names).await.map_err(|failure| failure.into_error(server.name()))?;
    Ok(names)
}
