//! Which key goes where: each provider's to itself, `OpenAI`'s to nobody else unless the user named the address.

use crate::support;
use crate::support::command;
use crate::support::fake_server;
use std::path::Path;

use crate::support::command::{Ran, User, ran};
use crate::support::fake_server::{CHAT_MODEL, FakeServer, Fault};
use crate::support::recorder::{Came, recorder};
use serde_json::{Value, json};

const OPENAI_KEY: &str = "sk-openai-0123456789";
const GROQ_KEY: &str = "gsk-groq-0123456789";

fn reply() -> String {
    let usage = json!({"prompt_tokens": 100, "completion_tokens": 10});
    json!({"choices": [{"message": {"content": "Seen."}, "finish_reason": "stop"}], "usage": usage}).to_string()
}

/// Summarises a clip with these flags and this environment; `ADDRESS` in either is the recorder's.
fn summarize(flags: &[&str], environment: &[(&str, &str)], config: &str) -> (Ran, Vec<Came>) {
    let user = User::new();
    let (address, came) = recorder(1, reply());
    let here = |text: &str| text.replace("ADDRESS", &address);
    std::fs::write(user.path("c.toml"), here(config)).expect("written");
    let flags: Vec<String> = flags.iter().map(|flag| here(flag)).collect();
    let path = user.path("c.toml");
    let mut args = vec!["--config", &path, "summarize", "fixtures/talk.mp4", "--max-frames", "1", "--format", "json"];
    args.extend(flags.iter().map(String::as_str));
    let mut command = user.command(&args);
    for (name, value) in environment {
        command.env(name, here(value));
    }
    let ran = ran(&mut command);
    (ran, came.join().expect("no panic"))
}

fn authorization(came: &[Came]) -> Option<&str> {
    let [came] = came else { panic!("{came:?}") };
    came.headers.iter().find(|(name, _)| name == "authorization").map(|(_, value)| value.as_str())
}

/// Flags, environment, configuration, and the header that must come.
type Row<'a> = (&'a [&'a str], Vec<(&'a str, &'a str)>, &'a str, Option<String>);

#[test]
fn each_key_goes_to_its_provider() {
    let both = [("OPENAI_API_KEY", OPENAI_KEY), ("GROQ_API_KEY", GROQ_KEY)];
    let groq_here = "[providers.groq]\nbase_url = \"ADDRESS/v1\"";
    let openai = || Some(format!("Bearer {OPENAI_KEY}"));
    let groq = || Some(format!("Bearer {GROQ_KEY}"));
    let table: [Row<'_>; 6] = [
        (&["--model", "groq:some"], both.to_vec(), groq_here, groq()),
        // The variable of OpenAI's address is not another provider's.
        (
            &["--model", "groq:some"],
            [&both[..], &[("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")]].concat(),
            groq_here,
            groq(),
        ),
        (&["--model", "openai:some"], [&both[..], &[("OPENAI_BASE_URL", "ADDRESS")]].concat(), "", openai()),
        (&["--model", "some", "--base-url", "ADDRESS"], both.to_vec(), "", openai()),
        (&["--model", "llama.cpp:some", "--base-url", "ADDRESS"], both.to_vec(), "", None),
        // No provider's name stands before this colon.
        (&["--model", "qwen2.5vl:7b", "--base-url", "ADDRESS"], vec![], "", None),
    ];
    for (flags, environment, config, expected) in table {
        let (ran, came) = summarize(flags, &environment, config);
        assert_eq!(ran.code, Some(0), "{flags:?}: {}", ran.err);
        assert_eq!(authorization(&came), expected.as_deref(), "{flags:?}");
        let name = flags[1].rsplit_once("some").map_or(flags[1], |_| "some");
        assert_eq!(came[0].body["model"], name, "{flags:?}");
        for key in [OPENAI_KEY, GROQ_KEY] {
            assert!(!ran.out.contains(key) && !ran.err.contains(key), "{flags:?}");
        }
    }
}

#[test]
fn a_missing_key_is_an_error_before_anything_is_read() {
    let user = User::new();
    for (model, environment, said) in [
        ("anthropic:claude-sonnet-5", vec![("OPENAI_API_KEY", OPENAI_KEY)], "set ANTHROPIC_API_KEY"),
        ("gemini:", vec![], "set GOOGLE_API_KEY or GEMINI_API_KEY"),
        ("azure:deployed", vec![("AZURE_OPENAI_API_KEY", OPENAI_KEY)], "set AZURE_OPENAI_ENDPOINT"),
    ] {
        let mut command = user.command(&["summarize", "fixtures/talk.mp4", "--model", model]);
        let ran = ran(command.envs(environment));
        assert_eq!((ran.code, &*ran.out), (Some(2), ""), "{ran:?}");
        assert!(ran.err.contains(said) && ran.err.lines().count() == 1, "{model}: {}", ran.err);
    }
}

#[test]
fn a_model_near_its_end_of_life_gives_a_warning_and_its_cost_is_reported() {
    let environment = [("OPENAI_API_KEY", OPENAI_KEY), ("OPENAI_BASE_URL", "ADDRESS")];
    let (ran, came) = summarize(&["--model", "openai:gpt-4o", "--max-tokens", "50"], &environment, "");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains("gpt-4o") && ran.err.contains("2027-01-14"), "{}", ran.err);
    assert_eq!((&came[0].body["max_completion_tokens"], &came[0].body["store"]), (&json!(50), &json!(false)));
    let report: Value = serde_json::from_str(&ran.out).expect("JSON");
    // 100 tokens at 2.50 and 10 at 10 dollars a million.
    assert_eq!(report["answer"]["cost_usd"], json!(0.00035));
    assert!(report["answer"]["estimate"]["prompt_tokens"].as_u64().is_some_and(|n| n > 100), "{report}");

    let (ran, _) = summarize(&["--model", "openai:gpt-0"], &environment, "");
    assert!(ran.err.contains("gpt-0 is not in the catalog of openai's models"), "{}", ran.err);
    let report: Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(report["answer"]["cost_usd"], Value::Null, "unknown is not free");
}

const CANARY: &str = "sk-canary-7f3a9b2c1d";

/// Runs with a configuration of this `api_key_command` against a server that takes the canary alone.
fn with_command(command: &str) -> Ran {
    let (user, fake_server) = (User::new(), FakeServer::start_with_key(CANARY));
    let config = format!("api_key_command = {command}\nbase_url = \"{}\"\n", fake_server.base_url());
    std::fs::write(user.path("c.toml"), config).expect("written");
    let path = user.path("c.toml");
    let flags = ["--config", &path, "summarize", "fixtures/talk.mp4", "--max-frames", "1", "--model", CHAT_MODEL];
    user.run(&flags)
}

#[test]
fn a_key_may_be_printed_by_a_command() {
    for command in [
        format!("[\"echo\", \"  {CANARY} \"]"),
        format!("\"echo '{CANARY}'\""),
        // A shell only where it is asked for.
        format!("[\"sh\", \"-c\", \"printf sk-; echo told >&2; echo {}\"]", &CANARY[3..]),
    ] {
        let ran = with_command(&command);
        assert_eq!(ran.code, Some(0), "{command}: {}", ran.err);
        assert!(!ran.err.contains("told") && !ran.err.contains(CANARY), "{}", ran.err);
    }
}

#[test]
fn a_command_that_prints_no_key_is_named_and_what_it_printed_is_not() {
    for (command, said) in [
        (
            format!("[\"sh\", \"-c\", \"echo {CANARY}; echo the vault is locked >&2; exit 3\"]"),
            "api_key_command (sh): ended with exit code 3: the vault is locked; run it yourself",
        ),
        (format!("[\"sh\", \"-c\", \"yes {CANARY} | head -c 100000\"]"), "(sh): printed more than 16384 bytes"),
        (format!("[\"/nowhere/pass\", \"{CANARY}\"]"), "api_key_command (/nowhere/pass): cannot be run: "),
        ("[\"true\"]".into(), "(true): printed nothing"),
        ("[]".into(), "api_key_command: is not a command"),
        ("\"echo 'open\"".into(), "api_key_command: is not a command"),
        // No shell looks at it.
        (format!("\"/nowhere/$(echo {CANARY} > /dev/stderr) x\""), "cannot be run"),
    ] {
        let ran = with_command(&command);
        assert!(ran.code == Some(2) && ran.err.contains(said), "{command}: {ran:?}");
        assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
        let is_named = command.contains("nowhere/$");
        assert!(is_named || !ran.err.contains(CANARY), "{command}: {}", ran.err);
    }
    let (user, path) = (User::new(), "c.toml");
    std::fs::write(user.path(path), "api_key_command = 7").expect("written");
    let ran = user.run(&["--config", &user.path(path), "probe", "fixtures/talk.mp4"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
}

#[test]
fn the_environment_wins_over_the_command_and_each_command_is_its_providers() {
    let fails = "api_key_command = [\"false\"]\n";
    let environment = [("OPENAI_API_KEY", OPENAI_KEY)];
    let (ran, came) = summarize(&["--model", "some", "--base-url", "ADDRESS"], &environment, fails);
    assert_eq!((ran.code, authorization(&came)), (Some(0), Some(&*format!("Bearer {OPENAI_KEY}"))), "{}", ran.err);

    let config = "api_key_command = [\"echo\", \"sk-of-openai\"]\n[providers.groq]\nbase_url = \"ADDRESS/v1\"\n";
    let own = format!("{config}api_key_command = \"echo {GROQ_KEY}\"\n");
    let (ran, came) = summarize(&["--model", "groq:some"], &[], &own);
    assert_eq!((ran.code, authorization(&came)), (Some(0), Some(&*format!("Bearer {GROQ_KEY}"))), "{}", ran.err);
    // OpenAI's key is not tried on another.
    let user = User::new();
    std::fs::write(user.path("c.toml"), config.replace("ADDRESS", "http://127.0.0.1:9")).expect("written");
    let ran = user.run(&["--config", &user.path("c.toml"), "summarize", "fixtures/talk.mp4", "--model", "groq:some"]);
    assert!(ran.code == Some(2) && ran.err.contains("set GROQ_API_KEY"), "{ran:?}");
}

/// All files below a folder.
fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push((path.display().to_string(), std::fs::read(&path).expect("a file")));
        }
    }
}

/// Runs a script in a session of its own with an unlocked keyring, where that can be had.
fn in_a_session(user: &User, script: &str) -> Option<Ran> {
    let tools = ["dbus-run-session", "gnome-keyring-daemon", "secret-tool"];
    let is_there = |tool: &&str| {
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).any(|folder| folder.join(tool).exists())
    };
    if let Some(tool) = tools.iter().find(|tool| !is_there(tool)) {
        support::skip(&format!("{tool} is not installed"));
        return None;
    }
    let unlock = "printf pw | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1";
    let mut command = std::process::Command::new("dbus-run-session");
    command.args(["--", "sh", "-c", &format!("{unlock}; {script}")]).env_clear();
    command.env("HOME", user.home.path()).env("XDG_RUNTIME_DIR", user.home.path());
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).current_dir(env!("CARGO_MANIFEST_DIR"));
    Some(ran(&mut command))
}

#[test]
fn a_key_may_lie_in_the_desktops_keyring() {
    let (user, fake_server) = (User::new(), FakeServer::start_with_key(CANARY));
    let (config, binary) = (user.path("c.toml"), env!("CARGO_BIN_EXE_vidgist"));
    // As docs/client.md has it.
    let lookup = "secret-tool lookup service vidgist username mine";
    std::fs::write(&config, format!("api_key_command = \"{lookup}\"\nbase_url = \"{}\"\n", fake_server.base_url()))
        .expect("written");
    let ask = format!("{binary} --config {config} summarize fixtures/talk.mp4 --max-frames 1 --model {CHAT_MODEL}");
    let store = format!("printf {CANARY} | secret-tool store --label=vidgist service vidgist username mine");
    let Some(ran) = in_a_session(&user, &format!("{ask}; {store} && {ask}")) else { return };
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let problem = "api_key_command (secret-tool): ended with exit code 1; run it yourself";
    assert!(ran.err.contains(problem), "at first it is not there: {ran:?}");
    assert_eq!(fake_server.chats().len(), 1, "then it is");
    assert!(!ran.out.contains(CANARY) && !ran.err.contains(CANARY), "{ran:?}");

    let mut command = user.command(&["--config", &config, "summarize", "fixtures/talk.mp4", "--model", CHAT_MODEL]);
    let without = command::ran(command.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere"));
    assert!(without.code == Some(2) && without.err.contains("(secret-tool): ended with"), "{without:?}");
}

#[test]
fn the_key_is_in_no_output_log_report_or_cache() {
    for (faults, code) in [
        (vec![], 0),
        (vec![Fault::EchoKey(500), Fault::EchoKey(429), Fault::CutJson, Fault::ResetMidReply], 0),
        (vec![Fault::EchoKey(401)], 1),
        (vec![Fault::EchoKey(400)], 1),
        (vec![Fault::Redirect(307, format!("http://127.0.0.1:9/?key={CANARY}"))], 1),
    ] {
        let (user, fake_server) = (User::new(), FakeServer::start_with_key(CANARY));
        fake_server.fail_with(faults.clone());
        let (folder, url) = (user.path("report"), fake_server.base_url());
        let flags = ["-vv", "summarize", "fixtures/talk.mp4", "--max-frames", "2", "--model", CHAT_MODEL];
        let mut command = user.command(&[&flags[..], &["--base-url", &url, "-o", &folder]].concat());
        command.env("OPENAI_API_KEY", CANARY).env("VIDGIST_LOG", "trace").env("RUST_BACKTRACE", "full");
        let ran = ran(&mut command);
        assert_eq!(ran.code, Some(code), "{faults:?}: {}", ran.err);
        assert!(ran.err.contains("TRACE") && ran.err.contains("request id req-fake-server"), "it logs: {}", ran.err);
        let sent = fake_server.seen();
        let is_sent =
            |seen: &fake_server::Seen| seen.header("authorization").is_some_and(|value| value.contains(CANARY));
        assert!(!sent.is_empty() && sent.iter().all(is_sent), "{faults:?}");
        let mut all = vec![("stdout".to_owned(), ran.out.into_bytes()), ("stderr".to_owned(), ran.err.into_bytes())];
        files(user.home.path(), &mut all);
        assert!(all.len() > 4, "the report and the caches are among them");
        for (name, bytes) in &all {
            let text = String::from_utf8_lossy(bytes);
            assert!(!text.contains(CANARY), "{faults:?}: {name}");
        }
    }
}

#[test]
fn a_plan_needs_no_key_and_runs_no_command_for_one() {
    let user = User::new();
    let (config, ran_file) = (user.path("c.toml"), user.path("ran"));
    std::fs::write(&config, format!("api_key_command = [\"touch\", {ran_file:?}]\n")).expect("written");
    let talk = "fixtures/talk.mp4";
    for args in [
        &["plan", talk, "--model", "openai:gpt-4o-mini"][..],
        &["summarize", talk, "--dry-run", "--model", "openai:gpt-4o-mini", "--stt-model", "whisper-1"],
        &["caption", talk, "--dry-run", "--model", "anthropic:claude-opus-4-5"],
        &["plan", talk, "--model", "gpt-4o-mini"],
    ] {
        let ran = user.run(args);
        assert_eq!(ran.code, Some(0), "{args:?}: {ran:?}");
        assert!(!ran.out.is_empty());
    }
    for model in ["openai:gpt-4o-mini", "gpt-4o-mini"] {
        let ran = user.run(&["--config", &config, "plan", talk, "--model", model]);
        assert_eq!((ran.code, std::path::Path::new(&ran_file).exists()), (Some(0), false), "{ran:?}");
    }
    // To send, a key is needed.
    let ran = user.run(&["summarize", talk, "--model", "openai:gpt-4o-mini"]);
    assert!(ran.code == Some(2) && ran.err.contains("OPENAI_API_KEY"), "{ran:?}");
}
