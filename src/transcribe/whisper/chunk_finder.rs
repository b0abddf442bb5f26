//! Finds the chunks of speech in one channel of audio that arrives block by block.

use super::chunk_task::WINDOW_MILLIS;
use super::chunking::{Chunker, SpeechChunk, WINDOW_SAMPLES};
use super::vad::VoiceActivityDetector;
use crate::error::Result;
use crate::time::Timestamp;

/// Audio per call of the voice activity model: 10 s, so that its warm-up is a tenth of the work.
const VAD_BATCH: usize = 312 * WINDOW_SAMPLES;

/// A chunk with its audio.
pub(super) struct FoundChunk {
    pub chunk: SpeechChunk,
    pub samples: Vec<f32>,
    /// The time of the first sample on the shared clock.
    pub start: Timestamp,
}

/// Holds a minute of audio at most.
pub(super) struct ChunkFinder {
    detector: VoiceActivityDetector,
    chunker: Chunker,
    /// The audio from window `first` on; the detector has rated `n_rated` windows of it.
    audio: Vec<f32>,
    first: usize,
    n_rated: usize,
    /// The time of the very first sample.
    start: Option<Timestamp>,
}

impl ChunkFinder {
    pub fn new(detector: VoiceActivityDetector, chunker: Chunker) -> Self {
        Self { detector, chunker, audio: Vec::new(), first: 0, n_rated: 0, start: None }
    }

    /// Takes the next samples, which begin at `time`; returns the chunks that they complete.
    pub fn push(&mut self, samples: impl Iterator<Item = f32>, time: Timestamp) -> Result<Vec<FoundChunk>> {
        self.start.get_or_insert(time);
        self.audio.extend(samples);
        let mut found = Vec::new();
        while self.audio.len() - self.n_rated * WINDOW_SAMPLES >= VAD_BATCH {
            let from = self.n_rated * WINDOW_SAMPLES;
            let probabilities = self.detector.probabilities(&self.audio[from..from + VAD_BATCH])?;
            let chunks: Vec<_> = probabilities.into_iter().filter_map(|p| self.chunker.push(p)).collect();
            found.extend(chunks.into_iter().map(|chunk| with_audio(chunk, &self.audio, self.first, self.start)));
            self.n_rated += VAD_BATCH / WINDOW_SAMPLES;
            let n_done = self.chunker.needed_from() - self.first;
            self.audio.drain(..n_done * WINDOW_SAMPLES);
            self.first += n_done;
            self.n_rated -= n_done;
        }
        Ok(found)
    }

    /// The chunks at the end of the audio.
    pub fn finish(mut self) -> Result<Vec<FoundChunk>> {
        let rest = &self.audio[self.n_rated * WINDOW_SAMPLES..];
        let probabilities = if rest.is_empty() { Vec::new() } else { self.detector.probabilities(rest)? };
        let mut chunks: Vec<_> = probabilities.into_iter().filter_map(|p| self.chunker.push(p)).collect();
        chunks.extend(self.chunker.finish());
        let found = chunks.into_iter().map(|chunk| with_audio(chunk, &self.audio, self.first, self.start));
        Ok(found.collect())
    }
}

/// The chunk with its part of the audio, which begins with window `first`; the time of window 0 is `start`.
fn with_audio(chunk: SpeechChunk, audio: &[f32], first: usize, start: Option<Timestamp>) -> FoundChunk {
    let from = (chunk.windows.start - first) * WINDOW_SAMPLES;
    let to = ((chunk.windows.end - first) * WINDOW_SAMPLES).min(audio.len());
    let millis = chunk.windows.start as i64 * WINDOW_MILLIS;
    let start = start.unwrap_or(Timestamp::ZERO).plus(Timestamp::from_millis(millis));
    FoundChunk { samples: audio[from..to].to_vec(), start, chunk }
}
