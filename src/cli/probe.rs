//! `vidgist probe`.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use vidgist::engine::{Engine, Secrets};
use vidgist::media::{FrameTiming, MediaInfo};
use vidgist::report::json;

use super::args::ProbeArgs;
use super::config::CommandConfig;
use super::output::{PARTIAL, print};
use super::stdin::Spooled;

/// Characters of a description that the table shows.
const MAX_DESCRIPTION_CHARS: usize = 300;

pub async fn run(mut args: ProbeArgs, config: &CommandConfig) -> Result<ExitCode> {
    let _spooled = Spooled::of_input(&mut args.input, &mut args.join.more).await?;
    let engine = Engine::new(config.engine(false), Secrets::default());
    let info = engine.probe(&args.input, args.join.files().as_deref()).await?;
    let text = if args.json { json::to_text(&info)? } else { table(&info) };
    print(&text)?;
    Ok(if info.damage.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(PARTIAL) })
}

fn encrypted(scheme: Option<&String>) -> String {
    scheme.map(|scheme| format!(", encrypted ({scheme})")).unwrap_or_default()
}

fn table(info: &MediaInfo) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: &str| {
        let value = vidgist::sanitize::clean_line(value);
        // Writing to a String does not fail.
        let _ = writeln!(out, "{name:<12} {value}");
    };
    let known = |text: Option<String>| text.unwrap_or_else(|| "unknown".to_owned());
    line("file", &info.input);
    line("format", &info.format);
    line("size", &known(info.size_bytes.map(|n| format!("{n} bytes"))));
    line("duration", &known(info.duration.map(|d| d.to_string())));
    line("start", &info.start.to_string());
    if let Some(title) = &info.title {
        line("title", title);
    }
    if let Some(uploader) = &info.uploader {
        line("published by", uploader);
    }
    if let Some(description) = &info.description {
        line("description", &vidgist::sanitize::excerpt(description, MAX_DESCRIPTION_CHARS));
    }
    for v in &info.video {
        let (width, height) = v.display_size();
        let kind = if v.is_cover { "cover" } else { "video" };
        let language = v.language.as_ref().map(|l| format!(", {l}")).unwrap_or_default();
        let rate = v.frame_rate.map(|r| format!(", {:.3} frames/s", r.as_f64())).unwrap_or_default();
        let turned = if v.rotation == vidgist::media::Rotation::None { "" } else { ", rotated" };
        let times = if v.timing == FrameTiming::Stored { "" } else { ", no timestamps" };
        let text =
            format!("{}, {width}x{height}{turned}{rate}{times}{language}{}", v.codec, encrypted(v.encryption.as_ref()));
        line(&format!("#{} {kind}", v.stream_idx), &text);
    }
    for a in &info.audio {
        let rate = a.sample_rate_hz.map(|r| format!(", {r} Hz")).unwrap_or_default();
        let channels = a
            .channels
            .map(|n| if n == 1 { ", mono".to_owned() } else { format!(", {n} channels") })
            .unwrap_or_default();
        let language = a.language.as_ref().map(|l| format!(", {l}")).unwrap_or_default();
        let offset =
            a.start.map(|s| s.minus(info.start)).filter(|o| o.ticks() != 0).map(|o| format!(", starts at {o}"));
        let offset = offset.unwrap_or_default();
        line(
            &format!("#{} audio", a.stream_idx),
            &format!("{}{rate}{channels}{language}{offset}{}", a.codec, encrypted(a.encryption.as_ref())),
        );
    }
    for s in &info.subtitles {
        let kind = if s.is_text { "text" } else { "bitmap, not read" };
        let language = s.language.as_ref().map(|l| format!(", {l}")).unwrap_or_default();
        line(&format!("#{} subtitles", s.stream_idx), &format!("{} ({kind}){language}", s.codec));
    }
    for chapter in &info.chapters {
        let title = chapter.title.as_deref().unwrap_or("without a title");
        line("chapter", &format!("{} to {}  {title}", chapter.start, chapter.end));
    }
    for part in &info.parts {
        line("part", &format!("{}  {}", part.offset, part.media.input));
    }
    if let Some(notice) = info.motion_notice() {
        line("motion photo", &notice);
    }
    for damage in &info.damage {
        line("damage", damage);
    }
    out
}
