//! The body of a chat request: JSON text in memory, with images and audio that are encoded as Base64 only while they are
//! sent.
//!
//! 30 images of 1 MB would be a string of 40 MB, copied several times. Here they stay shared bytes:
//! [`RequestBody::chunks`] encodes one small chunk at a time. Each attempt sends the same bytes, and the length is known
//! before the first one.
//!
//! Serde writes the JSON text, with a placeholder where a Base64 string belongs: a NUL byte, the index of an
//! [`Attachment`], and another NUL byte. No text of a user can forge one: JSON strings escape every control character
//! (`\u0000`), so a NUL byte in the output comes only from [`PlaceholderFormatter`].

use std::convert::Infallible;
use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Serialize, Serializer};
use serde_json::ser::Formatter;

use crate::error::ErrorCode;
use crate::http::{RequestError, RequestErrorKind};
use crate::media::EncodedImage;

/// Bytes of an attachment in one chunk: a multiple of 3, so that no chunk needs padding; 48 KiB of Base64.
const RAW_CHUNK_BYTES: usize = 36 << 10;
/// Bytes of an attachment's index in the form that [`Attachment`] passes to [`PlaceholderFormatter`].
const INDEX_BYTES: usize = size_of::<u64>();
/// Begins and ends a placeholder.
const MARK: u8 = 0;

/// A request's body. Clones share its bytes.
#[derive(Clone, Debug)]
pub struct RequestBody {
    segments: Vec<BodySegment>,
}

#[derive(Clone, Debug)]
enum BodySegment {
    /// Sent unchanged.
    Json(Bytes),
    /// Sent as Base64.
    Base64(Bytes),
}

/// The binary parts of a request, in the order in which they were added.
#[derive(Debug, Default)]
pub(super) struct Attachments(Vec<Bytes>);

/// A JSON string with the Base64 of one attachment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attachment {
    index: u64,
    /// The MIME type; None for Base64 without a `data:` URL.
    mime: Option<&'static str>,
}

impl Attachments {
    /// The Base64 of these bytes.
    pub fn base64(&mut self, bytes: &Bytes) -> Attachment {
        self.0.push(bytes.clone());
        Attachment { index: self.0.len() as u64 - 1, mime: None }
    }

    /// The `data:` URL of an image.
    pub fn data_url(&mut self, image: &EncodedImage) -> Attachment {
        Attachment { mime: Some(image.format.mime()), ..self.base64(&image.bytes) }
    }
}

impl Serialize for Attachment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = self.index.to_be_bytes().to_vec();
        if let Some(mime) = self.mime {
            bytes.extend_from_slice(format!("data:{mime};base64,").as_bytes());
        }
        serializer.serialize_bytes(&bytes)
    }
}

/// Compact JSON, with placeholders for attachments. Nothing else in a request is serialized as bytes.
struct PlaceholderFormatter;

impl Formatter for PlaceholderFormatter {
    fn write_byte_array<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: &[u8]) -> io::Result<()> {
        let (index, prefix) = value.split_first_chunk::<INDEX_BYTES>().ok_or(io::ErrorKind::InvalidData)?;
        writer.write_all(b"\"")?;
        writer.write_all(prefix)?;
        writer.write_all(&[MARK])?;
        writer.write_all(u64::from_be_bytes(*index).to_string().as_bytes())?;
        writer.write_all(&[MARK])?;
        writer.write_all(b"\"")
    }
}

impl RequestBody {
    /// The body with this JSON content; `attachments` are those that it refers to.
    pub(super) fn new(content: &impl Serialize, attachments: &Attachments) -> Result<Self, RequestError> {
        let mut text = Vec::new();
        let mut serializer = serde_json::Serializer::with_formatter(&mut text, PlaceholderFormatter);
        let is_whole = content.serialize(&mut serializer).is_ok();
        let segments = split(&text.into(), attachments).filter(|_| is_whole);
        let invalid =
            || RequestError::new(RequestErrorKind::Final, "the request cannot be written as JSON", "report this bug");
        Ok(Self { segments: segments.ok_or_else(|| invalid().with_code(ErrorCode::Internal))? })
    }

    /// Length in bytes as it is sent.
    #[must_use]
    pub fn len_bytes(&self) -> u64 {
        let lengths = self.segments.iter().map(|segment| match segment {
            BodySegment::Json(text) => text.len() as u64,
            BodySegment::Base64(bytes) => bytes.len().div_ceil(3) as u64 * 4,
        });
        lengths.sum()
    }

    /// The body as text, with `…(12345 bytes)` in place of the Base64 of each attachment.
    #[must_use]
    pub fn shortened(&self) -> String {
        let pieces = self.segments.iter().map(|segment| match segment {
            BodySegment::Json(text) => String::from_utf8_lossy(text).into_owned(),
            BodySegment::Base64(bytes) => format!("…({} bytes)", bytes.len()),
        });
        pieces.collect()
    }

    /// The bytes as they are sent: JSON text whole, attachments in chunks of at most 48 KiB.
    pub fn chunks(&self) -> impl Iterator<Item = Bytes> + Send + 'static {
        self.clone().segments.into_iter().flat_map(|segment| {
            let (step, is_base64) = match &segment {
                BodySegment::Json(text) => (text.len(), false),
                BodySegment::Base64(_) => (RAW_CHUNK_BYTES, true),
            };
            let (BodySegment::Json(bytes) | BodySegment::Base64(bytes)) = segment;
            (0..bytes.len()).step_by(step.max(1)).map(move |from| {
                let part = bytes.slice(from..bytes.len().min(from + step));
                if is_base64 { STANDARD.encode(part).into() } else { part }
            })
        })
    }

    /// The body of one attempt.
    pub(super) fn to_request_body(&self) -> reqwest::Body {
        reqwest::Body::wrap_stream(futures_util::stream::iter(self.chunks().map(Ok::<_, Infallible>)))
    }
}

/// Splits text at its placeholders; None where one refers to no attachment.
fn split(text: &Bytes, attachments: &Attachments) -> Option<Vec<BodySegment>> {
    let mut segments = Vec::new();
    // Even pieces are JSON text, odd ones are indices.
    for (piece_idx, piece) in text.split(|byte| *byte == MARK).enumerate() {
        if piece_idx % 2 == 0 {
            segments.push(BodySegment::Json(text.slice_ref(piece)));
        } else {
            let index: usize = std::str::from_utf8(piece).ok()?.parse().ok()?;
            segments.push(BodySegment::Base64(attachments.0.get(index)?.clone()));
        }
    }
    Some(segments)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[derive(Serialize)]
    struct Content<'a> {
        text: &'a str,
        data: Attachment,
    }

    fn sent(text: &str, bytes: &[u8]) -> String {
        let mut attachments = Attachments::default();
        let content = Content { text, data: attachments.base64(&Bytes::copy_from_slice(bytes)) };
        let body = RequestBody::new(&content, &attachments).expect("a body");
        String::from_utf8(body.chunks().collect::<Vec<_>>().concat()).expect("UTF-8")
    }

    #[test]
    fn text_cannot_forge_a_placeholder() {
        for text in ["\u{0}0\u{0}", "\\u00000\\u0000", "\u{0}\u{0}\u{0}", "\u{0}9"] {
            let expected = json!({"text": text, "data": STANDARD.encode("abcd")});
            assert_eq!(serde_json::from_str::<serde_json::Value>(&sent(text, b"abcd")).expect("JSON"), expected);
        }
    }

    proptest! {
        #[test]
        fn any_text_and_bytes_arrive(text in any::<String>(), bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let expected = serde_json::to_string(&json!({"text": text})).expect("JSON");
            let text_json = expected.trim_end_matches('}');
            prop_assert_eq!(sent(&text, &bytes), format!("{text_json},\"data\":\"{}\"}}", STANDARD.encode(&bytes)));
        }
    }
}
