//! The `vidgist` command.

mod cli;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let cli = cli::args::Cli::parse();
    cli::start_logging(cli.quiet, cli.verbose);
    match cli::run(cli) {
        Ok(code) => code,
        Err(error) => cli::report_failure(&error),
    }
}
