//! Audio streams of a file, written as WAV or FLAC.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::input::{TrackChoice, check_bounds, open_media};
use super::run::Context;
use super::site::{fetch_audio, media_name, named};
use crate::advice::{Advice, Setting};
use crate::audio::{self, AudioSummary, FileFormat};
use crate::audio_facts::single_channel_notice;
use crate::blocking::run_blocking;
use crate::error::{Error, ErrorCode, ErrorKind, Result};
use crate::event::Event;
use crate::job::AudioFileFormat;
use crate::media::{AudioStream, MediaInfo};
use crate::pcm::{AudioReader, PcmFormat};
use crate::sanitize::clean_line;
use crate::time::TimeBounds;

/// Extensions of formats that are not written: a file of that name would be taken for one.
const OTHER_EXTENSIONS: [&str; 11] = ["mp3", "m4a", "aac", "ogg", "oga", "opus", "wma", "ac3", "aiff", "aif", "mka"];

/// Audio of one file into files.
#[derive(Clone, Debug)]
pub struct ExtractAudio {
    /// The media file.
    pub input: String,
    /// The files that continue it as one recording: see [`super::identify`].
    pub join: Option<Vec<String>>,
    /// Which audio track.
    pub track: TrackChoice,
    /// Which part.
    pub bounds: TimeBounds,
    /// Whether every track is written, each into a file with its number before the extension.
    pub all_tracks: bool,
    /// Samples per second; None keeps the stream's own rate.
    pub rate_hz: Option<u32>,
    /// 1 or 2; None keeps the stream's own channels.
    pub channels: Option<u16>,
    /// The format; None decides by the output's extension.
    pub format: Option<AudioFileFormat>,
    /// The file.
    pub output: PathBuf,
}

/// One written file.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct WrittenAudio {
    /// Its path.
    pub path: PathBuf,
    /// Samples per second.
    pub rate_hz: u32,
    /// Channels.
    pub channels: u16,
    /// Its length, `HH:MM:SS.mmm`.
    pub duration: String,
    /// Where it starts on the shared clock, `HH:MM:SS.mmm`.
    pub start: String,
    /// The language in the track's tag; None without a tag.
    pub language: Option<String>,
    /// Seconds of which only the loudest channel was written, because the channels cancel each other in the mono mix;
    /// None if there are none.
    pub single_channel_seconds: Option<f64>,
}

/// What was written, and what is missing.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct AudioResult {
    /// The files.
    pub files: Vec<WrittenAudio>,
    /// What is missing, each a phrase.
    pub missing: Vec<String>,
}

/// Writes the audio.
///
/// # Errors
/// As the stages where the only track fails; [`ErrorKind::Unsupported`] where all do.
pub async fn run(task: ExtractAudio, context: Context) -> Result<AudioResult> {
    let format = format_of(&task)?;
    let io = |error| Error::io(&task.output, error);
    let folder = task.output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Held here, not on the thread that writes: where the job is cancelled, the unfinished file goes with it.
    let unfinished = tempfile::Builder::new().prefix(".vidgist-").tempdir_in(folder).map_err(io)?;
    let written = unfinished.path().join("audio");
    let events = context.events.clone();
    let fetched =
        context.unless_cancelled(fetch_audio((&task.input, task.join.as_deref()), None, true, &context)).await?;
    let (site, opened) = (fetched.as_ref(), media_name(&task.input, fetched.as_ref()));
    let done = run_blocking(move || work(&task, &opened, format, &written, &events));
    context.unless_cancelled(done).await.map_err(|error| named(site, error))
}

fn work(
    task: &ExtractAudio,
    opened: &str,
    format: FileFormat,
    unfinished: &Path,
    events: &crate::event::EventSender,
) -> Result<AudioResult> {
    let (path, info) = open_media(opened, task.join.as_deref())?;
    let main = task.track.choose(&info)?;
    check_bounds(task.bounds, &info)?;
    let streams = if task.all_tracks { info.audio.iter().collect() } else { vec![main] };
    let mut result = AudioResult { files: Vec::new(), missing: info.damage.clone() };
    for stream in &streams {
        let output = if task.all_tracks { numbered(&task.output, &info, stream) } else { task.output.clone() };
        match write((task, format), (&path, &info, stream), unfinished, &output) {
            Ok((file, missing)) => {
                events.blocking_send(Event::Written { path: file.path.clone() });
                result.files.push(file);
                result.missing.extend(missing);
            }
            // One track that cannot be read does not keep the others from being written.
            Err(error) if streams.len() > 1 => result.missing.push(error.to_string()),
            Err(error) => return Err(error),
        }
    }
    // Of a joined recording, what is missing may be in any of its files.
    let name = if info.parts.is_empty() { &task.input } else { &info.input };
    for message in &result.missing {
        events.blocking_send(Event::warning(name, message));
    }
    if result.files.is_empty() {
        let problem = "none of its audio tracks can be read";
        return Err(Error::unsupported(&task.input, problem, "").with_code(ErrorCode::NoAudio));
    }
    Ok(result)
}

/// Writes one track; what is missing in it.
fn write(
    (task, format): (&ExtractAudio, FileFormat),
    (path, info, stream): (&Path, &MediaInfo, &AudioStream),
    unfinished: &Path,
    output: &Path,
) -> Result<(WrittenAudio, Vec<String>)> {
    let want = PcmFormat { rate_hz: task.rate_hz, channels: task.channels };
    let mut reader = AudioReader::open(path, info, stream, &want)?.within(task.bounds);
    let summary = audio::write(&mut reader, unfinished, format).map_err(|mut error| {
        // Errors name the file as the user did.
        if error.kind == ErrorKind::Io && Path::new(&error.input).parent() == unfinished.parent() {
            error.input = output.display().to_string();
        }
        error
    })?;
    std::fs::rename(unfinished, output).map_err(|error| Error::io(output, error))?;
    let mut missing = Vec::new();
    let single_channel_seconds = reader.single_channel_seconds();
    if let Some(seconds) = single_channel_seconds {
        tracing::warn!("{}: {}", info.input, single_channel_notice(seconds));
    }
    if summary.is_rf64 {
        tracing::warn!("{}: larger than 4 GiB, written as RF64, which old programs cannot read", output.display());
    }
    if summary.n_damaged > 0 {
        missing.push(format!("{} damaged packets were replaced by silence", summary.n_damaged));
    }
    if let Some(lost) = reader.missing_seconds() {
        missing.push(format!("{lost:.2} s of the audio that the file claims are missing"));
    }
    Ok((WrittenAudio { single_channel_seconds, ..written(output, &summary, stream) }, missing))
}

fn written(output: &Path, summary: &AudioSummary, stream: &AudioStream) -> WrittenAudio {
    WrittenAudio {
        path: output.to_owned(),
        rate_hz: summary.rate_hz,
        channels: summary.channels,
        duration: summary.duration.to_string(),
        start: summary.start.to_string(),
        language: stream.language.as_deref().map(clean_line),
        single_channel_seconds: None,
    }
}

/// The chosen format, else that of the output's extension.
fn format_of(task: &ExtractAudio) -> Result<FileFormat> {
    let extension = task.output.extension().and_then(|end| end.to_str()).unwrap_or_default().to_ascii_lowercase();
    match task.format {
        Some(AudioFileFormat::Flac) => Ok(FileFormat::Flac),
        None if extension == "flac" => Ok(FileFormat::Flac),
        None if OTHER_EXTENSIONS.contains(&extension.as_str()) => {
            let advice = Advice::from("name the file .wav or .flac").or(Advice::Set(Setting::AudioFormat));
            let problem = format!("{extension} cannot be written, only WAV and FLAC");
            Err(Error::usage(task.output.display(), problem, advice))
        }
        Some(AudioFileFormat::Wav) | None => Ok(FileFormat::Wav),
    }
}

/// `talk.wav` as `talk.2.wav` for the second track.
fn numbered(output: &Path, info: &MediaInfo, stream: &AudioStream) -> PathBuf {
    let number = info.audio.iter().position(|a| a.stream_idx == stream.stream_idx).map_or(0, |idx| idx + 1);
    let mut name = output.file_stem().unwrap_or_default().to_owned();
    name.push(format!(".{number}"));
    if let Some(end) = output.extension() {
        name.push(".");
        name.push(end);
    }
    output.with_file_name(name)
}
