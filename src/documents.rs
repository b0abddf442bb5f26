//! Text of documents that the user gives as background: plain text, Markdown, JSON, HTML, PDF and Word (`.docx`). The form is
//! recognized by content. Documents are untrusted: files, unpacked parts and text are bounded, and they are read on a thread of
//! their own, which may fail or take too long.

mod docx;
mod fault;
mod pdf;

use std::io::Read as _;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::Encoding;

use self::fault::{DocumentFault, MAX_RAW_TEXT};
use crate::error::{Error, Result};
use crate::sanitize::clean_text;

/// Bytes of a document.
const MAX_BYTES: u64 = 16 << 20;
/// How long a document may take: a form that nests without end is given up.
const MAX_TIME: Duration = Duration::from_secs(20);
/// Stack of the reading thread: parsers of nested forms are recursive.
const STACK_BYTES: usize = 64 << 20;
/// Columns at which the lines of HTML are wrapped.
const HTML_COLUMNS: usize = 1000;
/// Bytes in which the kind of a document shows.
const HEAD_BYTES: usize = 1024;

/// The text of the document at `path`: cleaned of control characters, without runs of blank lines. Not empty.
///
/// # Errors
/// [`ErrorKind::Io`](crate::ErrorKind::Io) where the file cannot be read, [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported)
/// where it is none of these documents or has no text, [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) where it is broken,
/// [`ErrorKind::Limit`](crate::ErrorKind::Limit) where it is too large.
pub fn read_document(path: &Path) -> Result<String> {
    let bytes = read_bytes(path)?;
    let (send, receive) = mpsc::sync_channel(1);
    let reader = std::thread::Builder::new().name("vidgist-document".to_owned()).stack_size(STACK_BYTES);
    // A thread that takes too long is left behind: it ends with the process.
    let thread = reader.spawn(move || send.send(text_of(&bytes))).map_err(|error| Error::io(path, error))?;
    let text = match receive.recv_timeout(MAX_TIME) {
        Ok(text) => text,
        Err(mpsc::RecvTimeoutError::Timeout) => {
            Err(DocumentFault::TooLarge(format!("takes over {} s to read", MAX_TIME.as_secs())))
        }
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            // A panic of a parser; its message went to the panic hook.
            let _ = thread.join();
            Err(DocumentFault::Broken("its parser failed".to_owned()))
        }
    };
    let name = path.display();
    let text = text.map_err(|fault| match fault {
        DocumentFault::Broken(why) => {
            Error::malformed(name, format!("cannot be read: {why}"), "save its text as a .txt or .md file")
        }
        DocumentFault::Other(problem) => Error::unsupported(name, problem, "save its text as a .txt or .md file"),
        DocumentFault::TooLarge(problem) => {
            Error::limit(name, problem, "copy the part that matters into a .txt or .md file")
        }
    })?;
    let text = tidy(&text);
    if text.is_empty() {
        let advice = "name a file with text; scanned pages must be recognized first";
        return Err(Error::unsupported(path.display(), "has no text", advice));
    }
    Ok(text)
}

fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    let io = |error| Error::io(path, error);
    let mut bytes = Vec::new();
    std::fs::File::open(path).map_err(io)?.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > MAX_BYTES {
        let problem = format!("has more than {} MiB", MAX_BYTES >> 20);
        return Err(Error::limit(path.display(), problem, "copy the part that matters into a .txt or .md file"));
    }
    Ok(bytes)
}

fn text_of(bytes: &[u8]) -> Result<String, DocumentFault> {
    let head = &bytes[..bytes.len().min(HEAD_BYTES)];
    let text = if head.windows(5).any(|five| five == b"%PDF-") {
        pdf::text(bytes)?
    } else if bytes.starts_with(b"PK\x03\x04") {
        docx::text(bytes)?
    } else if bytes.starts_with(b"\xd0\xcf\x11\xe0") {
        return Err(DocumentFault::Other("is a document of an old Office format".to_owned()));
    } else if bytes.starts_with(b"{\\rtf") {
        return Err(DocumentFault::Other("is a document in RTF".to_owned()));
    } else {
        let text = decode(bytes).ok_or_else(|| {
            DocumentFault::Other("is no text, Markdown, JSON, HTML, PDF or Word document (.docx)".to_owned())
        })?;
        if is_html(&text) { html(&text)? } else { text }
    };
    if text.len() > MAX_RAW_TEXT { Err(DocumentFault::too_much_text()) } else { Ok(text) }
}

/// Text in UTF-8, UTF-16 with its mark, or the most likely other encoding; None where it is binary.
fn decode(bytes: &[u8]) -> Option<String> {
    if let Some((encoding, n_mark)) = Encoding::for_bom(bytes) {
        return Some(encoding.decode_without_bom_handling(&bytes[n_mark..]).0.into_owned());
    }
    if bytes.contains(&0) {
        return None;
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Some(text.to_owned());
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(bytes, true);
    let (text, _, has_errors) = detector.guess(None, Utf8Detection::Deny).decode(bytes);
    (!has_errors).then(|| text.into_owned())
}

/// Whether text begins as a page does: with a document type or its first tags, also behind a declaration and comments.
fn is_html(text: &str) -> bool {
    let mut rest = text.trim_start();
    while let Some((_, behind)) = [("<?", "?>"), ("<!--", "-->")]
        .into_iter()
        .find_map(|(begin, end)| rest.strip_prefix(begin).and_then(|inside| inside.split_once(end)))
    {
        rest = behind.trim_start();
    }
    let head: String = rest.chars().take(15).collect::<String>().to_ascii_lowercase();
    ["<!doctype html", "<html", "<head", "<body"].iter().any(|tag| head.starts_with(tag))
}

fn html(text: &str) -> Result<String, DocumentFault> {
    html2text::config::plain_no_decorate()
        .allow_width_overflow()
        .no_table_borders()
        .no_link_wrapping()
        .string_from_read(text.as_bytes(), HTML_COLUMNS)
        .map_err(|error| DocumentFault::Broken(error.to_string()))
}

/// Clean lines without blanks at their ends, and at most one blank line between two.
fn tidy(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in clean_text(text).lines().map(str::trim_end) {
        if !line.is_empty() || !(out.is_empty() || out.ends_with("\n\n")) {
            out.push_str(line);
            out.push('\n');
        }
    }
    out.truncate(out.trim_end().len());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, bytes: &[u8]) -> Result<String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        read_document(&path)
    }

    #[test]
    fn text_is_read_in_its_encoding() {
        let korean = encoding_rs::EUC_KR.encode("한국은행 금리 결정에 대한 발표입니다. 회의 노트").0;
        let utf16: Vec<u8> = [0xfeff].into_iter().chain("Kovač".encode_utf16()).flat_map(u16::to_le_bytes).collect();
        for (bytes, expected) in [
            (&b"\xef\xbb\xbf# Notes\r\n\r\n\r\n\r\nAnn  \n"[..], "# Notes\n\nAnn"),
            (b"{\"people\": [\"Ann\"]}", "{\"people\": [\"Ann\"]}"),
            (&korean, "한국은행 금리 결정에 대한 발표입니다. 회의 노트"),
            (&utf16, "Kovač"),
            (b"a\x1b[31mb\x07", "ab"),
            ("<b> is a tag, <html> another".as_bytes(), "<b> is a tag, <html> another"),
        ] {
            assert_eq!(read("notes.pdf", bytes).expect(expected), expected, "the content counts, not the name");
        }
    }

    #[test]
    fn pages_give_what_is_shown() {
        let page = "<?xml version=\"1.0\"?>\n<!-- by hand -->\n<!DOCTYPE html><html><head><title>T</title><style>p{}</style><script>alert(1)</script></head>\
                    <body><h1>회의 &amp; plan</h1><p>Ann <b>Kovač</b> &lt;data&gt;</p><ul><li>one<li>two</ul>\
                    <table><tr><th>Name<th>Role<tr><td>Ann<td>CEO</table><!-- hidden --></body></html>";
        let text = read("notes.txt", page.as_bytes()).expect("HTML");
        assert_eq!(text, "# 회의 & plan\n\nAnn Kovač <data>\n* one\n* two\n\nName Role\nAnn  CEO");
        let deep = format!("<html>{}x", "<blockquote>".repeat(3000));
        assert!(read("deep.html", deep.as_bytes()).is_ok());
        let wide = "<html><table><tr><td colspan=1000000000>x<td>y</table>";
        assert_eq!(read("wide.html", wide.as_bytes()).expect("wide"), "x y");
    }

    #[test]
    fn other_files_are_errors_with_their_name() {
        for (bytes, said) in [
            (&b""[..], "notes.txt: has no text; name a file"),
            (b" \r\n\t", "has no text"),
            (b"<html><script>alert(1)</script></html>", "has no text"),
            (
                b"\x89PNG\r\n\x1a\n\0\0",
                "is no text, Markdown, JSON, HTML, PDF or Word document (.docx); save its text as",
            ),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is a document of an old Office format; save"),
            (b"{\\rtf1 x}", "is a document in RTF; save"),
        ] {
            let error = read("notes.txt", bytes).expect_err(said).to_string();
            assert!(error.contains(said), "{error}");
        }
        assert!(read_document(Path::new("/dev/zero")).expect_err("endless").is_limit());
        let large = "words ".repeat(1 << 20);
        assert!(read("large.txt", large.as_bytes()).expect_err("too large").is_limit());
        for path in ["/", "/nowhere/notes.txt"] {
            assert_eq!(read_document(Path::new(path)).expect_err(path).kind, crate::ErrorKind::Io);
        }
    }
}
