//! `vidgist describe-audio`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use bytes::Bytes;
use vidgist::audio::measure::{AudioFacts, measure_with};
use vidgist::audio::plot::{Spectrogram, Waveform, to_png};
use vidgist::audio::{self, AudioReader, AudioWant};
use vidgist::error::Error;
use vidgist::fs::write_file;
use vidgist::limits::Limits;
use vidgist::llm::{ChatModel, ChatRequest};
use vidgist::media::{AudioStream, MediaInfo, Ratio};
use vidgist::prompt::{SoundEvidence, build_sound};
use vidgist::report::json;
use vidgist::report::sound::SoundReport;
use vidgist::source::Source;
use vidgist::time::TimeRange;
use vidgist::transcribe::TranscriptionOutcome;

use super::args::{DescribeArgs, DescriptionFormat};
use super::config::Config;
use super::transcribers::{self, WordsContext};
use super::{PARTIAL, audio_track, model, print, warn};

/// Rate of the sound that a model is sent, in Hz: what speech models hear.
const HEARD_HZ: u32 = 16_000;
/// Seconds of sound that a model is sent at most: 13 MB of Base64, which all servers take.
const MAX_HEARD_SECONDS: u32 = 300;

pub async fn run(args: &DescribeArgs, config: &Config) -> Result<ExitCode> {
    check_pictures(args)?;
    let asked = model::chat_model(&args.model, config).await?;
    let asked = asked.chat_model().cloned();
    if args.send_audio && asked.is_none() {
        let advice = format!("set {} or --base-url to ask a language model", model::KEY_VARIABLE);
        return Err(Error::usage("--send-audio", "the built-in model does not hear", advice).into());
    }
    let mut reports = Vec::new();
    let mut is_partial = false;
    for input in &args.inputs {
        match describe(input, args, config, asked.as_deref()).await {
            Ok(report) => {
                for what in &report.missing {
                    warn(&format!("{input}: {what}"));
                }
                is_partial |= !report.missing.is_empty();
                reports.push(report);
            }
            // One file that cannot be read does not keep the others from being described.
            Err(error) if args.inputs.len() > 1 => {
                warn(&error.to_string());
                is_partial = true;
            }
            Err(error) => return Err(error),
        }
    }
    if reports.is_empty() {
        return Err(Error::unsupported(&args.inputs[0], "none of the files could be described", "").into());
    }
    let text = match args.format {
        DescriptionFormat::Markdown => reports.iter().map(SoundReport::to_markdown).collect::<Vec<_>>().join("\n"),
        DescriptionFormat::Json => json::to_text(&reports)?,
    };
    match &args.output {
        Some(path) => write_file(path, text.as_bytes())?,
        None => print(&text)?,
    }
    Ok(if is_partial { ExitCode::from(PARTIAL) } else { ExitCode::SUCCESS })
}

/// One picture shows one sound.
fn check_pictures(args: &DescribeArgs) -> Result<()> {
    for (flag, file) in [("--waveform", &args.waveform), ("--spectrogram", &args.spectrogram)] {
        let Some(file) = file else { continue };
        if args.inputs.len() > 1 {
            let problem = format!("names one picture, and there are {} sounds", args.inputs.len());
            return Err(Error::usage(flag, problem, "describe them one by one").into());
        }
        if !file.extension().is_some_and(|end| end.eq_ignore_ascii_case("png")) {
            let problem = format!("writes a PNG file, which {} is not called", file.display());
            return Err(Error::usage(flag, problem, "name it FILE.png").into());
        }
    }
    if args.waveform.is_some() && args.waveform == args.spectrogram {
        return Err(Error::usage("--spectrogram", "names the same file as --waveform", "name another").into());
    }
    Ok(())
}

async fn describe(
    input: &str,
    args: &DescribeArgs,
    config: &Config,
    asked: Option<&dyn ChatModel>,
) -> Result<SoundReport> {
    let source = Source::identify(input)?;
    let Source::Media(path) = &source else {
        return Err(Error::usage(input, "holds no sound", "name a media file").into());
    };
    let info = vidgist::probe::probe(&source, Ratio::ONE, &Limits::default())?;
    let stream = audio_track::choose(&info, &args.track)?.clone();
    let mut transcript = None;
    let context = WordsContext {
        base_url: args.model.base_url.as_deref(),
        server: &args.model.server,
        stream_idx: Some(stream.stream_idx),
    };
    for way in transcribers::ways(&args.transcript, context, config)? {
        match way.transcribe(path, &info, &|_| {}).await {
            Ok(TranscriptionOutcome::Found(found)) => transcript = Some(found),
            Ok(TranscriptionOutcome::None { reason }) => tracing::info!("{input}: {reason}"),
            // Words are an extra here, unless the user named them.
            Err(error) if args.transcript.transcript.is_none() => warn(&error.to_string()),
            Err(error) => return Err(error.into()),
        }
        if transcript.is_some() {
            break;
        }
    }
    let pictures = (args.waveform.clone(), args.spectrogram.clone());
    let (sound_path, sound_info, sound_stream) = (path.clone(), info.clone(), stream.clone());
    let facts =
        tokio::task::spawn_blocking(move || listen(&sound_path, &sound_info, &sound_stream, pictures)).await??;
    let mut report = SoundReport::new(&info, &stream, facts, transcript.as_ref());
    if let Some(asked) = asked {
        let heard = if args.send_audio { Some(cut(path, &info, &stream).await?) } else { None };
        let evidence = SoundEvidence {
            media: &info,
            stream: &stream,
            facts: &report.sound,
            transcript: transcript.as_ref(),
            heard: heard.as_ref().map(|(wav, range)| (wav, *range)),
        };
        let messages = build_sound(&evidence, fastrand::u32(..));
        let answer = asked.complete(&ChatRequest::new(&messages)).await;
        report.answered(asked.description(), answer, heard.map(|(_, range)| range));
    }
    Ok(report)
}

/// Measures the sound, and draws it where pictures are wanted: waveform and spectrogram, out of one decoding.
fn listen(
    path: &Path,
    info: &MediaInfo,
    stream: &AudioStream,
    (waveform, spectrogram): (Option<PathBuf>, Option<PathBuf>),
) -> vidgist::Result<AudioFacts> {
    let mut reader = AudioReader::open(path, info, stream, &AudioWant::default())?;
    let mut waveform = waveform.map(|file| (file, Waveform::new(&reader)));
    let mut spectrogram = spectrogram.map(|file| (file, Spectrogram::new(&reader)));
    let facts = measure_with(&mut reader, |block| {
        if let Some((_, waveform)) = &mut waveform {
            waveform.hear(block);
        }
        if let Some((_, spectrogram)) = &mut spectrogram {
            spectrogram.hear(block);
        }
    })?;
    if let Some((file, waveform)) = waveform {
        write_file(&file, &to_png(&waveform.draw())?)?;
    }
    if let Some((file, spectrogram)) = spectrogram {
        write_file(&file, &to_png(&spectrogram.draw())?)?;
    }
    Ok(facts)
}

/// The sound's beginning as a model hears it, and the range that it holds.
async fn cut(path: &Path, info: &MediaInfo, stream: &AudioStream) -> Result<(Bytes, TimeRange)> {
    let (path, info, stream) = (path.to_owned(), info.clone(), stream.clone());
    tokio::task::spawn_blocking(move || {
        let want = AudioWant { rate_hz: Some(HEARD_HZ), channels: Some(1) };
        let mut reader = AudioReader::open(&path, &info, &stream, &want)?;
        Ok(audio::wav_bytes(&mut reader, MAX_HEARD_SECONDS)?)
    })
    .await?
}
