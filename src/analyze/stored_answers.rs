//! Answers in the store: a request that was answered is not sent again, whatever became of the run that sent it.

use crate::blocking::run_blocking;
use crate::chat::{ChatResponse, Choice, FinishReason};
use crate::llm::{ChatModel, ChatRequest};
use crate::prompt;
use crate::store::{ContentId, EntryKey, Origin, StoreAccess};

/// Raised when replies of servers are read differently.
const STAGE_VERSION: u32 = 1;

/// The stored answers about one content.
#[derive(Clone, Debug)]
pub struct StoredAnswers {
    /// Where they are.
    pub store: StoreAccess,
    /// What they are about.
    pub content: ContentId,
    /// Where the content was met.
    pub origin: Origin,
}

impl StoredAnswers {
    pub(crate) fn key(&self, model: &dyn ChatModel, request: &ChatRequest<'_>) -> EntryKey {
        EntryKey {
            stage: "answer".to_owned(),
            stage_version: STAGE_VERSION,
            content: self.content.clone(),
            options: [("request".to_owned(), model.request_key(request).into())].into(),
            producer: Some(model.description().name),
            prompt_version: Some(prompt::VERSION),
        }
    }

    /// The answer of an earlier run; None if there is none, or if the job redoes all work.
    pub(crate) async fn read(&self, key: &EntryKey) -> Option<ChatResponse> {
        let (this, key) = (self.clone(), key.clone());
        let read = run_blocking(move || {
            let Some(store) = this.store.open().filter(|_| !this.store.is_fresh()) else { return Ok(None) };
            let Some(bytes) = store.get(&key) else { return Ok(None) };
            match serde_json::from_slice::<ChatResponse>(&bytes) {
                Ok(response) => Ok(Some(ChatResponse { from_store: true, ..response })),
                Err(error) => {
                    store.set_aside(&key, &bytes, &error.to_string());
                    Ok(None)
                }
            }
        });
        read.await.ok().flatten()
    }

    /// Stores an answer that is complete: one that was cut off or withheld may be whole the next time. A failure is a
    /// warning in the log.
    pub(crate) async fn keep(&self, key: EntryKey, response: &ChatResponse) {
        let is_complete = |choice: &Choice| match choice.finish {
            FinishReason::Stop => !choice.text.is_empty(),
            FinishReason::ToolCalls => !choice.tool_calls.is_empty(),
            _ => false,
        };
        if !response.choices.iter().all(is_complete) {
            return;
        }
        let (this, payload) = (self.clone(), serde_json::to_vec(response));
        let kept = run_blocking(move || match (this.store.open(), payload) {
            (Some(store), Ok(payload)) => store.put(&key, &this.origin, &payload),
            _ => Ok(()),
        });
        if let Err(error) = kept.await {
            tracing::warn!("{error}; the answer is not stored");
        }
    }
}
