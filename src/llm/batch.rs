//! A provider's batch API: questions that are answered within a day, for half the price.
//!
//! ```text
//! requests.jsonl -> upload -> create -> look, look, … -> results.jsonl, a line for each request, in any order
//! ```
//!
//! What is sent and what comes back lies in files, so that memory stays flat and nothing is lost at a restart.

mod files;
mod messages;

use std::fmt;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _, stream};
use serde::Deserialize;
use serde_json::Value;
use tokio::io::AsyncReadExt as _;

use super::body::RequestBody;
use super::cost::Prices;
use super::dialect::RemoteModel;
use crate::chat::ChatResponse;
use crate::error::{Error, Result};
use crate::http::{ApiClient, ReadStream, RequestError, RequestErrorKind, tidy};

/// Bytes of a file in one chunk.
const CHUNK_BYTES: usize = 64 << 10;
/// An id that is longer is none.
const MAX_ID_BYTES: usize = 256;

/// How a provider's batch API is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BatchDialect {
    /// `OpenAI`'s: a file is uploaded to `/files`, and `/batches` names it.
    Files,
    /// Anthropic's: the requests themselves are posted to `/messages/batches`.
    Messages,
}

/// What a provider's batch API is, and how much it takes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchTerms {
    /// How it is spoken to.
    pub dialect: BatchDialect,
    /// Most requests of one batch.
    pub max_requests: usize,
    /// Most bytes of them together.
    pub max_bytes: u64,
}

/// One model's questions as batches; cloning shares connections.
#[derive(Clone)]
pub struct BatchApi {
    server: ApiClient,
    terms: BatchTerms,
    prices: Prices,
    path: &'static [&'static str],
    read: fn(&Value) -> Result<ChatResponse, RequestError>,
}

/// What came of creating a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// It was created, and has this id.
    Batch(String),
    /// No answer came, for this reason, and it may have been created: [`BatchApi::list`] tells.
    Perhaps(String),
}

/// A batch as its provider lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// The file of its requests; None where they came without one.
    pub input_file: Option<String>,
    /// How many requests it holds; None where the provider has not counted them yet.
    pub n_requests: Option<u64>,
    /// When it was created, as the provider writes it; None where it does not say so in a text.
    pub created_at: Option<String>,
}

/// How far a batch is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchState {
    /// Requests that are answered, or failed.
    pub n_done: u64,
    /// How it ended; None while it has not.
    pub end: Option<BatchEnd>,
}

/// How a batch ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchEnd {
    /// There are results, if perhaps not for all: in these files, for [`BatchApi::fetch`].
    Results(Vec<String>),
    /// It was refused as a whole, for this reason.
    Refused(String),
}

impl BatchApi {
    /// The batch API behind `remote`; None where its provider has none that is known.
    pub(super) fn of(
        remote: &RemoteModel,
        path: &'static [&'static str],
        read: fn(&Value) -> Result<ChatResponse, RequestError>,
    ) -> Option<Self> {
        let prices = remote.config.facts.as_ref().map(super::CatalogEntry::prices).unwrap_or_default();
        Some(Self { server: remote.server.clone(), terms: remote.config.provider.batch?, prices, path, read })
    }

    /// How much one batch takes.
    #[must_use]
    pub fn terms(&self) -> BatchTerms {
        self.terms
    }

    /// Host, and port where it is not the usual one.
    #[must_use]
    pub fn server_name(&self) -> &str {
        self.server.name()
    }

    /// Appends one request to a file of them, as a line; `id` comes back with its answer.
    ///
    /// # Errors
    /// Those of `file`.
    pub fn write_request(&self, id: &str, body: &RequestBody, file: &mut BufWriter<File>) -> std::io::Result<()> {
        let id = Value::from(id);
        match self.terms.dialect {
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

    /// Uploads a file of requests; the id of it, or None where [`BatchApi::create`] sends it itself. Doing it twice costs
    /// nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Service`](crate::ErrorKind::Service), [`ErrorKind::Limit`](crate::ErrorKind::Limit) where it is too large, [`ErrorKind::Io`](crate::ErrorKind::Io) about the file.
    pub async fn upload(&self, requests: &Path) -> Result<Option<String>> {
        let n_bytes = std::fs::metadata(requests).map_err(|error| Error::io(requests, error))?.len();
        match self.terms.dialect {
            BatchDialect::Files => self.told(files::upload(&self.server, requests, n_bytes).await).map(Some),
            BatchDialect::Messages => Ok(None),
        }
    }

    /// Creates a batch. One try, since a batch that is created twice is paid for twice.
    ///
    /// # Errors
    /// As [`BatchApi::upload`]; no batch was created then.
    pub async fn create(&self, input_file: Option<&str>, requests: &Path) -> Result<Created> {
        let once = self.server.without_retries();
        let created = if let Some(id) = input_file {
            files::create(&once, id, &self.url()).await
        } else {
            let n_bytes = std::fs::metadata(requests).map_err(|error| Error::io(requests, error))?.len();
            messages::create(&once, requests, n_bytes).await
        };
        match created {
            Err(failure) if is_unsure(failure.kind) => Ok(Created::Perhaps(failure.problem)),
            created => self.told(created).map(Created::Batch),
        }
    }

    /// The newest batches of the account, 100 at most.
    ///
    /// # Errors
    /// [`ErrorKind::Service`](crate::ErrorKind::Service).
    pub async fn list(&self) -> Result<Vec<Listed>> {
        let read = |reply: Value| {
            let none = || RequestError::new(RequestErrorKind::Garbled, "the reply is no list of batches", "");
            let listed = reply["data"].as_array().ok_or_else(none)?;
            Ok(listed.iter().filter_map(|batch| self.listed(batch)).collect())
        };
        let listed = self.server.get_with(self.batches(), &[("limit", "100")], read).await;
        self.told(listed.map(|(listed, _)| listed))
    }

    fn listed(&self, batch: &Value) -> Option<Listed> {
        let n_requests = match self.terms.dialect {
            BatchDialect::Files => batch["request_counts"]["total"].as_u64().filter(|n| *n > 0),
            BatchDialect::Messages => messages::n_requests(batch),
        };
        let created_at = batch["created_at"].as_str().map(tidy);
        Some(Listed { id: id(batch, "id").ok()?, input_file: id(batch, "input_file_id").ok(), n_requests, created_at })
    }

    /// How far a batch is.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where the provider does not know it, with this key at this address; [`ErrorKind::Service`](crate::ErrorKind::Service).
    pub async fn look(&self, batch: &str) -> Result<BatchState> {
        let path = [self.batches(), &[batch]].concat();
        let read = |reply: Value| match self.terms.dialect {
            BatchDialect::Files => files::state(&self.server, &reply),
            BatchDialect::Messages => messages::state(&reply, batch),
        };
        match self.server.get(&path, read).await {
            Err(failure) if failure.kind == RequestErrorKind::Status(404) => {
                let problem = format!("does not know the batch {batch}: {}", failure.problem);
                let advice = "use the key and the address that it was sent with";
                Err(Error::usage(self.server.name(), problem, advice))
            }
            looked => self.told(looked.map(|(state, _)| state)),
        }
    }

    /// Appends the results in one of [`BatchEnd::Results`] to a file.
    ///
    /// # Errors
    /// [`ErrorKind::Service`](crate::ErrorKind::Service), [`ErrorKind::Limit`](crate::ErrorKind::Limit) where they are too large, [`ErrorKind::Io`](crate::ErrorKind::Io) about the file.
    pub async fn fetch(&self, result: &str, into: &Path) -> Result<()> {
        let path: &[&str] = match self.terms.dialect {
            BatchDialect::Files => &["files", result, "content"],
            BatchDialect::Messages => &["messages", "batches", result, "results"],
        };
        let begin = || Saved { file: tempfile_in(into) };
        let mut saved = self.told(self.server.get_pieces(path, begin).await.map(|(file, _)| file))?;
        let io = |error| Error::io(into, error);
        std::io::Seek::rewind(&mut saved).map_err(io)?;
        let mut file = File::options().create(true).append(true).open(into).map_err(io)?;
        std::io::copy(&mut saved, &mut file).and_then(|_| file.sync_all()).map_err(io)
    }

    /// Has the provider forget a file: requests hold pictures, and results what is seen in them.
    ///
    /// # Errors
    /// [`ErrorKind::Service`](crate::ErrorKind::Service).
    pub async fn forget(&self, file: &str) -> Result<()> {
        match self.terms.dialect {
            BatchDialect::Files => self.told(self.server.delete(&["files", file]).await),
            BatchDialect::Messages => self.told(self.server.delete(&["messages", "batches", file]).await),
        }
    }

    /// Reads a line of results: the request's id, and its answer or why there is none. None where the line is none.
    #[must_use]
    pub fn read_line(&self, line: &str) -> Option<(String, Result<ChatResponse, String>)> {
        let line: Value = serde_json::from_str(line).ok()?;
        let id = line["custom_id"].as_str()?.to_owned();
        let reply = match self.terms.dialect {
            BatchDialect::Files => files::reply(&self.server, &line),
            BatchDialect::Messages => messages::reply(&self.server, &line),
        };
        let answer = reply.and_then(self.read).map(|mut answer| {
            answer.cost = answer.usage.and_then(|usage| self.prices.cost(&usage)).map(crate::money::Money::half);
            answer
        });
        Some((id, self.told(answer).map_err(|error| error.to_string())))
    }

    fn batches(&self) -> &'static [&'static str] {
        match self.terms.dialect {
            BatchDialect::Files => &["batches"],
            BatchDialect::Messages => &["messages", "batches"],
        }
    }

    fn told<T>(&self, outcome: Result<T, RequestError>) -> Result<T> {
        outcome.map_err(|failure| failure.into_error(self.server.name()))
    }
}

impl fmt::Debug for BatchApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchApi").field("server", &self.server).field("terms", &self.terms).finish_non_exhaustive()
    }
}

/// Whether a request that failed so may have been heeded all the same.
fn is_unsure(kind: RequestErrorKind) -> bool {
    matches!(
        kind,
        RequestErrorKind::Timeout
            | RequestErrorKind::Broken
            | RequestErrorKind::Garbled
            | RequestErrorKind::Status(500..=599)
    )
}

/// An id in a reply, which goes into paths of later requests.
fn id(reply: &Value, name: &str) -> Result<String, RequestError> {
    let id = reply[name].as_str().unwrap_or_default();
    let is_sound = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':' | b'.');
    if (1..=MAX_ID_BYTES).contains(&id.len()) && id.bytes().all(is_sound) && !id.bytes().all(|byte| byte == b'.') {
        return Ok(id.to_owned());
    }
    Err(RequestError::new(
        RequestErrorKind::Garbled,
        format!("the reply's {name} is no id: {}", tidy(&reply[name].to_string())),
        "",
    ))
}

/// A file's bytes in chunks; opened when the first is asked for, so that each try begins at its start.
fn chunks(path: &Path) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    let path = path.to_owned();
    stream::once(async move { tokio::fs::File::open(path).await })
        .map_ok(|file| {
            stream::try_unfold(file, async |mut file| {
                let mut chunk = vec![0; CHUNK_BYTES];
                let n = file.read(&mut chunk).await?;
                chunk.truncate(n);
                Ok((n > 0).then(|| (Bytes::from(chunk), file)))
            })
        })
        .try_flatten()
}

/// Results on their way into a file of their own: a try that breaks leaves nothing in the file that is kept.
struct Saved {
    file: std::io::Result<File>,
}

fn tempfile_in(beside: &Path) -> std::io::Result<File> {
    tempfile::tempfile_in(beside.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

impl ReadStream for Saved {
    type Output = File;

    fn feed(&mut self, bytes: &[u8]) -> Result<(), RequestError> {
        let written = match &mut self.file {
            Ok(file) => file.write_all(bytes),
            Err(error) => Err(std::io::Error::new(error.kind(), error.to_string())),
        };
        written
            .map_err(|error| RequestError::new(RequestErrorKind::Final, format!("results cannot be kept: {error}"), ""))
    }

    fn finish(self) -> Result<File, RequestError> {
        self.file
            .map_err(|error| RequestError::new(RequestErrorKind::Final, format!("results cannot be kept: {error}"), ""))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_goes_into_a_path_is_an_id() {
        for sound in ["batch_6903", "msgbatch_01Hk", "file-abc:1.2"] {
            assert_eq!(id(&json!({"id": sound}), "id").expect(sound), sound);
        }
        for bad in [json!(null), json!(7), json!(""), json!(".."), json!("a/b"), json!("a?b"), json!("a".repeat(300))] {
            assert!(id(&json!({ "id": bad }), "id").is_err(), "{bad}");
        }
    }
}
