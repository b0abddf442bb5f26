//! `vidgist frames`.

use std::process::ExitCode;

use anyhow::Result;
use vidgist::limits::Limits;
use vidgist::pipeline::Job;
use vidgist::source::Source;

use super::args::FramesArgs;
use super::config::{self, Config};
use super::{code_for, follow, print, wishes};

pub async fn run(args: &FramesArgs, config: &Config, quiet: bool) -> Result<ExitCode> {
    let job = Job {
        source: Source::identify(&args.input)?,
        sampling: wishes::sampling(&args.sampling, config, "5s", None)?,
        sequence_rate: wishes::ratio("--sequence-fps", &args.sampling.sequence_fps)?,
        decoder: wishes::decoder(&args.sampling),
        dedup: args.sampling.dedup,
        contact_sheet: args.contact_sheet,
        max_width: wishes::max_width(&args.picture, config),
        encode: wishes::encode(&args.picture, config),
        words: Vec::new(),
        needs_words: false,
        ask: None,
        output: Some(args.output.clone()),
        cache: config::cache_folder(),
        limits: Limits::default(),
    };
    let report = follow(job, quiet).await?;
    for frame in &report.frames {
        let Some(file) = &frame.file else { continue };
        print(&format!("{}\t{}\n", frame.timestamp, args.output.join(file).display()))?;
    }
    Ok(code_for(&report))
}
