//! The parts of a job, with the configuration's and vidgist's defaults.

use std::path::{Path, PathBuf};

use super::config::Config;
use crate::advice::{Advice, Setting};
use crate::analyze::{DryRun, SpendLimit};
use crate::documents;
use crate::encode::EncodeOptions;
use crate::error::{Error, Result};
use crate::http::{RequestLimits, ServerConfig};
use crate::input::{SPOOLED_NAME, Source, shown_name};
use crate::job::{ImageOptions, SamplingMethod, SamplingOptions, ServerOptions, SpendOptions, SummarizeJob};
use crate::limits::Limits;
use crate::media::Ratio;
use crate::money::Money;
use crate::pipeline::FrameOptions;
use crate::prompt::ContextDocument;
use crate::report::{Format, PageOptions};
use crate::sampling::{self, Sampling};
use crate::time::{TimeBase, Timestamp, Tolerance};
use crate::video::SizeLimit;

/// Defaults of a kind of job.
#[derive(Clone, Copy)]
pub(super) struct FrameDefaults {
    interval_millis: i64,
    /// Whether a job that sets no maximum gets one by its length.
    is_limited_by_length: bool,
    /// Where the job gives no interval, rate or times.
    tolerance: Tolerance,
}

pub(super) const SUMMARIZE: FrameDefaults =
    FrameDefaults { interval_millis: 1000, is_limited_by_length: true, tolerance: Tolerance::HALF };
pub(super) const CAPTION: FrameDefaults =
    FrameDefaults { interval_millis: 5000, is_limited_by_length: false, tolerance: Tolerance::HALF };
pub(super) const FRAMES: FrameDefaults = FrameDefaults { tolerance: Tolerance::EXACT, ..CAPTION };

const DEFAULT_MAX_WIDTH: u32 = 768;
const DEFAULT_QUALITY: u8 = 85;
/// Characters of all background documents.
const MAX_CONTEXT_CHARS: usize = 100_000;

/// How the report page is made.
pub(super) fn page(job: &SummarizeJob, source: &Source, is_dry: bool) -> Result<PageOptions> {
    if is_dry && job.format == Format::Html {
        let problem = "an estimate is written as Markdown or JSON";
        return Err(Error::setting(Setting::OutputFormat, problem, Advice::Unset(Setting::OutputFormat)));
    }
    let has_page = job.output.is_some() || job.format == Format::Html;
    for (setting, is_set) in [(Setting::LinkMedia, job.link_media), (Setting::InlinePictures, job.inline_pictures)] {
        if is_set && !has_page && !is_dry {
            let advice = Advice::Set(Setting::Output).or(Advice::SetTo(Setting::OutputFormat, "html".to_owned()));
            return Err(Error::setting(setting, "there is no report page to write", advice));
        }
    }
    let recording = match source {
        Source::Media(path) if source.name() != SPOOLED_NAME => Some(path.clone()),
        _ => None,
    };
    if job.link_media && recording.is_none() {
        let problem = "is not one recording on this machine, so that a page cannot play it";
        return Err(Error::usage(source.name(), problem, Advice::Unset(Setting::LinkMedia)));
    }
    Ok(PageOptions { inline_pictures: job.inline_pictures, recording: recording.filter(|_| job.link_media) })
}

/// Which frames, and how they are encoded.
pub(super) fn frames(
    options: &SamplingOptions,
    images: &ImageOptions,
    config: &Config,
    defaults: FrameDefaults,
) -> Result<FrameOptions> {
    let format = images.format.or(config.frames.image_format).unwrap_or_default();
    let quality = images.jpeg_quality.or(config.frames.jpeg_quality).unwrap_or(DEFAULT_QUALITY);
    if quality == 0 || quality > 100 {
        return Err(Error::usage("the image quality", "must be 1 to 100", ""));
    }
    let max_edge = images.max_edge.or(config.frames.max_edge);
    let max_width = images.max_width.or(config.frames.max_width).or(max_edge.is_none().then_some(DEFAULT_MAX_WIDTH));
    for (setting, limit) in [(Setting::MaxWidth, max_width), (Setting::MaxEdge, max_edge)] {
        if limit.is_some_and(|limit| !(16..=16_383).contains(&limit)) {
            return Err(Error::setting(setting, "must be 16 to 16383 pixels", ""));
        }
    }
    let sampling = sampling(options, config, defaults)?;
    let tolerance = tolerance(options, config, defaults, &sampling.sampling)?;
    // Listed times are all wanted, however many there are, and the budget method needs a maximum.
    let is_limited_by_length = match sampling.sampling {
        Sampling::At(_) => false,
        Sampling::Budget => true,
        _ => defaults.is_limited_by_length,
    };
    Ok(FrameOptions {
        sampling,
        is_limited_by_length,
        tolerance,
        sequence_rate: options.sequence_fps.unwrap_or(Ratio::ONE),
        decoder: options.decoder,
        size: SizeLimit { max_width, max_edge },
        dedup: options.dedup,
        encode: EncodeOptions { format, quality },
        cache: config.cache_folder.clone(),
        limits: Limits::default(),
    })
}

fn sampling(options: &SamplingOptions, config: &Config, defaults: FrameDefaults) -> Result<sampling::SamplingSpec> {
    let exclusive = [options.interval.is_some(), options.fps.is_some(), !options.at.is_empty()];
    if exclusive.iter().filter(|is_set| **is_set).count() > 1 {
        let problem = "cannot be combined with another interval, rate or list of times";
        return Err(Error::setting(Setting::Interval, problem, "leave all but one of them out"));
    }
    let chosen = match options.method {
        None | Some(SamplingMethod::Interval) => None,
        Some(SamplingMethod::Keyframe) => Some(Sampling::Keyframes),
        Some(SamplingMethod::Scene) => Some(Sampling::Scenes),
        Some(SamplingMethod::Budget) => Some(Sampling::Budget),
    };
    if chosen.is_some() && exclusive.contains(&true) {
        let advice = Advice::SetTo(Setting::Sampling, "interval".into());
        return Err(Error::setting(Setting::Interval, "is for the sampling method interval only", advice));
    }
    let sampling = if !options.at.is_empty() {
        Sampling::At(options.at.clone())
    } else if let Some(method) = chosen {
        method
    } else if let Some(rate) = options.fps {
        let frame_time = TimeBase::new(rate.den, rate.num).map(|base| Timestamp::new(1, base));
        Sampling::Interval(frame_time.unwrap_or(Timestamp::ZERO))
    } else {
        let default = Timestamp::from_millis(defaults.interval_millis);
        Sampling::Interval(options.interval.or(config.frames.interval).unwrap_or(default))
    };
    if options.max_frames == Some(0) {
        return Err(Error::setting(Setting::MaxFrames, "must be at least 1", ""));
    }
    let is_limited = !matches!(sampling, Sampling::At(_));
    let max_frames = options.max_frames.or(config.frames.max_frames.filter(|_| is_limited));
    Ok(sampling::SamplingSpec { sampling, start: options.start, end: options.end, max_frames })
}

/// How far frames may be from their sample points. A share of the interval needs one: listed times have none, and keyframes
/// are what they are.
fn tolerance(
    options: &SamplingOptions,
    config: &Config,
    defaults: FrameDefaults,
    sampling: &Sampling,
) -> Result<Tolerance> {
    let wanted = options.tolerance.or(config.frames.tolerance);
    let problem = match (sampling, wanted) {
        (Sampling::Keyframes, None) => return Ok(Tolerance::EXACT),
        (Sampling::Keyframes, Some(_)) => "is for sample points only, and keyframes are taken as they are",
        (Sampling::At(_), Some(Tolerance::Share(1..))) => "is a share of an interval, and listed times have none",
        _ => {
            let is_chosen = options.interval.is_some() || options.fps.is_some() || !options.at.is_empty();
            let default = if is_chosen { Tolerance::EXACT } else { defaults.tolerance };
            return Ok(wanted.unwrap_or(default));
        }
    };
    if options.tolerance.is_none() {
        // The configuration is for all jobs.
        return Ok(Tolerance::EXACT);
    }
    let advice = match sampling {
        Sampling::Keyframes => Advice::Unset(Setting::Tolerance),
        _ => Advice::SetTo(Setting::Tolerance, "1s".into()),
    };
    Err(Error::setting(Setting::Tolerance, problem, advice))
}

/// The texts of the user's background documents.
pub(super) fn context(paths: &[PathBuf]) -> Result<Vec<ContextDocument>> {
    let (mut found, mut n_chars) = (Vec::with_capacity(paths.len()), 0);
    for path in paths {
        let text = documents::read_document(path)?;
        n_chars += text.chars().count();
        if n_chars > MAX_CONTEXT_CHARS {
            let problem = format!(
                "have {n_chars} characters of text up to {}, and {MAX_CONTEXT_CHARS} is the most",
                shown_name(path)
            );
            return Err(Error::setting(Setting::Context, problem, "leave out what the answer does not need"));
        }
        let name = path.file_name().map_or_else(|| shown_name(path), |name| shown_name(Path::new(name)));
        found.push(ContextDocument { name, text });
    }
    Ok(found)
}

/// The most that a job may spend.
pub(super) fn spend_limit(options: &SpendOptions) -> Result<SpendLimit> {
    let cost = options.max_cost.as_deref().map(|text| {
        let dollars = text.strip_prefix('$').unwrap_or(text);
        Money::parse_dollars(dollars).ok_or_else(|| {
            Error::setting(Setting::MaxCost, format!("{text} is not an amount in dollars"), "write it as 0.05")
        })
    });
    Ok(SpendLimit { cost: cost.transpose()?, tokens: options.max_tokens_total })
}

/// Whether nothing is sent.
pub(super) fn dry_run(options: &SpendOptions) -> Result<Option<DryRun>> {
    if options.show_requests && !options.dry_run {
        let advice = Advice::Set(Setting::DryRun);
        return Err(Error::setting(Setting::ShowRequests, "is for a dry run only", advice));
    }
    Ok(options.dry_run.then_some(DryRun { shows_requests: options.show_requests }))
}

/// Concurrent requests: no more need to be prepared.
pub(super) fn concurrency(options: &ServerOptions, config: &Config) -> usize {
    options.concurrency.or(config.concurrency).map_or(RequestLimits::default().concurrency, usize::from)
}

/// A server with timeouts, limits and certificates, without the key where it would be sent unencrypted.
pub(super) fn server(mut server: ServerConfig, options: &ServerOptions, config: &Config) -> ServerConfig {
    let millis =
        |time: Timestamp| std::time::Duration::from_millis(u64::try_from(time.millis()).unwrap_or_default().max(1));
    if let Some(timeout) = options.timeout.map(millis).or(config.timeout) {
        server.timeout = timeout;
    }
    let total = options.total_timeout.map(millis).or(config.total_timeout);
    server.total_timeout = total.unwrap_or_else(|| server.total_timeout.max(server.timeout));
    server.ca_file = options.ca_file.clone().or_else(|| config.ca_file.clone());
    server.load.concurrency = concurrency(options, config);
    server.load.max_requests_per_minute = options.max_requests_per_minute.or(config.max_requests_per_minute);
    server.load.max_tokens_per_minute = options.max_tokens_per_minute.or(config.max_tokens_per_minute);
    server.sends_key_unencrypted = options.send_key_unencrypted;
    let server = server.withhold_key();
    if server.withholds_key {
        let host = server.base_url.host_str().unwrap_or_default();
        tracing::warn!("{host}: the key is not sent, because http:// is not encrypted");
    }
    server
}
