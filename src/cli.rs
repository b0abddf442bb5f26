//! The command: flags to jobs, results to stdout, everything else to stderr.

mod api_key;
pub mod args;
mod config;
mod doctor;
mod flags;
mod input_parser;
mod job_args;
mod models;
mod probe;
mod progress;
mod providers;
mod run;

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::CommandFactory as _;
use tracing_subscriber::EnvFilter;
use vidgist::report::{Report, Status};
use vidgist::{Error, ErrorKind};

use args::{Cli, Command};
use config::CommandConfig;

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
    let job = job_args::job(&cli.command)?;
    if cli.print_job {
        let job = job.ok_or_else(|| {
            Error::usage("--print-job", "is for commands that run a job", "use it with summarize, caption or frames")
        })?;
        print(&job.to_toml()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let config = CommandConfig::load(cli.config.as_deref())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(async {
        if let Some(job) = job {
            return run::run(job, &config, cli.quiet).await;
        }
        match cli.command {
            Command::Run { job } => run::run_file(&job, &config, cli.quiet).await,
            Command::Probe(args) => probe::run(&args),
            Command::Models { action } => unless_interrupted(models::run(action.as_ref(), &config, cli.quiet)).await,
            Command::Doctor(args) => unless_interrupted(doctor::run(&args, cli.config.as_deref(), &config)).await,
            _ => Ok(ExitCode::SUCCESS),
        }
    });
    // A decoder may still sit in foreign code that cannot be interrupted.
    runtime.shutdown_timeout(Duration::from_millis(200));
    outcome
}

/// For work that leaves nothing behind when it is stopped.
async fn unless_interrupted(work: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    tokio::select! {
        // The listener stands before the work begins.
        biased;
        _ = tokio::signal::ctrl_c() => Err(Error::interrupted().into()),
        outcome = work => outcome,
    }
}

/// Ends the process at the next ctrl-c, or when the grace is over.
fn end_at_once_on_the_next() {
    tokio::spawn(async {
        let _ = tokio::time::timeout(GRACE, tokio::signal::ctrl_c()).await;
        std::process::exit(INTERRUPTED.into());
    });
}

/// The exit code of a report; what is missing goes to stderr too.
fn report_gaps(report: &Report) -> ExitCode {
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

/// Writes one line to stderr, without control characters.
fn say(line: &str) {
    // Where stderr is closed, there is nothing else to do.
    let _ = writeln!(std::io::stderr(), "{}", vidgist::sanitize::clean_line(line));
}

/// Writes a warning to stderr; with -q the exit code and the result say it alone.
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
