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
pub use self::video::{SiteAnswer, SitePlaylist, SiteVideo};
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
    parse_web_address(address)
}

/// A text as an http or https address.
fn parse_web_address(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// Whether `url` serves a web page or an error instead of media.
///
/// # Errors
/// [`ErrorKind::Service`](crate::ErrorKind::Service) where the server cannot be reached.
pub async fn is_web_page(url: &Url, access: &SiteAccess) -> Result<bool> {
    Ok(is_page(&served_content(url, access.ca_file.as_deref()).await?))
}

fn is_page(content: &ServedContent) -> bool {
    !(200..300).contains(&content.status)
        || matches!(content.content_type.as_deref(), Some("text/html" | "application/xhtml+xml"))
        || file_kind(&content.head) == Some("a web page (HTML)")
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
    fn pages_are_recognized_by_status_type_and_content() {
        let of = |status, kind: Option<&str>, head: &[u8]| {
            is_page(&ServedContent { status, content_type: kind.map(str::to_owned), head: head.to_vec() })
        };
        assert!(of(200, Some("text/html"), b""));
        assert!(of(206, Some("application/xhtml+xml"), b""));
        assert!(of(200, None, b"<!doctype html><title>a"));
        assert!(of(200, Some("text/plain"), b"<html>"));
        assert!(of(403, Some("video/mp4"), b""));
        for kind in ["video/mp4", "application/vnd.apple.mpegurl", "image/jpeg", "multipart/x-mixed-replace"] {
            assert!(!of(200, Some(kind), b""), "{kind}");
        }
        assert!(!of(200, Some("application/octet-stream"), b"\0\0\0\x18ftypisom"));
        assert!(!of(200, None, b""));
    }
}
