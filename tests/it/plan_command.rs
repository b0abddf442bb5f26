//! `vidgist plan`, which tells what would be asked and asks nothing.

use crate::support::command;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::command::{Ran, User};
use serde_json::Value;

const TALK: &str = "fixtures/talk.mp4";

/// A server that counts its visitors and turns them away.
fn counting() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/v1", listener.local_addr().expect("an address"));
    let n_visitors = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&n_visitors);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            counted.fetch_add(1, Ordering::SeqCst);
            drop(stream);
        }
    });
    (url, n_visitors)
}

/// The document; on stderr it may be told that a model is switched off soon.
fn json(ran: &Ran) -> Value {
    assert_eq!(ran.code, Some(0), "{ran:?}");
    serde_json::from_str(&ran.out).expect("JSON")
}

#[test]
fn a_plan_shows_the_requests_and_sends_nothing() {
    let (url, n_visitors) = counting();
    let user = User::new();
    let out = user.path("out");
    let base = ["--base-url", &*url, "--model", "m", "--stt-model", "ear", "--interval", "1s", "-o", &*out];
    for command in [&["plan", TALK][..], &["summarize", "--dry-run", TALK]] {
        let text = user.run(&[command, &base, &["--show-requests"]].concat()).complete();
        assert!(text.starts_with("# Plan for fixtures/talk.mp4\n"), "{text}");
        assert!(text.contains("- Frames: 20 of 640x360, ") && text.contains("- Cost: unknown\n"), "{text}");
        let (_, body) = text.split_once("```json\n").expect("a request");
        let body: Value = serde_json::from_str(body.split("```").next().expect("an end")).expect("JSON");
        assert_eq!(body["model"], "m");
        let parts = body["messages"][1]["content"].as_array().expect("parts");
        let url = parts.iter().find_map(|part| part["image_url"]["url"].as_str()).expect("a picture");
        let n_bytes = url.strip_prefix("data:image/jpeg;base64,…(").and_then(|rest| rest.strip_suffix(" bytes)"));
        assert!(n_bytes.is_some_and(|n| n.parse::<usize>().is_ok()), "{url}");
    }
    assert_eq!(command::names(user.home.path()), [""; 0], "nothing is written");
    // The server is not even asked for its only model.
    let nameless = user.run(&["plan", TALK, "--base-url", &url]);
    assert_eq!(nameless.code, Some(2), "{nameless:?}");
    assert!(nameless.err.contains("pass --model"), "{nameless:?}");
    assert_eq!(n_visitors.load(Ordering::SeqCst), 0);
    // The counter counts.
    let asked = user.run(&["summarize", TALK, "--base-url", &url, "--model", "m", "--max-frames", "1"]);
    assert_eq!(asked.code, Some(1), "{asked:?}");
    assert!(n_visitors.load(Ordering::SeqCst) > 0);
}

#[test]
fn the_plan_of_a_known_model_has_windows_tokens_and_money() {
    let user = User::new();
    let plan = |args: &[&str]| {
        let mut command = user.command(&[&["plan", TALK, "--format", "json", "--interval", "870ms"], args].concat());
        command.env("OPENAI_API_KEY", "sk-x").env("GROQ_API_KEY", "x");
        command::ran(&mut command)
    };
    let one = json(&plan(&["--model", "openai:gpt-4o-mini", "--max-tokens", "500", "--max-frames", "6"]));
    assert_eq!((one["n_frames"].as_u64(), one["requests"].as_array().map(Vec::len)), (Some(6), Some(1)));
    // By hand: 6 frames of 640x360, each 2833 and two tiles of 5667; 0.15 and 0.60 dollars a million.
    let tokens = one["prompt_tokens"].as_u64().expect("tokens");
    let pictures = 6 * (2833 + 2 * 5667);
    assert!((pictures..pictures + 1500).contains(&tokens), "{tokens}");
    let cost = one["cost_usd"].as_f64().expect("money");
    assert!((cost - (tokens as f64 * 0.15e-6 + 500.0 * 0.60e-6)).abs() < 1e-9, "{cost}");

    let five = json(&plan(&["--model", "groq:qwen/qwen3.8-27b"]));
    let requests = five["requests"].as_array().expect("requests");
    let n_frames: Vec<u64> = requests.iter().filter_map(|request| request["n_frames"].as_u64()).collect();
    assert_eq!((n_frames.iter().sum::<u64>(), n_frames.len()), (23, 6));
    assert!(n_frames[..5].iter().all(|n| (4..=5).contains(n)) && requests[5]["is_merge"] == true, "{five}");

    let cheap = plan(&["--model", "openai:gpt-4o-mini", "--max-cost", "0.02"]);
    let document = json(&cheap);
    assert!(document["cost_usd"].as_f64().is_some_and(|cost| cost <= 0.02), "{document}");
    let change = document["changes"][0].as_str().expect("a change");
    assert!(change.ends_with("of 23 frames are used") && cheap.err.contains(change), "{cheap:?}");
}

#[test]
fn limits_that_cannot_be_kept_are_refused() {
    let (url, n_visitors) = counting();
    let user = User::new();
    for (args, said) in [
        (vec!["--max-cost", "0.05"], "the price of m is not known; pass --max-tokens-total"),
        (vec!["--max-cost", "much"], "much is not an amount in dollars"),
        (vec!["--max-tokens-total", "10"], "is less than the minimum for this file"),
        (vec!["--show-requests"], "is for a dry run"),
    ] {
        let ran = user.run(&[&["summarize", TALK, "--base-url", &url, "--model", "m"], &*args].concat());
        assert_eq!((ran.code, &*ran.out), (Some(2), ""), "{ran:?}");
        assert!(ran.err.contains(said), "{args:?}: {ran:?}");
    }
    assert_eq!(n_visitors.load(Ordering::SeqCst), 0);
}

#[test]
fn the_built_in_model_has_nothing_to_send() {
    let text = User::new().run(&["plan", TALK]).complete();
    assert!(text.contains("- Nothing would be sent"), "{text}");
}
