//! One request to a chat model.

use std::fmt;

use super::params::ResponseFormat;
use super::tool_spec::ToolSpec;
use crate::chat::Message;

/// One request to a chat model.
#[derive(Clone, Copy, Debug)]
pub struct ChatRequest<'a> {
    /// The messages, including images, tool calls and their results.
    pub messages: &'a [Message],
    /// The tools that the model may ask for; empty for none. They are also required in the requests that send results back.
    /// Where the server has none, [`ChatModel::complete`](super::ChatModel::complete) fails with
    /// [`ErrorCode::ToolsUnsupported`](crate::error::ErrorCode::ToolsUnsupported): they are never left out silently.
    pub tools: &'a [ToolSpec],
    /// The form of the response; None for free text.
    pub response_format: Option<&'a ResponseFormat>,
    /// Receives the text while the model writes it; None for a response that is not streamed.
    pub stream: Option<StreamSink<'a>>,
}

impl<'a> ChatRequest<'a> {
    /// A request for free text that is not streamed.
    #[must_use]
    pub fn new(messages: &'a [Message]) -> Self {
        Self { messages, tools: &[], response_format: None, stream: None }
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
