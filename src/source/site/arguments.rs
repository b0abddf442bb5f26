//! The arguments of yt-dlp. The user's own come after those that choose a quality, which they may override, and before
//! those that vidgist depends on. `--` stands before the address.

use std::ffi::OsString;
use std::path::Path;

use url::Url;

use super::captions::CaptionTrack;
use super::{SiteAccess, SiteMedia};

/// What a line of progress on standard output begins with; two numbers or `NA` follow.
pub(super) const PROGRESS: &str = "vidgist-progress ";
/// The names of downloaded files, before their endings.
pub(super) const MEDIA: &str = "media";
pub(super) const CAPTIONS: &str = "captions";

/// To learn what an address is; with `takes_playlist`, a video that stands in a playlist is the playlist.
pub(super) fn to_recognize(url: &Url, access: &SiteAccess, takes_playlist: bool) -> Vec<OsString> {
    let list = if takes_playlist { "yes-playlist" } else { "no-playlist" };
    Arguments::new().users(access).flag("flat-playlist").flag(list).flag("simulate").short("J", None).about(url)
}

/// To write one track of captions into `folder`.
pub(super) fn to_write_captions(url: &Url, access: &SiteAccess, track: &CaptionTrack, folder: &Path) -> Vec<OsString> {
    let kind = if track.is_automatic { "write-auto-subs" } else { "write-subs" };
    let args = Arguments::new().users(access).flag("no-playlist").flag("skip-download").flag(kind);
    let args = args.flag(&format!("sub-langs={}", track.name)).option("sub-format", "vtt/srt/ass/best");
    args.into(CAPTIONS, folder).about(url)
}

/// To download media into `folder`. A declared size above `max_bytes` is refused.
pub(super) fn to_download(
    url: &Url,
    access: &SiteAccess,
    media: SiteMedia,
    max_bytes: u64,
    folder: &Path,
) -> Vec<OsString> {
    let args = Arguments::new();
    let args = match media {
        SiteMedia::Pictures => args.short("S", Some("res:720")).short("f", Some("bv*/b")),
        // yt-dlp's default: separate streams where ffmpeg is there to merge them.
        SiteMedia::PicturesAndSound => args.short("S", Some("res:720")),
        SiteMedia::Sound => args.short("f", Some("ba/b")),
    };
    let numbers = "%(progress.downloaded_bytes)s %(progress.total_bytes,progress.total_bytes_estimate)s";
    let args = args.users(access).flag("no-playlist").flag("newline").flag("progress");
    let args = args.option("progress-template", &format!("download:{PROGRESS}{numbers}"));
    args.option("max-filesize", &max_bytes.to_string()).into(MEDIA, folder).about(url)
}

/// A list of arguments.
struct Arguments(Vec<OsString>);

impl Arguments {
    /// The user's configuration of yt-dlp may rename, convert or skip what is downloaded.
    fn new() -> Self {
        Self(Vec::new()).flag("ignore-config")
    }

    fn flag(mut self, name: &str) -> Self {
        self.0.push(format!("--{name}").into());
        self
    }

    fn option(self, name: &str, value: &str) -> Self {
        let mut args = self.flag(name);
        args.0.push(value.into());
        args
    }

    fn short(mut self, name: &str, value: Option<&str>) -> Self {
        self.0.push(format!("-{name}").into());
        self.0.extend(value.map(Into::into));
        self
    }

    fn users(mut self, access: &SiteAccess) -> Self {
        self.0.extend(access.ytdlp_args.iter().map(Into::into));
        self
    }

    /// A fixed file name: a title never becomes one.
    fn into(self, name: &str, folder: &Path) -> Self {
        let mut home = OsString::from("home:");
        home.push(folder);
        let mut args = self.short("P", None);
        args.0.push(home);
        args.short("o", Some(&format!("{name}.%(ext)s")))
    }

    fn about(mut self, url: &Url) -> Vec<OsString> {
        self.0.extend(["--".into(), url.as_str().into()]);
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_arguments_stand_between_quality_and_what_is_depended_on() {
        let url = Url::parse("https://host/--exec?a=1").expect("an address");
        let access = SiteAccess { ytdlp_args: vec!["--cookies".into(), "c.txt".into()], ..SiteAccess::default() };
        let text = |args: Vec<OsString>| {
            args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            text(to_recognize(&url, &access, false)),
            "--ignore-config --cookies c.txt --flat-playlist --no-playlist --simulate -J -- https://host/--exec?a=1"
        );
        let args = text(to_download(&url, &access, SiteMedia::Pictures, 7, Path::new("/f")));
        assert!(args.starts_with("--ignore-config -S res:720 -f bv*/b --cookies c.txt --no-playlist "), "{args}");
        assert!(args.ends_with(" --max-filesize 7 -P home:/f -o media.%(ext)s -- https://host/--exec?a=1"), "{args}");
        let track = CaptionTrack { name: "en".into(), is_automatic: true };
        let args = text(to_write_captions(&url, &access, &track, Path::new("/f")));
        assert!(args.contains(" --skip-download --write-auto-subs --sub-langs=en "), "{args}");
    }
}
