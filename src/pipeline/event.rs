//! What a run tells while it goes on, and how it is stopped.

use tokio::sync::watch;

use crate::error::{Error, Result};
use crate::media::MediaInfo;
use crate::report::Report;
use crate::time::Timestamp;

/// One step of a run.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The source's facts are known.
    Probed(Box<MediaInfo>),
    /// The video is looked at in small, to choose the sample points; a [`Event::Frame`] follows for each.
    Scanning {
        /// How many moments are looked at.
        n_points: usize,
    },
    /// The sample points are known.
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
    /// Words are being looked for.
    Listening,
    /// The sound was heard up to this time on the shared clock.
    Heard {
        /// The time.
        until: Timestamp,
    },
    /// The model is being asked.
    Asking {
        /// Its name.
        model: String,
    },
    /// The evidence is more than one request may hold: it is shared out among several.
    Windows {
        /// How many there are at first; one that the server finds too long is halved.
        n_windows: usize,
    },
    /// A window was asked about.
    Window {
        /// Windows so far, this one included.
        n_done: usize,
    },
    /// The answers about the windows are being made one.
    Merging,
    /// The model has written the next piece of its first alternative; the answer itself holds the whole.
    Text {
        /// The piece: untrusted.
        text: String,
    },
    /// The connection to the model broke, and the answer begins anew: the pieces until now are void.
    TextRestarted,
    /// The run is over: its report, or why there is none.
    Finished(Box<Result<Report>>),
}

/// Ends a run early; clones share one state.
#[derive(Clone, Debug)]
pub struct Stop {
    state: watch::Sender<bool>,
}

impl Default for Stop {
    fn default() -> Self {
        Self { state: watch::Sender::new(false) }
    }
}

impl Stop {
    /// Asks every run that holds this to end.
    pub fn stop(&self) {
        self.state.send_replace(true);
    }

    /// # Errors
    /// [`ErrorKind::Interrupted`](crate::ErrorKind::Interrupted) once [`Stop::stop`] was called.
    pub fn check(&self) -> Result<()> {
        if *self.state.borrow() { Err(Error::interrupted()) } else { Ok(()) }
    }

    /// Ready once [`Stop::stop`] was called.
    pub async fn stopped(&self) {
        // The sender lives in `self`, so the only end of waiting is the value.
        let _ = self.state.subscribe().wait_for(|is_stopped| *is_stopped).await;
    }
}
