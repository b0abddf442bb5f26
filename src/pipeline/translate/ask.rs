//! Requests translations: one request for each window, and one more for the cues that its reply lacks or gets wrong.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::numbers::{lost_address, lost_number};
use super::reply::{self, RepliedText};
use super::windows::{self, Cue};
use crate::advice::{Advice, Setting};
use crate::analyze::budget::SpendTracker;
use crate::analyze::{SpendLimit, StoredAnswers};
use crate::chat::{ChatResponse, FinishReason};
use crate::error::{Error, ErrorCode, Result};
use crate::llm::{ChatModel, ChatRequest, ModelLimits, ResponseFormat};
use crate::prompt::{TranslationPrompt, build_translation};
use crate::store::EntryKey;

/// How long a request in flight may still take after the run was cancelled.
const IN_FLIGHT: Duration = Duration::from_secs(5);

/// What became of one cue.
#[derive(Debug)]
pub(super) enum CueOutcome {
    /// The translation, and what is doubtful about it, as a phrase.
    Translated { text: String, doubt: Option<String> },
    /// Why there is none, as a phrase.
    Failed(String),
}

/// What became of the cues of one window.
#[derive(Default)]
pub(super) struct WindowOutcome {
    /// By position.
    pub cues: BTreeMap<usize, CueOutcome>,
    pub responses: Vec<ChatResponse>,
    /// Why requests have no response.
    pub errors: Vec<Error>,
}

/// Asks one model about the cues of one transcript.
pub(super) struct Translator<'a> {
    pub model: Arc<dyn ChatModel>,
    pub limits: ModelLimits,
    pub cues: &'a [Cue],
    pub prompt: TranslationPrompt,
    pub format: ResponseFormat,
    pub spend_limit: SpendLimit,
    pub tracker: SpendTracker,
    pub answers: Option<StoredAnswers>,
    pub cancel: CancellationToken,
}

impl Translator<'_> {
    /// Translates the cues at `wanted`, at least one, in ascending order. A window that the server finds too long is halved.
    pub fn translate(&self, wanted: Vec<usize>) -> BoxFuture<'_, WindowOutcome> {
        Box::pin(async move {
            let mut outcome = WindowOutcome::default();
            let (response, key) = match self.send(&wanted, &[]).await {
                Ok(answered) => answered,
                Err(error) if error.is_limit() && wanted.len() > 1 => {
                    tracing::info!("{error}: the window is halved");
                    let (first, second) = wanted.split_at(wanted.len() / 2);
                    for half in [first, second] {
                        let WindowOutcome { cues, responses, errors } = self.translate(half.to_vec()).await;
                        outcome.cues.extend(cues);
                        outcome.responses.extend(responses);
                        outcome.errors.extend(errors);
                    }
                    return outcome;
                }
                Err(error) => {
                    let failed = |at| (at, CueOutcome::Failed(error.to_string()));
                    outcome.cues = wanted.into_iter().map(failed).collect();
                    outcome.errors.push(error);
                    return outcome;
                }
            };
            let read = self.read(&response, &wanted);
            if read.values().any(|found| found.text.is_some()) {
                self.keep(key, &response).await;
            }
            outcome.responses.push(response);
            let faulty: Vec<usize> = wanted.iter().copied().filter(|at| read[at].fault.is_some()).collect();
            let mut again = match faulty.as_slice() {
                [] => BTreeMap::new(),
                faulty => self.again(faulty, &read, &mut outcome).await,
            };
            for (at, first) in read {
                outcome.cues.insert(at, settled(first, again.remove(&at)));
            }
            outcome
        })
    }

    /// Requests the faulty cues once more; empty where there is no response.
    async fn again(
        &self,
        faulty: &[usize],
        read: &BTreeMap<usize, CheckedText>,
        outcome: &mut WindowOutcome,
    ) -> BTreeMap<usize, CheckedText> {
        let fault = |at: &usize| Some((self.cues[*at].number, read[at].fault.as_ref()?.for_model()));
        let problems: Vec<(usize, &str)> = faulty.iter().filter_map(fault).collect();
        match self.send(faulty, &problems).await {
            Ok((response, key)) => {
                let read = self.read(&response, faulty);
                // Otherwise the next run asks again.
                if read.values().all(|found| found.text.is_some()) {
                    self.keep(key, &response).await;
                }
                outcome.responses.push(response);
                read
            }
            Err(error) => {
                outcome.errors.push(error);
                BTreeMap::new()
            }
        }
    }

    /// What a response says about the cues at `wanted`, each checked against its original.
    fn read(&self, response: &ChatResponse, wanted: &[usize]) -> BTreeMap<usize, CheckedText> {
        let choice = response.choices.first();
        let mut texts = choice.map(|choice| reply::read(&choice.text)).unwrap_or_default();
        let missing = match choice.map(|choice| &choice.finish) {
            Some(FinishReason::Length) => Fault::CutOff,
            Some(FinishReason::ContentFilter | FinishReason::Refusal) => Fault::Withheld,
            _ => Fault::Missing,
        };
        let found = |at: &usize| {
            let cue = &self.cues[*at];
            let found = match texts.remove(&cue.number) {
                None => CheckedText { text: None, fault: Some(missing.clone()) },
                Some(RepliedText::Several) => CheckedText { text: None, fault: Some(Fault::Several) },
                Some(RepliedText::One(text)) => {
                    let text = without_speaker(&text, cue.speaker.as_deref()).to_owned();
                    let address = lost_address(&cue.text, &text).map(|address| Fault::Address(address.to_owned()));
                    let fault = address.or_else(|| lost_number(&cue.text, &text).map(Fault::Number));
                    CheckedText { text: Some(text), fault }
                }
            };
            (*at, found)
        };
        wanted.iter().map(found).collect()
    }

    /// Sends one request within the spending limit, unless the store has its response. The key is that under which the
    /// response is to be stored.
    async fn send(&self, wanted: &[usize], faults: &[(usize, &str)]) -> Result<(ChatResponse, Option<EntryKey>)> {
        if self.cancel.is_cancelled() {
            return Err(Error::interrupted());
        }
        let lines = windows::lines(self.cues, wanted);
        let fence = windows::fence(&lines, self.prompt.title.as_deref());
        let messages = build_translation(&lines, &self.prompt, faults, fence);
        let request = ChatRequest { response_format: Some(&self.format), ..ChatRequest::new(&messages) };
        let key = self.answers.as_ref().map(|answers| answers.key(&*self.model, &request));
        if let Some((answers, key)) = self.answers.as_ref().zip(key.as_ref())
            && let Some(response) = answers.read(key).await
        {
            return Ok((response, None));
        }
        let limits = windows::request_limits(self.cues, wanted, &self.limits);
        let reserved = self.tracker.reserve(&limits, limits.tokens(&messages));
        let reservation = reserved.map_err(|why| {
            let setting = if self.spend_limit.cost.is_some() { Setting::MaxCost } else { Setting::MaxTokensTotal };
            Error::setting(setting, why, Advice::Raise(setting)).with_code(ErrorCode::SpendLimit)
        })?;
        let given_up = async {
            self.cancel.cancelled().await;
            tokio::time::sleep(IN_FLIGHT).await;
        };
        let outcome = tokio::select! {
            outcome = self.model.complete(&request) => outcome,
            () = given_up => Err(Error::interrupted()),
        };
        self.tracker.settle_outcome(reservation, &outcome);
        outcome.map(|response| (response, key))
    }

    async fn keep(&self, key: Option<EntryKey>, response: &ChatResponse) {
        if let Some((answers, key)) = self.answers.as_ref().zip(key) {
            answers.keep(key, response).await;
        }
    }
}

/// What a response says about one cue.
struct CheckedText {
    text: Option<String>,
    fault: Option<Fault>,
}

/// The better of two translations of a cue. A doubtful one is better than none.
fn settled(first: CheckedText, again: Option<CheckedText>) -> CueOutcome {
    let last = match again {
        Some(again) if again.text.is_some() || first.text.is_none() => again,
        _ => first,
    };
    let doubt = last.fault.map(|fault| fault.text());
    match last.text {
        Some(text) => CueOutcome::Translated { text, doubt },
        None => CueOutcome::Failed(doubt.unwrap_or_default()),
    }
}

/// What is wrong with the translation of a cue.
#[derive(Clone, Debug)]
enum Fault {
    Missing,
    CutOff,
    Withheld,
    Several,
    Number(String),
    Address(String),
}

impl Fault {
    /// For the user, as a phrase.
    fn text(&self) -> String {
        match self {
            Self::Missing => "the model's answer leaves it out".to_owned(),
            Self::CutOff => "the model's answer was cut off before it".to_owned(),
            Self::Withheld => "the model declined to answer".to_owned(),
            Self::Several => "the model's answer has several texts for it".to_owned(),
            Self::Number(number) => format!("the translation lacks the number {number}"),
            Self::Address(address) => format!("the translation lacks the address {address}"),
        }
    }

    /// For the model, without text of the media.
    fn for_model(&self) -> &'static str {
        match self {
            Self::Missing | Self::CutOff | Self::Withheld => "it was left out",
            Self::Several => "it was there several times, with different texts",
            Self::Number(_) => "a number was changed or left out",
            Self::Address(_) => "a web or email address was changed or left out",
        }
    }
}

/// A translation without the speaker's name, which models like to repeat.
fn without_speaker<'a>(text: &'a str, speaker: Option<&str>) -> &'a str {
    let rest = speaker.and_then(|speaker| text.strip_prefix(speaker)).and_then(|rest| rest.strip_prefix([':', '：']));
    rest.map(str::trim_start).filter(|rest| !rest.is_empty()).unwrap_or(text)
}
