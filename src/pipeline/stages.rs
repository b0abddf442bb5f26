//! The stages of a run, each one step of [`super::work`].

use std::future::Future;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::{Event, Job};
use crate::blocking::run_blocking;
use crate::chat::{ChatResponse, Message};
use crate::error::Result;
use crate::llm::{ChatModel, ChatRequest, StreamSink, StreamUpdate};
use crate::media::MediaInfo;
use crate::probe;
use crate::report::StageTime;
use crate::source::Source;
use crate::time::{TimeRange, Timestamp};
use crate::transcribe::TranscriptionOutcome;
use crate::transcript::Transcript;
use crate::video::Video;

/// A range for what has no time.
pub(super) const NO_TIME: TimeRange = TimeRange { start: Timestamp::ZERO, end: Timestamp::ZERO };

/// The source's facts, and its video where it has one.
pub(super) async fn open(job: &Job) -> Result<(MediaInfo, Option<Video>)> {
    let (source, rate, decoder, limits) = (job.source.clone(), job.sequence_rate, job.decoder, job.limits);
    let cache = job.cache.as_ref().map(|folder| folder.join("index"));
    run_blocking(move || {
        let info = probe::probe(&source, rate, &limits)?;
        let video = Video::open(&source, &info, decoder, &limits, cache.as_deref())?;
        Ok((info, video))
    })
    .await
}

/// What came of looking for words.
pub(super) struct Words {
    pub(super) transcript: Option<Transcript>,
    /// Why there are none, as a phrase.
    pub(super) reason: String,
    pub(super) problems: Vec<(String, String)>,
}

/// Tries each way to get at the words, until one has them.
pub(super) async fn find_words(job: &Job, info: &MediaInfo, events: &mpsc::Sender<Event>) -> Result<Words> {
    let mut words = Words { transcript: None, reason: String::new(), problems: Vec::new() };
    let (Source::Media(path), false) = (&job.source, job.words.is_empty()) else {
        let reason = if job.words.is_empty() { "none were asked for" } else { "the source has no sound" };
        words.reason.push_str(reason);
        return Ok(words);
    };
    let _ = events.send(Event::Listening).await;
    // A reader of events that is slow misses one of these, not a frame.
    let heard = |until| drop(events.try_send(Event::Heard { until }));
    let mut reasons: Vec<String> = Vec::new();
    let is_dry = job.ask.as_ref().is_some_and(|ask| ask.dry_run.is_some());
    for way in &job.words {
        if is_dry && way.is_remote() {
            reasons.push("the transcription endpoint is not asked in a dry run: its words are not counted".to_owned());
            continue;
        }
        match way.transcribe(path, info, &heard).await {
            Ok(TranscriptionOutcome::Found(transcript)) => {
                words.transcript = Some(transcript);
                return Ok(words);
            }
            Ok(TranscriptionOutcome::None { reason }) => reasons.push(reason),
            Err(error) if job.needs_words => return Err(error),
            Err(error) => words.problems.push(("the transcript".to_owned(), error.to_string())),
        }
    }
    words.reason = reasons.join(", and ");
    Ok(words)
}

/// Puts the question; where it is wanted live, hands on what is written until the answer is there.
pub(super) async fn put_question(
    model: &dyn ChatModel,
    messages: &[Message],
    is_live: bool,
    events: &mpsc::Sender<Event>,
) -> Result<ChatResponse> {
    // As large as an answer may be at most: a model is slower than whoever reads the events.
    let (pieces, mut written) = mpsc::unbounded_channel();
    let hand_on = move |text: StreamUpdate<'_>| {
        // Nobody reads any more: the answer itself tells all.
        let _ = pieces.send(match text {
            StreamUpdate::Piece(text) => Event::Text { text: text.to_owned() },
            StreamUpdate::Restart => Event::TextRestarted,
        });
    };
    let stream = is_live.then_some(StreamSink(&hand_on));
    let question = ChatRequest { stream, ..ChatRequest::new(messages) };
    let mut answer = model.complete(&question);
    loop {
        tokio::select! {
            biased;
            Some(event) = written.recv() => {
                let _ = events.send(event).await;
            }
            outcome = &mut answer => {
                while let Ok(event) = written.try_recv() {
                    let _ = events.send(event).await;
                }
                return outcome;
            }
        }
    }
}

/// The claimed range of a source of which no frame is looked at.
pub(super) fn whole(info: &MediaInfo) -> TimeRange {
    let longest = info.audio.iter().filter_map(|a| a.duration).max();
    TimeRange::new(Timestamp::ZERO, info.duration.or(longest).unwrap_or(Timestamp::ZERO))
}

/// How long the stages took, in the order of their end.
#[derive(Default)]
pub(super) struct Stopwatch {
    stages: Vec<StageTime>,
}

impl Stopwatch {
    pub(super) async fn time<T>(&mut self, stage: &str, work: impl Future<Output = T>) -> T {
        let timed = self.measure(work).await;
        self.note(stage, timed)
    }

    /// For stages that run at the same time.
    pub(super) async fn measure<T>(&self, work: impl Future<Output = T>) -> (T, Duration) {
        let begun = Instant::now();
        let value = work.await;
        (value, begun.elapsed())
    }

    pub(super) fn note<T>(&mut self, stage: &str, (value, took): (T, Duration)) -> T {
        self.stages.push(StageTime { stage: stage.to_owned(), seconds: took.as_secs_f64() });
        value
    }

    pub(super) fn stages(&self) -> Vec<StageTime> {
        self.stages.clone()
    }
}
