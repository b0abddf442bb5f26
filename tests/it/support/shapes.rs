//! The structure of requests, reports and pages without their texts: what hostile text must not change.
#![allow(dead_code, reason = "each test uses its part")]

use std::cell::{Cell, RefCell};

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{BufferQueue, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts};
use pulldown_cmark::{Event, Options, Parser, Tag};
use serde_json::{Value, json};

use super::fake_server::Chat;

/// A text with each fence replaced by the labels of its lines, or by `…` where its lines are free. The number of the fence
/// stands in its tags alone, and every fence is closed.
#[track_caller]
pub fn outside(text: &str, tag: &str, are_lines_free: bool) -> String {
    let (open, close) = (format!("<data-{tag}>"), format!("</data-{tag}>"));
    let checked = |text: &str| {
        assert!(!text.to_lowercase().contains(tag), "the number of the fence in {text:?}");
        let is_steering = |c: char| c != '\n' && vidgist::sanitize::is_unseen(c);
        assert!(!text.contains(is_steering), "an invisible character in {text:?}");
        text.to_owned()
    };
    let label = |line: &str| match line.split_once("] ") {
        Some((label, _)) if line.starts_with('[') => label.split(", speaker ").next().unwrap_or_default().to_owned(),
        _ => line.split_once(": ").filter(|_| line.starts_with("  ")).map_or("", |(label, _)| label).to_owned(),
    };
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once(&open) {
        let (inside, after) = after.split_once(&close).unwrap_or_else(|| panic!("an open fence in {text}"));
        let is_list = inside.starts_with('\n') && !are_lines_free;
        let labels: Vec<String> = checked(inside).lines().map(label).collect();
        let labels = if is_list { labels.join("\n") } else { "…".to_owned() };
        out += &[&*checked(before), "<fence>", &labels, "</fence>"].concat();
        rest = after;
    }
    out + &checked(rest)
}

/// The number of the fence, from the rule about it.
pub fn tag(chat: &Chat) -> String {
    let text = chat.json["messages"].to_string();
    let at = text.find("Text between <data-").expect("the rule") + 19;
    text[at..at + 8].to_owned()
}

/// Roles and parts of a request, texts as [`outside`] shows them, images by their size.
#[track_caller]
pub fn request_shape(chat: &Chat, are_lines_free: bool) -> Vec<String> {
    let tag = tag(chat);
    let mut shape = Vec::new();
    for message in chat.json["messages"].as_array().expect("messages") {
        let role = message["role"].as_str().expect("a role");
        let parts = match &message["content"] {
            Value::Array(parts) => parts.clone(),
            content => vec![json!({"type": "text", "text": content})],
        };
        for part in &parts {
            let shown = match part["text"].as_str() {
                Some(text) => outside(text, &tag, are_lines_free),
                None => part["type"].as_str().expect("a type").to_owned(),
            };
            shape.push(format!("{role}: {shown}"));
        }
    }
    shape
}

/// A document with `text` and 0 in place of each text and number. How text is split into sentences is left out.
pub fn json_shape(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let fields = object.iter().filter(|(name, _)| *name != "sentences" && *name != "grounding");
            fields.map(|(name, value)| (name.clone(), json_shape(value))).collect::<serde_json::Map<_, _>>().into()
        }
        Value::Array(values) => values.iter().map(json_shape).collect(),
        Value::String(_) => json!("text"),
        Value::Number(_) => json!(0),
        other => other.clone(),
    }
}

/// What a page has, as a browser's tokenizer reads it.
#[derive(Default)]
struct Page {
    /// Each element with the names of its attributes, in order.
    elements: RefCell<Vec<String>>,
    /// The text outside of scripts and styles.
    text: RefCell<String>,
    is_raw: Cell<bool>,
}

impl TokenSink for Page {
    type Handle = ();

    fn process_token(&self, token: Token, _: u64) -> TokenSinkResult<()> {
        match token {
            Token::TagToken(tag) if tag.kind == TagKind::StartTag => {
                let mut names: Vec<String> = tag.attrs.iter().map(|attr| attr.name.local.to_string()).collect();
                for attr in &tag.attrs {
                    let (name, value) = (attr.name.local.to_string(), attr.value.to_string());
                    assert!(!name.starts_with("on") && name != "style" && name != "srcdoc", "{name}={value:?}");
                    let is_ours = ["#", "frames/", "data:image/"].iter().any(|start| value.starts_with(start));
                    assert!(is_ours || !matches!(&*name, "href" | "src" | "action"), "{name}={value:?}");
                }
                names.sort();
                let element = tag.name.to_string();
                let raw = match &*element {
                    "script" => Some(RawKind::ScriptData),
                    "style" => Some(RawKind::Rawtext),
                    "title" | "textarea" => Some(RawKind::Rcdata),
                    _ => None,
                };
                self.is_raw.set(matches!(&*element, "script" | "style"));
                self.elements.borrow_mut().push(format!("{element} {}", names.join(" ")));
                raw.map_or(TokenSinkResult::Continue, TokenSinkResult::RawData)
            }
            Token::TagToken(_) => {
                self.is_raw.set(false);
                TokenSinkResult::Continue
            }
            Token::CharacterTokens(text) if !self.is_raw.get() => {
                self.text.borrow_mut().push_str(&text);
                TokenSinkResult::Continue
            }
            _ => TokenSinkResult::Continue,
        }
    }
}

pub fn page(html: &str) -> (Vec<String>, String) {
    let tokenizer = Tokenizer::new(Page::default(), TokenizerOpts::default());
    let queue = BufferQueue::default();
    queue.push_back(StrTendril::from(html));
    while !queue.is_empty() {
        let _ = tokenizer.feed(&queue);
    }
    tokenizer.end();
    let page = tokenizer.sink;
    (page.elements.into_inner(), page.text.into_inner())
}

/// The levels of the headings. Nothing in Markdown leads or loads anything but the report's own files.
#[track_caller]
pub fn headings(markdown: &str) -> Vec<u8> {
    let mut levels = Vec::new();
    for event in Parser::new_ext(markdown, Options::all() - Options::ENABLE_MATH) {
        match event {
            Event::Start(Tag::Heading { level, .. }) => levels.push(level as u8),
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                assert!(dest_url.starts_with("frames/") || dest_url.starts_with('#'), "{dest_url} in {markdown}");
            }
            Event::Html(text) | Event::InlineHtml(text) => panic!("{text} in {markdown}"),
            Event::Start(Tag::MetadataBlock(_)) => panic!("front matter in {markdown}"),
            _ => {}
        }
    }
    levels
}

/// The same lists; otherwise the first that differs.
#[track_caller]
pub fn assert_same(hostile: &[String], honest: &[String], what: &str) {
    let differs = |(at, honest): (usize, &String)| hostile.get(at) != Some(honest);
    let first = honest.iter().enumerate().find(|(at, honest)| differs((*at, honest)));
    if let Some((at, honest)) = first {
        assert_eq!(hostile.get(at), Some(honest), "{what} at {at}");
    }
    assert_eq!(hostile.len(), honest.len(), "{what}");
}
