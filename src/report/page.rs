//! The report as a self-contained page: it loads nothing but the pictures and the recording beside it.
//!
//! All text of media and models is escaped by [`maud`]. The policy in the page's head allows the one script and the one
//! style of this module, by their digests, and nothing else.

mod answer;
mod citation;
mod overview;
mod places;
mod recording;
mod sections;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use self::citation::citations;
use self::places::{PagePlace, PagePlaces};
pub(super) use self::recording::address as recording_address;
use super::{Report, Status};
use crate::error::Result;
use crate::media::EncodedImage;
use crate::sanitize::{clean_line, short_name};

const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// How the page of a report is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageOptions {
    /// Whether pictures are inside the page instead of files beside it.
    pub inline_pictures: bool,
    /// The recording that the page plays; None leaves the player out.
    pub recording: Option<PathBuf>,
}

/// The page. `pictures` are shown from inside the page; other frames from their [`file`](super::ReportFrame::file).
/// `recording` is the address of the recording for a player.
#[must_use]
pub fn render(report: &Report, pictures: &[EncodedImage], recording: Option<&str>) -> String {
    let pictures: HashMap<usize, &EncodedImage> = pictures.iter().map(|image| (image.frame_idx, image)).collect();
    let page = Page { report, places: PagePlaces::of(report), pictures, recording };
    page.html().into_string()
}

/// The page with all pictures inside, for a place without a folder; it plays the recording by its absolute address.
///
/// # Errors
/// [`ErrorKind::Io`](crate::ErrorKind::Io) where the recording does not exist.
pub fn standalone(report: &Report, pictures: &[EncodedImage], options: &PageOptions) -> Result<String> {
    let recording = options.recording.as_deref().map(|path| recording_address(path, None)).transpose()?;
    Ok(render(report, pictures, recording.as_deref()))
}

/// A style or script without its indentation and its lines of comments: every page carries them.
fn compact(text: &str) -> String {
    let lines = text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with("//"));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// What the parts of a page are made from.
struct Page<'a> {
    report: &'a Report,
    places: PagePlaces,
    /// Pictures inside the page, by the frame's index.
    pictures: HashMap<usize, &'a EncodedImage>,
    recording: Option<&'a str>,
}

impl Page<'_> {
    fn html(&self) -> Markup {
        let title = self.title();
        let ratio = self.picture_ratio();
        let style = compact(STYLE) + &format!(".strip img, figure img, #card img, video {{ aspect-ratio: {ratio} }}\n");
        let script = compact(SCRIPT);
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(self.policy(&style, &script));
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="referrer" content="no-referrer";
                    meta name="generator" content={ "vidgist " (self.report.made_with.vidgist) };
                    title { (title) }
                    style { (PreEscaped(&style)) }
                }
                "\n"
                body {
                    a.skip href="#answer" { "Skip to the summary" }
                    (self.header(&title))
                    "\n"
                    main {
                        (self.timeline(&self.cited()))
                        "\n"
                        div.columns {
                            div #answer {
                                (self.answer())
                                (self.chapters())
                            }
                            "\n"
                            (self.transcript())
                            "\n"
                            div #about {
                                (self.missing())
                                (self.details())
                            }
                        }
                    }
                    "\n"
                    (self.footer())
                    script { (PreEscaped(&script)) }
                }
            }
            "\n"
        }
    }

    /// The places that the answers cite.
    fn cited(&self) -> HashSet<PagePlace> {
        let choices = self.report.answer.iter().flat_map(|answer| &answer.choices);
        choices.flat_map(|choice| citations(&choice.text, &self.places)).map(|(_, place)| place).collect()
    }

    fn title(&self) -> String {
        let media = &self.report.media;
        let title = media.title.as_deref().map(clean_line).filter(|title| !title.is_empty());
        title.unwrap_or_else(|| clean_line(&short_name(&media.input)))
    }

    /// The policy: nothing but this style, this script, and what the page shows from beside it. `'self'` alone is not
    /// enough for pages that are opened as files.
    fn policy(&self, style: &str, script: &str) -> String {
        let digest = |text: &str| format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text)));
        let has_files =
            self.report.frames.iter().any(|f| f.file.is_some() && !self.pictures.contains_key(&f.frame_idx));
        let mut images = Vec::new();
        if has_files {
            images.push("'self' file:");
        }
        if !self.pictures.is_empty() {
            images.push("data:");
        }
        let mut policy = format!(
            "default-src 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; \
             script-src {}; style-src {}",
            digest(script),
            digest(style)
        );
        if !images.is_empty() {
            policy.push_str("; img-src ");
            policy.push_str(&images.join(" "));
        }
        if self.recording.is_some() {
            policy.push_str("; media-src 'self' file:");
        }
        policy
    }

    /// Width and height of most pictures, as CSS writes a ratio.
    fn picture_ratio(&self) -> String {
        let mut counts: HashMap<(u32, u32), usize> = HashMap::new();
        for frame in &self.report.frames {
            *counts.entry((frame.width, frame.height)).or_default() += 1;
        }
        let most = counts.into_iter().max_by_key(|(size, n)| (*n, *size));
        most.map_or_else(|| "16/9".to_owned(), |((width, height), _)| format!("{width}/{height}"))
    }

    fn header(&self, title: &str) -> Markup {
        let n_gaps = self.report.gaps().len();
        html! {
            header {
                h1 dir="auto" { (title) }
                p { (self.headline(title)) }
                @if self.report.status() == Status::Partial {
                    p.partial { a href="#missing" { "Partial result: " (super::facts::counted(n_gaps, "item")) " missing" } }
                }
            }
        }
    }

    fn footer(&self) -> Markup {
        let made_with = &self.report.made_with;
        html! {
            footer {
                @match self.report.status() {
                    Status::Complete => "Nothing is missing. ",
                    Status::Partial => "Partial result. ",
                }
                "vidgist " (made_with.vidgist)
                @if let Some(decoder) = &made_with.decoder { ", " (clean_line(decoder)) }
            }
        }
    }
}
