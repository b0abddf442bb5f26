//! `vidgist audio`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use vidgist::audio::{AudioReader, AudioWant, wav};
use vidgist::error::{Error, Fault};
use vidgist::limits::Limits;
use vidgist::media::Ratio;
use vidgist::source::Source;

use super::args::AudioArgs;
use super::{PARTIAL, print, warn};

/// Sound that is shorter than the container claims by more than this is told: encoders round to packets.
const TOLERATED_LOSS_SECONDS: f64 = 0.25;

pub async fn run(args: &AudioArgs) -> Result<ExitCode> {
    let (input, output) = (args.input.clone(), args.output.clone());
    let want = AudioWant { rate_hz: args.rate, channels: args.channels };
    let io = |error| Error::io(&args.output, error);
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Held here, not on the thread that writes: where an interrupt drops this future, the half file goes with it.
    let unfinished = tempfile::Builder::new().prefix(".vidgist-").tempdir_in(folder).map_err(io)?;
    let written = unfinished.path().join("sound.wav");
    tokio::task::spawn_blocking(move || {
        let source = Source::identify(&input)?;
        let Source::Media(path) = &source else {
            return Err(Error::usage(&input, "holds no sound", "name a media file").into());
        };
        let info = vidgist::probe::probe(&source, Ratio::ONE, &Limits::default())?;
        let Some(stream) = info.main_audio() else {
            return Err(Error::unsupported(&input, "holds no sound", "see what it holds with: vidgist probe").into());
        };
        let mut reader = AudioReader::open(path, &info, stream, &want)?;
        let summary = wav::write(&mut reader, &written).map_err(|error| match error {
            // The user knows the file by the name that was given.
            Error::Io(fault) if fault.input == written.display().to_string() => {
                Error::Io(Fault { input: output.display().to_string(), ..fault })
            }
            error => error,
        })?;
        std::fs::rename(&written, &output).map_err(|error| Error::io(&output, error))?;
        print(&format!(
            "{}\t{} Hz, {} channel{}, {}, begins at {}\n",
            output.display(),
            summary.rate_hz,
            summary.channels,
            if summary.channels == 1 { "" } else { "s" },
            summary.duration,
            summary.start,
        ))?;
        let mut missing = info.damage.clone();
        if summary.n_damaged > 0 {
            missing.push(format!("{} damaged packets are silent", summary.n_damaged));
        }
        let lost = reader.claimed().map_or(0.0, |claimed| claimed.secs_f64() - reader.seconds_read());
        if lost > TOLERATED_LOSS_SECONDS {
            missing.push(format!("{lost:.2} s of the sound that the file claims did not come"));
        }
        for what in &missing {
            warn(&format!("{input}: {what}"));
        }
        Ok(if missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(PARTIAL) })
    })
    .await?
}
