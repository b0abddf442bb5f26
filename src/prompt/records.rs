//! Builds the messages that ask for the records of each window of a timeline, and for the sections of records. They depend
//! neither on the user's task nor on the file's name, so that stored records serve every task. Rules and facts are the same
//! bytes for all windows, so that a provider can cache them as a prefix.

use std::fmt::Write as _;

use super::{FactsScope, Fence, PromptSpec, background, earlier_answer, facts, messages, parts, wish};
use crate::chat::{Message, Part};
use crate::media::MediaInfo;
use crate::record::EventRecord;
use crate::sanitize::excerpt;
use crate::timeline::Timeline;
use crate::transcript::Segment;

/// Cited segments that stand beside a record, and characters of each.
const MAX_SOURCES: usize = 4;
const MAX_SOURCE_CHARS: usize = 240;
/// Characters of a reply that is sent back for repair.
const MAX_REPLY_CHARS: usize = 4000;

const RECORD_RULES: &str = "\
You take notes on one part of a video or recording, using only the evidence provided: still frames taken from it and a \
transcript of its speech. Others write from your notes and see nothing else.

- Each image follows its label, such as [t=04:12.5 #17]: the time at which the frame is shown, and the frame's ID. Each line \
of speech follows its own ID and time, such as [s42 04:12.5].
- One record for each event, statement, decision or change, in order of time. Be specific: who does or says what, names, numbers, \
results. Leave out filler.
- Cite the frames and the lines of speech that a record rests on by their IDs, as numbers. Never write times.
- Do not guess what happened between two frames.
- Give names, numbers and quotations exactly as they appear or are spoken, or leave them out.";

const RECORD_TASK: &str = "\
Write the records of this part, in the language of its speech, or in English if there is none. Answer with JSON only:
{\"records\": [{\"event\": \"what happens\", \"frames\": [17], \"on_screen_text\": \"important text in the cited frames, exactly \
as shown, or null\", \"people\": [\"names that are spoken or shown\"], \"quote\": \"exact words from one of the cited lines, or \
null\", \"segments\": [42, 43]}]}";

const SECTION_RULES: &str = "\
You divide a video or recording into sections from records of its events. The records were written from frames and speech, which \
you do not see.

- A section is a run of consecutive records about one topic. Begin a new one where the topic changes, not at equal distances.
- Use only these records. Its text says in one to three sentences what happens in it. After each sentence, cite the evidence by the \
IDs beside the records, in parentheses, such as (#17, s42).
- Give names, numbers and quotations exactly as they stand in the records, or leave them out.";

const SECTION_TASK: &str = "\
The first section begins with the first record. Answer with JSON only:
{\"sections\": [{\"first_record\": 0, \"title\": \"a title of two to seven words\", \"text\": \"what happens\"}]}";

/// The position of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The number of the window, from 1.
    pub number: usize,
    /// The number of windows, at least 2.
    pub n_windows: usize,
}

/// The messages that ask for the records of one window; see [`build`](super::build).
#[must_use]
pub fn build_records(whole: &Timeline, window: &Timeline, place: Place, media: &MediaInfo, fence: u32) -> Vec<Message> {
    let fence = Fence::new(fence);
    let scope = FactsScope { n_windows: Some(place.n_windows), is_nameless: true, ..FactsScope::default() };
    let mut shown = vec![Part::Text(facts(whole, media, &fence, scope))];
    let what = if window.frames.is_empty() && !window.untimed().is_empty() {
        "text from the transcript, without times".to_owned()
    } else {
        let (start, end) = (window.range.start.label(), window.range.end.label());
        format!("{start} to {end}. The frames and speech below are from this part only")
    };
    shown.push(Part::Text(format!("This is part {} of {}: {what}.", place.number, place.n_windows)));
    shown.extend(window.passages().flat_map(|passage| parts(passage, &fence)));
    shown.push(Part::Text(RECORD_TASK.to_owned()));
    messages(RECORD_RULES, &fence, shown)
}

/// The messages that ask for the sections of records, at least one, with their sources beside them. Sections that are the answer
/// to `options` are in its language, with its background; others are in the language of the records, and serve every answer.
#[must_use]
pub fn build_sections(
    whole: &Timeline,
    records: &[EventRecord],
    options: Option<&PromptSpec>,
    fence: u32,
) -> Vec<Message> {
    let fence = Fence::new(fence);
    let lines: Vec<String> = record_sources(records, whole.segments()).lines().map(|line| fence.line(line)).collect();
    let refinement = options.and_then(|options| options.refinement.as_ref());
    let mut shown = vec![Part::Text(format!("The records:\n{}", fence.wrap(&format!("\n{}\n", lines.join("\n")))))];
    shown.extend(options.and_then(|options| background(&options.context, &fence)).map(Part::Text));
    shown.extend(earlier_answer(refinement, &fence).map(Part::Text));
    let task = match options.and_then(|options| options.language.as_deref()) {
        Some(language) => format!("Write the sections in this language: {}. ", language.trim()),
        None => "Write the sections, in the language of the records. ".to_owned(),
    };
    let wish = wish(refinement).map(|wish| format!("{wish}\n\n")).unwrap_or_default();
    shown.push(Part::Text(format!("{task}{wish}{SECTION_TASK}")));
    messages(SECTION_RULES, &fence, shown)
}

/// The same messages, once more, after a reply that could not be read: with the reply and what is wrong with it.
#[must_use]
pub fn build_again(mut asked: Vec<Message>, reply: &str, problem: &str, fence: u32) -> Vec<Message> {
    let fence = Fence::new(fence);
    let lines: Vec<String> = excerpt(reply, MAX_REPLY_CHARS).lines().map(|line| fence.line(line)).collect();
    let text = format!(
        "Your last reply was:\n{}\n\nIt cannot be used: {}. Answer again, with JSON only, in the form above.",
        fence.wrap(&format!("\n{}\n", lines.join("\n"))),
        // It may repeat a value of the reply.
        fence.wrap(&fence.line(problem)),
    );
    if let Some(last) = asked.last_mut() {
        last.parts.push(Part::Text(text));
    }
    asked
}

/// Records as text, each with its evidence and with the segments that it cites. Untrusted.
#[must_use]
pub fn record_sources(records: &[EventRecord], segments: &[Segment]) -> String {
    let mut out = String::new();
    for record in records {
        let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        // Writing to a String does not fail.
        let _ = writeln!(out, "[r{} {}] {}", record.id, record.range.start.label(), one_line(&record.text));
        let frames = record.frames.iter().map(|frame| format!("#{frame}"));
        let evidence: Vec<String> = frames.chain(record.segments.iter().map(|segment| format!("s{segment}"))).collect();
        let _ = match evidence.as_slice() {
            [] => writeln!(out, "  evidence: none"),
            evidence => writeln!(out, "  evidence: {}", evidence.join(", ")),
        };
        if let Some(quote) = &record.quote {
            let _ = writeln!(out, "  quotation: \"{}\"", one_line(quote));
        }
        if let Some(text) = &record.on_screen_text {
            let _ = writeln!(out, "  on the screen: {}", one_line(text));
        }
        if !record.people.is_empty() {
            let _ = writeln!(out, "  people: {}", one_line(&record.people.join(", ")));
        }
        for id in record.segments.iter().take(MAX_SOURCES) {
            let Some(segment) = segments.get(*id) else { continue };
            let speaker = segment.speaker.as_deref().map(|name| format!("{}: ", one_line(name))).unwrap_or_default();
            let _ = writeln!(out, "  s{id}: {}{}", speaker, one_line(&excerpt(&segment.text, MAX_SOURCE_CHARS)));
        }
    }
    out
}
