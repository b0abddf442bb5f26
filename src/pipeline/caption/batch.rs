//! Captions through a provider's batch API: within a day, for half the price.
//!
//! ```text
//! groups -> requests-001.jsonl, … -> upload -> create -> poll, poll, … -> results-001.jsonl, … -> rows, in order
//! ```
//!
//! Each step is recorded in a folder before the next begins: a run that is interrupted anywhere is continued by the next
//! one, and no request is paid for twice.

mod journal;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;

use self::journal::{Asked, AskedFrame, BatchPart, Journal, Known, Ticks, Writer};
use super::groups::{self, Unit, Wanted};
use super::output::CaptionWriter;
use super::state::CaptionRun;
use super::task::{CaptionSummary, Captions, settle};
use super::{inputs, reply};
use crate::advice::{Advice, Setting};
use crate::chat::ChatResponse;
use crate::error::{Error, ErrorCode, ErrorKind, Result};
use crate::event::Event;
use crate::job::CaptionFormat;
use crate::llm::batch::{BatchApi, BatchEnd, BatchSummary, Created};
use crate::llm::{ChatModel, ChatRequest, ResponseFormat};
use crate::money::Money;
use crate::report::caption::CaptionRow;

pub use journal::{is_under_way, remove};

/// The wait before the first poll of a batch; each further wait is half as long again.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The maximum wait between two polls.
const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// Maximum number of attempts to create a batch when the response is lost; each attempt follows a search for the batch.
const MAX_CREATIONS: usize = 3;
/// Waits in seconds before each search for a batch that may have been created: the server may still be creating it.
const SEARCH_WAITS: [u64; 4] = [1, 2, 4, 8];
/// This many consecutive rounds of failed polls end the run; the batch itself goes on at the provider.
const MAX_FAILED_LOOKS: u32 = 10;

/// The batch API of the model's provider.
///
/// # Errors
/// [`ErrorKind::Usage`] if the provider has no known batch API.
pub fn api(model: &dyn ChatModel) -> Result<BatchApi> {
    model.batch_api().ok_or_else(|| {
        let model = model.description();
        let place = model.endpoint.unwrap_or(model.name);
        let advice = Advice::Unset(Setting::Batch).or("set providers.NAME.batch in the configuration");
        Error::setting(Setting::Batch, format!("{place} has no known batch API"), advice)
    })
}

/// The folder of a task's batch, beside the file of its rows; None where the batch API is not used.
///
/// # Errors
/// [`ErrorKind::Usage`] where the output cannot hold a batch, or where a batch of this output is
/// in progress and the task would send everything a second time.
pub(super) fn folder_of(task: &Captions) -> Result<Option<PathBuf>> {
    let file = task.output.as_deref().filter(|_| task.format == CaptionFormat::Jsonl);
    let folder = file.map(|path| {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".batch");
        path.parent().unwrap_or(Path::new("")).join(name)
    });
    match folder {
        Some(folder) if !task.is_batch && task.dry_run.is_none() && is_under_way(&folder) => {
            let advice = Advice::Set(Setting::Batch).or("name another file");
            Err(Error::usage(folder.display(), "a batch of this output is in progress", advice)
                .with_code(ErrorCode::OutputExists))
        }
        Some(folder) => Ok(Some(folder).filter(|_| task.is_batch)),
        None if task.is_batch => {
            let advice = Advice::SetTo(Setting::OutputFormat, "jsonl".into()).or(Advice::Set(Setting::Output));
            Err(Error::setting(Setting::Batch, "needs an output file of JSON lines", advice))
        }
        None => Ok(None),
    }
}

/// Prepares, sends and fetches a batch; continues the one in `folder`.
pub(super) async fn run(
    run: &CaptionRun,
    api: &BatchApi,
    folder: &Path,
    captions: &mut CaptionWriter,
) -> Result<CaptionSummary> {
    // Held until the end: two runs would both send it.
    let _turn = journal::turn(folder)?;
    let (mut journal, n_kept) = match Journal::open(folder)? {
        Some(journal) => {
            journal.check(&run.task.model.description())?;
            if journal.prompt_version != run.task.prompt.version()
                || Some(&journal.inputs) != inputs::expand(&run.task.inputs).ok().as_ref()
            {
                let folder = folder.display();
                tracing::warn!("{folder} contains an unfinished batch for other files or another prompt");
            }
            (journal, 0)
        }
        None => match prepare(run, api, folder).await {
            Ok(prepared) => prepared,
            Err(error) => {
                // Nothing was sent: the next run begins anew.
                remove(folder)?;
                return Err(error);
            }
        },
    };
    captions.order.clone_from(&journal.inputs);
    for at in 0..journal.parts.len() {
        run.context.check()?;
        send(api, &mut journal, at).await?;
    }
    follow(run, api, &mut journal).await?;
    for at in 0..journal.parts.len() {
        fetch(api, &mut journal, at).await?;
    }
    let summary = hand_over(run, api, &mut journal, captions, n_kept).await?;
    for at in 0..journal.parts.len() {
        forget(api, &mut journal, at).await?;
    }
    Ok(summary)
}

/// Reads all inputs, and writes the requests and the frames of each.
async fn prepare(run: &CaptionRun, api: &BatchApi, folder: &Path) -> Result<(Journal, usize)> {
    let files = run.expand().await?;
    let mut writer =
        Writer::new(folder, api.clone(), files.clone(), &run.task.model.description(), &run.task.prompt.version())?;
    let format = reply::form()?;
    let (send, units) = mpsc::channel(groups::GROUP_QUEUE);
    let reading = groups::read_all(run, &files, send);
    let writing = async {
        // A token of its own, so that the reader stops if writing fails.
        let mut units = units;
        let (mut n_kept, mut expected) = (0, Expected::default());
        while let Some(unit) = units.recv().await {
            match unit {
                Unit::Kept => n_kept += 1,
                Unit::Failed(row) => writer.failed(&row)?,
                Unit::Frames(wanted) => write(run, &format, wanted, &mut writer, &mut expected)?,
            }
        }
        Ok::<_, Error>((n_kept, expected))
    };
    let ((), written) = tokio::join!(reading, writing);
    let (n_kept, expected) = written?;
    run.context.check()?;
    expected.check(run)?;
    Ok((writer.finish()?, n_kept))
}

/// The estimate for a batch.
#[derive(Default)]
struct Expected {
    n_tokens: u64,
    cost: Option<Money>,
}

impl Expected {
    fn check(&self, run: &CaptionRun) -> Result<()> {
        if run.task.spend_limit.allows(self.n_tokens, self.cost.or(Some(Money::ZERO))) {
            return Ok(());
        }
        let cost = self.cost.map(|cost| format!(", {cost}")).unwrap_or_default();
        let problem =
            format!("would need about {} tokens{cost}, above the limit of {}", self.n_tokens, run.task.spend_limit);
        let advice =
            Advice::Raise(Setting::MaxCost).or(Advice::Raise(Setting::Interval)).or(Advice::Set(Setting::MaxFrames));
        Err(Error::usage("the batch", problem, advice).with_code(ErrorCode::SpendLimit))
    }
}

/// Writes the request for a group, or several if it is too large for one.
fn write(
    run: &CaptionRun,
    format: &ResponseFormat,
    mut wanted: Vec<Wanted>,
    writer: &mut Writer,
    expected: &mut Expected,
) -> Result<()> {
    let messages = groups::messages(run, &wanted);
    let response_format = Some(format).filter(|_| wanted.len() > 1);
    match run.task.model.request_body(&ChatRequest { response_format, ..ChatRequest::new(&messages) }) {
        Err(Error { kind: ErrorKind::Limit, .. }) if wanted.len() > 1 => {
            let rest = wanted.split_off(wanted.len() / 2);
            write(run, format, wanted, writer, expected)?;
            write(run, format, rest, writer, expected)
        }
        Ok(body) => {
            let limits = run.limits(wanted.len());
            let (prompt, answer) = (limits.tokens(&messages), limits.all_answer_tokens());
            expected.n_tokens += prompt + answer;
            let cost = limits.cost(prompt, answer).map(Money::half);
            expected.cost = cost.map(|cost| cost.plus(expected.cost.unwrap_or(Money::ZERO)));
            writer.request(&body, wanted.iter().map(|wanted| &wanted.row))
        }
        Err(error) => wanted
            .iter()
            .try_for_each(|wanted| writer.failed(&CaptionRow { error: Some(error.to_string()), ..wanted.row.clone() })),
    }
}

/// Uploads a part and creates its batch, unless that is done already.
async fn send(api: &BatchApi, journal: &mut Journal, at: usize) -> Result<()> {
    if journal.parts[at].batch.is_some() {
        return Ok(());
    }
    let requests = journal.requests(at);
    if let Some(known) = journal.parts[at].known.clone() {
        // An earlier run did not get the response to its creation.
        journal.parts[at].batch = find(api, journal, at, &known).await?;
        if journal.parts[at].batch.is_some() {
            return journal.save();
        }
    }
    for _ in 0..MAX_CREATIONS {
        if journal.parts[at].input_file.is_none() {
            journal.parts[at].input_file = api.upload(&requests).await?;
            journal.save()?;
        }
        let listed = api.list().await?;
        let known = Known {
            ids: listed.iter().map(|batch| batch.id.clone()).collect(),
            newest: listed.into_iter().filter_map(|batch| batch.created_at).max(),
        };
        journal.parts[at].known = Some(known.clone());
        journal.save()?;
        let why = match api.create(journal.parts[at].input_file.as_deref(), &requests).await {
            Ok(Created::Batch(batch)) => {
                journal.parts[at].batch = Some(batch);
                return journal.save();
            }
            Ok(Created::Unknown(why)) => why,
            Err(error) => {
                // Nothing was created; the file may be the reason.
                journal.parts[at].known = None;
                if let Some(file) = journal.parts[at].input_file.take()
                    && let Err(error) = api.delete(&file).await
                {
                    tracing::warn!("{error}: {file} stays with the provider until it expires there");
                }
                journal.save()?;
                return Err(error);
            }
        };
        tracing::warn!("{}: {why}: checking whether the batch was created nevertheless", api.server_name());
        for wait in SEARCH_WAITS {
            tokio::time::sleep(Duration::from_secs(wait)).await;
            journal.parts[at].batch = find(api, journal, at, &known).await?;
            if journal.parts[at].batch.is_some() {
                return journal.save();
            }
        }
    }
    let problem = format!("did not answer {MAX_CREATIONS} requests to create a batch");
    Err(Error::service(api.server_name(), problem, "run the same command again later"))
}

/// Finds a part's batch after its creation response was lost: the one of its file, or the only newer one of its size.
async fn find(api: &BatchApi, journal: &Journal, at: usize, known: &Known) -> Result<Option<String>> {
    let (listed, part) = (api.list().await?, &journal.parts[at]);
    let is_ours = |listed: &&BatchSummary| {
        if part.input_file.is_some() {
            return listed.input_file == part.input_file;
        }
        let is_new = !known.ids.contains(&listed.id) && listed.created_at >= known.newest;
        is_new && listed.n_requests == Some(part.n_requests)
    };
    let ours: Vec<_> = listed.iter().filter(is_ours).collect();
    match ours.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one.id.clone())),
        several => {
            let ids: Vec<&str> = several.iter().map(|batch| batch.id.as_str()).collect();
            let problem = format!("one of these batches belongs to this run: {}", ids.join(", "));
            let advice = format!("write its id as \"batch\" of part {} in {}", at + 1, journal.path().display());
            Err(Error::service(api.server_name(), problem, advice))
        }
    }
}

/// Waits until all parts have ended.
async fn follow(run: &CaptionRun, api: &BatchApi, journal: &mut Journal) -> Result<()> {
    let n_requests = journal.parts.iter().map(|part| part.n_requests).sum();
    let (mut wait, mut n_failed) = (FIRST_WAIT, 0);
    run.context.events.send(Event::Batch { n_done: 0, n_requests }).await;
    while !journal.parts.iter().all(BatchPart::has_ended) {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = run.context.cancel.cancelled() => return Err(Error::interrupted()),
        }
        wait = wait.mul_f64(1.5).min(LONGEST_WAIT);
        let (mut n_done, mut failed) = (0, None);
        for at in 0..journal.parts.len() {
            let part = &journal.parts[at];
            let (false, Some(batch)) = (part.has_ended(), part.batch.clone()) else {
                n_done += part.n_requests;
                continue;
            };
            run.context.check()?;
            match api.status(&batch).await {
                Ok(state) => {
                    n_done += state.n_done;
                    match state.end {
                        Some(BatchEnd::Results(files)) => journal.parts[at].results = files,
                        Some(BatchEnd::Refused(why)) => journal.parts[at].refused = Some(why),
                        None => continue,
                    }
                    journal.save()?;
                }
                Err(error @ Error { kind: ErrorKind::Service, .. }) => failed = Some(error),
                Err(error) => return Err(error),
            }
        }
        n_failed = if failed.is_some() { n_failed + 1 } else { 0 };
        match failed {
            Some(error) if n_failed >= MAX_FAILED_LOOKS => return Err(error),
            Some(error) => tracing::warn!("{error}"),
            None => {}
        }
        run.context.events.send(Event::Batch { n_done, n_requests }).await;
    }
    Ok(())
}

/// Fetches the results of a part.
async fn fetch(api: &BatchApi, journal: &mut Journal, at: usize) -> Result<()> {
    if journal.parts[at].is_fetched {
        return Ok(());
    }
    let into = journal.results(at);
    // The incomplete file of an earlier attempt.
    match std::fs::remove_file(&into) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::io(&into, error)),
        _ => {}
    }
    for file in journal.parts[at].results.clone() {
        let fetched = api.download(&file, &into).await;
        fetched.map_err(|error| {
            let advice = format!("run the same command again; {} has the state of the batch", journal.path().display());
            Error::service(format!("the results of batch part {}", at + 1), error.to_string(), advice)
        })?;
    }
    journal.parts[at].is_fetched = true;
    journal.save()
}

/// Deletes a part's uploaded images at the provider, once its answers are downloaded.
async fn forget(api: &BatchApi, journal: &mut Journal, at: usize) -> Result<()> {
    if journal.parts[at].is_forgotten {
        return Ok(());
    }
    for file in journal.parts[at].input_file.iter().chain(&journal.parts[at].results) {
        if let Err(error) = api.delete(file).await {
            tracing::warn!("{error}: {file} stays with the provider until it expires there");
        }
    }
    journal.parts[at].is_forgotten = true;
    journal.save()
}

/// Sends the rows in the order of the requests.
async fn hand_over(
    run: &CaptionRun,
    api: &BatchApi,
    journal: &mut Journal,
    captions: &mut CaptionWriter,
    n_kept: usize,
) -> Result<CaptionSummary> {
    let mut summary = CaptionSummary { n_kept, ..CaptionSummary::new() };
    let (mut part, mut answers) = (None, HashMap::new());
    for asked in journal.asked()? {
        let asked = asked?;
        if let Some(at) = asked.part.filter(|_| part != asked.part) {
            part = asked.part;
            answers = read_results(api, journal, at)?;
            let has_answer = |asked: Asked| asked.part == Some(at) && answers.contains_key(&asked.id);
            let is_ours = journal.asked()?.any(|asked| asked.is_ok_and(has_answer));
            if !is_ours && journal.parts[at].refused.is_none() {
                // An error page or another batch's results: neither reported nor deleted.
                journal.parts[at].is_fetched = false;
                journal.save()?;
                let problem = format!("the results of batch part {} contain none of its answers", at + 1);
                return Err(Error::service(api.server_name(), problem, "run the same command again"));
            }
        }
        for row in rows(journal, &asked, &mut answers) {
            if run.is_done(&row) {
                // An interrupted run wrote it.
                summary.n_kept += 1;
                continue;
            }
            summary.count(&row);
            captions.write(row, None).await?;
        }
    }
    Ok(summary)
}

type Answers = HashMap<String, Result<ChatResponse, String>>;

fn read_results(api: &BatchApi, journal: &Journal, at: usize) -> Result<Answers> {
    let mut answers = HashMap::new();
    for line in journal::lines(&journal.results(at))? {
        let line = line?;
        if let Some((id, answer)) = api.read_line(&line) {
            answers.entry(id).or_insert(answer);
        } else {
            tracing::warn!("{}: a line of the results is invalid", journal.results(at).display());
        }
    }
    Ok(answers)
}

/// The rows of one request, or of a file that could not be read.
fn rows(journal: &Journal, asked: &Asked, answers: &mut Answers) -> Vec<CaptionRow> {
    let mut rows: Vec<CaptionRow> = asked.frames.iter().map(|frame| frame.row(journal)).collect();
    let Some(at) = asked.part else { return rows };
    let answer = answers.remove(&asked.id).unwrap_or_else(|| {
        Err(journal.parts[at].refused.clone().unwrap_or_else(|| "the batch returned no answer".to_owned()))
    });
    match answer {
        Err(why) => rows.iter_mut().for_each(|row| row.error = Some(why.clone())),
        Ok(answer) if rows.len() > 1 => reply::share(rows.iter_mut().collect(), &answer),
        Ok(answer) => rows.iter_mut().for_each(|row| settle(row, &answer)),
    }
    rows
}

impl AskedFrame {
    fn row(&self, journal: &Journal) -> CaptionRow {
        CaptionRow {
            frame_idx: self.frame_idx,
            pts: self.pts.map(|pts| pts.n),
            time_base: self.pts.and_then(Ticks::base),
            time: self.time.and_then(Ticks::timestamp),
            suspect: self.suspect,
            image_sha256: self.image_sha256.clone(),
            input: self.input.clone(),
            ..CaptionRow::failed("", self.error.clone(), &journal.model, &journal.prompt_version)
        }
    }
}
