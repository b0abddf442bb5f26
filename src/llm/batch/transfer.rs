//! Files and ids that are exchanged with a batch API.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _, stream};
use serde_json::Value;
use tokio::io::AsyncReadExt as _;

use crate::error::ErrorCode;
use crate::http::{ReadStream, RequestError, RequestErrorKind, tidy};

/// Bytes of a file in one chunk.
const CHUNK_BYTES: usize = 64 << 10;
/// A longer id is invalid.
const MAX_ID_BYTES: usize = 256;

/// An id in a reply. It is checked because it becomes part of the paths of later requests.
pub(super) fn id(reply: &Value, name: &str) -> Result<String, RequestError> {
    let id = reply[name].as_str().unwrap_or_default();
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':' | b'.');
    if (1..=MAX_ID_BYTES).contains(&id.len()) && id.bytes().all(is_valid) && !id.bytes().all(|byte| byte == b'.') {
        return Ok(id.to_owned());
    }
    Err(RequestError::new(
        RequestErrorKind::InvalidBody,
        format!("the reply's {name} is not a valid id: {}", tidy(&reply[name].to_string())),
        "",
    ))
}

/// The bytes of a file in chunks. The file is opened with the first chunk, so that each attempt begins at its start.
pub(super) fn chunks(path: &Path) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    let path = path.to_owned();
    stream::once(async move { tokio::fs::File::open(path).await })
        .map_ok(|file| {
            stream::try_unfold(file, async |mut file| {
                let mut chunk = vec![0; CHUNK_BYTES];
                let n = file.read(&mut chunk).await?;
                chunk.truncate(n);
                Ok((n > 0).then(|| (Bytes::from(chunk), file)))
            })
        })
        .try_flatten()
}

/// Writes results to a temporary file, so that a failed attempt leaves nothing in the final file.
pub(super) struct TemporaryResults {
    pub file: std::io::Result<File>,
}

/// A temporary file in the folder of `path`.
pub(super) fn temporary_file(path: &Path) -> std::io::Result<File> {
    tempfile::tempfile_in(path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

impl ReadStream for TemporaryResults {
    type Output = File;

    fn feed(&mut self, bytes: &[u8]) -> Result<(), RequestError> {
        let written = match &mut self.file {
            Ok(file) => file.write_all(bytes),
            Err(error) => Err(std::io::Error::new(error.kind(), error.to_string())),
        };
        written.map_err(|error| cannot_write(&error))
    }

    fn finish(self) -> Result<File, RequestError> {
        self.file.map_err(|error| cannot_write(&error))
    }
}

fn cannot_write(error: &std::io::Error) -> RequestError {
    let problem = format!("results cannot be written: {error}");
    RequestError::new(RequestErrorKind::Final, problem, "").with_code(ErrorCode::Io)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_are_safe_in_paths() {
        for valid in ["batch_6903", "msgbatch_01Hk", "file-abc:1.2"] {
            assert_eq!(id(&json!({"id": valid}), "id").expect(valid), valid);
        }
        for bad in [json!(null), json!(7), json!(""), json!(".."), json!("a/b"), json!("a?b"), json!("a".repeat(300))] {
            assert!(id(&json!({ "id": bad }), "id").is_err(), "{bad}");
        }
    }
}
