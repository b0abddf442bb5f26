//! Where somebody speaks: probabilities of speech to stretches of sound that are transcribed by themselves.
//!
//! A stretch is one run of the recording, pauses included: cutting pauses out and gluing the speech together would move
//! the times, and a longer pause is where Whisper begins to invent. All positions are in windows of
//! [`WINDOW_SAMPLES`], counted from the first sample of the sound.

use std::ops::Range;

/// Samples that one probability stands for: Silero's window at 16 kHz, 32 ms.
pub(super) const WINDOW_SAMPLES: usize = 512;

/// Speech begins at this probability, and ends below the other: Silero's own thresholds.
const BEGINS: f32 = 0.5;
const ENDS: f32 = 0.35;
/// Shorter dips are part of speech: 0.3 s, the shortest pause between sentences.
const MIN_PAUSE: usize = 9;
/// Shorter bursts are clicks and coughs: 0.16 s, a short "no".
const MIN_SPEECH: usize = 5;
/// Speech with shorter pauses between is one stretch: 1 s. With 2 s no word more was right, and a phrase could span two
/// utterances.
const MAX_PAUSE: usize = 31;
/// Whisper hears 30 s at a time; a stretch with its padding stays below.
const MAX_STRETCH: usize = 880;
/// Speech that never pauses is cut where it is least speech-like in its last 8 s.
const CUT_WITHIN: usize = 250;
/// Sound that is given along before and after, where no other speech is: 0.25 s. Words begin before they are recognised.
pub(super) const PADDING: usize = 8;

/// One stretch of sound to be transcribed by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    /// What is transcribed: the speech and its padding.
    pub windows: Range<usize>,
    /// Where in it somebody speaks: sorted, apart, never empty.
    pub speech: Vec<Range<usize>>,
}

/// Turns probabilities, one for each window in order, into stretches. Holds less than a minute of them.
#[derive(Debug, Default)]
pub(super) struct Stretches {
    /// Windows so far.
    n: usize,
    /// Start of the speech that goes on, and its probabilities.
    current: Option<(usize, Vec<f32>)>,
    /// Windows since the probability fell.
    n_quiet: usize,
    /// Speech that was cut in its midst goes on in the next stretch: no padding between.
    is_cut: bool,
    /// The stretch that is being put together.
    speech: Vec<Range<usize>>,
    /// End of what was given away.
    given: usize,
}

impl Stretches {
    /// Takes the next probability; gives the stretch that it ends.
    pub fn push(&mut self, probability: f32) -> Option<Stretch> {
        let at = self.n;
        self.n += 1;
        match &mut self.current {
            None if probability >= BEGINS => {
                self.current = Some((at, vec![probability]));
                self.n_quiet = 0;
                // A stretch that cannot take this speech along is complete.
                let first = self.speech.first()?.start;
                (at - first > MAX_STRETCH / 2 && at - self.speech.last()?.end > MIN_PAUSE * 2)
                    .then(|| self.give(at))
                    .flatten()
            }
            None => {
                let end = self.speech.last()?.end;
                (at - end >= MAX_PAUSE).then(|| self.give(at)).flatten()
            }
            Some((start, probabilities)) => {
                let start = *start;
                probabilities.push(probability);
                self.n_quiet = if probability < ENDS { self.n_quiet + 1 } else { 0 };
                if self.n_quiet >= MIN_PAUSE {
                    self.end_speech(at + 1 - self.n_quiet)
                } else if at + 1 - self.speech.first().map_or(start, |first| first.start) >= MAX_STRETCH {
                    self.cut(start)
                } else {
                    None
                }
            }
        }
    }

    /// The last stretches, at the end of the sound.
    pub fn finish(mut self) -> Vec<Stretch> {
        let end = self.n;
        let mut last = Vec::new();
        if self.current.is_some() {
            last.extend(self.end_speech(end - self.n_quiet));
        }
        last.extend(self.give(end));
        last
    }

    /// The first window of which the sound may still be asked for.
    pub fn needed_from(&self) -> usize {
        let going_on = self.current.as_ref().map(|(start, _)| *start);
        let first = self.speech.first().map(|first| first.start).or(going_on).unwrap_or(self.n);
        first.saturating_sub(PADDING).max(self.given)
    }

    /// Speech is over: it joins the stretch.
    fn end_speech(&mut self, end: usize) -> Option<Stretch> {
        let (start, _) = self.current.take()?;
        self.n_quiet = 0;
        if end.saturating_sub(start) >= MIN_SPEECH {
            self.speech.push(start..end);
        }
        None
    }

    /// The stretch is full while somebody speaks on: it ends in the last pause that it has, else in the midst of speech.
    fn cut(&mut self, start: usize) -> Option<Stretch> {
        // The speech that goes on can wait for the next stretch, where it began late enough in this one.
        if self.speech.first().is_some_and(|first| start - first.start >= MAX_STRETCH / 3) {
            return self.give(start);
        }
        let (_, probabilities) = self.current.take()?;
        let from = probabilities.len().saturating_sub(CUT_WITHIN).max(1);
        let rest = &probabilities[from..];
        let lowest = rest.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(at, _)| at);
        let at = from + lowest;
        self.speech.push(start..start + at);
        self.is_cut = true;
        let stretch = self.give(start + at);
        self.current = Some((start + at, probabilities[at..].to_vec()));
        stretch
    }

    /// Gives the stretch away; `until` is where the next speech, or what is unknown, begins.
    fn give(&mut self, until: usize) -> Option<Stretch> {
        let speech = std::mem::take(&mut self.speech);
        let (first, last) = (speech.first()?.start, speech.last()?.end);
        let is_cut = std::mem::take(&mut self.is_cut);
        // Half of a short pause each.
        let room = if is_cut { 0 } else { PADDING.min((until - last) / 2).max(PADDING.min(until - last) / 2) };
        let windows = first.saturating_sub(PADDING).max(self.given)..last + room;
        self.given = windows.end;
        Some(Stretch { windows, speech })
    }
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "here ranges are the data")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stretches(probabilities: &[f32]) -> Vec<Stretch> {
        let mut state = Stretches::default();
        let mut found: Vec<Stretch> = probabilities.iter().filter_map(|p| state.push(*p)).collect();
        found.extend(state.finish());
        found
    }

    /// Runs of one probability each.
    fn sound(runs: &[(f32, usize)]) -> Vec<f32> {
        runs.iter().flat_map(|(p, n)| std::iter::repeat_n(*p, *n)).collect()
    }

    #[test]
    fn speech_with_short_pauses_is_one_stretch() {
        let found = stretches(&sound(&[(0.0, 100), (0.9, 50), (0.1, 20), (0.8, 30), (0.1, 100), (0.9, 40), (0.0, 50)]));
        assert_eq!(
            found,
            [
                Stretch { windows: 92..208, speech: vec![100..150, 170..200] },
                Stretch { windows: 292..348, speech: vec![300..340] },
            ]
        );
    }

    #[test]
    fn clicks_are_no_speech_and_dips_no_pauses() {
        assert!(stretches(&sound(&[(0.0, 50), (0.9, 3), (0.0, 50)])).is_empty());
        let found = stretches(&sound(&[(0.9, 20), (0.2, 7), (0.9, 20)]));
        assert_eq!(found, [Stretch { windows: 0..47, speech: vec![0..47] }]);
        // Between the two thresholds nothing begins, and nothing ends.
        assert!(stretches(&sound(&[(0.45, 300)])).is_empty());
        assert_eq!(stretches(&sound(&[(0.6, 10), (0.4, 100)]))[0].speech, vec![0..110]);
    }

    #[test]
    fn endless_speech_is_cut_where_it_is_least_like_speech() {
        let mut endless = sound(&[(0.9, 2000)]);
        endless[700] = 0.5;
        let found = stretches(&endless);
        assert_eq!(found[0].windows, 0..700);
        assert_eq!(found[1].windows.start, 700);
        assert!(found.iter().all(|s| s.windows.len() <= MAX_STRETCH + PADDING), "{found:?}");
        assert_eq!(found.last().unwrap().windows.end, 2000);
    }

    proptest! {
        #[test]
        fn speech_is_in_exactly_one_stretch(
            runs in prop::collection::vec((0.0_f32..1.0, 1_usize..400), 0..40),
        ) {
            let probabilities = sound(&runs);
            let mut state = Stretches::default();
            let mut found = Vec::new();
            for p in &probabilities {
                let needed = state.needed_from();
                if let Some(stretch) = state.push(*p) {
                    prop_assert!(stretch.windows.start >= needed, "its sound is still there");
                    found.push(stretch);
                }
                prop_assert!(state.n - state.needed_from() <= MAX_STRETCH + MAX_PAUSE + 2 * PADDING);
            }
            found.extend(state.finish());
            let mut end = 0;
            for stretch in &found {
                prop_assert!(stretch.windows.start >= end && stretch.windows.end <= probabilities.len());
                prop_assert!(stretch.windows.len() <= MAX_STRETCH + 2 * PADDING, "{:?}", stretch);
                prop_assert!(!stretch.speech.is_empty());
                let mut last = stretch.windows.start;
                for speech in &stretch.speech {
                    prop_assert!(speech.start >= last && !speech.is_empty() && speech.end <= stretch.windows.end);
                    last = speech.end;
                }
                end = stretch.windows.end;
            }
            // A second of certain speech is in a stretch.
            let certain = |at: usize| probabilities[at..at + 31].iter().all(|p| *p >= BEGINS);
            for at in (0..probabilities.len().saturating_sub(31)).filter(|at| certain(*at)) {
                let is_there = found.iter().flat_map(|s| &s.speech).any(|s| s.contains(&at));
                prop_assert!(is_there, "window {}", at);
            }
        }
    }
}
