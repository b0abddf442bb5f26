//! The ways in which a server can fail a client.

use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::http::{Reply, error, write};

/// How one request is answered wrongly.
#[derive(Clone, Debug)]
pub enum Fault {
    /// 429, with this `Retry-After`.
    RateLimit(&'static str),
    /// 429: the account is empty.
    Quota,
    /// This status with the API's error object.
    Status(u16),
    /// This status with the API's error object, which repeats the key.
    EchoKey(u16),
    /// A web page with this status.
    Html(u16),
    /// The connection is reset without a byte.
    ResetBefore,
    /// The connection is reset in the middle of the body.
    ResetMidReply,
    /// A byte of the reply each so often.
    SlowDrip(Duration),
    /// A whole reply whose JSON breaks off.
    CutJson,
    /// Content-Length is larger than the body.
    TooShort,
    /// Content-Length is smaller than the body.
    TooLong,
    /// This status (301, 302, 303, 307, 308), which points to this address.
    Redirect(u16, String),
    /// A sound reply with so many more bytes of JSON.
    Huge(usize),
    /// 400 with this parameter, where there is one, and this text.
    Param(Option<&'static str>, &'static str),
    /// This status with this body of JSON.
    Refuse(u16, &'static str),
    /// Half of a stream, then an error of this code.
    ErrorMidStream(&'static str),
    /// A stream that ends, soundly framed, after half of its events.
    HalfStream,
    /// A stream without its last event.
    NoDone,
    /// This reply of status 200.
    Json(&'static str),
    /// The model answers this text, with this finish reason: whole or streamed, as requested.
    Answer(&'static str, &'static str),
    /// The model asks for these tools, by name and JSON of the arguments: whole or streamed, in the dialect of the request.
    Calls(&'static [(&'static str, &'static str)]),
    /// A stream of these events.
    Events(String),
    /// The model declines.
    Refusal,
    /// `choices` is empty.
    NoChoices,
    /// Cut off before the first word.
    LengthEmpty,
    /// A filter took the text.
    ContentFilter,
    /// Content is null without a reason.
    NullContent,
}

/// Answers wrongly; says whether the connection stays open. `reply` is the right answer.
pub async fn answer(fault: &Fault, stream: &mut TcpStream, reply: Reply, authorization: &str) -> bool {
    let half = reply.body.len() / 2;
    let wrong = match fault {
        Fault::RateLimit(wait) => {
            let body = error("Rate limit reached for requests", "requests", None, Some("rate_limit_exceeded"));
            let mut reply = Reply::json(429, &body);
            reply.headers.push(("retry-after", (*wait).to_owned()));
            reply
        }
        Fault::Quota => {
            let message = "You exceeded your current quota, please check your plan and billing details.";
            Reply::json(429, &error(message, "insufficient_quota", None, Some("insufficient_quota")))
        }
        Fault::Status(status) => Reply::json(*status, &error("The server had an error", "server_error", None, None)),
        Fault::EchoKey(status) => {
            let message = format!("Incorrect API key provided: {authorization}");
            Reply::json(*status, &error(&message, "invalid_request_error", None, Some("invalid_api_key")))
        }
        Fault::Html(status) => {
            Reply::html(*status, "<!DOCTYPE html><html><head><title>A gateway</title></head><body>Hello</body></html>")
        }
        Fault::ResetBefore => {
            reset(stream);
            return false;
        }
        Fault::ResetMidReply => {
            let _ = stream.write_all(reply.head(reply.body.len()).as_bytes()).await;
            let _ = stream.write_all(&reply.body[..half]).await;
            let _ = stream.flush().await;
            // So that the half is read before the reset throws away what is unread.
            tokio::time::sleep(Duration::from_millis(20)).await;
            reset(stream);
            return false;
        }
        Fault::SlowDrip(pause) => {
            for byte in [reply.head(reply.body.len()).as_bytes(), &reply.body].concat() {
                if stream.write_all(&[byte]).await.is_err() {
                    return false;
                }
                tokio::time::sleep(*pause).await;
            }
            return true;
        }
        Fault::CutJson => Reply { body: reply.body[..half].to_vec(), ..reply },
        Fault::TooShort => {
            let _ = stream.write_all(reply.head(reply.body.len() + 7).as_bytes()).await;
            let _ = stream.write_all(&reply.body).await;
            let _ = stream.shutdown().await;
            return false;
        }
        Fault::TooLong => {
            let _ = stream.write_all(reply.head(half).as_bytes()).await;
            let _ = stream.write_all(&reply.body).await;
            let _ = stream.shutdown().await;
            return false;
        }
        Fault::Redirect(status, target) => {
            let mut reply = Reply::html(*status, "");
            reply.headers.push(("location", target.clone()));
            reply
        }
        Fault::Huge(n_bytes) => {
            let mut body = reply.body.clone();
            body.extend(std::iter::repeat_n(b' ', *n_bytes));
            Reply { body, ..reply }
        }
        Fault::Param(param, text) => Reply::json(400, &error(text, "invalid_request_error", *param, None)),
        Fault::Refuse(status, text) => Reply { body: text.as_bytes().to_vec(), ..Reply::json(*status, &json!({})) },
        Fault::ErrorMidStream(code) => {
            let body = error("The server had an error", "server_error", None, Some(code));
            Reply { body: [half_of_events(&reply.body), format!("data: {body}\n\n").as_bytes()].concat(), ..reply }
        }
        Fault::HalfStream => Reply { body: half_of_events(&reply.body).to_vec(), ..reply },
        Fault::NoDone => {
            let body = String::from_utf8_lossy(&reply.body).replace("data: [DONE]\n\n", "").into_bytes();
            Reply { body, ..reply }
        }
        Fault::Json(text) => Reply { body: text.as_bytes().to_vec(), ..Reply::json(200, &json!({})) },
        Fault::Answer(text, finish) if reply.body.starts_with(b":") => Reply::events(&answer_events(text, finish)),
        Fault::Answer(text, finish) => choice(&json!({"role": "assistant", "content": text, "refusal": null}), finish),
        Fault::Calls(_) => reply,
        Fault::Events(text) => Reply::events(text),
        Fault::Refusal => choice(&json!({"role": "assistant", "content": null, "refusal": "I cannot."}), "stop"),
        Fault::NoChoices => Reply::json(200, &json!({"id": "x", "object": "chat.completion", "choices": []})),
        Fault::LengthEmpty => choice(&json!({"role": "assistant", "content": "", "refusal": null}), "length"),
        Fault::ContentFilter => choice(&json!({"role": "assistant", "content": null}), "content_filter"),
        Fault::NullContent => choice(&json!({"role": "assistant", "content": null, "refusal": null}), "stop"),
    };
    write(stream, &wrong).await.is_ok()
}

/// The first events of a stream, about half of them.
fn half_of_events(body: &[u8]) -> &[u8] {
    let half = body.len() / 2;
    let end = body[..half].windows(2).rposition(|pair| pair == b"\n\n" || pair == b"\r\n").map_or(0, |at| at + 2);
    &body[..end]
}

/// A streamed answer in pieces of five characters.
fn answer_events(text: &str, finish: &str) -> String {
    let event = |delta: serde_json::Value, finish: Option<&str>| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        let chunk =
            json!({"id": "x", "object": "chat.completion.chunk", "model": super::CHAT_MODEL, "choices": [choice]});
        format!("data: {chunk}\n\n")
    };
    let chars: Vec<char> = text.chars().collect();
    let pieces = chars.chunks(5).map(|piece| event(json!({"content": piece.iter().collect::<String>()}), None));
    pieces.collect::<String>() + &event(json!({}), Some(finish)) + "data: [DONE]\n\n"
}

fn choice(message: &serde_json::Value, finish: &str) -> Reply {
    let choice = json!({"index": 0, "message": message, "finish_reason": finish});
    Reply::json(200, &json!({"id": "x", "object": "chat.completion", "model": super::CHAT_MODEL, "choices": [choice]}))
}

/// Makes closing the connection send a reset.
fn reset(stream: &TcpStream) {
    stream.set_zero_linger().expect("a connected socket");
}
