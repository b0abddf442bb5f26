//! Tasks whose answer is data: classify and extract. What is requested, what is checked, what happens with replies that do not
//! match.

use serde_json::{Value, json};

use crate::support::command::{Ran, User};
use crate::support::fake_server::{CHAT_MODEL, FakeServer, Fault};

const TALK: &str = "fixtures/talk.mp4";
const SCHEMA: &str = r#"{"type": "object", "required": ["title", "n_frames"], "additionalProperties": false,
    "properties": {"title": {"type": "string"}, "n_frames": {"type": "integer", "minimum": 1}}}"#;

fn summarize(user: &User, server: &FakeServer, flags: &[&str]) -> Ran {
    let base_url = server.base_url();
    let model = ["--model", CHAT_MODEL, "--base-url", &base_url, "--interval", "2s"];
    user.run(&[&["summarize", TALK], &model[..], flags].concat())
}

fn schema(user: &User, text: &str) -> String {
    let path = user.path("schema.json");
    std::fs::write(&path, text).expect("written");
    path
}

fn report(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

#[test]
fn a_label_is_one_of_those_offered_and_its_reason_is_checked() {
    let (user, server) = (User::new(), FakeServer::start());
    let out =
        summarize(&user, &server, &["--labels", "lecture, music video,회의", "--format", "json"]).complete_but_told();
    let found: Value = serde_json::from_str(&out).expect("JSON");
    let choice = &found["answer"]["choices"][0];
    assert_eq!(choice["data"], json!({"label": "lecture", "reason": "It fits (#0)."}));
    assert_eq!(choice["text"], "### lecture\n\nIt fits (#0).");
    assert_eq!(
        (&choice["sentences"][0]["text"], choice["sentences"].as_array().map(Vec::len)),
        (&"It fits (#0).".into(), Some(1))
    );
    let chats = server.chats();
    let format = &chats[0].json["response_format"]["json_schema"];
    assert_eq!(format["schema"]["properties"]["label"]["enum"], json!(["lecture", "music video", "회의"]));
    assert_eq!((chats.len(), &format["strict"]), (1, &true.into()));
    let task = chats[0].texts.last().expect("a task");
    assert!(task.contains("Choose the one label") && task.contains("\"회의\""), "{task}");
    // Printed, the label is a heading. The stored answer serves.
    let page =
        summarize(&user, &server, &["--task", "classify", "--labels", "lecture,music video,회의"]).complete_but_told();
    assert!(page.contains("\n## Answer\n\n### lecture\n\nIt fits (00:00.0).\n"), "{page}");
    assert_eq!((server.chats().len(), server.refusals()), (1, Vec::<String>::new()));
}

#[test]
fn extracted_data_is_valid_against_the_schema() {
    let (user, server) = (User::new(), FakeServer::start());
    let path = schema(&user, SCHEMA);
    let out = summarize(&user, &server, &["--schema", &path, "--format", "json"]).complete_but_told();
    let found: Value = serde_json::from_str(&out).expect("JSON");
    let choice = &found["answer"]["choices"][0];
    assert_eq!(choice["data"]["n_frames"], 10);
    let chats = server.chats();
    assert_eq!(
        chats[0].json["response_format"]["json_schema"]["schema"],
        serde_json::from_str::<Value>(SCHEMA).expect("JSON")
    );
    let task = chats[0].texts.last().expect("a task");
    assert!(
        task.contains("Extract data") && task.contains("\"n_frames\"") && task.contains("without citations"),
        "{task}"
    );
    assert!(!task.contains("in the language of the speech"), "{task}");
    // In Markdown it is a code block; the user's own words may say what to extract.
    let flags = ["--schema", &path, "--prompt", "How many frames are there?", "--no-store"];
    let page = summarize(&user, &server, &flags).complete_but_told();
    assert!(page.contains("\n```json\n{\n  \"n_frames\": 10,\n"), "{page}");
    let chats = server.chats();
    let task = chats[1].texts.last().expect("a task");
    assert!(
        task.starts_with("How many frames are there?\n\nAnswer with JSON only") && !task.contains("Extract"),
        "{task}"
    );
    assert_eq!(server.refusals(), [""; 0]);
}

#[test]
fn a_schema_that_no_strict_mode_takes_is_requested_without_it() {
    let (user, server) = (User::new(), FakeServer::start());
    let path = schema(&user, r#"{"type": "object", "properties": {"title": {"type": "string"}}}"#);
    summarize(&user, &server, &["--schema", &path]).complete_but_told();
    let chats = server.chats();
    assert_eq!(chats[0].json["response_format"]["json_schema"]["strict"], false);
    assert_eq!(server.refusals(), [""; 0]);
}

#[test]
fn a_reply_that_does_not_match_is_requested_once_more() {
    let (user, server) = (User::new(), FakeServer::start());
    let path = schema(&user, SCHEMA);
    server.fail_with([Fault::Answer(r#"Sure! {"title": "Ship", "n_frames": "ten"}"#, "stop")]);
    let out = summarize(&user, &server, &["--schema", &path, "--format", "json"]).complete_but_told();
    let found: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(found["answer"]["choices"][0]["data"]["n_frames"], 10);
    let chats = server.chats();
    let again = chats[1].texts.last().expect("a task");
    assert!(again.contains("at /n_frames: \"ten\" is not of type \"integer\"") && again.contains("Sure!"), "{again}");
    assert_eq!(chats.len(), 2);
}

#[test]
fn a_reply_that_never_matches_is_kept_and_reported() {
    let (user, server) = (User::new(), FakeServer::start());
    let path = schema(&user, SCHEMA);
    for _ in 0..2 {
        server
            .fail_with([Fault::Answer("{\"title\": \"Ship\"}", "stop"), Fault::Answer("It is about a ship.", "stop")]);
        let ran = summarize(&user, &server, &["--schema", &path, "--format", "json"]);
        let found = report(&ran);
        let choice = &found["answer"]["choices"][0];
        assert_eq!((ran.code, &choice["text"], choice.get("data")), (Some(1), &"It is about a ship.".into(), None));
        let missing = &found["missing"][0];
        assert_eq!(
            (&missing["what"], &missing["why"]),
            (&"the data".into(), &"the model's reply cannot be used: it contains no complete JSON".into())
        );
    }
    assert_eq!(server.chats().len(), 4, "no invalid reply is stored");
    let ran = summarize(&user, &server, &["--schema", &path, "--format", "json"]);
    assert_eq!((ran.code, server.chats().len()), (Some(0), 5));
    // A label that was not offered.
    server.fail_with([Fault::Answer(r#"{"label": "film", "reason": "x"}"#, "stop"), Fault::Answer("film", "stop")]);
    let ran = summarize(&user, &server, &["--labels", "a,b", "--format", "json"]);
    assert_eq!((ran.code, &report(&ran)["missing"][0]["what"]), (Some(1), &"the label".into()));
    // Cut off: one gap, with the reason.
    server.fail_with([Fault::Answer("{\"title\": \"Sh", "length"), Fault::Answer("{\"title\": \"Sh", "length")]);
    let ran = summarize(&user, &server, &["--schema", &path, "--format", "json", "--no-store"]);
    let found = report(&ran);
    assert_eq!((ran.code, found["missing"].as_array().map(Vec::len)), (Some(1), Some(1)), "{found}");
    assert_eq!(found["missing"][0]["what"], "the end of the answer");
}

#[test]
fn what_does_not_go_together_is_refused() {
    let (user, server) = (User::new(), FakeServer::start());
    let good = schema(&user, SCHEMA);
    let other = user.path("other.json");
    std::fs::write(&other, "{\"type\": \"text\"}").expect("written");
    let none = user.path("none.json");
    for (flags, said) in [
        (&["--task", "classify"][..], "--task: the task classify needs the labels; pass --labels"),
        (&["--task", "extract"], "--task: the task extract needs the JSON Schema; pass --schema"),
        (&["--task", "minutes", "--labels", "a,b"], "--labels: is for the task classify only; pass --task classify"),
        (&["--task", "minutes", "--schema", &good], "--schema: is for the task extract only; pass --task extract"),
        (&["--labels", "a"], "--labels: must be 2 to 500 labels; write them as a,b,c"),
        (&["--labels", "a,b,A"], "--labels: a and A are the same label"),
        (&["--labels", "a,,b"], "must have 1 to 200 characters"),
        (&["--labels", "a,b", "--schema", &good], "cannot be used with"),
        (&["--schema", &other], "--schema: is not a valid JSON Schema"),
        (&["--schema", &none], "none.json: no such file"),
        (&["--schema", &good, "--strict"], "--strict: cannot be combined with the task extract"),
        (&["--schema", &good, "--length", "short"], "--length: cannot be combined with the task extract"),
        (&["--labels", "a,b", "--n", "2"], "--n: cannot be combined with the task classify"),
    ] {
        let ran = summarize(&user, &server, flags);
        assert!(ran.code == Some(2) && ran.err.contains(said), "{flags:?}: {ran:?}");
    }
    let ran = user.run(&["summarize", TALK, "--model", "built-in", "--labels", "a,b"]);
    assert!(
        ran.code == Some(2) && ran.err.contains("--labels: the built-in digest does not follow a prompt"),
        "{ran:?}"
    );
    assert_eq!(server.chats().len(), 0);
}
