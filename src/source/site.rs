//! Videos on web sites, read by an installed [yt-dlp](https://github.com/yt-dlp/yt-dlp): which addresses are sites, what
//! is known of a video, and what of it is downloaded. Text from a site is untrusted: it never becomes an argument or the
//! name of a file.

mod arguments;
mod captions;
mod video;
mod ytdlp;

use std::path::PathBuf;

use url::Url;

pub use self::captions::{CaptionTrack, choose_captions};
pub use self::video::{SiteAnswer, SiteEntry, SitePlaylist, SiteVideo};
pub use self::ytdlp::{DownloadProgress, download_captions, download_media, recognize};
use crate::error::Result;
use crate::http::{ServedContent, served_content};
use crate::input::{Source, file_kind};

/// How sites are accessed.
#[derive(Clone, Debug)]
pub struct SiteAccess {
    /// yt-dlp: a path, or a name that is searched for as a shell does.
    pub program: PathBuf,
    /// Further arguments of yt-dlp, such as `--cookies-from-browser`.
    pub ytdlp_args: Vec<String>,
    /// PEM certificates that are trusted in addition to the system's, when an address is asked what it serves.
    pub ca_file: Option<PathBuf>,
}

impl Default for SiteAccess {
    fn default() -> Self {
        Self { program: "yt-dlp".into(), ytdlp_args: Vec::new(), ca_file: None }
    }
}

/// What is downloaded of a video.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SiteMedia {
    /// Pictures without sound, where the site offers them.
    Pictures,
    /// Sound without pictures, where the site offers it.
    Sound,
    /// Both.
    PicturesAndSound,
}

/// The http or https address of a source; None for files, cameras and other streams.
#[must_use]
pub fn web_address(source: &Source) -> Option<Url> {
    let Source::Stream(address) = source else { return None };
    Url::parse(address).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// What an address is, in so far as it is not a media file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebPage {
    /// It serves a web page.
    Html,
    /// The server refuses with this HTTP status.
    Refused(u16),
}

/// Whether `url` serves a web page or an error instead of media; None where it serves something else.
///
/// # Errors
/// [`ErrorKind::Service`](crate::ErrorKind::Service) where the server cannot be reached.
pub async fn web_page(url: &Url, access: &SiteAccess) -> Result<Option<WebPage>> {
    Ok(page_of(&served_content(url, access.ca_file.as_deref()).await?))
}

fn page_of(content: &ServedContent) -> Option<WebPage> {
    if !(200..300).contains(&content.status) {
        return Some(WebPage::Refused(content.status));
    }
    let is_html = match content.content_type.as_deref() {
        Some("text/html" | "application/xhtml+xml") => true,
        _ => file_kind(&content.head) == Some("a web page (HTML)"),
    };
    is_html.then_some(WebPage::Html)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_sites() {
        let of = |text: &str| web_address(&Source::Stream(text.to_owned())).is_some();
        assert!(of("https://youtu.be/abc") && of("http://127.0.0.1:80/?v=1"));
        assert!(!of("rtsp://host/live") && !of("https://") && !of("ftp://host/a.mp4"));
        assert!(web_address(&Source::Media("https".into())).is_none());
    }

    #[test]
    fn a_page_is_told_by_its_type_then_by_its_content() {
        let of = |status, kind: Option<&str>, head: &[u8]| {
            page_of(&ServedContent { status, content_type: kind.map(str::to_owned), head: head.to_vec() })
        };
        assert_eq!(of(200, Some("text/html"), b""), Some(WebPage::Html));
        assert_eq!(of(206, Some("application/xhtml+xml"), b""), Some(WebPage::Html));
        assert_eq!(of(200, None, b"<!doctype html><title>a"), Some(WebPage::Html));
        assert_eq!(of(200, Some("text/plain"), b"<html>"), Some(WebPage::Html));
        assert_eq!(of(403, Some("video/mp4"), b""), Some(WebPage::Refused(403)));
        for kind in ["video/mp4", "application/vnd.apple.mpegurl", "image/jpeg", "multipart/x-mixed-replace"] {
            assert_eq!(of(200, Some(kind), b""), None, "{kind}");
        }
        assert_eq!(of(200, Some("application/octet-stream"), b"\0\0\0\x18ftypisom"), None);
        assert_eq!(of(200, None, b""), None);
    }
}
