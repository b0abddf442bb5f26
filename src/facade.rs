//! Short ways to the common jobs, for programs that use the library.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use crate::engine::{Config, Engine, KEY_VARIABLE, Outcome, Secrets};
use crate::error::{Error, Result};
use crate::input::{Source, text_of};
use crate::job::{Job, SummarizeJob, Task, TranscribeJob};
use crate::limits::Limits;
use crate::media::{Frame, MediaInfo, Ratio};
use crate::prompt::{SummaryLength, SummaryTask};
use crate::report::Report;
use crate::sampling::{self, Sampling, SamplingSpec};
use crate::time::Timestamp;
use crate::transcript::Transcript;
use crate::video::index::FrameIndex;
use crate::video::{self, SizeLimit, TargetSize, VideoSource};

/// Decoded frames that wait for the iterator, 6 MB each at 1080p.
const FRAME_QUEUE: usize = 2;

/// A video whose frames can be read.
///
/// ```
/// use std::time::Duration;
/// use vidgist::{Sampling, Video};
///
/// for frame in Video::open("fixtures/talk.mp4")?.frames(Sampling::every(Duration::from_secs(5)))? {
///     let frame = frame?;
///     println!("{} {}x{}", frame.time, frame.width, frame.height);
/// }
/// # Ok::<(), vidgist::Error>(())
/// ```
pub struct Video {
    /// What the container holds.
    pub media: MediaInfo,
    source: VideoSource,
    max_width: Option<u32>,
}

impl Video {
    /// Opens a media file, a picture, or a folder or pattern of pictures. Blocks while the packets are scanned.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) without video; [`ErrorKind::Io`](crate::ErrorKind::Io)
    /// and [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) where it cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let (input, limits) = (text_of(path.as_ref()), Limits::default());
        let source = Source::identify(&input)?;
        let media = crate::pipeline::probe_source(&source, Ratio::ONE, &limits)?;
        let opened = VideoSource::open(&source, &media, video::DecoderBackend::Auto, &limits, None)?;
        let source = opened.ok_or_else(|| {
            Error::unsupported(&input, "has no video stream", "").with_code(crate::ErrorCode::NoVideo)
        })?;
        Ok(Self { media, source, max_width: None })
    }

    /// Scales frames down to this width in pixels, where they are wider. By default they keep their size.
    #[must_use]
    pub fn max_width(mut self, pixels: u32) -> Self {
        self.max_width = Some(pixels);
        self
    }

    /// The frames that are displayed at the sample points, in time order. A frame that is displayed at several points
    /// comes once. They are decoded on a thread of their own, which ends when the iterator is dropped.
    ///
    /// # Errors
    /// As the sampling: [`ErrorKind::Usage`](crate::ErrorKind::Usage) for methods that need a scan
    /// ([`Sampling::Scenes`], [`Sampling::Budget`]), which jobs offer.
    pub fn frames(mut self, sampling: Sampling) -> Result<Frames> {
        let limits = Limits::default();
        let options = SamplingSpec { sampling, start: None, end: None, max_frames: None };
        let plan = match (&options.sampling, &mut self.source) {
            (Sampling::Scenes | Sampling::Budget, _) => {
                let problem = "needs a scan of the whole video";
                return Err(Error::setting(crate::advice::Setting::Sampling, problem, "run a frames job"));
            }
            (Sampling::Keyframes, source) => {
                source.index_all()?;
                let index = source.index.as_ref().ok_or_else(|| {
                    Error::unsupported(&self.media.input, "has no index of keyframes", "sample it by interval")
                })?;
                sampling::keyframes(&options, index.range(), &index.keyframes(), &limits)?
            }
            (_, source) => sampling::plan(&options, source.index.as_ref().map(FrameIndex::range), &limits)?,
        };
        let target = TargetSize::Within(SizeLimit { max_width: self.max_width, max_edge: None });
        let (sender, receiver) = mpsc::sync_channel(FRAME_QUEUE);
        std::thread::spawn(move || {
            let read = || {
                let mut n_frames = 0;
                self.source.reader()?.read(&plan.moments(), target, &mut |mut frame| {
                    frame.frame_idx = n_frames;
                    n_frames += 1;
                    // The receiver is gone where the iterator was dropped.
                    sender.send(Ok(frame)).map_err(|_| Error::interrupted())
                })
            };
            match read() {
                Ok(outcome) => {
                    for missing in outcome.missing {
                        let problem = format!("the decoder returned no frame for {missing}");
                        let _ = sender.send(Err(Error::malformed(&self.media.input, problem, "")));
                    }
                }
                Err(error) => drop(sender.send(Err(error))),
            }
        });
        Ok(Frames { receiver })
    }
}

/// Frames as they are decoded: see [`Video::frames`]. A frame that is missing is an error; more frames may follow it.
pub struct Frames {
    receiver: mpsc::Receiver<Result<Frame>>,
}

impl Iterator for Frames {
    type Item = Result<Frame>;

    fn next(&mut self) -> Option<Self::Item> {
        self.receiver.recv().ok()
    }
}

/// A summary of a media file, a picture, or a folder of pictures. Without [`Summary::model`] and
/// [`Summary::base_url`] the built-in digest answers, and nothing leaves this machine.
///
/// ```
/// # async fn example() -> vidgist::Result<()> {
/// let report = vidgist::summarize("fixtures/talk.mp4").every(std::time::Duration::from_secs(5)).run().await?;
/// assert_eq!(report.frames.len(), 4);
/// println!("{}", vidgist::report::render(&report, vidgist::report::Format::Markdown)?);
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
/// ```
pub fn summarize(path: impl AsRef<Path>) -> Summary {
    let input = text_of(path.as_ref());
    Summary { job: SummarizeJob { input, ..SummarizeJob::default() }, secrets: Secrets::default() }
}

/// A summary that is being described: see [`summarize`].
#[must_use = "nothing happens before run()"]
pub struct Summary {
    job: SummarizeJob,
    secrets: Secrets,
}

impl Summary {
    /// The model: `openai:gpt-4o-mini`, or a name if [`Summary::base_url`] names the server.
    pub fn model(mut self, name: impl Into<String>) -> Self {
        self.job.model.name = Some(name.into());
        self
    }

    /// The address of an OpenAI-compatible server: `http://localhost:8080/v1`.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.job.model.base_url = Some(url.into());
        self
    }

    /// The API key of `OpenAI`, or of the server that [`Summary::base_url`] names.
    pub fn api_key(mut self, key: impl Into<SecretString>) -> Self {
        self.secrets = self.secrets.with_variable(KEY_VARIABLE, key);
        self
    }

    /// The time between frames; by default a second, and at most `4 * sqrt(seconds)` frames: see
    /// [`default_max_frames`](crate::sampling::default_max_frames).
    pub fn every(mut self, interval: Duration) -> Self {
        self.job.sampling.interval =
            Some(Timestamp::from_nanos(i64::try_from(interval.as_nanos()).unwrap_or(i64::MAX)));
        self
    }

    /// The most frames, spread over the whole source.
    pub fn max_frames(mut self, n: usize) -> Self {
        self.job.sampling.max_frames = Some(n);
        self
    }

    /// The task, in place of "write a summary".
    pub fn prompt(mut self, task: impl Into<String>) -> Self {
        self.job.prompt.task = Some(task.into());
        self
    }

    /// The built-in task; by default the main points.
    pub fn task(mut self, task: SummaryTask) -> Self {
        self.job.task = task;
        self
    }

    /// About how long the answer is.
    pub fn length(mut self, length: SummaryLength) -> Self {
        self.job.length = Some(length);
        self
    }

    /// The language of the answer, by name or code; by default that of the speech.
    pub fn output_language(mut self, language: impl Into<String>) -> Self {
        self.job.output_language = Some(language.into());
        self
    }

    /// A subtitle file with the transcript.
    pub fn transcript(mut self, file: impl Into<PathBuf>) -> Self {
        self.job.transcript.file = Some(file.into());
        self
    }

    /// Summarizes. A model that does not answer is no error: the report says why, and holds frames and transcript.
    ///
    /// # Errors
    /// As [`pipeline::summarize::run`](crate::pipeline::summarize::run).
    pub async fn run(self) -> Result<Report> {
        let engine = Engine::new(Config::default(), self.secrets);
        match engine.run(Job::new(Task::Summarize(self.job)), CancellationToken::new()).finish().await? {
            Outcome::Report(report) => Ok(*report),
            _ => Err(Error::internal("the job", "returned no report", "")),
        }
    }
}

/// The transcript of a media file: from subtitles beside it or in it, else from a transcription endpoint, else from
/// Whisper, where its model is set.
///
/// ```
/// # async fn example() -> vidgist::Result<()> {
/// let transcript = vidgist::transcribe("fixtures/talk.mp4").run().await?;
/// assert_eq!(transcript.segments.len(), 5);
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
/// ```
pub fn transcribe(path: impl AsRef<Path>) -> Transcription {
    let input = text_of(path.as_ref());
    let job = TranscribeJob { inputs: vec![input], ..TranscribeJob::default() };
    Transcription { job, config: Config::default(), secrets: Secrets::default() }
}

/// A transcript that is being described: see [`transcribe`].
#[must_use = "nothing happens before run()"]
pub struct Transcription {
    job: TranscribeJob,
    config: Config,
    secrets: Secrets,
}

impl Transcription {
    /// The language to prefer among subtitles and to expect in speech: `en`.
    pub fn language(mut self, tag: impl Into<String>) -> Self {
        self.job.transcript.language = Some(tag.into());
        self
    }

    /// A Whisper model: its file, with the voice activity model of `vidgist models pull` in `models_folder`.
    pub fn whisper(mut self, model: impl Into<String>, models_folder: impl Into<PathBuf>) -> Self {
        self.job.transcript.whisper_model = Some(model.into());
        self.config.models_folder = Some(models_folder.into());
        self
    }

    /// An OpenAI-compatible transcription endpoint, its model and its key.
    pub fn endpoint(
        mut self,
        base_url: impl Into<String>,
        model: impl Into<String>,
        key: Option<SecretString>,
    ) -> Self {
        self.job.transcript.stt_base_url = Some(base_url.into());
        self.job.transcript.stt_model = Some(model.into());
        if let Some(key) = key {
            self.secrets = self.secrets.with_variable(KEY_VARIABLE, key);
        }
        self
    }

    /// Transcribes. A transcript without segments means that no speech was detected.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) where there is no transcript and none can be made;
    /// else as the transcriber.
    pub async fn run(self) -> Result<Transcript> {
        let engine = Engine::new(self.config, self.secrets);
        match engine.run(Job::new(Task::Transcribe(self.job)), CancellationToken::new()).finish().await? {
            Outcome::Transcripts(mut result) if !result.files.is_empty() => Ok(result.files.swap_remove(0).transcript),
            _ => Err(Error::internal("the job", "returned no transcript", "")),
        }
    }
}
