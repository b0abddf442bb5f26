//! The whole way from sound to transcript: one thread finds the stretches, the ears transcribe them.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use super::chunking::{Stretch, Stretches, WINDOW_SAMPLES};
use super::decoder::{Ear, Model, Phrase, Wish};
use super::vad::Voice;
use super::{WhisperConfig, known_language, postprocess};
use crate::error::{Error, Result};
use crate::media::{AudioStream, MediaInfo};
use crate::pcm::{AudioReader, PcmFormat};
use crate::time::{TimeRange, Timestamp};
use crate::transcript::{Segment, Transcript, TranscriptSource, Word};

/// What Whisper and Silero hear at.
const RATE_HZ: u32 = 16_000;
const SAMPLES_PER_MILLI: usize = RATE_HZ as usize / 1000;
/// Milliseconds of one window.
const WINDOW_MILLIS: i64 = (WINDOW_SAMPLES / SAMPLES_PER_MILLI) as i64;
/// Sound that goes to the voice model at once: 10 s, so that its warm-up is a tenth of the work.
const BATCH: usize = 312 * WINDOW_SAMPLES;
/// Less than this makes whisper.cpp give up; silence fills it up.
const MIN_SAMPLES: usize = RATE_HZ as usize;
/// Sound given along on both sides of what is heard again.
const AROUND_MILLIS: i64 = 250;
/// How often a stretch is heard again where the phrases leave speech uncovered.
const MAX_ROUNDS: u32 = 3;
/// A language below this probability is not told as known: guesses at 0.16 were seen to be wrong.
const SURE: f32 = 0.5;
/// Stretches that are asked for their language until one is sure.
const MAX_GUESSES: u32 = 5;

/// One transcription.
pub(super) struct Work {
    pub config: WhisperConfig,
    pub path: PathBuf,
    pub media: MediaInfo,
    pub stream: AudioStream,
    pub n_ears: usize,
    pub stop: Arc<AtomicBool>,
    pub heard: tokio::sync::mpsc::UnboundedSender<Timestamp>,
}

/// A stretch with its sound.
struct Task {
    idx: usize,
    stretch: Stretch,
    samples: Vec<f32>,
    /// Time of the first sample on the shared clock.
    start: Timestamp,
}

/// The tasks in their order, and the language that was found in them so far.
struct Queue {
    tasks: mpsc::Receiver<Task>,
    language: Option<&'static str>,
    n_guesses: u32,
}

impl Work {
    pub fn run(&self) -> Result<Transcript> {
        let model = Model::load(&self.config.model)?;
        let wanted = self.config.language.as_deref().and_then(known_language);
        let language = match (wanted, model.is_multilingual()) {
            (Some(code), false) if code != "en" => {
                let problem = format!("{} knows English alone", self.config.name);
                return Err(Error::usage("--language", problem, "choose another with --whisper-model, such as base"));
            }
            (_, false) => Some("en"),
            (wanted, true) => wanted,
        };
        let voice = Voice::load(&self.config.voice_model)?;
        let want = PcmFormat { rate_hz: Some(RATE_HZ), channels: Some(1) };
        let reader = AudioReader::open(&self.path, &self.media, &self.stream, &want)?;

        // One stretch (1.8 MB) waits, and each ear has one.
        let (send, tasks) = mpsc::sync_channel(1);
        let queue = Arc::new(Mutex::new(Queue { tasks, language, n_guesses: 0 }));
        let (tell, told) = mpsc::channel();
        let (cut, mut heard) = std::thread::scope(|scope| {
            for _ in 0..self.n_ears {
                let (queue, tell, model) = (queue.clone(), tell.clone(), &model);
                scope.spawn(move || self.listen(model, &queue, &tell));
            }
            drop(tell);
            let cut = self.cut(reader, voice, &send);
            drop(send);
            (cut, told.iter().collect::<Vec<_>>())
        });
        cut?;
        heard.sort_by_key(|(idx, _)| *idx);
        let mut segments = Vec::new();
        for (_, found) in heard {
            segments.extend(found?);
        }
        if self.stop.load(Ordering::Relaxed) {
            return Err(Error::interrupted());
        }
        let known = queue.lock().unwrap_or_else(PoisonError::into_inner).language;
        Ok(Transcript {
            source: TranscriptSource::Whisper { model: self.config.name.clone() },
            language: if self.config.translate { Some("en") } else { known }.map(str::to_owned),
            segments,
        })
    }

    /// Reads the sound, finds the stretches and sends them, in order.
    fn cut(&self, reader: AudioReader, mut voice: Voice, send: &mpsc::SyncSender<Task>) -> Result<()> {
        let mut stretches = Stretches::default();
        // The sound from window `first` on, of which `n_known` windows went to the voice model.
        let (mut sound, mut first, mut n_known) = (Vec::<f32>::new(), 0, 0);
        let mut start = None;
        let mut n_sent = 0;
        let mut send_all = |found: Vec<Stretch>, sound: &[f32], first: usize, start: Timestamp| {
            for stretch in found {
                let from = (stretch.windows.start - first) * WINDOW_SAMPLES;
                let to = ((stretch.windows.end - first) * WINDOW_SAMPLES).min(sound.len());
                let millis = stretch.windows.start as i64 * WINDOW_MILLIS;
                let samples = sound[from..to].to_vec();
                let start = start.plus(Timestamp::from_millis(millis));
                // Nobody listens any more: the reason is told by who stopped.
                let _ = send.send(Task { idx: n_sent, stretch, samples, start });
                n_sent += 1;
            }
        };
        for block in reader {
            let block = block?;
            let start = *start.get_or_insert(block.time);
            sound.extend_from_slice(&block.samples);
            if self.stop.load(Ordering::Relaxed) {
                return Err(Error::interrupted());
            }
            while sound.len() - n_known * WINDOW_SAMPLES >= BATCH {
                let from = n_known * WINDOW_SAMPLES;
                let probabilities = voice.probabilities(&sound[from..from + BATCH])?;
                let found = probabilities.into_iter().filter_map(|p| stretches.push(p)).collect();
                n_known += BATCH / WINDOW_SAMPLES;
                send_all(found, &sound, first, start);
                let n_done = stretches.needed_from() - first;
                sound.drain(..n_done * WINDOW_SAMPLES);
                first += n_done;
                n_known -= n_done;
            }
        }
        let Some(start) = start else { return Ok(()) };
        let rest = &sound[n_known * WINDOW_SAMPLES..];
        let probabilities = if rest.is_empty() { Vec::new() } else { voice.probabilities(rest)? };
        let mut found: Vec<Stretch> = probabilities.into_iter().filter_map(|p| stretches.push(p)).collect();
        found.extend(stretches.finish());
        send_all(found, &sound, first, start);
        Ok(())
    }

    /// One ear: takes tasks until there are no more.
    fn listen(&self, model: &Model, queue: &Mutex<Queue>, tell: &mpsc::Sender<(usize, Result<Vec<Segment>>)>) {
        let mut ear = None;
        loop {
            let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
            let Ok(task) = queue.tasks.recv() else { return };
            if self.stop.load(Ordering::Relaxed) {
                continue;
            }
            let found = match &mut ear {
                Some(ear) => Ok(ear),
                None => model.ear().map(|new| ear.insert(new)),
            };
            // With the queue held, so that the first stretches decide, whichever ear is quicker.
            let found = found.and_then(|ear| Ok((queue.language_of(ear, &task.samples)?, ear)));
            drop(queue);
            let found = found.and_then(|(language, ear)| self.transcribe(ear, &task, language));
            let _ = self.heard.send(task.start.plus(Timestamp::from_millis(millis(task.samples.len()))));
            let _ = tell.send((task.idx, found));
        }
    }

    /// Transcribes a stretch, and again what of it no phrase covers.
    fn transcribe(&self, ear: &mut Ear<'_>, task: &Task, language: Option<&str>) -> Result<Vec<Segment>> {
        let wish = Wish { translate: self.config.translate, times_words: self.config.words };
        let whole = 0..millis(task.samples.len());
        let speech: Vec<Range<i64>> = task.stretch.speech.iter().map(|windows| task.millis(windows)).collect();
        let mut found: Vec<(Range<i64>, Phrase)> = Vec::new();
        let mut todo = vec![whole.clone()];
        let mut heard: Vec<Range<i64>> = Vec::new();
        for round in 0..MAX_ROUNDS {
            for range in std::mem::take(&mut todo) {
                heard.push(range.clone());
                let samples = &task.samples[range.start as usize * SAMPLES_PER_MILLI..];
                let n_samples = (range.end - range.start) as usize * SAMPLES_PER_MILLI;
                let mut samples = samples[..n_samples.min(samples.len())].to_vec();
                samples.resize(samples.len().max(MIN_SAMPLES), 0.0);
                let spoken = clipped(&speech, &range);
                for phrase in ear.hear(&samples, language, wish, &self.stop)? {
                    let claimed = phrase.start * 10 + range.start..phrase.end * 10 + range.start;
                    let place = postprocess::fit(&claimed, &spoken).filter(|_| postprocess::is_spoken(&phrase.text));
                    let Some(place) = place else {
                        tracing::debug!("{}: left out, for nobody speaks: {:?}", self.path.display(), phrase.text);
                        continue;
                    };
                    let is_echo = found.iter().any(|(at, other)| {
                        round > 0 && postprocess::is_echo(&other.text, &phrase.text) && at.start <= place.end + 2000
                    });
                    if !is_echo {
                        found.push((place, shifted(phrase, range.start)));
                    }
                }
            }
            found.sort_by_key(|(place, _)| (place.start, place.end));
            for at in 1..found.len() {
                let next = found[at].0.start;
                let place = &mut found[at - 1].0;
                place.end = place.end.min(next).max(place.start + 1);
            }
            let covered: Vec<Range<i64>> = found.iter().map(|(place, _)| place.clone()).collect();
            let around = |gap: &Range<i64>| {
                (gap.start - AROUND_MILLIS).max(whole.start)..(gap.end + AROUND_MILLIS).min(whole.end)
            };
            todo = postprocess::missed(&speech, &covered).iter().map(around).collect();
            // The same again would be the same.
            todo.retain(|range| {
                (range.end - range.start) * 10 < (whole.end - whole.start) * 9 && !heard.contains(range)
            });
            if todo.is_empty() {
                break;
            }
            tracing::debug!("{}: heard again: {todo:?} of {whole:?}", self.path.display());
        }
        Ok(found.into_iter().map(|(place, phrase)| task.segment(&place, phrase)).collect())
    }
}

impl Queue {
    /// The language to listen in: the one that is known, else the likeliest in this sound.
    fn language_of(&mut self, ear: &mut Ear<'_>, samples: &[f32]) -> Result<Option<&'static str>> {
        if self.language.is_some() || self.n_guesses >= MAX_GUESSES {
            return Ok(self.language);
        }
        self.n_guesses += 1;
        let (language, probability) = ear.language(samples)?;
        tracing::info!("the language sounds like {language} ({probability:.2})");
        if probability >= SURE {
            self.language = Some(language);
        }
        Ok(Some(language))
    }
}

impl Task {
    /// Windows of the sound, as milliseconds of the stretch.
    fn millis(&self, windows: &Range<usize>) -> Range<i64> {
        let at = |window: usize| (window - self.stretch.windows.start) as i64 * WINDOW_MILLIS;
        at(windows.start)..at(windows.end)
    }

    fn segment(&self, place: &Range<i64>, phrase: Phrase) -> Segment {
        let on_clock = |range: Range<i64>| {
            let at = |millis| self.start.plus(Timestamp::from_millis(millis));
            TimeRange::new(at(range.start), at(range.end))
        };
        let text = postprocess::without_loop(&phrase.text);
        if text.is_some() {
            tracing::warn!("at {}: the model was caught in a loop, of which one round is kept", self.start);
        }
        let words = postprocess::words(&phrase.tokens, place).into_iter();
        let words =
            if text.is_some() { Vec::new() } else { words.map(|(range, text)| (on_clock(range), text)).collect() };
        Segment {
            words: words.into_iter().map(|(range, text)| Word { range, text }).collect(),
            confidence: phrase.confidence,
            ..Segment::new(on_clock(place.clone()), text.unwrap_or(phrase.text))
        }
    }
}

/// The parts of `speech` in `range`, in its own time.
fn clipped(speech: &[Range<i64>], range: &Range<i64>) -> Vec<Range<i64>> {
    let parts = speech.iter().map(|s| s.start.max(range.start)..s.end.min(range.end));
    parts.filter(|part| !part.is_empty()).collect()
}

/// The phrase with its tokens on the stretch's clock, in hundredths of a second.
fn shifted(mut phrase: Phrase, by_millis: i64) -> Phrase {
    for token in &mut phrase.tokens {
        token.start += by_millis / 10;
        token.end += by_millis / 10;
    }
    phrase
}

fn millis(n_samples: usize) -> i64 {
    (n_samples / SAMPLES_PER_MILLI) as i64
}
