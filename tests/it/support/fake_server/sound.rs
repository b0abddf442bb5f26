//! `/audio/transcriptions`: the strictest reading of a form, and segments that tell where its sound is loud.

use axum::body::Body;
use axum::extract::{FromRequest as _, Multipart};
use serde_json::{Value, json};

use super::http::{Refusal, Request, header};
use super::{DIARIZING_MODEL, HEARING_MODEL, TEXT_ONLY_MODEL};

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
    /// The file's type: `audio/flac`.
    pub mime: String,
    /// Samples a second.
    pub rate_hz: u32,
    /// Length in seconds.
    pub seconds: f64,
    /// Where it is loud, in seconds from its own start.
    pub bursts: Vec<(f64, f64)>,
}

/// What is said of a burst: five words.
fn text((from, to): &(f64, f64)) -> String {
    format!("sound from {from:.2} to {to:.2}")
}

impl Sound {
    fn has(&self, name: &str, value: &str) -> bool {
        self.fields.iter().any(|field| field.0 == name && field.1 == value)
    }

    pub(super) fn answer(&self) -> Value {
        let all: Vec<String> = self.bursts.iter().map(text).collect();
        if self.has("response_format", "json") {
            return json!({"text": all.join(" ")});
        }
        if self.has("response_format", "diarized_json") {
            let segment = |(at, burst): (usize, &(f64, f64))| {
                json!({"type": "transcript.text.segment", "id": format!("seg_{at}"), "start": burst.0, "end": burst.1,
                    "text": text(burst), "speaker": if at % 2 == 0 { "A" } else { "B" }})
            };
            let segments: Vec<Value> = self.bursts.iter().enumerate().map(segment).collect();
            return json!({"task": "transcribe", "duration": self.seconds, "text": all.join(" "), "segments": segments});
        }
        let segment = |(id, burst): (usize, &(f64, f64))| {
            json!({"id": id, "seek": 0, "start": burst.0, "end": burst.1, "text": format!(" {}", text(burst)), "tokens": [],
                "temperature": 0.0, "avg_logprob": -0.25, "compression_ratio": 1.0, "no_speech_prob": 0.01})
        };
        let segments: Vec<Value> = self.bursts.iter().enumerate().map(segment).collect();
        let mut answer = json!({"task": "transcribe", "language": "english", "duration": self.seconds,
            "text": all.join(" "), "segments": segments});
        if self.has("timestamp_granularities[]", "word") {
            answer["words"] = self.bursts.iter().flat_map(words).collect();
        }
        answer
    }
}

/// The words of a burst, each as long.
fn words(burst: &(f64, f64)) -> Vec<Value> {
    let text = text(burst);
    let each = (burst.1 - burst.0) / text.split(' ').count() as f64;
    let word = |(at, word): (usize, &str)| {
        let start = burst.0 + each * at as f64;
        json!({"word": word, "start": start, "end": start + each})
    };
    text.split(' ').enumerate().map(word).collect()
}

/// Checks a form and measures its sound.
pub(super) async fn read(request: &Request) -> Result<Sound, Refusal> {
    let kind = header(&request.headers, "content-type").unwrap_or_default();
    if !kind.starts_with("multipart/form-data; boundary=") {
        return Err(Refusal::new(415, format!("Unsupported Media Type: {kind}"), None, None));
    }
    let (mut fields, mut file, mut mime) = (Vec::<(String, String)>::new(), None, String::new());
    let broken = |error: axum::extract::multipart::MultipartError| Refusal::field("form", error.body_text());
    let mut form = form(request, kind).await?;
    while let Some(field) = form.next_field().await.map_err(broken)? {
        let name = field.name().unwrap_or_default().to_owned();
        if name == "file" {
            let end = field.file_name().and_then(|name| name.rsplit_once('.')).map(|(_, end)| end.to_owned());
            let kind = field.content_type().unwrap_or_default().to_owned();
            if !matches!(end.as_deref(), Some("wav" | "flac")) {
                return Err(Refusal::field("file", "Invalid file format: the name must end in .wav or .flac"));
            }
            let fits = if end.as_deref() == Some("flac") { &["audio/flac"][..] } else { &["audio/wav", "audio/x-wav"] };
            if !fits.contains(&kind.as_str()) {
                return Err(Refusal::field("file", "the file's Content-Type must be audio/wav or audio/flac"));
            }
            mime = kind;
            if file.replace(field.bytes().await.map_err(broken)?).is_some() {
                return Err(Refusal::field("file", "two files"));
            }
        } else {
            let value = field.text().await.map_err(broken)?;
            if fields.iter().any(|(known, other)| *known == name && (!name.ends_with("[]") || *other == value)) {
                return Err(Refusal::field(&name, "given twice"));
            }
            fields.push((name, value));
        }
    }
    check_fields(&fields)?;
    let file = file.ok_or_else(|| Refusal::field("file", "there is no file"))?;
    if file.len() > MAX_FILE_BYTES {
        return Err(Refusal::new(413, "Maximum content size limit exceeded", None, None));
    }
    let (rate_hz, samples) = if mime == "audio/flac" { read_flac(&file)? } else { read_wav(&file)? };
    let seconds = samples.len() as f64 / f64::from(rate_hz);
    if seconds < 0.1 {
        return Err(Refusal::field("file", "Audio file is too short. Minimum audio length is 0.1 seconds."));
    }
    let is_auto = fields.iter().any(|(name, _)| name == "chunking_strategy");
    if seconds > 30.0 && !is_auto && fields.iter().any(|(_, value)| value == DIARIZING_MODEL) {
        return Err(Refusal::field("chunking_strategy", "chunking_strategy is required for diarization models"));
    }
    Ok(Sound { fields, n_bytes: file.len(), mime, rate_hz, seconds, bursts: bursts(&samples, rate_hz) })
}

async fn form(request: &Request, kind: &str) -> Result<Multipart, Refusal> {
    let built = axum::http::Request::post("/").header("content-type", kind).body(Body::from(request.body.clone()));
    let mut built = built.map_err(|error| Refusal::field("form", error.to_string()))?;
    // Its own limit is 2 MB; the body has been bounded.
    axum::extract::DefaultBodyLimit::disable().apply(&mut built);
    Multipart::from_request(built, &()).await.map_err(|error| Refusal::field("form", error.body_text()))
}

fn check_fields(fields: &[(String, String)]) -> Result<(), Refusal> {
    let get = |wanted: &str| fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let forms: &[&str] = match get("model") {
        Some(HEARING_MODEL) => &["json", "verbose_json"],
        Some(TEXT_ONLY_MODEL) => &["json"],
        Some(DIARIZING_MODEL) => &["json", "diarized_json"],
        model => {
            let message = format!("The model {model:?} does not exist");
            return Err(Refusal::new(404, message, None, Some("model_not_found")));
        }
    };
    let is_diarizing = get("model") == Some(DIARIZING_MODEL);
    for (name, value) in fields {
        let is_right = match (name.as_str(), value.as_str()) {
            ("model", _) => true,
            ("response_format", form) => forms.contains(&form),
            ("timestamp_granularities[]", "segment" | "word") => get("response_format") == Some("verbose_json"),
            ("language", code) => code.len() == 2 && code.bytes().all(|b| b.is_ascii_lowercase()),
            ("prompt", text) => !text.is_empty() && !is_diarizing,
            ("chunking_strategy", "auto") => is_diarizing,
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
        Some(_) => Ok(()),
        None => Err(Refusal::field("response_format", "nothing here leaves the form of the reply to chance")),
    }
}

/// Decoded by ffmpeg, every checksum held.
fn read_flac(file: &[u8]) -> Result<(u32, Vec<i16>), Refusal> {
    let invalid = |message: &str| Refusal::field("file", format!("Invalid file format: {message}"));
    // What the head says (RFC 9639, section 8.2).
    let head = file.get(18..26).filter(|_| file.starts_with(b"fLaC")).ok_or_else(|| invalid("no FLAC"))?;
    let head = u64::from_be_bytes(head.try_into().expect("eight bytes"));
    let (rate_hz, n_claimed) = ((head >> 44) as u32, head & 0xf_ffff_ffff);
    if (head >> 41 & 7, head >> 36 & 31) != (0, 15) {
        return Err(invalid("nothing here sends other sound than mono of 16 bits"));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("sound.flac");
    std::fs::write(&path, file).expect("written");
    let mut ffmpeg = std::process::Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-nostdin", "-xerror", "-err_detect", "crccheck+explode", "-i"]).arg(&path);
    let decoded = ffmpeg.args(["-f", "s16le", "-"]).output().expect("ffmpeg is installed");
    let samples: Vec<i16> = decoded.stdout.chunks_exact(2).map(|two| i16::from_le_bytes([two[0], two[1]])).collect();
    if !decoded.status.success() || samples.len() as u64 != n_claimed {
        return Err(invalid(&format!("the head claims {n_claimed} samples, {} are there", samples.len())));
    }
    Ok((rate_hz, samples))
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
