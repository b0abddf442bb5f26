//! `OpenAI`'s batches: `/files` and `/batches` (openapi.json 2.3.0, `createFile`, `createBatch`, `retrieveBatch`).

use std::path::Path;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use super::transfer::{chunks, id};
use super::types::{BatchEnd, BatchState};
use crate::error::Result;
use crate::http::{ApiClient, RequestError, RequestErrorKind, tidy};

pub(super) async fn upload(server: &ApiClient, requests: &Path, n_bytes: u64) -> Result<String, RequestError> {
    let form = || {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/jsonl"))]);
        let body = reqwest::Body::wrap_stream(chunks(requests));
        let file = Part::stream_with_length(body, n_bytes).file_name("requests.jsonl").headers(headers);
        Form::new().text("purpose", "batch").part("file", file)
    };
    let (file, _) = server.post(&["files"], 0, |request| request.multipart(form()), |reply| id(&reply, "id")).await?;
    Ok(file)
}

pub(super) async fn create(server: &ApiClient, input_file: &str, url: &str) -> Result<String, RequestError> {
    let body = json!({"input_file_id": input_file, "endpoint": url, "completion_window": "24h"});
    let (batch, _) = server.post(&["batches"], 0, |request| request.json(&body), |reply| id(&reply, "id")).await?;
    Ok(batch)
}

pub(super) fn state(server: &ApiClient, batch: &Value) -> Result<BatchState, RequestError> {
    let counts = &batch["request_counts"];
    let count = |name: &str| counts[name].as_u64().unwrap_or_default();
    let end = match batch["status"].as_str().unwrap_or_default() {
        "validating" | "in_progress" | "finalizing" | "cancelling" => None,
        status @ ("completed" | "expired" | "cancelled" | "failed") => {
            let files = ["output_file_id", "error_file_id"].iter().filter_map(|name| id(batch, name).ok());
            let files: Vec<String> = files.collect();
            Some(if files.is_empty() {
                BatchEnd::Refused(reason(server, batch, status))
            } else {
                BatchEnd::Results(files)
            })
        }
        other => {
            return Err(RequestError::new(
                RequestErrorKind::InvalidBody,
                format!("the batch's status is {:?}", tidy(other)),
                "",
            ));
        }
    };
    Ok(BatchState { n_done: count("completed").saturating_add(count("failed")), end })
}

fn reason(server: &ApiClient, batch: &Value, status: &str) -> String {
    let errors = batch["errors"]["data"].as_array().cloned().unwrap_or_default();
    let messages: Vec<String> = errors.iter().take(3).map(|error| server.error_from_object(error).problem).collect();
    if messages.is_empty() {
        format!("the batch {status}")
    } else {
        format!("the batch {status}: {}", messages.join("; "))
    }
}

/// The reply in a line of results.
pub(super) fn reply<'a>(server: &ApiClient, line: &'a Value) -> Result<&'a Value, RequestError> {
    if let Some(error) = line.get("error").filter(|error| !error.is_null()) {
        return Err(server.error_from_object(error));
    }
    let response = &line["response"];
    match response["status_code"].as_u64() {
        Some(200..=299) => Ok(&response["body"]),
        Some(status) => Err(server.error_from_response(status as u16, &response["body"])),
        None => Err(RequestError::new(RequestErrorKind::InvalidBody, "the result has no response", "")),
    }
}
