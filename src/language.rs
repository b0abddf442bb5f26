//! Language tags: recognises different spellings of the same language.

use isolang::Language;

/// ISO 639-2 bibliographic codes and the ISO 639-3 codes that replace them.
///
/// Containers write the bibliographic codes, but ISO 639-3 does not contain them. Source: Library of Congress, "Codes for
/// the Representation of Names of Languages" (<https://www.loc.gov/standards/iso639-2/php/code_list.php>), all 20 entries
/// with two codes.
const BIBLIOGRAPHIC: [(&str, &str); 20] = [
    ("alb", "sqi"),
    ("arm", "hye"),
    ("baq", "eus"),
    ("bur", "mya"),
    ("chi", "zho"),
    ("cze", "ces"),
    ("dut", "nld"),
    ("fre", "fra"),
    ("geo", "kat"),
    ("ger", "deu"),
    ("gre", "ell"),
    ("ice", "isl"),
    ("mac", "mkd"),
    ("mao", "mri"),
    ("may", "msa"),
    ("per", "fas"),
    ("rum", "ron"),
    ("slo", "slk"),
    ("tib", "bod"),
    ("wel", "cym"),
];

/// Withdrawn ISO 639-1 codes that are still in use, and their ISO 639-3 codes; Whisper writes `jw`.
///
/// Source: IANA Language Subtag Registry, entries with `Deprecated` and `Preferred-Value`.
const WITHDRAWN: [(&str, &str); 5] = [("in", "ind"), ("iw", "heb"), ("ji", "yid"), ("jw", "jav"), ("mo", "ron")];

/// Whether two tags or English names mean the same language: `en`, `eng`, `en-US` and `English` do.
#[must_use]
pub fn is_same(a: &str, b: &str) -> bool {
    match (language(a), language(b)) {
        (Some(a), Some(b)) => a == b,
        (None, None) => primary(a) == primary(b),
        _ => false,
    }
}

/// The ISO 639-1 code of a tag or an English name; None if it has none.
#[must_use]
pub fn two_letter_code(text: &str) -> Option<&'static str> {
    language(text)?.to_639_1()
}

/// The English name of the language of a tag; None if it is unknown.
#[must_use]
pub fn english_name(tag: &str) -> Option<&'static str> {
    Some(language(tag)?.to_name())
}

/// Whether `text` starts with the code of a known language.
#[must_use]
pub fn is_known(text: &str) -> bool {
    primary(text).len() <= 3 && language(text).is_some()
}

/// Whether `text` has the form of a BCP 47 tag: two or three letters, then parts of two to eight letters and digits.
#[must_use]
pub fn is_tag(text: &str) -> bool {
    let mut parts = text.split(['-', '_']);
    let first = parts.next().unwrap_or_default();
    (2..=3).contains(&first.len())
        && first.bytes().all(|b| b.is_ascii_alphabetic())
        && parts.all(|p| (2..=8).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// The language of a tag or an English name; None if it is unknown.
fn language(text: &str) -> Option<Language> {
    let code = primary(text);
    let aliases = BIBLIOGRAPHIC.iter().chain(&WITHDRAWN);
    let code = aliases.into_iter().find(|(alias, _)| *alias == code).map_or(&*code, |(_, current)| current);
    match code.len() {
        2 => Language::from_639_1(code),
        3 => Language::from_639_3(code),
        _ => {
            let wanted = text.trim().to_owned();
            Language::match_names(move |name| name.eq_ignore_ascii_case(&wanted)).next()
        }
    }
}

/// The first part of a tag, in lower case.
fn primary(tag: &str) -> String {
    tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_language() {
        for (a, b) in [
            ("en", "eng"),
            ("EN-us", "en_GB"),
            ("ger", "deu"),
            ("xyz", "xyz"),
            ("fre", "fr-CA"),
            ("french", "fra"),
            ("German", "de"),
            ("jw", "jav"),
            ("iw", "he"),
        ] {
            assert!(is_same(a, b), "{a} {b}");
        }
        assert!(!is_same("en", "fr") && !is_same("french", "de") && !is_same("xyz", "en") && !is_same("", "en"));
        assert!(is_tag("en") && is_tag("en-US") && is_tag("zh-Hant-TW"));
        assert!(!is_tag("final") && !is_tag("") && !is_tag("e") && !is_tag("v2.en") && !is_tag("12"));
    }

    /// The pairs of ISO 639-1 and ISO 639-2 codes that subtitle files use most.
    #[test]
    fn two_and_three_letter_codes_of_one_language() {
        for (short, long) in [
            ("ar", "ara"),
            ("bg", "bul"),
            ("bn", "ben"),
            ("ca", "cat"),
            ("cs", "ces"),
            ("da", "dan"),
            ("de", "deu"),
            ("el", "ell"),
            ("es", "spa"),
            ("et", "est"),
            ("eu", "eus"),
            ("fa", "fas"),
            ("fi", "fin"),
            ("he", "heb"),
            ("hi", "hin"),
            ("hr", "hrv"),
            ("hu", "hun"),
            ("id", "ind"),
            ("is", "isl"),
            ("it", "ita"),
            ("ja", "jpn"),
            ("ko", "kor"),
            ("lt", "lit"),
            ("lv", "lav"),
            ("ms", "msa"),
            ("nb", "nob"),
            ("nl", "nld"),
            ("no", "nor"),
            ("pl", "pol"),
            ("pt", "por"),
            ("ro", "ron"),
            ("ru", "rus"),
            ("sk", "slk"),
            ("sl", "slv"),
            ("sr", "srp"),
            ("sv", "swe"),
            ("ta", "tam"),
            ("th", "tha"),
            ("tr", "tur"),
            ("uk", "ukr"),
            ("vi", "vie"),
            ("zh", "zho"),
        ] {
            assert!(is_same(short, long), "{short} {long}");
        }
        for (bibliographic, code) in BIBLIOGRAPHIC {
            assert!(is_same(bibliographic, code), "{bibliographic} {code}");
            assert!(Language::from_639_3(bibliographic).is_none(), "{bibliographic} is not ambiguous");
            assert!(Language::from_639_3(code).is_some(), "{code}");
        }
        for (withdrawn, code) in WITHDRAWN {
            assert!(is_same(withdrawn, code), "{withdrawn} {code}");
            assert!(Language::from_639_1(withdrawn).is_none(), "{withdrawn} is not ambiguous");
        }
    }
}
