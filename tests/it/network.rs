//! How requests get to a server: proxies, authorities of one's own, HTTP/2, connections that are used again.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::support::command::{Ran, User, ran};
use crate::support::fake_server::{CHAT_MODEL, FakeServer, Fault};
use crate::support::recorder::recorder;
use bytes::Bytes;
use futures_util::StreamExt as _;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig as TlsConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use vidgist::chat::{Message, Part, Role};
use vidgist::http::{ServerConfig, parse_base_url};
use vidgist::llm::{ChatConfig, ChatModel as _, ChatRequest, OpenAi};

/// Behind the proxy; nobody knows it otherwise.
const HOST: &str = "llm.example";
/// Where nobody answers, there is no waiting.
const HASTY: [&str; 2] = ["--total-timeout", "1s"];
const KEY: &str = "sk-canary-7f3a9b2c1d";

/// An authority of our own, in a file, and what a server at `HOST` and at localhost shows of it.
fn authority(folder: &std::path::Path) -> (PathBuf, TlsConfig) {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let root = params.self_signed(&key).expect("signed");
    let path = folder.join("ca.pem");
    std::fs::write(&path, root.pem()).expect("written");
    let own_key = KeyPair::generate().expect("a key");
    let names = vec![HOST.to_owned(), "localhost".to_owned()];
    let leaf = CertificateParams::new(names).expect("names").signed_by(&own_key, &Issuer::new(params, key));
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let private = PrivateKeyDer::try_from(own_key.serialize_der()).expect("a key");
    let mut config = TlsConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![leaf.expect("signed").der().clone()], private)
        .expect("a pair");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    (path, config)
}

fn answer() -> String {
    json!({"choices": [{"message": {"content": "Seen."}, "finish_reason": "stop"}]}).to_string()
}

/// What came to a server of HTTP/2.
#[derive(Default)]
struct Came {
    n_connections: AtomicUsize,
    keys: Mutex<Vec<Option<String>>>,
}

/// Speaks HTTP/2 alone, by ALPN.
async fn serve_http2(listener: TcpListener, config: TlsConfig, came: Arc<Came>) {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let (acceptor, came) = (acceptor.clone(), Arc::clone(&came));
        tokio::spawn(async move {
            // A client that does not trust us ends here.
            let Ok(stream) = acceptor.accept(stream).await else { return };
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
            came.n_connections.fetch_add(1, Ordering::Relaxed);
            let mut connection = h2::server::handshake(stream).await.expect("HTTP/2");
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                let came = Arc::clone(&came);
                tokio::spawn(async move {
                    let key = request.headers().get("authorization").and_then(|key| key.to_str().ok());
                    came.keys.lock().expect("keys").push(key.map(str::to_owned));
                    let mut body = request.into_body();
                    while let Some(Ok(chunk)) = body.data().await {
                        body.flow_control().release_capacity(chunk.len()).expect("capacity");
                    }
                    let reply = http::Response::builder().header("content-type", "application/json").body(());
                    let mut send = respond.send_response(reply.expect("a reply"), false).expect("it listens");
                    send.send_data(Bytes::from(answer()), true).expect("it listens");
                });
            }
        });
    }
}

/// Passes every connection on to `target`, and counts them.
async fn pass_on(listener: TcpListener, target: SocketAddr, n_connections: Arc<AtomicUsize>) {
    loop {
        let (mut here, _) = listener.accept().await.expect("a connection");
        n_connections.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            let mut there = TcpStream::connect(target).await.expect("the target listens");
            let _ = tokio::io::copy_bidirectional(&mut here, &mut there).await;
        });
    }
}

/// A proxy that takes every tunnel to `target`, and keeps what it was asked for.
async fn tunnel(listener: TcpListener, target: SocketAddr, asked: Arc<Mutex<Vec<String>>>) {
    loop {
        let (here, _) = listener.accept().await.expect("a connection");
        let asked = Arc::clone(&asked);
        tokio::spawn(async move {
            let mut here = BufReader::new(here);
            loop {
                let mut line = String::new();
                here.read_line(&mut line).await.expect("a head");
                if line.trim().is_empty() {
                    break;
                }
                asked.lock().expect("lines").push(line.trim().to_owned());
            }
            let mut here = here.into_inner();
            here.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.expect("it listens");
            let mut there = TcpStream::connect(target).await.expect("the target listens");
            let _ = tokio::io::copy_bidirectional(&mut here, &mut there).await;
        });
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

async fn ask(model: &OpenAi) -> vidgist::Result<String> {
    let messages = [Message { role: Role::User, parts: vec![Part::Text("a".into())] }];
    let answer = model.complete(&ChatRequest::new(&messages)).await?;
    Ok(answer.choices[0].text.clone())
}

fn summarize(user: &User, flags: &[&str], environment: &[(&str, &str)]) -> Ran {
    let args = ["summarize", "fixtures/talk.mp4", "--max-frames", "1", "--no-store", "--model", "m"];
    let mut command = user.command(&[&args, flags].concat());
    ran(command.envs(environment.iter().copied()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_goes_through_a_proxys_tunnel_to_a_server_of_ones_own_authority() {
    let user = User::new();
    let (ca_file, config) = authority(user.home.path());
    let came = Arc::new(Came::default());
    let (listener, server) = listen().await;
    tokio::spawn(serve_http2(listener, config, Arc::clone(&came)));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (listener, proxy) = listen().await;
    tokio::spawn(tunnel(listener, server, Arc::clone(&asked)));
    let proxy = format!("http://{proxy}");
    let lines = || asked.lock().expect("lines").clone();

    let (url, ca_file) = (format!("https://{HOST}/v1"), ca_file.to_str().expect("UTF-8").to_owned());
    let environment = [("HTTPS_PROXY", &*proxy), ("OPENAI_API_KEY", KEY)];
    let flags = ["--base-url", &url, "--ca-file", &ca_file];
    let through = tokio::task::block_in_place(|| summarize(&user, &flags, &environment));
    assert_eq!(through.code, Some(0), "{}", through.err);
    assert!(through.out.contains("Seen."), "{}", through.out);
    assert_eq!(*came.keys.lock().expect("keys"), [Some(format!("Bearer {KEY}"))]);
    assert!(lines().iter().any(|line| line == &format!("CONNECT {HOST}:443 HTTP/1.1")), "{:?}", lines());
    assert!(!lines().concat().contains(KEY), "the proxy sees where to, and no more: {:?}", lines());

    let untrusted = tokio::task::block_in_place(|| summarize(&user, &[&flags[..2], &HASTY].concat(), &environment));
    assert_ne!(untrusted.code, Some(0), "{untrusted:?}");
    assert!(untrusted.err.contains("certificate"), "{}", untrusted.err);
    assert_eq!(came.keys.lock().expect("keys").len(), 1, "nothing went to a server that is not trusted");

    let n_before = lines().len();
    let direct = [&environment[..], &[("NO_PROXY", HOST)]].concat();
    let direct = tokio::task::block_in_place(|| summarize(&user, &[&flags[..], &HASTY].concat(), &direct));
    assert_ne!(direct.code, Some(0), "nobody knows the host: {direct:?}");
    assert_eq!(lines().len(), n_before, "the proxy was not asked");
}

#[test]
fn a_key_is_not_sent_unencrypted_to_another_machine() {
    let user = User::new();
    for (flags, is_sent) in [(&[][..], false), (&["--send-key-unencrypted"], true)] {
        let (proxy, came) = recorder(1, answer());
        let args = [&["--base-url", "http://nas.local:8000/v1"], flags].concat();
        let ran = summarize(&user, &args, &[("http_proxy", &proxy), ("OPENAI_API_KEY", KEY)]);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        let came = came.join().expect("no panic");
        assert_eq!(came[0].line, "POST http://nas.local:8000/v1/chat/completions HTTP/1.1");
        let has_key = format!("{:?}", came[0]).contains(KEY);
        assert_eq!(has_key, is_sent, "{flags:?}");
        let is_warned = ran.err.contains("nas.local: the key is not sent, because http:// is not encrypted");
        assert_eq!(is_warned, !is_sent, "{}", ran.err);
        assert!(!ran.err.contains(KEY));
    }
}

#[test]
fn requests_without_a_key_use_the_http_proxy() {
    let user = User::new();
    let (proxy, came) = recorder(1, answer());
    let ran = summarize(&user, &["--base-url", "http://llm.example:8000/v1"], &[("http_proxy", &proxy)]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let came = came.join().expect("no panic");
    assert_eq!(came[0].line, "POST http://llm.example:8000/v1/chat/completions HTTP/1.1");

    // This machine is asked without one.
    let (server, came) = recorder(1, answer());
    let ran = summarize(&user, &["--base-url", &server], &[("http_proxy", "http://127.0.0.1:9")]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(came.join().expect("no panic")[0].line, "POST /v1/chat/completions HTTP/1.1");
}

#[test]
fn a_file_without_certificates_is_an_error_before_any_request() {
    let user = User::new();
    for (name, bytes, said) in [
        ("none.pem", "no certificate".to_owned(), "contains no PEM certificate"),
        ("bad.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".into(), "certificate"),
    ] {
        let path = user.path(name);
        std::fs::write(&path, bytes).expect("written");
        let ran = summarize(&user, &["--base-url", "https://llm.example", "--ca-file", &path], &[]);
        assert!(ran.code == Some(2) && ran.err.contains(said), "{name}: {ran:?}");
    }
    let ran = summarize(&user, &["--base-url", "https://llm.example", "--ca-file", "/nowhere.pem"], &[]);
    assert!(ran.code == Some(2) && ran.err.contains("/nowhere.pem"), "{ran:?}");
}

#[test]
fn connection_settings_can_be_in_the_configuration() {
    let user = User::new();
    let path = user.path("c.toml");
    let ask = |config: &str, flags: &[&str]| {
        let head = "model = \"m\"\nbase_url = \"http://127.0.0.1:9/v1\"\n";
        std::fs::write(&path, format!("{head}{config}")).expect("written");
        let args = ["--config", &path, "summarize", "fixtures/talk.mp4", "--max-frames", "1"];
        user.run(&[&args, flags].concat())
    };
    let all =
        "concurrency = 2\nmax_requests_per_minute = 60\nmax_tokens_per_minute = 100000\ntotal_timeout = \"600ms\"\n";
    let ran = ask(all, &[]);
    assert!(ran.err.contains("the total timeout of 0.6 s leaves no time for a retry"), "{}", ran.err);
    let ran = ask(all, &["--total-timeout", "700ms", "--concurrency", "3"]);
    assert!(ran.err.contains("the total timeout of 0.7 s"), "the flag wins: {}", ran.err);
    for (config, said) in [
        ("concurrency = 0", "at least 1"),
        ("max_requests_per_minute = 0", "at least 1"),
        ("max_tokens_per_minute = 0", "at least 1"),
        ("total_timeout = \"soon\"", "soon"),
        ("ca_file = \"/nowhere.pem\"", "/nowhere.pem"),
    ] {
        let ran = ask(config, &[]);
        assert!(ran.code == Some(2) && ran.err.contains(said), "{config}: {ran:?}");
    }
}

#[tokio::test]
async fn one_connection_of_http2_serves_many_at_a_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let (ca_file, config) = authority(folder.path());
    let came = Arc::new(Came::default());
    let (listener, address) = listen().await;
    tokio::spawn(serve_http2(listener, config, Arc::clone(&came)));
    let url = format!("https://localhost:{}/v1", address.port());
    let server =
        ServerConfig { ca_file: Some(ca_file), ..ServerConfig::new(parse_base_url(&url).expect("an address")) };
    let model = OpenAi::new(ChatConfig::new(server, "m")).expect("a model");
    assert_eq!(ask(&model).await.expect("an answer"), "Seen.");
    let rest = futures_util::stream::iter(0..49).map(|_| ask(&model)).buffer_unordered(4);
    let told: Vec<_> = rest.collect().await;
    assert!(told.iter().all(|one| one.as_deref().is_ok_and(|text| text == "Seen.")), "{told:?}");
    assert_eq!((came.keys.lock().expect("keys").len(), came.n_connections.load(Ordering::Relaxed)), (50, 1));
}

#[tokio::test]
async fn connections_are_used_again_after_failures_too() {
    let fake_server = FakeServer::start();
    let n_connections = Arc::new(AtomicUsize::new(0));
    let (listener, address) = listen().await;
    tokio::spawn(pass_on(listener, fake_server.address(), Arc::clone(&n_connections)));
    let model = || {
        let server = ServerConfig {
            first_wait: std::time::Duration::from_millis(1),
            ..ServerConfig::new(parse_base_url(&format!("http://{address}")).expect("an address"))
        };
        OpenAi::new(ChatConfig::new(server, CHAT_MODEL)).expect("a model")
    };
    let one = model();
    fake_server.fail_with([Fault::Status(500), Fault::RateLimit("0.01"), Fault::Html(502), Fault::CutJson]);
    for _ in 0..46 {
        let told: Value = serde_json::from_str(&ask(&one).await.expect("an answer")).expect("JSON");
        assert!(told["pictures"].is_array());
    }
    assert_eq!((fake_server.seen().len(), n_connections.load(Ordering::Relaxed)), (50, 1), "one after another");
    let four = model();
    let told: Vec<_> = futures_util::stream::iter(0..50).map(|_| ask(&four)).buffer_unordered(16).collect().await;
    assert!(told.iter().all(Result::is_ok), "{told:?}");
    let n_more = n_connections.load(Ordering::Relaxed) - 1;
    assert!((1..=4).contains(&n_more), "as many as are asked at a time: {n_more}");
}
