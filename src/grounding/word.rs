//! Words: normalized text, and how much weight two texts share.

use std::collections::{BTreeMap, BTreeSet};

use unicode_segmentation::UnicodeSegmentation as _;

use super::number;
use crate::transcript::Segment;

/// Latin words of fewer letters are mostly grammar.
const MIN_LATIN_LETTERS: usize = 4;
/// English endings that are removed where a stem of [`MIN_LATIN_LETTERS`] remains; the longest first.
const ENDINGS: [&str; 6] = ["ingly", "edly", "ing", "ed", "es", "s"];

/// Lower-case words with numbers in digits, single spaces between and around them: what a quotation is looked for in.
pub(super) fn normalized<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut out = String::from(" ");
    for text in texts {
        for word in number::with_digits(text) {
            out.push_str(&word);
            out.push(' ');
        }
    }
    out
}

/// The lower-case stems of the words that carry meaning.
pub(super) fn terms(text: &str) -> impl Iterator<Item = String> + '_ {
    text.unicode_words().filter_map(|word| {
        let word: String = word.to_lowercase().replace(['\'', '\u{2019}'], "");
        if !word.is_ascii() {
            return Some(word);
        }
        if word.len() < MIN_LATIN_LETTERS || !word.bytes().any(|byte| byte.is_ascii_alphabetic()) {
            return None;
        }
        let stem =
            ENDINGS.iter().find_map(|ending| word.strip_suffix(ending).filter(|stem| stem.len() >= MIN_LATIN_LETTERS));
        Some(stem.map(str::to_owned).unwrap_or(word))
    })
}

/// How rare each word of a transcript is: the inverse document frequency over its segments.
#[derive(Clone, Debug)]
pub struct TermWeights {
    n_texts: usize,
    n_with: BTreeMap<String, usize>,
}

impl TermWeights {
    /// The weights of the words of a whole transcript.
    #[must_use]
    pub fn new(segments: &[Segment]) -> Self {
        let mut weights = Self { n_texts: segments.len(), n_with: BTreeMap::new() };
        for segment in segments {
            for term in terms(&segment.text).collect::<BTreeSet<_>>() {
                *weights.n_with.entry(term).or_insert(0) += 1;
            }
        }
        weights
    }

    /// The part of the weight of a claim's words that occurs in the cited segments, 0 to 1; None if it has no words to
    /// compare. The claim has no citations.
    #[must_use]
    pub fn share(&self, claim: &str, cited: &[Segment]) -> Option<f64> {
        self.share_of(claim, cited.iter().map(|segment| &*segment.text))
    }

    pub(super) fn share_of<'a>(&self, claim: &str, texts: impl IntoIterator<Item = &'a str>) -> Option<f64> {
        let there: BTreeSet<String> = texts.into_iter().flat_map(terms).collect();
        let claimed: BTreeSet<String> = terms(claim).collect();
        let sum = |terms: &mut dyn Iterator<Item = &String>| terms.map(|term| self.weight(term)).sum::<f64>();
        let all = sum(&mut claimed.iter());
        (all > 0.0).then(|| sum(&mut claimed.intersection(&there)) / all)
    }

    pub(super) fn knows(&self, term: &str) -> bool {
        self.n_with.contains_key(term)
    }

    /// ln(1 + N / n); a word that occurs nowhere weighs as one that occurs once.
    fn weight(&self, term: &str) -> f64 {
        let n_with = self.n_with.get(term).copied().unwrap_or(1);
        (1.0 + self.n_texts as f64 / n_with as f64).ln()
    }
}
