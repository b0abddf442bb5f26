//! A second look: while it answers, a model may ask for frames and for lines of the transcript.

use std::sync::PoisonError;

use super::budget;
use super::look_request::{self, LookRequest, MAX_REQUESTS};
use super::map::{Analyzer, Unanswered};
use super::views::{Crop, FrameView};
use crate::chat::{ChatResponse, Message, Part, Role, ToolCall};
use crate::llm::ChatRequest;
use crate::prompt;
use crate::report::LookReport;
use crate::time::TimeRange;
use crate::timeline::{Load, TimelineFrame};

/// Replies that may ask for more.
const MAX_ROUNDS: u32 = 3;

/// Tokens of the offer of a second look, and of the texts that show what was asked for.
const OFFER_TOKENS: u64 = 600;

/// What one request shows.
struct Shown {
    text: String,
    parts: Vec<Part>,
}

impl Analyzer<'_> {
    /// Sends the request for an answer. A reply that asks to see more is followed by a request that shows it, up to
    /// [`MAX_ROUNDS`] times: by tool calls, or by JSON in the reply where the server has no tools.
    pub(super) async fn send_looking(&self, messages: Vec<Message>) -> Result<ChatResponse, Unanswered> {
        let n_tokens = self.limits.tokens(&messages);
        // The request that shows more is at least as large as the first one.
        if !self.tracker.has_room(&self.limits, n_tokens.saturating_add(OFFER_TOKENS), 2) {
            tracing::info!("no second look is offered: the spending limit allows one request");
            return self.send(&*self.window_model, &ChatRequest::new(&messages), false, &|_| true).await;
        }
        let tools = look_request::tools();
        let mut uses_tools = self.window_model.takes_tools();
        let offer = prompt::build_look_offer(self.analysis.look_frames, MAX_ROUNDS);
        let mut conversation = if uses_tools { messages.clone() } else { with_offer(messages.clone(), offer.clone()) };
        let mut round = 1;
        loop {
            let request =
                ChatRequest { tools: if uses_tools { &tools } else { &[] }, ..ChatRequest::new(&conversation) };
            let asked = |response: &ChatResponse| match response.choices.first() {
                Some(first) if uses_tools => first.tool_calls.clone(),
                _ => look_request::in_words(response),
            };
            // What asks instead of answering may answer the next time.
            let is_usable = |response: &ChatResponse| round <= MAX_ROUNDS || asked(response).is_empty();
            let response = match self.send(&*self.window_model, &request, false, &is_usable).await {
                // The store may have an answer that was asked for in words.
                Err(unanswered)
                    if uses_tools
                        && round == 1
                        && (self.is_from_store || matches!(unanswered, Unanswered::WithoutTools(_))) =>
                {
                    tracing::info!("{}: a second look is offered in words", unanswered.into_text());
                    uses_tools = false;
                    conversation = with_offer(messages.clone(), offer.clone());
                    continue;
                }
                outcome => outcome?,
            };
            let Some(first) = response.choices.first() else { return Ok(response) };
            let calls = asked(&response);
            if calls.is_empty() {
                return Ok(response);
            }
            if round > MAX_ROUNDS {
                let why = "the model asked to see more instead of answering, although it had looked three times";
                return if first.text.trim().is_empty() || !uses_tools {
                    Err(Unanswered::Other(why.to_owned()))
                } else {
                    Ok(response)
                };
            }
            tracing::info!("round {round}: the model asks to see more");
            let mut results = Vec::new();
            let mut shown = Vec::new();
            for (at, call) in calls.iter().enumerate() {
                let Shown { text, parts } = if at < MAX_REQUESTS {
                    self.show(call, round, &conversation, &shown).await
                } else {
                    Shown {
                        text: prompt::build_look_problem("too many requests at once", self.fence),
                        parts: Vec::new(),
                    }
                };
                if uses_tools {
                    results.push(Part::ToolResult { call_id: call.id.clone(), text });
                } else {
                    shown.push(Part::Text(text));
                }
                shown.extend(parts);
            }
            results.extend(shown);
            if round == MAX_ROUNDS {
                results.push(prompt::build_look_end());
            }
            conversation.push(first.to_message());
            conversation.push(Message { role: Role::User, parts: results });
            round += 1;
        }
    }

    /// Shows what one call asks for, and notes it for the report. `before` and `beside` are what the next request holds
    /// already.
    async fn show(&self, call: &ToolCall, round: u32, before: &[Message], beside: &[Part]) -> Shown {
        let mut report = LookReport::new(round, call.name.clone());
        let shown = match look_request::read(call, self.timeline.range) {
            Ok(LookRequest::Transcript { range }) => {
                report.range = Some(range);
                Ok(self.show_speech(range, &mut report))
            }
            Ok(LookRequest::Frames { range, n_frames, max_width, crop }) => {
                report.range = Some(range);
                let parts = before.iter().flat_map(|message| &message.parts).chain(beside).cloned();
                let load = self.limits.load(parts.collect());
                self.show_frames((range, n_frames), (max_width, crop), load, &mut report).await
            }
            Err(problem) => Err(problem),
        };
        let shown = shown.unwrap_or_else(|problem| {
            let text = prompt::build_look_problem(&problem, self.fence);
            report.problem = Some(problem);
            Shown { text, parts: Vec::new() }
        });
        self.looks.lock().unwrap_or_else(PoisonError::into_inner).reports.push(report);
        shown
    }

    fn show_speech(&self, range: TimeRange, report: &mut LookReport) -> Shown {
        let segments = self.timeline.segments();
        let first = segments.partition_point(|segment| segment.range.end < range.start);
        let end = segments.partition_point(|segment| segment.range.start <= range.end).max(first);
        // As much as passages for a question have.
        let size = |n: usize| {
            let text = prompt::build_looked_speech(range, &segments[first..first + n], first, self.fence);
            self.limits.tokens(&[Message { role: Role::User, parts: vec![Part::Text(text)] }])
        };
        let most = budget::room(&self.limits, self.frame_tokens()).n_tokens / 4;
        let mut n_lines = end - first;
        while n_lines > 1 && size(n_lines) > most {
            n_lines /= 2;
        }
        report.n_lines = n_lines;
        let shown = &segments[first..first + n_lines];
        let until =
            if n_lines < end - first { shown.last().map_or(range.end, |last| last.range.end) } else { range.end };
        let text = prompt::build_looked_speech(TimeRange::new(range.start, until), shown, first, self.fence);
        Shown { text, parts: Vec::new() }
    }

    /// Frames that the timeline has are shown as such; others are read, and numbered after them. `load` is what the next
    /// request holds already: what does not fit beside it, or into the spending limit, is not shown.
    async fn show_frames(
        &self,
        (range, n_frames): (TimeRange, usize),
        (max_width, crop): (Option<u32>, Option<Crop>),
        mut load: Load,
        report: &mut LookReport,
    ) -> Result<Shown, String> {
        let n_left = self.analysis.look_frames.saturating_sub(self.n_looked());
        let n_frames = n_frames.min(n_left);
        if n_frames == 0 {
            return Err("no more frames can be shown".to_owned());
        }
        let times = look_request::spread(range, n_frames);
        let Some(reader) = &self.reader else { return Err("frames of this source cannot be read again".to_owned()) };
        let read = match reader.read(FrameView { times, max_width, crop }).await {
            Ok(read) => read,
            Err(error) => {
                // Names of files and texts of decoders are for the report, not for the model.
                report.problem = Some(error.to_string());
                let text = prompt::build_look_problem("these frames cannot be read", self.fence);
                return Ok(Shown { text, parts: Vec::new() });
            }
        };
        let own = &self.timeline.frames;
        let first_idx = own.iter().map(|frame| frame.image.frame_idx + 1).max().unwrap_or(0);
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let mut shown: Vec<TimelineFrame> = Vec::new();
        let most = self.limits.capacity();
        for mut found in read {
            let image = &found.frame.image;
            let with_it = load.plus(self.limits.load(prompt::build_looked_frames(&[&found.frame])));
            if !with_it.fits(most) || !self.tracker.has_room(&self.limits, with_it.n_tokens, 1) {
                break;
            }
            load = with_it;
            let same =
                own.iter().find(|one| crop.is_none() && one.image.pts == image.pts && one.image.width >= image.width);
            if let Some(same) = same {
                shown.push(same.clone());
                continue;
            }
            found.frame.image.frame_idx = first_idx + looks.frames.len();
            shown.push(found.frame.clone());
            looks.frames.push(found);
        }
        if shown.is_empty() {
            return Err("no more frames can be shown".to_owned());
        }
        report.frames = shown.iter().map(|frame| frame.image.frame_idx).collect();
        let labels: Vec<String> =
            shown.iter().map(|frame| format!("#{} at {}", frame.image.frame_idx, frame.image.time.label())).collect();
        let part = if crop.is_some() { ", the part that you asked for" } else { "" };
        let text = format!("The frames follow{part}: {}.", labels.join(", "));
        Ok(Shown { text, parts: prompt::build_looked_frames(&shown.iter().collect::<Vec<_>>()) })
    }

    /// The frames that were shown so far.
    fn n_looked(&self) -> usize {
        let looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        looks.reports.iter().map(|report| report.frames.len()).sum()
    }
}

/// The messages with the offer at their end.
fn with_offer(mut messages: Vec<Message>, offer: Part) -> Vec<Message> {
    if let Some(last) = messages.last_mut() {
        last.parts.push(offer);
    }
    messages
}
