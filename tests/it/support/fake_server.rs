//! A server of the OpenAI API on this machine's loopback that is stricter than the real one: it refuses whatever the
//! API does not document, answers out of nothing but what it was sent, keeps every request, and misbehaves on demand.
//! Where OpenAI's own description is at hand, that is a second judge.
//!
//! Of a chat it lists the pictures that came: the label before each, the mark that the picture shows, the words that
//! follow. Of sound it tells where it is loud. So a test sees what a model would have seen, not what was meant.

#![allow(dead_code, unused_imports, reason = "each test uses a part of it")]

mod anthropic;
mod batch;
mod chat;
mod description;
mod fault;
mod http;
mod ollama;
mod sound;
mod tools;

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::watch;

pub use batch::Course;
pub use chat::{Chat, Picture, Spoken};
pub use description::{By, Description, Wrong};
pub use fault::Fault;
use http::{Refusal, Reply, Request};
pub use sound::Sound;

/// The model that chats.
pub const CHAT_MODEL: &str = "fake-chat";
/// The model that hears, and knows when.
pub const HEARING_MODEL: &str = "fake-ear";
/// The model that hears, but has no times: it refuses `verbose_json`.
pub const TEXT_ONLY_MODEL: &str = "fake-ear-text";

/// The model that hears who speaks.
pub const DIARIZING_MODEL: &str = "fake-ear-diarize";

/// What a request was.
#[derive(Clone, Debug)]
pub enum What {
    /// A sound `/chat/completions`, `/messages` of Anthropic's or `/api/chat` of Ollama's.
    Chat(Chat),
    /// A sound `/audio/transcriptions`.
    Sound(Sound),
    /// A step of a batch: `upload`, `create`, `list`, `look`, `fetch`, `forget`.
    Batch(String),
    /// `/models`, and Ollama's `/api/show`.
    Models,
    /// A request that the API would refuse, with the status and the reason.
    Refused(u16, String),
}

/// One request, in the order of arrival.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `POST`, …
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body's bytes.
    pub body: Vec<u8>,
    /// What it was.
    pub what: What,
    /// How it was answered wrongly; None where it was answered rightly.
    pub fault: Option<Fault>,
}

impl Seen {
    /// The value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        http::header(&self.headers, name)
    }
}

struct Shared {
    key: Option<String>,
    faults: Mutex<VecDeque<Option<Fault>>>,
    seen: Mutex<Vec<Seen>>,
    account: Mutex<batch::Account>,
}

/// The running server; it ends when this is dropped. It runs on a thread of its own, so that tests without a runtime
/// can use it.
pub struct FakeServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
}

impl FakeServer {
    /// A server that wants no key, and refuses none.
    pub fn start() -> Self {
        Self::start_with(None)
    }

    /// A server that answers 401 without exactly this key.
    pub fn start_with_key(key: &str) -> Self {
        Self::start_with(Some(key.to_owned()))
    }

    fn start_with(key: Option<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a socket without blocking");
        let address = listener.local_addr().expect("an address");
        let shared =
            Arc::new(Shared { key, faults: Mutex::default(), seen: Mutex::default(), account: Mutex::default() });
        let (stop, mut stopped) = watch::channel(false);
        let of_thread = Arc::clone(&shared);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                loop {
                    tokio::select! {
                        accepted = listener.accept() => {
                            let (stream, _) = accepted.expect("a connection");
                            tokio::spawn(serve(stream, Arc::clone(&of_thread)));
                        }
                        // An error: the fake_server is gone.
                        _ = stopped.changed() => break,
                    }
                }
            });
        });
        Self { address, shared, stop }
    }

    /// `http://127.0.0.1:PORT/v1`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Host and port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next sound requests are answered so, one each; then rightly again. Unsound ones are refused without
    /// using a fault up.
    pub fn fail_with(&self, faults: impl IntoIterator<Item = Fault>) {
        lock(&self.shared.faults).extend(faults.into_iter().map(Some));
    }

    /// The next sound request that has no fault yet is answered rightly.
    pub fn then_succeed(&self) {
        lock(&self.shared.faults).push_back(None);
    }

    /// Every request until now.
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.shared.seen).clone()
    }

    /// The sound chats until now, those included that were answered wrongly.
    pub fn chats(&self) -> Vec<Chat> {
        let seen = self.seen().into_iter();
        seen.filter_map(|seen| if let What::Chat(chat) = seen.what { Some(chat) } else { None }).collect()
    }

    /// How batches go from now on.
    pub fn batches_go(&self, course: Course) {
        lock(&self.shared.account).course = course;
    }

    /// The requests of all batches.
    pub fn batched(&self) -> Vec<Chat> {
        lock(&self.shared.account).chats.clone()
    }

    /// Files and batches that were not deleted.
    pub fn n_left(&self) -> (usize, usize) {
        let account = lock(&self.shared.account);
        (account.n_files(), account.n_batches())
    }

    /// The steps of batches until now, in order.
    pub fn batch_steps(&self) -> Vec<String> {
        let seen = self.seen().into_iter();
        seen.filter_map(|seen| if let What::Batch(step) = seen.what { Some(step) } else { None }).collect()
    }

    /// The pieces of sound until now.
    pub fn sounds(&self) -> Vec<Sound> {
        let seen = self.seen().into_iter();
        seen.filter_map(|seen| if let What::Sound(sound) = seen.what { Some(sound) } else { None }).collect()
    }

    /// The requests that the API would refuse, as `status reason`.
    pub fn refusals(&self) -> Vec<String> {
        let seen = self.seen().into_iter();
        seen.filter_map(|seen| match seen.what {
            What::Refused(status, reason) => Some(format!("{status} {reason}")),
            _ => None,
        })
        .collect()
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Serves one connection until it or the client ends.
async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    // What was read past the end of a request: where the client's Content-Length is too small, it will not parse.
    let mut rest = Vec::new();
    loop {
        let (request, refusal) = match http::read(&mut stream, &mut rest).await {
            Ok(Some(request)) => (request, None),
            Ok(None) => return,
            Err(refused) => {
                let (request, refusal) = *refused;
                (request, Some(refusal))
            }
        };
        let is_framed = refusal.is_none();
        let judged = match refusal {
            Some(refusal) => Err(refusal),
            None => judge(&request, &shared).await,
        };
        let (what, reply) = match judged {
            Ok((what, reply)) => (what, reply),
            Err(refusal) => {
                let reply = match request.path.as_str() {
                    path if path.starts_with("/v1/messages") => anthropic::refuse(&refusal),
                    path if path.starts_with("/api/") => ollama::refuse(&refusal),
                    _ => refusal.reply(),
                };
                (What::Refused(refusal.status, refusal.message), reply)
            }
        };
        let is_sound = !matches!(what, What::Refused(..));
        let fault = if is_sound { lock(&shared.faults).pop_front().flatten() } else { None };
        let authorization = http::header(&request.headers, "authorization").unwrap_or_default().to_owned();
        lock(&shared.seen).push(Seen {
            method: request.method,
            path: request.path,
            headers: request.headers,
            body: request.body,
            what,
            fault: fault.clone(),
        });
        let stays_open = match fault {
            Some(fault) => fault::answer(&fault, &mut stream, reply, &authorization).await,
            None => http::write(&mut stream, &reply).await.is_ok(),
        };
        // After a request without a clear end nobody knows where the next begins.
        if !is_framed {
            http::drain(&mut stream).await;
        }
        if !stays_open || !is_framed {
            return;
        }
    }
}

/// Checks a request as strictly as can be and answers it.
async fn judge(request: &Request, shared: &Shared) -> Result<(What, Reply), Refusal> {
    let key = shared.key.as_deref();
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let is_list = request.method == "GET" && matches!(path, "/v1/batches" | "/v1/messages/batches");
    if !(query.is_empty() || is_list && query == "limit=100") {
        return Err(Refusal::new(400, "unexpected query", None, None));
    }
    if path.starts_with("/v1/messages/batches") {
        let (step, reply) = lock(&shared.account).serve(request, None, key)?;
        return Ok((What::Batch(step), reply));
    }
    let is_batch = ["/v1/files", "/v1/batches"].iter().any(|start| path.starts_with(start));
    let method = match path {
        _ if is_batch => &request.method,
        "/v1/chat/completions" | "/v1/audio/transcriptions" | "/v1/messages" | "/api/chat" | "/api/show" => "POST",
        "/v1/models" => "GET",
        _ => {
            let message = format!("Invalid URL ({} {path})", request.method);
            return Err(Refusal::new(404, message, None, Some("unknown_url")));
        }
    };
    if request.method != method {
        let message = format!("Not allowed to {} on {path}", request.method);
        return Err(Refusal::new(405, message, None, Some("method_not_supported")));
    }
    if path == "/v1/messages" {
        let chat = tools::asked(anthropic::read(request, key)?, shared);
        let reply = anthropic::reply(&chat);
        return Ok((What::Chat(chat), reply));
    }
    let authorization: Vec<&str> =
        request.headers.iter().filter(|(name, _)| name == "authorization").map(|(_, value)| value.as_str()).collect();
    match (key, authorization.as_slice()) {
        (None, []) => {}
        (None, _) => return Err(Refusal::new(401, "a key for a server that wants none", None, None)),
        (Some(key), [value]) if value.strip_prefix("Bearer ") == Some(key) => {}
        (Some(_), []) => return Err(Refusal::new(401, "You didn't provide an API key.", None, None)),
        (Some(_), _) => return Err(Refusal::new(401, "Incorrect API key provided.", None, Some("invalid_api_key"))),
    }
    match path {
        _ if is_batch => {
            let upload = batch::upload(request).await?;
            let (step, reply) = lock(&shared.account).serve(request, upload, key)?;
            Ok((What::Batch(step), reply))
        }
        "/v1/models" => {
            let model = |id: &&str| json!({"id": id, "object": "model", "created": 0, "owned_by": "fake_server"});
            let models: Vec<Value> =
                [CHAT_MODEL, HEARING_MODEL, TEXT_ONLY_MODEL, DIARIZING_MODEL].iter().map(model).collect();
            Ok((What::Models, Reply::json(200, &json!({"object": "list", "data": models}))))
        }
        "/v1/chat/completions" => {
            let chat = chat::read(request)?;
            described(|judge| judge.judge_chat(&chat.json))?;
            let chat = tools::asked(chat, shared);
            let reply = chat.reply();
            Ok((What::Chat(chat), reply))
        }
        "/api/show" => Ok((What::Models, ollama::show(request)?)),
        "/api/chat" => {
            let chat = tools::asked(ollama::read(request)?, shared);
            let reply = ollama::reply(&chat);
            Ok((What::Chat(chat), reply))
        }
        _ => {
            let sound = sound::read(request).await?;
            described(|judge| judge.judge_sound(&sound.fields))?;
            let reply = Reply::json(200, &sound.answer());
            Ok((What::Sound(sound), reply))
        }
    }
}

/// Asks the API's own description, where it is at hand.
fn described(judge: impl FnOnce(&Description) -> Result<(), Wrong>) -> Result<(), Refusal> {
    let judged = Description::get().map_or(Ok(()), judge);
    judged.map_err(|wrong| Refusal::new(400, format!("OpenAI's description: {wrong:?}"), None, None))
}
