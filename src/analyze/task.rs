//! The question, and the model or digest that answers.

use std::sync::Arc;

use super::budget::{self, SpendLimit};
use crate::advice::Setting;
use crate::chat::ModelDescription;
use crate::digest;
use crate::error::{Error, Result};
use crate::llm::{ChatModel, DataSchema, ModelLimits};
use crate::prompt::{self, PromptSpec, SummaryTask};

/// Who answers a question about the evidence.
#[derive(Clone)]
pub enum Answerer {
    /// The extractive digest, on this machine.
    Digest,
    /// A chat model on a server.
    Chat(Arc<dyn ChatModel>),
}

impl Answerer {
    /// Its description in the report.
    #[must_use]
    pub fn description(&self) -> ModelDescription {
        match self {
            Self::Digest => digest::description(),
            Self::Chat(model) => model.description(),
        }
    }

    /// The chat model; None for the digest.
    #[must_use]
    pub fn chat_model(&self) -> Option<&Arc<dyn ChatModel>> {
        match self {
            Self::Digest => None,
            Self::Chat(model) => Some(model),
        }
    }
}

/// A question about the evidence.
#[derive(Clone)]
pub struct Analysis {
    /// Who answers.
    pub answerer: Answerer,
    /// The question.
    pub prompt: PromptSpec,
    /// The form of an answer that is data; None for text.
    pub data: Option<DataSchema>,
    /// Frames that the model may ask to see while it answers; 0 offers no second look, which is for one choice of text that is not
    /// streamed.
    pub look_frames: usize,
    /// What is to change in the stored answer to this question; None answers it anew.
    pub refine: Option<String>,
    /// Whether the text is streamed, each piece an [`Event::Text`](crate::event::Event::Text).
    pub is_streamed: bool,
    /// Concurrent requests, where more than one is needed; at least 1.
    pub concurrency: usize,
    /// The most that is spent.
    pub spend_limit: SpendLimit,
    /// Whether the model is asked again about sentences of its answer, by what they cite alone.
    pub verifies: bool,
    /// Whether the result is partial if a sentence of the answer is unsupported or cannot be checked.
    pub is_strict: bool,
}

impl Analysis {
    /// The default question, in one piece, four requests at a time, without a spending limit.
    #[must_use]
    pub fn new(answerer: Answerer) -> Self {
        Self {
            answerer,
            prompt: PromptSpec::default(),
            data: None,
            look_frames: 0,
            refine: None,
            is_streamed: false,
            concurrency: 4,
            spend_limit: SpendLimit::default(),
            verifies: false,
            is_strict: false,
        }
    }

    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where the background takes more than half of a request to the model.
    pub fn check_context(&self, limits: &ModelLimits) -> Result<()> {
        if self.prompt.context.is_empty() {
            return Ok(());
        }
        let n_tokens = limits.tokens(&[prompt::build_background(&self.prompt.context)]);
        let most = budget::room(limits, 0).n_tokens / 2;
        if n_tokens > most {
            let problem = format!("take about {n_tokens} tokens, and half of a request to {} is {most}", limits.model);
            return Err(Error::setting(Setting::Context, problem, "leave out what the answer does not need"));
        }
        Ok(())
    }

    /// Whether the sections of the records are the answer.
    #[must_use]
    pub fn lists_chapters(&self) -> bool {
        self.prompt.kind == SummaryTask::Chapters && self.prompt.task.is_none()
    }

    /// Whether the prompt asks for citations: rules of the user may not, an image has none, and extracted data has no sentences.
    #[must_use]
    pub fn asks_for_citations(&self) -> bool {
        let PromptSpec { system, image_url, kind, .. } = &self.prompt;
        let is_text = *kind != SummaryTask::Extract;
        self.answerer.chat_model().is_some() && is_text && system.is_none() && image_url.is_none()
    }
}

/// A run that sends nothing and estimates what would be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DryRun {
    /// Whether the estimate holds the requests themselves, with shortened pictures.
    pub shows_requests: bool,
}
