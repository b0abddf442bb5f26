//! `vidgist audio`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use vidgist::audio::{self, AudioFileFormat};
use vidgist::error::{Error, ErrorKind};
use vidgist::limits::Limits;
use vidgist::media::{AudioStream, MediaInfo, Ratio};
use vidgist::pcm::{AudioReader, PcmFormat};
use vidgist::source::Source;

use super::args::{AudioArgs, SoundFileFormat};
use super::{PARTIAL, audio_track, print, warn};

/// Sound that is shorter than the container claims by more than this is told: encoders round to packets.
const TOLERATED_LOSS_SECONDS: f64 = 0.25;

pub async fn run(args: &AudioArgs) -> Result<ExitCode> {
    let format = format_of(args)?;
    let args = args.clone();
    let io = |error| Error::io(&args.output, error);
    let folder = args.output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Held here, not on the thread that writes: where an interrupt drops this future, the half file goes with it.
    let unfinished = tempfile::Builder::new().prefix(".vidgist-").tempdir_in(folder).map_err(io)?;
    let written = unfinished.path().join("sound");
    tokio::task::spawn_blocking(move || {
        let source = Source::identify(&args.input)?;
        let Source::Media(path) = &source else {
            return Err(Error::usage(&args.input, "holds no sound", "name a media file").into());
        };
        let info = vidgist::probe::probe(&source, Ratio::ONE, &Limits::default())?;
        let main = audio_track::choose(&info, &args.track)?;
        let streams = if args.all_tracks { info.audio.iter().collect() } else { vec![main] };
        let mut missing = info.damage.clone();
        let mut n_written = 0;
        for stream in &streams {
            let output = if args.all_tracks { numbered(&args.output, &info, stream) } else { args.output.clone() };
            match write((&args, format), path, &info, stream, &written, &output) {
                Ok(lost) => {
                    n_written += 1;
                    missing.extend(lost);
                }
                // One sound that cannot be read does not keep the others from being written.
                Err(error) if streams.len() > 1 => missing.push(error.to_string()),
                Err(error) => return Err(error),
            }
        }
        for what in &missing {
            warn(&format!("{}: {what}", args.input));
        }
        if n_written == 0 {
            return Err(Error::unsupported(&args.input, "none of its sounds can be read", "").into());
        }
        Ok(if missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(PARTIAL) })
    })
    .await?
}

/// Writes one sound and a line about it; gives what is missing in it.
fn write(
    (args, format): (&AudioArgs, AudioFileFormat),
    path: &Path,
    info: &MediaInfo,
    stream: &AudioStream,
    written: &Path,
    output: &Path,
) -> Result<Vec<String>> {
    let want = PcmFormat { rate_hz: args.rate, channels: args.channels };
    let mut reader = AudioReader::open(path, info, stream, &want)?;
    let summary = audio::write(&mut reader, written, format).map_err(|mut error| match error {
        // The user knows the file by the name that was given.
        Error { kind: ErrorKind::Io, .. } if Path::new(&error.input).parent() == written.parent() => {
            error.input = output.display().to_string();
            error
        }
        error => error,
    })?;
    std::fs::rename(written, output).map_err(|error| Error::io(output, error))?;
    let language = stream.language.as_ref().filter(|_| args.all_tracks).map(|tag| format!(", {tag}"));
    print(&format!(
        "{}\t{} Hz, {} channel{}, {}, begins at {}{}\n",
        output.display(),
        summary.rate_hz,
        summary.channels,
        if summary.channels == 1 { "" } else { "s" },
        summary.duration,
        summary.start,
        vidgist::sanitize::clean_line(&language.unwrap_or_default()),
    ))?;
    if summary.is_rf64 {
        let why = "more than 4 GiB, written as RF64, which old programs do not read";
        warn(&format!("{}: {why}", output.display()));
    }
    let mut missing = Vec::new();
    if summary.n_damaged > 0 {
        missing.push(format!("{} damaged packets are silent", summary.n_damaged));
    }
    let lost = reader.claimed().map_or(0.0, |claimed| claimed.secs_f64() - reader.seconds_read());
    if lost > TOLERATED_LOSS_SECONDS {
        missing.push(format!("{lost:.2} s of the sound that the file claims did not come"));
    }
    Ok(missing)
}

/// Endings of formats that are not written: a file of that name would be taken for one.
const OTHER_ENDINGS: [&str; 11] = ["mp3", "m4a", "aac", "ogg", "oga", "opus", "wma", "ac3", "aiff", "aif", "mka"];

/// The flag's word, else what the file's name says.
fn format_of(args: &AudioArgs) -> Result<AudioFileFormat, Error> {
    let ending = args.output.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
    match args.format {
        Some(SoundFileFormat::Flac) => Ok(AudioFileFormat::Flac),
        None if ending == "flac" => Ok(AudioFileFormat::Flac),
        None if OTHER_ENDINGS.contains(&ending.as_str()) => {
            let advice = "name it .wav or .flac, or insist with --format";
            Err(Error::usage(args.output.display(), format!("{ending} is not written, WAV and FLAC are"), advice))
        }
        Some(SoundFileFormat::Wav) | None => Ok(AudioFileFormat::Wav),
    }
}

/// `talk.wav` as `talk.2.wav` for the second sound.
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
