//! The stored answer to a task, to be written anew as the user wishes.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::map::Analyzer;
use super::stored_answers::StoredAnswers;
use super::task::Analysis;
use super::views::ViewReader;
use crate::advice::{Advice, Setting};
use crate::error::{Error, Result};
use crate::event::EventSender;
use crate::media::MediaInfo;
use crate::prompt::{PromptSpec, Refinement};
use crate::timeline::Timeline;

/// The analysis that asks for the stored answer to be written anew; `analysis` itself where nothing is to be refined. Sends
/// nothing.
///
/// # Errors
/// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where the store has no answer to this task about this content.
pub async fn refined(
    analysis: &Analysis,
    (timeline, media): (&Timeline, &MediaInfo),
    (answers, reader): (Option<StoredAnswers>, Option<Arc<dyn ViewReader>>),
    cancel: &CancellationToken,
) -> Result<Analysis> {
    let (Some(wish), Some(model)) = (&analysis.refine, analysis.answerer.chat_model()) else {
        return Ok(analysis.clone());
    };
    let missing = |problem: &str| Err(Error::setting(Setting::Refine, problem, Advice::Unset(Setting::Refine)));
    if answers.is_none() {
        return missing("there is no earlier answer, since answers about this input are not stored");
    }
    // The stored answer is not shown as progress.
    let (events, _) = EventSender::channel();
    let analyzer = Analyzer::new(model, analysis, timeline, media, &events, cancel);
    let analyzer = analyzer.with_answers(answers).with_reader(reader).without_sending();
    let found = Box::pin(analyzer.answer()).await.outcome;
    let Some(answer) = found.ok().and_then(|response| response.choices.into_iter().next()) else {
        return missing("the store has no answer about this input with the same task, options and model");
    };
    let refinement = Refinement { answer: answer.text, wish: wish.clone() };
    let prompt = PromptSpec { refinement: Some(refinement), ..analysis.prompt.clone() };
    Ok(Analysis { prompt, ..analysis.clone() })
}
