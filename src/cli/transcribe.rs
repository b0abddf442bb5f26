//! `vidgist transcribe`.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use vidgist::error::Error;
use vidgist::fs::write_file;
use vidgist::limits::Limits;
use vidgist::media::Ratio;
use vidgist::report::{json, subtitles};
use vidgist::source::Source;
use vidgist::transcribe::TranscriptionOutcome;
use vidgist::transcript::Transcript;

use super::args::{TranscribeArgs, TranscriptFormat};
use super::config::Config;
use super::progress::Progress;
use super::transcribers::{self, WordsContext};
use super::{PARTIAL, audio_track, print, warn};

pub async fn run(args: &TranscribeArgs, config: &Config, quiet: bool) -> Result<ExitCode> {
    let [input] = args.inputs.as_slice() else { return several(args, config, quiet).await };
    let (text, is_whole) = transcribe(input, args, config, quiet).await?;
    match &args.output {
        Some(path) => write_file(path, text.as_bytes())?,
        None => print(&text)?,
    }
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::from(PARTIAL) })
}

/// Each into a file of its own, named like it; one that fails does not keep the others.
async fn several(args: &TranscribeArgs, config: &Config, quiet: bool) -> Result<ExitCode> {
    let Some(folder) = &args.output else {
        return Err(Error::usage("several inputs", "need a folder for their transcripts", "name it with -o DIR").into());
    };
    let (mut taken, mut n_done, mut is_whole) = (HashSet::new(), 0, true);
    for input in &args.inputs {
        let path = free_name(folder, input, args.format, &mut taken);
        match transcribe(input, args, config, quiet).await {
            Ok((text, whole)) => {
                write_file(&path, text.as_bytes())?;
                print(&format!("{}\n", path.display()))?;
                n_done += 1;
                is_whole &= whole;
            }
            Err(error) => {
                warn(&error.to_string());
                is_whole = false;
            }
        }
    }
    if n_done == 0 {
        return Err(Error::unsupported(&args.inputs[0], "none of the files could be transcribed", "").into());
    }
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::from(PARTIAL) })
}

/// `talk.srt`, or `talk.2.srt` where that is another input's.
fn free_name(folder: &Path, input: &str, format: TranscriptFormat, taken: &mut HashSet<PathBuf>) -> PathBuf {
    let stem = Path::new(input).file_stem().map_or_else(|| "transcript".into(), |stem| stem.to_string_lossy());
    let ending = match format {
        TranscriptFormat::Srt => "srt",
        TranscriptFormat::Vtt => "vtt",
        TranscriptFormat::Txt => "txt",
        TranscriptFormat::Md => "md",
        TranscriptFormat::Json => "json",
    };
    let mut path = folder.join(format!("{stem}.{ending}"));
    for number in 2.. {
        if taken.insert(path.clone()) {
            break;
        }
        path = folder.join(format!("{stem}.{number}.{ending}"));
    }
    path
}

/// The transcript as it is written, and whether the file was whole.
async fn transcribe(input: &str, args: &TranscribeArgs, config: &Config, quiet: bool) -> Result<(String, bool)> {
    let source = Source::identify(input)?;
    let Source::Media(path) = &source else {
        return Err(Error::usage(input, "has no sound and no subtitles", "name a media file").into());
    };
    let info = vidgist::probe::probe(&source, Ratio::ONE, &Limits::default())?;
    let is_chosen = args.track.track.is_some() || args.track.audio_language.is_some();
    let stream_idx =
        is_chosen.then(|| audio_track::choose(&info, &args.track)).transpose()?.map(|stream| stream.stream_idx);
    let context = WordsContext { base_url: args.base_url.as_deref(), server: &args.server, stream_idx };
    let progress = Progress::new(quiet);
    let (mut found, mut reasons) = (None, Vec::new());
    for way in transcribers::ways(&args.transcript, context, config)? {
        match way.transcribe(path, &info, &|until| progress.heard(until)).await? {
            TranscriptionOutcome::Found(transcript) => {
                found = Some(transcript);
                break;
            }
            TranscriptionOutcome::None { reason } => reasons.push(reason),
        }
    }
    progress.clear();
    let Some(transcript) = found else {
        if reasons.is_empty() {
            return Err(Error::usage("--stt none", "leaves nothing to do", "leave it out").into());
        }
        let advice = "name a subtitle file with --transcript, or a transcription endpoint's model with --stt-model";
        return Err(Error::unsupported(input, reasons.join(", and "), advice).into());
    };
    if transcript.segments.is_empty() {
        warn(&format!("{input}: nobody speaks"));
    }
    for damage in &info.damage {
        warn(&format!("{input}: {damage}"));
    }
    let text = match args.format {
        TranscriptFormat::Srt => subtitles::to_srt(&transcript),
        TranscriptFormat::Vtt => subtitles::to_vtt(&transcript),
        TranscriptFormat::Txt => plain(&transcript),
        TranscriptFormat::Md => subtitles::to_markdown(&transcript, &info),
        TranscriptFormat::Json => json::to_text(&transcript)?,
    };
    Ok((text, info.damage.is_empty()))
}

fn plain(transcript: &Transcript) -> String {
    let mut text = String::new();
    for segment in &transcript.segments {
        // Writing to a String does not fail.
        let _ = match &segment.speaker {
            Some(speaker) => writeln!(text, "{speaker}: {}", segment.text),
            None => writeln!(text, "{}", segment.text),
        };
    }
    text
}
