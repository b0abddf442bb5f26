//! The streamed body of a chat request is the plain one, byte counts and memory included; and two ends of a connection
//! that the fake server does not play: a reply that swells when unpacked, and nobody there at all.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use crate::support::fake_server::{FakeServer, Fault};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use vidgist::chat::{ChatResponse, Message, Part, Role};
use vidgist::http::{ServerConfig, parse_base_url};
use vidgist::llm::{ChatConfig, ChatModel as _, ChatRequest, OpenAi, SamplingParams};
use vidgist::media::{EncodedImage, ImageFormat};
use vidgist::time::Timestamp;
use vidgist::{Error, ErrorKind};

fn config(base_url: &str) -> ChatConfig {
    let server = ServerConfig {
        timeout: Duration::from_secs(20),
        first_wait: Duration::from_millis(1),
        ..ServerConfig::new(parse_base_url(base_url).expect("an address"))
    };
    ChatConfig::new(server, "fake-chat")
}

fn image(bytes: Bytes, format: ImageFormat) -> Part {
    let time = Timestamp::ZERO;
    Part::Image(EncodedImage { frame_idx: 0, pts: time, time, width: 1, height: 1, format, bytes })
}

fn user(parts: Vec<Part>) -> Vec<Message> {
    vec![Message { role: Role::User, parts }]
}

async fn ask(config: ChatConfig, messages: &[Message]) -> Result<ChatResponse, Error> {
    let model = OpenAi::new(config).expect("a right configuration");
    model.complete(&ChatRequest::new(messages)).await
}

fn parts() -> impl Strategy<Value = Part> {
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..50),
        // Around the borders of the chunks of 36 KiB.
        (36_860_usize..36_870, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]),
        (73_724_usize..73_732, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]),
    ];
    let format = prop_oneof![Just(ImageFormat::Jpeg), Just(ImageFormat::Png), Just(ImageFormat::Webp)];
    prop_oneof![
        any::<String>().prop_map(Part::Text),
        any::<String>().prop_map(Part::ImageUrl),
        bytes.clone().prop_map(|bytes| Part::Audio(bytes.into())),
        (bytes, format).prop_map(|(bytes, format)| image(bytes.into(), format)),
    ]
}

/// The content of a message as `serde_json` makes it.
fn naive_content(parts: &[Part]) -> Value {
    let texts = parts.iter().map(|part| if let Part::Text(text) = part { Some(text.as_str()) } else { None });
    if let Some(texts) = texts.collect::<Option<Vec<_>>>() {
        return texts.join("\n").into();
    }
    let picture = |url: String| json!({"type": "image_url", "image_url": {"url": url}});
    let naive = |part: &Part| match part {
        Part::Text(text) => json!({"type": "text", "text": text}),
        Part::ImageUrl(url) => picture(url.clone()),
        Part::Audio(wav) => {
            json!({"type": "input_audio", "input_audio": {"data": STANDARD.encode(wav), "format": "wav"}})
        }
        Part::Image(image) => picture(format!("data:{};base64,{}", image.format.mime(), STANDARD.encode(&image.bytes))),
        Part::ToolCall(_) | Part::ToolResult { .. } => panic!("not in these messages"),
    };
    parts.iter().map(naive).collect()
}

proptest! {
    // A failing case is printed; tests write nothing into the source tree.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_streamed_body_is_the_naive_one(
        model in "\\PC*[a-z]\\PC*",
        parts in prop::collection::vec(parts(), 1..6),
        temperature in prop::option::of(0.0_f64..=2.0),
        seed in any::<Option<i64>>(),
        stop in prop::collection::vec(".+", 0..4),
    ) {
        let mut naive = json!({"model": model, "messages": [{"role": "user", "content": naive_content(&parts)}]});
        if let Some(temperature) = temperature {
            naive["temperature"] = temperature.into();
        }
        if let Some(seed) = seed {
            naive["seed"] = seed.into();
        }
        if !stop.is_empty() {
            naive["stop"] = stop.clone().into();
        }
        let params = SamplingParams { temperature, seed, stop, ..SamplingParams::default() };
        let client = OpenAi::new(ChatConfig { model, params, ..config("http://localhost:1") }).expect("right");
        let messages = user(parts);
        let body = client.request_body(&ChatRequest::new(&messages)).expect("within the limits");
        let chunks: Vec<Bytes> = body.chunks().collect();
        let bytes = chunks.concat();
        prop_assert_eq!(bytes.len() as u64, body.len_bytes());
        // Both are read from text, since serde_json reads some floats one unit off in the last place.
        let naive: Value = serde_json::from_str(&naive.to_string()).expect("JSON");
        prop_assert_eq!(serde_json::from_slice::<Value>(&bytes).expect("JSON"), naive);
        prop_assert_eq!(body.chunks().collect::<Vec<_>>(), chunks, "the same for each try");
    }
}

/// A line of this process's memory figures, in KiB.
#[cfg(target_os = "linux")]
fn memory_kib(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs");
    let line = status.lines().find(|line| line.starts_with(name)).expect("a line");
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
}

const ADDRESS: &str = "VIDGIST_TEST_ADDRESS";

/// The client alone, in a process of its own: sends 30 pictures of 1 MB to the address in its environment.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn memory_child() {
    let Ok(base_url) = std::env::var(ADDRESS) else { return };
    let mut random = fastrand::Rng::with_seed(1);
    let noise = image::RgbImage::from_fn(600, 600, |_, _| image::Rgb([random.u8(..), random.u8(..), random.u8(..)]));
    let mut png = std::io::Cursor::new(Vec::new());
    noise.write_to(&mut png, image::ImageFormat::Png).expect("encodes");
    let png = png.into_inner();
    let messages = user((0..30).map(|_| image(Bytes::copy_from_slice(&png), ImageFormat::Png)).collect());
    // The peak counts from here.
    std::fs::write("/proc/self/clear_refs", "5").expect("procfs");
    let before = memory_kib("VmRSS:");
    ask(config(&base_url), &messages).await.expect("an answer");
    println!("growth_kib={} of {before}", memory_kib("VmHWM:").saturating_sub(before));
}

#[cfg(target_os = "linux")]
#[test]
fn thirty_megabytes_of_pictures_are_sent_in_little_memory() {
    let fake_server = FakeServer::start();
    fake_server.fail_with([Fault::Status(503)]);
    let output = std::process::Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "model_body::memory_child", "--nocapture"])
        .env(ADDRESS, fake_server.base_url())
        .output()
        .expect("runs");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let growth = told.split("growth_kib=").nth(1).and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    let growth = growth.unwrap_or_else(|| panic!("{told}\n{}", String::from_utf8_lossy(&output.stderr)));
    println!("sending 30 pictures of 1 MB twice grew memory by {growth} KiB");
    let seen = fake_server.seen();
    assert!(seen.len() == 2 && seen.iter().all(|seen| seen.body.len() > 40_000_000), "{:?}", fake_server.refusals());
    assert_eq!(fake_server.chats().iter().map(|chat| chat.pictures.len()).collect::<Vec<_>>(), [30, 30]);
    // One string of the body would be 42,000 KiB.
    assert!(growth < 12_000, "{growth} KiB");
}

#[tokio::test]
async fn a_reply_is_held_to_its_limit_after_it_is_unpacked() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&vec![b' '; 50_000_000]).expect("memory");
    let packed = encoder.finish().expect("memory");
    assert!(packed.len() < 300_000, "{}", packed.len());
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut request = [0; 4096];
        let n_read = stream.read(&mut request).expect("a request");
        let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", packed.len());
        stream.write_all(head.as_bytes()).expect("the head goes out");
        // The client leaves when it has read enough.
        let _ = stream.write_all(&packed);
        n_read
    });
    let mut config = config(&format!("http://{address}"));
    config.server.max_reply_bytes = 1_000_000;
    let error = ask(config, &user(vec![Part::Text("a".into())])).await.expect_err("too large");
    assert!(matches!(error, Error { kind: ErrorKind::Limit, .. }), "{error:?}");
    assert_eq!(error.to_string(), format!("{address}: the reply is larger than 1000000 bytes"));
    assert!(server.join().expect("no panic") > 0);
}

#[tokio::test]
async fn a_dead_server_is_tried_again_and_named() {
    // Bound, and closed at once: nobody listens there now.
    let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let told = ask(config(&format!("http://{address}")), &user(vec![Part::Text("a".into())])).await;
    let expected =
        "cannot connect: connection refused (tried 5 times); check that the server is running, or check the base URL";
    assert_eq!(told.expect_err("nobody there").to_string(), format!("{address}: {expected}"));
}
