//! `vidgist frames`.

use std::process::ExitCode;

use anyhow::Result;
use vidgist::pipeline::Job;
use vidgist::source::Source;

use super::args::FramesArgs;
use super::config::Config;
use super::{code_for, follow, job_args, print};

pub async fn run(args: &FramesArgs, config: &Config, quiet: bool) -> Result<ExitCode> {
    let source = Source::identify(&args.input)?;
    let sampling = job_args::sampling(&args.sampling, config, "5s", None)?;
    let job = Job {
        contact_sheet: args.contact_sheet,
        output: Some(args.output.clone()),
        ..job_args::job(source, sampling, &args.sampling, &args.picture, config)?
    };
    let report = follow(job, quiet).await?;
    for frame in &report.frames {
        let Some(file) = &frame.file else { continue };
        print(&format!("{}\t{}\n", frame.timestamp, args.output.join(file).display()))?;
    }
    Ok(code_for(&report))
}
