//! HTTP/1.1 by hand (RFC 9112), so that what a client really wrote is seen, and ugly replies can be written.

use std::fmt::Write as _;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A header section may be this large.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// A body may be this large: the API takes 50 MB.
const MAX_BODY_BYTES: usize = 64 << 20;

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// Why a request is refused, in the API's own form.
#[derive(Debug)]
pub struct Refusal {
    pub status: u16,
    pub message: String,
    param: Option<String>,
    code: Option<&'static str>,
}

impl Refusal {
    pub fn new(status: u16, message: impl Into<String>, param: Option<&str>, code: Option<&'static str>) -> Self {
        Self { status, message: message.into(), param: param.map(ToOwned::to_owned), code }
    }

    /// A 400 about one field of the request.
    pub fn field(param: &str, message: impl Into<String>) -> Self {
        Self::new(400, message, Some(param), Some("invalid_value"))
    }

    pub fn reply(&self) -> Reply {
        Reply::json(self.status, &error(&self.message, "invalid_request_error", self.param.as_deref(), self.code))
    }
}

/// The API's error object.
pub fn error(message: &str, kind: &str, param: Option<&str>, code: Option<&str>) -> Value {
    json!({"error": {"message": message, "type": kind, "param": param, "code": code}})
}

/// A reply, whole.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn json(status: u16, body: &Value) -> Self {
        let body = body.to_string().into_bytes();
        Self { status, headers: vec![("content-type", "application/json".into())], body }
    }

    /// Server-sent events.
    pub fn events(body: &str) -> Self {
        Self {
            status: 200,
            headers: vec![("content-type", "text/event-stream; charset=utf-8".into())],
            body: body.into(),
        }
    }

    pub fn html(status: u16, body: &str) -> Self {
        Self { status, headers: vec![("content-type", "text/html".into())], body: body.into() }
    }

    /// The status line and the headers, `n_bytes` as Content-Length.
    pub fn head(&self, n_bytes: usize) -> String {
        let mut head =
            format!("HTTP/1.1 {} -\r\ncontent-length: {n_bytes}\r\nx-request-id: req-fake-server\r\n", self.status);
        for (name, value) in &self.headers {
            // Writing to a String does not fail.
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head + "\r\n"
    }
}

/// Writes a reply.
pub async fn write(stream: &mut TcpStream, reply: &Reply) -> std::io::Result<()> {
    stream.write_all(reply.head(reply.body.len()).as_bytes()).await?;
    stream.write_all(&reply.body).await?;
    stream.flush().await
}

/// Reads away what the client still sends: closing a connection with unread bytes resets it, and the reply would be lost.
pub async fn drain(stream: &mut TcpStream) {
    let _ = stream.shutdown().await;
    let mut bytes = vec![0; MAX_HEAD_BYTES];
    for _ in 0..MAX_BODY_BYTES / MAX_HEAD_BYTES {
        if !matches!(stream.read(&mut bytes).await, Ok(1..)) {
            return;
        }
    }
}

pub fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
}

/// Reads one request; None where the client has gone between two. `rest` keeps what belongs to the next.
pub async fn read(stream: &mut TcpStream, rest: &mut Vec<u8>) -> Result<Option<Request>, Box<(Request, Refusal)>> {
    let mut request = Request::default();
    let refuse =
        |request: Request, status, message: &str| Err(Box::new((request, Refusal::new(status, message, None, None))));
    let head_len = loop {
        if let Some(at) = rest.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        match stream.read_buf(rest).await {
            // Closed or reset between two requests: so do clients that have no more to ask.
            Ok(0) | Err(_) if rest.is_empty() => return Ok(None),
            Ok(0) | Err(_) => return refuse(request, 400, "the request ended in its head"),
            Ok(_) if rest.len() > MAX_HEAD_BYTES => return refuse(request, 431, "the head is too large"),
            Ok(_) => {}
        }
    };
    let body = rest.split_off(head_len);
    let head = std::mem::replace(rest, body);
    if parse_head(&head, &mut request).is_none() {
        return refuse(request, 400, "the head is not HTTP/1.1");
    }
    if request.headers.iter().filter(|(name, _)| name == "host").count() != 1 {
        return refuse(request, 400, "there must be one Host");
    }
    if header(&request.headers, "transfer-encoding").is_some() {
        return refuse(request, 411, "a body without Content-Length");
    }
    let lengths: Vec<&str> =
        request.headers.iter().filter(|(name, _)| name == "content-length").map(|(_, value)| value.as_str()).collect();
    let length = match lengths.as_slice() {
        [] if matches!(request.method.as_str(), "GET" | "DELETE") => 0,
        [] => return refuse(request, 411, "there is no Content-Length"),
        [length] => match length.parse::<usize>() {
            Ok(length) if length <= MAX_BODY_BYTES => length,
            Ok(_) => return refuse(request, 413, "the body is too large"),
            Err(_) => return refuse(request, 400, "Content-Length is no number"),
        },
        _ => return refuse(request, 400, "two Content-Length"),
    };
    while rest.len() < length {
        match stream.read_buf(rest).await {
            Ok(0) | Err(_) => {
                request.body = std::mem::take(rest);
                return refuse(request, 400, "the body is shorter than Content-Length");
            }
            Ok(_) => {}
        }
    }
    let next = rest.split_off(length);
    request.body = std::mem::replace(rest, next);
    // No client of ours sends a request before it has the reply to the one before.
    if !rest.is_empty() {
        return refuse(request, 400, "the body is longer than Content-Length");
    }
    Ok(Some(request))
}

fn parse_head(head: &[u8], request: &mut Request) -> Option<()> {
    let head = std::str::from_utf8(head).ok()?;
    let mut lines = head.strip_suffix("\r\n\r\n")?.split("\r\n");
    let mut first = lines.next()?.split(' ');
    first.next()?.clone_into(&mut request.method);
    first.next()?.clone_into(&mut request.path);
    let is_http = first.next() == Some("HTTP/1.1") && first.next().is_none() && request.path.starts_with('/');
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        request.headers.push((is_name.then(|| name.to_ascii_lowercase())?, value.trim().to_owned()));
    }
    is_http.then_some(())
}
