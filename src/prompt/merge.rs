//! The messages of a question that is put about each window of a timeline, and the last one, which makes one answer of
//! theirs. Rules and facts are the same bytes for all windows, so that a provider's cache of prefixes can hit.

use super::{Fence, PromptOptions, RULES, facts, messages, parts, task};
use crate::chat::{Message, Part, Role};
use crate::media::MediaInfo;
use crate::sanitize::clean_text;
use crate::time::TimeRange;
use crate::timeline::{Passage, Timeline};

const MERGE_RULES: &str = "\
You make one answer about a video or recording out of answers about its parts, one after another in time. Whoever wrote \
them saw the frames and words of one part each; you see their answers alone.

- Use nothing but these answers. Keep what they cite, such as (#17, 04:12.5), and their times as they are.
- Keep to the order of time. Tell once what several parts tell of; where they contradict each other, say so.
- A part without an answer was not looked at: say so in one sentence, with its times, and do not fill it in.";

/// Which of the windows a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its number, from 1.
    pub number: usize,
    /// How many windows there are, at least 2.
    pub n_windows: usize,
}

/// What was answered about one part of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartAnswer {
    /// The part.
    pub range: TimeRange,
    /// The answer: untrusted; None where there is none.
    pub text: Option<String>,
}

/// The messages that put the task about one window; see [`build`](super::build).
#[must_use]
pub fn build_window(
    whole: &Timeline,
    window: &Timeline,
    place: Place,
    media: &MediaInfo,
    options: &PromptOptions,
    fence: u32,
) -> Vec<Message> {
    let fence = Fence::new(fence);
    let mut shown = vec![Part::Text(facts(whole, media, options, &fence, Some(place.n_windows)))];
    shown.push(Part::Text(format!(
        "This is part {} of {}: {} to {}. What follows is of this part alone. The other parts are asked for by \
         themselves, and one answer is made of all afterwards: answer for this part.",
        place.number,
        place.n_windows,
        window.range.start.label(),
        window.range.end.label()
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

/// The messages that make one answer of the answers about consecutive parts: text alone.
#[must_use]
pub fn build_merge(
    whole: &Timeline,
    answers: &[PartAnswer],
    media: &MediaInfo,
    options: &PromptOptions,
    fence: u32,
) -> Vec<Message> {
    let fence = Fence::new(fence);
    let mut shown = vec![Part::Text(facts(whole, media, options, &fence, Some(answers.len())))];
    shown.extend(answers.iter().map(|answer| Part::Text(part_answer(answer, &fence))));
    shown.push(Part::Text(format!(
        "About each part this was asked:\n\n{}\n\nAnswer it for all parts together, out of the answers above.",
        task(whole, options)
    )));
    let rules = match &options.system {
        Some(system) => format!("{}\n\n{MERGE_RULES}", system.trim_end()),
        None => MERGE_RULES.to_owned(),
    };
    messages(&rules, &fence, shown)
}

/// What one answer takes in [`build_merge`].
#[must_use]
pub fn build_part_answer(answer: &PartAnswer, fence: u32) -> Message {
    Message { role: Role::User, parts: vec![Part::Text(part_answer(answer, &Fence::new(fence)))] }
}

fn part_answer(answer: &PartAnswer, fence: &Fence) -> String {
    let label = format!("[{} to {}]", answer.range.start.label(), answer.range.end.label());
    match &answer.text {
        None => format!("{label} no answer"),
        // An answer may quote the file's own text.
        Some(text) => {
            let lines: Vec<String> = clean_text(text).lines().map(|line| fence.line(line)).collect();
            format!("{label}\n{}", fence.wrap(&format!("\n{}\n", lines.join("\n").trim())))
        }
    }
}
