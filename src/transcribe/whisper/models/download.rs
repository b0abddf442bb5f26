//! A file from the hub: resumed where it broke off, checked, and only then given its name.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::redirect;
use reqwest::{Client, Response, StatusCode};
use sha2::{Digest as _, Sha256};
use url::{Host, Url};

use super::Weights;
use crate::error::{Error, Result};
use crate::fs::hex;

/// Tries in a row without a byte more.
const MAX_IDLE_TRIES: u32 = 4;
/// Hubs send to their stores with one redirect, some with two.
const MAX_REDIRECTS: usize = 5;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a transfer may stand still.
const IDLE_TIMEOUT: Duration = Duration::from_mins(1);
/// Wait before a further try, doubled for each that brought nothing.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const READ_BYTES: usize = 1 << 20;

/// A hub that serves files as `/<repository>/resolve/<revision>/<file>`.
#[derive(Clone, Debug)]
pub struct Hub {
    url: Url,
    client: Client,
}

impl Hub {
    /// The public one.
    pub const PUBLIC: &'static str = "https://huggingface.co";

    /// Connects to nothing yet.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where `url` is no https address; http is taken on loopback alone. [`ErrorKind::Service`](crate::ErrorKind::Service) where the
    /// machine has no working TLS.
    pub fn new(url: &str) -> Result<Self> {
        let shape = "write it as https://host";
        let parsed = Url::parse(url.trim()).map_err(|e| Error::usage("the hub's address", e.to_string(), shape))?;
        if !is_safe(&parsed) {
            return Err(Error::usage("the hub's address", "is not encrypted (https)", shape));
        }
        let follow = redirect::Policy::custom(|attempt| {
            if attempt.previous().len() > MAX_REDIRECTS {
                attempt.error("too many redirects")
            } else if is_safe(attempt.url()) {
                attempt.follow()
            } else {
                attempt.error("a redirect to an address that is not encrypted")
            }
        });
        let client = Client::builder()
            .redirect(follow)
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(IDLE_TIMEOUT)
            .user_agent(concat!("vidgist/", env!("CARGO_PKG_VERSION")));
        let client = if is_loopback(&parsed) { client.no_proxy() } else { client };
        let client =
            client.build().map_err(|e| Error::service("the hub", "no connection can be made", "").because(e))?;
        Ok(Self { url: parsed, client })
    }

    fn address(&self, weights: &Weights) -> Url {
        let mut url = self.url.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/{}/resolve/{}/{}", weights.repository, weights.revision, weights.file));
        url
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn is_safe(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url))
}

/// Fetches `weights` into `folder`, which is made; returns the file's path. What is there and right is left alone; what
/// an earlier run began is gone on with. `progress` is told the bytes that are there, now and then.
///
/// # Errors
/// [`ErrorKind::Service`](crate::ErrorKind::Service) where the hub cannot be reached or does not have the file, [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) where what came
/// is not the file that was pinned, [`ErrorKind::Io`](crate::ErrorKind::Io) for the disk, [`ErrorKind::Usage`](crate::ErrorKind::Usage) where another process is fetching it.
pub async fn pull(weights: &Weights, folder: &Path, hub: &Hub, progress: &(dyn Fn(u64) + Sync)) -> Result<PathBuf> {
    let target = weights.path_in(folder);
    if weights.is_in(folder) && hash(&target).await? == weights.sha256 {
        return Ok(target);
    }
    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
    let part = folder.join(format!("{}.part", weights.file));
    let io = |error| Error::io(&part, error);
    let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&part).map_err(io)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(Error::usage(weights.name, "another vidgist is fetching it", "wait until it is done"));
        }
        // Not every file system can lock; the SHA-256 tells whether it went well.
        Err(TryLockError::Error(error)) => tracing::debug!(%error, "no lock"),
    }
    let fetched = complete(weights, hub, &part, &mut file, progress).await;
    if fetched.is_err() && file.metadata().is_ok_and(|found| found.len() == 0) {
        // Nothing to go on with; that it cannot be removed is no worse than what is told.
        let _ = std::fs::remove_file(&part);
    }
    fetched?;
    std::fs::rename(&part, &target).map_err(|e| Error::io(&target, e))?;
    progress(weights.n_bytes);
    Ok(target)
}

/// Goes on with the file at `part` until it is the one that was pinned.
async fn complete(
    weights: &Weights,
    hub: &Hub,
    part: &Path,
    file: &mut File,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<()> {
    let io = |error| Error::io(part, error);
    let mut n_have = file.seek(SeekFrom::End(0)).map_err(io)?;
    if n_have > weights.n_bytes {
        n_have = 0;
        file.set_len(0).map_err(io)?;
    }
    let mut n_idle = 0;
    while n_have < weights.n_bytes {
        progress(n_have);
        let before = n_have;
        match fetch(weights, hub, file, &mut n_have, progress).await {
            Ok(()) if n_have == weights.n_bytes => break,
            Ok(()) => tracing::debug!("{}: the connection ended after {n_have} bytes", weights.name),
            Err(Stop::ForGood(error)) => return Err(error),
            Err(Stop::Broken(error)) => {
                tracing::info!("{}: {error}, after {n_have} bytes", weights.name);
                if n_idle + 1 >= MAX_IDLE_TRIES {
                    return Err(error);
                }
            }
        }
        n_idle = if n_have > before { 0 } else { n_idle + 1 };
        if n_idle >= MAX_IDLE_TRIES {
            let advice = "try again: what came is kept";
            return Err(Error::service(origin(hub), format!("{} does not come", weights.file), advice));
        }
        tokio::time::sleep(FIRST_WAIT.saturating_mul(1 << n_idle)).await;
    }
    file.sync_all().map_err(io)?;
    let found = hash(part).await?;
    if found != weights.sha256 {
        // Kept, it would be resumed and refused for ever.
        std::fs::remove_file(part).map_err(io)?;
        let problem = format!("what came has the SHA-256 {found}, not {}", weights.sha256);
        return Err(Error::malformed(origin(hub), problem, "try again, or another hub; nothing was kept"));
    }
    Ok(())
}

enum Stop {
    ForGood(Error),
    Broken(Error),
}

/// One request; `n_have` counts what is on disk, also where it breaks off.
async fn fetch(
    weights: &Weights,
    hub: &Hub,
    file: &mut File,
    n_have: &mut u64,
    progress: &(dyn Fn(u64) + Sync),
) -> std::result::Result<(), Stop> {
    let advice = "try again, name a mirror with --hub, or use scripts/fetch-whisper";
    let broken = |error: reqwest::Error| {
        if error.is_redirect() {
            let problem = "sends to an address that is not encrypted, or round in circles";
            return Stop::ForGood(Error::service(origin(hub), problem, advice).because(error.without_url()));
        }
        let what = if error.is_connect() { "cannot be reached" } else { "broke off" };
        Stop::Broken(Error::service(origin(hub), what, advice).because(error.without_url()))
    };
    let for_good = |problem: String| Stop::ForGood(Error::service(origin(hub), problem, advice));
    let mut request = hub.client.get(hub.address(weights));
    if *n_have > 0 {
        request = request.header(RANGE, format!("bytes={n_have}-"));
    }
    let mut response = request.send().await.map_err(broken)?;
    let status = response.status();
    if status == StatusCode::PARTIAL_CONTENT && begins_at(&response) != Some(*n_have) {
        return Err(for_good(format!("{}: another part came than was asked for", weights.file)));
    }
    if status != StatusCode::PARTIAL_CONTENT {
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(Stop::Broken(Error::service(origin(hub), format!("answers {status}"), advice)));
        }
        if status != StatusCode::OK {
            return Err(for_good(format!("answers {status} for {}", weights.file)));
        }
        *n_have = 0;
    }
    let disk = |error| Stop::ForGood(Error::io(Path::new(weights.file), error));
    file.seek(SeekFrom::Start(*n_have)).map_err(disk)?;
    file.set_len(*n_have).map_err(disk)?;
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if *n_have + chunk.len() as u64 > weights.n_bytes {
            return Err(for_good(format!("{} is longer than it should be", weights.file)));
        }
        file.write_all(&chunk).map_err(disk)?;
        *n_have += chunk.len() as u64;
        progress(*n_have);
    }
    Ok(())
}

/// The first byte of a partial reply: `Content-Range: bytes 100-199/200`.
fn begins_at(response: &Response) -> Option<u64> {
    let range = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}

async fn hash(path: &Path) -> Result<String> {
    let path = path.to_owned();
    let work = move || {
        let io = |error| Error::io(&path, error);
        let mut file = File::open(&path).map_err(io)?;
        let (mut hasher, mut buffer) = (Sha256::new(), vec![0; READ_BYTES]);
        loop {
            match file.read(&mut buffer).map_err(io)? {
                0 => return Ok(hex(&hasher.finalize())),
                n => hasher.update(&buffer[..n]),
            }
        }
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(failure) => std::panic::resume_unwind(failure.into_panic()),
    }
}

fn origin(hub: &Hub) -> String {
    hub.url.origin().ascii_serialization()
}
