//! Small text files that the user names: jobs, prompts, the configuration.

use std::io::Read as _;
use std::path::Path;

use vidgist::error::{Error, Result};

/// More than a job, a prompt or a configuration has.
const MAX_BYTES: u64 = 16 << 20;

/// Reads a text file. `advice` is what to do about a file that is not text.
///
/// # Errors
/// [`ErrorKind::Io`](vidgist::ErrorKind::Io) if it cannot be read, [`ErrorKind::Usage`](vidgist::ErrorKind::Usage) if it
/// is not UTF-8 or too large.
pub fn read_text(path: &Path, advice: &'static str) -> Result<String> {
    let io = |error| Error::io(path, error);
    let mut bytes = Vec::new();
    std::fs::File::open(path).map_err(io)?.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Error::usage(path.display(), format!("has more than {} MiB", MAX_BYTES >> 20), advice));
    }
    String::from_utf8(bytes).map_err(|_| Error::usage(path.display(), "is not a text file in UTF-8", advice))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_not_text_and_endless_ones_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        std::fs::write(&path, "version = 1").unwrap();
        assert_eq!(read_text(&path, "x").unwrap(), "version = 1");
        std::fs::write(&path, b"version\xff").unwrap();
        assert!(read_text(&path, "x").unwrap_err().to_string().contains("is not a text file in UTF-8; x"));
        assert!(read_text(Path::new("/dev/zero"), "x").unwrap_err().to_string().contains("has more than 16 MiB"));
        assert!(read_text(folder.path(), "x").is_err());
        assert!(read_text(&folder.path().join("none"), "x").unwrap_err().to_string().contains("no such file"));
    }
}
