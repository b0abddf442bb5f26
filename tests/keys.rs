//! Which key goes where: each provider's to itself, `OpenAI`'s to nobody else unless the user named the address.

#[path = "support/command.rs"]
mod command;
#[path = "support/recorder.rs"]
mod recorder;

use command::{Ran, User, ran};
use recorder::{Came, recorder};
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
fn what_is_missing_is_said_before_anything_is_read() {
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
fn a_model_that_ends_is_warned_of_and_its_cost_told() {
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
    assert!(ran.err.contains("gpt-0 is not in the table of openai's models"), "{}", ran.err);
    let report: Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(report["answer"]["cost_usd"], Value::Null, "unknown is not free");
}
