//! `--verify`: sentences are checked again by the model, against what they cite alone.

use serde_json::{Value, json};

use crate::support::command::{Ran, User};
use crate::support::fake_server::{CHAT_MODEL, FakeServer, Fault};

const TALK: &str = "fixtures/talk.mp4";
/// Supported, weak, weak and denied, unsupported although it is confirmed, supported but denied, and without evidence.
const ANSWER: Fault = Fault::Answer(
    "A white ball bounces in front of a sunset (#2, s1). Nobody anticipates tomorrow's weather forecast (s1). Penguins marching \
     through Antarctica are false (s3).\n\nA sunset takes 77 minutes (s1). A black disc crosses the green chessboard, which is \
     false (s2).\n\nSomething happens.",
    "stop",
);

fn summarize(user: &User, server: &FakeServer, flags: &[&str]) -> Ran {
    let base_url = server.base_url();
    let args = ["summarize", TALK, "--interval", "2s", "--model", CHAT_MODEL, "--base-url", &base_url];
    user.run(&[&args, flags].concat())
}

/// The verdict of each sentence, and what the model says of it.
fn verdicts(report: &Value) -> Vec<(&str, Option<bool>)> {
    let sentences = report["answer"]["choices"][0]["sentences"].as_array().expect("sentences");
    sentences.iter().map(|one| (one["verdict"].as_str().expect("a verdict"), one["verified"].as_bool())).collect()
}

#[test]
fn the_model_confirms_or_denies_by_what_is_cited_alone() {
    let (user, server) = (User::new(), FakeServer::start());
    server.fail_with([ANSWER]);
    let ran = summarize(&user, &server, &["--format", "json"]);
    let before: Value = serde_json::from_str(&ran.out).expect("JSON");
    let plain = [
        ("supported", None),
        ("weak", None),
        ("weak", None),
        ("unsupported", None),
        ("supported", None),
        ("unsupported", None),
    ];
    assert_eq!(verdicts(&before), plain);
    // The answer is in the store: only the sentences that cite something are requested, the doubtful ones first.
    let ran = summarize(&user, &server, &["--verify", "--format", "json", "--concurrency", "1"]);
    let report: Value = serde_json::from_str(&ran.out).expect("JSON");
    let expected = [
        ("supported", Some(true)),
        ("supported", Some(true)),
        ("unsupported", Some(false)),
        ("unsupported", Some(true)),
        ("unsupported", Some(false)),
        ("unsupported", None),
    ];
    assert_eq!((verdicts(&report).as_slice(), ran.code), (&expected[..], Some(0)), "{ran:?}");
    let sentences = report["answer"]["choices"][0]["sentences"].as_array().expect("sentences");
    let denied = json!({"problem": "denied", "reason": "It is not shown."});
    assert!(sentences[2]["problems"].as_array().is_some_and(|problems| problems.contains(&denied)), "{report}");
    assert_eq!(sentences[1].get("problems"), None);
    let chats = server.chats();
    let asked: Vec<(String, usize)> =
        chats[1..].iter().map(|chat| (chat.texts.concat(), chat.pictures.len())).collect();
    assert_eq!(asked.len(), 5);
    assert!(
        asked[0].0.contains("77 minutes") && asked[1].0.contains("weather") && asked[2].0.contains("Penguins"),
        "{asked:?}"
    );
    assert!(
        asked.iter().any(|(text, n)| text.contains("77 minutes") && text.contains("[s1 00:04.2]") && *n == 0),
        "{asked:?}"
    );
    assert!(asked.iter().any(|(text, n)| text.contains("white ball") && text.contains("#2]") && *n == 1), "{asked:?}");
    assert!(asked.iter().all(|(text, _)| !text.contains("Something happens")), "{asked:?}");
    assert_eq!((&report["total"]["n_answers"], server.refusals()), (&5.into(), Vec::<String>::new()));
    // Markdown says why.
    let page = summarize(&user, &server, &["--verify"]).out;
    assert!(page.contains("the model, asked again, denies it: It is not shown."), "{page}");
    assert_eq!(server.chats().len(), 6, "verdicts are stored");
    let ran = summarize(&user, &server, &["--verify", "--strict", "--format", "json"]);
    let report: Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!((ran.code, &report["missing"][0]["what"]), (Some(1), &"the evidence of 4 sentences".into()));
}

#[test]
fn a_denial_counts_only_by_all_that_is_cited_and_two_dozen_sentences_are_asked_about() {
    let (user, server) = (User::new(), FakeServer::start());
    server.fail_with([Fault::Answer("Squares and discs are false (#0-#9). A ball is false (#2).", "stop")]);
    let ran = summarize(&user, &server, &["--verify", "--format", "json"]);
    let report: Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(verdicts(&report), [("supported", None), ("unsupported", Some(false))]);
    let long: &'static str = "A ball bounces (#2). ".repeat(30).leak();
    server.fail_with([Fault::Answer(long, "stop")]);
    let before = server.chats().len();
    summarize(&user, &server, &["--verify", "--no-store"]);
    assert_eq!(server.chats().len() - before, 1 + 24);
}

#[test]
fn a_verdict_that_cannot_be_read_is_reported() {
    let (user, server) = (User::new(), FakeServer::start());
    server.fail_with([
        Fault::Answer("A white ball bounces in front of a sunset (#2, s1). Something happens.", "stop"),
        Fault::Answer("Maybe.", "stop"),
    ]);
    let ran = summarize(&user, &server, &["--verify", "--format", "json"]);
    let report: Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(ran.code, Some(1));
    let missing = json!({"what": "the verification of 1 sentence", "why": "the model's reply cannot be used: it contains no verdict"});
    assert_eq!(report["missing"][0], missing);
    assert_eq!(verdicts(&report), [("supported", None), ("unsupported", None)]);
}

#[test]
fn without_citations_nothing_can_be_verified() {
    let (user, server) = (User::new(), FakeServer::start());
    for flags in
        [&["--verify", "--system", "Be brief."][..], &["--verify", "--task", "extract", "--schema", "Cargo.toml"]]
    {
        let ran = summarize(&user, &server, flags);
        assert!(ran.code == Some(2) && ran.err.contains("--verify: "), "{ran:?}");
    }
    let ran = user.run(&["summarize", TALK, "--model", "built-in", "--verify"]);
    assert!(
        ran.code == Some(2) && ran.err.contains("--verify: the built-in digest does not follow a prompt"),
        "{ran:?}"
    );
    assert_eq!(server.chats().len(), 0);
}
