//! The report: one document with everything that a run found.
//!
//! Its status is derived, not set: a report in which something is missing cannot call itself complete.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::estimate::Estimate;
use super::look::LookReport;
use super::windows::{Total, WindowReport};
use crate::advice::{Advice, Setting};
use crate::chat::{ChatResponse, Choice, FinishReason, ModelDescription};
use crate::frame_diff::{Difference, FrameScore};
use crate::fs::hex;
use crate::media::{EncodedImage, Frame, FrameReason, ImageFormat, MediaInfo};
use crate::record::{EventRecord, Section};
use crate::time::{TimeBase, TimeRange, Timestamp, Tolerance};
use crate::timeline::{Timeline, TimelineFrame};
use crate::transcript::{Segment, Transcript, TranscriptSource};

/// Whether a result is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Everything that was requested is there.
    Complete,
    /// Something is missing: see [`Report::gaps`].
    Partial,
}

/// The result of a run over one source.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// Facts of the container.
    pub media: MediaInfo,
    /// How frames were sampled.
    pub sampling: SamplingSummary,
    /// The frames in time order.
    pub frames: Vec<ReportFrame>,
    /// Paths of the contact sheets that were written, relative to the report.
    pub contact_sheets: Vec<String>,
    /// Text that is spoken before the first frame, or all of it if there is no frame; None without a transcript that has
    /// times.
    pub speech_before_frames: Option<String>,
    /// The transcript, or the reason why there is none.
    pub transcript: TranscriptOutcome,
    /// The model; None if none was used.
    pub model: Option<ModelDescription>,
    /// The question that the answer is to; None for a summary.
    pub question: Option<String>,
    /// The answer; None if no model was used or the request failed.
    pub answer: Option<ChatResponse>,
    /// Why the request failed; None if it succeeded or there was none.
    pub no_answer_because: Option<String>,
    /// The windows, each sent in its own request; empty if one request held everything.
    pub windows: Vec<WindowReport>,
    /// What the windows state, in order of time; empty if one request held everything.
    pub records: Vec<EventRecord>,
    /// The sections of the records; empty for a recording of at most ten minutes.
    pub sections: Vec<Section>,
    /// What the model asked to see while it answered.
    pub looks: Vec<LookReport>,
    /// Usage and cost of all requests; None if none was sent.
    pub total: Option<Total>,
    /// What was changed to stay within the spending limit, as phrases.
    pub changes: Vec<String>,
    /// The cost estimate of a dry run, otherwise None. Not part of the written report.
    pub forecast: Option<Estimate>,
    /// The page with its pictures inside; None if the run was not asked for it. Not part of the written report.
    pub page: Option<String>,
    /// Whether chapters were asked for, so that the sections are the chapters even of a container that has its own. Not part of
    /// the written report.
    pub has_requested_chapters: bool,
    /// Whether the run was cancelled during a request. Not part of the written report, which lists what is missing.
    pub was_stopped: bool,
    /// What is missing, besides lost frames and a missing answer, which [`Report::gaps`] adds.
    pub missing: Vec<Missing>,
    /// The duration of each measured stage, in the order of their start.
    pub timings: Vec<StageTime>,
    /// Versions of the software that produced it.
    pub made_with: MadeWith,
}

/// How frames were sampled.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SamplingSummary {
    /// The method: `interval`, `moments`, `keyframes`, `scenes`, `budget`, `still picture`, `none`.
    pub method: String,
    /// The interval between sample points; None if they are not equally spaced, or if fewer were taken than the interval
    /// asks for.
    pub interval: Option<Timestamp>,
    /// How far a frame may be from its sample point; None where frames are exact.
    pub tolerance: Option<Tolerance>,
    /// The sampled part of the source.
    pub range: TimeRange,
    /// The number of distinct frames planned; None if unknown in advance (live streams).
    pub n_planned: Option<usize>,
    /// The longest gap between consecutive sample points, including the ends of the range; None for images and live
    /// sources.
    pub longest_gap: Option<Timestamp>,
    /// Frames that were removed as duplicates, in time order.
    pub dropped: Vec<Dropped>,
    /// Whether an earlier run read them, and they were taken from the store.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub from_store: bool,
    /// Why there are fewer frames than planned; None if there are not, or if the reason is unknown.
    #[serde(skip)]
    pub lost_because: Option<String>,
}

impl Default for SamplingSummary {
    /// No frames were sampled.
    fn default() -> Self {
        Self {
            method: "none".to_owned(),
            interval: None,
            tolerance: None,
            range: TimeRange::new(Timestamp::ZERO, Timestamp::ZERO),
            n_planned: None,
            longest_gap: None,
            dropped: Vec::new(),
            from_store: false,
            lost_because: None,
        }
    }
}

/// A frame that was removed because it looks the same as an earlier one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Dropped {
    /// Presentation time on the stream's own clock, in ticks of `time_base`.
    pub pts: i64,
    /// Length of a tick in seconds, as `num/den`.
    pub time_base: TimeBase,
    /// Presentation time on the shared clock, in seconds.
    #[serde(rename = "seconds")]
    pub time: Timestamp,
    /// Index of the earlier frame.
    pub same_as: usize,
    /// See [`Difference::mean`].
    pub mean_difference: f64,
    /// See [`Difference::local`].
    pub local_difference: f64,
}

impl Dropped {
    /// `frame` looks the same as frame `same_as`.
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
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ReportFrame {
    /// Index of the frame in this run, from 0.
    pub frame_idx: usize,
    /// Presentation time on the stream's own clock, in ticks of `time_base`.
    pub pts: i64,
    /// Length of a tick in seconds, as `num/den`.
    pub time_base: TimeBase,
    /// Presentation time on the shared clock, in seconds.
    #[serde(rename = "seconds")]
    pub time: Timestamp,
    /// The same as `HH:MM:SS.mmm`.
    pub timestamp: String,
    /// The file of a joined recording that the frame is from, from 0 in `media.parts`; None for a single file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<usize>,
    /// Why it was sampled; None if unknown.
    pub reason: Option<FrameReason>,
    /// Whether the decoder reported an error in the frame or in one that it refers to, so that it may look wrong.
    pub suspect: bool,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Format of the encoded image.
    pub format: ImageFormat,
    /// Size of the encoded image.
    pub size_bytes: usize,
    /// SHA-256 of the encoded image, in lower-case hexadecimal.
    pub sha256: String,
    /// See [`FrameScore::sharpness`]; None if not measured.
    pub sharpness: Option<f64>,
    /// See [`FrameScore::change`]; None if not measured.
    pub change: Option<f64>,
    /// Path of the image file, relative to the report; None if it was not written.
    pub file: Option<String>,
    /// Text that is spoken from this frame until the next; None without a transcript that has times, empty during silence.
    pub speech: Option<String>,
}

impl ReportFrame {
    /// The frame's facts; without a file and spoken text.
    #[must_use]
    pub fn new(image: &EncodedImage, score: Option<FrameScore>) -> Self {
        Self {
            frame_idx: image.frame_idx,
            pts: image.pts.ticks(),
            time_base: image.pts.base(),
            time: image.time,
            timestamp: image.time.to_string(),
            part: None,
            reason: None,
            suspect: false,
            width: image.width,
            height: image.height,
            format: image.format,
            size_bytes: image.bytes.len(),
            sha256: hex(&Sha256::digest(&image.bytes)),
            sharpness: score.map(|score| score.sharpness),
            change: score.map(|score| score.change),
            file: None,
            speech: None,
        }
    }
}

/// The transcript, or the reason why there is none.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum TranscriptOutcome {
    /// There is a transcript.
    Found(Transcript),
    /// The audio was transcribed and contains no speech.
    NoSpeech {
        /// What transcribed it.
        source: TranscriptSource,
        /// Whether an earlier run found this out, and it was taken from the store.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        from_store: bool,
    },
    /// There is none.
    None {
        /// Why, as a phrase: `no subtitles were found, and there is no sound`.
        reason: String,
    },
}

/// A part of the requested result that is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Missing {
    /// What: `3 of 12 frames`.
    pub what: String,
    /// Why, and what to try.
    pub why: String,
}

impl Missing {
    /// `what` is missing because of `why`.
    #[must_use]
    pub fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into() }
    }
}

/// The duration of a stage.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StageTime {
    /// The stage: `decode`.
    pub stage: String,
    /// Wall-clock seconds.
    pub seconds: f64,
}

/// Versions of the software that produced a report.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MadeWith {
    /// This crate's version.
    pub vidgist: String,
    /// The decoder's name and version; None if nothing was decoded.
    pub decoder: Option<String>,
    /// The version of the prompt; None if no language model was used.
    pub prompt_version: Option<u32>,
}

impl Default for MadeWith {
    fn default() -> Self {
        Self { vidgist: env!("CARGO_PKG_VERSION").into(), decoder: None, prompt_version: None }
    }
}

impl Report {
    /// The report of a timeline, without an answer; the caller adds the rest.
    ///
    /// `no_transcript` is the reason if the timeline has no transcript.
    #[must_use]
    pub fn new(media: MediaInfo, sampling: SamplingSummary, timeline: &Timeline, no_transcript: &str) -> Self {
        Self {
            frames: frames(&media, timeline),
            media,
            sampling,
            contact_sheets: Vec::new(),
            speech_before_frames: speech(timeline, timeline.words_before_frames()),
            transcript: match &timeline.transcript {
                Some(transcript) if transcript.is_empty() => {
                    TranscriptOutcome::NoSpeech { source: transcript.source.clone(), from_store: transcript.from_store }
                }
                Some(transcript) => TranscriptOutcome::Found(transcript.clone()),
                None => TranscriptOutcome::None { reason: no_transcript.to_owned() },
            },
            model: None,
            question: None,
            answer: None,
            no_answer_because: None,
            windows: Vec::new(),
            records: Vec::new(),
            sections: Vec::new(),
            looks: Vec::new(),
            total: None,
            changes: Vec::new(),
            forecast: None,
            page: None,
            has_requested_chapters: false,
            was_stopped: false,
            missing: Vec::new(),
            timings: Vec::new(),
            made_with: MadeWith::default(),
        }
    }

    /// Adds the frames of `timeline` that it does not have: the model asked for them while it answered. `suspect` are the indices
    /// of those that may look wrong.
    pub fn add_looked_frames(&mut self, timeline: &Timeline, suspect: &[usize]) {
        let mut before: HashMap<usize, ReportFrame> = self.frames.drain(..).map(|one| (one.frame_idx, one)).collect();
        let merge = |frame: ReportFrame| {
            if let Some(known) = before.remove(&frame.frame_idx) {
                return ReportFrame { speech: frame.speech, ..known };
            }
            let (reason, suspect) = (Some(FrameReason::SecondLook), suspect.contains(&frame.frame_idx));
            ReportFrame { reason, suspect, ..frame }
        };
        self.frames = frames(&self.media, timeline).into_iter().map(merge).collect();
        self.speech_before_frames = speech(timeline, timeline.words_before_frames());
    }

    /// The number of frames that were sampled: without those of a second look.
    #[must_use]
    pub fn n_sampled(&self) -> usize {
        self.frames.iter().filter(|frame| frame.reason != Some(FrameReason::SecondLook)).count()
    }

    /// Adds something that is missing.
    pub fn miss(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.missing.push(Missing::new(what, why));
    }

    /// [`Status::Complete`] exactly where [`Report::gaps`] is empty.
    #[must_use]
    pub fn status(&self) -> Status {
        if self.gaps().is_empty() { Status::Complete } else { Status::Partial }
    }

    /// Everything that is missing: [`Report::missing`], and what follows from the report itself (fewer frames than
    /// planned, a request without an answer, an answer that was truncated, filtered or refused).
    #[must_use]
    pub fn gaps(&self) -> Vec<Missing> {
        let mut gaps = self.missing.clone();
        // Damage counts even if the caller did not add it, and only once.
        for damage in self.media.damage.iter().filter(|damage| !self.missing.iter().any(|gap| &gap.why == *damage)) {
            gaps.push(Missing::new("part of the file", damage));
        }
        let derived = self.lost_frames().into_iter().chain(self.window_gaps()).chain(self.answer_gaps());
        // A report that was read back lists all of them already.
        gaps.extend(derived.filter(|gap| !self.missing.iter().any(|listed| listed.what == gap.what)));
        gaps
    }

    fn lost_frames(&self) -> Option<Missing> {
        let n_frames = self.n_sampled() + self.sampling.dropped.len();
        let n_planned = self.sampling.n_planned.filter(|n| *n > n_frames)?;
        let why = self.sampling.lost_because.as_deref().unwrap_or("the decoder did not return them");
        Some(Missing::new(format!("{} of {n_planned} frames", n_planned - n_frames), why))
    }

    /// If no window was answered, the reason stands once, with the answer.
    fn window_gaps(&self) -> Vec<Missing> {
        if self.windows.iter().all(|window| window.n_records.is_none()) {
            return Vec::new();
        }
        let gap = |window: &WindowReport| {
            let part = format!("the records of {} to {}", window.range.start, window.range.end);
            match (&window.no_answer_because, window.finish.as_ref().and_then(shortfall)) {
                (Some(why), _) => Some(Missing::new(part, why)),
                (None, Some((what, why))) => Some(Missing::new(format!("{what} {part}"), why)),
                (None, None) if window.is_partial => {
                    let why = "the model's reply was broken JSON, or not of the form that was asked for";
                    Some(Missing::new(format!("some of {part}"), why))
                }
                (None, None) => None,
            }
        };
        self.windows.iter().filter_map(gap).collect()
    }

    fn answer_gaps(&self) -> Vec<Missing> {
        let Some(answer) = &self.answer else {
            let is_missing = self.model.is_some() || self.no_answer_because.is_some();
            let why = self.no_answer_because.as_deref().unwrap_or("the model returned none");
            return is_missing.then(|| Missing::new("the answer", why)).into_iter().collect();
        };
        let is_only = answer.choices.len() == 1;
        let gap = |(at, alternative): (usize, &Choice)| {
            let (what, why) = shortfall(&alternative.finish)?;
            let which = if is_only { "the answer".to_owned() } else { format!("alternative {}", at + 1) };
            Some(Missing::new(format!("{what} {which}"), why))
        };
        answer.choices.iter().enumerate().filter_map(gap).collect()
    }
}

/// The text of segments; None without a transcript that has times.
fn speech(timeline: &Timeline, segments: &[Segment]) -> Option<String> {
    (timeline.transcript.is_some() && timeline.untimed().is_empty()).then(|| joined(segments))
}

/// The frames of a timeline, without the reasons for them.
fn frames(media: &MediaInfo, timeline: &Timeline) -> Vec<ReportFrame> {
    let frame = |(at, frame): (usize, &TimelineFrame)| ReportFrame {
        speech: speech(timeline, timeline.words_after(at)),
        part: media.part_at(frame.image.time),
        ..ReportFrame::new(&frame.image, Some(frame.score))
    };
    timeline.frames.iter().enumerate().map(frame).collect()
}

/// What an answer with this finish reason lacks, and why; None if the server reports it as complete.
fn shortfall(finish: &FinishReason) -> Option<(&'static str, String)> {
    match finish {
        FinishReason::Stop | FinishReason::Other(_) => None,
        FinishReason::Length => {
            let advice = Advice::Raise(Setting::MaxTokens);
            Some(("the end of", format!("it was truncated at the token limit; {advice}")))
        }
        FinishReason::ContentFilter => Some(("all or part of", "the provider's content filter withheld it".to_owned())),
        FinishReason::Refusal => Some(("the content of", "the model declined the task".to_owned())),
        FinishReason::ToolCalls => {
            Some(("the end of", "the model asked for more evidence instead of finishing it".to_owned()))
        }
    }
}

/// The text of consecutive segments as one line, with the speaker where it changes.
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
