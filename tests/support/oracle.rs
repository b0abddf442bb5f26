//! The oracle: a server on loopback that speaks chat completions, transcriptions and the list of models, refuses
//! whatever is not exactly right, and answers from nothing but what it received.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};
use tokio::io::BufReader;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::act::Act;
use super::chat::{self, Chat, Picture};
use super::hearing::{self, Upload};
use super::http::{Refusal, Reply, Request, read_request, write_reply};

/// One request that was received.
#[derive(Debug)]
pub struct Recorded {
    pub path: String,
    /// All but the key; names in lower case.
    pub headers: Vec<(String, String)>,
    /// How often this very body came, this time included.
    pub attempt: u32,
    pub n_bytes: usize,
    /// The chat request's JSON; null for others and where it was refused.
    pub json: Value,
    /// The chat request's pictures.
    pub pictures: Vec<Picture>,
    /// The transcription request.
    pub upload: Option<Upload>,
    /// Why it was refused; None where it was right.
    pub refusal: Option<Refusal>,
}

#[derive(Default)]
struct State {
    script: VecDeque<Act>,
    requests: Vec<Arc<Recorded>>,
    attempts: HashMap<u64, u32>,
    hasher: RandomState,
}

/// The running server; it ends when this is dropped.
pub struct Oracle {
    address: SocketAddr,
    key: Option<String>,
    state: Arc<Mutex<State>>,
    _stop: oneshot::Sender<()>,
}

impl Oracle {
    /// A server that wants a key, on a free port and a thread of its own, so that plain and async tests can use it.
    pub fn start() -> Self {
        Self::run(Some("sk-oracle-0123456789abcdef".into()))
    }

    /// A server that wants no key, and refuses one.
    pub fn start_without_key() -> Self {
        Self::run(None)
    }

    fn run(key: Option<String>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State::default()));
        let (stop, stopped) = oneshot::channel::<()>();
        let shared = (Arc::clone(&state), key.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("a listener");
                let serve = async {
                    while let Ok((stream, _)) = listener.accept().await {
                        tokio::spawn(converse(stream, shared.clone()));
                    }
                };
                tokio::select! { () = serve => {}, _ = stopped => {} }
            });
        });
        Self { address, key, state, _stop: stop }
    }

    /// `http://127.0.0.1:PORT/v1`
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// `127.0.0.1:PORT`
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// What to do with the next requests that are right; after these, the true answer again.
    pub fn script(&self, acts: impl IntoIterator<Item = Act>) {
        lock(&self.state).script.extend(acts);
    }

    /// Acts that have not been played.
    pub fn n_left(&self) -> usize {
        lock(&self.state).script.len()
    }

    /// Everything received so far, in order.
    pub fn requests(&self) -> Vec<Arc<Recorded>> {
        lock(&self.state).requests.clone()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Serves one connection until it ends.
async fn converse(stream: TcpStream, (state, key): (Arc<Mutex<State>>, Option<String>)) {
    let mut stream = BufReader::new(stream);
    while let Ok(Some(request)) = read_request(&mut stream).await {
        let (reply, act) = match request {
            Ok(request) => respond(&request, &state, key.as_deref()),
            Err(refusal) => (Reply::json(refusal.status, &refusal.json()), Act::default()),
        };
        let reply = act.reply.unwrap_or(reply);
        if !matches!(write_reply(stream.get_mut(), &reply, act.delivery).await, Ok(true)) {
            return;
        }
    }
}

/// What was made of a request that is right.
enum Right {
    Chat(Chat),
    Upload(Upload),
    Models,
}

fn check(request: &Request, key: Option<&str>) -> Result<Right, Refusal> {
    let expected = key.map(|key| format!("Bearer {key}"));
    let n_keys = request.headers.iter().filter(|(name, _)| name == "authorization").count();
    if request.header("authorization") != expected.as_deref() || n_keys != usize::from(key.is_some()) {
        return Err(Refusal::new(401, "", "Incorrect API key provided."));
    }
    match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/v1/chat/completions") => chat::check(request).map(Right::Chat),
        ("POST", "/v1/audio/transcriptions") => hearing::check(request).map(Right::Upload),
        ("GET", "/v1/models") => Ok(Right::Models),
        (method, path) => Err(Refusal::new(404, "", format!("Invalid URL ({method} {path})"))),
    }
}

fn respond(request: &Request, state: &Mutex<State>, key: Option<&str>) -> (Reply, Act) {
    let checked = check(request, key);
    let mut state = lock(state);
    let hash = state.hasher.hash_one(&request.body);
    let attempt = state.attempts.entry(hash).or_default();
    *attempt += 1;
    let mut recorded = Recorded {
        path: request.path.clone(),
        headers: request.headers.iter().filter(|(name, _)| name != "authorization").cloned().collect(),
        attempt: *attempt,
        n_bytes: request.body.len(),
        json: Value::Null,
        pictures: Vec::new(),
        upload: None,
        refusal: None,
    };
    let reply = match checked {
        Ok(Right::Chat(chat)) => {
            let reply = Reply::json(200, &chat::answer(&chat));
            (recorded.json, recorded.pictures) = (chat.json, chat.pictures);
            reply
        }
        Ok(Right::Upload(upload)) => {
            let reply = Reply::json(200, &hearing::answer(&upload));
            recorded.upload = Some(upload);
            reply
        }
        Ok(Right::Models) => Reply::json(
            200,
            &json!({"object": "list", "data": [{"id": "oracle", "object": "model", "owned_by": "us"}]}),
        ),
        Err(refusal) => {
            let reply = Reply::json(refusal.status, &refusal.json());
            recorded.refusal = Some(refusal);
            reply
        }
    };
    let is_right = recorded.refusal.is_none();
    state.requests.push(Arc::new(recorded));
    let act = if is_right && request.method == "POST" { state.script.pop_front() } else { None };
    (reply, act.unwrap_or_default())
}
