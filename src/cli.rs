//! The command: flags to jobs, results to stdout, everything else to stderr.

mod api_key;
pub mod args;
mod audio;
mod audio_track;
mod caption;
mod config;
mod describe_audio;
mod doctor;
mod flags;
mod frames;
mod job_args;
mod model;
mod models;
mod probe;
mod progress;
mod providers;
mod summarize;
mod transcribe;
mod transcribers;

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::CommandFactory as _;
use tracing_subscriber::EnvFilter;
use vidgist::pipeline::{Event, Job, Stop};
use vidgist::report::{Report, Status};
use vidgist::{Error, ErrorKind};

use args::{Cli, Command};
use config::Config;
use progress::Progress;

/// Finished, but with failures in the result.
const PARTIAL: u8 = 1;
/// Wrong usage, or nothing could be done.
const FAILED: u8 = 2;
/// Stopped by the user, as a shell reports it: 128 + SIGINT.
const INTERRUPTED: u8 = 130;
/// How long work in flight may take to end after the first ctrl-c.
const GRACE: Duration = Duration::from_secs(10);

/// Runs one command.
pub fn run(cli: Cli) -> Result<ExitCode> {
    if let Command::Completions { shell } = cli.command {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "vidgist", &mut script);
        print(&String::from_utf8_lossy(&script))?;
        return Ok(ExitCode::SUCCESS);
    }
    let config = Config::load(cli.config.as_deref())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(async {
        match cli.command {
            Command::Summarize(args) => summarize::run(&args, &config, cli.quiet, args.requests.dry_run).await,
            Command::Plan(args) => summarize::run(&args, &config, cli.quiet, true).await,
            Command::Caption(args) => caption::run(&args, &config, cli.quiet).await,
            Command::Frames(args) => frames::run(&args, &config, cli.quiet).await,
            Command::Audio(args) => unless_interrupted(audio::run(&args)).await,
            Command::DescribeAudio(args) => unless_interrupted(describe_audio::run(&args, &config)).await,
            Command::Transcribe(args) => unless_interrupted(transcribe::run(&args, &config, cli.quiet)).await,
            Command::Probe(args) => probe::run(&args),
            Command::Models { action } => unless_interrupted(models::run(action.as_ref(), &config, cli.quiet)).await,
            Command::Doctor(args) => unless_interrupted(doctor::run(&args, cli.config.as_deref(), &config)).await,
            Command::Completions { .. } => Ok(ExitCode::SUCCESS),
        }
    });
    // A decoder may still sit in foreign code that cannot be interrupted.
    runtime.shutdown_timeout(Duration::from_millis(200));
    outcome
}

/// For work that has nothing to hand over when it is stopped.
async fn unless_interrupted(work: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    tokio::select! {
        // The listener stands before the work begins.
        biased;
        _ = tokio::signal::ctrl_c() => Err(Error::interrupted().into()),
        outcome = work => outcome,
    }
}

/// Follows a run to its end. The first ctrl-c asks it to stop, the second does not wait.
async fn follow(job: Job, quiet: bool) -> Result<Report> {
    let stop = Stop::default();
    let progress = Progress::new(quiet);
    let mut events = vidgist::pipeline::run(job, stop.clone());
    // One listener for the whole run: a new one for each event would miss a signal between two of them.
    let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
    let (mut is_stopping, mut is_asking) = (false, false);
    loop {
        tokio::select! {
            biased;
            _ = &mut interrupt, if !is_stopping => {
                is_stopping = true;
                progress.clear();
                if is_asking {
                    say("stopping: answers on their way are waited for, ctrl-c again ends at once");
                }
                stop.stop();
                end_at_once_on_the_next();
            }
            event = events.recv() => match event {
                Some(Event::Finished(outcome)) => {
                    progress.clear();
                    return Ok((*outcome)?);
                }
                Some(event) => {
                    is_asking |= matches!(event, Event::Asking { .. });
                    progress.show(&event);
                }
                None => return Err(Error::interrupted().into()),
            },
        }
    }
}

/// Ends the process at the next ctrl-c, or when the grace is over.
fn end_at_once_on_the_next() {
    tokio::spawn(async {
        let _ = tokio::time::timeout(GRACE, tokio::signal::ctrl_c()).await;
        std::process::exit(INTERRUPTED.into());
    });
}

/// The exit code that a report asks for; what is missing is told on stderr too.
fn code_for(report: &Report) -> ExitCode {
    for gap in report.gaps() {
        warn(&format!("{}: missing {}: {}", report.media.input, gap.what, gap.why));
    }
    match report.status() {
        _ if report.was_stopped => {
            say("interrupted");
            ExitCode::from(INTERRUPTED)
        }
        Status::Complete => ExitCode::SUCCESS,
        Status::Partial => ExitCode::from(PARTIAL),
    }
}

/// Writes a result to stdout.
fn print(text: &str) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|e| Error::io(Path::new("stdout"), e))
}

/// Writes one line to stderr, cleared of what a terminal would obey.
fn say(line: &str) {
    // Nobody reads stderr: there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{}", vidgist::sanitize::clean_line(line));
}

/// Tells on stderr what is missing in a result; with -q the exit code and the result alone tell.
fn warn(text: &str) {
    if tracing::enabled!(tracing::Level::WARN) {
        say(&format!("warning: {text}"));
    }
}

/// Says why a run failed, and with which code it ends.
pub fn report_failure(error: &anyhow::Error) -> ExitCode {
    let known = error.downcast_ref::<Error>();
    if known.is_some_and(Error::is_broken_pipe) {
        // The reader has seen enough: `vidgist … | head` is no failure.
        return ExitCode::SUCCESS;
    }
    if matches!(known, Some(Error { kind: ErrorKind::Interrupted, .. })) {
        say("interrupted");
        return ExitCode::from(INTERRUPTED);
    }
    let said = known.map_or_else(|| error.to_string(), flags::error_text);
    say(&format!("error: {said}"));
    for cause in error.chain().skip(1).filter(|cause| !said.contains(&cause.to_string())) {
        tracing::info!("because: {cause}");
    }
    ExitCode::from(FAILED)
}

/// Logs go to stderr: warnings, with -v what is done and why, with -vv every step. `VIDGIST_LOG` overrides.
pub fn start_logging(quiet: bool, verbose: u8) {
    let level = match (quiet, verbose) {
        (true, _) => "off",
        // What the libraries beneath complain of is not for users, and the report says what is missing.
        (_, 0) => "off,vidgist=warn",
        (_, 1) => "vidgist=info,warn",
        _ => "vidgist=debug,info",
    };
    let filter = EnvFilter::try_from_env("VIDGIST_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .without_time()
        .init();
}
