//! Asks the model whether sentences of its answer are supported by what they cite: by that alone.

use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _};
use serde::Deserialize;
use serde_json::{Value, json};

use super::map::{Analyzer, Unanswered};
use crate::chat::ChatResponse;
use crate::llm::ResponseFormat;
use crate::llm::json_reply::read_value;
use crate::prompt::{self, SentenceEvidence};
use crate::sanitize::clean_line;
use crate::sentence::{CheckedSentence, GroundingProblem, Verdict};
use crate::timeline::Timeline;

/// Sentences that are verified.
pub(super) const MAX_VERIFIED: usize = 24;
/// Frames and lines of one request.
const MAX_FRAMES: usize = 4;
const MAX_LINES: usize = 12;
const MAX_REASON_CHARS: usize = 200;

#[derive(Deserialize)]
struct RawVerdict {
    is_supported: bool,
    #[serde(default)]
    reason: Value,
}

impl Analyzer<'_> {
    /// Verifies the sentences of an answer that cite something, the unsupported ones first, then the weak ones: at most 24, in
    /// a request each. A sentence that the model confirms is no longer weak; one that it denies is unsupported, if the request
    /// held all that it cites. `timeline` has the frames of second looks too. Returns what could not be verified, and why.
    pub async fn verify(&self, response: &mut ChatResponse, timeline: &Timeline) -> Option<(String, String)> {
        let mut todo: Vec<&mut CheckedSentence> = response
            .choices
            .iter_mut()
            .flat_map(|choice| &mut choice.sentences)
            .filter(|sentence| !sentence.frames.is_empty() || !sentence.segments.is_empty())
            .collect();
        todo.sort_by_key(|sentence| std::cmp::Reverse(sentence.verdict));
        todo.truncate(MAX_VERIFIED);
        // Boxed: the compiler cannot prove that a closure's future is Send here.
        let requests: Vec<BoxFuture<'_, Result<RawVerdict, Unanswered>>> = todo
            .iter()
            .map(|sentence| self.verdict(sentence.text.clone(), evidence(sentence, timeline).0))
            .map(|request| Box::pin(request) as BoxFuture<'_, _>)
            .collect();
        let verdicts: Vec<_> = stream::iter(requests).buffered(self.analysis.concurrency.max(1)).collect().await;
        let mut failed: Vec<String> = Vec::new();
        for (sentence, verdict) in todo.into_iter().zip(verdicts) {
            match verdict {
                Ok(verdict) => {
                    let (_, is_whole) = evidence(sentence, timeline);
                    apply(sentence, &verdict, is_whole);
                }
                Err(unanswered) => failed.push(unanswered.into_text()),
            }
        }
        let why = failed.first()?.clone();
        let sentences = if failed.len() == 1 { "sentence" } else { "sentences" };
        Some((format!("the verification of {} {sentences}", failed.len()), why))
    }

    async fn verdict(&self, sentence: String, evidence: SentenceEvidence<'_>) -> Result<RawVerdict, Unanswered> {
        let format = format().map_err(|error| Unanswered::Other(error.to_string()))?;
        let messages = prompt::build_verification(&sentence, &evidence, self.fence);
        let read = |text: &str| read_value::<RawVerdict>(text);
        let response = self.send_json(&messages, &format, &|text| read(text).is_some()).await?;
        let text = response.choices.first().map_or("", |first| &first.text);
        read(text)
            .ok_or_else(|| Unanswered::Other("the model's reply cannot be used: it contains no verdict".to_owned()))
    }
}

fn format() -> crate::error::Result<ResponseFormat> {
    let properties = json!({"reason": {"type": "string"}, "is_supported": {"type": "boolean"}});
    let required = ["reason", "is_supported"];
    let schema =
        json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false});
    ResponseFormat::json_schema("verdict", schema)
}

/// What a sentence cites, as much as a request holds, and whether that is all of it.
fn evidence<'a>(sentence: &CheckedSentence, timeline: &'a Timeline) -> (SentenceEvidence<'a>, bool) {
    let is_cited = |idx: usize| sentence.frames.contains(&idx);
    let frames = timeline.frames.iter().filter(|frame| is_cited(frame.image.frame_idx)).take(MAX_FRAMES).collect();
    let segments = timeline.segments();
    let lines = sentence.segments.iter().filter_map(|id| Some((*id, segments.get(*id)?))).take(MAX_LINES).collect();
    let is_whole = sentence.frames.len() <= MAX_FRAMES && sentence.segments.len() <= MAX_LINES;
    (SentenceEvidence { frames, lines }, is_whole)
}

/// A denial counts only if the request had all that the sentence cites.
fn apply(sentence: &mut CheckedSentence, verdict: &RawVerdict, is_whole: bool) {
    if !verdict.is_supported && !is_whole {
        return;
    }
    sentence.verified = Some(verdict.is_supported);
    if verdict.is_supported {
        sentence.problems.retain(|problem| problem.verdict() == Verdict::Unsupported);
    } else {
        let reason = clean_line(verdict.reason.as_str().unwrap_or_default());
        let reason = reason.chars().take(MAX_REASON_CHARS).collect();
        sentence.problems.push(GroundingProblem::Denied { reason });
    }
    let worst = sentence.problems.iter().map(GroundingProblem::verdict).max();
    sentence.verdict = worst.unwrap_or(Verdict::Supported);
}
