//! Writes files atomically: a reader never sees a partial file.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::media::EncodedImage;

/// Writes `bytes` to `path`: to a temporary name in the same folder, synced, then renamed. Missing folders are
/// created; an existing file is replaced.
///
/// # Errors
/// [`ErrorKind::Io`](crate::ErrorKind::Io) about `path`; no partial file is left.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let told = |source: std::io::Error| Error::io(path, source);
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder).map_err(told)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".vidgist-").suffix(".tmp");
    // A temporary file is private by default; a result gets the permissions of the user's umask.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder).map_err(told)?;
    file.write_all(bytes).map_err(told)?;
    file.as_file().sync_all().map_err(told)?;
    file.persist(path).map_err(|e| told(e.error))?;
    // The rename is durable once the folder is synced, which not every file system supports.
    #[cfg(unix)]
    if let Err(error) = std::fs::File::open(folder).and_then(|folder| folder.sync_all()) {
        tracing::debug!(folder = %folder.display(), %error, "the folder could not be synced");
    }
    Ok(())
}

/// The first bytes of a file, at most `n_bytes`.
///
/// # Errors
/// [`ErrorKind::Io`](crate::ErrorKind::Io) about `path`.
pub(crate) fn read_head(path: &Path, n_bytes: usize) -> Result<Vec<u8>> {
    let io = |error| Error::io(path, error);
    let mut head = Vec::new();
    std::fs::File::open(path).map_err(io)?.take(n_bytes as u64).read_to_end(&mut head).map_err(io)?;
    Ok(head)
}

/// Bytes in lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The file name of a frame: `frame_000007_t00-04-12.480.jpg`, with its index from 0 and its time on the shared clock.
#[must_use]
pub fn frame_file_name(image: &EncodedImage) -> String {
    let time = image.time.to_string().replace(':', "-");
    format!("frame_{:06}_t{time}.{}", image.frame_idx, image.format.extension())
}

/// Writes the image into `folder` as [`frame_file_name`]; returns its path.
///
/// # Errors
/// As [`write_file`].
pub fn write_frame(image: &EncodedImage, folder: &Path) -> Result<PathBuf> {
    let path = folder.join(frame_file_name(image));
    write_file(&path, &image.bytes)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::ImageFormat;
    use crate::time::Timestamp;

    #[test]
    fn a_file_is_replaced_whole_and_no_temporary_one_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/folder/report.md");
        write_file(&path, b"first, and longer").unwrap();
        write_file(&path, b"second").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"second");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let plain = dir.path().join("plain");
            std::fs::write(&plain, b"").unwrap();
            let mode = |p: &Path| std::fs::metadata(p).unwrap().permissions().mode();
            assert_eq!(mode(&path), mode(&plain));
        }
    }

    #[test]
    fn a_failure_names_the_file_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("taken");
        std::fs::create_dir_all(path.join("inside")).unwrap();
        let error = write_file(&path, b"x").unwrap_err().to_string();
        assert!(error.starts_with(&path.display().to_string()), "{error}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn names_hold_index_and_time() {
        let image = |millis, format| EncodedImage {
            frame_idx: 7,
            pts: Timestamp::ZERO,
            time: Timestamp::from_millis(millis),
            width: 1,
            height: 1,
            format,
            bytes: bytes::Bytes::new(),
        };
        assert_eq!(frame_file_name(&image(252_480, ImageFormat::Jpeg)), "frame_000007_t00-04-12.480.jpg");
        assert_eq!(frame_file_name(&image(-1500, ImageFormat::Webp)), "frame_000007_t-00-00-01.500.webp");
    }
}
