//! `vidgist ask`: what is sent of a short recording, of a long one that matches, and of one that does not; and what comes out.

use std::path::Path;

use serde_json::Value;

use crate::support::command::{Ran, User};
use crate::support::fake_server::{CHAT_MODEL, Chat, FakeServer, Fault};
use crate::support::long_film;

const TALK: &str = "fixtures/talk.mp4";

fn ask(user: &User, server: &FakeServer, input: &str, question: &str, flags: &[&str]) -> Ran {
    let base_url = server.base_url();
    user.run(&[&["ask", input, question, "--model", CHAT_MODEL, "--base-url", &base_url], flags].concat())
}

/// The report, and the requests that it took.
#[track_caller]
fn asked(user: &User, server: &FakeServer, input: &str, question: &str) -> (Value, Vec<Chat>) {
    let before = server.chats().len();
    let out = ask(user, server, input, question, &["--format", "json"]).complete_but_told();
    assert_eq!(server.refusals(), [""; 0]);
    (serde_json::from_str(&out).expect("JSON"), server.chats().split_off(before))
}

fn n_pictures(chats: &[Chat]) -> usize {
    chats.iter().map(|chat| chat.pictures.len()).sum()
}

#[test]
fn a_short_recording_is_sent_with_its_frames() {
    let (user, server) = (User::new(), FakeServer::start());
    let question = "What bounces in the second shot?";
    server.fail_with([Fault::Answer("A white ball bounces in front of a sunset (#2, s1).", "stop")]);
    let out = ask(&user, &server, TALK, question, &["--interval", "2s"]).complete_but_told();
    let chats = server.chats();
    assert_eq!((chats.len(), n_pictures(&chats)), (1, 10));
    let task = chats[0].texts.last().expect("a task");
    assert!(task.contains(&format!("The question:\n{question}\n\nAnswer in the language of the question.")), "{task}");
    let expected = "\n> What bounces in the second shot?\n\n## Answer\n\nA white ball bounces in front of a sunset (00:04.0, 00:04.2).\n\n*Nothing is missing.";
    assert!(out.contains(expected) && !out.contains("## Timeline"), "{out}");
    // Another question has an answer of its own.
    let flags = ["--interval", "2s", "--output-language", "Korean", "--format", "json"];
    let out = ask(&user, &server, TALK, "What else?", &flags).complete_but_told();
    let report: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((&report["question"], server.chats().len()), (&"What else?".into(), 2));
    let task = server.chats()[1].texts.last().cloned().expect("a task");
    assert!(task.ends_with("What else?\n\nAnswer in this language: Korean"), "{task}");
}

#[test]
fn of_a_long_recording_the_passages_that_match_are_sent() {
    let (user, server) = (User::new(), FakeServer::start());
    let film = long_film::make(Path::new(&user.path("")), 12);
    let question = "How many boxes are counted at event 9?";
    let (report, chats) = asked(&user, &server, &film, question);
    assert_eq!((chats.len(), n_pictures(&chats)), (1, 0));
    let text = chats[0].texts.join("\n");
    let has = |n: u64| text.contains(&long_film::event(n));
    // Line 9 is spoken at 365 s, within the stretch from 360 s; its neighbours follow each other.
    assert_eq!((0..18).filter(|n| has(*n)).collect::<Vec<_>>(), [8, 9, 10], "{text}");
    assert!(text.contains("[s9 06:05.0] Event 9 happens now"), "{text}");
    // No frame was decoded for it.
    assert_eq!((&report["sampling"]["method"], &report["frames"]), (&"none".into(), &serde_json::json!([])));
    assert_eq!((&report["question"], &report["status"]), (&question.into(), &"complete".into()));
    // With the records of a summary, these are searched and sent too.
    let base_url = server.base_url();
    user.run(&["summarize", &film, "--model", CHAT_MODEL, "--base-url", &base_url]).complete_but_told();
    let (report, chats) = asked(&user, &server, &film, question);
    assert_eq!((chats.len(), n_pictures(&chats)), (1, 0));
    let text = chats[0].texts.join("\n");
    assert!(text.contains("Records:") && text.contains("is shown. Event 9 happens now"), "{text}");
    assert_eq!(report["sampling"]["from_store"], true);
    assert!(report["records"].as_array().is_some_and(|records| records.len() > 50), "{report}");
    // The mark 366 is shown in the frames alone.
    let (_, chats) = asked(&user, &server, &film, "When is the mark Some(366) shown?");
    assert!(chats[0].texts.join("\n").contains("Mark Some(366"), "{:?}", chats[0].texts);
    assert_eq!((chats.len(), n_pictures(&chats)), (1, 0));
    let (_, chats) = asked(&user, &server, &film, question);
    assert_eq!(chats.len(), 0, "the same question is answered from the store");
}

#[test]
fn where_no_passage_matches_the_whole_recording_is_analyzed_once() {
    let (user, server) = (User::new(), FakeServer::start());
    let film = long_film::make(Path::new(&user.path("")), 12);
    let (report, chats) = asked(&user, &server, &film, "Which colour is the car?");
    let n_windows = report["windows"].as_array().map_or(0, Vec::len);
    assert!(n_windows >= 3 && chats.len() == n_windows + 1 && n_pictures(&chats[..n_windows]) > 50, "{n_windows}");
    let last = chats[n_windows].texts.join("\n");
    assert!(last.contains("Which colour is the car?") && last.contains("Event 17 happens now"), "{last}");
    let (_, chats) = asked(&user, &server, &film, "Is there a boat?");
    assert_eq!((chats.len(), n_pictures(&chats)), (1, 0));
}

#[test]
fn a_part_of_a_long_recording_is_sent_with_its_frames() {
    let (user, server) = (User::new(), FakeServer::start());
    let film = long_film::make(Path::new(&user.path("")), 12);
    let flags = ["--start", "6:00", "--end", "7:00", "--format", "json"];
    let out = ask(&user, &server, &film, "How many boxes are counted at event 9?", &flags).complete_but_told();
    let report: Value = serde_json::from_str(&out).expect("JSON");
    assert!(report["frames"].as_array().is_some_and(|frames| frames.len() > 10), "{report}");
    let chats = server.chats();
    assert!(chats.len() == 1 && chats[0].pictures.len() > 10, "{}", n_pictures(&chats));
}

#[test]
fn a_spending_limit_does_not_decode_what_a_question_does_not_need() {
    let (user, server) = (User::new(), FakeServer::start());
    let film = long_film::make(Path::new(&user.path("")), 12);
    // Far less than the whole film takes.
    let flags = ["--max-tokens", "300", "--max-tokens-total", "3000", "--format", "json"];
    let out = ask(&user, &server, &film, "How many boxes are counted at event 9?", &flags).complete_but_told();
    let report: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((&report["frames"], server.chats().len()), (&serde_json::json!([]), 1), "{report}");
}

#[test]
fn that_the_recording_does_not_answer_is_an_answer() {
    let (user, server) = (User::new(), FakeServer::start());
    server.fail_with([Fault::Answer("Not in this recording: it does not say who paid. A ball bounces (#2).", "stop")]);
    let flags = ["--strict", "--interval", "2s", "--format", "json"];
    let out = ask(&user, &server, TALK, "Who paid?", &flags).complete_but_told();
    let report: Value = serde_json::from_str(&out).expect("JSON");
    let verdicts: Vec<&Value> = report["answer"]["choices"][0]["sentences"]
        .as_array()
        .expect("sentences")
        .iter()
        .map(|s| &s["verdict"])
        .collect();
    assert_eq!(verdicts, ["supported", "supported"]);
    // An answer without evidence is none.
    server.fail_with([Fault::Answer("The king paid.", "stop")]);
    let ran = ask(&user, &server, TALK, "Who paid the bill?", &flags);
    assert_eq!(ran.code, Some(1), "{ran:?}");
}

#[test]
fn what_would_be_sent_is_shown_and_what_cannot_be_is_refused() {
    let (user, server) = (User::new(), FakeServer::start());
    let film = long_film::make(Path::new(&user.path("")), 12);
    let out = ask(&user, &server, &film, "And event 9?", &["--dry-run", "--format", "json"]).complete_but_told();
    let plan: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(plan["requests"].as_array().map(Vec::len), Some(1), "{plan}");
    let out = ask(&user, &server, &film, "And the car?", &["--dry-run", "--format", "json"]).complete_but_told();
    let plan: Value = serde_json::from_str(&out).expect("JSON");
    assert!(plan["requests"].as_array().is_some_and(|requests| requests.len() >= 4), "{plan}");
    let ran = ask(&user, &server, TALK, "  ", &[]);
    assert!(ran.code == Some(2) && ran.err.contains("the task qa needs the question"), "{ran:?}");
    let ran = user.run(&["ask", TALK, "Who?", "--model", "built-in"]);
    assert!(
        ran.code == Some(2) && ran.err.contains("the question: the built-in digest does not follow a prompt"),
        "{ran:?}"
    );
    let job = user.run(&["ask", TALK, "Who?", "--print-job"]).complete();
    assert!(job.contains("task = \"qa\"\nquestion = \"Who?\"\n"), "{job}");
    assert_eq!(server.chats().len(), 0);
}
