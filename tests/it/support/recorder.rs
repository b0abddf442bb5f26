//! A server that answers whatever comes with one reply, and keeps what came.

#![allow(dead_code, reason = "each test reads its part of what came")]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread::JoinHandle;

use serde_json::Value;

/// One request as it came.
#[derive(Debug)]
pub struct Came {
    /// The request line.
    pub line: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, as JSON.
    pub body: Value,
}

/// Answers so many requests, one after another, with `reply`; its address, and what came.
pub fn recorder(n_requests: usize, reply: String) -> (String, JoinHandle<Vec<Came>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let thread = std::thread::spawn(move || (0..n_requests).map(|_| answer_one(&listener, &reply)).collect());
    (address, thread)
}

fn answer_one(listener: &TcpListener, reply: &str) -> Came {
    let (mut stream, _) = listener.accept().expect("a connection");
    let (mut bytes, mut chunk) = (Vec::new(), vec![0; 1 << 16]);
    let (head_len, n_body) = loop {
        let n_read = stream.read(&mut chunk).expect("a request");
        assert!(n_read > 0, "the request ended early");
        bytes.extend_from_slice(&chunk[..n_read]);
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
        let length: usize = length.expect("a length");
        if bytes.len() >= end + 4 + length {
            break (end, length);
        }
    };
    let head = String::from_utf8(bytes[..head_len].to_vec()).expect("UTF-8");
    let mut lines = head.lines();
    let line = lines.next().expect("a line").to_owned();
    let pair = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    let headers = lines.filter_map(pair).collect();
    let body = serde_json::from_slice(&bytes[head_len + 4..head_len + 4 + n_body]).expect("JSON");
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        reply.len()
    );
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(reply.as_bytes())).expect("it listens");
    Came { line, headers, body }
}
