//! The state of a running batch: a folder with the requests, the frames of each, the results, and in `batch.json` the
//! progress of each part.

use std::fs::{File, TryLockError};
use std::io::{BufRead as _, BufReader, BufWriter, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::chat::ModelDescription;
use crate::error::{Error, Result};
use crate::fs::{hex, write_file};
use crate::llm::RequestBody;
use crate::llm::batch::BatchApi;
use crate::report::caption::CaptionRow;
use crate::report::json;
use crate::time::{TimeBase, Timestamp};

/// The version of the file format; other versions are refused.
const VERSION: u32 = 1;
const STATE: &str = "batch.json";
const ASKED: &str = "asked.jsonl";
const LOCK: &str = "lock";
/// Prefixes of the other files.
const REQUESTS: &str = "requests-";
const RESULTS: &str = "results-";

/// The state of a batch, as `batch.json` holds it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Journal {
    version: u32,
    /// Scheme, host and port.
    endpoint: Option<String>,
    pub model: String,
    pub prompt_version: String,
    /// The files in their order.
    pub inputs: Vec<String>,
    pub parts: Vec<BatchPart>,
    #[serde(skip)]
    folder: PathBuf,
}

/// One batch at the provider, with as many requests as it accepts.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct BatchPart {
    pub n_requests: u64,
    /// The provider's id of the uploaded requests.
    pub input_file: Option<String>,
    /// The account's newest batches before the creation was attempted; None if it was not attempted.
    pub known: Option<Known>,
    /// The provider's id of the batch.
    pub batch: Option<String>,
    /// The provider's ids of the results; empty until they exist.
    pub results: Vec<String>,
    /// Why the provider refused it as a whole.
    pub refused: Option<String>,
    /// Whether the results lie in this folder.
    pub is_fetched: bool,
    /// Whether the part's files at the provider were deleted.
    pub is_forgotten: bool,
}

/// The newest batches of an account at a point in time.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Known {
    pub ids: Vec<String>,
    /// The creation time of the newest (RFC 3339), if the provider states it.
    pub newest: Option<String>,
}

impl BatchPart {
    pub fn has_ended(&self) -> bool {
        self.refused.is_some() || !self.results.is_empty()
    }
}

/// A request, or a file that could not be read.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Asked {
    /// Index of its part, from 0; None if it has no request.
    pub part: Option<usize>,
    /// The id that its answer carries.
    pub id: String,
    pub frames: Vec<AskedFrame>,
}

/// The data of a frame that its row needs.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct AskedFrame {
    pub input: String,
    pub frame_idx: Option<usize>,
    pub pts: Option<Ticks>,
    pub time: Option<Ticks>,
    #[serde(default)]
    pub suspect: Option<bool>,
    pub image_sha256: Option<String>,
    pub error: Option<String>,
}

/// An exact time: `n * num / den` seconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Ticks {
    pub n: i64,
    num: u32,
    den: u32,
}

impl Ticks {
    fn new(n: i64, base: TimeBase) -> Self {
        Self { n, num: base.num(), den: base.den() }
    }

    pub fn base(self) -> Option<TimeBase> {
        TimeBase::new(self.num, self.den)
    }

    pub fn timestamp(self) -> Option<Timestamp> {
        Some(Timestamp::new(self.n, self.base()?))
    }
}

impl AskedFrame {
    fn of(row: &CaptionRow) -> Self {
        Self {
            input: row.input.clone(),
            frame_idx: row.frame_idx,
            pts: row.pts.zip(row.time_base).map(|(ticks, base)| Ticks::new(ticks, base)),
            time: row.time.map(|time| Ticks::new(time.ticks(), time.base())),
            suspect: row.suspect,
            image_sha256: row.image_sha256.clone(),
            error: row.error.clone(),
        }
    }
}

/// Whether `folder` has a batch that was sent or is ready to be sent.
#[must_use]
pub fn is_under_way(folder: &Path) -> bool {
    folder.join(STATE).exists()
}

/// Removes a batch's files from `folder` once its rows are written, and the folder if it is then empty.
///
/// # Errors
/// [`ErrorKind::Io`](crate::ErrorKind::Io).
pub fn remove(folder: &Path) -> Result<()> {
    let io = |error| Error::io(folder, error);
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(io)?,
    };
    for entry in entries {
        let entry = entry.map_err(io)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_part = |start: &str| name.starts_with(start) && name.ends_with(".jsonl");
        if matches!(&*name, STATE | ASKED | LOCK) || is_part(REQUESTS) || is_part(RESULTS) {
            std::fs::remove_file(entry.path()).map_err(io)?;
        }
    }
    match std::fs::remove_dir(folder) {
        Err(error) if error.kind() != ErrorKind::DirectoryNotEmpty => Err(io(error)),
        _ => Ok(()),
    }
}

/// Locks `folder`, which is created if missing, as long as the file is open.
///
/// # Errors
/// [`ErrorKind::Usage`](crate::ErrorKind::Usage) if another process holds the lock.
pub(super) fn turn(folder: &Path) -> Result<File> {
    let io = |error| Error::io(folder, error);
    std::fs::create_dir_all(folder).map_err(io)?;
    let lock = File::create(folder.join(LOCK)).map_err(io)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            Err(Error::usage(folder.display(), "another vidgist works on this batch", "wait until it has finished"))
        }
        Err(TryLockError::Error(error)) => Err(io(error)),
    }
}

impl Journal {
    /// Reads the state in `folder`; None where there is none.
    pub fn open(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(STATE);
        let bytes = match std::fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|error| Error::io(&path, error))?,
        };
        let advice = "check the account's batches before you delete it: some may still be running";
        let journal: Self = serde_json::from_slice(&bytes).map_err(|error| {
            Error::malformed(path.display(), format!("is not the state of a batch: {error}"), advice)
        })?;
        if journal.version != VERSION {
            let problem = format!("has version {}, but version {VERSION} is supported", journal.version);
            return Err(Error::unsupported(
                path.display(),
                problem,
                "continue with the version of vidgist that wrote it",
            ));
        }
        Ok(Some(Self { folder: folder.to_owned(), ..journal }))
    }

    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) if the batch was sent to another server or model.
    pub fn check(&self, model: &ModelDescription) -> Result<()> {
        if self.endpoint == model.endpoint && self.model == model.name {
            return Ok(());
        }
        let place = self.endpoint.as_deref().unwrap_or_default();
        let problem = format!("contains a batch for {} at {place}", self.model);
        Err(Error::usage(self.folder.display(), problem, "use the same model, or another output file"))
    }

    pub fn save(&self) -> Result<()> {
        write_file(&self.path(), json::to_text(self)?.as_bytes())
    }

    /// The path of the state.
    pub fn path(&self) -> PathBuf {
        self.folder.join(STATE)
    }

    /// The requests of a part.
    pub fn requests(&self, part: usize) -> PathBuf {
        requests(&self.folder, part)
    }

    /// The results of a part.
    pub fn results(&self, part: usize) -> PathBuf {
        self.folder.join(format!("{RESULTS}{:03}.jsonl", part + 1))
    }

    /// All requests in order.
    pub fn asked(&self) -> Result<impl Iterator<Item = Result<Asked>> + use<>> {
        let path = self.folder.join(ASKED);
        let read = lines(&path)?;
        Ok(read.map(move |line| {
            serde_json::from_str(&line?)
                .map_err(|error| Error::malformed(path.display(), format!("a line cannot be read: {error}"), ""))
        }))
    }
}

fn requests(folder: &Path, part: usize) -> PathBuf {
    folder.join(format!("{REQUESTS}{:03}.jsonl", part + 1))
}

/// The lines of a file; none if it does not exist.
pub(super) fn lines(path: &Path) -> Result<impl Iterator<Item = Result<String>> + use<>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        file => Some(file.map_err(|error| Error::io(path, error))?),
    };
    let path = path.to_owned();
    // Invalid UTF-8 ends neither the line nor the file.
    let read = file.into_iter().flat_map(|file| BufReader::new(file).split(b'\n'));
    Ok(read.map(move |line| match line {
        Ok(line) => Ok(String::from_utf8_lossy(&line).into_owned()),
        Err(error) => Err(Error::io(&path, error)),
    }))
}

/// Writes a batch into its folder, before any of it is sent.
pub(super) struct Writer {
    journal: Journal,
    api: BatchApi,
    asked: BufWriter<File>,
    /// The requests of the last part, and their bytes.
    requests: Option<(BufWriter<File>, u64)>,
    n_asked: u64,
}

impl Writer {
    /// Starts a new batch in `folder`.
    pub fn new(
        folder: &Path,
        api: BatchApi,
        inputs: Vec<String>,
        model: &ModelDescription,
        prompt_version: &str,
    ) -> Result<Self> {
        let journal = Journal {
            version: VERSION,
            endpoint: model.endpoint.clone(),
            model: model.name.clone(),
            prompt_version: prompt_version.to_owned(),
            inputs,
            parts: Vec::new(),
            folder: folder.to_owned(),
        };
        let asked = create(&folder.join(ASKED))?;
        Ok(Self { journal, api, asked, requests: None, n_asked: 0 })
    }

    /// Adds a row without a request.
    pub fn failed(&mut self, row: &CaptionRow) -> Result<()> {
        self.note(&Asked { part: None, id: String::new(), frames: vec![AskedFrame::of(row)] })
    }

    /// Adds a request for the frames of `rows`.
    pub fn request<'a>(&mut self, body: &RequestBody, rows: impl Iterator<Item = &'a CaptionRow>) -> Result<()> {
        let terms = self.api.support();
        // The rest of the line, estimated generously.
        let n_bytes = body.len_bytes() + 256;
        let is_full = self.requests.as_ref().is_none_or(|(_, used)| {
            let n_requests = self.journal.parts.last().map_or(0, |part| part.n_requests);
            n_requests >= terms.max_requests as u64 || used + n_bytes > terms.max_bytes
        });
        if is_full {
            self.close()?;
            let path = requests(&self.journal.folder, self.journal.parts.len());
            self.journal.parts.push(BatchPart::default());
            self.requests = Some((create(&path)?, 0));
        }
        let at = self.journal.parts.len() - 1;
        self.n_asked += 1;
        // A number, since two requests may be equal; a part of its hash, so that another batch's answer is not taken for it.
        let mut hash = Sha256::new();
        body.chunks().for_each(|chunk| hash.update(&chunk));
        let id = format!("vidgist-{}-{}", self.n_asked, &hex(&hash.finalize())[..16]);
        let path = requests(&self.journal.folder, at);
        if let Some((file, used)) = &mut self.requests {
            self.api.write_request(&id, body, file).map_err(|error| Error::io(&path, error))?;
            *used += n_bytes;
        }
        self.journal.parts[at].n_requests += 1;
        self.note(&Asked { part: Some(at), id, frames: rows.map(AskedFrame::of).collect() })
    }

    fn note(&mut self, asked: &Asked) -> Result<()> {
        let line = json::to_line(asked)?;
        let path = self.journal.folder.join(ASKED);
        self.asked.write_all(line.as_bytes()).map_err(|error| Error::io(&path, error))
    }

    /// Ends the last part.
    fn close(&mut self) -> Result<()> {
        let Some((file, _)) = self.requests.take() else { return Ok(()) };
        sync(file, &requests(&self.journal.folder, self.journal.parts.len() - 1))
    }

    /// Everything is written; sending may begin.
    pub fn finish(mut self) -> Result<Journal> {
        self.close()?;
        sync(self.asked, &self.journal.folder.join(ASKED))?;
        self.journal.save()?;
        Ok(self.journal)
    }
}

fn create(path: &Path) -> Result<BufWriter<File>> {
    File::create(path).map(BufWriter::new).map_err(|error| Error::io(path, error))
}

fn sync(file: BufWriter<File>, path: &Path) -> Result<()> {
    let synced = file.into_inner().map_err(std::io::IntoInnerError::into_error).and_then(|file| file.sync_all());
    synced.map_err(|error| Error::io(path, error))
}
