//! Builds the messages that ask for captions of single frames.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::{Fence, messages, speech};
use crate::chat::{Message, Part};
use crate::fs::hex;
use crate::media::EncodedImage;
use crate::transcript::Segment;

/// The version of the wording; stored captions of different versions are not mixed.
const VERSION: u32 = 2;

const RULES: &str = "\
You write captions for single frames of a video. A caption is one or two plain sentences: what is visible, who does what \
and where, and any important text on the screen, quoted exactly. Describe only what the image shows: no guesses about \
names or about what came before or after, no opinions, and no phrases such as \"the image shows\". Speech from around that \
time may follow the image: use it to understand the frame, but do not repeat it.";

const TASK: &str = "Write a caption for the frame.";
const TASK_FOR_SEVERAL: &str = "Write a caption for each frame, under its ID.";

/// Parts of the prompt that the user replaces.
#[derive(Clone, Debug, Default)]
pub struct CaptionPrompt {
    /// Replaces the rules; the rule about fenced text is always added.
    pub system: Option<String>,
    /// Replaces the task.
    pub task: Option<String>,
}

impl CaptionPrompt {
    /// The version of the wording: `2`, and for a user's own wording a part of its SHA-256, as in `2-0a1b2c3d4e5f`.
    #[must_use]
    pub fn version(&self) -> String {
        if self.system.is_none() && self.task.is_none() {
            return VERSION.to_string();
        }
        let text = format!("{}\0{}", self.system.as_deref().unwrap_or(RULES), self.task.as_deref().unwrap_or(TASK));
        format!("{VERSION}-{}", &hex(&Sha256::digest(text))[..12])
    }
}

/// A frame to caption, and the speech around its time.
#[derive(Clone, Debug)]
pub struct CaptionFrame {
    /// The image.
    pub image: EncodedImage,
    /// Segments near its time, in time order.
    pub words: Vec<Segment>,
}

/// The messages for `frames`, at least one: each is the label `[t=MM:SS.s #id]`, its image, then the speech around its
/// time; `id` is its [`frame_idx`](EncodedImage::frame_idx). `fence` as in [`super::build`].
#[must_use]
pub fn build_captions(frames: &[CaptionFrame], prompt: &CaptionPrompt, fence: u32) -> Vec<Message> {
    let fence = Fence::new(fence);
    let mut parts = Vec::new();
    for frame in frames {
        parts.push(Part::Text(format!("[t={} #{}]", frame.image.time.label(), frame.image.frame_idx)));
        parts.push(Part::Image(frame.image.clone()));
        parts.extend(speech(&frame.words, None, &fence).map(Part::Text));
    }
    let several = frames.len() > 1;
    let mut task = prompt.task.clone().unwrap_or_else(|| if several { TASK_FOR_SEVERAL } else { TASK }.to_owned());
    if several {
        // Writing to a String does not fail.
        let _ = write!(
            task,
            "\n\nAnswer with JSON only: {{\"captions\": [{{\"id\": 0, \"caption\": \"…\"}}]}}, one entry for each of the {} \
             IDs.",
            frames.len()
        );
    }
    parts.push(Part::Text(task));
    messages(prompt.system.as_deref().unwrap_or(RULES), &fence, parts)
}
