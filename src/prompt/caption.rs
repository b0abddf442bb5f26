//! The messages that ask for captions of single frames.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::{Fence, spoken};
use crate::chat::{Message, Part, Role};
use crate::fs::hex;
use crate::media::EncodedImage;
use crate::transcript::Segment;

/// Counts up whenever the wording changes, so that stored captions can be told apart.
const VERSION: u32 = 1;

const RULES: &str = "\
You write captions of single frames of a video. A caption is one or two plain sentences: what is to be seen, who does \
what where, and texts on the screen that matter, as they are written. Tell what the picture shows, no more: no guesses \
of names, of what came before or comes after, no opinion, and no words such as \"the image shows\". What is said around \
that time may stand after the picture: use it to understand, do not retell it.";

const TASK: &str = "Write the caption of the frame.";
const TASK_FOR_SEVERAL: &str = "Write a caption for each frame, under its id.";

/// What the user wants said differently.
#[derive(Clone, Debug, Default)]
pub struct CaptionPrompt {
    /// The user's own rules in place of ours; what fenced text is, is told all the same.
    pub system: Option<String>,
    /// The user's own task.
    pub task: Option<String>,
}

impl CaptionPrompt {
    /// Which wording this is: `1`, and for a user's own wording a part of its SHA-256 behind it, as in `1-0a1b2c3d4e5f`.
    #[must_use]
    pub fn version(&self) -> String {
        if self.system.is_none() && self.task.is_none() {
            return VERSION.to_string();
        }
        let text = format!("{}\0{}", self.system.as_deref().unwrap_or(RULES), self.task.as_deref().unwrap_or(TASK));
        format!("{VERSION}-{}", &hex(&Sha256::digest(text))[..12])
    }
}

/// A frame to be captioned, and what is said around its time.
#[derive(Clone, Debug)]
pub struct CaptionFrame {
    /// The picture.
    pub image: EncodedImage,
    /// Segments near its time, in time order.
    pub words: Vec<Segment>,
}

/// The messages for `frames`, at least one: each is the label `[t=MM:SS.s #id]`, its picture, then what is said around
/// its time; `id` is its [`frame_idx`](EncodedImage::frame_idx). `fence` is a random number, new for each run.
#[must_use]
pub fn build_captions(frames: &[CaptionFrame], prompt: &CaptionPrompt, fence: u32) -> Vec<Message> {
    let fence = Fence::new(fence);
    let mut parts = Vec::new();
    for frame in frames {
        parts.push(Part::Text(format!("[t={} #{}]", frame.image.time.label(), frame.image.frame_idx)));
        parts.push(Part::Image(frame.image.clone()));
        parts.extend(spoken(&frame.words, &fence).map(Part::Text));
    }
    let several = frames.len() > 1;
    let mut task = prompt.task.clone().unwrap_or_else(|| if several { TASK_FOR_SEVERAL } else { TASK }.to_owned());
    if several {
        // Writing to a String does not fail.
        let _ = write!(
            task,
            "\n\nAnswer with JSON alone: {{\"captions\": [{{\"id\": 0, \"caption\": \"…\"}}]}}, one entry for each of the \
             {} ids.",
            frames.len()
        );
    }
    parts.push(Part::Text(task));
    let rules = prompt.system.as_deref().unwrap_or(RULES).trim_end();
    let system = format!("{rules}\n\n{}", fence.rule());
    vec![Message { role: Role::System, parts: vec![Part::Text(system)] }, Message { role: Role::User, parts }]
}
