//! Flags, environment and configuration, put together: what the user wishes.

use std::path::PathBuf;

use vidgist::encode::EncodeOptions;
use vidgist::error::{Error, Result};
use vidgist::limits::Limits;
use vidgist::media::{ImageFormat, Ratio};
use vidgist::money::Money;
use vidgist::pipeline::Job;
use vidgist::pipeline::SpendLimit;
use vidgist::sampling::{Sampling, SamplingOptions};
use vidgist::source::Source;
use vidgist::time::{TimeBase, Timestamp};
use vidgist::video::DecoderBackend;

use super::args::{DecoderChoice, PictureArgs, PictureFormat, RequestArgs, SamplingArgs, SamplingMethod};
use super::config::{self, Config};

const DEFAULT_MAX_WIDTH: u32 = 768;

/// Frames that are looked at where the user does not say: covers minutes well and an hour coarsely.
pub const DEFAULT_MAX_FRAMES: usize = 50;

const DEFAULT_QUALITY: u8 = 85;

/// Which moments: flags win over the configuration, that wins over `default_interval` and `default_max`.
pub fn sampling(
    args: &SamplingArgs,
    config: &Config,
    default_interval: &str,
    default_max: Option<usize>,
) -> Result<SamplingOptions> {
    let sampling = if !args.at.is_empty() {
        Sampling::At(args.at.clone())
    } else if let Some(how) = chosen(args)? {
        how
    } else if let Some(rate) = &args.fps {
        let rate = ratio("--fps", rate)?;
        let frame_time = TimeBase::new(rate.den, rate.num).map(|base| Timestamp::new(1, base));
        Sampling::Interval(frame_time.unwrap_or(Timestamp::ZERO))
    } else {
        let interval = match (args.interval, &config.frames.interval) {
            (Some(interval), _) => interval,
            (None, Some(text)) => text.parse()?,
            (None, None) => default_interval.parse()?,
        };
        Sampling::Interval(interval)
    };
    if args.max_frames == Some(0) {
        return Err(Error::usage("--max-frames", "must be at least 1", ""));
    }
    // Single moments are all wanted, however many they are.
    let default_max = match sampling {
        Sampling::At(_) => None,
        Sampling::Budget => config.frames.max_frames.or(Some(DEFAULT_MAX_FRAMES)),
        _ => config.frames.max_frames.or(default_max),
    };
    Ok(SamplingOptions { sampling, start: args.start, end: args.end, max_frames: args.max_frames.or(default_max) })
}

/// The methods that choose among the video's own frames; None for an interval.
fn chosen(args: &SamplingArgs) -> Result<Option<Sampling>> {
    let sampling = match args.sampling {
        None | Some(SamplingMethod::Interval) => return Ok(None),
        Some(SamplingMethod::Keyframe) => Sampling::Keyframes,
        Some(SamplingMethod::Scene) => Sampling::Scenes,
        Some(SamplingMethod::Budget) => Sampling::Budget,
    };
    if args.interval.is_some() {
        return Err(Error::usage("--interval", "goes with --sampling interval alone", "leave one of them out"));
    }
    Ok(Some(sampling))
}

/// The frames that are wanted: no words, nothing asked, nothing written.
pub fn job(
    source: Source,
    sampling: SamplingOptions,
    args: &SamplingArgs,
    picture: &PictureArgs,
    config: &Config,
) -> Result<Job> {
    Ok(Job {
        source,
        sampling,
        sequence_rate: ratio("--sequence-fps", &args.sequence_fps)?,
        decoder: decoder(args),
        dedup: args.dedup,
        contact_sheet: false,
        max_width: picture.max_width.or(config.frames.max_width).unwrap_or(DEFAULT_MAX_WIDTH),
        encode: encode(picture, config),
        words: Vec::new(),
        needs_words: false,
        ask: None,
        output: None,
        cache: config::cache_folder(),
        limits: Limits::default(),
    })
}

fn decoder(args: &SamplingArgs) -> DecoderBackend {
    match args.decoder {
        DecoderChoice::Auto => DecoderBackend::Auto,
        DecoderChoice::Opencv => DecoderBackend::OpenCv,
    }
}

fn encode(args: &PictureArgs, config: &Config) -> EncodeOptions {
    let format = match args.image_format.or(config.frames.image_format) {
        None | Some(PictureFormat::Jpeg) => ImageFormat::Jpeg,
        Some(PictureFormat::Png) => ImageFormat::Png,
        Some(PictureFormat::Webp) => ImageFormat::Webp,
    };
    EncodeOptions { format, quality: args.jpeg_quality.or(config.frames.jpeg_quality).unwrap_or(DEFAULT_QUALITY) }
}

/// Reads `2`, `0.5`, `29.97` or `30000/1001` exactly.
fn ratio(flag: &str, text: &str) -> Result<Ratio> {
    let parsed = if let Some((num, den)) = text.split_once('/') {
        num.parse().ok().zip(den.parse().ok())
    } else {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = fraction.len() <= 6 && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let num = format!("{whole}{fraction}").parse().ok().filter(|_| digits);
        num.zip(10u32.checked_pow(fraction.len() as u32))
    };
    let base = parsed.and_then(|(num, den)| TimeBase::new(num, den));
    base.map(|base| Ratio { num: base.num(), den: base.den() })
        .ok_or_else(|| Error::usage(flag, format!("{text} is not a rate above 0"), "write it as 2, 0.5 or 30000/1001"))
}

/// The most that a run may spend.
pub fn allowance(args: &RequestArgs) -> Result<SpendLimit> {
    let cost = args.max_cost.as_deref().map(|text| {
        let dollars = text.strip_prefix('$').unwrap_or(text);
        Money::parse_dollars(dollars)
            .ok_or_else(|| Error::usage("--max-cost", format!("{text} is no amount of dollars"), "write it as 0.05"))
    });
    Ok(SpendLimit { cost: cost.transpose()?, tokens: args.max_tokens_total })
}

/// A text given on the command line or in a file.
pub fn text_or_file(text: Option<&String>, file: Option<&PathBuf>) -> Result<Option<String>> {
    match (text, file) {
        (Some(text), _) => Ok(Some(text.clone())),
        (None, Some(path)) => std::fs::read_to_string(path).map(Some).map_err(|e| Error::io(path, e)),
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_exact() {
        for (text, num, den) in
            [("2", 2, 1), ("0.5", 1, 2), ("29.97", 2997, 100), ("30000/1001", 30_000, 1001), (".25", 1, 4)]
        {
            assert_eq!(ratio("--fps", text).unwrap(), Ratio { num, den }, "{text}");
        }
        for bad in ["", "0", "0/1", "1/0", "-1", "1e3", "x", "1.2.3", "1/2/3"] {
            assert!(ratio("--fps", bad).is_err(), "{bad}");
        }
    }
}
