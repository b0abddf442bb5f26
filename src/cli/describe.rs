//! `vidgist describe-audio`.

use std::process::ExitCode;

use anyhow::Result;
use vidgist::audio::measure::measure_with;
use vidgist::audio::picture::{Spectrogram, Waveform, to_png};
use vidgist::audio::{AudioReader, AudioWant};
use vidgist::error::Error;
use vidgist::files::write_file;
use vidgist::limits::Limits;
use vidgist::media::Ratio;
use vidgist::report::json;
use vidgist::report::sound::SoundReport;
use vidgist::source::Source;

use super::args::{DescribeArgs, DescriptionFormat};
use super::config::Config;
use super::{PARTIAL, model, print, track, warn};

pub async fn run(args: &DescribeArgs, config: &Config) -> Result<ExitCode> {
    check_pictures(args)?;
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

async fn describe(input: &str, args: &DescribeArgs, config: &Config) -> Result<SoundReport> {
    let source = Source::identify(input)?;
    let Source::Media(path) = &source else {
        return Err(Error::usage(input, "holds no sound", "name a media file").into());
    };
    let info = vidgist::probe::probe(&source, Ratio::ONE, &Limits::default())?;
    let stream = track::choose(&info, &args.track)?.clone();
    let mut transcript = None;
    for way in model::words(&args.transcript, args.base_url.as_deref(), args.timeout, config)? {
        match way.transcribe(path, &info).await {
            Ok(found) => transcript = found,
            // Words are an extra here, unless the user named them.
            Err(error) if args.transcript.transcript.is_none() => warn(&error.to_string()),
            Err(error) => return Err(error.into()),
        }
        if transcript.is_some() {
            break;
        }
    }
    let path = path.clone();
    let (waveform, spectrogram) = (args.waveform.clone(), args.spectrogram.clone());
    tokio::task::spawn_blocking(move || {
        let mut reader = AudioReader::open(&path, &info, &stream, &AudioWant::default())?;
        let mut waveform = waveform.map(|file| (file, Waveform::new(&reader)));
        let mut spectrogram = spectrogram.map(|file| (file, Spectrogram::new(&reader)));
        let sound = measure_with(&mut reader, |block| {
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
        Ok(SoundReport::new(&info, &stream, sound, transcript.as_ref()))
    })
    .await?
}
