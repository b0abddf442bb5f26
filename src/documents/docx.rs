//! Word documents: ZIP files with the paragraphs in `word/document.xml`.

use std::io::{Cursor, Read as _};

use quick_xml::Reader;
use quick_xml::events::Event;
use quick_xml::events::{BytesRef, BytesStart};
use zip::ZipArchive;
use zip::result::ZipError;

use super::fault::{DocumentFault, MAX_RAW_TEXT};

/// Bytes of an unpacked part: markup is some ten times as long as its text.
const MAX_PART_BYTES: u64 = 64 << 20;
/// The parts that are read: the text, then its notes.
const PARTS: [(&str, bool); 3] =
    [("word/document.xml", true), ("word/footnotes.xml", false), ("word/endnotes.xml", false)];

pub(super) fn text(bytes: &[u8]) -> Result<String, DocumentFault> {
    let broken = |error: ZipError| DocumentFault::Broken(error.to_string());
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
    let mut out = String::new();
    for (name, is_required) in PARTS {
        let mut part = match archive.by_name(name) {
            Ok(part) => part.take(MAX_PART_BYTES + 1),
            Err(ZipError::FileNotFound) if is_required => {
                return Err(DocumentFault::Other("is a ZIP file that holds no Word document".to_owned()));
            }
            Err(ZipError::FileNotFound) => continue,
            Err(error) => return Err(broken(error)),
        };
        let mut xml = Vec::new();
        part.read_to_end(&mut xml).map_err(|error| DocumentFault::Broken(error.to_string()))?;
        if xml.len() as u64 > MAX_PART_BYTES {
            let problem = format!("has a part of more than {} MiB when unpacked", MAX_PART_BYTES >> 20);
            return Err(DocumentFault::TooLarge(problem));
        }
        let xml = String::from_utf8(xml).map_err(|_| DocumentFault::Broken(format!("{name} is not in UTF-8")))?;
        paragraphs(&xml, &mut out)?;
    }
    Ok(out)
}

/// Appends the paragraphs of a part, a line each, and rows of tables with a tab between their cells. Deleted text, fields and
/// the second form of shapes are left out.
fn paragraphs(xml: &str, out: &mut String) -> Result<(), DocumentFault> {
    let mut reader = Reader::from_str(xml);
    reader.config_mut().check_end_names = false;
    let (mut in_text, mut n_fallbacks, mut n_cells) = (false, 0_u32, 0_u32);
    loop {
        if out.len() > MAX_RAW_TEXT {
            return Err(DocumentFault::too_much_text());
        }
        match reader.read_event().map_err(|error| DocumentFault::Broken(error.to_string()))? {
            Event::Start(tag) => match local_name(&tag) {
                "t" => in_text = n_fallbacks == 0,
                "tc" => n_cells += 1,
                "Fallback" => n_fallbacks += 1,
                _ => {}
            },
            Event::Empty(tag) if n_fallbacks == 0 => match local_name(&tag) {
                "tab" => out.push('\t'),
                "br" | "cr" => out.push('\n'),
                "noBreakHyphen" => out.push('-'),
                _ => {}
            },
            Event::End(tag) => match tag.local_name().into_inner() {
                "t" => in_text = false,
                "p" if n_cells == 0 => out.push('\n'),
                "p" => out.push(' '),
                "tc" => {
                    n_cells = n_cells.saturating_sub(1);
                    out.push('\t');
                }
                "tr" => out.push('\n'),
                "Fallback" => n_fallbacks = n_fallbacks.saturating_sub(1),
                _ => {}
            },
            Event::Text(text) if in_text => out.push_str(&text),
            Event::CData(text) if in_text => out.push_str(&text),
            Event::GeneralRef(name) if in_text => out.push(character(&name)),
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

fn local_name<'a>(tag: &'a BytesStart<'_>) -> &'a str {
    tag.local_name().into_inner()
}

/// The character of a reference. Entities of a document type are not expanded.
fn character(name: &BytesRef<'_>) -> char {
    if let Ok(Some(character)) = name.resolve_char_ref() {
        return character;
    }
    match &**name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => '\u{fffd}',
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn packed(parts: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in parts {
            writer.start_file(*name, SimpleFileOptions::default()).expect("a part");
            writer.write_all(bytes).expect("written");
        }
        writer.finish().expect("a file").into_inner()
    }

    fn document(body: &str) -> Vec<u8> {
        let xml = format!("<?xml version=\"1.0\"?><w:document xmlns:w=\"w\"><w:body>{body}</w:body></w:document>");
        packed(&[("[Content_Types].xml", b"<Types/>"), ("word/document.xml", xml.as_bytes())])
    }

    #[test]
    fn paragraphs_and_tables_are_read() {
        let body = "<w:p><w:r><w:t xml:space=\"preserve\">Ann Kova\u{10d} </w:t></w:r><w:r><w:t>speaks &amp; &#xD55C;&quot;</w:t></w:r></w:p>\
                    <w:p><w:del><w:r><w:delText>gone</w:delText></w:r></w:del><w:r><w:tab/><w:instrText>PAGE</w:instrText><w:t>two</w:t></w:r></w:p>\
                    <w:tbl><w:tr><w:tc><w:p><w:r><w:t>Name</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>Role</w:t></w:r></w:p></w:tc></w:tr></w:tbl>\
                    <mc:AlternateContent><mc:Choice><w:t>box</w:t></mc:Choice><mc:Fallback><w:t>box</w:t></mc:Fallback></mc:AlternateContent>";
        assert_eq!(text(&document(body)).as_deref(), Ok("Ann Kova\u{10d} speaks & 한\"\n\ttwo\nName \tRole \t\nbox"));
    }

    #[test]
    fn hostile_files_end_in_an_error() {
        let entities = "<!DOCTYPE a [<!ENTITY b \"bbbb\"><!ENTITY c \"&b;&b;\">]><w:p><w:t>&c;</w:t></w:p>";
        assert_eq!(text(&document(entities)).as_deref(), Ok("\u{fffd}\n"), "entities are not expanded");
        let deep = document(&"<w:p>".repeat(300_000));
        assert_eq!(text(&deep).as_deref(), Ok(""));
        let bomb = packed(&[("word/document.xml", &vec![b' '; (MAX_PART_BYTES + 1) as usize])]);
        assert!(bomb.len() < 1 << 20);
        assert!(matches!(text(&bomb), Err(DocumentFault::TooLarge(_))));
        let long = document(&format!("<w:t>{}</w:t>", "words ".repeat(1 << 20)));
        assert_eq!(text(&long), Err(DocumentFault::too_much_text()));
        assert!(matches!(text(&packed(&[("content.xml", b"")])), Err(DocumentFault::Other(_))));
        let whole = document("<w:p><w:t>text</w:t></w:p>");
        for cut in [4, 30, whole.len() / 2, whole.len() - 4] {
            assert!(matches!(text(&whole[..cut]), Err(DocumentFault::Broken(_))), "{cut}");
        }
        assert!(matches!(text(&document("<w:p><w:t>a</w:t")), Err(DocumentFault::Broken(_)) | Ok(_)));
        let latin = packed(&[("word/document.xml", b"<w:t>\xe4</w:t>")]);
        assert!(matches!(text(&latin), Err(DocumentFault::Broken(_))));
    }
}
