//! A running job: its events, its result, and how it is cancelled.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::error::{Error, Result};
use crate::event::{Event, EventSender};
use crate::media::MediaInfo;
use crate::source::site::{SiteAccess, SiteVideo};
use crate::store::StoreAccess;

/// What a pipeline works with beside its input.
#[derive(Clone, Debug)]
pub struct Context {
    /// Where progress goes.
    pub events: EventSender,
    /// Cancels the job.
    pub cancel: CancellationToken,
    /// How sites are accessed.
    pub sites: SiteAccess,
    /// Videos of sites that are recognized already, by their address: yt-dlp is not asked twice.
    pub(crate) known_videos: Arc<Mutex<HashMap<Url, SiteVideo>>>,
    /// The results of earlier runs.
    pub store: StoreAccess,
}

impl Context {
    /// Keeps what a site says of a video.
    pub(super) fn keep_video(&self, url: Url, video: SiteVideo) {
        self.known_videos.lock().unwrap_or_else(PoisonError::into_inner).insert(url, video);
    }

    /// What [`Context::keep_video`] kept.
    pub(super) fn known_video(&self, url: &Url) -> Option<SiteVideo> {
        self.known_videos.lock().unwrap_or_else(PoisonError::into_inner).get(url).cloned()
    }

    /// Sends the facts of the container, and a warning that the video of a motion photo is not read.
    pub(super) async fn send_probed(&self, info: &MediaInfo) {
        self.events.send(Event::Probed { media: Box::new(info.clone()) }).await;
        if let Some(notice) = info.motion_notice() {
            self.events.send(Event::warning(&info.input, notice)).await;
        }
    }

    /// # Errors
    /// [`ErrorKind::Interrupted`](crate::ErrorKind::Interrupted) once the job is cancelled.
    pub fn check(&self) -> Result<()> {
        if self.cancel.is_cancelled() { Err(Error::interrupted()) } else { Ok(()) }
    }

    /// Runs `work` until it is done or the job is cancelled.
    ///
    /// # Errors
    /// As `work`, and [`ErrorKind::Interrupted`](crate::ErrorKind::Interrupted).
    pub async fn unless_cancelled<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            outcome = work => outcome,
            () = self.cancel.cancelled() => Err(Error::interrupted()),
        }
    }
}

/// A job that is running on a tokio runtime. Dropping it does not stop the job; cancel its token for that.
#[derive(Debug)]
pub struct Run<T> {
    events: mpsc::Receiver<Event>,
    result: JoinHandle<Result<T>>,
    /// What the task returned, once it has ended.
    outcome: Option<std::result::Result<Result<T>, tokio::task::JoinError>>,
}

impl<T> Run<T> {
    /// The next event; None once the job is over.
    pub async fn next_event(&mut self) -> Option<Event> {
        if self.outcome.is_some() {
            return self.events.try_recv().ok();
        }
        // A thread in foreign code may hold a sender for longer than the job lasts.
        tokio::select! {
            biased;
            event = self.events.recv() => event,
            outcome = &mut self.result => {
                self.outcome = Some(outcome);
                self.events.try_recv().ok()
            }
        }
    }

    /// The result, once the job is over. Events that were not read are dropped.
    ///
    /// # Errors
    /// As the job; [`ErrorKind::Interrupted`](crate::ErrorKind::Interrupted) where it was cancelled before it had a
    /// result.
    pub async fn finish(mut self) -> Result<T> {
        while self.next_event().await.is_some() {}
        let outcome = match self.outcome.take() {
            Some(outcome) => outcome,
            None => self.result.await,
        };
        match outcome {
            Ok(outcome) => outcome,
            Err(failure) if failure.is_panic() => {
                Err(Error::internal("the job", "a bug in vidgist ended it", "report it, with the input if you can")
                    .because(failure))
            }
            Err(_) => Err(Error::interrupted()),
        }
    }
}

/// Starts `work` on the current tokio runtime.
#[must_use]
pub fn start<T, F>(cancel: CancellationToken, work: impl FnOnce(Context) -> F) -> Run<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let (events, receiver) = EventSender::channel();
    let result = tokio::spawn(work(Context {
        events,
        cancel,
        sites: SiteAccess::default(),
        known_videos: Arc::default(),
        store: StoreAccess::default(),
    }));
    Run { events: receiver, result, outcome: None }
}
