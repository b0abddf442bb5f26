//! The command line, as clap reads it.

mod caption;
mod requests;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use vidgist::time::Timestamp;
use vidgist::transcribe::whisper::models::ModelHub;

pub use caption::{CaptionArgs, CaptionFormat, ExistingCaptions};
pub use requests::RequestArgs;
use requests::{PLAN_EXAMPLES, SUMMARIZE_EXAMPLES};

const EXAMPLES: &str = "\
Examples:
  vidgist summarize talk.mp4                       a summary on stdout
  vidgist summarize talk.mp4 -o talk/              report, frames and transcript in a folder
  vidgist summarize talk.mp4 --prompt 'List every slide with its time'
  vidgist summarize talk.mp4 --base-url http://localhost:11434/v1 --model qwen2.5vl
  vidgist frames talk.mp4 --interval 5s -o frames/ one picture every five seconds
  vidgist audio talk.mp4 -o talk.wav --rate 16000 --channels 1
  vidgist describe-audio talk.mp4                  how loud, where silence, speech and music are
  vidgist transcribe talk.mp4 --format srt
  vidgist doctor                                   what is installed, which model would answer

The key is read from the provider's variable (OPENAI_API_KEY) or printed by a command. Without a key, a server and
--stt-model nothing leaves this machine.";

/// Turns video and sound into text: summaries, frames, transcripts.
#[derive(Debug, Parser)]
#[command(name = "vidgist", version, after_help = EXAMPLES, max_term_width = 110, arg_required_else_help = true)]
pub struct Cli {
    /// Say nothing but results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more: -v what is done and why, -vv every step
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Configuration file in place of the one in the user's folder
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub config: Option<PathBuf>,
    /// Print the job that the flags make, as TOML for `vidgist run`, and exit
    #[arg(long, global = true, hide_short_help = true)]
    pub print_job: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Summarise a video, a recording, a picture or a folder of pictures
    #[command(after_help = SUMMARIZE_EXAMPLES)]
    Summarize(Box<SummarizeArgs>),
    /// Show what summarize would ask and what that would cost; sends nothing
    #[command(after_help = PLAN_EXAMPLES)]
    Plan(Box<SummarizeArgs>),
    /// Caption the frames of many videos and pictures
    // One answer for each frame, in one piece.
    #[command(mut_arg("stream", |arg| arg.hide(true)), mut_arg("n", |arg| arg.hide(true)))]
    Caption(Box<CaptionArgs>),
    /// Write the frames of a video as pictures
    Frames(FramesArgs),
    /// Write the sound of a video as a WAV or FLAC file
    Audio(AudioArgs),
    /// Describe a sound: loudness, silences, speech, music
    #[command(visible_alias = "listen")]
    DescribeAudio(Box<DescribeArgs>),
    /// Write what is said, with times
    Transcribe(TranscribeArgs),
    /// Run a job file, as --print-job prints it
    Run {
        /// A job in TOML, or in JSON where the name ends in .json
        job: PathBuf,
    },
    /// Show what a file holds
    Probe(ProbeArgs),
    /// Which models there are; fetch and remove those that listen on this machine
    Models {
        #[command(subcommand)]
        action: Option<ModelsAction>,
    },
    /// Check what is installed, which model would answer, and what is missing
    Doctor(DoctorArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub struct SummarizeArgs {
    /// A media file, a picture, a folder or pattern of pictures, an address such as rtsp://…, or camera:0
    pub input: String,
    #[command(flatten)]
    pub sampling: SamplingArgs,
    #[command(flatten)]
    pub picture: PictureArgs,
    #[command(flatten)]
    pub transcript: TranscriptArgs,
    #[command(flatten)]
    pub prompt: PromptArgs,
    #[command(flatten)]
    pub model: ModelArgs,
    /// Send pictures as data, or, where the input is an image's address, as that address
    #[arg(long, value_name = "HOW", default_value = "data", hide_short_help = true, help_heading = "Model")]
    pub image_transport: ImageTransport,
    #[command(flatten)]
    pub requests: RequestArgs,
    /// What is written to stdout
    #[arg(long, value_name = "FORMAT", default_value = "markdown", help_heading = "Output")]
    pub format: ReportFormat,
    /// Write report.md, report.json, frames/ and transcript.srt into this folder
    #[arg(short, long, value_name = "DIR", help_heading = "Output")]
    pub output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ReportFormat {
    /// For people
    Markdown,
    /// For programs: docs/output.md describes it
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SamplingMethod {
    /// One frame every so often
    Interval,
    /// Keyframes alone, at the cost of decoding them alone
    Keyframe,
    /// One frame of each shot
    Scene,
    /// --max-frames frames where the most happens, and no long stretch without any
    Budget,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Which frames")]
pub struct SamplingArgs {
    /// How frames are chosen [default: interval]
    #[arg(long, value_name = "HOW", conflicts_with_all = ["fps", "at"])]
    pub sampling: Option<SamplingMethod>,
    /// One frame every so often: 5s, 500ms, 1m [default: 1s for summarize, 5s for frames and caption]
    #[arg(long, value_name = "TIME", conflicts_with_all = ["fps", "at"])]
    pub interval: Option<Timestamp>,
    /// Frames a second: 0.5, 2, 30000/1001
    #[arg(long, value_name = "RATE", conflicts_with = "at")]
    pub fps: Option<String>,
    /// Single moments: 12s,1:04,01:02:03.5
    #[arg(long, value_name = "TIMES", value_delimiter = ',')]
    pub at: Vec<Timestamp>,
    /// Begin here
    #[arg(long, value_name = "TIME")]
    pub start: Option<Timestamp>,
    /// Stop before this
    #[arg(long, value_name = "TIME")]
    pub end: Option<Timestamp>,
    /// At most so many, spread over the whole range [default: 50 for summarize and for budget]
    #[arg(long, value_name = "N")]
    pub max_frames: Option<usize>,
    /// Leave out frames that show what one shortly before them shows; the last one stays
    #[arg(long)]
    pub dedup: bool,
    /// Pictures a second of a folder or pattern of pictures
    #[arg(long, value_name = "RATE", default_value = "1", hide_short_help = true)]
    pub sequence_fps: String,
    /// Who decodes the video
    #[arg(long, value_name = "WHO", default_value = "auto", hide_short_help = true)]
    pub decoder: DecoderChoice,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum DecoderChoice {
    /// libav, which decodes only what the wanted frames need, for files; OpenCV for the rest
    Auto,
    /// OpenCV, which decodes everything on the way
    Opencv,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Pictures")]
pub struct PictureArgs {
    /// Maximum width of the pictures in pixels; never enlarged [default: 768]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(16..=16_383))]
    pub max_width: Option<u32>,
    /// Maximum length of the longer side in pixels, in place of the default maximum width
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(16..=16_383))]
    pub max_edge: Option<u32>,
    /// Quality of JPEG and WebP, 1 to 100 [default: 85]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=100))]
    pub jpeg_quality: Option<u8>,
    /// Format of the pictures [default: jpeg]
    #[arg(long, value_name = "FORMAT")]
    pub image_format: Option<PictureFormat>,
}

#[derive(Clone, Copy, Debug, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PictureFormat {
    Jpeg,
    Png,
    Webp,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Words")]
pub struct TranscriptArgs {
    /// Subtitle file (SRT or WebVTT) with what is said
    #[arg(long, value_name = "FILE", conflicts_with = "no_transcript")]
    pub transcript: Option<PathBuf>,
    /// Do not look for what is said; the same as --stt none
    #[arg(long, conflicts_with = "stt")]
    pub no_transcript: bool,
    /// Where the words come from [default: auto]
    #[arg(long, value_name = "HOW", conflicts_with = "transcript")]
    pub stt: Option<Stt>,
    /// Model that listens on this machine: tiny.en, tiny, base, small, large-v3-turbo or a file [default: base]
    #[arg(long, value_name = "NAME|FILE")]
    pub whisper_model: Option<String>,
    /// Have Whisper translate what is said to English; subtitles are not looked at
    #[arg(long, conflicts_with_all = ["transcript", "no_transcript"])]
    pub translate: bool,
    /// Have Whisper, or the endpoint with --stt api, time each word; subtitles are not looked at
    #[arg(long, conflicts_with_all = ["transcript", "no_transcript"])]
    pub words: bool,
    /// Language to prefer among subtitles, and to expect in speech: en, fr
    #[arg(long, value_name = "CODE")]
    pub language: Option<String>,
    /// Model of the transcription endpoint; without it sound is not sent anywhere
    #[arg(long, value_name = "NAME")]
    pub stt_model: Option<String>,
    /// Address of the transcription endpoint [default: that of --base-url]
    #[arg(long, value_name = "URL", requires = "stt_model")]
    pub stt_base_url: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stt {
    /// Subtitles; else the endpoint where --stt-model is set; else Whisper where its model is on this machine
    Auto,
    /// Subtitles alone
    Subtitles,
    /// Whisper on this machine
    Whisper,
    /// The transcription endpoint
    Api,
    /// Nowhere: no words are wanted
    None,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Question")]
pub struct PromptArgs {
    /// The task, in place of the built-in one
    #[arg(long, value_name = "TEXT", conflicts_with = "prompt_file")]
    pub prompt: Option<String>,
    /// The same, from a file
    #[arg(long, value_name = "FILE")]
    pub prompt_file: Option<PathBuf>,
    /// Rules for the model, in place of vidgist's own
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Model")]
pub struct ModelArgs {
    /// The model's name, its provider before it where that is not told by the address (openai:gpt-4o,
    /// ollama:qwen2.5vl), or "built-in" for the one that needs no network
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Address of an OpenAI-compatible server, such as `http://localhost:8080/v1`
    #[arg(long, value_name = "URL", env = "OPENAI_BASE_URL", hide_env_values = true)]
    pub base_url: Option<String>,
    /// Sent only where set, like all that follow: many models refuse them
    #[arg(long, value_name = "0..2")]
    pub temperature: Option<f64>,
    /// Most tokens of the answer
    #[arg(long, value_name = "N")]
    pub max_tokens: Option<u32>,
    /// Nucleus sampling
    #[arg(long, value_name = "0..1")]
    pub top_p: Option<f64>,
    /// Number of alternative answers
    #[arg(long, value_name = "N")]
    pub n: Option<u32>,
    /// Text at which the answer ends; up to 4
    #[arg(long, value_name = "TEXT")]
    pub stop: Vec<String>,
    /// Number for repeatable sampling
    #[arg(long, value_name = "N")]
    pub seed: Option<i64>,
    /// How closely pictures are looked at
    #[arg(long, value_name = "HOW")]
    pub detail: Option<DetailChoice>,
    /// How long the model reasons: none, minimal, low, medium, high, xhigh, max
    #[arg(long, value_name = "EFFORT")]
    pub reasoning_effort: Option<String>,
    /// End the run where the model does not take one of these, in place of leaving it out
    #[arg(long)]
    pub strict_params: bool,
    /// Ask for the answer piece by piece [default: where stderr is a terminal, which shows it being written]
    #[arg(long, value_name = "WHEN", default_value = "auto", hide_default_value = true, num_args = 0..=1,
        default_missing_value = "always", require_equals = true)]
    pub stream: StreamChoice,
    #[command(flatten)]
    pub server: ServerArgs,
}

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Server")]
pub struct ServerArgs {
    /// Longest wait for an answer, for each try anew [default: 10m]
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<Timestamp>,
    /// Longest time of a request over all its tries [default: 10m, or --timeout where that is longer]
    #[arg(long, value_name = "TIME")]
    pub total_timeout: Option<Timestamp>,
    /// Requests at a time; fewer while the server is busy [default: 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub concurrency: Option<u16>,
    /// Requests within any minute [default: as the server says of itself]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_requests_per_minute: Option<u32>,
    /// Tokens within any minute [default: as the server says of itself]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_tokens_per_minute: Option<u64>,
    /// PEM certificates that are trusted beside the system's
    #[arg(long, value_name = "FILE.pem")]
    pub ca_file: Option<PathBuf>,
    /// Send the key to another machine over http:// too: anyone on the network can read it
    #[arg(long, hide_short_help = true)]
    pub send_key_unencrypted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DetailChoice {
    /// Small, for few tokens
    Low,
    /// Large
    High,
    /// As the provider likes
    Auto,
    /// As they are, not shrunk
    Original,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StreamChoice {
    /// Where a terminal shows it
    Auto,
    /// Always
    Always,
    /// In one piece
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ImageTransport {
    /// As a Base64 data URL
    Data,
    /// As the address that was given
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
    /// A media file, a picture, a folder or pattern of pictures, an address such as rtsp://…, or camera:0
    pub input: String,
    #[command(flatten)]
    pub sampling: SamplingArgs,
    #[command(flatten)]
    pub picture: PictureArgs,
    /// Draw the frames side by side too, on contact-sheet-01.jpg and so on
    #[arg(long, help_heading = "Output")]
    pub contact_sheet: bool,
    /// Folder for the pictures and frames.json
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
    /// A media file
    pub input: String,
    #[command(flatten)]
    pub track: TrackArgs,
    /// Every sound that the file holds, each into a file with its number before the ending
    #[arg(long, conflicts_with_all = ["track", "audio_language"], help_heading = "Which sound")]
    pub all_tracks: bool,
    /// Samples a second [default: as stored]
    #[arg(long, value_name = "HZ", help_heading = "Output",
        value_parser = clap::value_parser!(u32).range(1000..=768_000))]
    pub rate: Option<u32>,
    /// 1 or 2 [default: as stored]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=2), help_heading = "Output")]
    pub channels: Option<u16>,
    /// What is written, 16 bits a sample [default: flac for a name that ends so, else wav]
    #[arg(long, value_name = "FORMAT", help_heading = "Output")]
    pub format: Option<SoundFileFormat>,
    /// The file to write
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub output: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum SoundFileFormat {
    /// As it is; RF64 past 4 GiB
    Wav,
    /// Compressed without loss, up to 8 channels
    Flac,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Which sound")]
pub struct TrackArgs {
    /// The N-th sound of the file, counted from 1 [default: the one marked default, else the first]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), conflicts_with = "audio_language")]
    pub track: Option<u16>,
    /// The sound in this language, as the file's tags say: en, fr
    #[arg(long, value_name = "CODE")]
    pub audio_language: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  vidgist describe-audio talk.mp4
  vidgist describe-audio talk.mp4 --model gpt-audio --send-audio
  vidgist describe-audio talk.mp4 --waveform talk.png --spectrogram talk-spectrum.png
  vidgist describe-audio *.mp3 --format json | jq '.[].sound.loudness_lufs'")]
pub struct DescribeArgs {
    /// Media files
    #[arg(required = true, value_name = "INPUT")]
    pub inputs: Vec<String>,
    #[command(flatten)]
    pub track: TrackArgs,
    #[command(flatten)]
    pub transcript: TranscriptArgs,
    #[command(flatten)]
    pub model: ModelArgs,
    /// Let the model hear the sound, its first five minutes at most, as 16 kHz mono: few models can
    #[arg(long, help_heading = "Model")]
    pub send_audio: bool,
    /// How it is written
    #[arg(long, value_name = "FORMAT", default_value = "markdown", help_heading = "Output")]
    pub format: DescriptionFormat,
    /// Draw the level over time into this PNG file
    #[arg(long, value_name = "FILE.png", help_heading = "Output")]
    pub waveform: Option<PathBuf>,
    /// Draw the level over time and frequency into this PNG file
    #[arg(long, value_name = "FILE.png", help_heading = "Output")]
    pub spectrogram: Option<PathBuf>,
    /// File to write in place of stdout
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum DescriptionFormat {
    /// For people
    Markdown,
    /// For programs: a list with one object for each file
    Json,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  vidgist transcribe talk.mp4 --format vtt -o talk.vtt
  vidgist transcribe talk.mp4 --stt whisper --language de --translate
  vidgist transcribe *.mp3 --format txt -o texts/
  vidgist transcribe talk.mp4 --stt-model whisper-1")]
pub struct TranscribeArgs {
    /// Media files
    #[arg(required = true, value_name = "INPUT")]
    pub inputs: Vec<String>,
    #[command(flatten)]
    pub track: TrackArgs,
    #[command(flatten)]
    pub transcript: TranscriptArgs,
    /// Address of an OpenAI-compatible server
    #[arg(long, value_name = "URL", env = "OPENAI_BASE_URL", hide_env_values = true, help_heading = "Words")]
    pub base_url: Option<String>,
    #[command(flatten)]
    pub server: ServerArgs,
    /// How it is written
    #[arg(long, value_name = "FORMAT", default_value = "srt", help_heading = "Output")]
    pub format: TranscriptFormat,
    /// File to write in place of stdout; for several inputs a folder
    #[arg(short, long, value_name = "FILE|DIR", help_heading = "Output")]
    pub output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum TranscriptFormat {
    /// SubRip
    Srt,
    /// WebVTT
    Vtt,
    /// The words alone
    Txt,
    /// Markdown: each segment with its time
    Md,
    /// For programs: segments, words, confidence, language, source
    Json,
}

#[derive(Debug, Subcommand)]
pub enum ModelsAction {
    /// Show speech models and providers of chat models, and what of them is here
    List,
    /// Fetch models from the public hub, with silero, which all need; nothing is fetched twice
    Pull {
        /// tiny.en, tiny, base, small, large-v3-turbo [default: base]
        names: Vec<String>,
        /// Address of the hub or a mirror of it
        #[arg(long, value_name = "URL", env = "HF_ENDPOINT", default_value = ModelHub::PUBLIC)]
        hub: String,
    },
    /// Print where a model's file lies
    Path {
        /// The model [default: base]
        name: Option<String>,
    },
    /// Delete models from this machine
    Remove {
        /// The models
        #[arg(required = true)]
        names: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// A media file, a picture, a folder or pattern of pictures, an address, or camera:0
    pub input: String,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Address of an OpenAI-compatible server
    #[arg(long, value_name = "URL", env = "OPENAI_BASE_URL", hide_env_values = true)]
    pub base_url: Option<String>,
    /// The model's name
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// PEM certificates that are trusted beside the system's
    #[arg(long, value_name = "FILE.pem")]
    pub ca_file: Option<PathBuf>,
}
