//! `vidgist caption`.

mod caption_writer;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use vidgist::error::{Error, ErrorKind};
use vidgist::llm::ChatModel;
use vidgist::pipeline::caption::{CaptionEvent, CaptionJob, CaptionSummary, batch, caption};
use vidgist::pipeline::{DryRun, Job, Stop};
use vidgist::prompt::CaptionPrompt;
use vidgist::report::estimate;
use vidgist::source::Source;

use self::caption_writer::Sink;
use super::args::{CaptionArgs, CaptionFormat};
use super::config::Config;
use super::progress::Progress;
use super::transcribers::{self, WordsContext};
use super::{PARTIAL, end_at_once_on_the_next, job_args, model, print, say};

pub async fn run(args: &CaptionArgs, config: &Config, quiet: bool) -> Result<ExitCode> {
    let is_dry = args.requests.is_dry()?;
    let answerer =
        if is_dry { model::unasked(&args.model, config)? } else { model::chat_model(&args.model, config).await? };
    let Some(model) = answerer.chat_model().cloned() else {
        let advice = format!("set {} or --base-url to ask a vision model", model::KEY_VARIABLE);
        return Err(Error::usage("vidgist caption", "the built-in model does not see", advice).into());
    };
    let system = args.prompt.system.clone();
    let task = job_args::text_or_file(args.prompt.prompt.as_ref(), args.prompt.prompt_file.as_ref())?;
    let (batch, goes_on) = batch(args, &*model, is_dry)?;
    let format = args.format.unwrap_or(CaptionFormat::Jsonl);
    if args.resume && (format != CaptionFormat::Jsonl || args.output.is_none()) {
        return Err(Error::usage("--resume", "needs a file of JSON lines", "use --format jsonl and -o FILE").into());
    }
    let held = args.output.as_deref().filter(|_| args.resume || goes_on).map(caption_writer::held).transpose()?;
    let (done, text) = held.map_or((HashSet::new(), None), |(done, text)| (done, Some(text)));
    let context =
        WordsContext { base_url: args.model.base_url.as_deref(), server: &args.model.server, stream_idx: None };
    let sampling = job_args::sampling(&args.sampling, config, "5s", None)?;
    let each = Job {
        words: transcribers::ways(&args.transcript, context, config).await?,
        needs_words: args.transcript.transcript.is_some(),
        // Each input takes the source's place in its turn.
        ..job_args::job(Source::Camera(0), sampling, &args.sampling, &args.picture, config)?
    };
    let job = CaptionJob {
        inputs: args.inputs.clone(),
        each,
        model,
        prompt: CaptionPrompt { system, task },
        fence: fastrand::u32(..),
        frames_per_request: args.frames_per_request.into(),
        concurrency: model::concurrency(&args.model.server, config),
        allowance: job_args::allowance(&args.requests)?,
        done,
        dry_run: is_dry.then_some(DryRun { shows_requests: args.requests.show_requests }),
        batch: batch.clone(),
    };
    // Last, so that what is wrong in the command leaves no empty file.
    let mut sink = if is_dry { Sink::new(format) } else { Sink::open(format, args.output.as_deref(), text)? };
    let summary = follow(job, &mut sink, quiet).await.inspect_err(|error| {
        let is_interrupted = matches!(error.downcast_ref(), Some(Error { kind: ErrorKind::Interrupted, .. }));
        if is_interrupted && batch.as_deref().is_some_and(batch::is_under_way) {
            say("what was sent goes on with the provider: the same command goes on here");
        }
    })?;
    if let Some(forecast) = &summary.forecast {
        let is_json = args.format == Some(CaptionFormat::Jsonl);
        print(&if is_json { estimate::to_json(forecast)? } else { estimate::to_markdown(forecast)? })?;
        return Ok(ExitCode::SUCCESS);
    }
    sink.finish()?;
    if let Some(folder) = &batch {
        batch::remove(folder)?;
    }
    told(&summary, quiet);
    if let Some(why) = &summary.stopped_because {
        super::warn(&format!("stopped: {why}"));
    }
    let is_whole = summary.n_failed == 0 && summary.stopped_because.is_none();
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::from(PARTIAL) })
}

/// The folder of the batch where one is asked for, and whether it is under way.
fn batch(args: &CaptionArgs, model: &dyn ChatModel, is_dry: bool) -> Result<(Option<PathBuf>, bool)> {
    if !args.batch {
        let folder = batch_folder(args).ok().filter(|folder| !is_dry && batch::is_under_way(folder));
        return match folder {
            // It would be asked, and paid for, a second time.
            Some(folder) => {
                let advice = "add --batch to go on with it, or name another file with -o";
                Err(Error::usage(folder.display(), "a batch of this output is under way", advice).into())
            }
            None => Ok((None, false)),
        };
    }
    let folder = batch_folder(args)?;
    batch::api(model)?;
    let goes_on = !is_dry && batch::is_under_way(&folder);
    if goes_on {
        say(&format!("going on with the batch in {}; inputs are not read again", folder.display()));
    }
    Ok((Some(folder), goes_on))
}

/// The folder of a batch: beside the file of its rows.
fn batch_folder(args: &CaptionArgs) -> Result<PathBuf> {
    let path = args.output.as_deref().filter(|_| matches!(args.format, None | Some(CaptionFormat::Jsonl)));
    let advice = "use --format jsonl and -o FILE";
    let path = path.ok_or_else(|| Error::usage("--batch", "needs a file of JSON lines", advice))?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".batch");
    Ok(path.parent().unwrap_or(Path::new("")).join(name))
}

/// Follows a run to its end. The first ctrl-c lets what is in flight be answered and written, the second does not wait.
async fn follow(job: CaptionJob, sink: &mut Sink, quiet: bool) -> Result<CaptionSummary> {
    let stop = Stop::default();
    let progress = Progress::new(quiet);
    let mut events = caption(job, stop.clone());
    let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
    let (mut is_stopping, mut n_rows, mut is_sent) = (false, 0_usize, false);
    loop {
        tokio::select! {
            biased;
            _ = &mut interrupt, if !is_stopping => {
                is_stopping = true;
                progress.clear();
                if !is_sent {
                    say("stopping: what was asked is waited for, for 10 s; ctrl-c again ends at once");
                }
                stop.stop();
                end_at_once_on_the_next();
            }
            event = events.recv() => match event {
                Some(CaptionEvent::Files { inputs }) => sink.order = inputs,
                Some(CaptionEvent::File { input }) => progress.say(format!("{input}, {n_rows} captions")),
                Some(CaptionEvent::Row { row, image }) => {
                    n_rows += 1;
                    progress.say(format!("{}, {n_rows} captions", row.input));
                    if let Some(why) = row.error.as_ref().filter(|_| !is_stopping) {
                        let place = row.time.map(|time| format!(" at {time}")).unwrap_or_default();
                        progress.suspend(|| super::warn(&format!("{}{place}: {why}", row.input)));
                    }
                    sink.write(&row, image.as_ref())?;
                }
                Some(CaptionEvent::Batch { n_done, n_requests }) => {
                    if !std::mem::replace(&mut is_sent, true) && !quiet && n_requests > 0 {
                        progress.suspend(|| {
                            say(&format!(
                                "{n_requests} requests are with the provider, who answers within a day; stop this at \
                                 will, and run the same command again"
                            ));
                        });
                    }
                    progress.say(format!("{n_done} of {n_requests} requests of the batch are done"));
                }
                Some(CaptionEvent::Finished(outcome)) => {
                    progress.clear();
                    return Ok((*outcome)?);
                }
                Some(_) => {}
                None => return Err(Error::interrupted().into()),
            },
        }
    }
}

fn told(summary: &CaptionSummary, quiet: bool) {
    if quiet {
        return;
    }
    let kept = if summary.n_kept > 0 { format!(", {} kept", summary.n_kept) } else { String::new() };
    let failed = if summary.n_failed > 0 { format!(", {} failed", summary.n_failed) } else { String::new() };
    let cost = summary.cost.filter(|cost| cost.picos() > 0).map(|cost| format!(", {cost}")).unwrap_or_default();
    say(&format!("{} captions{kept}{failed}{cost}", summary.n_captions));
}
