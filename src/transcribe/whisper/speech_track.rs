//! Which of several audio tracks holds the speech: in a screen recording the microphone is often the second one.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::chunk_task::RATE_HZ;
use super::chunking::WINDOW_SAMPLES;
use super::vad::VoiceActivityDetector;
use crate::error::{Error, Result};
use crate::media::{AudioStream, MediaInfo};
use crate::pcm::{AudioReader, PcmFormat};
use crate::time::TimeBounds;

/// How much of each track is examined, as long as the main one holds no speech: 5 min, in steps of a minute.
const MAX_STEPS: usize = 5;
const STEP_WINDOWS: usize = 60 * RATE_HZ as usize / WINDOW_SAMPLES;
/// Speech that makes a track the one to transcribe: 1 s. Less can be a click or a cough.
const MIN_SPEECH_WINDOWS: usize = RATE_HZ as usize / WINDOW_SAMPLES;
/// Silero's own threshold.
const SPEECH: f32 = 0.5;

/// A track that is being examined.
struct TrackSpeech<'a> {
    stream: &'a AudioStream,
    reader: AudioReader,
    detector: VoiceActivityDetector,
    samples: Vec<f32>,
    n_speech: usize,
}

impl TrackSpeech<'_> {
    /// Examines the next minute; false at the end of the track.
    fn step(&mut self) -> Result<bool> {
        while self.samples.len() < STEP_WINDOWS * WINDOW_SAMPLES {
            match self.reader.next() {
                Some(block) => self.samples.extend(block?.samples),
                None => break,
            }
        }
        let n_samples = self.samples.len() / WINDOW_SAMPLES * WINDOW_SAMPLES;
        if n_samples == 0 {
            return Ok(false);
        }
        let samples: Vec<f32> = self.samples.drain(..n_samples).collect();
        self.n_speech += self.detector.probabilities(&samples)?.iter().filter(|p| **p >= SPEECH).count();
        Ok(true)
    }
}

/// The main track if it holds speech in its first minutes, otherwise the track that holds the most; the main one if no
/// track does. A track that cannot be read holds none.
pub(super) fn find_speech_track<'a>(
    (path, media, bounds): (&Path, &'a MediaInfo, TimeBounds),
    main: &'a AudioStream,
    vad_model: &Path,
    is_cancelled: &AtomicBool,
) -> Result<&'a AudioStream> {
    let format = PcmFormat { rate_hz: Some(RATE_HZ), channels: Some(1) };
    let mut tracks = Vec::new();
    // The main one first, so that it wins a tie.
    let others = media.audio.iter().filter(|stream| stream.stream_idx != main.stream_idx);
    for stream in std::iter::once(main).chain(others) {
        let Ok(reader) = AudioReader::open(path, media, stream, &format) else { continue };
        let detector = VoiceActivityDetector::load(vad_model)?;
        tracks.push(TrackSpeech { stream, reader: reader.within(bounds), detector, samples: Vec::new(), n_speech: 0 });
    }
    for _ in 0..MAX_STEPS {
        let mut is_any_left = false;
        for track in &mut tracks {
            if is_cancelled.load(Ordering::Relaxed) {
                return Err(Error::interrupted());
            }
            is_any_left |= track.step().unwrap_or(false);
            if track.stream.stream_idx == main.stream_idx && track.n_speech >= MIN_SPEECH_WINDOWS {
                return Ok(main);
            }
        }
        if !is_any_left {
            break;
        }
    }
    let most = tracks.iter().rev().max_by_key(|track| track.n_speech);
    Ok(most.filter(|track| track.n_speech >= MIN_SPEECH_WINDOWS).map_or(main, |track| track.stream))
}
