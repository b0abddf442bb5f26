//! What is said about a second look: the offer, and what was found.

use super::{Fence, speech};
use crate::chat::Part;
use crate::sanitize::clean_line;
use crate::time::TimeRange;
use crate::timeline::TimelineFrame;
use crate::transcript::Segment;

/// The description of the tool that shows frames.
pub const FRAMES_TOOL: &str = "\
Shows frames of the recording, at equal distances from start to end. Use it where the answer depends on what is seen and the \
frames so far do not show it, or too small.";

/// The description of the tool that shows speech.
pub const TRANSCRIPT_TOOL: &str = "Shows the lines of speech from start to end, with their IDs.";

/// Characters of a model's text that are sent back in a message.
const MAX_PROBLEM_CHARS: usize = 300;

/// The offer of a second look, in words, for models without tool calls.
#[must_use]
pub fn build_look_offer(n_frames: usize, n_rounds: u32) -> Part {
    Part::Text(format!(
        "Before you answer, you may ask to see more, up to {n_rounds} times and {n_frames} frames in all. Do so only where the answer \
         depends on it. To ask, reply with JSON only, such as:\n\
         {{\"look\": [{{\"frames\": {{\"start\": \"04:00\", \"end\": \"04:20\", \"n\": 4}}}}, {{\"transcript\": {{\"start\": \"04:00\", \"end\": \
         \"05:00\"}}}}]}}\n\
         \"frames\" may also have \"max_width\" in pixels, and \"crop\": [left, top, right, bottom], from 0 to 1. Otherwise answer."
    ))
}

/// That the next reply must be the answer.
#[must_use]
pub fn build_look_end() -> Part {
    Part::Text("You cannot ask to see more. Answer now, in the form that was asked for above.".to_owned())
}

/// Frames that a model asked for: each label, and its image.
#[must_use]
pub fn build_looked_frames(frames: &[&TimelineFrame]) -> Vec<Part> {
    let shown = frames.iter().flat_map(|frame| {
        let label = format!("[t={} #{}]", frame.image.time.label(), frame.image.frame_idx);
        [Part::Text(label), Part::Image(frame.image.clone())]
    });
    shown.collect()
}

/// Lines of speech that a model asked for; `first_id` is the ID of the first of `segments`.
#[must_use]
pub fn build_looked_speech(range: TimeRange, segments: &[Segment], first_id: usize, fence: u32) -> String {
    let span = format!("Speech from {} to {}:", range.start.label(), range.end.label());
    match speech(segments, Some(first_id), &Fence::new(fence)) {
        Some(lines) => format!("{span}\n{lines}"),
        None => format!("{span} none."),
    }
}

/// Why a model does not get what it asked for.
#[must_use]
pub fn build_look_problem(problem: &str, fence: u32) -> String {
    let line: String = clean_line(problem).chars().take(MAX_PROBLEM_CHARS).collect();
    format!("Nothing is shown: {}", Fence::new(fence).line(&line))
}
