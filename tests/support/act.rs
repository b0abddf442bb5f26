//! How the oracle can be told to misbehave, one act for each request.

use std::io::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::http::{Delivery, Reply};

/// What is done with one request that was found right.
#[derive(Clone, Debug, Default)]
pub struct Act {
    /// The reply; None is the true answer.
    pub reply: Option<Reply>,
    pub delivery: Delivery,
}

impl Act {
    /// The true answer, brought like this.
    pub fn deliver(delivery: Delivery) -> Self {
        Self { reply: None, delivery }
    }

    pub fn reply(reply: Reply) -> Self {
        Self { reply: Some(reply), delivery: Delivery::Whole }
    }

    /// A success with this JSON.
    pub fn json(body: &Value) -> Self {
        Self::reply(Reply::json(200, body))
    }

    /// An error as `OpenAI` shapes it.
    pub fn error(status: u16, message: &str) -> Self {
        Self::reply(Reply::json(
            status,
            &json!({"error": {"message": message, "type": "e", "param": null, "code": null}}),
        ))
    }

    pub fn too_many(retry_after: &str) -> Self {
        let mut act = Self::error(429, "Rate limit reached");
        act.reply = act.reply.map(|reply| reply.with_header("retry-after", retry_after));
        act
    }

    pub fn insufficient_quota() -> Self {
        let error = json!({"message": "You exceeded your current quota", "type": "insufficient_quota",
            "param": null, "code": "insufficient_quota"});
        Self::reply(Reply::json(429, &json!({"error": error})))
    }

    pub fn reset_before() -> Self {
        Self::deliver(Delivery::ResetBefore)
    }

    pub fn reset_midway() -> Self {
        Self::deliver(Delivery::ResetMidway)
    }

    /// Less than its Content-Length promises.
    pub fn short() -> Self {
        Self::deliver(Delivery::Short)
    }

    pub fn drip(pause: Duration) -> Self {
        Self::deliver(Delivery::Drip(pause))
    }

    pub fn hang() -> Self {
        Self::deliver(Delivery::Hang)
    }

    /// JSON cut off, with a Content-Length that agrees.
    pub fn cut_json() -> Self {
        Self::reply(Reply::new(200, "application/json", r#"{"id":"x","choices":[{"message":{"content":"so far"#))
    }

    /// A page of a web site or a proxy.
    pub fn html(status: u16) -> Self {
        let page = "<!DOCTYPE html><html><head><title>Bad Gateway</title></head><body><h1>nginx</h1></body></html>";
        Self::reply(Reply::new(status, "text/html", page))
    }

    pub fn redirect(to: &str) -> Self {
        Self::reply(Reply::new(307, "text/plain", "").with_header("location", to))
    }

    /// A JSON string of this many bytes.
    pub fn huge(n_bytes: usize) -> Self {
        Self::reply(Reply::new(200, "application/json", format!("\"{}\"", "x".repeat(n_bytes))))
    }

    /// The same, compressed to a thousandth.
    pub fn gzip_bomb(n_bytes: usize) -> Self {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&vec![b' '; n_bytes]).expect("memory");
        let body = encoder.finish().expect("memory");
        Self::reply(Reply::new(200, "application/json", body).with_header("content-encoding", "gzip"))
    }

    /// A chat answer with one choice of this shape.
    pub fn choice(message: &Value, finish_reason: &str) -> Self {
        Self::json(&json!({"object": "chat.completion", "choices":
            [{"index": 0, "message": message, "finish_reason": finish_reason}]}))
    }

    pub fn refusal() -> Self {
        Self::choice(&json!({"role": "assistant", "content": null, "refusal": "I cannot help with that."}), "stop")
    }

    pub fn content_filter() -> Self {
        Self::choice(&json!({"role": "assistant", "content": ""}), "content_filter")
    }

    pub fn length_empty() -> Self {
        Self::choice(&json!({"role": "assistant", "content": ""}), "length")
    }

    pub fn null_content() -> Self {
        Self::choice(&json!({"role": "assistant", "content": null}), "stop")
    }

    pub fn empty_choices() -> Self {
        Self::json(&json!({"object": "chat.completion", "choices": []}))
    }
}
