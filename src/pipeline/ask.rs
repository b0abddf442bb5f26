//! The question: put as one request where one holds all, else about one window after another, several at a time, and
//! then put once more about the answers.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _};
use tokio::sync::mpsc;

use super::budget::{self, SpendTracker};
use super::stages::put_question;
use super::{Ask, Event, Stop};
use crate::chat::{ChatResponse, Message};
use crate::error::{Error, ErrorKind};
use crate::llm::{ChatModel, ModelLimits, SamplingParams};
use crate::media::MediaInfo;
use crate::prompt::{self, PartAnswer, Place};
use crate::report::{Total, WindowReport};
use crate::time::TimeRange;
use crate::timeline::{Load, Timeline};

/// How long an answer is waited for once the run was stopped.
const IN_FLIGHT: Duration = Duration::from_secs(5);
/// How often a window is halved that the server finds too long: into 64 at most.
const MAX_HALVINGS: u32 = 6;

/// What came of asking.
pub(super) struct Asked {
    /// Empty where one request held all.
    pub windows: Vec<WindowReport>,
    /// The answer, or why there is none.
    pub outcome: Result<ChatResponse, String>,
    /// None where no server was asked.
    pub total: Option<Total>,
}

/// A run's question and whom it is put to.
pub(super) struct Asker<'a> {
    pub model: &'a Arc<dyn ChatModel>,
    ask: &'a Ask,
    /// The model as it is asked about windows: one alternative is enough there.
    for_windows: Arc<dyn ChatModel>,
    pub terms: ModelLimits,
    timeline: &'a Timeline,
    media: &'a MediaInfo,
    events: &'a mpsc::Sender<Event>,
    stop: &'a Stop,
    purse: SpendTracker,
}

/// Why a question has no answer.
enum Unanswered {
    /// It is too long for the server.
    TooLong(String),
    Other(String),
}

impl Unanswered {
    fn into_text(self) -> String {
        let (Self::TooLong(text) | Self::Other(text)) = self;
        text
    }
}

impl<'a> Asker<'a> {
    pub fn new(
        model: &'a Arc<dyn ChatModel>,
        ask: &'a Ask,
        timeline: &'a Timeline,
        media: &'a MediaInfo,
        events: &'a mpsc::Sender<Event>,
        stop: &'a Stop,
    ) -> Self {
        let terms = model.limits();
        let for_windows = if terms.params.n.is_some() {
            model.with_params(SamplingParams { n: None, ..terms.params.clone() })
        } else {
            Arc::clone(model)
        };
        Self { model, ask, for_windows, terms, timeline, media, events, stop, purse: SpendTracker::new(ask.allowance) }
    }

    /// The windows that one request each can hold; one where it holds all.
    pub fn windows(&self) -> Vec<Timeline> {
        let terms = &self.terms;
        let room = budget::room(terms, self.frame_tokens(terms));
        self.timeline.windows(room, |passage| terms.load(prompt::build_passage(passage, self.ask.fence)))
    }

    /// Tokens of a request without its evidence.
    pub fn frame_tokens(&self, terms: &ModelLimits) -> u64 {
        frame_tokens(terms, self.ask, self.media)
    }

    /// What a request about one of several windows may hold and costs.
    pub fn terms_for_windows(&self) -> ModelLimits {
        self.for_windows.limits()
    }

    /// The messages about a window; the whole question where there is one alone.
    pub fn messages(&self, window: &Timeline, place: Place) -> Vec<Message> {
        let (ask, media) = (self.ask, self.media);
        if place.n_windows > 1 {
            prompt::build_window(self.timeline, window, place, media, &ask.prompt, ask.fence)
        } else {
            prompt::build(window, media, &ask.prompt, ask.fence)
        }
    }

    /// Asks.
    pub async fn ask(&self) -> Asked {
        let mut windows = self.windows();
        let mut total = Total::zero();
        if windows.len() == 1 {
            let messages = self.messages(self.timeline, Place { number: 1, n_windows: 1 });
            let outcome = self.put(&**self.model, &messages, self.ask.is_live).await;
            match (outcome, self.timeline.halves()) {
                (Err(Unanswered::TooLong(why)), Some((first, second))) => {
                    tracing::warn!("{why}: it is asked about in parts");
                    windows = vec![first, second];
                }
                (outcome, _) => {
                    let outcome = outcome.map_err(Unanswered::into_text);
                    if let Ok(answer) = &outcome {
                        total.add(answer.usage, answer.cost);
                    }
                    return Asked { windows: Vec::new(), outcome, total: Some(total) };
                }
            }
        }
        let n_windows = windows.len();
        let _ = self.events.send(Event::Windows { n_windows }).await;
        // What making one answer takes is not spent on windows.
        let merge_tokens = budget::merge_tokens(&self.terms, self.frame_tokens(&self.terms), n_windows as u64);
        let for_merge = self.purse.hold(&self.terms, merge_tokens);
        // Boxed, since the compiler does not see of a closure that what it makes may go to another thread.
        let mut asking: Vec<BoxFuture<'_, Vec<WindowReport>>> = Vec::with_capacity(n_windows);
        for (at, window) in windows.iter().enumerate() {
            asking.push(Box::pin(self.window(window, Place { number: at + 1, n_windows })));
        }
        let mut asking = stream::iter(asking).buffered(self.ask.concurrency.max(1)).enumerate();
        let mut answered: Vec<WindowReport> = Vec::with_capacity(n_windows);
        while let Some((at, done)) = asking.next().await {
            let _ = self.events.send(Event::Window { n_done: at + 1 }).await;
            answered.extend(done);
        }
        for window in answered.iter().filter(|window| window.n_attempts > 0) {
            total.add(window.usage, window.cost);
        }
        if let Ok(held) = for_merge {
            self.purse.give_back(held);
        }
        let outcome = self.merge(&answered, &mut total).await;
        Asked { windows: answered, outcome, total: Some(total) }
    }

    /// Asks about one window, and again about its halves where the server finds it too long.
    async fn window(&self, window: &Timeline, place: Place) -> Vec<WindowReport> {
        let mut done = Vec::new();
        let mut todo = vec![(window.clone(), 0)];
        while let Some((window, n_halvings)) = todo.pop() {
            let messages = self.messages(&window, place);
            let outcome = self.put(&*self.for_windows, &messages, false).await;
            match (outcome, window.halves().filter(|_| n_halvings < MAX_HALVINGS)) {
                (Err(Unanswered::TooLong(why)), Some((first, second))) => {
                    tracing::info!("{why}: halved");
                    todo.push((second, n_halvings + 1));
                    todo.push((first, n_halvings + 1));
                }
                (outcome, _) => {
                    let outcome = outcome.map_err(Unanswered::into_text);
                    done.push(WindowReport::new(&window, outcome.as_ref().map_err(Clone::clone)));
                }
            }
        }
        done
    }

    /// One answer out of those about the windows.
    async fn merge(&self, windows: &[WindowReport], total: &mut Total) -> Result<ChatResponse, String> {
        let mut parts: Vec<PartAnswer> =
            windows.iter().map(|window| PartAnswer { range: window.range, text: window.text.clone() }).collect();
        if parts.iter().all(|part| part.text.is_none()) {
            let reason = windows.iter().find_map(|window| window.no_answer_because.clone());
            return Err(reason.unwrap_or_else(|| "no part of the file was answered for".to_owned()));
        }
        let _ = self.events.send(Event::Merging).await;
        let mut is_too_long = false;
        loop {
            let groups = if is_too_long { halved(parts.len()) } else { self.groups(&parts) };
            if let [all] = groups.as_slice() {
                debug_assert_eq!(*all, parts.len());
                match self.put_merge(&**self.model, &parts, self.ask.is_live, total).await {
                    Err(Unanswered::TooLong(_)) if parts.len() > 2 => is_too_long = true,
                    outcome => return outcome.map_err(Unanswered::into_text),
                }
                continue;
            }
            is_too_long = false;
            // Fewer each time: a group holds two answers at least, but for a last one.
            let mut merged = Vec::with_capacity(groups.len());
            let mut rest = parts.as_slice();
            for n in groups {
                let (group, behind) = rest.split_at(n);
                rest = behind;
                merged.push(match group {
                    [one] => one.clone(),
                    several => {
                        let answer = self.put_merge(&*self.for_windows, several, false, total).await;
                        let answer = answer.map_err(Unanswered::into_text)?;
                        let range = TimeRange::new(several[0].range.start, several[several.len() - 1].range.end);
                        PartAnswer { range, text: answer.choices.first().map(|one| one.text.clone()) }
                    }
                });
            }
            parts = merged;
        }
    }

    /// How many answers each go into a request; two at least, but for the last.
    fn groups(&self, parts: &[PartAnswer]) -> Vec<usize> {
        let terms = &self.terms;
        let most: Load = budget::room(terms, self.frame_tokens(terms));
        let (mut groups, mut n_tokens) = (Vec::new(), 0);
        for part in parts {
            let own = terms.tokens(&[prompt::build_part_answer(part, self.ask.fence)]);
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

    async fn put_merge(
        &self,
        model: &dyn ChatModel,
        parts: &[PartAnswer],
        is_live: bool,
        total: &mut Total,
    ) -> Result<ChatResponse, Unanswered> {
        let (ask, media) = (self.ask, self.media);
        let messages = prompt::build_merge(self.timeline, parts, media, &ask.prompt, ask.fence);
        let answer = self.put(model, &messages, is_live).await?;
        total.add(answer.usage, answer.cost);
        Ok(answer)
    }

    /// Ready when the run was stopped, and what is in flight had its time.
    async fn given_up(&self) {
        self.stop.stopped().await;
        tokio::time::sleep(IN_FLIGHT).await;
    }

    /// Puts one request, within the allowance.
    async fn put(
        &self,
        model: &dyn ChatModel,
        messages: &[Message],
        is_live: bool,
    ) -> Result<ChatResponse, Unanswered> {
        if self.stop.check().is_err() {
            return Err(Unanswered::Other("the run was stopped before it was asked".to_owned()));
        }
        let limits = model.limits();
        let held = self.purse.hold(&limits, limits.tokens(messages)).map_err(Unanswered::Other)?;
        let outcome = tokio::select! {
            outcome = put_question(model, messages, is_live, self.events) => outcome,
            () = self.given_up() => {
                return Err(Unanswered::Other("the run was stopped before it was answered".to_owned()));
            }
        };
        match (&outcome, held) {
            (Ok(answer), held) => self.purse.settle(held, answer),
            (Err(Error { kind: ErrorKind::Limit, .. }), held) => self.purse.give_back(held),
            // Whether it is charged for is not known: it stays held.
            _ => {}
        }
        outcome.map_err(|error| match error {
            Error { kind: ErrorKind::Limit, .. } => Unanswered::TooLong(error.to_string()),
            error => Unanswered::Other(error.to_string()),
        })
    }
}

/// Tokens of a request without its evidence, and of what tells its place.
pub(super) fn frame_tokens(terms: &ModelLimits, ask: &Ask, media: &MediaInfo) -> u64 {
    let nothing = Timeline::new(super::stages::NO_TIME, Vec::new(), None);
    let place = Place { number: 1, n_windows: 2 };
    let messages = prompt::build_window(&nothing, &nothing, place, media, &ask.prompt, ask.fence);
    // The facts of what is there are longer than those of what is not, by less than this.
    terms.tokens(&messages) + 64
}

fn halved(n: usize) -> Vec<usize> {
    let first = n.div_ceil(2);
    vec![first, n - first]
}
