//! The test server refuses what the API would refuse: a client that passes it has not passed by its mildness.

use std::io::{Read as _, Write as _};

use crate::support::fake_server::{CHAT_MODEL, DIARIZING_MODEL, FakeServer, HEARING_MODEL, What};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::multipart::{Form, Part};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const KEY: &str = "sk-fake-server-0123456789";

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)).expect(name)
}

fn data_url(mime: &str, bytes: &[u8]) -> String {
    format!("data:{mime};base64,{}", STANDARD.encode(bytes))
}

fn good() -> Value {
    let url = data_url("image/jpeg", &fixture("picture.jpg"));
    json!({
        "model": CHAT_MODEL,
        "messages": [
            {"role": "system", "content": "Tell what is there."},
            {"role": "user", "content": [
                {"type": "text", "text": "<data-1>\n[00:00.1] Early.\n</data-1>"},
                {"type": "text", "text": "[t=00:01.5 #3]"},
                {"type": "image_url", "image_url": {"url": url}},
                {"type": "text", "text": "<data-1>\n[00:01.7] One.\n[00:02.0] Ann: Two.\n</data-1>"},
                {"type": "image_url", "image_url": {"url": "https://host.example/a.png", "detail": "low"}},
                {"type": "text", "text": "Say it in a line."},
            ]},
        ],
        "temperature": 0, "top_p": 1, "n": 2, "seed": -1, "stop": ["END"], "max_tokens": 5,
    })
}

/// Posts a chat; gives the status and the reply.
async fn ask(fake_server: &FakeServer, body: &Value) -> (StatusCode, Value) {
    let request = reqwest::Client::new().post(format!("{}/chat/completions", fake_server.base_url()));
    let response = request.bearer_auth(KEY).json(body).send().await.expect("a reply");
    (response.status(), response.json().await.expect("JSON"))
}

#[tokio::test]
async fn a_good_request_is_answered_out_of_what_it_held() {
    let fake_server = FakeServer::start_with_key(KEY);
    let (status, reply) = ask(&fake_server, &good()).await;
    assert_eq!(status, StatusCode::OK, "{reply}");
    assert_eq!(reply["choices"].as_array().map(Vec::len), Some(2));
    let told: Value =
        serde_json::from_str(reply["choices"][1]["message"]["content"].as_str().expect("text")).expect("JSON");
    // Each picture of the fixtures shows mark 7.
    let expected = json!({"words_before": ["[00:00.1] Early."], "pictures": [
        {"time": "00:01.5", "id": 3, "mark": 7, "words": ["[00:01.7] One.", "[00:02.0] Ann: Two."]},
        {"time": null, "id": null, "mark": null, "words": []},
    ]});
    assert_eq!(told, expected);
    assert_eq!(fake_server.chats()[0].pictures[0].size, (320, 180));
    assert!(fake_server.refusals().is_empty());
}

/// A request that is bad in one place, and a word of the refusal.
type Bad = (&'static str, fn(&mut Value), &'static str);

#[tokio::test]
async fn a_bad_body_is_refused() {
    const PARTS: &str = "/messages/1/content";
    fn at<'a>(body: &'a mut Value, pointer: &str) -> &'a mut Value {
        body.pointer_mut(pointer).expect(pointer)
    }
    fn picture(body: &mut Value, url: &str) {
        *at(body, "/messages/1/content/2/image_url/url") = json!(url);
    }
    #[rustfmt::skip]
    let table: [Bad; 49] = [
        ("store as a text", |b| b["store"] = json!("no"), "store"),
        ("an unknown effort", |b| b["reasoning_effort"] = json!("hard"), "reasoning_effort"),
        ("options of a stream that is none", |b| b["stream_options"] = json!({"include_usage": true}), "stream_options"),
        ("a schema without a name", |b| b["response_format"] = json!({"type": "json_schema", "json_schema": {"strict": true, "schema": {}}}), "response_format"),
        ("a schema with a blank in its name", |b| b["response_format"] = json!({"type": "json_schema", "json_schema": {"name": "a b", "strict": true, "schema": {}}}), "response_format"),
        ("a schema that may be strict", |b| b["response_format"] = json!({"type": "json_schema", "json_schema": {"name": "a", "strict": null, "schema": {}}}), "response_format"),
        ("a strict schema of an open object", |b| b["response_format"] = json!({"type": "json_schema", "json_schema": {"name": "a", "strict": true, "schema": {"type": "object", "properties": {"a": {}}, "required": ["a"]}}}), "response_format"),
        ("a strict schema with a property that may be missing", |b| b["response_format"] = json!({"type": "json_schema", "json_schema": {"name": "a", "strict": true, "schema": {"type": "object", "properties": {"a": {}}, "additionalProperties": false}}}), "response_format"),
        ("a schema at the wrong depth", |b| b["response_format"] = json!({"type": "json_schema", "schema": {}}), "response_format"),
        ("no model", |b| { b.as_object_mut().expect("an object").remove("model"); }, "model"),
        ("an unknown model", |b| b["model"] = json!("gpt-99"), "gpt-99"),
        ("a model that cannot chat", |b| b["model"] = json!(HEARING_MODEL), "not a chat model"),
        ("an unknown key", |b| b["top_k"] = json!(5), "top_k"),
        ("a null parameter", |b| b["seed"] = json!(null), "seed"),
        ("a text as temperature", |b| b["temperature"] = json!("0"), "temperature"),
        ("a hot temperature", |b| b["temperature"] = json!(2.1), "temperature"),
        ("a cold temperature", |b| b["temperature"] = json!(-0.1), "temperature"),
        ("a large top_p", |b| b["top_p"] = json!(1.01), "top_p"),
        ("n of 0", |b| b["n"] = json!(0), "'n'"),
        ("n of 129", |b| b["n"] = json!(129), "'n'"),
        ("n as a float", |b| b["n"] = json!(1.0), "'n'"),
        ("five stops", |b| b["stop"] = json!(["a", "b", "c", "d", "e"]), "stop"),
        ("an empty stop", |b| b["stop"] = json!([""]), "stop"),
        ("no stop in an array", |b| b["stop"] = json!([]), "stop"),
        ("max_tokens of 0", |b| b["max_tokens"] = json!(0), "max_tokens"),
        ("both limits", |b| b["max_completion_tokens"] = json!(5), "at once"),
        ("no messages", |b| b["messages"] = json!([]), "messages"),
        ("a body that is a list", |b| *b = json!([1]), "the body"),
        ("an unknown role", |b| b["messages"][1]["role"] = json!("human"), "role"),
        ("an unknown key of a message", |b| b["messages"][1]["images"] = json!([]), "images"),
        ("content null", |b| b["messages"][1]["content"] = json!(null), "content"),
        ("content empty", |b| *at(b, PARTS) = json!([]), "content"),
        ("a part without type", |b| *at(b, "/messages/1/content/0") = json!({"text": "x"}), "type"),
        ("a part of unknown type", |b| *at(b, "/messages/1/content/0") = json!({"type": "image", "image": "x"}), "type"),
        ("a number as text", |b| *at(b, "/messages/1/content/0/text") = json!(7), "text"),
        ("a text part with an unknown key", |b| at(b, "/messages/1/content/0")["cache"] = json!(1), "cache"),
        ("a picture in a system message", |b| b["messages"][1]["role"] = json!("system"), "role 'user'"),
        ("image_url as a text", |b| *at(b, "/messages/1/content/2/image_url") = json!("https://host/a.png"), "image_url"),
        ("an unknown detail", |b| at(b, "/messages/1/content/2/image_url")["detail"] = json!("fine"), "detail"),
        ("a file URL", |b| picture(b, "file:///etc/passwd"), "neither"),
        ("a data URL without base64", |b| picture(b, "data:image/jpeg,abc"), ";base64,"),
        ("a data URL with a blank", |b| picture(b, "data:image/jpeg; base64,/9j/"), ";base64,"),
        ("Base64 in lines", |b| picture(b, "data:image/jpeg;base64,/9j/\n4AAQ"), "base64"),
        ("Base64 without its padding", |b| picture(b, "data:image/jpeg;base64,/9j/4A"), "base64"),
        ("Base64 of the URL alphabet", |b| picture(b, "data:image/jpeg;base64,_9j_"), "base64"),
        ("an unknown type", |b| picture(b, "data:image/bmp;base64,Qk0="), "Unsupported image type"),
        ("a type that is not the picture's", |b| picture(b, &data_url("image/png", &fixture("picture.jpg"))), "MIME"),
        ("half a picture", |b| picture(b, &data_url("image/png", &fixture("picture.png")[..300])), "decode"),
        ("an empty picture", |b| picture(b, "data:image/jpeg;base64,"), "MIME"),
    ];
    let fake_server = FakeServer::start_with_key(KEY);
    for (n_before, (what, spoil, expected)) in table.into_iter().enumerate() {
        let mut body = good();
        spoil(&mut body);
        let (status, reply) = ask(&fake_server, &body).await;
        assert!(status.is_client_error(), "{what}: {status}");
        let error = reply["error"].as_object().unwrap_or_else(|| panic!("{what}: {reply}"));
        let keys: Vec<&str> = error.keys().map(String::as_str).collect();
        assert_eq!(keys.len(), 4, "{what}: {keys:?}");
        assert!(reply.to_string().contains(expected), "{what}: {reply}");
        assert_eq!(fake_server.refusals().len(), n_before + 1, "{what}");
    }
}

#[tokio::test]
async fn a_bad_body_of_anthropics_is_refused() {
    const SOURCE: &str = "/messages/0/content/1/source";
    let source =
        || json!({"type": "base64", "media_type": "image/jpeg", "data": STANDARD.encode(fixture("picture.jpg"))});
    let good = || {
        json!({
            "model": CHAT_MODEL, "max_tokens": 5, "system": "Rules",
            "messages": [{"role": "user", "content": [
                {"type": "text", "text": "[t=00:01.5 #3]"}, {"type": "image", "source": source()},
            ]}],
            "stop_sequences": ["END"], "temperature": 0.5,
            "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {}}},
        })
    };
    let fake_server = FakeServer::start_with_key(KEY);
    let url = format!("{}/messages", fake_server.base_url());
    let send = async |body: &Value, headers: &[(&str, &str)]| {
        let mut request = reqwest::Client::new().post(&url).json(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.expect("a reply");
        (response.status().as_u16(), response.json::<Value>().await.expect("JSON"))
    };
    let usual = [("x-api-key", KEY), ("anthropic-version", "2023-06-01")];
    let (status, reply) = send(&good(), &usual).await;
    assert_eq!(status, 200, "{reply}");
    assert_eq!((&reply["stop_reason"], &reply["content"][1]["type"]), (&json!("end_turn"), &json!("text")));
    for (what, headers, expected) in [
        ("no key", &[("anthropic-version", "2023-06-01")][..], 401),
        ("a bearer token", &[usual[0], usual[1], ("authorization", "Bearer x")], 401),
        ("another key", &[("x-api-key", "sk-other"), usual[1]], 401),
        ("no version", &[usual[0]], 400),
    ] {
        let (status, reply) = send(&good(), headers).await;
        assert_eq!((status, &reply["type"]), (expected, &json!("error")), "{what}: {reply}");
    }
    #[rustfmt::skip]
    let table: [Bad; 16] = [
        ("no limit", |b| { b.as_object_mut().expect("an object").remove("max_tokens"); }, "max_tokens"),
        ("a limit of 0", |b| b["max_tokens"] = json!(0), "max_tokens"),
        ("OpenAI's stop", |b| b["stop"] = json!(["END"]), "stop"),
        ("n", |b| b["n"] = json!(1), "n"),
        ("a seed", |b| b["seed"] = json!(1), "seed"),
        ("a hot temperature", |b| b["temperature"] = json!(1.5), "temperature"),
        ("a system message", |b| b["messages"][0]["role"] = json!("system"), "role"),
        ("an empty system", |b| b["system"] = json!(""), "system"),
        ("an unknown effort", |b| b["output_config"]["effort"] = json!("minimal"), "output_config"),
        ("an empty text", |b| b["messages"][0]["content"][0]["text"] = json!(" "), "non-empty"),
        ("an image_url", |b| b["messages"][0]["content"][1] = json!({"type": "image_url"}), "image_url"),
        ("a data URL as data", |b| *b.pointer_mut(SOURCE).expect(SOURCE) = json!({"type": "base64", "media_type": "image/jpeg", "data": "data:image/jpeg;base64,/9j/"}), "source"),
        ("no media type", |b| *b.pointer_mut(SOURCE).expect(SOURCE) = json!({"type": "base64", "data": ""}), "source"),
        ("a type that is not the picture's", |b| b["messages"][0]["content"][1]["source"]["media_type"] = json!("image/png"), "MIME"),
        ("no messages", |b| b["messages"] = json!([]), "messages"),
        ("an unknown model", |b| b["model"] = json!("claude-0"), "claude-0"),
    ];
    for (what, spoil, expected) in table {
        let mut body = good();
        spoil(&mut body);
        let (status, reply) = send(&body, &usual).await;
        assert!(
            (400..500).contains(&status) && reply["error"]["message"].to_string().contains(expected),
            "{what}: {reply}"
        );
    }
}

#[tokio::test]
async fn a_bad_body_of_ollamas_is_refused() {
    let good = || {
        json!({"model": CHAT_MODEL, "stream": false, "options": {"num_ctx": 8192},
            "messages": [{"role": "user", "content": "", "images": [STANDARD.encode(fixture("picture.jpg"))]}]})
    };
    let fake_server = FakeServer::start();
    let url = format!("http://{}/api/chat", fake_server.address());
    let send = async |body: &Value| {
        let response = reqwest::Client::new().post(&url).json(body).send().await.expect("a reply");
        (response.status().as_u16(), response.json::<Value>().await.expect("JSON"))
    };
    let (status, reply) = send(&good()).await;
    assert_eq!((status, &reply["done"]), (200, &json!(true)), "{reply}");
    #[rustfmt::skip]
    let table: [Bad; 7] = [
        ("no word on streaming", |b| { b.as_object_mut().expect("an object").remove("stream"); }, "stream"),
        ("a limit at the top", |b| b["max_tokens"] = json!(5), "max_tokens"),
        ("OpenAI's name among the options", |b| b["options"]["max_tokens"] = json!(5), "max_tokens"),
        ("a longer context than there is", |b| b["options"]["num_ctx"] = json!(65_536), "num_ctx"),
        ("a data URL", |b| b["messages"][0]["images"][0] = json!("data:image/jpeg;base64,/9j/"), "base64"),
        ("parts", |b| b["messages"][0]["content"] = json!([]), "content"),
        ("a format that is none", |b| b["format"] = json!("xml"), "format"),
    ];
    for (what, spoil, expected) in table {
        let mut body = good();
        spoil(&mut body);
        let (status, reply) = send(&body).await;
        assert!(status == 400 && reply["error"].to_string().contains(expected), "{what}: {reply}");
    }
}

#[tokio::test]
async fn a_bad_head_is_refused() {
    let fake_server = FakeServer::start_with_key(KEY);
    let client = reqwest::Client::new();
    let (chat, models) =
        (format!("{}/chat/completions", fake_server.base_url()), format!("{}/models", fake_server.base_url()));
    let body = good().to_string();
    let post = || client.post(&chat).header("content-type", "application/json").body(body.clone());
    let chunked = futures_util::stream::iter([Ok::<_, std::io::Error>(body.clone())]);
    let table = [
        ("no key", post(), 401),
        ("a wrong key", post().bearer_auth("sk-other"), 401),
        ("a key without Bearer", post().header("authorization", KEY), 401),
        ("two keys", post().bearer_auth(KEY).bearer_auth(KEY), 401),
        ("GET", client.request(Method::GET, &chat).bearer_auth(KEY), 405),
        ("POST for the models", client.post(&models).bearer_auth(KEY).body("{}"), 405),
        ("an unknown path", client.post(format!("{chat}/")).bearer_auth(KEY).body(body.clone()), 404),
        ("a path without /v1", client.post(chat.replace("/v1", "")).bearer_auth(KEY).body(body.clone()), 404),
        ("a query", client.post(format!("{chat}?key=1")).bearer_auth(KEY).body(body.clone()), 400),
        ("no content type", client.post(&chat).bearer_auth(KEY).body(body.clone()), 415),
        ("text", client.post(&chat).bearer_auth(KEY).header("content-type", "text/plain").body(body.clone()), 415),
        ("no length", client.post(&chat).bearer_auth(KEY).body(reqwest::Body::wrap_stream(chunked)), 411),
        ("half the JSON", post().bearer_auth(KEY).body(body[..body.len() / 2].to_owned()), 400),
        ("a key twice", post().bearer_auth(KEY).body(body.replacen('{', "{\"seed\": 1, ", 1)), 400),
    ];
    for (what, request, expected) in table {
        let response = request.send().await.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(response.status().as_u16(), expected, "{what}");
    }
    let keyless = FakeServer::start();
    let request = client.post(format!("{}/chat/completions", keyless.base_url())).bearer_auth(KEY).json(&good());
    assert_eq!(request.send().await.expect("a reply").status(), 401, "a key for a server that wants none");
}

/// Writes bytes as they are; gives the whole reply.
fn raw(fake_server: &FakeServer, request: &str) -> String {
    let mut stream = std::net::TcpStream::connect(fake_server.address()).expect("a connection");
    stream.write_all(request.as_bytes()).expect("written");
    stream.shutdown(std::net::Shutdown::Write).expect("shut down");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("a reply");
    reply
}

#[test]
fn a_content_length_that_is_not_the_bodys_is_refused() {
    let fake_server = FakeServer::start();
    let body = good().to_string();
    let request = |lengths: &[usize]| {
        let lengths: Vec<String> = lengths.iter().map(|n| format!("Content-Length: {n}\r\n")).collect();
        let lengths = lengths.concat();
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{lengths}\r\n{body}"
        )
    };
    assert!(raw(&fake_server, &request(&[body.len()])).starts_with("HTTP/1.1 200"), "{:?}", fake_server.refusals());
    for (lengths, expected) in
        [(vec![body.len() + 1], "400"), (vec![body.len() - 1], "400"), (vec![body.len(); 2], "400"), (vec![], "411")]
    {
        let reply = raw(&fake_server, &request(&lengths));
        assert_eq!(reply.get(9..12), Some(expected), "{lengths:?}: {reply}");
    }
    let no_host = request(&[body.len()]).replace("Host: x\r\n", "");
    assert!(raw(&fake_server, &no_host).starts_with("HTTP/1.1 400"));
}

/// A tone between silences: 0.5 s, 0.4 s loud, 0.6 s.
fn tone() -> Vec<u8> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 16_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut file = std::io::Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut file, spec).expect("a writer");
    for at in 0..24_000_i32 {
        let is_loud = (8000..14_400).contains(&at);
        writer.write_sample(if is_loud { (at % 40 - 20) as i16 * 400 } else { 0 }).expect("a sample");
    }
    writer.finalize().expect("a file");
    file.into_inner()
}

#[tokio::test]
async fn a_bad_form_is_refused_and_a_good_one_transcribed() {
    let fake_server = FakeServer::start_with_key(KEY);
    let url = format!("{}/audio/transcriptions", fake_server.base_url());
    let send = async |form: Form| {
        let request = reqwest::Client::new().post(&url).bearer_auth(KEY).multipart(form);
        let response = request.send().await.expect("a reply");
        (response.status().as_u16(), response.json::<Value>().await.expect("JSON"))
    };
    let file = |bytes: Vec<u8>, name: &str, mime: &str| {
        Part::bytes(bytes).file_name(name.to_owned()).mime_str(mime).expect("a MIME type")
    };
    let wav = |bytes: Vec<u8>| file(bytes, "a.wav", "audio/wav");
    let fields = || Form::new().text("model", HEARING_MODEL).text("response_format", "verbose_json");
    let good = || fields().part("file", wav(tone()));

    let (status, reply) = send(good()).await;
    assert_eq!(status, 200, "{reply}");
    assert_eq!(reply["segments"][0]["text"], " sound from 0.50 to 0.90", "{reply}");
    assert_eq!(reply["segments"].as_array().map(Vec::len), Some(1), "{reply}");

    let times =
        |granularity: &'static str| fields().percent_encode_noop().text("timestamp_granularities[]", granularity);
    let speakers = |model: &'static str| Form::new().text("model", model).text("response_format", "diarized_json");
    let mut wrong_size = tone();
    wrong_size.truncate(40_000);
    #[rustfmt::skip]
    let table = [
        ("no file", fields(), 400),
        ("two files", good().part("file", wav(tone())), 400),
        ("a field twice", good().text("response_format", "json"), 400),
        ("an unknown field", good().text("format", "wav"), 400),
        ("an unknown form of reply", Form::new().text("model", HEARING_MODEL).text("response_format", "xml"), 400),
        ("no form of reply", Form::new().text("model", HEARING_MODEL).part("file", wav(tone())), 400),
        ("no model", Form::new().text("response_format", "json").part("file", wav(tone())), 404),
        ("a model that cannot hear", Form::new().text("model", CHAT_MODEL).part("file", wav(tone())), 404),
        ("a language in words", good().text("language", "English"), 400),
        ("another name", fields().part("file", file(tone(), "a.bin", "audio/wav")), 400),
        ("no name", fields().part("file", Part::bytes(tone())), 400),
        ("another type", fields().part("file", file(tone(), "a.wav", "application/octet-stream")), 400),
        ("no sound", fields().part("file", wav(fixture("picture.png"))), 400),
        ("a cut file", fields().part("file", wav(wrong_size)), 400),
        ("WAV under FLAC's name", fields().part("file", file(tone(), "a.flac", "audio/flac")), 400),
        ("a granularity twice", times("word").text("timestamp_granularities[]", "word").part("file", wav(tone())), 400),
        ("an unknown granularity", times("sentence").part("file", wav(tone())), 400),
        ("speakers of a model that knows none", speakers(HEARING_MODEL).part("file", wav(tone())), 400),
        ("times of a model that diarizes", Form::new().text("model", DIARIZING_MODEL).text("response_format", "verbose_json").part("file", wav(tone())), 400),
        ("a prompt for a model that diarizes", speakers(DIARIZING_MODEL).text("prompt", "x").part("file", wav(tone())), 400),
    ];
    for (what, form, expected) in table {
        let (status, reply) = send(form).await;
        assert_eq!(status, expected, "{what}: {reply}");
        assert!(reply["error"]["message"].is_string(), "{what}: {reply}");
    }
    let response = reqwest::Client::new().post(&url).bearer_auth(KEY).json(&json!({})).send().await.expect("a reply");
    assert_eq!(response.status().as_u16(), 415);
    assert_eq!(fake_server.sounds().len(), 1);
    assert!(matches!(fake_server.seen()[0].what, What::Sound(_)));
}

#[tokio::test]
async fn the_models_are_listed() {
    let fake_server = FakeServer::start();
    let response = reqwest::get(format!("{}/models", fake_server.base_url())).await.expect("a reply");
    let models: Value = response.json().await.expect("JSON");
    assert_eq!(models["data"][0]["id"], CHAT_MODEL);
}
