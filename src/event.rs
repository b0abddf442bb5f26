//! Progress of a job: the only way that it leaves the library while the job runs.

use std::path::PathBuf;

use serde::Serialize;
use tokio::sync::mpsc;

use crate::advice::Advice;
use crate::media::MediaInfo;
use crate::report::caption::CaptionRow;
use crate::time::Timestamp;

/// Events that wait for a slow reader: they are small.
const EVENT_QUEUE: usize = 64;

/// One step of a job. As JSON: an object whose `event` is the name in snake case.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The inputs are known, folders expanded.
    Inputs {
        /// The files in the order in which they are read.
        inputs: Vec<String>,
    },
    /// A file is being read.
    Input {
        /// Its name.
        input: String,
    },
    /// A site is asked for a video, or its captions or media are downloaded.
    Fetching {
        /// The address.
        input: String,
        /// Bytes of the current file so far; 0 before the first.
        n_bytes: u64,
        /// Bytes of the current file; None where they are not known.
        total_bytes: Option<u64>,
    },
    /// The container was probed.
    Probed {
        /// What it holds.
        media: Box<MediaInfo>,
    },
    /// Small frames are decoded to choose the sample points; an [`Event::Frame`] follows for each.
    Scanning {
        /// How many frames are scanned.
        n_points: usize,
    },
    /// The sample points are known; an [`Event::Frame`] follows for each frame.
    Planned {
        /// How many there are.
        n_points: usize,
    },
    /// A frame was decoded.
    Frame {
        /// Frames so far, this one included.
        n_done: usize,
        /// Its time on the shared clock.
        time: Timestamp,
    },
    /// A transcript is being searched for or made.
    Transcribing,
    /// Speech was transcribed up to this time.
    Transcribed {
        /// The time on the shared clock.
        until: Timestamp,
    },
    /// A request is sent to the model.
    Requesting {
        /// The model's name.
        model: String,
    },
    /// The evidence does not fit into one request and is split into windows.
    Windows {
        /// How many there are at first; a window that the server finds too long is halved.
        n_windows: usize,
    },
    /// A window was answered, or failed.
    Window {
        /// Windows so far, this one included.
        n_done: usize,
    },
    /// The answers about the windows are merged by a final request.
    Merging,
    /// The model wrote the next piece of its first choice; the result holds the whole text.
    Text {
        /// The piece: untrusted.
        text: String,
    },
    /// The connection to the model broke, and the answer starts again: the pieces so far are void.
    TextRestarted,
    /// Requests are with the provider's batch API.
    Batch {
        /// Requests that were answered or failed.
        n_done: u64,
        /// All of them.
        n_requests: u64,
    },
    /// A frame was captioned, or failed.
    Caption {
        /// The row of the output.
        row: Box<CaptionRow>,
    },
    /// An output file is complete.
    Written {
        /// Its path.
        path: PathBuf,
    },
    /// Something was lost or left out; the result says so too.
    Warning {
        /// The file.
        input: String,
        /// What, and why.
        message: String,
        /// What the reader can try.
        #[serde(skip_serializing_if = "Advice::is_none")]
        advice: Advice,
    },
}

impl Event {
    /// A warning about `input`, without advice.
    pub(crate) fn warning(input: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Warning { input: input.into(), message: message.into(), advice: Advice::None }
    }
}

/// Sends the events of one job. A receiver that is gone is no failure: the result of the job says everything.
#[derive(Clone, Debug)]
pub struct EventSender(mpsc::Sender<Event>);

impl EventSender {
    /// A sender and its receiver.
    #[must_use]
    pub fn channel() -> (Self, mpsc::Receiver<Event>) {
        let (sender, receiver) = mpsc::channel(EVENT_QUEUE);
        (Self(sender), receiver)
    }

    /// Waits while the queue is full.
    pub async fn send(&self, event: Event) {
        let _ = self.0.send(event).await;
    }

    /// Drops the event where the queue is full.
    pub fn try_send(&self, event: Event) {
        let _ = self.0.try_send(event);
    }

    /// As [`EventSender::send`], on a thread that may block.
    pub fn blocking_send(&self, event: Event) {
        let _ = self.0.blocking_send(event);
    }
}
