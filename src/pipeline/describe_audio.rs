//! Descriptions of audio: measured, plotted, and in words by a chat model where there is one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::input::{TrackChoice, check_bounds, open_media, recordings};
use super::run::Context;
use super::site::{self, FetchedSite, expand_playlists, fetch_audio, media_name, named};
use super::transcript::{TranscriptSearch, find_transcript};
use crate::advice::{Advice, Setting};
use crate::audio;
use crate::audio::measure::measure_with;
use crate::audio::plot::{Spectrogram, Waveform, to_png};
use crate::audio_facts::{AudioFacts, single_channel_notice};
use crate::blocking::run_blocking;
use crate::digest;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::fs::write_file;
use crate::llm::{ChatModel, ChatRequest};
use crate::media::{AudioStream, MediaInfo};
use crate::pcm::{AudioReader, PcmFormat};
use crate::prompt::{SoundEvidence, build_sound, fence_number, transcript_texts};
use crate::report::sound::{SoundReport, SpeechRate};
use crate::time::{TimeBounds, TimeRange};

/// Sample rate of the audio that a model is sent, in Hz: the rate of speech models.
const SENT_RATE_HZ: u32 = 16_000;
/// The most audio that a model is sent, in seconds: 13 MB of Base64, which all servers accept.
const MAX_SENT_SECONDS: u32 = 300;

/// Descriptions of some files.
#[derive(Clone)]
pub struct DescribeAudio {
    /// Media files.
    pub inputs: Vec<String>,
    /// Whether the address of a playlist stands for its videos.
    pub playlist: bool,
    /// Whether they are one recording.
    pub is_joined: bool,
    /// Where the transcript comes from, and which audio track and part is described.
    pub transcript: TranscriptSearch,
    /// Writes the description; None leaves the measured one.
    pub model: Option<Arc<dyn ChatModel>>,
    /// Whether the model is sent the audio itself.
    pub send_audio: bool,
    /// PNG file of the level over time.
    pub waveform: Option<PathBuf>,
    /// PNG file of the level over time and frequency.
    pub spectrogram: Option<PathBuf>,
}

/// What became of the files.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct DescribeResult {
    /// The descriptions, in the order of the inputs.
    pub reports: Vec<SoundReport>,
    /// Files that failed.
    pub n_failed: usize,
}

impl DescribeResult {
    /// Whether nothing failed and nothing is missing.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.n_failed == 0 && self.reports.iter().all(|report| report.missing.is_empty())
    }
}

/// Describes one file after another; one that fails does not keep the others, where there are several.
///
/// # Errors
/// As the only file; [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) where every one of several failed.
pub async fn run(task: DescribeAudio, context: Context) -> Result<DescribeResult> {
    check(&task)?;
    context.unless_cancelled(work(&task, &context)).await
}

async fn work(task: &DescribeAudio, context: &Context) -> Result<DescribeResult> {
    let mut result = DescribeResult::default();
    let inputs = expand_playlists(&task.inputs, task.playlist, context).await?;
    let recordings = recordings(&inputs, task.is_joined);
    for (input, join) in &recordings {
        let input = *input;
        context.events.send(Event::Input { input: input.clone() }).await;
        let warning = |message: String| Event::warning(input, message);
        match describe(input, *join, task, context).await {
            Ok(report) => {
                for message in &report.missing {
                    context.events.send(warning(message.clone())).await;
                }
                result.reports.push(report);
            }
            Err(error) if recordings.len() == 1 || error.is_interrupted() => return Err(error),
            Err(error) => {
                result.n_failed += 1;
                context.events.send(warning(error.to_string())).await;
            }
        }
    }
    if result.reports.is_empty() {
        let first = task.inputs.first().cloned().unwrap_or_default();
        return Err(Error::unsupported(first, "none of the files could be described", ""));
    }
    Ok(result)
}

/// One plot shows one file.
fn check(task: &DescribeAudio) -> Result<()> {
    if task.send_audio && task.model.is_none() {
        let problem = "the built-in description does not use a model";
        return Err(Error::setting(Setting::SendAudio, problem, Advice::Set(Setting::Model)));
    }
    for (setting, file) in [(Setting::Waveform, &task.waveform), (Setting::Spectrogram, &task.spectrogram)] {
        let Some(file) = file else { continue };
        if task.inputs.len() > 1 && !task.is_joined {
            let problem = format!("is one image, but there are {} inputs", task.inputs.len());
            return Err(Error::setting(setting, problem, "describe them one by one"));
        }
        if !file.extension().is_some_and(|end| end.eq_ignore_ascii_case("png")) {
            let problem = format!("{} is written as PNG, but its name does not end in .png", file.display());
            return Err(Error::setting(setting, problem, "name it FILE.png"));
        }
    }
    if task.waveform.is_some() && task.waveform == task.spectrogram {
        let problem = "is the same file as the waveform";
        return Err(Error::setting(Setting::Spectrogram, problem, "name another file"));
    }
    Ok(())
}

async fn describe(
    input: &str,
    join: Option<&[String]>,
    task: &DescribeAudio,
    context: &Context,
) -> Result<SoundReport> {
    let site = fetch_audio((input, join), Some(&task.transcript), true, context).await?;
    let site = site.as_ref();
    describe_fetched((input, join), site, task, context).await.map_err(|error| named(site, error))
}

/// As [`describe`], of files, or of what was fetched of a site.
async fn describe_fetched(
    (input, join): (&str, Option<&[String]>),
    site: Option<&FetchedSite>,
    task: &DescribeAudio,
    context: &Context,
) -> Result<SoundReport> {
    let (name, join) = (media_name(input, site), join.map(<[String]>::to_vec));
    let (track, bounds) = (task.transcript.track.clone(), task.transcript.bounds);
    let (path, mut info, stream) = run_blocking(move || {
        let (path, info) = open_media(&name, join.as_deref())?;
        let stream = track.choose(&info)?.clone();
        check_bounds(bounds, &info)?;
        Ok((path, info, stream))
    })
    .await?;
    site::describe(site, &mut info);
    // The transcript is that of the described track.
    let number = info.audio.iter().position(|audio| audio.stream_idx == stream.stream_idx);
    let number = number.and_then(|idx| u16::try_from(idx + 1).ok());
    let options = TranscriptSearch { track: TrackChoice { number, language: None }, ..task.transcript.clone() };
    let captions = site.and_then(|site| site.captions.as_ref());
    let found = find_transcript(&options, Some(&path), captions, &info, context, false).await?;
    for (_, why) in found.problems.into_iter().chain(site.into_iter().flat_map(|site| site.problems.clone())) {
        context.events.send(Event::warning(input, why)).await;
    }
    let transcript = found.transcript;
    let plots = (task.waveform.clone(), task.spectrogram.clone());
    let (audio_path, audio_info, audio_stream) = (path.clone(), info.clone(), stream.clone());
    let facts = run_blocking(move || measure((&audio_path, &audio_info, &audio_stream), bounds, plots)).await?;
    let speech = transcript.as_ref().and_then(SpeechRate::of);
    let words_per_minute = speech.as_ref().map(|speech| speech.words_per_minute);
    let built_in = (digest::describe(&facts, words_per_minute), digest::description());
    let mut report = SoundReport::new(&info, &stream, facts, speech, built_in);
    if let Some(model) = &task.model {
        let sent =
            if task.send_audio { Some(excerpt(path, info.clone(), stream.clone(), bounds).await?) } else { None };
        let evidence = SoundEvidence {
            media: &info,
            stream: &stream,
            facts: &report.sound,
            transcript: transcript.as_ref(),
            heard: sent.as_ref().map(|(wav, range)| (wav, *range)),
        };
        let messages = build_sound(&evidence, fence_number(transcript_texts(evidence.transcript)));
        let response = model.complete(&ChatRequest::new(&messages)).await;
        report.answered(model.description(), response, sent.map(|(_, range)| range));
    }
    Ok(report)
}

/// Measures the audio, and plots it where that is wanted, from one decoding.
fn measure(
    (path, info, stream): (&Path, &MediaInfo, &AudioStream),
    bounds: TimeBounds,
    (waveform, spectrogram): (Option<PathBuf>, Option<PathBuf>),
) -> Result<AudioFacts> {
    let mut reader = AudioReader::open(path, info, stream, &PcmFormat::default())?.within(bounds);
    let mut waveform = waveform.map(|file| (file, Waveform::new(&reader)));
    let mut spectrogram = spectrogram.map(|file| (file, Spectrogram::new(&reader)));
    let facts = measure_with(&mut reader, |block| {
        if let Some((_, waveform)) = &mut waveform {
            waveform.push(block);
        }
        if let Some((_, spectrogram)) = &mut spectrogram {
            spectrogram.push(block);
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

/// The beginning of the audio as a model is sent it, and its range.
async fn excerpt(
    path: PathBuf,
    info: MediaInfo,
    stream: AudioStream,
    bounds: TimeBounds,
) -> Result<(Bytes, TimeRange)> {
    run_blocking(move || {
        let want = PcmFormat { rate_hz: Some(SENT_RATE_HZ), channels: Some(1) };
        let mut reader = AudioReader::open(&path, &info, &stream, &want)?.within(bounds);
        let sent = audio::wav_bytes(&mut reader, MAX_SENT_SECONDS)?;
        if let Some(seconds) = reader.single_channel_seconds() {
            tracing::warn!("{}: {}", info.input, single_channel_notice(seconds));
        }
        Ok(sent)
    })
    .await
}
