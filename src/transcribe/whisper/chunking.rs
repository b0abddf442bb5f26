//! Voice activity to chunks: turns probabilities of speech into spans of audio that are transcribed independently.
//!
//! A chunk is one contiguous span of the recording, pauses included: removing pauses would shift the times, and Whisper
//! starts to invent text in longer pauses. All positions are in windows of [`WINDOW_SAMPLES`], counted from the first
//! sample of the audio.

use std::ops::Range;

/// Samples that one probability covers: Silero's window at 16 kHz, 32 ms.
pub(super) const WINDOW_SAMPLES: usize = 512;
const WINDOW_SECONDS: f64 = 0.032;

/// Speech starts at this probability and ends below the other: Silero's own thresholds.
const START_THRESHOLD: f32 = 0.5;
const END_THRESHOLD: f32 = 0.35;
/// Shorter dips are part of speech: 0.3 s, the shortest pause between sentences.
const MIN_PAUSE: usize = 9;
/// Shorter bursts are clicks and coughs: 0.16 s, a short "no".
const MIN_SPEECH: usize = 5;
/// Speech with shorter pauses stays in one chunk: 1 s. With 2 s no more words were right, and a phrase could span two
/// utterances.
pub(super) const MAX_PAUSE: usize = 31;
/// The same where parts of the recording are in different languages: 0.4 s, because a chunk is in one language.
pub(super) const MAX_PAUSE_MULTILINGUAL: usize = 12;
/// Whisper processes 30 s at a time; a chunk with its padding stays below.
const MAX_CHUNK: usize = 880;
/// Speech without a pause is cut at its lowest probability within its last 8 s.
const CUT_WITHIN: usize = 250;
/// Audio added before and after speech, where there is no other speech: 0.25 s. Words start before they are recognised.
pub(super) const PADDING: usize = 8;

/// A span of audio that is transcribed independently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SpeechChunk {
    /// The audio to transcribe: the speech and its padding.
    pub windows: Range<usize>,
    /// The speech in it: sorted, disjoint, never empty.
    pub speech: Vec<Range<usize>>,
}

impl SpeechChunk {
    /// The speech in it, in seconds.
    pub fn speech_seconds(&self) -> f64 {
        let n_windows: usize = self.speech.iter().map(Range::len).sum();
        n_windows as f64 * WINDOW_SECONDS
    }
}

/// Turns probabilities, one per window and in order, into chunks. Holds less than a minute of them.
#[derive(Debug)]
pub(super) struct Chunker {
    /// Speech with shorter pauses stays in one chunk.
    max_pause: usize,
    /// Windows so far.
    n: usize,
    /// Start of the current speech, and its probabilities.
    current: Option<(usize, Vec<f32>)>,
    /// Windows since the probability fell below the end threshold.
    n_quiet: usize,
    /// The previous chunk was cut within speech: no padding between the two.
    is_cut: bool,
    /// The speech of the current chunk.
    speech: Vec<Range<usize>>,
    /// End of the last emitted chunk.
    emitted: usize,
}

impl Chunker {
    /// `max_pause` in windows.
    pub fn new(max_pause: usize) -> Self {
        Self { max_pause, n: 0, current: None, n_quiet: 0, is_cut: false, speech: Vec::new(), emitted: 0 }
    }

    /// Takes the next probability; returns the chunk that it completes.
    pub fn push(&mut self, probability: f32) -> Option<SpeechChunk> {
        let at = self.n;
        self.n += 1;
        match &mut self.current {
            None if probability >= START_THRESHOLD => {
                self.current = Some((at, vec![probability]));
                self.n_quiet = 0;
                // A chunk with no room for this speech is complete.
                let first = self.speech.first()?.start;
                (at - first > MAX_CHUNK / 2 && at - self.speech.last()?.end > MIN_PAUSE * 2)
                    .then(|| self.emit(at))
                    .flatten()
            }
            None => {
                let end = self.speech.last()?.end;
                (at - end >= self.max_pause).then(|| self.emit(at)).flatten()
            }
            Some((start, probabilities)) => {
                let start = *start;
                probabilities.push(probability);
                self.n_quiet = if probability < END_THRESHOLD { self.n_quiet + 1 } else { 0 };
                if self.n_quiet >= MIN_PAUSE {
                    self.end_speech(at + 1 - self.n_quiet);
                    None
                } else if at + 1 - self.speech.first().map_or(start, |first| first.start) >= MAX_CHUNK {
                    self.cut(start)
                } else {
                    None
                }
            }
        }
    }

    /// Returns the remaining chunk at the end of the audio.
    pub fn finish(mut self) -> Option<SpeechChunk> {
        let end = self.n;
        self.end_speech(end - self.n_quiet);
        self.emit(end)
    }

    /// The first window whose audio may still be needed.
    pub fn needed_from(&self) -> usize {
        let current = self.current.as_ref().map(|(start, _)| *start);
        let first = self.speech.first().map(|first| first.start).or(current).unwrap_or(self.n);
        first.saturating_sub(PADDING).max(self.emitted)
    }

    /// Adds the current speech to the chunk.
    fn end_speech(&mut self, end: usize) {
        let Some((start, _)) = self.current.take() else { return };
        self.n_quiet = 0;
        if end.saturating_sub(start) >= MIN_SPEECH {
            self.speech.push(start..end);
        }
    }

    /// Ends a full chunk while speech continues: in its last pause if it has one, otherwise within the speech.
    fn cut(&mut self, start: usize) -> Option<SpeechChunk> {
        // The current speech can move to the next chunk if it started late enough in this one.
        if self.speech.first().is_some_and(|first| start - first.start >= MAX_CHUNK / 3) {
            return self.emit(start);
        }
        let (_, probabilities) = self.current.take()?;
        let from = probabilities.len().saturating_sub(CUT_WITHIN).max(1);
        let rest = &probabilities[from..];
        let lowest = rest.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(at, _)| at);
        let at = from + lowest;
        self.speech.push(start..start + at);
        self.is_cut = true;
        let chunk = self.emit(start + at);
        self.current = Some((start + at, probabilities[at..].to_vec()));
        chunk
    }

    /// Emits the chunk; `until` is where the next speech starts, or the last known window.
    fn emit(&mut self, until: usize) -> Option<SpeechChunk> {
        let speech = std::mem::take(&mut self.speech);
        let (first, last) = (speech.first()?.start, speech.last()?.end);
        let is_cut = std::mem::take(&mut self.is_cut);
        // The two chunks around a short pause share it equally.
        let room = if is_cut { 0 } else { PADDING.min((until - last) / 2).max(PADDING.min(until - last) / 2) };
        let windows = first.saturating_sub(PADDING).max(self.emitted)..last + room;
        self.emitted = windows.end;
        Some(SpeechChunk { windows, speech })
    }
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "here ranges are the data")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chunks(probabilities: &[f32]) -> Vec<SpeechChunk> {
        let mut state = Chunker::new(MAX_PAUSE);
        let mut found: Vec<SpeechChunk> = probabilities.iter().filter_map(|p| state.push(*p)).collect();
        found.extend(state.finish());
        found
    }

    /// Runs of one probability each.
    fn probabilities_of(runs: &[(f32, usize)]) -> Vec<f32> {
        runs.iter().flat_map(|(p, n)| std::iter::repeat_n(*p, *n)).collect()
    }

    #[test]
    fn speech_with_short_pauses_is_one_chunk() {
        let found =
            chunks(&probabilities_of(&[(0.0, 100), (0.9, 50), (0.1, 20), (0.8, 30), (0.1, 100), (0.9, 40), (0.0, 50)]));
        assert_eq!(
            found,
            [
                SpeechChunk { windows: 92..208, speech: vec![100..150, 170..200] },
                SpeechChunk { windows: 292..348, speech: vec![300..340] },
            ]
        );
    }

    #[test]
    fn clicks_are_not_speech_and_dips_are_not_pauses() {
        assert!(chunks(&probabilities_of(&[(0.0, 50), (0.9, 3), (0.0, 50)])).is_empty());
        let found = chunks(&probabilities_of(&[(0.9, 20), (0.2, 7), (0.9, 20)]));
        assert_eq!(found, [SpeechChunk { windows: 0..47, speech: vec![0..47] }]);
        // Between the two thresholds no speech starts or ends.
        assert!(chunks(&probabilities_of(&[(0.45, 300)])).is_empty());
        assert_eq!(chunks(&probabilities_of(&[(0.6, 10), (0.4, 100)]))[0].speech, vec![0..110]);
    }

    #[test]
    fn speech_without_a_pause_is_cut_at_its_lowest_probability() {
        let mut endless = probabilities_of(&[(0.9, 2000)]);
        endless[700] = 0.5;
        let found = chunks(&endless);
        assert_eq!(found[0].windows, 0..700);
        assert_eq!(found[1].windows.start, 700);
        assert!(found.iter().all(|s| s.windows.len() <= MAX_CHUNK + PADDING), "{found:?}");
        assert_eq!(found.last().unwrap().windows.end, 2000);
    }

    proptest! {
        #[test]
        fn speech_is_in_exactly_one_chunk(
            runs in prop::collection::vec((0.0_f32..1.0, 1_usize..400), 0..40),
        ) {
            let probabilities = probabilities_of(&runs);
            let mut state = Chunker::new(MAX_PAUSE);
            let mut found = Vec::new();
            for p in &probabilities {
                let needed = state.needed_from();
                if let Some(chunk) = state.push(*p) {
                    prop_assert!(chunk.windows.start >= needed, "its audio is still held");
                    found.push(chunk);
                }
                prop_assert!(state.n - state.needed_from() <= MAX_CHUNK + MAX_PAUSE + 2 * PADDING);
            }
            found.extend(state.finish());
            let mut end = 0;
            for chunk in &found {
                prop_assert!(chunk.windows.start >= end && chunk.windows.end <= probabilities.len());
                prop_assert!(chunk.windows.len() <= MAX_CHUNK + 2 * PADDING, "{:?}", chunk);
                prop_assert!(!chunk.speech.is_empty());
                let mut last = chunk.windows.start;
                for speech in &chunk.speech {
                    prop_assert!(speech.start >= last && !speech.is_empty() && speech.end <= chunk.windows.end);
                    last = speech.end;
                }
                end = chunk.windows.end;
            }
            // A second of certain speech is in a chunk.
            let certain = |at: usize| probabilities[at..at + 31].iter().all(|p| *p >= START_THRESHOLD);
            for at in (0..probabilities.len().saturating_sub(31)).filter(|at| certain(*at)) {
                let is_there = found.iter().flat_map(|s| &s.speech).any(|s| s.contains(&at));
                prop_assert!(is_there, "window {}", at);
            }
        }
    }
}
