//! `vidgist describe-audio`.

use std::process::ExitCode;

use anyhow::Result;
use vidgist::audio::measure::measure;
use vidgist::audio::{AudioReader, AudioWant};
use vidgist::error::Error;
use vidgist::files::write_file;
use vidgist::limits::Limits;
use vidgist::media::Ratio;
use vidgist::report::json;
use vidgist::report::sound::SoundReport;
use vidgist::source::Source;
use vidgist::transcribe::Words;

use super::args::{DescribeArgs, DescriptionFormat};
use super::config::Config;
use super::words::{self, WordsContext};
use super::{PARTIAL, print, track, warn};

pub async fn run(args: &DescribeArgs, config: &Config) -> Result<ExitCode> {
    let mut reports = Vec::new();
    let mut is_partial = false;
    for input in &args.inputs {
        match describe(input, args, config).await {
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

async fn describe(input: &str, args: &DescribeArgs, config: &Config) -> Result<SoundReport> {
    let source = Source::identify(input)?;
    let Source::Media(path) = &source else {
        return Err(Error::usage(input, "holds no sound", "name a media file").into());
    };
    let info = vidgist::probe::probe(&source, Ratio::ONE, &Limits::default())?;
    let stream = track::choose(&info, &args.track)?.clone();
    let mut transcript = None;
    let context =
        WordsContext { base_url: args.base_url.as_deref(), timeout: args.timeout, stream_idx: Some(stream.stream_idx) };
    for way in words::ways(&args.transcript, context, config)? {
        match way.transcribe(path, &info, &|_| {}).await {
            Ok(Words::Found(found)) => transcript = Some(found),
            Ok(Words::None { reason }) => tracing::info!("{input}: {reason}"),
            // Words are an extra here, unless the user named them.
            Err(error) if args.transcript.transcript.is_none() => warn(&error.to_string()),
            Err(error) => return Err(error.into()),
        }
        if transcript.is_some() {
            break;
        }
    }
    let path = path.clone();
    tokio::task::spawn_blocking(move || {
        let mut reader = AudioReader::open(&path, &info, &stream, &AudioWant::default())?;
        let sound = measure(&mut reader)?;
        Ok(SoundReport::new(&info, &stream, sound, transcript.as_ref()))
    })
    .await?
}
