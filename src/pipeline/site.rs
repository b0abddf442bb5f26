//! Inputs that are addresses of sites: captions first, then as much of the media as the job needs.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use url::Url;

use super::run::Context;
use super::timing::{StageTimer, measure};
use super::transcript::TranscriptSearch;
use crate::advice::{Advice, Setting};
use crate::blocking::run_blocking;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::input::{Source, text_of};
use crate::limits::Limits;
use crate::media::MediaInfo;
use crate::sanitize::{clean_line, shown_input};
use crate::source::site::{
    CaptionTrack, SiteAccess, SiteAnswer, SiteMedia, SitePlaylist, SiteVideo, choose_captions, download_captions,
    download_media, is_web_page, recognize, web_address,
};
use crate::transcribe::TranscriberNeed;
use crate::transcribe::subtitles::{ReadOptions, read_file};
use crate::transcript::{Transcript, TranscriptSource};

/// What a job needs of an input.
#[derive(Clone, Copy)]
pub(super) struct InputNeeds<'a> {
    /// Whether frames are read.
    pub frames: bool,
    /// Whether the audio itself is read.
    pub audio: bool,
    /// Where the transcript comes from; None where there is no transcript.
    pub transcript: Option<&'a TranscriptSearch>,
    /// Whether the job can take the videos of a playlist as its inputs.
    pub takes_playlists: bool,
}

/// A video of a site, in so far as the job needs it.
pub(super) struct FetchedSite {
    pub video: SiteVideo,
    /// The captions; None where they are not wanted or there are none.
    pub captions: Option<Transcript>,
    /// The file; None where the captions are all that is needed.
    pub media: Option<PathBuf>,
    /// What failed on the way, and why.
    pub problems: Vec<(String, String)>,
    /// Deleted when this is dropped.
    folder: TempDir,
}

/// Fetches what the job needs where `source` is the address of a site; None for other sources.
///
/// # Errors
/// As [`recognize`]; [`ErrorKind::Usage`](crate::ErrorKind::Usage) for a playlist,
/// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for a broadcast.
pub(super) async fn fetch_site(
    source: &Source,
    needs: InputNeeds<'_>,
    context: &Context,
) -> Result<Option<FetchedSite>> {
    let Some(url) = web_address(source) else { return Ok(None) };
    // A media file is streamed where its sound is not needed.
    if needs.frames && !is_web_page(&url, &context.sites).await? {
        return Ok(None);
    }
    let input = shown_input(url.as_str());
    let fetching = |n_bytes, total_bytes| Event::Fetching { input: input.clone(), n_bytes, total_bytes };
    context.events.send(fetching(0, None)).await;
    let (url, video) = match context.known_video(&url) {
        Some(video) => (url, video),
        None => one_video(url, needs.takes_playlists, &context.sites).await?,
    };
    if video.is_live {
        let advice = "wait until it has ended, or name the address of its stream";
        return Err(Error::unsupported(&video.name, "is a live broadcast of a site", advice));
    }
    let io = |error| Error::io(Path::new("the temporary folder"), error);
    let folder = tempfile::Builder::new().prefix("vidgist-").tempdir().map_err(io)?;
    let mut problems = Vec::new();
    let captions = match needs.transcript.and_then(|search| chosen_captions(search, &video)) {
        Some(track) => captions(&url, &track, folder.path(), context).await.unwrap_or_else(|error| {
            problems.push(("the captions of the site".to_owned(), error.problem));
            None
        }),
        None => None,
    };
    let needs_audio =
        needs.audio || (captions.is_none() && needs.transcript.is_some_and(TranscriptSearch::needs_audio));
    let wanted = match (needs.frames, needs_audio) {
        (true, true) => Some(SiteMedia::PicturesAndSound),
        (true, false) => Some(SiteMedia::Pictures),
        (false, true) => Some(SiteMedia::Sound),
        (false, false) => None,
    };
    // A slow reader of events misses one of these, not a result.
    let progress = |n_bytes, total_bytes| context.events.try_send(fetching(n_bytes, total_bytes));
    let media = match wanted {
        Some(wanted) => {
            let place = (folder.path(), &Limits::default());
            Some(download_media(&url, &context.sites, wanted, place, &progress).await?)
        }
        None => None,
    };
    Ok(Some(FetchedSite { video, captions, media, problems, folder }))
}

impl FetchedSite {
    /// The facts where nothing but captions was downloaded.
    pub fn media_info(&self) -> MediaInfo {
        facts(&self.video)
    }
}

/// As [`fetch_site`], and notes how long a download took.
pub(super) async fn fetch_timed(
    source: &Source,
    needs: InputNeeds<'_>,
    timer: &mut StageTimer,
    context: &Context,
) -> Result<Option<FetchedSite>> {
    let (site, took) = measure(fetch_site(source, needs, context)).await;
    match site? {
        Some(site) => Ok(Some(timer.note("download", (site, took)))),
        None => Ok(None),
    }
}

/// The source of an input that is an http or https address; None for others, which are not opened.
fn address_of(input: &str) -> Option<Source> {
    Url::parse(input).ok().filter(Url::has_host)?;
    Source::identify(input).ok().filter(|source| web_address(source).is_some())
}

/// As [`fetch_site`], for a job that reads no frames. A media file of an address is downloaded too. Joined files are not
/// fetched: see [`super::input::identify`].
pub(super) async fn fetch_audio(
    (input, join): (&str, Option<&[String]>),
    search: Option<&TranscriptSearch>,
    audio: bool,
    context: &Context,
) -> Result<Option<FetchedSite>> {
    let takes_playlists = search.is_some();
    let needs = InputNeeds { frames: false, audio, transcript: search, takes_playlists };
    match address_of(input).filter(|_| join.is_none()) {
        Some(source) => fetch_site(&source, needs, context).await,
        None => Ok(None),
    }
}

/// What [`super::input::open_media`] opens: of a site its downloaded file.
pub(super) fn media_name(input: &str, site: Option<&FetchedSite>) -> String {
    site.and_then(|site| site.media.as_deref()).map_or_else(|| input.to_owned(), text_of)
}

/// What is read: of a site its downloaded file.
///
/// # Errors
/// [`ErrorKind::Io`](crate::ErrorKind::Io) where the file cannot be read.
pub(super) fn read_source(source: &Source, site: Option<&FetchedSite>) -> Result<Source> {
    match site.and_then(|site| site.media.as_deref()) {
        Some(path) => Source::identify(&text_of(path)),
        None => Ok(source.clone()),
    }
}

/// Adds what a site says to the facts of the downloaded file.
pub(super) fn describe(site: Option<&FetchedSite>, info: &mut MediaInfo) {
    if let Some(site) = site {
        add_facts(&site.video, info);
    }
}

/// An error about a downloaded file as one about its address.
pub(super) fn named(site: Option<&FetchedSite>, mut error: Error) -> Error {
    if let Some(site) = site
        && error.input.starts_with(&*site.folder.path().to_string_lossy())
    {
        error.input.clone_from(&site.video.name);
    }
    error
}

fn facts(video: &SiteVideo) -> MediaInfo {
    let mut info = MediaInfo::new(&video.name, &video.site);
    add_facts(video, &mut info);
    info
}

fn add_facts(video: &SiteVideo, info: &mut MediaInfo) {
    info.input.clone_from(&video.name);
    info.title = video.title.clone().or(info.title.take());
    info.description.clone_from(&video.description);
    info.uploader.clone_from(&video.uploader);
    info.duration = info.duration.or(video.duration);
    if info.chapters.is_empty() {
        info.chapters.clone_from(&video.chapters);
    }
}

/// What is known of an address without downloading media; None where it is not the address of a site.
///
/// # Errors
/// As [`recognize`].
pub(crate) async fn probe_site(source: &Source, sites: &SiteAccess) -> Result<Option<MediaInfo>> {
    let Some(url) = web_address(source) else { return Ok(None) };
    if !is_web_page(&url, sites).await? {
        return Ok(None);
    }
    let (_, video) = one_video(url, false, sites).await?;
    Ok(Some(facts(&video)))
}

/// The inputs, where each playlist of a site is replaced by its videos if that `is_wanted`.
///
/// # Errors
/// As [`recognize`]; [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for a playlist without videos.
pub(super) async fn expand_playlists(inputs: &[String], is_wanted: bool, context: &Context) -> Result<Vec<String>> {
    if !is_wanted {
        return Ok(inputs.to_vec());
    }
    let mut expanded = Vec::new();
    for input in inputs {
        let Some(url) = address_of(input).as_ref().and_then(web_address) else {
            expanded.push(input.clone());
            continue;
        };
        if !is_web_page(&url, &context.sites).await? {
            expanded.push(input.clone());
            continue;
        }
        let name = shown_input(url.as_str());
        context.events.send(Event::Fetching { input: name.clone(), n_bytes: 0, total_bytes: None }).await;
        match recognize(&url, &context.sites, true).await? {
            SiteAnswer::Video(video) => {
                context.keep_video(url, *video);
                expanded.push(input.clone());
            }
            SiteAnswer::Playlist(SitePlaylist { entries, n_skipped }) => {
                if entries.is_empty() {
                    return Err(Error::unsupported(name, "the playlist has no video that can be read", ""));
                }
                if n_skipped > 0 {
                    let message = format!("{n_skipped} videos of the playlist have no address and are left out");
                    context.events.send(Event::warning(name, message)).await;
                }
                expanded.extend(entries);
            }
        }
    }
    Ok(expanded)
}

/// The only video of an address, and the address to download it from.
async fn one_video(url: Url, takes_playlists: bool, sites: &SiteAccess) -> Result<(Url, SiteVideo)> {
    let list = match recognize(&url, sites, false).await? {
        SiteAnswer::Video(video) => return Ok((url, *video)),
        SiteAnswer::Playlist(list) => list,
    };
    let name = shown_input(url.as_str());
    let n_videos = list.entries.len() + list.n_skipped;
    if let ([entry], 1) = (list.entries.as_slice(), n_videos)
        && let Ok(only) = Url::parse(entry)
        && let SiteAnswer::Video(video) = recognize(&only, sites, false).await?
    {
        return Ok((only, *video));
    }
    let advice = match list.entries.first() {
        _ if takes_playlists => Advice::Set(Setting::Playlist),
        // With its query, which may be what tells the videos of a site apart.
        Some(entry) => Advice::from(format!(
            "name one of them: {} (only caption, transcribe and describe-audio take a whole playlist)",
            clean_line(entry)
        )),
        None => Advice::from("name a video"),
    };
    Err(Error::usage(name, format!("is a playlist of {n_videos} videos"), advice))
}

/// The captions that the search for a transcript takes.
fn chosen_captions(search: &TranscriptSearch, video: &SiteVideo) -> Option<CaptionTrack> {
    let wanted = search.transcribers.iter().find_map(|transcriber| match transcriber.need() {
        TranscriberNeed::Captions { language } => Some(language),
        _ => None,
    })?;
    choose_captions(video, wanted.as_deref())
}

/// Downloads and reads one track; None where it holds no text.
async fn captions(url: &Url, track: &CaptionTrack, folder: &Path, context: &Context) -> Result<Option<Transcript>> {
    let path = download_captions(url, &context.sites, track, folder).await?;
    let track = track.clone();
    run_blocking(move || {
        let options = ReadOptions { language: track.language(), ..ReadOptions::default() };
        let cues = read_file(&path, &options, &Limits::default())?;
        let language = track.language().map(str::to_owned).or(cues.language);
        let source = TranscriptSource::Site { is_automatic: track.is_automatic };
        Ok((!cues.segments.is_empty()).then(|| Transcript::new(source, language, cues.segments)))
    })
    .await
}
