//! Sections of the records: one request where it holds all records, else one for each run of records that fits.

use super::budget;
use super::map::{Analyzer, Unanswered};
use super::reply;
use crate::chat::Message;
use crate::prompt;
use crate::record::{EventRecord, Section};

impl Analyzer<'_> {
    /// Requests the sections of all records. The IDs of `records` must be consecutive from 0.
    ///
    /// # Errors
    /// Why there are no sections, as a phrase.
    pub(super) async fn sections(&self, records: &[EventRecord]) -> Result<Vec<Section>, String> {
        let mut groups = Vec::new();
        let mut rest = records;
        while !rest.is_empty() {
            let (group, behind) = rest.split_at(self.fitting(rest));
            groups.push(group);
            rest = behind;
        }
        groups.reverse();
        let mut sections = Vec::new();
        while let Some(group) = groups.pop() {
            match self.sections_of(group, records).await {
                Ok(found) => sections.extend(found),
                Err(Unanswered::TooLong(_)) if group.len() > 1 => {
                    let (first, second) = group.split_at(group.len().div_ceil(2));
                    groups.extend([second, first]);
                }
                Err(unanswered) => return Err(unanswered.into_text()),
            }
        }
        Ok(sections)
    }

    /// How many of `records` fit into one request; at least one.
    fn fitting(&self, records: &[EventRecord]) -> usize {
        let room = budget::room(&self.limits, self.frame_tokens()).n_tokens;
        let tokens = |n: usize| self.limits.tokens(&self.messages_for_sections(&records[..n]));
        let (mut low, mut high) = (1, records.len() + 1);
        if tokens(records.len()) <= room {
            return records.len();
        }
        while high - low > 1 {
            let middle = low.midpoint(high);
            *(if tokens(middle) <= room { &mut low } else { &mut high }) = middle;
        }
        low
    }

    /// Sections that are the answer are in its language, with the background; else a stored reply serves answers in all languages.
    fn messages_for_sections(&self, records: &[EventRecord]) -> Vec<Message> {
        let own = Some(&self.analysis.prompt).filter(|_| self.analysis.lists_chapters());
        prompt::build_sections(self.timeline, records, own, self.fence)
    }

    /// The sections of a run of `all` records.
    async fn sections_of(&self, records: &[EventRecord], all: &[EventRecord]) -> Result<Vec<Section>, Unanswered> {
        let messages = self.messages_for_sections(records);
        let format = reply::sections_format().map_err(|error| Unanswered::Other(error.to_string()))?;
        let next = records.last().and_then(|last| all.get(last.id + 1));
        let end = next.map_or(self.timeline.range.end, |next| next.range.start);
        let read = |reply: &str| reply::read_sections(reply, records, end);
        Ok(self.send_for(messages, &format, read).await?.1.entries)
    }
}
