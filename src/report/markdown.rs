//! The report as Markdown. All untrusted text passes through [`crate::sanitize`].

use std::fmt::Write as _;

use super::cited::with_times;
use super::document::{Report, ReportFrame, Status, TranscriptOutcome};
pub(crate) use super::facts::transcript_text;
use super::facts::{self, ReportFact, counted};
use super::footnotes::{Footnotes, footnotes};
use crate::chat::{ChatResponse, Choice, FinishReason};
use crate::sanitize::{markdown_block, markdown_line, short_name};
use crate::sentence::CheckedSentence;

/// Writing to a `String` does not fail.
macro_rules! put {
    ($out:expr, $($arg:tt)*) => { let _ = writeln!($out, $($arg)*); };
}

/// The report as Markdown.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut out = String::new();
    let title = report.media.title.as_deref().map(markdown_line).filter(|title| !title.is_empty());
    put!(out, "# {}", title.unwrap_or_else(|| markdown_line(&short_name(&report.media.input))));
    // Above all untrusted text, so that none can hide it.
    if report.status() == Status::Partial {
        let n = report.gaps().len();
        put!(out, "\n**Partial result:** {} missing; see the end of this report.", counted(n, "item"));
    }
    if let Some(question) = &report.question {
        answer_to(&mut out, report, question);
        return out;
    }
    facts(&mut out, report);
    if let Some(answer) = &report.answer {
        summary(&mut out, report, answer);
    } else {
        records(&mut out, report);
    }
    sections(&mut out, report);
    timeline(&mut out, report);
    untimed(&mut out, report);
    gaps(&mut out, report);
    details(&mut out, report);
    out
}

/// The answer to a question, and what it lacks; the JSON has all.
fn answer_to(out: &mut String, report: &Report, question: &str) {
    put!(out, "\n> {}", markdown_line(question));
    if let Some(answer) = &report.answer {
        summary(out, report, answer);
    }
    gaps(out, report);
    state(out, report);
}

fn facts(out: &mut String, report: &Report) {
    out.push('\n');
    for ReportFact { name, text } in facts::of_source(report) {
        put!(out, "- {name}: {}", markdown_line(&text));
    }
}

fn summary(out: &mut String, report: &Report, answer: &ChatResponse) {
    let mut first_note = 1;
    for (at, choice) in answer.choices.iter().enumerate() {
        let which = match answer.choices.len() {
            1 => String::new(),
            n => format!(", alternative {} of {n}", at + 1),
        };
        put!(out, "\n## {}{which}\n", facts::answer_title(report, choice));
        first_note += alternative(out, report, choice, first_note);
    }
}

/// The records, if they were not merged.
fn records(out: &mut String, report: &Report) {
    if report.records.is_empty() {
        return;
    }
    put!(out, "\n## Records\n");
    for record in &report.records {
        put!(out, "- {}: {}", record.range.start, markdown_line(&record.text));
    }
}

/// The sections with their times.
fn sections(out: &mut String, report: &Report) {
    if report.sections.is_empty() {
        return;
    }
    put!(out, "\n## Sections\n");
    for section in &report.sections {
        put!(out, "- {}: {}", section.range.start, markdown_line(&section.title));
    }
}

/// The answer, and below it the footnotes on its sentences, from number `first_note` on; gives their number.
fn alternative(out: &mut String, report: &Report, alternative: &Choice, first_note: usize) -> usize {
    let text = markdown_block(&with_times(&alternative.text, report));
    let shown = |sentence: &CheckedSentence| with_times(&sentence.text, report);
    let sentences: Vec<_> = alternative.sentences.iter().map(|sentence| (shown(sentence), sentence)).collect();
    let Footnotes { answer, below, n } = footnotes(text, &sentences, first_note);
    if answer.trim().is_empty() {
        put!(out, "(no text)");
    } else {
        out.push_str(&answer);
    }
    if let Some(note) = finish_note(&alternative.finish) {
        put!(out, "\n*{note}*");
    }
    out.push_str(&below);
    n
}

/// What the reader must know about the end of an answer; None for a complete one.
fn finish_note(finish: &FinishReason) -> Option<String> {
    let note = match finish {
        FinishReason::Stop => return None,
        FinishReason::Length => "The answer is truncated here, at the token limit.".into(),
        FinishReason::ContentFilter => "The provider's content filter withheld all or part of this answer.".into(),
        FinishReason::Refusal => "The model declined the task.".into(),
        FinishReason::ToolCalls => "The model asked for more evidence instead of finishing this answer.".into(),
        FinishReason::Other(reason) if reason.is_empty() => return None,
        FinishReason::Other(reason) => format!("Finish reason reported by the server: {}.", markdown_line(reason)),
    };
    Some(note)
}

fn timeline(out: &mut String, report: &Report) {
    let spoken = |speech: &Option<String>| speech.as_deref().map(markdown_line).filter(|speech| !speech.is_empty());
    if report.frames.is_empty() {
        let TranscriptOutcome::Found(transcript) = &report.transcript else { return };
        if transcript.segments.is_empty() {
            return;
        }
        put!(out, "\n## Timeline\n");
        for segment in &transcript.segments {
            let speaker = segment.speaker.as_deref().map(|name| format!("{}: ", markdown_line(name)));
            put!(out, "- {} {}{}", segment.range.start, speaker.unwrap_or_default(), markdown_line(&segment.text));
        }
        return;
    }
    put!(out, "\n## Timeline\n");
    if let Some(speech) = spoken(&report.speech_before_frames) {
        put!(out, "- before the first frame: {speech}");
    }
    // Consecutive frames without speech and files share a line: a silent hour is not 720 lines.
    let is_bare = |frame: &ReportFrame| frame.file.is_none() && spoken(&frame.speech).is_none();
    for run in report.frames.chunk_by(|a, b| is_bare(a) && is_bare(b)) {
        match run {
            [first, .., last] => {
                put!(out, "- {} to {} #{} to #{}", first.timestamp, last.timestamp, first.frame_idx, last.frame_idx);
            }
            [frame] => {
                let name = format!("#{}", frame.frame_idx);
                let name = match &frame.file {
                    Some(file) => format!("[{name}]({file})"),
                    None => name,
                };
                let speech = spoken(&frame.speech).map(|speech| format!(" {speech}"));
                put!(out, "- {} {name}{}", frame.timestamp, speech.unwrap_or_default());
            }
            [] => {}
        }
    }
}

fn untimed(out: &mut String, report: &Report) {
    let TranscriptOutcome::Found(transcript) = &report.transcript else { return };
    if transcript.untimed.is_empty() {
        return;
    }
    put!(out, "\n## Transcript, without times\n");
    for paragraph in &transcript.untimed {
        put!(out, "- {}", markdown_line(paragraph));
    }
}

fn gaps(out: &mut String, report: &Report) {
    let gaps = report.gaps();
    if gaps.is_empty() {
        return;
    }
    put!(out, "\n## Missing\n");
    for gap in &gaps {
        put!(out, "- {}: {}", markdown_line(&gap.what), markdown_line(&gap.why));
    }
}

/// The requests, where a language model was asked; then one line: whether anything is missing, and what made the report.
fn details(out: &mut String, report: &Report) {
    if report.model.as_ref().is_some_and(|model| model.is_language_model) {
        requests(out, report);
    }
    state(out, report);
}

fn state(out: &mut String, report: &Report) {
    let state = match report.status() {
        Status::Complete => "Nothing is missing.",
        Status::Partial => "Partial result.",
    };
    let decoder = report.made_with.decoder.as_deref().map(|decoder| format!(", {}", markdown_line(decoder)));
    put!(out, "\n*{state} vidgist {}{}*", report.made_with.vidgist, decoder.unwrap_or_default());
}

fn requests(out: &mut String, report: &Report) {
    put!(out, "\n## Details\n");
    for ReportFact { name, text } in facts::of_requests(report) {
        put!(out, "- {name}: {}", markdown_line(&text));
    }
    windows(out, report);
}

/// The windows and the total.
fn windows(out: &mut String, report: &Report) {
    let Some(total) = report.total.as_ref().filter(|_| !report.windows.is_empty()) else { return };
    put!(out, "- Sent as {}, then merged:", counted(report.windows.len(), "window"));
    for window in &report.windows {
        put!(out, "  - {} to {}: {}", window.range.start, window.range.end, facts::window_text(window));
    }
    put!(out, "- Total: {}", facts::total_text(total));
}
