//! Speech models are fetched from a real server on loopback that breaks off, sends too much, or something else.

use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::{StreamExt as _, stream};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use vidgist::transcribe::whisper::models::{ModelHub, SpeechModel, download};
use vidgist::{Error, ErrorKind};

const N_BYTES: usize = 300_000;

/// What the server does with one request.
#[derive(Clone, Debug)]
enum Act {
    /// Serves the file, or the part that is asked for.
    Right,
    /// The same, but the connection ends after so many bytes.
    BreakAfter(usize),
    /// Sends the whole file whatever part is asked for.
    Whole,
    /// Sends these bytes.
    Other(Vec<u8>),
    Status(u16),
    Redirect(String),
}

/// A path, and the range that was asked for.
type Asked = (String, Option<String>);

#[derive(Clone)]
struct Shared {
    file: Bytes,
    acts: Arc<Mutex<Vec<Act>>>,
    seen: Arc<Mutex<Vec<Asked>>>,
}

async fn serve(State(shared): State<Shared>, request: Request) -> Response {
    let range = request.headers().get(header::RANGE).map(|v| v.to_str().expect("text").to_owned());
    shared.seen.lock().expect("no panic").push((request.uri().path().to_owned(), range.clone()));
    let mut acts = shared.acts.lock().expect("no panic");
    let act = if acts.is_empty() { Act::Right } else { acts.remove(0) };
    let from = range.map_or(0, |r| r.trim_start_matches("bytes=").trim_end_matches('-').parse().expect("a number"));
    let part = shared.file.slice(from..);
    let head = |builder: axum::http::response::Builder| match from {
        0 => builder.status(StatusCode::OK),
        _ => builder
            .status(StatusCode::PARTIAL_CONTENT)
            .header(header::CONTENT_RANGE, format!("bytes {from}-{}/{N_BYTES}", N_BYTES - 1)),
    };
    match act {
        Act::Right => head(Response::builder()).body(Body::from(part)).expect("a reply"),
        Act::BreakAfter(n) => {
            let first = stream::once(std::future::ready(Ok(part.slice(..n))));
            let rest = stream::once(async {
                // Lets the server send what it has.
                tokio::task::yield_now().await;
                Err(std::io::Error::other("cable pulled"))
            });
            head(Response::builder()).body(Body::from_stream(first.chain(rest))).expect("a reply")
        }
        Act::Whole => shared.file.clone().into_response(),
        Act::Other(bytes) => bytes.into_response(),
        Act::Status(status) => StatusCode::from_u16(status).expect("a status").into_response(),
        Act::Redirect(to) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
    }
}

struct Rig {
    folder: TempDir,
    hub: ModelHub,
    model: SpeechModel,
    shared: Shared,
}

impl Rig {
    async fn new(acts: &[Act]) -> Self {
        let file: Vec<u8> = (0..N_BYTES).map(|i| (i * 7 % 251) as u8).collect();
        let sha256 = vidgist::fs::hex(&Sha256::digest(&file));
        let shared = Shared { file: file.into(), acts: Arc::new(Mutex::new(acts.to_vec())), seen: Arc::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().fallback(serve).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let model = SpeechModel {
            name: "test",
            file: "ggml-test.bin",
            n_bytes: N_BYTES as u64,
            sha256: sha256.leak(),
            about: "",
            repository: "some/where",
            revision: "0123",
        };
        let hub = ModelHub::new(&format!("http://{address}/mirror/")).expect("loopback");
        Self { folder: tempfile::tempdir().expect("a folder"), hub, model, shared }
    }

    async fn download(&self) -> Result<std::path::PathBuf, Error> {
        download(&self.model, self.folder.path(), &self.hub, &|_| {}).await
    }

    /// Asserts that the file is there, whole, and nothing besides.
    #[track_caller]
    fn is_whole(&self, path: &Path) {
        assert_eq!(path, self.folder.path().join("ggml-test.bin"));
        assert!(std::fs::read(path).expect("a file") == self.shared.file);
        assert_eq!(std::fs::read_dir(self.folder.path()).expect("a folder").count(), 1, "nothing else is left");
    }

    fn ranges(&self) -> Vec<Option<String>> {
        self.shared.seen.lock().expect("no panic").iter().map(|(_, range)| range.clone()).collect()
    }
}

#[tokio::test]
async fn a_file_is_fetched_once() {
    let rig = Rig::new(&[]).await;
    rig.is_whole(&rig.download().await.expect("fetched"));
    rig.is_whole(&rig.download().await.expect("there already"));
    let seen = rig.shared.seen.lock().expect("no panic").clone();
    assert_eq!(seen, [("/mirror/some/where/resolve/0123/ggml-test.bin".to_owned(), None)]);
}

#[tokio::test]
async fn an_interrupted_download_resumes() {
    let rig = Rig::new(&[Act::BreakAfter(100_000), Act::Status(503), Act::BreakAfter(50_000)]).await;
    rig.is_whole(&rig.download().await.expect("fetched"));
    let asked: Vec<_> = rig.ranges();
    let range = |n: usize| Some(format!("bytes={n}-"));
    assert_eq!(asked, [None, range(100_000), range(100_000), range(150_000)]);
}

#[tokio::test]
async fn an_earlier_run_is_gone_on_with_even_where_parts_are_not_served() {
    for act in [Act::Right, Act::Whole] {
        let rig = Rig::new(std::slice::from_ref(&act)).await;
        std::fs::write(rig.folder.path().join("ggml-test.bin.part"), &rig.shared.file[..70_000]).expect("written");
        rig.is_whole(&rig.download().await.expect("fetched"));
        assert_eq!(rig.ranges(), [Some("bytes=70000-".to_owned())], "{act:?}");
    }
}

#[tokio::test]
async fn another_file_is_refused_and_not_kept() {
    let mut wrong = vec![7; N_BYTES];
    wrong[5] = 0;
    let rig = Rig::new(&[Act::Other(wrong)]).await;
    let error = rig.download().await.expect_err("not what was pinned");
    assert!(
        matches!(error, Error { kind: ErrorKind::Malformed, .. }) && error.to_string().contains("SHA-256"),
        "{error}"
    );
    assert_eq!(std::fs::read_dir(rig.folder.path()).expect("a folder").count(), 0);
    rig.is_whole(&rig.download().await.expect("the next try begins anew"));

    let rig = Rig::new(&[Act::Other(vec![0; N_BYTES + 1])]).await;
    let error = rig.download().await.expect_err("too long");
    assert!(error.to_string().contains("longer than expected"), "{error}");
}

#[tokio::test]
async fn a_missing_file_fails_at_once_and_a_dead_hub_after_retries() {
    let rig = Rig::new(&[Act::Status(404)]).await;
    let error = rig.download().await.expect_err("not there");
    assert!(error.to_string().contains("404") && error.to_string().contains("scripts/fetch-whisper"), "{error}");
    assert_eq!(rig.ranges().len(), 1);
    assert_eq!(std::fs::read_dir(rig.folder.path()).expect("a folder").count(), 0, "nothing is left of it");

    let rig = Rig::new(&vec![Act::Status(500); 20]).await;
    let error = rig.download().await.expect_err("never works");
    assert!(matches!(error, Error { kind: ErrorKind::Service, .. }), "{error}");
    assert_eq!(rig.ranges().len(), 4);
}

#[tokio::test]
async fn redirects_are_followed_but_not_into_the_open() {
    let rig = Rig::new(&[Act::Redirect("/elsewhere/on/this/host".into())]).await;
    rig.is_whole(&rig.download().await.expect("fetched"));
    assert_eq!(rig.shared.seen.lock().expect("no panic")[1].0, "/elsewhere/on/this/host");

    let acts = vec![Act::Redirect("http://192.0.2.1/unencrypted".into()); 8];
    let rig = Rig::new(&acts).await;
    let error = rig.download().await.expect_err("not followed");
    assert!(error.to_string().contains("not encrypted"), "{error}");
    assert_eq!(rig.ranges().len(), 1, "and not tried again");
    for open in ["http://example.com", "ftp://example.com", "huggingface.co", ""] {
        assert!(ModelHub::new(open).is_err(), "{open}");
    }
}

#[tokio::test]
async fn two_at_a_time_do_not_write_into_each_other() {
    let rig = Rig::new(&[]).await;
    let part = std::fs::File::create(rig.folder.path().join("ggml-test.bin.part")).expect("a file");
    part.lock().expect("locked");
    let error = rig.download().await.expect_err("another one is at it");
    assert!(matches!(error, Error { kind: ErrorKind::Usage, .. }), "{error}");
    drop(part);
    rig.is_whole(&rig.download().await.expect("fetched"));
}
