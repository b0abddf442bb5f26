//! Anthropic's batches: `/messages/batches` (the shapes of anthropic-py's `types.messages`).

use std::path::Path;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use serde_json::Value;

use super::transfer::{chunks, id};
use super::types::{BatchEnd, BatchState};
use crate::error::Result;
use crate::http::{ApiClient, RequestError, RequestErrorKind, tidy};

const OPEN: &[u8] = b"{\"requests\":[";
const CLOSE: &[u8] = b"]}";

/// Posts the lines of a file as one list. A line feed always separates two lines: inside JSON strings it is escaped.
pub(super) async fn create(server: &ApiClient, requests: &Path, n_bytes: u64) -> Result<String, RequestError> {
    let n_listed = n_bytes.saturating_sub(1);
    let body = || {
        let mut left = usize::try_from(n_listed).unwrap_or(usize::MAX);
        let listed = chunks(requests).map_ok(move |chunk| {
            let kept = chunk.slice(..chunk.len().min(left));
            left -= kept.len();
            kept.iter().map(|byte| if *byte == b'\n' { b',' } else { *byte }).collect::<Bytes>()
        });
        let part = |bytes: &'static [u8]| stream::iter([Ok(Bytes::from_static(bytes))]);
        reqwest::Body::wrap_stream(part(OPEN).chain(listed).chain(part(CLOSE)))
    };
    let n_bytes = n_listed + (OPEN.len() + CLOSE.len()) as u64;
    let fill = |request: reqwest::RequestBuilder| {
        request.header(CONTENT_TYPE, "application/json").header(CONTENT_LENGTH, n_bytes).body(body())
    };
    let (batch, _) = server.post(&["messages", "batches"], 0, fill, |reply| id(&reply, "id")).await?;
    Ok(batch)
}

/// The number of completed requests of a batch, and of all requests.
fn counts(batch: &Value) -> Option<(u64, u64)> {
    let counts = batch["request_counts"].as_object()?;
    let count = |name: &str| counts.get(name).and_then(Value::as_u64).unwrap_or_default();
    let n_done = ["succeeded", "errored", "canceled", "expired"].iter().map(|name| count(name)).sum::<u64>();
    Some((n_done, n_done.saturating_add(count("processing"))))
}

pub(super) fn n_requests(batch: &Value) -> Option<u64> {
    counts(batch).map(|(_, n_all)| n_all)
}

pub(super) fn state(reply: &Value, batch: &str) -> Result<BatchState, RequestError> {
    let end = match reply["processing_status"].as_str().unwrap_or_default() {
        "in_progress" | "canceling" => None,
        // The URL of the results is not used, so that the key reaches no other host.
        "ended" => Some(BatchEnd::Results(vec![batch.to_owned()])),
        other => {
            return Err(RequestError::new(
                RequestErrorKind::InvalidBody,
                format!("the batch's status is {:?}", tidy(other)),
                "",
            ));
        }
    };
    Ok(BatchState { n_done: counts(reply).map_or(0, |(n_done, _)| n_done), end })
}

/// The reply in a line of results.
pub(super) fn reply<'a>(server: &ApiClient, line: &'a Value) -> Result<&'a Value, RequestError> {
    let result = &line["result"];
    match result["type"].as_str().unwrap_or_default() {
        "succeeded" => Ok(&result["message"]),
        // The error is nested.
        "errored" => Err(server.error_from_object(result["error"].get("error").unwrap_or(&result["error"]))),
        "expired" => Err(RequestError::new(
            RequestErrorKind::Final,
            "the batch expired before the request was answered",
            "send the request again",
        )),
        "canceled" => {
            Err(RequestError::new(RequestErrorKind::Final, "the batch was cancelled", "send the request again"))
        }
        other => {
            Err(RequestError::new(RequestErrorKind::InvalidBody, format!("the result's type is {:?}", tidy(other)), ""))
        }
    }
}
