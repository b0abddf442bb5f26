//! `vidgist transcribe`.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use vidgist::error::Error;
use vidgist::files::write_file;
use vidgist::limits::Limits;
use vidgist::media::Ratio;
use vidgist::report::{json, subtitles};
use vidgist::source::Source;
use vidgist::transcribe::subtitles::unread_reason;
use vidgist::transcript::Transcript;

use super::args::{TranscribeArgs, TranscriptFormat};
use super::config::Config;
use super::{PARTIAL, model, print, warn};

pub async fn run(args: &TranscribeArgs, config: &Config) -> Result<ExitCode> {
    let source = Source::identify(&args.input)?;
    let Source::Media(path) = &source else {
        return Err(Error::usage(&args.input, "has no sound and no subtitles", "name a media file").into());
    };
    let info = vidgist::probe::probe(&source, Ratio::ONE, &Limits::default())?;
    let mut found = None;
    for way in model::words(&args.transcript, args.base_url.as_deref(), args.timeout, config)? {
        found = way.transcribe(path, &info).await?;
        if found.is_some() {
            break;
        }
    }
    let Some(transcript) = found else {
        let reason = unread_reason(&info).unwrap_or_else(|| "no subtitles in it or beside it".to_owned());
        let advice = "name a subtitle file with --transcript, or a transcription endpoint's model with --stt-model";
        return Err(Error::unsupported(&args.input, reason, advice).into());
    };
    let text = match args.format {
        TranscriptFormat::Srt => subtitles::to_srt(&transcript),
        TranscriptFormat::Vtt => subtitles::to_vtt(&transcript),
        TranscriptFormat::Txt => plain(&transcript),
        TranscriptFormat::Json => json::to_text(&transcript)?,
    };
    match &args.output {
        Some(path) => write_file(path, text.as_bytes())?,
        None => print(&text)?,
    }
    for damage in &info.damage {
        warn(&format!("{}: {damage}", args.input));
    }
    Ok(if info.damage.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(PARTIAL) })
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
