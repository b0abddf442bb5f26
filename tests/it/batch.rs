//! `vidgist caption --batch` against a strict server: a batch is sent once, whatever happens on the way, and each frame
//! has its caption in the end.

use crate::support::command;
use serde_json::Value;

use crate::support::command::{Ran, User, names, ran};
use crate::support::fake_server::{CHAT_MODEL, Course, FakeServer, Fault};

const TALK: &str = "fixtures/talk.mp4";
const VFR: &str = "fixtures/vfr.mp4";
const KEY: &str = "sk-batch-0123456789";

/// The command of a user with a key of OpenAI's; `provider` is whose API the server speaks.
fn batch(user: &User, fake_server: &FakeServer, provider: &str, out: &str, more: &[&str]) -> Ran {
    let (base_url, model) = (fake_server.base_url(), format!("{provider}:{CHAT_MODEL}"));
    let args =
        ["caption", TALK, VFR, "--interval", "500ms", "--no-transcript", "--model", &model, "--batch", "-o", out];
    let mut command = user.command(&[&args[..], &["--base-url", &base_url], more].concat());
    ran(command.env("OPENAI_API_KEY", KEY).env("ANTHROPIC_API_KEY", KEY))
}

fn rows(path: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// What names a row, and what must not depend on the way its caption came.
fn facts(rows: &[Value]) -> Vec<Value> {
    const NAMES: [&str; 8] =
        ["input", "frame_idx", "pts", "time_base", "seconds", "caption", "image_sha256", "prompt_version"];
    rows.iter().map(|row| NAMES.iter().map(|name| row[name].clone()).collect()).collect()
}

/// The rows of the same question put directly.
fn direct(user: &User, fake_server: &FakeServer, more: &[&str]) -> Vec<Value> {
    let (base_url, out) = (fake_server.base_url(), user.path("direct.jsonl"));
    let args =
        ["caption", TALK, VFR, "--interval", "500ms", "--no-transcript", "--model", "openai:fake-chat", "-o", &out];
    let mut command = user.command(&[&args[..], &["--base-url", &base_url], more].concat());
    let ran = ran(command.env("OPENAI_API_KEY", KEY));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    rows(&out)
}

#[test]
fn a_batch_brings_the_same_rows_as_single_requests() {
    for (provider, frames_per_request) in [("openai", "1"), ("openai", "4"), ("anthropic", "1")] {
        let (user, fake_server) = (User::new(), FakeServer::start_with_key(KEY));
        let more = ["--frames-per-request", frames_per_request];
        let expected = direct(&user, &fake_server, &more);
        let n_direct = fake_server.chats().len();
        let out = user.path("out/captions.jsonl");
        let ran = batch(&user, &fake_server, provider, &out, &more);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.err.contains("sent a batch of"), "{ran:?}");
        let found = rows(&out);
        let is_same = facts(&found) == facts(&expected) || provider != "openai";
        assert!(is_same && found.len() == expected.len(), "{provider}: {found:#?}");
        assert!(found.iter().all(|row| row["caption"].is_string()), "{found:#?}");
        assert_eq!(
            (fake_server.chats().len(), fake_server.batched().len()),
            (n_direct, n_direct),
            "nothing was asked singly"
        );
        assert_eq!(fake_server.n_left(), (0, usize::from(provider == "openai")), "the provider forgot the pictures");
        assert_eq!(names(&user.home.path().join("out")), ["captions.jsonl"], "nothing is left here");
        assert_eq!(fake_server.refusals(), Vec::<String>::new());
    }
}

#[test]
fn failed_requests_of_a_batch_are_rows_and_sent_again() {
    for provider in ["openai", "anthropic"] {
        let (user, fake_server) = (User::new(), FakeServer::start_with_key(KEY));
        fake_server.batches_go(Course { failing: vec![0, 3], missing: vec![5], ..Course::default() });
        let out = user.path("captions.jsonl");
        let ran = batch(&user, &fake_server, provider, &out, &[]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        let first = rows(&out);
        let failed: Vec<usize> = (0..first.len()).filter(|at| first[*at]["caption"].is_null()).collect();
        assert_eq!(failed, [0, 3, 5], "{first:#?}");
        assert!(failed.iter().all(|at| first[*at]["error"].is_string()));
        assert_eq!(batch(&user, &fake_server, provider, &out, &[]).code, Some(2), "what is there is not overwritten");
        fake_server.batches_go(Course::default());
        let n_before = fake_server.batched().len();
        let ran = batch(&user, &fake_server, provider, &out, &["--resume"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert_eq!(fake_server.batched().len() - n_before, 3);
        let second = rows(&out);
        assert!(second.iter().all(|row| row["caption"].is_string()) && second.len() == first.len());
        let place = |row: &Value| (row["input"].to_string(), row["frame_idx"].as_u64());
        assert!(second.iter().map(place).eq(first.iter().map(place)), "in order");
        assert_eq!(fake_server.refusals(), Vec::<String>::new());
    }
}

#[test]
fn a_batch_whose_creation_response_is_lost_is_not_created_again() {
    for provider in ["openai", "anthropic"] {
        let (user, fake_server) = (User::new(), FakeServer::start_with_key(KEY));
        // The upload, where there is one, and the list go well; the answer to the creation never comes.
        if provider == "openai" {
            fake_server.then_succeed();
        }
        fake_server.then_succeed();
        fake_server.fail_with([Fault::ResetBefore]);
        let out = user.path("captions.jsonl");
        let ran = batch(&user, &fake_server, provider, &out, &[]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert_eq!(
            fake_server.batch_steps().iter().filter(|step| *step == "create").count(),
            1,
            "{:?}",
            fake_server.batch_steps()
        );
        assert!(rows(&out).iter().all(|row| row["caption"].is_string()));
    }
}

#[test]
fn a_run_that_was_killed_is_gone_on_with() {
    let (user, fake_server) = (User::new(), FakeServer::start_with_key(KEY));
    fake_server.batches_go(Course { n_looks: 4, ..Course::default() });
    let out = user.path("captions.jsonl");
    let (base_url, model) = (fake_server.base_url(), format!("openai:{CHAT_MODEL}"));
    let args =
        ["caption", TALK, VFR, "--interval", "500ms", "--no-transcript", "--model", &model, "--batch", "-o", &out];
    let mut command = user.command(&[&args[..], &["--base-url", &base_url]].concat());
    let mut running = command.env("OPENAI_API_KEY", KEY).spawn().expect("vidgist starts");
    for _ in 0..600 {
        if fake_server.batch_steps().iter().any(|step| step == "look") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    running.kill().expect("killed");
    running.wait().expect("ended");
    assert_eq!(rows(&out).len(), 0, "nothing is written yet");
    let steps = fake_server.batch_steps();
    assert!(steps.iter().any(|step| step == "look") && !steps.iter().any(|step| step == "fetch"), "{steps:?}");
    assert!(names(user.home.path()).contains(&"captions.jsonl.batch".to_owned()));

    // Neither another model nor a request of its own.
    let other = batch(&user, &fake_server, "anthropic", &out, &["--model", "openai:other"]);
    assert_eq!(other.code, Some(2), "{other:?}");
    let ran = batch(&user, &fake_server, "openai", &out, &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains("continuing the batch"), "{ran:?}");
    assert_eq!(fake_server.batch_steps().iter().filter(|step| *step == "create").count(), 1);
    let found = rows(&out);
    assert!(found.len() > 10 && found.iter().all(|row| row["caption"].is_string()));
    assert_eq!(fake_server.batched().len(), found.len());
}

#[test]
fn a_refused_batch_reports_the_reason() {
    let (user, fake_server) = (User::new(), FakeServer::start_with_key(KEY));
    fake_server.batches_go(Course { is_refused: true, ..Course::default() });
    let out = user.path("captions.jsonl");
    let ran = batch(&user, &fake_server, "openai", &out, &[]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let found = rows(&out);
    let reasons = found.iter().map(|row| row["error"].as_str().unwrap_or_default());
    assert!(!found.is_empty() && reasons.clone().all(|why| why.contains("Enqueued token limit reached")), "{found:#?}");
}

#[test]
fn a_batch_that_is_not_known_under_this_key_is_kept() {
    let (user, fake_server) = (User::new(), FakeServer::start_with_key(KEY));
    let out = user.path("captions.jsonl");
    // Upload, list and creation go well.
    (0..3).for_each(|_| fake_server.then_succeed());
    fake_server.fail_with([Fault::Status(404)]);
    let ran = batch(&user, &fake_server, "openai", &out, &[]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("does not know the batch batch_2") && ran.err.contains("use the key"), "{ran:?}");
    let single = batch(&user, &fake_server, "openai", &out, &["--max-frames", "1"]);
    assert_eq!(single.code, Some(0), "with the right key it is gone on with: {single:?}");
    assert_eq!(fake_server.batch_steps().iter().filter(|step| *step == "create").count(), 1);
    assert!(rows(&out).iter().all(|row| row["caption"].is_string()));
}

#[test]
fn results_that_are_none_are_fetched_again() {
    let (user, fake_server) = (User::new(), FakeServer::start_with_key(KEY));
    let out = user.path("captions.jsonl");
    // Upload, list, creation and look go well; then comes a page.
    (0..4).for_each(|_| fake_server.then_succeed());
    fake_server.fail_with([Fault::Html(200)]);
    let ran = batch(&user, &fake_server, "openai", &out, &[]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("contain none of its answers; run the same command again"), "{ran:?}");
    assert!(!fake_server.batch_steps().contains(&"forget".to_owned()), "nothing is deleted there");
    // Without --batch it would be asked and paid for a second time.
    let (base_url, model) = (fake_server.base_url(), format!("openai:{CHAT_MODEL}"));
    let mut single = user.command(&["caption", TALK, "--model", &model, "--base-url", &base_url, "-o", &out]);
    let single = command::ran(single.env("OPENAI_API_KEY", KEY));
    assert!(single.code == Some(2) && single.err.contains("is in progress; pass --batch"), "{single:?}");
    assert_eq!(batch(&user, &fake_server, "openai", &out, &[]).code, Some(0));
    assert!(rows(&out).len() > 10 && rows(&out).iter().all(|row| row["caption"].is_string()));
    assert_eq!((fake_server.chats().len(), fake_server.n_left().0), (0, 0));
}

#[test]
fn two_runs_do_not_send_one_batch() {
    let (user, fake_server) = (User::new(), FakeServer::start_with_key(KEY));
    let out = user.path("captions.jsonl");
    let folder = user.home.path().join("captions.jsonl.batch");
    std::fs::create_dir(&folder).expect("a folder");
    let lock = std::fs::File::create(folder.join("lock")).expect("a lock");
    lock.lock().expect("locked");
    std::fs::write(folder.join("notes.txt"), "mine").expect("written");
    let ran = batch(&user, &fake_server, "openai", &out, &[]);
    assert!(ran.code == Some(2) && ran.err.contains("another vidgist works on this batch"), "{ran:?}");
    drop(lock);
    assert_eq!(batch(&user, &fake_server, "openai", &out, &[]).code, Some(0));
    assert_eq!(names(&folder), ["notes.txt"], "what is the user's stays");
}

#[test]
fn a_batch_costs_half_and_stays_within_its_limit() {
    let (user, fake_server) = (User::new(), FakeServer::start_with_key(KEY));
    let priced = |out: &str, more: &[&str]| {
        let base_url = fake_server.base_url();
        let args =
            ["caption", TALK, "--max-frames", "4", "--no-transcript", "--model", "openai:gpt-4o-mini", "-o", out];
        let mut command = user.command(&[&args[..], &["--base-url", &base_url], more].concat());
        ran(command.env("OPENAI_API_KEY", KEY))
    };
    let cost = |more: &[&str]| {
        let ran = priced(&user.path("none.jsonl"), &[&["--dry-run", "--format", "jsonl"], more].concat());
        let forecast: Value = serde_json::from_str(&ran.complete_but_told()).expect("JSON");
        forecast["cost_usd"].as_f64().expect("a price")
    };
    let (whole, half) = (cost(&[]), cost(&["--batch"]));
    assert!(whole > 0.0 && (half * 2.0 - whole).abs() < 1e-9, "{whole} and {half}");
    let out = user.path("captions.jsonl");
    let ran = priced(&out, &["--batch", "--max-cost", "0.0001"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("above the limit of $0.0001"), "{ran:?}");
    assert_eq!(names(user.home.path()), ["captions.jsonl"], "nothing is kept of a batch that was not sent");
    assert_eq!(fake_server.batch_steps(), Vec::<String>::new());
}

#[test]
fn a_provider_without_a_batch_api_is_an_error() {
    let (user, fake_server) = (User::new(), FakeServer::start());
    let (base_url, out) = (fake_server.base_url(), user.path("captions.jsonl"));
    let told = |args: &[&str]| {
        let ran =
            user.run(&[&["caption", TALK, "--batch", "--base-url", &base_url, "--model", CHAT_MODEL], args].concat());
        assert_eq!(ran.code, Some(2), "{ran:?}");
        ran.err
    };
    assert!(told(&["-o", &out]).contains("has no known batch API"));
    assert!(told(&[]).contains("needs an output file of JSON lines"));
    assert!(told(&["-o", &user.path("out.csv"), "--format", "csv"]).contains("needs an output file of JSON lines"));
    assert_eq!((fake_server.seen().len(), names(user.home.path()).len()), (0, 0), "nothing was asked or made");
}

#[test]
fn large_jobs_are_split_into_several_batches() {
    let (user, fake_server) = (User::new(), FakeServer::start_with_key(KEY));
    let (config, out) = (user.path("config.toml"), user.path("captions.jsonl"));
    let table = "[providers.openai.batch]\ndialect = \"files\"\nmax_requests = 3\nmax_bytes = 200_000\n";
    std::fs::write(&config, table).expect("written");
    let ran = batch(&user, &fake_server, "openai", &out, &["--config", &config]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let found = rows(&out);
    assert_eq!(facts(&found), facts(&direct(&user, &fake_server, &[])), "in order");
    let n_batches = fake_server.batch_steps().iter().filter(|step| *step == "create").count();
    assert!(n_batches >= found.len().div_ceil(3) && n_batches > 3, "{n_batches} of {}", found.len());
    assert_eq!(fake_server.n_left().0, 0);
}
