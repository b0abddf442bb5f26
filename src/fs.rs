//! Writes files atomically: a reader never sees a partial file.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::{Error, Result};
use crate::media::EncodedImage;

/// Writes `bytes` to `path`: to a temporary name in the same folder, synced, then renamed. Missing folders are
/// created; an existing file is replaced.
///
/// # Errors
/// [`ErrorKind::Io`](crate::ErrorKind::Io) about `path`; no partial file is left.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    // A temporary file is private by default; a result gets the permissions of the user's umask.
    PendingFile::write(path, bytes, 0o666)?.publish()
}

/// A file that is complete and synced, but still has a temporary name. Dropped, it is removed.
pub(crate) struct PendingFile {
    file: NamedTempFile,
    path: PathBuf,
}

impl PendingFile {
    /// Writes the file that [`PendingFile::publish`] gives the name `path`, in the same folder, which is created.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) about `path`.
    pub fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<Self> {
        let told = |source: std::io::Error| Error::io(path, source);
        let mut pending = Self::create(path, mode)?;
        pending.file.write_all(bytes).map_err(told)?;
        pending.file.as_file().sync_all().map_err(told)?;
        Ok(pending)
    }

    /// Creates an empty file, for code that writes to its [`PendingFile::temporary_path`].
    ///
    /// # Errors
    /// As [`PendingFile::write`].
    pub fn create(path: &Path, mode: u32) -> Result<Self> {
        let told = |source: std::io::Error| Error::io(path, source);
        let folder = folder_of(path);
        std::fs::create_dir_all(folder).map_err(told)?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(".vidgist-").suffix(".tmp");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
        #[cfg(not(unix))]
        let _ = mode;
        let file = builder.tempfile_in(folder).map_err(told)?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Where the file is until it is published.
    pub fn temporary_path(&self) -> &Path {
        self.file.path()
    }

    /// Syncs the file and gives it its name, unless a file has that name.
    ///
    /// # Errors
    /// As [`PendingFile::write`].
    pub fn publish_new(self) -> Result<()> {
        let told = |source: std::io::Error| Error::io(&self.path, source);
        self.file.as_file().sync_all().map_err(told)?;
        self.file.persist_noclobber(&self.path).map_err(|e| told(e.error))?;
        sync_folder(&self.path);
        Ok(())
    }

    /// Gives the file its name, in place of the file that has it.
    ///
    /// # Errors
    /// As [`PendingFile::write`].
    pub fn publish(self) -> Result<()> {
        self.file.persist(&self.path).map_err(|e| Error::io(&self.path, e.error))?;
        sync_folder(&self.path);
        Ok(())
    }
}

/// A rename is durable once the folder is synced, which not every file system supports.
fn sync_folder(path: &Path) {
    #[cfg(unix)]
    if let Err(error) = std::fs::File::open(folder_of(path)).and_then(|folder| folder.sync_all()) {
        tracing::debug!(path = %path.display(), %error, "the folder could not be synced");
    }
    #[cfg(not(unix))]
    let _ = path;
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
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

/// Whether a name is of the form that [`frame_file_name`] makes, or that of a contact sheet.
fn is_frame_file(name: &str) -> bool {
    let Some((stem, extension)) = name.rsplit_once('.') else { return false };
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let is_time = |text: &str| {
        let parts: Vec<&str> = text.strip_prefix('-').unwrap_or(text).split(['-', '.']).collect();
        parts.len() == 4 && parts.iter().all(|part| is_digits(part))
    };
    let is_frame = stem.strip_prefix("frame_").and_then(|rest| rest.split_once("_t"));
    let is_sheet = stem.strip_prefix("contact-sheet-").is_some_and(is_digits);
    matches!(extension, "jpg" | "png" | "webp")
        && (is_sheet || is_frame.is_some_and(|(number, time)| number.len() >= 6 && is_digits(number) && is_time(time)))
}

/// The frames in `folder` that are not in `kept`, and the texts with the names of frames whose frame is not in `kept`.
pub(crate) fn other_captioned_frames(folder: &Path, kept: &HashSet<String>) -> Vec<PathBuf> {
    let stems: HashSet<&str> = kept.iter().filter_map(|name| Some(name.rsplit_once('.')?.0)).collect();
    let is_stale = |name: &str| {
        name.starts_with("frame_")
            && match name.strip_suffix(".txt") {
                Some(stem) => is_frame_file(&format!("{stem}.jpg")) && !stems.contains(stem),
                None => is_frame_file(name) && !kept.contains(name),
            }
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    let mut found: Vec<PathBuf> =
        files.filter(|file| file.file_name().to_str().is_some_and(is_stale)).map(|file| file.path()).collect();
    found.sort();
    found
}

/// Removes the frames and contact sheets that an earlier run wrote into `folder`: files with such names that are not in
/// `kept`. Other files stay.
///
/// # Errors
/// [`ErrorKind::Io`](crate::ErrorKind::Io) about a file that cannot be removed.
pub(crate) fn remove_other_frames(folder: &Path, kept: &HashSet<String>) -> Result<()> {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_stale = name.to_str().is_some_and(|name| is_frame_file(name) && !kept.contains(name));
        if is_stale && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            std::fs::remove_file(entry.path()).map_err(|error| Error::io(&entry.path(), error))?;
        }
    }
    Ok(())
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
        for ours in [
            &*frame_file_name(&image(252_480, ImageFormat::Jpeg)),
            &frame_file_name(&image(-1500, ImageFormat::Webp)),
            &frame_file_name(&image(500 * 3_600_000, ImageFormat::Png)),
            "contact-sheet-01.jpg",
        ] {
            assert!(is_frame_file(ours), "{ours}");
        }
        for other in [
            "frame_000007_t00-04-12.480.txt",
            "frame_7_t00-04-12.480.jpg",
            "frame_000007.jpg",
            "my_frame_000007_t00-04-12.480.jpg",
            "frame_000007_t00-04-12.480 (1).jpg",
            "contact-sheet.jpg",
            "contact-sheet-a.jpg",
            "report.md",
            "",
        ] {
            assert!(!is_frame_file(other), "{other}");
        }
    }

    #[test]
    fn frames_of_an_earlier_run_are_removed_and_other_files_stay() {
        let dir = tempfile::tempdir().unwrap();
        let names = ["frame_000000_t00-00-00.000.jpg", "frame_000001_t00-00-05.000.jpg", "notes.txt"];
        for name in names {
            std::fs::write(dir.path().join(name), name).unwrap();
        }
        std::fs::create_dir(dir.path().join("frame_000002_t00-00-06.000.jpg")).unwrap();
        remove_other_frames(dir.path(), &HashSet::from([names[1].to_owned()])).unwrap();
        let left: Vec<bool> = names.iter().map(|name| dir.path().join(name).exists()).collect();
        assert_eq!(left, [false, true, true]);
        assert!(dir.path().join("frame_000002_t00-00-06.000.jpg").is_dir());
        remove_other_frames(&dir.path().join("absent"), &HashSet::new()).unwrap();
    }
}
