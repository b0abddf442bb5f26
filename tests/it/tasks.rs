//! The built-in tasks, the length and the language of the answer: what is requested, and what is refused.

use serde_json::Value;

use crate::support::command::{Ran, User};
use crate::support::fake_server::{CHAT_MODEL, Chat, FakeServer, Fault};

const TALK: &str = "fixtures/talk.mp4";

fn summarize(user: &User, server: &FakeServer, flags: &[&str]) -> Ran {
    let base_url = server.base_url();
    user.run(
        &[&["summarize", TALK, "--model", CHAT_MODEL, "--base-url", &base_url, "--interval", "2s"], flags].concat(),
    )
}

/// The requests that a run sends.
fn requested(flags: &[&str]) -> Vec<Chat> {
    let (user, server) = (User::new(), FakeServer::start());
    summarize(&user, &server, flags).complete_but_told();
    assert_eq!(server.refusals(), [""; 0]);
    server.chats()
}

#[test]
fn each_task_is_requested_in_its_own_words() {
    for (flags, expected) in [
        (&[][..], &["Write a summary in Markdown", "in the language of the speech"][..]),
        (&["--task", "summary"], &["Write a summary in Markdown"]),
        (&["--task", "detailed"], &["Write a detailed account", "in the language of the speech"]),
        (&["--task", "minutes", "--length", "short"], &["Write the minutes", "Decisions", "\n\nWrite about 80 words."]),
        (&["--length", "long"], &["Write a summary", "\n\nWrite about 800 words."]),
        (&["--length", "123"], &["Write about 123 words."]),
        (&["--output-language", "ko"], &["Write a summary", "\n\nAnswer in this language: ko"]),
        (
            &["--prompt", "Who?", "--length", "medium", "--output-language", "Korean"],
            &["Who?\n\nWrite about 250 words.\n\nAnswer in this language: Korean"],
        ),
    ] {
        let chats = requested(flags);
        assert_eq!(chats.len(), 1, "{flags:?}");
        let task = chats[0].texts.last().expect("a task");
        for part in expected {
            assert!(task.contains(part), "{flags:?}: {part:?} in {task}");
        }
        let has_language = !task.contains("in the language of the speech");
        assert_eq!(has_language, flags.contains(&"--output-language"), "{flags:?}: {task}");
    }
}

#[test]
fn chapters_are_the_sections_of_the_records() {
    let (user, server) = (User::new(), FakeServer::start());
    let out = summarize(&user, &server, &["--task", "chapters", "--format", "json"]).complete_but_told();
    let report: Value = serde_json::from_str(&out).expect("JSON");
    let chats = server.chats();
    let kinds: Vec<usize> = chats.iter().map(|chat| chat.pictures.len()).collect();
    assert_eq!(kinds, [10, 0], "records, then sections");
    assert_eq!(report["answer"]["choices"][0]["text"], "- (#0) **Part 0** From record 0 on.");
    assert_eq!(
        (&report["sections"][0]["title"], &report["sections"][0]["range"]["start"]),
        (&"Part 0".into(), &0.0.into())
    );
    assert_eq!(report["records"].as_array().map(Vec::len), Some(10));
    assert_eq!((&report["status"], &report["total"]["n_answers"]), (&"complete".into(), &2.into()));
    // In another language, the stored records serve: only the sections are requested.
    summarize(&user, &server, &["--task", "chapters", "--output-language", "Korean"]).complete_but_told();
    let chats = server.chats();
    assert_eq!(chats.len(), 3);
    assert!(chats[2].texts.concat().contains("Write the sections in this language: Korean."), "{:?}", chats[2].texts);
    let plan = summarize(&user, &server, &["--task", "chapters", "--dry-run", "--format", "json"]).complete_but_told();
    let plan: Value = serde_json::from_str(&plan).expect("JSON");
    assert_eq!(plan["requests"].as_array().map(Vec::len), Some(2), "{plan}");
    // The summary and the chapters share nothing here, since the summary is one request about the frames themselves.
    summarize(&user, &server, &[]).complete_but_told();
    assert_eq!(server.chats().len(), 4);
}

#[test]
fn what_does_not_go_together_is_refused() {
    let (user, server) = (User::new(), FakeServer::start());
    for (flags, said) in [
        (&["--length", "0"][..], "write short, medium, long or a number of words"),
        (&["--length", "tall"], "write short, medium, long or a number of words"),
        (&["--task", "poem"], "possible values: summary, detailed, chapters, minutes"),
        (
            &["--task", "minutes", "--prompt", "Who?"],
            "--task: cannot be combined with a task of your own; leave out --prompt",
        ),
        (&["--task", "chapters", "--length", "9"], "--length: cannot be combined with the task chapters"),
        (&["--task", "chapters", "--system", "Be brief."], "--system: cannot be combined with the task chapters"),
        (&["--task", "chapters", "--image-transport", "url"], "--image-transport: cannot be combined"),
    ] {
        let ran = summarize(&user, &server, flags);
        assert!(ran.code == Some(2) && ran.err.contains(said), "{flags:?}: {ran:?}");
    }
    for flag in
        [["--task", "minutes"], ["--length", "short"], ["--output-language", "ko"], ["--strict", "--no-transcript"]]
    {
        let ran = user.run(&[&["summarize", TALK, "--model", "built-in"], &flag[..]].concat());
        let said = format!("{}: the built-in digest does not follow a prompt", flag[0]);
        assert!(ran.code == Some(2) && ran.err.contains(&said), "{ran:?}");
    }
    let job = "version = 1\n[summarize]\ninput = \"fixtures/talk.mp4\"\ntask = \"minutes\"\n[summarize.prompt]\ntask = \"Who?\"\n";
    std::fs::write(user.path("job.toml"), job).expect("written");
    let ran = user.run(&["run", &user.path("job.toml")]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert_eq!(server.chats().len(), 0);
}

#[test]
fn a_strict_run_ends_with_1_where_a_sentence_is_unsupported() {
    let (user, server) = (User::new(), FakeServer::start());
    // This server's answer is JSON that cites nothing.
    let ran = summarize(&user, &server, &["--strict", "--format", "json"]);
    let report: Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!((ran.code, &report["missing"][0]["what"]), (Some(1), &"the evidence of 1 sentence".into()), "{report}");
    // Chapters are made of records, and cite them.
    summarize(&user, &server, &["--strict", "--task", "chapters"]).complete_but_told();
    // What cannot be checked is not supported.
    let ran = summarize(&user, &server, &["--strict", "--system", "Be brief."]);
    assert!(ran.code == Some(1) && ran.out.contains("- the check of the answer: it was not checked"), "{ran:?}");
}

#[test]
fn records_of_broken_json_are_requested_once_more_and_are_not_stored() {
    let one = r#"{"records": [{"event": "One.", "frames": [0]} {"event": "Two."}]}"#;
    let two =
        r#"{"records": [{"event": "One.", "frames": [0]}, {"event": "Two.", "frames": [1]} {"event": "Three."}]}"#;
    let chapters = |user: &User, server: &FakeServer| {
        let ran = summarize(user, server, &["--task", "chapters", "--format", "json"]);
        let report: Value = serde_json::from_str(&ran.out).expect("JSON");
        let n_records = report["records"].as_array().map(Vec::len).expect("records");
        (ran.code, n_records, report["missing"].clone())
    };
    let (user, server) = (User::new(), FakeServer::start());
    server.fail_with([Fault::Answer(two, "stop")]);
    assert_eq!(chapters(&user, &server), (Some(0), 10, serde_json::json!([])));
    let chats = server.chats();
    assert_eq!(chats.len(), 3, "records, records again, sections");
    let again = chats[1].texts.last().expect("a task");
    assert!(again.contains("Your last reply was:") && again.contains("its JSON is broken"), "{again}");
    // Twice broken: the fuller reply counts, and what may be missing is reported.
    for replies in [[one, two], [two, one]] {
        let (user, server) = (User::new(), FakeServer::start());
        server.fail_with(replies.map(|reply| Fault::Answer(reply, "stop")));
        let (code, n_records, missing) = chapters(&user, &server);
        assert_eq!(
            (code, n_records, &missing[0]["what"]),
            (Some(1), 3, &"some of the records of 00:00:00.000 to 00:00:20.000".into())
        );
        assert_eq!(chapters(&user, &server), (Some(0), 10, serde_json::json!([])), "nothing broken is stored");
    }
    // What the server cut off is not requested again.
    let (user, server) = (User::new(), FakeServer::start());
    server.fail_with([Fault::Answer(two, "length")]);
    let (code, n_records, missing) = chapters(&user, &server);
    assert_eq!((code, n_records, server.chats().len()), (Some(1), 3, 2), "{missing}");
}
