//! Checked sentences on real meetings (`QMSum`, `../shared/text/qmsum`): people's sentences against the speech that they
//! summarize, and faults that are planted in honest answers. The tables of `docs/grounding.md` are what is measured here.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;
use vidgist::grounding::{GroundingEvidence, MIN_SHARED, check};
use vidgist::sentence::{GroundingProblem, Verdict};
use vidgist::time::{TimeRange, Timestamp};
use vidgist::transcript::Segment;

use crate::support;
use crate::support::command::User;
use crate::support::fake_server::{CHAT_MODEL, FakeServer, Fault};
use crate::support::snapshot;

const THRESHOLDS: [f64; 5] = [0.1, 0.2, 0.3, 0.4, 0.5];
/// How fast people speak in the meetings, whose transcripts have no times.
const MILLIS_PER_WORD: i64 = 400;
const UPDATE: &str = "VIDGIST_UPDATE_SNAPSHOTS=1 cargo nextest run -E 'test(grounding)'";

struct Meeting {
    segments: Vec<Segment>,
    /// Sentences that people wrote about a part, with the first and the last segment of the part.
    sentences: Vec<(String, usize, usize)>,
}

impl Meeting {
    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).expect("a meeting");
        let value: Value = serde_json::from_str(&text).expect("JSON");
        let mut now = 0;
        let turns = value["meeting_transcripts"].as_array().expect("turns");
        let segments: Vec<Segment> = turns
            .iter()
            .map(|turn| {
                let text = turn["content"].as_str().expect("text");
                let start = now;
                now += 400 + MILLIS_PER_WORD * text.split_whitespace().count() as i64;
                let range = TimeRange::new(Timestamp::from_millis(start), Timestamp::from_millis(now));
                Segment::new(range, text)
            })
            .collect();
        let mut sentences = Vec::new();
        for query in value["specific_query_list"].as_array().expect("questions") {
            let spans = query["relevant_text_span"].as_array().expect("spans");
            let bound = |at: &Value| at.as_str().and_then(|text| text.parse::<usize>().ok()).expect("a number");
            // A part in several pieces has no single range of times.
            let [span] = spans.as_slice() else { continue };
            let (first, last) = (bound(&span[0]), bound(&span[1]).min(segments.len() - 1));
            if first > last {
                continue;
            }
            for text in query["answer"].as_str().expect("an answer").split_inclusive(". ") {
                if text.split_whitespace().count() >= 6 {
                    sentences.push((text.trim().to_owned(), first, last));
                }
            }
        }
        Self { segments, sentences }
    }
}

fn meetings() -> Option<Vec<Meeting>> {
    let folder = support::shared("text/qmsum")?;
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    Some(paths.iter().map(|path| Meeting::read(path)).collect())
}

/// How many of the shares are at least each threshold, in percent.
fn row(name: &str, shares: &mut [f64]) -> String {
    shares.sort_by(f64::total_cmp);
    let mut row = format!("| {name} | {} | {:.2} |", shares.len(), shares[shares.len() / 2]);
    for threshold in THRESHOLDS {
        let n_kept = shares.iter().filter(|share| **share >= threshold).count();
        let _ = write!(row, " {:.1} % |", 100.0 * n_kept as f64 / shares.len() as f64);
    }
    row
}

#[test]
fn the_page_has_what_is_measured() {
    let Some(meetings) = meetings() else { return };
    snapshot::check_table("docs/grounding.md", "shared words", &shared_words_table(&meetings), UPDATE);
    snapshot::check_table("docs/grounding.md", "planted faults", &planted_faults_table(&meetings), UPDATE);
}

fn shared_words_table(meetings: &[Meeting]) -> String {
    let (mut own, mut other_part, mut other_meeting) = (Vec::new(), Vec::new(), Vec::new());
    for (at, meeting) in meetings.iter().enumerate() {
        let other = &meetings[(at + 1) % meetings.len()];
        let evidence = GroundingEvidence::new(&[], &meeting.segments);
        let other_evidence = GroundingEvidence::new(&[], &other.segments);
        for (text, first, last) in &meeting.sentences {
            let n = last - first + 1;
            own.extend(evidence.shared_words(text, *first..*last + 1));
            // A part of the same length half of the meeting away.
            let start = (first + meeting.segments.len() / 2) % meeting.segments.len();
            let end = (start + n).min(meeting.segments.len());
            if end <= *first || start > *last {
                other_part.extend(evidence.shared_words(text, start..end));
            }
            let end = (first + n).min(other.segments.len());
            if *first < end {
                other_meeting.extend(other_evidence.shared_words(text, *first..end));
            }
        }
    }
    assert!(own.len() > 500, "{} sentences", own.len());
    let mut table = String::from("| sentences against | sentences | median |");
    for threshold in THRESHOLDS {
        let _ = write!(table, " at least {threshold} |");
    }
    table.push_str("\n|---|---:|---:|---:|---:|---:|---:|---:|\n");
    for (name, shares) in [
        ("the part that they summarize", &mut own),
        ("another part of the same meeting", &mut other_part),
        ("a part of another meeting", &mut other_meeting),
    ] {
        table.push_str(&row(name, shares));
        table.push('\n');
    }
    let kept =
        |shares: &[f64]| shares.iter().filter(|share| **share >= MIN_SHARED).count() as f64 / shares.len() as f64;
    assert!(kept(&own) > 0.8, "{:.3} of true sentences are kept", kept(&own));
    assert!(kept(&other_meeting) < 0.3, "{:.3} of false sentences are kept", kept(&other_meeting));
    table
}

/// A frame each 20 s.
fn frames(meeting: &Meeting) -> Vec<(usize, Timestamp)> {
    let end = meeting.segments.last().expect("speech").range.end.millis();
    (0..end / 20_000).map(|at| (at as usize, Timestamp::from_millis(at * 20_000))).collect()
}

/// Sentences as a model writes them that keeps to its evidence: what is said, in words and in quotations, with the IDs or the
/// times of its lines; what is shown, with the ID of a frame. One for each kind of fault that is planted in it.
fn honest(meeting: &Meeting, frames: &[(usize, Timestamp)], n: usize) -> Vec<(&'static str, String)> {
    // The longest part of what is said without the end of a sentence and the marks of the transcribers.
    let longest_run = |segment: &'_ Segment| -> Vec<String> {
        let words: Vec<String> = segment.text.split_whitespace().map(str::to_owned).collect();
        let is_end = |word: &String| matches!(word.as_str(), "." | "?" | "!") || word.contains(['{', '}', '"', '.']);
        words.split(is_end).max_by_key(|run| run.len()).map(<[String]>::to_vec).unwrap_or_default()
    };
    let words = |segment: &Segment, from: usize, n: usize| {
        let run = longest_run(segment);
        run[from.min(run.len())..(from + n).min(run.len())].join(" ")
    };
    let segments = meeting.segments.iter().enumerate();
    let long: Vec<(usize, &Segment)> = segments.filter(|(_, segment)| longest_run(segment).len() >= 12).collect();
    let mut answers = Vec::new();
    for (at, (id, segment)) in long.into_iter().enumerate().take(n) {
        let (time, frame) = (segment.range.start.label(), frames[(at * 7 + 3) % frames.len()]);
        answers.push(match at % 7 {
            0 => ("unknown frame", format!("Several people sit at a table and one of them speaks (#{}).", frame.0)),
            1 => ("shifted time", format!("The speaker says: {} ({time}).", words(segment, 0, 12))),
            2 => ("changed quotation", format!("One of them says \u{201c}{}\u{201d} (s{id}).", words(segment, 2, 8))),
            3 => ("invented number", format!("It is said that {} (s{id}).", words(segment, 0, 12))),
            4 => ("unknown line", format!("The speaker says: {} (s{id}).", words(segment, 0, 12))),
            5 => ("another line", format!("The speaker says: {} (s{id}).", words(segment, 0, 12))),
            _ => ("frame at another time", format!("Someone writes on the board (#{}, {}).", frame.0, frame.1.label())),
        });
    }
    answers
}

/// The sentence with a fault of the kind.
fn planted(kind: &str, sentence: &str, seed: usize, n_segments: usize) -> String {
    let (text, citation) = sentence.rsplit_once(" (").expect("a citation");
    let citation = citation.trim_end_matches(").");
    match kind {
        "unknown frame" => format!("{text} (#{}).", 100_000 + seed),
        "unknown line" => format!("{text} (s{}).", 100_000 + seed),
        // Far from the true one, in the same meeting.
        "another line" => {
            let id: usize = citation.trim_start_matches('s').parse().expect("an ID");
            format!("{text} (s{}).", (id + 40 + seed % 20) % n_segments)
        }
        "shifted time" => {
            let (minutes, seconds) = citation.rsplit_once(':').expect("a time");
            let tenths: usize = seconds.replace('.', "").parse().expect("a number");
            let shifted = (tenths + 17 + seed % 50) % 600;
            format!("{text} ({minutes}:{:02}.{}).", shifted / 10, shifted % 10)
        }
        "changed quotation" => {
            let (before, quotation) = text.split_once('\u{201c}').expect("a quotation");
            let words: Vec<&str> = quotation.trim_end_matches('\u{201d}').split(' ').collect();
            let at = seed % words.len();
            let changed = [&words[..at], &["definitely"], &words[at + 1..]].concat().join(" ");
            format!("{before}\u{201c}{changed}\u{201d} ({citation}).")
        }
        "invented number" => format!("{text}, which is {} in all ({citation}).", 1037 + seed * 13),
        "frame at another time" => {
            let (frame, _) = citation.split_once(", ").expect("a frame and a time");
            format!("{text} ({frame}, 00:07.{}).", seed % 10)
        }
        other => panic!("no fault {other}"),
    }
}

fn planted_faults_table(meetings: &[Meeting]) -> String {
    let (mut n_honest, mut flagged) = (0, Vec::new());
    let mut found: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (at, meeting) in meetings.iter().step_by(6).take(8).enumerate() {
        let frames = frames(meeting);
        let evidence = GroundingEvidence::new(&frames, &meeting.segments);
        for (seed, (kind, sentence)) in honest(meeting, &frames, 28).into_iter().enumerate() {
            n_honest += 1;
            let checked = check(&sentence, &evidence);
            if checked.iter().any(|sentence| sentence.verdict != Verdict::Supported) {
                flagged.push(format!("{checked:?}"));
            }
            let faulty = planted(kind, &sentence, seed + at * 31, meeting.segments.len());
            let is_found = check(&faulty, &evidence).iter().any(|sentence| sentence.verdict != Verdict::Supported);
            let entry = found.entry(kind).or_default();
            entry.0 += 1;
            entry.1 += usize::from(is_found);
        }
        // An answer whose points divide the meeting evenly, at times that were not shown.
        let end = meeting.segments.last().expect("speech").range.end.millis();
        let step = end / 5 / 1000 * 1000 + 333;
        let answer: Vec<String> = (1..5)
            .map(|at| format!("- They go on to point {} ({}).", at + 1, Timestamp::from_millis(at * step).label()))
            .collect();
        for sentence in check(&answer.join("\n"), &evidence) {
            let entry = found.entry("even split").or_default();
            entry.0 += 1;
            let is_named = sentence.problems.contains(&GroundingProblem::EvenSplit);
            entry.1 += usize::from(is_named && sentence.verdict == Verdict::Unsupported);
        }
    }
    let mut table = String::from("| planted fault | sentences | found |\n|---|---:|---:|\n");
    let (mut n_planted, mut n_found) = (0, 0);
    for (kind, (n, n_own)) in &found {
        let _ = writeln!(table, "| {kind} | {n} | {n_own} |");
        n_planted += n;
        n_found += n_own;
    }
    let _ = writeln!(table, "| all | {n_planted} | {n_found} |");
    let _ = writeln!(table, "| honest sentences, flagged | {n_honest} | {} |", flagged.len());
    assert!(n_planted >= 200 && n_found * 100 >= n_planted * 95, "{table}");
    assert!(n_honest >= 200 && flagged.len() * 100 <= n_honest * 2, "{table}\n{}", flagged.join("\n"));
    table
}

#[test]
fn the_report_marks_the_sentences_that_their_citations_do_not_support() {
    const ANSWER: &str = "This is a test film:\n\n- A white ball bounces in front of a sunset (00:04.2).\n\
                          - A dog barks at \u{201c}99 cats\u{201d} (#77).\n- A black disc crosses the chessboard (00:08.2).";
    let fake_server = FakeServer::start();
    let user = User::new();
    let base_url = fake_server.base_url();
    for (format, system) in [("json", None), ("markdown", None), ("json", Some("Answer."))] {
        fake_server.fail_with([Fault::Answer(ANSWER, "stop")]);
        let mut args =
            vec!["-q", "summarize", "fixtures/talk.mp4", "--transcript", "fixtures/talk.srt", "--format", format];
        args.extend(["--base-url", &base_url, "--model", CHAT_MODEL, "--max-frames", "3"]);
        args.extend(system.into_iter().flat_map(|system| ["--system", system]));
        let out = user.run(&args).complete();
        if format == "markdown" {
            let expected = "- A dog barks at \u{201c}99 cats\u{201d} (#77).[^1]\n- A black disc crosses the chessboard (00:08.2).\n\n\
                            [^1]: unsupported: there is no frame #77\n\n## ";
            assert!(out.contains(expected), "{out}");
            continue;
        }
        let report: Value = serde_json::from_str(&out).expect("JSON");
        let sentences = &report["answer"]["choices"][0]["sentences"];
        if system.is_some() {
            assert!(sentences.is_null(), "the user's rules may not ask for citations: {sentences}");
            continue;
        }
        let verdicts: Vec<&str> =
            sentences.as_array().expect("a list").iter().filter_map(|each| each["verdict"].as_str()).collect();
        assert_eq!(verdicts, ["supported", "unsupported", "supported"], "{sentences}");
        assert_eq!(sentences[1]["problems"], serde_json::json!([{"problem": "unknown_frame", "frame_idx": 77}]));
    }
}
