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
use crate::timeline::TimelineFrame;

/// Replies that may ask for more.
const MAX_ROUNDS: u32 = 3;

/// What one request shows.
struct Shown {
    text: String,
    parts: Vec<Part>,
}

impl Analyzer<'_> {
    /// Sends the request for an answer. A reply that asks to see more is followed by a request that shows it, up to
    /// [`MAX_ROUNDS`] times: by tool calls, or by JSON in the reply where the server has no tools.
    pub(super) async fn send_looking(&self, messages: Vec<Message>) -> Result<ChatResponse, Unanswered> {
        let tools = look_request::tools();
        let mut uses_tools = self.window_model.takes_tools();
        let offer = prompt::build_look_offer(self.analysis.look_frames, MAX_ROUNDS);
        let mut conversation = if uses_tools { messages.clone() } else { with_offer(messages.clone(), offer.clone()) };
        let mut round = 1;
        loop {
            let request =
                ChatRequest { tools: if uses_tools { &tools } else { &[] }, ..ChatRequest::new(&conversation) };
            let response = match self.send(&*self.window_model, &request, false, &|_| true).await {
                Err(Unanswered::WithoutTools(why)) if uses_tools && round == 1 => {
                    tracing::info!("{why}: a second look is offered in words");
                    uses_tools = false;
                    conversation = with_offer(messages.clone(), offer.clone());
                    continue;
                }
                outcome => outcome?,
            };
            let Some(first) = response.choices.first() else { return Ok(response) };
            let calls = if uses_tools { first.tool_calls.clone() } else { look_request::in_words(&response) };
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
                let n_images = before.iter().flat_map(|message| &message.parts).chain(beside);
                let n_images = n_images.filter(|part| matches!(part, Part::Image(_))).count() as u64;
                let most = budget::room(&self.limits, 0).n_frames.saturating_sub(n_images);
                let n_frames = n_frames.min(usize::try_from(most).unwrap_or(usize::MAX));
                self.show_frames(range, n_frames, (max_width, crop), &mut report).await
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

    /// Frames that the timeline has are shown as such; others are read, and numbered after them.
    async fn show_frames(
        &self,
        range: TimeRange,
        n_frames: usize,
        (max_width, crop): (Option<u32>, Option<Crop>),
        report: &mut LookReport,
    ) -> Result<Shown, String> {
        let n_left = self.analysis.look_frames.saturating_sub(self.n_looked());
        let n_frames = n_frames.min(n_left);
        if n_frames == 0 {
            return Err("no more frames can be shown".to_owned());
        }
        let times = look_request::spread(range, n_frames);
        let read = match &self.reader {
            Some(reader) => {
                reader.read(FrameView { times, max_width, crop }).await.map_err(|error| error.to_string())?
            }
            None => return Err("frames of this source cannot be read again".to_owned()),
        };
        let own = &self.timeline.frames;
        let first_idx = own.iter().map(|frame| frame.image.frame_idx + 1).max().unwrap_or(0);
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let mut shown: Vec<TimelineFrame> = Vec::new();
        for mut found in read {
            let image = &found.frame.image;
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
            return Err("there is no frame".to_owned());
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
