//! A question about a long recording: asked about the passages that match it, where any do.

use super::budget;
use super::map::Analyzer;
use super::passages::{FoundPassage, find_passages, is_in_speech};
use super::reply;
use crate::chat::Message;
use crate::llm::ChatRequest;
use crate::prompt::{self, Place, QuestionPassage};
use crate::record::EventRecord;
use crate::timeline::Timeline;
use crate::transcript::Transcript;

/// Tokens of passages: those of about an hour of speech.
const MAX_PASSAGE_TOKENS: u64 = 12_000;

/// Whether the speech of a recording matches a question, so that it can be answered without frames.
#[must_use]
pub fn matches_speech(question: &str, transcript: &Transcript) -> bool {
    is_in_speech(question, &transcript.segments)
}

impl Analyzer<'_> {
    /// The messages that ask the question about the passages that match it; None for other tasks, and where none match.
    pub(super) fn question_messages(&self, records: &[EventRecord]) -> Option<Vec<Message>> {
        let question = self.analysis.prompt.question.as_deref()?;
        let segments = self.timeline.segments();
        let passage = |found: &FoundPassage| QuestionPassage {
            range: found.range,
            segments: &segments[found.segments.clone()],
            first_segment_id: found.segments.start,
            records: found.records.iter().map(|at| records[*at].clone()).collect(),
        };
        let room = budget::room(&self.limits, self.frame_tokens()).n_tokens.min(MAX_PASSAGE_TOKENS);
        let size =
            |found: &FoundPassage| self.limits.tokens(&[prompt::build_question_passage(&passage(found), self.fence)]);
        let found = find_passages(question, segments, records, room, size);
        let passages: Vec<QuestionPassage<'_>> = found.iter().map(passage).collect();
        let build = || prompt::build_question(self.timeline, &passages, self.media, &self.analysis.prompt, self.fence);
        (!passages.is_empty()).then(build)
    }

    /// The records of those windows that an earlier run was answered about. Nothing is sent.
    pub(super) async fn stored_records(&self, windows: &[Timeline]) -> Vec<EventRecord> {
        let (Some(answers), Ok(format)) = (&self.answers, reply::records_format()) else { return Vec::new() };
        let mut records = Vec::new();
        for (at, window) in windows.iter().enumerate() {
            let messages = self.messages(window, Place { number: at + 1, n_windows: windows.len() });
            let request = ChatRequest { response_format: Some(&format), ..ChatRequest::new(&messages) };
            let Some(response) = answers.read(&answers.key(&*self.window_model, &request)).await else { continue };
            let text = response.choices.first().map_or("", |first| &first.text);
            for record in reply::read_records(text, window).map(|found| found.entries).unwrap_or_default() {
                records.push(EventRecord { id: records.len(), ..record });
            }
        }
        records
    }
}
