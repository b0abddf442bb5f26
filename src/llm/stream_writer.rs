//! Passes streamed text to the caller.

use std::sync::atomic::{AtomicBool, Ordering};

use super::request::{StreamSink, StreamUpdate};

/// Passes pieces of text to a sink, and reports when the text starts again.
pub(super) struct StreamWriter<'a> {
    sink: StreamSink<'a>,
    has_sent: AtomicBool,
}

impl<'a> StreamWriter<'a> {
    pub fn new(sink: StreamSink<'a>) -> Self {
        Self { sink, has_sent: AtomicBool::new(false) }
    }

    /// An attempt begins.
    pub fn begin(&self) {
        if self.has_sent.swap(false, Ordering::Relaxed) {
            (self.sink.0)(StreamUpdate::Restart);
        }
    }

    /// Writes the next piece.
    pub fn write(&self, text: &str) {
        if !text.is_empty() {
            self.has_sent.store(true, Ordering::Relaxed);
            (self.sink.0)(StreamUpdate::Piece(text));
        }
    }
}
