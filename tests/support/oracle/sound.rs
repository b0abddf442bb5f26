//! `/audio/transcriptions`: the strictest reading of a form, and segments that tell where its sound is loud.

use axum::body::Body;
use axum::extract::{FromRequest as _, Multipart};
use serde_json::{Value, json};

use super::http::{Refusal, Request, header};
use super::{HEARING_MODEL, TEXT_ONLY_MODEL};

/// Loudness is measured in steps of this length.
const STEP_SECONDS: f64 = 0.02;
/// Louder than this (RMS of full scale, -40 dBFS) is sound.
const LOUD: f64 = 0.01;
/// So many quiet steps end a burst: 0.5 s, longer than a pause between two words.
const PAUSE_STEPS: usize = 25;
/// Larger files are refused by the API.
const MAX_FILE_BYTES: usize = 25 << 20;

/// A piece of sound.
#[derive(Clone, Debug)]
pub struct Sound {
    /// The fields but the file, in order.
    pub fields: Vec<(String, String)>,
    /// The file's size.
    pub n_bytes: usize,
    /// Samples a second.
    pub rate_hz: u32,
    /// Length in seconds.
    pub seconds: f64,
    /// Where it is loud, in seconds from its own start.
    pub bursts: Vec<(f64, f64)>,
    is_verbose: bool,
}

impl Sound {
    pub(super) fn answer(&self) -> Value {
        let text = |(from, to): &(f64, f64)| format!("sound from {from:.2} to {to:.2}");
        let all: Vec<String> = self.bursts.iter().map(text).collect();
        if !self.is_verbose {
            return json!({"text": all.join(" ")});
        }
        let segment = |(id, burst): (usize, &(f64, f64))| {
            json!({"id": id, "seek": 0, "start": burst.0, "end": burst.1, "text": format!(" {}", text(burst)), "tokens": [],
                "temperature": 0.0, "avg_logprob": -0.25, "compression_ratio": 1.0, "no_speech_prob": 0.01})
        };
        let segments: Vec<Value> = self.bursts.iter().enumerate().map(segment).collect();
        json!({"task": "transcribe", "language": "english", "duration": self.seconds, "text": all.join(" "),
            "segments": segments})
    }
}

/// Checks a form and measures its sound.
pub(super) async fn read(request: &Request) -> Result<Sound, Refusal> {
    let kind = header(&request.headers, "content-type").unwrap_or_default();
    if !kind.starts_with("multipart/form-data; boundary=") {
        return Err(Refusal::new(415, format!("Unsupported Media Type: {kind}"), None, None));
    }
    let (mut fields, mut file) = (Vec::<(String, String)>::new(), None);
    let broken = |error: axum::extract::multipart::MultipartError| Refusal::field("form", error.body_text());
    let mut form = form(request, kind).await?;
    while let Some(field) = form.next_field().await.map_err(broken)? {
        let name = field.name().unwrap_or_default().to_owned();
        if name == "file" {
            if field.file_name().and_then(|name| name.rsplit_once('.')).is_none_or(|(_, end)| end != "wav") {
                return Err(Refusal::field("file", "Invalid file format: the name must end in .wav"));
            }
            if !matches!(field.content_type(), Some("audio/wav" | "audio/x-wav")) {
                return Err(Refusal::field("file", "the file's Content-Type must be audio/wav"));
            }
            if file.replace(field.bytes().await.map_err(broken)?).is_some() {
                return Err(Refusal::field("file", "two files"));
            }
        } else {
            if fields.iter().any(|(known, _)| *known == name) {
                return Err(Refusal::field(&name, "given twice"));
            }
            fields.push((name, field.text().await.map_err(broken)?));
        }
    }
    let is_verbose = check_fields(&fields)?;
    let file = file.ok_or_else(|| Refusal::field("file", "there is no file"))?;
    if file.len() > MAX_FILE_BYTES {
        return Err(Refusal::new(413, "Maximum content size limit exceeded", None, None));
    }
    let (rate_hz, samples) = read_wav(&file)?;
    let seconds = samples.len() as f64 / f64::from(rate_hz);
    if seconds < 0.1 {
        return Err(Refusal::field("file", "Audio file is too short. Minimum audio length is 0.1 seconds."));
    }
    Ok(Sound { fields, n_bytes: file.len(), rate_hz, seconds, bursts: bursts(&samples, rate_hz), is_verbose })
}

async fn form(request: &Request, kind: &str) -> Result<Multipart, Refusal> {
    let built = axum::http::Request::post("/").header("content-type", kind).body(Body::from(request.body.clone()));
    let mut built = built.map_err(|error| Refusal::field("form", error.to_string()))?;
    // Its own limit is 2 MB; the body has been bounded.
    axum::extract::DefaultBodyLimit::disable().apply(&mut built);
    Multipart::from_request(built, &()).await.map_err(|error| Refusal::field("form", error.body_text()))
}

/// Whether times are asked for.
fn check_fields(fields: &[(String, String)]) -> Result<bool, Refusal> {
    let get = |wanted: &str| fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let is_text_only = match get("model") {
        Some(HEARING_MODEL) => false,
        Some(TEXT_ONLY_MODEL) => true,
        model => {
            return Err(Refusal::new(
                404,
                format!("The model {model:?} does not exist"),
                None,
                Some("model_not_found"),
            ));
        }
    };
    let mut is_verbose = false;
    for (name, value) in fields {
        let is_right = match (name.as_str(), value.as_str()) {
            ("model", _) | ("response_format", "json") => true,
            ("response_format", "verbose_json") => {
                is_verbose = true;
                !is_text_only
            }
            ("timestamp_granularities[]", "segment" | "word") => get("response_format") == Some("verbose_json"),
            ("language", code) => code.len() == 2 && code.bytes().all(|b| b.is_ascii_lowercase()),
            ("prompt", text) => !text.is_empty(),
            _ => false,
        };
        if !is_right {
            return Err(Refusal::field(
                name,
                format!("'{name}' '{value}' is not compatible with the model or the API"),
            ));
        }
    }
    match get("response_format") {
        Some(_) => Ok(is_verbose),
        None => Err(Refusal::field("response_format", "nothing here leaves the form of the reply to chance")),
    }
}

fn read_wav(file: &[u8]) -> Result<(u32, Vec<i16>), Refusal> {
    let invalid = |message: &str| Refusal::field("file", format!("Invalid file format: {message}"));
    let number = |at: usize| file.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes);
    // `hound` takes files whose sizes are wrong.
    if number(4).map(|n| n as usize + 8) != Some(file.len()) {
        return Err(invalid("the RIFF size is not the file's"));
    }
    let reader = hound::WavReader::new(file).map_err(|error| invalid(&error.to_string()))?;
    let spec = reader.spec();
    if (spec.channels, spec.bits_per_sample, spec.sample_format) != (1, 16, hound::SampleFormat::Int) {
        return Err(invalid("nothing here sends other sound than mono of 16 bits"));
    }
    let n_claimed = reader.len() as usize;
    let samples: Result<Vec<i16>, _> = reader.into_samples().collect();
    let samples = samples.map_err(|error| invalid(&error.to_string()))?;
    if samples.len() != n_claimed || samples.len() * 2 + 44 != file.len() {
        return Err(invalid("the data's size is not the file's"));
    }
    Ok((spec.sample_rate, samples))
}

fn bursts(samples: &[i16], rate_hz: u32) -> Vec<(f64, f64)> {
    let step = (f64::from(rate_hz) * STEP_SECONDS) as usize;
    let mut bursts: Vec<(usize, usize)> = Vec::new();
    for (at, samples) in samples.chunks(step).enumerate() {
        let energy: f64 = samples.iter().map(|s| (f64::from(*s) / 32768.0).powi(2)).sum();
        if (energy / samples.len() as f64).sqrt() <= LOUD {
            continue;
        }
        match bursts.last_mut() {
            Some((_, end)) if at - *end < PAUSE_STEPS => *end = at + 1,
            _ => bursts.push((at, at + 1)),
        }
    }
    bursts.into_iter().map(|(from, to)| (from as f64 * STEP_SECONDS, to as f64 * STEP_SECONDS)).collect()
}
