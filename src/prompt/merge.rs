//! Builds the messages that ask for the answer, from records of the windows, or from answers made of them.

use super::{FactsScope, Fence, PromptSpec, background, earlier_answer, facts, messages, task};
use crate::chat::{Message, Part, Role};
use crate::media::MediaInfo;
use crate::sanitize::clean_text;
use crate::time::TimeRange;
use crate::timeline::Timeline;

const MERGE_RULES: &str = "\
You write about a video or recording from records of its consecutive parts. The records were written from frames and speech, \
which you do not see. Beside a record stand the IDs of its frames and speech, quotations, text on the screen, and the lines of \
speech that it cites.

- Use only these records and the speech beside them. Add nothing, and do not guess what happened between two records.
- After each sentence, cite its evidence by ID alone, in parentheses, such as (#17, s42). Copy the IDs from the records. Do not \
write times: they are added from the IDs.
- Keep the order of time. State once what several records state. If records contradict each other, say so.
- Give names, numbers and quotations exactly as they stand in the records, or leave them out.
- A part without records was not analyzed: say so in one sentence, and do not guess what it contains.";

/// What is known about one part of a file: records, or an answer made of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartAnswer {
    /// The part.
    pub range: TimeRange,
    /// The text: untrusted; None where there is none.
    pub text: Option<String>,
}

/// The messages that do the task from what is known about consecutive parts: text only.
#[must_use]
pub fn build_merge(
    whole: &Timeline,
    answers: &[PartAnswer],
    media: &MediaInfo,
    options: &PromptSpec,
    fence: u32,
) -> Vec<Message> {
    let fence = Fence::new(fence);
    let scope = FactsScope { n_windows: Some(answers.len()), ..FactsScope::default() };
    let mut shown = vec![Part::Text(facts(whole, media, &fence, scope))];
    shown.extend(answers.iter().map(|answer| Part::Text(part_answer(answer, &fence))));
    shown.extend(background(&options.context, &fence).map(Part::Text));
    shown.extend(earlier_answer(options.refinement.as_ref(), &fence).map(Part::Text));
    shown.push(Part::Text(format!("The records above are all that is known. {}", task(whole, options))));
    let rules = match &options.system {
        Some(system) => format!("{}\n\n{MERGE_RULES}", system.trim_end()),
        None => MERGE_RULES.to_owned(),
    };
    messages(&rules, &fence, shown)
}

/// One part as [`build_merge`] sends it: for estimating its size.
#[must_use]
pub fn build_part_answer(answer: &PartAnswer, fence: u32) -> Message {
    Message { role: Role::User, parts: vec![Part::Text(part_answer(answer, &Fence::new(fence)))] }
}

fn part_answer(answer: &PartAnswer, fence: &Fence) -> String {
    let label = format!("[{} to {}]", answer.range.start.label(), answer.range.end.label());
    match &answer.text {
        None => format!("{label} no records"),
        // A record may quote text from the file.
        Some(text) => {
            let lines: Vec<String> = clean_text(text).lines().map(|line| fence.line(line)).collect();
            format!("{label}\n{}", fence.wrap(&format!("\n{}\n", lines.join("\n").trim())))
        }
    }
}
