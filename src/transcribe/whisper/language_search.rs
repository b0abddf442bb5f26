//! The language that chunks are transcribed in: the requested one, or the one that the speech of the first minutes is in.
//!
//! The first minutes are transcribed as whatever their speech so far sounds like, which also tells the probability of
//! each language at no further cost. Later chunks wait until all of the first ones have voted; the few that were
//! transcribed as another language than the one that won are transcribed again.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::language_vote::{LanguageProbabilities, LanguageVote, LikelyLanguage};

/// The speech in which the language is detected: 2 min.
pub(super) const PROBED_SECONDS: f64 = 120.0;
/// A language below this probability is not reported as certain: detections at 0.16 were wrong.
const MIN_CONFIDENCE: f64 = 0.5;

/// Which languages are expected.
#[derive(Clone, Debug, Default)]
pub(super) struct ExpectedLanguages {
    /// The only language, if it is known.
    pub known: Option<&'static str>,
    /// The possible ones; empty for all.
    pub possible: Vec<&'static str>,
    /// Whether each chunk may be in another language.
    pub is_multilingual: bool,
}

/// Shared by the decoders.
pub(super) struct LanguageSearch {
    known: Option<&'static str>,
    is_multilingual: bool,
    ballot: Mutex<Ballot>,
    all_voted: Condvar,
}

struct Ballot {
    vote: LanguageVote,
    /// Chunks that have not voted yet.
    n_open: usize,
}

impl LanguageSearch {
    pub fn new(expected: &ExpectedLanguages) -> Self {
        let ballot = Ballot { vote: LanguageVote::new(&expected.possible), n_open: 0 };
        Self {
            known: expected.known,
            is_multilingual: expected.is_multilingual && expected.known.is_none(),
            ballot: Mutex::new(ballot),
            all_voted: Condvar::new(),
        }
    }

    /// The requested language, or the model's only one; None if it has to be detected.
    pub fn known(&self) -> Option<&'static str> {
        self.known
    }

    /// Whether the language has to be detected.
    pub fn is_open(&self) -> bool {
        self.known.is_none()
    }

    /// Whether each chunk may be in another language.
    pub fn is_multilingual(&self) -> bool {
        self.is_multilingual
    }

    /// Announces a chunk that will vote. All of them are announced before the first chunk that does not vote.
    pub fn announce(&self) -> OpenVote<'_> {
        self.ballot().n_open += 1;
        OpenVote(self)
    }

    /// The language that the votes so far are sure of.
    pub fn certain_so_far(&self) -> Option<&'static str> {
        self.ballot().vote.leader().filter(|leader| is_certain(*leader)).map(|leader| leader.code)
    }

    /// The most likely language after all announced chunks have voted, for which this waits; None if it was requested or
    /// nobody voted.
    pub fn result(&self) -> Option<LikelyLanguage> {
        let ballot = self.all_voted.wait_while(self.ballot(), |ballot| ballot.n_open > 0);
        ballot.unwrap_or_else(PoisonError::into_inner).vote.leader()
    }

    /// The language of one chunk: that of the recording; if it has several, the most likely one, given how much of the
    /// recording is in which language. None if it is unknown.
    pub fn of_chunk(&self, probabilities: Option<&LanguageProbabilities>) -> Option<&'static str> {
        if self.known.is_some() {
            return self.known;
        }
        let own = probabilities.filter(|_| self.is_multilingual).and_then(|found| {
            self.result();
            self.ballot().vote.of_chunk_within(found)
        });
        own.or_else(|| self.result()).map(|likely| likely.code)
    }

    /// The most likely of the possible languages.
    pub fn most_likely(&self, probabilities: &LanguageProbabilities) -> Option<&'static str> {
        self.ballot().vote.of_chunk(probabilities).map(|likely| likely.code)
    }

    fn ballot(&self) -> MutexGuard<'_, Ballot> {
        self.ballot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A chunk that has not voted yet. It counts as voted when this is dropped.
pub(super) struct OpenVote<'a>(&'a LanguageSearch);

impl OpenVote<'_> {
    /// Votes with the probabilities of a chunk, weighted by its speech.
    pub fn cast(self, probabilities: &LanguageProbabilities, seconds: f64) {
        self.0.ballot().vote.add(probabilities, seconds);
    }
}

impl Drop for OpenVote<'_> {
    fn drop(&mut self) {
        let mut ballot = self.0.ballot();
        ballot.n_open -= 1;
        if ballot.n_open == 0 {
            self.0.all_voted.notify_all();
        }
    }
}

/// Whether a language with this probability is reported as certain.
pub(super) fn is_certain(likely: LikelyLanguage) -> bool {
    likely.confidence >= MIN_CONFIDENCE
}
