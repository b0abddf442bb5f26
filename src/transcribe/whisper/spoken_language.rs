//! Whisper's own list of languages.

use crate::language;

/// Whisper's languages: the id and the code of each.
pub(super) fn language_ids() -> impl Iterator<Item = (usize, &'static str)> {
    (0..=whisper_rs::get_lang_max_id())
        .filter_map(|id| Some((usize::try_from(id).ok()?, whisper_rs::get_lang_str(id)?)))
}

/// The language as Whisper spells it; None if Whisper does not know it.
pub(super) fn whisper_language(tag: &str) -> Option<&'static str> {
    let primary = tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    // whisper.cpp's own search prints unknown languages to stderr.
    let is_named = |id: usize| i32::try_from(id).ok().and_then(whisper_rs::get_lang_str_full) == Some(&*primary);
    let by_name = language_ids().find(|(id, code)| *code == primary || is_named(*id));
    // Containers write `eng` and `ger`.
    by_name.or_else(|| language_ids().find(|(_, code)| language::is_same(code, tag))).map(|(_, code)| code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_found_by_code_tag_and_name() {
        for (tag, expected) in [
            ("en", Some("en")),
            ("en-GB", Some("en")),
            ("fre", Some("fr")),
            ("deu", Some("de")),
            ("german", Some("de")),
            ("FR", Some("fr")),
            ("tlh", None),
            ("", None),
            ("e\0n", None),
        ] {
            assert_eq!(whisper_language(tag), expected, "{tag}");
        }
    }
}
