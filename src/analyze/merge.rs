//! One answer from the records of the windows: their sections where the recording is long, then a request that sees records
//! and sections with their sources beside them, but no frames.

use super::budget;
use super::map::{Analyzer, Unanswered};
use crate::chat::{ChatResponse, Choice, FinishReason, Message};
use crate::event::Event;
use crate::llm::ChatRequest;
use crate::prompt::{self, PartAnswer, record_sources};
use crate::record::{EventRecord, Section};
use crate::report::WindowReport;
use crate::time::TimeRange;

/// The sections, what failed, and the answer or why there is none.
type Merged = (Vec<Section>, Vec<(String, String)>, Result<ChatResponse, String>);

impl Analyzer<'_> {
    fn n_millis(&self) -> u64 {
        self.timeline.range.length().millis().unsigned_abs()
    }

    /// The requests after those of the windows, where records and sections fit into one each.
    pub(super) fn n_merges(&self, n_windows: usize) -> usize {
        match budget::n_merges(n_windows, self.n_millis(), self.analysis.lists_chapters()) {
            n if self.analysis.prompt.question.is_some() => n.min(1),
            n => n,
        }
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
        let is_sectioned =
            budget::is_sectioned(self.n_millis(), is_chapters) && self.analysis.prompt.question.is_none();
        if is_sectioned && !records.is_empty() {
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

    /// What the merge sees: the sections with their records, else the windows with theirs, and the windows without records. Two
    /// of the parts fit into a request.
    fn parts(&self, windows: &[WindowReport], records: &[EventRecord], sections: &[Section]) -> Vec<PartAnswer> {
        let mut parts: Vec<PartAnswer> = Vec::new();
        for section in sections {
            let own = &records[section.first_record..section.first_record + section.n_records];
            let heading = format!("Section: {}\n{}\n", section.title, section.text);
            parts.extend(self.split(section.range, &heading, own));
        }
        let mut first = 0;
        for window in windows {
            let own = &records[first..first + window.n_records.unwrap_or(0)];
            first += own.len();
            match window.n_records {
                None => parts.push(PartAnswer { range: window.range, text: None }),
                Some(0) => {
                    let text = Some("Nothing of note happens in this part.\n".to_owned());
                    parts.push(PartAnswer { range: window.range, text });
                }
                Some(_) if sections.is_empty() => parts.extend(self.split(window.range, "", own)),
                Some(_) => {}
            }
        }
        parts.sort_by_key(|part| part.range.start);
        parts
    }

    /// Records with their sources as parts of at most half of a request, or of one record.
    fn split(&self, range: TimeRange, heading: &str, records: &[EventRecord]) -> Vec<PartAnswer> {
        let most = budget::room(&self.limits, self.frame_tokens()).n_tokens / 2;
        let mut parts: Vec<PartAnswer> = Vec::new();
        let part = |text: &str| PartAnswer { range, text: Some(text.to_owned()) };
        let size = |text: &str| self.limits.tokens(&[prompt::build_part_answer(&part(text), self.fence)]);
        let (mut text, mut n_tokens) = (heading.to_owned(), size(heading));
        for record in records {
            let more = record_sources(std::slice::from_ref(record), self.timeline.segments());
            // A little too much, since each size has the frame of a part.
            let own = size(&more);
            if n_tokens + own > most && text.len() > heading.len() {
                parts.push(part(&text));
                (text, n_tokens) = (more, own);
            } else {
                text.push_str(&more);
                n_tokens += own;
            }
        }
        parts.push(part(&text));
        parts
    }

    async fn merge_parts(&self, mut parts: Vec<PartAnswer>) -> Result<ChatResponse, String> {
        let mut is_too_long = false;
        loop {
            let groups = if is_too_long { halves(parts.len()) } else { self.groups(&parts) };
            if let [all] = groups.as_slice() {
                debug_assert_eq!(*all, parts.len());
                match self.send_task(self.merge_messages(&parts)).await {
                    Err(Unanswered::TooLong(_)) if parts.len() > 2 => is_too_long = true,
                    outcome => return outcome.map_err(Unanswered::into_text),
                }
                continue;
            }
            is_too_long = false;
            // Fewer in each round, or it ends: a group holds at least two parts, but for the last.
            let mut merged = Vec::with_capacity(groups.len());
            let mut rest = parts.as_slice();
            let mut todo: Vec<&[PartAnswer]> = Vec::with_capacity(groups.len());
            for n in groups {
                let (group, behind) = rest.split_at(n);
                rest = behind;
                todo.push(group);
            }
            todo.reverse();
            let mut too_long = None;
            while let Some(group) = todo.pop() {
                let [first, .., last] = group else {
                    merged.extend_from_slice(group);
                    continue;
                };
                let range = TimeRange::new(first.range.start, last.range.end);
                let messages = self.merge_messages(group);
                match self.send(&*self.window_model, &ChatRequest::new(&messages), false, &|_| true).await {
                    Ok(response) => {
                        merged.push(PartAnswer { range, text: response.choices.first().map(|one| one.text.clone()) });
                    }
                    Err(Unanswered::TooLong(why)) => {
                        too_long = Some(why);
                        let (first, second) = group.split_at(group.len().div_ceil(2));
                        todo.extend([second, first]);
                    }
                    Err(unanswered) => return Err(unanswered.into_text()),
                }
            }
            if let Some(why) = too_long.filter(|_| merged.len() == parts.len()) {
                return Err(why);
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

    fn merge_messages(&self, parts: &[PartAnswer]) -> Vec<Message> {
        prompt::build_merge(self.timeline, parts, self.media, &self.analysis.prompt, self.fence)
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
