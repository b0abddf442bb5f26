//! The facts of a report as names and plain texts, for every format that people read.

use std::fmt::Write as _;

use super::document::{Report, TranscriptOutcome};
use super::windows::{Total, WindowReport};
use crate::chat::{Choice, Usage};
use crate::media::{AudioStream, MediaInfo, SubtitleStream, VideoStream};
use crate::sanitize::{excerpt, short_name, shown_input};
use crate::time::Timestamp;
use crate::transcript::{Transcript, TranscriptSource};

/// Characters of a description that the report shows; the JSON has all.
const MAX_DESCRIPTION_CHARS: usize = 300;

/// A fact.
pub(super) struct ReportFact {
    /// The name: `Container`.
    pub name: &'static str,
    /// Plain text: untrusted.
    pub text: String,
}

/// The heading of an answer.
pub(super) fn answer_title(report: &Report, choice: &Choice) -> &'static str {
    if choice.data.is_some() || report.question.is_some() { "Answer" } else { "Summary" }
}

/// What the source is, and how it was read.
pub(super) fn of_source(report: &Report) -> Vec<ReportFact> {
    let media = &report.media;
    let mut facts = Vec::new();
    let mut add = |name: &'static str, text: String| facts.push(ReportFact { name, text });
    add("File", format!("{}{}", shown_input(&media.input), size(media)));
    add("Container", format!("{}, {}", media.format, duration_text(media.duration)));
    for part in &media.parts {
        add("Part", format!("from {}, {}", part.offset, short_name(&part.media.input)));
    }
    for video in media.video.iter().filter(|video| !video.is_cover) {
        add("Video", video_text(video));
    }
    for audio in &media.audio {
        add("Audio", audio_text(audio));
    }
    if media.audio.is_empty() {
        add("Audio", "none".to_owned());
    }
    for subtitles in &media.subtitles {
        add("Subtitles", subtitle(subtitles));
    }
    if let Some(uploader) = &media.uploader {
        add("Published by", uploader.clone());
    }
    if let Some(description) = &media.description {
        add("Description", excerpt(description, MAX_DESCRIPTION_CHARS));
    }
    for chapter in &media.chapters {
        let title = chapter.title.as_deref().unwrap_or("without a title");
        add("Chapter", format!("{} to {}, {title}", chapter.start, chapter.end));
    }
    if let Some(notice) = media.motion_notice() {
        add("Note", format!("the file {notice}"));
    }
    add("Frames", frames_text(report));
    add("Transcript", transcript_text(report));
    for change in &report.changes {
        add("Changed to stay within the spending limit", change.clone());
    }
    facts
}

/// The requests to the model.
pub(super) fn of_requests(report: &Report) -> Vec<ReportFact> {
    let mut facts = Vec::new();
    let mut add = |name: &'static str, text: String| facts.push(ReportFact { name, text });
    if let Some(model) = &report.model {
        let place = match &model.endpoint {
            Some(endpoint) => format!(" at {endpoint}"),
            None => ", on this machine".to_owned(),
        };
        add("Model", format!("{}{place}", model.name));
    }
    let Some(answer) = &report.answer else { return facts };
    if answer.from_store {
        add("Answer", "from the store; the figures are those of the earlier request".to_owned());
    }
    if let Some(model) = &answer.model {
        add("Model reported by the server", model.clone());
    }
    if let Some(usage) = answer.usage.and_then(tokens) {
        add("Tokens counted by the server", usage);
    }
    if let Some(estimate) = &answer.estimate {
        let cost = estimate.prompt_cost.map(|cost| format!(", {cost}")).unwrap_or_default();
        add("Estimated request", format!("{} tokens{cost}", estimate.prompt_tokens));
    }
    if let Some(cost) = answer.cost {
        add("Cost", cost.to_string());
    }
    if !answer.dropped_params.is_empty() {
        add("Parameters not sent, because the model does not support them", answer.dropped_params.join(", "));
    }
    if answer.n_attempts > 1 {
        add("Attempts", answer.n_attempts.to_string());
    }
    facts
}

/// What was sent for a window, and what it took.
pub(super) fn window_text(window: &WindowReport) -> String {
    let mut parts = vec![counted(window.n_frames, "frame")];
    parts.extend(window.usage.and_then(tokens).map(|tokens| format!("tokens: {tokens}")));
    parts.extend(window.cost.map(|cost| cost.to_string()));
    parts.extend(window.from_store.then(|| "from the store".to_owned()));
    parts.extend(window.no_answer_because.as_ref().map(|_| "no answer".to_owned()));
    parts.join("; ")
}

/// What all requests took.
pub(super) fn total_text(total: &Total) -> String {
    let mut parts = vec![counted(total.n_answers, "answer")];
    parts.extend(tokens(total.usage).map(|tokens| format!("tokens: {tokens}")));
    parts.extend(total.cost.map(|cost| cost.to_string()));
    parts.join("; ")
}

/// How many frames were sampled, and how.
fn frames_text(report: &Report) -> String {
    let range = report.sampling.range;
    let mut how = match &*report.sampling.method {
        "interval" => spacing(report),
        "keyframes" => ", keyframes only".to_owned(),
        "scenes" => ", one per shot".to_owned(),
        "budget" => ", more where the video changes more".to_owned(),
        _ => String::new(),
    };
    if let Some(tolerance) = report.sampling.tolerance {
        // Writing to a String does not fail.
        let _ = write!(how, "; tolerance {tolerance}");
    }
    let n_dropped = report.sampling.dropped.len();
    if n_dropped > 0 {
        let _ = write!(how, "; {} removed", counted(n_dropped, "duplicate"));
    }
    how.push_str(stored(report.sampling.from_store));
    format!("{} from {} to {}{how}", report.n_sampled(), range.start, range.end)
}

/// The distance of the frames: the interval where it was kept, else the mean.
fn spacing(report: &Report) -> String {
    let sampling = &report.sampling;
    let n_frames = report.n_sampled() + sampling.dropped.len();
    let n_planned = sampling.n_planned.unwrap_or(n_frames);
    let length = sampling.range.length().secs_f64();
    // A frame that is displayed at several sample points comes once.
    let is_kept = |interval: Timestamp| {
        let n_points = (length / interval.secs_f64()).ceil();
        sampling.n_planned.is_none() || n_planned as f64 + 1.0 >= n_points
    };
    match sampling.interval.filter(|interval| is_kept(*interval)) {
        Some(interval) => format!(", one every {}", seconds(interval)),
        None if n_planned > 1 => format!(", about one every {}", rough(length / n_planned as f64)),
        None => String::new(),
    }
}

/// Seconds with a precision of some percent: `72 s`, `2.4 s`, `0.04 s`.
fn rough(seconds: f64) -> String {
    let digits = if seconds >= 10.0 {
        0
    } else if seconds >= 1.0 {
        1
    } else {
        2
    };
    let scale = 10_f64.powi(digits);
    format!("{} s", (seconds * scale).round() / scale)
}

/// The source of the transcript, or the reason why there is none.
pub(crate) fn transcript_text(report: &Report) -> String {
    match &report.transcript {
        TranscriptOutcome::Found(transcript) => transcript_source(transcript),
        TranscriptOutcome::NoSpeech { source, from_store } => {
            format!("no speech found by {}{}", transcriber(source), stored(*from_store))
        }
        TranscriptOutcome::None { reason } => format!("none; {reason}"),
    }
}

fn size(media: &MediaInfo) -> String {
    match media.size_bytes {
        Some(bytes @ 1_000_000..) => format!(" ({:.1} MB)", bytes as f64 / 1e6),
        Some(bytes) => format!(" ({:.1} kB)", bytes as f64 / 1e3),
        None => String::new(),
    }
}

fn duration_text(duration: Option<Timestamp>) -> String {
    duration.map_or_else(|| "duration unknown".into(), |duration| format!("{duration}"))
}

fn seconds(time: Timestamp) -> String {
    format!("{} s", time.millis() as f64 / 1000.0)
}

fn video_text(video: &VideoStream) -> String {
    let (width, height) = video.display_size();
    let mut text = format!("{}, {width}x{height}", video.codec);
    if let Some(rate) = video.frame_rate {
        let hundredths = (rate.as_f64() * 100.0).round() / 100.0;
        let _ = write!(text, ", {hundredths} fps");
    }
    with_language(text, video.language.as_deref())
}

fn audio_text(audio: &AudioStream) -> String {
    let mut text = audio.codec.clone();
    if let Some(rate) = audio.sample_rate_hz {
        let _ = write!(text, ", {rate} Hz");
    }
    match audio.channels {
        Some(1) => text.push_str(", mono"),
        Some(2) => text.push_str(", stereo"),
        Some(n) => {
            let _ = write!(text, ", {n} channels");
        }
        None => {}
    }
    with_language(text, audio.language.as_deref())
}

fn subtitle(stream: &SubtitleStream) -> String {
    let kind = if stream.is_text { "text" } else { "bitmap, not read" };
    with_language(format!("{}, {kind}", stream.codec), stream.language.as_deref())
}

fn with_language(text: String, language: Option<&str>) -> String {
    match language {
        Some(language) => format!("{text}, language {language}"),
        None => text,
    }
}

pub(super) fn transcript_source(transcript: &Transcript) -> String {
    let n = transcript.segments.len();
    let source = match &transcript.source {
        TranscriptSource::Sidecar { path, guessed_encoding: None } => format!("from {path}"),
        TranscriptSource::Sidecar { path, guessed_encoding: Some(encoding) } => {
            format!("from {path}, read as {encoding}, the most likely encoding")
        }
        TranscriptSource::Embedded { stream_idx, codec } => {
            format!("from subtitle stream {stream_idx} ({codec}) of the file")
        }
        TranscriptSource::Site { is_automatic: false } => "captions of the site".to_owned(),
        TranscriptSource::Site { is_automatic: true } => "automatic captions of the site".to_owned(),
        TranscriptSource::Whisper { .. } | TranscriptSource::Api { .. } => {
            format!("transcribed by {}{}", transcriber(&transcript.source), stored(transcript.from_store))
        }
    };
    let segments = match transcript.untimed.len() {
        0 => counted(n, "segment"),
        n => format!("{} without times", counted(n, "paragraph")),
    };
    let text = format!("{source}, {segments}");
    let confidence = transcript.language_confidence.map(|share| format!(" ({:.0} %)", share * 100.0));
    let confidence = confidence.unwrap_or_default();
    let mut text = match &transcript.likely_language {
        Some(language) => format!("{text}, language uncertain, most likely {language}{confidence}"),
        None if transcript.language.is_some() => {
            format!("{}{confidence}", with_language(text, transcript.language.as_deref()))
        }
        None => text,
    };
    if transcript.n_invented > 0 {
        let _ = write!(text, ", {} dropped as invented", counted(transcript.n_invented, "phrase"));
    }
    if let Some(seconds) = transcript.single_channel_seconds {
        let _ =
            write!(text, ", from the loudest channel alone for {seconds:.0} s because the channels cancel each other");
    }
    text
}

/// Says that a result was taken from the store.
fn stored(is_stored: bool) -> &'static str {
    if is_stored { ", from the store" } else { "" }
}

/// What transcribed the audio.
fn transcriber(source: &TranscriptSource) -> String {
    match source {
        TranscriptSource::Whisper { model, track: None } => format!("Whisper ({model})"),
        TranscriptSource::Whisper { model, track: Some(track) } => {
            format!("Whisper ({model}), from audio track {track}")
        }
        TranscriptSource::Api { model } => model.clone(),
        TranscriptSource::Sidecar { .. } | TranscriptSource::Embedded { .. } | TranscriptSource::Site { .. } => {
            "no transcriber".to_owned()
        }
    }
}

fn tokens(usage: Usage) -> Option<String> {
    let parts = [
        (usage.prompt_tokens, "in the request"),
        (usage.cached_tokens, "of them cached"),
        (usage.completion_tokens, "in the answer"),
        (usage.reasoning_tokens, "of them reasoning"),
    ];
    let known: Vec<_> = parts.iter().filter_map(|(n, what)| n.map(|n| format!("{n} {what}"))).collect();
    (!known.is_empty()).then(|| known.join(", "))
}

/// `1 frame`, `2 frames`.
pub(crate) fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}
