//! Runs yt-dlp: recognizes an address, and downloads captions and media.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use super::arguments::{CAPTIONS, MEDIA, PROGRESS, to_download, to_recognize, to_write_captions};
use super::captions::CaptionTrack;
use super::video::SiteAnswer;
use super::{SiteAccess, SiteMedia};
use crate::error::{Error, ErrorCode, Result};
use crate::limits::Limits;
use crate::program::{ProgramFailure, ProgramOutcome, run_program};
use crate::sanitize::{clean_line, excerpt, shown_input};

/// The command that installs it.
const INSTALL: &str = "pipx install yt-dlp";
/// The description of a video has some megabytes, that of a long playlist more.
const MAX_JSON_BYTES: usize = 64 << 20;
const MAX_LINE_BYTES: usize = 64 << 10;
/// The part of its messages that an error shows, in characters.
const MAX_MESSAGE_CHARS: usize = 1000;
/// How often the size of a download is checked.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// Receives the bytes that are downloaded, and all there are; None where that is not known.
pub type DownloadProgress<'a> = &'a (dyn Fn(u64, Option<u64>) + Send + Sync);

/// What `url` is to yt-dlp. With `takes_playlist`, a video that stands in a playlist is the playlist.
///
/// # Errors
/// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where yt-dlp is not installed;
/// [`ErrorKind::Service`](crate::ErrorKind::Service), with its own message, where it fails.
pub async fn recognize(url: &Url, access: &SiteAccess, takes_playlist: bool) -> Result<SiteAnswer> {
    let args = to_recognize(url, access, takes_playlist);
    let mut json = Vec::new();
    let mut on_line = |line: &[u8]| {
        if line.starts_with(b"{") {
            json = line.to_vec();
        }
    };
    // Nothing is written: any folder will do.
    let outcome = run_program(&access.program, &args, Path::new("/"), MAX_JSON_BYTES, &mut on_line).await;
    succeed(url, outcome)?;
    SiteAnswer::from_json(&json, url)
}

/// Downloads one track of captions into `folder`, which must be empty but for media; the file.
///
/// # Errors
/// As [`recognize`].
pub async fn download_captions(url: &Url, access: &SiteAccess, track: &CaptionTrack, folder: &Path) -> Result<PathBuf> {
    let args = to_write_captions(url, access, track, folder);
    let place = (folder, Limits::default().max_subtitle_bytes);
    run((url, access), &args, place, &mut |_| {}).await?;
    downloaded(url, CAPTIONS, folder, "it wrote no captions")
}

/// Downloads media into `folder`; the file. `on_progress` is called while it runs.
///
/// # Errors
/// As [`recognize`]; [`ErrorKind::Limit`](crate::ErrorKind::Limit) above [`Limits::max_download_bytes`].
pub async fn download_media(
    url: &Url,
    access: &SiteAccess,
    media: SiteMedia,
    (folder, limits): (&Path, &Limits),
    on_progress: DownloadProgress<'_>,
) -> Result<PathBuf> {
    let max_bytes = limits.max_download_bytes;
    let args = to_download(url, access, media, max_bytes, folder);
    let mut last = String::new();
    let mut on_line = |line: &[u8]| {
        let line = String::from_utf8_lossy(line);
        match line.strip_prefix(PROGRESS) {
            Some(numbers) => {
                let mut numbers = numbers.split(' ').map(|number| number.parse::<f64>().ok().map(|n| n as u64));
                if let Some(Some(n_bytes)) = numbers.next() {
                    on_progress(n_bytes, numbers.next().flatten());
                }
            }
            None if !line.trim().is_empty() => last = line.into_owned(),
            None => {}
        }
    };
    run((url, access), &args, (folder, max_bytes), &mut on_line).await?;
    downloaded(url, MEDIA, folder, &last)
}

/// Runs a download, and stops it when its files exceed `max_bytes` in total.
async fn run(
    (url, access): (&Url, &SiteAccess),
    args: &[OsString],
    (folder, max_bytes): (&Path, u64),
    on_line: &mut (dyn FnMut(&[u8]) + Send),
) -> Result<()> {
    let too_large = async {
        loop {
            tokio::time::sleep(CHECK_INTERVAL).await;
            if size_of(folder) > max_bytes {
                return;
            }
        }
    };
    tokio::select! {
        outcome = run_program(&access.program, args, folder, MAX_LINE_BYTES, on_line) => succeed(url, outcome)?,
        () = too_large => return Err(larger(url, max_bytes)),
    }
    if size_of(folder) > max_bytes { Err(larger(url, max_bytes)) } else { Ok(()) }
}

fn larger(url: &Url, max_bytes: u64) -> Error {
    let problem = format!("the download is larger than {max_bytes} bytes");
    Error::limit(shown_input(url.as_str()), problem, "download a part of it with yt-dlp, and name the file")
}

/// Bytes of the files in a folder.
fn size_of(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).filter(std::fs::Metadata::is_file).map(|file| file.len()).sum()
}

/// The largest complete file of a name, with any ending.
fn downloaded(url: &Url, name: &str, folder: &Path, message: &str) -> Result<PathBuf> {
    let files = std::fs::read_dir(folder).map_err(|error| Error::io(folder, error))?;
    let found = files.flatten().filter_map(|file| {
        let path = file.path();
        let is_named = path.file_name()?.to_str()?.strip_prefix(name)?.starts_with('.');
        let is_partial = path.extension().is_some_and(|ending| ending == "part" || ending == "ytdl");
        // Of a link the metadata is its own.
        let metadata = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
        (is_named && !is_partial && metadata.len() > 0).then_some((metadata.len(), path))
    });
    found.max().map(|(_, path)| path).ok_or_else(|| {
        let said = excerpt(message, MAX_MESSAGE_CHARS);
        let said = if said.is_empty() { String::new() } else { format!(": {said}") };
        Error::service(shown_input(url.as_str()), format!("yt-dlp downloaded nothing{said}"), "")
    })
}

/// # Errors
/// Where the program did not run or failed, with its own message.
fn succeed(url: &Url, outcome: Result<ProgramOutcome, ProgramFailure>) -> Result<()> {
    let name = shown_input(url.as_str());
    let service = |problem: String| Error::service(&name, problem, "");
    match outcome {
        Ok(ProgramOutcome { status, stderr }) if !status.success() => {
            let ended = status.code().map_or("was killed".to_owned(), |code| format!("ended with exit code {code}"));
            Err(service(messages(&stderr).map_or(format!("yt-dlp {ended}"), |said| format!("yt-dlp: {said}"))))
        }
        Ok(ProgramOutcome { stderr, .. }) => {
            for line in stderr.lines().map(clean_line).filter(|line| !line.is_empty()) {
                tracing::info!("yt-dlp: {line}");
            }
            Ok(())
        }
        Err(ProgramFailure::Missing) => {
            let problem = "sites are read with yt-dlp, which is not installed";
            Err(Error::usage(name, problem, format!("install it: {INSTALL}")).with_code(ErrorCode::NotFound))
        }
        Err(ProgramFailure::LongLine) => Err(service("yt-dlp printed more than is read".to_owned())),
        Err(ProgramFailure::Io(error)) => Err(service(format!("yt-dlp cannot be run: {error}")).because(error)),
    }
}

/// The errors on standard error; without any, its last line.
fn messages(stderr: &str) -> Option<String> {
    let lines = || stderr.lines().map(str::trim).filter(|line| !line.is_empty());
    let errors: Vec<&str> = lines().filter_map(|line| line.strip_prefix("ERROR:")).map(str::trim).collect();
    let said = if errors.is_empty() { lines().next_back()?.to_owned() } else { errors.join("; ") };
    Some(excerpt(&said, MAX_MESSAGE_CHARS)).filter(|said| !said.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_errors_are_shown_and_nothing_else() {
        let stderr = "WARNING: old\nERROR: [x] a: Video\u{1b}[31m unavailable\n\nERROR: b\nTraceback\n";
        assert_eq!(messages(stderr).as_deref(), Some("[x] a: Video unavailable; b"));
        assert_eq!(messages("a\nlast\n\n").as_deref(), Some("last"));
        assert_eq!(messages("\n"), None);
        assert!(messages(&"x".repeat(5000)).expect("a text").len() < 1010);
    }

    #[test]
    fn the_largest_complete_file_is_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let url = Url::parse("https://host/a").expect("an address");
        for (name, n_bytes) in
            [("media.f1.mp4", 3), ("media.webm", 9), ("media.mp4.part", 99), ("other.mp4", 99), ("media.mkv", 0)]
        {
            std::fs::write(folder.path().join(name), vec![0; n_bytes]).expect("written");
        }
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("media.link")).expect("linked");
        let found = downloaded(&url, "media", folder.path(), "").expect("a file");
        assert_eq!(found.file_name().and_then(|name| name.to_str()), Some("media.webm"));
        let nothing = downloaded(&url, "captions", folder.path(), "File is larger").expect_err("none");
        assert_eq!(nothing.problem, "yt-dlp downloaded nothing: File is larger");
    }
}
