//! XML as a stream of elements and text. Entities that a document declares are never expanded.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::markup;

/// Elements inside each other; subtitles need about ten.
const MAX_DEPTH: usize = 200;

/// An element's name and attributes, both without namespace prefixes.
pub(super) struct Element {
    pub(super) name: String,
    attributes: Vec<(String, String)>,
}

impl Element {
    fn new(start: &BytesStart<'_>) -> Self {
        let mut attributes = start.attributes();
        let named = attributes
            .with_checks(false)
            .flatten()
            .map(|attribute| (attribute.key.local_name().into_inner().to_owned(), markup::entities(&attribute.value)));
        Self { attributes: named.collect(), name: start.local_name().into_inner().to_owned() }
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.trim())
    }
}

/// One step through a document.
pub(super) enum Node<'a> {
    Open(Element),
    Text(Cow<'a, str>),
    Close,
}

/// Passes the nodes of a document to `visit`: as many `Close` as `Open`, at most. Returns why reading ended before the
/// end of the document; None if it was read to its end.
pub(super) fn read(text: &str, visit: &mut dyn FnMut(Node<'_>)) -> Option<String> {
    let mut reader = Reader::from_str(text);
    let config = reader.config_mut();
    config.expand_empty_elements = true;
    config.allow_dangling_amp = true;
    let mut depth = 0_usize;
    loop {
        match reader.read_event() {
            Ok(Event::Start(start)) => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Some(format!("its elements are nested more than {MAX_DEPTH} deep"));
                }
                visit(Node::Open(Element::new(&start)));
            }
            Ok(Event::End(_)) => {
                depth = depth.saturating_sub(1);
                visit(Node::Close);
            }
            Ok(Event::Text(text)) => visit(Node::Text(text.into_inner())),
            Ok(Event::CData(text)) => visit(Node::Text(text.into_inner())),
            Ok(Event::GeneralRef(name)) => visit(Node::Text(Cow::Owned(markup::entities(&format!("&{};", &*name))))),
            Ok(Event::Eof) if depth > 0 => return Some("it ends inside an element: the file is cut".to_owned()),
            Ok(Event::Eof) => return None,
            Ok(_) => {}
            Err(error) => return Some(format!("not well-formed XML at byte {}: {error}", reader.error_position())),
        }
    }
}

/// The name of a document's first element without its prefix; None if `text` is not XML.
pub(super) fn root(text: &str) -> Option<String> {
    if !text.trim_start().starts_with('<') {
        return None;
    }
    let mut reader = Reader::from_str(text);
    loop {
        match reader.read_event() {
            Ok(Event::Start(start) | Event::Empty(start)) => return Some(start.local_name().into_inner().to_owned()),
            Ok(Event::Text(text)) if !text.trim().is_empty() => return None,
            Ok(Event::Eof) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(xml: &str) -> (String, Option<String>) {
        let mut out = String::new();
        let end = read(xml, &mut |node| match node {
            Node::Open(element) => out.extend(["<", &element.name, ">"]),
            Node::Text(text) => out.push_str(&text),
            Node::Close => out.push_str("</>"),
        });
        (out, end)
    }

    #[test]
    fn declared_entities_are_not_expanded() {
        let bomb = "<!DOCTYPE x [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;\">]><x>&b;&amp;&#233;&nbsp;&lt;</x>";
        assert_eq!(shown(bomb), ("<x>&b;&é <</>".to_owned(), None));
        let file = "<!DOCTYPE x [<!ENTITY f SYSTEM \"file:///etc/passwd\">]><x a='&f;'>&f;</x>";
        assert_eq!(shown(file), ("<x>&f;</>".to_owned(), None));
    }

    #[test]
    fn the_end_of_broken_documents_is_reported() {
        for (xml, read, why) in [
            ("<a><b>text", "<a><b>text", "is cut"),
            ("<a>x</b>y</a>", "<a>x", "not well-formed"),
            ("<a>x</a></a>", "<a>x</>", "not well-formed"),
        ] {
            let (out, end) = shown(xml);
            assert_eq!(out, read);
            assert!(end.as_ref().is_some_and(|end| end.contains(why)), "{xml}: {end:?}");
        }
        assert!(shown(&"<a>".repeat(100_000)).1.is_some_and(|end| end.contains("deep")));
        assert_eq!(shown("<a>R&B & more</a>").0, "<a>R&B & more</>");
    }

    #[test]
    fn roots_are_found_behind_prologues() {
        for (xml, name) in [
            ("<?xml version='1.0'?><!-- x -->\n<tt:tt xmlns:tt='u'/>", Some("tt")),
            ("  <timedtext format=\"3\">", Some("timedtext")),
            ("plain <b>", None),
            ("<", None),
            ("", None),
        ] {
            assert_eq!(root(xml).as_deref(), name, "{xml}");
        }
    }
}
