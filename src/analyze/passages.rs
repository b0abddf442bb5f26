//! Searches a recording for the passages that match a question, with Okapi BM25 over stretches of 30 seconds.

use std::collections::{BTreeSet, HashMap};

use unicode_segmentation::UnicodeSegmentation as _;

use crate::record::EventRecord;
use crate::time::{TimeRange, Timestamp};
use crate::transcript::Segment;

/// The length of a stretch: a few sentences.
const STRETCH_MILLIS: i64 = 30_000;
/// Stretches that are found, without their neighbours.
const MAX_FOUND: usize = 12;
/// Saturation of repeated terms, and how much the length of a stretch counts: the usual values (Robertson and Zaragoza,
/// "The Probabilistic Relevance Framework", 2009).
const K1: f64 = 1.2;
const B: f64 = 0.75;
/// Terms in more than this share of the stretches are not searched.
const MAX_SHARE: f64 = 0.25;
/// Terms in at most this many stretches are always searched.
const MIN_STRETCHES: usize = 3;
/// Endings that are removed where at least [`MIN_STEM`] letters remain; the longest first.
const ENDINGS: [&str; 6] = ["ingly", "edly", "ing", "ed", "es", "s"];
const MIN_STEM: usize = 3;
/// Stop words: English words of questions that do not name their subject.
const QUESTION_WORDS: &str = "a about an and any anybody anyone anything are as at be been being but by can could did do does each for from had \
has have he her him his how i in into is it its many me more most much my no not of on one or our out over say says said she \
should show shown so some someone speaker speakers talk talks tell than that the their them then there these they thing \
things this those time to up us video recording was we were what when where which while who whom whose why will with would \
you your";

/// Consecutive stretches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FoundPassage {
    pub range: TimeRange,
    /// Segments of the transcript, by index.
    pub segments: std::ops::Range<usize>,
    /// Records, by index.
    pub records: Vec<usize>,
}

struct Stretch {
    /// From its start, in units of [`STRETCH_MILLIS`].
    number: i64,
    segments: std::ops::Range<usize>,
    records: Vec<usize>,
    n_terms: usize,
    counts: HashMap<String, usize>,
}

/// Whether the speech alone has a passage that matches.
pub(super) fn is_in_speech(question: &str, segments: &[Segment]) -> bool {
    !ranking(question, &stretches(segments, &[])).is_empty()
}

/// The passages that match best, with their neighbours, in order of time; empty where no word of the question finds any.
/// `size` is the size of a text, and `room` the most that all may have.
pub(super) fn find_passages(
    question: &str,
    segments: &[Segment],
    records: &[EventRecord],
    room: u64,
    size: impl Fn(&FoundPassage) -> u64,
) -> Vec<FoundPassage> {
    let stretches = stretches(segments, records);
    let passage = |at: usize| {
        let stretch = &stretches[at];
        let start = stretch.number * STRETCH_MILLIS;
        let range = TimeRange::new(Timestamp::from_millis(start), Timestamp::from_millis(start + STRETCH_MILLIS));
        FoundPassage { range, segments: stretch.segments.clone(), records: stretch.records.clone() }
    };
    let (mut chosen, mut used) = (BTreeSet::new(), 0);
    for at in ranking(question, &stretches).into_iter().take(MAX_FOUND) {
        for near in [Some(at), at.checked_sub(1), Some(at + 1).filter(|next| *next < stretches.len())] {
            let Some(near) = near.filter(|near| !chosen.contains(near)) else { continue };
            let own = size(&passage(near));
            // The best one is sent, however long.
            if used + own <= room || chosen.is_empty() {
                used += own;
                chosen.insert(near);
            }
        }
    }
    let mut found: Vec<FoundPassage> = Vec::new();
    for at in chosen {
        let next = passage(at);
        match found.last_mut() {
            Some(last) if last.range.end == next.range.start => {
                last.range = TimeRange::new(last.range.start, next.range.end);
                last.segments.end = next.segments.end;
                last.records.extend(next.records);
            }
            _ => found.push(next),
        }
    }
    found
}

/// The stretches in which something is said or recorded, in order of time.
fn stretches(segments: &[Segment], records: &[EventRecord]) -> Vec<Stretch> {
    let number = |time: Timestamp| time.millis().div_euclid(STRETCH_MILLIS);
    let numbers: BTreeSet<i64> = segments
        .iter()
        .map(|segment| number(segment.range.start))
        .chain(records.iter().map(|record| number(record.range.start)))
        .collect();
    let mut by_number: HashMap<i64, Vec<usize>> = HashMap::new();
    for (at, record) in records.iter().enumerate() {
        by_number.entry(number(record.range.start)).or_default().push(at);
    }
    let stretch = |number_of: i64| {
        let first = segments.partition_point(|segment| number(segment.range.start) < number_of);
        let end = segments.partition_point(|segment| number(segment.range.start) <= number_of);
        let records_here = by_number.remove(&number_of).unwrap_or_default();
        let (mut counts, mut n_terms) = (HashMap::new(), 0);
        let spoken = segments[first..end].iter().flat_map(|segment| [Some(&segment.text), segment.speaker.as_ref()]);
        let recorded = records_here.iter().flat_map(|at| {
            let record = &records[*at];
            [Some(&record.text), record.on_screen_text.as_ref()].into_iter().chain(record.people.iter().map(Some))
        });
        for text in spoken.chain(recorded).flatten() {
            for term in terms(text) {
                *counts.entry(term).or_insert(0) += 1;
                n_terms += 1;
            }
        }
        Stretch { number: number_of, segments: first..end, records: records_here, n_terms, counts }
    };
    numbers.into_iter().map(stretch).collect()
}

/// The stretches with words of the question, the best first.
fn ranking(question: &str, stretches: &[Stretch]) -> Vec<usize> {
    let n = stretches.len() as f64;
    let mean = stretches.iter().map(|stretch| stretch.n_terms).sum::<usize>() as f64 / n.max(1.0);
    let mut scores = vec![0.0; stretches.len()];
    for term in terms(question).filter(|term| !is_question_word(term)).collect::<BTreeSet<_>>() {
        let holders =
            || stretches.iter().enumerate().filter_map(|(at, stretch)| Some((at, *stretch.counts.get(&term)?)));
        let n_holders = holders().count();
        if n_holders > MIN_STRETCHES && n_holders as f64 > n * MAX_SHARE {
            continue;
        }
        let weight = (1.0 + (n - n_holders as f64 + 0.5) / (n_holders as f64 + 0.5)).ln();
        for (at, count) in holders() {
            let count = count as f64;
            let length = 1.0 - B + B * stretches[at].n_terms as f64 / mean;
            scores[at] += weight * count * (K1 + 1.0) / (count + K1 * length);
        }
    }
    let mut found: Vec<usize> = (0..scores.len()).filter(|at| scores[*at] > 0.0).collect();
    found.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    found
}

fn is_question_word(term: &str) -> bool {
    QUESTION_WORDS.split(' ').any(|word| stem(word) == term)
}

/// The lower-case stems of words; of scripts that do not separate words, or add endings to them, each pair of neighbouring
/// characters, or the character that stands alone.
fn terms(text: &str) -> impl Iterator<Item = String> + '_ {
    let mut pairs: Vec<String> = Vec::new();
    for run in text.split(|c| !is_east_asian(c)).filter(|run| !run.is_empty()) {
        let chars: Vec<char> = run.chars().collect();
        pairs.extend(chars.windows(chars.len().min(2)).map(|pair| pair.iter().collect::<String>()));
    }
    let words = text.split(is_east_asian).flat_map(|part| part.unicode_words()).map(|word| {
        let word = word.to_lowercase().replace(['\'', '\u{2019}'], "");
        stem(&word).to_owned()
    });
    words.chain(pairs)
}

fn stem(word: &str) -> &str {
    let stems = ENDINGS.iter().filter_map(|ending| word.strip_suffix(ending));
    stems.into_iter().find(|stem| stem.chars().count() >= MIN_STEM && word.is_ascii()).unwrap_or(word)
}

/// Han, kana, Hangul, Thai, Lao, Khmer, Burmese.
fn is_east_asian(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1100}'..='\u{11ff}' | '\u{1780}'..='\u{17ff}'
        | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    /// A line each ten seconds.
    fn speech(lines: &[&str]) -> Vec<Segment> {
        let range = |at_line: usize| TimeRange::new(at(at_line as i64 * 10), at(at_line as i64 * 10 + 9));
        lines.iter().enumerate().map(|(at_line, text)| Segment::new(range(at_line), *text)).collect()
    }

    fn found(question: &str, segments: &[Segment], records: &[EventRecord], room: u64) -> Vec<(i64, i64)> {
        let found = find_passages(question, segments, records, room, |passage| passage.segments.len() as u64);
        found.iter().map(|passage| (passage.range.start.millis() / 1000, passage.range.end.millis() / 1000)).collect()
    }

    /// An hour of talk about nothing, with two events.
    fn hour() -> Vec<Segment> {
        let filler = ["and so we go on", "as you can see here", "that is how it was", "let us continue"];
        let mut lines: Vec<&str> = (0..360).map(|at_line| filler[at_line % 4]).collect();
        lines[100] = "The treasurer resigned in March.";
        lines[250] = "배가 항구를 떠났습니다.";
        lines[300] = "Icebergs were reported by the captain.";
        speech(&lines)
    }

    #[test]
    fn a_passage_is_found_with_its_neighbours() {
        let hour = hour();
        for question in ["Who resigned?", "When did the treasurer resign?", "treasurers resigning"] {
            assert_eq!(found(question, &hour, &[], 100), [(960, 1050)], "{question}");
        }
        assert_eq!(
            found("What did the captain report, and who resigned?", &hour, &[], 100),
            [(960, 1050), (2970, 3060)]
        );
        // Particles and endings differ.
        assert_eq!(found("배는 언제 떠났나요?", &hour, &[], 100), [(2460, 2550)]);
        // Scripts without spaces between words.
        for (line, question, other) in [
            ("船长说看见了冰山。", "谁看见了冰山？", "猫在哪里？"),
            ("船長は氷山を見たと言いました。", "氷山はどこですか。", "猫が好きです"),
            ("กัปตันเห็นภูเขาน้ำแข็ง", "ใครเห็นภูเขา", "แมวสีดำ"),
        ] {
            let mut lines = vec!["and so we go on"; 360];
            lines[250] = line;
            let lines = speech(&lines);
            assert_eq!(found(question, &lines, &[], 100), [(2460, 2550)], "{question}");
            assert_eq!(found(other, &lines, &[], 100), [], "{other}");
        }
        let passage = &find_passages("Who resigned?", &hour, &[], 100, |_| 1)[0];
        assert_eq!((passage.segments.clone(), passage.records.len()), (96..105, 0));
        assert!(is_in_speech("Who resigned?", &hour));
    }

    #[test]
    fn words_that_say_nothing_find_nothing() {
        let hour = hour();
        for question in ["", "What is this about?", "Who is shown?", "How many cars are there?", "?!", "continue"] {
            assert_eq!(found(question, &hour, &[], 100), [], "{question}");
            assert!(!is_in_speech(question, &hour));
        }
        assert_eq!(found("Who resigned?", &[], &[], 100), []);
    }

    #[test]
    fn records_are_searched_too() {
        let hour = hour();
        let mut record = EventRecord::new(0, TimeRange::new(at(45), at(50)), "A man opens a door.");
        record.on_screen_text = Some("EXIT 7".into());
        record.people = vec!["Ann Lee".into()];
        let records = [record];
        for question in ["Who opens the door?", "Where is the exit?", "What does Ann do?"] {
            assert_eq!(found(question, &hour, &records, 100), [(0, 90)], "{question}");
            assert_eq!(found(question, &[], &records, 100), [(30, 60)], "{question}");
        }
        assert_eq!(find_passages("door", &[], &records, 9, |_| 1)[0].records, [0]);
    }

    #[test]
    fn what_does_not_fit_is_left_out_but_for_the_best() {
        let hour = hour();
        assert_eq!(found("Who resigned?", &hour, &[], 3), [(990, 1020)]);
        assert_eq!(found("Who resigned?", &hour, &[], 6), [(960, 1020)]);
        assert_eq!(found("Who resigned?", &hour, &[], 0), [(990, 1020)]);
    }

    #[test]
    fn at_most_a_dozen_stretches_are_found() {
        let lines: Vec<String> =
            (0..3600).map(|n| if n % 30 == 0 { format!("ship {n}") } else { "so".into() }).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let found = find_passages("ship", &speech(&lines), &[], 1000, |_| 1);
        assert_eq!(found.len(), MAX_FOUND);
    }
}
