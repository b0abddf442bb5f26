//! A server that fails three calls in ten, in every way that it can, and 200 questions put 16 at a time: each is
//! answered once and rightly, in order, with no more retries than the budget has, in little memory.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::fake_server::{CHAT_MODEL, FakeServer, Fault, What};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};
use vidgist::chat::{Message, Part, Role};
use vidgist::http::{RequestLimits, ServerConfig, parse_base_url};
use vidgist::llm::{ChatConfig, ChatModel, ChatRequest, OpenAi};
use vidgist::media::{EncodedImage, ImageFormat};
use vidgist::time::Timestamp;

const N_QUESTIONS: u64 = 200;
const AT_A_TIME: usize = 16;
const ADDRESS: &str = "VIDGIST_TEST_ADDRESS";

/// Three faults in ten calls, by a seed. Never more than two in a row that speak of a dead server: what then happens
/// is tested elsewhere.
fn weather() -> Vec<Option<Fault>> {
    let mut random = fastrand::Rng::with_seed(7);
    let (mut calls, mut n_down) = (Vec::new(), 0);
    // Enough for every question and its retries, and some over.
    while calls.len() < 600 {
        // The share lost where a third one in a row is left out is made up for.
        let fault = (random.f64() < 0.31).then(|| match random.u8(..8) {
            0 | 1 => Fault::RateLimit("0.05"),
            2 => Fault::Status(429),
            3 => Fault::Status(500),
            4 => Fault::ResetBefore,
            5 => Fault::ResetMidReply,
            6 => Fault::SlowDrip(Duration::from_millis(30)),
            _ => Fault::CutJson,
        });
        let fault = fault.filter(|fault| !is_down(fault) || n_down < 2);
        n_down = if fault.as_ref().is_some_and(is_down) { n_down + 1 } else { 0 };
        calls.push(fault);
    }
    calls
}

fn is_down(fault: &Fault) -> bool {
    !is_put_off(fault) && !matches!(fault, Fault::CutJson)
}

/// Whether the server itself says when to come back, which no budget counts.
fn is_put_off(fault: &Fault) -> bool {
    matches!(fault, Fault::RateLimit(_) | Fault::Status(429))
}

fn picture(number: u64) -> EncodedImage {
    // Noise does not pack: some 100 kB each, and each its own.
    let mut random = fastrand::Rng::with_seed(number);
    let noise = image::RgbImage::from_fn(180, 180, |_, _| image::Rgb([random.u8(..), random.u8(..), random.u8(..)]));
    let mut png = std::io::Cursor::new(Vec::new());
    noise.write_to(&mut png, image::ImageFormat::Png).expect("encodes");
    let (time, bytes) = (Timestamp::ZERO, Bytes::from(png.into_inner()));
    EncodedImage {
        frame_idx: number as usize,
        pts: time,
        time,
        width: 180,
        height: 180,
        format: ImageFormat::Png,
        bytes,
    }
}

/// Asks for the number back.
async fn ask(model: &OpenAi, number: u64) -> vidgist::Result<Value> {
    let parts = vec![Part::Text(format!("[t=00:01.5 #{number}]")), Part::Image(picture(number))];
    let messages = [Message { role: Role::User, parts }];
    let answer = model.complete(&ChatRequest::new(&messages)).await?;
    let told: Value = serde_json::from_str(&answer.choices[0].text).expect("the fake server answers JSON");
    Ok(json!({"asked": number, "told": told["pictures"][0]["id"], "n_attempts": answer.n_attempts}))
}

#[cfg(target_os = "linux")]
fn memory_kib(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs");
    let line = status.lines().find(|line| line.starts_with(name)).expect("a line");
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
}

/// The client alone, in a process of its own, so that its memory can be told.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn storm_child() {
    let Ok(base_url) = std::env::var(ADDRESS) else { return };
    let server = ServerConfig {
        timeout: Duration::from_millis(1500),
        first_wait: Duration::from_millis(10),
        // Three in ten, thirteen times in a row: never.
        max_retries: 12,
        load: RequestLimits { concurrency: AT_A_TIME, ..RequestLimits::default() },
        ..ServerConfig::new(parse_base_url(&base_url).expect("an address"))
    };
    let model = &OpenAi::new(ChatConfig::new(server, CHAT_MODEL)).expect("a model");
    // What stays once all is warm is in the first answers; the peak counts from there.
    let warm = futures_util::stream::iter(0..40).map(|number| ask(model, number)).buffered(AT_A_TIME);
    let mut answers: Vec<Value> = warm.try_collect().await.expect("every question is answered");
    std::fs::write("/proc/self/clear_refs", "5").expect("procfs");
    let before = memory_kib("VmRSS:");
    let rest = futures_util::stream::iter(40..N_QUESTIONS).map(|number| ask(model, number)).buffered(AT_A_TIME);
    answers.extend(rest.try_collect::<Vec<Value>>().await.expect("every question is answered"));
    let growth_kib = memory_kib("VmHWM:").saturating_sub(before);
    println!("told={}", json!({"answers": answers, "growth_kib": growth_kib}));
}

#[cfg(target_os = "linux")]
#[test]
fn every_question_is_answered_once_in_a_storm() {
    let fake_server = FakeServer::start();
    for fault in weather() {
        match fault {
            Some(fault) => fake_server.fail_with([fault]),
            None => fake_server.then_succeed(),
        }
    }
    let begun = Instant::now();
    let output = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "storm::storm_child", "--nocapture"])
        .env(ADDRESS, fake_server.base_url())
        .output()
        .expect("runs");
    let seconds = begun.elapsed().as_secs_f64();
    let out = String::from_utf8_lossy(&output.stdout);
    let told = out.split("told=").nth(1).and_then(|rest| serde_json::from_str::<Value>(rest.lines().next()?).ok());
    let told = told.unwrap_or_else(|| panic!("{out}\n{}", String::from_utf8_lossy(&output.stderr)));

    let answers = told["answers"].as_array().expect("a list");
    let numbers = |key: &str| -> Vec<u64> { answers.iter().filter_map(|answer| answer[key].as_u64()).collect() };
    let all: Vec<u64> = (0..N_QUESTIONS).collect();
    assert_eq!((numbers("asked"), numbers("told")), (all.clone(), all), "each its own answer, in order");

    let (seen, mut n_calls, mut n_answered) = (fake_server.seen(), BTreeMap::new(), BTreeMap::new());
    for one in &seen {
        let What::Chat(chat) = &one.what else { panic!("{:?}", one.what) };
        let number = chat.pictures[0].id.expect("a label");
        *n_calls.entry(number).or_insert(0_u64) += 1;
        if one.fault.is_none() {
            *n_answered.entry(number).or_insert(0_u64) += 1;
        }
    }
    assert!(n_answered.len() as u64 == N_QUESTIONS && n_answered.values().all(|n| *n == 1), "{n_answered:?}");
    assert_eq!(n_calls.into_values().collect::<Vec<_>>(), numbers("n_attempts"), "the calls are those that are told");

    let faults: Vec<&Fault> = seen.iter().filter_map(|one| one.fault.as_ref()).collect();
    let share = faults.len() as f64 / seen.len() as f64;
    assert!((0.25..0.36).contains(&share), "{share}");
    let n_retries = faults.iter().filter(|fault| !is_put_off(fault)).count() as f64;
    let budget = 10.0 + 0.2 * N_QUESTIONS as f64 + seconds;
    let growth_kib = told["growth_kib"].as_u64().expect("a number");
    let n_seen = seen.len();
    println!(
        "{n_seen} calls, {n_retries} retries counted of {budget:.0}, {seconds:.1} s, memory grew by {growth_kib} KiB"
    );
    assert!(n_retries <= budget, "{n_retries} retries, and {budget} in the budget");
    // All bodies together are 17 MB of pictures and 23 MB of Base64; 16 at a time are 1.6 and, in pieces, 1.
    assert!(growth_kib < 8 * 1024, "{growth_kib} KiB");
}
