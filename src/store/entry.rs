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

use super::key::{EntryKey, FORMAT_VERSION};
use crate::error::{Error, Result};

const MAGIC: &[u8; 8] = b"vidgist\n";
const CHECKSUM_AT: usize = 24;
const HEADER_BYTES: usize = CHECKSUM_AT + blake3::OUT_LEN;
/// The largest entry, so that reading one takes a bounded amount of memory.
pub(super) const MAX_ENTRY_BYTES: u64 = 1 << 30;

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

/// What lies under the name of an entry.
#[derive(Debug, PartialEq)]
pub(super) enum EntryState {
    Absent,
    Intact(IntactEntry),
    /// Written by a newer vidgist, in a format that is unknown here.
    Newer,
    /// Why it is of no use, as a phrase.
    Broken(&'static str),
}

/// An entry that passed all checks.
#[derive(Debug, PartialEq)]
pub(super) struct IntactEntry {
    pub metadata: EntryMetadata,
    pub payload: Vec<u8>,
    /// The size of its file.
    pub n_bytes: u64,
}

/// The bytes of an entry's file.
///
/// # Errors
/// [`ErrorKind::Limit`](crate::ErrorKind::Limit) beyond [`MAX_ENTRY_BYTES`].
pub(super) fn encode(metadata: &EntryMetadata, payload: &[u8]) -> Result<Vec<u8>> {
    let seen = &metadata.origin.seen;
    let failed = |problem: String| Error::internal("an entry of the store", problem, "");
    let metadata = serde_json::to_vec(metadata).map_err(|error| failed(error.to_string()))?;
    let n_bytes = HEADER_BYTES as u64 + metadata.len() as u64 + payload.len() as u64;
    if n_bytes > MAX_ENTRY_BYTES {
        let problem =
            format!("its result of {n_bytes} bytes is too large for the store, which takes {MAX_ENTRY_BYTES}");
        return Err(Error::limit(seen, problem, "split the input"));
    }
    let metadata_len = u32::try_from(metadata.len()).map_err(|error| failed(error.to_string()))?;
    let mut bytes = Vec::with_capacity(HEADER_BYTES + metadata.len() + payload.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes.extend_from_slice(&metadata_len.to_le_bytes());
    bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&[0; blake3::OUT_LEN]);
    bytes.extend_from_slice(&metadata);
    bytes.extend_from_slice(payload);
    let checksum = checksum(&bytes);
    bytes[CHECKSUM_AT..HEADER_BYTES].copy_from_slice(checksum.as_bytes());
    Ok(bytes)
}

/// Checks an entry; never [`EntryState::Absent`].
pub(super) fn decode(bytes: Vec<u8>) -> EntryState {
    match check(&bytes) {
        Ok(Some((metadata, payload_at))) => {
            let n_bytes = bytes.len() as u64;
            let mut payload = bytes;
            payload.drain(..payload_at);
            EntryState::Intact(IntactEntry { metadata, payload, n_bytes })
        }
        Ok(None) => EntryState::Newer,
        Err(problem) => EntryState::Broken(problem),
    }
}

/// The metadata, and where the payload begins; None for a newer format.
fn check(bytes: &[u8]) -> std::result::Result<Option<(EntryMetadata, usize)>, &'static str> {
    let (header, rest) = bytes.split_at_checked(HEADER_BYTES).ok_or("it is truncated")?;
    let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    if !header.starts_with(MAGIC) {
        return Err("it is not an entry");
    }
    match word(8) {
        FORMAT_VERSION => {}
        newer if newer > FORMAT_VERSION => return Ok(None),
        _ => return Err("its format is unknown"),
    }
    let payload_len = u64::from(word(16)) | u64::from(word(20)) << 32;
    let metadata_len = word(12) as usize;
    if rest.len() as u64 != payload_len.saturating_add(metadata_len as u64) {
        return Err("its length is wrong");
    }
    if checksum(bytes).as_bytes() != &header[CHECKSUM_AT..] {
        return Err("its checksum is wrong");
    }
    let metadata = rest.get(..metadata_len).ok_or("its length is wrong")?;
    let metadata = serde_json::from_slice(metadata).map_err(|_| "its metadata cannot be read")?;
    Ok(Some((metadata, HEADER_BYTES + metadata_len)))
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

    fn metadata() -> EntryMetadata {
        let key = EntryKey {
            stage: "transcript".into(),
            stage_version: 1,
            content: ContentId::of(b"film"),
            options: [("language".to_owned(), "ko".into())].into(),
            producer: None,
            prompt_version: None,
        };
        let origin = Origin { seen: "/films/a.mp4".into(), title: Some("A".into()), n_bytes: Some(4) };
        EntryMetadata { key, origin, created_ms: 1 }
    }

    #[test]
    fn every_changed_or_missing_byte_is_found() {
        let bytes = encode(&metadata(), b"payload").unwrap();
        let intact = IntactEntry { metadata: metadata(), payload: b"payload".to_vec(), n_bytes: bytes.len() as u64 };
        assert_eq!(decode(bytes.clone()), EntryState::Intact(intact));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let is_version = (9..12).contains(&at);
            let found = decode(changed);
            assert!(
                if is_version { found == EntryState::Newer } else { matches!(found, EntryState::Broken(_)) },
                "{at}: {found:?}"
            );
            assert!(matches!(decode(bytes[..at].to_vec()), EntryState::Broken(_)), "{at} bytes");
        }
        assert!(matches!(decode([&bytes[..], b"x"].concat()), EntryState::Broken(_)), "a byte too many");
    }

    #[test]
    fn a_payload_beyond_the_limit_is_refused() {
        // Zeros that nothing reads take no memory.
        let error = encode(&metadata(), &vec![0; 1 << 30]).unwrap_err();
        assert_eq!(error.kind, crate::ErrorKind::Limit);
        assert!(error.to_string().starts_with("/films/a.mp4: its result of 1073742"), "{error}");
    }
}
