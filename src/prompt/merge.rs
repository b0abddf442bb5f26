//! Builds the messages that ask about each window of a timeline, and the last ones, which merge the answers. Rules and facts
//! are the same bytes for all windows, so that a provider can cache them as a prefix.

use super::{Fence, PromptSpec, RULES, facts, messages, parts, task};
use crate::chat::{Message, Part, Role};
use crate::media::MediaInfo;
use crate::sanitize::clean_text;
use crate::time::TimeRange;
use crate::timeline::{Passage, Timeline};

const MERGE_RULES: &str = "\
You combine answers about consecutive parts of a video or recording into one answer. Each answer was written from the \
frames and speech of its part; you see only the answers.

- Use only these answers. Keep their citations, such as (#17, 04:12.5), and their times unchanged.
- Keep the order of time. State once what several answers state. If answers contradict each other, say so.
- A part without an answer was not analyzed: say so in one sentence, with its times, and do not guess what it contains.";

/// The position of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The number of the window, from 1.
    pub number: usize,
    /// The number of windows, at least 2.
    pub n_windows: usize,
}

/// The answer about one part of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartAnswer {
    /// The part.
    pub range: TimeRange,
    /// The answer: untrusted; None where there is none.
    pub text: Option<String>,
}

/// The messages with the task about one window; see [`build`](super::build).
#[must_use]
pub fn build_window(
    whole: &Timeline,
    window: &Timeline,
    place: Place,
    media: &MediaInfo,
    options: &PromptSpec,
    fence: u32,
) -> Vec<Message> {
    let fence = Fence::new(fence);
    let mut shown = vec![Part::Text(facts(whole, media, options, &fence, Some(place.n_windows)))];
    let what = if window.frames.is_empty() && !window.untimed().is_empty() {
        "text from the transcript, without times. The rest of the text and the frames".to_owned()
    } else {
        let (start, end) = (window.range.start.label(), window.range.end.label());
        format!("{start} to {end}. The frames and speech below are from this part only. The other parts")
    };
    shown.push(Part::Text(format!(
        "This is part {} of {}: {what} are sent separately, and the answers are combined later: answer for this part.",
        place.number, place.n_windows
    )));
    shown.extend(window.passages().flat_map(|passage| parts(passage, &fence)));
    shown.push(Part::Text(task(whole, options)));
    messages(options.system.as_deref().unwrap_or(RULES), &fence, shown)
}

/// The parts that show one passage in [`build`](super::build) and [`build_window`].
#[must_use]
pub fn build_passage(passage: Passage<'_>, fence: u32) -> Vec<Part> {
    parts(passage, &Fence::new(fence))
}

/// The messages that merge the answers about consecutive parts: text only.
#[must_use]
pub fn build_merge(
    whole: &Timeline,
    answers: &[PartAnswer],
    media: &MediaInfo,
    options: &PromptSpec,
    fence: u32,
) -> Vec<Message> {
    let fence = Fence::new(fence);
    let mut shown = vec![Part::Text(facts(whole, media, options, &fence, Some(answers.len())))];
    shown.extend(answers.iter().map(|answer| Part::Text(part_answer(answer, &fence))));
    shown.push(Part::Text(format!(
        "The task for each part was:\n\n{}\n\nDo this task for the whole file, using the answers above.",
        task(whole, options)
    )));
    let rules = match &options.system {
        Some(system) => format!("{}\n\n{MERGE_RULES}", system.trim_end()),
        None => MERGE_RULES.to_owned(),
    };
    messages(&rules, &fence, shown)
}

/// One answer as [`build_merge`] sends it: for estimating its size.
#[must_use]
pub fn build_part_answer(answer: &PartAnswer, fence: u32) -> Message {
    Message { role: Role::User, parts: vec![Part::Text(part_answer(answer, &Fence::new(fence)))] }
}

fn part_answer(answer: &PartAnswer, fence: &Fence) -> String {
    let label = format!("[{} to {}]", answer.range.start.label(), answer.range.end.label());
    match &answer.text {
        None => format!("{label} no answer"),
        // An answer may quote text from the file.
        Some(text) => {
            let lines: Vec<String> = clean_text(text).lines().map(|line| fence.line(line)).collect();
            format!("{label}\n{}", fence.wrap(&format!("\n{}\n", lines.join("\n").trim())))
        }
    }
}
