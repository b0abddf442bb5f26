//! Ranks sentences by importance.
//!
//! `LexRank` (Erkan and Radev, 2004) over TF-IDF vectors, then maximal marginal relevance (Carbonell and Goldstein,
//! 1998) against repetition. Inverse document frequency reduces the weight of common words, so no list of stop words is needed.

use std::collections::HashMap;

use unicode_segmentation::UnicodeSegmentation as _;

use super::sentences::Sentence;

/// Maximum number of sentences compared with each other (16 MB of similarities); of more, the longest of each stretch.
const MAX_COMPARED: usize = 2000;
/// Maximum number of terms of a sentence, which bounds the cost of very long ones.
const MAX_TERMS: usize = 100;
const N_ROUNDS: usize = 40;
/// `LexRank`'s damping factor: the share of the weight from similar sentences; the rest is equal for all.
const DAMPING: f32 = 0.85;
/// Weight of importance against novelty in maximal marginal relevance.
const RELEVANCE: f32 = 0.7;
/// From this similarity on a sentence counts as a repetition: it is chosen only if nothing else is left.
const SAME: f32 = 0.8;

/// Positions of the most important sentences in time order: about 3 per minute of speech, at most 12.
pub(super) fn weightiest(sentences: &[Sentence<'_>]) -> Vec<usize> {
    let n_words: usize = sentences.iter().map(|s| s.text.unicode_words().count()).sum();
    let n_wanted = (3 + n_words / 200).min(12);
    if sentences.len() <= n_wanted {
        return (0..sentences.len()).collect();
    }
    let candidates = preselect(sentences);
    let vectors = vectors(candidates.iter().map(|at| sentences[*at].text.as_str()));
    let similar = similarities(&vectors);
    let mut weights = central(&similar, vectors.len());
    for (i, at) in candidates.iter().enumerate() {
        weights[i] *= length_prior(vectors[i].n_terms) * position_prior(*at, sentences.len());
    }
    let mut chosen: Vec<usize> = choose(&weights, &similar, n_wanted).into_iter().map(|i| candidates[i]).collect();
    chosen.sort_unstable();
    chosen
}

/// All sentences, or the longest of each of [`MAX_COMPARED`] equal stretches.
fn preselect(sentences: &[Sentence<'_>]) -> Vec<usize> {
    let n = sentences.len();
    if n <= MAX_COMPARED {
        return (0..n).collect();
    }
    let stretch = |i: usize| i * n / MAX_COMPARED..(i + 1) * n / MAX_COMPARED;
    (0..MAX_COMPARED).filter_map(|i| stretch(i).rev().max_by_key(|at| sentences[*at].text.len())).collect()
}

struct Vector {
    /// (term, weight), sorted by term, of length 1.
    weights: Vec<(usize, f32)>,
    n_terms: usize,
}

fn vectors<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<Vector> {
    let mut ids: HashMap<String, usize> = HashMap::new();
    let mut n_holding: Vec<u32> = Vec::new();
    let counted: Vec<Vec<(usize, f32)>> = texts
        .map(|text| {
            let mut counts: Vec<(usize, f32)> = Vec::new();
            let mut seen: HashMap<usize, usize> = HashMap::new();
            for term in terms(text) {
                let next = ids.len();
                let id = *ids.entry(term).or_insert(next);
                let place = *seen.entry(id).or_insert_with(|| {
                    counts.push((id, 0.0));
                    counts.len() - 1
                });
                counts[place].1 += 1.0;
            }
            n_holding.resize(ids.len(), 0);
            for (id, _) in &counts {
                n_holding[*id] += 1;
            }
            counts
        })
        .collect();
    let n = counted.len() as f32;
    counted
        .into_iter()
        .map(|mut weights| {
            let n_terms = weights.iter().map(|(_, count)| *count as usize).sum();
            for (id, weight) in &mut weights {
                *weight *= ((n + 1.0) / (n_holding[*id] as f32 + 0.5)).ln().max(0.0);
            }
            // A term in half of the sentences distinguishes nothing, and costs the most.
            weights.retain(|(id, _)| n < 20.0 || n_holding[*id] as f32 <= n / 2.0);
            let length = weights.iter().map(|(_, w)| w * w).sum::<f32>().sqrt();
            for (_, weight) in &mut weights {
                *weight /= length.max(f32::MIN_POSITIVE);
            }
            weights.sort_unstable_by_key(|(id, _)| *id);
            Vector { weights, n_terms }
        })
        .collect()
}

/// Lower-case words; for scripts without word boundaries, pairs of adjacent characters.
fn terms(text: &str) -> Vec<String> {
    let mut terms: Vec<String> = Vec::new();
    let mut before: Option<(usize, &str)> = None;
    for (at, word) in text.unicode_word_indices().take(MAX_TERMS) {
        let is_sign = word.chars().count() == 1 && word.len() >= 3;
        match before {
            Some((end, sign)) if is_sign && end == at => terms.push(format!("{sign}{word}")),
            _ if is_sign => {}
            _ => terms.push(word.to_lowercase()),
        }
        before = is_sign.then_some((at + word.len(), word));
    }
    terms
}

/// Cosine similarities of all pairs, row by row; 0 on the diagonal.
fn similarities(vectors: &[Vector]) -> Vec<f32> {
    let n = vectors.len();
    let mut holders: HashMap<usize, Vec<(usize, f32)>> = HashMap::new();
    let mut similar = vec![0.0; n * n];
    for (i, vector) in vectors.iter().enumerate() {
        for (id, weight) in &vector.weights {
            let holding = holders.entry(*id).or_default();
            for (j, other) in holding.iter() {
                similar[i * n + j] += weight * other;
            }
            holding.push((i, *weight));
        }
        for j in 0..i {
            similar[j * n + i] = similar[i * n + j];
        }
    }
    similar
}

/// The centrality of each sentence, by power iteration; the highest is 1.
fn central(similar: &[f32], n: usize) -> Vec<f32> {
    let degrees: Vec<f32> = similar.chunks_exact(n).map(|row| row.iter().sum()).collect();
    let mut weights = vec![1.0 / n as f32; n];
    for _ in 0..N_ROUNDS {
        // Each distributes its weight to its neighbours by similarity; one without neighbours, to all equally.
        let lone: f32 = weights.iter().zip(&degrees).filter(|(_, d)| **d <= 0.0).map(|(w, _)| w).sum();
        let given: Vec<f32> = weights.iter().zip(&degrees).map(|(w, d)| if *d > 0.0 { w / d } else { 0.0 }).collect();
        for (weight, row) in weights.iter_mut().zip(similar.chunks_exact(n)) {
            let received: f32 = row.iter().zip(&given).map(|(s, g)| s * g).sum();
            *weight = (1.0 - DAMPING) / n as f32 + DAMPING * (received + lone / n as f32);
        }
    }
    let greatest = weights.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
    weights.iter().map(|weight| weight / greatest).collect()
}

/// Reduces the weight of fragments of a few words.
fn length_prior(n_terms: usize) -> f32 {
    (n_terms as f32 / 8.0).min(1.0)
}

/// Talks introduce their subject at the start and conclude at the end: up to 30 % and 15 % more weight.
fn position_prior(at: usize, n: usize) -> f32 {
    let place = at as f32 / n as f32;
    1.0 + 0.3 * (-place / 0.08).exp() + 0.15 * (-(1.0 - place) / 0.05).exp()
}

/// The best by maximal marginal relevance; stretches of the talk that are already represented count a little less.
fn choose(weights: &[f32], similar: &[f32], n_wanted: usize) -> Vec<usize> {
    let n = weights.len();
    let stretch = |i: usize| i * n_wanted / n;
    let greatest = weights.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
    let mut nearest = vec![0.0f32; n];
    let mut is_told = vec![false; n_wanted];
    let mut chosen: Vec<usize> = Vec::new();
    let mut is_left = vec![true; n];
    while chosen.len() < n_wanted.min(n) {
        let value = |i: usize| {
            let relevance = weights[i] / greatest * if is_told[stretch(i)] { 0.85 } else { 1.0 };
            let repeats = if nearest[i] >= SAME { 1.0 } else { 0.0 };
            RELEVANCE * relevance - (1.0 - RELEVANCE) * nearest[i] - repeats
        };
        // From the back, so that the earliest of equals is the last maximum.
        let best = (0..n).rev().filter(|i| is_left[*i]).max_by(|a, b| value(*a).total_cmp(&value(*b)));
        let Some(best) = best else { break };
        is_left[best] = false;
        is_told[stretch(best)] = true;
        chosen.push(best);
        for (near, similarity) in nearest.iter_mut().zip(&similar[best * n..(best + 1) * n]) {
            *near = near.max(*similarity);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn sentences(texts: impl IntoIterator<Item = String>) -> Vec<Sentence<'static>> {
        let timed = |(i, text)| Sentence { start: Some(Timestamp::from_millis(i as i64 * 1000)), speaker: None, text };
        texts.into_iter().enumerate().map(timed).collect()
    }

    #[test]
    fn the_main_subject_outweighs_asides_and_is_quoted_once() {
        let texts = [
            "Hello there.",
            "Solar panels turn the light of the sun into electric power.",
            "I had eggs for breakfast.",
            "The power of solar panels falls when dust covers the panels.",
            "My cousin lives in Leeds.",
            "Solar panels turn the light of the sun into electric power.",
            "Rain cleans the dust off solar panels and restores their power.",
            "Anyway.",
            "It was a nice bus.",
        ];
        let chosen = weightiest(&sentences(texts.map(String::from)));
        assert_eq!(chosen, [1, 3, 6]);
    }

    #[test]
    fn pairs_of_signs_are_terms() {
        assert_eq!(terms("太陽光, Solar"), ["太陽", "陽光", "solar"]);
    }

    #[test]
    fn a_day_of_speech_has_a_bounded_cost_and_is_covered_from_end_to_end() {
        let texts = (0..30_000).map(|i| format!("Point {} of chapter {} is about thing {}.", i, i / 3000, i % 97));
        let sentences = sentences(texts);
        let chosen = weightiest(&sentences);
        assert_eq!(chosen.len(), 12);
        assert!(chosen[0] < 6000 && chosen[11] > 24_000, "{chosen:?}");
        assert_eq!(chosen, weightiest(&sentences), "the same each time");
    }

    #[test]
    fn sentences_that_share_nothing_or_hold_nothing_are_no_trouble() {
        assert!(weightiest(&[]).is_empty());
        assert_eq!(weightiest(&sentences((0..9).map(|_| "...".to_owned()))).len(), 3);
        assert_eq!(weightiest(&sentences((0..9).map(|i| format!("word{i}")))).len(), 3);
    }
}
