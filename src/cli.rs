//! The command: flags to jobs, results to stdout, everything else to stderr.

mod api_key;
pub mod args;
mod config;
mod doctor;
mod flags;
mod input_parser;
mod job_args;
mod models;
mod output;
mod probe;
mod progress;
mod providers;
mod run;
mod stdin;
mod store;
mod text_file;

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::CommandFactory as _;
use tracing_subscriber::EnvFilter;
use vidgist::job::Job;
use vidgist::{Error, ErrorKind};

use args::{Cli, Command, StoreAction};
use config::CommandConfig;
use output::{FAILED, INTERRUPTED, print, say};

/// Runs one command.
pub fn run(cli: Cli) -> Result<ExitCode> {
    if let Command::Completions { shell } = cli.command {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "vidgist", &mut script);
        print(&String::from_utf8_lossy(&script))?;
        return Ok(ExitCode::SUCCESS);
    }
    let job = job_args::job(&cli.command)?.map(|job| Job { fresh: cli.store.fresh, ..job });
    if cli.print_job {
        let job = job.ok_or_else(|| {
            Error::usage("--print-job", "is for commands that run a job", "use it with summarize, caption or frames")
        })?;
        print(&job.to_toml()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let config = CommandConfig::load(cli.config.as_deref())?.with_store(&cli.store);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(async {
        if let Some(job) = job {
            return run::run(job, &config, cli.quiet).await;
        }
        match cli.command {
            Command::Run { job } => run::run_file(&job, cli.store.fresh, &config, cli.quiet).await,
            Command::Probe(args) => unless_interrupted(probe::run(args, &config)).await,
            Command::Models { action } => unless_interrupted(models::run(action.as_ref(), &config, cli.quiet)).await,
            Command::Store { action } => store::run(action.unwrap_or(StoreAction::List { json: false }), &config).await,
            Command::Doctor(args) => unless_interrupted(doctor::run(&args, cli.config.as_deref(), &config)).await,
            _ => Ok(ExitCode::SUCCESS),
        }
    });
    // A decoder may still be in foreign code that cannot be interrupted.
    runtime.shutdown_timeout(Duration::from_millis(200));
    outcome
}

/// For work that can be dropped at any time.
async fn unless_interrupted(work: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    tokio::select! {
        // Listen before the work begins.
        biased;
        _ = tokio::signal::ctrl_c() => Err(Error::interrupted().into()),
        outcome = work => outcome,
    }
}

/// Prints the error; returns the exit code.
pub fn report_failure(error: &anyhow::Error) -> ExitCode {
    let known = error.downcast_ref::<Error>();
    if known.is_some_and(Error::is_broken_pipe) {
        // `vidgist … | head` is not a failure.
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

/// Logs go to stderr: warnings; with -v decisions; with -vv every step. `VIDGIST_LOG` overrides.
pub fn start_logging(quiet: bool, verbose: u8) {
    let level = match (quiet, verbose) {
        (true, _) => "off",
        // Messages of libraries are not for users; the report says what is missing.
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
