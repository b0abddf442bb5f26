//! Every row of the table of providers, on the wire: where the request goes, which header carries the key, what the
//! parameters are called, and what is left out.

use crate::support::recorder::recorder;
use serde_json::{Map, Value, json};
use vidgist::chat::{Message, Part, Role};
use vidgist::http::{ServerConfig, parse_base_url};
use vidgist::llm::provider::{DialectKind, Providers};
use vidgist::llm::{ChatConfig, ChatRequest, SamplingParams, connect};

const KEY: &str = "key-0123456789";

/// What each dialect calls an answer.
fn reply() -> String {
    let reply = json!({
        "choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}],
        "content": [{"type": "text", "text": "yes"}], "stop_reason": "end_turn",
        "message": {"role": "assistant", "content": "yes"}, "done": true, "done_reason": "stop",
    });
    reply.to_string()
}

/// What a row must come to: the path, the header of the key, and the keys of the body besides model and messages.
struct Expected {
    name: &'static str,
    line: &'static str,
    key: (&'static str, &'static str),
    keys: &'static [&'static str],
}

const BEARER: (&str, &str) = ("authorization", "Bearer key-0123456789");
const CHAT: &str = "POST /v1/chat/completions HTTP/1.1";
const USUAL: &[&str] = &["max_tokens", "n", "reasoning_effort", "seed", "stop", "temperature", "top_p"];
const STORED: &[&str] =
    &["max_completion_tokens", "n", "reasoning_effort", "seed", "stop", "store", "temperature", "top_p"];

#[rustfmt::skip]
const ROWS: [Expected; 15] = [
    Expected { name: "anthropic", line: "POST /v1/messages HTTP/1.1", key: ("x-api-key", KEY),
        keys: &["max_tokens", "output_config", "stop_sequences", "temperature", "top_p"] },
    Expected { name: "azure", line: "POST /openai/v1/chat/completions HTTP/1.1", key: ("api-key", KEY), keys: STORED },
    Expected { name: "gemini", line: CHAT, key: BEARER, keys: USUAL },
    Expected { name: "generic", line: CHAT, key: BEARER, keys: USUAL },
    Expected { name: "groq", line: CHAT, key: BEARER,
        keys: &["max_tokens", "reasoning_effort", "seed", "stop", "temperature", "top_p"] },
    Expected { name: "llama.cpp", line: CHAT, key: BEARER, keys: USUAL },
    Expected { name: "lm-studio", line: CHAT, key: BEARER, keys: USUAL },
    Expected { name: "mistral", line: CHAT, key: BEARER,
        keys: &["max_tokens", "n", "random_seed", "reasoning_effort", "stop", "temperature", "top_p"] },
    Expected { name: "ollama", line: "POST /api/chat HTTP/1.1", key: BEARER, keys: &["options", "stream", "think"] },
    Expected { name: "openai", line: CHAT, key: BEARER, keys: STORED },
    Expected { name: "openrouter", line: CHAT, key: BEARER, keys: USUAL },
    Expected { name: "sglang", line: CHAT, key: BEARER, keys: USUAL },
    Expected { name: "together", line: CHAT, key: BEARER, keys: USUAL },
    Expected { name: "vllm", line: CHAT, key: BEARER, keys: USUAL },
    Expected { name: "xai", line: CHAT, key: BEARER, keys: USUAL },
];

#[tokio::test]
async fn each_provider_is_spoken_to_in_its_own_way() {
    let providers = Providers::default();
    let names: Vec<&str> = providers.iter().map(|provider| provider.name.as_str()).collect();
    assert_eq!(names, ROWS.map(|row| row.name), "every row has its test");
    for Expected { name, line, key, keys } in ROWS {
        let provider = providers.get(name).expect(name).clone();
        // Ollama is asked for the model's context first.
        let is_ollama = provider.dialect == DialectKind::Ollama;
        let (address, came) = recorder(1 + usize::from(is_ollama), reply());
        let url = if name == "azure" { provider.parse_address(&address) } else { parse_base_url(&address) };
        let server =
            ServerConfig { api_key: Some(KEY.into()), max_retries: 0, ..ServerConfig::new(url.expect("an address")) };
        let params = SamplingParams {
            temperature: Some(0.5),
            max_tokens: Some(20),
            top_p: Some(0.5),
            n: Some(1),
            stop: vec!["END".into()],
            seed: Some(3),
            detail: None,
            reasoning_effort: Some("low".into()),
        };
        let model =
            connect(ChatConfig { params, ..ChatConfig::with_provider(provider.clone(), server, "no-such-model") });
        let messages = [
            Message { role: Role::System, parts: vec![Part::Text("Rules".into())] },
            Message { role: Role::User, parts: vec![Part::Text("Task".into())] },
        ];
        let answer = model.expect(name).complete(&ChatRequest::new(&messages)).await.expect(name);
        assert_eq!(answer.choices[0].text, "yes", "{name}");
        assert_eq!(answer.cost, None, "{name}: the price of an unknown model is unknown");
        let asked = [("n", "n"), ("seed", provider.seed_key.as_str())];
        let dropped: Vec<&str> = asked
            .into_iter()
            .filter(|(param, key)| provider.refused.iter().any(|refused| refused == param) || key.is_empty())
            .map(|(param, _)| param)
            .collect();
        assert_eq!(answer.dropped_params, dropped, "{name}");

        let came = came.join().expect("no panic").pop().expect("a request");
        assert_eq!(came.line, line, "{name}");
        let sent = |header: &str| {
            let mut found = came.headers.iter().filter(|(name, _)| name == header).map(|(_, value)| value.as_str());
            (found.next(), found.count())
        };
        assert_eq!(sent(key.0), (Some(key.1), 0), "{name}");
        let n_keys = came.headers.iter().filter(|(_, value)| value.contains(KEY)).count();
        assert_eq!(n_keys, 1, "{name}: the key is sent once");
        for (header, value) in &provider.headers {
            assert_eq!(sent(header), (Some(value.as_str()), 0), "{name}");
        }
        let body = came.body.as_object().expect("an object");
        let besides = |body: &Map<String, Value>| -> Vec<String> {
            body.keys().filter(|key| !matches!(key.as_str(), "model" | "messages" | "system")).cloned().collect()
        };
        assert_eq!(besides(body), keys, "{name}");
        assert_eq!(body["model"], "no-such-model", "{name}");
        if is_ollama {
            let options = json!({"num_ctx": 4096, "num_predict": 20, "seed": 3, "stop": ["END"], "temperature": 0.5, "top_p": 0.5});
            assert_eq!(body["options"], options);
        }
    }
}

#[test]
fn each_row_has_the_date_and_method_of_its_check() {
    for provider in Providers::default().iter() {
        let name = &provider.name;
        assert!(provider.checked.as_ref().is_some_and(|day| day.len() == 10), "{name}");
        assert!(!provider.source.is_empty() && !provider.image_formats.is_empty(), "{name}");
        let usual = provider.base_url.as_deref().map(|url| parse_base_url(url).expect(name));
        assert!(usual.is_some() || provider.base_url_variable.is_some() || name == "generic", "{name}");
        if let Some(url) = usual {
            let is_here = url.host_str() == Some("localhost");
            assert_eq!(is_here, !provider.needs_key, "{name}");
            assert!(is_here || url.scheme() == "https", "{name}");
        }
    }
}

#[test]
fn the_page_lists_each_provider_with_its_keys_and_each_key_of_a_row() {
    let page = include_str!("../../docs/models.md");
    for provider in Providers::default().iter() {
        let row = page.lines().find(|line| line.starts_with(&format!("| `{}` |", provider.name)));
        let row = row.unwrap_or_else(|| panic!("{} is not on the page", provider.name));
        let variables = provider.key_variables.iter().chain(&provider.base_url_variable);
        for variable in variables {
            assert!(row.contains(&format!("`{variable}`")), "{variable}: {row}");
        }
    }
    // An unknown key is told together with all that are known.
    let wrong = "[mine]\nno_such_key = 1".parse().expect("TOML");
    let error = Providers::with(&wrong).expect_err("an unknown key").to_string();
    let known = error.split("expected one of").nth(1).expect(&error);
    let names: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
    assert!(names.len() > 20, "{error}");
    for name in names {
        assert!(page.contains(name), "{name} is not on the page");
    }
}
