//! The built-in digest: an extractive summary without network, weights or language model.
//!
//! It quotes the most central sentences of the transcript with their times, and groups the frames into shots with one
//! sharp frame each. It works for any language because it only counts words.

mod rank;
mod sentences;
mod shots;
mod sound;

use std::fmt::Write as _;

use crate::chat::{ChatResponse, Choice, FinishReason, ModelDescription};
use crate::sanitize::markdown_line;
use crate::timeline::Timeline;

pub use sound::describe;

/// Quoted sentences are truncated to this many characters.
const MAX_QUOTE_CHARS: usize = 400;

/// The digest's name in a report.
#[must_use]
pub fn description() -> ModelDescription {
    ModelDescription { name: "built-in digest".into(), endpoint: None, is_language_model: false }
}

/// The digest as a response, without usage or cost.
#[must_use]
pub fn respond(timeline: &Timeline) -> ChatResponse {
    ChatResponse::new(vec![Choice::new(digest(timeline), FinishReason::Stop)])
}

/// The digest as Markdown, with a note that no language model wrote it.
#[must_use]
pub fn digest(timeline: &Timeline) -> String {
    if timeline.frames.is_empty() && !timeline.has_words() {
        return "Made without a language model: the file has neither frames nor a transcript to summarize.\n".into();
    }
    let mut out = String::from(
        "Made without a language model: sentences quoted from what is said, and the shots among the sampled frames. \
         It quotes; it does not understand.\n",
    );
    say(&mut out, timeline);
    show(&mut out, timeline);
    out
}

/// Writing to a `String` does not fail.
macro_rules! put {
    ($out:expr, $($arg:tt)*) => { let _ = writeln!($out, $($arg)*); };
}

fn say(out: &mut String, timeline: &Timeline) {
    put!(out, "\n### What is said\n");
    let mut sentences = sentences::split(timeline.segments());
    sentences.extend(sentences::split_untimed(timeline.untimed()));
    if sentences.is_empty() {
        put!(out, "There is no transcript.");
        return;
    }
    for at in rank::weightiest(&sentences) {
        let sentence = &sentences[at];
        let mut text: String = sentence.text.chars().take(MAX_QUOTE_CHARS).collect();
        if text.len() < sentence.text.len() {
            text.push_str(" [...]");
        }
        let speaker = sentence.speaker.map(|name| format!("{}: ", markdown_line(name))).unwrap_or_default();
        let start = sentence.start.map(|start| format!("{} ", start.label())).unwrap_or_default();
        put!(out, "- {start}{speaker}{}", markdown_line(&text));
    }
}

fn show(out: &mut String, timeline: &Timeline) {
    put!(out, "\n### What is shown\n");
    let n_frames = timeline.frames.len();
    let found = shots::find(timeline);
    match (n_frames, found.shots.len()) {
        (0, _) => {
            put!(out, "There are no frames: only the transcript was used.");
            return;
        }
        (1, _) => {
            put!(out, "There is one frame.\n");
        }
        (_, 1) => {
            put!(out, "One shot in {n_frames} frames: the picture never changes much.\n");
        }
        (_, n) => {
            put!(out, "{n} shots in {n_frames} frames; the clearest frame of each:\n");
        }
    }
    for shot in &found.shots {
        let (image, range) = (&timeline.frames[shot.sharpest].image, shot.range);
        let frames = if shot.n_frames == 1 { "1 frame".into() } else { format!("{} frames", shot.n_frames) };
        put!(
            out,
            "- {} to {}, {frames}: #{} at {}",
            range.start.label(),
            range.end.label(),
            image.frame_idx,
            image.time.label()
        );
    }
    if found.n_weaker > 0 {
        put!(out, "\n{} weaker changes of the picture are not listed.", found.n_weaker);
    }
}
