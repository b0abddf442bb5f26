//! What a user can ask for, as data: a [`Job`] is written as TOML or JSON, names no engine, and holds no key.
//! Jobs get new fields: fill the rest of a struct with `..Default::default()`.
//!
//! ```
//! use vidgist::job::{Job, Task};
//!
//! let job = Job::from_toml("version = 1\n[task.summarize]\ninput = \"talk.mp4\"\n[task.summarize.sampling]\ninterval = \"5s\"")?;
//! let Task::Summarize(summarize) = &job.task else { panic!("another task") };
//! assert_eq!(summarize.input, "talk.mp4");
//! assert_eq!(Job::from_toml(&job.to_toml()?)?, job);
//! # Ok::<(), vidgist::Error>(())
//! ```

mod formats;
mod options;
mod text;

pub use self::text::parse_ratio;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use self::formats::{AudioFileFormat, CaptionFormat, ExistingCaptions, TranscriptFormat};
pub use self::options::{
    ImageOptions, ImageTransport, ModelOptions, ParamOptions, PromptOptions, SamplingMethod, SamplingOptions,
    ServerOptions, SpendOptions, TrackOptions, TranscriptChoice, TranscriptOptions,
};
use crate::error::{Error, Result};
use crate::prompt::{SummaryLength, SummaryTask};
use crate::report::Format;
use crate::time::Timestamp;

/// The version of the job format.
pub const VERSION: u32 = 1;

/// One job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// The version of the format: [`VERSION`].
    pub version: u32,
    /// Whether all work is done anew, instead of using results in the store.
    #[serde(default, skip_serializing_if = "text::is_default")]
    pub fresh: bool,
    /// The task.
    pub task: Task,
}

/// The task: a table named after the command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Task {
    /// Summarize a source.
    Summarize(SummarizeJob),
    /// Caption frames.
    Caption(CaptionJob),
    /// Write frames.
    Frames(FramesJob),
    /// Transcribe speech.
    Transcribe(TranscribeJob),
    /// Translate a transcript.
    Translate(TranslateJob),
    /// Write audio.
    Audio(AudioJob),
    /// Describe audio.
    DescribeAudio(DescribeJob),
}

/// A summary of one source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct SummarizeJob {
    /// A media file, a picture, a folder or pattern of pictures, an address, or `camera:0`.
    pub input: String,
    /// The files that continue `input` as one recording; empty joins the media files of the folder `input`. None reads
    /// `input` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub join: Option<Vec<String>>,
    /// Folder for the report, the frames and the transcript.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<PathBuf>,
    /// File for a copy of the input with the chapters of the report; its extension chooses the container. It must not exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embed_chapters: Option<PathBuf>,
    /// The format of the printed report.
    #[serde(skip_serializing_if = "text::is_default")]
    pub format: Format,
    /// Whether the report page plays the input, which must be one local file.
    #[serde(skip_serializing_if = "text::is_default")]
    pub link_media: bool,
    /// Whether the report page in the folder has its pictures inside; a printed page always has.
    #[serde(skip_serializing_if = "text::is_default")]
    pub inline_pictures: bool,
    /// How an image's address is sent.
    #[serde(skip_serializing_if = "text::is_default")]
    pub image_transport: ImageTransport,
    /// Which frames.
    #[serde(skip_serializing_if = "text::is_default")]
    pub sampling: SamplingOptions,
    /// How frames are encoded.
    #[serde(skip_serializing_if = "text::is_default")]
    pub images: ImageOptions,
    /// Which audio track.
    #[serde(skip_serializing_if = "text::is_default")]
    pub track: TrackOptions,
    /// Where the transcript comes from.
    #[serde(skip_serializing_if = "text::is_default")]
    pub transcript: TranscriptOptions,
    /// The built-in task; a task of the user's in `prompt` replaces it.
    #[serde(skip_serializing_if = "text::is_default")]
    pub task: SummaryTask,
    /// The question, for the task `qa`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// The labels to choose from, for the task `classify`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// The JSON Schema of the answer as JSON text, for the task `extract`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// About how long the answer is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<SummaryLength>,
    /// The language of the answer, by name or code; None takes that of the speech.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_language: Option<String>,
    /// What is to change in the stored answer to the same task about the same input: `shorter, name the speakers`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refine: Option<String>,
    /// Documents of the user as background for the answer: text, Markdown, JSON, HTML, PDF or Word (`.docx`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<PathBuf>,
    /// Whether the result is partial if a sentence of the answer is unsupported or cannot be checked.
    #[serde(skip_serializing_if = "text::is_default")]
    pub strict: bool,
    /// Whether the model is asked again about sentences of its answer, by what they cite alone.
    #[serde(skip_serializing_if = "text::is_default")]
    pub verify: bool,
    /// Frames that the model may ask to see while it answers, 0 to 200; None is 24 for the task `qa` and 0 for the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub look_frames: Option<u16>,
    /// The question.
    #[serde(skip_serializing_if = "text::is_default")]
    pub prompt: PromptOptions,
    /// The model.
    #[serde(skip_serializing_if = "text::is_default")]
    pub model: ModelOptions,
    /// The spending limits.
    #[serde(skip_serializing_if = "text::is_default")]
    pub spend: SpendOptions,
}

/// Captions of the frames of several inputs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct CaptionJob {
    /// Media files, pictures, and folders of them.
    pub inputs: Vec<String>,
    /// Whether the address of a playlist stands for its videos.
    #[serde(skip_serializing_if = "text::is_default")]
    pub playlist: bool,
    /// File for the captions; for texts a folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<PathBuf>,
    /// The format of the captions; None is JSON lines, and Markdown for a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<CaptionFormat>,
    /// Whether captions in the existing output are kept.
    #[serde(skip_serializing_if = "text::is_default")]
    pub resume: bool,
    /// What happens to captions in existing text files.
    #[serde(skip_serializing_if = "text::is_default")]
    pub existing: ExistingCaptions,
    /// Whether each caption is written beside its input, under the input's name.
    #[serde(skip_serializing_if = "text::is_default")]
    pub beside: bool,
    /// Frames that share one request; None is 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frames_per_request: Option<u16>,
    /// Whether the provider's batch API is used.
    #[serde(skip_serializing_if = "text::is_default")]
    pub batch: bool,
    /// Which frames of each input.
    #[serde(skip_serializing_if = "text::is_default")]
    pub sampling: SamplingOptions,
    /// How frames are encoded.
    #[serde(skip_serializing_if = "text::is_default")]
    pub images: ImageOptions,
    /// Which audio track.
    #[serde(skip_serializing_if = "text::is_default")]
    pub track: TrackOptions,
    /// Where transcripts come from.
    #[serde(skip_serializing_if = "text::is_default")]
    pub transcript: TranscriptOptions,
    /// The question.
    #[serde(skip_serializing_if = "text::is_default")]
    pub prompt: PromptOptions,
    /// The model.
    #[serde(skip_serializing_if = "text::is_default")]
    pub model: ModelOptions,
    /// The spending limits.
    #[serde(skip_serializing_if = "text::is_default")]
    pub spend: SpendOptions,
}

/// Frames of one source into a folder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FramesJob {
    /// As [`SummarizeJob::input`].
    pub input: String,
    /// The files that continue `input` as one recording; empty joins the media files of the folder `input`. None reads
    /// `input` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub join: Option<Vec<String>>,
    /// Folder for the frames and `frames.json`.
    pub output: PathBuf,
    /// Whether contact sheets are written too.
    #[serde(skip_serializing_if = "text::is_default")]
    pub contact_sheet: bool,
    /// Which frames.
    #[serde(skip_serializing_if = "text::is_default")]
    pub sampling: SamplingOptions,
    /// How frames are encoded.
    #[serde(skip_serializing_if = "text::is_default")]
    pub images: ImageOptions,
}

/// Transcripts of some files.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TranscribeJob {
    /// Media files.
    pub inputs: Vec<String>,
    /// Whether the address of a playlist stands for its videos.
    #[serde(skip_serializing_if = "text::is_default")]
    pub playlist: bool,
    /// Whether the inputs are one recording in several files.
    #[serde(skip_serializing_if = "text::is_default")]
    pub join: bool,
    /// File for the transcript; for several inputs a folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<PathBuf>,
    /// The format of the transcripts.
    #[serde(skip_serializing_if = "text::is_default")]
    pub format: TranscriptFormat,
    /// Which audio track.
    #[serde(skip_serializing_if = "text::is_default")]
    pub track: TrackOptions,
    /// Where the range starts.
    #[serde(with = "text::time", skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// Where the range ends; this time is not in it.
    #[serde(with = "text::time", skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    /// Where transcripts come from.
    #[serde(skip_serializing_if = "text::is_default")]
    pub transcript: TranscriptOptions,
    /// The server of the transcription endpoint, where the transcript options name none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Connection settings.
    #[serde(skip_serializing_if = "text::is_default")]
    pub server: ServerOptions,
}

/// A translation of the transcript of one source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TranslateJob {
    /// A media file, a subtitle file or an address.
    pub input: String,
    /// The files that continue `input` as one recording; empty joins the media files of the folder `input`. None reads
    /// `input` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub join: Option<Vec<String>>,
    /// The language of the translation: a code (`ko`, `pt-BR`), or in words (`Korean`).
    pub to: String,
    /// File for the translation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<PathBuf>,
    /// The format of the translation; None decides by the output's extension.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<TranscriptFormat>,
    /// Which audio track.
    #[serde(skip_serializing_if = "text::is_default")]
    pub track: TrackOptions,
    /// Where the range starts.
    #[serde(with = "text::time", skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// Where the range ends; this time is not in it.
    #[serde(with = "text::time", skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    /// Where the transcript comes from.
    #[serde(skip_serializing_if = "text::is_default")]
    pub transcript: TranscriptOptions,
    /// The model.
    #[serde(skip_serializing_if = "text::is_default")]
    pub model: ModelOptions,
    /// The spending limits.
    #[serde(skip_serializing_if = "text::is_default")]
    pub spend: SpendOptions,
}

/// Audio of one file into files.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AudioJob {
    /// A media file.
    pub input: String,
    /// The files that continue `input` as one recording; empty joins the media files of the folder `input`. None reads
    /// `input` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub join: Option<Vec<String>>,
    /// The file.
    pub output: PathBuf,
    /// The format; None decides by the output's extension.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<AudioFileFormat>,
    /// Samples per second; None keeps the stream's own rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_hz: Option<u32>,
    /// 1 or 2; None keeps the stream's own channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<u16>,
    /// Whether every audio track is written.
    #[serde(skip_serializing_if = "text::is_default")]
    pub all_tracks: bool,
    /// Which audio track.
    #[serde(skip_serializing_if = "text::is_default")]
    pub track: TrackOptions,
    /// Where the range starts.
    #[serde(with = "text::time", skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// Where the range ends; this time is not in it.
    #[serde(with = "text::time", skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
}

/// Descriptions of the audio of some files.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DescribeJob {
    /// Media files.
    pub inputs: Vec<String>,
    /// Whether the address of a playlist stands for its videos.
    #[serde(skip_serializing_if = "text::is_default")]
    pub playlist: bool,
    /// Whether the inputs are one recording in several files.
    #[serde(skip_serializing_if = "text::is_default")]
    pub join: bool,
    /// File for the descriptions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<PathBuf>,
    /// The format of the descriptions.
    #[serde(skip_serializing_if = "text::is_default")]
    pub format: Format,
    /// PNG file of the level over time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waveform: Option<PathBuf>,
    /// PNG file of the level over time and frequency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spectrogram: Option<PathBuf>,
    /// Whether the model is sent the audio.
    #[serde(skip_serializing_if = "text::is_default")]
    pub send_audio: bool,
    /// Which audio track.
    #[serde(skip_serializing_if = "text::is_default")]
    pub track: TrackOptions,
    /// Where the range starts.
    #[serde(with = "text::time", skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// Where the range ends; this time is not in it.
    #[serde(with = "text::time", skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    /// Where transcripts come from.
    #[serde(skip_serializing_if = "text::is_default")]
    pub transcript: TranscriptOptions,
    /// The model.
    #[serde(skip_serializing_if = "text::is_default")]
    pub model: ModelOptions,
}

impl CaptionJob {
    /// The format of the captions: [`CaptionJob::format`], or the default.
    #[must_use]
    pub fn row_format(&self) -> CaptionFormat {
        self.format.unwrap_or(if self.beside { CaptionFormat::Txt } else { CaptionFormat::Jsonl })
    }
}

impl TranslateJob {
    /// The format of the translation: [`TranslateJob::format`], or that of the output's extension, or `SubRip`.
    #[must_use]
    pub fn output_format(&self) -> TranscriptFormat {
        let extension = self.output.as_deref().and_then(Path::extension).unwrap_or_default().to_ascii_lowercase();
        self.format.unwrap_or(match extension.to_str() {
            Some("vtt") => TranscriptFormat::Vtt,
            Some("txt") => TranscriptFormat::Txt,
            Some("md") => TranscriptFormat::Md,
            Some("json") => TranscriptFormat::Json,
            _ => TranscriptFormat::Srt,
        })
    }
}

impl Job {
    /// A job of the current version.
    #[must_use]
    pub fn new(task: Task) -> Self {
        Self { version: VERSION, fresh: false, task }
    }

    /// Reads TOML.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where it is not a job, has an unknown key, or is of another version.
    pub fn from_toml(text: &str) -> Result<Self> {
        let job: Self = toml::from_str(text).map_err(|error| {
            let line = |start: usize| text.bytes().take(start).filter(|b| *b == b'\n').count() + 1;
            let place = error.span().map_or(String::new(), |span| format!("line {}: ", line(span.start)));
            Error::usage("the job", format!("{place}{}", error.message()), "see docs/jobs.md")
        })?;
        job.checked()
    }

    /// Reads JSON.
    ///
    /// # Errors
    /// As [`Job::from_toml`].
    pub fn from_json(text: &str) -> Result<Self> {
        let job: Self = serde_json::from_str(text)
            .map_err(|error| Error::usage("the job", error.to_string(), "see docs/jobs.md"))?;
        job.checked()
    }

    /// Writes TOML.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) where a value cannot be written, such as a path that is not
    /// UTF-8.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|error| Error::internal("the job", error.to_string(), "rename the file"))
    }

    fn checked(self) -> Result<Self> {
        if self.version == VERSION {
            return Ok(self);
        }
        let problem = format!("has version {}, but this vidgist reads version {VERSION}", self.version);
        Err(Error::usage("the job", problem, "write it again with this version, or update vidgist"))
    }
}
