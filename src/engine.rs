//! From a job, a configuration and secrets to live readers, transcribers and models, and to a running job.

mod config;
mod keys;
mod models;
mod options;
mod outcome;
mod secrets;
mod summary_task;
mod transcribers;

use std::sync::Arc;

use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

pub use self::config::{Config, FramesConfig, TranscriptionConfig};
pub use self::keys::KEY_VARIABLE;
pub use self::models::{BUILT_IN, ModelChoice};
pub use self::outcome::Outcome;
pub use self::secrets::{KeyOwner, Secrets};
use crate::advice::{Advice, Setting};
use crate::analyze::{Analysis, Answerer};
use crate::blocking::run_blocking;
use crate::error::{Error, ErrorCode, Result};
use crate::input::path_of;
use crate::job::{
    AudioJob, CaptionJob, DescribeJob, FramesJob, Job, ModelOptions, SummarizeJob, Task, TrackOptions, TranscribeJob,
    TranscriptOptions, TranslateJob,
};
use crate::limits::Limits;
use crate::media::{MediaInfo, Ratio};
use crate::pipeline::audio::ExtractAudio;
use crate::pipeline::caption::Captions;
use crate::pipeline::describe_audio::DescribeAudio;
use crate::pipeline::frames::ExtractFrames;
use crate::pipeline::summarize::Summarize;
use crate::pipeline::transcribe::Transcribe;
use crate::pipeline::translate::{TargetLanguage, Translate, is_subtitle_file};
use crate::pipeline::{self, Context, Run, TrackChoice};
use crate::prompt::{CaptionPrompt, PromptSpec};
use crate::report::Format;
use crate::source::site::SiteAccess;
use crate::store::StoreAccess;
use crate::time::TimeBounds;
use keys::Keys;
use models::{ModelSelector, model_advice};
use transcribers::Endpoint;

/// Runs jobs. Cloning shares the configuration and the secrets.
#[derive(Clone)]
pub struct Engine {
    config: Arc<Config>,
    secrets: Secrets,
}

impl Engine {
    /// Reads nothing and connects to nothing.
    #[must_use]
    pub fn new(config: Config, secrets: Secrets) -> Self {
        Self { config: Arc::new(config), secrets }
    }

    /// Starts a job on the current tokio runtime. The result comes from [`Run::finish`].
    #[must_use]
    pub fn run(&self, job: Job, cancel: CancellationToken) -> Run<Outcome> {
        let engine = self.clone();
        pipeline::start(cancel, move |context| async move {
            let store = StoreAccess::new(engine.config.store.clone(), job.fresh);
            let context = Context { sites: engine.sites(), store, ..context };
            Box::pin(engine.work(job.task, context)).await
        })
    }

    async fn work(&self, task: Task, context: Context) -> Result<Outcome> {
        match task {
            Task::Summarize(job) => {
                let task = context.unless_cancelled(self.summarize(job)).await?;
                Ok(Outcome::Report(Box::new(Box::pin(pipeline::summarize::run(task, context)).await?)))
            }
            Task::Caption(job) => {
                let task = context.unless_cancelled(self.caption(job)).await?;
                Ok(Outcome::Captions(pipeline::caption::run(task, context).await?))
            }
            Task::Frames(job) => {
                let task = self.frames(job)?;
                Ok(Outcome::Report(Box::new(Box::pin(pipeline::frames::run(task, context)).await?)))
            }
            Task::Transcribe(job) => {
                let task = context.unless_cancelled(self.transcribe(job)).await?;
                Ok(Outcome::Transcripts(pipeline::transcribe::run(task, context).await?))
            }
            Task::Translate(job) => {
                let task = context.unless_cancelled(self.translate(job)).await?;
                Ok(Outcome::Translation(Box::new(Box::pin(pipeline::translate::run(task, context)).await?)))
            }
            Task::Audio(job) => Ok(Outcome::Audio(pipeline::audio::run(extract_audio(job), context).await?)),
            Task::DescribeAudio(job) => {
                let task = context.unless_cancelled(self.describe_audio(job)).await?;
                Ok(Outcome::Descriptions(pipeline::describe_audio::run(task, context).await?))
            }
        }
    }

    /// The facts of any input, as `vidgist probe` shows them. Of an address, the facts that its site states. `join` is as for
    /// [`identify`](pipeline::identify).
    ///
    /// # Errors
    /// As [`identify`](pipeline::identify), [`probe_source`](pipeline::probe_source) and
    /// [`recognize`](crate::source::site::recognize).
    pub async fn probe(&self, input: &str, join: Option<&[String]>) -> Result<MediaInfo> {
        let source = pipeline::identify(input, join)?;
        match pipeline::probe_site(&source, &self.sites()).await? {
            Some(info) => Ok(info),
            None => run_blocking(move || pipeline::probe_source(&source, Ratio::ONE, &Limits::default())).await,
        }
    }

    fn sites(&self) -> SiteAccess {
        SiteAccess {
            ytdlp_args: self.config.ytdlp_args.clone(),
            ca_file: self.config.ca_file.clone(),
            ..SiteAccess::default()
        }
    }

    /// Chooses the server and the model without connecting. The job has precedence over variables, and variables over
    /// the configuration.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) if a required key or address is missing.
    pub async fn choose_model(&self, job: &ModelOptions) -> Result<ModelChoice> {
        self.models().choose(job, false).await
    }

    fn models(&self) -> ModelSelector<'_> {
        ModelSelector { config: &self.config, secrets: &self.secrets }
    }

    /// The key of the transcription endpoint; None if no endpoint is used or no key is set.
    async fn endpoint_key(&self, options: &TranscriptOptions) -> Result<Option<SecretString>> {
        let uses_endpoint = options.stt_model.is_some() || self.config.transcription.model.is_some();
        let keys = Keys { config: &self.config, secrets: &self.secrets };
        if uses_endpoint { keys.default_key().await } else { Ok(None) }
    }

    async fn summarize(&self, job: SummarizeJob) -> Result<Summarize> {
        let dry_run = options::dry_run(&job.spend)?;
        let source = pipeline::identify(&job.input, job.join.as_deref())?;
        let page = options::page(&job, &source, dry_run.is_some())?;
        let options = options::frames(&job.sampling, &job.images, &self.config, options::SUMMARIZE)?;
        let spend_limit = options::spend_limit(&job.spend)?;
        let answerer = self.models().answerer(&job.model, dry_run.is_some()).await?;
        let is_digest = answerer.chat_model().is_none();
        let (prompt, data) = summary_task::prompt(&job, is_digest)?;
        let look_frames = summary_task::look_frames(&job)?;
        if let Some(url) = &prompt.image_url {
            if !(url.starts_with("https://") || url.starts_with("http://")) {
                let problem = "is not the http(s) address of a picture, so it cannot be sent as an address";
                return Err(Error::usage(url, problem, Advice::Unset(Setting::ImageTransport)));
            }
            if is_digest {
                let problem = "an address can be sent to a language model only";
                return Err(Error::setting(Setting::ImageTransport, problem, model_advice()));
            }
        }
        let documents = job.context;
        let context = run_blocking(move || options::context(&documents)).await?;
        let endpoint = Endpoint {
            base_url: job.model.base_url.clone(),
            server: job.model.server.clone(),
            is_dry: dry_run.is_some(),
        };
        let bounds = TimeBounds { start: job.sampling.start, end: job.sampling.end };
        let transcript = self.transcript(&job.transcript, &endpoint, job.track, bounds).await?;
        let analysis = Analysis {
            prompt: PromptSpec { context, ..prompt },
            data,
            refine: job.refine,
            is_streamed: job.model.stream.unwrap_or(self.config.streams),
            concurrency: options::concurrency(&job.model.server, &self.config),
            spend_limit,
            verifies: job.verify,
            is_strict: job.strict,
            look_frames,
            ..Analysis::new(answerer)
        };
        Ok(Summarize {
            source,
            options,
            transcript,
            analysis,
            dry_run,
            output: job.output,
            embed_chapters: job.embed_chapters,
            page,
            returns_page: job.format == Format::Html,
        })
    }

    async fn caption(&self, job: CaptionJob) -> Result<Captions> {
        let dry_run = options::dry_run(&job.spend)?;
        let Answerer::Chat(model) = self.models().answerer(&job.model, dry_run.is_some()).await? else {
            let problem = "captions need a vision model, and the built-in digest is none";
            return Err(Error::setting(Setting::Model, problem, model_advice()).with_code(ErrorCode::MissingKey));
        };
        let endpoint = Endpoint {
            base_url: job.model.base_url.clone(),
            server: job.model.server.clone(),
            is_dry: dry_run.is_some(),
        };
        let bounds = TimeBounds { start: job.sampling.start, end: job.sampling.end };
        Ok(Captions {
            format: job.row_format(),
            inputs: job.inputs,
            playlist: job.playlist,
            options: options::frames(&job.sampling, &job.images, &self.config, options::CAPTION)?,
            transcript: self.transcript(&job.transcript, &endpoint, job.track, bounds).await?,
            model,
            prompt: CaptionPrompt { system: job.prompt.system, task: job.prompt.task },
            frames_per_request: job.frames_per_request.map_or(1, usize::from),
            concurrency: options::concurrency(&job.model.server, &self.config),
            spend_limit: options::spend_limit(&job.spend)?,
            dry_run,
            is_batch: job.batch,
            output: job.output,
            resume: job.resume,
            existing: job.existing,
            beside: job.beside,
        })
    }

    fn frames(&self, job: FramesJob) -> Result<ExtractFrames> {
        Ok(ExtractFrames {
            source: pipeline::identify(&job.input, job.join.as_deref())?,
            options: options::frames(&job.sampling, &job.images, &self.config, options::FRAMES)?,
            contact_sheets: job.contact_sheet,
            output: job.output,
        })
    }

    async fn transcribe(&self, job: TranscribeJob) -> Result<Transcribe> {
        let endpoint = Endpoint { base_url: job.base_url, server: job.server, is_dry: false };
        let bounds = TimeBounds { start: job.start, end: job.end };
        Ok(Transcribe {
            inputs: job.inputs,
            playlist: job.playlist,
            is_joined: job.join,
            transcript: pipeline::TranscriptSearch {
                is_required: true,
                ..self.transcript(&job.transcript, &endpoint, job.track, bounds).await?
            },
            format: job.format,
            output: job.output,
        })
    }

    async fn translate(&self, job: TranslateJob) -> Result<Translate> {
        let target = TargetLanguage::parse(&job.to)?;
        let dry_run = options::dry_run(&job.spend)?;
        let Answerer::Chat(model) = self.models().answerer(&job.model, dry_run.is_some()).await? else {
            let problem = "a translation needs a language model, and the built-in digest is none";
            return Err(Error::setting(Setting::Model, problem, model_advice()).with_code(ErrorCode::MissingKey));
        };
        let endpoint = Endpoint {
            base_url: job.model.base_url.clone(),
            server: job.model.server.clone(),
            is_dry: dry_run.is_some(),
        };
        let bounds = TimeBounds { start: job.start, end: job.end };
        let is_subtitle_file = job.join.is_none() && job.transcript.file.is_none() && is_subtitle_file(&job.input);
        let mut transcript = job.transcript.clone();
        if is_subtitle_file {
            transcript.file = Some(path_of(&job.input));
        }
        let search = self.transcript(&transcript, &endpoint, job.track.clone(), bounds).await?;
        if search.transcribers.is_empty() {
            let problem = "with none, there is nothing to translate";
            return Err(Error::setting(Setting::Stt, problem, Advice::Unset(Setting::Stt)));
        }
        Ok(Translate {
            format: job.output_format(),
            input: job.input,
            join: job.join,
            is_subtitle_file,
            target,
            transcript: pipeline::TranscriptSearch { is_required: true, ..search },
            model,
            concurrency: options::concurrency(&job.model.server, &self.config),
            spend_limit: options::spend_limit(&job.spend)?,
            dry_run,
            output: job.output,
        })
    }

    async fn describe_audio(&self, job: DescribeJob) -> Result<DescribeAudio> {
        let endpoint =
            Endpoint { base_url: job.model.base_url.clone(), server: job.model.server.clone(), is_dry: false };
        let bounds = TimeBounds { start: job.start, end: job.end };
        if job.format == Format::Html {
            let problem = "a description of audio is written as Markdown or JSON";
            return Err(Error::setting(Setting::OutputFormat, problem, Advice::Unset(Setting::OutputFormat)));
        }
        Ok(DescribeAudio {
            model: self.models().answerer(&job.model, false).await?.chat_model().cloned(),
            transcript: self.transcript(&job.transcript, &endpoint, job.track, bounds).await?,
            inputs: job.inputs,
            playlist: job.playlist,
            is_joined: job.join,
            send_audio: job.send_audio,
            waveform: job.waveform,
            spectrogram: job.spectrogram,
        })
    }

    async fn transcript(
        &self,
        options: &TranscriptOptions,
        endpoint: &Endpoint,
        track_options: TrackOptions,
        bounds: TimeBounds,
    ) -> Result<pipeline::TranscriptSearch> {
        let key = if endpoint.is_dry { None } else { self.endpoint_key(options).await? };
        let transcribers = transcribers::transcribers(options, endpoint, key, &self.config)?;
        let is_required = options.file.is_some();
        Ok(pipeline::TranscriptSearch { transcribers, track: track(track_options), bounds, is_required })
    }
}

fn extract_audio(job: AudioJob) -> ExtractAudio {
    ExtractAudio {
        input: job.input,
        join: job.join,
        track: track(job.track),
        bounds: TimeBounds { start: job.start, end: job.end },
        all_tracks: job.all_tracks,
        rate_hz: job.rate_hz,
        channels: job.channels,
        format: job.format,
        output: job.output,
    }
}

fn track(options: TrackOptions) -> TrackChoice {
    TrackChoice { number: options.number, language: options.language }
}
