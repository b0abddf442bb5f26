//! JSON that is safe to print on a terminal.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::sanitize::is_unseen;

/// Any value as indented JSON that is safe to print: control characters and invisible characters are escaped, which does
/// not change the values of strings.
///
/// # Errors
/// [`ErrorKind::Io`](crate::ErrorKind::Io) where the JSON writer fails.
pub fn to_text(value: &impl Serialize) -> Result<String> {
    let text = serde_json::to_string_pretty(value).map_err(|source| Error::io(Path::new("JSON"), source.into()))?;
    Ok(escaped(&text))
}

/// The same on one line, for JSON Lines.
///
/// # Errors
/// As [`to_text`].
pub fn to_line(value: &impl Serialize) -> Result<String> {
    let text = serde_json::to_string(value).map_err(|source| Error::io(Path::new("JSON"), source.into()))?;
    Ok(escaped(&text))
}

/// The document with control and invisible characters escaped, and a trailing newline.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        // Newlines are the document's own: those in strings are escaped already, as is everything below U+0020.
        if c != '\n' && is_unseen(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String does not fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaping_keeps_the_value() {
        let hostile = "a\u{1b}[2J\u{9b}1m\u{202e}b\u{e0041}\u{7f}\"\\\n\u{2028}é👩\u{200d}🚀";
        let text = to_text(&[hostile]).unwrap();
        assert!(!text.chars().any(|c| c != '\n' && is_unseen(c)), "{text:?}");
        assert!(text.contains("é👩\u{200d}🚀") && text.contains("\\udb40\\udc41"), "{text}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&text).unwrap(), [hostile]);
    }
}
