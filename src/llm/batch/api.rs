//! The operations of a batch API.

use std::fmt;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use serde_json::Value;

use super::files;
use super::messages;
use super::transfer::{TemporaryResults, id, temporary_file};
use super::types::{BatchState, BatchSummary, Created};
use crate::chat::ChatResponse;
use crate::error::{Error, Result};
use crate::http::{ApiClient, RequestError, RequestErrorKind, tidy};
use crate::llm::batch_support::{BatchDialect, BatchSupport};
use crate::llm::body::RequestBody;
use crate::llm::cost::Prices;

/// The batch API of one model. Clones share connections.
#[derive(Clone)]
pub struct BatchApi {
    server: ApiClient,
    support: BatchSupport,
    prices: Prices,
    path: &'static [&'static str],
    read: fn(&Value) -> Result<ChatResponse, RequestError>,
}

impl BatchApi {
    /// The batch API at `server`. `path` is that of each request, `read` reads the reply to one.
    pub(in crate::llm) fn new(
        server: ApiClient,
        support: BatchSupport,
        prices: Prices,
        path: &'static [&'static str],
        read: fn(&Value) -> Result<ChatResponse, RequestError>,
    ) -> Self {
        Self { server, support, prices, path, read }
    }

    /// The protocol and the limits of a batch.
    #[must_use]
    pub fn support(&self) -> BatchSupport {
        self.support
    }

    /// Host, and port where it is not the default one.
    #[must_use]
    pub fn server_name(&self) -> &str {
        self.server.name()
    }

    /// Appends one request to a file, as a line; its result has the same `id`.
    ///
    /// # Errors
    /// Those of `file`.
    pub fn write_request(&self, id: &str, body: &RequestBody, file: &mut BufWriter<File>) -> std::io::Result<()> {
        let id = Value::from(id);
        match self.support.dialect {
            BatchDialect::Files => {
                let url = Value::from(self.url());
                write!(file, "{{\"custom_id\":{id},\"method\":\"POST\",\"url\":{url},\"body\":")?;
            }
            BatchDialect::Messages => write!(file, "{{\"custom_id\":{id},\"params\":")?,
        }
        body.chunks().try_for_each(|chunk| file.write_all(&chunk))?;
        file.write_all(b"}\n")
    }

    /// The path of each request, as a file of requests names it.
    fn url(&self) -> String {
        format!("/v1/{}", self.path.join("/"))
    }

    /// Uploads a file of requests and returns its id; None where [`BatchApi::create`] sends the file. A repeated upload
    /// costs nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Service`](crate::ErrorKind::Service), [`ErrorKind::Limit`](crate::ErrorKind::Limit) where it is too large, [`ErrorKind::Io`](crate::ErrorKind::Io) about the file.
    pub async fn upload(&self, requests: &Path) -> Result<Option<String>> {
        let n_bytes = std::fs::metadata(requests).map_err(|error| Error::io(requests, error))?.len();
        match self.support.dialect {
            BatchDialect::Files => self.to_result(files::upload(&self.server, requests, n_bytes).await).map(Some),
            BatchDialect::Messages => Ok(None),
        }
    }

    /// Creates a batch. There are no retries, since a batch that is created twice is charged twice.
    ///
    /// # Errors
    /// As [`BatchApi::upload`]; the batch was not created.
    pub async fn create(&self, input_file: Option<&str>, requests: &Path) -> Result<Created> {
        let once = self.server.without_retries();
        let created = if let Some(id) = input_file {
            files::create(&once, id, &self.url()).await
        } else {
            let n_bytes = std::fs::metadata(requests).map_err(|error| Error::io(requests, error))?.len();
            messages::create(&once, requests, n_bytes).await
        };
        match created {
            Err(failure) if may_have_succeeded(failure.kind) => Ok(Created::Unknown(failure.problem)),
            created => self.to_result(created).map(Created::Batch),
        }
    }

    /// The newest batches of the account, 100 at most.
    ///
    /// # Errors
    /// [`ErrorKind::Service`](crate::ErrorKind::Service).
    pub async fn list(&self) -> Result<Vec<BatchSummary>> {
        let read = |reply: Value| {
            let invalid = || RequestError::new(RequestErrorKind::InvalidBody, "the reply is not a list of batches", "");
            let listed = reply["data"].as_array().ok_or_else(invalid)?;
            Ok(listed.iter().filter_map(|batch| self.summary(batch)).collect())
        };
        let listed = self.server.get_with(self.batches(), &[("limit", "100")], read).await;
        self.to_result(listed.map(|(listed, _)| listed))
    }

    fn summary(&self, batch: &Value) -> Option<BatchSummary> {
        let n_requests = match self.support.dialect {
            BatchDialect::Files => batch["request_counts"]["total"].as_u64().filter(|n| *n > 0),
            BatchDialect::Messages => messages::n_requests(batch),
        };
        let created_at = batch["created_at"].as_str().map(tidy);
        Some(BatchSummary {
            id: id(batch, "id").ok()?,
            input_file: id(batch, "input_file_id").ok(),
            n_requests,
            created_at,
        })
    }

    /// The progress of a batch.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where the provider does not know the batch, with this key at this address; [`ErrorKind::Service`](crate::ErrorKind::Service).
    pub async fn status(&self, batch: &str) -> Result<BatchState> {
        let path = [self.batches(), &[batch]].concat();
        let read = |reply: Value| match self.support.dialect {
            BatchDialect::Files => files::state(&self.server, &reply),
            BatchDialect::Messages => messages::state(&reply, batch),
        };
        match self.server.get(&path, read).await {
            Err(failure) if failure.kind == RequestErrorKind::Status(404) => {
                let problem = format!("does not know the batch {batch}: {}", failure.problem);
                let advice = "use the key and the base URL that the batch was created with";
                Err(Error::usage(self.server.name(), problem, advice))
            }
            status => self.to_result(status.map(|(state, _)| state)),
        }
    }

    /// Appends one file of [`BatchEnd::Results`](super::BatchEnd::Results) to a local file.
    ///
    /// # Errors
    /// [`ErrorKind::Service`](crate::ErrorKind::Service), [`ErrorKind::Limit`](crate::ErrorKind::Limit) where they are too large, [`ErrorKind::Io`](crate::ErrorKind::Io) about the file.
    pub async fn download(&self, result: &str, into: &Path) -> Result<()> {
        let path: &[&str] = match self.support.dialect {
            BatchDialect::Files => &["files", result, "content"],
            BatchDialect::Messages => &["messages", "batches", result, "results"],
        };
        let begin = || TemporaryResults { file: temporary_file(into) };
        let mut saved = self.to_result(self.server.get_stream(path, begin).await.map(|(file, _)| file))?;
        let io = |error| Error::io(into, error);
        std::io::Seek::rewind(&mut saved).map_err(io)?;
        let mut file = File::options().create(true).append(true).open(into).map_err(io)?;
        std::io::copy(&mut saved, &mut file).and_then(|_| file.sync_all()).map_err(io)
    }

    /// Deletes a file at the provider: requests contain images, results describe them.
    ///
    /// # Errors
    /// [`ErrorKind::Service`](crate::ErrorKind::Service).
    pub async fn delete(&self, file: &str) -> Result<()> {
        match self.support.dialect {
            BatchDialect::Files => self.to_result(self.server.delete(&["files", file]).await),
            BatchDialect::Messages => self.to_result(self.server.delete(&["messages", "batches", file]).await),
        }
    }

    /// Parses a line of results: the request's id, and its response or the reason for its failure. None for an invalid line.
    #[must_use]
    pub fn read_line(&self, line: &str) -> Option<(String, Result<ChatResponse, String>)> {
        let line: Value = serde_json::from_str(line).ok()?;
        let id = line["custom_id"].as_str()?.to_owned();
        let reply = match self.support.dialect {
            BatchDialect::Files => files::reply(&self.server, &line),
            BatchDialect::Messages => messages::reply(&self.server, &line),
        };
        let response = reply.and_then(self.read).map(|mut response| {
            response.cost = response.usage.and_then(|usage| self.prices.cost(&usage)).map(crate::money::Money::half);
            response
        });
        Some((id, self.to_result(response).map_err(|error| error.to_string())))
    }

    fn batches(&self) -> &'static [&'static str] {
        match self.support.dialect {
            BatchDialect::Files => &["batches"],
            BatchDialect::Messages => &["messages", "batches"],
        }
    }

    fn to_result<T>(&self, outcome: Result<T, RequestError>) -> Result<T> {
        outcome.map_err(|failure| failure.into_error(self.server.name()))
    }
}

impl fmt::Debug for BatchApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchApi").field("server", &self.server).field("support", &self.support).finish_non_exhaustive()
    }
}

/// Whether the server may have processed a request that failed in this way.
fn may_have_succeeded(kind: RequestErrorKind) -> bool {
    matches!(
        kind,
        RequestErrorKind::Timeout
            | RequestErrorKind::Broken
            | RequestErrorKind::InvalidBody
            | RequestErrorKind::Status(500..=599)
    )
}
