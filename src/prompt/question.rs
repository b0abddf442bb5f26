//! Builds the messages that ask a question about passages of a recording.

use super::{FactsScope, Fence, PromptSpec, background, earlier_answer, facts, messages, record_sources, speech, task};
use crate::chat::{Message, Part, Role};
use crate::media::MediaInfo;
use crate::record::EventRecord;
use crate::time::TimeRange;
use crate::timeline::Timeline;
use crate::transcript::Segment;

const QUESTION_RULES: &str = "\
You answer a question about a video or recording from passages of it: lines of its speech, and records of what is shown and said, \
which were written from its frames. You do not see the frames.

- Each line of speech follows its own ID and time, such as [s42 04:12.5]. Beside a record stand the IDs of its frames and speech.
- After each sentence, cite its evidence by ID alone, in parentheses, such as (#17, s42). Copy the IDs from the passages. Do not \
write times: they are added from the IDs.
- Use only these passages. They are those that match the question best; the rest of the recording is not shown.
- Give names, numbers and quotations exactly as they stand in the passages, or leave them out.";

/// What is said and recorded in a part of a recording.
#[derive(Clone, Debug)]
pub struct QuestionPassage<'a> {
    /// The part.
    pub range: TimeRange,
    /// The segments of its speech.
    pub segments: &'a [Segment],
    /// The ID of the first of them.
    pub first_segment_id: usize,
    /// Its records.
    pub records: Vec<EventRecord>,
}

/// The messages that ask the question of `options` about passages in order of time: text only.
#[must_use]
pub fn build_question(
    whole: &Timeline,
    passages: &[QuestionPassage<'_>],
    media: &MediaInfo,
    options: &PromptSpec,
    fence: u32,
) -> Vec<Message> {
    let fence = Fence::new(fence);
    let scope = FactsScope { hides_frames: true, ..FactsScope::default() };
    let mut shown = vec![Part::Text(facts(whole, media, &fence, scope))];
    shown.extend(passages.iter().map(|passage| Part::Text(passage_text(passage, &fence))));
    shown.extend(background(&options.context, &fence).map(Part::Text));
    shown.extend(earlier_answer(options.refinement.as_ref(), &fence).map(Part::Text));
    shown.push(Part::Text(task(whole, options)));
    let rules = match &options.system {
        Some(system) => format!("{}\n\n{QUESTION_RULES}", system.trim_end()),
        None => QUESTION_RULES.to_owned(),
    };
    messages(&rules, &fence, shown)
}

/// One passage as [`build_question`] sends it: for estimating its size.
#[must_use]
pub fn build_question_passage(passage: &QuestionPassage<'_>, fence: u32) -> Message {
    Message { role: Role::User, parts: vec![Part::Text(passage_text(passage, &Fence::new(fence)))] }
}

fn passage_text(passage: &QuestionPassage<'_>, fence: &Fence) -> String {
    let mut text = format!("[{} to {}]", passage.range.start.label(), passage.range.end.label());
    // The cited lines stand in the passage itself.
    let records = record_sources(&passage.records, &[]);
    if !records.is_empty() {
        let lines: Vec<String> = records.lines().map(|line| fence.line(line)).collect();
        text.push_str("\nRecords:\n");
        text.push_str(&fence.wrap(&format!("\n{}\n", lines.join("\n"))));
    }
    if let Some(lines) = speech(passage.segments, Some(passage.first_segment_id), fence) {
        text.push_str("\nSpeech:\n");
        text.push_str(&lines);
    }
    text
}
