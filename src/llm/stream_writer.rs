//! Passes streamed text to the caller.

use std::sync::{Mutex, PoisonError};

use super::answer_text::ReasoningFilter;
use super::request::{StreamSink, StreamUpdate};

/// Passes pieces of the answer to a sink, without the reasoning before it, and reports when the text starts again.
pub(super) struct StreamWriter<'a> {
    sink: StreamSink<'a>,
    state: Mutex<WriterState>,
}

#[derive(Default)]
struct WriterState {
    filter: ReasoningFilter,
    has_sent: bool,
}

impl<'a> StreamWriter<'a> {
    pub fn new(sink: StreamSink<'a>) -> Self {
        Self { sink, state: Mutex::default() }
    }

    /// An attempt begins.
    pub fn begin(&self) {
        let before = std::mem::take(&mut *self.state.lock().unwrap_or_else(PoisonError::into_inner));
        if before.has_sent {
            (self.sink.0)(StreamUpdate::Restart);
        }
    }

    /// Writes the next piece.
    pub fn write(&self, piece: &str) {
        self.send(|filter| filter.feed(piece));
    }

    /// The text is complete.
    pub fn finish(&self) {
        self.send(ReasoningFilter::finish);
    }

    fn send(&self, next: impl FnOnce(&mut ReasoningFilter) -> String) {
        let text = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let text = next(&mut state.filter);
            state.has_sent |= !text.is_empty();
            text
        };
        if !text.is_empty() {
            (self.sink.0)(StreamUpdate::Piece(&text));
        }
    }
}
