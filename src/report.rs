//! The result of a run: one document, written as Markdown or as JSON.
//!
//! Its status is worked out, not set: a report in which something is missing cannot call itself complete.

pub mod caption;
pub mod estimate;
pub mod json;
pub mod markdown;
pub mod sound;
pub mod subtitles;
mod windows;
pub mod write;

use crate::fs::hex;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::chat::ModelDescription;
use crate::chat::{ChatResponse, FinishReason};
use crate::error::Result;
use crate::frame_diff::{Difference, FrameScore};
use crate::media::FrameReason;
use crate::media::{EncodedImage, Frame, ImageFormat, MediaInfo};
use crate::time::{TimeBase, TimeRange, Timestamp};
use crate::timeline::Timeline;
use crate::transcript::{Segment, Transcript, TranscriptSource};
use estimate::Estimate;
pub use windows::{Total, WindowReport};

/// Version of the JSON document: counts up whenever a key changes its meaning or goes.
pub const SCHEMA_VERSION: u32 = 1;

/// The forms that a report is printed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    #[default]
    Markdown,
    /// For programs: the document of `docs/output.md`.
    Json,
}

/// The report as text that is safe to print on a terminal.
///
/// # Errors
/// [`ErrorKind::Io`](crate::ErrorKind::Io) where the JSON writer fails.
pub fn render(report: &Report, format: Format) -> Result<String> {
    match format {
        Format::Markdown => Ok(markdown::render(report)),
        Format::Json => json::render(report),
    }
}

/// Whether everything that was asked for is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// All of it.
    Complete,
    /// Some of it: [`Report::gaps`] says what is not, and why.
    Partial,
}

/// Everything that a run found out about one file.
#[derive(Clone, Debug)]
pub struct Report {
    /// What the container says of itself.
    pub media: MediaInfo,
    /// Which moments were looked at.
    pub sampling: SamplingSummary,
    /// The frames in time order.
    pub frames: Vec<ReportFrame>,
    /// Paths of the contact sheets that were written, relative to the report.
    pub contact_sheets: Vec<String>,
    /// What is said before the first frame (everything, where there is none), joined; None without a transcript.
    pub words_before_frames: Option<String>,
    /// What became of the words.
    pub transcript: TranscriptOutcome,
    /// Who answered; None where no model was asked.
    pub model: Option<ModelDescription>,
    /// What it answered; None where no model was asked or none answered.
    pub answer: Option<ChatResponse>,
    /// Why the model that was asked gave no answer; None where it did, or none was asked.
    pub no_answer_because: Option<String>,
    /// The parts of the file that were asked about one by one; empty where one request held all.
    pub windows: Vec<WindowReport>,
    /// What all requests took together; None where no server was asked.
    pub total: Option<Total>,
    /// What was changed so that the run stays within its limit of money or tokens, as phrases.
    pub changes: Vec<String>,
    /// What would be asked; None but of a dry run. Not a part of the written report.
    pub forecast: Option<Estimate>,
    /// Whether the user stopped the run while the model was asked. Not a part of the written report, which tells what is
    /// missing.
    pub was_stopped: bool,
    /// What was asked for and not done, besides lost frames and a missing answer, which [`Report::gaps`] adds.
    pub missing: Vec<Missing>,
    /// How long the stages took, where measured, in the order of their start.
    pub timings: Vec<StageTime>,
    /// The programs behind it.
    pub made_with: MadeWith,
}

/// Which moments were looked at.
#[derive(Clone, Debug, Serialize)]
pub struct SamplingSummary {
    /// How they were chosen: `interval`, `moments`, `keyframes`, `scenes`, `budget`, `still picture`, `none`.
    pub method: String,
    /// Time between sample points; None where they are not equally spaced.
    pub interval: Option<Timestamp>,
    /// The part of the file that was looked at.
    pub range: TimeRange,
    /// Different frames that were asked for; None where the number is not known beforehand (live streams).
    pub n_planned: Option<usize>,
    /// Longest stretch between neighbouring sample points, the range's ends included; None for pictures and live
    /// sources.
    pub longest_gap: Option<Timestamp>,
    /// Frames that were left out on purpose, in time order.
    pub dropped: Vec<Dropped>,
    /// Why fewer frames came than planned; None where they all came, or nothing is known.
    #[serde(skip)]
    pub lost_because: Option<String>,
}

impl Default for SamplingSummary {
    /// Nothing was looked at.
    fn default() -> Self {
        Self {
            method: "none".to_owned(),
            interval: None,
            range: TimeRange::new(Timestamp::ZERO, Timestamp::ZERO),
            n_planned: None,
            longest_gap: None,
            dropped: Vec::new(),
            lost_because: None,
        }
    }
}

/// A frame that was left out since it shows what an earlier one shows.
#[derive(Clone, Debug, Serialize)]
pub struct Dropped {
    /// Presentation time on the stream's own clock, in ticks of `time_base`.
    pub pts: i64,
    /// Length of a tick in seconds, as `num/den`.
    #[serde(serialize_with = "as_text")]
    pub time_base: TimeBase,
    /// Presentation time on the shared clock, in seconds.
    #[serde(rename = "seconds")]
    pub time: Timestamp,
    /// Index of the frame that shows the same.
    pub same_as: usize,
    /// See [`Difference::mean`].
    pub mean_difference: f64,
    /// See [`Difference::local`].
    pub local_difference: f64,
}

impl Dropped {
    /// `frame` shows what frame number `same_as` shows.
    #[must_use]
    pub fn new(frame: &Frame, same_as: usize, difference: Difference) -> Self {
        Self {
            pts: frame.pts.ticks(),
            time_base: frame.pts.base(),
            time: frame.time,
            same_as,
            mean_difference: difference.mean,
            local_difference: difference.local,
        }
    }
}

/// One frame of the report.
#[derive(Clone, Debug, Serialize)]
pub struct ReportFrame {
    /// Index of the frame among those of this run, from 0.
    pub frame_idx: usize,
    /// Presentation time on the stream's own clock, in ticks of `time_base`.
    pub pts: i64,
    /// Length of a tick in seconds, as `num/den`.
    #[serde(serialize_with = "as_text")]
    pub time_base: TimeBase,
    /// Presentation time on the shared clock, in seconds.
    #[serde(rename = "seconds")]
    pub time: Timestamp,
    /// The same as `HH:MM:SS.mmm`.
    pub timestamp: String,
    /// Why it was looked at; None where that is not known.
    pub reason: Option<FrameReason>,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Format of the encoded picture.
    pub format: ImageFormat,
    /// Size of the encoded picture.
    pub size_bytes: usize,
    /// SHA-256 of the encoded picture, in lower-case hexadecimal.
    pub sha256: String,
    /// See [`FrameScore::sharpness`]; None where not measured.
    pub sharpness: Option<f64>,
    /// See [`FrameScore::change`]; None where not measured.
    pub change: Option<f64>,
    /// Path of the written picture, relative to the report; None where it was not written.
    pub file: Option<String>,
    /// What is said from this frame until the next, joined; None without a transcript, empty where nothing is said.
    pub words: Option<String>,
}

impl ReportFrame {
    /// The frame's facts; not written to a file, no words.
    #[must_use]
    pub fn new(image: &EncodedImage, score: Option<FrameScore>) -> Self {
        Self {
            frame_idx: image.frame_idx,
            pts: image.pts.ticks(),
            time_base: image.pts.base(),
            time: image.time,
            timestamp: image.time.to_string(),
            reason: None,
            width: image.width,
            height: image.height,
            format: image.format,
            size_bytes: image.bytes.len(),
            sha256: hex(&Sha256::digest(&image.bytes)),
            sharpness: score.map(|score| score.sharpness),
            change: score.map(|score| score.change),
            file: None,
            words: None,
        }
    }
}

/// What became of the words.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum TranscriptOutcome {
    /// There is a transcript.
    Found(Transcript),
    /// Somebody listened, and nobody speaks.
    NoSpeech {
        /// Who listened.
        source: TranscriptSource,
    },
    /// There is none.
    None {
        /// Why, as a phrase: `no subtitles were found, and there is no sound`.
        reason: String,
    },
}

/// Something that was asked for and not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// What: `3 of 12 frames`.
    pub what: String,
    /// Why, and what to try.
    pub why: String,
}

/// How long a stage took.
#[derive(Clone, Debug, Serialize)]
pub struct StageTime {
    /// The stage: `decode`.
    pub stage: String,
    /// Seconds on the wall's clock.
    pub seconds: f64,
}

/// The programs behind a report.
#[derive(Clone, Debug, Serialize)]
pub struct MadeWith {
    /// This crate's version.
    pub vidgist: String,
    /// The decoder's name and version; None where no picture was decoded.
    pub decoder: Option<String>,
    /// Version of the prompt's wording; None where no language model was asked.
    pub prompt_version: Option<u32>,
}

impl Default for MadeWith {
    fn default() -> Self {
        Self { vidgist: env!("CARGO_PKG_VERSION").into(), decoder: None, prompt_version: None }
    }
}

impl Report {
    /// The report of a timeline, before any model was asked; the caller adds the rest.
    ///
    /// The transcript is the timeline's; `no_words` says why there is none.
    #[must_use]
    pub fn new(media: MediaInfo, sampling: SamplingSummary, timeline: &Timeline, no_words: &str) -> Self {
        let has_transcript = timeline.transcript.is_some();
        let words = |segments: &[Segment]| has_transcript.then(|| joined(segments));
        let frames = timeline.frames.iter().enumerate().map(|(at, frame)| ReportFrame {
            words: words(timeline.words_after(at)),
            ..ReportFrame::new(&frame.image, Some(frame.score))
        });
        Self {
            media,
            sampling,
            frames: frames.collect(),
            contact_sheets: Vec::new(),
            words_before_frames: words(timeline.words_before_frames()),
            transcript: match &timeline.transcript {
                Some(transcript) if transcript.segments.is_empty() => {
                    TranscriptOutcome::NoSpeech { source: transcript.source.clone() }
                }
                Some(transcript) => TranscriptOutcome::Found(transcript.clone()),
                None => TranscriptOutcome::None { reason: no_words.to_owned() },
            },
            model: None,
            answer: None,
            no_answer_because: None,
            windows: Vec::new(),
            total: None,
            changes: Vec::new(),
            forecast: None,
            was_stopped: false,
            missing: Vec::new(),
            timings: Vec::new(),
            made_with: MadeWith::default(),
        }
    }

    /// Adds to what was asked for and not done.
    pub fn miss(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.missing.push(Missing { what: what.into(), why: why.into() });
    }

    /// [`Status::Complete`] exactly where [`Report::gaps`] is empty.
    #[must_use]
    pub fn status(&self) -> Status {
        if self.gaps().is_empty() { Status::Complete } else { Status::Partial }
    }

    /// All that is missing: what the run said, and what the report shows by itself (fewer frames than planned, a
    /// model without an answer, an answer cut off, filtered or refused).
    #[must_use]
    pub fn gaps(&self) -> Vec<Missing> {
        let mut gaps = self.missing.clone();
        // The file's damage counts even where the caller did not tell of it, and is told once.
        let untold = |damage: &&String| !self.missing.iter().any(|told| &told.why == *damage);
        for damage in self.media.damage.iter().filter(untold) {
            gaps.push(Missing { what: "part of the file".into(), why: damage.clone() });
        }
        let n_frames = self.frames.len() + self.sampling.dropped.len();
        if let Some(n_planned) = self.sampling.n_planned.filter(|n| *n > n_frames) {
            gaps.push(Missing {
                what: format!("{} of {n_planned} frames", n_planned - n_frames),
                why: self.sampling.lost_because.clone().unwrap_or_else(|| "the decoder did not give them".into()),
            });
        }
        // A run of which nothing was answered has one reason, not one for each part.
        for window in self.windows.iter().filter(|_| self.windows.iter().any(|window| window.text.is_some())) {
            let part = format!("the part from {} to {}", window.range.start, window.range.end);
            match (&window.no_answer_because, window.finish.as_ref().and_then(shortfall)) {
                (Some(why), _) => gaps.push(Missing { what: format!("the answer about {part}"), why: why.clone() }),
                (None, Some((what_of_it, why))) => {
                    gaps.push(Missing { what: format!("{what_of_it} the answer about {part}"), why: why.into() });
                }
                (None, None) => {}
            }
        }
        match &self.answer {
            None if self.model.is_some() || self.no_answer_because.is_some() => gaps.push(Missing {
                what: "the answer".into(),
                why: self.no_answer_because.clone().unwrap_or_else(|| "the model gave none".into()),
            }),
            None => {}
            Some(answer) => {
                let n = answer.alternatives.len();
                for (at, alternative) in answer.alternatives.iter().enumerate() {
                    let what = if n == 1 { "the answer".into() } else { format!("alternative {}", at + 1) };
                    if let Some((what_of_it, why)) = shortfall(&alternative.finish) {
                        gaps.push(Missing { what: format!("{what_of_it} {what}"), why: why.into() });
                    }
                }
            }
        }
        gaps
    }
}

/// What an answer that ended so lacks; None where it is whole, as far as the server says.
fn shortfall(finish: &FinishReason) -> Option<(&'static str, &'static str)> {
    match finish {
        FinishReason::Stop | FinishReason::Other(_) => None,
        FinishReason::Length => Some(("the end of", "it was cut off at the limit of tokens; raise --max-tokens")),
        FinishReason::ContentFilter => Some(("all or part of", "the provider's content filter withheld it")),
        FinishReason::Refusal => Some(("the content of", "the model declined the task")),
    }
}

/// The words of consecutive segments as one line; names of speakers where they change.
fn joined(segments: &[Segment]) -> String {
    let mut out = String::new();
    let mut speaker: Option<&str> = None;
    for segment in segments {
        for word in segment.text.split_whitespace() {
            if !out.is_empty() {
                out.push(' ');
            }
            if segment.speaker.is_some() && segment.speaker.as_deref() != speaker {
                speaker = segment.speaker.as_deref();
                out.push_str(speaker.unwrap_or_default());
                out.push_str(": ");
            }
            out.push_str(word);
        }
    }
    out
}

fn as_text<T: std::fmt::Display, S: serde::Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speakers_are_named_where_they_change() {
        let say = |speaker: Option<&str>, text: &str| {
            let mut segment = Segment::new(TimeRange::new(Timestamp::ZERO, Timestamp::ZERO), text);
            segment.speaker = speaker.map(str::to_owned);
            segment
        };
        let talk = [say(Some("A"), "Well,\nyes."), say(Some("A"), "So."), say(Some("B"), " No. "), say(None, "Hm")];
        assert_eq!(joined(&talk), "A: Well, yes. So. B: No. Hm");
    }
}
