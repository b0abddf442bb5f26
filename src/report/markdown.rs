//! The report as Markdown. All untrusted text passes through [`crate::sanitize`].

use std::fmt::Write as _;

use super::document::{Report, ReportFrame, Status, TranscriptOutcome};
use crate::chat::{ChatResponse, Choice, FinishReason, Usage};
use crate::media::{AudioStream, MediaInfo, SubtitleStream, VideoStream};
use crate::sanitize::{excerpt, markdown_block, markdown_line, short_name, shown_input};
use crate::sentence::{CheckedSentence, Verdict};
use crate::time::Timestamp;
use crate::transcript::{Transcript, TranscriptSource};

/// Characters of a description that the report shows; the JSON has all.
const MAX_DESCRIPTION_CHARS: usize = 300;
/// Doubtful sentences that the report lists, and characters of each; the JSON has all.
const MAX_DOUBTFUL: usize = 10;
const MAX_SENTENCE_CHARS: usize = 160;

/// Writing to a `String` does not fail.
macro_rules! put {
    ($out:expr, $($arg:tt)*) => { let _ = writeln!($out, $($arg)*); };
}

/// The report as Markdown.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut out = String::new();
    let title = report.media.title.as_deref().map(markdown_line).filter(|title| !title.is_empty());
    put!(out, "# {}", title.unwrap_or_else(|| markdown_line(&short_name(&report.media.input))));
    // Above all untrusted text, so that none can hide it.
    if report.status() == Status::Partial {
        let n = report.gaps().len();
        put!(out, "\n**Partial result:** {} missing; see the end of this report.", counted(n, "item"));
    }
    facts(&mut out, report);
    if let Some(answer) = &report.answer {
        summary(&mut out, answer);
    } else {
        window_summaries(&mut out, report);
    }
    timeline(&mut out, report);
    untimed(&mut out, report);
    gaps(&mut out, report);
    details(&mut out, report);
    out
}

fn facts(out: &mut String, report: &Report) {
    let media = &report.media;
    put!(out, "\n- File: {}{}", markdown_line(&shown_input(&media.input)), size(media));
    put!(out, "- Container: {}, {}", markdown_line(&media.format), duration_text(media.duration));
    for part in &media.parts {
        put!(out, "- Part: from {}, {}", part.offset, markdown_line(&short_name(&part.media.input)));
    }
    for video in media.video.iter().filter(|video| !video.is_cover) {
        put!(out, "- Video: {}", video_text(video));
    }
    for audio in &media.audio {
        put!(out, "- Audio: {}", audio_text(audio));
    }
    if media.audio.is_empty() {
        put!(out, "- Audio: none");
    }
    for subtitles in &media.subtitles {
        put!(out, "- Subtitles: {}", subtitle(subtitles));
    }
    if let Some(uploader) = &media.uploader {
        put!(out, "- Published by: {}", markdown_line(uploader));
    }
    if let Some(description) = &media.description {
        put!(out, "- Description: {}", markdown_line(&excerpt(description, MAX_DESCRIPTION_CHARS)));
    }
    for chapter in &media.chapters {
        let title = chapter.title.as_deref().map_or_else(|| "without a title".to_owned(), markdown_line);
        put!(out, "- Chapter: {} to {}, {title}", chapter.start, chapter.end);
    }
    if let Some(notice) = media.motion_notice() {
        put!(out, "- The file {}", markdown_line(&notice));
    }
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
    put!(out, "- Frames: {} from {} to {}{}", report.frames.len(), range.start, range.end, how);
    put!(out, "- Transcript: {}", transcript_text(report));
    for change in &report.changes {
        put!(out, "- Changed to stay within the spending limit: {}", markdown_line(change));
    }
}

/// The distance of the frames: the interval where it was kept, else the mean.
fn spacing(report: &Report) -> String {
    let sampling = &report.sampling;
    let n_frames = report.frames.len() + sampling.dropped.len();
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
        TranscriptOutcome::None { reason } => format!("none; {}", markdown_line(reason)),
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
    let mut text = format!("{}, {width}x{height}", markdown_line(&video.codec));
    if let Some(rate) = video.frame_rate {
        let hundredths = (rate.as_f64() * 100.0).round() / 100.0;
        let _ = write!(text, ", {hundredths} fps");
    }
    with_language(text, video.language.as_deref())
}

fn audio_text(audio: &AudioStream) -> String {
    let mut text = markdown_line(&audio.codec);
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
    with_language(format!("{}, {kind}", markdown_line(&stream.codec)), stream.language.as_deref())
}

fn with_language(text: String, language: Option<&str>) -> String {
    match language {
        Some(language) => format!("{text}, language {}", markdown_line(language)),
        None => text,
    }
}

pub(super) fn transcript_source(transcript: &Transcript) -> String {
    let n = transcript.segments.len();
    let source = match &transcript.source {
        TranscriptSource::Sidecar { path, guessed_encoding: None } => format!("from {}", markdown_line(path)),
        TranscriptSource::Sidecar { path, guessed_encoding: Some(encoding) } => {
            format!("from {}, read as {}, the most likely encoding", markdown_line(path), markdown_line(encoding))
        }
        TranscriptSource::Embedded { stream_idx, codec } => {
            format!("from subtitle stream {stream_idx} ({}) of the file", markdown_line(codec))
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
        Some(language) => format!("{text}, language uncertain, most likely {}{confidence}", markdown_line(language)),
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
        TranscriptSource::Whisper { model, track: None } => format!("Whisper ({})", markdown_line(model)),
        TranscriptSource::Whisper { model, track: Some(track) } => {
            format!("Whisper ({}), from audio track {track}", markdown_line(model))
        }
        TranscriptSource::Api { model } => markdown_line(model),
        TranscriptSource::Sidecar { .. } | TranscriptSource::Embedded { .. } | TranscriptSource::Site { .. } => {
            "no transcriber".to_owned()
        }
    }
}

fn summary(out: &mut String, answer: &ChatResponse) {
    match answer.choices.as_slice() {
        [] => {}
        [only] => {
            put!(out, "\n## Summary\n");
            alternative(out, only);
            doubtful(out, &only.sentences);
        }
        several => {
            for (at, one) in several.iter().enumerate() {
                put!(out, "\n## Summary, alternative {} of {}\n", at + 1, several.len());
                alternative(out, one);
                doubtful(out, &one.sentences);
            }
        }
    }
}

/// The answers of the windows, if they were not merged.
fn window_summaries(out: &mut String, report: &Report) {
    for window in &report.windows {
        if let Some(text) = &window.text {
            put!(out, "\n## Summary of {} to {}\n", window.range.start, window.range.end);
            out.push_str(&markdown_block(text));
        }
    }
}

/// The sentences that their citations do not support, with the reasons.
fn doubtful(out: &mut String, sentences: &[CheckedSentence]) {
    let doubtful = || sentences.iter().filter(|sentence| sentence.verdict != Verdict::Supported);
    let n_doubtful = doubtful().count();
    if n_doubtful == 0 {
        return;
    }
    put!(out, "\n{} of {} to check:\n", n_doubtful, counted(sentences.len(), "sentence"));
    for sentence in doubtful().take(MAX_DOUBTFUL) {
        let reasons: Vec<String> = sentence.problems.iter().map(ToString::to_string).collect();
        let reasons = markdown_line(&excerpt(&reasons.join("; "), MAX_SENTENCE_CHARS));
        let text = markdown_line(&excerpt(&sentence.text, MAX_SENTENCE_CHARS));
        put!(out, "- {} ({reasons}): {text}", sentence.verdict);
    }
    if n_doubtful > MAX_DOUBTFUL {
        put!(out, "- and {} more, see the JSON report", n_doubtful - MAX_DOUBTFUL);
    }
}

fn alternative(out: &mut String, alternative: &Choice) {
    let text = markdown_block(&alternative.text);
    if text.trim().is_empty() {
        put!(out, "(no text)");
    } else {
        out.push_str(&text);
    }
    let note = match &alternative.finish {
        FinishReason::Stop => return,
        FinishReason::Length => "The answer is truncated here, at the token limit.".into(),
        FinishReason::ContentFilter => "The provider's content filter withheld all or part of this answer.".into(),
        FinishReason::Refusal => "The model declined the task.".into(),
        FinishReason::Other(reason) if reason.is_empty() => return,
        FinishReason::Other(reason) => format!("Finish reason reported by the server: {}.", markdown_line(reason)),
    };
    put!(out, "\n*{note}*");
}

fn timeline(out: &mut String, report: &Report) {
    let spoken = |speech: &Option<String>| speech.as_deref().map(markdown_line).filter(|speech| !speech.is_empty());
    if report.frames.is_empty() {
        let TranscriptOutcome::Found(transcript) = &report.transcript else { return };
        if transcript.segments.is_empty() {
            return;
        }
        put!(out, "\n## Timeline\n");
        for segment in &transcript.segments {
            let speaker = segment.speaker.as_deref().map(|name| format!("{}: ", markdown_line(name)));
            put!(out, "- {} {}{}", segment.range.start, speaker.unwrap_or_default(), markdown_line(&segment.text));
        }
        return;
    }
    put!(out, "\n## Timeline\n");
    if let Some(speech) = spoken(&report.speech_before_frames) {
        put!(out, "- before the first frame: {speech}");
    }
    // Consecutive frames without speech and files share a line: a silent hour is not 720 lines.
    let is_bare = |frame: &ReportFrame| frame.file.is_none() && spoken(&frame.speech).is_none();
    for run in report.frames.chunk_by(|a, b| is_bare(a) && is_bare(b)) {
        match run {
            [first, .., last] => {
                put!(out, "- {} to {} #{} to #{}", first.timestamp, last.timestamp, first.frame_idx, last.frame_idx);
            }
            [frame] => {
                let name = format!("#{}", frame.frame_idx);
                let name = match &frame.file {
                    Some(file) => format!("[{name}]({file})"),
                    None => name,
                };
                let speech = spoken(&frame.speech).map(|speech| format!(" {speech}"));
                put!(out, "- {} {name}{}", frame.timestamp, speech.unwrap_or_default());
            }
            [] => {}
        }
    }
}

fn untimed(out: &mut String, report: &Report) {
    let TranscriptOutcome::Found(transcript) = &report.transcript else { return };
    if transcript.untimed.is_empty() {
        return;
    }
    put!(out, "\n## Transcript, without times\n");
    for paragraph in &transcript.untimed {
        put!(out, "- {}", markdown_line(paragraph));
    }
}

fn gaps(out: &mut String, report: &Report) {
    let gaps = report.gaps();
    if gaps.is_empty() {
        return;
    }
    put!(out, "\n## Missing\n");
    for gap in &gaps {
        put!(out, "- {}: {}", markdown_line(&gap.what), markdown_line(&gap.why));
    }
}

/// The requests, where a language model was asked; then one line: whether anything is missing, and what made the report.
fn details(out: &mut String, report: &Report) {
    if report.model.as_ref().is_some_and(|model| model.is_language_model) {
        requests(out, report);
    }
    let state = match report.status() {
        Status::Complete => "Nothing is missing.",
        Status::Partial => "Partial result.",
    };
    let decoder = report.made_with.decoder.as_deref().map(|decoder| format!(", {}", markdown_line(decoder)));
    put!(out, "\n*{state} vidgist {}{}*", report.made_with.vidgist, decoder.unwrap_or_default());
}

fn requests(out: &mut String, report: &Report) {
    put!(out, "\n## Details\n");
    if let Some(model) = &report.model {
        let place = match &model.endpoint {
            Some(endpoint) => format!(" at {}", markdown_line(endpoint)),
            None => ", on this machine".into(),
        };
        put!(out, "- Model: {}{place}", markdown_line(&model.name));
    }
    if let Some(answer) = &report.answer {
        if answer.from_store {
            put!(out, "- Answer: from the store; the figures are those of the earlier request");
        }
        if let Some(model) = &answer.model {
            put!(out, "- Model reported by the server: {}", markdown_line(model));
        }
        if let Some(usage) = answer.usage.and_then(tokens) {
            put!(out, "- Tokens counted by the server: {usage}");
        }
        if let Some(estimate) = &answer.estimate {
            let cost = estimate.prompt_cost.map(|cost| format!(", {cost}")).unwrap_or_default();
            put!(out, "- Estimated request: {} tokens{cost}", estimate.prompt_tokens);
        }
        if let Some(cost) = answer.cost {
            put!(out, "- Cost: {cost}");
        }
        if !answer.dropped_params.is_empty() {
            put!(
                out,
                "- Parameters not sent, because the model does not support them: {}",
                answer.dropped_params.join(", ")
            );
        }
        if answer.n_attempts > 1 {
            put!(out, "- Attempts: {}", answer.n_attempts);
        }
    }
    windows(out, report);
}

/// The windows and the total.
fn windows(out: &mut String, report: &Report) {
    let Some(total) = report.total.as_ref().filter(|_| !report.windows.is_empty()) else { return };
    put!(out, "- Sent as {}, then merged:", counted(report.windows.len(), "window"));
    for window in &report.windows {
        let mut parts = vec![counted(window.n_frames, "frame")];
        parts.extend(window.usage.and_then(tokens).map(|tokens| format!("tokens: {tokens}")));
        parts.extend(window.cost.map(|cost| cost.to_string()));
        parts.extend(window.from_store.then(|| "from the store".to_owned()));
        parts.extend(window.no_answer_because.as_ref().map(|_| "no answer".to_owned()));
        put!(out, "  - {} to {}: {}", window.range.start, window.range.end, parts.join("; "));
    }
    let mut parts = vec![counted(total.n_answers, "answer")];
    parts.extend(tokens(total.usage).map(|tokens| format!("tokens: {tokens}")));
    parts.extend(total.cost.map(|cost| cost.to_string()));
    put!(out, "- Total: {}", parts.join("; "));
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
fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}
