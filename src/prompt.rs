//! Builds the messages for a chat model from a timeline. Pure: the same arguments give the same bytes.
//!
//! Order: the rules (system message), facts, the evidence in order of time, the user's background, the task. A server that caches prefixes of
//! requests thus processes the evidence once. All text from the media is fenced: it is enclosed in tags that it cannot
//! guess, and the rules declare it as data.

mod background;
mod caption;
mod fence;
mod look;
mod merge;
mod question;
mod records;
mod refinement;
mod sound;
mod task;
mod translate;
mod verify;

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use background::background;
pub use background::build_background;
pub use caption::{CaptionFrame, CaptionPrompt, build_captions};
use fence::Fence;
pub use look::{
    FRAMES_TOOL, TRANSCRIPT_TOOL, build_look_end, build_look_offer, build_look_problem, build_looked_frames,
    build_looked_speech,
};
pub use merge::{PartAnswer, build_merge, build_part_answer};
pub use question::{QuestionPassage, build_question, build_question_passage};
pub use records::{Place, build_again, build_records, build_sections, record_sources};
use refinement::earlier_answer;
pub use sound::{SoundEvidence, build_sound};
pub use task::{ContextDocument, NOT_IN_RECORDING, PromptSpec, Refinement, SummaryLength, SummaryTask};
use task::{task, wish};
pub use translate::{CueLine, TranslationPrompt, build_translation};
pub use verify::{SentenceEvidence, build_verification};

use crate::chat::{Message, Part, Role};
use crate::media::MediaInfo;
use crate::sanitize::{excerpt, short_name};
use crate::timeline::{Passage, Timeline};
use crate::transcript::{Segment, Transcript, TranscriptSource};

/// Chapters of the container that a prompt lists.
const MAX_CHAPTERS: usize = 100;
/// Characters of a description that a prompt holds.
const MAX_DESCRIPTION_CHARS: usize = 2000;

/// The version of the wording; stored answers of different versions are not mixed.
pub const VERSION: u32 = 3;

/// The messages with the task and its evidence: a system message and a user message.
///
/// Each frame is the label `[t=MM:SS.s #id]`, its image, then the speech until the next frame; `id` is its
/// [`frame_idx`](crate::media::EncodedImage::frame_idx), counted from 0. A line of speech is `[sID MM:SS.s] text`; its ID is
/// the index of its segment in the transcript, from 0. `fence` is the number of the tags around text from
/// the media: see [`fence_number`].
#[must_use]
pub fn build(timeline: &Timeline, media: &MediaInfo, options: &PromptSpec, fence: u32) -> Vec<Message> {
    let fence = Fence::new(fence);
    let scope = FactsScope { is_image_url: options.image_url.is_some(), ..FactsScope::default() };
    let mut shown = vec![Part::Text(facts(timeline, media, &fence, scope))];
    shown.extend(timeline.passages().flat_map(|passage| parts(passage, &fence)));
    if let Some(url) = &options.image_url {
        let url = Part::ImageUrl(url.clone());
        match shown.iter_mut().find(|part| matches!(part, Part::Image(_))) {
            Some(first) => *first = url,
            None => shown.push(url),
        }
    }
    shown.extend(background(&options.context, &fence).map(Part::Text));
    shown.extend(earlier_answer(options.refinement.as_ref(), &fence).map(Part::Text));
    shown.push(Part::Text(task(timeline, options)));
    messages(options.system.as_deref().unwrap_or(RULES), &fence, shown)
}

/// The system message, with the rule about fenced text, and the user message.
fn messages(rules: &str, fence: &Fence, shown: Vec<Part>) -> Vec<Message> {
    let system = format!("{}\n\n{}", rules.trim_end(), fence.rule());
    let system = Message { role: Role::System, parts: vec![Part::Text(system)] };
    vec![system, Message { role: Role::User, parts: shown }]
}

/// Text without times, the label of a frame, its image, and the speech after it.
fn parts(passage: Passage<'_>, fence: &Fence) -> Vec<Part> {
    let mut parts = Vec::with_capacity(3);
    if !passage.untimed.is_empty() {
        let lines: Vec<String> = passage.untimed.iter().map(|paragraph| fence.line(paragraph)).collect();
        let text = fence.wrap(&format!("\n{}\n", lines.join("\n")));
        parts.push(Part::Text(format!("Transcript of the whole file, without times:\n{text}")));
    }
    if let Some(frame) = passage.frame {
        parts.push(Part::Text(format!("[t={} #{}]", frame.image.time.label(), frame.image.frame_idx)));
        parts.push(Part::Image(frame.image.clone()));
    }
    parts.extend(speech(passage.words, Some(passage.first_segment_id), fence).map(Part::Text));
    parts
}

const RULES: &str = "\
You describe a video or recording using only the evidence provided: still frames taken from it and a transcript of its \
speech.

- Each image follows its label, such as [t=04:12.5 #17]: the time at which the frame is shown, and the frame's ID. Each \
line of speech follows its own ID and time, such as [s42 04:12.5].
- After each sentence, cite its evidence by ID alone, in parentheses: (#17) for what a frame shows, (s42) for what is said, \
(#17, s42) for both. Do not write times: they are added from the IDs. Never read a time from a clock in an image.
- Do not guess what happened between two frames. If the evidence is thin or contradictory, say so.
- Give names, numbers and quotations exactly as they appear or are spoken, or leave them out.";

/// A number for the tags around text from the media, derived from these texts: text that names the tag changes it. The same
/// evidence has the same number, so that its requests are the same bytes in every run. A tag that a text contains all the
/// same is removed from it.
#[must_use]
pub fn fence_number<'a>(texts: impl IntoIterator<Item = &'a str>) -> u32 {
    let mut hasher = Sha256::new();
    for text in texts {
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text);
    }
    let hash = hasher.finalize();
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
}

/// The parts that show one passage in [`build`] and [`build_records`].
#[must_use]
pub fn build_passage(passage: Passage<'_>, fence: u32) -> Vec<Part> {
    parts(passage, &Fence::new(fence))
}

/// All texts of a transcript.
pub(crate) fn transcript_texts(transcript: Option<&Transcript>) -> impl Iterator<Item = &str> {
    let (segments, untimed) =
        transcript.map_or((&[][..], &[][..]), |transcript| (&transcript.segments, &transcript.untimed));
    segment_texts(segments).chain(untimed.iter().map(String::as_str))
}

/// All texts of segments.
pub(crate) fn segment_texts(segments: &[Segment]) -> impl Iterator<Item = &str> {
    segments.iter().flat_map(|segment| [Some(&*segment.text), segment.speaker.as_deref()].into_iter().flatten())
}

/// What [`facts`] states beside the facts of the file.
#[derive(Clone, Copy, Default)]
struct FactsScope {
    /// The number of windows, where the evidence is split among several requests.
    n_windows: Option<usize>,
    /// Whether no frame is sent, although there may be some.
    hides_frames: bool,
    /// Whether the file's name is left out: the records of a renamed file are the same.
    is_nameless: bool,
    /// Whether the only evidence is an image that the server fetches.
    is_image_url: bool,
}

/// What is known about the file.
fn facts(timeline: &Timeline, media: &MediaInfo, fence: &Fence, scope: FactsScope) -> String {
    let FactsScope { n_windows, hides_frames, is_nameless, is_image_url } = scope;
    let mut out = String::from("Facts about the file:\n");
    let mut fact = |name: &str, value: String| {
        // Writing to a String does not fail.
        let _ = writeln!(out, "- {name}: {value}");
    };
    if !is_nameless {
        fact("name", fence.wrap(&fence.line(&short_name(&media.input))));
    }
    if let Some(title) = &media.title {
        fact("title", fence.wrap(&fence.line(title)));
    }
    if let Some(duration) = media.duration {
        fact("duration", duration.label());
    }
    if let Some(uploader) = &media.uploader {
        fact("published by", fence.wrap(&fence.line(uploader)));
    }
    if let Some(description) = &media.description {
        fact("description", fence.wrap(&fence.line(&excerpt(description, MAX_DESCRIPTION_CHARS))));
    }
    for chapter in media.chapters.iter().take(MAX_CHAPTERS) {
        let title = chapter.title.as_deref().unwrap_or("without a title");
        let (start, end) = (chapter.start.label(), chapter.end.label());
        fact(&format!("chapter from {start} to {end}"), fence.wrap(&fence.line(title)));
    }
    if timeline.range.start < timeline.range.end {
        fact("part analyzed", format!("{} to {}", timeline.range.start.label(), timeline.range.end.label()));
    }
    fact(
        "frames",
        match timeline.frames.len() {
            0 if is_image_url => "the file is one image, without a time and without an ID to cite".into(),
            _ if hides_frames => "none is shown here".into(),
            0 => "none. You see no image of this file: say nothing about how it looks.".into(),
            1 => "1, after its label".into(),
            n if n_windows.is_some() => {
                format!(
                    "{n} in all parts, in order of time, each after its label and followed by the speech until the next frame"
                )
            }
            n => format!("{n}, in order of time, each after its label and followed by the speech until the next frame"),
        },
    );
    fact(
        "speech",
        match &timeline.transcript {
            Some(transcript) if timeline.has_words() => {
                let source = match &transcript.source {
                    _ if !transcript.untimed.is_empty() => {
                        "a text without times, before the frames. You do not know when anything in it is said: give no \
                         times for it"
                    }
                    TranscriptSource::Sidecar { .. } => "from a subtitle file",
                    TranscriptSource::Embedded { .. } => "from a subtitle stream in the file",
                    TranscriptSource::Site { is_automatic: false } => "from captions of the site",
                    TranscriptSource::Site { is_automatic: true }
                    | TranscriptSource::Whisper { .. }
                    | TranscriptSource::Api { .. } => "transcribed by a speech recognition model; may contain errors",
                };
                match transcript.language.as_deref().map(|language| fence.line(language)) {
                    Some(language) => format!("{source}, language {}", fence.wrap(&language)),
                    None => source.into(),
                }
            }
            _ => "no transcript. You do not know what is said in this file: do not guess.".into(),
        },
    );
    if let Some(n_windows) = n_windows {
        fact("parts", n_windows.to_string());
    }
    out.truncate(out.trim_end().len());
    out
}

/// `[s42 MM:SS.s] Speaker: text`, a line for each segment, fenced; None where there is no text. Without the ID of the first
/// segment, lines have times alone.
fn speech(segments: &[Segment], first_id: Option<usize>, fence: &Fence) -> Option<String> {
    let mut lines = String::new();
    for (at, segment) in segments.iter().enumerate() {
        let text = fence.line(&segment.text);
        if text.is_empty() {
            continue;
        }
        let id = first_id.map(|first| format!("s{} ", first + at)).unwrap_or_default();
        let _ = write!(lines, "\n[{id}{}] ", segment.range.start.label());
        if let Some(speaker) = segment.speaker.as_deref().map(|s| fence.line(s)).filter(|s| !s.is_empty()) {
            let _ = write!(lines, "{speaker}: ");
        }
        lines.push_str(&text);
    }
    (!lines.is_empty()).then(|| fence.wrap(&format!("{lines}\n")))
}
