//! Text encodings of subtitles: UTF-8, UTF-16 with or without a byte order mark, otherwise a guess from the bytes.

use std::str::FromStr;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_16BE, UTF_16LE};

use crate::advice::{Advice, Setting};
use crate::error::{Error, Result};
use crate::language;

/// A text encoding by its label in the WHATWG Encoding Standard: `windows-1251`, `cp1251`, `gbk`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubtitleEncoding(&'static Encoding);

impl FromStr for SubtitleEncoding {
    type Err = Error;

    fn from_str(label: &str) -> Result<Self> {
        Encoding::for_label(label.trim().as_bytes()).map(Self).ok_or_else(|| {
            let advice = Advice::from("use a name such as utf-8, windows-1251, gbk, shift_jis or iso-8859-2");
            Error::setting(Setting::SubtitleEncoding, format!("{label:?} is not a known text encoding"), advice)
        })
    }
}

/// What is known of the encoding of a text.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct EncodingHints<'a> {
    /// The encoding that the user names.
    pub(super) chosen: Option<SubtitleEncoding>,
    /// The language of the text, as a tag; it decides between encodings that fit equally well.
    pub(super) language: Option<&'a str>,
}

/// The encoding of a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct TextEncoding {
    encoding: &'static Encoding,
    /// Whether the bytes fit several encodings, so that this is the most likely one.
    is_guessed: bool,
}

impl TextEncoding {
    /// The encoding of `bytes`.
    pub(super) fn detect(bytes: &[u8], hints: EncodingHints<'_>) -> Self {
        let certain = |encoding| Self { encoding, is_guessed: false };
        if let Some((encoding, _)) = Encoding::for_bom(bytes) {
            return certain(encoding);
        }
        if let Some(SubtitleEncoding(encoding)) = hints.chosen {
            return certain(encoding);
        }
        if let Some(encoding) = unmarked_utf16(bytes) {
            return certain(encoding);
        }
        // A file cut off inside its last character is still UTF-8.
        if std::str::from_utf8(bytes).map_or_else(|error| error.error_len().is_none(), |_| true) {
            return certain(encoding_rs::UTF_8);
        }
        let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
        detector.feed(bytes, true);
        let domain = hints.language.and_then(top_level_domain);
        let encoding = detector.guess(domain.as_deref().map(str::as_bytes), Utf8Detection::Deny);
        Self { encoding, is_guessed: true }
    }

    /// The name of the encoding; None where it is certain.
    pub(super) fn guess(self) -> Option<&'static str> {
        self.is_guessed.then(|| self.encoding.name())
    }

    /// Decodes any bytes; invalid ones become U+FFFD.
    pub(super) fn decode(self, bytes: &[u8]) -> String {
        let bytes = match Encoding::for_bom(bytes) {
            Some((_, n_mark)) => &bytes[n_mark..],
            None => bytes,
        };
        let whole = match std::str::from_utf8(bytes) {
            Err(error) if self.encoding == encoding_rs::UTF_8 && error.error_len().is_none() => error.valid_up_to(),
            _ => bytes.len(),
        };
        self.encoding.decode_without_bom_handling(&bytes[..whole]).0.into_owned()
    }
}

/// The top-level domain whose pages are mostly in a language: the detector's only hint.
fn top_level_domain(tag: &str) -> Option<String> {
    /// Languages whose code is not the domain of a country in which they are the main one.
    const OTHERS: [(&str, &str); 14] = [
        ("ar", "eg"),
        ("cs", "cz"),
        ("da", "dk"),
        ("el", "gr"),
        ("et", "ee"),
        ("fa", "ir"),
        ("he", "il"),
        ("ja", "jp"),
        ("ko", "kr"),
        ("sl", "si"),
        ("sr", "rs"),
        ("sv", "se"),
        ("uk", "ua"),
        ("zh", "cn"),
    ];
    let code = language::two_letter_code(tag)?;
    Some(OTHERS.iter().find(|(language, _)| *language == code).map_or(code, |(_, domain)| domain).to_owned())
}

/// Times and line ends are ASCII, so UTF-16 has a zero in every other byte.
fn unmarked_utf16(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = &bytes[..bytes.len().min(512) / 2 * 2];
    let zeros = |odd: usize| head.iter().skip(odd).step_by(2).filter(|b| **b == 0).count();
    let n_pairs = head.len() / 2;
    let (even, odd) = (zeros(0), zeros(1));
    if n_pairs < 4 {
        None
    } else if odd * 2 > n_pairs && even * 8 < n_pairs {
        Some(UTF_16LE)
    } else if even * 2 > n_pairs && odd * 8 < n_pairs {
        Some(UTF_16BE)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8], hints: EncodingHints<'_>) -> (String, Option<&'static str>) {
        let encoding = TextEncoding::detect(bytes, hints);
        (encoding.decode(bytes), encoding.guess())
    }

    #[test]
    fn unicode_is_certain() {
        let text = "1\n00:00:01,000 --> 00:00:02,000\nÇa va, déjà\n";
        let utf16 = |to: fn(u16) -> [u8; 2]| -> Vec<u8> { text.encode_utf16().flat_map(to).collect() };
        let marked = |mark: &[u8], body: Vec<u8>| [mark, &body].concat();
        for bytes in [
            text.as_bytes().to_vec(),
            marked(b"\xef\xbb\xbf", text.as_bytes().to_vec()),
            marked(b"\xff\xfe", utf16(u16::to_le_bytes)),
            marked(b"\xfe\xff", utf16(u16::to_be_bytes)),
            utf16(u16::to_le_bytes),
            utf16(u16::to_be_bytes),
        ] {
            assert_eq!(decode(&bytes, EncodingHints::default()), (text.to_owned(), None));
        }
        assert_eq!(decode(&"é".as_bytes()[..1], EncodingHints::default()), (String::new(), None));
    }

    /// Two short cues each: less than any real file has.
    #[test]
    fn legacy_encodings_are_guessed_from_two_cues() {
        let two = |a: &str, b: &str| {
            format!("1\n00:00:01,000 --> 00:00:03,000\n{a}\n\n2\n00:00:04,000 --> 00:00:06,000\n{b}\n")
        };
        for (label, a, b) in [
            ("windows-1251", "Привет, как дела?", "Сегодня мы говорим о погоде."),
            ("koi8-r", "Привет, как дела?", "Сегодня мы говорим о погоде."),
            ("gbk", "大家好，欢迎收看今天的节目。", "我们先看一下数据。"),
            ("big5", "大家好，歡迎收看今天的節目。", "我們先看一下數據。"),
            ("shift_jis", "皆さん、こんにちは。", "今日は天気について話します。"),
            ("euc-kr", "여러분 안녕하세요.", "오늘은 날씨에 대해 이야기합니다."),
            ("windows-1250", "Dzień dobry, witamy państwa.", "Żółta łódź płynie po rzece."),
            ("windows-1253", "Καλημέρα σας, πώς είστε;", "Σήμερα μιλάμε για τον καιρό."),
            ("windows-1254", "Günaydın, nasılsınız?", "Bugün hava hakkında konuşacağız."),
            ("windows-1252", "Ça va, déjà là", "Nous parlons de la météo à l'été."),
        ] {
            let encoding = Encoding::for_label(label.as_bytes()).expect(label);
            let text = two(a, b);
            let (bytes, _, has_errors) = encoding.encode(&text);
            assert!(!has_errors, "{label}");
            let (decoded, guess) = decode(&bytes, EncodingHints::default());
            assert_eq!(decoded, text, "{label}: {guess:?}");
            assert!(guess.is_some(), "{label} is a guess");
            let chosen = EncodingHints { chosen: Some(label.parse().expect(label)), language: None };
            assert_eq!(decode(&bytes, chosen), (text, None), "{label}");
        }
    }

    #[test]
    fn the_language_is_a_hint_and_labels_are_checked() {
        for (tag, domain) in [("el", "gr"), ("gre", "gr"), ("pl", "pl"), ("zh-Hans", "cn"), ("jpn", "jp")] {
            assert_eq!(top_level_domain(tag).as_deref(), Some(domain), "{tag}");
        }
        assert_eq!(top_level_domain("tlh"), None);
        let error = "klingon".parse::<SubtitleEncoding>().expect_err("unknown").to_string();
        assert!(error.contains("not a known text encoding"), "{error}");
    }
}
