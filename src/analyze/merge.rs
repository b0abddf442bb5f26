//! One answer from the records of the windows: their sections where the recording is long, then a request that sees records
//! and sections with their sources beside them, but no frames.

use super::budget;
use super::map::{Analyzer, Unanswered};
use crate::chat::{ChatResponse, Choice, FinishReason};
use crate::event::Event;
use crate::llm::{ChatModel, ChatRequest};
use crate::prompt::{self, PartAnswer, record_sources};
use crate::record::{EventRecord, Section};
use crate::report::WindowReport;
use crate::time::TimeRange;

/// Recordings that are longer than this are divided into sections.
const MIN_SECTIONED_MILLIS: i64 = 600_000;

/// The sections, what failed, and the answer or why there is none.
type Merged = (Vec<Section>, Vec<(String, String)>, Result<ChatResponse, String>);

impl Analyzer<'_> {
    /// Whether records are divided into sections.
    fn is_sectioned(&self) -> bool {
        self.analysis.lists_chapters() || self.timeline.range.length().millis() > MIN_SECTIONED_MILLIS
    }

    /// The requests after those of the windows, where records and sections fit into one each.
    pub(super) fn n_merges(&self, n_windows: usize) -> usize {
        if n_windows == 1 && !self.analysis.lists_chapters() {
            return 0;
        }
        usize::from(self.is_sectioned()) + usize::from(!self.analysis.lists_chapters())
    }

    /// Merges the records of the windows, in several rounds where one request cannot hold them all.
    pub(super) async fn merge(&self, windows: &[WindowReport], records: &[EventRecord]) -> Merged {
        if windows.iter().all(|window| window.n_records.is_none()) {
            let reason = windows.iter().find_map(|window| window.no_answer_because.clone());
            let reason = reason.unwrap_or_else(|| "no part of the file was answered".to_owned());
            return (Vec::new(), Vec::new(), Err(reason));
        }
        self.events.send(Event::Merging).await;
        let (mut sections, mut problems) = (Vec::new(), Vec::new());
        let is_chapters = self.analysis.lists_chapters();
        if self.is_sectioned() && !records.is_empty() {
            match self.sections(records).await {
                Ok(found) if is_chapters => {
                    let listed = Choice::new(chapter_list(&found, records), FinishReason::Stop);
                    return (found, problems, Ok(ChatResponse::new(vec![listed])));
                }
                Ok(found) => sections = found,
                Err(why) => problems.push(("the sections".to_owned(), why)),
            }
        }
        let answer = self.merge_parts(self.parts(windows, records, &sections)).await;
        (sections, problems, answer)
    }

    /// What the merge sees: the sections with their records, else the windows with theirs, and the windows without records.
    fn parts(&self, windows: &[WindowReport], records: &[EventRecord], sections: &[Section]) -> Vec<PartAnswer> {
        let sources = |records: &[EventRecord]| record_sources(records, self.timeline.segments());
        let mut parts: Vec<PartAnswer> = Vec::new();
        for section in sections {
            let own = &records[section.first_record..section.first_record + section.n_records];
            let text = format!("Section: {}\n{}\n{}", section.title, section.text, sources(own));
            parts.push(PartAnswer { range: section.range, text: Some(text) });
        }
        let mut first = 0;
        for window in windows {
            let n_records = window.n_records.unwrap_or(0);
            let own = &records[first..first + n_records];
            first += n_records;
            if n_records == 0 || sections.is_empty() {
                let nothing = || "Nothing of note happens in this part.\n".to_owned();
                let text = window.n_records.map(|n| if n == 0 { nothing() } else { sources(own) });
                parts.push(PartAnswer { range: window.range, text });
            }
        }
        parts.sort_by_key(|part| part.range.start);
        parts
    }

    async fn merge_parts(&self, mut parts: Vec<PartAnswer>) -> Result<ChatResponse, String> {
        let mut is_too_long = false;
        loop {
            let groups = if is_too_long { halves(parts.len()) } else { self.groups(&parts) };
            if let [all] = groups.as_slice() {
                debug_assert_eq!(*all, parts.len());
                match self.send_merge(&**self.model, &parts, self.analysis.is_streamed).await {
                    Err(Unanswered::TooLong(_)) if parts.len() > 2 => is_too_long = true,
                    outcome => return outcome.map_err(Unanswered::into_text),
                }
                continue;
            }
            is_too_long = false;
            // Fewer in each round: a group holds at least two answers, but for the last.
            let mut merged = Vec::with_capacity(groups.len());
            let mut rest = parts.as_slice();
            for n in groups {
                let (group, behind) = rest.split_at(n);
                rest = behind;
                merged.push(match group {
                    [one] => one.clone(),
                    several => {
                        let response = self.send_merge(&*self.window_model, several, false).await;
                        let response = response.map_err(Unanswered::into_text)?;
                        let range = TimeRange::new(several[0].range.start, several[several.len() - 1].range.end);
                        PartAnswer { range, text: response.choices.first().map(|one| one.text.clone()) }
                    }
                });
            }
            parts = merged;
        }
    }

    /// How many answers go into each request: at least two, but for the last.
    fn groups(&self, parts: &[PartAnswer]) -> Vec<usize> {
        let most = budget::room(&self.limits, self.frame_tokens());
        let (mut groups, mut n_tokens) = (Vec::new(), 0);
        for part in parts {
            let own = self.limits.tokens(&[prompt::build_part_answer(part, self.fence)]);
            match groups.last_mut() {
                Some(n) if *n < 2 || n_tokens + own <= most.n_tokens => {
                    *n += 1;
                    n_tokens += own;
                }
                _ => {
                    groups.push(1_usize);
                    n_tokens = own;
                }
            }
        }
        groups
    }

    async fn send_merge(
        &self,
        model: &dyn ChatModel,
        parts: &[PartAnswer],
        is_streamed: bool,
    ) -> Result<ChatResponse, Unanswered> {
        let (analysis, media) = (self.analysis, self.media);
        let messages = prompt::build_merge(self.timeline, parts, media, &analysis.prompt, self.fence);
        self.send(model, &ChatRequest::new(&messages), is_streamed, &|_| true).await
    }
}

fn halves(n: usize) -> Vec<usize> {
    let first = n.div_ceil(2);
    vec![first, n - first]
}

/// The sections as a list in Markdown: the evidence of the first record, the title, the text.
fn chapter_list(sections: &[Section], records: &[EventRecord]) -> String {
    let item = |section: &Section| {
        let first = &records[section.first_record];
        let frame = first.frames.first().map(|id| format!("#{id}"));
        let evidence = frame.or_else(|| first.segments.first().map(|id| format!("s{id}")));
        let evidence = evidence.map(|id| format!("({id}) ")).unwrap_or_default();
        format!("- {evidence}**{}** {}", section.title.replace('*', ""), section.text)
    };
    sections.iter().map(item).collect::<Vec<_>>().join("\n")
}
