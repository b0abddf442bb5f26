//! The format of an entry: a header of fixed size, metadata as JSON, the payload.
//!
//! | bytes | content, little-endian |
//! |---|---|
//! | 8 | `vidgist\n` |
//! | 4 | version of the format |
//! | 4 | length of the metadata |
//! | 8 | length of the payload |
//! | 32 | BLAKE3 of all other bytes |

use serde::{Deserialize, Serialize};

use super::key::EntryKey;
use crate::error::{Error, Result};

const MAGIC: &[u8; 8] = b"vidgist\n";
const VERSION: u32 = 1;
const CHECKSUM_AT: usize = 24;
const HEADER_BYTES: usize = CHECKSUM_AT + blake3::OUT_LEN;

/// Where a content was met, to be listed: it decides no result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// The path of the file, `stdin`, or the address that it was downloaded from. Untrusted.
    pub seen: String,
    /// The title that the container states. Untrusted.
    pub title: Option<String>,
    /// The size of the file in bytes; None where it is not known.
    pub n_bytes: Option<u64>,
}

/// What an entry says about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EntryMetadata {
    pub key: EntryKey,
    pub origin: Origin,
    /// Milliseconds since 1970.
    pub created_ms: i64,
}

/// The bytes of an entry's file.
pub(super) fn encode(metadata: &EntryMetadata, payload: &[u8]) -> Result<Vec<u8>> {
    let failed = |problem: String| Error::internal("an entry of the store", problem, "");
    let metadata = serde_json::to_vec(metadata).map_err(|error| failed(error.to_string()))?;
    let metadata_len = u32::try_from(metadata.len()).map_err(|error| failed(error.to_string()))?;
    let mut bytes = Vec::with_capacity(HEADER_BYTES + metadata.len() + payload.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&metadata_len.to_le_bytes());
    bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&[0; blake3::OUT_LEN]);
    bytes.extend_from_slice(&metadata);
    bytes.extend_from_slice(payload);
    let checksum = checksum(&bytes);
    bytes[CHECKSUM_AT..HEADER_BYTES].copy_from_slice(checksum.as_bytes());
    Ok(bytes)
}

/// Checks an entry; its metadata and its payload.
///
/// # Errors
/// What is wrong with it, as a phrase.
pub(super) fn decode(bytes: &[u8]) -> std::result::Result<(EntryMetadata, &[u8]), &'static str> {
    let (header, rest) = bytes.split_at_checked(HEADER_BYTES).ok_or("it is truncated")?;
    let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    if !header.starts_with(MAGIC) {
        return Err("it is not an entry");
    }
    if word(8) != VERSION {
        return Err("it has another version of the format");
    }
    let payload_len = u64::from(word(16)) | u64::from(word(20)) << 32;
    let metadata_len = word(12) as usize;
    if rest.len() as u64 != payload_len.saturating_add(metadata_len as u64) {
        return Err("its length is wrong");
    }
    if checksum(bytes).as_bytes() != &header[CHECKSUM_AT..] {
        return Err("its checksum is wrong");
    }
    let (metadata, payload) = rest.split_at_checked(metadata_len).ok_or("its length is wrong")?;
    Ok((serde_json::from_slice(metadata).map_err(|_| "its metadata cannot be read")?, payload))
}

/// The BLAKE3 of everything but the checksum itself. `bytes` has a header.
fn checksum(bytes: &[u8]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&bytes[..CHECKSUM_AT]);
    hasher.update_rayon(&bytes[HEADER_BYTES..]);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::ContentId;

    #[test]
    fn every_changed_or_missing_byte_is_found() {
        let key = EntryKey {
            stage: "transcript".into(),
            stage_version: 1,
            content: ContentId::of(b"film"),
            options: [("language".to_owned(), "ko".into())].into(),
            producer: None,
            prompt_version: None,
        };
        let origin = Origin { seen: "/films/a.mp4".into(), title: Some("A".into()), n_bytes: Some(4) };
        let metadata = EntryMetadata { key, origin, created_ms: 1 };
        let bytes = encode(&metadata, b"payload").unwrap();
        assert_eq!(decode(&bytes).unwrap(), (metadata, &b"payload"[..]));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            decode(&changed).expect_err("a changed byte");
            decode(&bytes[..at]).expect_err("a truncated entry");
        }
        decode(&[&bytes[..], b"x"].concat()).expect_err("a byte too many");
    }
}
