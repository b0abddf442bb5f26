//! HTTP/1.1 by hand, so that a test can see and break what a library would smooth over.

use std::io::{Error, ErrorKind, Result};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// Names in lower case, in the order sent.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// The header's value; None where it is missing or there twice.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str());
        values.next().filter(|_| values.next().is_none())
    }
}

/// Why a request is not accepted, in `OpenAI`'s words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    pub message: String,
    pub param: Option<String>,
    pub code: Option<String>,
}

impl Refusal {
    pub fn new(status: u16, param: &str, message: impl Into<String>) -> Self {
        let param = (!param.is_empty()).then(|| param.to_owned());
        Self { status, message: message.into(), param, code: None }
    }

    pub fn json(&self) -> Value {
        let kind = if self.status == 401 { "authentication_error" } else { "invalid_request_error" };
        json!({"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}})
    }
}

/// Reads one request; None where the client closed the connection instead. The inner error is a request whose
/// length is not said as it must be: many servers refuse a chunked body.
pub async fn read_request(stream: &mut BufReader<TcpStream>) -> Result<Option<std::result::Result<Request, Refusal>>> {
    let mut lines = Vec::new();
    loop {
        let mut line = Vec::new();
        stream.take(64 << 10).read_until(b'\n', &mut line).await?;
        if line.is_empty() {
            return if lines.is_empty() { Ok(None) } else { Err(ErrorKind::UnexpectedEof.into()) };
        }
        let line = line.strip_suffix(b"\r\n").ok_or_else(|| Error::other("a line without CR LF"))?;
        if line.is_empty() {
            break;
        }
        lines.push(String::from_utf8(line.to_vec()).map_err(Error::other)?);
    }
    let words: Vec<&str> = lines[0].split(' ').collect();
    let &[method, path, "HTTP/1.1"] = words.as_slice() else { return Err(Error::other(lines[0].clone())) };
    let headers = lines[1..].iter().map(|line| line.split_once(':').ok_or_else(|| Error::other(line.clone())));
    let headers = headers
        .map(|header| header.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())))
        .collect::<Result<_>>()?;
    let mut request = Request { method: method.to_owned(), path: path.to_owned(), headers, body: Vec::new() };
    if request.method != "POST" {
        return Ok(Some(Ok(request)));
    }
    let length = request.header("content-length").and_then(|text| text.parse::<usize>().ok());
    match length {
        Some(length) if request.header("transfer-encoding").is_none() && length < 200 << 20 => {
            request.body = vec![0; length];
            stream.read_exact(&mut request.body).await?;
            Ok(Some(Ok(request)))
        }
        _ => Ok(Some(Err(Refusal::new(411, "", "Content-Length is missing, wrong or beside Transfer-Encoding")))),
    }
}

/// A reply.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: vec![("content-type".into(), content_type.into())], body: body.into() }
    }

    pub fn with_header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.into(), value.to_string()));
        self
    }
}

/// How a reply gets to the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// All of it.
    #[default]
    Whole,
    /// Nothing: the connection is reset.
    ResetBefore,
    /// Its first half: then the connection is reset.
    ResetMidway,
    /// Its first half, then the connection is closed in an orderly way: Content-Length promised more.
    Short,
    /// All of it, in 16 parts with a pause after each.
    Drip(Duration),
    /// Nothing, and the connection stays open.
    Hang,
}

/// Sends the reply; whether the connection can take another request.
pub async fn write_reply(stream: &mut TcpStream, reply: &Reply, delivery: Delivery) -> Result<bool> {
    let mut head = format!("HTTP/1.1 {} Whatever\r\ncontent-length: {}\r\n", reply.status, reply.body.len());
    for (name, value) in &reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += "x-request-id: req-oracle\r\n\r\n";
    let half = &reply.body[..reply.body.len() / 2];
    match delivery {
        Delivery::ResetBefore => {
            stream.set_zero_linger()?;
            return Ok(false);
        }
        Delivery::Hang => std::future::pending().await,
        Delivery::ResetMidway | Delivery::Short => {
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(half).await?;
            if delivery == Delivery::ResetMidway {
                // So that the half is read before the reset, which would discard it, comes.
                tokio::time::sleep(Duration::from_millis(20)).await;
                stream.set_zero_linger()?;
            }
            return Ok(false);
        }
        Delivery::Drip(pause) => {
            stream.write_all(head.as_bytes()).await?;
            for part in reply.body.chunks(reply.body.len().div_ceil(16).max(1)) {
                stream.write_all(part).await?;
                tokio::time::sleep(pause).await;
            }
        }
        Delivery::Whole => {
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&reply.body).await?;
        }
    }
    stream.flush().await?;
    Ok(true)
}
