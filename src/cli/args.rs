//! The command line.

mod ask;
mod caption;
mod inspect;
mod join;
mod requests;
mod sampling;
mod store;
mod task;
mod transcript;
mod translate;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use vidgist::time::Timestamp;
use vidgist::transcribe::whisper::models::ModelHub;

use super::input_parser::input_parser;
pub use ask::AskArgs;
pub use caption::{CaptionArgs, CaptionFormatArg, ExistingCaptionsArg};
pub use inspect::{DoctorArgs, ProbeArgs};
pub use join::{JoinArgs, JoinInputsArgs};
pub use requests::RequestArgs;
use requests::{PLAN_EXAMPLES, SUMMARIZE_EXAMPLES};
pub use sampling::{DecoderChoice, SamplingArgs, SamplingMethodArg};
pub use store::{StoreAction, StoreArgs, parse_size};
pub use task::{AnswerArgs, TaskArg, TaskArgs};
pub use transcript::{ChannelsArg, Stt, TranscriptArgs};
pub use translate::TranslateArgs;

const EXAMPLES: &str = "\
Examples:
  vidgist summarize talk.mp4                       a summary on stdout
  vidgist summarize talk.mp4 -o talk/              report, frames and transcript in a folder
  vidgist summarize talk.mp4 --prompt 'List every slide with its time'
  vidgist summarize talk.mp4 --base-url http://localhost:11434/v1 --model qwen2.5vl
  vidgist ask talk.mp4 'Who resigned, and when?'
  vidgist frames talk.mp4 --interval 5s -o frames/ one image every five seconds
  vidgist audio talk.mp4 -o talk.wav --rate 16000 --channels 1
  vidgist describe-audio talk.mp4                  loudness, silences, speech, music
  vidgist transcribe talk.mp4 --format srt
  vidgist translate talk.srt --to ko -o talk.ko.srt
  vidgist doctor                                   check the installation and the model

API keys come from the provider's variable (OPENAI_API_KEY) or from api_key_command in the
configuration. Without a key, --base-url and --stt-model, nothing leaves this machine.";

/// Turn video and audio into text: summaries, captions, transcripts, descriptions.
#[derive(Debug, Parser)]
#[command(name = "vidgist", version, after_help = EXAMPLES, max_term_width = 110, arg_required_else_help = true)]
pub struct Cli {
    /// Print only results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Print more details: -v for decisions, -vv for every step
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Configuration file to use instead of the user's
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub config: Option<PathBuf>,
    /// Print the job as TOML for `vidgist run`, and exit
    #[arg(long, global = true, hide_short_help = true)]
    pub print_job: bool,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Summarize a video, a recording, an image or a folder of images
    #[command(after_help = SUMMARIZE_EXAMPLES)]
    Summarize(Box<SummarizeArgs>),
    /// Estimate the requests and the cost of summarize without sending anything
    #[command(after_help = PLAN_EXAMPLES)]
    Plan(Box<SummarizeArgs>),
    /// Answer a question about a video, a recording, an image or a folder of images
    // The answer is one, and short.
    #[command(mut_arg("stream", |arg| arg.hide(true)), mut_arg("n", |arg| arg.hide(true)))]
    Ask(Box<AskArgs>),
    /// Caption the frames of videos and images
    // Captions are not streamed, and there is one per frame.
    #[command(mut_arg("stream", |arg| arg.hide(true)), mut_arg("n", |arg| arg.hide(true)))]
    Caption(Box<CaptionArgs>),
    /// Write the frames of a video as image files
    Frames(FramesArgs),
    /// Extract the audio track as a WAV or FLAC file
    Audio(AudioArgs),
    /// Describe audio: loudness, silences, speech, music
    #[command(visible_alias = "listen")]
    DescribeAudio(Box<DescribeArgs>),
    /// Transcribe speech with times
    Transcribe(TranscribeArgs),
    /// Translate subtitles or a transcript into another language
    // Translations are not streamed, and there is one per cue.
    #[command(mut_arg("stream", |arg| arg.hide(true)), mut_arg("n", |arg| arg.hide(true)))]
    Translate(Box<TranslateArgs>),
    /// Run a job file written by --print-job
    Run {
        /// The job, as TOML or, if its name ends in .json, as JSON
        job: PathBuf,
    },
    /// Show the streams and metadata of a file
    Probe(ProbeArgs),
    /// List models; download or remove local speech models
    Models {
        #[command(subcommand)]
        action: Option<ModelsAction>,
    },
    /// List, check and remove the results that earlier runs kept
    Store {
        #[command(subcommand)]
        action: Option<StoreAction>,
    },
    /// Check the installation, the configuration and the model
    Doctor(DoctorArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub struct SummarizeArgs {
    /// A media file, an image, a folder or pattern of images, a URL such as rtsp://…, camera:0, or - for stdin
    #[arg(value_parser = input_parser())]
    pub input: String,
    #[command(flatten)]
    pub evidence: EvidenceArgs,
    #[command(flatten)]
    pub task: TaskArgs,
    #[command(flatten)]
    pub prompt: PromptArgs,
    #[command(flatten)]
    pub model: ModelArgs,
    /// How images are sent to the model
    #[arg(long, value_name = "TRANSPORT", default_value = "data", hide_short_help = true, help_heading = "Model")]
    pub image_transport: ImageTransportArg,
    #[command(flatten)]
    pub requests: RequestArgs,
    #[command(flatten)]
    pub report: ReportArgs,
    /// Also copy the file, with the chapters of the report, to a new .mp4, .m4a, .m4v, .mov, .mkv, .mka or .webm file,
    /// without re-encoding
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub embed_chapters: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct ReportArgs {
    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "markdown")]
    pub format: ReportFormat,
    /// Folder for report.md, report.html, report.json, frames/, transcript.srt and chapters
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Play the input in the report page: each time becomes a link into it. The input must be one local file
    #[arg(long)]
    pub link_media: bool,
    /// Put the pictures into report.html instead of linking the files in frames/
    #[arg(long)]
    pub inline_pictures: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ReportFormat {
    /// For people
    Markdown,
    /// For programs; see docs/output.md
    Json,
    /// For a browser: one page with its pictures inside
    Html,
}

/// What is read of one recording.
#[derive(Debug, Args)]
pub struct EvidenceArgs {
    #[command(flatten)]
    pub join: JoinArgs,
    #[command(flatten)]
    pub sampling: SamplingArgs,
    #[command(flatten)]
    pub images: ImageArgs,
    #[command(flatten)]
    pub track: TrackArgs,
    #[command(flatten)]
    pub transcript: TranscriptArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Images")]
pub struct ImageArgs {
    /// Maximum width in pixels; images are never enlarged [default: 768]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(16..=16_383))]
    pub max_width: Option<u32>,
    /// Maximum length of the longer side in pixels, instead of the default maximum width
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(16..=16_383))]
    pub max_edge: Option<u32>,
    /// JPEG and WebP quality, 1 to 100 [default: 85]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=100))]
    pub jpeg_quality: Option<u8>,
    /// Image format [default: jpeg]
    #[arg(long, value_name = "FORMAT")]
    pub image_format: Option<ImageFormatArg>,
}

#[derive(Clone, Copy, Debug, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageFormatArg {
    Jpeg,
    Png,
    Webp,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Prompt")]
pub struct PromptArgs {
    /// Task for the model, instead of the built-in one
    #[arg(long, value_name = "TEXT", conflicts_with = "prompt_file")]
    pub prompt: Option<String>,
    /// File with the task
    #[arg(long, value_name = "FILE")]
    pub prompt_file: Option<PathBuf>,
    /// System message, instead of the built-in one
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Model")]
pub struct ModelArgs {
    /// Model, with its provider unless --base-url is set (openai:gpt-4o, ollama:qwen2.5vl), or "built-in" for the
    /// extractive digest, which needs no network
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// URL of an OpenAI-compatible server, such as `http://localhost:8080/v1`
    #[arg(long, value_name = "URL", env = "OPENAI_BASE_URL", hide_env_values = true)]
    pub base_url: Option<String>,
    /// Sampling temperature. This and the next parameters are sent only if set, because many models reject them
    #[arg(long, value_name = "0..2")]
    pub temperature: Option<f64>,
    /// Maximum number of tokens of the answer
    #[arg(long, value_name = "N")]
    pub max_tokens: Option<u32>,
    /// Nucleus sampling
    #[arg(long, value_name = "0..1")]
    pub top_p: Option<f64>,
    /// Number of alternative answers
    #[arg(long, value_name = "N")]
    pub n: Option<u32>,
    /// Stop sequence; up to 4
    #[arg(long, value_name = "TEXT")]
    pub stop: Vec<String>,
    /// Seed for repeatable sampling
    #[arg(long, value_name = "N")]
    pub seed: Option<i64>,
    /// Image detail
    #[arg(long, value_name = "DETAIL")]
    pub detail: Option<DetailChoice>,
    /// Reasoning effort: none, minimal, low, medium, high, xhigh, max
    #[arg(long, value_name = "EFFORT")]
    pub reasoning_effort: Option<String>,
    /// Fail if the model does not support one of these parameters, instead of not sending it
    #[arg(long)]
    pub strict_params: bool,
    /// Stream the answer [default: if stderr is a terminal, where progress is shown]
    #[arg(long, value_name = "WHEN", default_value = "auto", hide_default_value = true, num_args = 0..=1,
        default_missing_value = "always", require_equals = true)]
    pub stream: StreamChoice,
    #[command(flatten)]
    pub server: ServerArgs,
}

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Server")]
pub struct ServerArgs {
    /// Timeout of one attempt [default: 10m]
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<Timestamp>,
    /// Timeout of a request over all attempts [default: 10m, or --timeout if longer]
    #[arg(long, value_name = "TIME")]
    pub total_timeout: Option<Timestamp>,
    /// Concurrent requests; reduced while the server is overloaded [default: 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub concurrency: Option<u16>,
    /// Maximum requests per minute [default: as the server reports]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_requests_per_minute: Option<u32>,
    /// Maximum tokens per minute [default: as the server reports]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_tokens_per_minute: Option<u64>,
    /// PEM certificates to trust in addition to the system's
    #[arg(long, value_name = "FILE.pem")]
    pub ca_file: Option<PathBuf>,
    /// Send the key to another machine over http:// too: anyone on the network can read it
    #[arg(long, hide_short_help = true)]
    pub send_key_unencrypted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DetailChoice {
    /// Low resolution, few tokens
    Low,
    /// High resolution
    High,
    /// The provider's choice
    Auto,
    /// Original resolution
    Original,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StreamChoice {
    /// If stderr is a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ImageTransportArg {
    /// As Base64 data URLs
    Data,
    /// As the URL that is the input
    Url,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  vidgist frames talk.mp4 -o frames/
  vidgist frames talk.mp4 --at 12s,1:04 --image-format png -o stills/
  vidgist frames film.mkv --sampling scene --contact-sheet -o shots/
  vidgist frames talk.mp4 --sampling budget --max-frames 40 --dedup -o slides/
  vidgist frames camera:0 --interval 1s --max-frames 10 -o cam/")]
pub struct FramesArgs {
    /// A media file, an image, a folder or pattern of images, a URL such as rtsp://…, camera:0, or - for stdin
    #[arg(value_parser = input_parser())]
    pub input: String,
    #[command(flatten)]
    pub join: JoinArgs,
    #[command(flatten)]
    pub sampling: SamplingArgs,
    #[command(flatten)]
    pub images: ImageArgs,
    /// Also write contact sheets: contact-sheet-01.jpg and so on
    #[arg(long, help_heading = "Output")]
    pub contact_sheet: bool,
    /// Folder for the images and frames.json
    #[arg(short, long, value_name = "DIR", help_heading = "Output")]
    pub output: PathBuf,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  vidgist audio talk.mp4 -o talk.wav
  vidgist audio talk.mkv --rate 16000 --channels 1 -o speech.wav
  vidgist audio film.mkv --audio-language fr -o film.flac
  vidgist audio film.mkv --all-tracks -o film.wav    film.1.wav, film.2.wav and so on")]
pub struct AudioArgs {
    /// A media file, or - for stdin
    #[arg(value_parser = input_parser())]
    pub input: String,
    #[command(flatten)]
    pub join: JoinArgs,
    #[command(flatten)]
    pub track: TrackArgs,
    #[command(flatten)]
    pub range: RangeArgs,
    /// Extract every audio track, each to a file with its number before the extension
    #[arg(long, conflicts_with_all = ["track", "audio_language"], help_heading = "Track")]
    pub all_tracks: bool,
    /// Sample rate [default: as stored]
    #[arg(long, value_name = "HZ", help_heading = "Output",
        value_parser = clap::value_parser!(u32).range(1000..=768_000))]
    pub rate: Option<u32>,
    /// Number of channels, 1 or 2 [default: as stored]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=2), help_heading = "Output")]
    pub channels: Option<u16>,
    /// File format, 16 bits per sample [default: flac if the name ends in .flac, otherwise wav]
    #[arg(long, value_name = "FORMAT", help_heading = "Output")]
    pub format: Option<SoundFileFormat>,
    /// Output file
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub output: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum SoundFileFormat {
    /// Uncompressed; RF64 above 4 GiB
    Wav,
    /// Lossless compression, up to 8 channels
    Flac,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Track")]
pub struct TrackArgs {
    /// Audio track number, from 1 [default: the one marked default, otherwise the first]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), conflicts_with = "audio_language")]
    pub track: Option<u16>,
    /// Audio track with this language tag: en, fr
    #[arg(long, value_name = "CODE")]
    pub audio_language: Option<String>,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Range")]
pub struct RangeArgs {
    /// Start time: 90s, 1:30, 01:02:03.5
    #[arg(long, value_name = "TIME")]
    pub start: Option<Timestamp>,
    /// End time, exclusive
    #[arg(long, value_name = "TIME")]
    pub end: Option<Timestamp>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  vidgist describe-audio talk.mp4
  vidgist describe-audio talk.mp4 --model gpt-audio --send-audio
  vidgist describe-audio talk.mp4 --waveform talk.png --spectrogram talk-spectrum.png
  vidgist describe-audio *.mp3 --format json | jq '.[].sound.loudness_lufs'")]
pub struct DescribeArgs {
    /// Media files, or - for stdin
    #[arg(required = true, value_name = "INPUT", value_parser = input_parser())]
    pub inputs: Vec<String>,
    /// Take the URL of a playlist for all of its videos
    #[arg(long)]
    pub playlist: bool,
    #[command(flatten)]
    pub join: JoinInputsArgs,
    #[command(flatten)]
    pub track: TrackArgs,
    #[command(flatten)]
    pub range: RangeArgs,
    #[command(flatten)]
    pub transcript: TranscriptArgs,
    #[command(flatten)]
    pub model: ModelArgs,
    /// Send the audio to the model, at most its first five minutes, as 16 kHz mono; few models support audio
    #[arg(long, help_heading = "Model")]
    pub send_audio: bool,
    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "markdown", help_heading = "Output")]
    pub format: DescriptionFormat,
    /// Write a waveform to this PNG file
    #[arg(long, value_name = "FILE.png", help_heading = "Output")]
    pub waveform: Option<PathBuf>,
    /// Write a spectrogram to this PNG file
    #[arg(long, value_name = "FILE.png", help_heading = "Output")]
    pub spectrogram: Option<PathBuf>,
    /// Output file [default: stdout]
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum DescriptionFormat {
    /// For people
    Markdown,
    /// For programs: an array with one object per file
    Json,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  vidgist transcribe talk.mp4 --format vtt -o talk.vtt
  vidgist transcribe talk.mp4 --stt whisper --language de --translate
  vidgist transcribe *.mp3 --format txt -o texts/
  vidgist transcribe talk.mp4 --stt-model whisper-1")]
pub struct TranscribeArgs {
    /// Media files, or - for stdin
    #[arg(required = true, value_name = "INPUT", value_parser = input_parser())]
    pub inputs: Vec<String>,
    /// Take the URL of a playlist for all of its videos
    #[arg(long)]
    pub playlist: bool,
    #[command(flatten)]
    pub join: JoinInputsArgs,
    #[command(flatten)]
    pub track: TrackArgs,
    #[command(flatten)]
    pub range: RangeArgs,
    #[command(flatten)]
    pub transcript: TranscriptArgs,
    /// URL of an OpenAI-compatible server
    #[arg(long, value_name = "URL", env = "OPENAI_BASE_URL", hide_env_values = true, help_heading = "Transcript")]
    pub base_url: Option<String>,
    #[command(flatten)]
    pub server: ServerArgs,
    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "srt", help_heading = "Output")]
    pub format: TranscriptFormatArg,
    /// Output file, or folder for several inputs [default: stdout]
    #[arg(short, long, value_name = "FILE|DIR", help_heading = "Output")]
    pub output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum TranscriptFormatArg {
    /// SubRip
    Srt,
    /// WebVTT
    Vtt,
    /// Text only
    Txt,
    /// Markdown: each segment with its time
    Md,
    /// For programs: segments, words, confidence, language, source
    Json,
}

#[derive(Debug, Subcommand)]
pub enum ModelsAction {
    /// List speech models and providers of chat models
    List,
    /// Download speech models and the voice activity detector that they need
    Pull {
        /// Models: tiny.en, tiny, base, small, large-v3-turbo [default: base]
        names: Vec<String>,
        /// URL of the model hub or of a mirror
        #[arg(long, value_name = "URL", env = "HF_ENDPOINT", default_value = ModelHub::PUBLIC)]
        hub: String,
    },
    /// Print the path of a model's file
    Path {
        /// The model [default: base]
        name: Option<String>,
    },
    /// Remove downloaded models
    Remove {
        /// The models
        #[arg(required = true)]
        names: Vec<String>,
    },
}
