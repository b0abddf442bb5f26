//! Language tags: the same language in two spellings.

/// Pairs of ISO 639-1 and ISO 639-2/3 codes; where the latter has two, both.
const CODES: [(&str, &[&str]); 44] = [
    ("ar", &["ara"]),
    ("bg", &["bul"]),
    ("bn", &["ben"]),
    ("ca", &["cat"]),
    ("cs", &["ces", "cze"]),
    ("da", &["dan"]),
    ("de", &["deu", "ger"]),
    ("el", &["ell", "gre"]),
    ("en", &["eng"]),
    ("es", &["spa"]),
    ("et", &["est"]),
    ("eu", &["eus", "baq"]),
    ("fa", &["fas", "per"]),
    ("fi", &["fin"]),
    ("fr", &["fra", "fre"]),
    ("he", &["heb"]),
    ("hi", &["hin"]),
    ("hr", &["hrv"]),
    ("hu", &["hun"]),
    ("id", &["ind"]),
    ("is", &["isl", "ice"]),
    ("it", &["ita"]),
    ("ja", &["jpn"]),
    ("ko", &["kor"]),
    ("lt", &["lit"]),
    ("lv", &["lav"]),
    ("ms", &["msa", "may"]),
    ("nb", &["nob"]),
    ("nl", &["nld", "dut"]),
    ("no", &["nor"]),
    ("pl", &["pol"]),
    ("pt", &["por"]),
    ("ro", &["ron", "rum"]),
    ("ru", &["rus"]),
    ("sk", &["slk", "slo"]),
    ("sl", &["slv"]),
    ("sr", &["srp"]),
    ("sv", &["swe"]),
    ("ta", &["tam"]),
    ("th", &["tha"]),
    ("tr", &["tur"]),
    ("uk", &["ukr"]),
    ("vi", &["vie"]),
    ("zh", &["zho", "chi"]),
];

/// Whether two tags name one language: `en`, `eng` and `en-US` do.
#[must_use]
pub fn is_same(a: &str, b: &str) -> bool {
    primary(a) == primary(b)
}

/// Whether `text` looks like a BCP 47 tag: two or three letters, then parts of two to eight letters and digits.
#[must_use]
pub fn is_tag(text: &str) -> bool {
    let mut parts = text.split(['-', '_']);
    let first = parts.next().unwrap_or_default();
    (2..=3).contains(&first.len())
        && first.bytes().all(|b| b.is_ascii_alphabetic())
        && parts.all(|p| (2..=8).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphanumeric()))
}

fn primary(tag: &str) -> String {
    let first = tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    match CODES.iter().find(|(_, long)| long.contains(&first.as_str())) {
        Some((short, _)) => (*short).to_owned(),
        None => first,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_language() {
        for (a, b) in [("en", "eng"), ("EN-us", "en_GB"), ("ger", "deu"), ("xyz", "xyz"), ("fre", "fr-CA")] {
            assert!(is_same(a, b), "{a} {b}");
        }
        assert!(!is_same("en", "fr"));
        assert!(is_tag("en") && is_tag("en-US") && is_tag("zh-Hant-TW"));
        assert!(!is_tag("final") && !is_tag("") && !is_tag("e") && !is_tag("v2.en") && !is_tag("12"));
    }
}
