//! One answer from the answers about the windows: a final request merges their text; it does not see the frames.

use super::budget;
use super::map::{Analyzer, Unanswered};
use crate::chat::ChatResponse;
use crate::event::Event;
use crate::llm::ChatModel;
use crate::prompt::{self, PartAnswer};
use crate::report::{Total, WindowReport};
use crate::time::TimeRange;

impl Analyzer<'_> {
    /// Merges the answers about the windows, in several rounds where one request cannot hold them all.
    pub(super) async fn merge(&self, windows: &[WindowReport], total: &mut Total) -> Result<ChatResponse, String> {
        let mut parts: Vec<PartAnswer> =
            windows.iter().map(|window| PartAnswer { range: window.range, text: window.text.clone() }).collect();
        if parts.iter().all(|part| part.text.is_none()) {
            let reason = windows.iter().find_map(|window| window.no_answer_because.clone());
            return Err(reason.unwrap_or_else(|| "no part of the file was answered".to_owned()));
        }
        self.events.send(Event::Merging).await;
        let mut is_too_long = false;
        loop {
            let groups = if is_too_long { halves(parts.len()) } else { self.groups(&parts) };
            if let [all] = groups.as_slice() {
                debug_assert_eq!(*all, parts.len());
                match self.send_merge(&**self.model, &parts, self.analysis.is_streamed, total).await {
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
                        let response = self.send_merge(&*self.window_model, several, false, total).await;
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
        total: &mut Total,
    ) -> Result<ChatResponse, Unanswered> {
        let (analysis, media) = (self.analysis, self.media);
        let messages = prompt::build_merge(self.timeline, parts, media, &analysis.prompt, self.fence);
        let response = self.send(model, &messages, is_streamed).await?;
        total.add(&response);
        Ok(response)
    }
}

fn halves(n: usize) -> Vec<usize> {
    let first = n.div_ceil(2);
    vec![first, n - first]
}
