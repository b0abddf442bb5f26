//! One request where the evidence fits into one; else a request per window, several at a time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::budget::{self, SpendTracker};
use super::reply::{self, ReadEntries};
use super::stored_answers::StoredAnswers;
use super::task::Analysis;
use super::views::{Looks, ReadFrame, ViewReader};
use crate::chat::{ChatResponse, FinishReason, Message};
use crate::error::{Error, ErrorCode, ErrorKind};
use crate::event::{Event, EventSender};
use crate::llm::tokens::tool_tokens;
use crate::llm::{ChatModel, ChatRequest, ModelLimits, ResponseFormat, SamplingParams, StreamSink, StreamUpdate};
use crate::media::MediaInfo;
use crate::prompt::{self, PartAnswer, Place};
use crate::record::{EventRecord, Section};
use crate::report::{LookReport, Total, WindowReport};
use crate::time::{TimeRange, Timestamp};
use crate::timeline::{Load, Timeline};

/// How long a request in flight may still take after the run was cancelled.
const IN_FLIGHT: Duration = Duration::from_secs(5);
/// The facts of what is there are longer than those of what is not, by less than these tokens.
const FACTS_TOKENS: u64 = 64;
/// How often a window that the server finds too long is halved: into 64 parts at most.
const MAX_HALVINGS: u32 = 6;

/// The answer, and what it took.
pub struct Answered {
    /// Empty where one request held all.
    pub windows: Vec<WindowReport>,
    /// What the windows state, in order of time.
    pub records: Vec<EventRecord>,
    /// The sections of the records; empty for a short recording.
    pub sections: Vec<Section>,
    /// What the model asked to see while it answered.
    pub looks: Vec<LookReport>,
    /// What it was shown of that and the timeline does not have, with indices after its own.
    pub looked_frames: Vec<ReadFrame>,
    /// What failed on the way, and why.
    pub problems: Vec<(String, String)>,
    /// The answer, or why there is none.
    pub outcome: Result<ChatResponse, String>,
    /// None if no request was sent.
    pub total: Option<Total>,
}

impl Answered {
    /// The digest's answer: nothing was sent.
    #[must_use]
    pub fn by_digest(response: ChatResponse) -> Self {
        Self::of(Ok(response))
    }

    /// An answer, or why there is none, without anything else.
    fn of(outcome: Result<ChatResponse, String>) -> Self {
        let (windows, records, sections, looks, looked_frames, problems) = Default::default();
        Self { windows, records, sections, looks, looked_frames, problems, outcome, total: None }
    }
}

/// A window and its records, which have no numbers yet.
type WindowAnswer = (WindowReport, Vec<EventRecord>);

/// Asks one chat model about one timeline.
pub struct Analyzer<'a> {
    pub(super) model: &'a Arc<dyn ChatModel>,
    pub(super) analysis: &'a Analysis,
    /// The model with one choice: windows need no more.
    pub(super) window_model: Arc<dyn ChatModel>,
    pub(super) limits: ModelLimits,
    pub(super) timeline: &'a Timeline,
    pub(super) media: &'a MediaInfo,
    pub(super) events: &'a EventSender,
    /// The number of the tags around text from the media.
    pub(super) fence: u32,
    cancel: &'a CancellationToken,
    pub(super) tracker: SpendTracker,
    pub(super) answers: Option<StoredAnswers>,
    /// Whether nothing is sent.
    pub(super) is_from_store: bool,
    total: Mutex<Total>,
    pub(super) reader: Option<Arc<dyn ViewReader>>,
    pub(super) looks: Mutex<Looks>,
}

/// Why a request has no answer.
pub(super) enum Unanswered {
    /// It is too long for the server.
    TooLong(String),
    /// The server has no tools.
    WithoutTools(String),
    Other(String),
}

impl Unanswered {
    pub(super) fn into_text(self) -> String {
        let (Self::TooLong(text) | Self::WithoutTools(text) | Self::Other(text)) = self;
        text
    }
}

impl<'a> Analyzer<'a> {
    /// Sends nothing yet.
    #[must_use]
    pub fn new(
        model: &'a Arc<dyn ChatModel>,
        analysis: &'a Analysis,
        timeline: &'a Timeline,
        media: &'a MediaInfo,
        events: &'a EventSender,
        cancel: &'a CancellationToken,
    ) -> Self {
        let limits = model.limits();
        let window_model = if limits.params.n.is_some() {
            model.with_params(SamplingParams { n: None, ..limits.params.clone() })
        } else {
            Arc::clone(model)
        };
        let tracker = SpendTracker::new(analysis.spend_limit);
        let fence = prompt::fence_number(prompt::transcript_texts(timeline.transcript.as_ref()));
        Self {
            model,
            analysis,
            window_model,
            limits,
            timeline,
            media,
            events,
            fence,
            cancel,
            tracker,
            answers: None,
            is_from_store: false,
            total: Mutex::new(Total::zero()),
            reader: None,
            looks: Mutex::default(),
        }
    }

    /// Takes all answers from the store, and sends nothing.
    pub(super) fn without_sending(self) -> Self {
        Self { is_from_store: true, ..self }
    }

    /// Reads and stores answers.
    #[must_use]
    pub fn with_answers(self, answers: Option<StoredAnswers>) -> Self {
        Self { answers, ..self }
    }

    /// Reads the frames of second looks; without it, they show speech alone.
    #[must_use]
    pub fn with_reader(self, reader: Option<Arc<dyn ViewReader>>) -> Self {
        Self { reader, ..self }
    }

    /// The windows that fit into one request each; one where all fits into one. Several windows do not depend on the task and its
    /// background, so that stored records serve other tasks.
    pub(super) fn windows(&self) -> Vec<Timeline> {
        let whole = self.windows_beside(self.frame_tokens());
        if whole.len() == 1 {
            return whole;
        }
        let windows = self.windows_beside(records_frame_tokens(&self.limits, self.media));
        if windows.len() == 1 { whole } else { windows }
    }

    fn windows_beside(&self, frame_tokens: u64) -> Vec<Timeline> {
        let room = Load { n_millis: budget::MAX_WINDOW_MILLIS, ..budget::room(&self.limits, frame_tokens) };
        self.timeline.windows(room, |passage| Load {
            n_millis: budget::window_millis(passage),
            ..self.limits.load(prompt::build_passage(passage, self.fence))
        })
    }

    /// Whether one request does the task, with the frames themselves.
    pub(super) fn is_one_request(&self, n_windows: usize) -> bool {
        n_windows == 1 && !self.analysis.lists_chapters()
    }

    /// Whether the task is a question about a recording that is longer than one window.
    pub(super) fn asks_about_passages(&self) -> bool {
        self.analysis.prompt.question.is_some() && budget::is_windowed(self.timeline.range)
    }

    /// Tokens of a request without its evidence.
    pub(super) fn frame_tokens(&self) -> u64 {
        frame_tokens(&self.limits, self.analysis, self.media)
    }

    /// The messages that ask for the records of a window; those of the whole question where there is one window alone.
    pub(super) fn messages(&self, window: &Timeline, place: Place) -> Vec<Message> {
        let (analysis, media) = (self.analysis, self.media);
        if self.is_one_request(place.n_windows) {
            prompt::build(window, media, &analysis.prompt, self.fence)
        } else {
            prompt::build_records(self.timeline, window, place, media, self.fence)
        }
    }

    /// Sends the requests and waits for the answer.
    pub async fn answer(&self) -> Answered {
        let answered = self.answer_task().await;
        let Looks { reports, frames } = std::mem::take(&mut *self.looks.lock().unwrap_or_else(PoisonError::into_inner));
        Answered { looks: reports, looked_frames: frames, total: Some(self.total()), ..answered }
    }

    async fn answer_task(&self) -> Answered {
        let mut windows = self.windows();
        if self.asks_about_passages() {
            let records = self.stored_records(&windows).await;
            if let Some(messages) = self.question_messages(&records) {
                let outcome = self.send_task(messages).await.map_err(Unanswered::into_text);
                return Answered { records, ..Answered::of(outcome) };
            }
            tracing::info!("no passage matches the question: the whole recording is analyzed");
        }
        if self.is_one_request(windows.len()) {
            let messages = self.messages(self.timeline, Place { number: 1, n_windows: 1 });
            let outcome = self.send_task(messages).await;
            match (outcome, self.timeline.halves()) {
                (Err(Unanswered::TooLong(why)), Some((first, second))) => {
                    tracing::warn!("{why}: the request is split into parts");
                    windows = vec![first, second];
                }
                (outcome, _) => {
                    return Answered::of(outcome.map_err(Unanswered::into_text));
                }
            }
        }
        let n_windows = windows.len();
        self.events.send(Event::Windows { n_windows }).await;
        // Reserved now, so that windows cannot spend what the merge needs.
        let merge_tokens = budget::merge_tokens(&self.limits, self.frame_tokens(), n_windows as u64);
        let for_merge: Vec<_> = (0..self.n_merges(n_windows))
            .filter_map(|_| self.tracker.reserve(&self.limits, merge_tokens).ok())
            .collect();
        // Boxed: the compiler cannot prove that a closure's future is Send here.
        let mut requests: Vec<BoxFuture<'_, Vec<WindowAnswer>>> = Vec::with_capacity(n_windows);
        for (at, window) in windows.iter().enumerate() {
            requests.push(Box::pin(self.window(window, Place { number: at + 1, n_windows })));
        }
        let mut requests = stream::iter(requests).buffered(self.analysis.concurrency.max(1)).enumerate();
        let (mut windows, mut records): (Vec<WindowReport>, Vec<EventRecord>) = Default::default();
        while let Some((at, done)) = requests.next().await {
            self.events.send(Event::Window { n_done: at + 1 }).await;
            for (window, found) in done {
                windows.push(window);
                for record in found {
                    records.push(EventRecord { id: records.len(), ..record });
                }
            }
        }
        for reservation in for_merge {
            self.tracker.release(reservation);
        }
        if let Some(messages) = self.question_messages(&records) {
            let outcome = self.send_task(messages).await.map_err(Unanswered::into_text);
            return Answered { windows, records, ..Answered::of(outcome) };
        }
        let (sections, problems, outcome) = self.merge(&windows, &records).await;
        Answered { windows, records, sections, problems, ..Answered::of(outcome) }
    }

    /// The usage of all requests so far.
    pub fn total(&self) -> Total {
        *self.total.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The records of one window; halves it where the server finds it too long.
    async fn window(&self, window: &Timeline, place: Place) -> Vec<WindowAnswer> {
        let mut done = Vec::new();
        let mut todo = vec![(window.clone(), 0)];
        while let Some((window, n_halvings)) = todo.pop() {
            let outcome = self.window_records(&window, place).await;
            match (outcome, window.halves().filter(|_| n_halvings < MAX_HALVINGS)) {
                (Err(Unanswered::TooLong(why)), Some((first, second))) => {
                    tracing::info!("{why}: the window is halved");
                    todo.push((second, n_halvings + 1));
                    todo.push((first, n_halvings + 1));
                }
                (Err(unanswered), _) => {
                    done.push((WindowReport::new(&window, Err(unanswered.into_text())), Vec::new()));
                }
                (Ok((response, found)), _) => {
                    let report = WindowReport::new(&window, Ok((&response, found.entries.len())));
                    done.push((WindowReport { is_partial: found.is_partial, ..report }, found.entries));
                }
            }
        }
        done
    }

    async fn window_records(
        &self,
        window: &Timeline,
        place: Place,
    ) -> Result<(ChatResponse, ReadEntries<EventRecord>), Unanswered> {
        let format = reply::records_format().map_err(|error| Unanswered::Other(error.to_string()))?;
        self.send_for(self.messages(window, place), &format, |text| reply::read_records(text, window)).await
    }

    /// Asks for a list in JSON of this form, and once more where entries of it may be missing, unless the server cut the reply
    /// off. Of two replies with missing entries, the fuller one counts. Only a reply without missing entries is stored.
    pub(super) async fn send_for<T>(
        &self,
        messages: Vec<Message>,
        format: &ResponseFormat,
        read: impl Fn(&str) -> Result<ReadEntries<T>, String> + Sync,
    ) -> Result<(ChatResponse, ReadEntries<T>), Unanswered> {
        let is_whole = |reply: &str| read(reply).is_ok_and(|found| !found.is_partial);
        let first = self.send_json(&messages, format, &is_whole).await?;
        let (partial, problem) = match read(first_text(&first)) {
            Ok(found) if !found.is_partial || is_cut_off(&first) => return Ok((first, found)),
            Ok(found) => {
                (Some(found), "its JSON is broken, or an entry is not of the form that was asked for".to_owned())
            }
            Err(problem) => (None, problem),
        };
        tracing::info!("a reply is requested again: {problem}");
        let again = prompt::build_again(messages, first_text(&first), &problem, self.fence);
        match (self.send_json(&again, format, &is_whole).await, partial) {
            (Ok(second), partial) => match (read(first_text(&second)), partial) {
                (Ok(found), Some(before)) if found.is_partial && found.entries.len() < before.entries.len() => {
                    Ok((first, before))
                }
                (Ok(found), _) => Ok((second, found)),
                (Err(_), Some(before)) => Ok((first, before)),
                (Err(problem), None) => Err(Unanswered::Other(format!("the model's reply cannot be used: {problem}"))),
            },
            (Err(_), Some(before)) => Ok((first, before)),
            (Err(unanswered), None) => Err(unanswered),
        }
    }

    /// Asks for JSON of this form. A usable reply is stored.
    pub(super) async fn send_json(
        &self,
        messages: &[Message],
        format: &ResponseFormat,
        is_usable: &(dyn Fn(&str) -> bool + Sync),
    ) -> Result<ChatResponse, Unanswered> {
        let request = ChatRequest { response_format: Some(format), ..ChatRequest::new(messages) };
        self.send(&*self.window_model, &request, false, &|response| is_usable(first_text(response))).await
    }

    /// Requests the answer to the task itself. For data, once more if the reply does not match its schema; whether the second
    /// one does is for the caller to check.
    pub(super) async fn send_task(&self, messages: Vec<Message>) -> Result<ChatResponse, Unanswered> {
        let Some(schema) = &self.analysis.data else {
            if self.analysis.look_frames > 0 {
                return self.send_looking(messages).await;
            }
            let request = ChatRequest::new(&messages);
            return self.send(&**self.model, &request, self.analysis.is_streamed, &|_| true).await;
        };
        let is_valid = |reply: &str| schema.read(reply).is_ok();
        let first = self.send_json(&messages, schema.format(), &is_valid).await?;
        let Err(problem) = schema.read(first_text(&first)) else { return Ok(first) };
        tracing::info!("the reply is requested again: {problem}");
        let again = prompt::build_again(messages, first_text(&first), &problem, self.fence);
        match self.send_json(&again, schema.format(), &is_valid).await {
            Ok(second) => Ok(second),
            Err(unanswered) => {
                tracing::warn!("{}", unanswered.into_text());
                Ok(first)
            }
        }
    }

    /// Ready when the run was cancelled and requests in flight had their time.
    async fn given_up(&self) {
        self.cancel.cancelled().await;
        tokio::time::sleep(IN_FLIGHT).await;
    }

    /// Sends one request within the spending limit, or takes its answer from the store. A usable answer is stored.
    pub(super) async fn send(
        &self,
        model: &dyn ChatModel,
        request: &ChatRequest<'_>,
        is_streamed: bool,
        is_usable: &(dyn Fn(&ChatResponse) -> bool + Sync),
    ) -> Result<ChatResponse, Unanswered> {
        if self.cancel.is_cancelled() {
            return Err(Unanswered::Other("the run was stopped before this request was sent".to_owned()));
        }
        let stored = self.answers.as_ref().map(|answers| (answers, answers.key(model, request)));
        if let Some((answers, key)) = &stored
            && let Some(response) = answers.read(key).await
        {
            if let Some(first) = response.choices.first().filter(|_| is_streamed) {
                self.events.send(Event::Text { text: first.text.clone() }).await;
            }
            return Ok(response);
        }
        if self.is_from_store {
            return Err(Unanswered::Other("the store has no answer".to_owned()));
        }
        let limits = model.limits();
        let n_tokens = limits.tokens(request.messages).saturating_add(tool_tokens(request.tools).likely);
        let reservation = self.tracker.reserve(&limits, n_tokens).map_err(Unanswered::Other)?;
        let outcome = tokio::select! {
            outcome = complete(model, request, is_streamed, self.events) => outcome,
            () = self.given_up() => {
                return Err(Unanswered::Other("the run was stopped before the answer came".to_owned()));
            }
        };
        self.tracker.settle_outcome(reservation, &outcome);
        if let Ok(response) = &outcome {
            self.total.lock().unwrap_or_else(PoisonError::into_inner).add(response);
        }
        if let (Some((answers, key)), Ok(response)) = (stored, &outcome)
            && is_usable(response)
        {
            answers.keep(key, response).await;
        }
        outcome.map_err(|error| match error {
            Error { code: ErrorCode::ToolsUnsupported, .. } => Unanswered::WithoutTools(error.to_string()),
            Error { kind: ErrorKind::Limit, .. } => Unanswered::TooLong(error.to_string()),
            error => Unanswered::Other(error.to_string()),
        })
    }
}

fn first_text(response: &ChatResponse) -> &str {
    response.choices.first().map_or("", |first| &first.text)
}

/// Whether the server ended the reply before the model did.
fn is_cut_off(response: &ChatResponse) -> bool {
    let finish = response.choices.first().map(|first| &first.finish);
    !matches!(finish, Some(FinishReason::Stop | FinishReason::Other(_)))
}

/// Completes a request; where it is streamed, passes the pieces on until the response is there.
async fn complete(
    model: &dyn ChatModel,
    request: &ChatRequest<'_>,
    is_streamed: bool,
    events: &EventSender,
) -> crate::Result<ChatResponse> {
    // As large as one answer at most: a model writes more slowly than events are read.
    let (pieces, mut written) = mpsc::unbounded_channel();
    let pass_on = move |text: StreamUpdate<'_>| {
        // The receiver is gone when the response is complete; it holds the whole text.
        let _ = pieces.send(match text {
            StreamUpdate::Piece(text) => Event::Text { text: text.to_owned() },
            StreamUpdate::Restart => Event::TextRestarted,
        });
    };
    let stream = is_streamed.then_some(StreamSink(&pass_on));
    let request = ChatRequest { stream, ..*request };
    let mut response = model.complete(&request);
    loop {
        tokio::select! {
            biased;
            Some(event) = written.recv() => events.send(event).await,
            outcome = &mut response => {
                while let Ok(event) = written.try_recv() {
                    events.send(event).await;
                }
                return outcome;
            }
        }
    }
}

/// Tokens of a request without its evidence: the most that any of the prompts takes.
pub(crate) fn frame_tokens(limits: &ModelLimits, analysis: &Analysis, media: &MediaInfo) -> u64 {
    let nothing = Timeline::new(TimeRange::new(Timestamp::ZERO, Timestamp::ZERO), Vec::new(), None);
    let part = PartAnswer { range: nothing.range, text: None };
    let merge = limits.tokens(&prompt::build_merge(&nothing, &[part], media, &analysis.prompt, 0));
    let whole = limits.tokens(&prompt::build(&nothing, media, &analysis.prompt, 0));
    records_frame_tokens(limits, media).max(merge.max(whole) + FACTS_TOKENS)
}

/// Tokens of a request for records without its evidence.
fn records_frame_tokens(limits: &ModelLimits, media: &MediaInfo) -> u64 {
    let nothing = Timeline::new(TimeRange::new(Timestamp::ZERO, Timestamp::ZERO), Vec::new(), None);
    let place = Place { number: 1, n_windows: 2 };
    limits.tokens(&prompt::build_records(&nothing, &nothing, place, media, 0)) + FACTS_TOKENS
}
