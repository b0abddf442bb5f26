//! Transcription requests, checked strictly, and what can be heard in them: stretches of sound and their pitch.

use serde_json::{Value, json};

use super::http::{Refusal, Request};

/// A stretch of sound between silences.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tone {
    /// Seconds from the file's start.
    pub start: f64,
    pub end: f64,
    /// Pitch, to 10 Hz.
    pub hz: u32,
}

/// An upload that was found right.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The form's fields but the file, in the order sent.
    pub fields: Vec<(String, String)>,
    pub n_bytes: usize,
    pub rate_hz: u32,
    pub channels: u16,
    pub seconds: f64,
    pub tones: Vec<Tone>,
}

impl Upload {
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

type Checked<T = ()> = Result<T, Refusal>;

fn refuse<T>(param: &str, message: impl Into<String>) -> Checked<T> {
    Err(Refusal::new(400, param, message))
}

/// Checks a request to `/audio/transcriptions`.
pub fn check(request: &Request) -> Checked<Upload> {
    let boundary =
        request.header("content-type").and_then(|value| value.strip_prefix("multipart/form-data; boundary="));
    let Some(boundary) = boundary else { return Err(Refusal::new(415, "", "expected multipart/form-data")) };
    let (mut fields, mut file) = (Vec::new(), None);
    for part in parts(&request.body, boundary)? {
        let (head, content) = split_once(part, b"\r\n\r\n").ok_or(Refusal::new(400, "", "a part without a head"))?;
        let head = String::from_utf8_lossy(head).into_owned();
        let attribute = |name: &str| Some(head.split_once(&format!("{name}=\""))?.1.split_once('"')?.0.to_owned());
        let name = attribute("; name").unwrap_or_default();
        if name == "file" {
            let file_name = attribute("; filename").unwrap_or_default();
            if !file_name.ends_with(".wav") || !head.to_lowercase().contains("content-type: audio/wav") {
                return refuse("file", format!("Unrecognized file format: {head}"));
            }
            file = Some(content);
        } else {
            fields.push((name, String::from_utf8(content.to_vec()).map_err(|_| Refusal::new(400, "", "not UTF-8"))?));
        }
    }
    check_fields(&fields)?;
    let Some(file) = file else { return refuse("file", "the file is missing") };
    if file.len() > 25 << 20 {
        return Err(Refusal::new(413, "file", "Maximum content size limit (26214400) exceeded"));
    }
    hear(file, fields)
}

fn check_fields(fields: &[(String, String)]) -> Checked {
    for (idx, (name, value)) in fields.iter().enumerate() {
        let is_right = match name.as_str() {
            "model" => !value.is_empty(),
            "language" => value.len() == 2 && value.bytes().all(|b| b.is_ascii_lowercase()),
            "prompt" => !value.is_empty(),
            "response_format" => matches!(value.as_str(), "json" | "text" | "srt" | "verbose_json" | "vtt"),
            "timestamp_granularities[]" => matches!(value.as_str(), "word" | "segment"),
            "temperature" => value.parse::<f64>().is_ok_and(|t| (0.0..=1.0).contains(&t)),
            _ => return refuse(name, format!("Unrecognized request argument supplied: {name}")),
        };
        let is_twice = !name.ends_with("[]") && fields[..idx].iter().any(|(other, _)| other == name);
        if !is_right || is_twice {
            return refuse(name, format!("Invalid value for '{name}': '{value}'"));
        }
    }
    let field = |name: &str| fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    let Some(model) = field("model") else { return refuse("model", "you must provide a model parameter") };
    let format = field("response_format").unwrap_or("json");
    if model.starts_with("gpt-") && format != "json" {
        let message = format!("response_format '{format}' is not compatible with model '{model}'. Use 'json' instead.");
        return refuse("response_format", message);
    }
    if field("timestamp_granularities[]").is_some() && format != "verbose_json" {
        return refuse("timestamp_granularities", "needs response_format verbose_json");
    }
    Ok(())
}

fn split_once<'a>(bytes: &'a [u8], by: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = bytes.windows(by.len()).position(|window| window == by)?;
    Some((&bytes[..at], &bytes[at + by.len()..]))
}

/// The parts between the boundaries, heads included.
fn parts<'a>(body: &'a [u8], boundary: &str) -> Checked<Vec<&'a [u8]>> {
    let wrong = || Refusal::new(400, "", "the multipart body is not well formed");
    let first = format!("--{boundary}\r\n");
    let between = format!("\r\n--{boundary}");
    let mut rest = body.strip_prefix(first.as_bytes()).ok_or_else(wrong)?;
    let mut parts = Vec::new();
    loop {
        let (part, after) = split_once(rest, between.as_bytes()).ok_or_else(wrong)?;
        parts.push(part);
        match after {
            b"--\r\n" | b"--" => return Ok(parts),
            _ => rest = after.strip_prefix(b"\r\n").ok_or_else(wrong)?,
        }
    }
}

fn hear(file: &[u8], fields: Vec<(String, String)>) -> Checked<Upload> {
    let wrong =
        |error: hound::Error| Refusal::new(400, "file", format!("The audio file could not be decoded: {error}"));
    let mut reader = hound::WavReader::new(file).map_err(wrong)?;
    let spec = reader.spec();
    let samples = reader.samples::<i16>().collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    let mono: Vec<f64> = samples
        .chunks(usize::from(spec.channels))
        .map(|frame| frame.iter().map(|&s| f64::from(s)).sum::<f64>() / f64::from(spec.channels) / 32768.0)
        .collect();
    let seconds = mono.len() as f64 / f64::from(spec.sample_rate);
    if seconds < 0.1 {
        return refuse("file", "Audio file is too short. Minimum audio length is 0.1 seconds.");
    }
    let tones = tones(&mono, f64::from(spec.sample_rate));
    Ok(Upload { fields, n_bytes: file.len(), rate_hz: spec.sample_rate, channels: spec.channels, seconds, tones })
}

/// Stretches louder than -40 dBFS in steps of 20 ms; shorter silences than 0.2 s do not part them.
fn tones(mono: &[f64], rate_hz: f64) -> Vec<Tone> {
    let step = (rate_hz / 50.0) as usize;
    let is_loud = |step: &[f64]| step.iter().map(|s| s * s).sum::<f64>() / step.len() as f64 > 1e-4;
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for (idx, _) in mono.chunks(step).enumerate().filter(|(_, step)| is_loud(step)) {
        match spans.last_mut() {
            Some((_, end)) if idx - *end < 10 => *end = idx + 1,
            _ => spans.push((idx, idx + 1)),
        }
    }
    let tone = |(start, end): (usize, usize)| {
        let (start, end) = (start * step, (end * step).min(mono.len()));
        let crossings = mono[start..end].windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
        let hz = crossings as f64 * rate_hz / (end - start) as f64;
        Tone { start: start as f64 / rate_hz, end: end as f64 / rate_hz, hz: (hz / 10.0).round() as u32 * 10 }
    };
    spans.into_iter().map(tone).collect()
}

/// The answer: each stretch that was heard. The model `babbler` also hears what is not there, after the end.
pub fn answer(upload: &Upload) -> Value {
    let text = |tone: &Tone| format!(" tone of {} Hz", tone.hz);
    let all: String = upload.tones.iter().map(text).collect();
    if upload.field("response_format") != Some("verbose_json") {
        return json!({"text": all.trim()});
    }
    let segment = |(id, start, end, text): (usize, f64, f64, String)| {
        json!({"id": id, "seek": 0, "start": start, "end": end, "text": text, "tokens": [1, 2], "temperature": 0.0,
            "avg_logprob": -0.25, "compression_ratio": 1.0, "no_speech_prob": 0.01})
    };
    let mut spans: Vec<_> =
        upload.tones.iter().enumerate().map(|(id, tone)| (id, tone.start, tone.end, text(tone))).collect();
    if upload.field("model") == Some("babbler") {
        spans.push((spans.len(), upload.seconds + 1.0, upload.seconds + 3.0, " Thanks for watching!".into()));
    }
    json!({"task": "transcribe", "language": "english", "duration": upload.seconds, "text": all,
        "segments": spans.into_iter().map(segment).collect::<Vec<_>>()})
}
