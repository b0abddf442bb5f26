//! Plain text without times.

use super::markup;
use crate::input::{KIND_HEAD_BYTES, file_kind};

/// A longer paragraph is split, so that a model's context can hold each piece.
const MAX_PARAGRAPH_CHARS: usize = 1000;

/// The paragraphs of a text: parts between blank lines, otherwise lines.
///
/// # Errors
/// A phrase if the bytes are no text, or text of a known kind that is no transcript, such as HTML.
pub(super) fn paragraphs(bytes: &[u8], text: &str) -> Result<Vec<String>, String> {
    // What begins with a bracket looks like JSON: `[Music] Hello`.
    const TEXTS: [&str; 4] = ["plain text", "plain text (UTF-16)", "a JSON document", "a subtitle file"];
    if let Some(kind) = file_kind(&bytes[..bytes.len().min(KIND_HEAD_BYTES)]).filter(|kind| !TEXTS.contains(kind)) {
        return Err(format!("is {kind}, not a transcript"));
    }
    let is_text = |c: char| !c.is_control() || c.is_whitespace() || c == '\u{1b}';
    if !text.chars().all(is_text) {
        return Err("is neither a subtitle file nor text".to_owned());
    }
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let text_lines = || lines.iter().enumerate().filter(|(_, line)| !line.is_empty());
    let has_blank_lines = text_lines().zip(text_lines().skip(1)).any(|((a, _), (b, _))| b > a + 1);
    let parts: Vec<String> = if has_blank_lines {
        lines.split(|line| line.is_empty()).map(|part| part.join("\n")).collect()
    } else {
        lines.into_iter().map(str::to_owned).collect()
    };
    let parts = parts.iter().map(|part| markup::collapse_whitespace(part)).filter(|part| !part.is_empty());
    Ok(parts.flat_map(|part| pieces(&part)).collect())
}

/// Pieces of at most [`MAX_PARAGRAPH_CHARS`], split at spaces where there are any.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((limit, _)) = rest.char_indices().nth(MAX_PARAGRAPH_CHARS) {
        let end = rest[..limit].rfind(' ').unwrap_or(limit);
        pieces.push(rest[..end].to_owned());
        rest = rest[end..].trim_start();
    }
    pieces.push(rest.to_owned());
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>, String> {
        paragraphs(text.as_bytes(), text)
    }

    #[test]
    fn paragraphs_are_parts_or_lines() {
        assert_eq!(read("One\r\ntwo.\r\n\r\n\r\nThree.\n"), Ok(vec!["One two.".to_owned(), "Three.".to_owned()]));
        assert_eq!(read("\n[Music] One\ntwo\n\n"), Ok(vec!["[Music] One".to_owned(), "two".to_owned()]));
        assert_eq!(read(" \n\t\n"), Ok(Vec::new()));
    }

    #[test]
    fn long_paragraphs_are_split_without_loss() {
        for text in ["word ".repeat(5000), "\u{5b57}".repeat(5000), format!("{} end", "x".repeat(2500))] {
            let parts = read(&text).expect("text");
            assert!(parts.len() > 1 && parts.iter().all(|part| part.chars().count() <= MAX_PARAGRAPH_CHARS));
            let letters = |text: &str| text.chars().filter(|c| *c != ' ').collect::<String>();
            assert_eq!(letters(&parts.concat()), letters(&text));
        }
    }

    #[test]
    fn other_files_are_no_text() {
        for (bytes, why) in [
            (&b"<html><body>404</body></html>"[..], "a web page"),
            (b"<svg/>", "an SVG"),
            (b"%PDF-1.4 text", "a PDF"),
            (b"{\\rtf1 text}", "an RTF"),
            (b"words\0more", "nor text"),
            (b"\x01\x02\x03", "nor text"),
        ] {
            let text = String::from_utf8_lossy(bytes);
            assert!(paragraphs(bytes, &text).is_err_and(|problem| problem.contains(why)), "{text}");
        }
    }
}
