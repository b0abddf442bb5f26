//! PDF documents, page by page.

use std::io::Read;

use flate2::read::{DeflateDecoder, ZlibDecoder};
use lopdf::Document;

use super::fault::{DocumentFault, MAX_RAW_TEXT};

/// Bytes of all streams when unpacked, those within others included: the parser has no limit of its own.
const MAX_UNPACKED: u64 = 128 << 20;
/// A byte of a stream of objects takes this many times the memory of one of pixels.
const OBJECT_WEIGHT: u64 = 8;
/// Streams within streams.
const MAX_DEPTH: u32 = 4;

pub(super) fn text(bytes: &[u8]) -> Result<String, DocumentFault> {
    let names = without_escapes(bytes);
    if contains(&names, b"/Encrypt") {
        return Err(DocumentFault::Other("is encrypted".to_owned()));
    }
    // Their size cannot be found out without unpacking them.
    if contains(&names, b"LZWDecode") {
        return Err(DocumentFault::Other("is packed in an old way (LZW)".to_owned()));
    }
    if !is_bounded(bytes, contains(&names, b"ASCII85Decode")) {
        return Err(DocumentFault::TooLarge(format!("has more than {} MiB when unpacked", MAX_UNPACKED >> 20)));
    }
    drop(names);
    let broken = |error: lopdf::Error| DocumentFault::Broken(error.to_string());
    let document = Document::load_mem(bytes).map_err(broken)?;
    let mut out = String::new();
    for number in document.get_pages().into_keys() {
        out.push_str(&ligatures_apart(&document.extract_text(&[number]).map_err(broken)?));
        out.push('\n');
        if out.len() > MAX_RAW_TEXT {
            return Err(DocumentFault::too_much_text());
        }
    }
    Ok(out)
}

/// Letters that fonts draw as one: `ﬁ` is `fi`.
fn ligatures_apart(text: &str) -> String {
    const LIGATURES: [&str; 7] = ["ff", "fi", "fl", "ffi", "ffl", "st", "st"];
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match (c as u32).checked_sub(0xfb00).and_then(|at| LIGATURES.get(at as usize)) {
            Some(letters) => out.push_str(letters),
            None => out.push(c),
        }
    }
    out
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

/// The bytes with `#4C` in names as `L`.
fn without_escapes(bytes: &[u8]) -> Vec<u8> {
    let hex = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at..] {
            [b'#', high, low, ..] if hex(high).is_some() && hex(low).is_some() => {
                out.push(hex(high).unwrap_or(0) << 4 | hex(low).unwrap_or(0));
                at += 3;
            }
            _ => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    out
}

/// Whether all streams together unpack to at most [`MAX_UNPACKED`]. Everything behind a word `stream` counts as one, whatever
/// the dictionary before it says.
fn is_bounded(bytes: &[u8], has_ascii85: bool) -> bool {
    const WORD: &[u8] = b"stream";
    let mut budget = MAX_UNPACKED;
    let mut dictionary = 0;
    for at in 0..bytes.len().saturating_sub(WORD.len()) {
        if !bytes[at..].starts_with(WORD) || bytes[..at].ends_with(b"end") {
            continue;
        }
        let is_objects = contains(&bytes[dictionary..at], b"ObjStm");
        dictionary = at;
        let data = &bytes[at + WORD.len()..];
        let data = data.strip_prefix(b"\r").unwrap_or(data);
        let data = data.strip_prefix(b"\n").unwrap_or(data);
        let weight = if is_objects { OBJECT_WEIGHT } else { 1 };
        if !spend(data, weight, has_ascii85, MAX_DEPTH, &mut budget) {
            return false;
        }
    }
    true
}

/// Takes the unpacked size of `data` from the budget; false where it does not suffice.
fn spend(data: &[u8], weight: u64, has_ascii85: bool, depth: u32, budget: &mut u64) -> bool {
    if depth == 0 {
        return false;
    }
    let mut forms = vec![unpacked(data, *budget / weight)];
    if has_ascii85 {
        let decoded = from_ascii85(data);
        forms.push(unpacked(&decoded, *budget / weight));
    }
    for unpacked in forms.into_iter().filter(|unpacked| !unpacked.is_empty()) {
        let Some(rest) = budget.checked_sub((unpacked.len() as u64).saturating_mul(weight)) else { return false };
        *budget = rest;
        let may_be_packed = has_ascii85 || unpacked[0] & 0x0f == 8;
        if may_be_packed && !spend(&unpacked, weight, has_ascii85, depth - 1, budget) {
            return false;
        }
    }
    true
}

/// What zlib makes of `data`, or raw deflate behind its header, as the parser tries; one byte more than `most` where it is longer.
fn unpacked(data: &[u8], most: u64) -> Vec<u8> {
    fn read(reader: impl Read, most: u64) -> Vec<u8> {
        let mut out = Vec::new();
        // Damage ends the data.
        let _ = reader.take(most + 1).read_to_end(&mut out);
        out
    }
    let out = read(ZlibDecoder::new(data), most);
    if out.is_empty() && data.len() > 2 { read(DeflateDecoder::new(&data[2..]), most) } else { out }
}

/// The bytes of ASCII85 up to its end.
fn from_ascii85(text: &[u8]) -> Vec<u8> {
    let (mut out, mut group) = (Vec::new(), Vec::with_capacity(5));
    for byte in text.iter().copied() {
        match byte {
            b'z' if group.is_empty() => out.extend([0; 4]),
            b'!'..=b'u' => group.push(u32::from(byte - b'!')),
            byte if byte.is_ascii_whitespace() => {}
            _ => break,
        }
        if group.len() == 5 {
            let value = group.drain(..).fold(0_u32, |value, digit| value.wrapping_mul(85).wrapping_add(digit));
            out.extend(value.to_be_bytes());
        }
    }
    if group.len() > 1 {
        let n_bytes = group.len() - 1;
        group.resize(5, 84);
        let value = group.into_iter().fold(0_u32, |value, digit| value.wrapping_mul(85).wrapping_add(digit));
        out.extend(&value.to_be_bytes()[..n_bytes]);
    }
    out
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;
    use lopdf::{Dictionary, Object, Stream, dictionary};

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).expect("packed");
        encoder.finish().expect("packed")
    }

    /// A document with one page for each content stream, given as its dictionary and bytes.
    fn document(contents: Vec<(Dictionary, Vec<u8>)>) -> Vec<u8> {
        let mut document = Document::with_version("1.5");
        let pages = document.new_object_id();
        let font = document.add_object(dictionary! {
            "Type" => "Font", "Subtype" => "Type1", "BaseFont" => "Helvetica", "Encoding" => "WinAnsiEncoding",
        });
        let resources = document.add_object(dictionary! { "Font" => dictionary! { "F1" => font } });
        let kids: Vec<Object> = contents
            .into_iter()
            .map(|(dictionary, bytes)| {
                let content = document.add_object(Stream::new(dictionary, bytes));
                let page = dictionary! { "Type" => "Page", "Parent" => pages, "Contents" => content, "Resources" => resources };
                document.add_object(page).into()
            })
            .collect();
        let count = kids.len() as i64;
        let tree = dictionary! { "Type" => "Pages", "Kids" => kids, "Count" => count };
        document.objects.insert(pages, tree.into());
        let catalog = document.add_object(dictionary! { "Type" => "Catalog", "Pages" => pages });
        document.trailer.set("Root", catalog);
        let mut bytes = Vec::new();
        document.save_to(&mut bytes).expect("saved");
        bytes
    }

    fn content(words: &str) -> Vec<u8> {
        format!("BT /F1 12 Tf 72 700 Td ({words}) Tj ET").into_bytes()
    }

    fn flate(words: &[u8]) -> (Dictionary, Vec<u8>) {
        (dictionary! { "Filter" => "FlateDecode" }, packed(words))
    }

    #[test]
    fn pages_are_read_in_order() {
        let bytes = document(vec![(dictionary! {}, content("Ann Kova leads")), flate(&content("the review"))]);
        let text = text(&bytes).expect("a PDF");
        assert_eq!(text.split_whitespace().collect::<Vec<_>>(), ["Ann", "Kova", "leads", "the", "review"]);
        assert_eq!(ligatures_apart("o\u{fb03}ce \u{fb01}rst"), "office first");
    }

    #[test]
    fn what_unpacks_to_too_much_is_refused() {
        let zeros = packed(&vec![b' '; (MAX_UNPACKED + 1) as usize]);
        let ascii85 = |bytes: &[u8]| {
            let mut out = Vec::new();
            for four in bytes.chunks(4) {
                let mut group = [0; 4];
                group[..four.len()].copy_from_slice(four);
                let value = u32::from_be_bytes(group);
                let digits: Vec<u8> = (0..5).rev().map(|at| (value / 85_u32.pow(at) % 85) as u8 + b'!').collect();
                out.extend(&digits[..=four.len()]);
            }
            out.extend(b"~>");
            out
        };
        assert_eq!(from_ascii85(&ascii85(b"any length")), b"any length");
        let twice = dictionary! { "Filter" => vec!["FlateDecode".into(), "FlateDecode".into()] };
        let both = dictionary! { "Filter" => vec!["ASCII85Decode".into(), "FlateDecode".into()] };
        for (filters, stream) in [
            (dictionary! { "Filter" => "FlateDecode" }, zeros.clone()),
            (twice, packed(&zeros)),
            (both, ascii85(&zeros)),
            // The library itself writes no objects of this type.
            (dictionary! { "Filter" => "FlateDecode", "Type" => "ObjXXX" }, packed(&vec![b' '; 20 << 20])),
        ] {
            let bytes = replaced(document(vec![(filters.clone(), stream)]), b"ObjXXX", b"ObjStm");
            assert!(bytes.len() < 1 << 20, "{filters:?}");
            assert!(matches!(text(&bytes), Err(DocumentFault::TooLarge(_))), "{filters:?}");
        }
        for name in [&b"LZWDecode"[..], b"LZ#57Decode"] {
            let bytes = document(vec![(dictionary! { "Filter" => "LZWDecode" }, b"x".to_vec())]);
            let bytes = replaced(bytes, b"LZWDecode", name);
            assert_eq!(text(&bytes), Err(DocumentFault::Other("is packed in an old way (LZW)".to_owned())));
        }
    }

    /// The bytes with the first `from` as `to`.
    fn replaced(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
        if let Some(at) = bytes.windows(from.len()).position(|window| window == from) {
            bytes.splice(at..at + from.len(), to.iter().copied());
        }
        bytes
    }

    #[test]
    fn broken_and_encrypted_files_are_errors() {
        let whole = document(vec![flate(&content("words"))]);
        for cut in [8, 40, whole.len() / 2, whole.len() - 20] {
            assert!(matches!(text(&whole[..cut]), Err(DocumentFault::Broken(_))), "{cut}");
        }
        let encrypted = replaced(whole.clone(), b"/Root", b"/Encrypt 9 0 R/Root");
        assert_eq!(text(&encrypted), Err(DocumentFault::Other("is encrypted".to_owned())));
        // A tree of pages that is its own child: the tree is the first object, the page the last but one.
        let circle = replaced(whole, b"/Kids[5 0 R]", b"/Kids[1 0 R]");
        assert!(circle.windows(12).any(|window| window == b"/Kids[1 0 R]"), "the page is the fifth object");
        assert_eq!(text(&circle).as_deref().map(str::trim), Ok(""));
    }
}
