//! Standard input as an input, `-`: written to a temporary file first, because containers need seeking.

use std::io::{IsTerminal as _, Read};
use std::path::PathBuf;

use anyhow::Result;
use tempfile::TempDir;
use vidgist::Error;
use vidgist::input::{SPOOL_PREFIX, SPOOLED_NAME, text_of};
use vidgist::job::{Job, Task};

/// How standard input is named on the command line and in jobs.
const DASH: &str = "-";
/// The most that is read: two hours of a camera's 4K.
const MAX_BYTES: u64 = 64 << 30;

/// The temporary file, removed when this is dropped; None where standard input is not read.
pub struct Spooled {
    _folder: Option<TempDir>,
}

impl Spooled {
    /// Reads standard input where the job names it, and puts the name of the temporary file in its place.
    pub async fn of_job(job: &mut Job) -> Result<Self> {
        let (mut inputs, file): (Vec<&mut String>, Option<&mut PathBuf>) = match &mut job.task {
            Task::Summarize(job) => (all(&mut job.input, job.join.as_mut()), job.transcript.file.as_mut()),
            Task::Frames(job) => (all(&mut job.input, job.join.as_mut()), None),
            Task::Audio(job) => (all(&mut job.input, job.join.as_mut()), None),
            Task::Transcribe(job) => (job.inputs.iter_mut().collect(), job.transcript.file.as_mut()),
            Task::Translate(job) => (all(&mut job.input, job.join.as_mut()), job.transcript.file.as_mut()),
            Task::DescribeAudio(job) => (job.inputs.iter_mut().collect(), job.transcript.file.as_mut()),
            Task::Caption(job) if job.inputs.iter().any(|input| input == DASH) => {
                let problem = "cannot be captioned, because captions name the file that they belong to";
                return Err(Error::usage(SPOOLED_NAME, problem, "write it to a file first").into());
            }
            Task::Caption(job) => (Vec::new(), job.transcript.file.as_mut()),
            _ => (Vec::new(), None),
        };
        Self::read(&mut inputs, file).await
    }

    /// As [`Spooled::of_job`], for an input and the files that continue it.
    pub async fn of_input(input: &mut String, more: &mut Vec<String>) -> Result<Self> {
        Self::read(&mut all(input, Some(more)), None).await
    }

    async fn read(inputs: &mut Vec<&mut String>, file: Option<&mut PathBuf>) -> Result<Self> {
        inputs.retain(|input| *input == DASH);
        let file = file.filter(|file| file.as_os_str() == DASH);
        if inputs.len() + usize::from(file.is_some()) > 1 {
            return Err(Error::usage(SPOOLED_NAME, "can be read once only", "write it to a file first").into());
        }
        if inputs.is_empty() && file.is_none() {
            return Ok(Self { _folder: None });
        }
        let (spooled, path) = read_stdin().await?;
        if let Some(input) = inputs.pop() {
            *input = text_of(&path);
        }
        if let Some(file) = file {
            *file = path;
        }
        Ok(spooled)
    }
}

/// An input and the files that continue it.
fn all<'a>(input: &'a mut String, more: Option<&'a mut Vec<String>>) -> Vec<&'a mut String> {
    std::iter::once(input).chain(more.into_iter().flatten()).collect()
}

async fn read_stdin() -> Result<(Spooled, PathBuf)> {
    if std::io::stdin().is_terminal() {
        let advice = "pipe a file into it, or name a file";
        return Err(Error::usage(SPOOLED_NAME, "is a terminal", advice).into());
    }
    let folder = tempfile::Builder::new().prefix(SPOOL_PREFIX).tempdir()?;
    let path = folder.path().join(SPOOLED_NAME);
    let target = path.clone();
    let reading = tokio::task::spawn_blocking(move || spool(std::io::stdin().lock(), &target, MAX_BYTES));
    tokio::select! {
        biased;
        // Dropping the folder removes what was written.
        _ = tokio::signal::ctrl_c() => Err(Error::interrupted().into()),
        outcome = reading => {
            outcome??;
            Ok((Spooled { _folder: Some(folder) }, path))
        }
    }
}

/// Copies at most `max_bytes` into a new file.
fn spool(input: impl Read, path: &std::path::Path, max_bytes: u64) -> vidgist::Result<()> {
    // The folder's name tells which disk is full.
    let io = |error| Error::io(path.parent().unwrap_or(path), error);
    let mut file = std::fs::File::create_new(path).map_err(io)?;
    let n_bytes = std::io::copy(&mut input.take(max_bytes.saturating_add(1)), &mut file).map_err(io)?;
    if n_bytes > max_bytes {
        let problem = format!("is larger than the limit of {max_bytes} bytes");
        return Err(Error::limit(SPOOLED_NAME, problem, "write it to a file, and name the file"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_the_limit_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let spool = |n: usize, name: &str| spool(&vec![7; n][..], &folder.path().join(name), 1000);
        assert!(spool(1000, "fits").is_ok());
        assert_eq!(std::fs::read(folder.path().join("fits")).expect("written").len(), 1000);
        let error = spool(1001, "large").expect_err("too large").to_string();
        assert!(error.starts_with("stdin: is larger than the limit of 1000 bytes"), "{error}");
        // An existing file, or a link that someone put there, is not written through.
        assert!(spool(1, "fits").is_err());
    }
}
