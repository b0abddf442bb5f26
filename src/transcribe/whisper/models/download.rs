//! Downloads a model file: resumes partial files, verifies the SHA-256, then renames the file to its final name.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::redirect;
use reqwest::{Client, Response, StatusCode};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::catalog::SpeechModel;
use crate::advice::{Advice, Setting};
use crate::blocking::run_blocking;
use crate::error::{Error, Result};
use crate::fs::hex;
use crate::http::{is_loopback, origin};

/// Consecutive attempts without a new byte.
const MAX_IDLE_TRIES: u32 = 4;
/// Hubs redirect to their storage once or twice.
const MAX_REDIRECTS: usize = 5;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a transfer may stall.
const IDLE_TIMEOUT: Duration = Duration::from_mins(1);
/// The wait before the next attempt; doubles after each attempt without a new byte.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const READ_BYTES: usize = 1 << 20;

/// A server that provides files as `/<repository>/resolve/<revision>/<file>`.
#[derive(Clone, Debug)]
pub struct ModelHub {
    url: Url,
    client: Client,
}

impl ModelHub {
    /// The public hub.
    pub const PUBLIC: &'static str = "https://huggingface.co";

    /// Checks the URL; opens no connection.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) if `url` is not an https URL; http is accepted only on loopback.
    /// [`ErrorKind::Service`](crate::ErrorKind::Service) if the machine has no working TLS.
    pub fn new(url: &str) -> Result<Self> {
        let invalid = |problem: String| Error::setting(Setting::HubUrl, problem, "write it as https://host");
        let parsed = Url::parse(url.trim()).map_err(|error| invalid(error.to_string()))?;
        if !is_safe(&parsed) {
            return Err(invalid("is not encrypted (https)".to_owned()));
        }
        let follow = redirect::Policy::custom(|attempt| {
            if attempt.previous().len() > MAX_REDIRECTS {
                attempt.error("too many redirects")
            } else if is_safe(attempt.url()) {
                attempt.follow()
            } else {
                attempt.error("a redirect to a URL that is not encrypted")
            }
        });
        let client = Client::builder()
            .redirect(follow)
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(IDLE_TIMEOUT)
            .user_agent(concat!("vidgist/", env!("CARGO_PKG_VERSION")));
        let client = if parsed.host().is_some_and(|host| is_loopback(&host)) { client.no_proxy() } else { client };
        let client = client.build().map_err(|e| Error::service("the hub", "cannot set up TLS", "").because(e))?;
        Ok(Self { url: parsed, client })
    }

    fn file_url(&self, model: &SpeechModel) -> Url {
        let mut url = self.url.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/{}/resolve/{}/{}", model.repository, model.revision, model.file));
        url
    }
}

fn is_safe(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && url.host().is_some_and(|host| is_loopback(&host)))
}

/// Downloads `model` into `folder`, which is created; returns the path of the file. A complete file with the right
/// SHA-256 is kept; a partial file is resumed. Calls `progress` with the number of bytes on disk.
///
/// # Errors
/// [`ErrorKind::Service`](crate::ErrorKind::Service) if the hub cannot be reached or does not have the file;
/// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) if the downloaded file is not the pinned one;
/// [`ErrorKind::Io`](crate::ErrorKind::Io) for the disk; [`ErrorKind::Usage`](crate::ErrorKind::Usage) if another
/// process is downloading the model.
pub async fn download(
    model: &SpeechModel,
    folder: &Path,
    hub: &ModelHub,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<PathBuf> {
    let target = model.path_in(folder);
    if model.is_in(folder) && hash(&target).await? == model.sha256 {
        return Ok(target);
    }
    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
    let part = folder.join(format!("{}.part", model.file));
    let io = |error| Error::io(&part, error);
    let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&part).map_err(io)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(Error::usage(model.name, "another process is downloading it", "wait until it has finished"));
        }
        // Some file systems do not support locks; the SHA-256 detects a damaged file.
        Err(TryLockError::Error(error)) => tracing::debug!(%error, "the partial file cannot be locked"),
    }
    let completed = complete(model, hub, &part, &mut file, progress).await;
    if completed.is_err() && file.metadata().is_ok_and(|found| found.len() == 0) {
        // An empty file cannot be resumed. A failure to remove it matters less than the error that is returned.
        let _ = std::fs::remove_file(&part);
    }
    completed?;
    std::fs::rename(&part, &target).map_err(|e| Error::io(&target, e))?;
    progress(model.n_bytes);
    Ok(target)
}

/// Downloads the rest of the file at `part`, then verifies it.
async fn complete(
    model: &SpeechModel,
    hub: &ModelHub,
    part: &Path,
    file: &mut File,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<()> {
    let io = |error| Error::io(part, error);
    let mut n_have = file.seek(SeekFrom::End(0)).map_err(io)?;
    if n_have > model.n_bytes {
        n_have = 0;
        file.set_len(0).map_err(io)?;
    }
    let mut n_idle = 0;
    while n_have < model.n_bytes {
        progress(n_have);
        let before = n_have;
        match request_rest(model, hub, file, &mut n_have, progress).await {
            Ok(()) if n_have == model.n_bytes => break,
            Ok(()) => tracing::debug!("{}: the connection ended after {n_have} bytes", model.name),
            Err(DownloadFailure::Permanent(error)) => return Err(error),
            Err(DownloadFailure::Temporary(error)) => {
                tracing::info!("{}: {error}, after {n_have} bytes", model.name);
                if n_idle + 1 >= MAX_IDLE_TRIES {
                    return Err(error);
                }
            }
        }
        n_idle = if n_have > before { 0 } else { n_idle + 1 };
        if n_idle >= MAX_IDLE_TRIES {
            let advice = "try again: the partial file is kept";
            return Err(Error::service(origin(&hub.url), format!("sends no data for {}", model.file), advice));
        }
        tokio::time::sleep(FIRST_WAIT.saturating_mul(1 << n_idle)).await;
    }
    file.sync_all().map_err(io)?;
    let found = hash(part).await?;
    if found != model.sha256 {
        // If it were kept, each later attempt would resume it and fail again.
        std::fs::remove_file(part).map_err(io)?;
        let problem = format!("{} has the SHA-256 {found}, expected {}", model.file, model.sha256);
        let advice = Advice::from("try again (the file was deleted)").or(Advice::Set(Setting::HubUrl));
        return Err(Error::malformed(origin(&hub.url), problem, advice));
    }
    Ok(())
}

enum DownloadFailure {
    /// Another attempt would fail in the same way.
    Permanent(Error),
    /// Another attempt may succeed.
    Temporary(Error),
}

/// Sends one request; `n_have` counts the bytes on disk, also after a failure.
async fn request_rest(
    model: &SpeechModel,
    hub: &ModelHub,
    file: &mut File,
    n_have: &mut u64,
    progress: &(dyn Fn(u64) + Sync),
) -> std::result::Result<(), DownloadFailure> {
    let advice = || Advice::from("try again").or(Advice::Set(Setting::HubUrl)).or("run scripts/fetch-whisper");
    let classify = |error: reqwest::Error| {
        if error.is_redirect() {
            let problem = "redirects to a URL that is not encrypted, or redirects too often";
            return DownloadFailure::Permanent(
                Error::service(origin(&hub.url), problem, advice()).because(error.without_url()),
            );
        }
        let what = if error.is_connect() { "cannot be reached" } else { "the connection broke" };
        DownloadFailure::Temporary(Error::service(origin(&hub.url), what, advice()).because(error.without_url()))
    };
    let permanent = |problem: String| DownloadFailure::Permanent(Error::service(origin(&hub.url), problem, advice()));
    let mut request = hub.client.get(hub.file_url(model));
    if *n_have > 0 {
        request = request.header(RANGE, format!("bytes={n_have}-"));
    }
    let mut response = request.send().await.map_err(classify)?;
    let status = response.status();
    if status == StatusCode::PARTIAL_CONTENT && first_byte(&response) != Some(*n_have) {
        return Err(permanent(format!("returned a different part of {} than requested", model.file)));
    }
    if status != StatusCode::PARTIAL_CONTENT {
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(DownloadFailure::Temporary(Error::service(
                origin(&hub.url),
                format!("returned {status}"),
                advice(),
            )));
        }
        if status != StatusCode::OK {
            return Err(permanent(format!("returned {status} for {}", model.file)));
        }
        *n_have = 0;
    }
    let disk = |error| DownloadFailure::Permanent(Error::io(Path::new(model.file), error));
    file.seek(SeekFrom::Start(*n_have)).map_err(disk)?;
    file.set_len(*n_have).map_err(disk)?;
    while let Some(chunk) = response.chunk().await.map_err(classify)? {
        if *n_have + chunk.len() as u64 > model.n_bytes {
            return Err(permanent(format!("{} is longer than expected", model.file)));
        }
        file.write_all(&chunk).map_err(disk)?;
        *n_have += chunk.len() as u64;
        progress(*n_have);
    }
    Ok(())
}

/// The first byte of a partial response: `Content-Range: bytes 100-199/200`.
fn first_byte(response: &Response) -> Option<u64> {
    let range = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}

async fn hash(path: &Path) -> Result<String> {
    let path = path.to_owned();
    run_blocking(move || {
        let io = |error| Error::io(&path, error);
        let mut file = File::open(&path).map_err(io)?;
        let (mut hasher, mut buffer) = (Sha256::new(), vec![0; READ_BYTES]);
        loop {
            match file.read(&mut buffer).map_err(io)? {
                0 => return Ok(hex(&hasher.finalize())),
                n => hasher.update(&buffer[..n]),
            }
        }
    })
    .await
}
