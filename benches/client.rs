//! The client beside a slow server: `cargo bench --bench client`. It keeps as many requests in flight as it may, and needs
//! little CPU time. Ends with an error where it reaches less than 95 % of the ideal rate or needs more than 12 ms a frame.
//! Leave the machine idle meanwhile.

#![expect(clippy::print_stdout, reason = "prints what it measures")]

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use vidgist::chat::{Message, Part, Role};
use vidgist::encode::{EncodeOptions, encode};
use vidgist::http::{RequestLimits, ServerConfig, parse_base_url};
use vidgist::llm::{ChatConfig, ChatModel as _, ChatRequest, OpenAi};
use vidgist::media::Frame;
use vidgist::time::Timestamp;

const N_IN_FLIGHT: usize = 16;
const ADDRESS: &str = "VIDGIST_BENCH_ADDRESS";
const N_REQUESTS: &str = "VIDGIST_BENCH_REQUESTS";
/// Ticks of `/proc/self/stat` in a second, on every Linux.
const TICKS: f64 = 100.0;

/// Reads requests, and answers each after `wait`.
async fn serve(mut stream: TcpStream, wait: Duration) -> std::io::Result<()> {
    let reply = json!({"choices": [{"message": {"content": "Seen."}, "finish_reason": "stop"}]}).to_string();
    let reply =
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{reply}", reply.len());
    let (mut bytes, mut chunk) = (Vec::new(), vec![0; 1 << 16]);
    loop {
        let n_read = stream.read(&mut chunk).await?;
        if n_read == 0 {
            return Ok(());
        }
        bytes.extend_from_slice(&chunk[..n_read]);
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
        let mut left = length.unwrap_or(0_usize).saturating_sub(bytes.len() - end - 4);
        while left > 0 {
            left = left.saturating_sub(stream.read(&mut chunk).await?);
        }
        bytes.clear();
        tokio::time::sleep(wait).await;
        stream.write_all(reply.as_bytes()).await?;
    }
}

/// A picture such as films have: slopes, edges, some noise.
fn frame(number: usize) -> Frame {
    let (width, height) = (768_u32, 432_u32);
    let mut random = fastrand::Rng::with_seed(number as u64);
    let pixel = |at: u32| {
        let (x, y) = (at % width, at / width);
        let edge = if (x / 96 + y / 72) % 2 == 0 { 40 } else { 0 };
        [x / 4 + edge, y / 3 + edge, (x + y) / 6].map(|value| (value as u8).saturating_add(random.u8(..12)))
    };
    let rgb = (0..width * height).flat_map(pixel).collect();
    Frame { frame_idx: number, pts: Timestamp::ZERO, time: Timestamp::ZERO, width, height, rgb, is_suspect: false }
}

/// User and system time of this process, in seconds.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("procfs");
    let fields = stat.rsplit_once(')').expect("a name").1.split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS
}

/// The client alone, in a process of its own: encodes and sends one frame with each request.
async fn run_client(url: &str, n_requests: usize) {
    let server = ServerConfig {
        load: RequestLimits { concurrency: N_IN_FLIGHT, ..RequestLimits::default() },
        ..ServerConfig::new(parse_base_url(url).expect("an address"))
    };
    let model = &OpenAi::new(ChatConfig::new(server, "m")).expect("a model");
    let frames: Vec<Frame> = (0..4).map(frame).collect();
    let ask = |number: usize| {
        let frame = &frames[number % frames.len()];
        async move {
            let image = encode(frame, &EncodeOptions::default())?;
            let n_bytes = image.bytes.len();
            let messages = [Message { role: Role::User, parts: vec![Part::Text("a".into()), Part::Image(image)] }];
            model.complete(&ChatRequest::new(&messages)).await?;
            Ok::<_, vidgist::Error>(n_bytes)
        }
    };
    let (begun, cpu) = (Instant::now(), cpu_seconds());
    let sizes = futures_util::stream::iter(0..n_requests).map(ask).buffer_unordered(N_IN_FLIGHT);
    let sizes: Vec<usize> = sizes.try_collect().await.expect("every request is answered");
    println!(
        "seconds={} cpu={} bytes={}",
        begun.elapsed().as_secs_f64(),
        cpu_seconds() - cpu,
        sizes.iter().sum::<usize>() / sizes.len()
    );
}

/// The share of the ideal rate, and the client's CPU time for each frame in milliseconds.
async fn measure(wait: Duration, n_requests: usize) -> (f64, f64) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            tokio::spawn(serve(stream, wait));
        }
    });
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.env(ADDRESS, format!("http://{address}")).env(N_REQUESTS, n_requests.to_string());
    let output = tokio::task::spawn_blocking(move || command.output().expect("runs")).await.expect("no panic");
    server.abort();
    let out = String::from_utf8_lossy(&output.stdout);
    let number = |name: &str| -> f64 {
        let found =
            out.split_once(&format!("{name}=")).and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
        found.unwrap_or_else(|| panic!("{out}\n{}", String::from_utf8_lossy(&output.stderr)))
    };
    let ideal = wait.as_secs_f64() * n_requests.div_ceil(N_IN_FLIGHT) as f64;
    let (rate, cpu_millis) = (ideal / number("seconds"), number("cpu") * 1000.0 / n_requests as f64);
    println!(
        "{n_requests} requests, {N_IN_FLIGHT} in flight, answered after {} s: {:.2} s, {:.1} % of the ideal rate; \
         {cpu_millis:.2} ms of CPU time for a frame of {} bytes",
        wait.as_secs_f64(),
        number("seconds"),
        rate * 100.0,
        number("bytes")
    );
    (rate, cpu_millis)
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    if let (Ok(url), Ok(n_requests)) = (std::env::var(ADDRESS), std::env::var(N_REQUESTS)) {
        run_client(&url, n_requests.parse().expect("a number")).await;
        return ExitCode::SUCCESS;
    }
    let (rate, cpu_millis) = measure(Duration::from_secs(2), 320).await;
    if (0.95..=1.0).contains(&rate) && cpu_millis < 12.0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
