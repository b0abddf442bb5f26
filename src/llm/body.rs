//! The body of a chat request: JSON text, and pictures and sound, turned into Base64 only while they are sent.
//!
//! 30 pictures of 1 MB would be a string of 40 MB, and its pieces would be copied on the way there. Here they stay
//! the shared bytes that they were; [`RequestBody::chunks`] makes the text of one small chunk at a time, the same bytes for
//! each try, and the length is known before the first one.

use std::convert::Infallible;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::media::EncodedImage;

/// Bytes of a picture or sound in one chunk: a multiple of 3, so that each chunk's Base64 stands without padding; 48 KiB of text.
const RAW_CHUNK_BYTES: usize = 36 << 10;

/// A request's body. Cloning costs nothing worth counting.
#[derive(Clone, Debug, Default)]
pub struct RequestBody {
    segments: Vec<Segment>,
    text: Vec<u8>,
}

#[derive(Clone, Debug)]
enum Segment {
    /// Sent as it is.
    Json(Bytes),
    /// Sent as Base64.
    Base64(Bytes),
}

impl RequestBody {
    /// Appends JSON text as it is: punctuation, keys, numbers.
    pub(super) fn raw(&mut self, json: &str) {
        self.text.extend_from_slice(json.as_bytes());
    }

    /// Appends a JSON string, in raw UTF-8 but for what must be escaped.
    pub(super) fn string(&mut self, text: &str) {
        self.text.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
    }

    /// Appends a JSON number that `serde_json` writes: a float keeps its shortest form.
    pub(super) fn number(&mut self, number: impl Into<serde_json::Value>) {
        self.text.extend_from_slice(number.into().to_string().as_bytes());
    }

    /// Appends a list of JSON strings.
    pub(super) fn strings(&mut self, texts: &[String]) {
        for (at, text) in texts.iter().enumerate() {
            self.raw(if at == 0 { "[" } else { "," });
            self.string(text);
        }
        self.raw(if texts.is_empty() { "[]" } else { "]" });
    }

    /// Appends any JSON, compact, its keys in the order that it has.
    pub(super) fn json(&mut self, value: &serde_json::Value) {
        self.raw(&value.to_string());
    }

    /// Appends bytes as a JSON string of their Base64 alone.
    pub(super) fn base64(&mut self, bytes: &Bytes) {
        self.raw("\"");
        self.close_text();
        self.segments.push(Segment::Base64(bytes.clone()));
        self.raw("\"");
    }

    /// Appends a picture as a JSON string with its data URL.
    pub(super) fn picture(&mut self, image: &EncodedImage) {
        self.raw("\"data:");
        self.raw(image.format.mime());
        self.raw(";base64,");
        self.close_text();
        self.segments.push(Segment::Base64(image.bytes.clone()));
        self.raw("\"");
    }

    /// The whole body, ready to be sent.
    pub(super) fn finish(mut self) -> Self {
        self.close_text();
        self
    }

    fn close_text(&mut self) {
        if !self.text.is_empty() {
            self.segments.push(Segment::Json(std::mem::take(&mut self.text).into()));
        }
    }

    /// Length in bytes on the wire.
    #[must_use]
    pub fn len_bytes(&self) -> u64 {
        let lengths = self.segments.iter().map(|segment| match segment {
            Segment::Json(text) => text.len() as u64,
            Segment::Base64(bytes) => bytes.len().div_ceil(3) as u64 * 4,
        });
        lengths.sum()
    }

    /// The body as text, with each picture and sound as `…(12345 bytes)` in place of its Base64.
    #[must_use]
    pub fn shortened(&self) -> String {
        let pieces = self.segments.iter().map(|segment| match segment {
            Segment::Json(text) => String::from_utf8_lossy(text).into_owned(),
            Segment::Base64(bytes) => format!("…({} bytes)", bytes.len()),
        });
        pieces.collect()
    }

    /// The bytes on the wire: JSON text whole, the rest in chunks of at most 48 KiB.
    pub fn chunks(&self) -> impl Iterator<Item = Bytes> + Send + 'static {
        self.clone().segments.into_iter().flat_map(|segment| {
            let (step, is_base64) = match &segment {
                Segment::Json(text) => (text.len(), false),
                Segment::Base64(_) => (RAW_CHUNK_BYTES, true),
            };
            let (Segment::Json(bytes) | Segment::Base64(bytes)) = segment;
            (0..bytes.len()).step_by(step.max(1)).map(move |from| {
                let part = bytes.slice(from..bytes.len().min(from + step));
                if is_base64 { STANDARD.encode(part).into() } else { part }
            })
        })
    }

    /// The body of one try.
    pub(super) fn to_request_body(&self) -> reqwest::Body {
        reqwest::Body::wrap_stream(futures_util::stream::iter(self.chunks().map(Ok::<_, Infallible>)))
    }
}
