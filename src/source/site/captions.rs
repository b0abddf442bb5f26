//! Which captions of a video are read.

use super::video::SiteVideo;
use crate::language;

/// Tracks that are no captions: what viewers wrote.
const OTHER_TRACKS: [&str; 4] = ["comments", "danmaku", "live_chat", "rechat"];
/// The end of the name of the track that was not translated, on `YouTube`.
const ORIGINAL: &str = "-orig";

/// A track of captions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptionTrack {
    /// yt-dlp's name of it, usually a language tag: letters, digits, `-` and `_`.
    pub name: String,
    /// Whether the site made it by speech recognition or translation.
    pub is_automatic: bool,
}

impl CaptionTrack {
    /// Its language tag; None where its name is none.
    #[must_use]
    pub fn language(&self) -> Option<&str> {
        let tag = self.name.strip_suffix(ORIGINAL).unwrap_or(&self.name);
        language::is_known(tag).then_some(tag)
    }
}

/// The captions that say what is spoken: those that people wrote in the spoken language, then automatic ones in it, then
/// those that people wrote in another language. Automatic translations are not used. `wanted` is the language to take for
/// the spoken one; None takes what the site says.
#[must_use]
pub fn choose_captions(video: &SiteVideo, wanted: Option<&str>) -> Option<CaptionTrack> {
    let original = video.automatic_captions.iter().find_map(|name| name.strip_suffix(ORIGINAL));
    let spoken = wanted.or(video.language.as_deref()).or(original);
    let is_spoken = |name: &str| spoken.is_some_and(|spoken| language::is_same(name, spoken));
    let track = |name: &String, is_automatic| CaptionTrack { name: name.clone(), is_automatic };
    let written = || video.captions.iter().filter(|name| is_usable(name));
    let automatic = || video.automatic_captions.iter().filter(|name| is_usable(name));
    // The exact tag before others of its language: `pt-BR` before `pt`.
    let best = |names: &mut dyn Iterator<Item = &String>| {
        let names: Vec<&String> = names.filter(|name| is_spoken(name)).collect();
        let is_exact = |name: &&&String| spoken.is_some_and(|spoken| name.eq_ignore_ascii_case(spoken));
        names
            .iter()
            .find(|name| name.ends_with(ORIGINAL))
            .or(names.iter().find(is_exact))
            .or(names.first())
            .copied()
            .cloned()
    };
    let only = |names: &mut dyn Iterator<Item = &String>| names.next().filter(|_| names.next().is_none()).cloned();
    best(&mut written())
        .map(|name| track(&name, false))
        .or_else(|| best(&mut automatic()).map(|name| track(&name, true)))
        .or_else(|| written().next().map(|name| track(name, false)))
        .or_else(|| only(&mut automatic().filter(|_| spoken.is_none())).map(|name| track(&name, true)))
}

/// Whether a name can be given to yt-dlp, which reads it as a pattern, and stands for captions.
fn is_usable(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        && name != "all"
        && !OTHER_TRACKS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(
        written: &[&str],
        automatic: &[&str],
        language: Option<&str>,
        wanted: Option<&str>,
    ) -> Option<(String, bool)> {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let video = SiteVideo {
            captions: names(written),
            automatic_captions: names(automatic),
            language: language.map(str::to_owned),
            ..SiteVideo::default()
        };
        choose_captions(&video, wanted).map(|track| (track.name, track.is_automatic))
    }

    #[test]
    fn written_before_automatic_and_the_spoken_language_before_others() {
        let written = |name: &str| Some((name.to_owned(), false));
        let automatic = |name: &str| Some((name.to_owned(), true));
        assert_eq!(chosen(&["de", "en", "fr"], &["en", "en-orig"], Some("en"), None), written("en"));
        assert_eq!(chosen(&["de", "en-GB"], &[], Some("en-US"), None), written("en-GB"));
        assert_eq!(chosen(&["pt", "pt-BR"], &[], Some("pt-BR"), None), written("pt-BR"));
        assert_eq!(chosen(&["en-nP7-2PuUl7o"], &["en"], Some("en"), None), written("en-nP7-2PuUl7o"));
        assert_eq!(
            chosen(&["de"], &["de", "en", "fr"], Some("en"), None),
            automatic("en"),
            "what is said, not a translation"
        );
        assert_eq!(chosen(&[], &["de", "en", "en-orig"], None, None), automatic("en-orig"));
        assert_eq!(chosen(&["de", "fr"], &["en"], Some("ja"), None), written("de"));
        assert_eq!(chosen(&["de", "fr"], &[], None, None), written("de"));
        assert_eq!(chosen(&["de", "fr"], &["en"], Some("de"), Some("fre")), written("fr"), "as the user says");
    }

    #[test]
    fn automatic_translations_and_other_tracks_are_not_taken() {
        assert_eq!(chosen(&[], &["de", "fr"], Some("en"), None), None);
        assert_eq!(chosen(&[], &["de", "fr"], None, None), None);
        assert_eq!(chosen(&[], &["de"], None, None), Some(("de".to_owned(), true)));
        assert_eq!(chosen(&["live_chat", "all", "en.*", "--exec", "a,b", "../en", ""], &[], None, None), None);
    }

    #[test]
    fn the_language_of_a_track() {
        let language = |name: &str| {
            let track = CaptionTrack { name: name.into(), is_automatic: true };
            track.language().map(str::to_owned)
        };
        assert_eq!(language("en-orig").as_deref(), Some("en"));
        assert_eq!(language("zh-Hans").as_deref(), Some("zh-Hans"));
        assert_eq!(language("subtitles"), None);
    }
}
