//! Builds the messages that ask whether one sentence is supported by what it cites.

use super::{Fence, messages, speech};
use crate::chat::{Message, Part};
use crate::sanitize::clean_line;
use crate::timeline::TimelineFrame;
use crate::transcript::Segment;

const VERIFY_RULES: &str = "\
You check one sentence about a video or recording against the evidence that it cites: frames, each after its label, and lines of \
speech. You see what is cited, and nothing else of the recording.

- The sentence is supported if what it states is shown in these frames or said in these lines. Other words for the same are \
support. Names, numbers and who does what must agree.
- It is not supported if the evidence contradicts it, or does not state it. What is likely is not support.";

const VERIFY_TASK: &str = "\
Does the evidence support the sentence? Answer with JSON only, with the reason in a few words, in English:
{\"reason\": \"why\", \"is_supported\": true}";

/// The frames and the lines of speech that a sentence cites.
#[derive(Clone, Debug, Default)]
pub struct SentenceEvidence<'a> {
    /// The frames.
    pub frames: Vec<&'a TimelineFrame>,
    /// The lines with their IDs, in order.
    pub lines: Vec<(usize, &'a Segment)>,
}

/// The messages that ask whether `sentence` is supported by `evidence`. Both are untrusted.
#[must_use]
pub fn build_verification(sentence: &str, evidence: &SentenceEvidence<'_>, fence: u32) -> Vec<Message> {
    let fence = Fence::new(fence);
    let mut shown = Vec::new();
    for frame in &evidence.frames {
        shown.push(Part::Text(format!("[t={} #{}]", frame.image.time.label(), frame.image.frame_idx)));
        shown.push(Part::Image(frame.image.clone()));
    }
    let lines =
        evidence.lines.iter().filter_map(|(id, segment)| speech(std::slice::from_ref(*segment), Some(*id), &fence));
    shown.extend(lines.map(Part::Text));
    shown.push(Part::Text(format!(
        "The sentence:\n{}\n\n{VERIFY_TASK}",
        fence.wrap(&fence.line(&clean_line(sentence)))
    )));
    messages(VERIFY_RULES, &fence, shown)
}
