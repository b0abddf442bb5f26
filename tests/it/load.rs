//! How hard a server is driven, by all who share a client: its limits are heeded, its outages waited out, its refusals
//! of a key or an account end the run.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::fake_server::{CHAT_MODEL, FakeServer, Fault};
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use futures_util::StreamExt as _;
use serde_json::json;
use tokio::net::TcpListener;
use vidgist::chat::{Message, Part, Role};
use vidgist::http::{RequestLimits, ServerConfig, parse_base_url};
use vidgist::llm::{ChatConfig, ChatModel as _, ChatRequest, OpenAi};

fn server(url: &str) -> ServerConfig {
    ServerConfig { first_wait: Duration::from_millis(1), ..ServerConfig::new(parse_base_url(url).expect("an address")) }
}

fn model(server: ServerConfig) -> OpenAi {
    OpenAi::new(ChatConfig::new(server, CHAT_MODEL)).expect("a model")
}

async fn ask(model: &OpenAi) -> Result<(), String> {
    let messages = [Message { role: Role::User, parts: vec![Part::Text("a".into())] }];
    let answer = model.complete(&ChatRequest::new(&messages)).await;
    answer.map(|_| ()).map_err(|error| error.to_string())
}

/// So many questions, 16 at a time, by clones of one model.
async fn ask_many(model: &OpenAi, n_questions: usize) -> Vec<Result<(), String>> {
    let asked = (0..n_questions).map(|_| model.clone());
    futures_util::stream::iter(asked).map(|model| async move { ask(&model).await }).buffer_unordered(16).collect().await
}

/// What a server saw.
#[derive(Default)]
struct Seen {
    n_calls: AtomicUsize,
    n_inside: AtomicUsize,
    most_inside: AtomicUsize,
}

/// A server that answers after `wait`, with these headers; more than `most` at a time get a 429.
async fn serve(
    listener: TcpListener,
    wait: Duration,
    most: usize,
    headers: &'static [(&'static str, &'static str)],
    seen: Arc<Seen>,
) {
    let answer = move || {
        let seen = Arc::clone(&seen);
        async move {
            seen.n_calls.fetch_add(1, Ordering::Relaxed);
            let n_inside = seen.n_inside.fetch_add(1, Ordering::Relaxed) + 1;
            seen.most_inside.fetch_max(n_inside, Ordering::Relaxed);
            let status = if n_inside > most { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::OK };
            if status == StatusCode::OK {
                tokio::time::sleep(wait).await;
            }
            seen.n_inside.fetch_sub(1, Ordering::Relaxed);
            let body = json!({"choices": [{"message": {"content": "Seen."}, "finish_reason": "stop"}]});
            let mut reply = (status, axum::Json(body)).into_response();
            for (name, value) in headers {
                reply.headers_mut().insert(*name, value.parse().expect("a header"));
            }
            reply
        }
    };
    axum::serve(listener, axum::Router::new().fallback(answer)).await.expect("it serves");
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

#[tokio::test]
async fn a_wrong_key_and_an_empty_account_end_the_run() {
    let fake_server = FakeServer::start_with_key("sk-right-0123456789");
    let wrong = ServerConfig { api_key: Some("sk-wrong-0123456789".into()), ..server(&fake_server.base_url()) };
    let told = ask_many(&model(wrong), 100).await;
    assert!(fake_server.seen().len() <= 4, "no more than were under way: {}", fake_server.seen().len());
    let expected = "401 Unauthorized: Incorrect API key provided.; check the key in OPENAI_API_KEY";
    assert!(told.iter().all(|one| one.as_ref().is_err_and(|text| text.ends_with(expected))), "{told:?}");

    let fake_server = FakeServer::start();
    fake_server.fail_with(vec![Fault::Quota; 100]);
    let told = ask_many(&model(server(&fake_server.base_url())), 100).await;
    assert!(fake_server.seen().len() <= 4, "{}", fake_server.seen().len());
    assert!(told.iter().all(|one| one.as_ref().is_err_and(|text| text.contains("has no credit"))), "{told:?}");

    // One's own trouble is no other's.
    let fake_server = FakeServer::start();
    fake_server.fail_with([Fault::Status(400), Fault::Status(403), Fault::Status(404)]);
    let told = ask_many(&model(server(&fake_server.base_url())), 20).await;
    assert_eq!(told.iter().filter(|one| one.is_err()).count(), 3, "{told:?}");
}

#[tokio::test]
async fn as_many_at_a_time_as_the_server_bears() {
    let ((listener, address), seen) = (listen().await, Arc::new(Seen::default()));
    tokio::spawn(serve(listener, Duration::from_millis(40), 3, &[], Arc::clone(&seen)));
    let load = RequestLimits { concurrency: 12, ..RequestLimits::default() };
    let config = ServerConfig {
        load,
        max_retries: 20,
        first_wait: Duration::from_millis(20),
        ..server(&format!("http://{address}"))
    };
    let told = ask_many(&model(config), 120).await;
    assert!(told.iter().all(Result::is_ok), "{told:?}");
    assert!(seen.most_inside.load(Ordering::Relaxed) <= 12);
    // At twelve at a time for ever, three of four calls would be in vain: 480 calls.
    let n_calls = seen.n_calls.load(Ordering::Relaxed);
    assert!((121..220).contains(&n_calls), "{n_calls} calls");
}

#[tokio::test]
async fn remaining_limits_of_the_server_are_obeyed() {
    const LEFT: &[(&str, &str)] = &[("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "200ms")];
    let ((listener, address), seen) = (listen().await, Arc::new(Seen::default()));
    // None are left, and without a limit all come back at the end of the 200 ms: each request but the first waits for that.
    tokio::spawn(serve(listener, Duration::ZERO, 9, LEFT, seen));
    let begun = Instant::now();
    let config = server(&format!("http://{address}"));
    let config = ServerConfig { load: RequestLimits { concurrency: 1, ..RequestLimits::default() }, ..config };
    assert!(ask_many(&model(config), 5).await.iter().all(Result::is_ok));
    assert!(begun.elapsed() >= Duration::from_millis(800), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_server_that_restarts_loses_nothing() {
    let (listener, address) = listen().await;
    drop(listener);
    let load = RequestLimits { outage_wait: Duration::from_millis(600), ..RequestLimits::default() };
    let asks = model(ServerConfig { load, ..server(&format!("http://{address}")) });
    let seen = Arc::new(Seen::default());
    let comes_back = async {
        tokio::time::sleep(Duration::from_millis(250)).await;
        let listener = TcpListener::bind(address).await.expect("the same port");
        tokio::spawn(serve(listener, Duration::ZERO, 99, &[], Arc::clone(&seen)));
    };
    let (told, ()) = tokio::join!(ask_many(&asks, 40), comes_back);
    assert!(told.iter().all(Result::is_ok), "{told:?}");
    assert_eq!(seen.n_calls.load(Ordering::Relaxed), 40);
}

#[tokio::test]
async fn a_dead_server_is_not_hammered() {
    // It takes connections, and closes each.
    let ((listener, address), seen) = (listen().await, Arc::new(Seen::default()));
    let counts = Arc::clone(&seen);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counts.n_calls.fetch_add(1, Ordering::Relaxed);
        }
    });
    let load = RequestLimits { outage_wait: Duration::from_millis(400), ..RequestLimits::default() };
    let told = ask_many(&model(ServerConfig { load, ..server(&format!("http://{address}")) }), 200).await;
    assert!(told.iter().all(|one| one.as_ref().is_err_and(|text| text.contains("connection broke"))), "{told:?}");
    assert!(told.iter().any(|one| one.as_ref().is_err_and(|text| text.contains("consecutive failures"))), "{told:?}");
    // Five failures, those that were under way with them, and one probe.
    let n_calls = seen.n_calls.load(Ordering::Relaxed);
    assert!((6..=12).contains(&n_calls), "{n_calls} calls for 200 questions");
}
