//! `vidgist summarize`.

use std::process::ExitCode;

use anyhow::Result;
use vidgist::error::Error;
use vidgist::pipeline::{Ask, DryRun, Job};
use vidgist::prompt::PromptOptions;
use vidgist::report::{Format, estimate, render};
use vidgist::source::Source;

use super::args::{ImageTransport, ReportFormat, StreamChoice, SummarizeArgs};
use super::config::Config;
use super::progress::Progress;
use super::transcribers::{self, WordsContext};
use super::{code_for, follow, job_args, model, print};

/// Summarises, or where `is_dry` tells what that would ask.
pub async fn run(args: &SummarizeArgs, config: &Config, quiet: bool, is_dry: bool) -> Result<ExitCode> {
    if args.requests.show_requests && !is_dry {
        let advice = "add --dry-run, or use: vidgist plan";
        return Err(Error::usage("--show-requests", "is for a dry run", advice).into());
    }
    let source = Source::identify(&args.input)?;
    let sampling = job_args::sampling(&args.sampling, config, "1s", Some(job_args::DEFAULT_MAX_FRAMES))?;
    let task = job_args::text_or_file(args.prompt.prompt.as_ref(), args.prompt.prompt_file.as_ref())?;
    let allowance = job_args::allowance(&args.requests)?;
    let answerer =
        if is_dry { model::unasked(&args.model, config)? } else { model::chat_model(&args.model, config).await? };
    if !answerer.description().is_language_model && (task.is_some() || args.prompt.system.is_some()) {
        let problem = "the built-in model cannot follow a prompt";
        let advice = format!("set {} or --base-url to ask a language model", model::KEY_VARIABLE);
        return Err(Error::usage("--prompt", problem, advice).into());
    }
    let image_url = (args.image_transport == ImageTransport::Url).then(|| args.input.clone());
    if let Some(url) = &image_url {
        if !(url.starts_with("https://") || url.starts_with("http://")) {
            let problem = "--image-transport url needs an http(s) address of a picture";
            return Err(Error::usage(url, problem, "leave the flag out to send the picture itself").into());
        }
        if !answerer.description().is_language_model {
            return Err(Error::usage("--image-transport url", "needs a language model", "set --base-url").into());
        }
    }
    let context =
        WordsContext { base_url: args.model.base_url.as_deref(), server: &args.model.server, stream_idx: None };
    let job = Job {
        words: transcribers::ways(&args.transcript, context, config).await?,
        needs_words: args.transcript.transcript.is_some(),
        ask: Some(Ask {
            answerer,
            prompt: PromptOptions { system: args.prompt.system.clone(), task, language: None, image_url },
            fence: fastrand::u32(..),
            is_live: match args.model.stream {
                StreamChoice::Auto => Progress::is_shown(quiet),
                StreamChoice::Always => true,
                StreamChoice::Never => false,
            },
            concurrency: model::concurrency(&args.model.server, config),
            allowance,
            dry_run: is_dry.then_some(DryRun { shows_requests: args.requests.show_requests }),
        }),
        output: args.output.clone(),
        ..job_args::job(source, sampling, &args.sampling, &args.picture, config)?
    };
    let report = follow(job, quiet).await?;
    if let Some(forecast) = &report.forecast {
        print(&match args.format {
            ReportFormat::Markdown => estimate::to_markdown(forecast)?,
            ReportFormat::Json => estimate::to_json(forecast)?,
        })?;
        return Ok(code_for(&report));
    }
    let format = match args.format {
        ReportFormat::Markdown => Format::Markdown,
        ReportFormat::Json => Format::Json,
    };
    print(&render(&report, format)?)?;
    Ok(code_for(&report))
}
