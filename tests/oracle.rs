//! The oracle can fail: whatever a strict server would refuse, it refuses, by the right name.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Value, json};
use support::draw;
use support::oracle::Oracle;
use vidgist::media::ImageFormat;

mod support;

fn picture() -> Vec<u8> {
    draw::encode(&draw::marked(77), ImageFormat::Jpeg, 0, 0).bytes.to_vec()
}

fn data_url() -> String {
    format!("data:image/jpeg;base64,{}", STANDARD.encode(picture()))
}

/// A request that is right: each test spoils one thing.
fn good() -> Value {
    json!({"model": "oracle", "messages": [
        {"role": "system", "content": "rules"},
        {"role": "user", "content": [
            {"type": "text", "text": "[t=01:02.5 #3]"},
            {"type": "image_url", "image_url": {"url": data_url(), "detail": "low"}},
            {"type": "text", "text": "words"}]}]})
}

async fn send(oracle: &Oracle, body: &Value) -> (u16, Value) {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let url = format!("{}/chat/completions", oracle.base_url());
    let request = client.post(url).bearer_auth(oracle.key().expect("a key")).json(body);
    let response = request.send().await.expect("a reply");
    (response.status().as_u16(), response.json().await.expect("JSON"))
}

#[tokio::test]
async fn what_it_saw_is_what_it_says() {
    let oracle = Oracle::start();
    let (status, answer) = send(&oracle, &good()).await;
    assert_eq!(status, 200, "{answer}");
    let text = answer["choices"][0]["message"]["content"].as_str().expect("a text");
    assert_eq!(text, "I received 1 pictures.\n- 62.5 s, #3: frame 77; words");
    let seen = &oracle.requests()[0];
    let picture = &seen.pictures[0];
    assert_eq!((picture.label, picture.mark, picture.words.as_str()), (Some((62.5, 3)), Some(77), "words"));
    assert_eq!((seen.json.clone(), seen.attempt), (good(), 1));
    assert!(!seen.headers.iter().any(|(_, value)| value.contains(oracle.key().expect("a key"))));
}

#[tokio::test]
async fn bad_requests_are_refused() {
    let with_url =
        |url: String| move |body: &mut Value| body["messages"][1]["content"][1]["image_url"]["url"] = url.into();
    type Spoil = Box<dyn Fn(&mut Value)>;
    fn spoil(f: impl Fn(&mut Value) + 'static) -> Spoil {
        Box::new(f)
    }
    let base64 = STANDARD.encode(picture());
    let padded = STANDARD.encode(&picture()[..picture().len() / 3 * 3 - 1]);
    assert!(padded.ends_with('='));
    let table: Vec<(&str, Spoil)> = vec![
        ("a misspelt key", spoil(|b| b["max_token"] = 5.into())),
        ("null for a parameter", spoil(|b| b["temperature"] = Value::Null)),
        ("temperature as a string", spoil(|b| b["temperature"] = "0.5".into())),
        ("temperature above 2", spoil(|b| b["temperature"] = 2.5.into())),
        ("top_p below 0", spoil(|b| b["top_p"] = (-0.1).into())),
        ("n of 0", spoil(|b| b["n"] = 0.into())),
        ("n of 129", spoil(|b| b["n"] = 129.into())),
        ("n as a float", spoil(|b| b["n"] = 1.5.into())),
        ("negative max_tokens", spoil(|b| b["max_tokens"] = (-1).into())),
        ("both limits of tokens", spoil(|b| (b["max_tokens"], b["max_completion_tokens"]) = (1.into(), 1.into()))),
        ("five stops", spoil(|b| b["stop"] = json!(["1", "2", "3", "4", "5"]))),
        ("no stop", spoil(|b| b["stop"] = json!([]))),
        ("seed as a string", spoil(|b| b["seed"] = "7".into())),
        ("no model", spoil(|b| b["model"] = "".into())),
        ("no messages", spoil(|b| b["messages"] = json!([]))),
        ("an unknown role", spoil(|b| b["messages"][1]["role"] = "human".into())),
        ("an empty content", spoil(|b| b["messages"][0]["content"] = "".into())),
        ("an unknown part", spoil(|b| b["messages"][1]["content"][0]["type"] = "input_text".into())),
        ("an empty text part", spoil(|b| b["messages"][1]["content"][0]["text"] = "".into())),
        ("a picture from the system", spoil(|b| b["messages"][1]["role"] = "system".into())),
        ("a picture as a bare string", spoil(|b| b["messages"][1]["content"][1]["image_url"] = data_url().into())),
        ("an unknown detail", spoil(|b| b["messages"][1]["content"][1]["image_url"]["detail"] = "medium".into())),
        ("an unknown key in a part", spoil(|b| b["messages"][1]["content"][1]["image_url"]["mime"] = "x".into())),
        ("a file URL", spoil(with_url("file:///etc/passwd".into()))),
        ("no data URL", spoil(with_url(base64.clone()))),
        ("no base64 marker", spoil(with_url(format!("data:image/jpeg,{base64}")))),
        ("an unknown MIME type", spoil(with_url(format!("data:image/avif;base64,{base64}")))),
        ("another MIME type than the bytes", spoil(with_url(format!("data:image/png;base64,{base64}")))),
        ("Base64 with a line end", spoil(with_url(format!("data:image/jpeg;base64,{base64}\n")))),
        ("Base64 without padding", spoil(with_url(format!("data:image/jpeg;base64,{}", padded.trim_end_matches('='))))),
        ("the URL-safe alphabet", spoil(with_url(format!("data:image/jpeg;base64,{}", URL_SAFE.encode(picture()))))),
        ("bytes that are no picture", spoil(with_url(format!("data:image/jpeg;base64,{}", STANDARD.encode("text"))))),
        ("a PNG cut off", {
            let png = draw::encode(&draw::marked(1), ImageFormat::Png, 0, 0).bytes;
            spoil(with_url(format!("data:image/png;base64,{}", STANDARD.encode(&png[..png.len() / 2]))))
        }),
    ];
    let oracle = Oracle::start();
    for (what, spoil) in &table {
        let mut body = good();
        spoil(&mut body);
        let (status, answer) = send(&oracle, &body).await;
        assert_eq!(status, 400, "{what} was answered {answer}");
        assert!(answer["error"]["message"].is_string(), "{what}: {answer}");
    }
    assert_eq!(oracle.requests().iter().filter(|request| request.refusal.is_some()).count(), table.len());
}

#[tokio::test]
async fn bad_headers_are_refused() {
    let oracle = Oracle::start();
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let post = |path: &str| client.post(format!("{}{path}", oracle.base_url()));
    let key = oracle.key().expect("a key");
    let chunked = reqwest::Body::wrap_stream(futures_util::stream::iter([Ok::<_, std::io::Error>("{}")]));
    let table = [
        ("no key", 401, post("/chat/completions").json(&good())),
        ("another key", 401, post("/chat/completions").bearer_auth("sk-other").json(&good())),
        ("another path", 404, post("/completions").bearer_auth(key).json(&good())),
        ("another type", 415, post("/chat/completions").bearer_auth(key).body(good().to_string())),
        (
            "no length",
            411,
            post("/chat/completions").bearer_auth(key).header("content-type", "application/json").body(chunked),
        ),
        ("no form", 415, post("/audio/transcriptions").bearer_auth(key).json(&good())),
    ];
    for (what, expected, request) in table {
        let status = request.send().await.expect("a reply").status().as_u16();
        assert_eq!(status, expected, "{what}");
    }
    let open = Oracle::start_without_key();
    let url = format!("{}/chat/completions", open.base_url());
    let status = client.post(url).bearer_auth("sk-any").json(&good()).send().await.expect("a reply").status();
    assert_eq!(status.as_u16(), 401, "a key where none is wanted");
}
