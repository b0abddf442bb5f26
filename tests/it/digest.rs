//! The built-in model on a real reading and on a talk made up for it.

use crate::support;
use crate::support::sample;

use vidgist::chat::FinishReason;
use vidgist::digest::{description, digest, respond};
use vidgist::time::{TimeRange, Timestamp};
use vidgist::timeline::{Timeline, TimelineFrame};
use vidgist::transcript::{Segment, Transcript, TranscriptSource};

fn heard(segments: Vec<Segment>, frames: Vec<TimelineFrame>) -> Timeline {
    let end = segments.last().map_or(Timestamp::ZERO, |s| s.range.end);
    let end = frames.last().map_or(end, |f| f.image.time.plus(sample::at(1000)).max(end));
    let source = TranscriptSource::Sidecar { path: "talk.srt".into(), guessed_encoding: None };
    let transcript = (!segments.is_empty()).then_some(Transcript::new(source, None, segments));
    Timeline::new(TimeRange::new(Timestamp::ZERO, end), frames, transcript)
}

/// `- MM:SS.s text` lines of "What is said".
fn quotes(text: &str) -> Vec<(Timestamp, String)> {
    let said = text.split("### What is shown").next().expect("a first part");
    let lines = said.lines().filter_map(|line| line.strip_prefix("- ")?.split_once(' '));
    lines.map(|(time, text)| (time.parse().expect("a time"), text.to_owned())).collect()
}

/// A talk in cues of six words, a cue every two seconds, one topic and some small talk.
fn talk() -> Vec<Segment> {
    let text = "Good morning everybody. Can you hear me at the back? Today I want to explain why cities plant trees \
        along streets. Street trees cool the air, because their leaves give shade and evaporate water. On a hot \
        afternoon a street with trees is up to five degrees cooler than a bare street. Is this thing on? Sorry about \
        that. Trees also catch rain water, so that drains do not flood after a storm. My neighbour Mr. Hill laughed at \
        that. The costs are real. A city must water young trees for three years, and roots can lift the pavement. \
        Still, a study of ten cities found that each euro spent on street trees returned three euros in cooler air, \
        less flooding and better health. I had to look that up twice. Choose native trees with deep roots, and plant \
        them where the street is hottest. Well. So, to conclude, street trees are the cheapest way for cities to cool \
        hot streets. Thank you.";
    let words: Vec<&str> = text.split_whitespace().collect();
    let cues = words.chunks(6).enumerate();
    cues.map(|(i, cue)| sample::segment(i as i64 * 2000, i as i64 * 2000 + 2000, &cue.join(" "))).collect()
}

#[test]
fn a_talk_is_summarized_by_its_most_central_sentences() {
    let segments = talk();
    let text = digest(&heard(segments.clone(), Vec::new()));
    assert!(text.starts_with("Made without a language model: "), "{text}");
    let quotes = quotes(&text);
    assert!((3..=5).contains(&quotes.len()), "{text}");
    assert!(quotes.iter().all(|(_, quote)| quote.contains("tree")), "the topic, not the small talk: {text}");
    assert!(quotes.is_sorted_by_key(|(time, _)| *time), "{text}");
    for (time, quote) in &quotes {
        let first = quote.split(' ').next().expect("a word");
        let cue = segments.iter().find(|s| s.range.start == *time).expect("the start of a cue");
        assert!(cue.text.contains(first), "{quote} begins in {}", cue.text);
    }
    assert!(text.contains("There are no frames"), "{text}");
}

#[test]
fn shots_have_their_range_and_one_sharp_frame() {
    let changes = [1.0, 0.02, 0.03, 0.5, 0.01, 0.02];
    let sharpness = [10.0, 30.0, 20.0, 5.0, 7.0, 6.0];
    let frames = (0..6).map(|i| sample::frame(i, i as i64 * 5000, sharpness[i], changes[i])).collect();
    let text = digest(&heard(Vec::new(), frames));
    assert!(text.contains("2 shots in 6 frames"), "{text}");
    assert!(text.contains("- 00:00.0 to 00:15.0, 3 frames: #1 at 00:05.0\n"), "{text}");
    assert!(text.contains("- 00:15.0 to 00:26.0, 3 frames: #4 at 00:20.0\n"), "{text}");
    assert!(text.contains("There is no transcript"), "{text}");
}

#[test]
fn an_empty_timeline_gives_an_empty_digest_with_a_note() {
    let text = digest(&heard(Vec::new(), Vec::new()));
    assert!(text.starts_with("Made without a language model: the file has neither frames nor a transcript"), "{text}");
}

#[test]
fn hostile_words_stay_words() {
    let evil = "<b>Trees</b> ![trees](http://evil.example/x.png) *and* \u{1b}[31mtrees\u{1b}[0m";
    let text = digest(&heard(vec![sample::segment(0, 1000, evil)], Vec::new()));
    assert!(text.contains("- 00:00.0 &lt;b>Trees&lt;/b> ") && text.contains("trees]\\(http://"), "{text}");
    assert!(!text.contains("<b") && !text.contains("](") && !text.contains("!["), "{text}");
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

#[test]
fn it_names_itself_and_sends_nothing() {
    let timeline = sample::timeline();
    assert!(!description().is_language_model && description().endpoint.is_none());
    let answer = respond(&timeline);
    assert_eq!((answer.choices.len(), answer.n_attempts), (1, 0));
    assert_eq!((&answer.choices[0].finish, answer.usage), (&FinishReason::Stop, None));
    assert_eq!(answer.choices[0].text, digest(&timeline));
}

#[test]
fn a_sonnet_is_quoted_by_its_lines() {
    let Some(path) = support::shared("media/speech/sonnet/sonnet001.srt") else { return };
    let srt = std::fs::read_to_string(path).expect("UTF-8");
    let time = |text: &str| text.replace(',', ".").parse::<Timestamp>().expect("a time");
    let segments: Vec<Segment> = srt
        .replace('\r', "")
        .split("\n\n")
        .filter_map(|cue| {
            let mut lines = cue.trim().lines().skip(1);
            let (start, end) = lines.next()?.split_once(" --> ")?;
            Some(Segment::new(TimeRange::new(time(start), time(end)), lines.collect::<Vec<_>>().join("\n")))
        })
        .collect();
    assert_eq!(segments.len(), 15, "the number and fourteen lines");
    let text = digest(&heard(segments.clone(), Vec::new()));
    let quotes = quotes(&text);
    assert!((2..=4).contains(&quotes.len()), "{text}");
    for (time, quote) in &quotes {
        // A quotation is consecutive lines, from the start of the one at its time.
        let from = segments.iter().position(|s| s.range.start.label() == time.label()).expect("a line's start");
        let rest: Vec<&str> = segments[from..].iter().map(|s| s.text.as_str()).collect();
        assert!(rest.join(" ").starts_with(quote.trim_end_matches(" [...]")), "{quote}");
    }
}
