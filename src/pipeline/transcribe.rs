//! Transcripts of media files.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::input::{check_bounds, open_media, recordings};
use super::run::Context;
use super::site::{FetchedSite, describe, expand_playlists, fetch_audio, media_name, named};
use super::transcript::{TranscriptSearch, find_transcript};
use crate::advice::{Advice, Setting};
use crate::blocking::run_blocking;
use crate::error::{Error, ErrorCode, Result};
use crate::event::Event;
use crate::fs::write_file;
use crate::job::TranscriptFormat;
use crate::media::MediaInfo;
use crate::report::{subtitles, transcript as transcript_json};
use crate::transcript::Transcript;

impl TranscriptFormat {
    fn extension(self) -> &'static str {
        match self {
            Self::Srt => "srt",
            Self::Vtt => "vtt",
            Self::Txt => "txt",
            Self::Md => "md",
            Self::Json => "json",
        }
    }

    /// The transcript in this format.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) for subtitles where the transcript has no times;
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) where the JSON writer fails.
    pub fn render(self, transcript: &Transcript, info: &MediaInfo) -> Result<String> {
        if matches!(self, Self::Srt | Self::Vtt) && !transcript.untimed.is_empty() {
            let advice = Advice::SetTo(Setting::OutputFormat, "txt".to_owned());
            let problem = "has a transcript without times, which cannot be written as subtitles";
            return Err(Error::usage(&info.input, problem, advice));
        }
        Ok(match self {
            Self::Srt => subtitles::to_srt(transcript),
            Self::Vtt => subtitles::to_vtt(transcript),
            Self::Txt => subtitles::to_text(transcript),
            Self::Md => subtitles::to_markdown(transcript, info),
            Self::Json => transcript_json::render(transcript)?,
        })
    }
}

/// Transcripts of some files.
#[derive(Clone)]
pub struct Transcribe {
    /// Media files.
    pub inputs: Vec<String>,
    /// Whether the address of a playlist stands for its videos.
    pub playlist: bool,
    /// Whether they are one recording.
    pub is_joined: bool,
    /// Where the transcripts come from.
    pub transcript: TranscriptSearch,
    /// How the transcripts are written.
    pub format: TranscriptFormat,
    /// The file; for several inputs the folder. None keeps the transcripts in the result.
    pub output: Option<PathBuf>,
}

/// One file's transcript.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct FileTranscript {
    /// The file.
    pub input: String,
    /// The transcript. Without segments: no speech was detected.
    pub transcript: Transcript,
    /// What the container holds.
    pub media: MediaInfo,
    /// What is missing, each a phrase.
    pub missing: Vec<String>,
}

/// Transcribes one file after another; one that fails does not keep the others, where there are several.
///
/// # Errors
/// As the only file; [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) where every one of several failed.
pub async fn run(task: Transcribe, context: Context) -> Result<TranscribeResult> {
    context.unless_cancelled(work(&task, &context)).await
}

/// What became of the files.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct TranscribeResult {
    /// The transcripts, in the order of the inputs.
    pub files: Vec<FileTranscript>,
    /// Files that failed.
    pub n_failed: usize,
}

impl TranscribeResult {
    /// Whether nothing failed and nothing is missing.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.n_failed == 0 && self.files.iter().all(|file| file.missing.is_empty())
    }
}

async fn work(task: &Transcribe, context: &Context) -> Result<TranscribeResult> {
    if task.transcript.transcribers.is_empty() {
        return Err(Error::setting(Setting::Stt, "with none, there is nothing to do", Advice::Unset(Setting::Stt)));
    }
    if recordings(&task.inputs, task.is_joined).len() > 1 && task.output.is_none() {
        let advice = Advice::Set(Setting::Output);
        return Err(Error::setting(Setting::Output, "several inputs need a folder", advice));
    }
    let mut result = TranscribeResult::default();
    let mut taken = HashSet::new();
    let inputs = expand_playlists(&task.inputs, task.playlist, context).await?;
    let recordings = recordings(&inputs, task.is_joined);
    if recordings.len() > task.inputs.len() && task.output.is_none() {
        return Err(Error::setting(Setting::Output, "several inputs need a folder", Advice::Set(Setting::Output)));
    }
    for (input, join) in &recordings {
        let input = *input;
        context.events.send(Event::Input { input: input.clone() }).await;
        let file = match transcribe(input, *join, task, context).await {
            Ok(file) => file,
            Err(error) if recordings.len() == 1 || error.is_interrupted() => return Err(error),
            Err(error) => {
                result.n_failed += 1;
                let message = error.to_string();
                context.events.send(Event::warning(input, message)).await;
                continue;
            }
        };
        if let Some(output) = &task.output {
            let several = recordings.len() > 1;
            let path = if several { free_path(output, input, task.format, &mut taken) } else { output.clone() };
            write_file(&path, task.format.render(&file.transcript, &file.media)?.as_bytes())?;
            context.events.send(Event::Written { path }).await;
        }
        result.files.push(file);
    }
    if result.files.is_empty() {
        let first = task.inputs.first().cloned().unwrap_or_default();
        return Err(Error::unsupported(first, "none of the files could be transcribed", ""));
    }
    Ok(result)
}

async fn transcribe(
    input: &str,
    join: Option<&[String]>,
    task: &Transcribe,
    context: &Context,
) -> Result<FileTranscript> {
    let options = &task.transcript;
    let site = fetch_audio((input, join), Some(options), options.track.is_set(), context).await?;
    let site = site.as_ref();
    let found = transcribe_fetched((input, join), site, options, context, false).await;
    found.map(|(file, _)| file).map_err(|error| named(site, error))
}

/// The transcript of files, or of what was fetched of a site, and the path of the media file; None where captions of a
/// site are all that there is. In a dry run nothing is sent to a transcription endpoint.
///
/// # Errors
/// As [`run`].
pub(super) async fn transcribe_fetched(
    (input, join): (&str, Option<&[String]>),
    site: Option<&FetchedSite>,
    options: &TranscriptSearch,
    context: &Context,
    is_dry: bool,
) -> Result<(FileTranscript, Option<PathBuf>)> {
    let (name, join) = (media_name(input, site), join.map(<[String]>::to_vec));
    let only_captions = site.filter(|site| site.media.is_none()).map(FetchedSite::media_info);
    let (track, bounds) = (options.track.clone(), options.bounds);
    let (path, mut info) = run_blocking(move || {
        let (path, info) = match only_captions {
            Some(info) => (None, info),
            None => open_media(&name, join.as_deref()).map(|(path, info)| (Some(path), info))?,
        };
        if track.is_set() {
            track.choose(&info)?;
        }
        check_bounds(bounds, &info)?;
        Ok((path, info))
    })
    .await?;
    describe(site, &mut info);
    let captions = site.and_then(|site| site.captions.as_ref());
    let found = find_transcript(options, path.as_deref(), captions, &info, context, is_dry).await?;
    let Some(transcript) = found.transcript else {
        let advice = Advice::Set(Setting::Transcript).or(Advice::Set(Setting::SttModel));
        return Err(Error::unsupported(input, found.reason, advice).with_code(ErrorCode::NoTranscript));
    };
    if transcript.is_empty() {
        let message = "no speech was detected".to_owned();
        context.events.send(Event::warning(input, message)).await;
    }
    for (what, why) in site.into_iter().flat_map(|site| &site.problems) {
        let message = format!("{what}: {why}");
        context.events.send(Event::warning(input, message)).await;
    }
    for damage in &info.damage {
        context.events.send(Event::warning(input, damage)).await;
    }
    let file = FileTranscript { input: input.to_owned(), transcript, missing: info.damage.clone(), media: info };
    Ok((file, path))
}

/// `talk.srt`, or `talk.2.srt` where that belongs to another input.
fn free_path(folder: &Path, input: &str, format: TranscriptFormat, taken: &mut HashSet<PathBuf>) -> PathBuf {
    let stem = Path::new(input).file_stem().map_or_else(|| "transcript".into(), |stem| stem.to_string_lossy());
    let extension = format.extension();
    let mut path = folder.join(format!("{stem}.{extension}"));
    for number in 2.. {
        if taken.insert(path.clone()) {
            break;
        }
        path = folder.join(format!("{stem}.{number}.{extension}"));
    }
    path
}
