//! Names the kind of a file that is not media, from its first bytes.

/// Bytes of a file's start that [`file_kind`] looks at.
pub const KIND_HEAD_BYTES: usize = 1024;

/// Signatures at the start of a file.
const SIGNATURES: [(&[u8], &str); 32] = [
    (b"%PDF-", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"{\\rtf", "an RTF document"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"MSCF", "a cabinet archive"),
    (b"\x7fELF", "a program (ELF)"),
    (b"\xca\xfe\xba\xbe", "a program (Mach-O or Java)"),
    (b"\xcf\xfa\xed\xfe", "a program (Mach-O)"),
    (b"\0asm", "a program (WebAssembly)"),
    // Not `#!AMR`, which is audio.
    (b"#!/", "a script"),
    (b"#! ", "a script"),
    (b"SQLite format 3\0", "a SQLite database"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Office document"),
    (b"MThd", "a MIDI file, which holds notes and no sound"),
    (b"8BPS", "a Photoshop picture"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL picture"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 picture"),
    (b"qoif", "a QOI picture"),
    (b"\0\0\x01\0", "an icon"),
    (b"wOFF", "a font"),
    (b"wOF2", "a font"),
    (b"OTTO", "a font"),
    (b"#EXTM3U", "a playlist"),
    (b"[playlist]", "a playlist"),
    (b"version https://git-lfs.github.com/", "a Git LFS pointer: the file itself has not been downloaded"),
    (b"WEBVTT", "a WebVTT subtitle file"),
];

/// The kind of a file that is neither a media container nor a picture that is read, as a noun with its article: `a web
/// page (HTML)`. None for media, and where the kind is not known.
#[must_use]
pub fn file_kind(head: &[u8]) -> Option<&'static str> {
    if let Some((_, kind)) = SIGNATURES.iter().find(|(signature, _)| head.starts_with(signature)) {
        return Some(kind);
    }
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        return Some(zip_kind(head));
    }
    if head.starts_with(b"MZ") && head.len() > 64 {
        return Some("a program (Windows)");
    }
    if head.get(257..262) == Some(b"ustar") {
        return Some("a tar archive");
    }
    if head.get(4..8) == Some(b"ftyp") {
        return picture_brand(head);
    }
    if head.len() >= 16 && head.iter().all(|byte| *byte == 0) {
        return Some("a file of zeros: the download or copy was not finished");
    }
    text_kind(head)
}

/// Whether a file may hold subtitles, by its first bytes: formats such as LRC look like any other text.
#[must_use]
pub fn may_be_subtitles(head: &[u8]) -> bool {
    let kinds = [
        "a WebVTT subtitle file",
        "a TTML subtitle file",
        "a subtitle file",
        "a subtitle file (ASS)",
        "an XML document",
        "a JSON document",
        "plain text",
        "plain text (UTF-16)",
    ];
    file_kind(head).is_some_and(|kind| kinds.contains(&kind))
}

fn zip_kind(head: &[u8]) -> &'static str {
    let has = |part: &[u8]| head.windows(part.len()).any(|window| window == part);
    if has(b"word/") || has(b"xl/") || has(b"ppt/") || has(b"[Content_Types].xml") {
        "an Office document"
    } else if has(b"mimetypeapplication/epub") {
        "an EPUB book"
    } else if has(b"mimetypeapplication/vnd.oasis.opendocument") {
        "an OpenDocument file"
    } else {
        "a zip archive"
    }
}

/// Pictures in the container of MP4 that are not read.
fn picture_brand(head: &[u8]) -> Option<&'static str> {
    (head.get(8..12)? == b"crx ").then_some("a camera's raw picture (CR3)")
}

/// `heic` or `avif` for a still picture in the container of MP4 (ISO/IEC 23008-12); None for others, and for sequences of
/// pictures, which are videos.
#[must_use]
pub fn heif_format(head: &[u8]) -> Option<&'static str> {
    if head.get(4..8)? != b"ftyp" {
        return None;
    }
    let n_bytes = u32::from_be_bytes(head.get(..4)?.try_into().ok()?) as usize;
    let brands = head.get(8..n_bytes.max(12).min(head.len())).filter(|brands| brands.len() >= 4)?;
    let has = |brand: &[u8]| brands.chunks_exact(4).enumerate().any(|(at, found)| at != 1 && found == brand);
    match &brands[..4] {
        b"avif" => Some("avif"),
        b"heic" | b"heix" | b"heim" | b"heis" => Some("heic"),
        b"mif1" => Some(if has(b"avif") { "avif" } else { "heic" }),
        _ => None,
    }
}

/// None where the bytes are not text.
fn text_kind(head: &[u8]) -> Option<&'static str> {
    let text = match head {
        [0xef, 0xbb, 0xbf, rest @ ..] => rest,
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => return Some("plain text (UTF-16)"),
        _ => head,
    };
    let is_text = |byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b | 0x20..=0x7e | 0x80..);
    if text.is_empty() || !text.iter().all(is_text) {
        return None;
    }
    // A cut character at the end is no error.
    let end = text.len().saturating_sub(3);
    let is_utf8 = std::str::from_utf8(text).is_ok_and(|_| true)
        || std::str::from_utf8(text).is_err_and(|error| error.valid_up_to() >= end);
    if !is_utf8 && text.iter().filter(|byte| **byte >= 0x80).count() * 3 > text.len() {
        return None;
    }
    let start: Vec<u8> = text.trim_ascii_start().iter().take(512).map(u8::to_ascii_lowercase).collect();
    let has = |part: &[u8]| start.windows(part.len()).any(|window| window == part);
    let kind = match start.as_slice() {
        [b'<', ..] if has(b"<html") || has(b"<!doctype html") || has(b"<head") || has(b"<body") => "a web page (HTML)",
        [b'<', ..] if has(b"<svg") => "an SVG drawing",
        [b'<', ..] if has(b"<mpd") || has(b"<smil") => "a playlist",
        [b'<', ..] if has(b"<tt ") || has(b"<tt>") => "a TTML subtitle file",
        [b'<', ..] if has(b"<error>") || has(b"<code>") => "an error message of a server (XML)",
        [b'<', ..] => "an XML document",
        [b'{' | b'[', ..] if has(b"\"") || has(b"]") || has(b"}") => "a JSON document",
        _ if has(b" --> ") => "a subtitle file",
        _ if start.starts_with(b"[script info]") => "a subtitle file (ASS)",
        _ if start.starts_with(b"d8:announce") => "a torrent, which only names the file",
        _ if start.starts_with(b"ffconcat") => "a playlist",
        _ => "plain text",
    };
    Some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subtitles_are_text() {
        for head in [
            &b"WEBVTT\n\n"[..],
            b"1\n00:00:01,000 --> 00:00:02,000\nHello\n",
            b"[00:12.00]Hello",
            b"{1}{20}Hello",
            b"{\"segments\": []}",
            b"<?xml version='1.0'?><tt xmlns='x'>",
            b"\xff\xfe1\0",
            "0:00:01.000,0:00:02.000\n안녕".as_bytes(),
        ] {
            assert!(may_be_subtitles(head), "{head:?}");
        }
        for head in [&b"%PDF-1.7"[..], b"\0\0\0\x20ftypisom", b"<!doctype html><title>404</title>", b"RIFF\0\0\0\0AVI "]
        {
            assert!(!may_be_subtitles(head), "{head:?}");
        }
    }

    #[test]
    fn kinds_are_named() {
        for (head, kind) in [
            (&b"<!doctype html><title>404</title>"[..], "a web page (HTML)"),
            (b"\xef\xbb\xbf  \n<HTML lang=en>", "a web page (HTML)"),
            (b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>", "an error message of a server (XML)"),
            (b"{\"detail\": \"Not Found\"}", "a JSON document"),
            (b"%PDF-1.7 \x80", "a PDF document"),
            (b"PK\x03\x04\x14\0\0\0holiday.mp4", "a zip archive"),
            (b"PK\x03\x04\x14\0\0\0word/document.xml", "an Office document"),
            (b"1\n00:00:01,000 --> 00:00:02,000\nHello\n", "a subtitle file"),
            (b"Not found\n", "plain text"),
            (b"Gr\xfc\xdfe aus K\xf6ln", "plain text"),
            (b"#EXTM3U\n#EXT-X-VERSION:3\n", "a playlist"),
            (b"\0\0\0\x18ftypcrx \0\0\0\0", "a camera's raw picture (CR3)"),
            (
                b"version https://git-lfs.github.com/spec/v1\n",
                "a Git LFS pointer: the file itself has not been downloaded",
            ),
            (&[0; 64], "a file of zeros: the download or copy was not finished"),
        ] {
            assert_eq!(file_kind(head), Some(kind), "{}", String::from_utf8_lossy(head));
        }
    }

    #[test]
    fn heif_brands() {
        for (head, format) in [
            (&b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"[..], Some("heic")),
            (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf", Some("avif")),
            (b"\0\0\0\x18ftypmif1\0\0\0\0avifmif1", Some("avif")),
            (b"\0\0\0\x18ftypmif1\0\0\0\0heicmif1avif", Some("heic")),
            (b"\0\0\0\x18ftypmsf1\0\0\0\0hevcmif1", None),
            (b"\0\0\0\x18ftypavis\0\0\0\0avifmif1", None),
            (b"\0\0\0\x18ftypisom\0\0\0\0", None),
            (b"\xff\xff\xff\xffftypheic", Some("heic")),
            (b"\0\0\0\0ftyphei", None),
            (b"ftyp", None),
        ] {
            assert_eq!(heif_format(head), format, "{}", String::from_utf8_lossy(head));
        }
    }

    #[test]
    fn media_and_unknown_bytes_have_no_kind() {
        for head in [
            &b"\0\0\0\x18ftypisom\0\0\0\0"[..],
            b"\x1a\x45\xdf\xa3\x01\0\0\0",
            b"RIFF\x24\0\0\0WAVEfmt ",
            b"\x47\x40\0\x10\0\0\xb0\x0d",
            b"\0\0\0\x01\x67\x64\0\x1f",
            b"ID3\x04\0\0\0\0\0\x23",
            b"\xff\xd8\xff\xe0\0\x10JFIF",
            b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR",
            b"",
        ] {
            assert_eq!(file_kind(head), None, "{head:?}");
        }
    }
}
