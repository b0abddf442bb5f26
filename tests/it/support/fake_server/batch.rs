//! Batches: `OpenAI`'s `/files` and `/batches`, Anthropic's `/messages/batches`. Each request in one is read as strictly as
//! if it had come by itself; results come in another order than requests.

use std::collections::{BTreeMap, HashSet};

use axum::body::Body;
use axum::extract::{FromRequest as _, Multipart};
use serde_json::{Value, json};

use super::chat::{Chat, object};
use super::http::{Refusal, Reply, Request, header};
use super::{anthropic, chat, described};

/// How batches go.
#[derive(Clone, Debug)]
pub struct Course {
    /// Looks at a batch before it has ended.
    pub n_looks: usize,
    /// Requests, by their place from 0, that fail.
    pub failing: Vec<usize>,
    /// Requests that no result is there for.
    pub missing: Vec<usize>,
    /// Whether the batch is refused as a whole.
    pub is_refused: bool,
}

impl Default for Course {
    fn default() -> Self {
        Self { n_looks: 1, failing: Vec::new(), missing: Vec::new(), is_refused: false }
    }
}

/// What the account holds.
#[derive(Default)]
pub(super) struct Account {
    pub course: Course,
    files: BTreeMap<String, String>,
    batches: Vec<Batch>,
    n_ids: usize,
    /// Requests of all batches.
    pub chats: Vec<Chat>,
}

struct Batch {
    id: String,
    input_file: Option<String>,
    results: Vec<String>,
    errors: Vec<String>,
    n_requests: usize,
    n_looks_left: usize,
    is_refused: bool,
    output_files: Option<(String, String)>,
}

impl Account {
    fn id(&mut self, kind: &str) -> String {
        self.n_ids += 1;
        format!("{kind}{}", self.n_ids)
    }

    /// Files that were not deleted.
    pub fn n_files(&self) -> usize {
        self.files.len()
    }

    /// Batches that were created and not deleted.
    pub fn n_batches(&self) -> usize {
        self.batches.len()
    }

    /// Serves what lies beneath `/v1/`: the path's parts. `upload` is the file that came, where one did.
    pub fn serve(
        &mut self,
        request: &Request,
        upload: Option<String>,
        key: Option<&str>,
    ) -> Result<(String, Reply), Refusal> {
        let not_found = || Refusal::new(404, "No such object", None, None);
        let (path, _) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let parts: Vec<&str> = path.trim_start_matches("/v1/").split('/').collect();
        let found = |what: &str, json: &Value| Ok((what.to_owned(), Reply::json(200, json)));
        match (request.method.as_str(), parts.as_slice()) {
            ("POST", ["files"]) => {
                let id = self.id("file-");
                let text = upload.ok_or_else(|| Refusal::new(400, "no file", None, None))?;
                let n_bytes = text.len();
                self.files.insert(id.clone(), text);
                found(
                    "upload",
                    &json!({"id": id, "object": "file", "bytes": n_bytes, "created_at": 0, "purpose": "batch",
                    "filename": "requests.jsonl", "status": "processed"}),
                )
            }
            ("GET", ["files", id, "content"]) => {
                let text = self.files.get(*id).ok_or_else(not_found)?;
                let headers = vec![("content-type", "application/octet-stream".to_owned())];
                Ok(("fetch".to_owned(), Reply { status: 200, headers, body: text.clone().into_bytes() }))
            }
            ("DELETE", ["files", id]) => {
                self.files.remove(*id).ok_or_else(not_found)?;
                found("forget", &json!({"id": id, "object": "file", "deleted": true}))
            }
            ("POST", ["batches"]) => {
                let batch = self.create(request)?;
                found("create", &batch)
            }
            ("GET", ["batches"]) => {
                let listed: Vec<Value> = self.of(false).map(Batch::json).collect();
                found("list", &json!({"object": "list", "data": listed, "has_more": false}))
            }
            ("GET", ["batches", id]) => {
                let at = self.batches.iter().position(|batch| batch.id == *id).ok_or_else(not_found)?;
                self.look(at);
                found("look", &self.batches[at].json())
            }
            ("POST", ["messages", "batches"]) => {
                let batch = self.create_messages(request, key)?;
                found("create", &batch)
            }
            ("GET", ["messages", "batches"]) => {
                let listed: Vec<Value> = self.of(true).map(|batch| batch.messages_json(request)).collect();
                found("list", &json!({"data": listed, "has_more": false, "first_id": null, "last_id": null}))
            }
            ("GET", ["messages", "batches", id]) => {
                let at = self.batches.iter().position(|batch| batch.id == *id).ok_or_else(not_found)?;
                let left = &mut self.batches[at].n_looks_left;
                *left = left.saturating_sub(1);
                found("look", &self.batches[at].messages_json(request))
            }
            ("GET", ["messages", "batches", id, "results"]) => {
                let batch = self.batches.iter().find(|batch| batch.id == *id).ok_or_else(not_found)?;
                let headers = vec![("content-type", "application/x-jsonl".to_owned())];
                Ok(("fetch".to_owned(), Reply { status: 200, headers, body: batch.results.concat().into_bytes() }))
            }
            ("DELETE", ["messages", "batches", id]) => {
                let at = self.batches.iter().position(|batch| batch.id == *id).ok_or_else(not_found)?;
                self.batches.remove(at);
                found("forget", &json!({"id": id, "type": "message_batch_deleted"}))
            }
            _ => Err(Refusal::new(404, format!("Invalid URL ({} {})", request.method, request.path), None, None)),
        }
    }

    /// Batches of Anthropic's, or of OpenAI's, the newest first.
    fn of(&self, is_messages: bool) -> impl Iterator<Item = &Batch> {
        self.batches.iter().rev().filter(move |batch| batch.input_file.is_none() == is_messages)
    }

    fn create(&mut self, request: &Request) -> Result<Value, Refusal> {
        let json: Value =
            serde_json::from_slice(&request.body).map_err(|_| Refusal::new(400, "no JSON", None, None))?;
        described(|judge| judge.judge_batch(&json))?;
        let top = object(&json, "the body", &["input_file_id", "endpoint", "completion_window"])?;
        let text = |name: &str| top.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        if (text("endpoint").as_str(), text("completion_window").as_str()) != ("/v1/chat/completions", "24h") {
            return Err(Refusal::new(400, format!("{json}"), None, None));
        }
        let input_file = text("input_file_id");
        let file = self.files.get(&input_file).ok_or_else(|| Refusal::new(400, "no such file", None, None))?.clone();
        let (mut results, mut errors, mut ids) = (Vec::new(), Vec::new(), HashSet::new());
        for (at, line) in file.lines().enumerate() {
            let line: Value =
                serde_json::from_str(line).map_err(|_| Refusal::new(400, "a line is no JSON", None, None))?;
            let keys = object(&line, "a line", &["custom_id", "method", "url", "body"])?;
            let id = keys.get("custom_id").and_then(Value::as_str).unwrap_or_default().to_owned();
            if id.is_empty()
                || !ids.insert(id.clone())
                || keys["method"] != "POST"
                || keys["url"] != "/v1/chat/completions"
            {
                return Err(Refusal::new(400, format!("line {at}: custom_id, method or url"), None, None));
            }
            let chat = chat::read(&alone(&keys["body"]))?;
            described(|judge| judge.judge_chat(&chat.json))?;
            let reply: Value = serde_json::from_slice(&chat.reply().body).expect("JSON");
            let push = |list: &mut Vec<String>, status: u16, body: &Value| {
                let response = json!({"status_code": status, "request_id": format!("req-{at}"), "body": body});
                let line =
                    json!({"id": format!("batch_req_{at}"), "custom_id": id, "response": response, "error": null});
                list.insert(0, format!("{line}\n"));
            };
            if self.course.failing.contains(&at) {
                let error = json!({"error": {"message": "The server had an error", "type": "server_error", "param": null,
                    "code": null}});
                push(&mut errors, 500, &error);
            } else if !self.course.missing.contains(&at) {
                push(&mut results, 200, &reply);
            }
            self.chats.push(chat);
        }
        let batch = self.keep(Some(input_file), results, errors, ids.len());
        Ok(batch.json())
    }

    fn keep(
        &mut self,
        input_file: Option<String>,
        results: Vec<String>,
        errors: Vec<String>,
        n_requests: usize,
    ) -> &Batch {
        let id = self.id("batch_");
        let (n_looks_left, is_refused) = (self.course.n_looks, self.course.is_refused);
        self.batches.push(Batch {
            id,
            input_file,
            results,
            errors,
            n_requests,
            n_looks_left,
            is_refused,
            output_files: None,
        });
        self.batches.last().expect("one")
    }

    fn look(&mut self, at: usize) {
        let left = &mut self.batches[at].n_looks_left;
        *left = left.saturating_sub(1);
        if *left == 0 && self.batches[at].output_files.is_none() && !self.batches[at].is_refused {
            let files = (self.id("file-"), self.id("file-"));
            let batch = &mut self.batches[at];
            self.files.insert(files.0.clone(), batch.results.concat());
            if !batch.errors.is_empty() {
                self.files.insert(files.1.clone(), batch.errors.concat());
            }
            batch.output_files = Some(files);
        }
    }

    fn create_messages(&mut self, request: &Request, key: Option<&str>) -> Result<Value, Refusal> {
        let json: Value =
            serde_json::from_slice(&request.body).map_err(|_| Refusal::new(400, "no JSON", None, None))?;
        let top = object(&json, "the body", &["requests"])?;
        let requests = top.get("requests").and_then(Value::as_array).cloned().unwrap_or_default();
        let (mut results, mut ids) = (Vec::new(), HashSet::new());
        for (at, one) in requests.iter().enumerate() {
            let keys = object(one, "a request", &["custom_id", "params"])?;
            let id = keys.get("custom_id").and_then(Value::as_str).unwrap_or_default().to_owned();
            let is_sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            if !(1..=64).contains(&id.len()) || !id.chars().all(is_sound) || !ids.insert(id.clone()) {
                return Err(Refusal::new(400, format!("custom_id {id:?}"), None, None));
            }
            let chat = anthropic::read(&Request { headers: request.headers.clone(), ..alone(&keys["params"]) }, key)?;
            let message: Value = serde_json::from_slice(&anthropic::reply(&chat).body).expect("JSON");
            let result = if self.course.failing.contains(&at) {
                let error = json!({"type": "api_error", "message": "Internal server error"});
                json!({"type": "errored", "error": {"type": "error", "error": error, "request_id": null}})
            } else if self.course.missing.contains(&at) {
                json!({"type": "expired"})
            } else {
                json!({"type": "succeeded", "message": message})
            };
            results.insert(0, format!("{}\n", json!({"custom_id": id, "result": result})));
            self.chats.push(chat);
        }
        if results.is_empty() {
            return Err(Refusal::new(400, "requests: at least one", None, None));
        }
        let batch = self.keep(None, results, Vec::new(), ids.len());
        Ok(batch.messages_json(request))
    }
}

/// A request of a batch as if it had come by itself.
fn alone(body: &Value) -> Request {
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    Request { method: "POST".into(), path: "/v1/chat/completions".into(), headers, body: body.to_string().into_bytes() }
}

impl Batch {
    fn has_ended(&self) -> bool {
        self.n_looks_left == 0
    }

    fn json(&self) -> Value {
        let has_ended = self.has_ended();
        let (status, errors) = match (has_ended, self.is_refused) {
            (false, _) => ("in_progress", Value::Null),
            (true, false) => ("completed", Value::Null),
            (true, true) => {
                let error = json!({"code": "token_limit_exceeded", "message": "Enqueued token limit reached", "line": null,
                    "param": null});
                ("failed", json!({"object": "list", "data": [error]}))
            }
        };
        let file = |file: &String| Value::from(file.clone());
        let files = self.output_files.as_ref().filter(|_| has_ended);
        let (n_failed, n_done) = if has_ended { (self.errors.len(), self.results.len()) } else { (0, 0) };
        let has_errors = !self.errors.is_empty();
        json!({"id": self.id, "object": "batch", "endpoint": "/v1/chat/completions", "errors": errors,
            "input_file_id": self.input_file, "completion_window": "24h", "status": status, "created_at": 0,
            "output_file_id": files.map(|files| file(&files.0)),
            "error_file_id": files.filter(|_| has_errors).map(|files| file(&files.1)),
            "request_counts": {"total": self.n_requests, "completed": n_done, "failed": n_failed}})
    }

    fn messages_json(&self, request: &Request) -> Value {
        let has_ended = self.has_ended();
        let host = header(&request.headers, "host").unwrap_or_default();
        let results_url = has_ended.then(|| format!("http://{host}/v1/messages/batches/{}/results", self.id));
        let n = |n: usize| if has_ended { n } else { 0 };
        let count = |kind: &str| n(self.results.iter().filter(|line| line.contains(&format!("{kind:?}"))).count());
        json!({"id": self.id, "type": "message_batch", "processing_status": if has_ended { "ended" } else { "in_progress" },
            "request_counts": {"processing": if has_ended { 0 } else { self.n_requests }, "succeeded": count("succeeded"),
                "errored": count("errored"), "canceled": 0, "expired": count("expired")},
            "created_at": "2026-11-24T00:00:00Z", "expires_at": "2026-11-25T00:00:00Z", "ended_at": null,
            "archived_at": null, "cancel_initiated_at": null, "results_url": results_url})
    }
}

/// The file of an upload, whose purpose is a batch.
pub(super) async fn upload(request: &Request) -> Result<Option<String>, Refusal> {
    let bad = |what: String| Refusal::new(400, what, None, None);
    if (request.method.as_str(), request.path.as_str()) != ("POST", "/v1/files") {
        return Ok(None);
    }
    let kind = header(&request.headers, "content-type").unwrap_or_default();
    let form = axum::extract::Request::builder()
        .header("content-type", kind)
        .body(Body::from(request.body.clone()))
        .map_err(|error| bad(error.to_string()))?;
    let mut form = Multipart::from_request(form, &()).await.map_err(|error| bad(error.to_string()))?;
    let (mut purpose, mut file) = (None, None);
    while let Some(field) = form.next_field().await.map_err(|error| bad(error.to_string()))? {
        let (name, file_name) = (field.name().map(str::to_owned), field.file_name().map(str::to_owned));
        let text = field.text().await.map_err(|error| bad(error.to_string()))?;
        match (name.as_deref(), file_name) {
            (Some("purpose"), None) => purpose = Some(text),
            (Some("file"), Some(name)) if name == "requests.jsonl" => file = Some(text),
            other => return Err(bad(format!("an unknown field: {other:?}"))),
        }
    }
    if purpose.as_deref() != Some("batch") {
        return Err(bad(format!("purpose: {purpose:?}")));
    }
    file.map(Some).ok_or_else(|| bad("there is no file".to_owned()))
}
