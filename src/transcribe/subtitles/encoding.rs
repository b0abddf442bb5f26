//! Text encodings: UTF-8, UTF-16 with or without a byte order mark, otherwise Windows-1252.

use encoding_rs::{Encoding, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// Decodes any bytes; invalid ones become U+FFFD.
pub(super) fn decode(bytes: &[u8]) -> String {
    if let Some((encoding, n_mark)) = Encoding::for_bom(bytes) {
        return encoding.decode_without_bom_handling(&bytes[n_mark..]).0.into_owned();
    }
    if let Some(encoding) = unmarked_utf16(bytes) {
        return encoding.decode_without_bom_handling(bytes).0.into_owned();
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        // A file cut off inside its last character is still UTF-8.
        Err(e) if e.error_len().is_none() => String::from_utf8_lossy(&bytes[..e.valid_up_to()]).into_owned(),
        Err(_) => WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned(),
    }
}

/// Times and line ends are ASCII, so UTF-16 has a zero in every other byte.
fn unmarked_utf16(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = &bytes[..bytes.len().min(512) / 2 * 2];
    let zeros = |odd: usize| head.iter().skip(odd).step_by(2).filter(|b| **b == 0).count();
    let n_pairs = head.len() / 2;
    let (even, odd) = (zeros(0), zeros(1));
    if n_pairs < 4 {
        None
    } else if odd * 2 > n_pairs && even * 8 < n_pairs {
        Some(UTF_16LE)
    } else if even * 2 > n_pairs && odd * 8 < n_pairs {
        Some(UTF_16BE)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_encodings_of_subtitles() {
        let text = "1\n00:00:01,000 --> 00:00:02,000\nÇa va, déjà\n";
        let utf16 = |to: fn(u16) -> [u8; 2]| -> Vec<u8> { text.encode_utf16().flat_map(to).collect() };
        let marked = |mark: &[u8], body: Vec<u8>| [mark, &body].concat();
        for bytes in [
            text.as_bytes().to_vec(),
            marked(b"\xef\xbb\xbf", text.as_bytes().to_vec()),
            marked(b"\xff\xfe", utf16(u16::to_le_bytes)),
            marked(b"\xfe\xff", utf16(u16::to_be_bytes)),
            utf16(u16::to_le_bytes),
            utf16(u16::to_be_bytes),
            text.chars().map(|c| c as u8).collect(),
        ] {
            assert_eq!(decode(&bytes), text);
        }
        assert_eq!(decode(&"é".as_bytes()[..1]), "");
    }
}
