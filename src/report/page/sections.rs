//! The sections of a page.

use std::collections::HashSet;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use maud::{Markup, html};

use super::places::{PagePlace, segments};
use super::{Page, answer, overview};
use crate::chat::{Choice, FinishReason};
use crate::language::two_letter_code;
use crate::report::chapters;
use crate::report::facts::{self, ReportFact, answer_title, counted};
use crate::report::{ReportFrame, TranscriptOutcome};
use crate::sanitize::{clean_line, short_name};
use crate::time::Timestamp;

impl Page<'_> {
    /// The facts that belong below the title.
    pub(super) fn headline(&self, title: &str) -> String {
        let (report, media) = (self.report, &self.report.media);
        let mut parts: Vec<String> = media.duration.iter().map(|duration| duration.label()).collect();
        if let Some(video) = media.main_video() {
            let (width, height) = video.display_size();
            parts.push(format!("{width}\u{d7}{height}"));
        }
        if !report.frames.is_empty() {
            parts.push(counted(report.frames.len(), "frame"));
        }
        if !segments(report).is_empty() {
            parts.push(format!("{} of speech", counted(segments(report).len(), "line")));
        }
        parts.extend(media.uploader.as_deref().map(clean_line));
        parts.extend(Some(clean_line(&short_name(&media.input))).filter(|name| name != title));
        parts.join(" \u{b7} ")
    }

    /// The frames, and the line of the whole recording.
    pub(super) fn timeline(&self, cited: &HashSet<PagePlace>) -> Markup {
        html! {
            @if !self.report.frames.is_empty() || self.has_lines() {
                section #timeline aria-labelledby="timeline-title" {
                    h2 #timeline-title { "Frames and timeline" }
                    @if !self.report.frames.is_empty() {
                        ol #strip .strip { @for frame in &self.report.frames { (self.frame(frame)) } }
                    }
                    @if let Some(drawing) = overview::drawing(self.report, cited) { "\n" (drawing) }
                }
            }
        }
    }

    /// A frame of the strip. `li` has no end tag, which HTML allows: there may be hundreds.
    fn frame(&self, frame: &ReportFrame) -> Markup {
        let alt = format!("#{}", frame.frame_idx);
        html! {
            li id={ "f" (frame.frame_idx) };
            @if let Some(address) = self.picture(frame) { img src=(address) alt=(alt) loading="lazy"; }
            b { (frame.time.label()) }
            @if frame.suspect { i { "damaged" } }
            "\n"
        }
    }

    /// The address of a frame's picture; None where it was not written.
    fn picture(&self, frame: &ReportFrame) -> Option<String> {
        let Some(image) = self.pictures.get(&frame.frame_idx) else { return frame.file.clone() };
        Some(format!("data:{};base64,{}", image.format.mime(), BASE64_STANDARD.encode(&image.bytes)))
    }

    /// The answers with their notes, or those of the windows.
    pub(super) fn answer(&self) -> Markup {
        let Some(answer) = &self.report.answer else { return self.records() };
        let n_choices = answer.choices.len();
        let mut first_note = 1;
        html! {
            @if let Some(question) = &self.report.question {
                blockquote { p dir="auto" { (clean_line(question)) } }
            }
            @for (at, choice) in answer.choices.iter().enumerate() {
                section aria-labelledby={ "summary-" (at) } {
                    h2 id={ "summary-" (at) } {
                        (answer_title(self.report, choice))
                        @if n_choices > 1 { ", alternative " (at + 1) " of " (n_choices) }
                    }
                    (self.choice(choice, &mut first_note))
                }
            }
        }
    }

    fn choice(&self, choice: &Choice, first_note: &mut usize) -> Markup {
        let (text, notes) = answer::to_html(&choice.text, &choice.sentences, &self.places, *first_note);
        *first_note += notes.len();
        let ending = match &choice.finish {
            FinishReason::Stop => None,
            FinishReason::Length => Some("The answer is truncated here, at the token limit.".to_owned()),
            FinishReason::ContentFilter => {
                Some("The provider's content filter withheld all or part of this answer.".to_owned())
            }
            FinishReason::Refusal => Some("The model declined the task.".to_owned()),
            FinishReason::ToolCalls => {
                Some("The model asked for more evidence instead of finishing this answer.".to_owned())
            }
            FinishReason::Other(reason) if reason.is_empty() => None,
            FinishReason::Other(reason) => {
                Some(format!("Finish reason reported by the server: {}.", clean_line(reason)))
            }
        };
        html! {
            div.text dir="auto" {
                @if text.0.trim().is_empty() { p { "(no text)" } } @else { (text) }
            }
            @if let Some(ending) = ending { p.hint { (ending) } }
            @if !notes.is_empty() {
                div.notes {
                    h3 { (notes.len()) " of " (counted(choice.sentences.len(), "sentence")) " to check" }
                    ol start=[notes.first().map(|note| note.number)] {
                        @for note in &notes {
                            li id={ "n" (note.number) } {
                                span class=(note.sentence.verdict) { (note.sentence.verdict) }
                                @for (at, problem) in note.sentence.problems.iter().enumerate() {
                                    @if at == 0 { ": " } @else { "; " }
                                    (clean_line(&problem.to_string()))
                                }
                                @if note.is_placed {
                                    " "
                                    a href={ "#r" (note.number) } aria-label={ "Back to sentence " (note.number) } { "\u{21a9}" }
                                } @else {
                                    ": " q { (clean_line(&note.sentence.text)) }
                                }
                            }
                        }
                    }
                }
            } @else if !choice.sentences.is_empty() {
                p.hint {
                    @match choice.sentences.len() {
                        1 => "Everything that the sentence cites was found.",
                        n => { "Everything that the " (n) " sentences cite was found." }
                    }
                }
            }
        }
    }

    /// The records, where they were not merged.
    fn records(&self) -> Markup {
        let records = &self.report.records;
        html! {
            section aria-labelledby="summary-0" {
                @if records.is_empty() {
                    h2 #summary-0 { "Summary" }
                    p { "There is no summary: see " a href="#missing" { "what is missing" } "." }
                } @else {
                    h2 #summary-0 { "Records" }
                    ol.plain {
                        @for record in records {
                            li { (self.time_link(record.range.start)) span dir="auto" { (clean_line(&record.text)) } }
                        }
                    }
                }
            }
        }
    }

    /// The chapters of the container, or the sections.
    pub(super) fn chapters(&self) -> Markup {
        let chapters = chapters::chapters(self.report);
        html! {
            @if !chapters.is_empty() {
                section aria-labelledby="chapters" {
                    h2 #chapters { "Chapters" }
                    ol.plain {
                        @for chapter in chapters {
                            li { (self.time_link(chapter.start)) span dir="auto" { (clean_line(&chapter.title)) } }
                        }
                    }
                }
            }
        }
    }

    /// A time with a link to what is shown or said then.
    fn time_link(&self, time: Timestamp) -> Markup {
        html! {
            @match self.places.at(time) {
                Some(place) => a href={ "#" (place.id()) } { time { (time.label()) } },
                None => time { (time.label()) },
            }
        }
    }

    fn has_lines(&self) -> bool {
        matches!(&self.report.transcript, TranscriptOutcome::Found(transcript) if !transcript.is_empty())
    }

    /// The transcript, with the player and the selected frame above it.
    pub(super) fn transcript(&self) -> Markup {
        html! {
            section #side aria-labelledby="transcript" {
                (self.player())
                @if self.report.frames.iter().any(|frame| self.picture(frame).is_some()) {
                    figure #stage hidden data-first=[self.clearest_frame()] { img alt=""; figcaption {} }
                }
                h2 #transcript { "Transcript" }
                @if !self.has_lines() {
                    p { (clean_line(&facts::transcript_text(self.report))) }
                } @else {
                    div.find hidden {
                        input #search type="search" placeholder="Search" aria-label="Search the transcript"
                            aria-keyshortcuts="/" autocomplete="off" spellcheck="false";
                        @if self.recording.is_some() {
                            label { input #follow type="checkbox" checked; "Follow" }
                        }
                        span #count role="status" {}
                    }
                    (self.lines())
                }
            }
        }
    }

    /// The ID of the sharpest frame, which a page shows at first; None where none was measured.
    fn clearest_frame(&self) -> Option<String> {
        let measured = self.report.frames.iter().filter_map(|frame| Some((frame.sharpness?, frame.frame_idx)));
        let clearest = measured.max_by(|(one, _), (other, _)| one.total_cmp(other));
        clearest.map(|(_, frame_idx)| PagePlace::Frame(frame_idx).id())
    }

    fn player(&self) -> Markup {
        let has_video = self.report.media.main_video().is_some();
        html! {
            @if let Some(address) = self.recording {
                @if has_video {
                    video #player controls preload="metadata" src=(address) aria-label="Recording" {}
                } @else {
                    audio #player controls preload="metadata" src=(address) aria-label="Recording" {}
                }
                p #unplayable .hint hidden { "This browser cannot play the recording." }
            }
        }
    }

    /// The lines of speech. `li` has no end tag, which HTML allows: there may be thousands.
    fn lines(&self) -> Markup {
        let TranscriptOutcome::Found(transcript) = &self.report.transcript else { return html! {} };
        let language = transcript.language.as_deref().and_then(two_letter_code);
        let mut speaker = None;
        let mut named = |now: Option<&str>| {
            let name = now.map(clean_line).filter(|name| !name.is_empty() && Some(name) != speaker.as_ref());
            if name.is_some() {
                speaker.clone_from(&name);
            }
            name
        };
        html! {
            ol #lines .lines lang=[language] {
                @for (at, segment) in transcript.segments.iter().enumerate() {
                    li id={ "s" (at) } lang=[segment.language.as_deref().and_then(two_letter_code)];
                    b { (segment.range.start.label()) }
                    @if let Some(name) = named(segment.speaker.as_deref()) { i { (name) } }
                    (clean_line(&segment.text))
                    "\n"
                }
                @for paragraph in &transcript.untimed { li; (clean_line(paragraph)) "\n" }
            }
        }
    }

    /// What is missing.
    pub(super) fn missing(&self) -> Markup {
        let gaps = self.report.gaps();
        html! {
            @if !gaps.is_empty() {
                section #missing aria-labelledby="missing-title" {
                    h2 #missing-title { "Missing" }
                    ul { @for gap in &gaps { li { b { (clean_line(&gap.what)) } ": " (clean_line(&gap.why)) } } }
                }
            }
        }
    }

    /// The source, the requests and what they cost, and how long it took.
    pub(super) fn details(&self) -> Markup {
        let report = self.report;
        let is_model = report.model.as_ref().is_some_and(|model| model.is_language_model);
        let requests = if is_model { facts::of_requests(report) } else { Vec::new() };
        let timings: Vec<String> =
            report.timings.iter().map(|stage| format!("{} {:.1} s", clean_line(&stage.stage), stage.seconds)).collect();
        html! {
            section aria-labelledby="details" {
                h2 #details { "Details" }
                dl {
                    @for fact in facts::of_source(report).iter().filter(|fact| fact.name != "Chapter") { (row(fact)) }
                    @for fact in &requests { (row(fact)) }
                    @if let Some(total) = report.total.as_ref().filter(|_| !report.windows.is_empty()) {
                        dt { "Total" } dd { (facts::total_text(total)) }
                    }
                    @if !timings.is_empty() { "\n" dt { "Timings" } dd { (timings.join(", ")) } "\n" }
                }
                @if !report.windows.is_empty() {
                    details {
                        summary { "Sent as " (counted(report.windows.len(), "window")) ", then merged" }
                        ol.plain {
                            @for window in &report.windows {
                                li {
                                    (self.time_link(window.range.start))
                                    span { "to " (window.range.end.label()) ": " (facts::window_text(window)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn row(fact: &ReportFact) -> Markup {
    html! { dt { (fact.name) } dd dir="auto" { (clean_line(&fact.text)) } "\n" }
}
