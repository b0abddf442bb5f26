//! Subtitle files beside the media.

use std::path::{Path, PathBuf};

use crate::language;

/// A subtitle file found beside a media file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sidecar {
    /// Its path.
    pub path: PathBuf,
    /// The language tag in its name (`talk.en.srt`); None if it has none.
    pub language: Option<String>,
}

/// Extensions of subtitle files, the preferred ones first.
const EXTENSIONS: [&str; 16] = [
    "srt", "vtt", "ass", "ssa", "ttml", "dfxp", "itt", "sbv", "lrc", "srv3", "srv2", "srv1", "json3", "sub", "json",
    "xml",
];
/// Those that other files have as well.
const AMBIGUOUS: [&str; 3] = ["sub", "json", "xml"];

impl Sidecar {
    /// Whether the name alone tells that the file holds subtitles.
    pub(super) fn is_certain(&self) -> bool {
        let extension = self.path.extension().unwrap_or_default();
        !AMBIGUOUS.iter().any(|known| extension.eq_ignore_ascii_case(known))
    }
}

/// Finds the subtitle files beside `talk.mp4`: `talk.srt`, `talk.vtt`, `talk.en.srt`, `talk.en-US.ttml`.
///
/// In the order in which they are preferred: a tag of the preferred language, then no tag, then other tags in order of
/// name; SRT before WebVTT before the rest. Their contents are not examined: `talk.json` may be something else. Empty if
/// the folder cannot be listed.
#[must_use]
pub fn find_sidecars(path: &Path, preferred: Option<&str>) -> Vec<Sidecar> {
    let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) else { return Vec::new() };
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<(u8, usize, String, Sidecar)> = Vec::new();
    for entry in entries.flatten() {
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        let Some((language, format)) = match_name(&name, stem) else { continue };
        let candidate = entry.path();
        if candidate == path || !candidate.is_file() {
            continue;
        }
        let rank = match (&language, preferred) {
            (Some(tag), Some(preferred)) if language::is_same(tag, preferred) => 0,
            (None, _) => 1,
            (Some(_), _) => 2,
        };
        found.push((rank, format, name, Sidecar { path: candidate, language }));
    }
    // By rank, then by tag, then by format.
    found.sort_by(|a, b| (a.0, &a.3.language, a.1, &a.2).cmp(&(b.0, &b.3.language, b.1, &b.2)));
    found.into_iter().map(|(.., sidecar)| sidecar).collect()
}

/// The language tag of a file name that belongs to `stem`, and the position of its extension; None for any other name.
fn match_name(name: &str, stem: &str) -> Option<(Option<String>, usize)> {
    let (body, extension) = name.rsplit_once('.')?;
    let format = EXTENSIONS.iter().position(|known| extension.eq_ignore_ascii_case(known))?;
    let tag = body.strip_prefix(stem)?;
    if tag.is_empty() {
        return Some((None, format));
    }
    let tag = language_tag(tag.strip_prefix('.')?)?;
    Some((Some(tag.to_owned()), format))
}

/// The language tag that a name's part is or begins with; yt-dlp appends the identifier of the track
/// (`en-ehkg1hFWq8A`), in which - and _ occur too.
fn language_tag(part: &str) -> Option<&str> {
    const IDENTIFIER_CHARS: usize = 11;
    // Subtags are written in lower case, upper case (regions) or title case (scripts); identifiers mix them.
    let is_usual = |subtag: &str| {
        let rest = subtag.get(1..).unwrap_or_default();
        let has_upper = |text: &str| text.bytes().any(|b| b.is_ascii_uppercase());
        !has_upper(rest) || !subtag.bytes().any(|b| b.is_ascii_lowercase())
    };
    if language::is_tag(part) && part.split(['-', '_']).all(is_usual) {
        return Some(part);
    }
    let is_plain = part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if !is_plain || !language::is_known(part) {
        return None;
    }
    let end = part.len().checked_sub(IDENTIFIER_CHARS + 1);
    let without_identifier = end.filter(|end| part[*end..].starts_with('-')).map(|end| &part[..end]);
    let primary = part.split(['-', '_']).next();
    without_identifier.filter(|tag| language::is_tag(tag)).or(primary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sidecar_names_and_other_names() {
        let tag = |t: &str| Some(t.to_owned());
        assert_eq!(match_name("talk.srt", "talk"), Some((None, 0)));
        assert_eq!(match_name("talk.VTT", "talk"), Some((None, 1)));
        assert_eq!(match_name("talk.en-US.vtt", "talk"), Some((tag("en-US"), 1)));
        assert_eq!(match_name("my.talk.fr.srt", "my.talk"), Some((tag("fr"), 0)));
        assert_eq!(match_name("talk.en.json3", "talk"), Some((tag("en"), 12)));
        for (name, expected) in [
            ("talk.en-ehkg1hFWq8A.vtt", "en"),
            ("talk.en-nP7-2PuUl7o.vtt", "en"),
            ("talk.zh-Hans-a_b-c_d-e_f.srt", "zh-Hans"),
            ("talk.pt-BR-0123456789a.vtt", "pt-BR"),
            ("talk.de-original-translated.vtt", "de"),
        ] {
            assert_eq!(match_name(name, "talk"), Some((tag(expected), usize::from(name.ends_with("vtt")))), "{name}");
        }
        for other in [
            "talk.part-ehkg1hFWq8A.srt",
            "talk.qqx-ehkg1hFWq8A.srt",
            "talk.en ehkg1hFWq8A.srt",
            "talk2.srt",
            "talk.forced.srt",
            "talk.en.forced.srt",
            "other.srt",
            "talk.txt",
            "talk.info.json",
            "talk.mp4.json",
            "talk",
            "srt",
        ] {
            assert_eq!(match_name(other, "talk"), None, "{other}");
        }
    }

    #[test]
    fn the_preferred_language_then_no_tag_then_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let media = folder.path().join("talk.mp4");
        let found = |preferred| {
            let first = find_sidecars(&media, preferred).into_iter().next();
            first.map(|s| s.path.file_name().unwrap().to_str().unwrap().to_owned())
        };
        assert_eq!(found(None), None);
        let have = |name: &str| std::fs::write(folder.path().join(name), "x").unwrap();
        have("talk.json");
        have("talk.ttml");
        assert_eq!(found(None).as_deref(), Some("talk.ttml"));
        std::fs::remove_file(folder.path().join("talk.ttml")).unwrap();
        std::fs::remove_file(folder.path().join("talk.json")).unwrap();
        have("talk.fr.vtt");
        have("talk.en.vtt");
        assert_eq!(found(None).as_deref(), Some("talk.en.vtt"));
        assert_eq!(found(Some("fra")).as_deref(), Some("talk.fr.vtt"));
        have("talk.vtt");
        assert_eq!(found(None).as_deref(), Some("talk.vtt"));
        have("talk.srt");
        assert_eq!(found(Some("de")).as_deref(), Some("talk.srt"));
        have("talk.en.srt");
        assert_eq!(found(Some("en")).as_deref(), Some("talk.en.srt"));
    }
}
