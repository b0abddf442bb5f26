//! Captions: one for each frame of many videos and pictures, several requests at a time, the rows in the order of
//! inputs and time.
//!
//! ```text
//! inputs -> frames of one file after another -> groups -> up to `concurrency` questions at a time -> rows, in order
//! ```

mod inputs;
mod reply;

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};
use tokio::sync::mpsc;

use super::look::look;
use super::{Event, Job, Stop, draft, stages};
use crate::error::{Error, Result};
use crate::media::EncodedImage;
use crate::message::{Answer, Finish};
use crate::model::{ChatModel, Question, ResponseFormat};
use crate::money::Money;
use crate::prompt::{CaptionFrame, CaptionPrompt, build_captions};
use crate::report::ReportFrame;
use crate::report::caption::{CaptionKey, CaptionRow};
use crate::source::Source;
use crate::time::{TimeRange, Timestamp};
use crate::timeline::Timeline;
use crate::transcript::{Segment, Transcript};

/// Groups of frames that wait for a free place: the decoder is this far ahead.
const GROUP_QUEUE: usize = 2;
/// Words this far from a frame are given along, in milliseconds.
const NEAR_MILLIS: i64 = 5000;

/// Files to be captioned.
pub struct CaptionJob {
    /// Files and folders, as the user named them; folders stand for the videos and pictures in them.
    pub inputs: Vec<String>,
    /// How frames and words of each input are got at; its source and its question are not looked at.
    pub each: Job,
    /// Who is asked.
    pub model: Arc<dyn ChatModel>,
    /// What is asked.
    pub prompt: CaptionPrompt,
    /// A random number, new for each run: see [`build_captions`].
    pub fence: u32,
    /// Frames that share one request, at least 1.
    pub frames_per_request: usize,
    /// Requests at a time, at least 1.
    pub concurrency: usize,
    /// Captions that an earlier run wrote: their frames are not asked again.
    pub done: HashSet<CaptionKey>,
}

/// What a run tells while it goes on.
#[derive(Debug)]
#[non_exhaustive]
pub enum CaptionEvent {
    /// The inputs are known.
    Files {
        /// The files in the order in which they are read.
        inputs: Vec<String>,
    },
    /// A file is being read.
    File {
        /// Its name.
        input: String,
    },
    /// A frame is done: captioned, or failed.
    Row {
        /// What is known of it.
        row: Box<CaptionRow>,
        /// The picture that was sent; None where a whole file failed.
        image: Option<EncodedImage>,
    },
    /// The run is over. Rows before it are whole, whatever it says.
    Finished(Result<CaptionSummary>),
}

/// What came of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct CaptionSummary {
    /// Frames that got a caption.
    pub n_captions: usize,
    /// Frames and files that did not.
    pub n_failed: usize,
    /// Frames that were not asked again.
    pub n_kept: usize,
    /// What the requests cost together; None where one of them is not known.
    pub cost: Option<Money>,
}

/// What waits for the model.
enum Unit {
    /// Frames of one request.
    Frames(Vec<Wanted>),
    /// A file of which no frame, or not all, could be read.
    Failed(Box<CaptionRow>),
    Kept,
}

struct Wanted {
    row: CaptionRow,
    frame: CaptionFrame,
}

type Done = (CaptionRow, Option<EncodedImage>);

/// Starts a run on the current tokio runtime. After `stop` nothing new is asked; what is in flight is waited for.
#[must_use]
pub fn caption(job: CaptionJob, stop: Stop) -> mpsc::Receiver<CaptionEvent> {
    let (events, receiver) = mpsc::channel(super::EVENT_QUEUE);
    tokio::spawn(async move {
        let outcome = run(job, &events, &stop).await;
        // Nobody listens any more: there is nobody to tell.
        let _ = events.send(CaptionEvent::Finished(outcome)).await;
    });
    receiver
}

async fn run(job: CaptionJob, events: &mpsc::Sender<CaptionEvent>, stop: &Stop) -> Result<CaptionSummary> {
    let files = inputs::expand(&job.inputs)?;
    let _ = events.send(CaptionEvent::Files { inputs: files.clone() }).await;
    let (job, format) = (Arc::new(job), reply::form()?);
    let (send, receive) = mpsc::channel(GROUP_QUEUE);
    let reading = read_all(&job, &files, send, events, stop);
    let asking = async {
        let mut summary = CaptionSummary { cost: Some(Money::ZERO), ..CaptionSummary::default() };
        let units = stream::unfold(receive, async |mut receive: mpsc::Receiver<Unit>| {
            receive.recv().await.map(|unit| (unit, receive))
        });
        let done = units.map(|unit| answer(&job, &format, unit, stop)).buffered(job.concurrency.max(1));
        let mut done = std::pin::pin!(done);
        while let Some(rows) = done.next().await {
            summary.n_kept += usize::from(rows.is_none());
            for (row, image) in rows.into_iter().flatten() {
                summary.count(&row);
                let _ = events.send(CaptionEvent::Row { row: Box::new(row), image }).await;
            }
        }
        summary
    };
    let ((), summary) = tokio::join!(reading, asking);
    stop.check()?;
    Ok(summary)
}

impl CaptionSummary {
    fn count(&mut self, row: &CaptionRow) {
        if row.caption.is_some() {
            self.n_captions += 1;
        } else {
            self.n_failed += 1;
        }
        if row.usage.is_some() {
            self.cost = self.cost.zip(row.cost).map(|(sum, cost)| sum.plus(cost));
        }
    }
}

/// Reads one file after another; a file that cannot be read is a row, and the next is read.
async fn read_all(
    job: &CaptionJob,
    files: &[String],
    units: mpsc::Sender<Unit>,
    events: &mpsc::Sender<CaptionEvent>,
    stop: &Stop,
) {
    for input in files {
        if stop.check().is_err() {
            return;
        }
        let _ = events.send(CaptionEvent::File { input: input.clone() }).await;
        let failed = match read(job, input, &units, stop).await {
            Err(Error::Interrupted) => return,
            Err(error) => vec![error.to_string()],
            Ok(problems) => problems.into_iter().map(|(what, why)| format!("{what}: {why}")).collect(),
        };
        for why in failed {
            let row = job.failed_row(input, why);
            if units.send(Unit::Failed(Box::new(row))).await.is_err() {
                return;
            }
        }
    }
}

/// Reads the words, then the frames of one file, and sends them in groups; gives what is missing of it.
async fn read(job: &CaptionJob, input: &str, units: &mpsc::Sender<Unit>, stop: &Stop) -> Result<Vec<(String, String)>> {
    let each = Job { source: Source::identify(input)?, ask: None, output: None, ..job.each.clone() };
    let (info, video) = stages::open(&each).await?;
    let Some(mut video) = video else {
        return Err(Error::unsupported(input, "holds no video", "leave it out, or see: vidgist transcribe"));
    };
    let plan = draft::draft(&each, &mut video)?;
    // Nobody listens to the events of one file here.
    let (quiet, mut unheard) = mpsc::channel::<Event>(super::EVENT_QUEUE);
    let draining = async { while unheard.recv().await.is_some() {} };
    let work = async {
        let words = stages::find_words(&each, &info, &quiet).await?;
        let (hand_over, frames) = mpsc::channel(1);
        let looking = look(&each, Some((video, plan)), &quiet, stop, Some(hand_over));
        let (looked, ()) = tokio::join!(looking, group(job, input, words.transcript.as_ref(), frames, units));
        drop(quiet);
        let mut problems = looked?.problems;
        problems.extend(words.problems);
        Ok(problems)
    };
    let (problems, ()) = tokio::join!(work, draining);
    problems
}

/// Puts the frames of one file together to groups.
async fn group(
    job: &CaptionJob,
    input: &str,
    transcript: Option<&Transcript>,
    mut frames: mpsc::Receiver<EncodedImage>,
    units: &mpsc::Sender<Unit>,
) {
    let mut waiting = Vec::new();
    while let Some(image) = frames.recv().await {
        let sha256 = ReportFrame::new(&image, None).sha256;
        let row = CaptionRow::new(input, &image, sha256, &job.model.description().name, &job.prompt.version());
        if row.key().is_some_and(|key| job.done.contains(&key)) {
            let _ = units.send(Unit::Kept).await;
            continue;
        }
        let words = transcript.map(|transcript| near(&transcript.segments, image.time)).unwrap_or_default();
        waiting.push(Wanted { row, frame: CaptionFrame { image, words } });
        if waiting.len() >= job.frames_per_request.max(1) {
            let _ = units.send(Unit::Frames(std::mem::take(&mut waiting))).await;
        }
    }
    if !waiting.is_empty() {
        let _ = units.send(Unit::Frames(waiting)).await;
    }
}

fn near(segments: &[Segment], time: Timestamp) -> Vec<Segment> {
    let reach = Timestamp::from_millis(NEAR_MILLIS);
    let around = TimeRange::new(time.minus(reach), time.plus(reach));
    segments.iter().filter(|segment| segment.range.overlaps(around)).cloned().collect()
}

/// The rows of one unit; None where its frame needed no question.
async fn answer(job: &CaptionJob, format: &ResponseFormat, unit: Unit, stop: &Stop) -> Option<Vec<Done>> {
    match unit {
        Unit::Kept => None,
        Unit::Failed(row) => Some(vec![(*row, None)]),
        // What was not asked when the user stopped is asked by the next run.
        Unit::Frames(_) if stop.check().is_err() => Some(Vec::new()),
        Unit::Frames(wanted) => {
            let rows = job.ask(format, wanted).await;
            Some(rows.into_iter().map(|wanted| (wanted.row, Some(wanted.frame.image))).collect())
        }
    }
}

impl CaptionJob {
    fn failed_row(&self, input: &str, why: String) -> CaptionRow {
        CaptionRow::failed(input, Some(why), &self.model.description().name, &self.prompt.version())
    }

    /// Asks for the captions of one group, and again for each frame that the answer left out. A group that is too
    /// large for one request is halved.
    async fn ask(&self, format: &ResponseFormat, mut wanted: Vec<Wanted>) -> Vec<Wanted> {
        let frames: Vec<CaptionFrame> = wanted.iter().map(|wanted| wanted.frame.clone()).collect();
        let is_group = wanted.len() > 1;
        let answer = self.question(&frames, is_group.then_some(format)).await;
        match answer {
            Err(Error::Limit(_)) if is_group => {
                let rest = wanted.split_off(wanted.len() / 2);
                let mut done = Box::pin(self.ask(format, wanted)).await;
                done.extend(Box::pin(self.ask(format, rest)).await);
                return done;
            }
            Err(error) => wanted.iter_mut().for_each(|wanted| wanted.row.error = Some(error.to_string())),
            Ok(answer) if is_group => {
                let captions = answer.alternatives.first().map(|one| reply::read(&one.text)).unwrap_or_default();
                wanted[0].row.pay(&answer);
                for wanted in &mut wanted {
                    let idx = wanted.frame.image.frame_idx;
                    wanted.row.caption = captions.get(&idx).cloned();
                    if wanted.row.caption.is_none() {
                        self.ask_alone(wanted).await;
                    }
                }
            }
            Ok(answer) => wanted.iter_mut().for_each(|wanted| settle(&mut wanted.row, &answer)),
        }
        wanted
    }

    async fn ask_alone(&self, wanted: &mut Wanted) {
        let paid = (wanted.row.usage, wanted.row.cost);
        match self.question(std::slice::from_ref(&wanted.frame), None).await {
            Err(error) => wanted.row.error = Some(error.to_string()),
            Ok(answer) => settle(&mut wanted.row, &answer),
        }
        // The group's own tokens are on its first row.
        wanted.row.add(paid);
    }

    async fn question(&self, frames: &[CaptionFrame], format: Option<&ResponseFormat>) -> Result<Answer> {
        let messages = build_captions(frames, &self.prompt, self.fence);
        let timeline = Timeline::new(stages::NO_TIME, Vec::new(), None);
        self.model.answer(&Question { response_format: format, ..Question::new(&messages, &timeline) }).await
    }
}

/// The answer to a question for one frame.
fn settle(row: &mut CaptionRow, answer: &Answer) {
    row.pay(answer);
    let Some(one) = answer.alternatives.first() else { return };
    let text = one.text.trim();
    match &one.finish {
        Finish::Refusal => row.error = Some(format!("the model declined: {text}")),
        Finish::ContentFilter => row.error = Some("the provider's filter held the caption back".to_owned()),
        _ if text.is_empty() => row.error = Some("the model answered nothing".to_owned()),
        finish => {
            row.caption = Some(text.to_owned());
            if *finish == Finish::Length {
                row.error = Some("cut off at the limit of tokens; set a larger --max-tokens".to_owned());
            }
        }
    }
}

impl CaptionRow {
    fn pay(&mut self, answer: &Answer) {
        (self.usage, self.cost) = (answer.usage, answer.cost);
    }

    /// Adds what another request cost.
    fn add(&mut self, (usage, cost): (Option<crate::message::Usage>, Option<Money>)) {
        let Some(other) = usage else { return };
        let sum = |a: Option<u64>, b: Option<u64>| a.zip(b).map(|(a, b)| a + b).or(a).or(b);
        let mine = self.usage.unwrap_or_default();
        self.usage = Some(crate::message::Usage {
            prompt_tokens: sum(mine.prompt_tokens, other.prompt_tokens),
            completion_tokens: sum(mine.completion_tokens, other.completion_tokens),
            cached_tokens: sum(mine.cached_tokens, other.cached_tokens),
            reasoning_tokens: sum(mine.reasoning_tokens, other.reasoning_tokens),
        });
        self.cost = self.cost.zip(cost).map(|(a, b)| a.plus(b));
    }
}
