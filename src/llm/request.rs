//! One request to a chat model.

use std::fmt;

use super::params::ResponseFormat;
use crate::chat::Message;

/// One request to a chat model.
#[derive(Clone, Copy, Debug)]
pub struct ChatRequest<'a> {
    /// System and user messages, including images.
    pub messages: &'a [Message],
    /// The form of the response; None for free text.
    pub response_format: Option<&'a ResponseFormat>,
    /// Receives the text while the model writes it; None for a response that is not streamed.
    pub stream: Option<StreamSink<'a>>,
}

impl<'a> ChatRequest<'a> {
    /// A request for free text that is not streamed.
    #[must_use]
    pub fn new(messages: &'a [Message]) -> Self {
        Self { messages, response_format: None, stream: None }
    }
}

/// Receives the response while it is streamed. It is called between two reads of the network and should return quickly.
#[derive(Clone, Copy)]
pub struct StreamSink<'a>(pub &'a (dyn Fn(StreamUpdate<'_>) + Send + Sync));

impl fmt::Debug for StreamSink<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamSink")
    }
}

/// One step of a streamed response. The final response has the whole text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamUpdate<'a> {
    /// The next piece of the first choice's text: untrusted.
    Piece(&'a str),
    /// The connection broke and the response starts again: discard the pieces received so far.
    Restart,
}
