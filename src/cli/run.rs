//! Runs a job: events to stderr, rows and results to stdout.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use tokio_util::sync::CancellationToken;
use vidgist::engine::{Engine, Outcome};
use vidgist::error::Error;
use vidgist::event::Event;
use vidgist::input::shown_name;
use vidgist::job::{CaptionFormat, Job, SummarizeJob, Task, TranscriptFormat, TranslateJob};
use vidgist::pipeline::Run;
use vidgist::pipeline::translate::TranslateResult;
use vidgist::report::caption::CSV_HEAD;
use vidgist::report::sound::SoundReport;
use vidgist::report::{self, Format, Report, estimate, json};

use super::config::CommandConfig;
use super::flags;
use super::output::{PARTIAL, end_at_once_on_the_next, print, report_gaps, say, warn};
use super::progress::Progress;
use super::stdin::Spooled;
use super::text_file::read_text;

/// Runs a job file; `fresh` as if the file said so.
pub async fn run_file(path: &Path, fresh: bool, config: &CommandConfig, quiet: bool) -> Result<ExitCode> {
    let text = read_text(path, "name a job that --print-job wrote")?;
    let is_json = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("json"));
    let job = if is_json { Job::from_json(&text) } else { Job::from_toml(&text) };
    let job = job.map_err(|mut error| {
        error.input = path.display().to_string();
        error
    })?;
    run(Job { fresh: job.fresh || fresh, ..job }, config, quiet).await
}

/// Runs a job and prints its result.
pub async fn run(mut job: Job, config: &CommandConfig, quiet: bool) -> Result<ExitCode> {
    let _spooled = Spooled::of_job(&mut job).await?;
    let cancel = CancellationToken::new();
    let engine = Engine::new(config.engine(Progress::is_shown(quiet)), config.secrets()?);
    let mut rows = Rows::of(&job.task);
    let outcome = follow(engine.run(job.clone(), cancel.clone()), &cancel, &mut rows, quiet).await;
    let outcome = outcome.inspect_err(|error| {
        let is_interrupted = error.downcast_ref::<Error>().is_some_and(Error::is_interrupted);
        if is_interrupted && rows.is_batch_sent {
            say("the provider continues the batch; run the same command again to fetch the results");
        }
    })?;
    show(&job.task, &outcome, quiet)
}

/// What is printed while the job runs.
#[derive(Default)]
struct Rows {
    /// Caption rows go to stdout in this form; None where they go to a file.
    captions: Option<CaptionFormat>,
    /// Whether the paths of written files go to stdout.
    prints_paths: bool,
    n_captions: usize,
    is_batch_sent: bool,
    /// Whether a request was sent, so that cancelling waits for it.
    is_requesting: bool,
}

impl Rows {
    fn of(task: &Task) -> Self {
        match task {
            Task::Caption(job) => {
                let format = job.row_format();
                let captions = Some(format).filter(|_| job.output.is_none());
                Self { captions, prints_paths: format == CaptionFormat::Txt, ..Self::default() }
            }
            Task::Transcribe(job) => Self { prints_paths: !job.join && job.inputs.len() > 1, ..Self::default() },
            _ => Self::default(),
        }
    }
}

/// Follows a job to its end. The first ctrl-c cancels it, the second does not wait.
async fn follow(mut run: Run<Outcome>, cancel: &CancellationToken, rows: &mut Rows, quiet: bool) -> Result<Outcome> {
    let progress = Progress::new(quiet);
    // One listener for the whole job: a new one per event could miss a signal between two events.
    let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        tokio::select! {
            biased;
            _ = &mut interrupt, if !cancel.is_cancelled() => {
                progress.clear();
                if rows.is_requesting && !rows.is_batch_sent {
                    say("stopping: waiting for requests in flight; press ctrl-c again to exit at once");
                }
                cancel.cancel();
                end_at_once_on_the_next();
            }
            event = run.next_event() => match event {
                Some(event) => on_event(&event, &progress, rows, cancel.is_cancelled(), quiet)?,
                None => break,
            },
        }
    }
    progress.clear();
    Ok(run.finish().await?)
}

fn on_event(event: &Event, progress: &Progress, rows: &mut Rows, is_stopping: bool, quiet: bool) -> Result<()> {
    match event {
        Event::Requesting { .. } => rows.is_requesting = true,
        Event::Input { input } if rows.n_captions > 0 => {
            progress.say(format!("{input}, {} captions", rows.n_captions));
            return Ok(());
        }
        Event::Caption { row } => {
            (rows.is_requesting, rows.n_captions) = (true, rows.n_captions + 1);
            progress.say(format!("{}, {} captions", row.input, rows.n_captions));
            if let Some(why) = row.error.as_ref().filter(|_| !is_stopping) {
                let place = row.time.map(|time| format!(" at {time}")).unwrap_or_default();
                progress.suspend(|| warn(&format!("{}{place}: {why}", row.input)));
            }
            match rows.captions {
                Some(CaptionFormat::Jsonl) => print(&row.to_json()?)?,
                Some(CaptionFormat::Csv) => {
                    if rows.n_captions == 1 {
                        print(CSV_HEAD)?;
                    }
                    print(&row.to_csv())?;
                }
                Some(CaptionFormat::Txt) | None => {}
            }
        }
        Event::Batch { n_requests, .. } => {
            let is_first = !std::mem::replace(&mut rows.is_batch_sent, true);
            let line = format!(
                "sent a batch of {n_requests} requests; results arrive within a day. You can stop this command and run it \
                 again later"
            );
            progress.suspend(|| {
                if is_first && !quiet && *n_requests > 0 {
                    say(&line);
                }
            });
        }
        Event::Written { path } if rows.prints_paths => {
            let mut printed = Ok(());
            progress.suspend(|| printed = print(&format!("{}\n", path.display())));
            printed?;
        }
        Event::Warning { input, message, advice } => {
            let input = shown_name(Path::new(input));
            let mut text =
                if message.starts_with(input.as_str()) { message.clone() } else { format!("{input}: {message}") };
            if !advice.is_none() {
                text.push_str("; ");
                text.push_str(&flags::advice(advice));
            }
            progress.suspend(|| warn(&text));
        }
        _ => {}
    }
    progress.show(event);
    Ok(())
}

/// Prints the result; the exit code.
fn show(task: &Task, outcome: &Outcome, quiet: bool) -> Result<ExitCode> {
    let is_complete = outcome.is_complete();
    match (task, outcome) {
        (Task::Summarize(job), Outcome::Report(report)) => return show_summary(job, report),
        (Task::Frames(job), Outcome::Report(report)) => {
            for frame in &report.frames {
                let Some(file) = &frame.file else { continue };
                print(&format!("{}\t{}\n", frame.timestamp, job.output.join(file).display()))?;
            }
            return Ok(report_gaps(report));
        }
        (Task::Caption(job), Outcome::Captions(summary)) => {
            if let Some(found) = &summary.estimate {
                let is_json = job.format == Some(CaptionFormat::Jsonl);
                print(&if is_json { estimate::to_json(found)? } else { estimate::to_markdown(found)? })?;
                return Ok(ExitCode::SUCCESS);
            }
            if !quiet {
                let kept = if summary.n_kept > 0 { format!(", {} kept", summary.n_kept) } else { String::new() };
                let failed =
                    if summary.n_failed > 0 { format!(", {} failed", summary.n_failed) } else { String::new() };
                let cost = summary.cost.filter(|cost| cost.picos() > 0);
                let cost = cost.map(|cost| format!(", {cost}")).unwrap_or_default();
                say(&format!("{} captions{kept}{failed}{cost}", summary.n_captions));
            }
            if let Some(why) = &summary.stopped_because {
                warn(&format!("stopped: {why}"));
            }
        }
        (Task::Transcribe(job), Outcome::Transcripts(result)) if job.output.is_none() => {
            for file in &result.files {
                print(&job.format.render(&file.transcript, &file.media)?)?;
            }
        }
        (Task::Translate(job), Outcome::Translation(result)) => show_translation(job, result, quiet)?,
        (Task::Audio(job), Outcome::Audio(result)) => {
            for file in &result.files {
                let language = file.language.as_ref().filter(|_| job.all_tracks);
                print(&format!(
                    "{}\t{} Hz, {} channel{}, {}, starts at {}{}\n",
                    file.path.display(),
                    file.rate_hz,
                    file.channels,
                    if file.channels == 1 { "" } else { "s" },
                    file.duration,
                    file.start,
                    language.map(|tag| format!(", {tag}")).unwrap_or_default(),
                ))?;
            }
        }
        (Task::DescribeAudio(job), Outcome::Descriptions(result)) => {
            let text = match job.format {
                Format::Markdown => result.reports.iter().map(SoundReport::to_markdown).collect::<Vec<_>>().join("\n"),
                Format::Json => json::to_text(&result.reports)?,
                // The job was refused.
                Format::Html => String::new(),
            };
            match &job.output {
                Some(path) => vidgist::fs::write_file(path, text.as_bytes())?,
                None => print(&text)?,
            }
        }
        _ => {}
    }
    Ok(if is_complete { ExitCode::SUCCESS } else { ExitCode::from(PARTIAL) })
}

fn show_translation(job: &TranslateJob, result: &TranslateResult, quiet: bool) -> Result<()> {
    let format = job.output_format();
    if let Some(found) = &result.estimate {
        let is_json = format == TranscriptFormat::Json;
        print(&if is_json { estimate::to_json(found)? } else { estimate::to_markdown(found)? })?;
        return Ok(());
    }
    if job.output.is_none() {
        print(&format.render(&result.file.transcript, &result.file.media)?)?;
    }
    if !quiet {
        let n_untranslated: usize = result.untranslated.iter().map(|cues| cues.last - cues.first + 1).sum();
        let counted = |n: usize, what: &str| if n > 0 { format!(", {n} {what}") } else { String::new() };
        let (copied, untranslated) = (counted(result.n_copied, "copied"), counted(n_untranslated, "not translated"));
        let cost = result.total.cost.filter(|cost| cost.picos() > 0);
        let cost = cost.map(|cost| format!(", {cost}")).unwrap_or_default();
        let cues = if result.n_translated == 1 { "cue" } else { "cues" };
        say(&format!("{} {cues} translated{copied}{untranslated}{cost}", result.n_translated));
    }
    Ok(())
}

fn show_summary(job: &SummarizeJob, report: &Report) -> Result<ExitCode> {
    if let Some(found) = &report.forecast {
        print(&match job.format {
            Format::Json => estimate::to_json(found)?,
            Format::Markdown | Format::Html => estimate::to_markdown(found)?,
        })?;
    } else {
        print(&report::render(report, job.format)?)?;
    }
    Ok(report_gaps(report))
}
