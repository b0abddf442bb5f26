//! From audio to transcript: one thread finds the chunks, the decoders transcribe them.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use super::chunk_task::{ChunkTask, RATE_HZ, WINDOW_MILLIS};
use super::chunking::{Chunker, SpeechChunk, WINDOW_SAMPLES};
use super::config::WhisperConfig;
use super::decoder::{DecodeOptions, SpeechDecoder, WhisperModel};
use super::speech_track::find_speech_track;
use super::spoken_language::whisper_language;
use super::vad::VoiceActivityDetector;
use crate::advice::{Advice, Setting};
use crate::error::{Error, Result};
use crate::media::{AudioStream, MediaInfo};
use crate::pcm::{AudioReader, PcmFormat};
use crate::sanitize::clean_line;
use crate::time::{TimeBounds, Timestamp};
use crate::transcript::{Segment, Transcript, TranscriptSource};

/// Audio per call of the voice activity model: 10 s, so that its warm-up is a tenth of the work.
const VAD_BATCH: usize = 312 * WINDOW_SAMPLES;
/// A detected language below this probability is not reported: detections at 0.16 were wrong.
const MIN_LANGUAGE_PROBABILITY: f32 = 0.5;
/// Chunks in which the language is detected until one result is certain.
const MAX_DETECTIONS: u32 = 5;

/// One transcription on this machine.
pub(super) struct LocalTranscription {
    pub config: WhisperConfig,
    pub path: PathBuf,
    pub media: MediaInfo,
    /// The chosen stream, or the main one.
    pub stream: AudioStream,
    /// Whether the user chose the stream; else the one that holds speech is found.
    pub is_stream_chosen: bool,
    pub bounds: TimeBounds,
    pub n_decoders: usize,
    pub is_cancelled: Arc<AtomicBool>,
    /// Takes the time up to which the audio has been transcribed.
    pub progress: tokio::sync::mpsc::UnboundedSender<Timestamp>,
}

/// The chunks in order, and the language detected so far.
struct ChunkQueue {
    tasks: mpsc::Receiver<ChunkTask>,
    language: Option<&'static str>,
    n_detections: u32,
}

/// The segments of the chunk with that index.
type ChunkResult = (usize, Result<Vec<Segment>>);

impl LocalTranscription {
    pub fn run(&self) -> Result<Transcript> {
        let model = WhisperModel::load(&self.config.model)?;
        let requested = self.config.language.as_deref().and_then(whisper_language);
        let language = match (requested, model.is_multilingual()) {
            (Some(code), false) if code != "en" => {
                let problem = format!("the model {} supports English only", self.config.name);
                let advice = Advice::SetTo(Setting::WhisperModel, "base".into());
                return Err(Error::setting(Setting::Language, problem, advice));
            }
            (_, false) => Some("en"),
            (requested, true) => requested,
        };
        let detector = VoiceActivityDetector::load(&self.config.vad_model)?;
        let want = PcmFormat { rate_hz: Some(RATE_HZ), channels: Some(1) };
        let stream = self.find_stream()?;
        let reader = AudioReader::open(&self.path, &self.media, stream, &want)?.within(self.bounds);

        // One chunk (1.8 MB) waits in the queue, and each decoder holds one.
        let (sender, tasks) = mpsc::sync_channel(1);
        let queue = Arc::new(Mutex::new(ChunkQueue { tasks, language, n_detections: 0 }));
        let (results, received) = mpsc::channel();
        let (chunked, mut results) = std::thread::scope(|scope| {
            for _ in 0..self.n_decoders {
                let (queue, results, model) = (queue.clone(), results.clone(), &model);
                scope.spawn(move || self.decode_chunks(model, &queue, &results));
            }
            drop(results);
            let chunked = self.send_chunks(reader, detector, &sender);
            drop(sender);
            (chunked, received.iter().collect::<Vec<_>>())
        });
        chunked?;
        results.sort_by_key(|(idx, _)| *idx);
        let mut segments = Vec::new();
        for (_, found) in results {
            segments.extend(found?);
        }
        if self.is_cancelled.load(Ordering::Relaxed) {
            return Err(Error::interrupted());
        }
        let spoken = queue.lock().unwrap_or_else(PoisonError::into_inner).language;
        let language = if self.config.translate { Some("en") } else { spoken }.map(str::to_owned);
        let track = (stream.stream_idx != self.stream.stream_idx).then(|| self.track_number(stream));
        let source = TranscriptSource::Whisper { model: self.config.name.clone(), track };
        Ok(Transcript::new(source, language, segments))
    }

    /// The stream to transcribe.
    fn find_stream(&self) -> Result<&AudioStream> {
        if self.is_stream_chosen || self.media.audio.len() < 2 {
            return Ok(&self.stream);
        }
        let place = (self.path.as_path(), &self.media, self.bounds);
        let found = find_speech_track(place, &self.stream, &self.config.vad_model, &self.is_cancelled)?;
        if found.stream_idx != self.stream.stream_idx {
            let (main, other) = (self.track_number(&self.stream), self.track_number(found));
            let title = found.title.as_deref().map(|title| format!(" ({})", clean_line(title))).unwrap_or_default();
            let path = crate::input::shown_name(&self.path);
            tracing::warn!("{path}: no speech was detected in audio track {main}; transcribing track {other}{title}");
        }
        Ok(found)
    }

    /// The number of a stream among the audio streams, from 1.
    fn track_number(&self, stream: &AudioStream) -> usize {
        self.media.audio.iter().position(|audio| audio.stream_idx == stream.stream_idx).map_or(1, |idx| idx + 1)
    }

    /// Reads the audio, finds the chunks and sends them in order.
    fn send_chunks(
        &self,
        reader: AudioReader,
        mut detector: VoiceActivityDetector,
        sender: &mpsc::SyncSender<ChunkTask>,
    ) -> Result<()> {
        let mut chunker = Chunker::default();
        // The audio from window `first` on; the detector has rated `n_rated` windows of it.
        let (mut audio, mut first, mut n_rated) = (Vec::<f32>::new(), 0, 0);
        let mut start = None;
        let mut n_sent = 0;
        let mut send_all = |found: Vec<SpeechChunk>, audio: &[f32], first: usize, start: Timestamp| {
            for chunk in found {
                let from = (chunk.windows.start - first) * WINDOW_SAMPLES;
                let to = ((chunk.windows.end - first) * WINDOW_SAMPLES).min(audio.len());
                let millis = chunk.windows.start as i64 * WINDOW_MILLIS;
                let samples = audio[from..to].to_vec();
                let start = start.plus(Timestamp::from_millis(millis));
                // The receiver is gone only after a decoder failed, and that decoder reports why.
                let _ = sender.send(ChunkTask { idx: n_sent, chunk, samples, start });
                n_sent += 1;
            }
        };
        for block in reader {
            let block = block?;
            let start = *start.get_or_insert(block.time);
            audio.extend_from_slice(&block.samples);
            if self.is_cancelled.load(Ordering::Relaxed) {
                return Err(Error::interrupted());
            }
            while audio.len() - n_rated * WINDOW_SAMPLES >= VAD_BATCH {
                let from = n_rated * WINDOW_SAMPLES;
                let probabilities = detector.probabilities(&audio[from..from + VAD_BATCH])?;
                let found = probabilities.into_iter().filter_map(|p| chunker.push(p)).collect();
                n_rated += VAD_BATCH / WINDOW_SAMPLES;
                send_all(found, &audio, first, start);
                let n_done = chunker.needed_from() - first;
                audio.drain(..n_done * WINDOW_SAMPLES);
                first += n_done;
                n_rated -= n_done;
            }
        }
        let Some(start) = start else { return Ok(()) };
        let rest = &audio[n_rated * WINDOW_SAMPLES..];
        let probabilities = if rest.is_empty() { Vec::new() } else { detector.probabilities(rest)? };
        let mut found: Vec<SpeechChunk> = probabilities.into_iter().filter_map(|p| chunker.push(p)).collect();
        found.extend(chunker.finish());
        send_all(found, &audio, first, start);
        Ok(())
    }

    /// The thread of one decoder: transcribes chunks until there are no more.
    fn decode_chunks(&self, model: &WhisperModel, queue: &Mutex<ChunkQueue>, results: &mpsc::Sender<ChunkResult>) {
        let options = DecodeOptions { translate: self.config.translate, token_times: self.config.word_times };
        let mut decoder = None;
        loop {
            let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
            let Ok(task) = queue.tasks.recv() else { return };
            if self.is_cancelled.load(Ordering::Relaxed) {
                continue;
            }
            let found = match &mut decoder {
                Some(decoder) => Ok(decoder),
                None => model.decoder().map(|new| decoder.insert(new)),
            };
            // The lock is held, so that the first chunks determine the language, whichever decoder is faster.
            let found = found.and_then(|decoder| Ok((queue.language_of(decoder, &task.samples)?, decoder)));
            drop(queue);
            let found = found.and_then(|(language, decoder)| {
                task.transcribe(decoder, language, options, &self.is_cancelled, &self.path)
            });
            // The receivers are gone only if the work was cancelled.
            let _ = self.progress.send(task.end());
            let _ = results.send((task.idx, found));
        }
    }
}

impl ChunkQueue {
    /// The language to transcribe in: the known one, otherwise the most likely one of this audio.
    fn language_of(&mut self, decoder: &mut SpeechDecoder<'_>, samples: &[f32]) -> Result<Option<&'static str>> {
        if self.language.is_some() || self.n_detections >= MAX_DETECTIONS {
            return Ok(self.language);
        }
        self.n_detections += 1;
        let (language, probability) = decoder.detect_language(samples)?;
        tracing::info!("detected language: {language} (probability {probability:.2})");
        if probability >= MIN_LANGUAGE_PROBABILITY {
            self.language = Some(language);
        }
        Ok(Some(language))
    }
}
