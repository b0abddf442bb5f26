//! The spoken language of a recording: the language probabilities of its chunks, weighted by the speech in each.

use super::spoken_language::language_ids;

/// The probability of each language by Whisper's language id, from one chunk.
pub(super) type LanguageProbabilities = Vec<f32>;

/// The most likely of the languages that are possible.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct LikelyLanguage {
    pub code: &'static str,
    /// Its probability among the possible languages, 0 to 1.
    pub confidence: f64,
}

/// The prior weight of a language that was not heard before: a sure chunk outweighs it, a doubtful one does not.
const UNHEARD: f64 = 0.1;

/// The probabilities of several chunks.
#[derive(Clone, Debug)]
pub(super) struct LanguageVote {
    /// The languages that are possible: their ids and codes.
    possible: Vec<(usize, &'static str)>,
    /// Sums of probability times seconds of speech, parallel to `possible`.
    sums: Vec<f64>,
}

impl LanguageVote {
    /// No votes yet. `only` restricts the languages, by Whisper's codes; empty allows all.
    pub fn new(only: &[&'static str]) -> Self {
        let possible: Vec<_> = language_ids().filter(|(_, code)| only.is_empty() || only.contains(code)).collect();
        Self { sums: vec![0.0; possible.len()], possible }
    }

    /// Adds a chunk with this much speech.
    pub fn add(&mut self, probabilities: &LanguageProbabilities, seconds: f64) {
        for (sum, (id, _)) in self.sums.iter_mut().zip(&self.possible) {
            *sum += f64::from(probabilities.get(*id).copied().unwrap_or_default()) * seconds;
        }
    }

    /// The most likely language of all chunks so far; None if there is none.
    pub fn leader(&self) -> Option<LikelyLanguage> {
        let total: f64 = self.sums.iter().sum();
        let (sum, (_, code)) = self.sums.iter().zip(&self.possible).max_by(|a, b| a.0.total_cmp(b.0))?;
        (total > 0.0).then(|| LikelyLanguage { code, confidence: sum / total })
    }

    /// The most likely language of one chunk, given how likely each language is in the recording.
    pub fn of_chunk_within(&self, probabilities: &LanguageProbabilities) -> Option<LikelyLanguage> {
        let total: f64 = self.sums.iter().sum();
        let mut product = Self { sums: vec![0.0; self.sums.len()], possible: self.possible.clone() };
        product.add(probabilities, 1.0);
        for (own, sum) in product.sums.iter_mut().zip(&self.sums) {
            *own *= sum / total.max(f64::MIN_POSITIVE) + UNHEARD;
        }
        product.leader()
    }

    /// The most likely language of one chunk by itself.
    pub fn of_chunk(&self, probabilities: &LanguageProbabilities) -> Option<LikelyLanguage> {
        let mut alone = Self { sums: vec![0.0; self.sums.len()], possible: self.possible.clone() };
        alone.add(probabilities, 1.0);
        alone.leader()
    }
}

#[cfg(test)]
mod tests {
    use super::super::spoken_language::whisper_language;
    use super::*;

    /// Probabilities of a few languages; the rest is zero.
    fn probabilities(of: &[(&str, f32)]) -> LanguageProbabilities {
        let n = language_ids().map(|(id, _)| id + 1).max().unwrap_or_default();
        let mut all = vec![0.0; n];
        for (code, probability) in of {
            let (id, _) = language_ids().find(|(_, known)| known == code).expect("a language");
            all[id] = *probability;
        }
        all
    }

    #[test]
    fn more_speech_weighs_more() {
        let mut vote = LanguageVote::new(&[]);
        assert_eq!(vote.leader(), None);
        // One foreign word first, then a minute of French with a doubtful start.
        vote.add(&probabilities(&[("ru", 0.9), ("fr", 0.1)]), 1.0);
        assert_eq!(vote.leader().map(|l| l.code), Some("ru"));
        vote.add(&probabilities(&[("fr", 0.6), ("it", 0.4)]), 10.0);
        vote.add(&probabilities(&[("fr", 0.98), ("it", 0.02)]), 50.0);
        let leader = vote.leader().expect("votes");
        assert_eq!(leader.code, "fr");
        assert!((leader.confidence - (0.1 + 6.0 + 49.0) / 61.0).abs() < 1e-6, "{leader:?}");
    }

    #[test]
    fn a_chunk_is_in_another_language_only_if_that_is_sure() {
        let mut vote = LanguageVote::new(&[]);
        vote.add(&probabilities(&[("en", 0.95), ("de", 0.05)]), 60.0);
        vote.add(&probabilities(&[("fr", 0.95), ("en", 0.05)]), 30.0);
        let language = |of: &[(&str, f32)]| vote.of_chunk_within(&probabilities(of)).map(|l| l.code);
        assert_eq!(language(&[("ru", 0.3), ("en", 0.2)]), Some("en"), "a doubtful chunk");
        assert_eq!(language(&[("ru", 0.97), ("en", 0.03)]), Some("ru"), "a sure one");
        assert_eq!(language(&[("fr", 0.5), ("ru", 0.5)]), Some("fr"), "heard before");
        assert_eq!(language(&[("en", 0.6), ("fr", 0.3)]), Some("en"));
    }

    #[test]
    fn only_possible_languages_are_found() {
        let only = ["fr", "en"].map(|tag| whisper_language(tag).expect("a language"));
        let mut vote = LanguageVote::new(&only);
        let heard = probabilities(&[("ru", 0.6), ("fr", 0.3), ("en", 0.1)]);
        vote.add(&heard, 2.0);
        let leader = vote.leader().expect("votes");
        assert_eq!(leader.code, "fr");
        assert!((leader.confidence - 0.75).abs() < 1e-6, "the probability among the two: {leader:?}");
        assert_eq!(vote.of_chunk(&heard).map(|l| l.code), Some("fr"));
        // A chunk that is none of them has no likely language.
        assert_eq!(vote.of_chunk(&probabilities(&[("zh", 1.0)])), None);
    }
}
