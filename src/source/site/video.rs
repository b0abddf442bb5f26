//! What yt-dlp says about an address, as JSON: a video or a playlist.

use std::collections::BTreeMap;

use serde::de::{Deserializer, IgnoredAny};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use url::Url;

use super::parse_web_address;
use crate::error::{Error, Result};
use crate::media::MediaChapter;
use crate::sanitize::shown_input;
use crate::time::Timestamp;

/// Chapters of one video that are kept.
const MAX_CHAPTERS: usize = 2000;
/// Bytes of a description that are kept.
const MAX_DESCRIPTION_BYTES: usize = 16 << 10;
/// Bytes of a title or an uploader's name that are kept.
const MAX_NAME_BYTES: usize = 1 << 10;

/// What an address is to yt-dlp.
#[derive(Clone, Debug)]
pub enum SiteAnswer {
    /// One video.
    Video(Box<SiteVideo>),
    /// A list of videos.
    Playlist(SitePlaylist),
}

/// One video of a site. All text is untrusted.
#[derive(Clone, Debug, Default)]
pub struct SiteVideo {
    /// The address, without user, password and, where it may hold a key, query.
    pub name: String,
    /// yt-dlp's name of the site in lower case: `youtube`, `generic`.
    pub site: String,
    /// Its title.
    pub title: Option<String>,
    /// Its description, at most 16 KiB.
    pub description: Option<String>,
    /// Who published it.
    pub uploader: Option<String>,
    /// Its length.
    pub duration: Option<Timestamp>,
    /// The language that is spoken.
    pub language: Option<String>,
    /// Chapters in time order.
    pub chapters: Vec<MediaChapter>,
    /// Whether it is being broadcast, or will be.
    pub is_live: bool,
    /// Names of the tracks of captions that people wrote.
    pub captions: Vec<String>,
    /// Names of the tracks of captions that the site made by speech recognition or translation.
    pub automatic_captions: Vec<String>,
}

/// A list of videos.
#[derive(Clone, Debug, Default)]
pub struct SitePlaylist {
    /// The http or https addresses of its videos, in order.
    pub entries: Vec<String>,
    /// Videos without a usable address.
    pub n_skipped: usize,
}

/// The parts of yt-dlp's JSON that are used. The list of formats, by far its largest part, is skipped while it is read.
#[derive(Deserialize)]
struct InfoJson {
    #[serde(rename = "_type", default, deserialize_with = "lenient")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    extractor: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    webpage_url: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    title: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    description: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    uploader: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    channel: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    duration: Option<f64>,
    #[serde(default, deserialize_with = "lenient")]
    language: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    is_live: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    live_status: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    chapters: Option<Vec<ChapterJson>>,
    #[serde(default, deserialize_with = "keys")]
    subtitles: Vec<String>,
    #[serde(default, deserialize_with = "keys")]
    automatic_captions: Vec<String>,
    #[serde(default)]
    entries: Option<Vec<Option<EntryJson>>>,
}

#[derive(Deserialize)]
struct ChapterJson {
    start_time: Option<f64>,
    end_time: Option<f64>,
    #[serde(default, deserialize_with = "lenient")]
    title: Option<String>,
}

#[derive(Deserialize)]
struct EntryJson {
    #[serde(rename = "_type", default, deserialize_with = "lenient")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    url: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    webpage_url: Option<String>,
}

/// A value of another type counts as not stated: sites send what they like.
fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(input: D) -> Result<Option<T>, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(input)?).ok())
}

/// The keys of an object, sorted. Its values, which have the addresses of each track, are skipped.
#[expect(clippy::zero_sized_map_values, reason = "serde skips a value only where it is a type")]
fn keys<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<String>, D::Error> {
    let object = Option::<BTreeMap<String, IgnoredAny>>::deserialize(input)?;
    Ok(object.unwrap_or_default().into_keys().collect())
}

impl SiteAnswer {
    /// Reads yt-dlp's JSON about `address`.
    ///
    /// # Errors
    /// [`ErrorKind::Service`](crate::ErrorKind::Service) where it is not what yt-dlp prints.
    pub fn from_json(json: &[u8], address: &Url) -> Result<Self> {
        let info: InfoJson = serde_json::from_slice(json).map_err(|error| {
            let problem = format!("yt-dlp printed no description of a video: {error}");
            Error::service(shown_input(address.as_str()), problem, "update yt-dlp").because(error)
        })?;
        Ok(match info.entries {
            Some(entries) if info.kind.as_deref().is_none_or(|kind| kind != "video") => {
                Self::Playlist(playlist(entries, address))
            }
            _ => Self::Video(Box::new(video(info, address))),
        })
    }
}

fn playlist(entries: Vec<Option<EntryJson>>, address: &Url) -> SitePlaylist {
    let mut list = SitePlaylist::default();
    for entry in entries {
        let found = entry.and_then(|entry| {
            let is_reference = entry.kind.as_deref().is_some_and(|kind| kind.starts_with("url"));
            // The videos of one page have the page's own address, and that of their file.
            let page = entry.webpage_url.filter(|page| !is_reference && page != address.as_str());
            parse_web_address(&page.or(entry.url)?).map(String::from)
        });
        match found {
            Some(address) => list.entries.push(address),
            None => list.n_skipped += 1,
        }
    }
    list
}

fn video(info: InfoJson, address: &Url) -> SiteVideo {
    let time = |seconds: f64| Timestamp::from_secs_f64(seconds).filter(|time| !time.is_negative());
    let site = info.extractor.map(|name| cut(name, MAX_NAME_BYTES).to_lowercase()).unwrap_or_default();
    let page = info.webpage_url.and_then(|page| parse_web_address(&page));
    // On a known site the query names the video; elsewhere it may hold a key.
    let name = match page {
        Some(mut page) if !matches!(&*site, "" | "generic" | "html5") => {
            let _ = (page.set_username(""), page.set_password(None));
            page.to_string()
        }
        _ => shown_input(address.as_str()),
    };
    let mut chapters: Vec<MediaChapter> = info
        .chapters
        .unwrap_or_default()
        .into_iter()
        .filter_map(|chapter| {
            let (start, end) = (time(chapter.start_time?)?, time(chapter.end_time?)?);
            let title = chapter.title.map(|title| cut(title, MAX_NAME_BYTES));
            (start <= end).then_some(MediaChapter { start, end, title })
        })
        .take(MAX_CHAPTERS)
        .collect();
    chapters.sort_by_key(|chapter| chapter.start);
    SiteVideo {
        name,
        site,
        title: known(info.title).map(|text| cut(text, MAX_NAME_BYTES)),
        description: known(info.description).map(|text| cut(text, MAX_DESCRIPTION_BYTES)),
        uploader: known(info.uploader).or(known(info.channel)).map(|text| cut(text, MAX_NAME_BYTES)),
        duration: info.duration.and_then(time).filter(|length| *length > Timestamp::ZERO),
        language: known(info.language),
        chapters,
        is_live: info.is_live == Some(true)
            || info.live_status.is_some_and(|status| matches!(&*status, "is_live" | "is_upcoming")),
        captions: info.subtitles,
        automatic_captions: info.automatic_captions,
    }
}

/// A text that is not blank.
fn known(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}

fn cut(mut text: String, max_bytes: usize) -> String {
    if text.len() > max_bytes {
        text.truncate(text.floor_char_boundary(max_bytes));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> SiteAnswer {
        SiteAnswer::from_json(json.as_bytes(), &Url::parse("https://u:p@host/a?key=1").unwrap()).unwrap()
    }

    #[test]
    fn a_video_with_all_that_is_used() {
        let SiteAnswer::Video(video) = read(
            r#"{"_type": "video", "extractor": "Youtube", "webpage_url": "https://www.youtube.com/watch?v=abc",
            "title": "--exec\nrm ../..", "description": "About ships.", "uploader": null, "channel": "Harbor TV",
            "duration": 95.5, "language": "en", "formats": [{"url": "x"}], "live_status": "not_live",
            "chapters": [{"start_time": 4.0, "end_time": 8.25, "title": "B"}, {"start_time": 0.0, "end_time": 4.0}, {"start_time": -1, "end_time": 2}, {"title": "x"}],
            "subtitles": {"en": [{"ext": "vtt"}], "live_chat": []}, "automatic_captions": {"en-orig": [], "de": []}}"#,
        ) else {
            panic!("a playlist")
        };
        assert_eq!((&*video.name, &*video.site), ("https://www.youtube.com/watch?v=abc", "youtube"));
        assert_eq!(video.title.as_deref(), Some("--exec\nrm ../.."));
        assert_eq!(
            (video.uploader.as_deref(), video.duration),
            (Some("Harbor TV"), Some(Timestamp::from_millis(95_500)))
        );
        let chapters: Vec<_> =
            video.chapters.iter().map(|c| (c.start.millis(), c.end.millis(), c.title.as_deref())).collect();
        assert_eq!(chapters, [(0, 4000, None), (4000, 8250, Some("B"))]);
        assert_eq!((video.captions.len(), video.automatic_captions.len(), video.is_live), (2, 2, false));
    }

    #[test]
    fn values_of_other_types_are_not_stated() {
        let SiteAnswer::Video(video) = read(
            r#"{"title": 7, "description": [], "duration": "long", "chapters": {"a": 1}, "subtitles": null, "is_live": "yes", "webpage_url": "file:///etc/passwd", "extractor": "evil"}"#,
        ) else {
            panic!("a playlist")
        };
        assert_eq!((video.title, video.description, video.duration), (None, None, None));
        assert!(video.chapters.is_empty() && video.captions.is_empty() && !video.is_live);
        assert_eq!(video.name, "https://host/a?...", "neither a local file nor a key");
        assert!(SiteAnswer::from_json(b"WARNING: no", &Url::parse("https://host").unwrap()).is_err());
    }

    #[test]
    fn a_playlist_keeps_addresses_of_the_web_alone() {
        let SiteAnswer::Playlist(list) = read(
            r#"{"_type": "playlist", "entries": [
            {"_type": "url", "url": "https://host/watch?v=1"}, null, {"_type": "url", "url": "file:///etc/passwd"},
            {"_type": "url", "url": "--exec"}, {"webpage_url": "https://host/2", "url": "https://cdn/2.mp4"},
            {"webpage_url": "https://u:p@host/a?key=1", "url": "https://cdn/3.mp4"}]}"#,
        ) else {
            panic!("a video")
        };
        let addresses: Vec<_> = list.entries.iter().map(|entry| &**entry).collect();
        assert_eq!(addresses, ["https://host/watch?v=1", "https://host/2", "https://cdn/3.mp4"]);
        assert_eq!(list.n_skipped, 3);
    }
}
