//! From messages to the request's JSON.

use super::SamplingParams;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::message::{Message, Part, Role};
use crate::model::body::Body;

/// Holds the messages against the limits of one request.
pub(super) fn check(server: &str, messages: &[Message], limits: &Limits) -> Result<()> {
    const ADVICE: &str = "send fewer frames (--interval, --max-frames) or smaller ones (--max-width)";
    if messages.is_empty() {
        return Err(Error::usage(server, "there is no message to send", ""));
    }
    let (mut n_pictures, mut n_bytes, mut n_sound_bytes) = (0, 0, 0);
    for message in messages {
        for part in message.parts.iter().filter(|part| !matches!(part, Part::Text(_))) {
            if message.role == Role::System {
                let problem = "a system message holds a picture or sound";
                return Err(Error::usage(server, problem, "put it into a user message"));
            }
            match part {
                Part::Text(_) => {}
                Part::Image(image) => {
                    n_pictures += 1;
                    n_bytes += image.bytes.len() as u64;
                }
                Part::ImageUrl(_) => n_pictures += 1,
                Part::Audio(wav) => n_sound_bytes += wav.len() as u64,
            }
        }
    }
    if n_sound_bytes > limits.max_request_sound_bytes {
        let most = limits.max_request_sound_bytes;
        let problem = format!("{n_sound_bytes} bytes of sound for one request, which may hold {most}");
        return Err(Error::limit(server, problem, "send a shorter part of it"));
    }
    if n_pictures > limits.max_request_frames {
        let problem = format!("{n_pictures} pictures for one request, which may hold {}", limits.max_request_frames);
        return Err(Error::limit(server, problem, ADVICE));
    }
    if n_bytes > limits.max_request_image_bytes {
        let most = limits.max_request_image_bytes;
        let problem = format!("{n_bytes} bytes of pictures for one request, which may hold {most}");
        return Err(Error::limit(server, problem, ADVICE));
    }
    Ok(())
}

/// The request. Its keys have a fixed order, what stays the same between requests first, so that the prompt caches of
/// providers, which go by the text's beginning, hit.
pub(super) fn body(model: &str, messages: &[Message], params: &SamplingParams, max_tokens_key: &str) -> Body {
    let mut body = Body::default();
    body.raw("{\"model\":");
    body.string(model);
    body.raw(",\"messages\":[");
    for (message_idx, message) in messages.iter().enumerate() {
        body.raw(if message_idx == 0 { "" } else { "," });
        write_message(&mut body, message);
    }
    body.raw("]");
    if let Some(max_tokens) = params.max_tokens {
        body.raw(&format!(",\"{max_tokens_key}\":"));
        body.number(max_tokens);
    }
    if let Some(n) = params.n {
        body.raw(",\"n\":");
        body.number(n);
    }
    if let Some(seed) = params.seed {
        body.raw(",\"seed\":");
        body.number(seed);
    }
    if !params.stop.is_empty() {
        body.raw(",\"stop\":");
        for (stop_idx, stop) in params.stop.iter().enumerate() {
            body.raw(if stop_idx == 0 { "[" } else { "," });
            body.string(stop);
        }
        body.raw("]");
    }
    if let Some(temperature) = params.temperature {
        body.raw(",\"temperature\":");
        body.number(temperature);
    }
    if let Some(top_p) = params.top_p {
        body.raw(",\"top_p\":");
        body.number(top_p);
    }
    body.raw("}");
    body.finish()
}

fn write_message(body: &mut Body, message: &Message) {
    body.raw(match message.role {
        Role::System => "{\"role\":\"system\",\"content\":",
        Role::User => "{\"role\":\"user\",\"content\":",
    });
    if let Some(text) = only_text(message) {
        body.string(&text);
    } else {
        for (part_idx, part) in message.parts.iter().enumerate() {
            body.raw(if part_idx == 0 { "[" } else { "," });
            write_part(body, part);
        }
        body.raw("]");
    }
    body.raw("}");
}

/// The text of a message without pictures, one part a line: models without eyes take a plain string alone.
fn only_text(message: &Message) -> Option<String> {
    let texts = message.parts.iter().map(|part| if let Part::Text(text) = part { Some(text.as_str()) } else { None });
    Some(texts.collect::<Option<Vec<_>>>()?.join("\n"))
}

fn write_part(body: &mut Body, part: &Part) {
    match part {
        Part::Text(text) => {
            body.raw("{\"type\":\"text\",\"text\":");
            body.string(text);
        }
        Part::Image(image) => {
            body.raw("{\"type\":\"image_url\",\"image_url\":{\"url\":");
            body.picture(image);
            body.raw("}");
        }
        Part::ImageUrl(url) => {
            body.raw("{\"type\":\"image_url\",\"image_url\":{\"url\":");
            body.string(url);
            body.raw("}");
        }
        Part::Audio(wav) => {
            body.raw("{\"type\":\"input_audio\",\"input_audio\":{\"data\":");
            body.sound(wav);
            body.raw(",\"format\":\"wav\"}");
        }
    }
    body.raw("}");
}
